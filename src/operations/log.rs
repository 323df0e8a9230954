//! Operations on logs.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::Deck;
use super::common::moment;
use super::input::{Object, Within};
use crate::base::clock::seconds;
use crate::base::{ActorKind, Code, Error, Result};
use crate::gate::{
    Context, Definition, Frame, Method, Operation, Part, Preview, Spec, Target, Watch, define,
};
use crate::kube::logs::{Finder, Scope, ended, follow, read};
use crate::rows::{Level, Path};

pub const LIST: &[Definition<Deck>] = &[define::<LogRead>(), define::<LogExport>()];

/// Lines that an export reads of each container at most, from the end.
const EXPORTED: u32 = 1_000_000;
const EXPORTED_BYTES: usize = 256 << 20;

// What is left out is as in the call itself.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Also {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

fn also(text: &str) -> Result<Also, String> {
    if !text.trim_start().starts_with('{') {
        return Ok(Also { cluster: Some(text.to_owned()), ..Also::default() });
    }
    serde_json::from_str(text)
        .map_err(|e| format!("neither a cluster nor an object of cluster, namespace and name: {e}"))
}

// Whose lines, and which of them.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, clap::Args)]
pub struct Lines {
    /// A pod, or `kind/name` of what keeps pods, such as `deployment/web`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-complete" = "name"))]
    pub name: Option<String>,
    #[serde(flatten)]
    #[command(flatten)]
    pub within: Within,
    /// Every pod that this label selector matches.
    #[arg(long, short = 'l')]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<String>,
    /// Others: `{cluster, namespace, name}`.
    #[arg(long, help = "Merge in the same of another cluster, or other pods: {\"cluster\", \"namespace\", \"name\"}", value_name = "CLUSTER|JSON", value_parser = also)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<serde_json::Map<String, serde_json::Value>>")]
    pub also: Vec<Also>,
    #[arg(long, help = "Default: all containers")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    #[arg(long, short = 'p', help = "Of the instance before the last restart")]
    #[serde(default)]
    pub previous: bool,
    /// `15m`, or a time.
    #[arg(long, help = "The last while: 90s, 15m, 2h, 1d; or from a time on: 2026-01-31T12:00:00Z")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Regex.
    #[arg(long, help = "Only lines that match this regular expression")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grep: Option<String>,
    #[arg(long, help = "Lines around each match")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_lines: Option<u32>,
    #[arg(long, value_parser = level, help = "Only lines of this level and worse: debug, info, warning, error")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
}

fn level(text: &str) -> Result<Level, String> {
    Level::parse(text).ok_or_else(|| format!("{text:?} is none of debug, info, warning, error"))
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct LogReadInput {
    #[serde(flatten)]
    #[command(flatten)]
    pub lines: Lines,
    /// `next` of a page.
    #[arg(long, help = "Before this time, or so long ago; `next` of the page before")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Default 100.
    #[arg(long, help = "The newest lines; default 100")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<u32>,
    #[arg(long, help = "Fold lines that differ in numbers only, with a count")]
    #[serde(default)]
    pub dedupe: bool,
    #[arg(long, help = "Put the time before each line")]
    #[serde(default)]
    pub timestamps: bool,
    /// As jq's `.http.status`.
    #[arg(
        long,
        value_delimiter = ',',
        help = "Of JSON lines only these, as jq has them: .level,.http.status"
    )]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// Default 32768.
    #[arg(long, help = "Bytes of text at most; default 32768")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u32>,
}

/// Lines, oldest first.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LogReadOutput {
    pub lines: usize,
    /// What is not in the text, and how to get it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// `pod/container` of every log read.
    pub sources: Vec<String>,
    /// Give it as `until` to get the lines before these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    pub text: String,
}

