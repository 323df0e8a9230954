//! A column that a person describes: `NAME`, or `NAME:.json.path|FLAGS`, as k9s's `views.yaml` writes it.

use compact_str::CompactString;

use super::cell::{Align, Column, ColumnKind};

/// A column as described.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ColumnSpec {
    pub name: CompactString,
    /// Where its value is in the object; without one it is a column that the table has anyway.
    pub path: Option<String>,
    /// `N`: an amount.
    pub number: bool,
    /// `T`: a point in time, shown as an age.
    pub time: bool,
    /// `S`: a word that says how it is.
    pub status: bool,
    /// `W`: in the wide layout only.
    pub wide: bool,
    /// `H`: not at all.
    pub hidden: bool,
    /// `L` or `R`.
    pub right: Option<bool>,
}

impl ColumnSpec {
    /// Reads one. The error is a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let is_flags = |f: &str| f.len() <= 3 && f.chars().all(|c| "NTWSLRH".contains(c));
        let (body, flags) = match text.rsplit_once('|') {
            Some((body, flags)) if is_flags(flags.trim()) => (body, flags.trim()),
            // A path may hold a bar of its own; behind a name alone there is nothing but flags.
            Some((body, flags)) if !body.contains(':') => {
                return Err(format!("{text:?}: {flags:?} are no flags: N, T, S, W, L, R, H, at most three"));
            }
            _ => (text, ""),
        };
        let (name, path) =
            body.split_once(':').map_or((body, None), |(name, path)| (name, Some(path.trim())));
        let name = name.trim();
        let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | ' ' | '%' | '/' | '-');
        if name.is_empty() || !name.chars().all(fits) {
            return Err(format!("{text:?} is no column: write NAME or NAME:.path|FLAGS"));
        }
        let has = |flag: char| flags.contains(flag);
        let right = if has('R') {
            Some(true)
        } else if has('L') {
            Some(false)
        } else {
            None
        };
        Ok(Self {
            name: name.to_uppercase().into(),
            path: path.filter(|p| !p.is_empty()).map(str::to_owned),
            number: has('N'),
            time: has('T'),
            status: has('S'),
            wide: has('W'),
            hidden: has('H'),
            right,
        })
    }

    /// The column that a value by its path is shown in.
    pub fn column(&self) -> Column {
        let kind = match (self.time, self.number, self.status) {
            (true, ..) => ColumnKind::Age,
            (_, true, _) => ColumnKind::Number,
            (.., true) => ColumnKind::Status,
            _ => ColumnKind::Text,
        };
        Column { wide: self.wide, ..Column::new(self.name.clone(), kind).rank(4) }
    }

    /// How it is to be aligned, if it says so.
    pub fn align(&self) -> Option<Align> {
        self.right.map(|right| if right { Align::Right } else { Align::Left })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_read_as_k9s_writes_them() {
        let spec = |text: &str| ColumnSpec::parse(text).unwrap();
        assert_eq!(spec("AGE").path, None);
        let wide = spec("IMG:.spec.containers[0].image|WR");
        assert_eq!(
            (wide.path.as_deref(), wide.wide, wide.right),
            (Some(".spec.containers[0].image"), true, Some(true))
        );
        assert!(spec("%CPU/L|W").wide);
        assert!(spec("STARTED:.status.startTime|T").time);
        assert_eq!(spec("BAR:.a['x|y']").path.as_deref(), Some(".a['x|y']"));
        assert_eq!(spec("DOTS:.metadata.labels.kubernetes\\.io\\/os").name, "DOTS");
        assert!(spec("X|H").hidden);
        assert!(ColumnSpec::parse("A|Q").unwrap_err().contains("no flags"));
        assert!(ColumnSpec::parse(":.a").is_err());
        assert!(ColumnSpec::parse("a$b:.c").is_err());
    }
}
