//! A shell on a node, through a pod that is there for it alone.

use std::sync::Arc;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::debug::{IMAGE, PATIENCE};
use super::{converse, first_size, need_terminal};
use crate::base::{Error, Result, SafeText};
use crate::gate::{Context, Duplex, Method, Operation, Output, Preview, Spec, Talk, Target};
use crate::kube::Cluster;
use crate::kube::exec::debug::{create_pod, left_behind, node_pod, remove_pod, until_running};
use crate::kube::exec::{Command as Wanted, NoShell, Pod, Process, Put, open_shell};
use crate::operations::command::Command;
use crate::operations::command::shell;
use crate::operations::input::Within;
use crate::operations::{Deck, common};

/// The node's own shell, in its own file system.
const CHROOT: [&str; 5] = [
    "chroot",
    "/host",
    "sh",
    "-c",
    "cd; export HOME=${HOME:-/root} TERM=${TERM:-xterm}; command -v bash >/dev/null 2>&1 && exec bash -l; exec sh -l",
];

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct NodeShellInput {
    #[schemars(extend("x-complete" = "name"))]
    pub name: String,
    /// Kubeconfig context; default: the current one.
    #[arg(long, short = 'c', visible_alias = "context")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-complete" = "cluster"))]
    pub cluster: Option<String>,
    /// Where the pod is made; default: the context's namespace. It must allow privileged pods.
    #[arg(long, short = 'n')]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-complete" = "namespace"))]
    pub namespace: Option<String>,
    /// Of the pod; default: busybox. The shell is the node's own, where it has one.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

/// How it ended.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NodeShellOutput {
    pub exit_code: i32,
    /// The pod, which is gone.
    pub pod: String,
    /// Pods of other node shells that are still there, as `namespace/name`: `resource_delete` removes them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub leftovers: Vec<String>,
}

pub struct NodeShell;

impl NodeShellInput {
    fn image(&self) -> &str {
        self.image.as_deref().map(str::trim).filter(|i| !i.is_empty()).unwrap_or(IMAGE)
    }

    fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or("default")
    }

    /// `qd-node-shell-NODE-…`, within what a name may be.
    fn pod(&self) -> String {
        let node: String = self
            .name
            .chars()
            .take(30)
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
            .collect();
        let tail = ulid::Ulid::generate().to_string().to_lowercase();
        format!("qd-node-shell-{}-{}", node.trim_matches('-'), &tail[tail.len() - 6..])
    }
}

impl Operation for NodeShell {
    type Deck = Deck;
    type Input = NodeShellInput;
    type Output = NodeShellOutput;

