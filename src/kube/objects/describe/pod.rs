//! Pods: what runs in them, how it fares, and how it ended the last time.

use jiff::Timestamp;
use serde_json::Value;

use super::part::{self, items, pairs, plain, text, text_or};
use super::sheet::Sheet;
use crate::rows::cell::age;

pub fn pod(sheet: &mut Sheet, pod: &Value, now: Timestamp) {
    part::head(sheet, pod, now);
    sheet.field("Status", status(pod));
    sheet.some("Reason", text(pod, "/status/reason"));
    sheet.some("Message", text(pod, "/status/message"));
    let node = text(pod, "/spec/nodeName");
    let host = text(pod, "/status/hostIP");
    sheet.field("Node", if host.is_empty() { node } else { format!("{node}/{host}") });
    sheet.some("Start Time", part::time(pod, "/status/startTime", now));
    sheet.some("Priority", text(pod, "/spec/priority"));
    sheet.some("Priority Class", text(pod, "/spec/priorityClassName"));
    sheet.some("Service Account", text(pod, "/spec/serviceAccountName"));
    sheet.list("IPs", items(pod, "/status/podIPs").iter().map(|i| text(i, "/ip")).collect());
    sheet.some("Controlled By", part::controller(pod));
    sheet.some("QoS Class", text(pod, "/status/qosClass"));
    for (label, spec, state) in [
        ("Init Containers", "/spec/initContainers", "/status/initContainerStatuses"),
        ("Containers", "/spec/containers", "/status/containerStatuses"),
        ("Ephemeral Containers", "/spec/ephemeralContainers", "/status/ephemeralContainerStatuses"),
    ] {
        sheet.section(label, |s| {
            for container in items(pod, spec) {
                let name = text(container, "/name");
                let status = items(pod, state).iter().find(|c| text(c, "/name") == name);
                s.section(name, |s| container_sheet(s, container, status, now));
            }
        });
    }
    part::conditions(sheet, pod, now);
    volumes(sheet, pod);
    sheet.list("Node Selectors", pairs(pod, "/spec/nodeSelector", "="));
    sheet.list("Tolerations", items(pod, "/spec/tolerations").iter().map(toleration).collect());
    let gates = items(pod, "/spec/schedulingGates").iter().map(|g| text(g, "/name")).collect();
    sheet.some_list("Scheduling Gates", gates);
}

/// The word that `kubectl get pods` shows: the phase, or what keeps a container from running.
pub fn status(pod: &Value) -> String {
    let mut word = text_or(pod, "/status/reason", &text(pod, "/status/phase"));
    for (states, init) in [("/status/initContainerStatuses", true), ("/status/containerStatuses", false)] {
        for c in items(pod, states) {
            let waiting = text(c, "/state/waiting/reason");
            let ended = text(c, "/state/terminated/reason");
            let failed = part::number(c, "/state/terminated/exitCode") != 0;
            let prefix = if init { "Init:" } else { "" };
            let starting = init && waiting == "PodInitializing";
            if !waiting.is_empty() && !starting {
                word = format!("{prefix}{waiting}");
            } else if !ended.is_empty() && (failed || !init) {
                word = format!("{prefix}{ended}");
            }
        }
    }
    if text(pod, "/metadata/deletionTimestamp").is_empty() { word } else { format!("Terminating ({word})") }
}

