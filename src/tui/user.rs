//! What a k9s user has set up, as `k9s_show` tells it: aliases, hotkeys, plugins, views, jumps; and the keys made of it.

use std::collections::BTreeMap;

use compact_str::CompactString;
use serde::Deserialize;
use serde_json::Value;

use super::action::Action;
use super::command::well_known;
use super::keymap::{Binding, Key, Keymap};
use super::shared::{KindInfo, Shared};

/// Everything, for the context in view.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Setup {
    pub found: String,
    pub settings: Settings,
    pub aliases: BTreeMap<String, String>,
    pub hot_keys: Vec<HotKey>,
    pub plugins: Vec<Plugin>,
    pub views: Vec<View>,
    pub jumps: Vec<Jump>,
    pub problems: Vec<Problem>,
    /// The whole answer, to be read.
    #[serde(skip)]
    pub answer: Value,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Settings {
    pub skin: Option<String>,
    pub read_only: Option<bool>,
    pub default_view: Option<String>,
    pub crumbsless: Option<bool>,
    pub full_screen: Option<bool>,
    pub no_exit_on_ctrl_c: Option<bool>,
    pub favourites: Vec<String>,
    pub namespace: Option<String>,
    pub shell_image: Option<String>,
    pub shell_namespace: Option<String>,
    pub forward_address: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct HotKey {
    pub id: String,
    pub short_cut: String,
    pub description: String,
    pub command: String,
    #[serde(rename = "override")]
    pub overrides: bool,
    pub keep_history: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Plugin {
    pub id: String,
    pub short_cut: String,
    pub description: String,
    pub scopes: Vec<String>,
    #[serde(rename = "override")]
    pub overrides: bool,
    pub confirm: bool,
    pub background: bool,
    pub overwrite_output: bool,
    pub inputs: Vec<Input>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Input {
    pub name: String,
    pub label: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub required: bool,
    #[serde(rename = "default")]
    pub initial: Option<String>,
    pub options: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct View {
    pub of: String,
    pub columns: Vec<String>,
    pub sort_column: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Jump {
    pub from: String,
    pub to: String,
    pub label_selector: Option<String>,
    pub field_selector: Option<String>,
    pub target_namespace: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Problem {
    pub file: String,
    pub line: Option<usize>,
    pub what: String,
}

impl Setup {
    /// From `k9s_show`'s output.
    pub fn of(answer: Value) -> Self {
        let setup: Self = serde_json::from_value(answer.clone()).unwrap_or_default();
        Self { answer, ..setup }
    }

    pub fn plugin(&self, id: &str) -> Option<&Plugin> {
        self.plugins.iter().find(|p| p.id == id)
    }

    /// A command line with its first word's alias, and that one's, put in. k9s's own commands are no aliases.
    pub fn expand(&self, line: &str) -> String {
        const OWN: [&str; 13] = [
            "q",
            "q!",
            "qa",
            "quit",
            "exit",
            "?",
            "h",
            "help",
            "ctx",
            "context",
            "contexts",
            "ns",
            "namespaces",
        ];
        let mut line = line.trim().to_owned();
        let mut seen: Vec<String> = Vec::new();
        loop {
            let first = line.split_whitespace().next().unwrap_or_default().to_lowercase();
            if OWN.contains(&first.as_str()) || seen.contains(&first) {
                return line;
            }
            let Some(text) = self.aliases.get(&first) else { return line };
            let rest = line[first.len().min(line.len())..].trim_start();
            line = merged(text, rest);
            seen.push(first);
        }
    }

    /// The view of a kind in a namespace: the most specific one.
    pub fn view(&self, kind: &KindInfo, namespace: &str) -> Option<&View> {
        let is_kind = |word: &str| word == kind.gvr() || kind.goes_by(word);
        let fits = |view: &&View| match view.of.split_once('@') {
            Some((word, pattern)) => {
                is_kind(word)
                    && regex::Regex::new(&format!("^(?:{pattern})$")).is_ok_and(|r| r.is_match(namespace))
            }
            None => is_kind(&view.of),
        };
        let mut fitting: Vec<&View> = self.views.iter().filter(fits).collect();
        // A view for some namespaces goes before one for all; of several, the longest pattern.
        fitting.sort_by_key(|view| view.of.split_once('@').map_or(0, |(_, pattern)| pattern.len() + 1));
        fitting.pop()
    }

    pub fn jump(&self, kind: &KindInfo) -> Option<&Jump> {
        self.jumps.iter().find(|jump| jump.from == kind.gvr() || kind.goes_by(&jump.from))
    }
}

/// An alias's text with what was typed behind it: a namespace, labels or a filter of one's own go over the alias's.
fn merged(text: &str, rest: &str) -> String {
    if rest.is_empty() {
        return text.to_owned();
    }
    let is_namespace = |word: &&str| !word.starts_with(['/', '-', '@', '\'', '"']) && !word.contains('=');
    let own = rest.split_whitespace().next().filter(is_namespace).is_some();
    let mut words = text.split_whitespace();
    let kind = words.next().unwrap_or_default();
    let mut kept = vec![kind];
    for (i, word) in words.enumerate() {
        if i == 0 && own && is_namespace(&word) {
            continue;
        }
        kept.push(word);
    }
    format!("{} {rest}", kept.join(" "))
}

/// The modes that hold a person's own keys in a view: those that go before the console's, and those that come behind.
pub fn modes(view: &[CompactString]) -> (Vec<CompactString>, Vec<CompactString>) {
    let name = view.first().map(CompactString::as_str).unwrap_or_default();
    let table = view.iter().any(|mode| mode == "table");
    let own = |prefix: &str| {
        let scopes = [(true, name), (table, "all"), (true, "any")];
        scopes.iter().filter(|(holds, _)| *holds).map(|(_, s)| format!("{prefix}:{s}").into()).collect()
    };
    (own("over"), own("under"))
}

/// What the help calls such a mode.
pub fn title(mode: &str) -> Option<&'static str> {
    match mode.split_once(':')? {
        (_, "any") => Some("own hotkeys"),
        _ => Some("plugins"),
    }
}

/// Lays the keys of plugins and hotkeys over and under a keymap. Gives what is in the way of a key.
pub fn lay_keys(keymap: &mut Keymap, shared: &Shared) -> Vec<String> {
    let mut clashes = Vec::new();
    let setup = &shared.user;
    for plugin in &setup.plugins {
        let Ok(key) = Key::parse(&plugin.short_cut) else { continue };
        let binding = binding(key, "plugin", &plugin.id, &plugin.description, true);
        for scope in &plugin.scopes {
            let view = view_of(scope, shared);
            lay(keymap, &view, binding.clone(), plugin.overrides, &mut |what| {
                clashes.push(format!("plugin {}: {} {what}", plugin.id, plugin.short_cut));
            });
        }
    }
    for hot_key in &setup.hot_keys {
        let Ok(key) = Key::parse(&hot_key.short_cut) else { continue };
        let binding = binding(key, "hotkey", &hot_key.id, &hot_key.description, false);
        lay(keymap, "any", binding, hot_key.overrides, &mut |what| {
            clashes.push(format!("hotkey {}: {} {what}", hot_key.id, hot_key.short_cut));
        });
    }
    clashes
}

fn binding(key: Key, action: &str, id: &str, desc: &str, bar: bool) -> Binding {
    let action = Action { words: id.into(), ..Action::named(action) };
    Binding { keys: vec![key], action, desc: desc.into(), bar }
}

fn lay(keymap: &mut Keymap, view: &str, binding: Binding, overrides: bool, clash: &mut dyn FnMut(String)) {
    let key = binding.keys[0];
    let own: &[&str] = match view {
        "any" => &["global"],
        "all" => &["table", "global"],
        view => &[view, "objects", "table", "global"],
    };
    let held = keymap.held(own, key);
    // A key that is k9s's own goes first, as there; one that only this console has gives way.
    let first = overrides || held.is_none_or(|found| gives_way(found, view));
    if let Some(found) = held.filter(|_| !first) {
        clash(format!("is {} already; override: true would take it", found.desc));
    }
    let mode = if first { format!("over:{view}") } else { format!("under:{view}") };
    if let Some(found) = keymap.held(&[&mode], key) {
        clash(format!("is taken by {} already", found.action.words));
        return;
    }
    keymap.add(&mode, binding);
}

/// Whether a key is none of k9s's own in that view: its plugins are written for what is free there.
fn gives_way(binding: &Binding, view: &str) -> bool {
    // Movement by letters is not bound there either, but done by the widget that a bound key comes before.
    const OURS: [&str; 20] = [
        "ask",
        "explain",
        "decide",
        "show_me",
        "toggle_rail",
        "palette",
        "redraw",
        "events",
        "up",
        "down",
        "page_up",
        "page_down",
        "half_up",
        "half_down",
        "top",
        "bottom",
        "left",
        "right",
        "operation",
        "command",
    ];
    let name = binding.action.name;
    OURS.contains(&name)
        || (name == "history" && view != "helm")
        || (name == "sort"
            && view != "pods"
            && !matches!(&*binding.action.words, "NAME" | "AGE" | "NAMESPACE"))
        || (view == "containers" && matches!(name, "describe" | "yaml" | "edit"))
}

/// The view that a scope means: a kind's plural, one of the console's own panes, or every table.
fn view_of(scope: &str, shared: &Shared) -> CompactString {
    let word = scope.trim().to_lowercase();
    match word.as_str() {
        "all" => return "all".into(),
        "ctx" | "context" | "contexts" | "cluster-contexts" => return "clusters".into(),
        "container" | "co" => return "containers".into(),
        // Of a Helm release.
        "history" => return "helm_history".into(),
        _ => {}
    }
    if let Some(kind) = shared.kind(&word) {
        return kind.plural.clone();
    }
    // An alias of the person's own, or a short name that every cluster has.
    let through = shared.user.aliases.get(&word).and_then(|text| text.split_whitespace().next());
    let word = through.map_or(word.as_str(), |w| w);
    if let Some(kind) = shared.kind(word) {
        return kind.plural.clone();
    }
    let id = well_known(word).unwrap_or(word);
    let plain = id.rsplit('/').next().unwrap_or(id);
    plain.split('.').next().unwrap_or(plain).into()
}

/// `{{.metadata.name}}` and `{{ index .metadata.labels "a/b" }}` filled in from an object: the part of Go's templates
/// that jumps use. The error says what cannot be filled in.
pub fn fill_template(template: &str, object: &Value) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let (inside, behind) =
            after.split_once("}}").ok_or_else(|| format!("{template:?} has a {{{{ without its }}}}"))?;
        let inside = inside.trim().trim_start_matches('-').trim_end_matches('-').trim();
        out.push_str(
            &value_of(inside, object).ok_or_else(|| format!("{{{{{inside}}}}} is nothing in this object"))?,
        );
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}

fn value_of(expression: &str, object: &Value) -> Option<String> {
    let found = if let Some(path) = expression.strip_prefix('.') {
        path.split('.').try_fold(object, |value, key| value.get(key))?
    } else {
        let mut words = expression.strip_prefix("index ")?.split_whitespace();
        let mut value = words.next()?.strip_prefix('.')?.split('.').try_fold(object, |v, key| v.get(key))?;
        for word in words {
            value = match word.parse::<usize>() {
                Ok(at) => value.get(at)?,
                Err(_) => value.get(word.trim_matches('"'))?,
            };
        }
        value
    };
    match found {
        Value::String(text) => Some(text.clone()),
        Value::Number(n) => Some(n.to_string()),
        Value::Bool(b) => Some(b.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::Actor;

    fn kind(group: &str, version: &str, plural: &str, short: &str) -> KindInfo {
        KindInfo {
            id: if group.is_empty() { plural.into() } else { format!("{plural}.{group}").into() },
            plural: plural.into(),
            singular: plural.trim_end_matches('s').into(),
            group: group.into(),
            version: version.into(),
            short_names: vec![short.into()],
            namespaced: true,
            ..KindInfo::default()
        }
    }

    #[test]
    fn aliases_chain_and_what_is_typed_goes_over_them() {
        let setup = Setup::of(json!({ "aliases": {
            "pp": "v1/pods", "fred": "pp shop app=x", "pods": "pods app=x", "a": "b", "b": "a", "ns": "v1/pods",
        }}));
        for (line, expanded) in [
            ("pp", "v1/pods"),
            ("fred", "v1/pods shop app=x"),
            ("fred data", "v1/pods app=x data"),
            ("fred /web", "v1/pods shop app=x /web"),
            ("pods", "pods app=x"),
            ("ns shop", "ns shop"),
            ("svc", "svc"),
        ] {
            assert_eq!(setup.expand(line), expanded, "{line}");
        }
        assert!(["a", "b"].contains(&setup.expand("a").as_str()), "a chain that comes round ends");
    }

    #[test]
    fn the_most_specific_view_counts() {
        let setup = Setup::of(json!({ "views": [
            { "of": "v1/pods", "columns": ["A"] },
            { "of": "v1/pods@kube-.*", "columns": ["B"] },
            { "of": "v1/pods@kube-system", "columns": ["C"] },
            { "of": "dp", "columns": ["D"] },
        ]}));
        let pods = kind("", "v1", "pods", "po");
        let column = |namespace: &str| setup.view(&pods, namespace).map(|v| v.columns[0].clone());
        assert_eq!(column("shop").as_deref(), Some("A"));
        assert_eq!(column("kube-public").as_deref(), Some("B"));
        assert_eq!(column("kube-system").as_deref(), Some("C"));
        let deployments = kind("apps", "v1", "deployments", "dp");
        assert_eq!(setup.view(&deployments, "").unwrap().columns, ["D"]);
        assert_eq!(deployments.gvr(), "apps/v1/deployments");
    }

    #[test]
    fn keys_go_over_the_consoles_own_only_where_they_say_so() {
        let mut shared = Shared::new(Actor::operator("ana"), vec![].into());
        shared.kinds = vec![kind("", "v1", "pods", "po")].into();
        shared.user = std::sync::Arc::new(Setup::of(json!({
            "plugins": [
                { "id": "fine", "short_cut": "Ctrl-B", "description": "F", "scopes": ["po"] },
                { "id": "free", "short_cut": "Shift-W", "description": "W", "scopes": ["all", "ctx"] },
                { "id": "taker", "short_cut": "l", "description": "T", "scopes": ["pod"], "override": true },
                { "id": "ours", "short_cut": "Ctrl-L", "description": "O", "scopes": ["pods"] },
                { "id": "late", "short_cut": "d", "description": "L", "scopes": ["pods"] },
            ],
            "hot_keys": [{ "id": "h", "short_cut": "F6", "description": "H", "command": "svc" }],
        })));
        let mut keymap = Keymap::embedded().unwrap();
        let clashes = lay_keys(&mut keymap, &shared);
        assert!(clashes.iter().any(|c| c.contains("plugin late: d is describe already")), "{clashes:?}");
        let pods: Vec<CompactString> = ["pods", "objects", "table"].map(Into::into).into();
        let (over, under) = modes(&pods);
        let all: Vec<CompactString> =
            over.into_iter().chain(pods).chain(["global".into()]).chain(under).collect();
        let all: Vec<&str> = all.iter().map(CompactString::as_str).collect();
        let runs = |key: &str| keymap.bound(&all, key).unwrap().map(|a| format!("{} {}", a.name, a.words));
        assert_eq!(runs("l").as_deref(), Some("plugin taker"));
        assert_eq!(runs("d").as_deref(), Some("describe "));
        assert_eq!(runs("Shift-W").as_deref(), Some("plugin free"));
        assert_eq!(runs("Ctrl-L").as_deref(), Some("plugin ours"), "k9s has nothing there");
        assert_eq!(runs("F6").as_deref(), Some("hotkey h"));
    }

    #[test]
    fn templates_are_filled_from_the_object() {
        let object = json!({"metadata": {"name": "a", "labels": {"x/y": "z"}}, "spec": {"n": 3, "l": ["p"]}});
        for (template, text) in [
            ("metadata.name={{.metadata.name}}", "metadata.name=a"),
            ("{{ .spec.n }}-{{ index .metadata.labels \"x/y\" }}", "3-z"),
            ("{{index .spec.l 0}}", "p"),
            ("plain", "plain"),
        ] {
            assert_eq!(fill_template(template, &object).unwrap(), text);
        }
        assert!(
            fill_template("{{.spec.volumeName}}", &object).unwrap_err().contains("nothing in this object")
        );
        assert!(fill_template("{{.spec", &object).is_err());
    }
}
