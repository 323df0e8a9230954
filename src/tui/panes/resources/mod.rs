//! A table of objects of any kind, over one or several clusters.

mod bundle;
mod drill;
mod keys;
mod own;
mod title;

pub use title::thousands;

use compact_str::CompactString;
use crossterm::event::MouseEvent;
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use serde_json::{Value, json};

use crate::base::Error;
use crate::gate::{Frame, Request};
use crate::rows::RowKey;
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash, Message, Ticket};
use crate::tui::object::{GitOps, Namespaces, ObjectRef, Query, are_several};
use crate::tui::pane::{Handled, Look, Pane, PaneFocus};
use crate::tui::panes::sources::Sources;
use crate::tui::panes::{save, talk};
use crate::tui::shared::Shared;
use crate::tui::user::Jump;
use crate::tui::widgets::grid::{Grid, Paint};

/// The pane.
pub struct Resources {
    query: Query,
    /// Labels typed into the filter, beside those of the query.
    typed_labels: Option<String>,
    /// What stands after `/`: the local filter, or `-l …`.
    filter: String,
    /// The filter is to be understood again once the columns are known.
    unread: bool,
    namespaced: bool,
    grid: Grid,
    /// The watch of all that it shows.
    watching: Option<Ticket>,
    /// Why that ended.
    error: Option<Error>,
    /// How each cluster, or namespace of a cluster, fares.
    sources: Sources,
    /// Object whose selector is asked for, to go to its pods.
    drilling: Option<(Ticket, ObjectRef)>,
    /// The kind of what it selects that is gone to.
    drill_to: &'static str,
    /// Object whose owner is asked for, to go there.
    owning: Option<(Ticket, ObjectRef)>,
    /// Object that a jump of the person's own leads away from.
    jumping: Option<(Ticket, ObjectRef, Jump)>,
    /// Columns that the person describes by their paths, as `NAME:.path|FLAGS`.
    added: Vec<String>,
    /// Pod whose containers are asked for, and what is wanted of one of them.
    choosing: Option<(Ticket, talk::Want, ObjectRef)>,
    saving: Option<Ticket>,
    bundling: bundle::Bundling,
    /// Still to be put under the cursor.
    select: Option<RowKey>,
    started: Option<Timestamp>,
}

impl Resources {
    pub fn new(query: Query, shared: &Shared) -> Self {
        let kind = shared.kind(&query.kind);
        let namespaced = kind.map_or(!is_cluster_wide(&query.kind), |k| k.namespaced);
        let several = are_several(&query.clusters);
        let all = namespaced && !matches!(query.namespaces, Namespaces::One(_));
        let filter = query.filter.clone().unwrap_or_default();
        Self {
            grid: grid_of(&query.kind, several, all),
            select: query.select.clone(),
            query,
            typed_labels: None,
            filter,
            unread: false,
            namespaced,
            watching: None,
            error: None,
            sources: Sources::default(),
            drilling: None,
            drill_to: "pods",
            owning: None,
            jumping: None,
            added: Vec::new(),
            choosing: None,
            saving: None,
            bundling: bundle::Bundling::default(),
            started: None,
        }
    }

    /// The events of one object.
    pub fn events_of(object: &ObjectRef, shared: &Shared) -> Self {
        let kind = shared.kind(&object.kind).map_or_else(|| titled(object.plural()), |k| k.kind.to_string());
        let fields = format!("involvedObject.kind={kind},involvedObject.name={}", object.name);
        let query = Query {
            kind: "events".into(),
            clusters: if object.cluster.is_empty() { Vec::new() } else { vec![object.cluster.clone()] },
            // The events of what has no namespace are in one all the same.
            namespaces: Namespaces::parse(&object.namespace),
            fields: Some(fields),
            origin: Some(format!("{} {}", kind.to_lowercase(), object.name)),
            ..Query::default()
        };
        Self::new(query, shared)
    }

    /// Whether it shows several clusters or namespaces, of which some may fare otherwise than others.
    fn is_set(&self) -> bool {
        are_several(&self.query.clusters)
            || (self.namespaced && matches!(self.query.namespaces, Namespaces::Several(_)))
    }

