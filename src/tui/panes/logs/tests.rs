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
    let mut pane = LogsPane::new(LogTarget { objects, container: None, previous: false });
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

fn turn(stage: &mut Stage, pane: &mut LogsPane) {
    let at = stage.effects.iter().position(|e| matches!(e, Effect::Timer { .. })).expect("a timer runs");
    let Effect::Timer { ticket, .. } = stage.effects.remove(at) else { unreachable!() };
    stage.with(|cx| pane.receive(Message::Timer { ticket }, cx));
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
fn several_objects_come_in_the_order_of_their_times() {
    let (mut stage, mut pane, watches) = open(&["a", "b"]);
    let [(a, _), (b, _)] = watches.as_slice() else { panic!("a watch for each") };
    give(&mut stage, &mut pane, *a, vec![line("a", 1, "a1"), line("a", 5, "a5")]);
    assert!(texts(&pane).is_empty(), "the other's first lines are waited for");
    give(&mut stage, &mut pane, *b, vec![line("b", 2, "b2"), line("b", 6, "b6")]);
    turn(&mut stage, &mut pane);
    turn(&mut stage, &mut pane);
    assert_eq!(texts(&pane), ["a1", "b2", "a5", "b6"]);
    // One that is late beyond the window is shown late, and shown.
    give(&mut stage, &mut pane, *b, vec![line("b", 3, "late")]);
    turn(&mut stage, &mut pane);
    turn(&mut stage, &mut pane);
    assert_eq!(texts(&pane).last().map(String::as_str), Some("late"));
    assert!(
        !stage.effects.iter().any(|e| matches!(e, Effect::Timer { .. })),
        "nothing runs when nothing waits"
    );
    give(&mut stage, &mut pane, *a, vec![line("a", 9, "a9")]);
    for ticket in [*a, *b] {
        stage.with(|cx| pane.receive(Message::Ended { ticket, error: None }, cx));
    }
    assert_eq!(texts(&pane).last().map(String::as_str), Some("a9"), "the end holds nothing back");
}

#[test]
fn one_object_waits_for_nobody() {
    let (mut stage, mut pane, watches) = open(&["a"]);
    give(&mut stage, &mut pane, watches[0].0, vec![line("a", 2, "x"), line("a", 1, "y")]);
    assert_eq!(texts(&pane), ["x", "y"]);
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
