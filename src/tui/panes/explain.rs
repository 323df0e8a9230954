//! Why something is not well: findings in words with their evidence. Enter goes to where a finding leads: the object, its
//! events, or a log; `d`, `l` and `Shift-e` go there by choice.

use compact_str::CompactString;
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use serde::Deserialize;
use serde_json::json;

use crate::base::Error;
use crate::base::text::sanitize;
use crate::gate::{Reply, Request};
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash, Message, Ticket};
use crate::tui::object::{LogTarget, ObjectRef, Route, TextKind};
use crate::tui::pane::{Handled, Look, Pane, PaneFocus};
use crate::tui::panes::words;
use crate::tui::widgets::prose::{Ink, Prose, Row};

/// `resource_explain`'s result, as far as it is shown.
#[derive(Debug, Deserialize)]
struct Explained {
    summary: String,
    findings: Vec<Finding>,
    #[serde(default)]
    unknown: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Finding {
    severity: String,
    what: String,
    evidence: Vec<String>,
    next: String,
    lead: Lead,
}

#[derive(Debug, Deserialize)]
struct Lead {
    view: String,
    kind: CompactString,
    #[serde(default)]
    namespace: CompactString,
    name: CompactString,
    #[serde(default)]
    container: CompactString,
}

pub struct ExplainPane {
    object: ObjectRef,
    asked: Option<Ticket>,
    explained: Option<Explained>,
    error: Option<Error>,
    read_at: Option<Timestamp>,
    cursor: usize,
    top: usize,
    /// The rows of all findings, and the first row of each.
    rows: Vec<Row>,
    starts: Vec<usize>,
    size: (u16, u16),
}

impl ExplainPane {
    pub fn new(object: ObjectRef) -> Self {
        Self {
            object,
            asked: None,
            explained: None,
            error: None,
            read_at: None,
            cursor: 0,
            top: 0,
            rows: Vec::new(),
            starts: Vec::new(),
            size: (0, 0),
        }
    }

    fn ask(&mut self, cx: &mut Cx<'_>) {
        if let Some(old) = self.asked.take() {
            cx.cancel(old);
        }
        self.asked = Some(cx.call(Request::new("resource_explain", self.object.arguments())));
    }

    fn finding(&self) -> Option<&Finding> {
        self.explained.as_ref()?.findings.get(self.cursor)
    }

    /// Where the finding under the cursor leads to, or without one the object itself.
    fn lead(&self) -> (ObjectRef, String, Option<CompactString>) {
        match self.finding() {
            Some(Finding { lead, .. }) => (
                ObjectRef::new(
                    self.object.cluster.clone(),
                    lead.kind.clone(),
                    lead.namespace.clone(),
                    lead.name.clone(),
                ),
                lead.view.clone(),
                Some(lead.container.clone()).filter(|c| !c.is_empty()),
            ),
            None => (self.object.clone(), "describe".to_owned(), None),
        }
    }

    fn go(&self, view: Option<&str>, cx: &mut Cx<'_>) {
        let (object, own, container) = self.lead();
        let logs = |previous| Route::Logs(LogTarget { objects: vec![object.clone()], container, previous });
        match view.unwrap_or(&own) {
            "logs" if object.plural() == "nodes" || object.plural() == "persistentvolumeclaims" => {
                cx.flash(Flash::info(format!("{} have no log", object.plural())));
            }
            "logs" => cx.go(logs(false)),
            "previous_logs" => cx.go(logs(true)),
            "events" => cx.go(Route::Events(object)),
            "yaml" => cx.go(Route::Text(TextKind::Yaml, object)),
            "explain" if object != self.object => cx.go(Route::Explain(object)),
            "explain" => cx.flash(Flash::info("this is what is explained here")),
            _ => cx.go(Route::Text(TextKind::Describe, object)),
        }
    }

    fn step(&mut self, by: isize) {
        let last = self.explained.as_ref().map_or(0, |e| e.findings.len()).saturating_sub(1);
        self.cursor = self.cursor.saturating_add_signed(by).min(last);
        self.show_cursor();
    }

    /// Scrolls so that the finding under the cursor is on the screen.
    fn show_cursor(&mut self) {
        let Some(first) = self.starts.get(self.cursor).copied() else { return };
        let end = self.starts.get(self.cursor + 1).copied().unwrap_or(self.rows.len());
        let room = usize::from(self.size.1).max(1);
        if end > self.top + room {
            self.top = end - room;
        }
        if first < self.top || (self.cursor == 0 && end <= room) {
            self.top = if self.cursor == 0 { 0 } else { first };
        }
    }