    fn is_pods(&self) -> bool {
        self.query.kind == "pods"
    }

    /// The plural without its group, as titles and keymap modes have it.
    fn plural(&self) -> &str {
        self.query.kind.split('.').next().unwrap_or(&self.query.kind)
    }

    fn labels(&self) -> Option<String> {
        let both: Vec<&str> = self
            .query
            .labels
            .iter()
            .chain(&self.typed_labels)
            .map(String::as_str)
            .filter(|l| !l.is_empty())
            .collect();
        (!both.is_empty()).then(|| both.join(","))
    }

    fn request(&self) -> Request {
        let mut arguments = json!({});
        if !self.is_pods() {
            arguments["kind"] = json!(self.query.kind);
        }
        if !self.query.clusters.is_empty() {
            arguments["cluster"] = json!(self.query.clusters.join(","));
        }
        if self.namespaced {
            self.query.namespaces.put(&mut arguments);
        }
        let fields = self.query.fields.clone();
        for (name, value) in
            [("labels", self.labels()), ("fields", fields), ("owner", self.query.owner.clone())]
        {
            if let Some(value) = value {
                arguments[name] = json!(value);
            }
        }
        if !self.added.is_empty() {
            arguments["columns"] = json!(self.added);
        }
        Request::new(if self.is_pods() { "pod_list" } else { "resource_list" }, arguments)
    }

    /// Begins to watch, in place of what was watched before.
    fn watch(&mut self, cx: &mut Cx<'_>) {
        if let Some(ticket) = self.watching.take() {
            cx.cancel(ticket);
        }
        self.error = None;
        self.started = Some(cx.now);
        self.watching = Some(cx.watch(self.request()));
    }

    fn frame(&mut self, ticket: Ticket, frame: Frame, cx: &mut Cx<'_>) {
        if self.watching != Some(ticket) {
            return;
        }
        if let Frame::Table(delta) = frame {
            for (cluster, up) in self.sources.note(&delta.sources, cx.now) {
                // The header is told.
                cx.cluster_seen(&*cluster, up);
            }
            self.grid.apply(delta, None, cx);
            self.read_filter(cx);
            if let Some(key) = &self.select
                && self.grid.select(key)
            {
                self.select = None;
            }
        }
    }

    /// Understands the filter that came before the columns.
    fn read_filter(&mut self, cx: &mut Cx<'_>) {
        if !self.unread || self.grid.table().columns().is_empty() {
            return;
        }
        self.unread = false;
        let filter = self.filter.clone();
        if let Err(error) = self.filter_changed(&filter, true, cx) {
            cx.flash(Flash::warning(error));
        }
    }

    /// The object under the cursor.
    fn object(&self) -> Option<ObjectRef> {
        self.grid.selected().map(|row| ObjectRef::of(&self.query.kind, &row.key))
    }

    /// The marked objects, or the one under the cursor.
    fn objects(&self) -> Vec<ObjectRef> {
        self.grid.chosen().iter().map(|key| ObjectRef::of(&self.query.kind, key)).collect()
    }
}

/// Events are found by when they were and what they are about: the newest on top, their own names aside.
fn grid_of(kind: &str, several: bool, all: bool) -> Grid {
    let grid = Grid::new(several, all);
    if !kind.starts_with("events") {
        return grid;
    }
    let mut grid = grid.nameless();
    grid.sort_at_first("LAST SEEN", false);
    grid
}

