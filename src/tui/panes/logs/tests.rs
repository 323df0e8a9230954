//! Key scripts and frames of the logs pane.

use std::time::Duration;

use crossterm::event::KeyModifiers;

use super::*;
use crate::base::Error;
use crate::gate::Request;
use crate::rows::{Line as LogLine, LineSource};
use crate::tui::effect::Effect;
use crate::tui::object::ObjectRef;
use crate::tui::panes::testing::Stage;

fn pod(name: &str) -> ObjectRef {
    ObjectRef::new("eu-1", "pods", "shop", name)
}

/// The pane on some pods, and the watches that it asked for.
fn open(names: &[&str]) -> (Stage, LogsPane, Vec<(Ticket, Request)>) {
    let mut stage = Stage::new(vec![]);
    let objects = names.iter().map(|n| pod(n)).collect();
    let mut pane = LogsPane::new(LogTarget { objects, container: None, previous: false }, Disk::default());
    pane.view.options.zone = jiff::tz::TimeZone::UTC;
    stage.with(|cx| pane.start(cx));
    let watches = watches(&mut stage);
    (stage, pane, watches)
}

fn watches(stage: &mut Stage) -> Vec<(Ticket, Request)> {
    let mut found = Vec::new();
    stage.effects.retain(|e| match e {
        Effect::Watch { ticket, request } => {
            found.push((*ticket, request.clone()));
            false
        }
        _ => true,
    });
    found
}

fn line(pod: &str, second: i64, text: &str) -> LogLine {
    let source = Arc::new(LineSource {
        cluster: "eu-1".into(),
        namespace: "shop".into(),
        pod: pod.into(),
        container: "main".into(),
    });
    LogLine::Text { source, time: Some((1_700_000_000 + second) * 1_000_000_000), text: text.into() }
}

fn give(stage: &mut Stage, pane: &mut LogsPane, ticket: Ticket, lines: Vec<LogLine>) {
    stage.with(|cx| pane.receive(Message::Frame { ticket, frame: Frame::Lines(lines) }, cx));
}

/// Runs the searches and savings that were asked for.
fn work(stage: &mut Stage, pane: &mut LogsPane) {
    while let Some(at) = stage.effects.iter().position(|e| matches!(e, Effect::Job { .. })) {
        let Effect::Job { ticket, job } = stage.effects.remove(at) else { unreachable!() };
        stage.with(|cx| pane.receive(Message::Job { ticket, value: job() }, cx));
    }
}

fn texts(pane: &LogsPane) -> Vec<String> {
    let view = &pane.view;
    (0..view.shown()).filter_map(|i| view.line(view.number(i)?).map(|l| l.line().text.to_owned())).collect()
}

fn flashes(stage: &mut Stage) -> Vec<String> {
    stage
        .effects
        .drain(..)
        .filter_map(|e| if let Effect::Flash(f) = e { Some(f.text) } else { None })
        .collect()
}

#[test]
fn several_objects_are_asked_for_as_one_log() {
    let (mut stage, mut pane, watches) = open(&["a", "b"]);
    let [(ticket, request)] = watches.as_slice() else { panic!("one watch") };
    assert_eq!(request.operation, "log_read");
    assert_eq!(request.arguments["name"], "a");
    assert_eq!(request.arguments["also"], json!([{ "name": "b", "cluster": "eu-1", "namespace": "shop" }]));
    give(&mut stage, &mut pane, *ticket, vec![line("a", 5, "a5"), line("b", 6, "b6"), line("a", 2, "late")]);
    let frame = stage.frame(&mut pane, 80, 6);
    assert_eq!(texts(&pane), ["a5", "b6", "late"], "what is late is shown late, and shown");
    assert!(frame.contains("late"), "{frame}");
    stage.with(|cx| pane.receive(Message::Ended { ticket: *ticket, error: None }, cx));
    assert!(
        !stage.effects.iter().any(|e| matches!(e, Effect::Timer { .. })),
        "nothing runs when nothing waits"
    );
}

