//! A change of many things while it goes on: how each fares, what is left, and the key that stops it.

use compact_str::CompactString;
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use serde_json::json;

use crate::base::ids::CallId;
use crate::base::{Error, SafeText};
use crate::bus::{CallEvent, CallPhase, Event, Item, ItemState};
use crate::gate::Request;
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash, Message, Ticket};
use crate::tui::pane::{Handled, Look, Pane};
use crate::tui::widgets::composed::Composed;
use crate::tui::widgets::dialog;
use crate::tui::widgets::prose::{Ink, Prose};

/// Rows of the dialog that are not the list: bar, blank, and what it came to.
const AROUND: u16 = 6;

pub struct ProgressPane {
    operation: String,
    label: String,
    call: Option<CallId>,
    items: Vec<Item>,
    done: u64,
    total: Option<u64>,
    since: Option<Timestamp>,
    /// When it was over, and why it failed if it did.
    over: Option<(Timestamp, Option<Error>)>,
    stopping: bool,
    stop: Option<Ticket>,
    /// Events were missed: the list may not be whole.
    missed: bool,
    top: usize,
    rows: usize,
}

impl ProgressPane {
    /// Follows the next call of `operation` by whoever sits here.
    pub fn new(operation: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            operation: operation.into(),
            label: label.into(),
            call: None,
            items: Vec::new(),
            done: 0,
            total: None,
            since: None,
            over: None,
            stopping: false,
            stop: None,
            missed: false,
            top: 0,
            rows: 1,
        }
    }

    fn heard(&mut self, event: &CallEvent, cx: &Cx<'_>) {
        match self.call {
            None => {
                let own = event.operation == self.operation && event.actor.same_as(&cx.shared.actor);
                if own && matches!(event.phase, CallPhase::Started | CallPhase::Denied { .. }) {
                    self.call = Some(event.call);
                    self.since = Some(event.at);
                }
            }
            Some(call) if call != event.call => return,
            Some(_) => {}
        }
        if self.call != Some(event.call) {
            return;
        }
        match &event.phase {
            CallPhase::Progress { done, total, item, .. } => {
                self.done = self.done.max(*done);
                self.total = total.or(self.total);
                if let Some(item) = item {
                    self.take(item);
                }
            }
            CallPhase::Succeeded { .. } => self.over = Some((event.at, None)),
            CallPhase::Failed { error, .. } | CallPhase::Denied { error } => {
                self.over = Some((event.at, Some(error.clone())));
            }
            CallPhase::Started | CallPhase::Held { .. } => {}
        }
    }

    fn take(&mut self, item: &Item) {
        match self.items.iter_mut().find(|i| i.name == item.name) {
            Some(known) => known.clone_from(item),
            None => self.items.push(item.clone()),
        }
    }

    fn ask_to_stop(&mut self, cx: &mut Cx<'_>) {
        let Some(call) = self.call else { return };
        if !self.stopping {
            self.stopping = true;
            self.stop = Some(cx.call(Request::new("call_stop", json!({ "call": call }))));
        }
    }

    fn count(&self, state: ItemState) -> usize {
        self.items.iter().filter(|i| i.state == state).count()
    }

    /// What is wrong or goes on first, what is done last; each group in its order.
    fn ordered(&self) -> Vec<&Item> {
        let mut all: Vec<&Item> = self.items.iter().collect();
        all.sort_by_key(|i| match i.state {
            ItemState::Failed => 0,
            ItemState::Running => 1,
            ItemState::Waiting => 2,
            ItemState::Skipped => 3,
            ItemState::Done => 4,
        });
        all
    }

    fn scroll(&mut self, by: isize) {
        let last = self.items.len().saturating_sub(self.rows);
        self.top = self.top.saturating_add_signed(by).min(last);
    }

    /// `3 done, 1 failed, 2 waiting`
    fn counts(&self) -> String {
        let states =
            [ItemState::Done, ItemState::Running, ItemState::Waiting, ItemState::Failed, ItemState::Skipped];
        let words: Vec<String> = states
            .iter()
            .map(|s| (self.count(*s), s.as_str()))
            .filter(|(n, _)| *n > 0)
            .map(|(n, word)| format!("{n} {word}"))
            .collect();
        words.join(", ")
    }

    fn summary(&self, width: u16) -> Vec<crate::tui::widgets::prose::Row> {
        let mut p = Prose::new(width);
        match &self.over {
            Some((at, error)) => {
                let took = self.since.map_or(0.0, |since| at.duration_since(since).as_secs_f64());
                match error {
                    None => p.words(
                        (Ink::Good, ""),
                        Ink::Good,
                        &format!("over after {took:.1} s: {}", self.counts()),
                    ),
                    Some(error) => {
                        p.words((Ink::Error, ""), Ink::Error, &error.message);
                        p.words((Ink::Text, ""), Ink::Text, error.next_step());
                    }
                }
            }
            None if self.stopping => {
                p.words((Ink::Warning, ""), Ink::Warning, "stopping: what is under way ends first");
            }
            None => p.words((Ink::Dim, ""), Ink::Dim, &self.counts()),
        }
        if self.missed {
            p.words((Ink::Warning, ""), Ink::Warning, "some news was missed: :audit has all of it");
        }
        p.done()
    }

    fn bar(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        let theme = look.theme;
        let seconds = self.since.map_or(0, |since| {
            let until = self.over.as_ref().map_or(look.now, |(at, _)| *at);
            until.duration_since(since).as_secs().max(0)
        });
        let total = self.total.unwrap_or(0);
        let words = match total {
            0 => format!("{seconds} s"),
            total => format!("{} of {total}, {seconds} s", self.done.min(total)),
        };
        let room = area.width.saturating_sub(u16::try_from(words.len()).unwrap_or(0) + 1).min(60);
        let full = match total {
            0 => 0,
            total => u64::from(room) * self.done.min(total) / total,
        };
        let full = usize::try_from(full).unwrap_or(0);
        let mut line = Composed::new();
        line.push(&"━".repeat(full), theme.success);
        line.push(&"─".repeat(usize::from(room) - full), theme.dim);
        line.push(" ", theme.dialog);
        line.push(&words, theme.dialog_label);
        line.draw(buf, area.x, area.y, area.width, 0);
    }
}

