//! One line of outside text made ready to draw: harmless, coloured, cut and wrapped by cells.
//!
//! Logs, YAML and reasons come from outside. What is drawn of them passes here: colour sequences
//! (SGR, ECMA-48 §8.3.117) become styles, everything else that a terminal would act upon becomes
//! visible. Only as much of a line is worked on as the screen can show.

use std::ops::Range;

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

use crate::base::text::{is_harmful, sanitize};

/// A harmless line with its styles.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Composed {
    text: String,
    /// Runs in order, each from the end of the one before up to its byte offset.
    runs: Vec<(usize, Style)>,
    /// Bytes and cells are the same, so that cutting needs no walk.
    ascii: bool,
}

impl Composed {
    pub fn new() -> Self {
        Self { text: String::new(), runs: Vec::new(), ascii: true }
    }

    /// Plain text, without colours of its own: escape sequences are shown, never obeyed.
    pub fn plain(raw: &str, style: Style) -> Self {
        let mut line = Self::new();
        line.push(raw, style);
        line
    }

    /// Text that may colour itself by SGR sequences. At most `limit` bytes of it are used.
    pub fn coloured(raw: &str, base: Style, limit: usize) -> Self {
        let mut line = Self::new();
        line.push_coloured(raw, base, limit);
        line
    }

    /// Appends text, made harmless.
    pub fn push(&mut self, raw: &str, style: Style) {
        let safe = sanitize(raw);
        if safe.is_empty() {
            return;
        }
        self.ascii &= safe.is_ascii();
        self.text.push_str(&safe);
        let end = self.text.len();
        match self.runs.last_mut() {
            Some((last, s)) if *s == style => *last = end,
            _ => self.runs.push((end, style)),
        }
    }

    /// Appends at most `limit` bytes of text that may colour itself.
    pub fn push_coloured(&mut self, raw: &str, base: Style, limit: usize) {
        let raw = cut(raw, limit);
        if memchr::memchr(0x1b, raw.as_bytes()).is_none() {
            self.push(raw, base);
            return;
        }
        let mut style = base;
        let mut rest = raw;
        while let Some(at) = memchr::memchr(0x1b, rest.as_bytes()) {
            self.push(&rest[..at], style);
            match sgr(&rest[at..]) {
                Some((length, parameters)) => {
                    style = restyle(style, base, parameters);
                    rest = &rest[at + length..];
                }
                None => {
                    self.push("\x1b", style);
                    rest = &rest[at + 1..];
                }
            }
        }
        self.push(rest, style);
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Cells it takes in one row.
    pub fn width(&self) -> usize {
        if self.ascii { self.text.len() } else { self.text.width() }
    }

    /// Lays `patch` over a range of bytes; the range must lie on character borders.
    pub fn paint(&mut self, range: Range<usize>, patch: Style) {
        if range.is_empty() || range.end > self.text.len() {
            return;
        }
        let mut runs = Vec::with_capacity(self.runs.len() + 2);
        let mut start = 0;
        for &(end, style) in &self.runs {
            let (from, to) = (range.start.clamp(start, end), range.end.clamp(start, end));
            if from > start {
                runs.push((from, style));
            }
            if to > from {
                runs.push((to, style.patch(patch)));
            }
            if end > to.max(from) {
                runs.push((end, style));
            }
            start = end;
        }
        self.runs = runs;
    }

    /// Where each row of at most `width` cells starts. Stops after `limit` rows. Never empty.
    pub fn rows(&self, width: usize, limit: usize) -> Vec<usize> {
        let width = width.max(1);
        if self.ascii {
            let count = self.text.len().div_ceil(width).clamp(1, limit.max(1));
            return (0..count).map(|i| i * width).collect();
        }
        let mut starts = vec![0];
        let mut cells = 0;
        for (at, grapheme) in self.text.grapheme_indices(true) {
            let w = grapheme.width();
            if cells + w > width && cells > 0 {
                if starts.len() >= limit {
                    break;
                }
                starts.push(at);
                cells = 0;
            }
            cells += w;
        }
        starts
    }

    /// The byte offset after `cells` cells.
    pub fn offset(&self, cells: usize) -> usize {
        if self.ascii {
            return cells.min(self.text.len());
        }
        let mut used = 0;
        for (at, grapheme) in self.text.grapheme_indices(true) {
            if used >= cells {
                return at;
            }
            used += grapheme.width();
        }
        self.text.len()
    }

    /// Draws from byte `from` on, up to `width` cells, and returns how many it took.
    pub fn draw(&self, buf: &mut Buffer, x: u16, y: u16, width: u16, from: usize) -> u16 {
        if !buf.area.contains((x, y).into()) {
            return 0;
        }
        let (mut start, mut used) = (0, 0);
        for &(end, style) in &self.runs {
            if end > from && used < width {
                let piece = &self.text[start.max(from)..end];
                let (next, _) = buf.set_stringn(x + used, y, piece, usize::from(width - used), style);
                used = next - x;
            }
            start = end;
        }
        used
    }
}

/// The longest prefix of at most `limit` bytes that ends between characters.
pub fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit.min(text.len()))]
}

/// The cells that raw text takes once it is harmless. Exact, but walks the text only if it must.
pub fn raw_width(raw: &str) -> usize {
    if raw.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return raw.len();
    }
    if raw.contains('\x1b') || raw.chars().any(is_harmful) {
        return Composed::coloured(raw, Style::default(), raw.len()).width();
    }
    raw.width()
}