#[test]
fn the_empty_the_failed_and_the_searching_pane_say_so() {
    let (mut stage, mut pane, watches) = open(&["a"]);
    insta::assert_snapshot!("opening", stage.frame(&mut pane, 80, 4));
    stage.act(&mut pane, "logs_previous");
    let (ticket, request) = self::watches(&mut stage).pop().unwrap();
    assert_eq!(request.arguments["previous"], true);
    let error = Error::not_found("no container of pod a has an earlier instance: none has restarted")
        .next("Read the log of the one that runs.");
    stage.with(|cx| pane.receive(Message::Ended { ticket, error: Some(error) }, cx));
    insta::assert_snapshot!("failed", stage.frame(&mut pane, 120, 4));
    stage.act(&mut pane, "logs_previous");
    let (ticket, _) = self::watches(&mut stage).pop().unwrap();
    assert_ne!(ticket, watches[0].0);
    stage.with(|cx| pane.receive(Message::Ended { ticket, error: None }, cx));
    insta::assert_snapshot!("empty", stage.frame(&mut pane, 80, 4));
}

#[test]
fn n_walks_through_the_matches_among_their_neighbours() {
    let (mut stage, mut pane, watches) = open(&["a"]);
    stage.act(&mut pane, "next_match");
    assert_eq!(flashes(&mut stage), ["nothing is looked for"]);
    let lines = (0..40).map(|i| line("a", i, if i % 10 == 3 { "an error" } else { "fine" })).collect();
    give(&mut stage, &mut pane, watches[0].0, lines);
    stage.with(|cx| pane.filter_changed("error", true, cx)).unwrap();
    work(&mut stage, &mut pane);
    assert_eq!(texts(&pane).len(), 4);
    stage.frame(&mut pane, 80, 10);
    stage.act(&mut pane, "next_match");
    stage.act(&mut pane, "previous_match");
    insta::assert_snapshot!(stage.frame(&mut pane, 80, 10));
    stage.with(|cx| pane.filter_changed("error", true, cx)).unwrap();
    assert_eq!(texts(&pane).len(), 4, "Enter on the same pattern filters again");
    assert_eq!(stage.act(&mut pane, "back"), Handled::Yes);
    assert_eq!(texts(&pane).len(), 40);
}

#[test]
fn a_drag_selects_and_copies() {
    let (mut stage, mut pane, watches) = open(&["a"]);
    give(
        &mut stage,
        &mut pane,
        watches[0].0,
        vec![line("a", 1, "GET /health 200"), line("a", 2, "POST /pay 500")],
    );
    let area = Rect::new(0, 0, 60, 6);
    stage.frame(&mut pane, 60, 6);
    let mouse = |stage: &mut Stage, pane: &mut LogsPane, kind, column, row| {
        let event = MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE };
        stage.with(|cx| pane.mouse(event, area, cx))
    };
    let left = MouseButton::Left;
    mouse(&mut stage, &mut pane, MouseEventKind::Down(left), 4, 1);
    mouse(&mut stage, &mut pane, MouseEventKind::Drag(left), 3, 2);
    insta::assert_snapshot!(stage.frame(&mut pane, 60, 6));
    mouse(&mut stage, &mut pane, MouseEventKind::Up(left), 3, 2);
    assert!(stage.effects.iter().any(|e| matches!(e, Effect::Copy(t) if t == "/health 200\nPOST")));
    assert_eq!(stage.act(&mut pane, "back"), Handled::Yes, "Esc ends the selection first");
    assert_eq!(stage.act(&mut pane, "back"), Handled::No);
    assert_eq!(mouse(&mut stage, &mut pane, MouseEventKind::ScrollUp, 3, 3), Handled::Yes);
}

#[test]
fn every_key_of_the_pane_does_something() {
    let keymap = crate::tui::keymap::Keymap::embedded().unwrap();
    let mut names: Vec<Action> =
        keymap.actions().filter(|(m, _)| *m == "logs").map(|(_, a)| a.clone()).collect();
    // The application has it in full screen.
    names.retain(|a| a.name != "fullscreen");
    assert!(names.len() > 20);
    for action in names {
        let (mut stage, mut pane, watches) = open(&["a"]);
        give(&mut stage, &mut pane, watches[0].0, vec![line("a", 1, "x")]);
        stage.frame(&mut pane, 80, 6);
        assert_eq!(stage.with(|cx| pane.act(&action, cx)), Handled::Yes, "{}", action.name);
    }
}

#[test]
fn what_is_dropped_is_counted_in_the_title() {
    let (mut stage, mut pane, watches) = open(&["a"]);
    give(&mut stage, &mut pane, watches[0].0, vec![LogLine::Lost { source: None, count: 1204 }]);
    let frame = stage.frame(&mut pane, 80, 6);
    assert!(frame.contains("1,204 not delivered"), "{frame}");
    stage.now += Duration::from_secs(1);
}

