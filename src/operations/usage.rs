//! Operations on what pods, containers, workloads and nodes take, against what they ask for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use compact_str::CompactString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::input::{Object, Query};
use super::listing::{self, Page, Wanted};
use super::{Deck, set};
use crate::base::clock::seconds;
use crate::base::{Error, Result};
use crate::gate::{Context, Definition, Operation, Part, Spec, Target, define};
use crate::kube::logs::Scope as Pods;
use crate::kube::usage::{
    self, Advice, Amount, Container, Observed, Prometheus, Range, Reader, Sample, Scope, Shares, Trend, Which,
};
use crate::kube::{Cluster, Listing, Selection};
use crate::rows::{Cell, Column, ColumnKind, Phase, Row, RowKey, Tone};

pub const LIST: &[Definition<Deck>] =
    &[define::<UsageList>(), define::<UsageRead>(), define::<UsageAdvise>()];

/// How long a metrics API may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whose usage is one row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum By {
    #[default]
    Workload,
    Pod,
    Container,
    Node,
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct UsageListInput {
    /// What a row is.
    #[arg(long, value_enum, default_value_t)]
    #[serde(default)]
    pub by: By,
    #[serde(flatten)]
    #[command(flatten)]
    pub query: Query,
}

/// What one row adds up.
#[derive(Debug, Clone, Default)]
struct Sum {
    pods: std::collections::BTreeSet<CompactString>,
    now: Option<Amount>,
    shares: Shares,
}

impl Sum {
    fn add(&mut self, container: &Container) {
        self.pods.insert(container.pod.clone());
        self.shares = self.shares.and(container.shares);
        if let Some(now) = container.now {
            self.now = Some(self.now.unwrap_or_default() + now);
        }
    }

    fn row(&self, cluster: &Arc<str>, namespace: &str, name: &str) -> Row {
        let cells = usage::cells(self.now, self.shares);
        let tone = cells.iter().map(tone).find(|tone| *tone != Tone::Normal).unwrap_or_default();
        let pods = Cell::Number(i64::try_from(self.pods.len()).unwrap_or(i64::MAX));
        let cells = std::iter::once(pods).chain(cells).collect();
        Row { key: RowKey::new(cluster.clone(), namespace, name), cells, tone, uid: "".into() }
    }
}

/// Near a limit is a fault, as k9s's thresholds have it: 90 % and 70 %.
fn tone(share: &Cell) -> Tone {
    match share {
        Cell::Percent(9_000..) => Tone::Error,
        Cell::Percent(7_000..) => Tone::Pending,
        _ => Tone::Normal,
    }
}

struct UsageList;

impl UsageList {
    async fn listing(cluster: &Arc<Cluster>, input: &mut UsageListInput) -> Result<Listing> {
        if input.by == By::Node {
            let nodes = cluster.resolve("nodes").await?;
            let selection =
                Selection::all(nodes, None).selecting(input.query.labels.take(), input.query.fields.take());
            return cluster.rows_measured(selection, listing::PATIENCE).await;
        }
        let namespace = input.query.namespace.clone();
        // What they ask for is worth knowing where nobody measures what they take.
        let figures = match cluster.usage(Scope::within(namespace.as_deref()), PATIENCE).await {
            Ok(mut reader) => Ok(reader.window().figures.clone()),
            Err(error) => Err(error),
        };
        let which = Which {
            namespace: namespace.as_deref(),
            labels: input.query.labels.as_deref(),
            fields: input.query.fields.as_deref(),
        };
        let known = figures.as_ref().map(|f| &**f).unwrap_or(&NONE);
        let (containers, more) = usage::containers(cluster, &which, known).await?;
        let mut sums: BTreeMap<(CompactString, CompactString), Sum> = BTreeMap::new();
        for container in &containers {
            let name = match input.by {
                By::Container => format!("{}/{}", container.pod, container.name).into(),
                By::Pod => container.pod.clone(),
                By::Workload | By::Node => container.owner.clone(),
            };
            sums.entry((container.namespace.clone(), name)).or_default().add(container);
        }
        let note = match figures.err() {
            Some(error) => Some(format!("no CPU and memory: {}", error.told())),
            None => more.then(|| "there are more pods than were read: name a namespace".to_owned()),
        };
        let pods = Column::new("PODS", ColumnKind::Number).rank(5);
        Ok(Listing {
            columns: std::iter::once(pods).chain(usage::shown_columns()).collect(),
            rows: sums
                .iter()
                .map(|((namespace, name), sum)| Arc::new(sum.row(cluster.name(), namespace, name)))
                .collect(),
            phase: Phase::Live,
            note,
        })
    }
}

