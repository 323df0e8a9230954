//! What the person has set up for a kind: the columns of its table, and where Enter leads.

use compact_str::CompactString;
use serde_json::{Value, json};

use super::Resources;
use crate::base::{Error, Result};
use crate::gate::{Reply, Request};
use crate::rows::spec::ColumnSpec;
use crate::tui::effect::{Cx, Flash};
use crate::tui::object::{GitOps, Namespaces, ObjectRef, Query, Route};
use crate::tui::user::{Jump, fill_template};

impl Resources {
    /// Shows the columns that the person wants to see. Whether they need to be asked for.
    pub(super) fn take_view(&mut self, cx: &mut Cx<'_>) -> bool {
        let namespace = match &self.query.namespaces {
            Namespaces::One(name) => name.as_str(),
            Namespaces::All | Namespaces::Several(_) => "",
        };
        let user = cx.shared.user.clone();
        let view = cx.shared.kind(&self.query.kind).and_then(|kind| user.view(kind, namespace));
        let Some(view) = view else {
            self.added = flux_columns(&self.query.kind);
            return false;
        };
        let mut specs = Vec::new();
        for text in &view.columns {
            match ColumnSpec::parse(text) {
                Ok(spec) => specs.push(spec),
                Err(what) => cx.flash(Flash::warning(format!("the view {}: {what}", view.of))),
            }
        }
        let added: Vec<String> = view
            .columns
            .iter()
            .filter(|text| ColumnSpec::parse(text).is_ok_and(|spec| spec.path.is_some()))
            .cloned()
            .collect();
        self.grid.arrange(specs, cx);
        if let Some((column, way)) = view.sort_column.as_deref().and_then(|sort| sort.rsplit_once(':')) {
            // In k9s an age that ascends has the youngest first, as here.
            self.grid.sort_at_first(column.trim(), way == "desc");
        }
        let changed = self.added != added;
        self.added = added;
        changed
    }

    /// Sorts as the last table of the kind was. What a view or the command line says goes over it.
    pub(super) fn sort_as_before(&mut self, cx: &Cx<'_>) {
        if let Some((column, descending)) = cx.shared.sorts.get(&self.query.kind) {
            self.grid.sort_at_first(column, descending);
        }
    }

    pub(super) fn sorting(&self) -> Option<(CompactString, bool)> {
        self.grid.sorted_by().map(|(column, descending)| (column.into(), descending))
    }

    /// Keeps how it is sorted now, where that is another order than before.
    pub(super) fn keep_sorting(&self, before: Option<(CompactString, bool)>, cx: &mut Cx<'_>) {
        match self.sorting() {
            Some((column, descending)) if before != Some((column.clone(), descending)) => {
                cx.sorted(self.query.kind.clone(), &column, descending);
            }
            _ => {}
        }
    }

    /// Leads where the person's own jump from this kind does, if there is one.
    pub(super) fn jump(&mut self, object: &ObjectRef, cx: &mut Cx<'_>) -> bool {
        let user = cx.shared.user.clone();
        let Some(jump) = cx.shared.kind(&self.query.kind).and_then(|kind| user.jump(kind)) else {
            return false;
        };
        let mut arguments = object.arguments();
        arguments["format"] = json!("json");
        let ticket = cx.call(Request::new("resource_get", arguments));
        self.jumping = Some((ticket, object.clone(), jump.clone()));
        true
    }

    /// The object that is left came: its words are put into the jump.
    pub(super) fn jumped(&self, object: &ObjectRef, jump: &Jump, result: Result<Reply>, cx: &mut Cx<'_>) {
        let output = match result {
            Ok(Reply::Done { output, .. }) => output,
            Ok(Reply::Held(held)) => return cx.flash(Flash::warning(held.reason)),
            Err(error) => return cx.error(&error),
        };
        let whole: Value =
            serde_json::from_str(output["text"].as_str().unwrap_or_default()).unwrap_or_default();
        match self.destination(object, jump, &whole, cx) {
            Ok(query) => cx.go(Route::Resources(query)),
            Err(what) => {
                let error = Error::not_found(format!("the jump from {} leads nowhere: {what}", jump.from));
                cx.error(&error.next("d describes the object; jumps.yaml says where Enter leads."));
            }
        }
    }

    fn destination(
        &self,
        object: &ObjectRef,
        jump: &Jump,
        whole: &Value,
        cx: &Cx<'_>,
    ) -> std::result::Result<Query, String> {
        let fill = |text: &Option<String>| text.as_deref().map(|text| fill_template(text, whole)).transpose();
        let kind = cx.shared.kind(&jump.to);
        let id = kind.map_or_else(|| jump.to.as_str().into(), |kind| kind.id.clone());
        let namespaces = match fill(&jump.target_namespace)?.as_deref() {
            Some("all" | "*") => Namespaces::All,
            Some(name) if !name.is_empty() => Namespaces::One(name.into()),
            _ if object.namespace.is_empty() => Namespaces::All,
            _ => Namespaces::One(object.namespace.clone()),
        };
        let clusters: Vec<CompactString> = if object.cluster.is_empty() {
            self.query.clusters.clone()
        } else {
            vec![object.cluster.clone()]
        };
        Ok(Query {
            kind: id,
            clusters,
            namespaces,
            labels: fill(&jump.label_selector)?,
            fields: fill(&jump.field_selector)?,
            origin: Some(format!("{} {}", self.plural(), object.name)),
            ..Query::default()
        })
    }
}

/// What the columns that Flux has chosen for its kinds do not say: whether it is suspended, and what it has come to.
fn flux_columns(kind: &str) -> Vec<String> {
    let Some((_, group)) = kind.split_once('.').filter(|_| GitOps::of(kind) == Some(GitOps::Flux)) else {
        return Vec::new();
    };
    let revision = match group {
        "kustomize.toolkit.fluxcd.io" => Some("REVISION:.status.lastAppliedRevision"),
        "helm.toolkit.fluxcd.io" => Some("REVISION:.status.history[0].chartVersion"),
        "source.toolkit.fluxcd.io" => Some("REVISION:.status.artifact.revision"),
        _ => None,
    };
    ["SUSPENDED:.spec.suspend|S"].into_iter().chain(revision).map(str::to_owned).collect()
}
