//! What is wrong with one container of a pod.

use serde_json::Value;

use super::{Finding, Report, Severity, Subject};
use crate::kube::objects::describe::part::{age_of, items, number, plain, seconds, text, text_or};

/// Restarts in the last hour are news; older ones are history.
const LATELY: i64 = 3_600;

/// A container with its status.
pub struct Part<'a> {
    pub name: String,
    pub spec: &'a Value,
    pub status: &'a Value,
    pub init: bool,
}

impl Part<'_> {
    fn words(&self) -> String {
        if self.init { format!("init container {}", self.name) } else { format!("container {}", self.name) }
    }
}

/// Says what is wrong with it.
pub fn container(subject: &Subject<'_>, part: &Part<'_>, report: &mut Report) {
    let waiting = text(part.status, "/state/waiting/reason");
    match waiting.as_str() {
        "ImagePullBackOff" | "ErrImagePull" | "InvalidImageName" | "ErrImageNeverPull" => {
            return report.found(image(subject, part, &waiting));
        }
        "CrashLoopBackOff" => return report.found(crashes(subject, part)),
        "CreateContainerConfigError" => return report.found(config(subject, part)),
        "CreateContainerError" | "RunContainerError" => return report.found(start(subject, part, &waiting)),
        _ => {}
    }
    if let Some(end) = part.status.pointer("/state/terminated") {
        return if begins_again(subject, part, end) {
            report.found(crashes(subject, part))
        } else {
            ended(subject, part, report)
        };
    }
    if part.status.pointer("/state/running").is_some() {
        running(subject, part, report);
    }
}

/// Whether a container that has ended will be started again, and has been before: the kubelet shows it as ended, for
/// seconds or for minutes, before it says that it waits.
fn begins_again(subject: &Subject<'_>, part: &Part<'_>, end: &Value) -> bool {
    let again = match text(subject.object, "/spec/restartPolicy").as_str() {
        "Never" => false,
        "OnFailure" => number(end, "/exitCode") != 0,
        _ => true,
    };
    // An init container that ended well is done.
    let done = part.init && number(end, "/exitCode") == 0;
    again && !done && number(part.status, "/restartCount") > 0
}

fn image(subject: &Subject<'_>, part: &Part<'_>, reason: &str) -> Finding {
    let image = text(part.spec, "/image");
    let message = text(part.status, "/state/waiting/message");
    let told = subject.warnings(&["Failed", "ErrImageNeverPull", "InspectFailed"]);
    let all = format!("{message} {}", told.join(" ")).to_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| all.contains(w));
    let (why, next) = if reason == "InvalidImageName" {
        ("its name is not one of an image", "Mend the image's name.")
    } else if reason == "ErrImageNeverPull" {
        (
            "it is not on the node, and may not be pulled (imagePullPolicy: Never)",
            "Put it on the node, or let it be pulled.",
        )
    } else if has(&["not found", "manifest unknown", "does not exist", "no such image"]) {
        (
            "the registry has no such image or tag",
            "Check the image's name and tag; push it, or set one that is there (i).",
        )
    } else if has(&["unauthorized", "denied", "authentication required", "401", "403"]) {
        ("the registry refuses the credential", "Give the pod an imagePullSecret that may read this image.")
    } else if has(&["no such host", "timeout", "connection refused", "i/o timeout", "dial tcp"]) {
        ("the registry cannot be reached from the node", "Check the registry's name and the node's network.")
    } else if has(&["toomanyrequests", "rate limit"]) {
        ("the registry limits how much is pulled", "Wait, or pull with an account or through a mirror.")
    } else {
        ("it cannot be pulled", "Read the node's message.")
    };
    subject
        .finding(
            Severity::Error,
            &format!("image {image}"),
            format!("{} cannot start: its image {image}: {why}", part.words()),
        )
        .evidence(format!("{reason}: {message}"))
        .all(told)
        .next(next)
        .leads(subject.lead("events", ""))
}

/// What an exit code means, as far as everybody agrees.
fn exit(code: i64, reason: &str) -> &'static str {
    match (code, reason) {
        (_, "OOMKilled") => "it took more memory than its limit and was killed",
        (0, _) => "it ended by itself without an error, though it is meant to go on",
        (1 | 2, _) => "it ended with an error of its own",
        (126, _) => "its command cannot be executed",
        (127, _) => "its command was not found in the image",
        (128, _) => "it could not be started",
        (134, _) => "it aborted (SIGABRT)",
        (137, _) => "it was killed (SIGKILL)",
        (139, _) => "it crashed on a memory fault (SIGSEGV)",
        (143, _) => "it was told to end (SIGTERM)",
        _ => "it ended with an error",
    }
}

