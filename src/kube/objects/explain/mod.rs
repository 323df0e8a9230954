//! Why something is not well, in plain words with the evidence.
//!
//! [`explain`] reads an object and what stands around it; the rules themselves ([`pod`], [`workload`], [`node`],
//! [`storage`]) are pure. What could not be read is said to be unknown, never taken for well.

mod container;
mod node;
mod pod;
mod storage;
#[cfg(test)]
mod tests;
mod workload;

use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::describe::part::{items, selector, text};
use super::events::EventRow;
use super::look::{EventQuery, list_events};
use super::place::{List, Place};
use crate::base;
use crate::kube::logs::read::is_thrown_away;
use crate::kube::{Call, Error, Resource};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It does not work.
    Error,
    /// It works, but not as it should, or not for long.
    Warning,
    /// Worth knowing.
    Info,
}

/// Where to look next.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
pub struct Lead {
    /// `describe`, `events`, `logs` or `previous_logs`.
    pub view: &'static str,
    /// As discovery resolves it: `pods`, `deployments.apps`.
    pub kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub container: String,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    pub severity: Severity,
    /// One sentence.
    pub what: String,
    /// What says so: a condition, a state, an event, as the cluster wrote it.
    pub evidence: Vec<String>,
    /// What to do about it.
    pub next: String,
    pub lead: Lead,
    /// The same cause in another object makes the same finding.
    #[serde(skip)]
    pub cause: String,
}

/// All that was found, the worst first.
#[derive(Debug, Default)]
pub struct Report {
    pub findings: Vec<Finding>,
    /// What could not be read: nothing is known of it.
    pub unknown: Vec<String>,
    /// What was looked at, when nothing is wrong.
    pub looked_at: Vec<String>,
}

impl Report {
    fn found(&mut self, finding: Finding) {
        if !self.findings.iter().any(|f| f.what == finding.what) {
            self.findings.push(finding);
        }
    }

    /// One sentence of all.
    pub fn summary(&self) -> String {
        match self.findings.iter().filter(|f| f.severity < Severity::Info).collect::<Vec<_>>().as_slice() {
            [] if self.unknown.is_empty() => format!("nothing is wrong: {}", self.looked_at.join(", ")),
            [] => format!(
                "nothing wrong was found, but not everything could be read: {}",
                self.unknown.join("; ")
            ),
            [one] => one.what.clone(),
            [first, rest @ ..] => format!("{} (and {} more findings)", first.what, rest.len()),
        }
    }
}

/// Where findings about one object lead to, and what is known around it.
pub struct Subject<'a> {
    pub object: &'a Value,
    pub kind: String,
    pub events: &'a [EventRow],
    pub now: Timestamp,
}

impl Subject<'_> {
    pub fn name(&self) -> String {
        text(self.object, "/metadata/name")
    }

    fn lead(&self, view: &'static str, container: &str) -> Lead {
        Lead {
            view,
            kind: self.kind.clone(),
            namespace: text(self.object, "/metadata/namespace"),
            name: self.name(),
            container: container.to_owned(),
        }
    }

    fn finding(&self, severity: Severity, cause: &str, what: String) -> Finding {
        Finding {
            severity,
            what,
            evidence: Vec::new(),
            next: String::new(),
            lead: self.lead("describe", ""),
            cause: cause.to_owned(),
        }
    }

    /// Warnings of these reasons, the newest first, as evidence; none older than an hour unless nothing newer is there.
    fn warnings(&self, reasons: &[&str]) -> Vec<String> {
        let fits = |e: &&EventRow| e.kind == "Warning" && reasons.contains(&e.reason.as_str());
        let mut found: Vec<&EventRow> = self.events.iter().filter(fits).collect();
        found.sort_by_key(|e| -e.last);
        found.dedup_by(|a, b| a.message == b.message);
        found.iter().take(3).map(|e| self.event(e)).collect()
    }

    fn event(&self, e: &EventRow) -> String {
        format!("event {} {} ago: {}", e.reason, e.ages(self.now), e.message.replace('\n', " "))
    }
}

impl Finding {
    #[must_use]
    fn evidence(mut self, evidence: impl Into<String>) -> Self {
        let evidence = evidence.into();
        if !evidence.is_empty() {
            self.evidence.push(evidence);
        }
        self
    }

