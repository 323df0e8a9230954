//! Key scripts and frames of the dialogs of one's own changes.

use crossterm::event::KeyCode;
use serde_json::json;

use super::*;
use crate::base::Code;
use crate::gate::{Diff, Preview, Target, TargetVersion};
use crate::tui::effect::{Effect as Asked, Message};
use crate::tui::pane::Handled;
use crate::tui::panes::testing::Stage;

const READ: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: api\n  resourceVersion: \"7\"\nspec:\n  paused: false\n  replicas: 3\n";

fn api() -> ObjectRef {
    ObjectRef::new("eu-1", "deployments.apps", "shop", "api")
}

fn preview() -> Preview {
    let mut preview = Preview::of(Target::kubernetes("eu-1", "shop", "deployment", "api"));
    preview.version = Some(TargetVersion { identity: "u".into(), revision: "7".into() });
    preview.diff = Diff::between("spec:\n  replicas: 3\n", "spec:\n  replicas: 6\n");
    preview.checks = vec!["server dry run ok".into()];
    preview
}

/// The dialog after the object was read and edited.
fn edited(stage: &mut Stage, text: &str) -> Box<dyn Pane> {
    let mut edit = EditPane::new(api());
    stage.with(|cx| edit.start(cx));
    let (ticket, request) = stage.calls().pop().unwrap();
    assert_eq!(request.operation, "resource_get");
    stage.answer(&mut edit, ticket, json!({ "text": READ }));
    let (ticket, offered) = stage.editor();
    assert_eq!(offered, READ);
    stage.with(|cx| edit.receive(Message::Edited { ticket, result: Ok(Some(text.to_owned())) }, cx));
    let Some(Asked::Layer(mut confirm)) = stage.effects.pop() else { panic!("the difference is shown next") };
    stage.effects.clear();
    stage.with(|cx| confirm.start(cx));
    confirm
}

fn shown(stage: &mut Stage, confirm: &mut dyn Pane) {
    let (ticket, _) = stage.preview();
    stage.with(|cx| confirm.receive(Message::Preview { ticket, result: Ok(preview()) }, cx));
    stage.now += std::time::Duration::from_secs(1);
    stage.frame(confirm, 80, 24);
}

#[test]
fn what_needed_its_name_typed_is_asked_until_it_is_answered() {
    let mut stage = Stage::new(vec![]);
    let node = ObjectRef::new("eu-1", "nodes", "", "n1");
    let mut confirm = dialog("delete", &[node], None, None).unwrap();
    stage.with(|cx| confirm.start(cx));
    let (ticket, _) = stage.preview();
    let preview = Preview::of(Target::kubernetes("eu-1", "", "node", "n1"));
    stage.with(|cx| confirm.receive(Message::Preview { ticket, result: Ok(preview) }, cx));
    stage.now += std::time::Duration::from_secs(1);
    let question = "does it now: that is the name";
    assert!(!stage.frame(&mut *confirm, 80, 24).contains(question));
    stage.press(&mut *confirm, KeyCode::Char('y'));
    stage.type_text(&mut *confirm, "n1");
    stage.press(&mut *confirm, KeyCode::Enter);
    for (width, height) in [(80, 24), (200, 60)] {
        assert!(stage.frame(&mut *confirm, width, height).contains(question));
        stage.press(&mut *confirm, KeyCode::Down);
        stage.now += std::time::Duration::from_secs(60);
        assert!(stage.frame(&mut *confirm, width, height).contains(question), "it stays");
    }
    stage.effects.clear();
    stage.press(&mut *confirm, KeyCode::Char('y'));
    assert!(stage.effects.iter().any(|e| matches!(e, Asked::Run { .. })));
}

