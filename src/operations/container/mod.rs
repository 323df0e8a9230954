//! Operations on the containers of a pod.

mod debug;
mod exec;
mod node;
mod shell;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::Deck;
use super::input::Within;
use crate::base::{Error, Result};
use crate::gate::{
    Context, Definition, Duplex, Input, Operation, Output, Preview, Spec, Target, TargetVersion, Watch,
    define,
};
use crate::kube::Selection;
use crate::kube::exec::{Container, Piece, Pod, Process, Put, Relayed, relay};
use crate::operations::command::shell as quoted;
use crate::rows::Cell;

pub const LIST: &[Definition<Deck>] = &[
    define::<ContainerList>(),
    define::<exec::ContainerExec>(),
    define::<shell::ContainerShell>(),
    define::<shell::ContainerAttach>(),
    define::<debug::ContainerDebug>(),
    define::<node::NodeShell>(),
];

/// One pod is one small answer.
/// Ctrl-c, as a terminal in raw mode sends it.
const INTERRUPT: u8 = 3;
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct ContainerListInput {
    /// The pod.
    #[schemars(extend("x-complete" = "name"))]
    pub name: String,
    #[serde(flatten)]
    #[command(flatten)]
    pub within: Within,
}

/// The containers in the order in which they start.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ContainerListOutput {
    pub total: usize,
    /// Said when CPU and memory are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    pub columns: Vec<String>,
    /// One text a column; "–" is unknown.
    pub rows: Vec<Vec<String>>,
}

struct ContainerList;

impl ContainerListInput {
    fn selection(&self) -> Result<Selection> {
        if self.name.is_empty() {
            return Err(Error::invalid("the pod's name is empty"));
        }
        Ok(Selection::containers(self.within.namespace.clone().unwrap_or_default(), &self.name))
    }
}

impl Operation for ContainerList {
    type Deck = Deck;
    type Input = ContainerListInput;
    type Output = ContainerListOutput;

    const SPEC: Spec = Spec::observe(
        "container_list",
        "/v1/pods/{name}/containers",
        "List a pod's containers, init and ephemeral ones too: state, restarts, last end, resources.",
    );
    const WATCH: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.within.fill(deck).map(drop)
    }

    fn target(input: &Self::Input) -> Target {
        input.within.target("pod", &input.name)
    }

    async fn run(deck: Arc<Deck>, cx: Context, mut input: Self::Input) -> Result<Self::Output> {
        let cluster = input.within.fill(&deck)?;
        let mut listing = cluster.rows_measured(input.selection()?, PATIENCE).await?;
        if listing.rows.is_empty() {
            let namespace = input.within.namespace.unwrap_or_default();
            return Err(Error::not_found(format!("there is no pod {} in {namespace}", input.name))
                .next("pod_list names the pods that there are."));
        }
        // The first cell is the place in the order.
        listing.rows.sort_by_key(|row| match row.cells.first() {
            Some(Cell::Number(n)) => *n,
            _ => i64::MAX,
        });
        let now = cx.now().as_second();
        // Figures that the cluster does not have are left out.
        let shown = |at: &usize| listing.columns.get(*at).is_some_and(|c| !c.hidden);
        let shown: Vec<usize> = (1..listing.columns.len()).filter(shown).collect();
        let names = shown.iter().map(|at| listing.columns[*at].name.to_string());
        let rows = listing.rows.iter().map(|row| {
            let cells = shown.iter().filter_map(|at| Some(row.cells.get(*at)?.display(now).to_string()));
            std::iter::once(row.key.name.to_string()).chain(cells).collect()
        });
        Ok(ContainerListOutput {
            total: listing.rows.len(),
            note: listing.note.clone(),
            columns: std::iter::once("NAME".to_owned()).chain(names).collect(),
            rows: rows.collect(),
        })
    }

    async fn watch(deck: Arc<Deck>, _cx: Context, mut input: Self::Input) -> Result<Watch> {
        let cluster = input.within.fill(&deck)?;
        Ok(Watch::table(cluster.watch_measured(input.selection()?)))
    }
}

/// The target of an operation on a container of what `name` means.
fn target(within: &Within, name: &str) -> Target {
    let (kind, name) = name.split_once('/').unwrap_or(("pod", name));
    within.target(kind, name)
}

/// The container that a call is about, which runs.
struct Chosen {
    pod: Pod,
    container: Container,
}

impl Chosen {
    async fn find(deck: &Deck, within: &Within, name: &str, container: Option<&str>) -> Result<Self> {
        let (cluster, namespace) = (within.cluster.as_deref(), within.namespace.as_deref());
        let pod = Pod::find(&deck.kube, cluster, namespace, name).await?;
        let container = pod.running(container)?;
        Ok(Self { pod, container })
    }

