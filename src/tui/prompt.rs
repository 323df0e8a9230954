//! The one line that is typed into: commands after `:`, filters after `/`.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::widgets::input::Input;

/// How many lines each history keeps.
const HISTORY: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromptKind {
    Command,
    Filter,
}

/// What is typed, and what could follow.
#[derive(Debug, Clone)]
pub struct Prompt {
    pub kind: PromptKind,
    input: Input,
    /// Whole lines that `text` could become, the likeliest first.
    pub suggestions: Vec<String>,
    /// What is wrong with the text, in one sentence.
    pub error: Option<String>,
    /// How far back in the history one has gone, and what was typed before.
    past: Option<(usize, String)>,
    /// The text is that of the filter before: a letter begins another one, a move goes on with it.
    selected: bool,
}

/// What a key did.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed {
    Changed,
    Moved,
    Done,
    Cancelled,
    /// Not for a prompt: arrows while a filter is typed move the table's cursor.
    Other,
}

impl Prompt {
    pub fn new(kind: PromptKind, text: &str) -> Self {
        let selected = kind == PromptKind::Filter && !text.is_empty();
        Self { kind, input: Input::new(text), suggestions: Vec::new(), error: None, past: None, selected }
    }

    /// Whether what is typed next takes the text's place.
    pub fn is_selected(&self) -> bool {
        self.selected
    }

    pub fn text(&self) -> &str {
        self.input.text()
    }

    pub fn input(&self) -> &Input {
        &self.input
    }

    /// What the likeliest suggestion adds to the text.
    pub fn ghost(&self) -> &str {
        self.suggestions
            .first()
            .filter(|_| self.input.is_at_end())
            .and_then(|line| line.strip_prefix(self.text()))
            .unwrap_or_default()
    }

    pub fn set(&mut self, text: &str) {
        self.input.set(text);
    }

    pub fn insert(&mut self, text: &str) {
        if std::mem::take(&mut self.selected) {
            self.set("");
        }
        self.input.paste(text);
    }

    /// Takes a key. `history` is the lines typed before, the newest last.
    pub fn key(&mut self, key: KeyEvent, history: &[String]) -> Typed {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let erases = matches!(key.code, KeyCode::Char(_)) && !control || key.code == KeyCode::Backspace;
        if std::mem::take(&mut self.selected) && erases {
            self.set("");
            if key.code == KeyCode::Backspace {
                return Typed::Changed;
            }
        }
        match key.code {
            KeyCode::Enter => Typed::Done,
            KeyCode::Esc => Typed::Cancelled,
            KeyCode::Char('c') if control => Typed::Cancelled,
            // Backspace on nothing leaves the prompt, as in vi.
            KeyCode::Backspace if self.text().is_empty() => Typed::Cancelled,
            KeyCode::Right | KeyCode::End if self.input.is_at_end() => self.accept(),
            KeyCode::Char('f' | 'e') if control && self.input.is_at_end() => self.accept(),
            KeyCode::Tab => self.accept(),
            KeyCode::Up if self.kind == PromptKind::Command => self.back(history),
            KeyCode::Down if self.kind == PromptKind::Command => self.forth(history),
            _ => {
                let before = self.text().to_owned();
                if !self.input.key(key) {
                    return Typed::Other;
                }
                if before == self.text() { Typed::Moved } else { Typed::Changed }
            }
        }
    }

    /// Takes the suggestion; once it is taken, the next one.
    fn accept(&mut self) -> Typed {
        if self.ghost().is_empty() {
            return Typed::Moved;
        }
        let line = self.suggestions[0].clone();
        self.set(&line);
        Typed::Changed
    }

    fn back(&mut self, history: &[String]) -> Typed {
        let steps = self.past.as_ref().map_or(0, |(steps, _)| *steps);
        if steps >= history.len() {
            return Typed::Moved;
        }
        let typed = self.past.take().map_or_else(|| self.text().to_owned(), |(_, typed)| typed);
        self.set(&history[history.len() - 1 - steps].clone());
        self.past = Some((steps + 1, typed));
        Typed::Changed
    }

