//! Key scripts and frames of the panes and dialogs of this folder.

use crossterm::event::KeyCode;
use serde_json::{Value, json};

use super::approvals::CardPane;
use super::change;
use super::form::FormPane;
use super::help::HelpPane;
use super::logs::LogsPane;
use super::palette::PalettePane;
use super::testing::Stage;
use super::text::TextPane;
use crate::base::Actor;
use crate::base::ids::{ApprovalId, CallId};
use crate::bus::{ApprovalEvent, ApprovalState, Event};
use crate::gate::{
    Approval, Decided, Diff, Effect as Weight, Frame, Method, OperationInfo, Preview, Target, TargetVersion,
};
use crate::rows::{Line, LineSource};
use crate::tui::effect::{Effect, Message};
use crate::tui::object::{LogTarget, ObjectRef, TextKind};
use crate::tui::pane::{Handled, Pane};

fn id(n: u128) -> ApprovalId {
    ApprovalId(ulid::Ulid(n))
}

fn approval(stage: &Stage, n: u128, effect: Weight) -> Approval {
    let target = Target::kubernetes("eu-1", "shop", "deployment", "api");
    let mut preview = Preview::of(target.clone());
    preview.version = Some(TargetVersion { identity: "u-1".into(), revision: "48211".into() });
    preview.diff = Diff::between("spec:\n  replicas: 3\n", "spec:\n  replicas: 5\n");
    preview.affects = vec!["service api: 3 → 5 endpoints".into(), "no HPA".into()];
    preview.checks = vec!["server dry run ok".into()];
    preview.warnings = vec!["quota shop: cpu 62 → 84 %".into()];
    preview.equivalent = Some("kubectl scale deploy/api --replicas=5 -n shop".into());
    Approval {
        approval: id(n),
        call: CallId(ulid::Ulid(1)),
        state: ApprovalState::Pending,
        operation: "deployment_scale".into(),
        effect,
        target,
        actor: Actor::agent("claude"),
        reason: Some("traffic doubled since 11:50,\u{1b}[2J every replica is at its CPU limit".into()),
        arguments: json!({ "cluster": "eu-1", "name": "api", "namespace": "shop", "replicas": 5 }),
        preview_hash: preview.hash(),
        preview,
        digest: "d1".into(),
        created_at: stage.now,
        expires_at: stage.now + std::time::Duration::from_secs(271),
        amended: None,
        decision: None,
        supersedes: None,
        superseded_by: None,
        result: None,
    }
}

/// A card that shows the approval and was drawn once.
fn shown(stage: &mut Stage, approval: &Approval) -> CardPane {
    let mut pane = CardPane::new(approval.approval);
    stage.with(|cx| pane.start(cx));
    give(stage, &mut pane, approval);
    stage.frame(&mut pane, 84, 24);
    pane
}

fn give(stage: &mut Stage, pane: &mut CardPane, approval: &Approval) {
    let (ticket, request) = stage.calls().pop().expect("the approval is asked for");
    assert_eq!(request.operation, "approval_get");
    stage.answer(pane, ticket, serde_json::to_value(approval).unwrap());
}

#[test]
fn the_card_shows_everything_that_a_decision_needs() {
    let mut stage = Stage::new(vec![]);
    let a = approval(&stage, 7, Weight::Change);
    let mut pane = shown(&mut stage, &a);
    insta::assert_snapshot!(stage.frame(&mut pane, 84, 24));
    stage.act(&mut pane, "parameters");
    insta::assert_snapshot!(stage.frame(&mut pane, 84, 24));
}