fn container_sheet(s: &mut Sheet, container: &Value, status: Option<&Value>, now: Timestamp) {
    let none = Value::Null;
    let status = status.unwrap_or(&none);
    state(s, "State", status.pointer("/state"), now);
    state(
        s,
        "Last State",
        status.pointer("/lastState").filter(|v| v.as_object().is_some_and(|o| !o.is_empty())),
        now,
    );
    if !status.is_null() {
        s.field("Ready", if status.pointer("/ready") == Some(&Value::Bool(true)) { "True" } else { "False" });
        s.field("Restart Count", text_or(status, "/restartCount", "0"));
    }
    s.field("Image", text(container, "/image"));
    s.some("Image ID", text(status, "/imageID"));
    s.some("Container ID", text(status, "/containerID"));
    s.some("Restart Policy", text(container, "/restartPolicy"));
    let ports = items(container, "/ports").iter().map(port).collect::<Vec<_>>().join(", ");
    s.some("Ports", ports);
    s.some_list("Command", items(container, "/command").iter().map(plain).collect());
    s.some_list("Args", items(container, "/args").iter().map(plain).collect());
    s.some_list("Limits", pairs(container, "/resources/limits", ": "));
    s.some_list("Requests", pairs(container, "/resources/requests", ": "));
    for (label, key) in
        [("Liveness", "/livenessProbe"), ("Readiness", "/readinessProbe"), ("Startup", "/startupProbe")]
    {
        if let Some(p) = container.pointer(key) {
            s.field(label, probe(p));
        }
    }
    let from = items(container, "/envFrom").iter().map(|e| {
        let kind = if e.get("secretRef").is_some() { "Secret" } else { "ConfigMap" };
        let name = text_or(e, "/secretRef/name", &text(e, "/configMapRef/name"));
        let prefix = text(e, "/prefix");
        if prefix.is_empty() { format!("{kind} {name}") } else { format!("{kind} {name}, prefix {prefix}") }
    });
    s.some_list("Environment From", from.collect());
    s.some_list("Environment", items(container, "/env").iter().map(env).collect());
    let mounts = items(container, "/volumeMounts").iter().map(|m| {
        let mode = if m.get("readOnly") == Some(&Value::Bool(true)) { "ro" } else { "rw" };
        let sub = text(m, "/subPath");
        let sub = if sub.is_empty() { sub } else { format!(", path {sub}") };
        format!("{} from {} ({mode}{sub})", text(m, "/mountPath"), text(m, "/name"))
    });
    s.some_list("Mounts", mounts.collect());
}

/// Waiting, running or terminated, with all that is known of an end.
fn state(s: &mut Sheet, label: &str, state: Option<&Value>, now: Timestamp) {
    let Some(state) = state else { return };
    if let Some(w) = state.get("waiting") {
        s.field(label, format!("Waiting: {}", text_or(w, "/reason", "no reason given")));
        s.some("  Message", text(w, "/message"));
    } else if let Some(r) = state.get("running") {
        s.field(label, format!("Running since {}", part::time(r, "/startedAt", now)));
    } else if let Some(t) = state.get("terminated") {
        s.field(label, format!("Terminated: {}", text_or(t, "/reason", "no reason given")));
        s.field("  Exit Code", exit_code(part::number(t, "/exitCode")));
        s.some("  Signal", text(t, "/signal"));
        s.some("  Message", text(t, "/message"));
        s.some("  Started", text(t, "/startedAt"));
        let ran = part::seconds(&text(t, "/finishedAt"))
            .zip(part::seconds(&text(t, "/startedAt")))
            .map(|(a, b)| age(a - b));
        let ran = ran.map(|r| format!(", ran {r}")).unwrap_or_default();
        s.some("  Finished", format!("{}{ran}", part::time(t, "/finishedAt", now)));
    }
}

/// Codes above 128 mean that a signal ended the process (POSIX shells' convention, which runtimes follow).
fn exit_code(code: i64) -> String {
    let signal = match code {
        129 => " (SIGHUP)",
        130 => " (SIGINT)",
        132 => " (SIGILL)",
        134 => " (SIGABRT)",
        135 => " (SIGBUS)",
        137 => " (SIGKILL)",
        139 => " (SIGSEGV)",
        143 => " (SIGTERM)",
        126 => " (cannot be executed)",
        127 => " (command not found)",
        _ => "",
    };
    format!("{code}{signal}")
}

fn port(p: &Value) -> String {
    let name = text(p, "/name");
    let host = text(p, "/hostPort");
    let name = if name.is_empty() { name } else { format!(" ({name})") };
    let host = if host.is_empty() { host } else { format!(", host port {host}") };
    format!("{}/{}{name}{host}", text(p, "/containerPort"), text_or(p, "/protocol", "TCP"))
}

fn env(e: &Value) -> String {
    let name = text(e, "/name");
    for (kind, what) in [("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")] {
        if let Some(r) = e.pointer("/valueFrom").and_then(|v| v.get(kind)) {
            let optional = if r.get("optional") == Some(&Value::Bool(true)) { ", optional" } else { "" };
            return format!("{name}: <key {} of {what} {}{optional}>", text(r, "/key"), text(r, "/name"));
        }
    }
    if let Some(path) = e.pointer("/valueFrom/fieldRef/fieldPath") {
        return format!("{name}: <{}>", plain(path));
    }
    if let Some(resource) = e.pointer("/valueFrom/resourceFieldRef/resource") {
        return format!("{name}: <{}>", plain(resource));
    }
    format!("{name}: {}", text(e, "/value"))
}

