//! Where a k9s user's files are.

use std::path::{Path, PathBuf};

/// The folders that k9s would read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Folders {
    /// `config.yaml`, `aliases.yaml`, `hotkeys.yaml`, `plugins.yaml`, `views.yaml`, `jumps.yaml`.
    pub config: PathBuf,
    /// `clusters/CLUSTER/CONTEXT/…`.
    pub contexts: PathBuf,
    /// More plugins, one or several a file.
    pub plugins: Vec<PathBuf>,
}

impl Folders {
    /// The variables that say where they are.
    pub const VARIABLES: [&str; 5] =
        ["K9S_CONFIG_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_DATA_DIRS", "HOME"];

    /// By `K9S_CONFIG_DIR`, else by the XDG variables, else below the home directory.
    pub fn discover(variable: impl Fn(&str) -> Option<String>) -> Self {
        let filled = |name: &str| variable(name).filter(|value| !value.is_empty());
        let home = PathBuf::from(filled("HOME").unwrap_or_default());
        let of = |name: &str, below: &str| filled(name).map_or_else(|| home.join(below), PathBuf::from);
        let (config, data) = (of("XDG_CONFIG_HOME", ".config"), of("XDG_DATA_HOME", ".local/share"));
        let shared = filled("XDG_DATA_DIRS").unwrap_or_else(|| "/usr/local/share:/usr/share".to_owned());
        let shared = shared.split(':').map(PathBuf::from).collect::<Vec<_>>();
        let plugins: Vec<PathBuf> =
            shared.iter().chain([&data, &config]).map(|folder| folder.join("k9s/plugins")).collect();
        match filled("K9S_CONFIG_DIR").map(PathBuf::from) {
            Some(own) => {
                let plugins = plugins.into_iter().chain([own.join("plugins")]).collect();
                Self { contexts: own.join("clusters"), config: own, plugins }
            }
            None => Self { config: config.join("k9s"), contexts: data.join("k9s/clusters"), plugins },
        }
    }

    /// All of them below one folder, as `K9S_CONFIG_DIR` has it.
    pub fn under(folder: &Path) -> Self {
        Self {
            config: folder.to_owned(),
            contexts: folder.join("clusters"),
            plugins: vec![folder.join("plugins")],
        }
    }

    /// The folder of a context's own files.
    pub fn context(&self, cluster: &str, context: &str) -> PathBuf {
        self.contexts.join(fit(cluster)).join(fit(context))
    }
}

/// A name as k9s makes it fit for a path. `.` and `..` would lead elsewhere.
fn fit(name: &str) -> String {
    let fit: String = name.chars().map(|c| if matches!(c, ':' | '/') { '-' } else { c }).collect();
    if fit.chars().all(|c| c == '.') { fit.replace('.', "-") } else { fit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_k9s_own() {
        let of = |pairs: &'static [(&'static str, &'static str)]| {
            Folders::discover(|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
        };
        let usual = of(&[("HOME", "/home/ana")]);
        assert_eq!(usual.config, Path::new("/home/ana/.config/k9s"));
        assert_eq!(
            usual.context("arn:aws:eks/x", "../up"),
            Path::new("/home/ana/.local/share/k9s/clusters/arn-aws-eks-x/..-up")
        );
        assert!(usual.plugins.contains(&PathBuf::from("/home/ana/.local/share/k9s/plugins")));
        assert_eq!(usual.context("..", "."), Path::new("/home/ana/.local/share/k9s/clusters/--/-"));
        let own = of(&[("HOME", "/home/ana"), ("K9S_CONFIG_DIR", "/etc/k9s")]);
        assert_eq!(
            (own.config.to_str(), own.contexts.to_str()),
            (Some("/etc/k9s"), Some("/etc/k9s/clusters"))
        );
    }
}
