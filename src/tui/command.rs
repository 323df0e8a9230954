//! The command line: what is typed after `:`, and what `qd WORDS…` opens with.
//!
//! ```text
//! <alias|resource> [namespace] [-A] [-n NS] [-l SELECTOR] [k=v | 'k in (a,b)'] [-f FUZZY] [/FILTER…] [@CONTEXT]
//! ```
//!
//! Pure: it knows nothing of what exists. Whoever runs a [`Command`] resolves the names.

use compact_str::CompactString;

use super::object::Namespaces;
use super::shared::KindInfo;
pub use super::words::well_known;
use crate::base::{Error, Result};

/// What a line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `!`: without asking.
    Quit {
        now: bool,
    },
    Help,
    Aliases,
    Audit,
    Approvals,
    Timeline,
    Participants,
    Messages,
    Notices,
    Grants,
    Forwards,
    Palette,
    /// The users or groups that role bindings name.
    Subjects(&'static str),
    Helm,
    /// What a subject may do, as `u:jane`, or the rules of a role, as `cr:edit`; without one, whoever sits here.
    Can(Option<String>),
    /// The clusters, or go to one.
    Context(Option<CompactString>),
    /// The namespaces, or go to one.
    Namespace(Option<Namespaces>),
    /// Another theme, by name; without one, say which there are.
    Theme(Option<CompactString>),
    /// Another keymap, by name; without one, say which there are.
    Keymap(Option<CompactString>),
    /// What was found of a k9s user's files.
    K9s,
    /// Every workload in one table.
    Workloads(Option<Namespaces>),
    Pulses,
    /// Objects of every kind by a part of their name, which stands where the kind does else.
    Find(Wanted),
    /// A kind's objects with all that they own and need.
    Xray(CompactString, Option<Namespaces>),
    /// A folder of manifests; without one, what was saved.
    Dir(Option<String>),
    Workspace(WorkspaceCommand),
    /// A new tab, with what a command leads to or with what is in view.
    Tab(Option<String>),
    /// Objects of a kind.
    Resources(Wanted),
}

/// What is to be done with a workspace, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkspaceCommand {
    /// Say which there are.
    List,
    Open(String),
    Save(String),
    Delete(String),
}

/// A table that was asked for. What is `None` stays as the session has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// As typed: alias, plural, singular, short name, `plural.group`, `group/version/plural`.
    pub kind: CompactString,
    pub namespaces: Option<Namespaces>,
    pub context: Option<CompactString>,
    /// Label selector.
    pub labels: Option<String>,
    /// Field selector.
    pub fields: Option<String>,
    /// Only what this object owns: `cronjob/report`.
    pub owner: Option<String>,
    /// As typed after `/`; fuzzy ones begin with `-f `.
    pub filter: Option<String>,
    /// `COLUMN`, or `COLUMN:desc`.
    pub sort: Option<String>,
}

