//! Keys, the mouse and pasted text.

use crossterm::event::{Event as Input, KeyEvent, KeyEventKind, MouseEvent, MouseEventKind};
use ratatui::layout::Position;

use super::{App, Dirty};
use crate::tui::action::Action;
use crate::tui::chrome;
use crate::tui::effect::Flash;
use crate::tui::object::Route;
use crate::tui::pane::Handled;
use crate::tui::prompt::{Prompt, PromptKind, Typed, remember};
use crate::tui::shared::READ_ONLY;

impl App {
    /// Takes an event of the terminal.
    pub fn input(&mut self, input: Input) {
        match input {
            Input::Key(key) if key.kind != KeyEventKind::Release => {
                self.pressed = Some(self.clock.now());
                self.key(key);
                self.soil(Dirty::Input);
            }
            Input::Mouse(mouse) => self.mouse(mouse),
            Input::Paste(text) => self.paste(&text),
            Input::Resize(..) => self.soil(Dirty::Everything),
            Input::FocusGained => self.soil(Dirty::Data),
            Input::Key(_) | Input::FocusLost => {}
        }
    }

    fn key(&mut self, key: KeyEvent) {
        if self.prompt.is_some() {
            return self.prompt_key(key);
        }
        let Some(id) = self.top().map(|slot| slot.id) else { return };
        if self.with(id, |pane, cx| pane.text(key, cx)) == Some(Handled::Yes) {
            return;
        }
        let modes = self.modes();
        let Some(action) = self.shared.keymap.find(&modes, key).map(|binding| binding.action.clone()) else {
            return;
        };
        self.act(&action);
    }

    /// Does an action: the focused pane first, then what is everywhere.
    pub fn act(&mut self, action: &Action) {
        if self.shared.read_only && action.changes() {
            self.flash(
                Flash::warning(format!(
                    "this session is read-only: {} is a change",
                    action.name.replace('_', " ")
                ))
                .next(READ_ONLY),
            );
            return;
        }
        let Some(id) = self.top().map(|slot| slot.id) else { return };
        if self.with(id, |pane, cx| pane.act(action, cx)) == Some(Handled::Yes) {
            return;
        }
        if self.act_everywhere(action) == Handled::No {
            self.flash(Flash::warning(format!("{} does nothing here", action.name)));
        }
    }

