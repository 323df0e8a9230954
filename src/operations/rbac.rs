//! Operations about rights in a cluster: whom bindings name, what they may do, and the server's own answer.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::input::Within;
use super::{Deck, common};
use crate::base::{Error, Result};
use crate::gate::{Context, Definition, Operation, Spec, Target, define};
use crate::kube::objects::rbac::{self, Allowed, Question, Role, Subject};

pub const LIST: &[Definition<Deck>] = &[define::<SubjectList>(), define::<SubjectRules>(), define::<CanI>()];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    User,
    Group,
    Serviceaccount,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct SubjectListInput {
    #[arg(value_enum)]
    pub kind: SubjectKind,
    /// Kubeconfig context; default: the current one.
    #[arg(long, short = 'c', visible_alias = "context")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-complete" = "cluster"))]
    pub cluster: Option<String>,
}

/// Rows by columns.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Rows {
    pub total: usize,
    /// Said when the rows may not be all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    pub columns: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

struct SubjectList;

impl Operation for SubjectList {
    type Deck = Deck;
    type Input = SubjectListInput;
    type Output = Rows;

    const SPEC: Spec = Spec::observe(
        "subject_list",
        "/v1/rbac/subjects/{kind}",
        "List the users, groups or service accounts that role bindings name.",
    );

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        common::fill_cluster(deck, &mut input.cluster).map(drop)
    }

    fn target(input: &Self::Input) -> Target {
        common::target(&input.cluster, &None, "rolebinding", "")
    }

    async fn run(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Self::Output> {
        let cluster = deck.kube.get(input.cluster.as_deref())?;
        let kind = match input.kind {
            SubjectKind::User => rbac::SubjectKind::User,
            SubjectKind::Group => rbac::SubjectKind::Group,
            SubjectKind::Serviceaccount => rbac::SubjectKind::ServiceAccount,
        };
        let found = rbac::subjects(&cluster, kind).await?;
        let rows = found.into_iter().map(|b| {
            let roles: Vec<String> = b.roles.into_iter().collect();
            vec![b.subject.namespace, b.subject.name, b.bindings.to_string(), roles.join(", ")]
        });
        let rows: Vec<Vec<String>> = rows.collect();
        let columns = vec!["NAMESPACE", "NAME", "BINDINGS", "ROLES"];
        Ok(Rows { total: rows.len(), note: None, columns, rows })
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct SubjectRulesInput {
    /// `u:USER`, `g:GROUP` or `s:NAMESPACE:SERVICEACCOUNT`; or a role: `cr:CLUSTERROLE`, `r:NAMESPACE:ROLE`, or what a
    /// binding gives: `crb:CLUSTERROLEBINDING`, `rb:NAMESPACE:ROLEBINDING`. Default: who we are, as the server says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    #[serde(flatten)]
    #[command(flatten)]
    pub within: Within,
}

struct SubjectRules;

impl Operation for SubjectRules {
    type Deck = Deck;
    type Input = SubjectRulesInput;
    type Output = Rows;

    const SPEC: Spec = Spec::observe(
        "subject_rules",
        "/v1/rbac/rules",
        "List what a user, group or service account may do, and which binding lets it; or the rules of a role.",
    );

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.within.fill(deck).map(drop)
    }

    fn target(input: &Self::Input) -> Target {
        common::target(&input.within.cluster, &None, "rolebinding", "")
    }

    async fn run(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Self::Output> {
        let cluster = deck.kube.get(input.within.cluster.as_deref())?;
        let namespace = input.within.namespace.unwrap_or_default();
        let role = input.subject.as_deref().and_then(|text| Role::parse(text, &namespace));
        let (all, note) = match (&input.subject, role) {
            (Some(_), Some(role)) => {
                let (all, note) = rbac::role_rules(&cluster, &role).await?;
                (all, Some(note))
            }
            (Some(subject), None) => {
                let subject = Subject::parse(subject, &namespace)?;
                let note = (subject.kind == rbac::SubjectKind::User)
                    .then(|| "groups from a login are not known".to_owned());
                (rbac::rules(&cluster, &subject).await?, note)
            }
            (None, _) => {
                let (all, whole) = rbac::own_rules(&cluster, &namespace).await?;
                let note = (!whole).then(|| "the server does not know all of them".to_owned());
                (all, note)
            }
        };
        let rows: Vec<Vec<String>> = all.iter().map(row).collect();
        let mut columns = vec!["NAMESPACE", "RESOURCE", "API-GROUP"];
        columns.extend(VERBS.iter().map(|(_, header)| *header));
        columns.extend(["OTHER", "BY"]);
        Ok(Rows { total: rows.len(), note, columns, rows })
    }
}

/// The verbs with a column of their own, in k9s's order.
const VERBS: &[(&str, &str)] = &[
    ("get", "GET"),
    ("list", "LIST"),
    ("watch", "WATCH"),
    ("create", "CREATE"),
    ("patch", "PATCH"),
    ("update", "UPDATE"),
    ("delete", "DELETE"),
    ("deletecollection", "DEL-LIST"),
];

fn row(allowed: &Allowed) -> Vec<String> {
    let every = allowed.verbs.contains("*");
    let names =
        if allowed.names.is_empty() { String::new() } else { format!(" ({})", allowed.names.join(", ")) };
    let mut row = vec![
        if allowed.namespace.is_empty() { "*".to_owned() } else { allowed.namespace.clone() },
        format!("{}{names}", allowed.resource),
        allowed.group.clone(),
    ];
    row.extend(VERBS.iter().map(|(verb, _)| {
        if every || allowed.verbs.contains(*verb) { "✓".to_owned() } else { String::new() }
    }));
    let other = allowed.verbs.iter().filter(|v| !VERBS.iter().any(|(verb, _)| verb == v));
    row.push(other.cloned().collect::<Vec<_>>().join(","));
    row.push(allowed.by.clone());
    row
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct CanIInput {
    /// `get`, `list`, `create`, `delete`, …
    pub verb: String,
    /// A kind, with a subresource if need be (`pods/log`), or a path such as `/healthz`.
    pub resource: String,
    /// Only the object of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Ask about another: `u:USER`, `g:GROUP`, `s:NAMESPACE:SERVICEACCOUNT`.
    #[arg(long = "for")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// In every namespace.
    #[arg(long, short = 'A')]
    #[serde(default)]
    pub all_namespaces: bool,
    #[serde(flatten)]
    #[command(flatten)]
    pub within: Within,
}

/// The API server's answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CanIOutput {
    pub allowed: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// 0 for yes, 3 for no.
    pub exit_code: u8,
}

struct CanI;

impl Operation for CanI {
    type Deck = Deck;
    type Input = CanIInput;
    type Output = CanIOutput;

    const SPEC: Spec = Spec::observe(
        "can_i",
        "/v1/rbac/can-i",
        "Ask the API server whether we, or another, may do something.",
    )
    .exits(&[(0, "yes"), (3, "no")]);

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.within.fill_or_all(deck, input.all_namespaces).map(drop)
    }

    fn target(input: &Self::Input) -> Target {
        input.within.target(&input.resource, input.name.as_deref().unwrap_or_default())
    }

    async fn run(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Self::Output> {
        let cluster = deck.kube.get(input.within.cluster.as_deref())?;
        let namespace = input.within.namespace.clone().unwrap_or_default();
        let mut question = Question { verb: input.verb.trim().to_lowercase(), ..Question::default() };
        if question.verb.is_empty() {
            return Err(Error::invalid("no verb is named").next("Such as get, list, create or delete."));
        }
        if input.resource.starts_with('/') {
            question.path.clone_from(&input.resource);
        } else {
            let (kind, sub) = input.resource.split_once('/').unwrap_or((&input.resource, ""));
            // What the server does not have can still be asked about: a rule may name it before it is there.
            match cluster.resolve(kind).await {
                Ok(found) => {
                    (question.group, question.resource) = (found.group.to_string(), found.plural.to_string());
                    question.namespace = if found.namespaced { namespace.clone() } else { String::new() };
                }
                Err(_) => {
                    let (word, group) = kind.split_once('.').unwrap_or((kind, ""));
                    (question.group, question.resource) = (group.to_owned(), word.to_lowercase());
                    question.namespace.clone_from(&namespace);
                }
            }
            question.subresource = sub.to_owned();
            question.name = input.name.unwrap_or_default();
        }
        let who = input.subject.as_deref().map(|s| Subject::parse(s, &namespace)).transpose()?;
        let answer = rbac::may(&cluster, &question, who.as_ref()).await?;
        let exit_code = if answer.allowed { 0 } else { 3 };
        Ok(CanIOutput { allowed: answer.allowed, reason: answer.reason, exit_code })
    }
}