#[test]
fn y_decides_about_exactly_what_was_shown_and_enter_does_not() {
    let mut stage = Stage::new(vec![]);
    let a = approval(&stage, 7, Weight::Change);
    let mut pane = shown(&mut stage, &a);
    stage.act(&mut pane, "accept");
    assert!(stage.calls().is_empty(), "Enter never approves");
    stage.act(&mut pane, "approve");
    let (ticket, request) = stage.calls().pop().unwrap();
    assert_eq!(request.operation, "approval_decide");
    assert_eq!(
        request.arguments,
        json!({ "approval": id(7), "decision": "approve", "preview_hash": a.preview_hash })
    );
    stage.act(&mut pane, "approve");
    assert!(stage.calls().is_empty(), "once is enough");
    let decided = Decided {
        approval: id(7),
        state: ApprovalState::Consumed,
        superseded_by: None,
        note: "it runs".into(),
    };
    stage.answer(&mut pane, ticket, serde_json::to_value(decided).unwrap());
    assert!(stage.effects.iter().any(|e| matches!(e, Effect::Close)));
}

#[test]
fn destroying_needs_the_name_and_then_a_y() {
    let mut stage = Stage::new(vec![]);
    let a = approval(&stage, 7, Weight::Destroy);
    let mut pane = shown(&mut stage, &a);
    stage.act(&mut pane, "approve");
    stage.type_text(&mut pane, "apu");
    stage.press(&mut pane, KeyCode::Enter);
    stage.act(&mut pane, "approve");
    stage.type_text(&mut pane, "api");
    assert_eq!(stage.press(&mut pane, KeyCode::F(2)), Handled::No, "no other key does anything meanwhile");
    assert!(stage.effects.is_empty());
    stage.press(&mut pane, KeyCode::Enter);
    assert!(stage.calls().is_empty(), "the name alone runs nothing");
    stage.act(&mut pane, "approve");
    assert_eq!(stage.calls().len(), 1);
}

#[test]
fn refusing_sends_the_words_to_the_agent() {
    let mut stage = Stage::new(vec![]);
    let a = approval(&stage, 7, Weight::Change);
    let mut pane = shown(&mut stage, &a);
    stage.act(&mut pane, "refuse");
    stage.type_text(&mut pane, "not today");
    stage.press(&mut pane, KeyCode::Enter);
    let (_, request) = stage.calls().pop().unwrap();
    assert_eq!(
        (&request.arguments["decision"], &request.arguments["reason"]),
        (&json!("deny"), &json!("not today"))
    );
}

#[test]
fn a_target_that_changed_voids_the_card_and_the_new_one_is_shown() {
    let mut stage = Stage::new(vec![]);
    let a = approval(&stage, 7, Weight::Change);
    let mut pane = shown(&mut stage, &a);
    let event = Event::Approval(ApprovalEvent { approval: id(7), state: ApprovalState::Void });
    stage.with(|cx| pane.receive(Message::Event(event.into()), cx));
    let void = Approval { state: ApprovalState::Void, superseded_by: Some(id(8)), ..a.clone() };
    give(&mut stage, &mut pane, &void);
    stage.act(&mut pane, "approve");
    let mut next = approval(&stage, 8, Weight::Change);
    next.preview.diff = Diff::between("spec:\n  replicas: 4\n", "spec:\n  replicas: 5\n");
    give(&mut stage, &mut pane, &next);
    stage.frame(&mut pane, 84, 24);
    stage.act(&mut pane, "approve");
    assert!(stage.calls().is_empty(), "a key that was on its way decides nothing");
    stage.now += std::time::Duration::from_secs(1);
    insta::assert_snapshot!(stage.frame(&mut pane, 84, 24));
    stage.act(&mut pane, "approve");
    assert_eq!(stage.calls().pop().unwrap().1.arguments["approval"], json!(id(8)));
}

#[test]
fn an_expired_card_says_so_and_takes_no_y() {
    let mut stage = Stage::new(vec![]);
    let a = approval(&stage, 7, Weight::Change);
    let mut pane = shown(&mut stage, &a);
    assert!(pane.wake(stage.now).is_some());
    stage.now += std::time::Duration::from_secs(280);
    assert!(pane.wake(stage.now).is_none());
    stage.act(&mut pane, "approve");
    assert!(stage.calls().is_empty());
    insta::assert_snapshot!(stage.frame(&mut pane, 84, 24));
    for key in ['y', 'e', 'g', 'n'] {
        stage.press(&mut pane, KeyCode::Char(key));
    }
    assert!(stage.effects.is_empty(), "no key does anything about it any more");
}