impl Pane for ProgressPane {
    fn name(&self) -> CompactString {
        "progress".into()
    }

    fn modes(&self) -> Vec<CompactString> {
        vec![if self.over.is_some() { "ended".into() } else { "progress".into() }]
    }

    fn title(&self, look: &Look<'_>) -> Line<'static> {
        Line::styled(format!(" {} ", SafeText::new(&self.label)), look.theme.title)
    }

    fn act(&mut self, action: &Action, cx: &mut Cx<'_>) -> Handled {
        let page = isize::try_from(self.rows.max(2)).unwrap_or(2) - 1;
        match action.name {
            "stop" | "cancel" | "back" if self.over.is_none() => self.ask_to_stop(cx),
            "hide" => {
                cx.close();
                cx.flash(Flash::info(format!("{} goes on; its end is told here", self.label)));
            }
            "accept" if self.over.is_some() => cx.close(),
            "accept" => {}
            "up" => self.scroll(-1),
            "down" => self.scroll(1),
            "page_up" => self.scroll(-page),
            "page_down" => self.scroll(page),
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn receive(&mut self, message: Message, cx: &mut Cx<'_>) {
        match message {
            Message::Event(event) => match &*event {
                Event::Call(call) => self.heard(call, cx),
                Event::Resync { .. } => self.missed = true,
                _ => {}
            },
            Message::Reply { ticket, result: Err(error) } if self.stop == Some(ticket) => {
                self.stopping = false;
                cx.error(&error);
            }
            _ => {}
        }
    }

    fn layout(&mut self, area: Rect, _now: Timestamp) {
        self.rows = usize::from(dialog::inside(area).height.saturating_sub(AROUND)).max(1);
        self.scroll(0);
    }

    fn render(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        let theme = look.theme;
        dialog::frame(look, area, buf, self.title(look), Line::default(), &dialog::keys(look, &self.modes()));
        let inside = dialog::inside(area);
        if inside.height < AROUND {
            return;
        }
        self.bar(look, inside, buf);
        let items = self.ordered();
        for (row, item) in items.iter().skip(self.top).take(self.rows).enumerate() {
            let (sign, style) = match item.state {
                ItemState::Waiting => ("·", theme.dim),
                ItemState::Running => ("…", theme.info),
                ItemState::Done => ("✓", theme.success),
                ItemState::Skipped => ("⊘", theme.warning),
                ItemState::Failed => ("✗", theme.error),
            };
            let mut line = Composed::new();
            line.push(&format!("{sign} "), style);
            line.push(&item.name, theme.dialog);
            if !item.note.is_empty() {
                line.push(&format!("  {}", item.note.replace('\n', " ")), style);
            }
            let y = inside.y + 2 + u16::try_from(row).unwrap_or(0);
            line.draw(buf, inside.x, y, inside.width, 0);
        }
        if items.is_empty() && self.over.is_none() {
            buf.set_stringn(inside.x, inside.y + 2, "beginning…", usize::from(inside.width), theme.dim);
        }
        let left = items.len().saturating_sub(self.top + self.rows);
        let summary = self.summary(inside.width);
        let foot = inside.bottom().saturating_sub(AROUND - 3);
        if left > 0 {
            let text = format!("… {left} more below");
            buf.set_stringn(inside.x, foot - 1, text, usize::from(inside.width), theme.dim);
        }
        for (row, y) in summary.iter().zip(foot..inside.bottom()) {
            row.compose(theme).draw(buf, inside.x, y, inside.width, 0);
        }
    }

    fn place(&self, screen: Rect) -> Rect {
        let rows = u16::try_from(self.items.len().max(3)).unwrap_or(u16::MAX).min(24);
        dialog::centred(screen, screen.width.min(100), rows.saturating_add(AROUND + dialog::FRAME_ROWS))
    }

    fn wake(&self, now: Timestamp) -> Option<Timestamp> {
        if self.over.is_some() {
            return None;
        }
        Timestamp::from_second(now.as_second() + 1).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::base::Code;
    use crate::tui::panes::testing::Stage;

    fn say(stage: &mut Stage, pane: &mut ProgressPane, call: CallId, phase: CallPhase) {
        let event = CallEvent {
            call,
            actor: stage.shared.actor.clone(),
            operation: "node_drain".into(),
            target: "eu-1/node/a".into(),
            at: stage.now,
            phase,
        };
        stage.with(|cx| pane.receive(Message::Event(Arc::new(Event::Call(event))), cx));
    }

    fn item(name: &str, state: ItemState, note: &str) -> CallPhase {
        let item = Item { name: name.into(), state, note: note.into() };
        CallPhase::Progress { done: 1, total: Some(3), note: String::new(), item: Some(item) }
    }

    #[test]
    fn each_pod_is_followed_and_esc_stops_it() {
        let mut stage = Stage::new(vec![]);
        let mut pane = ProgressPane::new("node_drain", "drain node a");
        let call = CallId::new();
        say(&mut stage, &mut pane, CallId::new(), item("other/call", ItemState::Done, ""));
        say(&mut stage, &mut pane, call, CallPhase::Started);
        let held = "The disruption budget web needs 2 healthy pods and has 2 currently";
        say(&mut stage, &mut pane, call, item("shop/web-1", ItemState::Waiting, held));
        say(&mut stage, &mut pane, call, item("shop/web-2", ItemState::Running, "ends"));
        say(&mut stage, &mut pane, call, item("shop/api-1", ItemState::Done, ""));
        stage.now += std::time::Duration::from_secs(12);
        insta::assert_snapshot!(stage.frame(&mut pane, 80, 24));
        stage.act(&mut pane, "cancel");
        let (_, request) = stage.calls().pop().unwrap();
        assert_eq!((request.operation.as_str(), &request.arguments["call"]), ("call_stop", &json!(call)));
        stage.act(&mut pane, "cancel");
        assert!(stage.calls().is_empty(), "it is asked once");
        let error = Error::new(Code::Cancelled, "the drain of a was stopped: 1 of 3 pods are gone")
            .next("Drain it again to go on, or uncordon it to give up.");
        say(&mut stage, &mut pane, call, CallPhase::Failed { milliseconds: 9, error });
        let frame = stage.frame(&mut pane, 80, 24);
        assert!(frame.contains("1 of 3 pods are gone") && frame.contains("uncordon"), "{frame}");
        assert_eq!(stage.act(&mut pane, "cancel"), Handled::No, "Esc leaves what is over");
    }
}
