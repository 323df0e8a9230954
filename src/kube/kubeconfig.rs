//! Changing a kubeconfig file in place: a context is renamed or taken out, and every other byte stays as it is.
//!
//! [`edited`] is pure. It finds the places to change by the positions that a parser gives, and then reads both texts to see
//! that they differ in that alone: what is written too cleverly for it is refused, not spoilt.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde_json::json;
use serde_yaml_ng::Value;
use sha2::{Digest as _, Sha256};

use super::contexts::Clusters;
use super::kubeconfig_text::edited;
use super::objects::Plan;
use super::objects::place::Seen;
use super::objects::yaml::to_yaml;
use crate::base::{Code, Error, Result};

/// What is to be done with a context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextChange {
    Rename { from: String, to: String },
    Delete { name: String },
}

impl ContextChange {
    /// The context that it is about.
    pub fn name(&self) -> &str {
        match self {
            Self::Rename { from, .. } => from,
            Self::Delete { name } => name,
        }
    }

    /// The current context where it was this one: empty is none.
    pub(super) fn current(&self) -> &str {
        match self {
            Self::Rename { to, .. } => to,
            Self::Delete { .. } => "",
        }
    }
}

/// One file with the change made.
struct Edit {
    path: PathBuf,
    before: String,
    after: String,
}

/// A change of the files, not made yet.
pub struct Prepared {
    pub plan: Plan,
    edits: Vec<Edit>,
}

impl Clusters {
    /// Computes the change: of the file that defines the context, and of those that name it as the current one. Reads files.
    pub fn prepare(&self, change: &ContextChange) -> Result<Prepared> {
        let name = change.name();
        if let ContextChange::Rename { to, .. } = change {
            self.check_new_name(to)?;
        }
        let (mut edits, mut defined) = (Vec::new(), Vec::new());
        for path in self.paths() {
            let before = match std::fs::read_to_string(&path) {
                Ok(text) => text,
                // kubectl passes over files of the list that are not there.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(e) => return Err(unreadable(&path, &e)),
            };
            // The first file that defines it is the one that holds; the others may still name it as the current one.
            let defines = has_context(&before, name);
            if defines {
                defined.push(path.clone());
            }
            let after = edited(&before, change, defines && defined.len() == 1).map_err(|why| {
                Error::unsupported(format!("{} cannot be changed in place: {why}", path.display()))
                    .next("Change it by hand, or with kubectl config, which writes the file anew.")
            })?;
            if let Some(after) = after {
                edits.push(Edit { path, before, after });
            }
        }
        let [file, others @ ..] = defined.as_slice() else {
            return Err(self.no_file(name));
        };
        Ok(Prepared { plan: self.explain(change, &edits, file, others), edits })
    }

    fn check_new_name(&self, to: &str) -> Result<()> {
        if to.trim().is_empty() || to.chars().any(char::is_control) {
            return Err(Error::invalid("a context's name is a word or a few, not nothing"));
        }
        if self.names().iter().any(|known| **known == *to) {
            return Err(Error::new(Code::AlreadyExists, format!("there is a context {to:?} already"))
                .next("Choose another name, or rename or delete that one first."));
        }
        Ok(())
    }

    fn no_file(&self, name: &str) -> Error {
        match self.get(Some(name)) {
            Ok(_) => Error::unsupported(format!("the context {name:?} stands in no file"))
                .next("It is the cluster that this process runs in."),
            Err(error) => error.into(),
        }
    }

    fn explain(&self, change: &ContextChange, edits: &[Edit], file: &Path, others: &[PathBuf]) -> Plan {
        let mut plan = Plan {
            checks: vec!["the rest of the file stays as it is, comments too".to_owned()],
            ..Plan::default()
        };
        let mut hash = Sha256::new();
        for edit in edits {
            hash.update(edit.before.as_bytes());
            plan.before.push_str(&shown(edit, &edit.before, change));
            plan.after.push_str(&shown(edit, &edit.after, change));
            plan.affects.push(format!("{} is written anew, in one step", edit.path.display()));
        }
        plan.seen =
            Some(Seen { uid: file.display().to_string(), revision: hex::encode(&hash.finalize()[..8]) });
        if let ContextChange::Delete { .. } = change {
            plan.affects.push("its cluster and its user stay in the file".to_owned());
        }
        if self.current().as_deref() == Some(change.name()) {
            plan.warnings.push(match change {
                ContextChange::Rename { to, .. } => format!("it is the current context, which will be {to}"),
                ContextChange::Delete { .. } => "it is the current context: there will be none".to_owned(),
            });
        }
        if let [other, ..] = others {
            plan.warnings.push(format!(
                "{} defines {} too: that one was hidden and will be seen",
                other.display(),
                change.name()
            ));
        }
        plan
    }
}

impl Prepared {
    /// Writes the files, each at once or not at all. With `expected`, only as they were when they were looked at. Blocks.
    pub fn write(&self, expected: Option<&Seen>) -> Result<Vec<PathBuf>> {
        if expected.is_some() && expected != self.plan.seen.as_ref() {
            return Err(changed());
        }
        let write = |edit: &Edit| replace(&edit.path, &edit.before, &edit.after).map(|()| edit.path.clone());
        self.edits.iter().map(write).collect()
    }
}

fn changed() -> Error {
    Error::new(Code::Conflict, "the kubeconfig changed since it was looked at: nothing was done")
        .next("Preview the change again.")
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::unavailable(format!("{} cannot be read: {error}", path.display()))
        .next("See who owns it, and that you may read it.")
}

