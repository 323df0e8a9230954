//! What the programs in the fleet's images need, and what becomes of them without it.
//!
//! Faults are not painted on: a pod crashes because its settings are wrong, and stops crashing when
//! somebody mends them. That makes the fleet something to practise on.

use serde_json::Value;

use super::object::{at, items, text};

/// The registry that every image of the fleet comes from.
pub(super) const REGISTRY: &str = "registry.shop.example";

/// A program, by the last part of its image's name.
pub(super) struct App {
    pub image: &'static str,
    /// The tags that the registry has.
    pub tags: &'static [&'static str],
    /// Environment variables without which it ends with an error.
    pub needs: &'static [&'static str],
    /// Memory that it takes, in MiB; with a lower limit it is killed.
    pub memory_mib: i64,
    /// The processor time it takes when nothing special goes on, in millicores.
    pub cpu_m: i64,
    /// The path it answers health checks on; empty: any.
    pub health: &'static str,
    /// How it logs.
    pub voice: Voice,
}

/// The style of a program's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Voice {
    /// `10.0.0.1 - GET /x 200`
    Access,
    /// One JSON object a line.
    Json,
    /// `2026-01-01 10:00:00 INFO  [main] ...`, with stack traces.
    Java,
    /// `level=info msg="..."`
    Logfmt,
    /// `I0101 10:00:00.000000 1 file.go:1] ...`
    Klog,
    Postgres,
    /// Text that tries to harm a terminal, and very long lines.
    Hostile,
    /// Numbered lines, `RATE` of them a second up to `LINES`, by its environment: nothing of it is rotated away.
    Flood,
}

const LATEST: &[&str] = &["1.0.0", "1.1.0", "1.2.0", "1.2.1", "1.2.2", "1.2.3", "1.3.0", "2.0.0"];

const fn app(image: &'static str, memory_mib: i64, cpu_m: i64, voice: Voice) -> App {
    App { image, tags: LATEST, needs: &[], memory_mib, cpu_m, health: "", voice }
}

pub(super) const APPS: &[App] = &[
    app("web", 96, 40, Voice::Access),
    app("api", 180, 120, Voice::Json),
    app("cart", 120, 60, Voice::Json),
    App { needs: &["DATABASE_URL"], ..app("checkout", 150, 80, Voice::Json) },
    App { health: "/health", ..app("catalog", 210, 70, Voice::Java) },
    app("search", 380, 200, Voice::Java),
    // It loads all pictures at once: 320 MiB, where its limit is 256.
    app("thumbnailer", 320, 300, Voice::Logfmt),
    app("recommender", 512, 250, Voice::Logfmt),
    app("payments", 160, 50, Voice::Json),
    app("fraud", 300, 150, Voice::Java),
    app("ledger", 220, 60, Voice::Java),
    app("mailer", 80, 10, Voice::Logfmt),
    app("invoice", 90, 20, Voice::Logfmt),
    app("guestbook", 64, 5, Voice::Hostile),
    app("flood", 64, 900, Voice::Flood),
    app("worker", 140, 90, Voice::Json),
    app("tracker", 110, 30, Voice::Json),
    app("routing", 260, 180, Voice::Java),
    app("scanner", 70, 15, Voice::Logfmt),
    app("dock", 60, 10, Voice::Access),
    app("postgres", 400, 120, Voice::Postgres),
    app("redis", 90, 25, Voice::Logfmt),
    app("kafka", 900, 220, Voice::Java),
    app("nginx", 50, 15, Voice::Access),
    app("prometheus", 700, 180, Voice::Logfmt),
    app("grafana", 130, 20, Voice::Logfmt),
    app("node-exporter", 24, 6, Voice::Logfmt),
    app("fluent-bit", 48, 18, Voice::Logfmt),
    app("ingress-nginx", 140, 45, Voice::Access),
    app("coredns", 40, 12, Voice::Klog),
    app("kube-proxy", 45, 8, Voice::Klog),
    app("metrics-server", 60, 15, Voice::Klog),
    app("etcd", 220, 60, Voice::Klog),
    app("kube-apiserver", 800, 150, Voice::Klog),
    app("cert-manager", 70, 8, Voice::Klog),
    app("busybox", 4, 2, Voice::Logfmt),
];

/// Images of which a registry has every tag are those that this fleet does not know.
pub(super) fn find(image: &str) -> Option<&'static App> {
    let path = image.split('@').next().unwrap_or(image);
    let name = path.rsplit('/').next().unwrap_or(path).split(':').next().unwrap_or_default();
    APPS.iter().find(|a| a.image == name)
}

fn tag(image: &str) -> &str {
    let name = image.rsplit('/').next().unwrap_or(image);
    name.split_once(':').map_or("latest", |(_, tag)| tag)
}

/// What becomes of one container.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fate {
    Runs,
    /// Runs, but the readiness check fails with this sentence.
    Unready(String),
    /// The image cannot be had, for this reason.
    NoImage(String),
    /// Refers to a ConfigMap or Secret that is not there.
    NoConfig(String),
    /// Ends with this code after so many seconds.
    Exits {
        code: i64,
        after: i64,
    },
    /// Takes more memory than its limit, after so many seconds.
    OutOfMemory {
        after: i64,
    },
    /// Runs until a service is there, and then ends well.
    WaitsFor,
}

