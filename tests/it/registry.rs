//! Walks the operations: what every one of them must be.

use std::collections::{BTreeMap, BTreeSet};

use quarterdeck::gate::{Definition, Effect, Form, Method};
use quarterdeck::operations;
use serde_json::Value;

fn forms() -> Vec<Form> {
    operations::all().map(Definition::form).collect()
}

fn fields(path: &str) -> Vec<&str> {
    path.split('/').filter_map(|p| p.strip_prefix('{')?.strip_suffix('}')).collect()
}

#[test]
fn names_and_routes_are_unique_and_paths_name_fields_of_the_input() {
    let (mut names, mut routes) = (BTreeSet::new(), BTreeSet::new());
    for form in forms() {
        let spec = form.spec;
        assert!(names.insert(spec.name), "{} is there twice", spec.name);
        let (noun, verb) = spec.noun_verb();
        assert!(!noun.is_empty() && !verb.is_empty(), "{} is not noun_verb", spec.name);
        // Two paths that differ in the names of their fields only are one path.
        let shape: Vec<_> = spec.path.split('/').map(|p| if p.starts_with('{') { "{}" } else { p }).collect();
        assert!(
            routes.insert((format!("{:?}", spec.method), shape.join("/"))),
            "{} shares a route",
            spec.name
        );
        assert!(spec.path.starts_with("/v1/"), "{}", spec.path);
        let input = form.input();
        let properties = input["properties"].as_object().cloned().unwrap_or_default();
        for field in fields(spec.path) {
            assert!(properties.contains_key(field), "{}: the path's {field} is no field", spec.name);
        }
        // Query parameters that mean something for every route.
        for reserved in ["watch", "preview"] {
            assert!(!properties.contains_key(reserved), "{} has a field {reserved}", spec.name);
        }
        assert_eq!(input["additionalProperties"], Value::Bool(false), "{} takes unknown fields", spec.name);
        let reads = spec.effect == Effect::Observe;
        assert!(!reads || spec.method != Method::Delete, "{} reads by DELETE", spec.name);
        assert!(reads || spec.method != Method::Get, "{} changes by GET", spec.name);
        assert!(spec.summary.ends_with('.'), "{}: {:?} is no sentence", spec.name, spec.summary);
    }
}

/// One line for each operation and field: a change of a contract shows in review.
#[test]
fn the_contract_of_every_operation_is_as_it_was_reviewed() {
    let mut lines = BTreeMap::new();
    for form in forms() {
        let spec = form.spec;
        let marks =
            [(form.watchable, "watch"), (form.previewable, "preview"), (spec.idempotent, "idempotent")];
        let marks: Vec<_> = marks.into_iter().filter(|(is, _)| *is).map(|(_, word)| word).collect();
        let mut text = format!("{:?} {} {:?} {}\n", spec.method, spec.path, spec.effect, marks.join(" "));
        let input = form.input();
        let required = input["required"].as_array().cloned().unwrap_or_default();
        for (name, schema) in input["properties"].as_object().into_iter().flatten() {
            let mark = if required.contains(&Value::from(name.as_str())) { "!" } else { "" };
            let mut schema = schema.clone();
            schema.as_object_mut().map(|s| (s.remove("description"), s.remove("default")));
            text.push_str(&format!("    {name}{mark}: {schema}\n"));
        }
        let output = form.output();
        let given: Vec<_> =
            output["properties"].as_object().into_iter().flatten().map(|(n, _)| n.as_str()).collect();
        text.push_str(&format!("    -> {}\n", given.join(", ")));
        lines.insert(spec.name, text);
    }
    let listing: String = lines.iter().map(|(name, text)| format!("{name}: {text}")).collect();
    insta::assert_snapshot!(listing);
}