fn context_of<'a>(root: &'a Value, name: &str) -> Option<&'a Value> {
    root.get("contexts")?.as_sequence()?.iter().find(|c| c.get("name").and_then(Value::as_str) == Some(name))
}

fn has_context(text: &str, name: &str) -> bool {
    serde_yaml_ng::from_str::<Value>(text).is_ok_and(|root| context_of(&root, name).is_some())
}

/// What of a file is shown: the context and the current one. The rest of it has keys and tokens.
fn shown(edit: &Edit, text: &str, change: &ContextChange) -> String {
    let root: Value = serde_yaml_ng::from_str(text).unwrap_or_default();
    let names = match change {
        ContextChange::Rename { from, to } => vec![from, to],
        ContextChange::Delete { name } => vec![name],
    };
    let part = |c: &Value| json!({"name": c.get("name"), "context": c.get("context")});
    let contexts: Vec<_> = names.iter().filter_map(|name| context_of(&root, name)).map(part).collect();
    let current = root.get("current-context").and_then(Value::as_str).unwrap_or_default();
    let yaml = to_yaml(&json!({ "contexts": contexts, "current-context": current }));
    format!("--- # {}\n{yaml}", edit.path.display())
}

/// kubectl's own lock, so that the two do not write at once. Source: client-go `tools/clientcmd/loader.go`.
struct Lock(PathBuf);

impl Lock {
    fn take(path: &Path) -> Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let lock = PathBuf::from(name);
        match std::fs::File::create_new(&lock) {
            Ok(_) => Ok(Self(lock)),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Err(Error::new(
                Code::Conflict,
                format!("{} is there: another program is changing the file", lock.display()),
            )
            .next("Try again; if nothing is, remove that file.")),
            Err(e) => Err(unwritable(path, &e)),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // What cannot be removed is named by whoever finds it.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> Error {
    Error::unavailable(format!("{} cannot be written: {error}", path.display()))
        .next("See who owns it and its folder; nothing was changed.")
}

/// Puts a file in the place of the old one, with its owner and mode; through a link, the file that the link means.
fn replace(path: &Path, before: &str, after: &str) -> Result<()> {
    let fail = |e: std::io::Error| unwritable(path, &e);
    let path = std::fs::canonicalize(path).map_err(fail)?;
    let _lock = Lock::take(&path)?;
    if std::fs::read_to_string(&path).map_err(|e| unreadable(&path, &e))? != before {
        return Err(changed());
    }
    let old = std::fs::metadata(&path).map_err(fail)?;
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".qd-{}", std::process::id()));
    let new = PathBuf::from(name);
    let written = (|| {
        let mode = old.permissions().mode() & 0o7777;
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
        file.write_all(after.as_bytes())?;
        // The mode at creation is less what the process masks.
        file.set_permissions(old.permissions())?;
        let own = file.metadata()?;
        if (own.uid(), own.gid()) != (old.uid(), old.gid()) {
            std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()))?;
        }
        file.sync_all()?;
        std::fs::rename(&new, &path)
    })();
    written.map_err(|e| {
        let _ = std::fs::remove_file(&new);
        unwritable(&path, &e)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::Options;

    const TEXT: &str = "# mine\ncurrent-context: a\ncontexts:\n- name: a # work\n  context: {cluster: c, user: u}\nclusters: []\nusers:\n- name: u\n  user: {token: canary}\n";

    fn over(path: &Path) -> std::sync::Arc<Clusters> {
        Clusters::new(Options { kubeconfig: Some(path.to_owned()), ..Options::default() })
    }

    #[test]
    fn a_file_is_replaced_with_its_mode_and_through_its_link() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("config"), dir.path().join("link"));
        std::fs::write(&file, TEXT).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let change = ContextChange::Rename { from: "a".into(), to: "work".into() };
        let prepared = over(&link).prepare(&change).unwrap();
        assert!(!prepared.plan.before.contains("canary") && prepared.plan.after.contains("work"));
        prepared.write(prepared.plan.seen.as_ref()).unwrap();
        assert!(link.is_symlink());
        assert_eq!(
            std::fs::read_to_string(&file).unwrap(),
            TEXT.replace("name: a #", "name: work #").replace("current-context: a", "current-context: work")
        );
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "nothing is left beside it");
        assert_eq!(prepared.write(None).unwrap_err().code, Code::Conflict, "it is another file now");
    }

    #[test]
    fn a_lock_and_a_name_that_is_taken_are_respected() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config");
        std::fs::write(&file, TEXT).unwrap();
        let clusters = over(&file);
        let delete = ContextChange::Delete { name: "a".into() };
        let prepared = clusters.prepare(&delete).unwrap();
        assert!(prepared.plan.warnings[0].contains("there will be none"), "{:?}", prepared.plan.warnings);
        std::fs::write(dir.path().join("config.lock"), "").unwrap();
        assert!(prepared.write(None).unwrap_err().message.contains("config.lock"));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), TEXT);
        let same = ContextChange::Rename { from: "a".into(), to: "a".into() };
        assert_eq!(clusters.prepare(&same).err().unwrap().code, Code::AlreadyExists);
        let gone = ContextChange::Delete { name: "b".into() };
        assert_eq!(clusters.prepare(&gone).err().unwrap().code, Code::NotFound);
    }
}
