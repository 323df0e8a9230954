//! One line of text being typed.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

use super::composed::Composed;
use crate::base::text::is_harmful;

/// The text and the place in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Input {
    text: String,
    /// Byte offset, always between graphemes.
    at: usize,
}

impl Input {
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { at: text.len(), text }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn set(&mut self, text: impl Into<String>) {
        *self = Self::new(text);
    }

    /// Takes a key of typing and editing; false for any other.
    pub fn key(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            KeyCode::Char('u') if control => {
                self.text.drain(..self.at);
                self.at = 0;
            }
            KeyCode::Char('w') if control => {
                let kept = self.text[..self.at].trim_end();
                let start = kept.rfind(char::is_whitespace).map_or(0, |i| i + 1);
                self.text.drain(start..self.at);
                self.at = start;
            }
            KeyCode::Char('a') if control => self.at = 0,
            KeyCode::Char('e') if control => self.at = self.text.len(),
            KeyCode::Char(c) if !control && !alt => self.insert(c),
            KeyCode::Backspace => {
                let start = self.before();
                self.text.drain(start..self.at);
                self.at = start;
            }
            KeyCode::Delete => {
                let end = self.after();
                self.text.drain(self.at..end);
            }
            KeyCode::Left => self.at = self.before(),
            KeyCode::Right => self.at = self.after(),
            KeyCode::Home => self.at = 0,
            KeyCode::End => self.at = self.text.len(),
            _ => return false,
        }
        true
    }

    /// Adds pasted text; line feeds become spaces, what a terminal would act upon is left out.
    pub fn paste(&mut self, text: &str) {
        for c in text.chars() {
            self.insert(if matches!(c, '\n' | '\t') { ' ' } else { c });
        }
    }

    fn insert(&mut self, c: char) {
        if !is_harmful(c) {
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

    /// Cells left out on the left, so that the cursor is on the screen.
    fn skipped(&self, width: u16) -> usize {
        (self.text[..self.at].width() + 1).saturating_sub(usize::from(width))
    }

    /// Draws the text in one row, filled to its width with the field's style.
    pub fn draw(&self, area: Rect, buf: &mut Buffer, style: Style) {
        buf.set_style(Rect { height: 1.min(area.height), ..area }, style);
        let line = Composed::plain(&self.text, style);
        line.draw(buf, area.x, area.y, area.width, line.offset(self.skipped(area.width)));
    }

    /// Where the terminal's cursor stands.
    pub fn cursor(&self, area: Rect) -> Position {
        let cells = self.text[..self.at].width().saturating_sub(self.skipped(area.width));
        Position::new(area.x + u16::try_from(cells).unwrap_or(0).min(area.width.saturating_sub(1)), area.y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(input: &mut Input, code: KeyCode) -> bool {
        input.key(KeyEvent::new(code, KeyModifiers::NONE))
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
        input.paste("1\n2\x1b");
        assert_eq!(input.text(), "x1 2ñ");
        input.key(KeyEvent::new(KeyCode::Char('w'), KeyModifiers::CONTROL));
        assert_eq!(input.text(), "x1 ñ");
    }
}
