//! Every cluster of the kubeconfig, live: version, latency, and why one is down.

use compact_str::CompactString;
use crossterm::event::MouseEvent;
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use serde_json::json;

use super::resources::thousands;
use crate::base::Error;
use crate::base::text::sanitize;
use crate::gate::{Frame, Request};
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash, Message, Ticket};
use crate::tui::object::{Query, Route};
use crate::tui::pane::{Handled, Look, Pane, PaneFocus};
use crate::tui::widgets::grid::{Filtered, Grid, Paint};

/// The pane. Enter goes to the pods of a cluster, or of the marked ones together.
pub struct Clusters {
    grid: Grid,
    watch: Option<Ticket>,
    error: Option<Error>,
}

impl Default for Clusters {
    fn default() -> Self {
        Self { grid: Grid::new(false, false), watch: None, error: None }
    }
}

impl Clusters {
    fn watch(&mut self, cx: &mut Cx<'_>) {
        if let Some(old) = self.watch.take() {
            cx.cancel(old);
        }
        self.error = None;
        self.watch = Some(cx.watch(Request::new("cluster_list", json!({}))));
    }

    fn enter(&self, cx: &mut Cx<'_>) {
        let clusters: Vec<CompactString> = self.grid.chosen().into_iter().map(|key| key.name).collect();
        if clusters.is_empty() {
            return;
        }
        cx.clusters(clusters.clone());
        let namespaces = cx.shared.namespaces.clone();
        cx.go(Route::Resources(Query { kind: "pods".into(), clusters, namespaces, ..Query::default() }));
    }
}

impl Pane for Clusters {
    fn name(&self) -> CompactString {
        "clusters".into()
    }

    fn modes(&self) -> Vec<CompactString> {
        vec!["clusters".into(), "table".into()]
    }

    fn title(&self, look: &Look<'_>) -> Line<'static> {
        let theme = look.theme;
        let mut spans = vec![
            Span::styled(" clusters[", theme.title),
            Span::styled(thousands(self.grid.total()), theme.title_counter),
            Span::styled("]", theme.title),
        ];
        if !self.grid.filter().is_empty() {
            spans.push(Span::styled(format!(" /{}", sanitize(self.grid.filter())), theme.title_filter));
        }
        if let Some(error) = &self.error {
            spans.push(Span::styled(format!(" {}", sanitize(&error.message)), theme.warning));
        }
        spans.push(Span::raw(" "));
        Line::from(spans)
    }

    fn start(&mut self, cx: &mut Cx<'_>) {
        self.watch(cx);
    }

    fn act(&mut self, action: &Action, cx: &mut Cx<'_>) -> Handled {
        if self.grid.act(action, cx) == Handled::Yes {
            return Handled::Yes;
        }
        match action.name {
            "enter" => self.enter(cx),
            "refresh" => self.watch(cx),
            "back" if !self.grid.filter().is_empty() => {
                // An empty filter is always understood.
                let _ = self.grid.set_filter("", cx);
            }
            "back" if self.grid.faults_only() => self.grid.toggle_faults(cx),
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn mouse(&mut self, event: MouseEvent, area: Rect, cx: &mut Cx<'_>) -> Handled {
        match self.grid.mouse(event, area, cx) {
            Some(true) => self.enter(cx),
            Some(false) => {}
            None => return Handled::No,
        }
        Handled::Yes
    }

    fn receive(&mut self, message: Message, cx: &mut Cx<'_>) {
        match message {
            Message::Frame { ticket, frame: Frame::Table(delta) } if self.watch == Some(ticket) => {
                self.grid.apply(delta, None, cx);
            }
            Message::Ended { ticket, error } if self.watch == Some(ticket) => {
                self.watch = None;
                self.error = error;
            }
            Message::Job { ticket, value } => {
                self.grid.receive(ticket, value, cx);
            }
            _ => {}
        }
    }

    fn filter_changed(&mut self, text: &str, done: bool, cx: &mut Cx<'_>) -> Result<(), String> {
        match self.grid.set_filter(text, cx)? {
            Filtered::Labels(_) if done => {
                cx.flash(Flash::info("clusters have no labels"));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn filter(&self) -> Option<&str> {
        Some(self.grid.filter())
    }

    fn command(&self) -> Option<String> {
        Some("contexts".to_owned())
    }

    fn layout(&mut self, area: Rect, now: Timestamp) {
        self.grid.layout(area, now);
    }

    fn render(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        self.grid.render(look, &Paint { pointed: None }, area, buf);
        if self.grid.shown() == 0 && area.height > 2 {
            let text = match (&self.error, self.grid.total()) {
                (Some(error), _) => format!("{} {}", error.message, error.next_step()),
                (None, 0) => "the kubeconfig names no cluster, or is still being read".to_owned(),
                (None, _) => "no cluster matches; Esc clears the filter".to_owned(),
            };
            buf.set_stringn(area.x + 1, area.y + 2, sanitize(&text), usize::from(area.width), look.theme.dim);
        }
    }

    fn wake(&self, now: Timestamp) -> Option<Timestamp> {
        self.grid.wake(now)
    }

    fn focus(&self) -> PaneFocus {
        let selected = self.grid.selected();
        PaneFocus {
            kind: Some("clusters".to_owned()),
            filter: Some(self.grid.filter().to_owned()),
            selected: selected
                .map(|row| json!({ "cluster": row.key.name, "kind": "cluster", "name": row.key.name })),
            columns: self.grid.column_names(),
            ..PaneFocus::default()
        }
    }
}