impl Lines {
    /// Fills in the defaults, of the further pods too.
    fn fill(&mut self, deck: &Deck) -> Result<()> {
        self.within.fill(deck)?;
        for one in &mut self.also {
            one.cluster = one.cluster.take().or_else(|| self.within.cluster.clone());
            one.namespace = one.namespace.take().or_else(|| self.within.namespace.clone());
            one.name = one.name.take().or_else(|| self.name.clone());
        }
        Ok(())
    }

    fn target(&self) -> Target {
        let (kind, name) =
            self.name.as_deref().map_or(("pod", ""), |n| n.split_once('/').unwrap_or(("pod", n)));
        self.within.target(kind, name)
    }

    /// Reading further pods is a read of its own, for the policy.
    fn parts(&self) -> Result<Vec<Part>> {
        let part = |one: &Also| {
            let labels = self.labels.as_ref().filter(|_| one.name.is_none());
            let arguments = serde_json::json!({
                "cluster": one.cluster, "namespace": one.namespace, "name": one.name, "labels": labels,
            });
            Part { operation: LogRead::SPEC.name.to_owned(), arguments }
        };
        Ok(self.also.iter().map(part).collect())
    }

    fn finders(&self, deck: &Arc<Deck>) -> Vec<Finder> {
        let of = |cluster: &Option<String>, namespace: &Option<String>, name: &Option<String>| {
            let what = name.clone().or_else(|| self.labels.clone()).unwrap_or_default();
            let words = format!(
                "{what} in {} on {}",
                namespace.as_deref().unwrap_or_default(),
                cluster.as_deref().unwrap_or_default()
            );
            let labels = self.labels.clone().filter(|_| name.is_none());
            let (deck, cluster, namespace, name) =
                (deck.clone(), cluster.clone(), namespace.clone(), name.clone());
            Finder::new(words, move || {
                let (deck, cluster, namespace, name, labels) =
                    (deck.clone(), cluster.clone(), namespace.clone(), name.clone(), labels.clone());
                async move {
                    let (cluster, namespace) = (cluster.as_deref(), namespace.as_deref());
                    Scope::find(&deck.kube, cluster, namespace, name.as_deref(), labels.as_deref()).await
                }
            })
        };
        let first = of(&self.within.cluster, &self.within.namespace, &self.name);
        let rest = self.also.iter().map(|one| of(&one.cluster, &one.namespace, &one.name));
        std::iter::once(first).chain(rest).collect()
    }

    /// From when on: seconds before now for the server, which refuses zero, and the time if one was given.
    fn since(&self, cx: &Context) -> Result<(Option<u64>, Option<i64>)> {
        let Some(text) = &self.since else { return Ok((None, None)) };
        if let Some(span) = seconds(text) {
            return match span {
                0 => Err(Error::invalid("since: 0 is no time such as 90s, 15m, 2h or 1d")),
                span => Ok((Some(span), None)),
            };
        }
        let at = time("since", text, cx)?;
        let ago = i64::try_from(cx.now().as_nanosecond()).unwrap_or(i64::MAX).saturating_sub(at).max(0);
        Ok((Some(ago.unsigned_abs() / 1_000_000_000 + 1), Some(at)))
    }

    /// What is to be read once; the door's own limits are for the caller to set.
    fn query(&self, cx: &Context) -> Result<read::Query> {
        let (since_seconds, from) = self.since(cx)?;
        Ok(read::Query {
            container: self.container.clone(),
            previous: self.previous,
            since_seconds,
            from,
            until: None,
            least: self.level,
            tail: 100,
            grep: self.grep.clone(),
            context: self.context_lines.unwrap_or(0).min(100) as usize,
            dedupe: false,
            timestamps: false,
            fields: Vec::new(),
            json: false,
            max_bytes: 32_768,
            redactor: None,
        })
    }

    async fn read(&self, deck: &Arc<Deck>, cx: &Context, query: &read::Query) -> Result<read::Text> {
        let finders = self.finders(deck);
        tokio::select! {
            text = read::read(&finders, query) => text,
            () = cx.cancelled().cancelled() => Err(Error::new(Code::Cancelled, "reading was stopped")),
        }
    }
}