fn said(name: &str, words: &str) -> Action {
    Action { words: words.into(), ..Action::named(name) }
}

#[test]
fn json_lines_stand_in_the_columns_that_were_chosen() {
    let (mut stage, mut pane, watches) = open(&["a"]);
    let lines = vec![
        line("a", 1, r#"{"level":"info","msg":"started","http":{"status":200}}"#),
        line("b", 2, r#"{"level":"error","msg":"dial failed","http":{"status":502}}"#),
        line("a", 3, "plain text stays as it is"),
    ];
    give(&mut stage, &mut pane, watches[0].0, lines);
    stage.with(|cx| pane.act(&said("fields", ".level, .http.status .msg"), cx));
    stage.frame(&mut pane, 60, 7);
    let frame = stage.frame(&mut pane, 60, 7);
    let rows: Vec<&str> = frame
        .lines()
        .filter_map(|l| l.split('│').nth(1))
        .map(str::trim_end)
        .filter(|l| !l.is_empty())
        .collect();
    assert_eq!(
        rows[1..],
        [
            "  .level .http.status .msg",
            "a info   200          started",
            "b error  502          dial failed",
            "a plain text stays as it is",
        ]
    );
    stage.with(|cx| pane.act(&said("fields", ".a["), cx));
    assert!(flashes(&mut stage).iter().any(|f| f.contains("cannot be read")));
    stage.with(|cx| pane.act(&said("fields", ""), cx));
    assert!(pane.view.columns.is_empty());
}

#[test]
fn wrapping_where_it_is_held_keeps_the_screen_full() {
    let (mut stage, mut pane, watches) = open(&["a"]);
    let lines = (0..40).map(|i| line("a", i, &format!("line {i}"))).collect();
    give(&mut stage, &mut pane, watches[0].0, lines);
    let before = stage.frame(&mut pane, 60, 12);
    stage.act(&mut pane, "autoscroll");
    stage.act(&mut pane, "wrap");
    let after = stage.frame(&mut pane, 60, 12);
    assert_eq!(before.matches("line ").count(), 11);
    assert_eq!(after.matches("line ").count(), 11, "{after}");
}

#[test]
fn a_time_that_json_says_again_is_not_shown_twice() {
    let (mut stage, mut pane, watches) = open(&["a"]);
    let lines = vec![
        line("a", 0, r#"{"time":"2023-11-14T22:13:20.1Z","msg":"the same"}"#),
        line("a", 0, r#"{"ts":1700000000123,"msg":"in milliseconds"}"#),
        line("a", 0, r#"{"time":"2020-01-01T00:00:00Z","msg":"another"}"#),
    ];
    give(&mut stage, &mut pane, watches[0].0, lines);
    let frame = stage.frame(&mut pane, 90, 6);
    assert!(
        frame.contains("2020-01-01") && !frame.contains("22:13:20.1Z") && !frame.contains("1700000000"),
        "{frame}"
    );
}

#[test]
fn repeats_are_folded_and_opened() {
    let (mut stage, mut pane, watches) = open(&["a"]);
    let lines = (0..9).map(|i| line("a", i, &format!("retry {i}"))).chain([line("a", 9, "done")]).collect();
    give(&mut stage, &mut pane, watches[0].0, lines);
    stage.act(&mut pane, "fold_repeats");
    work(&mut stage, &mut pane);
    assert_eq!(texts(&pane), ["retry 0", "done"]);
    let frame = stage.frame(&mut pane, 80, 6);
    assert!(frame.contains("×9 retry 0") && frame.contains("folded"), "{frame}");
    stage.act(&mut pane, "top");
    stage.act(&mut pane, "enter");
    assert_eq!(texts(&pane).len(), 10);
    stage.act(&mut pane, "down");
    stage.act(&mut pane, "enter");
    assert_eq!(texts(&pane), ["retry 0", "done"], "Enter on any of them folds them again");
    give(&mut stage, &mut pane, watches[0].0, vec![line("a", 10, "done")]);
    assert_eq!((texts(&pane).len(), pane.view.repeats(9)), (2, 2), "what comes is folded too");
    stage.act(&mut pane, "fold_repeats");
    assert_eq!(texts(&pane).len(), 11);
}

#[test]
fn errors_minutes_marks_and_times_are_gone_to() {
    let (mut stage, mut pane, watches) = open(&["a"]);
    let lines =
        (0..300).map(|i| line("a", i, if i % 100 == 50 { "ERROR here" } else { "INFO fine" })).collect();
    give(&mut stage, &mut pane, watches[0].0, lines);
    stage.frame(&mut pane, 80, 12);
    let mut go = |pane: &mut LogsPane, action: Action| {
        stage.with(|cx| pane.act(&action, cx));
        work(&mut stage, pane);
        pane.view.cursor
    };
    assert_eq!(go(&mut pane, Action::named("previous_error")), 250);
    assert_eq!(go(&mut pane, Action::named("previous_error")), 150);
    assert_eq!(go(&mut pane, Action::named("next_error")), 250);
    // The first line is of 22:13:20.
    assert_eq!(go(&mut pane, said("go_to_time", "22:14")), 40);
    assert_eq!(go(&mut pane, Action::named("next_minute")), 100);
    assert_eq!(go(&mut pane, said("go_to_time", "+30s")), 130);
    assert_eq!(go(&mut pane, Action::named("previous_minute")), 100);
    assert_eq!(go(&mut pane, Action::named("previous_minute")), 40);
    assert_eq!(go(&mut pane, said("go_to_time", "-1h")), 0);
    go(&mut pane, Action::named("mark"));
    assert_eq!(go(&mut pane, Action::named("next_mark")), 300);
    go(&mut pane, Action::named("next_mark"));
    go(&mut pane, said("go_to_time", "noon"));
    let said = flashes(&mut stage);
    for wanted in ["what is held begins later", "no mark after this line", "is no time"] {
        assert!(said.iter().any(|f| f.contains(wanted)), "{wanted}: {said:?}");
    }
    // Warnings and errors, errors alone, all.
    for wanted in [4, 4, 301] {
        stage.act(&mut pane, "levels");
        work(&mut stage, &mut pane);
        assert_eq!(texts(&pane).len(), wanted, "the mark is always shown");
    }
}

#[test]
fn what_is_shown_is_saved_where_one_says() {
    let (mut stage, mut pane, watches) = open(&["a"]);
    give(&mut stage, &mut pane, watches[0].0, vec![line("a", 0, "one"), line("a", 1, "two \u{1b}[2J")]);
    let home = tempfile::tempdir().unwrap();
    for (name, wanted) in [
        ("x.log", "2023-11-14T22:13:21Z a/main two ␛[2J\n".to_owned()),
        ("x.jsonl", r#"{"time":"2023-11-14T22:13:21Z","cluster":"eu-1","namespace":"shop","pod":"a","container":"main","text":"two \u001b[2J"}"#.to_owned() + "\n"),
    ] {
        let path = home.path().join(name);
        stage.with(|cx| pane.filter_changed("two", true, cx)).unwrap();
        work(&mut stage, &mut pane);
        for told in ["1 line saved to", "could not be written"] {
            stage.with(|cx| pane.act(&said("save_as", &path.display().to_string()), cx));
            work(&mut stage, &mut pane);
            let flashes = flashes(&mut stage);
            assert!(flashes.iter().any(|f| f.contains(told)), "{told}: {flashes:?}");
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), wanted, "nothing is replaced");
    }
}

#[test]
fn a_disk_that_does_not_keep_up_holds_the_stream() {
    let (mut stage, mut pane, watches) = open(&["a"]);
    let ticket = watches[0].0;
    let mut told = |pane: &mut LogsPane, act: fn(&mut Stream, &mut Cx<'_>)| {
        stage.with(|cx| act(&mut pane.stream, cx));
        let mut timer = None;
        let holds: Vec<bool> = stage
            .effects
            .drain(..)
            .filter_map(|e| match e {
                Effect::Hold(held, on) if held == ticket => Some(on),
                Effect::Timer { ticket, .. } => {
                    timer = Some(ticket);
                    None
                }
                _ => None,
            })
            .collect();
        (holds, timer)
    };
    assert_eq!(told(&mut pane, |s, cx| s.pace(false, cx)), (vec![], None), "all is well");
    let (holds, timer) = told(&mut pane, |s, cx| s.pace(true, cx));
    assert!(holds == [true] && timer.is_some_and(|t| pane.stream.is_mine(t)));
    assert_eq!(
        told(&mut pane, |s, cx| s.pace(true, cx)),
        (vec![], None),
        "what was under way may still come"
    );
    let (holds, timer) = told(&mut pane, |s, cx| s.looked(true, cx));
    assert!(holds.is_empty() && timer.is_some(), "it is looked again");
    assert_eq!(told(&mut pane, |s, cx| s.looked(false, cx)), (vec![false], None));
}