/// The commands that are not resources, with the words that mean them; the first is the one that is completed.
const WORDS: &[(&[&str], &str)] = &[
    (&["quit", "q", "q!", "qa", "exit", "quit!"], "leave"),
    (&["help", "?", "h"], "keys and commands"),
    (&["aliases", "alias", "a"], "every kind and its short names"),
    (&["audit", "journal"], "who did what"),
    (&["approvals", "approval", "ap"], "what waits for a decision"),
    (&["timeline", "tl"], "what happens now"),
    (&["participants", "who"], "who is here"),
    (&["messages", "message", "msg"], "what was said, and by whom"),
    (&["notices", "notice"], "the objects whose changes are told, and what became of them"),
    (&["grants", "grant"], "what agents may do without asking"),
    (&["forwards", "pf", "portforwards"], "the port-forwards"),
    (&["operations", "palette"], "everything that can be done"),
    (&["helm", "hm"], "Helm releases"),
    (&["users", "user", "usr"], "the users that bindings name"),
    (&["groups", "group", "grp"], "the groups that bindings name"),
    (
        &["can", "rules", "policy"],
        "what u:USER, g:GROUP, s:NS:ACCOUNT or a role cr:NAME, r:NS:NAME may do; alone: you",
    ),
    (&["contexts", "context", "ctx", "clusters", "cluster"], "the clusters, or go to one"),
    (&["namespaces", "namespace", "ns"], "the namespaces, or go to one"),
    (&["theme", "skin"], "another theme"),
    (&["keymap"], "another keymap"),
    (&["workloads", "workload", "wk"], "every workload in one table"),
    (&["xray", "xr", "x"], "what a kind's objects own and need: :xray KIND [NS]"),
    (&["find", "search"], "objects of every kind by a part of their name: :find TEXT [NS] [-l SELECTOR]"),
    (&["pulse", "pulses", "pu", "hz"], "how many of each kind are well"),
    (&["dir", "d", "ls"], "a folder of manifests: :dir PATH"),
    (&["tab"], "a new tab: :tab COMMAND"),
    (&["ws", "workspace", "workspaces"], "saved tabs: :ws save NAME, :ws NAME, :ws delete NAME"),
    (&["screendumps", "screendump", "sd"], "what Ctrl-s has saved"),
    (&["k9s", "plugins", "hotkeys"], "what was found of k9s' files, and what cannot be used"),
];

/// The commands for the help: the words, and what they do.
pub fn commands() -> impl Iterator<Item = (String, &'static str)> {
    WORDS.iter().map(|(words, what)| (words.join(", "), *what))
}

/// Reads a line as typed, without its colon.
pub fn parse(line: &str) -> Result<Command> {
    let words = split(line)?;
    let Some(first) = words.first() else {
        return Err(Error::invalid("the command is empty").next("Type a kind such as pods, or ? for help."));
    };
    let rest = &words[1..];
    let none = |command: Command| match rest.first() {
        None => Ok(command),
        Some(extra) => {
            Err(Error::invalid(format!("{:?} takes nothing after it, not {:?}", first.text, extra.text)))
        }
    };
    let one = |what: &str| match rest {
        [] => Ok(None),
        [only] => Ok(Some(only.text.strip_prefix('@').unwrap_or(&only.text).to_owned())),
        [_, extra, ..] => Err(Error::invalid(format!("{what} takes one name; {:?} is too much", extra.text))),
    };
    let known =
        WORDS.iter().find(|(words, _)| words.contains(&first.text.as_str())).map(|(words, _)| words[0]);
    match known {
        Some("quit") => none(Command::Quit { now: first.text.ends_with('!') }),
        Some("help") => none(Command::Help),
        Some("aliases") => none(Command::Aliases),
        Some("audit") => none(Command::Audit),
        Some("approvals") => none(Command::Approvals),
        Some("timeline") => none(Command::Timeline),
        Some("participants") => none(Command::Participants),
        Some("messages") => none(Command::Messages),
        Some("notices") => none(Command::Notices),
        Some("grants") => none(Command::Grants),
        Some("forwards") => none(Command::Forwards),
        Some("operations") => none(Command::Palette),
        Some("helm") => none(Command::Helm),
        Some("users") => none(Command::Subjects("user")),
        Some("groups") => none(Command::Subjects("group")),
        Some("can") => Ok(Command::Can(one("can")?)),
        Some("contexts") => Ok(Command::Context(one("a context")?.map(Into::into))),
        // `:ns /web` and `:ns -l team=a` are tables of namespaces, `:ns shop` goes to one.
        Some("namespaces")
            if rest.first().is_none_or(|w| !w.text.starts_with(['/', '-', '@']) && !is_selector(w)) =>
        {
            Ok(Command::Namespace(one("a namespace")?.map(|n| Namespaces::parse(&n))))
        }
        Some("theme") => Ok(Command::Theme(one("a theme")?.map(Into::into))),
        Some("workloads") => Ok(Command::Workloads(one("a namespace")?.map(|n| Namespaces::parse(&n)))),
        Some("xray") => match rest {
            [] => Ok(Command::Xray("deployments".into(), None)),
            [kind] => Ok(Command::Xray(kind.text.as_str().into(), None)),
            [kind, namespace] => {
                Ok(Command::Xray(kind.text.as_str().into(), Some(Namespaces::parse(&namespace.text))))
            }
            [_, _, extra, ..] => Err(Error::invalid(format!(
                "xray takes a kind and a namespace; {:?} is too much",
                extra.text
            ))),
        },
        Some("find") => find(rest, line).map(Command::Find),
        Some("pulse") => none(Command::Pulses),
        Some("dir") => Ok(Command::Dir(Some(one("a folder")?.unwrap_or_else(|| ".".to_owned())))),
        Some("ws") => workspace(rest).map(Command::Workspace),
        Some("tab") => Ok(Command::Tab(rest.first().map(|word| line[word.at..].trim_end().to_owned()))),
        Some("screendumps") => none(Command::Dir(None)),
        Some("k9s") => none(Command::K9s),
        Some("keymap") => Ok(Command::Keymap(one("a keymap")?.map(Into::into))),
        _ => wanted(first, rest, line).map(Command::Resources),
    }
}

