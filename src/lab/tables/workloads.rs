//! Deployments and the other workloads.

use jiff::Timestamp;
use serde_json::Value;

use super::{AGE, Column, NAME, Printer, containers, labels, name, object_age, or_none, selector, since};
use crate::lab::object::{at, items, number, parse_stamp, text};
use crate::rows::cell::age;

const CONTAINERS: Column = ("Containers", "string", 1);
const IMAGES: Column = ("Images", "string", 1);
const SELECTOR: Column = ("Selector", "string", 1);

pub(super) fn printer(group: &str, plural: &str) -> Option<Printer> {
    Some(match (group, plural) {
        ("apps", "deployments") => Printer {
            columns: &[
                NAME,
                ("Ready", "string", 0),
                ("Up-to-date", "string", 0),
                ("Available", "string", 0),
                AGE,
                CONTAINERS,
                IMAGES,
                SELECTOR,
            ],
            cells: deployment,
        },
        ("apps", "replicasets") | ("", "replicationcontrollers") => Printer {
            columns: &[
                NAME,
                ("Desired", "integer", 0),
                ("Current", "integer", 0),
                ("Ready", "integer", 0),
                AGE,
                CONTAINERS,
                IMAGES,
                SELECTOR,
            ],
            cells: replica_set,
        },
        ("apps", "statefulsets") => {
            Printer { columns: &[NAME, ("Ready", "string", 0), AGE, CONTAINERS, IMAGES], cells: stateful_set }
        }
        ("apps", "daemonsets") => Printer {
            columns: &[
                NAME,
                ("Desired", "integer", 0),
                ("Current", "integer", 0),
                ("Ready", "integer", 0),
                ("Up-to-date", "integer", 0),
                ("Available", "integer", 0),
                ("Node Selector", "string", 0),
                AGE,
                CONTAINERS,
                IMAGES,
                SELECTOR,
            ],
            cells: daemon_set,
        },
        ("apps", "controllerrevisions") => Printer {
            columns: &[NAME, ("Controller", "string", 0), ("Revision", "string", 0), AGE],
            cells: controller_revision,
        },
        ("batch", "jobs") => Printer {
            columns: &[
                NAME,
                ("Status", "string", 0),
                ("Completions", "string", 0),
                ("Duration", "string", 0),
                AGE,
                CONTAINERS,
                IMAGES,
                SELECTOR,
            ],
            cells: job,
        },
        ("batch", "cronjobs") => Printer {
            columns: &[
                NAME,
                ("Schedule", "string", 0),
                ("Timezone", "string", 0),
                ("Suspend", "boolean", 0),
                ("Active", "integer", 0),
                ("Last Schedule", "string", 0),
                AGE,
                CONTAINERS,
                IMAGES,
                SELECTOR,
            ],
            cells: cron_job,
        },
        ("autoscaling", "horizontalpodautoscalers") => Printer {
            columns: &[
                NAME,
                ("Reference", "string", 0),
                ("Targets", "string", 0),
                ("MinPods", "string", 0),
                ("MaxPods", "string", 0),
                ("Replicas", "string", 0),
                AGE,
            ],
            cells: autoscaler,
        },
        ("policy", "poddisruptionbudgets") => Printer {
            columns: &[
                NAME,
                ("Min Available", "string", 0),
                ("Max Unavailable", "string", 0),
                ("Allowed Disruptions", "integer", 0),
                AGE,
            ],
            cells: disruption_budget,
        },
        _ => return None,
    })
}

fn with_template(mut cells: Vec<Value>, o: &Value, select: bool) -> Vec<Value> {
    cells.extend(containers(at(o, "spec.template.spec")));
    if select {
        cells.push(selector(at(o, "spec.selector")));
    }
    cells
}

fn ready_of(o: &Value) -> Value {
    format!("{}/{}", number(o, "status.readyReplicas"), number(o, "spec.replicas")).into()
}

fn deployment(o: &Value) -> Vec<Value> {
    let cells = vec![
        name(o),
        ready_of(o),
        number(o, "status.updatedReplicas").into(),
        number(o, "status.availableReplicas").into(),
        object_age(o),
    ];
    with_template(cells, o, true)
}

fn replica_set(o: &Value) -> Vec<Value> {
    let cells = vec![
        name(o),
        number(o, "spec.replicas").into(),
        number(o, "status.replicas").into(),
        number(o, "status.readyReplicas").into(),
        object_age(o),
    ];
    with_template(cells, o, true)
}

fn stateful_set(o: &Value) -> Vec<Value> {
    with_template(vec![name(o), ready_of(o), object_age(o)], o, false)
}

