//! Columns and the values in them.

use std::cmp::Ordering;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// What a column's values are: decides how they are drawn, compared and filtered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    Text,
    /// A word with a tone of its own, such as a pod's status.
    Status,
    Number,
    /// A point in time, shown as the age since it ("3h12m").
    Age,
    /// Millicores, shown as "250m".
    Cpu,
    /// Bytes, shown in binary units ("120Mi").
    Memory,
    Percent,
    /// "1/2": sorted by the missing part first.
    Ratio,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Align {
    Left,
    Right,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Column {
    /// As in the header, in capitals: `NAME`, `RESTARTS`.
    #[schemars(with = "String")]
    pub name: CompactString,
    pub kind: ColumnKind,
    /// Shown only in the wide layout.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wide: bool,
    /// Nothing gives its values here: not shown, not in the wide layout either. It can still be asked for by name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
    /// Which columns go first when the screen is narrow: 0 stays longest.
    #[serde(default)]
    pub rank: u8,
}

impl Column {
    pub fn new(name: impl Into<CompactString>, kind: ColumnKind) -> Self {
        Self { name: name.into(), kind, wide: false, hidden: false, rank: 5 }
    }

    #[must_use]
    pub fn wide(mut self) -> Self {
        self.wide = true;
        self
    }

    #[must_use]
    pub fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    /// Whether it is in the usual layout.
    pub fn is_usual(&self) -> bool {
        !self.wide && !self.hidden
    }

    #[must_use]
    pub fn rank(mut self, rank: u8) -> Self {
        self.rank = rank;
        self
    }

    /// Numbers, ages and amounts are right-aligned.
    pub fn align(&self) -> Align {
        match self.kind {
            ColumnKind::Text | ColumnKind::Status => Align::Left,
            _ => Align::Right,
        }
    }
}

/// How a value is meant; the theme gives each its colour (k9s's `frame.status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    #[default]
    Normal,
    New,
    Modified,
    Pending,
    Error,
    Killed,
    Completed,
    Highlight,
    /// Unknown or stale.
    Dim,
}

/// One value. `Unknown` is drawn as "–" and never equals zero.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cell {
    #[default]
    Unknown,
    Text(CompactString),
    Status(CompactString, Tone),
    Number(i64),
    /// Seconds since the Unix epoch.
    Time(i64),
    /// Millicores.
    Cpu(i64),
    /// Bytes.
    Memory(i64),
    /// Hundredths of a percent.
    Percent(i64),
    /// Ready of total.
    Ratio(u32, u32),
}

impl Cell {
    pub fn text(text: impl AsRef<str>) -> Self {
        Cell::Text(CompactString::new(text))
    }

    pub fn status(text: impl AsRef<str>, tone: Tone) -> Self {
        Cell::Status(CompactString::new(text), tone)
    }

    /// Adds the text as drawn to `out`, without making a string of its own.
    pub fn write(&self, now: i64, out: &mut String) {
        use std::fmt::Write as _;
        // Writing to a string cannot fail.
        let _ = match self {
            Cell::Text(t) | Cell::Status(t, _) => {
                out.push_str(t);
                Ok(())
            }
            Cell::Number(n) => write!(out, "{n}"),
            Cell::Cpu(m) => write!(out, "{m}m"),
            Cell::Ratio(a, b) => write!(out, "{a}/{b}"),
            other => {
                out.push_str(&other.display(now));
                Ok(())
            }
        };
    }

    /// The text as drawn, with ages counted up to `now` (seconds since the epoch). It may still hold
    /// harmful characters: the screen passes it through `SafeText`.
    pub fn display(&self, now: i64) -> CompactString {
        use compact_str::format_compact;
        match self {
            Cell::Unknown => CompactString::const_new("–"),
            Cell::Text(t) | Cell::Status(t, _) => t.clone(),
            Cell::Number(n) => format_compact!("{n}"),
            Cell::Time(t) => age(now - t),
            Cell::Cpu(m) => format_compact!("{m}m"),
            Cell::Memory(b) => memory(*b),
            Cell::Percent(p) => format_compact!("{}", p / 100),
            Cell::Ratio(a, b) => format_compact!("{a}/{b}"),
        }
    }

    /// Natural order of two cells of one column: by value, unknown last.
    pub fn compare(&self, other: &Cell) -> Ordering {
        match (self, other) {
            (Cell::Unknown, Cell::Unknown) => Ordering::Equal,
            (Cell::Unknown, _) => Ordering::Greater,
            (_, Cell::Unknown) => Ordering::Less,
            (Cell::Text(a) | Cell::Status(a, _), Cell::Text(b) | Cell::Status(b, _)) => {
                super::order::natural(a, b)
            }
            (Cell::Number(a), Cell::Number(b))
            | (Cell::Cpu(a), Cell::Cpu(b))
            | (Cell::Memory(a), Cell::Memory(b))
            | (Cell::Percent(a), Cell::Percent(b)) => a.cmp(b),
            // The younger first, as k9s sorts ages ascending.
            (Cell::Time(a), Cell::Time(b)) => b.cmp(a),
            (Cell::Ratio(a, b), Cell::Ratio(c, d)) => (u64::from(*a) * u64::from((*d).max(1)))
                .cmp(&(u64::from(*c) * u64::from((*b).max(1))))
                .then(b.cmp(d)),
            // A column that mixes sorts of values (a server's "<none>" among numbers) keeps each together.
            (a, b) => a.class().cmp(&b.class()),
        }
    }

