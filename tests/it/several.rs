//! What looks at more than one kind, or at files: workloads, pulses, the tree of what belongs together, folders.

use crate::bed::pause;
use crate::console::{Console, Home};

fn open() -> (Home, Console) {
    let home = Home::new();
    let console = Console::start(&home, None, &["lab"], 140, 40);
    console.wait("the first table", 60, |s| s.contains("pods(") && s.contains("Running"));
    (home, console)
}

#[test]
fn workloads_of_every_kind_stand_in_one_table_with_their_own_keys() {
    let (_home, console) = open();
    console.keys(":wk shop\r");
    console.wait("several kinds", 40, |s| {
        s.contains("workloads(shop)") && s.contains("deployment/") && s.contains("KIND")
    });
    console.keys("/name~^deployment/cart && ready>0/1\r");
    console.wait("one row", 15, |s| s.contains("[1/"));
    console.keys("d");
    console.wait("its description", 30, |s| s.contains("Replicas:") && s.contains("cart"));
    console.keys("\x1b");
    console.wait("the table again", 15, |s| s.contains("workloads(shop)"));
    console.keys("\r");
    console.wait("its own table", 30, |s| s.contains("deployments(shop)"));
}

#[test]
fn pulses_count_what_is_well_and_lead_to_it() {
    let (_home, console) = open();
    console.keys(":pulse\r");
    console.wait("counts with charts", 40, |s| {
        s.contains("pulse(all)") && s.contains("deployment") && s.contains('█')
    });
    console.keys("/^deployment\r");
    pause(300);
    console.keys("\r");
    console.wait("the kind", 30, |s| s.contains("deployments(all)"));
}

#[test]
fn the_tree_goes_from_a_deployment_to_its_containers_and_folds() {
    let (_home, console) = open();
    console.keys(":xray deploy shop\r");
    let screen = console.wait("the tree", 20, |s| {
        s.contains("xray(deployments, shop)") && s.contains("▾ deployments") && s.contains("· container")
    });
    assert!(screen.contains("▾ pods") && screen.contains("▾ replicasets"), "{screen}");
    console.keys("x");
    console.wait("only the roots", 15, |s| s.contains("▸ deployments") && !s.contains("container"));
    console.keys(" ");
    console.wait("the first one open", 15, |s| s.contains("▾ deployments") && s.contains("▸ replicasets"));
    console.keys("y");
    console.wait("its manifest", 30, |s| s.contains("kind: Deployment"));
}

#[test]
fn objects_of_every_kind_are_found_by_a_part_of_their_name() {
    let (_home, console) = open();
    console.keys(":find CART all\r");
    let screen = console.wait("objects of several kinds", 40, |s| {
        s.contains("find(CART, all)[")
            && s.contains("as of ")
            && s.contains("deployment")
            && s.contains("service")
    });
    assert!(screen.contains("left out"), "what was not looked at is not said:\n{screen}");
    console.keys("/kind=deployment\r");
    console.wait("one kind", 15, |s| s.contains("/kind=deployment") && !s.contains("service "));
    console.keys("\r");
    console.wait("it among its like", 30, |s| s.contains("deployments(shop)") && s.contains("cart"));
    console.keys(":find not-anywhere\r");
    console.wait("that there is none", 30, |s| s.contains("no object fits not-anywhere"));
    console.keys(":find\r");
    console.wait("what is missing", 15, |s| s.contains("find needs a part of a name"));
}

#[test]
fn links_to_other_systems_are_shown_and_copied() {
    let home = Home::new();
    let folder = home.path().join("config/quarterdeck");
    std::fs::create_dir_all(&folder).unwrap();
    let config = "kubernetes:\n  links:\n    - {name: logs, kinds: [pods], url: 'https://logs.example/{namespace}/{pod}?on={node}'}\n    - {name: tier, url: 'https://x.example/{label:no-such-label}'}\n    - {name: nodes, kinds: [nodes], url: 'https://x.example/{node}'}\n";
    std::fs::write(folder.join("config.yaml"), config).unwrap();
    let console = Console::start(&home, None, &["lab", "pods", "shop"], 140, 40);
    console.wait("pods", 60, |s| s.contains("pods(shop)[") && s.contains("cart-"));
    console.keys("/cart-\r");
    console.wait("some of them", 15, |s| s.contains("/cart-"));
    console.keys("\x1bl");
    let screen = console.wait("the link", 30, |s| {
        s.contains("links(pods cart-") && s.contains("https://logs.example/shop/cart-")
    });
    assert!(screen.contains("[1]") && screen.contains("tier: it has no label:no-such-label"), "{screen}");
    console.keys("\r");
    console.wait("that it is copied", 15, |s| s.contains("copied https://logs.example/shop/cart-"));
    assert!(String::from_utf8_lossy(&console.raw()).contains("\x1b]52;"), "it went to the clipboard");
}

