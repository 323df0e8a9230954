//! The built-in editor, for when no `$KUBE_EDITOR`, `$VISUAL` or `$EDITOR` is set, or the screen is not a terminal's own.
//!
//! The text and its history are `ratatui-textarea`'s; drawing is ours, because what is edited comes from outside and
//! must be harmless on the screen, whole in the file. Nothing is lost: YAML that does not parse is not taken
//! but shown with its line, and leaving a changed text needs a second Esc.

use compact_str::CompactString;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseEvent, MouseEventKind};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use tui_textarea::{CursorMove, TextArea};

use super::text::colour;
use super::yaml;
use crate::base::SafeText;
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Message, Ticket};
use crate::tui::pane::{Handled, Look, Pane};
use crate::tui::widgets::composed::Composed;
use crate::tui::widgets::dialog;
use crate::tui::widgets::input::Input;

/// Steps that can be undone.
const HISTORY: usize = 1_000;
/// Rows that the wheel moves.
const WHEEL: isize = 3;

pub struct EditorPane {
    /// Whoever asked for the text waits under it.
    ticket: Ticket,
    before: String,
    area: TextArea<'static>,
    is_yaml: bool,
    /// First line and first cell on the screen.
    top: usize,
    left: usize,
    size: (usize, usize),
    find: Option<Input>,
    /// What was looked for last.
    looked_for: String,
    note: Option<String>,
    /// A line with a mistake, for as long as it is not touched.
    wrong: Option<usize>,
    leaving: bool,
}

impl EditorPane {
    /// `at`: the line and the character to begin at. Without them it is the first value below the comments at the top, if
    /// there are such.
    pub fn new(ticket: Ticket, text: &str, suffix: &str, at: Option<(usize, usize)>) -> Self {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut area = TextArea::new(lines);
        area.set_max_histories(HISTORY);
        area.set_tab_length(2);
        let mut pane = Self {
            ticket,
            before: text.to_owned(),
            area,
            is_yaml: matches!(suffix, ".yaml" | ".yml"),
            top: 0,
            left: 0,
            size: (80, 20),
            find: None,
            looked_for: String::new(),
            note: None,
            wrong: None,
            leaving: false,
        };
        match at {
            // A line without a place in it is begun at its words.
            Some((line, 0)) => {
                let indent = pane.area.lines().get(line).map_or(0, |l| l.len() - l.trim_start().len());
                pane.jump(line, indent);
            }
            Some((line, column)) => pane.jump(line, column),
            None => pane.pass_comments(),
        }
        // A text that comes back with a mistake is opened where the mistake is.
        pane.check();
        pane
    }

    fn pass_comments(&mut self) {
        let lines = self.area.lines();
        let Some(row) = lines.iter().position(|line| !line.starts_with('#')).filter(|row| *row > 0) else {
            return;
        };
        let value = lines[row].find(": ").map_or(0, |at| lines[row][..at + 2].chars().count());
        if self.is_yaml {
            self.jump(row, value);
        }
    }

    fn whole(&self) -> String {
        let mut text = self.area.lines().join("\n");
        text.push('\n');
        text
    }

    fn is_changed(&self) -> bool {
        let lines = self.area.lines();
        let mut before = self.before.lines();
        // An empty text is one empty line here and none there.
        let mut same = lines.iter().all(|line| before.next().unwrap_or_default() == line);
        same &= before.next().is_none();
        !same
    }

    /// Whether it is YAML; if not, the cursor goes to the line that is not.
    fn check(&mut self) -> bool {
        if !self.is_yaml {
            return true;
        }
        let Err(mistake) = yaml::check(&self.whole()) else {
            self.wrong = None;
            return true;
        };
        self.jump(mistake.line.saturating_sub(1), mistake.column.saturating_sub(1));
        self.wrong = Some(mistake.line.saturating_sub(1));
        self.note = Some(mistake.to_string());
        false
    }

    fn jump(&mut self, line: usize, column: usize) {
        let (row, column) =
            (u16::try_from(line).unwrap_or(u16::MAX), u16::try_from(column).unwrap_or(u16::MAX));
        self.area.move_cursor(CursorMove::Jump(row, column));
    }

