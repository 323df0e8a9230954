//! A question to the agents about what is under the cursor.

use compact_str::CompactString;
use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;
use serde_json::{Value, json};

use crate::base::SafeText;
use crate::gate::{Reply, Request};
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash, Message, Ticket};
use crate::tui::pane::{Handled, Look, Pane, PaneFocus};
use crate::tui::widgets::dialog;
use crate::tui::widgets::input::Input;

/// A question is a few sentences; what is longer belongs into a file that it names.
const LONGEST: usize = 2_000;

pub struct AskPane {
    /// `{cluster, namespace, kind, name, field?}`, as the focus has it.
    about: Option<Value>,
    input: Input,
    send: Option<Ticket>,
}

impl AskPane {
    /// About what the pane below has selected.
    pub fn new(focus: &PaneFocus) -> Self {
        Self { about: focus.selected.clone(), input: Input::default().at_most(LONGEST), send: None }
    }

    fn subject(&self) -> String {
        let text = |field: &str| {
            self.about.as_ref().and_then(|a| a[field].as_str()).filter(|t| !t.is_empty()).map(str::to_owned)
        };
        let parts: Vec<String> =
            ["cluster", "namespace", "kind", "name"].iter().filter_map(|f| text(f)).collect();
        if parts.is_empty() { "what is on the screen".to_owned() } else { parts.join(" / ") }
    }

    fn send(&mut self, cx: &mut Cx<'_>) {
        if self.send.is_some() {
            return;
        }
        let text = self.input.text().trim();
        if text.is_empty() {
            self.input.refuse("type the question first");
            return;
        }
        let mut arguments = json!({ "text": text, "kind": "ask" });
        if let Some(about) = &self.about {
            arguments["about"] = about.clone();
        }
        self.send = Some(cx.call(Request::new("message_send", arguments)));
    }

    fn field(area: Rect) -> Rect {
        let inside = dialog::inside(area);
        Rect { y: inside.y + 1, height: 1, ..inside }
    }
}

impl Pane for AskPane {
    fn name(&self) -> CompactString {
        "ask".into()
    }

    fn modes(&self) -> Vec<CompactString> {
        vec!["ask".into()]
    }

    fn title(&self, look: &Look<'_>) -> Line<'static> {
        Line::styled(" ask the agents ", look.theme.title)
    }

    fn act(&mut self, action: &Action, cx: &mut Cx<'_>) -> Handled {
        if action.name != "accept" {
            return Handled::No;
        }
        self.send(cx);
        Handled::Yes
    }

    fn text(&mut self, key: KeyEvent, _cx: &mut Cx<'_>) -> Handled {
        if self.input.key(key) { Handled::Yes } else { Handled::No }
    }

    fn paste(&mut self, text: &str, _cx: &mut Cx<'_>) -> Handled {
        self.input.paste(text);
        Handled::Yes
    }

    fn receive(&mut self, message: Message, cx: &mut Cx<'_>) {
        let Message::Reply { ticket, result } = message else { return };
        if self.send != Some(ticket) {
            return;
        }
        self.send = None;
        match result {
            Ok(Reply::Done { output, .. }) => {
                let present = output["present"].as_u64().unwrap_or_default();
                cx.flash(match present {
                    0 => Flash::warning("asked, but no agent is here to answer")
                        .next("An assistant joins by `qd mcp` and finds the question."),
                    1 => Flash::info("asked: one agent is here"),
                    n => Flash::info(format!("asked: {n} agents are here")),
                });
                cx.close();
            }
            Ok(Reply::Held(held)) => cx.flash(Flash::warning(held.reason)),
            Err(error) => cx.error(&error),
        }
    }

    fn render(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        dialog::frame(look, area, buf, self.title(look), Line::default(), &dialog::keys(look, &self.modes()));
        let inside = dialog::inside(area);
        let about = SafeText::new(&format!("about {}", self.subject()));
        buf.set_stringn(inside.x, inside.y, &*about, usize::from(inside.width), look.theme.dialog_label);
        self.input.draw(Self::field(area), buf, look.theme.dialog_field, look.theme);
    }

    fn cursor(&self, area: Rect) -> Option<Position> {
        Some(self.input.cursor(Self::field(area)))
    }

    fn place(&self, screen: Rect) -> Rect {
        dialog::centred(screen, 72, dialog::FRAME_ROWS + 3)
    }
}
