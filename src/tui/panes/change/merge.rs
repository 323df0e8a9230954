//! Joining an edit with what another changed meanwhile, line by line.
//!
//! The server joins changes of different fields by itself; this is for what it calls a conflict. The edit stays as
//! it was typed, everything else becomes as it is now, and what was written to the same lines is told in comments
//! at the top: anywhere else a comment could end up inside a block of text.

use std::fmt::Write as _;

use similar::{Algorithm, DiffTag, capture_diff_slices};

/// Begins each line of the notes.
const NOTE: &str = "# != ";

/// For each line of the base, the line of the other text that is the same one.
fn matches(base: &[&str], other: &[&str]) -> Vec<Option<usize>> {
    let mut all = vec![None; base.len()];
    for op in capture_diff_slices(Algorithm::Myers, base, other) {
        if op.tag() == DiffTag::Equal {
            for (old, new) in op.old_range().zip(op.new_range()) {
                all[old] = Some(new);
            }
        }
    }
    all
}

/// The edit on top of what is there now. The texts are the object as it was read, as it was edited, and as it is.
pub fn onto(base: &str, ours: &str, theirs: &str) -> String {
    let ours: String =
        ours.lines().filter(|l| !l.starts_with(NOTE)).fold(String::new(), |all, l| all + l + "\n");
    let base_lines: Vec<&str> = base.lines().collect();
    let our_lines: Vec<&str> = ours.lines().collect();
    let their_lines: Vec<&str> = theirs.lines().collect();
    let mut out: Vec<&str> = Vec::new();
    let mut notes = String::new();
    let (in_ours, in_theirs) = (matches(&base_lines, &our_lines), matches(&base_lines, &their_lines));
    let (mut b, mut o, mut t) = (0, 0, 0);
    loop {
        // The next line that all three have in common ends the part that somebody changed.
        let next = (b..base_lines.len()).find_map(|i| Some((i, in_ours[i]?, in_theirs[i]?)));
        let (to_b, to_o, to_t) = next.unwrap_or((base_lines.len(), our_lines.len(), their_lines.len()));
        let (before, mine, other) = (&base_lines[b..to_b], &our_lines[o..to_o], &their_lines[t..to_t]);
        if mine == before {
            out.extend(other);
        } else {
            if other != before && other != mine {
                note(&mut notes, out.len() + 1, other);
            }
            out.extend(mine);
        }
        if next.is_none() {
            break;
        }
        out.push(base_lines[to_b]);
        (b, o, t) = (to_b + 1, to_o + 1, to_t + 1);
    }
    let mut text = String::new();
    if !notes.is_empty() {
        let _ = writeln!(
            text,
            "{NOTE}Another changed the same lines meanwhile. Yours stand below. Theirs, by line:"
        );
        text.push_str(&notes);
    }
    for line in out {
        text.push_str(line);
        text.push('\n');
    }
    text
}

fn note(notes: &mut String, line: usize, theirs: &[&str]) {
    let _ = writeln!(notes, "{NOTE}{line}:");
    for text in theirs {
        let _ = writeln!(notes, "{NOTE}  {text}");
    }
    if theirs.is_empty() {
        let _ = writeln!(notes, "{NOTE}  (taken out)");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "metadata:\n  labels:\n    app: api\n  name: api\n  resourceVersion: \"7\"\nspec:\n  replicas: 3\n  paused: false\n";

    #[test]
    fn changes_of_different_lines_are_joined_without_a_word() {
        let ours = BASE.replace("replicas: 3", "replicas: 6");
        let theirs = BASE.replace("\"7\"", "\"9\"").replace("app: api", "app: api\n    tier: web");
        assert_eq!(onto(BASE, &ours, &theirs), theirs.replace("replicas: 3", "replicas: 6"));
        assert_eq!(onto(BASE, BASE, &theirs), theirs);
        assert_eq!(onto(BASE, &ours, BASE), ours);
    }

    #[test]
    fn the_same_line_stays_as_it_was_typed_and_the_others_is_told() {
        let ours = BASE.replace("replicas: 3", "replicas: 6");
        let theirs = BASE.replace("\"7\"", "\"9\"").replace("replicas: 3", "replicas: 9");
        let merged = onto(BASE, &ours, &theirs);
        assert!(merged.starts_with("# != Another changed"), "{merged}");
        assert!(
            merged.contains("# !=   replicas: 9\n") || merged.contains("# !=     replicas: 9\n"),
            "{merged}"
        );
        assert!(merged.ends_with(&theirs.replace("replicas: 9", "replicas: 6")), "{merged}");
        // Once more, from there: the notes of the first time are gone.
        let again = onto(&theirs, &merged, &theirs.replace("\"9\"", "\"11\""));
        assert!(!again.contains("!="), "{again}");
        assert!(again.contains("replicas: 6") && again.contains("\"11\""));
    }

    #[test]
    fn what_was_taken_out_is_told_too() {
        let ours = BASE.replace("paused: false", "paused: true");
        let merged = onto(BASE, &ours, &BASE.replace("  paused: false\n", ""));
        assert!(merged.contains("(taken out)") && merged.contains("  paused: true\n"), "{merged}");
    }

    proptest::proptest! {
        #[test]
        fn whoever_changed_nothing_loses_nothing(
            base in proptest::collection::vec("[abc]", 0..12),
            other in proptest::collection::vec("[abc]", 0..12),
        ) {
            let text = |lines: &[String]| lines.iter().map(|l| format!("{l}\n")).collect::<String>();
            let (base, other) = (text(&base), text(&other));
            proptest::prop_assert_eq!(onto(&base, &base, &other), other.clone());
            proptest::prop_assert_eq!(onto(&base, &other, &base), other.clone());
            proptest::prop_assert_eq!(onto(&base, &other, &other), other);
        }
    }
}
