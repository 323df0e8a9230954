//! Reading logs once, within bounds: for agents, and for whoever pays for each line.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;

use futures::StreamExt;

use super::filter::{Grep, Sieve, dedupe};
use super::follow::check_container;
use super::pods::{self, ContainerView};
use super::reader::{self, Ask, Lines};
use super::scope::{Finder, Scope, find_all};
use crate::base;
use crate::base::redact::{KeyLines, MASK, Redactor};
use crate::kube::Error;
use crate::rows::record::{columns, level_of};
use crate::rows::{Level, Line, LineSource, Path};

/// What to read.
#[derive(Clone)]
pub struct Query {
    pub container: Option<String>,
    /// The instance before the current one.
    pub previous: bool,
    pub since_seconds: Option<u64>,
    /// From this time on, and before that one, in nanoseconds since the epoch.
    pub from: Option<i64>,
    pub until: Option<i64>,
    /// Only lines of this level and worse ones.
    pub least: Option<Level>,
    /// The newest so many lines, after every filter.
    pub tail: usize,
    pub grep: Option<String>,
    pub context: usize,
    /// Fold lines that differ in numbers only.
    pub dedupe: bool,
    /// Put the time before each line.
    pub timestamps: bool,
    /// Of JSON lines only what these lead to, in columns parted by tabs.
    pub fields: Vec<Path>,
    /// Each line as a JSON object: time, cluster, namespace, pod, container, text.
    pub json: bool,
    /// Bytes of text at most.
    pub max_bytes: usize,
    /// Hides secrets where the text goes another way than through the gate.
    pub redactor: Option<Arc<Redactor>>,
}

/// The text, and what is not in it.
#[derive(Debug, Default)]
pub struct Text {
    pub lines: usize,
    pub text: String,
    /// Sentences about what was left out.
    pub left_out: Vec<String>,
    /// `pod/container` of every log read.
    pub sources: Vec<String>,
    /// The time of the oldest line given, if older ones are known of: what is before it is another page.
    pub next: Option<i64>,
}

/// A filter looks at no more lines of one container than this, from the end.
const SCANNED: u64 = 200_000;
/// Folding looks at so many times the lines wanted.
const FOLDED: usize = 20;
const STREAMS: usize = 100;
/// A longer line is cut.
const LINE: usize = 2_000;

/// Whether a kubelet says this in place of the log of an instance that is thrown away: its container
/// (`GetContainerLogs` in `pkg/kubelet/kuberuntime`), or only the file of its log by then (`ReadLogs` in
/// `k8s.io/cri-client/pkg/logs`).
pub fn is_thrown_away(text: &str) -> bool {
    [
        "unable to retrieve container logs for ",
        "failed to try resolving symlinks in path ",
        "failed to open log file ",
    ]
    .iter()
    .any(|said| text.starts_with(said))
}

impl Query {
    fn is_filtered(&self) -> bool {
        self.grep.is_some() || self.until.is_some() || self.least.is_some()
    }
}

/// One log to read.
struct Source {
    scope: Scope,
    line: Arc<LineSource>,
    /// Its container does not run: the last instance's log, which no `previous` gives, is a dead one's too.
    dead: bool,
}

struct Found {
    lines: VecDeque<(Arc<LineSource>, i64, String)>,
    /// Lines that the tail left out, of those that were read.
    older: u64,
    /// There are more lines before those read.
    more: bool,
    /// The time of the newest line that the tail left out.
    cut: Option<i64>,
    unmatched: u64,
    /// Lines that are less bad than asked for.
    below: u64,
    error: Option<(String, Error)>,
    /// The node keeps it no longer.
    thrown_away: bool,
    /// Said when it is not the log asked for.
    note: Option<String>,
}