    #[must_use]
    fn all(mut self, evidence: Vec<String>) -> Self {
        self.evidence.extend(evidence);
        self
    }

    #[must_use]
    fn next(mut self, next: impl Into<String>) -> Self {
        self.next = next.into();
        self
    }

    #[must_use]
    fn leads(mut self, lead: Lead) -> Self {
        self.lead = lead;
        self
    }
}

/// A condition of an object by its type.
fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    items(object, "/status/conditions").iter().find(|c| text(c, "/type") == kind)
}

/// A condition in a line.
fn quoted(condition: &Value) -> String {
    let message = text(condition, "/message").replace('\n', " ");
    let reason = text(condition, "/reason");
    format!("condition {}={} {reason}: {message}", text(condition, "/type"), text(condition, "/status"))
}

/// Reads the object and what stands around it, and says what is wrong.
pub async fn explain(place: &Place, now: Timestamp) -> base::Result<Report> {
    let object = place.get().await?;
    let mut report = Report::default();
    let events = events(place, &object, &mut report).await;
    let subject = Subject { object: &object, kind: place.resource.full_name(), events: &events, now };
    match (&*place.resource.group, &*place.resource.plural) {
        ("", "pods") => pod_and_around(place, &subject, &mut report).await,
        ("apps", "deployments" | "statefulsets" | "daemonsets" | "replicasets") | ("batch", "jobs") => {
            workload_and_pods(place, &subject, &mut report).await;
        }
        ("batch", "cronjobs") => workload::cron_job(&subject, &mut report),
        ("", "nodes") => {
            let fields = format!("spec.nodeName={}", place.name);
            let pods = List::new(&place.cluster, "/api/v1/pods").fields(fields).most(2_000).read().await;
            let pods = read(&mut report, "pods", pods);
            node::node(&subject, &pods, &mut report);
        }
        ("", "persistentvolumeclaims") => claim_and_around(place, &subject, &mut report).await,
        _ => anything(&subject, &mut report),
    }
    report.findings.sort_by_key(|f| f.severity);
    last_words(place, &mut report).await;
    Ok(report)
}

/// Findings whose log is read for its last lines.
const LOGS: usize = 3;

/// Adds the last lines of the logs that findings lead to: often they say it all. Where there is no log (any more), the
/// finding stands without.
async fn last_words(place: &Place, report: &mut Report) {
    let logs = report.findings.iter_mut().filter(|f| matches!(f.lead.view, "logs" | "previous_logs"));
    for finding in logs.take(LOGS) {
        let lead = &finding.lead;
        let path = format!("{}/log", Resource::pods().path(Some(&lead.namespace), Some(&lead.name)));
        let call = Call::get(path)
            .query("tailLines", "3")
            .query("limitBytes", "2000")
            .query_if("container", Some(&lead.container).filter(|c| !c.is_empty()))
            .query_if("previous", (lead.view == "previous_logs").then_some("true"))
            .timeout(Duration::from_secs(5));
        let Ok(answer) = place.cluster.send(call).await else { continue };
        let text = String::from_utf8_lossy(&answer.body);
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        // The node says so in place of a log that it has thrown away.
        if !lines.is_empty() && !is_thrown_away(&text) {
            finding.evidence.push(format!("its log ends: {}", lines.join(" ⏎ ")));
        }
    }
}

async fn events(place: &Place, object: &Value, report: &mut Report) -> Vec<EventRow> {
    let query = EventQuery {
        namespace: place.namespace.clone(),
        kind: Some(place.resource.kind.to_string()),
        name: Some(place.name.clone()),
        // A kubelet reports about its node under the node's name instead of its uid.
        uid: place.namespace.is_some().then(|| text(object, "/metadata/uid")),
        warnings: false,
    };
    match list_events(&place.cluster, &query, 200).await {
        Ok(found) => found.rows,
        Err(e) => {
            report.unknown.push(format!("events: {e}"));
            Vec::new()
        }
    }
}

fn read(report: &mut Report, what: &str, listed: Result<super::place::Listed, Error>) -> Vec<Value> {
    match listed {
        Ok(listed) => listed.items,
        Err(e) => {
            report.unknown.push(format!("{what}: {e}"));
            Vec::new()
        }
    }
}