fn workspace(words: &[Word]) -> Result<WorkspaceCommand> {
    let words: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    match words[..] {
        [] => Ok(WorkspaceCommand::List),
        ["save", name] => Ok(WorkspaceCommand::Save(name.to_owned())),
        ["delete", name] => Ok(WorkspaceCommand::Delete(name.to_owned())),
        ["save" | "delete"] => Err(Error::invalid(format!("{} needs a name after it", words[0]))),
        [name] => Ok(WorkspaceCommand::Open(name.to_owned())),
        [_, extra, ..] => Err(Error::invalid(format!("ws takes one name; {extra:?} is too much"))
            .next(":ws save NAME, :ws NAME or :ws delete NAME.")),
    }
}

/// Whether a command leads somewhere in every cluster: it is one of ours, or a kind that is known without asking.
pub fn leads_somewhere(command: &Command) -> bool {
    match command {
        Command::Resources(wanted) => {
            let plain = wanted.kind.split('.').next().unwrap_or_default();
            well_known(&wanted.kind).is_some() || well_known(plain) == Some(wanted.kind.as_str())
        }
        _ => true,
    }
}

/// Reads words as a shell has split them: `qd pods -A --context eu-1`.
pub fn parse_words<S: AsRef<str>>(words: &[S]) -> Result<Command> {
    let line: Vec<String> = words
        .iter()
        .map(|w| {
            let w = w.as_ref();
            let plain = !w.is_empty() && !w.contains([' ', '\t', '\'', '"']);
            if plain || w.starts_with('/') { w.to_owned() } else { format!("'{}'", w.replace('\'', "'\\''")) }
        })
        .collect();
    parse(&line.join(" "))
}

/// What is looked for: a part of a name, labels, or both.
fn find(words: &[Word], line: &str) -> Result<Wanted> {
    let none = Word { text: String::new(), at: 0, quoted: false };
    let wanted = match words {
        [] => return Err(nothing_to_find()),
        [first, ..] if first.text.starts_with(['-', '@', '/']) || is_selector(first) => {
            wanted(&none, words, line)?
        }
        [text, rest @ ..] => wanted(text, rest, line)?,
    };
    if wanted.kind.is_empty() && wanted.labels.is_none() && wanted.fields.is_none() {
        return Err(nothing_to_find());
    }
    match (&wanted.owner, &wanted.sort) {
        (None, None) => Ok(wanted),
        _ => Err(Error::invalid("find takes no --owner and no --sort")),
    }
}

fn nothing_to_find() -> Error {
    Error::invalid("find needs a part of a name, or labels")
        .next("Such as :find cart, :find web-* all, :find -l app=web @all.")
}

