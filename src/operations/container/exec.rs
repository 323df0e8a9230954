//! Running a command in a container, with a terminal or without.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Chosen, converse};
use crate::base::{Error, Result};
use crate::gate::{Context, Method, Operation, Preview, Spec, Talk, Target};
use crate::kube::exec::{Command as Wanted, Limits, Process, collect};
use crate::operations::Deck;
use crate::operations::command::Command;
use crate::operations::command::shell;
use crate::operations::input::Within;

/// How long a command may take, and how much of what it writes is kept, where nothing is said.
const SECONDS: u32 = 60;
const BYTES: u32 = 32 * 1024;

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct ContainerExecInput {
    /// A pod, or `kind/name` of what keeps pods: then its first ready one.
    #[schemars(extend("x-complete" = "name"))]
    pub name: String,
    #[serde(flatten)]
    #[command(flatten)]
    pub within: Within,
    /// Default: the pod's default container, else its first.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The command's words; no shell reads them: `["sh", "-c", "…"]` has one.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<String>,
    /// Text for its standard input.
    #[arg(long, conflicts_with_all = ["interactive", "tty"])]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// Pass the caller's own standard input on (shell and console only).
    #[arg(long, short = 'i')]
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interactive: bool,
    /// Give it a terminal (shell and console only).
    #[arg(long, short = 't')]
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tty: bool,
    /// Default 60, at most 3600; a caller who talks with it has no limit.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
    /// Bytes kept of each output, half its beginning and half its end; default 32768.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u32>,
}

/// What the command came to.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ContainerExecOutput {
    /// The command's own; 128 + n after signal n.
    pub exit_code: i32,
    pub pod: String,
    pub container: String,
    /// What is not in the texts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stderr: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stdout: String,
}

pub struct ContainerExec;

impl ContainerExecInput {
    async fn chosen(&self, deck: &Deck) -> Result<Chosen> {
        if self.command.first().is_none_or(String::is_empty) {
            return Err(Error::invalid("the command is empty").next("Give its words: [\"ls\", \"-l\"]."));
        }
        Chosen::find(deck, &self.within, &self.name, self.container.as_deref()).await
    }

    fn limits(&self) -> Limits {
        let seconds = self.timeout_seconds.unwrap_or(SECONDS).clamp(1, 3600);
        Limits {
            bytes: self.max_bytes.unwrap_or(BYTES).clamp(256, 16 << 20) as usize,
            time: Duration::from_secs(seconds.into()),
        }
    }
}

impl Operation for ContainerExec {
    type Deck = Deck;
    type Input = ContainerExecInput;
    type Output = ContainerExecOutput;

    // Nobody knows what a command does: it counts as what is hard to undo, and no grant covers it.
    const SPEC: Spec = Spec::destroy(
        "container_exec",
        Method::Post,
        "/v1/pods/{name}/exec",
        "Run a command in a container and give its exit code and what it wrote.",
    )
    .talking(Talk::Pipes);
    const PREVIEW: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.within.fill(deck).map(drop)
    }

    fn target(input: &Self::Input) -> Target {
        super::target(&input.within, &input.name)
    }

    fn equivalent(input: &Self::Input) -> Option<String> {
        let words: Vec<String> = input.command.iter().map(|w| shell(w)).collect();
        let interactive = input.interactive || input.tty || input.stdin.is_some();
        let command = Command::new("kubectl exec")
            .word(&input.name)
            .value("--container", input.container.clone())
            .flag("-i", interactive)
            .flag("-t", input.tty);
        Some(format!("{} -- {}", command.within(&input.within), words.join(" ")))
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let chosen = input.chosen(&deck).await?;
        chosen.expect(&cx)?;
        chosen.note(&cx);
        let duplex = cx.duplex();
        if duplex.is_none() && (input.interactive || input.tty) {
            return Err(Error::unsupported("there is no terminal and no input of the caller's own here")
                .next("Give the text as `stdin`, or run it as `qd container exec -i` in a shell."));
        }
        let command = Wanted {
            namespace: &chosen.pod.namespace,
            pod: &chosen.pod.name,
            container: &chosen.container.name,
            words: &input.command,
            stdin: input.stdin.is_some() || input.interactive || input.tty,
            tty: input.tty,
        };
        let process = Process::start(&chosen.pod.cluster, &command).await?;
        let (pod, container) = (chosen.pod.name.clone(), chosen.container.name.clone());
        if let Some(duplex) = duplex
            && input.stdin.is_none()
        {
            let relayed = converse(process, duplex, None, input.tty).await?;
            let exit_code = relayed.exit.code(&input.command)?;
            cx.note("exit_code", exit_code);
            cx.note("bytes", relayed.bytes);
            let empty = String::new;
            return Ok(ContainerExecOutput {
                exit_code,
                pod,
                container,
                left_out: Vec::new(),
                stderr: empty(),
                stdout: empty(),
            });
        }
        let text = input.stdin.clone().map(|text| Bytes::from(text.into_bytes()));
        let collecting = collect(process, text, input.limits());
        let done = tokio::select! {
            done = collecting => done?,
            () = cx.cancelled().cancelled() => return Err(Error::new(crate::base::Code::Cancelled, "it was stopped")),
        };
        let exit_code = done.exit.code(&input.command)?;
        cx.note("exit_code", exit_code);
        let mut left_out = Vec::new();
        for (name, left, total) in
            [("stdout", done.out_left, done.out_bytes), ("stderr", done.error_left, done.error_bytes)]
        {
            if left > 0 {
                left_out.push(format!("{left} of {total} bytes of {name}; a larger max_bytes gives more"));
            }
        }
        Ok(ContainerExecOutput { exit_code, pod, container, left_out, stderr: done.error, stdout: done.out })
    }

    async fn preview(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Preview> {
        let chosen = input.chosen(&deck).await?;
        let words: Vec<String> = input.command.iter().map(|w| shell(w)).collect();
        let words = words.join(" ");
        let mut preview = chosen.preview(Self::target(&input), &format!("exec {{}} -- {words}"));
        preview.affects.insert(0, format!("runs {words}"));
        if let Some(stdin) = &input.stdin {
            preview.affects.push(format!("{} bytes of input", stdin.len()));
        }
        preview.warnings.push("what the command changes cannot be told beforehand".to_owned());
        Ok(preview)
    }
}
