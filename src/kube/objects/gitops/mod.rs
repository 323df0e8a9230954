//! What GitOps controllers keep: [`flux`] and [`argo`] by their own verbs, which are fields and annotations that their
//! controllers read, so that no binary of theirs is needed. [`chain`] is what stands before and behind such an object.

pub mod app;
pub mod argo;
pub mod chain;
pub mod flux;

use std::time::Duration;

use serde_json::{Value, json};

use super::describe::part::{items, text};
use super::place::{Place, Seen};
use crate::base;

/// What a controller said of what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Answer {
    /// `kustomization shop in flux-system on prod`
    pub object: String,
    /// Whether the controller has done what it was asked. Without waiting for it nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handled: Option<bool>,
    /// What it came to: `True` or `False` of Flux's Ready, Argo CD's phase of an operation.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub state: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub revision: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

impl Answer {
    /// Nobody has waited for it.
    fn asked(place: &Place) -> Self {
        Self {
            object: place.words(),
            handled: None,
            state: String::new(),
            revision: String::new(),
            message: "asked; nobody has waited for the controller".to_owned(),
        }
    }
}

/// Why nothing came of it in time.
fn unanswered(place: &Place, time: Duration, now: &str) -> base::Error {
    base::Error::new(
        base::Code::Timeout,
        format!(
            "{} was asked, and its controller has not done it after {} s{now}",
            place.words(),
            time.as_secs()
        ),
    )
    .next("It may do so later. Look whether its controller runs, and at its log.")
}

/// The condition of a type.
fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    items(object, "/status/conditions").iter().find(|c| text(c, "/type") == kind)
}

fn annotate(object: &mut Value, name: &str, value: &str) {
    let meta = &mut object["metadata"];
    if !meta["annotations"].is_object() {
        meta["annotations"] = json!({});
    }
    meta["annotations"][name] = json!(value);
}

/// The same object in whatever state: its status moves by itself, and a request to its controller does not depend on it.
fn same_one(expected: Option<&Seen>) -> Option<Seen> {
    expected.map(|seen| Seen { uid: seen.uid.clone(), revision: String::new() })
}

/// What a write gave, as every change tells it.
fn seen(after: &Value) -> Seen {
    Seen::of(after)
}