    fn save(&mut self, cx: &mut Cx<'_>) {
        if !self.check() {
            return;
        }
        self.done(self.is_changed().then(|| self.whole()), cx);
    }

    fn leave(&mut self, cx: &mut Cx<'_>) {
        if self.is_changed() && !std::mem::replace(&mut self.leaving, true) {
            self.note = Some("Esc again throws your changes away".to_owned());
            return;
        }
        self.done(None, cx);
    }

    fn done(&self, text: Option<String>, cx: &mut Cx<'_>) {
        let at = self.area.cursor();
        cx.edited(self.ticket, Ok(text), (at.0, at.1));
    }

    /// To the next line that holds what is looked for, whatever the case; round at the end.
    fn look_for(&mut self, text: &str) {
        text.clone_into(&mut self.looked_for);
        let wanted = text.to_lowercase();
        if wanted.is_empty() {
            return;
        }
        let at = self.area.cursor();
        let (row, column) = (at.0, at.1);
        let lines = self.area.lines();
        let find = |line: &str, from: usize| {
            let lower = line.to_lowercase();
            let start = lower.char_indices().nth(from).map_or(lower.len(), |(i, _)| i);
            lower[start..].find(&wanted).map(|i| lower[..start + i].chars().count())
        };
        let here = find(&lines[row], column + 1).map(|c| (row, c));
        let found = here.or_else(|| {
            (1..=lines.len()).map(|i| (row + i) % lines.len()).find_map(|r| Some((r, find(&lines[r], 0)?)))
        });
        match found {
            Some((row, column)) => self.jump(row, column),
            None => self.note = Some(format!("{text:?} is not in the text")),
        }
    }

    /// A key of editing.
    fn edit(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            // As in every field of the console.
            KeyCode::Char('u') if control => self.area.delete_line_by_head(),
            KeyCode::Char('z' | 's' | 'y' | 'f' | 'c' | 'l' | 'g') if control => return false,
            KeyCode::Esc | KeyCode::F(_) => return false,
            KeyCode::Enter => {
                let at = self.area.cursor();
                let line = &self.area.lines()[at.0];
                let indent = line.chars().take(at.1).take_while(|c| *c == ' ').count();
                self.area.insert_newline();
                self.area.insert_str(" ".repeat(indent))
            }
            KeyCode::BackTab => {
                let line = &self.area.lines()[self.area.cursor().0];
                if line.starts_with("  ") {
                    let at = self.area.cursor();
                    self.jump(at.0, 0);
                    self.area.delete_str(2);
                    self.jump(at.0, at.1.saturating_sub(2));
                }
                true
            }
            KeyCode::PageUp => {
                self.move_rows(-self.page());
                true
            }
            KeyCode::PageDown => {
                self.move_rows(self.page());
                true
            }
            _ => self.area.input(key),
        };
        true
    }

    fn page(&self) -> isize {
        isize::try_from(self.size.1.max(2)).unwrap_or(2) - 1
    }

    fn move_rows(&mut self, rows: isize) {
        let at = self.area.cursor();
        let last = self.area.lines().len() - 1;
        self.jump(at.0.saturating_add_signed(rows).min(last), at.1);
    }

    /// The cell of a character of a line.
    fn cell(&self, row: usize, column: usize) -> usize {
        let line = self.area.lines().get(row).map(String::as_str).unwrap_or_default();
        let end = line.char_indices().nth(column).map_or(line.len(), |(i, _)| i);
        Composed::plain(&line[..end], Style::default()).width()
    }

    fn body(area: Rect) -> Rect {
        Rect {
            x: area.x + 1.min(area.width),
            y: area.y + 1.min(area.height),
            width: area.width.saturating_sub(2),
            height: area.height.saturating_sub(4),
        }
    }

    fn foot(area: Rect) -> Rect {
        Rect {
            x: area.x + 2.min(area.width),
            y: area.bottom().saturating_sub(3).max(area.y),
            width: area.width.saturating_sub(4),
            height: 1.min(area.height),
        }
    }

    /// Cells of the line numbers.
    fn gutter(&self) -> usize {
        self.area.lines().len().max(99).to_string().len() + 1
    }

    fn draw_line(&self, row: usize, y: u16, body: Rect, look: &Look<'_>, buf: &mut Buffer) {
        let Some(text) = self.area.lines().get(row) else { return };
        let theme = look.theme;
        let gutter = self.gutter();
        let number = format!("{:>width$} ", row + 1, width = gutter - 1);
        let style = if self.wrong == Some(row) { theme.error } else { theme.dim };
        buf.set_stringn(body.x, y, number, usize::from(body.width), style);
        let room = usize::from(body.width).saturating_sub(gutter);
        let limit = (self.left + room) * 4 + 64;
        let mut line =
            if self.is_yaml { colour::line(text, theme, limit) } else { Composed::plain(text, theme.body) };
        if !self.looked_for.is_empty() {
            let lower = line.text().to_lowercase();
            let found: Vec<_> = lower
                .match_indices(&self.looked_for.to_lowercase())
                .map(|(i, m)| i..i + m.len())
                .filter(|r| line.text().is_char_boundary(r.start) && line.text().is_char_boundary(r.end))
                .collect();
            for range in found {
                line.paint(range, theme.found);
            }
        }
        let x = body.x + u16::try_from(gutter).unwrap_or(0);
        let width = u16::try_from(room).unwrap_or(0);
        line.draw(buf, x, y, width, line.offset(self.left));
        self.draw_selection(row, Rect { x, y, width, height: 1 }, look, buf);
    }

    fn draw_selection(&self, row: usize, field: Rect, look: &Look<'_>, buf: &mut Buffer) {
        let Some((start, end)) = self.area.selection_range() else { return };
        if row < start.0 || row > end.0 {
            return;
        }
        let from = if row == start.0 { self.cell(row, start.1) } else { 0 };
        let to = if row == end.0 { self.cell(row, end.1) } else { self.cell(row, usize::MAX) + 1 };
        let clamp =
            |cell: usize| u16::try_from(cell.saturating_sub(self.left)).unwrap_or(u16::MAX).min(field.width);
        let (from, to) = (clamp(from), clamp(to));
        buf.set_style(Rect { x: field.x + from, width: to.saturating_sub(from), ..field }, look.theme.cursor);
    }
}

