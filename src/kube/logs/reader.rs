//! One request for a container's log, read to its end into lines.

use std::sync::Arc;
use std::time::Duration;

use super::resume::{Resume, Verdict};
use super::scope::Scope;
use super::split::{End, Splitter};
use super::stamp;
use crate::kube::{ByteStream, Call, Error, Resource};
use crate::rows::{Line, LineSource};

/// Written after a piece of a line that is longer than we hold at once.
const CONTINUES: &str = " ⟨the line goes on⟩";

/// What to ask for.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    pub container: String,
    pub follow: bool,
    pub previous: bool,
    /// Lines from the end.
    pub tail: Option<u64>,
    /// The last so many seconds.
    pub since_seconds: Option<u64>,
    /// From this time on (RFC 3339, whole seconds).
    pub since_time: Option<String>,
}

/// Opens the log of a pod's container.
pub async fn open(scope: &Scope, pod: &str, ask: &Ask) -> Result<ByteStream, Error> {
    // The kubelet sends not even the head of its answer before the first line, so a quiet container's may take days.
    // That the connection lives is known by HTTP/2 pings.
    let patience = if ask.follow { Duration::from_secs(86_400 * 7) } else { Duration::from_secs(30) };
    let path = format!("{}/log", Resource::pods().path(Some(&scope.namespace), Some(pod)));
    let call = Call::get(path)
        .query("container", &ask.container)
        .query("timestamps", "true")
        .query_if("follow", ask.follow.then_some("true"))
        .query_if("previous", ask.previous.then_some("true"))
        .query_if("tailLines", ask.tail.map(|n| n.to_string()))
        .query_if("sinceSeconds", ask.since_seconds.map(|n| n.to_string()))
        .query_if("sinceTime", ask.since_time.as_deref())
        .timeout(patience);
    scope.cluster.stream(call).await
}

/// Turns a log's bytes into lines, without those already given before a break.
#[derive(Debug)]
pub struct Lines {
    source: Arc<LineSource>,
    splitter: Splitter,
    pub resume: Resume,
    /// The stamp of the line whose pieces are coming.
    open: Option<i64>,
    in_line: bool,
}

impl Lines {
    pub fn new(source: Arc<LineSource>) -> Self {
        Self { source, splitter: Splitter::default(), resume: Resume::default(), open: None, in_line: false }
    }

    /// The lines that end within `chunk`.
    pub fn feed(&mut self, chunk: &[u8], out: &mut Vec<Line>) {
        let Self { source, splitter, resume, open, in_line } = self;
        splitter.feed(chunk, |bytes, end| take(source, resume, open, in_line, bytes, end, out));
    }

    /// The container ended: what it wrote after its last line feed is a line too.
    pub fn finish(&mut self, out: &mut Vec<Line>) {
        let Self { source, splitter, resume, open, in_line } = self;
        splitter.finish(|bytes, end| take(source, resume, open, in_line, bytes, end, out));
    }

    /// The stream broke: the unfinished line will come again.
    pub fn broke(&mut self) {
        self.splitter.forget();
        self.resume.broke();
        (self.open, self.in_line) = (None, false);
    }

    /// Another instance's log begins.
    pub fn restart(&mut self) {
        self.splitter.forget();
        self.resume.restart();
        (self.open, self.in_line) = (None, false);
    }
}

fn take(
    source: &Arc<LineSource>,
    resume: &mut Resume,
    open: &mut Option<i64>,
    in_line: &mut bool,
    bytes: &[u8],
    end: End,
    out: &mut Vec<Line>,
) {
    let (time, body) = if *in_line {
        (*open, bytes)
    } else {
        stamp::split(bytes).map_or((None, bytes), |(time, body)| (Some(time), body))
    };
    *in_line = end == End::Continues;
    *open = if *in_line { time } else { None };
    let before = resume.newest();
    match resume.piece(time, end) {
        Verdict::Seen => return,
        Verdict::KeepAfterGap => {
            out.push(Line::Mark { source: Some(source.clone()), text: gap(before, time) })
        }
        Verdict::Keep => {}
    }
    let mut text = String::from_utf8_lossy(body).into_owned();
    if end == End::Continues {
        text.push_str(CONTINUES);
    }
    out.push(Line::Text { source: source.clone(), time, text: text.into_boxed_str() });
}

