//! Changes as shell commands: what a person would type to the same effect.

use super::common;
use super::input::{Object, Within};
use crate::kube::objects::plan::MANAGER;

/// A command that grows word by word.
#[derive(Debug, Clone)]
pub struct Command(String);

impl Command {
    /// Words that need no quotes: `kubectl scale`.
    pub fn new(words: &str) -> Self {
        Self(words.to_owned())
    }

    /// One more word, quoted where a shell would split or expand it.
    #[must_use]
    pub fn word(mut self, word: &str) -> Self {
        self.0.push(' ');
        self.0.push_str(&shell(word));
        self
    }

    /// A word that the shell is to expand, quoted as it must be.
    #[must_use]
    pub fn expanded(mut self, word: &str) -> Self {
        self.0.push(' ');
        self.0.push_str(word);
        self
    }

    /// A flag that is given or not.
    #[must_use]
    pub fn flag(self, flag: &str, given: bool) -> Self {
        if given { self.word(flag) } else { self }
    }

    /// `--flag=value`, if there is a value.
    #[must_use]
    pub fn value(self, flag: &str, value: Option<impl std::fmt::Display>) -> Self {
        match value {
            Some(value) => self.word(&format!("{flag}={value}")),
            None => self,
        }
    }

    /// `deployment/web`
    #[must_use]
    pub fn object(self, kind: &str, name: &str) -> Self {
        // A version in front says how to read the object, not which object it is.
        let kind = common::target(&None, &None, kind, name).kind;
        self.word(&format!("{kind}/{name}"))
    }

    /// `-n shop --context prod`, and the end.
    pub fn within(self, within: &Within) -> String {
        let command = match &within.namespace {
            Some(namespace) => self.word("-n").word(namespace),
            None => self,
        };
        command.context(within.cluster.as_deref())
    }

    /// As Helm names the same: `-n shop --kube-context prod`, and the end.
    pub fn helm(self, within: &Within) -> String {
        let command = match &within.namespace {
            Some(namespace) => self.word("-n").word(namespace),
            None => self,
        };
        match &within.cluster {
            Some(cluster) => command.word("--kube-context").word(cluster).0,
            None => command.0,
        }
    }

    /// `--context prod`, and the end.
    pub fn context(self, cluster: Option<&str>) -> String {
        match cluster {
            Some(cluster) => self.word("--context").word(cluster).0,
            None => self.0,
        }
    }
}

/// `kubectl VERB kind/name`, to be gone on with.
pub fn kubectl(verb: &str, object: &Object) -> Command {
    Command::new(&format!("kubectl {verb}")).object(&object.kind, &object.name)
}

/// A merge patch of an object, as custom resources need it.
pub fn merge_patch(object: &Object, patch: &str) -> String {
    kubectl("patch", object).word("--type=merge").word("-p").word(patch).within(&object.within)
}

/// A server-side apply of what is given on standard input.
pub fn apply(force: bool, within: &Within) -> String {
    Command::new("kubectl apply --server-side")
        .value("--field-manager", Some(MANAGER))
        .flag("--force-conflicts", force)
        .word("-f")
        .word("-")
        .within(within)
}

/// A word as a POSIX shell takes it.
pub fn shell(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(shell("kind-1/a_b.c"), "kind-1/a_b.c");
        assert_eq!(shell("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(shell(""), "''");
    }

    #[test]
    fn a_command_names_the_object_and_where_it_is() {
        let within = Within { cluster: Some("eu 1".into()), namespace: Some("shop".into()) };
        let object = Object { kind: "apps/v1/deployments".into(), name: "web".into(), within };
        let command = kubectl("scale", &object).value("--replicas", Some(3)).flag("--x", false);
        assert_eq!(
            command.within(&object.within),
            "kubectl scale deployment/web --replicas=3 -n shop --context 'eu 1'"
        );
    }
}