    fn forth(&mut self, history: &[String]) -> Typed {
        match self.past.take() {
            None => Typed::Moved,
            Some((1, typed)) => {
                self.set(&typed);
                Typed::Changed
            }
            Some((steps, typed)) => {
                self.set(&history[history.len() + 1 - steps].clone());
                self.past = Some((steps - 1, typed));
                Typed::Changed
            }
        }
    }
}

/// Puts a line into a history, the newest last, each line once.
pub fn remember(history: &mut Vec<String>, line: &str) {
    if line.is_empty() {
        return;
    }
    history.retain(|old| old != line);
    if history.len() == HISTORY {
        history.remove(0);
    }
    history.push(line.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(prompt: &mut Prompt, code: KeyCode) -> Typed {
        prompt.key(KeyEvent::new(code, KeyModifiers::NONE), &["pods".into(), "svc shop".into()])
    }

    #[test]
    fn a_letter_begins_another_filter_and_a_move_goes_on_with_the_old_one() {
        let old = || Prompt::new(PromptKind::Filter, "!Running");
        let mut prompt = old();
        assert!(prompt.is_selected());
        assert_eq!(press(&mut prompt, KeyCode::Char('x')), Typed::Changed);
        assert_eq!(prompt.text(), "x");
        press(&mut prompt, KeyCode::Char('y'));
        assert_eq!(prompt.text(), "xy");
        let mut prompt = old();
        press(&mut prompt, KeyCode::End);
        press(&mut prompt, KeyCode::Char('s'));
        assert_eq!(prompt.text(), "!Runnings");
        let mut prompt = old();
        assert_eq!(press(&mut prompt, KeyCode::Backspace), Typed::Changed);
        assert_eq!(prompt.text(), "");
        let mut prompt = old();
        prompt.insert("pasted");
        assert_eq!(prompt.text(), "pasted");
        let mut prompt = old();
        assert_eq!(press(&mut prompt, KeyCode::Enter), Typed::Done);
        assert_eq!(prompt.text(), "!Running");
    }

    #[test]
    fn graphemes_are_one_key_each() {
        let mut prompt = Prompt::new(PromptKind::Filter, "aé👩\u{200d}🚀");
        press(&mut prompt, KeyCode::End);
        press(&mut prompt, KeyCode::Backspace);
        assert_eq!(prompt.text(), "aé");
        press(&mut prompt, KeyCode::Left);
        press(&mut prompt, KeyCode::Char('x'));
        assert_eq!(prompt.text(), "axé");
        prompt.insert("1\x1b[2J\n2");
        assert_eq!(prompt.text(), "ax1[2J 2é", "pasted control characters are left out");
    }

    #[test]
    fn the_history_is_walked_and_left_again() {
        let mut prompt = Prompt::new(PromptKind::Command, "no");
        press(&mut prompt, KeyCode::Up);
        assert_eq!(prompt.text(), "svc shop");
        press(&mut prompt, KeyCode::Up);
        press(&mut prompt, KeyCode::Up);
        assert_eq!(prompt.text(), "pods");
        press(&mut prompt, KeyCode::Down);
        assert_eq!(prompt.text(), "svc shop");
        press(&mut prompt, KeyCode::Down);
        assert_eq!(prompt.text(), "no");
    }

    #[test]
    fn the_ghost_is_taken_by_tab_at_the_end_only() {
        let mut prompt = Prompt::new(PromptKind::Command, "de");
        prompt.suggestions = vec!["deployments".into()];
        assert_eq!(prompt.ghost(), "ployments");
        press(&mut prompt, KeyCode::Home);
        assert_eq!(prompt.ghost(), "");
        press(&mut prompt, KeyCode::End);
        assert_eq!(press(&mut prompt, KeyCode::Tab), Typed::Changed);
        assert_eq!(prompt.text(), "deployments");
    }

    #[test]
    fn a_line_is_remembered_once() {
        let mut history = vec!["a".to_owned(), "b".to_owned()];
        remember(&mut history, "a");
        remember(&mut history, "");
        assert_eq!(history, ["b", "a"]);
    }
}
