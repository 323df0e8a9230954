//! What keys can mean: every action has a name that keymap files use, and one line here.
//!
//! A pane matches on [`Action::name`]. A keymap that names an action which is not in [`ACTIONS`] is
//! refused, so that a misspelt key is a message at the start and not a key that does nothing.

use compact_str::CompactString;

use crate::base::text::nearest;

/// What an action takes after its name in a keymap file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    Nothing,
    /// Any words: a command line, a column's name, a number.
    Words,
    /// The name of an operation, whose form is opened.
    Operation,
}

/// One line of [`ACTIONS`].
#[derive(Debug, Clone, Copy)]
pub struct ActionInfo {
    pub name: &'static str,
    pub takes: Takes,
    /// Whether it can lead to a change: such keys are not offered in read-only mode.
    pub changes: bool,
}

const fn plain(name: &'static str) -> ActionInfo {
    ActionInfo { name, takes: Takes::Nothing, changes: false }
}

const fn with(name: &'static str, takes: Takes) -> ActionInfo {
    ActionInfo { name, takes, changes: false }
}

const fn change(name: &'static str) -> ActionInfo {
    ActionInfo { name, takes: Takes::Nothing, changes: true }
}

/// Every action there is, in the order of the files that handle them.
pub const ACTIONS: &[ActionInfo] = &[
    // The application.
    plain("quit"),
    plain("back"),
    plain("prompt_command"),
    plain("prompt_filter"),
    plain("help"),
    plain("palette"),
    plain("history_back"),
    plain("history_forward"),
    plain("history_last"),
    plain("toggle_header"),
    plain("toggle_crumbs"),
    plain("toggle_rail"),
    plain("redraw"),
    plain("tab_new"),
    plain("tab_close"),
    plain("tab_next"),
    plain("tab_previous"),
    with("tab_go", Takes::Words),
    plain("split_right"),
    plain("split_below"),
    plain("half_next"),
    plain("refresh"),
    plain("aliases"),
    plain("decide"),
    plain("show_me"),
    plain("ask"),
    with("command", Takes::Words),
    // A person's own: the name of a hotkey or a plugin.
    with("hotkey", Takes::Words),
    ActionInfo { name: "plugin", takes: Takes::Words, changes: true },
    with("operation", Takes::Operation),
    // Moving, in tables, texts and lists.
    plain("up"),
    plain("down"),
    plain("page_up"),
    plain("page_down"),
    plain("half_up"),
    plain("half_down"),
    plain("top"),
    plain("bottom"),
    plain("left"),
    plain("right"),
    plain("enter"),
    plain("next"),
    plain("previous"),
    plain("tab"),
    plain("tab_back"),
    // Tables.
    plain("mark"),
    plain("mark_range"),
    plain("mark_clear"),
    plain("wide"),
    plain("faults"),
    with("sort", Takes::Words),
    plain("sort_left"),
    plain("sort_right"),
    plain("sort_selected"),
    with("favourite", Takes::Words),
    plain("save"),
    plain("copy"),
    plain("copy_namespace"),
    plain("copy_cell"),
    plain("warp"),
    plain("owner"),
    plain("node"),
    // Objects.
    plain("yaml"),
    plain("describe"),
    plain("logs"),
    plain("logs_previous"),
    plain("events"),
    change("apply"),
    change("edit"),
    change("delete"),
    change("kill"),
    change("scale"),
    change("restart"),
    change("cordon"),
    change("uncordon"),
    change("drain"),
    change("trigger"),
    change("suspend"),
    change("resume"),
    change("reconcile"),
    change("sync"),
    change("prune"),
    change("terminate"),
    change("options"),
    plain("out_of_sync"),
    change("rollback"),
    change("image"),
    change("sanitize"),
    change("rename"),
    change("deny"),
    change("undo_to"),
    change("pause"),
    plain("history"),
    plain("replica_sets"),
    plain("used_by"),
    plain("adjacent"),
    plain("links"),
    plain("bundle"),
    plain("notify"),
    plain("explain"),
    plain("diff"),
    plain("timeline"),
    plain("rules"),
    plain("values"),
    change("forward"),
    plain("forwards"),
    change("shell"),
    change("attach"),
    change("debug"),
    change("transfer"),
    // Logs and texts.
    with("since", Takes::Words),
    plain("wrap"),
    plain("timestamps"),
    plain("autoscroll"),
    plain("all_containers"),
    plain("clear"),
    plain("fullscreen"),
    plain("managed_fields"),
    plain("decode"),
    plain("auto_refresh"),
    plain("fold"),
    plain("fold_all"),
    plain("column_lock"),
    plain("json"),
    plain("next_match"),
    plain("previous_match"),
    plain("levels"),
    plain("fold_repeats"),
    plain("choose_fields"),
    with("fields", Takes::Words),
    plain("choose_time"),
    with("go_to_time", Takes::Words),
    plain("next_minute"),
    plain("previous_minute"),
    plain("next_error"),
    plain("previous_error"),
    plain("next_mark"),
    plain("choose_file"),
    with("save_as", Takes::Words),
    // Dialogs and forms.
    plain("accept"),
    plain("cancel"),
    change("approve"),
    change("refuse"),
    change("amend"),
    change("grant"),
    plain("stop"),
    plain("hide"),
    plain("parameters"),
    plain("force"),
    plain("cascade"),
    plain("grace"),
    plain("undo"),
    plain("redo"),
    plain("find"),
    plain("verify"),
    // The grants.
    change("revoke"),
    change("new"),
    plain("export"),
];