fn crashes(subject: &Subject<'_>, part: &Part<'_>) -> Finding {
    let now = part.status.pointer("/state/terminated");
    let last = now.or_else(|| part.status.pointer("/lastState/terminated")).unwrap_or(&Value::Null);
    let (code, reason) = (number(last, "/exitCode"), text(last, "/reason"));
    let restarts = number(part.status, "/restartCount");
    if reason == "OOMKilled" {
        return out_of_memory(subject, part, last);
    }
    // A liveness probe that fails ends it from outside.
    let probes = subject.warnings(&["Unhealthy"]);
    let killed: Vec<String> =
        probes.into_iter().filter(|e| e.contains("Liveness") || e.contains("Startup")).collect();
    if !killed.is_empty() && matches!(code, 137 | 143 | 0) {
        return probe_kills(subject, part, killed);
    }
    let what =
        format!("{} crashes again and again: {} (exit code {code})", part.words(), exit(code, &reason));
    let next = match code {
        0 => "A container that is to run for ever must not end: check its command, or make it a Job.",
        126 | 127 => "Check the command and the image: the program is not there or cannot be run.",
        _ => "Read its last log: it says why it ended.",
    };
    subject
        .finding(Severity::Error, &format!("crash {} {code}", part.name), what)
        .evidence(match now {
            Some(_) => format!("ended again after {restarts} restarts"),
            None => format!(
                "CrashLoopBackOff after {restarts} restarts: {}",
                text(part.status, "/state/waiting/message")
            ),
        })
        .evidence(ended_words(subject, last))
        .evidence(told("its last words", &text(last, "/message")))
        .next(next)
        .leads(subject.lead("previous_logs", &part.name))
}

fn told(head: &str, message: &str) -> String {
    let message = message.trim();
    if message.is_empty() { String::new() } else { format!("{head}: {}", message.replace('\n', " ⏎ ")) }
}

fn ended_words(subject: &Subject<'_>, ended: &Value) -> String {
    if ended.is_null() {
        return String::new();
    }
    let ran =
        seconds(&text(ended, "/finishedAt")).zip(seconds(&text(ended, "/startedAt"))).map(|(b, a)| b - a);
    let ran = ran.map(|s| format!(", after {s} s")).unwrap_or_default();
    format!(
        "ended {} ago with {} (exit code {}){ran}",
        age_of(ended, "/finishedAt", subject.now),
        text_or(ended, "/reason", "no reason"),
        text(ended, "/exitCode"),
    )
}

fn out_of_memory(subject: &Subject<'_>, part: &Part<'_>, ended: &Value) -> Finding {
    let limit = text(part.spec, "/resources/limits/memory");
    let what = if limit.is_empty() {
        format!("{} is killed for want of memory on its node: it has no limit of its own", part.words())
    } else {
        format!("{} takes more memory than its limit of {limit} and is killed for it", part.words())
    };
    let restarts = number(part.status, "/restartCount");
    subject
        .finding(Severity::Error, &format!("oom {}", part.name), what)
        .evidence(ended_words(subject, ended))
        .evidence(format!(
            "{restarts} restarts; requests {}",
            text_or(part.spec, "/resources/requests/memory", "none")
        ))
        .next(if limit.is_empty() {
            "Find out what takes the memory; give it a request and a limit that it fits in."
        } else {
            "Raise the limit, or find out what takes the memory: its last log shows what it did."
        })
        .leads(subject.lead("previous_logs", &part.name))
}

fn probe_kills(subject: &Subject<'_>, part: &Part<'_>, evidence: Vec<String>) -> Finding {
    let which = if evidence.iter().any(|e| e.contains("Startup")) { "startup" } else { "liveness" };
    let probe = part.spec.get(format!("{which}Probe")).map(probe_words).unwrap_or_default();
    subject
        .finding(
            Severity::Error,
            &format!("{which} {}", part.name),
            format!("{} is restarted because its {which} probe fails", part.words()),
        )
        .evidence(told("the probe", &probe))
        .all(evidence)
        .next("Check that the probe asks what the program answers, and gives it time enough.")
        .leads(subject.lead("previous_logs", &part.name))
}

fn config(subject: &Subject<'_>, part: &Part<'_>) -> Finding {
    let message = text(part.status, "/state/waiting/message");
    subject
        .finding(
            Severity::Error,
            &format!("config {message}"),
            format!(
                "{} cannot start: what its configuration refers to is not there: {message}",
                part.words()
            ),
        )
        .all(subject.warnings(&["Failed", "FailedMount"]))
        .next("Make what is named there, or make the reference optional.")
        .leads(subject.lead("events", ""))
}

fn start(subject: &Subject<'_>, part: &Part<'_>, reason: &str) -> Finding {
    let message = text(part.status, "/state/waiting/message");
    let command: Vec<String> = items(part.spec, "/command").iter().map(plain).collect();
    subject
        .finding(
            Severity::Error,
            &format!("start {}", part.name),
            format!("{} cannot be started by the node: {message}", part.words()),
        )
        .evidence(format!("{reason}: {message}"))
        .evidence(told("its command", &command.join(" ")))
        .all(subject.warnings(&["Failed"]))
        .next("Check its command, its mounts and its security context against the message.")
        .leads(subject.lead("events", ""))
}

