//! Operations on files in containers.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Deck;
use super::command::Command;
use super::input::Within;
use crate::base::{ActorKind, Code, Error, Result};
use crate::gate::{Context, Definition, Method, Operation, Preview, Spec, Target, TargetVersion, define};
use crate::kube::copy::{Copied, Pair, Side, download, upload};
use crate::kube::exec::{Container, Pod};
use crate::operations::command::shell;

pub const LIST: &[Definition<Deck>] = &[define::<FileCopy>()];

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct FileCopyInput {
    /// `POD:PATH`, or a whole path of the machine that the session runs on. A directory goes with all that is in it.
    #[schemars(extend("x-local-path" = true))]
    pub from: String,
    /// The other of the two; a directory takes it in under its own name.
    #[schemars(extend("x-local-path" = true))]
    pub to: String,
    #[serde(flatten)]
    #[command(flatten)]
    pub within: Within,
    /// Default: the pod's default container, else its first.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Replace what is there on this machine. In a container it is replaced always, as by `cp`.
    #[arg(long)]
    #[serde(default)]
    pub overwrite: bool,
}

/// What was copied.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FileCopyOutput {
    /// Where it is now.
    pub to: String,
    pub files: u64,
    pub directories: u64,
    pub bytes: u64,
    /// How it was checked; absent where the container has nothing to check with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked: Option<String>,
    /// `tar`, or what stood in for it.
    pub by: String,
    /// What was not copied, and why: the first 20.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    pub skips: u64,
    pub pod: String,
    pub container: String,
    pub milliseconds: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

struct FileCopy;

impl FileCopyInput {
    async fn place(&self, deck: &Deck, cx: &Context) -> Result<(Pair, Pod, Container)> {
        // A token is good from other machines: whoever has it is not at home on this one's disk. What an assistant
        // wants copied, a person has looked at.
        if !matches!(cx.actor().kind, ActorKind::Person | ActorKind::Agent) {
            return Err(Error::new(Code::PermissionDenied, "files of this machine are for people to copy")
                .next("container_exec with `cat` reads a file of a container."));
        }
        let pair = Pair::parse(&self.from, &self.to)?;
        let (cluster, namespace) = (self.within.cluster.as_deref(), self.within.namespace.as_deref());
        let pod = Pod::find(&deck.kube, cluster, namespace, pair.what()).await?;
        let container = pod.running(self.container.as_deref())?;
        Ok((pair, pod, container))
    }
}

impl Operation for FileCopy {
    type Deck = Deck;
    type Input = FileCopyInput;
    type Output = FileCopyOutput;

    // What is replaced is lost, and what lies on a person's disk may be secret: no grant covers it.
    const SPEC: Spec = Spec::destroy(
        "file_copy",
        Method::Post,
        "/v1/files/copy",
        "Copy a file or a directory out of a container or into one.",
    );
    const PREVIEW: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        Pair::parse(&input.from, &input.to)?;
        input.within.fill(deck).map(drop)
    }

    fn target(input: &Self::Input) -> Target {
        let what = Pair::parse(&input.from, &input.to).map(|pair| pair.what().to_owned()).unwrap_or_default();
        let (kind, name) = what.split_once('/').unwrap_or(("pod", &what));
        input.within.target(kind, name)
    }

    fn equivalent(input: &Self::Input) -> Option<String> {
        let command = Command::new("kubectl cp").word(&input.from).word(&input.to);
        Some(command.value("--container", input.container.clone()).within(&input.within))
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let (pair, pod, container) = input.place(&deck, &cx).await?;
        if cx.expected().is_some_and(|seen| seen.identity != pod.uid()) {
            let what = format!(
                "the pod {} is another than the one that was looked at: nothing was copied",
                pod.name
            );
            return Err(Error::new(Code::Conflict, what));
        }
        cx.note("pod", pod.name.as_str());
        cx.note("container", container.name.as_str());
        let began = Instant::now();
        let side = Side { pod: &pod, container: &container.name };
        let told = parking_lot::Mutex::new(Instant::now());
        let progress = |bytes: u64, total: Option<u64>, name: &str| {
            let mut last = told.lock();
            if last.elapsed().as_millis() >= 200 {
                *last = Instant::now();
                cx.progress(bytes, total, name.to_owned());
            }
        };
        let copying = async {
            match &pair {
                Pair::Download { from, to, .. } => {
                    let (copied, to) = download(&side, from, to, input.overwrite, &progress).await?;
                    Ok((copied, to.display().to_string()))
                }
                Pair::Upload { from, to, .. } => {
                    let (copied, to) = upload(from, &side, to, &progress).await?;
                    Ok((copied, format!("{}:{to}", pod.name)))
                }
            }
        };
        let done: Result<(Copied, String)> = tokio::select! {
            done = copying => done,
            () = cx.cancelled().cancelled() => Err(Error::new(Code::Cancelled, "the copy was stopped")),
        };
        let (copied, to) = done?;
        cx.note("bytes", copied.bytes);
        cx.note("files", copied.files);
        Ok(FileCopyOutput {
            to,
            files: copied.files,
            directories: copied.directories,
            bytes: copied.bytes,
            checked: copied.checked,
            by: copied.by.to_owned(),
            skipped: copied.skipped,
            skips: copied.skips,
            pod: pod.name.clone(),
            container: container.name,
            milliseconds: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }

    async fn preview(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Preview> {
        let (pair, pod, container) = input.place(&deck, &cx).await?;
        let mut affects = Vec::new();
        let mut warnings = Vec::new();
        match &pair {
            Pair::Download { from, to, .. } => {
                affects.push(format!("{from} of {} comes to {}", pod.name, to.display()));
                if to.is_file() && !input.overwrite {
                    warnings.push(format!(
                        "{} is there already: without overwrite nothing is copied",
                        to.display()
                    ));
                } else if to.is_file() {
                    warnings.push(format!("{} is replaced", to.display()));
                }
            }
            Pair::Upload { from, to, .. } => {
                let size = size_of(from)?;
                affects.push(format!("{} ({size}) goes to {to} of {}", from.display(), pod.name));
                warnings.push("what is there under the same names is replaced".to_owned());
            }
        }
        Ok(Preview {
            version: Some(TargetVersion { identity: pod.uid(), revision: String::new() }),
            affects,
            warnings,
            checks: vec![format!("the container {} runs", container.name)],
            equivalent: Some(format!(
                "kubectl cp {} {} -c {} -n {} --context {}",
                shell(&input.from),
                shell(&input.to),
                shell(&container.name),
                shell(&pod.namespace),
                shell(pod.cluster.name()),
            )),
            ..Preview::of(Self::target(&input))
        })
    }
}

/// What a local path is, for the person who decides.
fn size_of(path: &Path) -> Result<String> {
    let kind = std::fs::metadata(path).map_err(|e| {
        Error::not_found(format!("{} cannot be read: {e}", path.display()))
            .next("Check the path, and that it is yours to read.")
    })?;
    Ok(if kind.is_dir() { "a directory".to_owned() } else { format!("{} bytes", kind.len()) })
}