static NONE: std::sync::LazyLock<usage::Figures> = std::sync::LazyLock::new(usage::Figures::new);

impl Operation for UsageList {
    type Deck = Deck;
    type Input = UsageListInput;
    type Output = Page;

    const SPEC: Spec = Spec::observe(
        "usage_list",
        "/v1/usages",
        "CPU and memory against requests and limits, by workload, pod, container or node.",
    )
    .asking_each();

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.query.fill(deck)
    }

    fn target(input: &Self::Input) -> Target {
        let kind = input.by.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default();
        input.query.within().target(&kind, "")
    }

    fn parts(input: &Self::Input) -> Result<Vec<Part>> {
        set::parts(Self::SPEC.name, input, &input.query)
    }

    async fn run(deck: Arc<Deck>, cx: Context, mut input: Self::Input) -> Result<Self::Output> {
        Self::complete(&deck, &mut input)?;
        let wanted = Wanted { figures: true, ..Wanted::of(&input.query, &cx) };
        if set::is_several(&input.query) {
            return set::page(&deck, &cx, &input.query, wanted, opening(input.by)).await;
        }
        let cluster = input.query.place(&deck)?;
        let listing = Self::listing(&cluster, &mut input).await?;
        let namespaces = input.by != By::Node && input.query.namespace.is_none();
        let wanted = Wanted { namespaces, ..wanted };
        tokio::task::spawn_blocking(move || listing::paged(listing, &wanted))
            .await
            .map_err(Error::internal)?
    }
}

