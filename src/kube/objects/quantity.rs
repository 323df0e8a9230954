//! Resource quantities ("250m", "1.5Gi") as numbers, and what a pod asks for in all.

use std::collections::BTreeMap;

use serde_json::Value;

/// A quantity in its base unit (cores, bytes, pieces). Source: `k8s.io/apimachinery/pkg/api/resource`.
pub fn parse(text: &str) -> Option<f64> {
    let text = text.trim();
    let end =
        text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-'))).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor = match unit {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024f64.powi(2),
        "Gi" => 1024f64.powi(3),
        "Ti" => 1024f64.powi(4),
        "Pi" => 1024f64.powi(5),
        "Ei" => 1024f64.powi(6),
        // "12e6" and "12E6".
        exponent if exponent.starts_with(['e', 'E']) => return text.parse().ok(),
        _ => return None,
    };
    number.parse::<f64>().ok().map(|n| n * factor)
}

/// Cores; thousandths of one where they say more and are not too many to be read: "250m", "2", "172.5".
pub fn cpu(cores: f64) -> String {
    let milli = (cores * 1000.0).round() as i64;
    match milli {
        whole if whole % 1000 == 0 => (whole / 1000).to_string(),
        few if few.abs() < 10_000 => format!("{few}m"),
        many => format!("{}", many as f64 / 1000.0),
    }
}

pub fn bytes(bytes: f64) -> String {
    for (unit, size) in [("Gi", 1024f64.powi(3)), ("Mi", 1024f64.powi(2)), ("Ki", 1024.0)] {
        if bytes >= size {
            let n = (bytes / size * 10.0).round() / 10.0;
            return format!("{n}{unit}");
        }
    }
    format!("{bytes}")
}

/// A number of the resource named, in the unit that is usual for it.
pub fn show(resource: &str, value: f64) -> String {
    let resource =
        resource.strip_prefix("requests.").or(resource.strip_prefix("limits.")).unwrap_or(resource);
    match resource {
        "cpu" => cpu(value),
        "memory" | "ephemeral-storage" | "storage" => bytes(value),
        r if r.starts_with("hugepages-") => bytes(value),
        _ => format!("{value}"),
    }
}

/// What a pod (or a pod template) asks for by resource: requests (`false`) and limits (`true`).
///
/// Containers add up; an init container counts where it alone needs more, one that restarts always (a sidecar) adds up
/// too; overhead is added. Source: `k8s.io/component-helpers/resource.PodRequests`.
pub fn pod_demands(pod: &Value) -> BTreeMap<(String, bool), f64> {
    let spec = pod.get("spec").unwrap_or(&Value::Null);
    let mut total = BTreeMap::new();
    let mut peak: BTreeMap<(String, bool), f64> = BTreeMap::new();
    let each = |key: &str| spec.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for container in each("containers") {
        add(&mut total, container);
    }
    let mut sidecars = BTreeMap::new();
    for container in each("initContainers") {
        let mut now = sidecars.clone();
        add(&mut now, container);
        if container.get("restartPolicy").and_then(Value::as_str) == Some("Always") {
            add(&mut total, container);
            sidecars.clone_from(&now);
        }
        for (key, value) in now {
            let most = peak.entry(key).or_default();
            *most = most.max(value);
        }
    }
    for (key, value) in peak {
        let sum = total.entry(key).or_default();
        *sum = sum.max(value);
    }
    if let Some(overhead) = spec.get("overhead").and_then(Value::as_object) {
        for (name, value) in overhead {
            let value = value.as_str().and_then(parse).unwrap_or(0.0);
            *total.entry((name.clone(), false)).or_default() += value;
        }
    }
    total
}

fn add(total: &mut BTreeMap<(String, bool), f64>, container: &Value) {
    for (key, limit) in [("requests", false), ("limits", true)] {
        let resources = container.pointer("/resources").and_then(|r| r.get(key)).and_then(Value::as_object);
        for (name, value) in resources.into_iter().flatten() {
            let value = match value {
                Value::String(s) => parse(s),
                other => other.as_f64(),
            };
            *total.entry((name.clone(), limit)).or_default() += value.unwrap_or(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn quantities_are_read_and_written() {
        for (text, value) in [
            ("250m", 0.25),
            ("2", 2.0),
            ("1.5Gi", 1_610_612_736.0),
            ("1k", 1000.0),
            ("12e3", 12_000.0),
            ("100n", 1e-7),
        ] {
            assert!((parse(text).unwrap() - value).abs() < 1e-12 * value.max(1.0), "{text}");
        }
        assert_eq!(parse("abc"), None);
        assert_eq!((cpu(1.25), cpu(172.5)), ("1250m".into(), "172.5".into()));
        assert_eq!(
            (cpu(0.25), cpu(2.0), bytes(1_610_612_736.0), bytes(134_217_728.0)),
            ("250m".into(), "2".into(), "1.5Gi".into(), "128Mi".into())
        );
    }

    #[test]
    fn init_containers_count_by_their_peak() {
        let pod = json!({"spec": {
            "initContainers": [{"resources": {"requests": {"cpu": "1"}}}, {"restartPolicy": "Always", "resources": {"requests": {"cpu": "100m"}}}],
            "containers": [{"resources": {"requests": {"cpu": "200m", "memory": "64Mi"}, "limits": {"cpu": "1"}}}]}});
        let demands = pod_demands(&pod);
        assert!((demands[&("cpu".to_owned(), false)] - 1.0).abs() < 1e-9);
        assert!((demands[&("cpu".to_owned(), true)] - 1.0).abs() < 1e-9);
        assert!((demands[&("memory".to_owned(), false)] - 67_108_864.0).abs() < 1e-9);
    }
}