impl Pane for EditorPane {
    fn name(&self) -> CompactString {
        "editor".into()
    }

    fn modes(&self) -> Vec<CompactString> {
        vec![if self.find.is_some() { "finding" } else { "editor" }.into()]
    }

    fn title(&self, look: &Look<'_>) -> Line<'static> {
        let mut spans = vec![Span::styled(" edit ", look.theme.title)];
        if self.is_changed() {
            spans.push(Span::styled("changed ", look.theme.warning));
        }
        Line::from(spans)
    }

    fn act(&mut self, action: &Action, cx: &mut Cx<'_>) -> Handled {
        if let Some(input) = &self.find {
            match action.name {
                "accept" => {
                    let text = input.text().to_owned();
                    self.note = None;
                    self.look_for(&text);
                }
                _ => self.find = None,
            }
            return Handled::Yes;
        }
        self.note = None;
        match action.name {
            "save" => self.save(cx),
            "cancel" | "back" => self.leave(cx),
            "undo" if !self.area.undo() => self.note = Some("there is nothing more to undo".to_owned()),
            "redo" if !self.area.redo() => self.note = Some("there is nothing more to do again".to_owned()),
            "find" => self.find = Some(Input::offer(self.looked_for.clone())),
            "next_match" => {
                let text = self.looked_for.clone();
                self.look_for(&text);
            }
            "copy" => {
                self.area.copy();
                cx.copy(self.area.yank_text());
                self.note = Some("the selection is on the clipboard".to_owned());
            }
            // Nothing else may reach what lies below a text being edited.
            _ => {}
        }
        if action.name != "cancel" {
            self.leaving = false;
        }
        Handled::Yes
    }

    fn text(&mut self, key: KeyEvent, _cx: &mut Cx<'_>) -> Handled {
        if let Some(input) = &mut self.find {
            return if input.key(key) { Handled::Yes } else { Handled::No };
        }
        if !self.edit(key) {
            return Handled::No;
        }
        self.note = None;
        self.leaving = false;
        if self.wrong.is_some_and(|row| row == self.area.cursor().0) && matches!(key.code, KeyCode::Char(_)) {
            self.wrong = None;
        }
        Handled::Yes
    }

    fn paste(&mut self, text: &str, _cx: &mut Cx<'_>) -> Handled {
        match &mut self.find {
            Some(input) => input.paste(text),
            None => {
                self.area.insert_str(text.replace("\r\n", "\n").replace('\r', "\n"));
            }
        }
        self.leaving = false;
        Handled::Yes
    }

    fn mouse(&mut self, event: MouseEvent, area: Rect, _cx: &mut Cx<'_>) -> Handled {
        let last = self.area.lines().len().saturating_sub(1);
        match event.kind {
            MouseEventKind::ScrollUp => self.move_rows(-WHEEL),
            MouseEventKind::ScrollDown => self.move_rows(WHEEL),
            MouseEventKind::Down(_) => {
                let body = Self::body(area);
                if !body.contains(Position::new(event.column, event.row)) {
                    return Handled::No;
                }
                let row = (self.top + usize::from(event.row - body.y)).min(last);
                let cell = (usize::from(event.column - body.x) + self.left).saturating_sub(self.gutter());
                let column = (0..=self.area.lines()[row].chars().count())
                    .take_while(|c| self.cell(row, *c) <= cell)
                    .last()
                    .unwrap_or(0);
                self.jump(row, column);
            }
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn receive(&mut self, _message: Message, _cx: &mut Cx<'_>) {}

    fn layout(&mut self, area: Rect, _now: Timestamp) {
        let body = Self::body(area);
        let room = usize::from(body.width).saturating_sub(self.gutter()).max(1);
        self.size = (room, usize::from(body.height).max(1));
        let at = self.area.cursor();
        self.top = self.top.min(at.0).max((at.0 + 1).saturating_sub(self.size.1));
        let cell = self.cell(at.0, at.1);
        if cell < self.left {
            // A look at what stands before it, too.
            self.left = cell.saturating_sub(room / 2);
        } else if cell >= self.left + room {
            self.left = cell + 1 - room + room / 4;
        }
    }

    fn render(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        let at = self.area.cursor();
        let right = Line::styled(
            format!(" {}:{} of {} ", at.0 + 1, at.1 + 1, self.area.lines().len()),
            look.theme.title_counter,
        );
        dialog::frame(look, area, buf, self.title(look), right, &dialog::keys(look, &self.modes()));
        let body = Self::body(area);
        for (y, row) in (body.y..body.bottom()).zip(self.top..) {
            self.draw_line(row, y, body, look, buf);
        }
        let foot = Self::foot(area);
        if let Some(input) = &self.find {
            let (x, _) =
                buf.set_stringn(foot.x, foot.y, "find: ", usize::from(foot.width), look.theme.dialog_label);
            input.draw(
                Rect { x, width: foot.right().saturating_sub(x), ..foot },
                buf,
                look.theme.dialog_field,
                look.theme,
            );
        } else if let Some(note) = &self.note {
            let style = if self.wrong.is_some() { look.theme.error } else { look.theme.warning };
            buf.set_stringn(foot.x, foot.y, &*SafeText::new(note), usize::from(foot.width), style);
        }
    }

    fn cursor(&self, area: Rect) -> Option<Position> {
        if let Some(input) = &self.find {
            let foot = Self::foot(area);
            return Some(input.cursor(Rect { x: foot.x + 6, width: foot.width.saturating_sub(6), ..foot }));
        }
        let body = Self::body(area);
        let at = self.area.cursor();
        let cell =
            (self.cell(at.0, at.1).checked_sub(self.left)? + self.gutter()).min(usize::from(body.width));
        let row = at.0.checked_sub(self.top).filter(|row| *row < usize::from(body.height))?;
        Some(Position::new(body.x + u16::try_from(cell).ok()?, body.y + u16::try_from(row).ok()?))
    }

    fn place(&self, screen: Rect) -> Rect {
        // The header, the messages and the key bar stay.
        Rect { y: screen.y + 1.min(screen.height), height: screen.height.saturating_sub(3), ..screen }
    }
}

#[cfg(test)]
#[path = "editor_tests.rs"]
mod tests;