#[test]
fn a_card_that_runs_out_while_a_reason_is_typed_sends_nothing() {
    let mut stage = Stage::new(vec![]);
    let a = approval(&stage, 7, Weight::Change);
    let mut pane = shown(&mut stage, &a);
    stage.press(&mut pane, KeyCode::Char('n'));
    stage.type_text(&mut pane, "because");
    insta::assert_snapshot!(stage.frame(&mut pane, 84, 24));
    stage.now += std::time::Duration::from_secs(280);
    assert!(stage.frame(&mut pane, 84, 24).contains("the time ran out while you typed"));
    stage.press(&mut pane, KeyCode::Enter);
    assert!(stage.calls().is_empty());
}

#[test]
fn what_was_typed_for_an_amendment_comes_back_after_a_mistake() {
    let mut stage = Stage::new(vec![]);
    let a = approval(&stage, 7, Weight::Change);
    let mut pane = shown(&mut stage, &a);
    stage.press(&mut pane, KeyCode::Char('e'));
    let (ticket, _) = stage.editor();
    let result = Ok(Some("replicas: [4".to_owned()));
    stage.with(|cx| pane.receive(Message::Edited { ticket, result }, cx));
    assert!(stage.frame(&mut pane, 84, 24).contains("not YAML"));
    stage.press(&mut pane, KeyCode::Char('e'));
    assert_eq!(stage.editor().1, "replicas: [4");
}

#[test]
fn what_destroys_can_be_granted_to_nobody() {
    let mut stage = Stage::new(vec![]);
    let a = approval(&stage, 7, Weight::Destroy);
    let mut pane = shown(&mut stage, &a);
    assert!(!stage.frame(&mut pane, 84, 24).contains("grant"));
    assert_eq!(stage.press(&mut pane, KeyCode::Char('g')), Handled::No);
    assert!(stage.effects.is_empty());
}

#[test]
fn a_text_says_that_it_is_read_and_why_it_cannot_be() {
    let mut stage = Stage::new(vec![]);
    let mut pane = TextPane::object(TextKind::Describe, ObjectRef::new("eu-1", "pods", "shop", "web-1"));
    stage.with(|cx| pane.start(cx));
    insta::assert_snapshot!(stage.frame(&mut pane, 60, 4));
    let (ticket, _) = stage.calls().pop().unwrap();
    let error =
        crate::base::Error::unavailable("eu-1 does not answer: the connection was refused by 10.0.0.1:6443");
    stage.with(|cx| pane.receive(Message::Reply { ticket, result: Err(error) }, cx));
    insta::assert_snapshot!(stage.frame(&mut pane, 60, 4));
}

#[test]
fn a_drag_in_a_text_copies_what_is_shown() {
    use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
    let mut stage = Stage::new(vec![]);
    let mut pane =
        TextPane::fixed("result", "x", (0..40).map(|i| format!("line {i}: \u{1b}[2J\n")).collect());
    let area = ratatui::layout::Rect::new(0, 0, 60, 10);
    stage.frame(&mut pane, 60, 10);
    let mut mouse = |kind, column, row| {
        let event = MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE };
        stage.with(|cx| pane.mouse(event, area, cx))
    };
    assert_eq!(mouse(MouseEventKind::ScrollDown, 5, 5), Handled::Yes);
    mouse(MouseEventKind::Down(MouseButton::Left), 5, 0);
    mouse(MouseEventKind::Drag(MouseButton::Left), 5, 1);
    mouse(MouseEventKind::Up(MouseButton::Left), 5, 1);
    assert!(stage.effects.iter().any(|e| matches!(e, Effect::Copy(t) if t == "3: ␛[2J\nline 4")));
}

