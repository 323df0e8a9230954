//! How the tables of each kind were sorted last, kept in a file of the state directory from one session to the next.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::base::Result;
use crate::base::paths::private_dir;
use crate::tui::panes::save;

/// By kind: `COLUMN`, or `COLUMN:desc`.
#[derive(Debug, Default)]
pub struct Sorts {
    file: Option<PathBuf>,
    all: BTreeMap<String, String>,
}

impl Sorts {
    /// Those of a file, and where new ones go; a file that is not there or is none of ours has none.
    pub fn of(file: Option<PathBuf>) -> Self {
        let text = file.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
        let all = text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        Self { file, all }
    }

    /// The column that the tables of a kind were sorted by, and whether downwards.
    pub fn get(&self, kind: &str) -> Option<(&str, bool)> {
        let sort = self.all.get(kind)?;
        Some(sort.strip_suffix(":desc").map_or((sort.as_str(), false), |column| (column, true)))
    }

    /// Takes note of one; gives what writes them all, if there is a file. It blocks: run it on a job.
    pub fn note(
        &mut self,
        kind: &str,
        column: &str,
        descending: bool,
    ) -> Option<impl FnOnce() -> Result<()> + Send + 'static> {
        let sort = format!("{column}{}", if descending { ":desc" } else { "" });
        if self.all.insert(kind.to_owned(), sort.clone()).as_ref() == Some(&sort) {
            return None;
        }
        let (file, text) = (self.file.clone()?, Value::from_iter(self.all.clone()).to_string());
        Some(move || write(&file, &text))
    }
}

/// Puts a file in place of another, whole.
fn write(file: &Path, text: &str) -> Result<()> {
    if let Some(folder) = file.parent() {
        private_dir(folder)?;
    }
    // Another console of the same user may write its own at the same time.
    let new = file.with_extension(format!("{}.new", std::process::id()));
    let _ = std::fs::remove_file(&new);
    save::fill(&new, |out| out.write_all(text.as_bytes()))?;
    std::fs::rename(&new, file).map_err(crate::base::Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_chosen_last_holds_in_the_next_session() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state/sorts.json");
        let mut sorts = Sorts::of(Some(file.clone()));
        assert_eq!(sorts.get("pods"), None);
        sorts.note("pods", "AGE", true).unwrap()().unwrap();
        sorts.note("nodes", "CPU", false).unwrap()().unwrap();
        assert!(sorts.note("nodes", "CPU", false).is_none(), "it is written already");
        let again = Sorts::of(Some(file.clone()));
        assert_eq!((again.get("pods"), again.get("nodes")), (Some(("AGE", true)), Some(("CPU", false))));
        std::fs::write(&file, "nonsense").unwrap();
        assert_eq!(Sorts::of(Some(file)).get("pods"), None);
        assert!(Sorts::of(None).note("pods", "AGE", true).is_none(), "without a file nothing is written");
    }
}
