use jiff::Timestamp;
use ratatui::layout::Rect;
use serde_json::json;

use super::*;
use crate::gate::{DiffLine, Target};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn facts(lines: usize) -> Facts {
    let mut preview = Preview::of(Target::kubernetes("eu-1", "shop", "deployment", "api"));
    preview.diff = Diff {
        lines: (0..lines)
            .map(|i| DiffLine {
                op: if i % 2 == 0 { DiffOp::Removed } else { DiffOp::Added },
                text: format!("  replicas: {i}"),
            })
            .collect(),
    };
    Facts {
        actor: Some(Actor::agent("claude")),
        operation: "deployment_scale".into(),
        effect: Effect::Change,
        reason: Some("traffic doubled".into()),
        arguments: json!({ "name": "api", "replicas": 5 }),
        preview,
        amended: None,
        expires_at: Some(at(300)),
        state: ApprovalState::Pending,
        others: Vec::new(),
        name: None,
        binding: Vec::new(),
    }
}

fn body(height: u16) -> Rect {
    Rect::new(0, 0, 76, height)
}

#[test]
fn y_counts_only_once_the_card_was_drawn_whole() {
    let mut card = Card::new(facts(2));
    assert!(matches!(card.approve(at(0)), Answer::NotYet(_)), "never drawn");
    card.layout(body(20));
    assert_eq!(card.approve(at(0)), Answer::Approve);
}

#[test]
fn a_change_longer_than_the_card_must_be_scrolled_to_its_end() {
    let mut card = Card::new(facts(50));
    card.layout(body(10));
    assert_eq!(card.approve(at(0)), Answer::NotYet("scroll to the end of the change first".into()));
    card.page_by(1);
    card.layout(body(10));
    assert!(matches!(card.approve(at(0)), Answer::NotYet(_)));
    for _ in 0..20 {
        card.page_by(1);
        card.layout(body(10));
    }
    assert_eq!(card.approve(at(0)), Answer::Approve);
    card.scroll_by(-30);
    card.layout(body(10));
    assert_eq!(card.approve(at(0)), Answer::Approve, "once seen it may be scrolled back");
}

#[test]
fn looking_at_the_end_of_the_parameters_is_not_looking_at_the_change() {
    let mut card = Card::new(facts(50));
    card.turn();
    card.layout(body(60));
    assert!(matches!(card.approve(at(0)), Answer::NotYet(_)));
    card.turn();
    card.layout(body(10));
    assert!(matches!(card.approve(at(0)), Answer::NotYet(_)));
}

#[test]
fn a_window_too_small_to_read_approves_nothing() {
    let mut card = Card::new(facts(2));
    card.layout(Rect::new(0, 0, 30, 20));
    assert!(matches!(card.approve(at(0)), Answer::NotYet(_)));
    card.layout(body(2));
    assert!(matches!(card.approve(at(0)), Answer::NotYet(_)));
}

#[test]
fn destroying_needs_the_name() {
    let mut f = facts(2);
    f.effect = Effect::Destroy;
    f.name = Some("api".into());
    let mut card = Card::new(f);
    card.layout(body(20));
    assert_eq!(card.approve(at(0)), Answer::NeedsName("api".into()));
    assert!(card.name_typed("ap").is_err());
    assert_eq!(card.approve(at(0)), Answer::NeedsName("api".into()));
    card.name_typed("api").unwrap();
    assert_eq!(card.approve(at(0)), Answer::Approve);
}

#[test]
fn nothing_counts_after_the_time_is_over() {
    let mut card = Card::new(facts(2));
    card.layout(body(20));
    assert_eq!(card.time_left(at(29)), "4:31 left");
    assert_eq!(card.approve(at(299)), Answer::Approve);
    assert!(matches!(card.approve(at(300)), Answer::NotYet(_)));
    assert_eq!(card.time_left(at(300)), "expired");
    assert_eq!(card.wake(at(29)), Some(at(30)));
    assert_eq!(card.wake(at(301)), None, "an expired card wakes nobody");
}

#[test]
fn a_void_proposal_cannot_be_approved_and_its_successor_needs_a_look() {
    let mut card = Card::new(facts(2));
    card.layout(body(20));
    let mut void = facts(2);
    void.state = ApprovalState::Void;
    card.replace(void, Some("the target changed".into()), at(10));
    card.layout(body(20));
    assert_eq!(card.approve(at(10)), Answer::NotYet("this is void already".into()));
    card.replace(facts(4), Some("the target changed: this is the new proposal".into()), at(20));
    assert!(matches!(card.approve(at(60)), Answer::NotYet(_)), "not drawn yet");
    card.layout(body(20));
    assert!(matches!(card.approve(at(20)), Answer::NotYet(_)), "a key on its way when it was replaced");
    assert_eq!(card.approve(at(21)), Answer::Approve);
}

#[test]
fn a_typed_name_does_not_carry_over_to_another_proposal() {
    let mut f = facts(2);
    f.name = Some("api".into());
    let mut card = Card::new(f.clone());
    card.layout(body(20));
    card.name_typed("api").unwrap();
    f.arguments = json!({ "name": "api", "replicas": 0 });
    card.replace(f, None, at(1));
    card.layout(body(20));
    assert_eq!(card.approve(at(9)), Answer::NeedsName("api".into()));
}

#[test]
fn parameters_are_whole_and_harmless() {
    let mut f = facts(1);
    let long = "Q".repeat(500);
    f.arguments = json!({ "a": long, "b": "\u{1b}[2J\u{202e}evil" });
    f.binding = vec![("digest", "abc".into())];
    let mut card = Card::new(f);
    card.turn();
    card.layout(body(100));
    let text: String = card.visible().iter().flat_map(|r| &r.0).map(|(_, t)| t.as_str()).collect();
    assert_eq!(text.matches('Q').count(), 500);
    assert!(text.contains("⟨202e⟩evil") && text.contains("abc"));
    assert!(!text.chars().any(crate::base::text::is_harmful));
}