/// An object beside this one; `None` with a note where it cannot be read.
async fn beside(
    place: &Place,
    kind: &str,
    namespace: Option<&str>,
    name: &str,
    report: &mut Report,
) -> Option<Option<Value>> {
    let read = async {
        let resource = place.cluster.resolve(kind).await?;
        Place::at(place.cluster.clone(), resource, namespace, name).find_live().await
    };
    match read.await {
        Ok(found) => Some(found),
        Err(e) => {
            report.unknown.push(format!("{kind} {name}: {e}"));
            None
        }
    }
}

async fn pod_and_around(place: &Place, subject: &Subject<'_>, report: &mut Report) {
    pod::pod(subject, report);
    let node = text(subject.object, "/spec/nodeName");
    if !node.is_empty()
        && let Some(found) = beside(place, "nodes", None, &node, report).await
    {
        pod::its_node(subject, &node, found.as_ref(), report);
    }
    if pod::is_up(subject.object) {
        return;
    }
    for (kind, name, how) in pod::needs(subject.object) {
        if let Some(found) = beside(place, kind, place.namespace.as_deref(), &name, report).await {
            pod::needed(subject, kind, &name, &how, found.as_ref(), report);
        }
    }
}

async fn workload_and_pods(place: &Place, subject: &Subject<'_>, report: &mut Report) {
    let labels = selector(subject.object.pointer("/spec/selector").unwrap_or(&Value::Null));
    let path = Resource::pods().path(place.namespace.as_deref(), None);
    let pods = if labels.is_empty() {
        Vec::new()
    } else {
        read(report, "pods", List::new(&place.cluster, path).labels(labels.clone()).most(500).read().await)
    };
    let query = EventQuery {
        namespace: place.namespace.clone(),
        kind: Some("Pod".to_owned()),
        warnings: true,
        ..EventQuery::default()
    };
    let pod_events = match list_events(&place.cluster, &query, 2_000).await {
        Ok(found) => found.rows,
        Err(e) => {
            report.unknown.push(format!("events of its pods: {e}"));
            Vec::new()
        }
    };
    // A Deployment's refused pods are told of its ReplicaSets.
    let mut refused = Vec::new();
    if &*place.resource.plural == "deployments" {
        let query = EventQuery { kind: Some("ReplicaSet".to_owned()), ..query };
        if let Ok(found) = list_events(&place.cluster, &query, 500).await {
            let own = format!("replicaset/{}-", place.name);
            refused = found.rows.into_iter().filter(|e| e.object.starts_with(&own)).collect();
        }
    }
    workload::workload(subject, &pods, &pod_events, &refused, report);
}

async fn claim_and_around(place: &Place, subject: &Subject<'_>, report: &mut Report) {
    let class = text(subject.object, "/spec/storageClassName");
    let class = match class.as_str() {
        "" => None,
        name => beside(place, "storageclasses.storage.k8s.io", None, name, report).await,
    };
    let path = Resource::pods().path(place.namespace.as_deref(), None);
    let pods = read(report, "pods", List::new(&place.cluster, path).most(5_000).read().await);
    storage::claim(subject, class.as_ref().map(Option::as_ref), &pods, report);
}

/// What can be said of any kind: conditions that are not as they should be, and its warnings.
fn anything(subject: &Subject<'_>, report: &mut Report) {
    for c in items(subject.object, "/status/conditions") {
        let (kind, status) = (text(c, "/type"), text(c, "/status"));
        // Only these words mean the same in every kind.
        let good = ["Ready", "Available", "Healthy", "Synced", "Established", "Complete"];
        if good.contains(&kind.as_str()) && status != "True" {
            let finding =
                subject.finding(Severity::Error, "condition", format!("it is not {}", kind.to_lowercase()));
            report.found(finding.evidence(quoted(c)).next("Do what the condition's message names."));
        }
    }
    let mut warnings: Vec<&EventRow> = subject.events.iter().filter(|e| e.kind == "Warning").collect();
    warnings.sort_by_key(|e| -e.last);
    for e in warnings.into_iter().take(5) {
        let what = format!("{}: {}", e.reason, e.message.replace('\n', " "));
        let finding = subject.finding(Severity::Warning, "event", what);
        report.found(
            finding
                .evidence(subject.event(e))
                .next("Look at its events in order.")
                .leads(subject.lead("events", "")),
        );
    }
    report.looked_at = vec!["its conditions".to_owned(), "its events".to_owned()];
}
