//! Going to another place of the log: a time, a minute, the next error, the next mark.

use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};

use super::LogsPane;
use super::search::{self, Filter, Goal, Progress};
use crate::rows::Level;
use crate::tui::effect::{Cx, Flash, Ticket};
use crate::tui::panes::line::LinePane;

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;

/// A search for a place, under way.
pub struct Jump {
    pub ticket: Ticket,
    progress: Arc<Progress>,
    /// What is said if there is none.
    nothing: &'static str,
}

/// The time that was typed, in nanoseconds since the epoch. `at` is the time of the line under the cursor: from there `-5m`
/// and `+5m` count, and on its day `12:04` is.
fn moment(words: &str, at: i64, zone: &TimeZone) -> Option<i64> {
    let words = words.trim();
    let nanos = |time: Timestamp| i64::try_from(time.as_nanosecond()).ok();
    if let Some((sign, span)) =
        words.strip_prefix('-').map(|s| (-1, s)).or_else(|| words.strip_prefix('+').map(|s| (1, s)))
    {
        let seconds = i64::try_from(crate::base::clock::seconds(span)?).ok()?;
        return at.checked_add(sign * seconds.checked_mul(SECOND)?);
    }
    if let Ok(time) = words.parse::<Timestamp>() {
        return nanos(time);
    }
    let day = Timestamp::from_nanosecond(at.into()).ok()?.to_zoned(zone.clone()).date();
    let date_time = match words.parse::<civil::Time>() {
        Ok(time) if !words.contains('-') => day.to_datetime(time),
        _ => words.parse::<civil::DateTime>().ok()?,
    };
    nanos(date_time.to_zoned(zone.clone()).ok()?.timestamp())
}

impl LogsPane {
    /// The time of the line under the cursor, or now.
    fn cursor_time(&self, cx: &Cx<'_>) -> i64 {
        let view = &self.view;
        let time = view.line(view.cursor).and_then(|kept| kept.line().time);
        time.unwrap_or_else(|| i64::try_from(cx.now.as_nanosecond()).unwrap_or_default())
    }

    pub(super) fn ask_time(&self, cx: &mut Cx<'_>) {
        let hint = "12:04, 12:04:30, 2026-01-31 12:04, -5m or +1h from this line";
        cx.layer(Box::new(LinePane::new("go to a time", hint, "go_to_time", "")));
    }

    pub(super) fn go_to_time(&mut self, words: &str, cx: &mut Cx<'_>) {
        let zone = self.view.options.zone.clone();
        match moment(words, self.cursor_time(cx), &zone) {
            Some(time) => self.go_to(time, cx),
            None => cx.flash(
                Flash::warning(format!("{words:?} is no time"))
                    .next("Such as 12:04, 2026-01-31 12:04, -5m or +1h."),
            ),
        }
    }

    /// To the first line from this time on.
    fn go_to(&mut self, time: i64, cx: &mut Cx<'_>) {
        let Some(number) = self.view.store.at_time(time) else {
            cx.flash(Flash::info("no line is as young as that: this is the newest"));
            return self.view.end();
        };
        if number == self.view.store.first() && self.view.store.begins().is_some_and(|first| first > time) {
            cx.flash(
                Flash::info("what is held begins later: this is the oldest line")
                    .next("1 reads from the start, 2 to 6 the last minute to hour."),
            );
        }
        self.view.jump(number, self.rows);
    }

    /// To the first line of the next minute, or of this one, and then of the one before.
    pub(super) fn step_minute(&mut self, forward: bool, cx: &mut Cx<'_>) {
        let at = self.cursor_time(cx);
        let minute = at.div_euclid(MINUTE) * MINUTE;
        if forward {
            return self.go_to(minute + MINUTE, cx);
        }
        let begins = self.view.store.at_time(minute);
        let is_there = begins.is_none_or(|number| number >= self.view.cursor);
        self.go_to(if is_there { minute - MINUTE } else { minute }, cx);
    }

    pub(super) fn step_error(&mut self, forward: bool, cx: &mut Cx<'_>) {
        let filter = self.view.filter().map(|filter| &**filter);
        let goal = Goal::Line(Filter::of_level(filter, Level::Error));
        let nothing = if forward { "no error after this line" } else { "no error before this line" };
        self.step_goal(goal, forward, nothing, cx);
    }

    pub(super) fn next_mark(&mut self, cx: &mut Cx<'_>) {
        self.step_goal(Goal::Mark, true, "no mark after this line: m sets one", cx);
    }

    fn step_goal(&mut self, goal: Goal, forward: bool, nothing: &'static str, cx: &mut Cx<'_>) {
        self.stop_jump(cx);
        let progress = Arc::new(Progress::default());
        let (told, chunks, from) = (progress.clone(), self.view.store.snapshot(), self.view.cursor);
        let ticket = cx.job(move || search::next(&chunks, &goal, from, forward, &told));
        self.jump = Some(Jump { ticket, progress, nothing });
    }

    /// Whoever goes elsewhere does not wait for it any more.
    pub(super) fn stop_jump(&mut self, cx: &mut Cx<'_>) {
        if let Some(jump) = self.jump.take() {
            jump.progress.stop.store(true, std::sync::atomic::Ordering::Relaxed);
            cx.cancel(jump.ticket);
        }
    }

    pub(super) fn jumped(&mut self, found: Option<u64>, cx: &mut Cx<'_>) {
        let Some(jump) = self.jump.take() else { return };
        match found {
            Some(number) => self.view.jump(number, self.rows),
            None => cx.flash(Flash::info(jump.nothing)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_said() {
        let zone = TimeZone::UTC;
        let at = "2026-11-21T10:15:03Z".parse::<Timestamp>().unwrap().as_nanosecond() as i64;
        for (words, wanted) in [
            ("-5m", "2026-11-21T10:10:03Z"),
            ("+1h30m", "2026-11-21T11:45:03Z"),
            ("12:04", "2026-11-21T12:04:00Z"),
            ("12:04:30", "2026-11-21T12:04:30Z"),
            ("2026-11-20 23:59", "2026-11-20T23:59:00Z"),
            ("2026-11-20T23:59:00Z", "2026-11-20T23:59:00Z"),
        ] {
            let wanted = wanted.parse::<Timestamp>().unwrap().as_nanosecond() as i64;
            assert_eq!(moment(words, at, &zone), Some(wanted), "{words}");
        }
        for words in ["", "noon", "-", "-5x", "25:00"] {
            assert_eq!(moment(words, at, &zone), None, "{words}");
        }
    }
}
