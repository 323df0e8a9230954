//! Which objects a pane is about, and which panes there are to go to.

use compact_str::CompactString;
use serde_json::{Value, json};

use crate::base::ids::ApprovalId;
use crate::base::text::{is_glob, is_set};
use crate::rows::RowKey;

/// One Kubernetes object, as the operations' inputs name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectRef {
    /// Kubeconfig context.
    pub cluster: CompactString,
    /// As `kind_list` names it for unambiguous use: `pods`, `deployments.apps`.
    pub kind: CompactString,
    /// Empty for what has no namespace.
    pub namespace: CompactString,
    pub name: CompactString,
}

impl ObjectRef {
    pub fn new(
        cluster: impl Into<CompactString>,
        kind: impl Into<CompactString>,
        namespace: impl Into<CompactString>,
        name: impl Into<CompactString>,
    ) -> Self {
        Self { cluster: cluster.into(), kind: kind.into(), namespace: namespace.into(), name: name.into() }
    }

    pub fn of(kind: &str, key: &RowKey) -> Self {
        Self::new(&*key.cluster, kind, key.namespace.clone(), key.name.clone())
    }

    /// The arguments that every operation on an object takes: `cluster`, `namespace`, `kind`, `name`.
    /// Parts that are empty are left out.
    pub fn arguments(&self) -> Value {
        let mut all = json!({ "kind": self.kind, "name": self.name });
        for (field, value) in [("cluster", &self.cluster), ("namespace", &self.namespace)] {
            if !value.is_empty() {
                all[field] = json!(value);
            }
        }
        all
    }

    /// The table of its kind, where it is, with the cursor on it.
    pub fn in_its_table(&self) -> Route {
        Route::Resources(Query {
            kind: self.kind.clone(),
            clusters: if self.cluster.is_empty() { Vec::new() } else { vec![self.cluster.clone()] },
            namespaces: Namespaces::parse(&self.namespace),
            select: Some(RowKey::new(&*self.cluster, &self.namespace, &self.name)),
            ..Query::default()
        })
    }

    /// The same for the operations of what keeps it: those of Argo CD are for one kind, and take none.
    pub fn keeper_arguments(&self) -> Value {
        let mut arguments = self.arguments();
        if let (Some(GitOps::Argo), Some(map)) = (self.gitops(), arguments.as_object_mut()) {
            map.remove("kind");
        }
        arguments
    }

    /// Whether it is a Secret of the core, whose values can be decoded.
    pub fn is_secret(&self) -> bool {
        self.kind == "secrets"
    }

    /// Which GitOps controller keeps objects of this kind.
    pub fn gitops(&self) -> Option<GitOps> {
        GitOps::of(&self.kind)
    }

    /// The resource's plural without its group: `deployments` of `deployments.apps`.
    pub fn plural(&self) -> &str {
        self.kind.split('.').next().unwrap_or(&self.kind)
    }
}

/// A GitOps controller whose verbs its objects have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GitOps {
    Flux,
    Argo,
}

impl GitOps {
    /// By a kind as `kind_list` names it: `kustomizations.kustomize.toolkit.fluxcd.io`.
    pub fn of(kind: &str) -> Option<Self> {
        if kind.ends_with(".toolkit.fluxcd.io") {
            return Some(GitOps::Flux);
        }
        (kind == "applications.argoproj.io").then_some(GitOps::Argo)
    }

    /// The noun of its operations, and the keymap's mode.
    pub fn name(self) -> &'static str {
        match self {
            GitOps::Flux => "flux",
            GitOps::Argo => "argo",
        }
    }
}

/// A Helm release by its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseRef {
    pub cluster: CompactString,
    pub namespace: CompactString,
    pub name: CompactString,
}

impl ReleaseRef {
    /// The arguments that every operation on a release takes.
    pub fn arguments(&self) -> Value {
        let mut arguments = json!({ "name": self.name, "namespace": self.namespace });
        if !self.cluster.is_empty() {
            arguments["cluster"] = json!(self.cluster);
        }
        arguments
    }
}

/// Which namespaces a table shows.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Namespaces {
    #[default]
    All,
    One(CompactString),
    /// Names and globs, as typed: `shop,team-*`.
    Several(CompactString),
}

impl Namespaces {
    /// As titles say it: `all`, or the namespace.
    pub fn label(&self) -> &str {
        match self {
            Namespaces::All => "all",
            Namespaces::One(name) | Namespaces::Several(name) => name,
        }
    }

    /// Puts it among the arguments of a call that takes several.
    pub fn put(&self, arguments: &mut Value) {
        match self {
            Namespaces::All => arguments["all_namespaces"] = json!(true),
            Namespaces::One(name) | Namespaces::Several(name) => arguments["namespace"] = json!(name),
        }
    }

    /// For what takes one namespace or all: a set is all.
    #[must_use]
    pub fn one_or_all(&self) -> Self {
        match self {
            Namespaces::Several(_) => Namespaces::All,
            other => other.clone(),
        }
    }

    /// `all`, `*` and the empty string mean every namespace.
    pub fn parse(text: &str) -> Self {
        match text {
            "" | "*" | "all" | "-" => Namespaces::All,
            set if is_set(set) => Namespaces::Several(set.into()),
            name => Namespaces::One(name.into()),
        }
    }
}

/// Whether a table over these contexts has rows of several: they are more than one, or stand for others.
pub fn are_several(clusters: &[CompactString]) -> bool {
    clusters.len() > 1 || clusters.iter().any(|name| is_glob(name) || name == "all")
}