/// What one of several tells.
fn opening(by: By) -> set::Open {
    Arc::new(move |member| {
        Box::pin(async move {
            // A cluster that does not answer is told as such, and not waited for.
            member.cluster.kinds().await?;
            let (cluster, mut input) =
                (member.cluster.clone(), UsageListInput { by, query: member.query.clone() });
            let reads = member.clone();
            Ok(member.once(async move {
                let mut listing = UsageList::listing(&cluster, &mut input).await?;
                listing.rows.retain(|row| by == By::Node || reads.reads(&row.key.namespace));
                Ok(listing)
            }))
        })
    })
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct UsageReadInput {
    #[serde(flatten)]
    #[command(flatten)]
    pub object: Object,
}

/// What it takes now, by container, and how that went while somebody looked.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct UsageReadOutput {
    pub columns: Vec<String>,
    /// One text a column; "–" is unknown.
    pub rows: Vec<Vec<String>>,
    /// Of all of them together. Absent where there are fewer than two samples.
    #[serde(flatten)]
    pub trend: Option<Trend>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

struct UsageRead;

impl Operation for UsageRead {
    type Deck = Deck;
    type Input = UsageReadInput;
    type Output = UsageReadOutput;

    const SPEC: Spec = Spec::observe(
        "usage_read",
        "/v1/usages/{kind}/{name}",
        "CPU and memory of a pod, workload or node, by container, with the last while as a line.",
    );

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.object.fill(deck)
    }

    fn target(input: &Self::Input) -> Target {
        input.object.target()
    }

    async fn run(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Self::Output> {
        let place = input.object.place(&deck).await?;
        if place.resource.is_nodes() {
            return node(&place.cluster, &place.name).await;
        }
        let (mut reader, found) = read(&deck, &input.object).await?;
        let mut rows = Vec::new();
        for container in &found.containers {
            let names = [container.pod.to_string(), container.name.to_string()];
            let cells = usage::cells(container.now, container.shares);
            rows.push(names.into_iter().chain(cells.iter().map(|c| c.display(0).into())).collect());
        }
        let columns = usage::shown_columns().map(|c| c.name.to_string());
        let window = reader.window();
        Ok(UsageReadOutput {
            columns: ["POD", "CONTAINER"].map(str::to_owned).into_iter().chain(columns).collect(),
            rows,
            trend: Trend::of(&usage::sum(&found.traces(&reader))),
            note: window.trouble(),
        })
    }
}

async fn node(cluster: &Arc<Cluster>, name: &str) -> Result<UsageReadOutput> {
    let reader = cluster.usage(Scope::Nodes, PATIENCE).await?;
    let nodes = cluster.resolve("nodes").await?;
    let selection = Selection::all(nodes, None).selecting(None, Some(format!("metadata.name={name}")));
    let listing = cluster.rows_measured(selection, listing::PATIENCE).await?;
    let row = listing.rows.first().ok_or_else(|| Error::not_found(format!("there is no node {name}")))?;
    let shown = |c: &Column| usage::is_figure(&c.name) || matches!(&*c.name, "CPU/A" | "MEM/A");
    let shown: Vec<usize> = (0..listing.columns.len()).filter(|i| shown(&listing.columns[*i])).collect();
    let text = |i: &usize| row.cells.get(*i).map(|c| c.display(0).to_string()).unwrap_or_default();
    Ok(UsageReadOutput {
        columns: shown.iter().map(|i| listing.columns[*i].name.to_string()).collect(),
        rows: vec![shown.iter().map(text).collect()],
        trend: Trend::of(&reader.samples(&usage::key("", name), "")),
        note: listing.note,
    })
}

/// The pods of an object, and their containers with the figures of now.
struct Found {
    namespace: String,
    containers: Vec<Container>,
}

impl Found {
    fn traces(&self, reader: &Reader) -> Vec<Vec<Sample>> {
        let samples = |c: &Container| reader.samples(&usage::key(&c.namespace, &c.pod), &c.name);
        self.containers.iter().map(samples).collect()
    }
}

async fn find(deck: &Deck, object: &Object) -> Result<(Arc<Cluster>, Pods)> {
    let what = format!("{}/{}", object.kind, object.name);
    let (cluster, namespace) = (object.within.cluster.as_deref(), object.within.namespace.as_deref());
    let pods = Pods::find(&deck.kube, cluster, namespace, Some(&what), None).await?;
    Ok((pods.cluster.clone(), pods))
}

async fn containers(cluster: &Arc<Cluster>, pods: &Pods, known: &usage::Figures) -> Result<Found> {
    let fields = pods.field_selector();
    let which =
        Which { namespace: Some(&pods.namespace), labels: pods.label_selector(), fields: fields.as_deref() };
    let (containers, _) = usage::containers(cluster, &which, known).await?;
    if containers.is_empty() {
        return Err(Error::not_found(format!("no container runs of the {}", pods.words()))
            .next("pod_list names the pods that there are."));
    }
    Ok(Found { namespace: pods.namespace.clone(), containers })
}

async fn read(deck: &Deck, object: &Object) -> Result<(Reader, Found)> {
    let (cluster, pods) = find(deck, object).await?;
    let mut reader = cluster.usage(Scope::Namespace(pods.namespace.clone()), PATIENCE).await?;
    let found = containers(&cluster, &pods, &reader.window().figures).await?;
    Ok((reader, found))
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct UsageAdviseInput {
    #[serde(flatten)]
    #[command(flatten)]
    pub object: Object,
    /// How far back, from a Prometheus: 7d, 24h, 90m. Default: 7d.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<String>,
}

/// What to request, with what that is based on. Nothing is changed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UsageAdviseOutput {
    #[serde(flatten)]
    pub advice: Advice,
    /// What would make it so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub equivalent: Vec<String>,
}

struct UsageAdvise;

impl Operation for UsageAdvise {
    type Deck = Deck;
    type Input = UsageAdviseInput;
    type Output = UsageAdviseOutput;

    const SPEC: Spec = Spec::observe(
        "usage_advise",
        "/v1/usages/{kind}/{name}/advice",
        "Hold requests and limits of a workload or pod against what was observed; refuses on too few samples.",
    );

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.object.fill(deck)
    }

    fn target(input: &Self::Input) -> Target {
        input.object.target()
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let (cluster, pods) = find(&deck, &input.object).await?;
        let sources = &deck.config.config.kubernetes.prometheus;
        let advice = match sources.iter().find(|source| *source.cluster == **cluster.name()) {
            Some(source) => {
                let found = containers(&cluster, &pods, &NONE).await?;
                let span = span(input.span.as_deref())?;
                let now = cx.now().as_second();
                let names = pod_names(&input.object, &found);
                let range = Range { namespace: &found.namespace, pods: &names, from: now - span, to: now };
                let series = Prometheus::new(source).read(&range).await?;
                let traces = series.into_iter().map(|((_, container), samples)| (container, samples));
                usage::advise(&observed(&found, traces), "prometheus")?
            }
            None => {
                let (reader, found) = read(&deck, &input.object).await?;
                if reader.is_too_large() {
                    return Err(Error::unsupported(
                        "too many containers run here for their samples to be kept",
                    )
                    .next("Configure a Prometheus (kubernetes.prometheus)."));
                }
                let names = found.containers.iter().map(|c| c.name.clone());
                let traces = names.zip(found.traces(&reader)).collect::<Vec<_>>();
                usage::advise(&observed(&found, traces), "metrics.k8s.io")?
            }
        };
        let equivalent = equivalent(&input.object, &advice);
        Ok(UsageAdviseOutput { advice, equivalent })
    }
}

