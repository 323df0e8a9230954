//! Operations on folders of manifests on this machine, and on what the console has saved. For people alone: what lies
//! on a person's disk is no agent's to read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Deck;
use crate::base::{ActorKind, Code, Error, Paths, Result};
use crate::gate::{Context, Definition, Diff, Method, Operation, Preview, Spec, Target, define};
use crate::kube::objects::manifest;

pub const LIST: &[Definition<Deck>] =
    &[define::<FolderList>(), define::<ManifestRead>(), define::<SavedDelete>()];

/// More files of a folder are not looked into.
const MOST: usize = 2_000;
/// A longer file is no manifest that a person wrote.
const LONGEST: u64 = 4 << 20;

fn only_people(cx: &Context) -> Result<()> {
    if cx.actor().kind == ActorKind::Person {
        return Ok(());
    }
    Err(Error::new(Code::PermissionDenied, "files of this machine are for people to read")
        .next("Ask the person for the manifest; resource_apply takes its text."))
}

/// An absolute path; `~` is the home directory, nothing is what the console has saved.
fn place(path: Option<&str>) -> Result<PathBuf> {
    let Some(path) = path.map(str::trim).filter(|path| !path.is_empty()) else {
        return Ok(Paths::discover()?.state.join("saved"));
    };
    let home = || std::env::var("HOME").unwrap_or_default();
    let path = match path.strip_prefix('~') {
        Some("") => PathBuf::from(home()),
        Some(rest) if rest.starts_with('/') => PathBuf::from(format!("{}{rest}", home())),
        _ => PathBuf::from(path),
    };
    std::path::absolute(&path).map_err(|e| Error::invalid(format!("{}: {e}", path.display())))
}

fn cannot(path: &Path, error: &std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::NotFound {
        return Error::not_found(format!("there is no {}", path.display()));
    }
    Error::new(Code::PermissionDenied, format!("{} cannot be read: {error}", path.display()))
}

async fn on_thread<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct FolderListInput {
    /// Default: what the console has saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// What is in a folder: folders first.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FolderListOutput {
    pub folder: String,
    pub total: usize,
    pub columns: Vec<&'static str>,
    /// TYPE is `folder`, `manifest`, `kustomization` or `file`; OBJECTS counts what a manifest holds.
    pub rows: Vec<Vec<String>>,
    /// Seconds since the epoch of each row's last change, and its bytes.
    pub facts: Vec<(i64, u64)>,
}

struct FolderList;

impl Operation for FolderList {
    type Deck = Deck;
    type Input = FolderListInput;
    type Output = FolderListOutput;

    const SPEC: Spec = Spec::observe(
        "folder_list",
        "/v1/folders",
        "List a folder of manifests on this machine, or what the console has saved; for people only.",
    );

    fn target(input: &Self::Input) -> Target {
        Target { name: input.path.clone().unwrap_or_default(), ..Target::own("folder") }
    }

    async fn run(_: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        only_people(&cx)?;
        on_thread(move || list(&place(input.path.as_deref())?, input.path.is_none())).await
    }
}

fn list(folder: &Path, saved: bool) -> Result<FolderListOutput> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if saved && e.kind() == std::io::ErrorKind::NotFound => return Ok(listed(folder, Vec::new())),
        Err(e) => return Err(cannot(folder, &e)),
    };
    let mut found: Vec<(bool, String, PathBuf)> = entries
        .flatten()
        .map(|entry| (!entry.path().is_dir(), entry.file_name().to_string_lossy().into_owned(), entry.path()))
        .filter(|(_, name, _)| !name.starts_with('.'))
        .collect();
    found.sort();
    found.truncate(MOST);
    Ok(listed(folder, found))
}

fn listed(folder: &Path, found: Vec<(bool, String, PathBuf)>) -> FolderListOutput {
    let (mut rows, mut facts) = (Vec::new(), Vec::new());
    for (is_file, name, path) in found {
        let meta = std::fs::metadata(&path).ok();
        let bytes = meta.as_ref().map_or(0, std::fs::Metadata::len);
        let changed = meta.and_then(|m| m.modified().ok());
        let changed = changed.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        let (kind, objects) = if is_file { kind_of(&path, &name, bytes) } else { ("folder", String::new()) };
        facts.push((changed.and_then(|at| i64::try_from(at.as_secs()).ok()).unwrap_or_default(), bytes));
        rows.push(vec![name, kind.to_owned(), objects]);
    }
    let total = rows.len();
    FolderListOutput {
        folder: folder.display().to_string(),
        total,
        columns: vec!["NAME", "TYPE", "OBJECTS"],
        rows,
        facts,
    }
}