/// What a table of objects shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// As `kind_list` names it: `pods`, `deployments.apps`.
    pub kind: CompactString,
    /// Kubeconfig contexts, or globs for them; several are merged into one table.
    pub clusters: Vec<CompactString>,
    pub namespaces: Namespaces,
    /// Label selector, applied by the server.
    pub labels: Option<String>,
    /// Field selector, applied by the server.
    pub fields: Option<String>,
    /// Only what this object owns, as `resource_list` takes it: `cronjobs.batch/report`.
    pub owner: Option<String>,
    /// As typed after `/`.
    pub filter: Option<String>,
    /// `COLUMN`, or `COLUMN:desc`.
    pub sort: Option<String>,
    /// What the rows were drilled into from, for the title: `deploy/api`.
    pub origin: Option<String>,
    /// The object to put the cursor on, once it is there.
    pub select: Option<RowKey>,
}

/// Objects of every kind that are looked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sought {
    /// A part of the name, or a glob; empty is any.
    pub text: CompactString,
    pub clusters: Vec<CompactString>,
    pub namespaces: Namespaces,
    pub labels: Option<String>,
    pub fields: Option<String>,
    /// As typed after `/`.
    pub filter: Option<String>,
}

/// Whose logs to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTarget {
    /// One or more pods or workloads: their streams are merged.
    pub objects: Vec<ObjectRef>,
    pub container: Option<CompactString>,
    pub previous: bool,
}

/// What a text pane shows of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextKind {
    Yaml,
    Describe,
    /// What is no longer as it was applied.
    Diff,
    /// What of an application of Argo CD is out of sync.
    OutOfSync,
}

impl TextKind {
    /// The pane's name, and its keymap mode.
    pub fn name(self) -> &'static str {
        match self {
            TextKind::Yaml => "yaml",
            TextKind::Describe => "describe",
            TextKind::Diff | TextKind::OutOfSync => "diff",
        }
    }

    /// What is asked for of an object.
    pub fn question(self, object: &ObjectRef) -> (&'static str, Value) {
        match self {
            TextKind::Yaml => ("resource_get", object.arguments()),
            TextKind::Describe => ("resource_describe", object.arguments()),
            TextKind::Diff => ("resource_diff", object.arguments()),
            TextKind::OutOfSync => ("argo_diff", object.keeper_arguments()),
        }
    }
}

/// A place to go to. [`super::panes::open`] makes the pane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    Clusters,
    Resources(Query),
    /// The containers of a pod.
    Containers(ObjectRef),
    Logs(LogTarget),
    Text(TextKind, ObjectRef),
    /// The object's manifest, at the line of a field.
    Field(ObjectRef, CompactString),
    /// Opens the object's manifest in the editor, previews and applies what comes back.
    Edit(ObjectRef),
    /// The same with the values of a Secret, decoded.
    EditValues(ObjectRef),
    /// The events of one object.
    Events(ObjectRef),
    /// The Helm releases.
    Helm,
    /// The revisions of one.
    HelmHistory(ReleaseRef),
    /// Where what a GitOps controller keeps comes from, and what it has applied.
    Chain(ObjectRef),
    /// What an application of Argo CD was synced to.
    Synced(ObjectRef),
    /// What changed of an object, in the order of time.
    Changes(ObjectRef),
    /// Why an object is not well.
    Explain(ObjectRef),
    /// Who uses an object by its name.
    References(ObjectRef),
    /// The pages about an object in other systems.
    Links(ObjectRef),
    /// The objects around one, one step away.
    Adjacent(ObjectRef),
    /// The users or groups (`user`, `group`) that role bindings name.
    Subjects(&'static str),
    /// What a subject (`u:jane`) may do, or the rules of a role (`cr:edit`); without one, whoever sits here.
    Rules {
        cluster: Option<CompactString>,
        subject: Option<String>,
    },
    /// The revisions of a workload, and how far its rollout is.
    Revisions(ObjectRef),
    /// What waits for a decision; with an identifier, that one's card.
    Approvals(Option<ApprovalId>),
    Audit,
    Timeline,
    Participants,
    Messages,
    /// The objects that somebody is told of.
    Notices,
    Grants,
    /// Every workload in one table, of these namespaces if not the session's.
    Workloads(Option<Namespaces>),
    /// Objects of every kind by a part of their name.
    Find(Sought),
    /// Objects of a kind with all that they own and need.
    Xray(CompactString, Option<Namespaces>),
    /// How many of each kind are well.
    Pulses,
    /// A folder on this machine; without one, what was saved.
    Dir(Option<String>),
    /// The port-forwards; those to an object, if one is given.
    Forwards(Option<ObjectRef>),
    Aliases,
    /// Every operation, to choose one.
    Palette,
    /// A form made of an operation's schema, with some arguments filled in.
    Form {
        operation: String,
        arguments: Value,
    },
    /// The form of an operation on some objects, with what holds for each of them.
    FormAbout {
        operation: String,
        objects: Vec<ObjectRef>,
        arguments: Value,
        /// What of the marked rows is not among the objects.
        left_out: Option<String>,
    },
    /// Keys and commands, for the modes of the pane below.
    Help {
        modes: Vec<CompactString>,
        /// Columns that keys sort by, and that the table below has not.
        lacking: Vec<CompactString>,
    },
}