#[test]
fn editing_amends_with_the_arguments_as_yaml() {
    let mut stage = Stage::new(vec![]);
    let a = approval(&stage, 7, Weight::Change);
    let mut pane = shown(&mut stage, &a);
    stage.act(&mut pane, "amend");
    let Some(Effect::Editor { ticket, text, .. }) = stage.effects.pop() else { panic!("the editor opens") };
    let text = text.replace("replicas: 5", "replicas: 4");
    stage.with(|cx| pane.receive(Message::Edited { ticket, result: Ok(Some(text)) }, cx));
    let (_, request) = stage.calls().pop().unwrap();
    assert_eq!(request.operation, "approval_amend");
    assert_eq!(request.arguments["arguments"]["replicas"], 4);
}

fn pods(n: usize) -> Vec<ObjectRef> {
    (0..n).map(|i| ObjectRef::new("eu-1", "pods", "shop", format!("web-{i}"))).collect()
}

#[test]
fn a_deletion_is_previewed_confirmed_and_bound_to_the_version_shown() {
    let mut stage = Stage::new(vec![]);
    let mut pane = change::dialog("delete", &pods(1), None, None).unwrap();
    stage.with(|cx| pane.start(cx));
    let Some(Effect::Preview { ticket, request }) = stage.effects.pop() else { panic!("previewed first") };
    assert_eq!(request.operation, "resource_delete");
    let mut preview = Preview::of(Target::kubernetes("eu-1", "shop", "pod", "web-0"));
    preview.version = Some(TargetVersion { identity: "u".into(), revision: "9".into() });
    preview.warnings = vec!["it is not managed by a controller: nothing makes it again".into()];
    stage.act(&mut *pane, "approve");
    assert!(stage.effects.is_empty(), "nothing runs unseen");
    stage.with(|cx| pane.receive(Message::Preview { ticket, result: Ok(preview.clone()) }, cx));
    insta::assert_snapshot!(stage.frame(&mut *pane, 80, 24));
    stage.act(&mut *pane, "force");
    let Some(Effect::Preview { ticket, request }) = stage.effects.pop() else { panic!("previewed again") };
    assert_eq!(request.arguments["force"], true);
    stage.with(|cx| pane.receive(Message::Preview { ticket, result: Ok(preview) }, cx));
    stage.now += std::time::Duration::from_secs(1);
    stage.frame(&mut *pane, 80, 24);
    stage.act(&mut *pane, "approve");
    let run = stage.effects.iter().find_map(|e| match e {
        Effect::Run { request, label } => Some((request, label)),
        _ => None,
    });
    let (request, label) = run.expect("it runs");
    assert_eq!(request.expect.as_ref().map(|v| v.revision.as_str()), Some("9"));
    assert_eq!(label, "delete pods web-0");
}

#[test]
fn marked_rows_are_one_batch_with_one_preview_and_a_list_of_what_became_of_each() {
    let mut stage = Stage::new(vec![]);
    let gone = Some("2 marked rows are gone: left out".to_owned());
    let mut pane = change::dialog("delete", &pods(20), None, gone).unwrap();
    stage.with(|cx| pane.start(cx));
    let (ticket, request) = stage.preview();
    assert_eq!(request.operation, "batch_run");
    assert_eq!(request.arguments["operation"], "resource_delete");
    assert_eq!(request.arguments["targets"].as_array().unwrap().len(), 20);
    let mut preview = Preview::of(Target::kubernetes("eu-1", "shop", "pods", "(20 objects)"));
    preview.version = Some(TargetVersion { identity: "a;b".into(), revision: "1;2".into() });
    stage.with(|cx| pane.receive(Message::Preview { ticket, result: Ok(preview) }, cx));
    assert!(stage.frame(&mut *pane, 80, 50).contains("2 marked rows are gone"));
    stage.act(&mut *pane, "approve");
    let follows = stage.effects.iter().any(|e| matches!(e, Effect::Layer(p) if p.name() == "progress"));
    assert!(follows, "what becomes of each is followed");
    let run = stage.effects.iter().find_map(|e| match e {
        Effect::Run { request, .. } => Some(request),
        _ => None,
    });
    assert_eq!(run.unwrap().expect.as_ref().unwrap().identity, "a;b");
}

