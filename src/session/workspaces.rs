//! Saved workspaces: which tabs were open, on what, and how the screen was split. One file each in the configuration's
//! `workspaces/` folder, to be read, edited and kept with other files.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::text::nearest;
use crate::base::{Error, Result};

/// What is written into a file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Workspace {
    /// The command line that leads to each tab, as typed after `:`.
    pub tabs: Vec<String>,
    /// The tab in view, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<u32>,
    /// `right` or `below`: the tab in view and the one after it share the screen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
}

/// The folder of the workspaces.
#[derive(Debug, Clone)]
pub struct Workspaces {
    folder: PathBuf,
}

const SUFFIX: &str = ".yaml";
/// As many tabs as there are keys for.
const TABS: usize = 9;

impl Workspaces {
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The names, in order; none where there is no folder.
    pub fn names(&self) -> Result<Vec<String>> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(self.failed(&self.folder, &e)),
        };
        let name = |entry: std::fs::DirEntry| {
            let file = entry.file_name().into_string().ok()?;
            file.strip_suffix(SUFFIX).filter(|name| is_name(name)).map(str::to_owned)
        };
        let mut names: Vec<String> = entries.flatten().filter_map(name).collect();
        names.sort();
        Ok(names)
    }

    /// # Errors
    ///
    /// There is none of that name, or its file is not a workspace.
    pub fn get(&self, name: &str) -> Result<Workspace> {
        let path = self.path(name)?;
        match std::fs::read_to_string(&path) {
            Ok(text) => serde_yaml_ng::from_str(&text).map_err(|e| {
                Error::invalid(format!("{}: {e}", path.display()))
                    .next("Mend the file, or save the workspace anew.")
            }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(self.unknown(name)),
            Err(e) => Err(self.failed(&path, &e)),
        }
    }

    /// Writes it in place of what had that name; says whether there was something.
    pub fn save(&self, name: &str, workspace: &Workspace) -> Result<bool> {
        if workspace.tabs.is_empty() || workspace.tabs.len() > TABS {
            return Err(Error::invalid(format!("a workspace has 1 to {TABS} tabs")));
        }
        if workspace.split.as_deref().is_some_and(|split| !matches!(split, "right" | "below")) {
            return Err(Error::invalid("a screen is split to the `right` or `below`"));
        }
        let path = self.path(name)?;
        let existed = path.exists();
        let text = serde_yaml_ng::to_string(workspace).map_err(Error::internal)?;
        let write = || {
            std::fs::create_dir_all(&self.folder)?;
            // Whole or not at all, however this process ends.
            let part = path.with_extension("part");
            std::fs::write(&part, text)?;
            std::fs::rename(part, &path)
        };
        write().map_err(|e| self.failed(&path, &e))?;
        Ok(existed)
    }

    pub fn delete(&self, name: &str) -> Result<()> {
        let path = self.path(name)?;
        match std::fs::remove_file(&path) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(self.unknown(name)),
            Err(e) => Err(self.failed(&path, &e)),
        }
    }

    fn path(&self, name: &str) -> Result<PathBuf> {
        if !is_name(name) {
            return Err(Error::invalid(format!("{name:?} cannot name a workspace"))
                .next("Use at most 64 letters, digits, \"-\", \"_\" and \".\"."));
        }
        Ok(self.folder.join(format!("{name}{SUFFIX}")))
    }

    fn unknown(&self, name: &str) -> Error {
        let names = self.names().unwrap_or_default();
        let error = Error::not_found(format!("there is no workspace {name:?}"));
        match nearest(name, names.iter().map(String::as_str)) {
            Some(near) => error.next(format!("Did you mean {near:?}?")),
            None => error.next(format!(":ws save {name} saves what is open now.")),
        }
    }

    fn failed(&self, path: &std::path::Path, e: &std::io::Error) -> Error {
        Error::unavailable(format!("{}: {e}", path.display()))
            .next("Make it readable and writable for this user.")
    }
}

/// A name is one of a file: nothing of it may lead elsewhere.
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= 64 && !name.starts_with('.') && name.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_comes_back_and_names_lead_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let workspaces = Workspaces::new(folder.path().join("workspaces"));
        assert!(workspaces.names().unwrap().is_empty());
        let tabs = vec!["pods shop -c 'a,b' /web".to_owned(), "nodes all".to_owned()];
        let given = Workspace { tabs, current: Some(2), split: Some("right".into()) };
        assert!(!workspaces.save("night", &given).unwrap());
        assert!(workspaces.save("night", &given).unwrap());
        assert_eq!(workspaces.names().unwrap(), ["night"]);
        assert_eq!(workspaces.get("night").unwrap(), given);
        assert!(workspaces.get("nigth").unwrap_err().next_step().contains("night"));
        for wrong in ["", "../x", "a/b", ".hidden", "a b"] {
            assert!(workspaces.save(wrong, &given).is_err(), "{wrong:?}");
        }
        assert!(workspaces.save("none", &Workspace::default()).is_err());
        std::fs::write(folder.path().join("workspaces/broken.yaml"), "tabs: 3").unwrap();
        assert!(workspaces.get("broken").unwrap_err().message.contains("broken.yaml"));
        workspaces.delete("night").unwrap();
        assert!(workspaces.delete("night").is_err());
    }
}
