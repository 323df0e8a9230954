//! What keys do to the pane, beside moving in it.

use std::path::PathBuf;

use super::LogsPane;
use super::output::{self, Lines, Saved};
use super::search::Filter;
use super::view::LONGEST_RUN;
use crate::base::Result;
use crate::rows::Level;
use crate::tui::effect::{Cx, Flash};
use crate::tui::pane::Handled;
use crate::tui::panes::line::LinePane;

impl LogsPane {
    fn copy(&mut self, cx: &mut Cx<'_>) {
        let (text, lines) = output::newest(&self.view);
        let shown = self.view.shown();
        if shown == 0 {
            cx.flash(Flash::info("there is no line to copy"));
            return;
        }
        cx.copy(text);
        cx.flash(if lines < shown {
            Flash::warning(format!(
                "the newest {lines} of {shown} lines are on the clipboard, which takes no more"
            ))
            .next("Ctrl-s saves all of them to a file.")
        } else {
            Flash::info(format!("{lines} lines are on the clipboard"))
        });
    }

    /// To a file of this path, or to one of our own naming.
    pub(super) fn save(&mut self, path: Option<&str>, cx: &mut Cx<'_>) {
        if self.saving.is_some() {
            return;
        }
        let path = path.map(PathBuf::from);
        let lines = Lines {
            chunks: self.view.store.snapshot(),
            sources: self.view.store.sources().to_vec(),
            filter: self.view.filter().filter(|_| !self.view.is_among_all()).cloned(),
        };
        let (name, now) = (self.stream.subject(), cx.now);
        self.saving = Some(cx.job(move || match path {
            Some(path) => lines.save_as(&path),
            None => lines.save(&name, now),
        }));
    }

    pub(super) fn saved(&mut self, result: Result<Saved>, cx: &mut Cx<'_>) {
        match result {
            Ok(saved) => {
                cx.flash(Flash::info(saved.words()));
            }
            Err(error) => cx.error(&error),
        }
    }

    /// Shows the lines that the one under the cursor stands for, or folds them again.
    fn open_run(&mut self, cx: &mut Cx<'_>) {
        match self.view.open_run() {
            Some(count) if count > LONGEST_RUN => cx.flash(
                Flash::info(format!("{count} lines are too many to show one by one"))
                    .next("d shows all lines again."),
            ),
            Some(_) => {}
            None if self.view.folds() => cx.flash(Flash::info("nothing is folded into this line")),
            None => cx.flash(Flash::info("nothing is folded").next("d folds lines that repeat each other.")),
        }
    }

    pub(super) fn toggle(&mut self, name: &str, cx: &mut Cx<'_>) -> Handled {
        match name {
            "wrap" => self.view.toggle_wrap(),
            "timestamps" => self.view.options.times = !self.view.options.times,
            "autoscroll" => self.view.toggle_follow(),
            "json" => self.view.options.readable = !self.view.options.readable,
            "column_lock" => self.view.options.lock = !self.view.options.lock,
            "all_containers" => {
                self.stream.all_containers = !self.stream.all_containers;
                if !self.stream.all_containers && self.stream.target.container.is_none() {
                    // One container must be chosen: that of the line under the cursor.
                    let source = self.view.line(self.view.cursor).and_then(|l| l.line().source);
                    let source = source.and_then(|i| self.view.store.sources().get(usize::from(i)));
                    self.stream.target.container = source.map(|s| s.container.clone());
                }
                self.open(cx);
            }
            "logs_previous" => {
                self.stream.target.previous = !self.stream.target.previous;
                self.open(cx);
            }
            "levels" => {
                self.least = match self.least {
                    None => Some(Level::Warning),
                    Some(Level::Warning) => Some(Level::Error),
                    Some(_) => None,
                };
                // It was understood when it was typed.
                let typed = Filter::parse(&self.typed).ok().flatten();
                self.refilter(typed, cx);
            }
            "fold_repeats" => {
                let job = self.view.toggle_fold();
                self.run(job, cx);
            }
            "enter" => self.open_run(cx),
            "choose_fields" => {
                let offered = self.view.columns.words();
                let hint = "fields of JSON lines, as jq has them: .level .msg .http.status";
                cx.layer(Box::new(LinePane::new("columns", hint, "fields", &offered)));
            }
            "choose_time" => self.ask_time(cx),
            "choose_file" => {
                let hint = "a new file: .jsonl or .json gives JSON lines, all else text";
                cx.layer(Box::new(LinePane::new("save the lines shown", hint, "save_as", "")));
            }
            "next_minute" => self.step_minute(true, cx),
            "previous_minute" => self.step_minute(false, cx),
            "next_error" => self.step_error(true, cx),
            "previous_error" => self.step_error(false, cx),
            "next_mark" => self.next_mark(cx),
            "next_match" => self.step_match(true, cx),
            "previous_match" => self.step_match(false, cx),
            "mark" => {
                let time = cx.now.to_zoned(self.view.options.zone.clone()).strftime("%H:%M:%S").to_string();
                self.view.mark(&time, i64::try_from(cx.now.as_nanosecond()).unwrap_or_default());
            }
            "clear" => self.view.clear(),
            "copy" => self.copy(cx),
            "save" => self.save(None, cx),
            "refresh" => self.open(cx),
            _ => return Handled::No,
        }
        Handled::Yes
    }
}