fn daemon_set(o: &Value) -> Vec<Value> {
    let status = |key: &str| Value::from(at(o, "status")[key].as_i64().unwrap_or_default());
    let cells = vec![
        name(o),
        status("desiredNumberScheduled"),
        status("currentNumberScheduled"),
        status("numberReady"),
        status("updatedNumberScheduled"),
        status("numberAvailable"),
        labels(at(o, "spec.template.spec.nodeSelector")),
        object_age(o),
    ];
    with_template(cells, o, true)
}

fn controller_revision(o: &Value) -> Vec<Value> {
    let owner = items(o, "metadata.ownerReferences").first().map_or_else(String::new, |r| {
        let group = text(r, "apiVersion").split_once('/').map_or("", |(g, _)| g);
        let kind = text(r, "kind").to_lowercase();
        if group.is_empty() {
            format!("{kind}/{}", text(r, "name"))
        } else {
            format!("{kind}.{group}/{}", text(r, "name"))
        }
    });
    vec![name(o), or_none(&owner), number(o, "revision").into(), object_age(o)]
}

fn job(o: &Value) -> Vec<Value> {
    let condition =
        |ty: &str| items(o, "status.conditions").iter().any(|c| c["type"] == ty && c["status"] == "True");
    let status = if condition("Complete") {
        "Complete"
    } else if condition("Failed") {
        "Failed"
    } else if o["metadata"].get("deletionTimestamp").is_some() {
        "Terminating"
    } else if condition("Suspended") {
        "Suspended"
    } else if condition("FailureTarget") {
        "FailureTarget"
    } else if condition("SuccessCriteriaMet") {
        "SuccessCriteriaMet"
    } else {
        "Running"
    };
    let done = number(o, "status.succeeded");
    let completions = match at(o, "spec.completions").as_i64() {
        Some(wanted) => format!("{done}/{wanted}"),
        None if number(o, "spec.parallelism") > 1 => format!("{done}/1 of {}", number(o, "spec.parallelism")),
        None => format!("{done}/1"),
    };
    let duration = parse_stamp(at(o, "status.startTime")).map_or_else(String::new, |start| {
        let end = parse_stamp(at(o, "status.completionTime")).unwrap_or_else(Timestamp::now);
        age(end.as_second() - start.as_second()).to_string()
    });
    with_template(vec![name(o), status.into(), completions.into(), duration.into(), object_age(o)], o, true)
}

fn cron_job(o: &Value) -> Vec<Value> {
    let last = at(o, "status.lastScheduleTime");
    let mut cells = vec![
        name(o),
        text(o, "spec.schedule").into(),
        or_none(text(o, "spec.timeZone")),
        // The real server prints this boolean as a word with a capital.
        if at(o, "spec.suspend").as_bool() == Some(true) { "True" } else { "False" }.into(),
        items(o, "status.active").len().into(),
        if last.is_null() { "<none>".to_owned() } else { since(last) }.into(),
        object_age(o),
    ];
    let template = at(o, "spec.jobTemplate.spec");
    cells.extend(containers(at(template, "template.spec")));
    cells.push(selector(at(template, "selector")));
    cells
}

fn autoscaler(o: &Value) -> Vec<Value> {
    let current = items(o, "status.currentMetrics");
    let targets: Vec<String> = items(o, "spec.metrics")
        .iter()
        .enumerate()
        .map(|(i, metric)| {
            let now = current
                .get(i)
                .and_then(|c| at(c, "resource.current.averageUtilization").as_i64())
                .map_or("<unknown>".to_owned(), |p| format!("{p}%"));
            let wanted = at(metric, "resource.target.averageUtilization")
                .as_i64()
                .map_or("<auto>".to_owned(), |p| format!("{p}%"));
            format!("{}: {now}/{wanted}", text(metric, "resource.name"))
        })
        .collect();
    let targets = match targets.as_slice() {
        [] => "<none>".to_owned(),
        [a, b, rest @ ..] if !rest.is_empty() => format!("{a}, {b} + {} more...", rest.len()),
        few => few.join(", "),
    };
    vec![
        name(o),
        format!("{}/{}", text(o, "spec.scaleTargetRef.kind"), text(o, "spec.scaleTargetRef.name")).into(),
        targets.into(),
        at(o, "spec.minReplicas").as_i64().map_or("<unset>".to_owned(), |n| n.to_string()).into(),
        number(o, "spec.maxReplicas").into(),
        number(o, "status.currentReplicas").into(),
        object_age(o),
    ]
}

fn disruption_budget(o: &Value) -> Vec<Value> {
    let bound = |path: &str| {
        let value = super::scalar(at(o, path));
        Value::from(if value.is_empty() { "N/A".to_owned() } else { value })
    };
    vec![
        name(o),
        bound("spec.minAvailable"),
        bound("spec.maxUnavailable"),
        number(o, "status.disruptionsAllowed").into(),
        object_age(o),
    ]
}