/// What becomes of a container with this specification. `exists` says whether a ConfigMap or Secret is there.
pub(super) fn fate(container: &Value, exists: &dyn Fn(&str, &str) -> bool) -> Fate {
    let image = text(container, "image");
    let app = find(image);
    if image.contains("nowhere.example") {
        return Fate::NoImage(format!(
            "failed to pull and unpack image \"{image}\": failed to resolve reference \"{image}\": failed to do \
             request: Head \"https://nowhere.example/v2/\": dial tcp: lookup nowhere.example on 10.96.0.10:53: no such host"
        ));
    }
    if let Some(app) = app.filter(|_| image.starts_with(REGISTRY))
        && !app.tags.contains(&tag(image))
    {
        return Fate::NoImage(format!(
            "failed to pull and unpack image \"{image}\": failed to resolve reference \"{image}\": {image}: not found"
        ));
    }
    let env = items(container, "env");
    for variable in env {
        for (source, kind) in [("configMapKeyRef", "configmap"), ("secretKeyRef", "secret")] {
            let reference = &variable["valueFrom"][source];
            let optional = reference["optional"].as_bool() == Some(true);
            if reference.is_object() && !optional && !exists(kind, text(reference, "name")) {
                return Fate::NoConfig(format!("{kind} \"{}\" not found", text(reference, "name")));
            }
        }
    }
    if let Some(service) = awaited(container) {
        return if exists("service", &service) { Fate::Exits { code: 0, after: 1 } } else { Fate::WaitsFor };
    }
    if let Some(fate) = command(container) {
        return fate;
    }
    let Some(app) = app else { return Fate::Runs };
    let given =
        |name: &&str| env.iter().any(|e| e["name"] == **name) || !items(container, "envFrom").is_empty();
    if !app.needs.iter().all(given) {
        return Fate::Exits { code: 1, after: 4 };
    }
    let limit = super::quantity::bytes(text(container, "resources.limits.memory"));
    if limit > 0 && limit < app.memory_mib << 20 {
        return Fate::OutOfMemory { after: 20 };
    }
    let path = text(container, "readinessProbe.httpGet.path");
    if !app.health.is_empty() && !path.is_empty() && path != app.health {
        return Fate::Unready("HTTP probe failed with statuscode: 404".into());
    }
    Fate::Runs
}

/// The service that a shell loop such as `until nslookup inventory; do sleep 2; done` waits for.
fn awaited(container: &Value) -> Option<String> {
    let script = items(container, "command").iter().chain(items(container, "args")).filter_map(Value::as_str);
    script
        .filter_map(|s| s.split_once("until nslookup "))
        .map(|(_, rest)| rest)
        .find_map(|rest| rest.split([';', ' ', '.']).next().filter(|s| !s.is_empty()).map(str::to_owned))
}

/// What a shell command that says so itself comes to: `exit 3`, `sleep 5`.
fn command(container: &Value) -> Option<Fate> {
    let words: Vec<&str> = items(container, "command")
        .iter()
        .chain(items(container, "args"))
        .filter_map(Value::as_str)
        .flat_map(str::split_whitespace)
        .collect();
    let after = |word: &str| {
        let index = words.iter().position(|w| *w == word)?;
        words.get(index + 1)?.trim_end_matches(';').parse::<i64>().ok()
    };
    let seconds = after("sleep");
    match (after("exit"), seconds) {
        (Some(code), seconds) => Some(Fate::Exits { code, after: seconds.unwrap_or(1) }),
        (None, Some(seconds)) if seconds < 86_400 => Some(Fate::Exits { code: 0, after: seconds }),
        (None, Some(_)) => Some(Fate::Runs),
        _ => None,
    }
}

/// What a container takes now, in millicores and bytes; it breathes slowly around the program's usual.
pub(super) fn usage(container: &Value, seed: u64, second: i64) -> (i64, i64) {
    let (cpu, memory) = find(text(container, "image")).map_or((10, 32), |a| (a.cpu_m, a.memory_mib));
    let mut rng = super::rng::Rng::new(seed ^ u64::try_from(second / 15).unwrap_or_default());
    let cpu = (cpu * rng.between(60, 141) / 100).max(1);
    let memory = (memory << 20) * rng.between(90, 106) / 100;
    let limit = super::quantity::bytes(text(container, "resources.limits.memory"));
    let limit_cpu = super::quantity::millis(text(at(container, "resources.limits"), "cpu"));
    let cpu = if limit_cpu > 0 { cpu.min(limit_cpu) } else { cpu };
    (cpu, if limit > 0 { memory.min(limit - (limit >> 5)) } else { memory })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_container_does_what_its_settings_make_it_do() {
        let all = |_: &str, _: &str| true;
        let none = |_: &str, _: &str| false;
        let image = |tag: &str| format!("{REGISTRY}/shop/checkout:{tag}");
        let bare = json!({"name": "m", "image": image("1.2.3")});
        assert_eq!(fate(&bare, &all), Fate::Exits { code: 1, after: 4 });
        let mut mended = bare.clone();
        mended["env"] =
            json!([{"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": "db", "key": "url"}}}]);
        assert_eq!(fate(&mended, &all), Fate::Runs);
        assert!(matches!(fate(&mended, &none), Fate::NoConfig(why) if why == "secret \"db\" not found"));
        assert!(matches!(fate(&json!({"image": image("9.9.9")}), &all), Fate::NoImage(_)));
        let small = json!({"image": format!("{REGISTRY}/shop/thumbnailer:1.2.3"), "resources": {"limits": {"memory": "256Mi"}}});
        assert!(matches!(fate(&small, &all), Fate::OutOfMemory { .. }));
        let job = json!({"image": "busybox", "command": ["sh", "-c", "echo hi; sleep 5; exit 3"]});
        assert_eq!(fate(&job, &all), Fate::Exits { code: 3, after: 5 });
    }
}