#[test]
fn only_what_can_be_scaled_is() {
    assert!(
        change::dialog("scale", &pods(1), None, None)
            .is_err_and(|e| e.message.contains("pods cannot be asked to scale"))
    );
    let mut stage = Stage::new(vec![]);
    let api = ObjectRef::new("eu-1", "deployments.apps", "shop", "api");
    let mut pane = change::dialog("scale", &[api], None, None).unwrap();
    stage.type_text(&mut *pane, "5x");
    stage.act(&mut *pane, "accept");
    let Some(Effect::Layer(mut confirm)) = stage.effects.pop() else { panic!("a confirmation follows") };
    stage.with(|cx| confirm.start(cx));
    let Some(Effect::Preview { request, .. }) = stage.effects.pop() else { panic!() };
    assert_eq!(request.operation, "deployment_scale");
    assert_eq!(
        request.arguments,
        json!({ "cluster": "eu-1", "name": "api", "namespace": "shop", "replicas": 5 })
    );
}

fn operation(name: &str, effect: Weight) -> OperationInfo {
    OperationInfo {
        name: name.into(),
        summary: format!("Does {}.", name.replace('_', " ")),
        effect,
        idempotent: true,
        method: Method::Get,
        path: "/v1/x".into(),
        watch: false,
        preview: false,
        terminal: false,
        input: json!({
            "type": "object",
            "properties": {
                "name": { "type": "string", "description": "The object's name." },
                "cluster": { "type": ["string", "null"], "x-complete": "cluster" },
                "cascade": { "type": "string", "enum": ["background", "orphan"], "default": "background" }
            },
            "required": ["name"]
        })
        .into(),
        output: Value::Null.into(),
    }
}

#[test]
fn the_palette_finds_and_the_form_calls() {
    let operations = vec![
        operation("pod_list", Weight::Observe),
        operation("resource_delete", Weight::Destroy),
        operation("log_read", Weight::Observe),
    ];
    let mut stage = Stage::new(operations);
    let mut palette = PalettePane::new(&stage.shared);
    stage.type_text(&mut palette, "lo re");
    insta::assert_snapshot!(stage.frame(&mut palette, 80, 24));
    stage.act(&mut palette, "accept");
    assert!(stage.effects.iter().any(|e| matches!(e, Effect::Go(crate::tui::object::Route::Form { operation, .. }) if operation == "log_read")));
    stage.effects.clear();

    let mut form = FormPane::new("log_read", &Value::Null, &stage.shared).unwrap();
    stage.with(|cx| form.start(cx));
    stage.act(&mut form, "accept");
    assert!(stage.calls().is_empty(), "a name is needed");
    insta::assert_snapshot!(stage.frame(&mut form, 80, 24));
    stage.type_text(&mut form, "web-1");
    stage.act(&mut form, "accept");
    let (ticket, request) = stage.calls().pop().unwrap();
    assert_eq!(request.arguments, json!({ "cascade": "background", "name": "web-1" }));
    stage.answer(&mut form, ticket, json!({ "text": "one\ntwo" }));
    assert!(stage.effects.iter().any(|e| matches!(e, Effect::Push(_))));

    // What is asked for from here is meant for what is in view, not for the kubeconfig's current context.
    stage.shared.clusters = vec!["us-2".into()];
    let mut form = FormPane::new("log_read", &Value::Null, &stage.shared).unwrap();
    stage.with(|cx| form.start(cx));
    stage.type_text(&mut form, "web-1");
    stage.act(&mut form, "accept");
    let (_, request) = stage.calls().pop().unwrap();
    assert_eq!(request.arguments["cluster"], "us-2");
}

