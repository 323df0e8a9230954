//! Frames and keys of the tables of a session (participants, aliases, the audit log), and what forms know by asking.

use std::sync::Arc;

use serde_json::{Value, json};

use super::table_tests::{kinds, watching, went};
use super::testing::Stage;
use super::{aliases, audit, participants};
use crate::base::ids::CallId;
use crate::bus::{CallEvent, CallPhase, Event};
use crate::gate::{Effect as Weight, Method, OperationInfo};
use crate::tui::effect::{Effect, Message};
use crate::tui::object::Route;
use crate::tui::pane::Pane;

fn operation(name: &str, effect: Weight) -> OperationInfo {
    OperationInfo {
        name: name.into(),
        summary: String::new(),
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
                "kind": { "type": "string", "x-complete": "kind" },
                "name": { "type": "string", "x-complete": "name" },
                "namespace": { "type": "string", "x-complete": "namespace" }
            },
            "required": ["kind", "name"]
        })
        .into(),
        output: Value::Null.into(),
    }
}

#[test]
fn participants_are_read_again_when_someone_does_something() {
    let mut stage = Stage::new(vec![]);
    let mut pane = participants::pane();
    stage.with(|cx| pane.start(cx));
    let (ticket, request) = stage.calls().pop().unwrap();
    assert_eq!(request.operation, "participant_list");
    let list = json!({ "participants": [{
        "id": "p1", "actor": { "kind": "agent", "name": "claude", "role": "agent", "door": "mcp" },
        "joined_at": "2023-11-14T22:00:00Z", "last_seen": "2023-11-14T22:13:00Z", "looks_at": "logs › api",
        "activity": { "operation": "log_read", "target": "eu-1/shop/pod/api", "at": "2023-11-14T22:13:00Z", "running": false },
    }] });
    stage.answer(&mut pane, ticket, list);
    insta::assert_snapshot!("participants", stage.frame(&mut pane, 120, 4));
    let event = Event::Call(CallEvent {
        call: CallId::new(),
        actor: crate::base::Actor::agent("claude"),
        operation: "pod_list".into(),
        target: String::new(),
        at: stage.now,
        phase: CallPhase::Started,
    });
    let event = Arc::new(event);
    stage.effects.clear();
    for _ in 0..3 {
        stage.with(|cx| pane.receive(Message::Event(event.clone()), cx));
    }
    let timer = stage.effects.iter().find_map(|e| match e {
        Effect::Timer { ticket, .. } => Some(*ticket),
        _ => None,
    });
    let asked = stage.calls();
    assert_eq!(asked.len(), 1, "not once for each event");
    stage.answer(&mut pane, asked[0].0, json!({ "participants": [] }));
    assert!(stage.calls().is_empty(), "not before the pause is over");
    stage.with(|cx| pane.receive(Message::Timer { ticket: timer.unwrap() }, cx));
    assert_eq!(stage.calls().len(), 1, "and then once for all that came meanwhile");
}

#[test]
fn an_alias_leads_to_its_kind_and_a_command_to_its_place() {
    let mut stage = Stage::new(vec![]);
    let mut pane = aliases::pane(&stage.shared);
    stage.with(|cx| pane.start(cx));
    let (ticket, _) = stage.calls().pop().unwrap();
    let output = json!({
        "columns": ["NAME", "SHORT", "KIND", "VERSION", "SCOPE"],
        "rows": [["deployments.apps", "deploy", "Deployment", "v1", "namespace"]],
    });
    stage.answer(&mut pane, ticket, output);
    insta::assert_snapshot!("aliases", stage.frame(&mut pane, 120, 8));
    let command = |stage: &mut Stage, pane: &mut dyn Pane, filter: &str| {
        stage.with(|cx| pane.filter_changed(filter, true, cx)).unwrap();
        stage.frame(pane, 120, 8);
        stage.act(pane, "enter");
        match stage.effects.pop() {
            Some(Effect::Command(line)) => line,
            _ => panic!("a command"),
        }
    };
    assert_eq!(command(&mut stage, &mut pane, "^deployments"), "deployments.apps");
    assert_eq!(command(&mut stage, &mut pane, "^audit"), "audit");
}

#[test]
fn the_audit_log_is_verified_and_the_verdict_stays() {
    let mut stage = Stage::new(vec![]);
    let mut pane = audit::pane();
    watching(&mut stage, &mut pane);
    stage.act(&mut pane, "verify");
    let (ticket, request) = stage.calls().pop().unwrap();
    assert_eq!(request.operation, "audit_verify");
    stage.act(&mut pane, "verify");
    assert!(stage.calls().is_empty(), "one check at a time");
    let output = json!({ "exit_code": 2, "finding": "tampered", "note": "row 7 was edited", "rows": 12, "first_bad": 7 });
    stage.answer(&mut pane, ticket, output);
    let Some(Effect::Push(mut page)) = stage.effects.pop() else { panic!("what was found is shown") };
    assert!(stage.frame(&mut *page, 60, 8).contains("row 7 was edited"));
    assert!(stage.frame(&mut pane, 80, 4).contains("tampered, 12 rows checked"));
    stage.act(&mut pane, "export");
    assert!(matches!(&went(&mut stage)[..], [Route::Form { operation, .. }] if operation == "audit_export"));
}

#[test]
fn a_form_completes_the_names_of_the_kind_and_place_that_it_names() {
    let operations =
        vec![operation("resource_get", Weight::Observe), operation("resource_list", Weight::Observe)];
    let mut stage = Stage::new(operations);
    stage.shared.kinds = kinds();
    let known = json!({ "kind": "secrets", "namespace": "shop" });
    let mut form = super::form::FormPane::new("resource_get", &known, &stage.shared).unwrap();
    stage.with(|cx| form.start(cx));
    let (ticket, request) = stage.calls().pop().expect("the names are asked for");
    assert_eq!(request.operation, "resource_list");
    assert_eq!(
        (&request.arguments["kind"], &request.arguments["namespace"]),
        (&json!("secrets"), &json!("shop"))
    );
    stage.type_text(&mut form, "d");
    assert!(stage.calls().is_empty(), "once is enough");
    stage.answer(
        &mut form,
        ticket,
        json!({ "columns": ["NAME"], "rows": [["api-key"], ["db"], ["db-old"]] }),
    );
    let frame = stage.frame(&mut form, 80, 24);
    assert!(frame.contains("db-old") && !frame.contains("api-key"), "{frame}");
    stage.act(&mut form, "tab");
    stage.act(&mut form, "accept");
    let (_, request) = stage.calls().pop().unwrap();
    assert_eq!(request.arguments["name"], "db");
}

#[test]
fn a_read_only_session_has_no_form_for_a_change() {
    let operations = vec![operation("x_delete", Weight::Destroy), operation("x_get", Weight::Observe)];
    let mut stage = Stage::new(operations);
    stage.shared.read_only = true;
    let form = |name: &str| super::form::FormPane::new(name, &Value::Null, &stage.shared);
    let error = form("x_delete").err().expect("refused");
    assert!(error.message.contains("read-only") && error.next_step().contains("--readonly"), "{error:?}");
    assert!(form("x_get").is_ok());
}
