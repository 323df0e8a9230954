//! Operations on Helm releases, as their Secrets keep them.

use std::sync::Arc;

use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::command::Command;
use super::input::{Among, Within};
use super::set::{self, Lacking};
use super::{Deck, common};
use crate::base::Result;
use crate::gate::{Context, Definition, Method, Operation, Part, Preview, Spec, Target, define};
use crate::kube::objects::helm::{self, Release};
use crate::kube::objects::yaml::to_yaml;
use crate::kube::objects::{manifest, mask};

pub const LIST: &[Definition<Deck>] = &[
    define::<HelmList>(),
    define::<HelmHistory>(),
    define::<HelmValues>(),
    define::<HelmManifest>(),
    define::<HelmRollback>(),
    define::<HelmUninstall>(),
];

/// Rows by columns.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Rows {
    pub total: usize,
    /// Of several clusters, those that have not told all, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lacking: Vec<Lacking>,
    /// Releases that could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_read: Vec<String>,
    pub columns: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct HelmListInput {
    #[serde(flatten)]
    #[command(flatten)]
    pub among: Among,
}

struct HelmList;

impl Operation for HelmList {
    type Deck = Deck;
    type Input = HelmListInput;
    type Output = Rows;

    const SPEC: Spec =
        Spec::observe("helm_list", "/v1/helm", "List Helm releases, the last revision of each.")
            .asking_each();

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.among.fill(deck)
    }

    fn parts(input: &Self::Input) -> Result<Vec<Part>> {
        set::parts(Self::SPEC.name, input, &input.among.query())
    }

    fn target(input: &Self::Input) -> Target {
        input.among.target("secret", "")
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let row = |r: &Release| {
            let revision = r.revision.to_string();
            let (chart, app, updated) = (r.chart(), r.app_version(), r.updated(cx.now()));
            vec![r.namespace.clone(), r.name.clone(), revision, r.status.clone(), chart, app, updated]
        };
        let mut columns = vec!["NAMESPACE", "NAME", "REVISION", "STATUS", "CHART", "APP VERSION", "UPDATED"];
        let query = input.among.query();
        if !set::is_several(&query) {
            let cluster = query.place(&deck)?;
            let (found, not_read) = helm::list(&cluster, query.namespace.as_deref()).await?;
            let rows: Vec<Vec<String>> = found.iter().map(row).collect();
            return Ok(Rows { total: rows.len(), not_read, columns, rows, ..Rows::default() });
        }
        let list = |member: Arc<set::Member>| -> BoxFuture<'static, _> {
            Box::pin(async move { helm::list(&member.cluster, member.query.namespace.as_deref()).await })
        };
        let (told, lacking) = set::each(&deck, &cx, &query, list).await?;
        let (mut rows, mut not_read) = (Vec::new(), Vec::new());
        for (member, (found, wrong)) in told {
            let cluster = member.cluster.name();
            for release in found.iter().filter(|r| member.reads(&r.namespace)) {
                rows.push([vec![cluster.to_string()], row(release)].concat());
            }
            not_read.extend(wrong.into_iter().map(|what| format!("{cluster}: {what}")));
        }
        columns.insert(0, "CLUSTER");
        Ok(Rows { total: rows.len(), lacking, not_read, columns, rows })
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct HelmHistoryInput {
    /// The release.
    pub name: String,
    #[serde(flatten)]
    #[command(flatten)]
    pub within: Within,
}

struct HelmHistory;

impl Operation for HelmHistory {
    type Deck = Deck;
    type Input = HelmHistoryInput;
    type Output = Rows;

    const SPEC: Spec =
        Spec::observe("helm_history", "/v1/helm/{name}/history", "List the revisions of a Helm release.");

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.within.fill(deck).map(drop)
    }

    fn target(input: &Self::Input) -> Target {
        input.within.target("helm", &input.name)
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let cluster = deck.kube.get(input.within.cluster.as_deref())?;
        let namespace = input.within.namespace.unwrap_or_default();
        let all = helm::history(&cluster, &namespace, &input.name).await?;
        let row = |r: &Release| {
            let (chart, app, updated) = (r.chart(), r.app_version(), r.updated(cx.now()));
            vec![r.revision.to_string(), r.status.clone(), chart, app, r.description(), updated]
        };
        let rows: Vec<Vec<String>> = all.iter().map(row).collect();
        let columns = vec!["REVISION", "STATUS", "CHART", "APP VERSION", "DESCRIPTION", "UPDATED"];
        Ok(Rows { total: rows.len(), columns, rows, ..Rows::default() })
    }
}

/// Text of a release.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HelmText {
    pub revision: i64,
    pub text: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct HelmValuesInput {
    /// The release.
    pub name: String,
    /// Default: the last.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
    /// The chart's own values too.
    #[arg(long)]
    #[serde(default)]
    pub all: bool,
    #[serde(flatten)]
    #[command(flatten)]
    pub within: Within,
}

struct HelmValues;

impl Operation for HelmValues {
    type Deck = Deck;
    type Input = HelmValuesInput;
    type Output = HelmText;

