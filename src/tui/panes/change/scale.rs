//! Asks for the number of pods wanted.

use compact_str::CompactString;
use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;
use serde_json::json;

use super::{ConfirmPane, step};
use crate::base::SafeText;
use crate::gate::Effect;
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Message};
use crate::tui::object::ObjectRef;
use crate::tui::pane::{Handled, Look, Pane};
use crate::tui::widgets::dialog;
use crate::tui::widgets::input::Input;

/// More pods than any cluster has.
const DIGITS: usize = 6;

pub struct ScalePane {
    objects: Vec<ObjectRef>,
    input: Input,
    left_out: Option<String>,
}

impl ScalePane {
    pub fn new(objects: Vec<ObjectRef>, replicas: Option<u32>, left_out: Option<String>) -> Self {
        let input = replicas.map(|n| Input::offer(n.to_string())).unwrap_or_default();
        Self { objects, input: input.digits().at_most(DIGITS), left_out }
    }

    fn accept(&mut self, cx: &mut Cx<'_>) {
        let Ok(replicas) = self.input.text().trim().parse::<u32>() else {
            self.input.refuse("a whole number, such as 3");
            return;
        };
        let steps = self.objects.iter().filter_map(|o| step("scale", o).ok()).map(|mut step| {
            step.request.arguments["replicas"] = json!(replicas);
            step.label = format!("{} to {replicas}", step.label);
            step
        });
        let confirm = ConfirmPane::new(Effect::Change, steps.collect()).leaving_out(self.left_out.take());
        cx.close();
        cx.layer(Box::new(confirm));
    }

    fn field(area: Rect) -> Rect {
        let inside = dialog::inside(area);
        Rect {
            x: inside.x + 10.min(inside.width),
            width: inside.width.saturating_sub(10),
            height: 1,
            ..inside
        }
    }
}

impl Pane for ScalePane {
    fn name(&self) -> CompactString {
        "scale".into()
    }

    fn modes(&self) -> Vec<CompactString> {
        vec!["scale".into()]
    }

    fn title(&self, look: &Look<'_>) -> Line<'static> {
        let what = match self.objects.as_slice() {
            [one] => format!("{} {}", one.plural(), one.name),
            several => format!("{} objects", several.len()),
        };
        Line::styled(format!(" scale {} ", SafeText::new(&what)), look.theme.title)
    }

    fn act(&mut self, action: &Action, cx: &mut Cx<'_>) -> Handled {
        if action.name != "accept" {
            return Handled::No;
        }
        self.accept(cx);
        Handled::Yes
    }

    fn text(&mut self, key: KeyEvent, _cx: &mut Cx<'_>) -> Handled {
        if self.input.key(key) { Handled::Yes } else { Handled::No }
    }

    fn paste(&mut self, text: &str, _cx: &mut Cx<'_>) -> Handled {
        self.input.paste(text);
        Handled::Yes
    }

    fn receive(&mut self, _message: Message, _cx: &mut Cx<'_>) {}

    fn render(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        dialog::frame(look, area, buf, self.title(look), Line::default(), &dialog::keys(look, &self.modes()));
        let inside = dialog::inside(area);
        buf.set_stringn(inside.x, inside.y, "replicas", usize::from(inside.width), look.theme.dialog_label);
        self.input.draw(Self::field(area), buf, look.theme.dialog_field, look.theme);
    }

    fn cursor(&self, area: Rect) -> Option<Position> {
        Some(self.input.cursor(Self::field(area)))
    }

    fn place(&self, screen: Rect) -> Rect {
        dialog::centred(screen, 50, dialog::FRAME_ROWS + 1)
    }
}