    /// The pod that was approved must still be the one; what it looks like meanwhile may change.
    fn expect(&self, cx: &Context) -> Result<()> {
        match cx.expected() {
            Some(seen) if seen.identity != self.pod.uid() => Err(Error::new(
                crate::base::Code::Conflict,
                format!(
                    "the pod {} is another than the one that was looked at: nothing was done",
                    self.pod.name
                ),
            )),
            _ => Ok(()),
        }
    }

    /// The audit row of the end names what was chosen.
    fn note(&self, cx: &Context) {
        cx.note("pod", self.pod.name.as_str());
        cx.note("container", self.container.name.as_str());
    }

    /// What can be told beforehand; `equivalent` is kubectl's, with `{}` for the pod.
    fn preview(&self, target: Target, equivalent: &str) -> Preview {
        let (pod, container) = (&self.pod, &self.container);
        let place = format!(
            "{} -c {} -n {} --context {}",
            quoted(&pod.name),
            quoted(&container.name),
            quoted(&pod.namespace),
            quoted(pod.cluster.name()),
        );
        Preview {
            version: Some(TargetVersion { identity: pod.uid(), revision: String::new() }),
            affects: vec![format!("in the container {} of the pod {}", container.name, pod.name)],
            checks: vec![format!("the container runs {}", container.image)],
            equivalent: Some(format!("kubectl {}", equivalent.replace("{}", &place))),
            ..Preview::of(target)
        }
    }
}

/// The caller's terminal.
fn need_terminal(cx: &Context) -> Result<Duplex> {
    cx.duplex().ok_or_else(|| {
        Error::unsupported("this needs a terminal, and the call came without one").next(
            "Use `s` in the console or `qd container shell` in a shell; container_exec needs no terminal.",
        )
    })
}

/// The terminal's size, which a caller with a terminal says first of all.
async fn first_size(duplex: &mut Duplex) -> Option<(u16, u16)> {
    match tokio::time::timeout(Duration::from_millis(500), duplex.input.recv()).await {
        Ok(Some(Input::Size { columns, rows })) => Some((columns, rows)),
        _ => None,
    }
}

/// Lets the caller talk with a process until it ends. `first` is what it has written already.
async fn converse(process: Process, duplex: Duplex, first: Option<Piece>, hang_up: bool) -> Result<Relayed> {
    let Duplex { input, output } = duplex;
    // An empty piece says that it runs: what is quiet for long can be talked with all the same. A caller who has gone is
    // noticed below.
    let _ = output.send(first.map_or_else(Output::default, wrap)).await;
    relay(process, input, output, put, wrap, hang_up).await
}

/// As [`converse`], where the process has no terminal of its own: its lines end as the caller's terminal wants them, and
/// Ctrl-c, which reaches no process, leaves. `None`: the caller has left so.
async fn converse_plainly(process: Process, duplex: Duplex) -> Result<Option<Relayed>> {
    let left = CancellationToken::new();
    let Duplex { input, output } = duplex;
    let _ = output.send(Output::default()).await;
    let leaving = left.clone();
    let put_or_leave = move |input| {
        if matches!(&input, Input::Bytes(bytes) if bytes.contains(&INTERRUPT)) {
            leaving.cancel();
        }
        put(input)
    };
    let with_returns = |piece| {
        let Output { error, bytes } = wrap(piece);
        Output { error, bytes: returned(&bytes) }
    };
    tokio::select! {
        biased;
        () = left.cancelled() => Ok(None),
        relayed = relay(process, input, output, put_or_leave, with_returns, false) => relayed.map(Some),
    }
}

fn put(input: Input) -> Put {
    match input {
        Input::Bytes(bytes) => Put::Bytes(bytes),
        Input::End => Put::End,
        Input::Size { columns, rows } => Put::Size { columns, rows },
    }
}

fn wrap(piece: Piece) -> Output {
    match piece {
        Piece::Out(bytes) => Output { error: false, bytes },
        Piece::Error(bytes) => Output { error: true, bytes },
    }
}

/// Every line feed behind a carriage return, as a terminal in raw mode needs it.
fn returned(bytes: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 32);
    for (i, byte) in bytes.iter().enumerate() {
        if *byte == b'\n' && (i == 0 || bytes[i - 1] != b'\r') {
            out.push(b'\r');
        }
        out.push(*byte);
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_as_a_raw_terminal_wants_them() {
        assert_eq!(returned(b"a\nb\r\n\nc"), "a\r\nb\r\n\r\nc");
        assert_eq!(returned(b""), "");
    }
}