    const SPEC: Spec = Spec::observe(
        "helm_values",
        "/v1/helm/{name}/values",
        "Show the values that a Helm release was given.",
    );

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.within.fill(deck).map(drop)
    }

    fn target(input: &Self::Input) -> Target {
        input.within.target("helm", &input.name)
    }

    async fn run(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Self::Output> {
        let cluster = deck.kube.get(input.within.cluster.as_deref())?;
        let namespace = input.within.namespace.unwrap_or_default();
        let release = helm::find(&cluster, &namespace, &input.name, input.revision).await?;
        Ok(HelmText { revision: release.revision, text: to_yaml(&release.values(input.all)) })
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct HelmManifestInput {
    /// The release.
    pub name: String,
    /// Default: the last.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
    #[serde(flatten)]
    #[command(flatten)]
    pub within: Within,
}

struct HelmManifest;

impl Operation for HelmManifest {
    type Deck = Deck;
    type Input = HelmManifestInput;
    type Output = HelmText;

    const SPEC: Spec = Spec::observe(
        "helm_manifest",
        "/v1/helm/{name}/manifest",
        "Show the objects that a Helm release made, as YAML; the values of Secrets are masked.",
    );

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.within.fill(deck).map(drop)
    }

    fn target(input: &Self::Input) -> Target {
        input.within.target("helm", &input.name)
    }

    async fn run(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Self::Output> {
        let cluster = deck.kube.get(input.within.cluster.as_deref())?;
        let namespace = input.within.namespace.unwrap_or_default();
        let release = helm::find(&cluster, &namespace, &input.name, input.revision).await?;
        let mut text = String::new();
        for mut document in manifest::parse(&release.manifest())? {
            mask::mask_secret(&mut document.value);
            text.push_str("---\n");
            text.push_str(&to_yaml(&document.value));
        }
        Ok(HelmText { revision: release.revision, text })
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct HelmRollbackInput {
    /// The release.
    pub name: String,
    /// The revision to go back to; default: the one that was in place before the last.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub to_revision: Option<i64>,
    #[serde(flatten)]
    #[command(flatten)]
    pub within: Within,
}

/// The new revision, and what became of each object.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HelmRollbackOutput {
    pub revision: i64,
    /// The revision that was gone back to.
    pub to: i64,
    pub objects: Vec<String>,
}

struct HelmRollback;

impl Operation for HelmRollback {
    type Deck = Deck;
    type Input = HelmRollbackInput;
    type Output = HelmRollbackOutput;

    // What the older revision does not have is deleted.
    const SPEC: Spec = Spec::destroy(
        "helm_rollback",
        Method::Post,
        "/v1/helm/{name}/rollback",
        "Put an earlier revision of a Helm release in place again; hooks are not run.",
    );
    const PREVIEW: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.within.fill(deck).map(drop)
    }

    fn target(input: &Self::Input) -> Target {
        input.within.target("helm", &input.name)
    }

    fn equivalent(input: &Self::Input) -> Option<String> {
        let mut command = Command::new("helm rollback").word(&input.name);
        if let Some(revision) = input.to_revision {
            command = command.word(&revision.to_string());
        }
        Some(command.flag("--no-hooks", true).helm(&input.within))
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let cluster = deck.kube.get(input.within.cluster.as_deref())?;
        let namespace = input.within.namespace.clone().unwrap_or_default();
        let seen = common::seen(&cx);
        let tell = |done, all, item| cx.item(done, all, item);
        let release = (namespace.as_str(), input.name.as_str());
        let when = (cx.now(), cx.cancelled());
        let done = helm::rollback(&cluster, release, input.to_revision, seen.as_ref(), when, tell).await?;
        Ok(HelmRollbackOutput { revision: done.revision, to: done.to, objects: done.objects })
    }

    async fn preview(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Preview> {
        let cluster = deck.kube.get(input.within.cluster.as_deref())?;
        let namespace = input.within.namespace.clone().unwrap_or_default();
        let plan = helm::plan_rollback(&cluster, &namespace, &input.name, input.to_revision).await?;
        common::preview(Self::target(&input), plan).await
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct HelmUninstallInput {
    /// The release.
    pub name: String,
    #[serde(flatten)]
    #[command(flatten)]
    pub within: Within,
}

/// What became of each object, and what stays.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HelmUninstallOutput {
    pub objects: Vec<String>,
    /// By their annotation `helm.sh/resource-policy: keep`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<String>,
    /// How many revisions' records were removed.
    pub revisions: usize,
}

struct HelmUninstall;

impl Operation for HelmUninstall {
    type Deck = Deck;
    type Input = HelmUninstallInput;
    type Output = HelmUninstallOutput;

    const SPEC: Spec = Spec::destroy(
        "helm_uninstall",
        Method::Delete,
        "/v1/helm/{name}",
        "Delete the objects of a Helm release and the records of its revisions; hooks are not run.",
    );
    const PREVIEW: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.within.fill(deck).map(drop)
    }

    fn target(input: &Self::Input) -> Target {
        input.within.target("helm", &input.name)
    }

    fn equivalent(input: &Self::Input) -> Option<String> {
        let command = Command::new("helm uninstall").word(&input.name);
        Some(command.flag("--no-hooks", true).helm(&input.within))
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let cluster = deck.kube.get(input.within.cluster.as_deref())?;
        let namespace = input.within.namespace.clone().unwrap_or_default();
        let seen = common::seen(&cx);
        let tell = |done, all, item| cx.item(done, all, item);
        let release = (namespace.as_str(), input.name.as_str());
        let when = (cx.now(), cx.cancelled());
        let done = helm::uninstall(&cluster, release, seen.as_ref(), when, tell).await?;
        Ok(HelmUninstallOutput { objects: done.objects, kept: done.kept, revisions: done.revisions })
    }

    async fn preview(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Preview> {
        let cluster = deck.kube.get(input.within.cluster.as_deref())?;
        let namespace = input.within.namespace.clone().unwrap_or_default();
        let plan = helm::plan_uninstall(&cluster, &namespace, &input.name).await?;
        common::preview(Self::target(&input), plan).await
    }
}
