//! A terminal in a container: a shell of its own, or its own process.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Chosen, converse, converse_plainly, first_size, need_terminal};
use crate::base::Result;
use crate::gate::{Context, Method, Operation, Preview, Spec, Talk, Target};
use crate::kube::exec::debug::ended_with;
use crate::kube::exec::{Command as Wanted, NoShell, Process, open_shell};
use crate::operations::Deck;
use crate::operations::command::Command;
use crate::operations::input::Within;

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct ContainerShellInput {
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
}

/// How it ended.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ContainerShellOutput {
    /// Of the shell, or of the process that was attached to.
    pub exit_code: i32,
    pub pod: String,
    pub container: String,
}

pub struct ContainerShell;

impl Operation for ContainerShell {
    type Deck = Deck;
    type Input = ContainerShellInput;
    type Output = ContainerShellOutput;

    // As with a command: what is typed may be hard to undo.
    const SPEC: Spec = Spec::destroy(
        "container_shell",
        Method::Post,
        "/v1/pods/{name}/shell",
        "Open a shell in a container on the terminal: bash, else sh, else ash.",
    )
    .talking(Talk::Terminal);
    const PREVIEW: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.within.fill(deck).map(drop)
    }

    fn target(input: &Self::Input) -> Target {
        super::target(&input.within, &input.name)
    }

    fn equivalent(input: &Self::Input) -> Option<String> {
        let command = Command::new("kubectl exec -it").word(&input.name);
        let command = command.value("--container", input.container.clone());
        Some(format!("{} -- sh", command.within(&input.within)))
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let mut duplex = need_terminal(&cx)?;
        let chosen = Chosen::find(&deck, &input.within, &input.name, input.container.as_deref()).await?;
        chosen.note(&cx);
        let (pod, container) = (&chosen.pod, &chosen.container.name);
        let size = first_size(&mut duplex).await;
        let opened = open_shell(&pod.cluster, &pod.namespace, &pod.name, container, size).await?;
        let (process, first) = opened.map_err(|NoShell| NoShell::error(container, &pod.name))?;
        let relayed = converse(process, duplex, first, true).await?;
        let exit_code = relayed.exit.code(&["the shell".to_owned()])?;
        cx.note("exit_code", exit_code);
        Ok(ContainerShellOutput { exit_code, pod: pod.name.clone(), container: container.clone() })
    }

    async fn preview(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Preview> {
        let chosen = Chosen::find(&deck, &input.within, &input.name, input.container.as_deref()).await?;
        Ok(chosen.preview(Self::target(&input), "exec -it {} -- sh"))
    }
}

pub struct ContainerAttach;

impl Operation for ContainerAttach {
    type Deck = Deck;
    type Input = ContainerShellInput;
    type Output = ContainerShellOutput;

    const SPEC: Spec = Spec::destroy(
        "container_attach",
        Method::Post,
        "/v1/pods/{name}/attach",
        "Attach the terminal to the process that a container runs.",
    )
    .talking(Talk::Terminal);
    const PREVIEW: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.within.fill(deck).map(drop)
    }

    fn target(input: &Self::Input) -> Target {
        super::target(&input.within, &input.name)
    }

    fn equivalent(input: &Self::Input) -> Option<String> {
        let command = Command::new("kubectl attach -it").word(&input.name);
        Some(command.value("--container", input.container.clone()).within(&input.within))
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let duplex = need_terminal(&cx)?;
        let chosen = Chosen::find(&deck, &input.within, &input.name, input.container.as_deref()).await?;
        chosen.note(&cx);
        let (pod, container) = (&chosen.pod, &chosen.container);
        let command = Wanted {
            namespace: &pod.namespace,
            pod: &pod.name,
            container: &container.name,
            words: &[],
            stdin: container.stdin,
            tty: container.tty,
        };
        let process = Process::start(&pod.cluster, &command).await?;
        let relayed = match container.tty {
            true => Some(converse(process, duplex, None, false).await?),
            false => converse_plainly(process, duplex).await?,
        };
        let exit_code = match relayed {
            Some(relayed) => {
                let code = relayed.exit.code(&["attach".to_owned()])?;
                ended_with(pod, &container.name).await.unwrap_or(code)
            }
            None => 0,
        };
        cx.note("exit_code", exit_code);
        Ok(ContainerShellOutput { exit_code, pod: pod.name.clone(), container: container.name.clone() })
    }

    async fn preview(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Preview> {
        let chosen = Chosen::find(&deck, &input.within, &input.name, input.container.as_deref()).await?;
        let mut preview = chosen.preview(Self::target(&input), "attach -it {}");
        if !chosen.container.stdin {
            preview
                .warnings
                .push("the container takes no input: its output is shown and nothing is sent".to_owned());
        }
        Ok(preview)
    }
}