fn probe(p: &Value) -> String {
    let what = if let Some(command) = p.pointer("/exec/command").and_then(Value::as_array) {
        format!("exec [{}]", command.iter().map(plain).collect::<Vec<_>>().join(" "))
    } else if let Some(h) = p.get("httpGet") {
        let scheme = text_or(h, "/scheme", "HTTP").to_lowercase();
        format!("{scheme}-get {}:{}{}", text(h, "/host"), text(h, "/port"), text(h, "/path"))
    } else if let Some(t) = p.get("tcpSocket") {
        format!("tcp-socket {}:{}", text(t, "/host"), text(t, "/port"))
    } else if let Some(g) = p.get("grpc") {
        format!("grpc :{} {}", text(g, "/port"), text(g, "/service"))
    } else {
        "unknown".to_owned()
    };
    format!(
        "{what} delay={}s timeout={}s period={}s success={} failure={}",
        text_or(p, "/initialDelaySeconds", "0"),
        text_or(p, "/timeoutSeconds", "1"),
        text_or(p, "/periodSeconds", "10"),
        text_or(p, "/successThreshold", "1"),
        text_or(p, "/failureThreshold", "3"),
    )
}

fn toleration(t: &Value) -> String {
    let mut out = text_or(t, "/key", "any key");
    let value = text(t, "/value");
    if !value.is_empty() {
        out.push_str(&format!("={value}"));
    }
    let effect = text(t, "/effect");
    if !effect.is_empty() {
        out.push_str(&format!(":{effect}"));
    }
    if text(t, "/operator") == "Exists" {
        out.push_str(" op=Exists");
    }
    if let Some(s) = t.get("tolerationSeconds") {
        out.push_str(&format!(" for {}s", plain(s)));
    }
    out
}

fn volumes(sheet: &mut Sheet, pod: &Value) {
    sheet.section("Volumes", |s| {
        for v in items(pod, "/spec/volumes") {
            s.field(&text(v, "/name"), volume(v));
        }
    });
}

/// The source of a volume in a few words: the kinds that name another object first.
fn volume(v: &Value) -> String {
    let optional = |at: &str| if v.pointer(at) == Some(&Value::Bool(true)) { ", optional" } else { "" };
    if let Some(c) = v.get("configMap") {
        return format!("ConfigMap {}{}", text(c, "/name"), optional("/configMap/optional"));
    }
    if let Some(c) = v.get("secret") {
        return format!("Secret {}{}", text(c, "/secretName"), optional("/secret/optional"));
    }
    if let Some(c) = v.get("persistentVolumeClaim") {
        return format!("PersistentVolumeClaim {}", text(c, "/claimName"));
    }
    if let Some(c) = v.get("hostPath") {
        return format!("HostPath {} {}", text(c, "/path"), text(c, "/type")).trim_end().to_owned();
    }
    if let Some(c) = v.get("emptyDir") {
        let limit = text(c, "/sizeLimit");
        let medium = text_or(c, "/medium", "disk");
        return if limit.is_empty() {
            format!("EmptyDir on {medium}")
        } else {
            format!("EmptyDir on {medium}, limit {limit}")
        };
    }
    if let Some(sources) = v.pointer("/projected/sources").and_then(Value::as_array) {
        let names = sources.iter().map(|s| {
            let (kind, body) = s
                .as_object()
                .and_then(|o| o.iter().next())
                .map_or(("", &Value::Null), |(k, b)| (k.as_str(), b));
            let name = text(body, "/name");
            if name.is_empty() { kind.to_owned() } else { format!("{kind} {name}") }
        });
        return format!("Projected: {}", names.collect::<Vec<_>>().join(", "));
    }
    let source = v.as_object().and_then(|o| o.iter().find(|(k, _)| *k != "name"));
    source.map(|(k, body)| format!("{} {body}", part::title(k))).unwrap_or_default()
}

/// The parts of a pod template: what its pods will run.
pub fn template(sheet: &mut Sheet, template: &Value) {
    let now = Timestamp::UNIX_EPOCH;
    sheet.some("Service Account", text(template, "/spec/serviceAccountName"));
    for (label, at) in [("Init Containers", "/spec/initContainers"), ("Containers", "/spec/containers")] {
        sheet.section(label, |s| {
            for container in items(template, at) {
                s.section(text(container, "/name"), |s| container_sheet(s, container, None, now));
            }
        });
    }
    volumes(sheet, template);
    sheet.some_list("Node Selectors", pairs(template, "/spec/nodeSelector", "="));
    sheet.some_list("Tolerations", items(template, "/spec/tolerations").iter().map(toleration).collect());
}
