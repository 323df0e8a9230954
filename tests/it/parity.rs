//! Parity with k9s and sofka: the tables of `tests/parity`, walked, so that no line of them can lie.

use std::collections::BTreeSet;
use std::path::Path;

use quarterdeck::gate::Definition;
use quarterdeck::operations;
use quarterdeck::tui::command;
use quarterdeck::tui::keymap::Keymap;

struct Line {
    at: String,
    state: String,
    /// The proof of what is there, the reason why the rest is not.
    why: String,
}

fn lines(name: &str) -> Vec<Line> {
    let text = std::fs::read_to_string(root().join("tests/parity").join(name)).unwrap();
    let read = |(number, line): (usize, &str)| {
        let at = format!("{name}:{}", number + 1);
        let cells: Vec<&str> = line.split('\t').collect();
        let [_, _, state, why] = cells[..] else { panic!("{at}: not four columns: {line:?}") };
        Line { at, state: state.to_owned(), why: why.to_owned() }
    };
    text.lines().enumerate().filter(|(_, l)| !l.is_empty() && !l.starts_with('#')).map(read).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The keymap's modes of a view, as its pane gives them.
fn modes(view: &str) -> Vec<&str> {
    match view {
        "yaml" | "describe" => vec![view, "text", "global"],
        "logs" | "help" => vec![view, "global"],
        "clusters" | "containers" | "aliases" | "audit" | "participants" | "dir" | "screendumps" | "helm"
        | "helm_history" | "xray" | "pulse" | "find" | "workloads" | "history" | "forwards" | "users"
        | "groups" | "rules" => {
            vec![view, "table", "global"]
        }
        kind => vec![kind, "objects", "table", "global"],
    }
}

/// The names of every test there is.
fn tests() -> BTreeSet<String> {
    fn walk(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
                for (i, line) in lines.iter().enumerate() {
                    let Some(rest) = line.strip_prefix("async fn ").or(line.strip_prefix("fn ")) else {
                        continue;
                    };
                    // A test's attributes stand above it, comments and other attributes between.
                    let marked = lines[..i]
                        .iter()
                        .rev()
                        .take_while(|l| l.starts_with("#[") || l.starts_with("//"))
                        .any(|l| l.starts_with("#[test") || l.starts_with("#[tokio::test"));
                    let in_proptest = line.contains(" in ");
                    if marked || in_proptest {
                        found.insert(rest.split('(').next().unwrap().to_owned());
                    }
                }
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(&root().join("src"), &mut found);
    walk(&root().join("tests/it"), &mut found);
    found
}

struct Known {
    keymap: Keymap,
    operations: BTreeSet<&'static str>,
    tests: BTreeSet<String>,
    help: String,
}

/// What is wrong with a proof.
fn check(proof: &str, known: &Known) -> Result<(), String> {
    let (kind, rest) = proof.split_once(' ').ok_or("a proof is a word and what it is about")?;
    match kind {
        "key" => {
            let mut words = rest.splitn(3, ' ');
            let (Some(view), Some(key), Some(action)) = (words.next(), words.next(), words.next()) else {
                return Err("a key is VIEW KEY ACTION".to_owned());
            };
            let bound = known.keymap.bound(&modes(view), key).map_err(|e| e.message)?;
            let bound = bound.map(|a| format!("{} {}", a.name, a.words).trim_end().to_owned());
            match bound {
                Some(bound) if bound == action => Ok(()),
                Some(bound) => Err(format!("{key} in {view} is {bound}, not {action}")),
                None => Err(format!("{key} in {view} is nothing")),
            }
        }
        "command" => match command::parse(rest) {
            Ok(parsed) if command::leads_somewhere(&parsed) => Ok(()),
            Ok(_) => Err(format!(":{rest} is no command and no kind that is known everywhere")),
            Err(error) => Err(error.message),
        },
        "operation" if known.operations.contains(rest) => Ok(()),
        "operation" => Err(format!("there is no operation {rest}")),
        "flag" if known.help.contains(rest) => Ok(()),
        "flag" => Err(format!("`qd --help` does not say {rest}")),
        "test" if known.tests.contains(rest) => Ok(()),
        "test" => Err(format!("there is no test {rest}")),
        other => Err(format!("{other} is no sort of proof")),
    }
}

#[test]
fn every_line_of_the_parity_tables_holds() {
    let help = crate::console::Home::new().qd(&["--help"]).output().unwrap();
    let known = Known {
        keymap: Keymap::embedded().unwrap(),
        operations: operations::all().map(Definition::form).map(|form| form.spec.name).collect(),
        tests: tests(),
        help: String::from_utf8(help.stdout).unwrap(),
    };
    let mut wrong = Vec::new();
    for name in ["k9s.tsv", "sofka.tsv"] {
        let lines = lines(name);
        assert!(lines.len() > 80, "{name} is short of lines");
        for line in &lines {
            match line.state.as_str() {
                "have" => {
                    for proof in line.why.split(" + ") {
                        if let Err(what) = check(proof.trim(), &known) {
                            wrong.push(format!("{}: {proof}: {what}", line.at));
                        }
                    }
                }
                "later" | "not" if line.why.len() > 3 => {}
                "later" | "not" => wrong.push(format!("{}: no reason", line.at)),
                state => wrong.push(format!("{}: {state:?} is no state", line.at)),
            }
        }
        let count = |state: &str| lines.iter().filter(|l| l.state == state).count();
        println!("{name}: {} there, {} later, {} not", count("have"), count("later"), count("not"));
    }
    assert!(wrong.is_empty(), "the parity tables say what is not so:\n{}", wrong.join("\n"));
}
