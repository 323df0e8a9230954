//! The house: who may import whom, and how large a file or a function may be.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::spanned::Spanned as _;
use syn::visit::Visit;

/// What each room may import of ours, as the crate doc's map says.
const ARROWS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("rows", &["base"]),
    ("bus", &["rows", "base"]),
    ("store", &["rows", "bus", "base"]),
    ("gate", &["store", "rows", "bus", "base"]),
    ("kube", &["store", "rows", "bus", "base"]),
    ("k9s", &["base"]),
    ("session", &["store", "rows", "bus", "base"]),
    ("operations", &["gate", "kube", "k9s", "session", "store", "rows", "bus", "base"]),
    ("tui", &["gate", "rows", "bus", "base"]),
    ("mcp", &["gate", "rows", "bus", "base"]),
    ("rest", &["gate", "rows", "bus", "base"]),
    ("cli", &["gate", "rows", "bus", "base"]),
    ("lab", &["rows", "base"]),
    (
        "wiring",
        &[
            "base",
            "rows",
            "bus",
            "store",
            "gate",
            "kube",
            "k9s",
            "session",
            "operations",
            "tui",
            "mcp",
            "rest",
            "cli",
            "lab",
        ],
    ),
];

const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 80;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file of `src`, parsed, with its path relative to the root.
fn sources() -> Vec<(String, String, syn::File)> {
    fn walk(dir: &Path, out: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|e| e == "rs") {
                out.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    walk(&root().join("src"), &mut paths);
    paths.sort();
    assert!(paths.len() > 20, "the house has rooms");
    paths
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let file = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            (name, text, file)
        })
        .collect()
}

fn is_test_only(attributes: &[syn::Attribute]) -> bool {
    attributes
        .iter()
        .any(|a| a.path().is_ident("cfg") && a.parse_args::<syn::Ident>().is_ok_and(|word| word == "test"))
}

/// Collects the rooms named by `crate::room` in `use` lines and in paths, tests aside.
#[derive(Default)]
struct Imports(BTreeSet<String>);

impl Imports {
    fn tree(&mut self, tree: &syn::UseTree, inside_crate: bool) {
        match tree {
            syn::UseTree::Path(path) if inside_crate => {
                self.0.insert(path.ident.to_string());
            }
            syn::UseTree::Path(path) if path.ident == "crate" => self.tree(&path.tree, true),
            syn::UseTree::Name(name) if inside_crate => {
                self.0.insert(name.ident.to_string());
            }
            syn::UseTree::Rename(name) if inside_crate => {
                self.0.insert(name.ident.to_string());
            }
            syn::UseTree::Group(group) => group.items.iter().for_each(|t| self.tree(t, inside_crate)),
            _ => {}
        }
    }
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !is_test_only(&module.attrs) {
            syn::visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_test_only(&item.attrs) {
            self.tree(&item.tree, false);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let mut segments = path.segments.iter();
        if let (Some(first), Some(second)) = (segments.next(), segments.next())
            && first.ident == "crate"
        {
            self.0.insert(second.ident.to_string());
        }
        syn::visit::visit_path(self, path);
    }
}

#[test]
fn rooms_import_only_what_the_map_allows() {
    let arrows: BTreeMap<_, BTreeSet<_>> =
        ARROWS.iter().map(|(room, may)| (*room, may.iter().copied().collect())).collect();
    let mut wrong = Vec::new();
    for (name, _, file) in sources() {
        let room =
            name.trim_start_matches("src/").split('/').next().unwrap().trim_end_matches(".rs").to_owned();
        if room == "main" || room == "lib" {
            continue;
        }
        let may = arrows.get(room.as_str()).unwrap_or_else(|| panic!("{name}: the map has no room {room:?}"));
        let mut imports = Imports::default();
        imports.visit_file(&file);
        for import in imports.0 {
            if import != room && arrows.contains_key(import.as_str()) && !may.contains(import.as_str()) {
                wrong.push(format!("{name}: {room} -> {import}"));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that the map does not have:\n{}", wrong.join("\n"));
}

/// Counts the lines of each function, tests aside.
struct Functions<'a> {
    file: &'a str,
    long: Vec<(String, usize)>,
}

impl Functions<'_> {
    fn measure(&mut self, name: &syn::Ident, block: &syn::Block) {
        let lines = block.span().end().line - block.span().start().line + 1;
        if lines > FUNCTION_LINES {
            self.long.push((format!("{}::{name}", self.file), lines));
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !is_test_only(&module.attrs) {
            syn::visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.measure(&function.sig.ident, &function.block);
        syn::visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.measure(&function.sig.ident, &function.block);
        syn::visit::visit_impl_item_fn(self, function);
    }
}

/// A file's lines without its test module, which may be as long as it needs.
fn lines_without_tests(text: &str, file: &syn::File) -> usize {
    let tests: usize = file
        .items
        .iter()
        .filter_map(|item| match item {
            syn::Item::Mod(module) if is_test_only(&module.attrs) => {
                Some(module.span().end().line - module.span().start().line + 1)
            }
            _ => None,
        })
        .sum();
    text.lines().count() - tests
}

#[test]
fn files_and_functions_are_small_or_have_a_reason() {
    let list = std::fs::read_to_string(root().join("tests/it/large.txt")).unwrap();
    let mut reasons: BTreeMap<&str, &str> = BTreeMap::new();
    for line in list.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let (what, why) = line.split_once(": ").unwrap_or_else(|| panic!("large.txt: no reason in {line:?}"));
        assert!(why.len() > 15, "large.txt: {what} needs a reason that says something");
        reasons.insert(what, why);
    }
    let mut unexplained = Vec::new();
    for (name, text, file) in sources() {
        let lines = lines_without_tests(&text, &file);
        if lines > FILE_LINES && reasons.remove(name.as_str()).is_none() {
            unexplained.push(format!("{name}: {lines} lines"));
        }
        let mut functions = Functions { file: &name, long: Vec::new() };
        functions.visit_file(&file);
        for (function, lines) in functions.long {
            if reasons.remove(function.as_str()).is_none() {
                unexplained.push(format!("{function}: {lines} lines"));
            }
        }
    }
    assert!(
        unexplained.is_empty(),
        "too large, and without a reason in tests/it/large.txt:\n{}",
        unexplained.join("\n")
    );
    assert!(reasons.is_empty(), "stale in tests/it/large.txt: {:?}", reasons.keys());
}
