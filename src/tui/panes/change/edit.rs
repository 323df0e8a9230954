//! Opens an object's manifest, or a Secret's values, in the editor; what comes back is shown as a difference and
//! confirmed.

use compact_str::CompactString;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::ConfirmPane;
use super::editing::{Editing, What};
use crate::base::SafeText;
use crate::gate::Reply;
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash, Message, Ticket};
use crate::tui::object::ObjectRef;
use crate::tui::pane::{Handled, Look, Pane};
use crate::tui::widgets::dialog;

pub struct EditPane {
    object: ObjectRef,
    what: What,
    /// The text as it was read.
    base: String,
    get: Option<Ticket>,
    edit: Option<Ticket>,
}

impl EditPane {
    pub fn new(object: ObjectRef) -> Self {
        Self { object, what: What::Manifest, base: String::new(), get: None, edit: None }
    }

    /// The values of a Secret, decoded.
    pub fn values(object: ObjectRef) -> Self {
        Self { what: What::Values { revision: String::new() }, ..Self::new(object) }
    }
}

impl Pane for EditPane {
    fn name(&self) -> CompactString {
        "edit".into()
    }

    fn modes(&self) -> Vec<CompactString> {
        vec!["edit".into()]
    }

    fn title(&self, look: &Look<'_>) -> Line<'static> {
        Line::styled(format!(" edit {} ", SafeText::new(&self.object.name)), look.theme.title)
    }

    fn start(&mut self, cx: &mut Cx<'_>) {
        self.get = Some(cx.call(self.what.question(&self.object)));
    }

    fn act(&mut self, _action: &Action, _cx: &mut Cx<'_>) -> Handled {
        Handled::No
    }

    fn receive(&mut self, message: Message, cx: &mut Cx<'_>) {
        match message {
            Message::Reply { ticket, result } if self.get == Some(ticket) => match result {
                Ok(Reply::Done { output, .. }) => {
                    self.base = self.what.text(&self.object, &output);
                    self.edit = Some(cx.editor(self.base.clone(), ".yaml"));
                }
                Ok(Reply::Held(held)) => {
                    cx.flash(Flash::warning(held.reason));
                    cx.close();
                }
                Err(error) => {
                    cx.error(&error);
                    cx.close();
                }
            },
            Message::Edited { ticket, result } if self.edit == Some(ticket) => {
                cx.close();
                match result {
                    Ok(Some(text)) => {
                        let (what, base) = (self.what.clone(), std::mem::take(&mut self.base));
                        let edit = Editing::new(self.object.clone(), what, base, text);
                        cx.layer(Box::new(ConfirmPane::edit(edit)));
                    }
                    Ok(None) => cx.flash(Flash::info("nothing was changed")),
                    Err(error) => cx.error(&error),
                }
            }
            _ => {}
        }
    }

    fn render(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        dialog::frame(look, area, buf, self.title(look), Line::default(), &dialog::keys(look, &self.modes()));
        let inside = dialog::inside(area);
        buf.set_stringn(inside.x, inside.y, "reading the object…", usize::from(inside.width), look.theme.dim);
    }

    fn place(&self, screen: Rect) -> Rect {
        dialog::centred(screen, 50, dialog::FRAME_ROWS + 1)
    }
}
