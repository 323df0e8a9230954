//! Puts the layers together and remembers where each value came from.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Config;
use super::environment::{self, Setting};
use super::file::{self, reword};
use super::outline::{Key, at, keys, put, scalar};
use crate::base::text::nearest;
use crate::base::{Error, Result};

/// What to load from.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// The file. It may be missing, unless `required`.
    pub file: PathBuf,
    /// Whether the file was named by a person, so that its absence is a mistake.
    pub required: bool,
    pub environment: Vec<(String, String)>,
    /// `section.key=value`, each from `--set`.
    pub set: Vec<String>,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Default,
    File(PathBuf),
    Environment(String),
    Flag,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(path) => write!(f, "{}", path.display()),
            Origin::Environment(name) => f.write_str(name),
            Origin::Flag => f.write_str("--set"),
        }
    }
}

/// The configuration that holds, and the layers it was made of.
#[derive(Debug, Clone, Default)]
pub struct Effective {
    pub config: Config,
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
    in_file: Value,
    text: String,
    over: Vec<(String, Origin)>,
}

/// Loads and checks the configuration; the first mistake is the error.
pub fn load(inputs: &Inputs) -> Result<Effective> {
    let (effective, mistakes) = examine(inputs);
    mistakes.into_iter().next().map_or(Ok(effective), Err)
}

/// What can be read of the configuration, and every mistake in it.
pub fn examine(inputs: &Inputs) -> (Effective, Vec<Error>) {
    let mut effective = Effective::default();
    let mut mistakes = Vec::new();
    match read(&inputs.file, inputs.required) {
        Ok(Some(text)) => {
            (effective.config, mistakes) = file::parse_all(&inputs.file, &text);
            effective.in_file = file::values(&inputs.file, &text).unwrap_or_default();
            effective.file = Some(inputs.file.clone());
            effective.text = text;
        }
        Ok(None) => {}
        Err(error) => mistakes.push(error),
    }
    let ours = inputs.environment.iter().any(|(name, _)| name.starts_with("QD_"));
    if !ours && inputs.set.is_empty() {
        return (effective, mistakes);
    }
    let keys = keys();
    let mut values = serde_json::to_value(&effective.config).unwrap_or_default();
    let (settings, slips) = environment::read(&keys, inputs.environment.iter().cloned());
    mistakes.extend(slips);
    let variables =
        settings.into_iter().map(|setting| Ok((Origin::Environment(setting.origin.clone()), setting)));
    let flags = inputs.set.iter().map(|flag| Ok((Origin::Flag, from_flag(&keys, flag)?)));
    for setting in variables.chain(flags) {
        let taken = setting.and_then(|(origin, setting)| {
            let path = setting.path.clone();
            let mut with = values.clone();
            effective.config = apply(&mut with, setting)?;
            values = with;
            effective.over.push((path, origin));
            Ok(())
        });
        mistakes.extend(taken.err());
    }
    (effective, mistakes)
}

fn read(path: &Path, required: bool) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && !required => Ok(None),
        Err(e) => Err(Error::invalid(format!("cannot read {}: {e}", path.display()))
            .next("Name a file that is there and that you can read.")),
    }
}

fn from_flag(keys: &[Key], flag: &str) -> Result<Setting> {
    let Some((path, text)) = flag.split_once('=') else {
        return Err(Error::invalid(format!("--set {flag}: there is no \"=\""))
            .next("Write it as --set http.port=7421."));
    };
    let Some(key) = keys.iter().find(|k| k.path == path) else {
        let error = Error::invalid(format!("--set {flag}: there is no key {path:?}"));
        return Err(match nearest(path, keys.iter().map(|k| k.path.as_str())) {
            Some(near) => error.next(format!("Did you mean {near}?")),
            None => error.next("`qd config show` lists the keys."),
        });
    };
    Ok(Setting {
        path: path.to_owned(),
        origin: format!("--set {path}"),
        value: environment::value(key, text),
    })
}

/// Puts one setting over `values` and reads the whole again, so that a mistake is blamed on its setting.
fn apply(values: &mut Value, setting: Setting) -> Result<Config> {
    put(values, &setting.path, setting.value);
    serde_json::from_value(values.clone()).map_err(|e| {
        let (message, next) = reword(&e.to_string());
        Error::invalid(format!("{}: {message}", setting.origin)).next(next)
    })
}

/// One key with the value that holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// `http.port`.
    pub key: String,
    pub value: Value,
    pub origin: Origin,
}

impl Effective {
    /// Every key with its value and where the value came from.
    pub fn list(&self) -> Vec<Held> {
        let values = serde_json::to_value(&self.config).unwrap_or(Value::Null);
        let one = |key: Key| {
            let value = at(&values, &key.path).cloned().unwrap_or(Value::Null);
            let origin = self.origin(&key.path);
            Held { key: key.path, value, origin }
        };
        keys().into_iter().map(one).collect()
    }

