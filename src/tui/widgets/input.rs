//! The one field of the console: a line of text being typed, in prompts, dialogs and forms alike.
//!
//! It knows the keys of a shell's line (Ctrl-a, Ctrl-e, Ctrl-u, Ctrl-k, Ctrl-w, Alt-b, Alt-f), what it may
//! hold (digits alone, so many characters), and says beside the text what it did not take. What the console
//! has put there itself is offered: the first character typed takes its place, a movement keeps it.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

use super::composed::Composed;
use crate::base::text::is_harmful;
use crate::tui::theme::Theme;

/// More characters than this are nobody's typing: a file pasted by mistake must not fill a field.
const MOST: usize = 10_000;

/// The text and the place in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    text: String,
    /// Byte offset, always between graphemes.
    at: usize,
    /// The text is a proposal: the first character typed replaces it.
    offered: bool,
    digits: bool,
    /// How many characters it takes.
    limit: usize,
    /// What is wrong, said beside the text until the next key.
    note: Option<String>,
}

impl Default for Input {
    fn default() -> Self {
        Self { text: String::new(), at: 0, offered: false, digits: false, limit: MOST, note: None }
    }
}

impl Input {
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { at: text.len(), text, ..Self::default() }
    }

    /// A field with a proposal in it.
    pub fn offer(text: impl Into<String>) -> Self {
        let input = Self::new(text);
        Self { offered: !input.text.is_empty(), ..input }
    }

    /// Takes digits alone.
    #[must_use]
    pub fn digits(mut self) -> Self {
        self.digits = true;
        self
    }

    /// Takes so many characters and no more.
    #[must_use]
    pub fn at_most(mut self, characters: usize) -> Self {
        self.limit = characters;
        self
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where the cursor is, in bytes.
    pub fn at(&self) -> usize {
        self.at
    }

    pub fn is_at_end(&self) -> bool {
        self.at == self.text.len()
    }

    pub fn set(&mut self, text: impl Into<String>) {
        self.text = text.into();
        self.at = self.text.len();
        self.offered = false;
        self.note = None;
    }

    /// What is said beside the text.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Says beside the text what is wrong with it, until the next key.
    pub fn refuse(&mut self, why: impl Into<String>) {
        self.note = Some(why.into());
    }

    /// Takes a key of typing and editing; false for any other.
    pub fn key(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        // Terminals that send Ctrl-Alt for AltGr mean the character.
        let plain = control == alt;
        let note = self.note.take();
        match key.code {
            KeyCode::Char('u') if control && !alt => self.remove(0, self.at),
            KeyCode::Char('k') if control && !alt => self.remove(self.at, self.text.len()),
            KeyCode::Char('w') if control && !alt => self.remove(self.word_before(), self.at),
            KeyCode::Backspace if control || alt => self.remove(self.word_before(), self.at),
            KeyCode::Char('d') if alt && !control => self.remove(self.at, self.word_after()),
            KeyCode::Char('a') if control && !alt => self.go(0),
            KeyCode::Char('e') if control && !alt => self.go(self.text.len()),
            KeyCode::Char('b') if alt && !control => self.go(self.word_before()),
            KeyCode::Char('f') if alt && !control => self.go(self.word_after()),
            KeyCode::Left if control || alt => self.go(self.word_before()),
            KeyCode::Right if control || alt => self.go(self.word_after()),
            // What the backspace key of some terminals sends.
            KeyCode::Char('h') if control && !alt => self.remove(self.before(), self.at),
            KeyCode::Char(c) if plain => self.insert(c),
            KeyCode::Backspace if self.offered => self.remove(0, self.text.len()),
            KeyCode::Backspace => self.remove(self.before(), self.at),
            KeyCode::Delete if self.offered => self.remove(0, self.text.len()),
            KeyCode::Delete => self.remove(self.at, self.after()),
            KeyCode::Left => self.go(self.before()),
            KeyCode::Right => self.go(self.after()),
            KeyCode::Home => self.go(0),
            KeyCode::End => self.go(self.text.len()),
            _ => {
                self.note = note;
                return false;
            }
        }
        true
    }

    /// Adds pasted text; line feeds become spaces, what a terminal would act upon is left out.
    pub fn paste(&mut self, text: &str) {
        self.note = None;
        for c in text.trim_end_matches(['\n', '\r']).chars() {
            self.insert(if matches!(c, '\n' | '\t') { ' ' } else { c });
        }
    }

    /// What was offered gives way to what is typed.
    fn begin(&mut self) {
        if std::mem::take(&mut self.offered) {
            self.text.clear();
            self.at = 0;
        }
    }

    fn go(&mut self, at: usize) {
        self.offered = false;
        self.at = at;
    }

    fn remove(&mut self, from: usize, to: usize) {
        self.offered = false;
        self.text.drain(from..to);
        self.at = from;
    }

    fn insert(&mut self, c: char) {
        if is_harmful(c) {
            return;
        }
        if self.digits && !c.is_ascii_digit() {
            self.note = Some("digits only".to_owned());
        } else if !self.offered && self.text.chars().count() >= self.limit {
            self.note = Some(format!("{} characters at most: the rest is left out", self.limit));
        } else {
            self.begin();
            self.text.insert(self.at, c);
            self.at += c.len_utf8();
        }
    }

    fn before(&self) -> usize {
        self.text[..self.at].grapheme_indices(true).next_back().map_or(0, |(i, _)| i)
    }

    fn after(&self) -> usize {
        self.text[self.at..].graphemes(true).next().map_or(self.at, |g| self.at + g.len())
    }

    fn word_before(&self) -> usize {
        let kept = self.text[..self.at].trim_end();
        kept.char_indices().rev().find(|(_, c)| c.is_whitespace()).map_or(0, |(i, c)| i + c.len_utf8())
    }

    fn word_after(&self) -> usize {
        let rest = &self.text[self.at..];
        let gap = rest.len() - rest.trim_start().len();
        rest[gap..].find(char::is_whitespace).map_or(self.text.len(), |i| self.at + gap + i)
    }

    /// Cells left out on the left, so that the cursor is on the screen.
    fn skipped(&self, width: u16) -> usize {
        (self.text[..self.at].width() + 1).saturating_sub(usize::from(width))
    }

    /// Where the text stands when the note has its place on the right.
    fn room(&self, area: Rect) -> Rect {
        let Some(note) = &self.note else { return area };
        let wanted = u16::try_from(note.width() + 2).unwrap_or(u16::MAX);
        let text = u16::try_from(self.text.width() + 1).unwrap_or(u16::MAX);
        // A few cells of the text always stay, however long the note.
        let width = area.width.saturating_sub(wanted).max(8.min(area.width)).max(text.min(area.width / 3));
        Rect { width, ..area }
    }

    /// Draws the text in one row, filled to its width with the field's style, and the note beside it.
    pub fn draw(&self, area: Rect, buf: &mut Buffer, style: Style, theme: &Theme) {
        let room = self.room(area);
        buf.set_style(Rect { height: 1.min(area.height), ..area }, style);
        let used = self.draw_text(room, buf, style, theme);
        if let Some(note) = &self.note {
            let x = room.x + used + 2;
            Composed::plain(note, theme.error).draw(buf, x, area.y, area.right().saturating_sub(x), 0);
        }
    }

    /// Draws the text alone; gives how many cells it took.
    pub fn draw_text(&self, area: Rect, buf: &mut Buffer, style: Style, theme: &Theme) -> u16 {
        let style = if self.offered { style.patch(theme.cursor) } else { style };
        let line = Composed::plain(&self.text, style);
        line.draw(buf, area.x, area.y, area.width, line.offset(self.skipped(area.width)))
    }

    /// Where the terminal's cursor stands in a field that [`Input::draw`] was given.
    pub fn cursor(&self, area: Rect) -> Position {
        self.cursor_in(self.room(area))
    }

    /// Where it stands in one that [`Input::draw_text`] was given.
    pub fn cursor_in(&self, area: Rect) -> Position {
        let cells = self.text[..self.at].width().saturating_sub(self.skipped(area.width));
        Position::new(area.x + u16::try_from(cells).unwrap_or(0).min(area.width.saturating_sub(1)), area.y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::panes::testing::{frame, theme};

    fn press(input: &mut Input, code: KeyCode) -> bool {
        input.key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn chord(input: &mut Input, c: char, modifiers: KeyModifiers) -> bool {
        input.key(KeyEvent::new(KeyCode::Char(c), modifiers))
    }

    fn write(input: &mut Input, text: &str) {
        for c in text.chars() {
            press(input, KeyCode::Char(c));
        }
    }

    #[test]
    fn typing_and_editing_by_grapheme() {
        let mut input = Input::new("añ👩\u{200d}🚀");
        press(&mut input, KeyCode::Backspace);
        assert_eq!(input.text(), "añ");
        press(&mut input, KeyCode::Home);
        press(&mut input, KeyCode::Char('x'));
        press(&mut input, KeyCode::Delete);
        assert_eq!(input.text(), "xñ");
        assert!(!press(&mut input, KeyCode::Enter));
        input.paste("1\n2\x1b\n");
        assert_eq!(input.text(), "x1 2ñ");
        chord(&mut input, 'w', KeyModifiers::CONTROL);
        assert_eq!(input.text(), "x1 ñ");
    }

    #[test]
    fn the_keys_of_a_shell_move_and_cut() {
        let mut input = Input::new("scale deployment api");
        let control = KeyModifiers::CONTROL;
        chord(&mut input, 'b', KeyModifiers::ALT);
        input.key(KeyEvent::new(KeyCode::Left, control));
        chord(&mut input, 'k', control);
        assert_eq!(input.text(), "scale ");
        chord(&mut input, 'a', control);
        chord(&mut input, 'f', KeyModifiers::ALT);
        write(&mut input, "d");
        assert_eq!(input.text(), "scaled ");
        chord(&mut input, 'e', control);
        chord(&mut input, 'u', control);
        assert_eq!(input.text(), "");
        assert!(chord(&mut input, 'u', control), "an empty field keeps its keys");
        assert!(!chord(&mut input, 's', control), "what edits nothing is left to the keymap");
        write(&mut input, "日本 語");
        input.key(KeyEvent::new(KeyCode::Backspace, KeyModifiers::ALT));
        assert_eq!(input.text(), "日本 ");
    }

    #[test]
    fn what_was_offered_gives_way_to_typing_and_stays_when_moved_in() {
        let mut input = Input::offer("3").digits();
        write(&mut input, "5");
        assert_eq!(input.text(), "5");
        write(&mut input, "0");
        assert_eq!(input.text(), "50");
        let mut input = Input::offer("3").digits();
        press(&mut input, KeyCode::End);
        write(&mut input, "0");
        assert_eq!(input.text(), "30");
        let mut input = Input::offer("old");
        input.paste("new");
        assert_eq!(input.text(), "new");
        let mut input = Input::offer("old");
        press(&mut input, KeyCode::Backspace);
        assert_eq!(input.text(), "");
    }

    #[test]
    fn limits_are_said_beside_the_field() {
        let mut input = Input::offer("3").digits().at_most(4);
        write(&mut input, "x");
        assert_eq!((input.text(), input.note()), ("3", Some("digits only")));
        write(&mut input, "12345");
        assert_eq!(input.text(), "1234");
        assert_eq!(input.note(), Some("4 characters at most: the rest is left out"));
        insta::assert_snapshot!(frame(60, 1, |area, buf| input.draw(
            area,
            buf,
            theme().dialog_field,
            &theme()
        )));
        press(&mut input, KeyCode::Backspace);
        assert_eq!((input.text(), input.note()), ("123", None));
    }

    #[test]
    fn wide_text_scrolls_and_the_cursor_stays_inside() {
        let area = Rect::new(4, 0, 10, 1);
        let mut input = Input::new("日本語日本語日本語");
        assert!(input.cursor(area).x < area.right());
        press(&mut input, KeyCode::Home);
        assert_eq!(input.cursor(area), Position::new(4, 0));
        press(&mut input, KeyCode::Right);
        assert_eq!(input.cursor(area), Position::new(6, 0));
        input.refuse("a sentence that is longer than the field itself");
        assert!(input.cursor(area).x < area.right());
    }
}
