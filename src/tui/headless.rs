//! The console without a terminal: keys go in, the screen comes out as text. For tests of keys, and
//! for pictures of the screen.

use std::time::Duration;

use crossterm::event::{Event as Input, KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tokio::sync::mpsc;

use super::app::{App, Options, Outbound};
use super::executor::Envelope;
use crate::base::Result;
use crate::bus::Events;
use crate::gate::Client;

/// An application that draws into memory.
pub struct Headless {
    pub app: App,
    messages: mpsc::Receiver<Envelope>,
    events: Events,
    buffer: Buffer,
    /// What the terminal's owner would have done.
    pub outbound: Vec<Outbound>,
}

impl Headless {
    pub fn start(client: Client, options: Options, width: u16, height: u16) -> Result<Self> {
        let events = client.events();
        let (app, messages) = App::new(client, options)?;
        let buffer = Buffer::empty(Rect::new(0, 0, width, height));
        Ok(Self { app, messages, events, buffer, outbound: Vec::new() })
    }

    /// Presses keys: each character is one; names in angle brackets are keys: `<Enter>`, `<Esc>`, `<C-d>`.
    pub fn press(&mut self, keys: &str) {
        let mut rest = keys;
        while let Some(c) = rest.chars().next() {
            let named =
                rest.strip_prefix('<').and_then(|r| r.split_once('>')).and_then(|(n, r)| Some((key(n)?, r)));
            let (event, after) = match named {
                Some(named) => named,
                None => (KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE), &rest[c.len_utf8()..]),
            };
            rest = after;
            self.app.input(Input::Key(event));
        }
    }

    /// Takes in whatever comes until `wanted` says that the screen is right, at most five seconds. Gives the screen.
    pub async fn until(&mut self, wanted: impl Fn(&str) -> bool) -> std::result::Result<String, String> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
        loop {
            let screen = self.screen();
            if wanted(&screen) {
                return Ok(screen);
            }
            let tick = tokio::time::Instant::now() + Duration::from_millis(20);
            tokio::select! {
                Some(envelope) = self.messages.recv() => self.app.receive(envelope),
                Some(event) = self.events.next() => self.app.event(event),
                () = tokio::time::sleep_until(tick.min(deadline)) => {
                    if tokio::time::Instant::now() >= deadline {
                        return Err(screen);
                    }
                    self.app.woken();
                }
            }
        }
    }

    /// The screen as it is now, as text.
    pub fn screen(&mut self) -> String {
        while let Some(outbound) = self.app.outbound() {
            self.outbound.push(outbound);
        }
        self.buffer.reset();
        self.app.draw(&mut self.buffer);
        let width = usize::from(self.buffer.area.width);
        let lines = self.buffer.content().chunks(width).map(|line| {
            let text: String = line.iter().map(|cell| cell.symbol()).collect();
            text.trim_end().to_owned()
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The last frame with its styles.
    pub fn buffer(&self) -> &Buffer {
        &self.buffer
    }
}

fn key(name: &str) -> Option<KeyEvent> {
    let (modifiers, name) = match name.split_once('-') {
        Some(("C", rest)) => (KeyModifiers::CONTROL, rest),
        Some(("S", rest)) => (KeyModifiers::SHIFT, rest),
        _ => (KeyModifiers::NONE, name),
    };
    let code = match name {
        "Enter" => KeyCode::Enter,
        "Esc" => KeyCode::Esc,
        "Tab" => KeyCode::Tab,
        "Up" => KeyCode::Up,
        "Down" => KeyCode::Down,
        "Left" => KeyCode::Left,
        "Right" => KeyCode::Right,
        "Space" => KeyCode::Char(' '),
        "BS" => KeyCode::Backspace,
        function if function.len() > 1 && function.starts_with('F') => {
            KeyCode::F(function[1..].parse().ok()?)
        }
        one if one.chars().count() == 1 && modifiers != KeyModifiers::NONE => {
            KeyCode::Char(one.chars().next()?)
        }
        _ => return None,
    };
    Some(KeyEvent::new(code, modifiers))
}

#[cfg(test)]
#[path = "headless_tests.rs"]
mod tests;