/// An SGR sequence at the start of `text`: its length and its parameters.
fn sgr(text: &str) -> Option<(usize, &str)> {
    let body = text.strip_prefix("\x1b[")?;
    let end = body.bytes().take(64).position(|b| !matches!(b, b'0'..=b'9' | b';' | b':'))?;
    (body.as_bytes()[end] == b'm').then(|| (2 + end + 1, &body[..end]))
}

/// Applies SGR parameters. Backgrounds, blinking and concealment are left out: outside text must not
/// be able to hide itself, nor to look like part of the screen around it.
fn restyle(mut style: Style, base: Style, parameters: &str) -> Style {
    let mut codes = parameters.split([';', ':']).map(|p| p.parse::<u16>().unwrap_or(0));
    while let Some(code) = codes.next() {
        style = match code {
            0 => base,
            1 => style.add_modifier(Modifier::BOLD),
            2 => style.add_modifier(Modifier::DIM),
            3 => style.add_modifier(Modifier::ITALIC),
            4 => style.add_modifier(Modifier::UNDERLINED),
            22 => style.remove_modifier(Modifier::BOLD | Modifier::DIM),
            23 => style.remove_modifier(Modifier::ITALIC),
            24 => style.remove_modifier(Modifier::UNDERLINED),
            30..=37 => style.fg(named(code - 30)),
            90..=97 => style.fg(named(code - 90 + 8)),
            38 => match extended(&mut codes) {
                Some(colour) => style.fg(colour),
                None => return style,
            },
            48 => {
                let _ = extended(&mut codes);
                style
            }
            39 => Style { fg: base.fg, ..style },
            _ => style,
        };
    }
    style
}

fn named(index: u16) -> Color {
    const NAMED: [Color; 16] = [
        // Black on a black screen cannot be read, so it is grey.
        Color::DarkGray,
        Color::Red,
        Color::Green,
        Color::Yellow,
        Color::Blue,
        Color::Magenta,
        Color::Cyan,
        Color::Gray,
        Color::DarkGray,
        Color::LightRed,
        Color::LightGreen,
        Color::LightYellow,
        Color::LightBlue,
        Color::LightMagenta,
        Color::LightCyan,
        Color::White,
    ];
    NAMED[usize::from(index % 16)]
}

fn extended(codes: &mut impl Iterator<Item = u16>) -> Option<Color> {
    match codes.next()? {
        5 => match codes.next()? {
            n @ 0..=15 => Some(named(n)),
            // The darkest of the cube and of the grey ramp.
            16..=18 | 232..=238 => Some(Color::DarkGray),
            n => Some(Color::Indexed(u8::try_from(n).unwrap_or(u8::MAX))),
        },
        2 => {
            let mut channel = || codes.next().map(|c| u8::try_from(c).unwrap_or(u8::MAX));
            let (r, g, b) = (channel()?, channel()?, channel()?);
            Some(if r.max(g).max(b) < 88 { Color::DarkGray } else { Color::Rgb(r, g, b) })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::layout::Rect;

    #[test]
    fn colours_become_styles_and_everything_else_is_shown() {
        let line = Composed::coloured(
            "a\x1b[31mred\x1b[0m \x1b]52;c;aGk=\x07 \x1b[2J\u{9b}1m",
            Style::default(),
            1000,
        );
        assert_eq!(line.text(), "ared ␛]52;c;aGk=␇ ␛[2J⟨9b⟩1m");
        assert_eq!(line.runs[1], (4, Style::default().fg(Color::Red)));
        assert_eq!(line.runs[2].1, Style::default());
    }

    #[test]
    fn text_cannot_hide_itself_by_colour() {
        let line = Composed::coloured("\x1b[30;40;8mhidden\x1b[38;2;1;1;1mdark", Style::default(), 1000);
        assert_eq!(line.runs, [(10, Style::default().fg(Color::DarkGray))]);
    }

    #[test]
    fn rows_break_between_graphemes() {
        let line = Composed::plain("日本語abc", Style::default());
        assert_eq!(line.rows(5, 10), [0, 6]);
        assert_eq!(line.offset(4), 6);
        assert_eq!(Composed::plain("abcdef", Style::default()).rows(4, 10), [0, 4]);
        assert_eq!(Composed::new().rows(4, 10), [0]);
    }

    #[test]
    fn painting_splits_runs() {
        let mut line = Composed::plain("abcdef", Style::default());
        line.paint(2..4, Style::default().fg(Color::Red));
        assert_eq!(line.runs.iter().map(|r| r.0).collect::<Vec<_>>(), [2, 4, 6]);
        line.paint(0..6, Style::default().bg(Color::Blue));
        assert_eq!(line.runs[1].1, Style::default().fg(Color::Red).bg(Color::Blue));
    }

    #[test]
    fn drawing_stays_within_its_width() {
        let mut buf = Buffer::empty(Rect::new(0, 0, 6, 1));
        let line = Composed::plain("日本語", Style::default());
        assert_eq!(line.draw(&mut buf, 0, 0, 5, 0), 4);
        assert_eq!(buf.cell((0, 0)).map(|c| c.symbol().to_owned()), Some("日".to_owned()));
        assert_eq!(line.draw(&mut buf, 9, 9, 5, 0), 0);
    }

    proptest::proptest! {
        #[test]
        fn nothing_harmful_is_composed(raw in "(\\x1b\\[[0-9;]{0,6}[a-zA-Z]|[\\x00-\\u{9f}]|\\PC)*") {
            let line = Composed::coloured(&raw, Style::default(), 10_000);
            assert!(!line.text().chars().any(is_harmful));
            assert_eq!(line.runs.last().map_or(0, |r| r.0), line.text().len());
            for width in 1..9 {
                for start in line.rows(width, usize::MAX) {
                    assert!(line.text().is_char_boundary(start));
                }
            }
        }
    }
}
