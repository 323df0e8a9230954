//! Going on with a log after its stream broke: no line twice, none left out.
//!
//! The API takes `sinceTime` in whole seconds, so a resumed stream begins with lines that were read before. The
//! kubelet filters a file, line by line and always in the same way: what a resumed stream repeats is exactly the lines
//! already read whose time is not before the second asked for. It is enough to count them.

use super::split::End;
use super::stamp;

/// Where reading one container's log stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resume {
    /// The latest time seen, in nanoseconds since the epoch. `None` before the first line.
    newest: Option<i64>,
    /// Whole lines read whose time is in the newest line's second or later.
    in_second: u64,
    /// Pieces read of a line that is not at its end yet.
    open_pieces: u64,
    /// The open line's time.
    open_time: Option<i64>,
    skip: Skip,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Skip {
    lines: u64,
    pieces: u64,
    /// Whether the pieces to skip are of the line now being read.
    at_open: bool,
}

/// What to do with a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is new.
    Keep,
    /// It was given before the break.
    Seen,
    /// It is new, but lines that should have come before it did not: the file was rotated during the break.
    KeepAfterGap,
}

impl Resume {
    /// The `sinceTime` to ask for, if anything was read yet.
    pub fn since(&self) -> Option<String> {
        self.newest.map(stamp::since_time)
    }

    /// The latest time read.
    pub fn newest(&self) -> Option<i64> {
        self.newest
    }

    /// The stream broke; the next one will be asked for with [`Resume::since`].
    pub fn broke(&mut self) {
        self.skip = Skip { lines: self.in_second, pieces: self.open_pieces, at_open: false };
        self.open_pieces = 0;
        self.open_time = None;
    }

    /// Another instance of the container begins: its log is a new file.
    pub fn restart(&mut self) {
        *self = Self { newest: self.newest, ..Self::default() };
    }

    /// Judges the next piece. `time` is its stamp: only the first piece of a line has one.
    pub fn piece(&mut self, time: Option<i64>, end: End) -> Verdict {
        let first_piece = self.open_pieces == 0;
        let time = if first_piece { time } else { self.open_time };
        let line_ends = end != End::Continues;
        self.open_pieces = if line_ends { 0 } else { self.open_pieces + 1 };
        self.open_time = if line_ends { None } else { time };

        if self.skip.lines > 0 && (first_piece || self.skip.at_open) {
            let older = match (time, self.newest) {
                (Some(time), Some(newest)) => time <= newest,
                _ => true,
            };
            if older {
                self.skip.at_open = !line_ends;
                if line_ends {
                    self.skip.lines -= 1;
                }
                return Verdict::Seen;
            }
            // Newer than all that was read, though not all of that came again.
            self.skip = Skip::default();
            self.count(time, line_ends);
            return Verdict::KeepAfterGap;
        }
        if self.skip.pieces > 0 {
            self.skip.pieces -= 1;
            if line_ends {
                self.skip.pieces = 0;
                self.count(time, true);
            }
            return Verdict::Seen;
        }
        self.count(time, line_ends);
        Verdict::Keep
    }