    fn make_rows(&mut self, width: u16) {
        let Some(explained) = &self.explained else { return };
        let mut p = Prose::new(width);
        let bad = explained.findings.iter().any(|f| f.severity != "info");
        let ink = if bad || !explained.unknown.is_empty() { Ink::Strong } else { Ink::Good };
        p.words((ink, ""), ink, &explained.summary);
        p.blank();
        let mut rows = p.done();
        self.starts.clear();
        for finding in &explained.findings {
            self.starts.push(rows.len());
            let (sign, ink) = match finding.severity.as_str() {
                "error" => ("✗ ", Ink::Error),
                "warning" => ("! ", Ink::Warning),
                _ => ("· ", Ink::Dim),
            };
            let mut p = Prose::new(width);
            p.words((ink, sign), ink, &finding.what);
            for evidence in &finding.evidence {
                p.words((Ink::Dim, "    "), Ink::Text, evidence);
            }
            p.words((Ink::Label, "    → "), Ink::Label, &finding.next);
            p.words((Ink::Key, "    ⏎ "), Ink::Dim, &leads_to(&finding.lead));
            p.blank();
            rows.extend(p.done());
        }
        if !explained.unknown.is_empty() {
            let mut p = Prose::new(width);
            p.words((Ink::Warning, "? "), Ink::Warning, "could not be read, so nothing is known of it:");
            for unknown in &explained.unknown {
                p.words((Ink::Dim, "    "), Ink::Text, unknown);
            }
            rows.extend(p.done());
        }
        self.rows = rows;
    }
}

/// `the last log of pod web-1, container main`
fn leads_to(lead: &Lead) -> String {
    let one = lead.kind.split('.').next().unwrap_or_default().trim_end_matches('s');
    let container =
        if lead.container.is_empty() { String::new() } else { format!(", container {}", lead.container) };
    let view = match lead.view.as_str() {
        "logs" => "the log of",
        "previous_logs" => "the log before the last restart of",
        "events" => "the events of",
        _ => "the description of",
    };
    format!("{view} {one} {}{container}", lead.name)
}

impl Pane for ExplainPane {
    fn name(&self) -> CompactString {
        "explain".into()
    }

    fn modes(&self) -> Vec<CompactString> {
        vec!["explain".into(), "list".into()]
    }