fn wanted(kind: &Word, words: &[Word], line: &str) -> Result<Wanted> {
    let mut wanted = Wanted { kind: kind.text.as_str().into(), ..Wanted::default() };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let (flag, inline) = match word.text.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag, Some(value.to_owned())),
            _ => glued(&word.text),
        };
        let mut value = || {
            inline
                .clone()
                .or_else(|| words.next().map(|w| w.text.clone()))
                .ok_or_else(|| Error::invalid(format!("{flag} needs a value after it")))
        };
        match flag {
            "-A" | "--all-namespaces" => wanted.namespaces = Some(Namespaces::All),
            "-n" | "--namespace" => wanted.namespaces = Some(Namespaces::parse(&value()?)),
            "-c" | "--context" | "--cluster" => wanted.context = Some(value()?.into()),
            "-l" | "--selector" | "--labels" => select(&mut wanted.labels, &value()?),
            "--field-selector" | "--fields" => select(&mut wanted.fields, &value()?),
            "--sort" => wanted.sort = Some(value()?),
            "--owner" => wanted.owner = Some(value()?),
            "-f" => wanted.filter = Some(format!("-f {}", value()?)),
            _ if word.quoted || is_selector(word) => select(&mut wanted.labels, &word.text),
            _ if flag.starts_with('/') => {
                wanted.filter = Some(filter_from(line, word.at, &mut wanted.context));
                break;
            }
            _ if flag.starts_with('@') && flag.len() > 1 => wanted.context = Some(flag[1..].into()),
            "@" => {
                return Err(Error::invalid("no context stands after @")
                    .next("Name one, several with commas, or @all: `:ctx` shows which there are."));
            }
            _ if flag.starts_with('-') => {
                return Err(Error::invalid(format!("there is no flag {flag}")).next(
                    "Flags are -A, -n NAMESPACE, -l SELECTOR, --fields SELECTOR, -f FUZZY, -c CONTEXT, --owner KIND/NAME, --sort COLUMN.",
                ));
            }
            namespace if wanted.namespaces.is_none() => {
                wanted.namespaces = Some(Namespaces::parse(namespace))
            }
            extra => {
                return Err(Error::invalid(format!("{extra:?} is too much: the namespace is there already")));
            }
        }
    }
    Ok(wanted)
}

/// A short flag may have its value in the same word: `-lapp=web`, `-nshop`.
fn glued(word: &str) -> (&str, Option<String>) {
    match word.split_at_checked(2) {
        Some((flag @ ("-n" | "-c" | "-l" | "-f"), value)) if !value.is_empty() => {
            (flag, Some(value.strip_prefix('=').unwrap_or(value).to_owned()))
        }
        _ => (word, None),
    }
}

fn select(into: &mut Option<String>, selector: &str) {
    *into = Some(match into.take() {
        Some(before) => format!("{before},{selector}"),
        None => selector.to_owned(),
    });
}

/// A label selector in one word: `app=web`, `!canary` is not one (it would be a filter), `a!=b`.
fn is_selector(word: &Word) -> bool {
    !word.text.starts_with(['/', '-', '@']) && word.text.contains('=')
}

/// The filter is all that stands after the slash, spaces and quotes too, but for a context at the end.
fn filter_from(line: &str, slash: usize, context: &mut Option<CompactString>) -> String {
    let text = &line[slash + 1..];
    match text.rsplit_once(" @") {
        Some((filter, name)) if !name.is_empty() && !name.contains(' ') => {
            *context = Some(name.into());
            filter.trim_end().to_owned()
        }
        _ => text.trim_end().to_owned(),
    }
}

struct Word {
    text: String,
    /// Where it begins in the line, in bytes.
    at: usize,
    quoted: bool,
}

