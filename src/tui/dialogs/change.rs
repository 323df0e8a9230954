//! A change that the operator asked for by a key: what it would do, and a button to do it.

use std::time::Duration;

use compact_str::CompactString;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::Line;
use serde_json::json;

use super::{buttons, centred, frame};
use crate::base::text::sanitize;
use crate::base::{Error, Result};
use crate::gate::{DiffOp, Preview, Request};
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Message, Ticket};
use crate::tui::object::ObjectRef;
use crate::tui::pane::{Handled, Look, Pane};

/// How long after the last key a new preview is asked for.
const REST: Duration = Duration::from_millis(200);

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    Delete,
    /// Delete without waiting.
    Kill,
    Restart,
    Scale,
}

/// The dialog. Deleting has "cancel" in focus, the others their verb.
pub struct Change {
    kind: ChangeKind,
    objects: Vec<ObjectRef>,
    /// The number of replicas, while it is typed.
    field: String,
    preview: Option<Result<Preview>>,
    asked: Option<Ticket>,
    timer: Option<Ticket>,
    accept: bool,
    scroll: usize,
}

impl Change {
    /// For one or several objects of one kind. `replicas` fills the field of a scale.
    pub fn new(kind: ChangeKind, objects: Vec<ObjectRef>, replicas: Option<u32>) -> Self {
        let accept = matches!(kind, ChangeKind::Restart | ChangeKind::Scale);
        let field = replicas.map(|n| n.to_string()).unwrap_or_default();
        Self { kind, objects, field, preview: None, asked: None, timer: None, accept, scroll: 0 }
    }

    fn verb(&self) -> &'static str {
        match self.kind {
            ChangeKind::Delete => "delete",
            ChangeKind::Kill => "kill",
            ChangeKind::Restart => "restart",
            ChangeKind::Scale => "scale",
        }
    }

    /// The call for one object; an error in the field is one of the operator's.
    fn request(&self, object: &ObjectRef) -> Result<Request> {
        let mut arguments = object.arguments();
        let noun = object.plural().strip_suffix('s').unwrap_or(object.plural()).to_owned();
        let operation = match self.kind {
            ChangeKind::Delete => "resource_delete".to_owned(),
            ChangeKind::Kill => {
                arguments["force"] = json!(true);
                "resource_delete".to_owned()
            }
            ChangeKind::Restart => format!("{noun}_restart"),
            ChangeKind::Scale => {
                let replicas: u32 = self
                    .field
                    .parse()
                    .map_err(|_| Error::invalid("how many replicas?").next("Type a number."))?;
                arguments["replicas"] = json!(replicas);
                format!("{noun}_scale")
            }
        };
        if operation != "resource_delete"
            && let Some(map) = arguments.as_object_mut()
        {
            // The operation's name says the kind.
            map.remove("kind");
        }
        Ok(Request::new(operation, arguments))
    }

    fn ask(&mut self, cx: &mut Cx<'_>) {
        self.scroll = 0;
        self.asked = None;
        self.preview = None;
        let [object] = self.objects.as_slice() else { return };
        match self.request(object) {
            Ok(request) => self.asked = Some(cx.preview(request)),
            Err(error) => self.preview = Some(Err(error)),
        }
    }

    fn go(&mut self, cx: &mut Cx<'_>) {
        let mut requests = Vec::new();
        for object in &self.objects {
            match self.request(object) {
                Ok(mut request) => {
                    // What was shown is what is done: another state of the object is a conflict.
                    if let Some(Ok(preview)) = &self.preview {
                        request.expect.clone_from(&preview.version);
                    }
                    requests.push((request, format!("{} {} {}", self.verb(), object.plural(), object.name)));
                }
                Err(error) => {
                    self.preview = Some(Err(error));
                    return;
                }
            }
        }
        for (request, label) in requests {
            cx.run(request, label);
        }
        cx.close();
    }

    fn lines(&self, look: &Look<'_>) -> Vec<(String, Style)> {
        let theme = look.theme;
        let mut lines = Vec::new();
        if self.objects.len() > 1 {
            lines.extend(self.objects.iter().map(|o| (path(o), theme.dialog)));
            return lines;
        }
        match &self.preview {
            None if self.asked.is_some() => {
                lines.push(("asking the server what it would do…".to_owned(), theme.dim))
            }
            None => {}
            Some(Err(error)) => {
                lines.push((error.message.clone(), theme.error));
                lines.push((error.next_step().to_owned(), theme.dialog));
            }
            Some(Ok(preview)) => {
                for line in &preview.diff.lines {
                    let (sign, style) = match line.op {
                        DiffOp::Same => (' ', theme.dialog),
                        DiffOp::Removed => ('-', theme.diff_removed),
                        DiffOp::Added => ('+', theme.diff_added),
                        DiffOp::Hunk => ('@', theme.diff_hunk),
                    };
                    lines.push((format!("{sign} {}", line.text), style));
                }
                lines.extend(preview.warnings.iter().map(|t| (format!("! {t}"), theme.warning)));
                lines.extend(preview.affects.iter().map(|t| (format!("affects {t}"), theme.dialog)));
                lines.extend(preview.checks.iter().map(|t| (format!("checked {t}"), theme.dim)));
                lines.extend(preview.equivalent.iter().map(|t| (format!("as: {t}"), theme.dim)));
            }
        }
        lines
    }

    fn field_line(&self) -> bool {
        self.kind == ChangeKind::Scale
    }
}

