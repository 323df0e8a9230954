//! Operations on pods.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::command::Command;
use super::input::{Query, Within};
use super::listing::{self, Page, Wanted};
use super::{Deck, common, set};
use crate::base::{Code, Error, Result};
use crate::gate::{Context, Definition, Method, Operation, Part, Preview, Spec, Target, Watch, define};
use crate::kube::Resource;
use crate::kube::objects::sanitize::{self, Among};

pub const LIST: &[Definition<Deck>] = &[define::<PodList>(), define::<PodSanitize>()];

/// Which pods to list.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct PodListInput {
    #[serde(flatten)]
    #[command(flatten)]
    pub query: Query,
    /// Such as IP, NODE, or `IMAGE:.spec.containers[*].image`.
    #[arg(long, value_delimiter = ',')]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
}

struct PodList;

impl Operation for PodList {
    type Deck = Deck;
    type Input = PodListInput;
    type Output = Page;

    const SPEC: Spec =
        Spec::observe("pod_list", "/v1/pods", "List pods: counts by status, then rows.").asking_each();
    const WATCH: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.query.fill(deck).map(drop)
    }

    fn target(input: &Self::Input) -> Target {
        input.query.within().target("pod", "")
    }

    fn parts(input: &Self::Input) -> Result<Vec<Part>> {
        set::parts(Self::SPEC.name, input, &input.query)
    }

    async fn run(deck: Arc<Deck>, cx: Context, mut input: Self::Input) -> Result<Self::Output> {
        Self::complete(&deck, &mut input)?;
        let selection = input.query.clone().selection(Resource::pods(), input.columns.as_deref())?;
        let wanted = Wanted {
            columns: listing::named(input.columns.clone()),
            namespaces: selection.namespace.is_none(),
            usual: &["READY", "STATUS", "RESTARTS", "AGE"],
            added: listing::names(&selection),
            ..Wanted::of(&input.query, &cx)
        };
        if set::is_several(&input.query) {
            return set::page(&deck, &cx, &input.query, wanted, opening(input.columns)).await;
        }
        listing::page(&input.query.place(&deck)?, selection, wanted).await
    }

    async fn watch(deck: Arc<Deck>, cx: Context, mut input: Self::Input) -> Result<Watch> {
        Self::complete(&deck, &mut input)?;
        let filter = input.query.filter.take();
        if set::is_several(&input.query) {
            let feed = set::watch(&deck, &cx, &input.query, opening(input.columns))?;
            return Ok(Watch::table(listing::sifted(feed, filter, true, true)));
        }
        let cluster = input.query.place(&deck)?;
        let selection = input.query.selection(Resource::pods(), input.columns.as_deref())?;
        let namespaces = selection.namespace.is_none();
        Ok(Watch::table(listing::sifted(cluster.watch_measured(selection), filter, false, namespaces)))
    }
}

fn opening(columns: Option<Vec<String>>) -> set::Open {
    Arc::new(move |member| {
        let selection = member.query.clone().selection(Resource::pods(), columns.as_deref());
        Box::pin(async move { Ok(member.watch(selection?)) })
    })
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct PodSanitizeInput {
    #[serde(flatten)]
    #[command(flatten)]
    pub within: Within,
    /// In every namespace.
    #[arg(long, short = 'A')]
    #[serde(default)]
    pub all_namespaces: bool,
    /// Label selector.
    #[arg(long, short = 'l')]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<String>,
}

impl PodSanitizeInput {
    fn among(&self) -> Among<'_> {
        Among { namespace: self.within.namespace.as_deref(), labels: self.labels.as_deref() }
    }
}

/// The pods that were removed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PodSanitizeOutput {
    pub removed: Vec<String>,
}

struct PodSanitize;

impl Operation for PodSanitize {
    type Deck = Deck;
    type Input = PodSanitizeInput;
    type Output = PodSanitizeOutput;

    const SPEC: Spec = Spec::destroy(
        "pod_sanitize",
        Method::Post,
        "/v1/pods/sanitize",
        "Remove the pods that have ended or failed.",
    );
    const PREVIEW: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.within.fill_or_all(deck, input.all_namespaces).map(drop)
    }

    fn target(input: &Self::Input) -> Target {
        input.within.target("pod", "")
    }

    fn equivalent(input: &Self::Input) -> Option<String> {
        let delete = |phase: &str| {
            Command::new("kubectl delete pods")
                .value("--field-selector", Some(format!("status.phase={phase}")))
                .value("--selector", input.labels.as_ref())
                .flag("-A", input.all_namespaces)
                .within(&input.within)
        };
        Some(format!("{}; {}", delete("Succeeded"), delete("Failed")))
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let cluster = deck.kube.get(input.within.cluster.as_deref())?;
        let seen = common::seen(&cx);
        let tell = |done, all, item| cx.item(done, all, item);
        let report = sanitize::run(&cluster, &input.among(), seen.as_ref(), cx.cancelled(), tell).await?;
        let (removed, failed, left) = (report.removed.len(), report.failed.len(), report.not_started.len());
        if failed + left == 0 {
            return Ok(PodSanitizeOutput { removed: report.removed });
        }
        let first = report.failed.first().map(|(pod, why)| format!("; {pod}: {why}")).unwrap_or_default();
        let code = if failed > 0 { Code::Unavailable } else { Code::Cancelled };
        let what = format!("{removed} pods are removed, {failed} failed, {left} were not begun{first}");
        Err(Error::new(code, what).next("Run it again for those that are left.").details(serde_json::json!({
            "removed": report.removed, "failed": report.failed, "not_started": report.not_started,
        })))
    }

    async fn preview(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Preview> {
        let cluster = deck.kube.get(input.within.cluster.as_deref())?;
        common::preview(Self::target(&input), sanitize::plan(&cluster, &input.among()).await?).await
    }
}
