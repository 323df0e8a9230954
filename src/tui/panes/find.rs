//! Objects of every kind by a part of their name or by labels, over the clusters in view. Enter goes to the one under the
//! cursor, in the table of its kind.

use compact_str::CompactString;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;

use super::several::act_on;
use super::table::{Content, Source, TablePane};
use crate::gate::Request;
use crate::rows::{Phase, RowKey};
use crate::tui::action::Action;
use crate::tui::effect::Cx;
use crate::tui::object::{ObjectRef, Sought, are_several};
use crate::tui::pane::{Handled, PaneFocus};
use crate::tui::widgets::grid::Grid;

/// One search.
pub struct Find {
    sought: Sought,
    /// When everybody had told all: what came later is not there.
    ended: Option<Timestamp>,
}

pub fn pane(mut sought: Sought) -> TablePane<Find> {
    let filter = sought.filter.take();
    let mut pane = TablePane::of(Find { sought, ended: None });
    if let Some(filter) = filter {
        pane.filter_at_first(filter);
    }
    pane
}

/// The name of a row's key has the kind in front: `deployments.apps/web`.
fn object(key: &RowKey) -> Option<ObjectRef> {
    let (kind, name) = key.name.split_once('/')?;
    Some(ObjectRef::new(&*key.cluster, kind, key.namespace.clone(), name))
}

impl Find {
    /// What is looked for, as a command line has it.
    fn words(&self) -> String {
        let Sought { text, labels, fields, .. } = &self.sought;
        let mut words: Vec<String> = Some(text.to_string()).filter(|t| !t.is_empty()).into_iter().collect();
        words.extend(labels.iter().map(|labels| format!("-l '{labels}'")));
        words.extend(fields.iter().map(|fields| format!("--fields '{fields}'")));
        words.join(" ")
    }
}

impl Content for Find {
    fn name(&self) -> &'static str {
        "find"
    }

    fn scope(&self) -> String {
        format!("{}, {}", self.words(), self.sought.namespaces.label())
    }

    fn source(&self) -> Source {
        let Sought { text, clusters, namespaces, labels, fields, .. } = &self.sought;
        let mut arguments = json!({ "text": text });
        namespaces.put(&mut arguments);
        if !clusters.is_empty() {
            arguments["cluster"] = json!(clusters.join(","));
        }
        for (name, selector) in [("labels", labels), ("fields", fields)] {
            if let Some(selector) = selector {
                arguments[name] = json!(selector);
            }
        }
        Source::Watch(Request::new("resource_find", arguments))
    }

    fn clusters(&self) -> Option<&[CompactString]> {
        Some(&self.sought.clusters)
    }

    fn take_clusters(&mut self, clusters: &[CompactString]) -> bool {
        self.sought.clusters = clusters.to_vec();
        true
    }

    fn sort(&self) -> Option<(&'static str, bool)> {
        Some(("NAME", false))
    }

    fn empty(&self) -> (String, String) {
        let (words, namespaces) = (self.words(), self.sought.namespaces.label());
        let what = format!("no object fits {words} ({namespaces})");
        let next =
            format!(":find {words} all looks in every namespace, @all in every cluster; Ctrl-r looks again");
        (what, next)
    }

    fn changed(&mut self, grid: &Grid, cx: &mut Cx<'_>) {
        let mut phases = grid.table().sources().values();
        let settled = phases.len() > 0
            && phases.all(|phase| {
                matches!(phase, Phase::Live | Phase::Failed { .. } | Phase::Reconnecting { .. })
            });
        self.ended = if settled { self.ended.or(Some(cx.now)) } else { None };
    }

    fn act(&mut self, action: &Action, grid: &Grid, cx: &mut Cx<'_>) -> Handled {
        const OWN: [&str; 8] =
            ["enter", "describe", "yaml", "edit", "events", "logs", "logs_previous", "delete"];
        if !OWN.contains(&action.name) {
            return Handled::No;
        }
        act_on(action, grid, object, cx);
        Handled::Yes
    }

    fn remark(&self, _: &Grid) -> Option<(String, bool)> {
        let at = self.ended?.to_zoned(TimeZone::system()).strftime("%H:%M:%S").to_string();
        // Of one cluster the kinds are named.
        let rest = if are_several(&self.sought.clusters) { ", without events and metrics" } else { "" };
        Some((format!("as of {at}{rest}"), false))
    }

    fn command(&self) -> Option<String> {
        Some(format!("find {} {}", self.words(), self.sought.namespaces.label()))
    }

    fn focus(&self, grid: &Grid) -> PaneFocus {
        let clusters = &self.sought.clusters;
        PaneFocus {
            cluster: (!clusters.is_empty()).then(|| clusters.join(",")),
            kind: Some("find".to_owned()),
            selected: grid.selected().and_then(|row| object(&row.key)).map(|object| object.arguments()),
            ..PaneFocus::default()
        }
    }
}