/// Splits at spaces; quotes hold words together. After a word that begins with a slash nothing is split.
fn split(line: &str) -> Result<Vec<Word>> {
    let mut words = Vec::new();
    let mut chars = line.char_indices().peekable();
    while let Some(&(at, c)) = chars.peek() {
        if c.is_whitespace() {
            chars.next();
            continue;
        }
        if c == '/' && !words.is_empty() {
            words.push(Word { text: line[at..].to_owned(), at, quoted: false });
            break;
        }
        let (mut text, mut quoted) = (String::new(), false);
        while let Some(&(_, c)) = chars.peek() {
            if c.is_whitespace() {
                break;
            }
            chars.next();
            match c {
                '\'' | '"' => {
                    quoted = true;
                    loop {
                        match chars.next() {
                            Some((_, end)) if end == c => break,
                            Some((_, inside)) => text.push(inside),
                            None => return Err(Error::invalid(format!("the quote {c} is not closed"))),
                        }
                    }
                }
                '\\' => text.extend(chars.next().map(|(_, c)| c)),
                c => text.push(c),
            }
        }
        words.push(Word { text, at, quoted });
    }
    Ok(words)
}

/// What completion chooses from.
#[derive(Debug, Clone, Copy, Default)]
pub struct Candidates<'a> {
    pub kinds: &'a [KindInfo],
    pub namespaces: &'a [CompactString],
    pub contexts: &'a [CompactString],
    pub themes: &'a [String],
    pub keymaps: &'a [String],
}

/// Whole lines that begin as `line` does, the likeliest first, at most twenty.
pub fn complete(line: &str, candidates: &Candidates<'_>) -> Vec<String> {
    let (before, word) = line.rfind(' ').map_or(("", line), |at| line.split_at(at + 1));
    let first = line.split_whitespace().next().unwrap_or("");
    let known = WORDS.iter().find(|(words, _)| words.contains(&first)).map(|(words, _)| words[0]);
    let previous = before.split_whitespace().next_back().unwrap_or("");
    let mut found: Vec<String> = Vec::new();
    let mut take = |prefix: &str, names: &mut dyn Iterator<Item = &str>| {
        let typed = &word[prefix.len()..];
        for name in names {
            if name.len() > typed.len() && name.starts_with(typed) {
                found.push(format!("{before}{prefix}{name}"));
            }
        }
    };
    if before.contains(" /") {
        return found;
    }
    // Of a set the last name is completed.
    let of_set = word.rfind(',').map(|at| &word[..=at]);
    if before.is_empty() {
        if word.is_empty() {
            return found;
        }
        // A plural that is there whole is not made longer by its group.
        let whole = candidates.kinds.iter().any(|k| k.plural == word);
        take("", &mut kind_names(candidates.kinds).filter(|name| !(whole && name.contains('.'))));
        take("", &mut WORDS.iter().map(|(words, _)| words[0]));
    } else if word.starts_with('@') {
        take(of_set.unwrap_or("@"), &mut candidates.contexts.iter().map(CompactString::as_str));
    } else if matches!(previous, "-c" | "--context" | "--cluster") || known == Some("contexts") {
        take(of_set.unwrap_or(""), &mut candidates.contexts.iter().map(CompactString::as_str));
    } else if known == Some("theme") {
        take("", &mut candidates.themes.iter().map(String::as_str));
    } else if known == Some("keymap") {
        take("", &mut candidates.keymaps.iter().map(String::as_str));
    } else if known.is_none_or(|k| k == "namespaces") && !word.starts_with(['-', '/']) {
        take(of_set.unwrap_or(""), &mut candidates.namespaces.iter().map(CompactString::as_str));
        take("", &mut std::iter::once("all"));
    }
    found.dedup();
    found.truncate(20);
    found
}

/// A filter whose last word begins a column's name, with the rest of that name.
pub fn complete_filter(text: &str, columns: &[String]) -> Vec<String> {
    let from = text.rfind([' ', '&', '|', '(', '!']).map_or(0, |at| at + 1);
    let word = &text[from..];
    // One letter is hardly the beginning of a comparison.
    if word.len() < 2 || !word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Vec::new();
    }
    let upper = word.to_ascii_uppercase();
    let longer = columns.iter().filter(|name| name.len() > upper.len() && name.starts_with(&upper));
    longer.map(|name| format!("{text}{}", name[upper.len()..].to_ascii_lowercase())).collect()
}

