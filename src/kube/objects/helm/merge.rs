//! Laying values over others, and carrying a change of a manifest over to the object that it became.

use serde_json::Value;

/// Lays `over` on `under`, as Helm lays values: maps are joined, anything else takes the place, null takes away.
pub fn lay(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                if value.is_null() {
                    under.remove(key);
                } else {
                    lay(under.entry(key.clone()).or_insert(Value::Null), value);
                }
            }
        }
        (under, over) => *under = over.clone(),
    }
}

/// The live object as it is once `target` is its manifest instead of `base`: what `target` says holds, what `base` said and
/// `target` does not goes, and what neither says stays as it is. A list is one part.
///
/// Server-side apply would not do: what another manager has set and the target no longer names would stay.
pub fn onto(base: &Value, target: &Value, live: &Value) -> Value {
    let (Value::Object(target), Value::Object(live)) = (target, live) else { return target.clone() };
    let mut out = live.clone();
    for (key, value) in target {
        let before = base.get(key).unwrap_or(&Value::Null);
        let there = live.get(key).unwrap_or(&Value::Null);
        out.insert(key.clone(), onto(before, value, there));
    }
    for (key, _) in base.as_object().into_iter().flatten() {
        if !target.contains_key(key) {
            out.remove(key);
        }
    }
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_laid_as_helm_lays_them() {
        let mut values = json!({"image": {"tag": "1", "pull": "Always"}, "extra": [1], "off": 1});
        lay(&mut values, &json!({"image": {"tag": "2"}, "extra": [2], "off": null}));
        assert_eq!(values, json!({"image": {"tag": "2", "pull": "Always"}, "extra": [2]}));
    }

    #[test]
    fn what_the_older_manifest_does_not_have_goes_and_what_the_cluster_added_stays() {
        let newer =
            json!({"spec": {"replicas": 3, "paused": true}, "metadata": {"labels": {"a": "1", "new": "x"}}});
        let older = json!({"spec": {"replicas": 2}, "metadata": {"labels": {"a": "1"}}});
        let live = json!({"spec": {"replicas": 3, "paused": true, "strategy": {"type": "RollingUpdate"}},
            "metadata": {"labels": {"a": "1", "new": "x", "own": "y"}, "uid": "u"}});
        assert_eq!(
            onto(&newer, &older, &live),
            json!({"spec": {"replicas": 2, "strategy": {"type": "RollingUpdate"}},
                "metadata": {"labels": {"a": "1", "own": "y"}, "uid": "u"}})
        );
    }
}
