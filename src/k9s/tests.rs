//! Whole folders of k9s users, read.

use std::path::Path;

use super::*;

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn said(setup: &Setup) -> Vec<String> {
    let place = |p: &Problem| {
        let file = Path::new(&p.file).file_name().unwrap().to_string_lossy().into_owned();
        format!("{file}:{} {}", p.line.unwrap_or_default(), p.what)
    };
    setup.problems.iter().map(place).collect()
}

#[test]
fn the_three_shapes_of_plugins_are_one() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    write(
        f,
        "plugins.yaml",
        "plugins:\n  many:\n    shortCut: Ctrl-L\n    description: Many\n    scopes: [po, deploy]\n    command: kubectl\n    args: [logs, $NAME, 8080]\n    background: yes\n    pipes:\n      - jq .\n    inputs:\n      - {name: size, type: number, required: true, default: 3}\n      - {name: kind, type: dropdown, options: [a, b]}\n",
    );
    write(
        f,
        "plugins/deep/bare.yaml",
        "bare:\n  shortCut: b\n  description: B\n  scopes: [all]\n  command: b\n",
    );
    write(
        f,
        "plugins/single.yml",
        "shortCut: Shift-1\ndescription: S\nscopes: [nodes]\ncommand: s\nconfirm: false\n",
    );
    let setup = Setup::read(&Folders::under(f), None);
    assert_eq!(said(&setup), [""; 0]);
    let many = setup.plugin("many").unwrap();
    assert_eq!(many.args, ["logs", "$NAME", "8080"]);
    assert!(many.background && many.confirm, "who has inputs is asked");
    assert_eq!(many.inputs[0].initial.as_deref(), Some("3"));
    assert_eq!((many.inputs[0].kind, many.inputs[1].kind), (InputType::Number, InputType::Dropdown));
    assert_eq!(many.pipes, ["jq ."]);
    assert_eq!(setup.plugin("bare").unwrap().scopes, ["all"]);
    assert_eq!(setup.plugin("single").unwrap().short_cut, "Shift-1");
}

#[test]
fn what_is_wrong_is_said_with_its_line_and_spoils_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    write(
        f,
        "plugins.yaml",
        "plugins:\n  good:\n    shortCut: g\n    description: G\n    scopes: [all]\n    command: g\n    bakground: true\n  keyless:\n    description: K\n    scopes: [all]\n    command: k\n  odd:\n    shortCut: Hyper-X\n    description: O\n    scopes: [all]\n    command: o\n  none: 3\n",
    );
    write(f, "aliases.yaml", "aliases:\n  pp: v1/pods\n  a1: a2 x\n  a2: a1\n  pods: pods app=x\n  empty:\n");
    write(
        f,
        "hotkeys.yaml",
        "hotKeys:\n  one:\n    shortCut: F5\n    command: pods $NAMESPACE\n  two:\n    command: pods\n",
    );
    write(
        f,
        "views.yaml",
        "views:\n  v1/pods:\n    columns: [AGE, 'IMG:.spec.containers[0].image|W']\n    sortColumn: AGE\n  'v1/pods@[': {columns: [NAME]}\n",
    );
    write(f, "jumps.yaml", "jumps:\n  v1/x:\n    labelSelector: a=b\n  v1/y: {targetGVR: v1/pods}\n");
    write(
        f,
        "config.yaml",
        "k9s:\n  refreshRate: 2\n  redOnly: true\n  ui:\n    skin: dracula\n    enableMous: true\n",
    );
    let setup = Setup::read(&Folders::under(f), None);
    let said = said(&setup);
    for expected in [
        "config.yaml:3 \"redOnly\" is no key here, and is ignored: did you mean readOnly?",
        "config.yaml:2 refreshRate is not used: nothing is polled here: every table is a watch",
        "config.yaml:6 \"enableMous\" is no key here, and is ignored: did you mean enableMouse?",
        "aliases.yaml:3 the alias a1 leads back to itself",
        "aliases.yaml:6 the alias empty names nothing",
        "hotkeys.yaml:5 the hotkey two cannot be used: it has no shortCut",
        "plugins.yaml:7 \"bakground\" is no key here, and is ignored: did you mean background?",
        "plugins.yaml:8 the plugin keyless cannot be used: it has no shortCut",
        "plugins.yaml:13 the plugin odd cannot be used: \"Hyper-X\" is no key (a, Shift-A, Ctrl-L, F1)",
        "plugins.yaml:17 none is no plugin: it is not a mapping",
        "views.yaml:4 sortColumn \"AGE\" is not COLUMN:asc or COLUMN:desc, and is ignored",
        "jumps.yaml:2 the jump from v1/x cannot be used: it has no targetGVR",
    ] {
        assert!(said.iter().any(|s| s == expected), "{expected:?} is not in {said:#?}");
    }
    assert!(
        said.iter().any(|s| s.starts_with("views.yaml:5 the view v1/pods@[ cannot be used")),
        "{said:#?}"
    );
    assert_eq!(setup.plugins.len(), 1);
    assert_eq!(setup.aliases["pp"], "v1/pods");
    assert_eq!(setup.aliases["pods"], "pods app=x");
    assert_eq!((setup.hot_keys.len(), setup.views.len(), setup.jumps.len()), (1, 1, 1));
    assert_eq!(setup.settings.skin.as_deref(), Some("dracula"));
}

