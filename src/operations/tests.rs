//! Every operation there is, walked.

use std::collections::HashSet;

use super::*;
use crate::base::Actor;
use crate::gate::{Effect, Policy, Record, Right, Ruling, Spec, Target};

fn specs() -> impl Iterator<Item = Spec> {
    all().map(|definition| definition.spec)
}

#[test]
fn names_and_routes_are_unique_and_names_are_noun_and_verb() {
    let mut names = HashSet::new();
    let mut routes = HashSet::new();
    for spec in specs() {
        assert!(names.insert(spec.name), "{} twice", spec.name);
        assert!(routes.insert((spec.method, spec.path)), "{:?} {} twice", spec.method, spec.path);
        let (noun, verb) = spec.noun_verb();
        assert!(!noun.is_empty() && !verb.is_empty(), "{}", spec.name);
        assert!(spec.path.starts_with("/v1/"), "{}", spec.path);
        assert!(spec.summary.ends_with('.'), "{}", spec.name);
    }
}

#[test]
fn no_agent_changes_or_decides_anything_by_default() {
    let policy = Policy::shipped().unwrap();
    let target = Target::kubernetes("eu-1", "shop", "deployment", "api");
    for spec in specs() {
        let ruling = policy.rule(&Actor::agent("claude"), &spec, &target);
        let fits = match (spec.right, spec.effect) {
            (Right::Decide, _) => matches!(ruling, Ruling::Deny(_)),
            (Right::Use, Effect::Observe) => ruling == Ruling::Run,
            (Right::Use, Effect::Change | Effect::Destroy) => ruling == Ruling::Hold,
        };
        assert!(fits, "{}: {ruling:?}", spec.name);
    }
}

#[test]
fn what_is_not_recorded_only_reads_or_is_presence() {
    for spec in specs() {
        if let Record::Never(reason) = spec.record {
            assert_eq!(spec.effect, Effect::Observe, "{} ({reason})", spec.name);
        }
    }
}

#[test]
fn changes_can_be_previewed_unless_they_are_quarterdecks_own() {
    for definition in all() {
        let spec = definition.spec;
        let own =
            ["approval_", "grant_", "agents_", "token_"].iter().any(|prefix| spec.name.starts_with(prefix));
        if spec.effect > Effect::Observe && !own {
            assert!(definition.previewable, "{}", spec.name);
        }
    }
}