pub async fn read(finders: &[Finder], query: &Query) -> base::Result<Text> {
    let grep = |q: &Query| Grep::new(q.grep.as_deref(), q.context);
    grep(query).map_err(|e| {
        base::Error::invalid(format!("grep: {e}"))
            .next("Give a regular expression as Rust's regex crate reads it.")
    })?;
    let (scopes, failures) = find_all(finders).await?;
    let mut out = Text { left_out: failures, ..Text::default() };
    let mut wanted = Vec::new();
    let found = futures::future::join_all(scopes.iter().map(|scope| sources(scope, query))).await;
    for found in found {
        match found {
            Ok(found) => wanted.extend(found),
            Err(error) if scopes.len() == 1 => return Err(error),
            Err(error) => out.left_out.push(error.message),
        }
    }
    if wanted.is_empty() {
        out.left_out.push(
            if query.previous {
                "no container has an earlier instance"
            } else {
                "no container has started yet"
            }
            .into(),
        );
        return Ok(out);
    }
    if wanted.len() > STREAMS {
        out.left_out.push(format!("{} of {} containers", wanted.len() - STREAMS, wanted.len()));
        wanted.truncate(STREAMS);
    }
    out.sources = wanted.iter().map(|s| format!("{}/{}", s.line.pod, s.line.container)).collect();
    // Eight at a time spare the server, and keep the order of the pods.
    let reads = wanted.into_iter().map(|source| one(query, source));
    let found: Vec<Found> = futures::stream::iter(reads).buffered(8).collect().await;
    if let Some((_, error)) =
        found.iter().find_map(|f| f.error.clone()).filter(|_| found.iter().all(|f| f.error.is_some()))
    {
        return Err(error.into());
    }
    Ok(compose(out, found, query))
}

/// The logs of a scope.
async fn sources(scope: &Scope, query: &Query) -> base::Result<Vec<Source>> {
    let (views, _) = pods::read(scope).await?;
    if views.is_empty() {
        return Err(base::Error::not_found(format!("there is no {}", scope.words())));
    }
    if let Some(container) = &query.container {
        check_container(&views, container)?;
    }
    let mut wanted = Vec::new();
    for pod in &views {
        for c in &pod.containers {
            let meant = query.container.as_ref().is_none_or(|name| *name == c.name);
            if meant && has_log(c, query.previous) {
                let line = LineSource {
                    cluster: (**scope.cluster.name()).into(),
                    namespace: scope.namespace.as_str().into(),
                    pod: pod.name.as_str().into(),
                    container: c.name.as_str().into(),
                };
                wanted.push(Source { scope: scope.clone(), line: Arc::new(line), dead: !c.running });
            }
        }
    }
    Ok(wanted)
}

fn has_log(container: &ContainerView, previous: bool) -> bool {
    let has_run = container.instance.is_some();
    if previous { container.has_previous || (has_run && !container.running) } else { has_run }
}

/// Reads one log. Between two runs the kubelet keeps the last one's log only, and has thrown away the one before it:
/// then that is what "previous" can mean.
async fn one(query: &Query, source: Source) -> Found {
    let Source { scope, line, dead } = source;
    let mut found = instance(&scope, query, query.previous, line.clone()).await;
    let refused = found.error.as_ref().is_some_and(|(_, e)| matches!(e.http_status(), Some(400 | 404)));
    let name = format!("{}/{}", line.pod, line.container);
    if query.previous && dead && (refused || found.thrown_away) {
        found = instance(&scope, query, false, line).await;
        found.note = Some(format!("{name}: it waits for its next run, and this is the log of its last one"));
    }
    if found.thrown_away {
        found.note = Some(format!("{name}: its node keeps this log no longer"));
    }
    found
}

async fn instance(scope: &Scope, query: &Query, previous: bool, source: Arc<LineSource>) -> Found {
    let keep = if query.dedupe { query.tail.saturating_mul(FOLDED).min(20_000) } else { query.tail };
    // One line more than wanted tells whether there is more.
    let asked = if query.is_filtered() { SCANNED.max(keep as u64) } else { keep as u64 + 1 };
    let ask = Ask {
        container: source.container.to_string(),
        previous,
        tail: Some(asked),
        since_seconds: query.since_seconds,
        ..Ask::default()
    };
    let mut found = Found {
        lines: VecDeque::new(),
        older: 0,
        more: false,
        cut: None,
        unmatched: 0,
        below: 0,
        error: None,
        thrown_away: false,
        note: None,
    };
    let mut stream = match reader::open(scope, &source.pod, &ask).await {
        Ok(stream) => stream,
        Err(e) => {
            found.error = Some((format!("{}/{}", source.pod, source.container), e));
            return found;
        }
    };
    let Ok(grep) = Grep::new(query.grep.as_deref(), query.context) else { return found };
    let mut sieve = Sieve::new(grep);
    let mut lines = Lines::new(source.clone());
    let (mut batch, mut read, mut latest) = (Vec::new(), 0u64, i64::MIN);
    let mut key = KeyLines::default();
    loop {
        let chunk = stream.next().await;
        match &chunk {
            Some(Ok(bytes)) => lines.feed(bytes, &mut batch),
            Some(Err(e)) => found.error = Some((format!("{}/{}", source.pod, source.container), e.clone())),
            None => lines.finish(&mut batch),
        }
        for line in batch.drain(..) {
            let Line::Text { time, text, .. } = line else { continue };
            if time.is_none() && is_thrown_away(&text) {
                found.thrown_away = true;
                continue;
            }
            read += 1;
            latest = latest.max(time.unwrap_or(latest));
            if query.until.is_some_and(|until| latest >= until)
                || query.from.is_some_and(|from| latest < from)
            {
                continue;
            }
            if query.least.is_some_and(|least| level_of(&text).is_none_or(|level| level < least)) {
                found.below += 1;
                continue;
            }
            let text =
                if query.redactor.is_some() { hidden(&text, &mut key, query) } else { text.into_string() };
            let judged = text.clone();
            sieve.push((latest, text), &judged, |(time, text)| {
                if found.lines.len() == keep {
                    found.cut = found.lines.pop_front().map(|(_, time, _)| time);
                    found.older += 1;
                }
                let text = if query.json { text } else { cut(text) };
                found.lines.push_back((source.clone(), time, text));
            });
        }
        if !matches!(chunk, Some(Ok(_))) {
            break;
        }
    }
    found.unmatched = sieve.finish();
    found.more = read >= asked;
    found
}

