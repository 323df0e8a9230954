//! Key scripts and frames of the built-in editor.

use super::*;
use crate::base::Result;
use crate::tui::effect::Effect;
use crate::tui::panes::testing::Stage;

const YAML: &str = "metadata:\n  name: api\nspec:\n  replicas: 3\n  evil: \"\u{202e}x\"\n";

fn open(text: &str) -> (Stage, EditorPane) {
    (Stage::new(vec![]), EditorPane::new(Ticket(7), text, ".yaml", None))
}

fn result(stage: &mut Stage) -> Option<Result<Option<String>>> {
    stage.effects.drain(..).find_map(|e| match e {
        Effect::Edited { ticket: Ticket(7), result, .. } => Some(result),
        _ => None,
    })
}

#[test]
fn typing_indents_and_saving_gives_the_text() {
    let (mut stage, mut pane) = open(YAML);
    for _ in 0..3 {
        stage.press(&mut pane, KeyCode::Down);
    }
    stage.press(&mut pane, KeyCode::End);
    stage.press(&mut pane, KeyCode::Backspace);
    stage.type_text(&mut pane, "5");
    stage.press(&mut pane, KeyCode::Enter);
    stage.type_text(&mut pane, "paused: true");
    insta::assert_snapshot!(stage.frame(&mut pane, 60, 14));
    stage.control(&mut pane, 's');
    let text = result(&mut stage).unwrap().unwrap().unwrap();
    assert_eq!(
        text,
        YAML.replace("replicas: 3", "replicas: 5\n  paused: true"),
        "what is drawn harmless is kept whole"
    );
}

#[test]
fn nothing_typed_is_nothing_changed() {
    let (mut stage, mut pane) = open(YAML);
    stage.type_text(&mut pane, "x");
    stage.control(&mut pane, 'z');
    stage.control(&mut pane, 's');
    assert_eq!(result(&mut stage), Some(Ok(None)));
    let (mut stage, mut pane) = open("");
    stage.press(&mut pane, KeyCode::Esc);
    assert_eq!(result(&mut stage), Some(Ok(None)));
}

#[test]
fn a_mistake_keeps_it_open_at_its_line() {
    let (mut stage, mut pane) = open(&YAML.replace("  replicas", " replicas"));
    assert_eq!(pane.area.cursor().0, 4, "it opens at the mistake");
    stage.control(&mut pane, 's');
    assert_eq!(result(&mut stage), None);
    insta::assert_snapshot!(stage.frame(&mut pane, 60, 14));
    stage.press(&mut pane, KeyCode::Up);
    stage.press(&mut pane, KeyCode::Home);
    stage.type_text(&mut pane, " ");
    stage.control(&mut pane, 's');
    assert!(result(&mut stage).unwrap().unwrap().is_some());
}

#[test]
fn it_opens_where_it_is_told_or_at_the_first_value_below_the_comments() {
    let at = |pane: &EditorPane| (pane.area.cursor().0, pane.area.cursor().1);
    let open = |text: &str, place| EditorPane::new(Ticket(7), text, ".yaml", place);
    assert_eq!(at(&open(YAML, None)), (0, 0));
    assert_eq!(at(&open(YAML, Some((3, 0)))), (3, 2), "a line is begun at its words");
    assert_eq!(at(&open(YAML, Some((3, 13)))), (3, 13));
    assert_eq!(at(&open("# what it is\n# and more\nreplicas: 3\n", None)), (2, 10));
    assert_eq!(at(&open("# nothing else\n", None)), (0, 0));
    assert!(at(&open(YAML, Some((99, 0)))).0 <= 4, "a line that is not there");
}

#[test]
fn leaving_a_changed_text_takes_two_escapes() {
    let (mut stage, mut pane) = open(YAML);
    stage.type_text(&mut pane, "a: 1");
    stage.press(&mut pane, KeyCode::Esc);
    assert_eq!(result(&mut stage), None);
    stage.type_text(&mut pane, "2");
    stage.press(&mut pane, KeyCode::Esc);
    assert_eq!(result(&mut stage), None, "typing takes the first one back");
    stage.press(&mut pane, KeyCode::Esc);
    assert_eq!(result(&mut stage), Some(Ok(None)));
}

#[test]
fn finding_goes_from_match_to_match() {
    let (mut stage, mut pane) = open("a: api\nb: API\nc: x\n");
    stage.control(&mut pane, 'f');
    stage.type_text(&mut pane, "api");
    stage.press(&mut pane, KeyCode::Enter);
    assert_eq!((pane.area.cursor().0, pane.area.cursor().1), (0, 3));
    stage.press(&mut pane, KeyCode::Enter);
    assert_eq!(pane.area.cursor().0, 1);
    stage.press(&mut pane, KeyCode::Esc);
    stage.control(&mut pane, 'g');
    assert_eq!(pane.area.cursor().0, 0, "round at the end");
}

#[test]
fn wide_and_long_lines_keep_the_cursor_on_the_screen() {
    let (stage, mut pane) = open(&format!("a: {}\n", "日本語".repeat(50)));
    let area = Rect::new(0, 0, 40, 12);
    pane.area.move_cursor(CursorMove::End);
    pane.layout(area, stage.now);
    let cursor = pane.cursor(area).unwrap();
    assert!(area.contains(cursor), "{cursor:?}");
    pane.area.move_cursor(CursorMove::Head);
    pane.layout(area, stage.now);
    assert_eq!(pane.left, 0);
}