    /// Where a key that holds was written: `/etc/config.yaml:3`, `QD_SCREEN_THEME`.
    pub fn written(&self, path: &str) -> String {
        match self.origin(path) {
            Origin::File(file) => match file::line_of(&self.text, path) {
                Some(line) => format!("{}:{line}", file.display()),
                None => file.display().to_string(),
            },
            other => other.to_string(),
        }
    }

    fn origin(&self, path: &str) -> Origin {
        if let Some((_, origin)) = self.over.iter().rev().find(|(p, _)| p == path) {
            return origin.clone();
        }
        match &self.file {
            Some(file) if at(&self.in_file, path).is_some() => Origin::File(file.clone()),
            _ => Origin::Default,
        }
    }

    /// The effective configuration as YAML, each value with a comment that says where it came from.
    pub fn to_yaml(&self) -> String {
        let mut out = String::new();
        let mut section = String::new();
        for held in self.list() {
            let Some((this, name)) = held.key.split_once('.') else {
                let line = format!("{}: {}", held.key, scalar(&held.value));
                out.push_str(&format!("{line:<44}  # {}\n", held.origin));
                continue;
            };
            if this != section {
                this.clone_into(&mut section);
                out.push_str(&format!("{this}:\n"));
            }
            let line = format!("  {name}: {}", scalar(&held.value));
            out.push_str(&format!("{line:<44}  # {}\n", held.origin));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(text: &str, environment: &[(&str, &str)], set: &[&str]) -> (tempfile::TempDir, Inputs) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.yaml");
        std::fs::write(&file, text).unwrap();
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let set = set.iter().map(|s| (*s).to_owned()).collect();
        (dir, Inputs { file, required: true, environment, set })
    }

    #[test]
    fn flags_go_over_the_environment_over_the_file_over_the_defaults() {
        let (_dir, inputs) = inputs(
            "http: {port: 1, body_kib: 2, timeout_seconds: 3}\n",
            &[("QD_HTTP_PORT", "10"), ("QD_HTTP_BODY_KIB", "20"), ("QD_HTTP_HOSTS", "a.example, b.example")],
            &["http.port=100", "screen.mouse=false"],
        );
        let effective = load(&inputs).unwrap();
        let http = &effective.config.http;
        assert_eq!((http.port, http.body_kib, http.timeout_seconds), (100, 20, 3));
        assert_eq!(http.hosts, ["a.example", "b.example"]);
        assert!(!effective.config.screen.mouse);
        let origin = |key: &str| effective.list().into_iter().find(|h| h.key == key).unwrap().origin;
        assert_eq!(origin("http.port"), Origin::Flag);
        assert_eq!(origin("http.body_kib"), Origin::Environment("QD_HTTP_BODY_KIB".to_owned()));
        assert_eq!(origin("http.timeout_seconds"), Origin::File(inputs.file.clone()));
        assert_eq!(origin("log.keep"), Origin::Default);
        let again = file::parse(Path::new("x"), &effective.to_yaml()).unwrap();
        assert_eq!(again, effective.config);
    }

    #[test]
    fn mistakes_outside_the_file_name_their_variable_or_flag() {
        type Case =
            (&'static [(&'static str, &'static str)], &'static [&'static str], &'static str, &'static str);
        let cases: &[Case] = &[
            (&[("QD_HTTP_PROT", "1")], &[], "QD_HTTP_PROT", "Did you mean QD_HTTP_PORT?"),
            (&[("QD_HTTP_PORT", "many")], &[], "QD_HTTP_PORT: invalid type", "Correct it"),
            (&[("QD_LOG_KEEP", "1000")], &[], "QD_LOG_KEEP: 1000 is not from 0 to 100", "Correct it"),
            (&[], &["http.port"], "there is no \"=\"", "Write it"),
            (&[], &["http.prot=1"], "there is no key \"http.prot\"", "Did you mean http.port?"),
            (&[], &["http.port=x"], "--set http.port: invalid type", "Correct it"),
        ];
        for (environment, set, message, next) in cases {
            let (_dir, inputs) = inputs("", environment, set);
            let error = load(&inputs).unwrap_err();
            assert!(error.message.contains(message), "{:?}", error.message);
            assert!(error.next_step().starts_with(next), "{:?}", error.next_step());
        }
    }

    #[test]
    fn variables_of_a_kubernetes_service_called_qd_are_left_alone() {
        let (_dir, inputs) =
            inputs("", &[("QD_SERVICE_HOST", "10.0.0.1"), ("QD_PORT_80_TCP_ADDR", "x")], &[]);
        assert_eq!(load(&inputs).unwrap().config, Config::default());
    }

    #[test]
    fn a_missing_file_is_a_mistake_only_when_it_was_named() {
        let mut inputs = Inputs { file: "/nonexistent/config.yaml".into(), ..Inputs::default() };
        assert_eq!(load(&inputs).unwrap().config, Config::default());
        inputs.required = true;
        assert!(load(&inputs).unwrap_err().message.contains("/nonexistent/config.yaml"));
    }
}