/// A line without its secrets.
fn hidden(text: &str, key: &mut KeyLines, query: &Query) -> String {
    if key.hides(text) {
        return MASK.to_owned();
    }
    query.redactor.as_ref().map_or_else(|| text.to_owned(), |redactor| redactor.text(text).into_owned())
}

fn cut(mut text: String) -> String {
    if text.len() > LINE {
        let end = (0..=LINE).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        let rest = text.len() - end;
        text.truncate(end);
        let _ = write!(text, "… (+{rest} bytes)");
    }
    text
}

/// Orders, folds and cuts what was found.
fn compose(mut out: Text, found: Vec<Found>, query: &Query) -> Text {
    let sources = found.iter().filter(|f| !f.lines.is_empty()).count();
    let mut older: u64 = found.iter().map(|f| f.older).sum();
    let more = found.iter().any(|f| f.more);
    let unmatched: u64 = found.iter().map(|f| f.unmatched).sum();
    let below: u64 = found.iter().map(|f| f.below).sum();
    let mut boundary = found.iter().filter_map(|f| f.cut).max();
    let clusters = found.iter().filter_map(|f| f.lines.front()).map(|(s, _, _)| &s.cluster);
    let clusters = clusters.collect::<std::collections::BTreeSet<_>>().len();
    for (source, error) in found.iter().filter_map(|f| f.error.as_ref()) {
        out.left_out.push(format!("{source}: {error}"));
    }
    out.left_out.extend(found.iter().filter_map(|f| f.note.clone()));
    let mut all: Vec<_> = found.into_iter().flat_map(|f| f.lines).collect();
    // Stable, so that a container's own order stays.
    all.sort_by_key(|(_, time, _)| *time);
    let mut folded: Vec<_> = if query.dedupe {
        dedupe(all, |(_, _, text)| text)
    } else {
        all.into_iter().map(|line| (line, 1)).collect()
    };
    if folded.len() > query.tail {
        let surplus = folded.len() - query.tail;
        boundary = boundary.max(folded.get(surplus - 1).map(|((_, time, _), _)| *time));
        older += folded.drain(..surplus).map(|(_, n)| n).sum::<u64>();
    }
    // Lines of one time are on one page: the next ends before the first time of this one.
    let same = folded.iter().take_while(|((_, time, _), _)| boundary.is_some_and(|b| *time <= b)).count();
    if same < folded.len() {
        older += folded.drain(..same).map(|(_, n)| n).sum::<u64>();
    }
    let times: Vec<i64> = folded.iter().map(|((_, time, _), _)| *time).collect();
    let named = if clusters > 1 { Named::Cluster } else { Named::of(sources) };
    let rendered: Vec<String> = folded.into_iter().map(|(line, n)| render(line, n, named, query)).collect();
    let mut room = query.max_bytes;
    let mut from = rendered.len();
    while from > 0 && rendered[from - 1].len() <= room {
        from -= 1;
        room -= rendered[from].len();
    }
    out.lines = rendered.len() - from;
    out.text = rendered[from..].concat();
    let oldest = times.get(from).filter(|time| **time > i64::MIN);
    // What was folded stands for lines of other times too.
    out.next = oldest.copied().filter(|_| (older > 0 || more || from > 0) && !query.dedupe);
    if older > 0 || more {
        let least = if more { "at least " } else { "" };
        out.left_out.push(format!(
            "{least}{} older lines: raise `tail`, or narrow by `since` or `grep`",
            older.max(1)
        ));
    }
    if from > 0 {
        out.left_out
            .push(format!("{from} lines that did not fit into {} bytes: raise `max_bytes`", query.max_bytes));
    }
    if unmatched > 0 {
        out.left_out.push(format!("{unmatched} lines that did not match"));
    }
    if below > 0 {
        out.left_out.push(format!("{below} lines of lesser levels, or of none"));
    }
    out
}