/// Plurals first (shorter ones first, so that `po` gives pods before poddisruptionbudgets), then full identifiers.
fn kind_names(kinds: &[KindInfo]) -> impl Iterator<Item = &str> {
    let mut plurals: Vec<&str> = kinds.iter().map(|k| k.plural.as_str()).collect();
    plurals.sort_by_key(|p| (p.len(), *p));
    plurals.dedup();
    plurals.into_iter().chain(kinds.iter().filter(|k| k.id != k.plural).map(|k| k.id.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(line: &str) -> Wanted {
        match parse(line).unwrap() {
            Command::Resources(wanted) => wanted,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn k9s_forms_are_understood() {
        let shop = || Some(Namespaces::One("shop".into()));
        assert_eq!(resources("po"), Wanted { kind: "po".into(), ..Wanted::default() });
        assert_eq!(
            resources("pods shop"),
            Wanted { kind: "pods".into(), namespaces: shop(), ..Wanted::default() }
        );
        let full = resources("apps/v1/deployments shop app=web,tier!=db 'env in (a, b)' @eu-1 /x y !z");
        assert_eq!(full.kind, "apps/v1/deployments");
        assert_eq!(full.namespaces, shop());
        assert_eq!(full.labels.as_deref(), Some("app=web,tier!=db,env in (a, b)"));
        assert_eq!(full.context.as_deref(), Some("eu-1"));
        assert_eq!(full.filter.as_deref(), Some("x y !z"), "a filter may hold spaces");
        assert_eq!(resources("po /web 1 @us-2").context.as_deref(), Some("us-2"));
        assert_eq!(resources("po -f wb").filter.as_deref(), Some("-f wb"));
        assert_eq!(resources("po all").namespaces, Some(Namespaces::All));
        let glued = resources("po -nshop -lapp=web -c=eu-1");
        assert_eq!(glued.namespaces, shop());
        assert_eq!((glued.labels.as_deref(), glued.context.as_deref()), (Some("app=web"), Some("eu-1")));
        assert_eq!(resources("po -fwb").filter.as_deref(), Some("-f wb"));
    }

    #[test]
    fn words_of_a_shell_are_understood() {
        let parsed = parse_words(&["pods", "-A", "--context", "eu 1", "-l", "env in (a,b)"]).unwrap();
        let Command::Resources(wanted) = parsed else { panic!("{parsed:?}") };
        assert_eq!(wanted.namespaces, Some(Namespaces::All));
        assert_eq!(wanted.context.as_deref(), Some("eu 1"));
        assert_eq!(wanted.labels.as_deref(), Some("env in (a,b)"));
        let parsed = parse_words(&["pods", "--namespace=shop", "/a b"]).unwrap();
        let Command::Resources(wanted) = parsed else { panic!("{parsed:?}") };
        assert_eq!(wanted.namespaces, Some(Namespaces::One("shop".into())));
        assert_eq!(wanted.filter.as_deref(), Some("a b"));
    }

    #[test]
    fn commands_are_understood() {
        assert_eq!(parse("q").unwrap(), Command::Quit { now: false });
        assert_eq!(parse("q!").unwrap(), Command::Quit { now: true });
        assert_eq!(parse("ctx").unwrap(), Command::Context(None));
        assert_eq!(parse("ctx eu-1").unwrap(), Command::Context(Some("eu-1".into())));
        assert_eq!(parse("ns shop").unwrap(), Command::Namespace(Some(Namespaces::One("shop".into()))));
        assert_eq!(parse("ns").unwrap(), Command::Namespace(None));
        assert_eq!(resources("ns /web").filter.as_deref(), Some("web"));
        assert_eq!(parse("skin light").unwrap(), Command::Theme(Some("light".into())));
        assert_eq!(parse("tab pods @a,b /x y").unwrap(), Command::Tab(Some("pods @a,b /x y".into())));
        let workspace = |line| match parse(line).unwrap() {
            Command::Workspace(command) => command,
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(workspace("ws save night"), WorkspaceCommand::Save("night".into()));
        assert_eq!(workspace("ws night"), WorkspaceCommand::Open("night".into()));
        assert_eq!(workspace("ws"), WorkspaceCommand::List);
        assert!(parse("ws save").is_err() && parse("ws a b").is_err());
        let set = resources("pods a,team-* @eu-1,us-* --sort AGE:desc");
        assert_eq!(set.namespaces, Some(Namespaces::Several("a,team-*".into())));
        assert_eq!((set.context.as_deref(), set.sort.as_deref()), (Some("eu-1,us-*"), Some("AGE:desc")));
    }

    #[test]
    fn what_is_looked_for_is_a_part_of_a_name_or_labels() {
        let find = |line| match parse(line).unwrap() {
            Command::Find(wanted) => wanted,
            other => panic!("{line}: {other:?}"),
        };
        let both = find("find cart all -l app=web @eu-*,us-2 /kind=pod");
        assert_eq!((both.kind.as_str(), both.namespaces), ("cart", Some(Namespaces::All)));
        assert_eq!((both.labels.as_deref(), both.context.as_deref()), (Some("app=web"), Some("eu-*,us-2")));
        assert_eq!(both.filter.as_deref(), Some("kind=pod"));
        let labels = find("find app=web shop");
        assert_eq!((labels.kind.as_str(), labels.labels.as_deref()), ("", Some("app=web")));
        assert_eq!(labels.namespaces, Some(Namespaces::One("shop".into())));
    }

    #[test]
    fn mistakes_are_said() {
        for (line, says) in [
            ("", "empty"),
            ("q now", "nothing"),
            ("po a b", "too much"),
            ("po 'a", "not closed"),
            ("po --wide", "no flag"),
            ("po -n", "needs a value"),
            ("ctx a b", "one name"),
            ("find", "a part of a name"),
            ("find @all", "a part of a name"),
            ("find web --sort AGE", "no --owner"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.message.contains(says), "{line}: {}", error.message);
        }
    }

    #[test]
    fn a_column_is_completed_where_a_comparison_could_begin() {
        let columns = ["NAME", "STATUS", "RESTARTS", "LAST SEEN"].map(str::to_owned);
        assert_eq!(complete_filter("st", &columns), ["status"]);
        assert_eq!(complete_filter("web && !(rest", &columns), ["web && !(restarts"]);
        assert_eq!(complete_filter("la", &columns), ["last seen"]);
        assert!(complete_filter("s", &columns).is_empty());
        assert!(complete_filter("status=ru", &columns).is_empty());
        assert!(complete_filter("status", &columns).is_empty());
    }

    #[test]
    fn completion_knows_what_stands_where() {
        let kind =
            |plural: &str, id: &str| KindInfo { plural: plural.into(), id: id.into(), ..KindInfo::default() };
        let kinds = [
            kind("poddisruptionbudgets", "poddisruptionbudgets.policy"),
            kind("pods", "pods"),
            kind("deployments", "deployments.apps"),
        ];
        let namespaces = ["shop".into(), "shipping".into()];
        let contexts = ["eu-1".into()];
        let all = Candidates {
            kinds: &kinds,
            namespaces: &namespaces,
            contexts: &contexts,
            ..Candidates::default()
        };
        assert_eq!(complete("po", &all)[0], "pods");
        assert!(complete("deployments", &all).is_empty(), "it is whole as it is");
        assert_eq!(complete("deployments.", &all), ["deployments.apps"]);
        assert_eq!(complete("pods sho", &all), ["pods shop"]);
        assert_eq!(complete("pods @e", &all), ["pods @eu-1"]);
        assert_eq!(complete("ctx e", &all), ["ctx eu-1"]);
        assert_eq!(complete("pods shop,shi @us-2,e", &all), ["pods shop,shi @us-2,eu-1"]);
        assert_eq!(complete("pods shop,shi", &all), ["pods shop,shipping"]);
        assert_eq!(complete("aud", &all), ["audit"]);
        assert!(complete("pods /sho", &all).is_empty());
        assert!(complete("", &all).is_empty());
    }
}