fn span(text: Option<&str>) -> Result<i64> {
    let Some(text) = text else { return Ok(7 * 86_400) };
    let span = seconds(text).and_then(|n| i64::try_from(n).ok()).filter(|n| (300..=90 * 86_400).contains(n));
    span.ok_or_else(|| {
        Error::invalid(format!("{text:?} is no span of 5 minutes to 90 days")).next("Such as 7d, 24h or 90m.")
    })
}

/// A regular expression of the names that the pods have and had: those of before count too.
fn pod_names(object: &Object, found: &Found) -> String {
    let name = regex::escape(&object.name);
    match object.kind.as_str() {
        "deployment" => format!("{name}-[a-z0-9]+-[a-z0-9]{{5}}"),
        "statefulset" => format!("{name}-[0-9]+"),
        "daemonset" | "replicaset" | "job" => format!("{name}-[a-z0-9]{{5}}"),
        _ => {
            let mut names: Vec<String> = found.containers.iter().map(|c| regex::escape(&c.pod)).collect();
            names.dedup();
            names.join("|")
        }
    }
}

/// The traces by container name, with what the newest pod asks for.
fn observed(found: &Found, traces: impl IntoIterator<Item = (CompactString, Vec<Sample>)>) -> Vec<Observed> {
    let mut all: BTreeMap<CompactString, Observed> = BTreeMap::new();
    for container in &found.containers {
        let shares = container.shares;
        all.entry(container.name.clone()).or_insert_with(|| Observed {
            container: container.name.to_string(),
            shares,
            traces: Vec::new(),
        });
    }
    for (container, samples) in traces {
        if let Some(observed) = all.get_mut(&container) {
            observed.traces.push(samples);
        }
    }
    all.into_values().collect()
}

/// kubectl's commands, one a container. A pod's own requests are set by what made it.
fn equivalent(object: &Object, advice: &Advice) -> Vec<String> {
    if object.kind == "pod" {
        return Vec::new();
    }
    let mut wanted: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for hint in &advice.hints {
        if let Some(suggestion) = &hint.suggestion {
            wanted.entry(&hint.container).or_default().push(format!("{}={suggestion}", hint.resource));
        }
    }
    let command = |(container, requests): (&str, Vec<String>)| {
        super::command::Command::new("kubectl set resources")
            .object(&object.kind, &object.name)
            .value("--containers", Some(container))
            .value("--requests", Some(requests.join(",")))
            .within(&object.within)
    };
    wanted.into_iter().map(command).collect()
}
