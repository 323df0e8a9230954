//! What of an operation's arguments a form knows already.

use serde_json::{Value, json};

use crate::gate::OperationInfo;
use crate::tui::object::Namespaces;
use crate::tui::shared::Shared;

/// Takes properties out of an object schema.
pub(super) fn hide(schema: &mut Value, names: &[&str]) {
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.retain(|name, _| !names.contains(&name.as_str()));
    }
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| !names.iter().any(|n| name == n));
    }
}

/// What is known, with the cluster and the namespace in view where the operation asks for them and nobody has named any:
/// left empty they would mean the kubeconfig's current context, which may be another one.
pub(super) fn in_view(info: &OperationInfo, known: &Value, shared: &Shared) -> Value {
    let mut known = known.as_object().cloned().unwrap_or_default();
    let asks = |name: &str| info.input.pointer(&format!("/properties/{name}")).is_some();
    let named =
        |known: &serde_json::Map<String, Value>, name: &str| known.get(name).is_some_and(|v| !v.is_null());
    if let [cluster] = shared.clusters.as_slice()
        && asks("cluster")
        && !named(&known, "cluster")
    {
        known.insert("cluster".to_owned(), json!(cluster));
        if let Namespaces::One(namespace) = &shared.namespaces
            && asks("namespace")
            && !named(&known, "namespace")
        {
            known.insert("namespace".to_owned(), json!(namespace));
        }
    }
    Value::Object(known)
}