/// What a line says of where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Not,
    Pod,
    Cluster,
}

impl Named {
    fn of(sources: usize) -> Self {
        if sources > 1 { Named::Pod } else { Named::Not }
    }
}

/// A line as a JSON object, with its line feed.
pub fn object(source: &LineSource, time: i64, text: &str, count: u64) -> String {
    let mut value = serde_json::json!({
        "time": jiff::Timestamp::from_nanosecond(i128::from(time)).ok().filter(|_| time > i64::MIN),
        "cluster": source.cluster, "namespace": source.namespace, "pod": source.pod,
        "container": source.container, "text": text,
    });
    if count > 1 {
        value["count"] = count.into();
    }
    format!("{value}\n")
}

fn render(
    (source, time, text): (Arc<LineSource>, i64, String),
    count: u64,
    named: Named,
    query: &Query,
) -> String {
    if query.json {
        return object(&source, time, &text, count);
    }
    let mut out = String::with_capacity(text.len() + 48);
    if query.timestamps
        && let Ok(time) = jiff::Timestamp::from_nanosecond(i128::from(time))
    {
        let _ = write!(out, "{time:.3} ");
    }
    match named {
        Named::Not => {}
        Named::Pod => drop(write!(out, "[{}/{}] ", source.pod, source.container)),
        Named::Cluster => drop(write!(out, "[{}/{}/{}] ", source.cluster, source.pod, source.container)),
    }
    match columns(&text, &query.fields).filter(|_| !query.fields.is_empty()) {
        Some(cells) => out.push_str(&cells.join("\t")),
        None => out.push_str(&text),
    }
    if count > 1 {
        let _ = write!(out, " (×{count})");
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query() -> Query {
        Query {
            container: None,
            previous: false,
            since_seconds: None,
            from: None,
            until: None,
            least: None,
            tail: 3,
            grep: None,
            context: 0,
            dedupe: false,
            timestamps: false,
            fields: Vec::new(),
            json: false,
            max_bytes: 1000,
            redactor: None,
        }
    }

    fn found(pod: &str, lines: &[(i64, &str)]) -> Found {
        let source = Arc::new(LineSource {
            cluster: "c".into(),
            namespace: "n".into(),
            pod: pod.into(),
            container: "app".into(),
        });
        let lines = lines.iter().map(|(t, text)| (source.clone(), *t, (*text).to_owned())).collect();
        Found {
            lines,
            older: 0,
            more: false,
            cut: None,
            unmatched: 0,
            below: 0,
            error: None,
            thrown_away: false,
            note: None,
        }
    }

    #[test]
    fn logs_are_merged_by_time_and_the_newest_stay() {
        let two = vec![found("a", &[(1, "one"), (3, "three")]), found("b", &[(2, "two"), (4, "four")])];
        let text = compose(Text::default(), two, &query());
        assert_eq!(text.text, "[b/app] two\n[a/app] three\n[b/app] four\n");
        assert_eq!(text.left_out, ["1 older lines: raise `tail`, or narrow by `since` or `grep`"]);
    }

    #[test]
    fn repeats_and_bytes_are_bounded_and_said() {
        let lines = [(1, "try 1"), (2, "try 2"), (3, "ok"), (4, "try 3")];
        let text = compose(Text::default(), vec![found("a", &lines)], &Query { dedupe: true, ..query() });
        assert_eq!(text.text, "ok\ntry 3 (×3)\n");
        let text = compose(Text::default(), vec![found("a", &lines)], &Query { max_bytes: 10, ..query() });
        assert_eq!((text.text.as_str(), text.lines), ("ok\ntry 3\n", 2));
        assert_eq!(text.left_out.len(), 2);
    }
}