#[test]
fn yaml_is_coloured_searched_folded_and_harmless() {
    let mut stage = Stage::new(vec![]);
    let object = ObjectRef::new("eu-1", "pods", "shop", "web-1");
    let mut pane = TextPane::object(TextKind::Yaml, object);
    stage.with(|cx| pane.start(cx));
    let (ticket, request) = stage.calls().pop().unwrap();
    assert_eq!(request.operation, "resource_get");
    let yaml = "apiVersion: v1\nmetadata:\n  name: web-1\n  annotations:\n    evil: \"\u{1b}]52;c;aGk=\u{7} \u{202e}x\"\nspec:\n  containers:\n  - name: main\n    image: \"registry:5000/web:1\"\n";
    stage.answer(&mut pane, ticket, json!({ "text": yaml, "identity": "u", "revision": "1" }));
    stage.with(|cx| pane.filter_changed("web", false, cx)).unwrap();
    insta::assert_snapshot!(stage.frame(&mut pane, 60, 10));
    stage.act(&mut pane, "bottom");
    stage.act(&mut pane, "fold");
    insta::assert_snapshot!(stage.frame(&mut pane, 60, 10));
    assert_eq!(stage.act(&mut pane, "back"), Handled::Yes, "Esc ends the search first");
    assert_eq!(stage.act(&mut pane, "back"), Handled::No);
}

#[test]
fn the_log_pane_says_what_it_misses_and_filters() {
    let mut stage = Stage::new(vec![]);
    let mut pane = LogsPane::new(
        LogTarget { objects: pods(1), container: None, previous: false },
        super::logs::Disk::default(),
    );
    stage.with(|cx| pane.start(cx));
    let Some(Effect::Watch { ticket, request }) = stage.effects.pop() else { panic!("a watch") };
    assert_eq!(
        request.arguments,
        json!({ "cluster": "eu-1", "name": "web-0", "namespace": "shop", "tail": 1000 })
    );
    let source = std::sync::Arc::new(LineSource {
        cluster: "eu-1".into(),
        namespace: "shop".into(),
        pod: "web-0".into(),
        container: "main".into(),
    });
    let mut lines: Vec<Line> = (0..8)
        .map(|i| Line::Text {
            source: source.clone(),
            time: None,
            text: format!("GET /{i} {}", 200 + i % 2 * 300).into(),
        })
        .collect();
    lines.push(Line::Lost { source: Some(source), count: 1204 });
    stage.with(|cx| pane.receive(Message::Frame { ticket, frame: Frame::Lines(lines) }, cx));
    stage.with(|cx| pane.filter_changed("500", false, cx)).unwrap();
    let job = stage.effects.pop();
    let Some(Effect::Job { ticket, job }) = job else { panic!("the search is a job") };
    stage.with(|cx| pane.receive(Message::Job { ticket, value: job() }, cx));
    insta::assert_snapshot!(stage.frame(&mut pane, 80, 8));
    assert!(stage.with(|cx| pane.filter_changed("(", false, cx)).is_err());
}

#[test]
fn help_leaves_out_sorts_by_columns_that_are_not_there() {
    let stage = Stage::new(vec![]);
    let mut pane = HelpPane::new(&["table".into()], &["AGE".into(), "READY".into()], &stage.shared);
    let frame = stage.frame(&mut pane, 200, 60);
    assert!(frame.contains("sort by name") && frame.contains("sort by status"), "{frame}");
    assert!(!frame.contains("sort by age") && !frame.contains("sort by readiness"), "{frame}");
}

#[test]
fn help_is_made_from_the_keymap() {
    let stage = Stage::new(vec![]);
    let mut pane = HelpPane::new(&["logs".into(), "global".into()], &[], &stage.shared);
    let frame = stage.frame(&mut pane, 200, 60);
    for text in ["LOGS", "autoscroll", "EVERYWHERE", "operations", "COMMANDS"] {
        assert!(frame.contains(text), "{text} in\n{frame}");
    }
}