/// A plural as a kind, for as long as discovery has not answered: `pods` is `Pod`.
fn titled(plural: &str) -> String {
    let singular = plural.strip_suffix('s').unwrap_or(plural);
    let mut chars = singular.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// What has no namespace, for as long as discovery has not answered.
fn is_cluster_wide(kind: &str) -> bool {
    let plural = kind.split('.').next().unwrap_or(kind);
    matches!(
        plural,
        "nodes"
            | "namespaces"
            | "persistentvolumes"
            | "customresourcedefinitions"
            | "clusterroles"
            | "clusterrolebindings"
            | "storageclasses"
            | "ingressclasses"
            | "priorityclasses"
            | "runtimeclasses"
            | "apiservices"
            | "csinodes"
            | "csidrivers"
            | "volumeattachments"
            | "componentstatuses"
            | "certificatesigningrequests"
            | "mutatingwebhookconfigurations"
            | "validatingwebhookconfigurations"
    )
}

impl Pane for Resources {
    fn name(&self) -> CompactString {
        self.plural().into()
    }

    fn modes(&self) -> Vec<CompactString> {
        let keeper = GitOps::of(&self.query.kind).map(|keeper| keeper.name().into());
        [self.plural().into()].into_iter().chain(keeper).chain(["objects".into(), "table".into()]).collect()
    }

    fn title(&self, look: &Look<'_>) -> Line<'static> {
        self.title_line(look)
    }

    fn set_up(&mut self, cx: &mut Cx<'_>) {
        if self.take_view(cx) && self.started.is_some() {
            self.watch(cx);
        }
    }

    fn start(&mut self, cx: &mut Cx<'_>) {
        self.sort_as_before(cx);
        self.take_view(cx);
        if let Some(sort) = &self.query.sort {
            let (column, way) = sort.rsplit_once(':').unwrap_or((sort, ""));
            self.grid.sort_at_first(&column.to_uppercase(), way == "desc");
        }
        let filter = std::mem::take(&mut self.filter);
        if !filter.is_empty()
            && let Err(error) = self.filter_changed(&filter, false, cx)
        {
            cx.flash(Flash::warning(error));
        }
        if self.watching.is_none() {
            self.watch(cx);
        }
    }

    fn act(&mut self, action: &Action, cx: &mut Cx<'_>) -> Handled {
        let before = self.sorting();
        if self.grid.act(action, cx) == Handled::Yes {
            self.keep_sorting(before, cx);
            return Handled::Yes;
        }
        self.key(action, cx)
    }

    fn mouse(&mut self, event: MouseEvent, area: Rect, cx: &mut Cx<'_>) -> Handled {
        let before = self.sorting();
        match self.grid.mouse(event, area, cx) {
            Some(true) => self.act(&Action::named("enter"), cx),
            Some(false) => {
                self.keep_sorting(before, cx);
                Handled::Yes
            }
            None => Handled::No,
        }
    }

    fn receive(&mut self, message: Message, cx: &mut Cx<'_>) {
        match message {
            Message::Frame { ticket, frame } => self.frame(ticket, frame, cx),
            Message::Ended { ticket, error } if self.watching == Some(ticket) => {
                self.watching = None;
                self.error = Some(error.unwrap_or_else(|| {
                    Error::unavailable("the server ended the watch").next("Ctrl-r starts it again.")
                }));
            }
            Message::Job { ticket, value } if self.saving == Some(ticket) => {
                self.saving = None;
                save::saved(value, cx);
            }
            Message::Job { ticket, value } if self.is_bundle(ticket) => save::saved_text(value, cx),
            Message::Job { ticket, value } => {
                self.grid.receive(ticket, value, cx);
            }
            Message::Reply { ticket, result } => self.answered(ticket, result, cx),
            _ => {}
        }
    }

    fn filter_changed(&mut self, text: &str, done: bool, cx: &mut Cx<'_>) -> Result<(), String> {
        let labels = self.grid.set_filter(text, cx)?;
        // A selector that is still typed would start a watch with each key.
        if labels.is_some() && !done && self.started.is_some() {
            return Ok(());
        }
        // Before the columns are known, `status=Running` looks like a label: it is understood with the first rows.
        self.unread = labels.is_some() && self.grid.table().columns().is_empty() && !text.contains("-l ");
        let wanted = labels.filter(|l| !l.is_empty() && !self.unread);
        text.clone_into(&mut self.filter);
        if wanted != self.typed_labels {
            self.typed_labels = wanted;
            self.grid.clear(cx);
            self.watch(cx);
        }
        Ok(())
    }

    fn filter(&self) -> Option<&str> {
        Some(&self.filter)
    }

    fn command(&self) -> Option<String> {
        let mut line = self.query.kind.to_string();
        if self.namespaced {
            line.push(' ');
            line.push_str(self.query.namespaces.label());
        }
        if let Some(labels) = &self.query.labels {
            line.push_str(&format!(" -l '{labels}'"));
        }
        if let Some(owner) = &self.query.owner {
            line.push_str(&format!(" --owner '{owner}'"));
        }
        if !self.query.clusters.is_empty() {
            line.push_str(&format!(" -c '{}'", self.query.clusters.join(",")));
        }
        Some(line)
    }

    fn line(&self) -> Option<String> {
        let mut line = self.command()?;
        if let Some((column, descending)) = self.grid.sorted_by() {
            line.push_str(&format!(" --sort '{column}{}'", if descending { ":desc" } else { "" }));
        }
        if !self.filter.is_empty() {
            line.push_str(&format!(" /{}", self.filter));
        }
        Some(line)
    }

    fn layout(&mut self, area: Rect, now: Timestamp) {
        let (rows, _) = self.sources.divide(area, self.is_set());
        self.grid.layout(rows, now);
    }

    fn render(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        let shared = look.shared;
        let pointed =
            |key: &RowKey| shared.pointers_at(&self.query.kind, key).next().map(|pointer| &*pointer.field);
        let (rows, lines) = self.sources.divide(area, self.is_set());
        let old: &dyn Fn(&RowKey) -> bool = &|key| self.sources.is_old(key);
        let paint = Paint { pointed: Some(&pointed), old: self.sources.any_old().then_some(old) };
        self.grid.render(look, &paint, rows, buf);
        if self.grid.shown() == 0 {
            self.render_empty(look, rows, buf);
        }
        self.sources.render(look, lines, buf);
    }

    fn take_clusters(&mut self, clusters: &[CompactString], cx: &mut Cx<'_>) {
        self.query.clusters = clusters.to_vec();
        // Rows of those that left go, and none is kept of which nobody says any more that it is there.
        self.select = self.grid.selected().map(|row| row.key.clone());
        self.sources = Sources::default();
        self.grid.clear(cx);
        if self.started.is_some() {
            self.watch(cx);
        }
    }

    fn clusters(&self) -> Option<&[CompactString]> {
        Some(&self.query.clusters).filter(|clusters| !clusters.is_empty()).map(Vec::as_slice)
    }

    fn namespaces(&self) -> &str {
        if self.namespaced { self.query.namespaces.label() } else { "" }
    }

    fn woken(&mut self, cx: &mut Cx<'_>) {
        self.grid.woken(cx);
    }

    fn wake(&self, now: Timestamp) -> Option<Timestamp> {
        let lines = if self.is_set() { self.sources.wake(now) } else { None };
        self.grid.wake(now).into_iter().chain(lines).min()
    }

    fn may_sort_by(&self, column: &str) -> bool {
        self.grid.may_sort_by(column)
    }

    fn cells(&self, now: Timestamp) -> Vec<(String, String)> {
        self.grid.cells(now)
    }

    fn focus(&self) -> PaneFocus {
        let key_value = |key: &RowKey| serde_json::to_value(key).unwrap_or(Value::Null);
        let mut marked: Vec<&RowKey> = self.grid.marks().iter().collect();
        marked.sort();
        let selected = self.grid.selected();
        let cluster = match (self.query.clusters.as_slice(), selected) {
            ([one], _) => Some(one.to_string()),
            (_, Some(row)) => Some(row.key.cluster.to_string()),
            ([], None) => None,
            (several, None) => Some(several.join(",")),
        };
        PaneFocus {
            cluster,
            namespace: match &self.query.namespaces {
                Namespaces::All => None,
                named => Some(named.label().to_owned()).filter(|_| self.namespaced),
            },
            kind: Some(self.query.kind.to_string()),
            filter: Some(self.filter.clone()),
            selected: selected.map(|row| {
                json!({
                    "cluster": row.key.cluster,
                    "namespace": row.key.namespace,
                    "kind": self.query.kind,
                    "name": row.key.name,
                })
            }),
            marked: marked.into_iter().map(key_value).collect(),
            columns: self.grid.column_names(),
            private: false,
        }
    }
}
