//! What the server answers when it does not do what it was asked: a `Status` object.
//!
//! Codes, reasons and sentences are those of `k8s.io/apimachinery/pkg/api/errors`, because clients
//! branch on them.

use serde_json::{Map, Value, json};

use super::kinds::Kind;

pub(super) type Outcome<T> = Result<T, Box<Failure>>;

/// An error as a `Status`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Failure {
    pub code: u16,
    pub reason: &'static str,
    pub message: String,
    pub details: Option<Map<String, Value>>,
}

impl Failure {
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Box<Self> {
        Box::new(Self { code, reason, message: message.into(), details: None })
    }

    pub fn with(mut self: Box<Self>, details: Value) -> Box<Self> {
        if let Value::Object(map) = details {
            self.details = Some(map);
        }
        self
    }

    pub fn bad_request(message: impl Into<String>) -> Box<Self> {
        Self::new(400, "BadRequest", message)
    }

    pub fn unauthorized() -> Box<Self> {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    pub fn forbidden(kind: &Kind, name: &str, why: &str) -> Box<Self> {
        let subject =
            if name.is_empty() { kind.resource() } else { format!("{} \"{name}\"", kind.resource()) };
        Self::new(403, "Forbidden", format!("{subject} is forbidden: {why}")).with(details(kind, name))
    }

    pub fn not_found(kind: &Kind, name: &str) -> Box<Self> {
        Self::new(404, "NotFound", format!("{} \"{name}\" not found", kind.resource()))
            .with(details(kind, name))
    }

    /// No such resource, as opposed to no such object.
    pub fn no_resource() -> Box<Self> {
        Self::new(404, "NotFound", "the server could not find the requested resource").with(json!({}))
    }

    /// What runs in the pods of the practice fleet is only told of.
    pub fn no_process(subresource: &str) -> Box<Self> {
        let what = match subresource {
            "portforward" => "ports to forward to",
            "ephemeralcontainers" => "processes to debug",
            _ => "shells or commands",
        };
        let text = format!(
            "the pods of the practice fleet have no {what}: on a cluster of your own this works (`qd` without `lab`)"
        );
        Self::new(405, "MethodNotAllowed", text).with(json!({}))
    }

    pub fn method_not_allowed() -> Box<Self> {
        Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
            .with(json!({}))
    }

    pub fn not_acceptable(available: &str) -> Box<Self> {
        Self::new(
            406,
            "NotAcceptable",
            format!("406: Not Acceptable\n\nAvailable representations: {available}"),
        )
        .with(json!({}))
    }

    pub fn already_exists(kind: &Kind, name: &str) -> Box<Self> {
        Self::new(409, "AlreadyExists", format!("{} \"{name}\" already exists", kind.resource()))
            .with(details(kind, name))
    }

    pub fn conflict(kind: &Kind, name: &str, why: &str) -> Box<Self> {
        Self::new(
            409,
            "Conflict",
            format!("Operation cannot be fulfilled on {} \"{name}\": {why}", kind.resource()),
        )
        .with(details(kind, name))
    }

    /// The object is not at the version that the writer read.
    pub fn modified(kind: &Kind, name: &str) -> Box<Self> {
        Self::conflict(
            kind,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// The version asked for is older than the history that is kept.
    pub fn expired(message: impl Into<String>) -> Box<Self> {
        Self::new(410, "Expired", message)
    }

    pub fn unsupported_media_type(accepted: &str) -> Box<Self> {
        let message = if accepted.is_empty() {
            "415: Unsupported Media Type".to_owned()
        } else {
            format!(
                "the body of the request was in an unknown format - accepted media types include: {accepted}"
            )
        };
        Self::new(415, "UnsupportedMediaType", message).with(json!({}))
    }

    /// The object, or the options, break rules; each cause is a field with what is wrong about it.
    pub fn invalid(group: &str, kind: &str, name: &str, causes: &[Cause]) -> Box<Self> {
        let subject = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let list: Vec<String> = causes.iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
        let text = match list.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let mut details = Map::new();
        if !name.is_empty() {
            details.insert("name".into(), name.into());
        }
        if !group.is_empty() {
            details.insert("group".into(), group.into());
        }
        details.insert("kind".into(), kind.into());
        let causes: Vec<Value> = causes
            .iter()
            .map(|c| json!({"reason": c.reason, "message": c.message, "field": c.field}))
            .collect();
        details.insert("causes".into(), causes.into());
        Self::new(422, "Invalid", format!("{subject} \"{name}\" is invalid: {text}"))
            .with(Value::Object(details))
    }

    /// As a `Status` object.
    pub fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason,
        });
        if let Some(details) = &self.details {
            status["details"] = Value::Object(details.clone());
        }
        status["code"] = self.code.into();
        status
    }
}

/// One broken rule.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cause {
    pub reason: &'static str,
    pub field: String,
    pub message: String,
}

impl Cause {
    pub fn required(field: impl Into<String>, text: &str) -> Self {
        let message =
            if text.is_empty() { "Required value".into() } else { format!("Required value: {text}") };
        Self { reason: "FieldValueRequired", field: field.into(), message }
    }

    pub fn invalid(field: impl Into<String>, value: &Value, text: &str) -> Self {
        Self {
            reason: "FieldValueInvalid",
            field: field.into(),
            message: format!("Invalid value: {value}: {text}"),
        }
    }

    pub fn forbidden(field: impl Into<String>, text: &str) -> Self {
        Self { reason: "FieldValueForbidden", field: field.into(), message: format!("Forbidden: {text}") }
    }

    pub fn unsupported(field: impl Into<String>, value: &Value, supported: &[&str]) -> Self {
        let list: Vec<String> = supported.iter().map(|s| format!("{s:?}")).collect();
        Self {
            reason: "FieldValueNotSupported",
            field: field.into(),
            message: format!("Unsupported value: {value}: supported values: {}", list.join(", ")),
        }
    }
}

/// `details` of a `Status` about one object.
pub(super) fn details(kind: &Kind, name: &str) -> Value {
    let mut details = Map::new();
    if !name.is_empty() {
        details.insert("name".into(), name.into());
    }
    if !kind.group.is_empty() {
        details.insert("group".into(), kind.group.as_str().into());
    }
    details.insert("kind".into(), kind.plural.as_str().into());
    Value::Object(details)
}