/// The last lines of an object's pods, each with its time.
pub(super) async fn last_lines(
    deck: &Arc<Deck>,
    cx: &Context,
    object: &Object,
    tail: u32,
    max_bytes: usize,
) -> Result<read::Text> {
    let lines = Lines {
        name: Some(format!("{}/{}", object.kind, object.name)),
        within: object.within.clone(),
        labels: None,
        also: Vec::new(),
        container: None,
        previous: false,
        since: None,
        grep: None,
        context_lines: None,
        level: None,
    };
    let query = read::Query { tail: tail as usize, timestamps: true, max_bytes, ..lines.query(cx)? };
    lines.read(deck, cx, &query).await
}

/// A point in time in nanoseconds since the epoch.
fn time(field: &str, text: &str, cx: &Context) -> Result<i64> {
    let at = moment(text, cx.now()).map_err(|e| Error { message: format!("{field}: {}", e.message), ..e })?;
    i64::try_from(at.as_nanosecond())
        .map_err(|_| Error::invalid(format!("{field}: {text:?} is too far away")))
}

struct LogRead;

impl Operation for LogRead {
    type Deck = Deck;
    type Input = LogReadInput;
    type Output = LogReadOutput;

    const SPEC: Spec = Spec::observe(
        "log_read",
        "/v1/logs",
        "Read the newest log lines of a pod or a workload's pods, filtered here; or follow them.",
    );
    const WATCH: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.lines.fill(deck)
    }

    fn target(input: &Self::Input) -> Target {
        input.lines.target()
    }

    fn parts(input: &Self::Input) -> Result<Vec<Part>> {
        input.lines.parts()
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let path = |text: &String| {
            Path::parse(text)
                .map_err(|e| Error::invalid(format!("paths: {e}")).next("Such as .level or .http.status."))
        };
        let query = read::Query {
            until: input.until.as_deref().map(|text| time("until", text, &cx)).transpose()?,
            tail: input.tail.unwrap_or(100).clamp(1, 100_000) as usize,
            dedupe: input.dedupe,
            timestamps: input.timestamps,
            fields: input.paths.iter().map(path).collect::<Result<_>>()?,
            max_bytes: input.max_bytes.unwrap_or(32_768).clamp(256, 16 << 20) as usize,
            ..input.lines.query(&cx)?
        };
        let text = input.lines.read(&deck, &cx, &query).await?;
        let next = text.next.and_then(|time| jiff::Timestamp::from_nanosecond(time.into()).ok());
        let mut left_out = text.left_out;
        if text.lines == 0 && !text.sources.is_empty() {
            let filtered = input.lines.grep.is_some() || input.lines.level.is_some();
            let nothing = if filtered { "no line matches" } else { "there is no line" };
            left_out.insert(0, nothing.to_owned());
        }
        Ok(LogReadOutput {
            lines: text.lines,
            left_out,
            sources: text.sources,
            next: next.map(|time| time.to_string()),
            text: text.text,
        })
    }

    /// Follows, from the last `tail` lines of each container (all of them if absent). Sends lines as they come. What
    /// ended instances said comes whole, and then the end.
    async fn watch(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Watch> {
        if input.until.is_some() || !input.paths.is_empty() {
            return Err(Error::invalid("a watch has no end and gives lines whole")
                .next("Leave until and paths out, or read without following."));
        }
        let query = follow::Query {
            container: input.lines.container.clone(),
            tail: input.tail.map(u64::from),
            since_seconds: input.lines.since(&cx)?.0,
            grep: input.lines.grep.clone(),
            context: input.lines.context_lines.unwrap_or(0).min(100) as usize,
            least: input.lines.level,
            dedupe: input.dedupe,
        };
        let finders = input.lines.finders(&deck);
        let (channel, receiver) = mpsc::channel(8);
        let sink = follow::Sink { channel, wrap: |lines| lines.map(Frame::Lines) };
        if input.lines.previous {
            ended::start(finders, query, sink).await?;
        } else {
            follow::start(finders, query, sink).await?;
        }
        Ok(Watch::frames(receiver))
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct LogExportInput {
    #[serde(flatten)]
    #[command(flatten)]
    pub lines: Lines,
    /// A file that is not there yet, by its whole path on the machine that the session runs on. `.json`, `.jsonl` and
    /// `.ndjson` give a JSON object a line, all else text.
    #[arg(long)]
    #[schemars(extend("x-local-path" = true))]
    pub to: String,
    /// Before this time, or so long ago.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The newest lines; default, and at most, a million.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<u32>,
}

/// What was written.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LogExportOutput {
    pub to: String,
    pub lines: usize,
    pub bytes: usize,
    /// What is not in the file, and how to get it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// `pod/container` of every log read.
    pub sources: Vec<String>,
}

struct LogExport;

impl LogExportInput {
    fn path(&self) -> Result<PathBuf> {
        let path = PathBuf::from(&self.to);
        if !path.is_absolute() || path.file_name().is_none() {
            return Err(Error::invalid(format!("{:?} is not the whole path of a file", self.to))
                .next("Such as /tmp/web.jsonl."));
        }
        if path.exists() {
            return Err(Error::new(Code::Conflict, format!("{} is there already", path.display()))
                .next("Name another file: none is replaced."));
        }
        Ok(path)
    }
}

impl Operation for LogExport {
    type Deck = Deck;
    type Input = LogExportInput;
    type Output = LogExportOutput;

    // What a container says then lies where one chooses, and some places are read as programs: no grant covers it.
    const SPEC: Spec = Spec::destroy(
        "log_export",
        Method::Post,
        "/v1/logs/export",
        "Write log lines of a pod or of all pods of a workload into a file, as text or as JSON, without secrets.",
    );
    const PREVIEW: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.lines.fill(deck)
    }

    fn target(input: &Self::Input) -> Target {
        input.lines.target()
    }

    async fn preview(_: Arc<Deck>, _: Context, input: Self::Input) -> Result<Preview> {
        let path = input.path()?;
        Ok(Preview {
            affects: vec![format!("{} is written", path.display())],
            ..Preview::of(Self::target(&input))
        })
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        // A token is good from other machines: whoever has it is not at home on this one's disk.
        if !matches!(cx.actor().kind, ActorKind::Person | ActorKind::Agent) {
            return Err(Error::new(Code::PermissionDenied, "files of this machine are for people to write")
                .next("log_read gives the lines themselves."));
        }
        let path = input.path()?;
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        let query = read::Query {
            until: input.until.as_deref().map(|text| time("until", text, &cx)).transpose()?,
            tail: input.tail.unwrap_or(EXPORTED).clamp(1, EXPORTED) as usize,
            timestamps: true,
            json: matches!(ending.as_str(), "json" | "jsonl" | "ndjson"),
            max_bytes: EXPORTED_BYTES,
            redactor: Some(cx.redactor()),
            ..input.lines.query(&cx)?
        };
        let text = input.lines.read(&deck, &cx, &query).await?;
        let (bytes, to) = (text.text.len(), path.display().to_string());
        tokio::task::spawn_blocking(move || write(&path, text.text.as_bytes()))
            .await
            .map_err(Error::internal)??;
        cx.note("lines", text.lines);
        Ok(LogExportOutput { to, lines: text.lines, bytes, left_out: text.left_out, sources: text.sources })
    }
}

/// Makes a new file, readable by its owner alone.
fn write(path: &FilePath, bytes: &[u8]) -> Result<()> {
    let failed = |e: std::io::Error| {
        Error::unavailable(format!("{} could not be written: {e}", path.display()))
            .next("Check that its directory is there, is yours to write, and has space.")
    };
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a file is not one that was exported.
        let _ = std::fs::remove_file(path);
    }
    written.map_err(failed)
}