#[test]
fn broken_yaml_has_its_line_and_a_contexts_files_go_over_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    write(f, "aliases.yaml", "aliases:\n  pp: v1/pods\n  dd: apps/v1/deployments\n");
    write(f, "plugins.yaml", "plugins:\n  x: [\n");
    let own = "clusters/arn-aws-x/ana-eu";
    write(f, &format!("{own}/aliases.yaml"), "aliases: {pp: v1/services}\n");
    write(
        f,
        &format!("{own}/config.yaml"),
        "k9s:\n  cluster: x\n  readOnly: true\n  namespace: {active: shop, lockFavorites: false, favorites: [shop, data]}\n  view: {active: dp}\n  portForwardAddress: 127.0.0.2\n  shellPod:\n    image: tools:1\n    namespace: ops\n    limits: {cpu: 100m}\n    imag: x\n",
    );
    let setup = Setup::read(&Folders::under(f), Some(("arn:aws/x", "ana/eu")));
    assert!(
        said(&setup).iter().any(|s| s.contains("plugins.yaml:") && s.contains("not valid YAML")),
        "{setup:?}"
    );
    assert_eq!(setup.aliases["pp"], "v1/services");
    assert_eq!(setup.aliases["dd"], "apps/v1/deployments");
    assert_eq!(setup.settings.read_only, Some(true));
    assert_eq!(setup.settings.favourites, ["shop", "data"]);
    assert_eq!(setup.settings.default_view.as_deref(), Some("dp"));
    let of = |text: &Option<String>| text.clone().unwrap_or_default();
    let s = &setup.settings;
    let shell = [of(&s.forward_address), of(&s.shell_image), of(&s.shell_namespace)];
    assert_eq!(shell, ["127.0.0.2", "tools:1", "ops"]);
    for expected in ["config.yaml:10 limits is not used", "config.yaml:11 \"imag\" is no key here"] {
        assert!(said(&setup).iter().any(|s| s.contains(expected)), "{setup:?}");
    }
}

/// Files of k9s users that nobody here wrote, where they are at hand: `QD_K9S_CORPUS=…/k9s cargo test k9s`.
#[test]
fn every_file_of_the_corpus_loads() {
    let Some(corpus) = std::env::var_os("QD_K9S_CORPUS").map(std::path::PathBuf::from) else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut count = 0;
    for kind in ["plugins", "jumps"] {
        for entry in std::fs::read_dir(corpus.join(kind)).unwrap() {
            let file = entry.unwrap().path();
            let text = std::fs::read_to_string(&file).unwrap();
            let name = if kind == "jumps" { "jumps.yaml" } else { "plugins/one.yaml" };
            write(folder.path(), name, &text);
            let setup = Setup::read(&Folders::under(folder.path()), None);
            assert_eq!(said(&setup), [""; 0], "{}", file.display());
            let found = if kind == "jumps" { setup.jumps.len() } else { setup.plugins.len() };
            assert!(found > 0, "{} gave nothing", file.display());
            std::fs::remove_file(folder.path().join(name)).unwrap();
            count += 1;
        }
    }
    assert!(count >= 30, "only {count} files");
}
