use std::sync::Arc;

use super::*;
use crate::base::{Actor, SafeText};
use crate::tui::shared::{ClusterInfo, Happening, Mark, Participant, Waiting};
use crate::tui::skin;

fn shared() -> Shared {
    let mut shared = Shared::new(Actor::operator("ada"), Arc::from([]));
    shared.clusters = vec!["eu-1".into()];
    shared.known_clusters = vec![
        ClusterInfo {
            name: "eu-1".into(),
            version: "v1.36.3".into(),
            latency_ms: Some(2),
            up: Some(true),
            current: true,
            ..ClusterInfo::default()
        },
        ClusterInfo { name: "us-2".into(), up: Some(false), ..ClusterInfo::default() },
    ];
    shared.namespaces = crate::tui::object::Namespaces::One("shop".into());
    shared.participants = vec![
        Participant { actor: Actor::operator("ada"), looks_at: SafeText::new("pods › cart"), doing: None },
        Participant {
            actor: Actor::agent("claude"),
            looks_at: SafeText::new("logs › api"),
            doing: Some((SafeText::new("log_read"), at(-1))),
        },
    ];
    shared.approvals = vec![Waiting {
        approval: crate::base::ids::ApprovalId::new(),
        actor: Some(Actor::agent("claude")),
        operation: SafeText::new("deployment_scale"),
        target: SafeText::new("api"),
        summary: SafeText::new("3 → 5"),
        expires_at: None,
    }];
    shared.timeline.push_back(Happening {
        at: at(-5),
        actor: Some(Actor::agent("cl\x1baude")),
        call: None,
        text: SafeText::new("pod_list \x1b[31m\u{202e}eu-1"),
        mark: Mark::Done,
        said: false,
    });
    shared
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn draw(
    columns: u16,
    rows: u16,
    shared: &Shared,
    prompt: Option<Prompt<'_>>,
    flash: Option<&Flash>,
) -> Vec<String> {
    let theme = skin::load("default", &[]).unwrap().theme;
    let keymap = Keymap::embedded().unwrap();
    let modes: Vec<CompactString> =
        ["pods", "objects", "table", "global"].iter().map(|m| (*m).into()).collect();
    let crumbs: Vec<CompactString> = vec!["clusters".into(), "pods".into()];
    let screen = Rect::new(0, 0, columns, rows);
    let mut buf = Buffer::empty(screen);
    let areas = layout(screen, Flags::default(), shared.store_blocked.is_some(), prompt.is_some());
    let look = Look { theme: &theme, shared, now: at(0), focused: true };
    let frame = Frame {
        elsewhere: None,
        filterable: true,
        look,
        keymap: &keymap,
        modes: &modes,
        tabs: (&[], 0),
        crumbs: &crumbs,
        flags: Flags::default(),
        prompt,
        flash,
    };
    render(&frame, &areas, &mut buf);
    notice(&frame, &areas, None, &mut buf);
    (0..rows)
        .map(|y| (0..columns).map(|x| buf[(x, y)].symbol()).collect::<String>().trim_end().to_owned())
        .collect()
}

#[test]
fn areas_cover_the_screen_without_overlap_at_any_size() {
    for (columns, rows) in [(0, 0), (1, 1), (10, 2), (80, 24), (160, 24), (200, 60)] {
        for flags in [Flags::default(), Flags { tall_header: true, fullscreen: false, ..Flags::default() }] {
            let screen = Rect::new(0, 0, columns, rows);
            let a = layout(screen, flags, true, false);
            let sum: u32 =
                [a.header, a.banner, a.body, a.rail, a.status, a.keys].iter().map(|r| r.area()).sum();
            assert_eq!(sum, screen.area(), "{columns}x{rows}: {a:?}");
        }
    }
}

#[test]
fn whom_the_cluster_takes_us_for_stands_beside_where_we_are() {
    let mut shared = shared();
    shared.known_clusters[0].acting = "jane".into();
    shared.known_clusters[1].acting = "root".into();
    for columns in [80, 200] {
        let lines = draw(columns, 24, &shared, None, None);
        assert!(lines[0].starts_with(" qd  eu-1 ▸ shop  [as jane]  "), "{}", lines[0]);
    }
    shared.clusters = vec!["eu-1".into(), "us-2".into()];
    assert!(draw(80, 24, &shared, None, None)[0].contains("[as jane or root]"));
}

#[test]
fn a_small_screen_shows_place_clusters_what_waits_and_the_keys() {
    let lines = draw(80, 24, &shared(), None, None);
    assert!(lines[0].starts_with(" qd  eu-1 ▸ shop"), "{}", lines[0]);
    assert!(lines[0].contains("2 clusters, 1 down") && lines[0].contains("⚑ 1 waits"), "{}", lines[0]);
    assert!(lines[22].contains(" clusters  ›  pods "), "{}", lines[22]);
    assert!(lines[22].contains("deployment_scale api 3 → 5  F2 decide"), "{}", lines[22]);
    assert!(lines[23].starts_with(" l logs  p previous logs  s shell  d describe"), "{}", lines[23]);
    assert!(lines[23].ends_with("? help"), "{}", lines[23]);
}

#[test]
fn a_wide_screen_has_the_rail_and_nothing_harmful_in_it() {
    let lines = draw(200, 60, &shared(), None, None);
    let all = lines.join("\n");
    for part in
        [" session ", "● you", "◆ claude", "log_read 1 s", "⚑ deployment_scale api 3 → 5", " timeline ", "✓"]
    {
        assert!(all.contains(part), "{part}:\n{all}");
    }
    assert!(all.contains("pod_list ␛[31m"), "{all}");
    assert!(!all.contains('\x1b') && !all.contains('\u{202e}'));
}

#[test]
fn the_prompt_shows_its_end_its_ghost_or_its_error() {
    let input = |text: &str| &*Box::leak(Box::new(Input::new(text)));
    let prompt =
        |text: &str, ghost, error| Prompt { sign: ':', input: input(text), selected: false, ghost, error };
    let lines = draw(80, 24, &shared(), Some(prompt("po", "ds", None)), None);
    assert_eq!(lines[22], " :pods");
    let lines = draw(80, 24, &shared(), Some(prompt("po -x", "", Some("there is no flag -x"))), None);
    assert_eq!(lines[22], " :po -x  there is no flag -x");
    let lines = draw(40, 24, &shared(), Some(prompt(&"x".repeat(200), "", None)), None);
    assert!(lines[22].starts_with(" :xxx"));
}

#[test]
fn a_flash_says_what_and_what_next_and_the_banner_is_there() {
    let mut shared = shared();
    shared.store_blocked = Some("the disk is full".into());
    let flash = Flash::warning("us-2 does not answer").next("Press r to try again.");
    let lines = draw(120, 24, &shared, None, Some(&flash));
    assert_eq!(lines[1], " changes are refused: the disk is full");
    assert!(lines[22].ends_with("us-2 does not answer.  Press r to try again."), "{}", lines[22]);
}

#[test]
fn an_error_that_was_said_does_not_come_back_as_news() {
    let mut shared = shared();
    shared.approvals.clear();
    let failed = |said| Happening {
        at: at(-20),
        actor: None,
        call: None,
        text: SafeText::new("there is no kind x"),
        mark: Mark::Failed,
        said,
    };
    shared.happened(failed(false));
    assert!(draw(80, 24, &shared, None, None)[22].ends_with("there is no kind x ✗"));
    shared.happened(failed(true));
    assert!(!draw(80, 24, &shared, None, None)[22].contains("no kind"));
}

#[test]
fn a_long_flash_is_folded_and_says_what_next_to_its_end() {
    let text = "/home/ada/.config/quarterdeck/keymaps/vi.yaml: table: Z: there is no action \"fawlts\"";
    let flash = Flash::warning(text).next("Mend the file; until then the keys stay as they were.");
    let lines = draw(80, 24, &shared(), None, Some(&flash));
    let said = lines[20..23].join(" ");
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains(text) && said.ends_with("stay as they were."), "{said}");
    assert!(lines[23].starts_with(" l logs"), "the keys stay: {}", lines[23]);
    let short = Flash::info("read again");
    let lines = draw(80, 24, &shared(), None, Some(&short));
    assert!(lines[22].contains("clusters") && lines[22].ends_with("read again"), "{}", lines[22]);
}

#[test]
fn a_read_only_screen_says_so_and_offers_no_change() {
    let mut shared = shared();
    shared.read_only = true;
    let lines = draw(80, 24, &shared, None, None);
    assert!(lines[0].contains("[RO]"), "{}", lines[0]);
    assert!(lines[23].contains("d describe") && !lines[23].contains("delete"), "{}", lines[23]);
    assert!(!lines[23].contains("edit"), "{}", lines[23]);
}

#[test]
fn it_wakes_at_the_minute_or_while_something_runs_at_the_second() {
    let mut shared = shared();
    assert_eq!(wake(&shared, at(0)), at(1));
    shared.participants.clear();
    assert_eq!(wake(&shared, Timestamp::from_second(1_800_000_030).unwrap()).as_second() % 60, 0);
}