    fn act_everywhere(&mut self, action: &Action) -> Handled {
        match action.name {
            "quit" if self.shared.user.settings.no_exit_on_ctrl_c == Some(true) => {
                self.flash(Flash::info("k9s' files say noExitOnCtrlC").next(":q leaves."));
            }
            "quit" => self.ask_to_quit(),
            "back" | "cancel" => self.back(),
            "prompt_command" => self.open_prompt(PromptKind::Command),
            "prompt_filter" => self.open_prompt(PromptKind::Filter),
            "help" => self.go(None, self.help()),
            "palette" => self.go(None, Route::Palette),
            "aliases" => self.go(None, Route::Aliases),
            "decide" => {
                let oldest = self.shared.approvals.first().map(|waiting| waiting.approval);
                self.go(None, Route::Approvals(oldest));
            }
            "show_me" => self.show_me(),
            "ask" => self.ask(),
            "history_back" => self.walk_history(-1),
            "history_forward" => self.walk_history(1),
            "history_last" => self.last_place(),
            "toggle_header" => self.flags.tall_header = !self.flags.tall_header,
            "toggle_crumbs" => self.flags.crumbs = !self.flags.crumbs,
            "toggle_rail" => self.toggle_rail(),
            "fullscreen" => self.flags.fullscreen = !self.flags.fullscreen,
            "redraw" => self.soil(Dirty::Everything),
            "command" => self.run_command(&action.words),
            "hotkey" => self.hot_key(&action.words),
            "plugin" => self.plugin(&action.words),
            "operation" => {
                self.go(
                    None,
                    Route::Form { operation: action.words.to_string(), arguments: serde_json::Value::Null },
                );
            }
            "tab_new" => {
                if let Err(error) = self.new_tab(None) {
                    self.flash(Flash::error(&error));
                }
            }
            "tab_close" => self.close_tab(),
            "tab_next" => self.step_tab(1),
            "tab_previous" => self.step_back_tab(),
            "tab_go" => self.go_to_tab(action.words.parse::<usize>().unwrap_or(1).saturating_sub(1)),
            "split_right" => self.split(false),
            "split_below" => self.split(true),
            "half_next" => self.next_half(),
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn toggle_rail(&mut self) {
        self.flags.rail = !self.flags.rail;
        let screen = self.drawn.screen;
        if screen > 0 && screen < chrome::RAIL_FROM {
            let text = format!("the rail needs {} columns, and here are {screen}", chrome::RAIL_FROM);
            self.flash(Flash::info(text).next("What it says is in :timeline, :who and :approvals."));
        }
    }

    /// Esc: closes what is on top; the last pane stays.
    fn back(&mut self) {
        if self.flags.fullscreen {
            self.flags.fullscreen = false;
            return;
        }
        self.flash = None;
        let id = self.top().map(|slot| slot.id);
        self.close(id);
    }

    pub(super) fn ask_to_quit(&mut self) {
        let running = self.background.values().map(|b| format!("{} runs", b.label));
        let waiting = self.shared.approvals.iter().map(|waiting| {
            let who = waiting.actor.as_ref().map_or("somebody", |actor| actor.name.as_str());
            format!("{who} waits for a decision: {} {}", waiting.operation, waiting.target)
        });
        let open: Vec<String> = running.chain(waiting).collect();
        if open.is_empty() {
            self.quit = true;
            return;
        }
        self.push_layer(Box::new(crate::tui::dialogs::Quit::new(&open)));
    }

    fn open_prompt(&mut self, kind: PromptKind) {
        let text = match kind {
            PromptKind::Command => {
                self.watch_namespaces();
                String::new()
            }
            PromptKind::Filter => {
                let Some(filter) = self.top().and_then(|slot| slot.pane.filter()) else {
                    self.flash(Flash::warning("there is nothing to filter here"));
                    return;
                };
                filter.to_owned()
            }
        };
        self.prompt = Some(Prompt::new(kind, &text));
        self.suggest();
    }

    fn prompt_key(&mut self, key: KeyEvent) {
        let Some(prompt) = &mut self.prompt else { return };
        let kind = prompt.kind;
        match prompt.key(key, &self.command_history) {
            Typed::Changed => self.prompt_changed(false),
            Typed::Moved => {}
            Typed::Done if kind == PromptKind::Filter => self.prompt_changed(true),
            Typed::Done => {
                let line = self.prompt.take().map(|p| p.text().trim().to_owned()).unwrap_or_default();
                remember(&mut self.command_history, &line);
                if !line.is_empty() {
                    self.run_command(&line);
                }
            }
            Typed::Cancelled => {
                self.prompt = None;
                if kind == PromptKind::Filter {
                    // An empty filter is always understood.
                    let _ = self.apply_filter("", true);
                }
            }
            Typed::Other => {
                // Arrows and pages move the table while its filter is typed.
                let modes = self.modes();
                let found = self.shared.keymap.find(&modes, key).map(|b| b.action.clone());
                if let Some(action) =
                    found.filter(|a| matches!(a.name, "up" | "down" | "page_up" | "page_down"))
                {
                    self.act(&action);
                }
            }
        }
    }

    /// The prompt's text is another one: filters apply at once, commands are completed.
    pub(super) fn prompt_changed(&mut self, done: bool) {
        let Some(prompt) = &self.prompt else { return };
        if prompt.kind == PromptKind::Command {
            return self.suggest();
        }
        let text = prompt.text().to_owned();
        self.suggest();
        let result = self.apply_filter(&text, done);
        match (result, &mut self.prompt) {
            (Ok(()), prompt) if done => *prompt = None,
            (result, Some(prompt)) => prompt.error = result.err(),
            _ => {}
        }
    }

    fn apply_filter(&mut self, text: &str, done: bool) -> Result<(), String> {
        let Some(id) = self.top().map(|slot| slot.id) else { return Ok(()) };
        self.with(id, |pane, cx| pane.filter_changed(text, done, cx)).unwrap_or(Ok(()))
    }

    fn paste(&mut self, text: &str) {
        if let Some(prompt) = &mut self.prompt {
            prompt.insert(text);
            self.prompt_changed(false);
        } else if let Some(id) = self.top().map(|slot| slot.id) {
            self.with(id, |pane, cx| pane.paste(text, cx));
        }
        self.soil(Dirty::Input);
    }

    fn mouse(&mut self, mouse: MouseEvent) {
        let at = Position { x: mouse.column, y: mouse.row };
        let pressed = matches!(mouse.kind, MouseEventKind::Down(_));
        if pressed && self.layers.is_empty() && self.drawn.other.is_some_and(|other| other.contains(at)) {
            self.next_half();
            self.drawn.focused = self.drawn.other;
        }
        let Some((id, area)) = self.top().map(|slot| slot.id).zip(self.drawn.focused) else { return };
        if area.contains(at) && self.with(id, |pane, cx| pane.mouse(mouse, area, cx)) == Some(Handled::Yes) {
            self.soil(Dirty::Input);
        }
    }

    /// A question about what is under the cursor.
    fn ask(&mut self) {
        let Some(focus) = self.top().map(|slot| slot.pane.focus()) else { return };
        self.push_layer(Box::new(crate::tui::panes::ask::AskPane::new(&focus)));
    }
}