    pub(super) const TEXT_CLASS: u8 = 6;

    /// Which sort of value it is, in the order that sorts are kept in.
    pub(super) fn class(&self) -> u8 {
        match self {
            Cell::Number(_) => 0,
            Cell::Time(_) => 1,
            Cell::Cpu(_) => 2,
            Cell::Memory(_) => 3,
            Cell::Percent(_) => 4,
            Cell::Ratio(..) => 5,
            Cell::Text(_) | Cell::Status(..) => Self::TEXT_CLASS,
            Cell::Unknown => 7,
        }
    }

    pub fn tone(&self) -> Tone {
        match self {
            Cell::Status(_, tone) => *tone,
            Cell::Unknown => Tone::Dim,
            _ => Tone::Normal,
        }
    }
}

/// An age in seconds as kubectl writes it: two units where the larger is small ("3h12m", "9d").
/// Source: `k8s.io/apimachinery/pkg/util/duration.HumanDuration`.
pub fn age(seconds: i64) -> CompactString {
    use compact_str::format_compact;
    let (m, h, d) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        i64::MIN..=-2 => CompactString::const_new("<invalid>"),
        -1 => CompactString::const_new("0s"),
        0..120 => format_compact!("{seconds}s"),
        120..600 => with_rest(m, 'm', seconds % 60, 's'),
        600..10_800 => format_compact!("{m}m"),
        10_800..28_800 => with_rest(h, 'h', m % 60, 'm'),
        28_800..172_800 => format_compact!("{h}h"),
        172_800..691_200 => with_rest(d, 'd', h % 24, 'h'),
        691_200..63_072_000 => format_compact!("{d}d"),
        63_072_000..252_288_000 => with_rest(d / 365, 'y', d % 365, 'd'),
        _ => format_compact!("{}y", d / 365),
    }
}

/// In how many seconds the text of an age changes next: at least 1.
pub fn age_changes_in(seconds: i64) -> i64 {
    let step = match seconds {
        i64::MIN..600 => 1,
        600..28_800 => 60,
        28_800..691_200 => 3600,
        _ => 86_400,
    };
    step - seconds.rem_euclid(step)
}

fn with_rest(big: i64, big_unit: char, small: i64, small_unit: char) -> CompactString {
    use compact_str::format_compact;
    if small == 0 {
        format_compact!("{big}{big_unit}")
    } else {
        format_compact!("{big}{big_unit}{small}{small_unit}")
    }
}

/// Bytes in whole binary units, as k9s writes memory: mebibytes from one up, else kibibytes. Whole gibibytes, as
/// capacities are, stay what they were written as.
pub fn memory(bytes: i64) -> CompactString {
    use compact_str::format_compact;
    const GIBI: i64 = 1 << 30;
    match bytes {
        1..1024 => format_compact!("{bytes}B"),
        GIBI.. if bytes % GIBI == 0 => format_compact!("{}Gi", bytes / GIBI),
        i64::MIN..1_048_576 => format_compact!("{}Ki", bytes / 1024),
        _ => format_compact!("{}Mi", bytes / 1_048_576),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_written_as_kubectl_writes_them() {
        let cases = [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (600, "10m"),
            (10_800, "3h"),
            (11_520, "3h12m"),
            (86_400, "24h"),
            (172_800, "2d"),
            (180_000, "2d2h"),
            (777_600, "9d"),
            (63_072_000, "2y"),
            (31_536_000 * 9, "9y"),
        ];
        for (seconds, text) in cases {
            assert_eq!(age(seconds), text, "{seconds} s");
        }
    }

    #[test]
    fn an_age_is_the_same_until_it_is_said_to_change() {
        for seconds in (0..1_000_000).step_by(977) {
            let change = age_changes_in(seconds);
            assert!(change >= 1);
            assert_eq!(age(seconds), age(seconds + change - 1), "{seconds} s");
        }
        assert_eq!(age_changes_in(659), 1);
        assert_eq!(age_changes_in(86_400 * 9), 86_400);
    }

    #[test]
    fn capacities_are_written_as_they_are_and_compare_by_value() {
        assert_eq!(
            (memory(10 << 30), memory(1536 << 20), memory(900 << 10)),
            ("10Gi".into(), "1536Mi".into(), "900Ki".into())
        );
        assert_eq!(Cell::Memory(10 << 30).compare(&Cell::Memory(500 << 20)), Ordering::Greater);
    }

    #[test]
    fn unknown_sorts_last_and_is_never_zero() {
        assert_eq!(Cell::Unknown.compare(&Cell::Number(0)), Ordering::Greater);
        assert_eq!(Cell::Unknown.display(0), "–");
        assert_eq!(Cell::Cpu(90).compare(&Cell::Cpu(1000)), Ordering::Less);
        assert_eq!(Cell::Ratio(0, 2).compare(&Cell::Ratio(1, 1)), Ordering::Less);
    }
}
