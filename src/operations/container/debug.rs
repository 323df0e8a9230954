//! A container with tools, put into a running pod.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{converse, first_size};
use crate::base::{Error, Result};
use crate::gate::{Context, Method, Operation, Output, Preview, Spec, Talk, Target, TargetVersion};
use crate::kube::exec::debug::{Ephemeral, Profile, ended_with, free_name, until_running};
use crate::kube::exec::{Command as Wanted, Pod, Process, Put};
use crate::operations::Deck;
use crate::operations::command::Command;
use crate::operations::command::shell;
use crate::operations::input::Within;

/// Small, known everywhere, and with a shell.
pub const IMAGE: &str = "docker.io/library/busybox:stable";
/// Pulling an image takes its time.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// As `kubectl debug --profile`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum DebugProfile {
    /// May trace the target's processes.
    #[default]
    General,
    Baseline,
    Restricted,
    /// May change the network.
    Netadmin,
    /// Privileged.
    Sysadmin,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct ContainerDebugInput {
    /// A pod, or `kind/name` of what keeps pods: then its first ready one.
    #[schemars(extend("x-complete" = "name"))]
    pub name: String,
    #[serde(flatten)]
    #[command(flatten)]
    pub within: Within,
    /// Default: busybox.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The container whose processes it sees; its files are then under /proc/1/root.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// What it may do.
    #[arg(long, value_enum, default_value_t)]
    #[serde(default)]
    pub profile: DebugProfile,
    /// Give it the terminal once it runs (shell and console only).
    #[arg(long, short = 't')]
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tty: bool,
    /// What it runs; default: what its image says.
    #[arg(last = true, value_name = "COMMAND")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
}

/// The container, which runs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ContainerDebugOutput {
    pub pod: String,
    /// It stays until the pod goes: Kubernetes removes no ephemeral container.
    pub container: String,
    pub image: String,
    /// Of its process, if the terminal was given to it and it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
}

pub struct ContainerDebug;

impl ContainerDebugInput {
    async fn plan(&self, deck: &Deck) -> Result<(Pod, Ephemeral)> {
        let (cluster, namespace) = (self.within.cluster.as_deref(), self.within.namespace.as_deref());
        let pod = Pod::find(&deck.kube, cluster, namespace, &self.name).await?;
        let target = match self.target.as_deref() {
            Some("") | None => None,
            Some(name) => Some(pod.container(Some(name))?.name),
        };
        let profile = match self.profile {
            DebugProfile::General => Profile::General,
            DebugProfile::Baseline => Profile::Baseline,
            DebugProfile::Restricted => Profile::Restricted,
            DebugProfile::Netadmin => Profile::Netadmin,
            DebugProfile::Sysadmin => Profile::Sysadmin,
        };
        let image = self.image.clone().filter(|i| !i.trim().is_empty()).unwrap_or_else(|| IMAGE.to_owned());
        let ephemeral =
            Ephemeral { name: free_name(&pod), image, target, profile, command: self.command.clone() };
        Ok((pod, ephemeral))
    }
}

impl Operation for ContainerDebug {
    type Deck = Deck;
    type Input = ContainerDebugInput;
    type Output = ContainerDebugOutput;

    // It stays, and runs whatever it is given.
    const SPEC: Spec = Spec::destroy(
        "container_debug",
        Method::Post,
        "/v1/pods/{name}/debug",
        "Put a container with tools into a running pod, beside one that has none.",
    )
    .talking(Talk::Offered);
    const PREVIEW: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.within.fill(deck).map(drop)
    }

    fn target(input: &Self::Input) -> Target {
        super::target(&input.within, &input.name)
    }

    fn equivalent(input: &Self::Input) -> Option<String> {
        let command = Command::new("kubectl debug -it")
            .word(&input.name)
            .value("--image", Some(input.image.clone().unwrap_or_else(|| IMAGE.to_owned())))
            .value("--target", input.target.clone());
        let words: Vec<String> = input.command.iter().map(|w| shell(w)).collect();
        let tail = if words.is_empty() { String::new() } else { format!(" -- {}", words.join(" ")) };
        Some(format!("{}{tail}", command.within(&input.within)))
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let mut duplex = cx.duplex();
        if input.tty && duplex.is_none() {
            return Err(Error::unsupported("there is no terminal to give to it")
                .next("Leave `tty` out; container_exec then runs commands in it."));
        }
        let (pod, ephemeral) = input.plan(&deck).await?;
        if cx.expected().is_some_and(|seen| seen.identity != pod.uid()) {
            return Err(Error::new(
                crate::base::Code::Conflict,
                format!("the pod {} is another than the one that was looked at: nothing was done", pod.name),
            ));
        }
        cx.note("pod", pod.name.as_str());
        cx.note("container", ephemeral.name.as_str());
        ephemeral.put(&pod, false).await?;
        let output = duplex.as_ref().map(|d| d.output.clone());
        let told = |why: &str| {
            cx.progress(0, None, format!("{}: {why}", ephemeral.name));
            if let Some(output) = &output {
                let line = format!("{}: {}\r\n", ephemeral.name, crate::base::SafeText::new(why));
                // It only passes the time.
                let _ = output.try_send(Output { error: false, bytes: Bytes::from(line) });
            }
        };
        until_running(&pod, &ephemeral.name, PATIENCE, told).await?;
        let mut done = ContainerDebugOutput {
            pod: pod.name.clone(),
            container: ephemeral.name.clone(),
            image: ephemeral.image.clone(),
            exit_code: None,
        };
        if let Some(mut duplex) = duplex.take()
            && input.tty
        {
            let size = first_size(&mut duplex).await;
            let command = Wanted {
                namespace: &pod.namespace,
                pod: &pod.name,
                container: &ephemeral.name,
                words: &[],
                stdin: true,
                tty: true,
            };
            let process = Process::start(&pod.cluster, &command).await?;
            if let Some((columns, rows)) = size {
                let _ = process.input.send(Put::Size { columns, rows }).await;
            }
            // Its prompt came before anybody was there to see it.
            let _ = process.input.send(Put::Bytes(Bytes::from_static(b"\n"))).await;
            let relayed = converse(process, duplex, None, true).await?;
            let code = relayed.exit.code(&["attach".to_owned()])?;
            let code = ended_with(&pod, &ephemeral.name).await.unwrap_or(code);
            cx.note("exit_code", code);
            done.exit_code = Some(code);
        }
        Ok(done)
    }

    async fn preview(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Preview> {
        let (pod, ephemeral) = input.plan(&deck).await?;
        ephemeral.put(&pod, true).await?;
        let mut affects =
            vec![format!("the pod {} gets the container {} ({})", pod.name, ephemeral.name, ephemeral.image)];
        affects.extend(ephemeral.target.iter().map(|t| format!("it sees the processes of {t}")));
        let mut warnings =
            vec!["it stays until the pod goes: no ephemeral container can be removed".to_owned()];
        if ephemeral.profile == Profile::Sysadmin {
            warnings.push("it is privileged: it may do on the node what root may".to_owned());
        }
        let target = ephemeral.target.as_ref().map(|t| format!(" --target={}", shell(t))).unwrap_or_default();
        Ok(Preview {
            version: Some(TargetVersion { identity: pod.uid(), revision: String::new() }),
            affects,
            warnings,
            checks: vec!["server dry run ok".to_owned()],
            equivalent: Some(format!(
                "kubectl debug -it {} --image={}{target} -n {} --context {}",
                shell(&pod.name),
                shell(&ephemeral.image),
                shell(&pod.namespace),
                shell(pod.cluster.name()),
            )),
            ..Preview::of(Self::target(&input))
        })
    }
}