    fn count(&mut self, time: Option<i64>, line_ends: bool) {
        if !line_ends {
            return;
        }
        let Some(time) = time else {
            // A line without a stamp belongs to the second of the line before.
            self.in_second += 1;
            return;
        };
        match self.newest {
            Some(newest) if stamp::floor_second(time) > stamp::floor_second(newest) => {
                self.newest = Some(time);
                self.in_second = 1;
            }
            Some(newest) if stamp::floor_second(time) == stamp::floor_second(newest) => {
                self.newest = Some(newest.max(time));
                self.in_second += 1;
            }
            // Older than the second asked for: a resumed stream will not repeat it.
            Some(_) => {}
            None => {
                self.newest = Some(time);
                self.in_second = 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    /// What a kubelet sends for a file: lines whose time is not before the whole second asked for.
    fn serve(file: &[(i64, String)], resume: &Resume) -> Vec<(i64, String)> {
        let since = resume.newest().map_or(i64::MIN, |n| stamp::floor_second(n) * S);
        file.iter().filter(|(t, _)| *t >= since).cloned().collect()
    }

    fn read(resume: &mut Resume, lines: &[(i64, String)], out: &mut Vec<String>) {
        for (time, text) in lines {
            if resume.piece(Some(*time), End::Feed) != Verdict::Seen {
                out.push(text.clone());
            }
        }
    }

    #[test]
    fn breaking_after_any_line_repeats_and_loses_nothing() {
        // Many lines a second, equal times, and two written out of order as stdout and stderr can be.
        let times =
            [0, 0, S / 2, S, S, S + 5, S + 3, S + 9, 2 * S - 1, 2 * S, 2 * S + 1, 2 * S, 5 * S, 5 * S, 5 * S];
        let file: Vec<(i64, String)> =
            times.iter().enumerate().map(|(i, t)| (*t, format!("line {i}"))).collect();
        let all: Vec<String> = file.iter().map(|(_, t)| t.clone()).collect();
        for first in 0..=file.len() {
            for second in first..=file.len() {
                let (mut resume, mut out) = (Resume::default(), Vec::new());
                read(&mut resume, &file[..first], &mut out);
                resume.broke();
                let again = serve(&file[..second], &resume);
                read(&mut resume, &again, &mut out);
                resume.broke();
                let again = serve(&file, &resume);
                read(&mut resume, &again, &mut out);
                assert_eq!(out, all, "broken after {first} and {second}");
            }
        }
    }

    #[test]
    fn a_break_while_repeating_does_not_count_twice() {
        let file: Vec<(i64, String)> = (0..20).map(|i| (S + i, format!("line {i}"))).collect();
        let (mut resume, mut out) = (Resume::default(), Vec::new());
        read(&mut resume, &file[..10], &mut out);
        for repeated in 0..10 {
            resume.broke();
            let again = serve(&file[..repeated], &resume);
            read(&mut resume, &again, &mut out);
        }
        resume.broke();
        let again = serve(&file, &resume);
        read(&mut resume, &again, &mut out);
        assert_eq!(out.len(), 20);
    }

    #[test]
    fn a_rotated_file_is_noticed_and_new_lines_are_kept() {
        let mut resume = Resume::default();
        for i in 0..5 {
            assert_eq!(resume.piece(Some(S + i), End::Feed), Verdict::Keep);
        }
        resume.broke();
        assert_eq!(resume.piece(Some(3 * S), End::Feed), Verdict::KeepAfterGap);
        assert_eq!(resume.piece(Some(3 * S), End::Feed), Verdict::Keep);
    }

    #[test]
    fn pieces_of_an_unfinished_line_are_not_given_twice() {
        let mut resume = Resume::default();
        assert_eq!(resume.piece(Some(S), End::Feed), Verdict::Keep);
        assert_eq!(resume.piece(Some(S + 1), End::Continues), Verdict::Keep);
        assert_eq!(resume.piece(None, End::Continues), Verdict::Keep);
        resume.broke();
        let verdicts: Vec<Verdict> = [
            (Some(S), End::Feed),
            (Some(S + 1), End::Continues),
            (None, End::Continues),
            (None, End::Continues),
            (None, End::Feed),
            (Some(S + 2), End::Feed),
        ]
        .into_iter()
        .map(|(t, e)| resume.piece(t, e))
        .collect();
        use Verdict::{Keep, Seen};
        assert_eq!(verdicts, [Seen, Seen, Seen, Keep, Keep, Keep]);
    }

    #[test]
    fn another_instance_starts_afresh() {
        let mut resume = Resume::default();
        resume.piece(Some(S), End::Feed);
        resume.restart();
        assert_eq!(resume.piece(Some(S), End::Feed), Verdict::Keep);
        assert_eq!(resume.piece(Some(S + 1), End::Feed), Verdict::Keep);
    }
}
