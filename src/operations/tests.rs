//! Every operation there is, walked.

use std::collections::HashSet;

use super::*;
use crate::base::{Actor, ActorKind, Door, Role};
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
            (Right::Decide | Right::Person, _) => matches!(ruling, Ruling::Deny(_)),
            (Right::Use, Effect::Observe) => ruling == Ruling::Run,
            (Right::Use, Effect::Change | Effect::Destroy) => ruling == Ruling::Hold,
        };
        assert!(fits, "{}: {ruling:?}", spec.name);
    }
}

/// Not even under a policy that permits everything, nor at any other door or with any other role.
#[test]
fn what_gives_rights_is_never_an_agents_nor_held() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("all.cedar"), "permit (principal, action, resource);").unwrap();
    let policy = Policy::load(directory.path()).unwrap().deciding_elsewhere(true);
    let rights =
        ["token_create", "token_list", "token_revoke", "grant_create", "agents_resume", "approval_decide"];
    for name in rights {
        let spec = specs().find(|spec| spec.name == name).unwrap();
        for door in [Door::Screen, Door::Mcp, Door::Rest, Door::Cli] {
            for role in [Role::Agent, Role::Operator, Role::Admin] {
                let agent = Actor::new(ActorKind::Agent, "claude", role, door);
                let ruling = policy.rule(&agent, &spec, &Target::own("token"));
                assert!(matches!(ruling, Ruling::Deny(_)), "{name} {role:?} {door:?}: {ruling:?}");
            }
        }
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
        let own = ["approval_", "grant_", "agents_", "token_", "call_", "workspace_"]
            .iter()
            .any(|prefix| spec.name.starts_with(prefix));
        if spec.effect > Effect::Observe && !own {
            assert!(definition.previewable, "{}", spec.name);
        }
    }
}

/// The least that a schema takes: what it requires, as short as it may be.
fn least(schema: &serde_json::Value) -> serde_json::Value {
    let mut all = serde_json::Map::new();
    for name in schema["required"].as_array().into_iter().flatten().filter_map(|n| n.as_str()) {
        let property = &schema["properties"][name];
        let value = match property["type"].as_str() {
            Some("integer") => serde_json::json!(1),
            Some("array") if name == "images" => serde_json::json!(["web=x"]),
            Some("array") if property["items"]["type"] == "string" => serde_json::json!(["x"]),
            Some("array") => serde_json::json!([{}]),
            _ => serde_json::json!(if name == "kind" { "deployments" } else { "x" }),
        };
        all.insert(name.to_owned(), value);
    }
    all.into()
}

#[test]
fn every_change_of_a_cluster_is_a_command_too() {
    for definition in all().filter(|d| d.previewable && d.spec.effect > Effect::Observe) {
        let name = definition.spec.name;
        // The commands of a batch are those of its parts; the others act on this machine.
        if ["batch_run", "plugin_run", "saved_delete", "forward_delete", "log_export"].contains(&name) {
            continue;
        }
        let arguments = least(&definition.form().input());
        let command = definition.equivalent(arguments).unwrap_or_else(|e| panic!("{name}: {e}"));
        let command = command.unwrap_or_else(|| panic!("{name} is no command"));
        assert!(["kubectl ", "helm "].iter().any(|c| command.starts_with(c)), "{name}: {command}");
        let said = &definition.form().output()["properties"]["equivalent"];
        assert_eq!(said["type"], "string", "{name} says its command in its result");
    }
}