/// The line of an action.
pub fn info(name: &str) -> Option<&'static ActionInfo> {
    ACTIONS.iter().find(|a| a.name == name)
}

/// An action to do, as a key or a command gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    pub name: &'static str,
    /// What follows the name in the keymap; empty for most.
    pub words: CompactString,
}

/// Why a keymap's `run` is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    #[error("there is no action {0:?}{1}")]
    Unknown(String, String),
    #[error("the action {0:?} takes nothing after its name")]
    TakesNothing(&'static str),
    #[error("the action {0:?} needs something after its name")]
    NeedsWords(&'static str),
}

impl Action {
    /// An action without words. Unknown names cannot come from our own code: they give `back`,
    /// and the test of this file refuses them.
    pub fn named(name: &str) -> Self {
        let name = info(name).map_or("back", |i| i.name);
        Self { name, words: CompactString::default() }
    }

    /// Reads `name words…` as keymap files write it.
    pub fn parse(text: &str) -> Result<Self, ActionError> {
        let text = text.trim();
        let (name, words) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let words = words.trim();
        let Some(info) = info(name) else {
            let near = nearest(name, ACTIONS.iter().map(|a| a.name));
            let near = near.map(|near| format!("; the nearest is {near:?}")).unwrap_or_default();
            return Err(ActionError::Unknown(name.to_owned(), near));
        };
        match info.takes {
            Takes::Nothing if !words.is_empty() => Err(ActionError::TakesNothing(info.name)),
            Takes::Words | Takes::Operation if words.is_empty() => Err(ActionError::NeedsWords(info.name)),
            _ => Ok(Self { name: info.name, words: words.into() }),
        }
    }

    /// Whether it can lead to a change.
    pub fn changes(&self) -> bool {
        info(self.name).is_some_and(|i| i.changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        for (i, a) in ACTIONS.iter().enumerate() {
            assert!(ACTIONS[i + 1..].iter().all(|b| b.name != a.name), "{}", a.name);
        }
    }

    #[test]
    fn a_misspelt_action_is_refused_with_the_nearest_name() {
        assert_eq!(
            Action::parse("descrbe").unwrap_err().to_string(),
            "there is no action \"descrbe\"; the nearest is \"describe\""
        );
        assert!(Action::parse("sort").is_err());
        assert!(Action::parse("yaml now").is_err());
        assert_eq!(Action::parse("sort NAME").unwrap().words, "NAME");
    }
}