/// What stands where lines are missing.
fn gap(before: Option<i64>, after: Option<i64>) -> String {
    let clock = |time: Option<i64>| {
        let time = time.and_then(|t| jiff::Timestamp::from_nanosecond(t.into()).ok());
        time.map_or_else(|| "?".to_owned(), |t| format!("{t:.3}"))
    };
    format!(
        "gap from {} to {}: the log was rotated while its stream was broken, and lines may be missing",
        clock(before),
        clock(after)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> Arc<LineSource> {
        Arc::new(LineSource {
            cluster: "c".into(),
            namespace: "n".into(),
            pod: "p".into(),
            container: "a".into(),
        })
    }

    fn texts(lines: &[Line]) -> Vec<&str> {
        lines.iter().map(|l| if let Line::Text { text, .. } = l { &**text } else { "(mark)" }).collect()
    }

    #[test]
    fn a_break_anywhere_in_the_bytes_repeats_and_loses_nothing() {
        let log = "2026-11-21T10:00:00.1Z one\n2026-11-21T10:00:00.1Z two\n2026-11-21T10:00:01Z thr\u{e9}e \u{1f680}\n2026-11-21T10:00:01Z \n2026-11-21T10:00:05.5Z last";
        for at in 0..log.len() {
            let mut lines = Lines::new(source());
            let mut out = Vec::new();
            lines.feed(&log.as_bytes()[..at], &mut out);
            lines.broke();
            // The server gives the lines from the second asked for on.
            let since = lines.resume.newest().map_or(i64::MIN, |n| stamp::floor_second(n) * 1_000_000_000);
            let again: String = log
                .split_inclusive('\n')
                .filter(|l| stamp::split(l.trim_end_matches('\n').as_bytes()).is_none_or(|(t, _)| t >= since))
                .collect();
            lines.feed(again.as_bytes(), &mut out);
            lines.finish(&mut out);
            assert_eq!(
                texts(&out),
                ["one", "two", "thr\u{e9}e \u{1f680}", "", "last"],
                "broken at byte {at}"
            );
        }
    }

    #[test]
    fn a_gap_says_from_when_to_when() {
        let mut lines = Lines::new(source());
        let mut out = Vec::new();
        lines.feed(b"2026-11-21T10:00:00.5Z one\n", &mut out);
        lines.broke();
        lines.feed(b"2026-11-21T10:00:09Z two\n2026-11-21T10:00:09Z three\n", &mut out);
        let marks: Vec<_> = out
            .iter()
            .filter_map(|l| if let Line::Mark { text, .. } = l { Some(text) } else { None })
            .collect();
        assert_eq!(texts(&out), ["one", "(mark)", "two", "three"]);
        assert!(
            marks[0].starts_with("gap from 2026-11-21T10:00:00.500Z to 2026-11-21T10:00:09.000Z"),
            "{marks:?}"
        );
    }

    #[test]
    fn bytes_that_are_no_text_and_huge_lines_are_shown_as_far_as_they_can_be() {
        let mut lines = Lines::new(source());
        let mut out = Vec::new();
        lines.feed(b"2026-11-21T10:00:00Z a\xff\xfeb\n2026-11-21T10:00:00Z ", &mut out);
        lines.feed(&vec![b'x'; 3 << 20], &mut out);
        lines.feed(b"\n", &mut out);
        assert_eq!(texts(&out)[0], "a\u{fffd}\u{fffd}b");
        assert_eq!(out.len(), 5, "three mebibytes and a stamp in pieces of one");
        assert!(texts(&out)[1].ends_with(CONTINUES) && !texts(&out)[4].ends_with(CONTINUES));
        let times: Vec<_> =
            out.iter().filter_map(|l| if let Line::Text { time, .. } = l { *time } else { None }).collect();
        assert_eq!(times.len(), 5, "every piece has its line's time");
    }

    #[test]
    fn two_hundred_thousand_lines_a_second_is_no_effort() {
        let line = "2026-11-21T10:00:00.123456789Z 127.0.0.1 - GET /api/v1/things/42 200 13ms user=someone trace=0123456789abcdef\n";
        let chunk = line.repeat(500);
        let mut lines = Lines::new(source());
        let started = std::time::Instant::now();
        let mut count = 0;
        for _ in 0..400 {
            let mut out = Vec::with_capacity(500);
            lines.feed(chunk.as_bytes(), &mut out);
            count += out.len();
        }
        assert_eq!(count, 200_000);
        // An unoptimised build on a loaded machine; a release build takes a tenth of it.
        assert!(started.elapsed().as_secs_f64() < 3.0, "{:?}", started.elapsed());
    }
}
