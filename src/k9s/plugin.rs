//! Plugins: a command under a key, for some kinds of objects.

use serde::{Deserialize, Serialize};

use super::node::Node;
use super::read::Reader;

/// A plugin that can be used.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct Plugin {
    pub id: String,
    /// `a`, `Shift-A`, `Ctrl-L`, `F1`.
    pub short_cut: String,
    pub description: String,
    /// Words for kinds, or `all`.
    pub scopes: Vec<String>,
    pub command: String,
    pub args: Vec<String>,
    /// Commands that the output goes through, one after another.
    pub pipes: Vec<String>,
    /// Its key goes before the console's own.
    #[serde(rename = "override")]
    pub overrides: bool,
    /// A person is asked first.
    pub confirm: bool,
    /// Not offered in a read-only session.
    pub dangerous: bool,
    /// Runs without the terminal.
    pub background: bool,
    /// Its output is the message, instead of that it ran.
    pub overwrite_output: bool,
    pub inputs: Vec<Input>,
    /// The file that it is from.
    pub file: String,
}

/// What is asked of the person before a plugin runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct Input {
    pub name: String,
    pub label: String,
    #[serde(rename = "type")]
    pub kind: InputType,
    pub required: bool,
    #[serde(rename = "default", skip_serializing_if = "Option::is_none")]
    pub initial: Option<String>,
    pub options: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InputType {
    #[default]
    String,
    Number,
    Bool,
    Dropdown,
}

const KEYS: &[&str] = &[
    "shortCut",
    "description",
    "scopes",
    "command",
    "args",
    "pipes",
    "override",
    "confirm",
    "dangerous",
    "background",
    "overwriteOutput",
    "inputs",
];
const INPUT_KEYS: &[&str] = &["name", "label", "type", "required", "default", "options"];
/// k9s takes as many.
const INPUTS: usize = 5;

/// The plugins of a file, in any of the shapes that k9s takes: `plugins: {id: P}`, `{id: P}`, or a single P whose name
/// is the file's.
pub(super) fn plugins(reader: &mut Reader<'_>, root: &Node) -> Vec<Plugin> {
    let single =
        ["command", "shortCut", "scopes"].iter().filter(|key| root.get(key).is_some_and(|v| !v.is_map()));
    if single.count() >= 2 {
        let id = reader.stem();
        return one(reader, "", &id, root).into_iter().collect();
    }
    let (path, map) = match root.get("plugins").or_else(|| root.get("plugin")) {
        Some(map) => ("plugins", map),
        None => ("", root),
    };
    let path = if root.get("plugin").is_some() && root.get("plugins").is_none() { "plugin" } else { path };
    if !map.is_map() && *map != Node::Null {
        reader.problem(path, "plugins are a mapping of names to plugins");
    }
    let join = |id: &str| if path.is_empty() { id.to_owned() } else { format!("{path}/{id}") };
    map.entries().iter().filter_map(|(id, node)| one(reader, &join(id), id, node)).collect()
}

/// One plugin, if it has what it needs.
fn one(reader: &mut Reader<'_>, path: &str, id: &str, node: &Node) -> Option<Plugin> {
    if !node.is_map() {
        reader.problem(path, format!("{id} is no plugin: it is not a mapping"));
        return None;
    }
    let at = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}/{key}") };
    reader.unknown_keys(path, node, KEYS);
    let short_cut = reader.text(&at("shortCut"), node, "shortCut").unwrap_or_default().trim().to_owned();
    let command = reader.text(&at("command"), node, "command").unwrap_or_default().trim().to_owned();
    let scopes: Vec<String> =
        reader.list(&at("scopes"), node, "scopes").into_iter().map(|s| s.trim().to_owned()).collect();
    let inputs = inputs(reader, &at("inputs"), node);
    let missing: Vec<&str> =
        [("shortCut", short_cut.is_empty()), ("command", command.is_empty()), ("scopes", scopes.is_empty())]
            .into_iter()
            .filter(|(_, missing)| *missing)
            .map(|(key, _)| key)
            .collect();
    if !missing.is_empty() {
        reader.problem(path, format!("the plugin {id} cannot be used: it has no {}", missing.join(", no ")));
        return None;
    }
    if !super::read::is_key(&short_cut) {
        let what =
            format!("the plugin {id} cannot be used: {short_cut:?} is no key (a, Shift-A, Ctrl-L, F1)");
        reader.problem(&at("shortCut"), what);
        return None;
    }
    let mut flag = |key: &str| reader.bool(&at(key), node, key);
    let (overrides, dangerous) = (flag("override"), flag("dangerous"));
    let (background, overwrite) = (flag("background"), flag("overwriteOutput"));
    // Who is asked for something means to look at it once more.
    let confirm = flag("confirm").unwrap_or(!inputs.is_empty());
    let description = reader.text(&at("description"), node, "description").map(|d| d.trim().to_owned());
    Some(Plugin {
        id: id.to_owned(),
        short_cut,
        description: description.filter(|d| !d.is_empty()).unwrap_or_else(|| id.to_owned()),
        scopes,
        command,
        args: reader.list(&at("args"), node, "args"),
        pipes: reader.list(&at("pipes"), node, "pipes"),
        overrides: overrides.unwrap_or_default(),
        confirm,
        dangerous: dangerous.unwrap_or_default(),
        background: background.unwrap_or_default(),
        overwrite_output: overwrite.unwrap_or_default(),
        inputs,
        file: reader.file(),
    })
}

fn inputs(reader: &mut Reader<'_>, path: &str, plugin: &Node) -> Vec<Input> {
    let items = match plugin.get("inputs") {
        None | Some(Node::Null) => return Vec::new(),
        Some(Node::List(items)) => items,
        Some(_) => {
            reader.problem(path, "inputs are a list");
            return Vec::new();
        }
    };
    if items.len() > INPUTS {
        reader.problem(
            path,
            format!("k9s takes {INPUTS} inputs, and there are {}: all are asked for", items.len()),
        );
    }
    items.iter().filter_map(|node| input(reader, path, node)).collect()
}

fn input(reader: &mut Reader<'_>, path: &str, node: &Node) -> Option<Input> {
    reader.unknown_keys(path, node, INPUT_KEYS);
    let Some(name) = reader.text(path, node, "name").filter(|name| !name.trim().is_empty()) else {
        reader.problem(path, "an input has no name, and is not asked for");
        return None;
    };
    let kind = match reader.text(path, node, "type").as_deref().map(str::trim) {
        Some("number") => InputType::Number,
        Some("bool" | "boolean") => InputType::Bool,
        Some("dropdown" | "select") => InputType::Dropdown,
        Some("string") | None => InputType::String,
        Some(other) => {
            reader.problem(
                path,
                format!("the input {name} has the type {other:?}: it is asked for as a string"),
            );
            InputType::String
        }
    };
    let options = reader.list(path, node, "options");
    if kind == InputType::Dropdown && options.is_empty() {
        reader.problem(path, format!("the input {name} is a dropdown without options"));
    }
    Some(Input {
        label: reader.text(path, node, "label").unwrap_or_else(|| name.clone()),
        name,
        kind,
        required: reader.bool(path, node, "required").unwrap_or_default(),
        initial: reader.text(path, node, "default"),
        options,
    })
}