/// A container that has ended: wrong unless it was meant to.
fn ended(subject: &Subject<'_>, part: &Part<'_>, report: &mut Report) {
    let end = part.status.pointer("/state/terminated").unwrap_or(&Value::Null);
    let (code, reason) = (number(end, "/exitCode"), text(end, "/reason"));
    if code == 0 {
        return;
    }
    if reason == "OOMKilled" {
        return report.found(out_of_memory(subject, part, end));
    }
    let what = format!("{} has failed: {} (exit code {code})", part.words(), exit(code, &reason));
    report.found(
        subject
            .finding(Severity::Error, &format!("failed {} {code}", part.name), what)
            .evidence(ended_words(subject, end))
            .evidence(told("its last words", &text(end, "/message")))
            .next("Read its log: it says why it ended.")
            .leads(subject.lead("logs", &part.name)),
    );
}

fn running(subject: &Subject<'_>, part: &Part<'_>, report: &mut Report) {
    let ready = part.status.pointer("/ready") == Some(&Value::Bool(true));
    if !ready && !part.init {
        report.found(not_ready(subject, part));
    } else if part.init && part.status.pointer("/started") != Some(&Value::Bool(true)) {
        let since = age_of(part.status, "/state/running/startedAt", subject.now);
        let what = format!("{} has been running for {since}: the others wait until it ends", part.words());
        report.found(
            subject
                .finding(Severity::Warning, &format!("init {}", part.name), what)
                .next("Read its log: it says what it waits for.")
                .leads(subject.lead("logs", &part.name)),
        );
    }
    let last = part.status.pointer("/lastState/terminated").unwrap_or(&Value::Null);
    let at = seconds(&text(last, "/finishedAt")).unwrap_or(0);
    if subject.now.as_second() - at > LATELY {
        return;
    }
    let reason = text(last, "/reason");
    if reason == "OOMKilled" {
        report.found(Finding { severity: Severity::Warning, ..out_of_memory(subject, part, last) });
    } else if ready {
        let restarts = number(part.status, "/restartCount");
        let code = number(last, "/exitCode");
        let what = format!(
            "{} runs now, but was restarted {} ago: {} (exit code {code})",
            part.words(),
            age_of(last, "/finishedAt", subject.now),
            exit(code, &reason)
        );
        report.found(
            subject
                .finding(Severity::Warning, &format!("restarted {}", part.name), what)
                .evidence(format!("{restarts} restarts in all"))
                .next("Its last log says why.")
                .leads(subject.lead("previous_logs", &part.name)),
        );
    }
}

fn not_ready(subject: &Subject<'_>, part: &Part<'_>) -> Finding {
    let failed: Vec<String> =
        subject.warnings(&["Unhealthy"]).into_iter().filter(|e| e.contains("Readiness")).collect();
    let startup = part.spec.get("startupProbe").is_some()
        && part.status.pointer("/started") != Some(&Value::Bool(true));
    let which = if startup { "startup" } else { "readiness" };
    let since = age_of(part.status, "/state/running/startedAt", subject.now);
    match part.spec.get(format!("{which}Probe")) {
        Some(probe) => subject
            .finding(
                Severity::Error,
                &format!("{which} {}", part.name),
                format!(
                    "{} runs since {since}, but its {which} probe fails: it gets no traffic",
                    part.words()
                ),
            )
            .evidence(told("the probe", &probe_words(probe)))
            .all(failed)
            .next("Check that the probe asks what the program answers; its log may say why it does not.")
            .leads(subject.lead("logs", &part.name)),
        None => subject
            .finding(
                Severity::Warning,
                &format!("ready {}", part.name),
                format!("{} runs since {since}, and is not ready yet", part.words()),
            )
            .next("Wait a moment, or read its log.")
            .leads(subject.lead("logs", &part.name)),
    }
}

/// A probe in a few words.
fn probe_words(probe: &Value) -> String {
    let what = if let Some(get) = probe.get("httpGet") {
        let scheme = text_or(get, "/scheme", "HTTP").to_lowercase();
        format!("GET {scheme}://…:{}{}", text(get, "/port"), text_or(get, "/path", "/"))
    } else if let Some(tcp) = probe.get("tcpSocket") {
        format!("a TCP connection to port {}", text(tcp, "/port"))
    } else if let Some(grpc) = probe.get("grpc") {
        format!("gRPC health on port {}", text(grpc, "/port"))
    } else {
        let command: Vec<String> = items(probe, "/exec/command").iter().map(plain).collect();
        format!("`{}`", command.join(" "))
    };
    format!(
        "{what}, every {} s within {} s, given up after {} failures",
        text_or(probe, "/periodSeconds", "10"),
        text_or(probe, "/timeoutSeconds", "1"),
        text_or(probe, "/failureThreshold", "3"),
    )
}