    // Root on the node can do anything.
    const SPEC: Spec = Spec::destroy(
        "node_shell",
        Method::Post,
        "/v1/nodes/{name}/shell",
        "Open a root shell on a node, through a privileged pod that is removed afterwards.",
    )
    .talking(Talk::Terminal);
    const PREVIEW: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        let cluster = common::fill_cluster(deck, &mut input.cluster)?;
        if input.namespace.as_deref().is_none_or(str::is_empty) {
            input.namespace = Some(cluster.default_namespace());
        }
        Ok(())
    }

    fn target(input: &Self::Input) -> Target {
        common::target(&input.cluster, &None, "node", &input.name)
    }

    fn equivalent(input: &Self::Input) -> Option<String> {
        let within = Within { cluster: input.cluster.clone(), namespace: input.namespace.clone() };
        let command = Command::new("kubectl debug -it").word(&format!("node/{}", input.name));
        let image = Some(input.image().to_owned());
        Some(command.value("--image", image).value("--profile", Some("sysadmin")).within(&within))
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let duplex = need_terminal(&cx)?;
        let cluster = deck.kube.get(input.cluster.as_deref())?;
        let (namespace, name) = (input.namespace(), input.pod());
        cx.note("pod", format!("{namespace}/{name}"));
        let made =
            create_pod(&cluster, &node_pod(&input.name, namespace, &name, input.image()), false).await?;
        let pod = Pod {
            cluster: cluster.clone(),
            namespace: namespace.to_owned(),
            name: name.clone(),
            object: made,
        };
        // Whatever comes of it, the pod goes: this task outlives its caller.
        let talked = talk(&pod, duplex).await;
        let removed = remove_pod(&cluster, namespace, &name).await;
        if let Err(error) = removed {
            return Err(Error::unavailable(format!(
                "the pod {name} in {namespace} could not be removed: {error}"
            ))
            .next(format!(
                "It is privileged: remove it by `qd resource delete pods {name} -n {namespace} --force`."
            )));
        }
        let exit_code = talked?;
        cx.note("exit_code", exit_code);
        Ok(NodeShellOutput { exit_code, pod: name, leftovers: leftovers(&cluster).await })
    }

    async fn preview(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Preview> {
        let cluster = deck.kube.get(input.cluster.as_deref())?;
        let place = crate::kube::objects::Place::find(
            &deck.kube,
            input.cluster.as_deref(),
            None,
            "nodes",
            &input.name,
        );
        place.await?.get().await?;
        let pod = node_pod(&input.name, input.namespace(), &input.pod(), input.image());
        create_pod(&cluster, &pod, true).await?;
        let mut warnings = vec!["whoever has this shell is root on the node".to_owned()];
        warnings.extend(
            leftovers(&cluster).await.into_iter().map(|pod| format!("left behind by another: {pod}")),
        );
        Ok(Preview {
            affects: vec![
                format!(
                    "a privileged pod runs on {} in {} ({})",
                    input.name,
                    input.namespace(),
                    input.image()
                ),
                "it is removed when the shell ends".to_owned(),
            ],
            warnings,
            checks: vec!["server dry run ok".to_owned()],
            equivalent: Some(format!(
                "kubectl debug -it node/{} --image={} --profile=sysadmin -n {} --context {}",
                shell(&input.name),
                shell(input.image()),
                shell(input.namespace()),
                shell(cluster.name()),
            )),
            ..Preview::of(Self::target(&input))
        })
    }
}

/// Those that are there besides; that they could not be listed harms nobody.
async fn leftovers(cluster: &Cluster) -> Vec<String> {
    let found = left_behind(cluster).await.unwrap_or_default();
    found.into_iter().map(|(pod, node)| format!("{pod} on {node}")).collect()
}

async fn talk(pod: &Pod, mut duplex: Duplex) -> Result<i32> {
    let output = duplex.output.clone();
    let told = |why: &str| {
        let line = format!("{}: {}\r\n", pod.name, SafeText::new(why));
        // It only passes the time.
        let _ = output.try_send(Output { error: false, bytes: Bytes::from(line) });
    };
    let size = first_size(&mut duplex).await;
    // Who leaves while the image is pulled need not wait for it.
    tokio::select! {
        running = until_running(pod, "shell", PATIENCE, told) => drop(running?),
        () = output.closed() => return Err(Error::new(crate::base::Code::Cancelled, "the caller left before the pod ran")),
    }
    drop(output);
    let words: Vec<String> = CHROOT.map(str::to_owned).into();
    let command = Wanted {
        namespace: &pod.namespace,
        pod: &pod.name,
        container: "shell",
        words: &words,
        stdin: true,
        tty: true,
    };
    let mut process = Process::start(&pod.cluster, &command).await?;
    if let Some((columns, rows)) = size {
        let _ = process.input.send(Put::Size { columns, rows }).await;
    }
    let first = process.next().await?;
    let (process, first) = match first {
        // A node without a shell of its own (Talos, Bottlerocket): the pod's must do, with the files under /host.
        None if process.exit()?.is_missing() || process.exit()? != &crate::kube::exec::Exit::Code(0) => {
            let opened = open_shell(&pod.cluster, &pod.namespace, &pod.name, "shell", size).await?;
            opened.map_err(|NoShell| NoShell::error("shell", &pod.name))?
        }
        first => (process, first),
    };
    let relayed = converse(process, duplex, first, true).await?;
    relayed.exit.code(&["the shell".to_owned()])
}