/// What a file is, and how many objects it holds or why none.
fn kind_of(path: &Path, name: &str, bytes: u64) -> (&'static str, String) {
    let is_yaml = [".yaml", ".yml", ".json"].iter().any(|ending| name.ends_with(ending));
    if ["kustomization.yaml", "kustomization.yml", "Kustomization"].contains(&name) {
        return ("kustomization", String::new());
    }
    if !is_yaml || bytes > LONGEST {
        return ("file", String::new());
    }
    match std::fs::read_to_string(path).map(|text| manifest::parse(&text)) {
        Ok(Ok(documents)) => ("manifest", documents.len().to_string()),
        _ => ("file", String::new()),
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct ManifestReadInput {
    /// The file.
    pub path: String,
}

/// A file's text, and the objects in it if it is a manifest.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ManifestReadOutput {
    pub path: String,
    pub text: String,
    pub objects: Vec<ManifestObject>,
    /// Why it holds no objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct ManifestObject {
    /// As an operation's `kind` takes it: `apps/v1/deployment`.
    pub kind: String,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

struct ManifestRead;

impl Operation for ManifestRead {
    type Deck = Deck;
    type Input = ManifestReadInput;
    type Output = ManifestReadOutput;

    const SPEC: Spec = Spec::observe(
        "manifest_read",
        "/v1/manifests/read",
        "Read a file on this machine, with the objects in it; for people only.",
    );

    fn target(input: &Self::Input) -> Target {
        Target { name: input.path.clone(), ..Target::own("file") }
    }

    async fn run(_: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        only_people(&cx)?;
        on_thread(move || read(&place(Some(&input.path))?)).await
    }
}

fn read(path: &Path) -> Result<ManifestReadOutput> {
    let meta = std::fs::metadata(path).map_err(|e| cannot(path, &e))?;
    if !meta.is_file() || meta.len() > LONGEST {
        return Err(Error::invalid(format!("{} is no file of at most {LONGEST} bytes", path.display())));
    }
    let bytes = std::fs::read(path).map_err(|e| cannot(path, &e))?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (objects, problem) = match manifest::parse(&text) {
        Ok(documents) => (documents.iter().map(object).collect(), None),
        Err(error) => (Vec::new(), Some(error.message)),
    };
    Ok(ManifestReadOutput { path: path.display().to_string(), text, objects, problem })
}

fn object(document: &manifest::Document) -> ManifestObject {
    ManifestObject {
        kind: document.resolvable().to_lowercase(),
        name: document.name(),
        namespace: document.namespace(),
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct SavedDeleteInput {
    /// The file's name in the folder of what was saved.
    pub name: String,
}

/// The file that is gone.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SavedDeleteOutput {
    pub path: String,
}

struct SavedDelete;

/// A file in the folder of what was saved, and nothing else.
fn saved(name: &str) -> Result<PathBuf> {
    if name.is_empty() || name.contains(['/', '\\']) || name.starts_with('.') {
        return Err(Error::invalid(format!("{name:?} is no name of a saved file")));
    }
    let path = place(None)?.join(name);
    match std::fs::symlink_metadata(&path) {
        Ok(meta) if meta.is_file() => Ok(path),
        Ok(_) => Err(Error::invalid(format!("{} is no file", path.display()))),
        Err(e) => Err(cannot(&path, &e)),
    }
}

impl Operation for SavedDelete {
    type Deck = Deck;
    type Input = SavedDeleteInput;
    type Output = SavedDeleteOutput;

    const SPEC: Spec = Spec::destroy(
        "saved_delete",
        Method::Delete,
        "/v1/saved/{name}",
        "Delete a file that the console has saved; for people only.",
    );
    const PREVIEW: bool = true;

    fn target(input: &Self::Input) -> Target {
        Target { name: input.name.clone(), ..Target::own("file") }
    }

    async fn run(_: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        only_people(&cx)?;
        on_thread(move || {
            let path = saved(&input.name)?;
            std::fs::remove_file(&path).map_err(|e| cannot(&path, &e))?;
            Ok(SavedDeleteOutput { path: path.display().to_string() })
        })
        .await
    }

    async fn preview(_: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Preview> {
        only_people(&cx)?;
        let target = Self::target(&input);
        let path = saved(&input.name)?;
        let mut preview = Preview::of(target);
        preview.diff = Diff::between(&format!("{}\n", path.display()), "");
        Ok(preview)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_says_what_each_file_holds() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write(
            "two.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: b, namespace: x}\n",
        );
        write("notes.yaml", "just: text\n");
        write("kustomization.yaml", "resources: [two.yaml]\n");
        write(".hidden", "");
        std::fs::create_dir(folder.path().join("zoo")).unwrap();
        let listed = list(folder.path(), false).unwrap();
        let rows: Vec<String> = listed.rows.iter().map(|r| r.join(" ")).collect();
        assert_eq!(
            rows,
            ["zoo folder ", "kustomization.yaml kustomization ", "notes.yaml file ", "two.yaml manifest 2"]
        );
        let read = read(&folder.path().join("two.yaml")).unwrap();
        assert_eq!(
            (read.objects[1].kind.as_str(), read.objects[1].namespace.as_deref()),
            ("core/v1/secret", Some("x"))
        );
        assert!(self::read(&folder.path().join("notes.yaml")).unwrap().problem.is_some());
        assert!(list(&folder.path().join("nowhere"), false).unwrap_err().message.contains("there is no"));
    }

    #[test]
    fn only_files_that_were_saved_are_deleted() {
        for name in ["", "../x", "a/b", ".ssh", "..", "no-such-file"] {
            assert!(saved(name).is_err(), "{name:?}");
        }
    }
}
