//! Operations that change or remove objects of any kind: delete, apply, edit.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::command::Command;
use super::input::{Object, Within};
use super::{Deck, command, common};
use crate::base::{Error, Result};
use crate::gate::{Context, Definition, Method, Operation, Preview, Spec, Target, TargetVersion, define};
use crate::kube::objects::{Place, apply, delete, edit, manifest};

pub const LIST: &[Definition<Deck>] =
    &[define::<ResourceApply>(), define::<ResourceEdit>(), define::<ResourceDelete>()];

/// What happens to the objects that a deleted one owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Cascade {
    /// They go after it.
    #[default]
    Background,
    /// They go before it.
    Foreground,
    /// They stay.
    Orphan,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct ResourceDeleteInput {
    #[serde(flatten)]
    #[command(flatten)]
    pub object: Object,
    /// Seconds to end by itself.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_period: Option<u32>,
    /// What happens to what it owns.
    #[arg(long, value_enum, default_value_t)]
    #[serde(default)]
    pub cascade: Cascade,
    /// Kill at once, without waiting for the node.
    #[arg(long)]
    #[serde(default)]
    pub force: bool,
}

impl ResourceDeleteInput {
    fn options(&self) -> Result<delete::Options> {
        if self.force && self.grace_period.is_some_and(|g| g > 0) {
            return Err(Error::invalid("force and a grace period contradict each other")
                .next("Leave one of them out."));
        }
        let propagation = match self.cascade {
            Cascade::Background => delete::Propagation::Background,
            Cascade::Foreground => delete::Propagation::Foreground,
            Cascade::Orphan => delete::Propagation::Orphan,
        };
        Ok(delete::Options { grace: if self.force { Some(0) } else { self.grace_period }, propagation })
    }
}

/// What the deletion came to.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ResourceDeleteOutput {
    /// The UID of the object that goes.
    pub identity: String,
    /// `gone`, or `terminating` while it ends or its finalizers are done.
    pub state: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub finalizers: Vec<String>,
}

struct ResourceDelete;

impl Operation for ResourceDelete {
    type Deck = Deck;
    type Input = ResourceDeleteInput;
    type Output = ResourceDeleteOutput;