    fn title(&self, look: &Look<'_>) -> Line<'static> {
        let theme = look.theme;
        let subject = format!("{} {}", self.object.plural().trim_end_matches('s'), self.object.name);
        let mut spans = vec![
            Span::styled(" explain(", theme.title),
            Span::styled(sanitize(&subject).into_owned(), theme.title_highlight),
            Span::styled(")", theme.title),
        ];
        if let Some(explained) = &self.explained {
            let wrong = explained.findings.iter().filter(|f| f.severity != "info").count();
            spans.push(Span::styled(format!("[{wrong}]"), theme.title_counter));
        }
        if let (Some(at), None) = (self.read_at, self.asked) {
            let age = crate::rows::cell::age(look.now.as_second() - at.as_second());
            spans.push(Span::styled(format!(" as of {age} ago, ^r reads it again"), theme.dim));
        } else if self.asked.is_some() {
            spans.push(Span::styled(" looking…", theme.dim));
        }
        spans.push(Span::raw(" "));
        Line::from(spans)
    }

    fn start(&mut self, cx: &mut Cx<'_>) {
        self.ask(cx);
    }

    fn act(&mut self, action: &Action, cx: &mut Cx<'_>) -> Handled {
        match action.name {
            "up" => self.step(-1),
            "down" => self.step(1),
            "page_up" => self.step(-5),
            "page_down" => self.step(5),
            "top" => self.step(isize::MIN / 2),
            "bottom" => self.step(isize::MAX / 2),
            "refresh" => self.ask(cx),
            "enter" => self.go(None, cx),
            "describe" => self.go(Some("describe"), cx),
            "yaml" => self.go(Some("yaml"), cx),
            "events" => self.go(Some("events"), cx),
            "logs" => self.go(Some("logs"), cx),
            "logs_previous" => self.go(Some("previous_logs"), cx),
            "explain" => self.go(Some("explain"), cx),
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn receive(&mut self, message: Message, cx: &mut Cx<'_>) {
        let Message::Reply { ticket, result } = message else { return };
        if self.asked.take_if(|t| *t == ticket).is_none() {
            return;
        }
        match result {
            Ok(Reply::Done { output, .. }) => match serde_json::from_value(output) {
                Ok(explained) => {
                    self.explained = Some(explained);
                    self.error = None;
                    self.read_at = Some(cx.now);
                    let width = self.size.0;
                    self.make_rows(width.max(20));
                    self.step(0);
                }
                Err(error) => self.error = Some(Error::internal(error)),
            },
            Ok(Reply::Held(held)) => self.error = Some(Error::unavailable(held.reason)),
            Err(error) => self.error = Some(error),
        }
    }

    fn command(&self) -> Option<String> {
        None
    }

    fn layout(&mut self, area: Rect, _now: Timestamp) {
        let size = (area.width.saturating_sub(2), area.height);
        if self.size.0 != size.0 {
            self.make_rows(size.0);
        }
        if self.size != size {
            self.size = size;
            self.show_cursor();
        }
    }

    fn render(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        if let Some(error) = &self.error {
            let next = format!("{} Ctrl-r tries again.", error.next_step());
            return words::instead(&error.message, &next, look, area, buf);
        }
        if self.explained.is_none() {
            let what = format!("looking at {} and what stands around it…", self.object.name);
            return words::instead(&what, "events, pods, node, volumes", look, area, buf);
        }
        let start = self.starts.get(self.cursor).copied();
        let end = self.starts.get(self.cursor + 1).copied().unwrap_or(self.rows.len());
        for (y, (at, row)) in (area.y..area.bottom()).zip(self.rows.iter().enumerate().skip(self.top)) {
            row.compose(look.theme).draw(buf, area.x + 2, y, area.width.saturating_sub(2), 0);
            if start.is_some_and(|s| (s..end).contains(&at)) && !row.0.is_empty() {
                buf.set_stringn(area.x, y, "▌", 1, look.theme.title_highlight);
            }
        }
    }

    fn wake(&self, now: Timestamp) -> Option<Timestamp> {
        let at = self.read_at?;
        let next = crate::rows::cell::age_changes_in(now.as_second() - at.as_second());
        Timestamp::from_second(now.as_second() + next.max(1)).ok()
    }

    fn focus(&self) -> PaneFocus {
        let (object, ..) = self.lead();
        let mut selected = object.arguments();
        if let Some(finding) = self.finding() {
            selected["field"] = json!(finding.what);
        }
        PaneFocus {
            cluster: Some(self.object.cluster.to_string()),
            namespace: Some(self.object.namespace.to_string()),
            kind: Some(self.object.kind.to_string()),
            selected: Some(selected),
            ..PaneFocus::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::effect::Effect;
    use crate::tui::panes::testing::Stage;

    fn explained() -> serde_json::Value {
        let lead = |view: &str, container: &str| {
            json!({"view": view, "kind": "pods", "namespace": "shop",
            "name": "web-1", "container": container})
        };
        json!({
            "summary": "1 of 3 pods are ready (and 1 more findings)",
            "findings": [
                {"severity": "error", "what": "2 of 3 pods, web-1 for one: container main takes more memory than its limit of 32Mi and is killed for it",
                    "evidence": ["ended 2m ago with OOMKilled (exit code 137), after 4 s", "7 restarts; requests 16Mi"],
                    "next": "Raise the limit, or find out what takes the memory.", "lead": lead("previous_logs", "main")},
                {"severity": "warning", "what": "1 of 3 pods are ready", "evidence": [], "next": "The findings about its pods say why.",
                    "lead": lead("describe", "")}
            ],
            "unknown": ["nodes a: forbidden"]
        })
    }

    #[test]
    fn findings_are_shown_with_their_evidence_and_lead_on() {
        let mut stage = Stage::new(vec![]);
        let mut pane = ExplainPane::new(ObjectRef::new("eu-1", "deployments.apps", "shop", "web"));
        stage.with(|cx| pane.start(cx));
        assert!(stage.frame(&mut pane, 80, 24).contains("looking at web"));
        let (ticket, request) = stage.calls().pop().unwrap();
        assert_eq!(request.operation, "resource_explain");
        stage.answer(&mut pane, ticket, explained());
        insta::assert_snapshot!(stage.frame(&mut pane, 80, 24));
        stage.act(&mut pane, "enter");
        let gone = |stage: &mut Stage| match stage.effects.pop() {
            Some(Effect::Go(route)) => route,
            _ => panic!("it leads nowhere"),
        };
        let Route::Logs(target) = gone(&mut stage) else { panic!("the log before the last restart") };
        assert!(target.previous && target.container.as_deref() == Some("main"));
        stage.act(&mut pane, "down");
        stage.act(&mut pane, "enter");
        assert!(matches!(gone(&mut stage), Route::Text(TextKind::Describe, _)));
        stage.act(&mut pane, "events");
        assert!(matches!(gone(&mut stage), Route::Events(_)));
    }
}