fn path(object: &ObjectRef) -> String {
    let parts = [object.cluster.as_str(), object.namespace.as_str(), object.plural(), object.name.as_str()];
    parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join(" / ")
}

impl Pane for Change {
    fn name(&self) -> CompactString {
        self.verb().into()
    }

    fn modes(&self) -> Vec<CompactString> {
        Vec::new()
    }

    fn title(&self, look: &Look<'_>) -> Line<'static> {
        let what = match self.objects.as_slice() {
            [one] => path(one),
            several => format!("{} {}", several.len(), several.first().map_or("objects", |o| o.plural())),
        };
        Line::styled(format!(" {} {} ", self.verb(), sanitize(&what)), look.theme.dialog_label)
    }

    fn start(&mut self, cx: &mut Cx<'_>) {
        self.ask(cx);
    }

    fn text(&mut self, key: KeyEvent, cx: &mut Cx<'_>) -> Handled {
        if key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) {
            return Handled::No;
        }
        match key.code {
            KeyCode::Char(digit @ '0'..='9') if self.field_line() && self.field.len() < 6 => {
                self.field.push(digit)
            }
            KeyCode::Backspace if self.field_line() => {
                self.field.pop();
            }
            KeyCode::Left | KeyCode::Right => {
                self.accept = !self.accept;
                return Handled::Yes;
            }
            KeyCode::Char('y') => {
                self.go(cx);
                return Handled::Yes;
            }
            KeyCode::Char('n' | 'q') => {
                cx.close();
                return Handled::Yes;
            }
            _ => return Handled::No,
        }
        self.accept = true;
        self.timer = Some(cx.after(REST));
        Handled::Yes
    }

    fn act(&mut self, action: &Action, cx: &mut Cx<'_>) -> Handled {
        match action.name {
            "tab" | "tab_back" => self.accept = !self.accept,
            "up" => self.scroll = self.scroll.saturating_sub(1),
            "down" => self.scroll += 1,
            "accept" if self.accept => self.go(cx),
            "accept" | "cancel" | "back" => cx.close(),
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn receive(&mut self, message: Message, cx: &mut Cx<'_>) {
        match message {
            Message::Preview { ticket, result } if self.asked == Some(ticket) => {
                self.asked = None;
                self.preview = Some(result);
            }
            Message::Timer { ticket } if self.timer == Some(ticket) => self.ask(cx),
            _ => {}
        }
    }

    fn place(&self, screen: Rect) -> Rect {
        let rows = match &self.preview {
            Some(Ok(preview)) => {
                preview.diff.lines.len()
                    + preview.affects.len()
                    + preview.checks.len()
                    + preview.warnings.len()
                    + 1
            }
            _ => self.objects.len().max(3),
        };
        let height = u16::try_from(rows).unwrap_or(u16::MAX).saturating_add(6 + u16::from(self.field_line()));
        centred(screen, 90, height.clamp(9, screen.height.saturating_sub(2).max(9)))
    }

    fn layout(&mut self, area: Rect, _: jiff::Timestamp) {
        // Border, field, buttons and the space before them.
        let room = usize::from(area.height.saturating_sub(4 + u16::from(self.field_line())));
        let lines = match &self.preview {
            Some(Ok(preview)) => preview.diff.lines.len() + preview.affects.len() + preview.checks.len() + 1,
            _ => self.objects.len(),
        };
        self.scroll = self.scroll.min(lines.saturating_sub(room));
    }

    fn render(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        let mut inner = frame(look, self.title(look), area, buf);
        let last = Rect { y: inner.bottom().saturating_sub(1), height: 1, ..inner };
        if self.field_line() && inner.height > 2 {
            let (x, _) = buf.set_stringn(
                inner.x,
                inner.y,
                "replicas ",
                usize::from(inner.width),
                look.theme.dialog_label,
            );
            buf.set_stringn(
                x,
                inner.y,
                format!("{:<7}", self.field),
                7,
                look.theme.dialog_field.add_modifier(ratatui::style::Modifier::UNDERLINED),
            );
            inner.y += 1;
            inner.height -= 1;
        }
        let lines = self.lines(look);
        let room = inner.height.saturating_sub(2);
        for (row, (text, style)) in (0..room).zip(lines.iter().skip(self.scroll)) {
            buf.set_stringn(inner.x, inner.y + row, sanitize(text), usize::from(inner.width), *style);
        }
        let more = lines.len().saturating_sub(self.scroll + usize::from(room));
        if more > 0 {
            let text = format!("… {more} more lines, ↓");
            buf.set_stringn(inner.x, inner.y + room, text, usize::from(inner.width), look.theme.dim);
        }
        buttons(look, &["cancel", self.verb()], usize::from(self.accept), last, buf);
    }

    fn cursor(&self, area: Rect) -> Option<Position> {
        self.field_line().then(|| Position { x: area.x + 2 + 9 + self.field.len() as u16, y: area.y + 1 })
    }
}