    const SPEC: Spec = Spec::destroy(
        "resource_delete",
        Method::Delete,
        "/v1/resources/{kind}/{name}",
        "Delete one Kubernetes object.",
    );
    const PREVIEW: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.object.fill(deck)
    }

    fn target(input: &Self::Input) -> Target {
        input.object.target()
    }

    fn equivalent(input: &Self::Input) -> Option<String> {
        let cascade = match input.cascade {
            Cascade::Background => None,
            Cascade::Foreground => Some("foreground"),
            Cascade::Orphan => Some("orphan"),
        };
        let grace = if input.force { Some(0) } else { input.grace_period };
        let command = command::kubectl("delete", &input.object)
            .value("--grace-period", grace)
            .flag("--force", grace == Some(0))
            .value("--cascade", cascade);
        Some(command.within(&input.object.within))
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let options = input.options()?;
        let done =
            delete::run(&input.object.place_to_change(&deck).await?, options, common::seen(&cx).as_ref())
                .await?;
        let state = if done.terminating { "terminating" } else { "gone" };
        Ok(ResourceDeleteOutput { identity: done.uid, state, finalizers: done.finalizers })
    }

    async fn preview(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Preview> {
        let options = input.options()?;
        let plan = delete::plan(&input.object.place_to_change(&deck).await?, options).await?;
        common::preview(Self::target(&input), plan).await
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct ResourceApplyInput {
    /// YAML or JSON of one or several objects; the namespace is for those that name none.
    pub manifest: String,
    #[serde(flatten)]
    #[command(flatten)]
    pub within: Within,
    /// Take over fields that other managers own.
    #[arg(long)]
    #[serde(default)]
    pub force_conflicts: bool,
}

/// What became of each object.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ResourceApplyOutput {
    pub objects: Vec<AppliedObject>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct AppliedObject {
    /// `deployment web`
    pub object: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// `created`, `changed` or `unchanged`.
    pub outcome: &'static str,
    pub version: TargetVersion,
}

struct ResourceApply;

impl Operation for ResourceApply {
    type Deck = Deck;
    type Input = ResourceApplyInput;
    type Output = ResourceApplyOutput;

    const SPEC: Spec = Spec::change(
        "resource_apply",
        Method::Post,
        "/v1/manifests/apply",
        "Create or change objects by server-side apply of a manifest.",
    )
    .idempotent();
    const PREVIEW: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        // A default that no object needs would only contradict what they say.
        if manifest::parse(&input.manifest)?.iter().all(|d| d.namespace().is_some()) {
            common::fill_cluster(deck, &mut input.within.cluster).map(drop)
        } else {
            input.within.fill(deck).map(drop)
        }
    }

    /// One object is the target itself; of several, what all share.
    fn target(input: &Self::Input) -> Target {
        let documents = manifest::parse(&input.manifest).unwrap_or_default();
        let same = |f: fn(&manifest::Document) -> String| {
            let first = documents.first().map(f).unwrap_or_default();
            if documents.iter().all(|d| f(d) == first) { first } else { String::new() }
        };
        let default = input.within.namespace.clone().unwrap_or_default();
        // The call's namespace is an object's only where the object is surely in one. What an object says of itself is
        // held against its kind when it is applied.
        let mut spaces = documents.iter().map(|d| {
            d.namespace().unwrap_or_else(|| match common::scope(&d.api_version(), &d.kind()) {
                common::Scope::Namespace => default.clone(),
                common::Scope::Cluster | common::Scope::Unknown => String::new(),
            })
        });
        let namespace = match spaces.next() {
            Some(first) if spaces.all(|n| n == first) => Some(first),
            Some(_) => None,
            None => Some(default.clone()),
        };
        let kind = same(|d| qualified(&d.api_version(), &d.kind()));
        common::target(&input.within.cluster, &namespace, &kind, &same(manifest::Document::name))
    }

    fn equivalent(input: &Self::Input) -> Option<String> {
        Some(command::apply(input.force_conflicts, &input.within))
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let cluster = deck.kube.get(input.within.cluster.as_deref())?;
        let documents = manifest::parse(&input.manifest)?;
        let options = apply::Options { force: input.force_conflicts };
        let seen = common::seen(&cx);
        let done =
            apply::run(&cluster, input.within.namespace.as_deref(), &documents, options, seen.as_ref())
                .await?;
        let objects = done
            .into_iter()
            .map(|a| AppliedObject {
                object: a.words,
                namespace: a.namespace,
                outcome: a.outcome,
                version: common::version(&a.seen),
            })
            .collect();
        Ok(ResourceApplyOutput { objects })
    }

    async fn preview(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Preview> {
        let cluster = deck.kube.get(input.within.cluster.as_deref())?;
        let documents = manifest::parse(&input.manifest)?;
        let options = apply::Options { force: input.force_conflicts };
        let plan = apply::plan(&cluster, input.within.namespace.as_deref(), &documents, options).await?;
        common::preview(Self::target(&input), plan).await
    }
}

/// A kind as targets name it, from a manifest's words.
fn qualified(api_version: &str, kind: &str) -> String {
    let kind = kind.to_lowercase();
    match api_version.split_once('/') {
        Some((group, _)) if group.contains('.') && !group.ends_with(".k8s.io") => format!("{kind}.{group}"),
        _ => kind,
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct ResourceEditInput {
    #[schemars(extend("x-complete" = "kind"))]
    pub kind: String,
    #[schemars(extend("x-complete" = "name"))]
    pub name: String,
    /// The whole edited object, with the resourceVersion at which it was read.
    #[arg(long)]
    pub manifest: String,
    #[serde(flatten)]
    #[command(flatten)]
    pub within: Within,
}

impl ResourceEditInput {
    async fn place(&self, deck: &Deck) -> Result<(Place, manifest::Document)> {
        let mut documents = manifest::parse(&self.manifest)?;
        let (Some(document), true) = (documents.pop(), documents.is_empty()) else {
            return Err(Error::invalid("an edit is of one object, and the manifest holds several"));
        };
        Ok((self.within.place_to_change(deck, &self.kind, &self.name).await?, document))
    }
}

/// The object as it is now.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ResourceEditOutput {
    pub version: TargetVersion,
}

struct ResourceEdit;

impl Operation for ResourceEdit {
    type Deck = Deck;
    type Input = ResourceEditInput;
    type Output = ResourceEditOutput;

    const SPEC: Spec = Spec::change(
        "resource_edit",
        Method::Put,
        "/v1/resources/{kind}/{name}",
        "Replace an object by an edited manifest, unless another changed it meanwhile.",
    );
    const PREVIEW: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        common::fill(deck, &mut input.within.cluster, &mut input.within.namespace, &mut input.kind)
    }

    fn target(input: &Self::Input) -> Target {
        input.within.target(&input.kind, &input.name)
    }

    fn equivalent(input: &Self::Input) -> Option<String> {
        Some(Command::new("kubectl replace -f -").within(&input.within))
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let (place, document) = input.place(&deck).await?;
        let now = edit::run(&place, &document, common::seen(&cx).as_ref()).await?;
        Ok(ResourceEditOutput { version: common::version(&now) })
    }

    async fn preview(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Preview> {
        let (place, document) = input.place(&deck).await?;
        let plan = edit::plan(&place, &document).await?;
        common::preview(Self::target(&input), plan).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(manifest: &str) -> Target {
        let within = Within { cluster: Some("c".into()), namespace: Some("shop".into()) };
        ResourceApply::target(&ResourceApplyInput {
            manifest: manifest.into(),
            within,
            force_conflicts: false,
        })
    }

    #[test]
    fn the_calls_namespace_covers_only_what_is_surely_in_it() {
        let object = |api: &str, kind: &str, more: &str| {
            format!("{{apiVersion: {api}, kind: {kind}, metadata: {{name: x{more}}}}}\n")
        };
        let map = object("v1", "ConfigMap", "");
        assert_eq!(target(&map).namespace, "shop");
        assert_eq!(target(&object("apps/v1", "Deployment", "")).namespace, "shop");
        assert_eq!(target(&object("v1", "ConfigMap", ", namespace: data")).namespace, "data");
        let rights = object("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "");
        let wide = [
            rights.clone(),
            object("v1", "Namespace", ""),
            object("apiextensions.k8s.io/v1", "CustomResourceDefinition", ""),
            // Whether such a kind has a namespace, only its server knows.
            object("example.com/v1", "Deployment", ""),
            object("v1", "Deployment", ""),
            format!("{map}---\n{rights}"),
            format!("{map}---\n{}", object("v1", "ConfigMap", ", namespace: data")),
        ];
        for manifest in wide {
            assert_eq!(target(&manifest).namespace, "", "{manifest}");
        }
    }
}