#[test]
fn how_a_table_was_sorted_holds_in_the_next_session() {
    let home = Home::new();
    let open = || {
        let console = Console::start(&home, None, &["lab", "services", "all"], 140, 40);
        console.wait("the table", 60, |s| s.contains("services(all)[") && s.contains("AGE"));
        console
    };
    let mut console = open();
    let by_age = |s: &str| s.contains("AGE↑") || s.contains("AGE↓");
    assert!(!by_age(&console.screen()));
    console.keys("A");
    console.wait("another order", 15, by_age);
    console.keys(":q!\r");
    console.ended(20);
    let console = open();
    console.wait("the same order", 15, by_age);
}

#[test]
fn a_folder_of_manifests_is_looked_at_applied_and_deleted() {
    let (home, console) = open();
    let folder = home.path().join("manifests");
    std::fs::create_dir_all(folder.join("more")).unwrap();
    let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: from-a-folder, namespace: shop}\ndata: {a: b}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: and-another, namespace: shop}\n";
    std::fs::write(folder.join("two.yaml"), manifest).unwrap();
    console.keys(":dir manifests\r");
    console.wait("the folder", 30, |s| s.contains("dir(") && s.contains("two.yaml") && s.contains("more"));
    console.keys("j\r");
    console.wait("the file", 30, |s| s.contains("name: from-a-folder"));
    console.keys("\x1b");
    console.wait("the folder again", 15, |s| s.contains("dir("));
    console.keys("a");
    console.wait("what applying does", 40, |s| s.contains("from-a-folder") && s.contains("do it"));
    console.keys("y");
    console.wait("that it is done", 40, |s| s.contains("apply two.yaml: done"));
    console.keys(":cm shop /a-folder|another\r");
    console.wait("both objects", 30, |s| s.contains("from-a-folder") && s.contains("and-another"));
    console.keys(":dir manifests\r");
    console.wait("the folder once more", 30, |s| s.contains("dir(") && s.contains("two.yaml      manifest"));
    console.keys("jd");
    console.wait("the deletion of both", 40, |s| s.contains("delete 2 objects"));
}

#[test]
fn what_was_saved_is_listed_and_deleted() {
    let (_home, console) = open();
    console.keys("\x13");
    console.wait("that it is saved", 30, |s| s.contains("rows saved to"));
    console.keys(":sd\r");
    console.wait("the file", 30, |s| s.contains("screendumps(") && s.contains(".csv"));
    console.keys("\r");
    console.wait("its text", 30, |s| s.contains("NAMESPACE,NAME,"));
    console.keys("\x1b");
    console.wait("the list again", 15, |s| s.contains("screendumps("));
    console.keys("\x04");
    console.wait("the question", 30, |s| s.contains("do it"));
    console.keys("y");
    console.wait("that it is gone", 30, |s| s.contains(": done"));
}

#[test]
fn filters_say_what_is_wrong_with_them_while_they_are_typed() {
    let (_home, console) = open();
    console.keys("/");
    console.wait("what can be typed", 15, |s| s.contains("regex  !not  -f fuzzy"));
    console.keys("restrats>3");
    console.wait("the nearest column", 15, |s| s.contains("did you mean RESTARTS?"));
    for _ in 0.."restrats>3".len() {
        console.keys("\x7f");
    }
    console.keys("/");
    pause(100);
    console.keys("status!=running && restarts>=1 || age<1s\r");
    console.wait("fewer rows", 15, |s| s.contains("[") && s.contains("/status!=running && restarts>=1"));
}