#[test]
fn the_number_offered_gives_way_to_the_first_digit() {
    let mut stage = Stage::new(vec![]);
    let mut scale = dialog("scale", &[api()], Some(3), None).unwrap();
    insta::assert_snapshot!(stage.frame(&mut *scale, 80, 24));
    stage.type_text(&mut *scale, "x");
    assert!(stage.frame(&mut *scale, 80, 24).contains("3  digits only"));
    stage.type_text(&mut *scale, "5");
    stage.press(&mut *scale, KeyCode::Enter);
    let Some(Asked::Layer(mut confirm)) = stage.effects.pop() else { panic!("a confirmation follows") };
    stage.with(|cx| confirm.start(cx));
    assert_eq!(stage.preview().1.arguments["replicas"], 5);
}

#[test]
fn an_edit_is_shown_as_a_difference_and_bound_to_what_was_shown() {
    let mut stage = Stage::new(vec![]);
    let mut confirm = edited(&mut stage, &READ.replace("replicas: 3", "replicas: 6"));
    shown(&mut stage, &mut *confirm);
    let frame = stage.frame(&mut *confirm, 80, 24);
    for absent in ["grant", "refuse", "approve"] {
        assert!(!frame.contains(absent), "{absent} is no key of one's own change:\n{frame}");
    }
    insta::assert_snapshot!(frame);
    stage.press(&mut *confirm, KeyCode::Enter);
    assert!(stage.calls().is_empty(), "Enter changes nothing");
    stage.press(&mut *confirm, KeyCode::Char('y'));
    let (ticket, request) = stage.calls().pop().unwrap();
    assert_eq!(request.expect.as_ref().map(|v| v.revision.as_str()), Some("7"));
    assert!(request.arguments["manifest"].as_str().unwrap().contains("replicas: 6"));
    stage.answer(&mut *confirm, ticket, json!({}));
    assert!(stage.effects.iter().any(|e| matches!(e, Asked::Close)));
}

#[test]
fn what_is_not_yaml_shows_its_line_and_nothing_is_lost() {
    let mut stage = Stage::new(vec![]);
    let broken = READ.replace("  replicas: 3", " replicas: 3");
    let mut confirm = edited(&mut stage, &broken);
    assert!(stage.effects.is_empty(), "nothing is asked of the cluster");
    insta::assert_snapshot!(stage.frame(&mut *confirm, 80, 24));
    assert_eq!(stage.press(&mut *confirm, KeyCode::Esc), Handled::Yes, "the first Esc only warns");
    stage.press(&mut *confirm, KeyCode::Char('e'));
    let (ticket, text) = stage.editor();
    assert_eq!(text, broken);
    // Closed unchanged: it is still what was typed.
    stage.with(|cx| confirm.receive(Message::Edited { ticket, result: Ok(None) }, cx));
    assert!(stage.frame(&mut *confirm, 80, 24).contains("not valid YAML"));
    stage.press(&mut *confirm, KeyCode::Esc);
    assert_eq!(stage.press(&mut *confirm, KeyCode::Esc), Handled::No, "the second Esc leaves");
}

#[test]
fn a_conflict_shows_the_others_change_and_the_edit_goes_on_from_there() {
    let mut stage = Stage::new(vec![]);
    let mut confirm = edited(&mut stage, &READ.replace("replicas: 3", "replicas: 6"));
    shown(&mut stage, &mut *confirm);
    stage.press(&mut *confirm, KeyCode::Char('y'));
    let (ticket, _) = stage.calls().pop().unwrap();
    let error = Error::new(
        Code::Conflict,
        "deployment api changed since it was read, and another changed spec.replicas too",
    )
    .details(json!({ "other_change": ["-  replicas: 3", "+  replicas: 9"] }));
    stage.with(|cx| confirm.receive(Message::Reply { ticket, result: Err(error) }, cx));
    insta::assert_snapshot!(stage.frame(&mut *confirm, 80, 24));
    stage.press(&mut *confirm, KeyCode::Char('e'));
    let (ticket, request) = stage.calls().pop().unwrap();
    assert_eq!(request.operation, "resource_get");
    let now = READ.replace("\"7\"", "\"9\"").replace("replicas: 3", "replicas: 9");
    stage.answer(&mut *confirm, ticket, json!({ "text": now }));
    let (ticket, text, line) = stage.editor_at();
    assert_eq!(text.lines().nth(line.unwrap()), Some("  replicas: 6"), "where one's own change is");
    assert!(text.starts_with("# != Another changed") && text.contains("replicas: 9\n"), "{text}");
    assert!(text.contains("resourceVersion: \"9\"") && text.contains("\n  replicas: 6\n"), "{text}");
    stage.with(|cx| confirm.receive(Message::Edited { ticket, result: Ok(None) }, cx));
    let (_, request) = stage.preview();
    assert_eq!(request.arguments["manifest"], text);
}

