//! Operations on logs.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::Deck;
use super::input::Within;
use crate::base::clock::seconds;
use crate::base::{Error, Result};
use crate::gate::{Context, Definition, Frame, Operation, Spec, Target, Watch, define};
use crate::kube::logs::{Scope, ended, follow, read};

pub const LIST: &[Definition<Deck>] = &[define::<LogRead>()];

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct LogReadInput {
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
    /// Default: all containers.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Of the instance before the last restart.
    #[arg(long, short = 'p')]
    #[serde(default)]
    pub previous: bool,
    /// The newest lines; default 100.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<u32>,
    /// The last while: `90s`, `15m`, `2h`, `1d`.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Only lines that match this regular expression.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grep: Option<String>,
    /// Lines around each match.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_lines: Option<u32>,
    /// Fold lines that differ in numbers only, with a count.
    #[arg(long)]
    #[serde(default)]
    pub dedupe: bool,
    /// Put the time before each line.
    #[arg(long)]
    #[serde(default)]
    pub timestamps: bool,
    /// Bytes of text at most; default 32768.
    #[arg(long)]
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
    pub text: String,
}

impl LogReadInput {
    async fn scope(&self, deck: &Deck) -> Result<Scope> {
        let (cluster, namespace) = (self.within.cluster.as_deref(), self.within.namespace.as_deref());
        Scope::find(&deck.kube, cluster, namespace, self.name.as_deref(), self.labels.as_deref()).await
    }

    fn since_seconds(&self) -> Result<Option<u64>> {
        self.since.as_deref().map(span).transpose()
    }
}

/// A span of time in seconds. The API server refuses zero.
fn span(text: &str) -> Result<u64> {
    seconds(text)
        .filter(|n| *n > 0)
        .ok_or_else(|| Error::invalid(format!("since: {text:?} is not a time such as 90s, 15m, 2h or 1d")))
}

struct LogRead;

impl Operation for LogRead {
    type Deck = Deck;
    type Input = LogReadInput;
    type Output = LogReadOutput;

    const SPEC: Spec = Spec::observe(
        "log_read",
        "/v1/logs",
        "Read the newest log lines of a pod or of all pods of a workload, filtered on this side; or follow them.",
    );
    const WATCH: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.within.fill(deck).map(drop)
    }

    fn target(input: &Self::Input) -> Target {
        let (kind, name) =
            input.name.as_deref().map_or(("pod", ""), |n| n.split_once('/').unwrap_or(("pod", n)));
        input.within.target(kind, name)
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let query = read::Query {
            container: input.container.clone(),
            previous: input.previous,
            since_seconds: input.since_seconds()?,
            tail: input.tail.unwrap_or(100).clamp(1, 100_000) as usize,
            grep: input.grep.clone(),
            context: input.context_lines.unwrap_or(0).min(100) as usize,
            dedupe: input.dedupe,
            timestamps: input.timestamps,
            max_bytes: input.max_bytes.unwrap_or(32_768).clamp(256, 16 << 20) as usize,
        };
        let scope = input.scope(&deck).await?;
        let text = tokio::select! {
            text = read::read(&scope, &query) => text?,
            () = cx.cancelled().cancelled() => return Err(Error::new(crate::base::Code::Cancelled, "reading was stopped")),
        };
        Ok(LogReadOutput {
            lines: text.lines,
            left_out: text.left_out,
            sources: text.sources,
            text: text.text,
        })
    }

    /// Follows, from the last `tail` lines of each container (all of them if absent). Sends lines as they come. What
    /// ended instances said comes whole, and then the end.
    async fn watch(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Watch> {
        let query = follow::Query {
            container: input.container.clone(),
            tail: input.tail.map(u64::from),
            since_seconds: input.since_seconds()?,
            grep: input.grep.clone(),
            context: input.context_lines.unwrap_or(0).min(100) as usize,
            dedupe: input.dedupe,
        };
        let scope = input.scope(&deck).await?;
        let (channel, receiver) = mpsc::channel(8);
        let sink = follow::Sink { channel, wrap: |lines| lines.map(Frame::Lines) };
        if input.previous {
            ended::start(scope, query, sink).await?;
        } else {
            follow::start(scope, query, sink).await?;
        }
        Ok(Watch::frames(receiver))
    }
}