#[test]
fn a_secrets_values_are_edited_decoded_and_only_what_changed_is_sent() {
    let mut stage = Stage::new(vec![]);
    let mut edit = EditPane::values(ObjectRef::new("eu-1", "secrets", "shop", "db"));
    stage.with(|cx| edit.start(cx));
    let (ticket, request) = stage.calls().pop().unwrap();
    assert_eq!((&request.arguments["reveal"], &request.arguments["format"]), (&json!(true), &json!("json")));
    let read =
        json!({"data": {"password": "hunter2", "user": "alice", "store": "1 bytes that are no text: /w=="}});
    stage.answer(&mut edit, ticket, json!({ "text": read.to_string(), "revision": "7" }));
    let (ticket, text) = stage.editor();
    assert!(text.contains("password: hunter2\nuser: alice\n") && text.contains("store: 1 bytes"), "{text}");
    let typed = text.replace("hunter2", "xyzzy-9");
    stage.with(|cx| edit.receive(Message::Edited { ticket, result: Ok(Some(typed)) }, cx));
    let Some(Asked::Layer(mut confirm)) = stage.effects.pop() else { panic!("the difference is shown next") };
    stage.effects.clear();
    stage.with(|cx| confirm.start(cx));
    shown(&mut stage, &mut *confirm);
    stage.press(&mut *confirm, KeyCode::Char('p'));
    let frame = stage.frame(&mut *confirm, 80, 24);
    assert!(frame.contains("password=") && !frame.contains("xyzzy"), "{frame}");
    stage.press(&mut *confirm, KeyCode::Char('p'));
    stage.frame(&mut *confirm, 80, 24);
    stage.press(&mut *confirm, KeyCode::Char('y'));
    let (ticket, request) = stage.calls().pop().unwrap();
    assert_eq!(request.operation, "secret_edit");
    assert_eq!(request.arguments["secret_values"], json!(["password=xyzzy-9"]));
    assert_eq!(request.arguments["revision"], "7");
    // Another was faster: the edit goes on from what is there now.
    let error =
        Error::new(Code::Conflict, "secret db changed since it was read: another changed password too");
    stage.with(|cx| confirm.receive(Message::Reply { ticket, result: Err(error) }, cx));
    assert!(stage.calls().is_empty(), "another's values are not asked for to be shown on a card");
    stage.press(&mut *confirm, KeyCode::Char('e'));
    let (ticket, _) = stage.calls().pop().unwrap();
    let now = json!({"data": {"password": "theirs", "user": "bob"}});
    stage.answer(&mut *confirm, ticket, json!({ "text": now.to_string(), "revision": "9" }));
    let (ticket, text) = stage.editor();
    assert!(text.contains("\npassword: xyzzy-9\n") && text.contains("user: bob"), "{text}");
    stage.with(|cx| confirm.receive(Message::Edited { ticket, result: Ok(None) }, cx));
    let (_, request) = stage.preview();
    assert_eq!((&request.arguments["revision"], &request.arguments["remove"]), (&json!("9"), &json!([])));
}
