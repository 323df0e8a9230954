//! Frames and keys of the tables of a cluster: clusters, objects, containers, events.

use std::sync::Arc;

use serde_json::{Value, json};

use super::resources::Resources;
use super::testing::Stage;
use super::{clusters, containers};
use crate::base::{Code, Error};
use crate::gate::{Frame, Request};
use crate::rows::{Cell, Column, ColumnKind, Phase, Row, RowKey, SourceState, TableDelta, Tone};
use crate::tui::effect::{Effect, Message, Ticket};
use crate::tui::object::{LogTarget, Namespaces, ObjectRef, Query, Route};
use crate::tui::pane::{Handled, Pane};
use crate::tui::shared::KindInfo;

const NOW: i64 = 1_700_000_000;

fn row(cluster: &str, namespace: &str, name: &str, tone: Tone, cells: Vec<Cell>) -> Arc<Row> {
    Arc::new(Row { key: RowKey::new(cluster, namespace, name), cells: cells.into(), tone, uid: "".into() })
}

fn phase(phase: Phase) -> TableDelta {
    TableDelta { sources: vec![SourceState::new("eu-1".into(), phase)], ..TableDelta::default() }
}

fn table(columns: &[Column], rows: Vec<Arc<Row>>) -> TableDelta {
    TableDelta { columns: Some(columns.into()), upserts: rows, ..phase(Phase::Live) }
}

/// Starts the pane; gives the watch that it asked for.
pub(super) fn watching(stage: &mut Stage, pane: &mut dyn Pane) -> (Ticket, Request) {
    stage.with(|cx| pane.start(cx));
    let at = stage.effects.iter().position(|e| matches!(e, Effect::Watch { .. })).expect("a watch");
    match stage.effects.remove(at) {
        Effect::Watch { ticket, request } => (ticket, request),
        _ => unreachable!(),
    }
}

fn tell(stage: &mut Stage, pane: &mut dyn Pane, ticket: Ticket, delta: TableDelta) {
    stage.with(|cx| pane.receive(Message::Frame { ticket, frame: Frame::Table(delta) }, cx));
}

fn fail(stage: &mut Stage, pane: &mut dyn Pane, ticket: Ticket) {
    let error = Error::new(Code::Unavailable, "https://10.0.0.1:6443 does not answer: connection refused")
        .next("See whether the API server runs.");
    stage.with(|cx| pane.receive(Message::Ended { ticket, error: Some(error) }, cx));
}

pub(super) fn went(stage: &mut Stage) -> Vec<Route> {
    let routes = stage.effects.drain(..).filter_map(|e| match e {
        Effect::Go(route) => Some(route),
        _ => None,
    });
    routes.collect()
}

/// The four states that each table has: asked, failed, without rows, and with rows, at both sizes.
fn states(name: &str, make: &dyn Fn(&Stage) -> Box<dyn Pane>, columns: &[Column], rows: Vec<Arc<Row>>) {
    let mut stage = Stage::new(vec![]);
    stage.shared.kinds = kinds();
    let mut frames = String::new();
    let mut pane = make(&stage);
    let (ticket, _) = watching(&mut stage, &mut *pane);
    frames.push_str(&stage.frame(&mut *pane, 78, 8));
    fail(&mut stage, &mut *pane, ticket);
    frames.push_str(&stage.frame(&mut *pane, 78, 8));
    let mut pane = make(&stage);
    let (ticket, _) = watching(&mut stage, &mut *pane);
    tell(&mut stage, &mut *pane, ticket, table(columns, Vec::new()));
    frames.push_str(&stage.frame(&mut *pane, 78, 8));
    tell(&mut stage, &mut *pane, ticket, TableDelta { upserts: rows, ..TableDelta::default() });
    frames.push_str(&stage.frame(&mut *pane, 78, 8));
    frames.push_str(&stage.frame(&mut *pane, 160, 8));
    insta::assert_snapshot!(name, frames);
}

pub(super) fn kinds() -> Arc<[KindInfo]> {
    let kind = |id: &str, kind: &str, namespaced| {
        let (plural, group) = id.split_once('.').unwrap_or((id, ""));
        KindInfo {
            id: id.into(),
            plural: plural.into(),
            group: group.into(),
            singular: kind.to_lowercase().into(),
            kind: kind.into(),
            namespaced,
            ..KindInfo::default()
        }
    };
    [
        kind("pods", "Pod", true),
        kind("events", "Event", true),
        kind("nodes", "Node", false),
        kind("secrets", "Secret", true),
        kind("replicasets.apps", "ReplicaSet", true),
    ]
    .into()
}

fn query(kind: &str) -> Query {
    Query { kind: kind.into(), namespaces: Namespaces::One("shop".into()), ..Query::default() }
}

#[test]
fn clusters_in_every_state() {
    let columns = [
        Column::new("CURRENT", ColumnKind::Text).rank(5),
        Column::new("STATUS", ColumnKind::Status).rank(0),
        Column::new("VERSION", ColumnKind::Text).rank(2),
        Column::new("LATENCY", ColumnKind::Text).rank(4),
        Column::new("PODS", ColumnKind::Number).rank(3),
        Column::new("REASON", ColumnKind::Text).rank(1),
    ];
    let reason = "https://10.9.9.9:6443 does not answer: connection refused (os error 111) \
                  See whether the API server runs and whether its address is right.";
    let rows = vec![
        row(
            "",
            "",
            "eu-1",
            Tone::Normal,
            vec![
                Cell::text("*"),
                Cell::status("Ready", Tone::Normal),
                Cell::text("v1.36.3"),
                Cell::text("2.1 ms"),
                Cell::Number(1204),
                Cell::Unknown,
            ],
        ),
        row(
            "",
            "",
            "us-2",
            Tone::Error,
            vec![
                Cell::text(""),
                Cell::status("Down", Tone::Error),
                Cell::Unknown,
                Cell::Unknown,
                Cell::Unknown,
                Cell::text(reason),
            ],
        ),
    ];
    states("clusters", &|_| Box::new(clusters::pane()), &columns, rows);
}

#[test]
fn the_clusters_pane_tells_the_header_what_it_learns() {
    let mut stage = Stage::new(vec![]);
    let mut pane = clusters::pane();
    let (ticket, request) = watching(&mut stage, &mut pane);
    assert_eq!(request.operation, "cluster_list");
    let columns = [Column::new("STATUS", ColumnKind::Status)];
    let up = |name: &str, word: &str| row("", "", name, Tone::Normal, vec![Cell::status(word, Tone::Normal)]);
    tell(
        &mut stage,
        &mut pane,
        ticket,
        table(&columns, vec![up("a", "Ready"), up("b", "Down"), up("c", "Connecting")]),
    );
    let known = stage.effects.iter().find_map(|e| match e {
        Effect::KnownClusters(known) => Some(known.iter().map(|c| c.up).collect::<Vec<_>>()),
        _ => None,
    });
    assert_eq!(known.unwrap(), [Some(true), Some(false), None]);
    assert!(stage.frame(&mut pane, 80, 8).contains("clusters[3] 1 down"));
}

fn pod_columns() -> Vec<Column> {
    vec![
        Column::new("READY", ColumnKind::Ratio).rank(1),
        Column::new("STATUS", ColumnKind::Status).rank(0),
        Column::new("RESTARTS", ColumnKind::Number).rank(2),
        Column::new("NODE", ColumnKind::Text).rank(6),
        Column::new("AGE", ColumnKind::Age).rank(3),
    ]
}

fn pod(name: &str, word: &str, tone: Tone) -> Arc<Row> {
    let cells = vec![
        Cell::Ratio(u32::from(tone == Tone::Normal), 1),
        Cell::status(word, tone),
        Cell::Number(0),
        Cell::text("node-1"),
        Cell::Time(NOW - 7200),
    ];
    row("eu-1", "shop", name, tone, cells)
}

#[test]
fn objects_in_every_state() {
    let rows = vec![pod("web-1", "Running", Tone::Normal), pod("web-2", "CrashLoopBackOff", Tone::Error)];
    states("pods", &|stage| Box::new(Resources::new(query("pods"), &stage.shared)), &pod_columns(), rows);
}

#[test]
fn enter_on_a_pod_opens_its_containers() {
    let mut stage = Stage::new(vec![]);
    let mut pane = Resources::new(query("pods"), &stage.shared);
    let (ticket, _) = watching(&mut stage, &mut pane);
    tell(&mut stage, &mut pane, ticket, table(&pod_columns(), vec![pod("web-1", "Running", Tone::Normal)]));
    stage.act(&mut pane, "enter");
    let web = ObjectRef::new("eu-1", "pods", "shop", "web-1");
    assert_eq!(went(&mut stage), [Route::Containers(web)]);
}

#[test]
fn the_whole_cell_of_the_chosen_column_is_copied() {
    let mut stage = Stage::new(vec![]);
    let mut pane = Resources::new(query("pods"), &stage.shared);
    let (ticket, _) = watching(&mut stage, &mut pane);
    let long = "a state that no column of twenty letters has room for";
    let rows = vec![pod("web-1", long, Tone::Normal), pod("web-2", "Running", Tone::Normal)];
    tell(&mut stage, &mut pane, ticket, table(&pod_columns(), rows));
    stage.frame(&mut pane, 60, 12);
    let copied = |stage: &mut Stage, pane: &mut Resources| {
        stage.act(pane, "copy_cell");
        let at = stage.effects.iter().position(|e| matches!(e, Effect::Copy(_))).expect("a copy");
        match stage.effects.remove(at) {
            Effect::Copy(text) => text,
            _ => unreachable!(),
        }
    };
    assert_eq!(copied(&mut stage, &mut pane), "web-1", "the sorted column, before another is chosen");
    let mut tries = 0;
    while copied(&mut stage, &mut pane) != long {
        stage.act(&mut pane, "sort_right");
        tries += 1;
        assert!(tries < 6, "the status is one of the columns");
    }
    stage.act(&mut pane, "mark");
    stage.act(&mut pane, "mark");
    assert_eq!(copied(&mut stage, &mut pane), format!("{long}\nRunning"));
}

fn container_columns() -> Vec<Column> {
    vec![
        Column::new("IDX", ColumnKind::Number).rank(8),
        Column::new("KIND", ColumnKind::Text).rank(5),
        Column::new("IMAGE", ColumnKind::Text).rank(3),
        Column::new("READY", ColumnKind::Status).rank(1),
        Column::new("STATE", ColumnKind::Status).rank(0),
        Column::new("RESTARTS", ColumnKind::Number).rank(2),
        Column::new("CPU/R:L", ColumnKind::Text).rank(6),
        Column::new("AGE", ColumnKind::Age).rank(3),
    ]
}

fn container(index: i64, name: &str, kind: &str, state: &str, tone: Tone) -> Arc<Row> {
    let cells = vec![
        Cell::Number(index),
        Cell::text(kind),
        Cell::text(format!("registry.example/{name}:1.2.3")),
        Cell::status(if tone == Tone::Normal { "true" } else { "false" }, tone),
        Cell::status(state, tone),
        Cell::Number(0),
        Cell::text("100m:500m"),
        Cell::Time(NOW - 60),
    ];
    row("eu-1", "shop", name, tone, cells)
}

fn some_containers() -> Vec<Arc<Row>> {
    vec![
        container(2, "app", "main", "CrashLoopBackOff", Tone::Error),
        container(1, "zz-migrate", "init", "Completed", Tone::Completed),
        container(3, "debugger", "ephemeral", "Running", Tone::Normal),
    ]
}

fn a_pod() -> ObjectRef {
    ObjectRef::new("eu-1", "pods", "shop", "web-1")
}

#[test]
fn containers_in_every_state() {
    states("containers", &|_| Box::new(containers::pane(a_pod())), &container_columns(), some_containers());
}

#[test]
fn the_keys_of_a_container_are_for_its_log_and_for_its_pod() {
    let mut stage = Stage::new(vec![]);
    let mut pane = containers::pane(a_pod());
    let (ticket, request) = watching(&mut stage, &mut pane);
    assert_eq!(request.operation, "container_list");
    assert_eq!(request.arguments, json!({ "cluster": "eu-1", "namespace": "shop", "name": "web-1" }));
    assert_eq!(stage.act(&mut pane, "logs"), Handled::Yes, "without a row it says so");
    assert!(went(&mut stage).is_empty());
    tell(&mut stage, &mut pane, ticket, table(&container_columns(), some_containers()));
    stage.frame(&mut pane, 80, 10);
    let log = |name: &str, previous| {
        Route::Logs(LogTarget { objects: vec![a_pod()], container: Some(name.into()), previous })
    };
    stage.act(&mut pane, "enter");
    assert_eq!(went(&mut stage), [log("zz-migrate", false)], "they stand in the order in which they start");
    stage.act(&mut pane, "down");
    stage.act(&mut pane, "logs_previous");
    assert_eq!(went(&mut stage), [log("app", true)]);
    stage.act(&mut pane, "yaml");
    assert!(matches!(&went(&mut stage)[..], [Route::Text(_, pod)] if *pod == a_pod()));
    assert_eq!(pane.focus().selected.unwrap()["field"], "containers/app");
    stage.act(&mut pane, "sort NAME");
    stage.frame(&mut pane, 80, 10);
    stage.act(&mut pane, "top");
    stage.act(&mut pane, "logs");
    assert_eq!(went(&mut stage), [log("app", false)]);
}

fn event_columns() -> Vec<Column> {
    vec![
        Column::new("LAST SEEN", ColumnKind::Age).rank(2),
        Column::new("TYPE", ColumnKind::Status).rank(2),
        Column::new("REASON", ColumnKind::Text).rank(2),
        Column::new("OBJECT", ColumnKind::Text).rank(5),
        Column::new("MESSAGE", ColumnKind::Text).rank(2),
    ]
}

fn event(name: &str, ago: i64, warning: bool, object: &str, message: &str) -> Arc<Row> {
    let (word, tone) = if warning { ("Warning", Tone::Error) } else { ("Normal", Tone::Normal) };
    let cells = vec![
        Cell::Time(NOW - ago),
        Cell::status(word, tone),
        Cell::text("BackOff"),
        Cell::text(object),
        Cell::text(message),
    ];
    row("eu-1", "shop", name, tone, cells)
}

fn some_events() -> Vec<Arc<Row>> {
    vec![
        event("web-1.17ab", 400, false, "pod/web-1", "Pulled the image"),
        event(
            "web-1.17ac",
            5,
            true,
            "pod/web-1",
            "Back-off restarting failed container app in pod web-1_shop(0a1b)",
        ),
        event("node-1.17ad", 90, false, "node/node-1", "Node node-1 status is now: NodeReady"),
    ]
}

#[test]
fn events_in_every_state() {
    let make = |stage: &Stage| -> Box<dyn Pane> { Box::new(Resources::new(query("events"), &stage.shared)) };
    states("events", &make, &event_columns(), some_events());
}

#[test]
fn the_newest_event_is_on_top_and_leads_to_its_object() {
    let mut stage = Stage::new(vec![]);
    stage.shared.kinds = kinds();
    let mut pane = Resources::new(query("events"), &stage.shared);
    let (ticket, _) = watching(&mut stage, &mut pane);
    tell(&mut stage, &mut pane, ticket, table(&event_columns(), some_events()));
    let frame = stage.frame(&mut pane, 120, 8);
    let at = |text: &str| frame.find(text).unwrap_or_else(|| panic!("{text} in\n{frame}"));
    assert!(at("Back-off") < at("NodeReady") && at("NodeReady") < at("Pulled"), "{frame}");
    assert!(!frame.contains("17ab"), "the name of an event says nothing:\n{frame}");
    stage.act(&mut pane, "enter");
    let [Route::Resources(found)] = &went(&mut stage)[..] else { panic!("its table") };
    assert_eq!((found.kind.as_str(), &found.namespaces), ("pods", &Namespaces::One("shop".into())));
    assert_eq!(found.select, Some(RowKey::new("eu-1", "shop", "web-1")));
}

#[test]
fn the_events_of_one_object_are_asked_for_by_field() {
    let mut stage = Stage::new(vec![]);
    stage.shared.kinds = kinds();
    let set = ObjectRef::new("eu-1", "replicasets.apps", "shop", "web");
    let mut pane = Resources::events_of(&set, &stage.shared);
    let (_, request) = watching(&mut stage, &mut pane);
    assert_eq!(request.operation, "resource_list");
    assert_eq!(request.arguments["fields"], "involvedObject.kind=ReplicaSet,involvedObject.name=web");
    assert!(stage.frame(&mut pane, 80, 6).contains("events(replicaset web)"));
}

fn owned_by(owners: Value) -> Value {
    json!({ "text": json!({ "name": "web-1", "ownerReferences": owners }).to_string() })
}

#[test]
fn the_owner_is_gone_to_and_its_absence_is_said() {
    let mut stage = Stage::new(vec![]);
    stage.shared.kinds = kinds();
    let mut pane = Resources::new(query("pods"), &stage.shared);
    let (ticket, _) = watching(&mut stage, &mut pane);
    tell(&mut stage, &mut pane, ticket, table(&pod_columns(), vec![pod("web-1", "Running", Tone::Normal)]));
    stage.act(&mut pane, "owner");
    let (ticket, request) = stage.calls().pop().unwrap();
    assert_eq!(
        (request.operation.as_str(), &request.arguments["path"]),
        ("resource_get", &json!("metadata"))
    );
    let owners = json!([
        { "apiVersion": "v1", "kind": "Other", "name": "x" },
        { "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "controller": true },
    ]);
    stage.answer(&mut pane, ticket, owned_by(owners));
    let [Route::Resources(found)] = &went(&mut stage)[..] else { panic!("its table") };
    assert_eq!(found.kind, "replicasets.apps");
    assert_eq!(found.select, Some(RowKey::new("eu-1", "shop", "web")));
    stage.act(&mut pane, "owner");
    let (ticket, _) = stage.calls().pop().unwrap();
    stage.answer(&mut pane, ticket, owned_by(json!([])));
    assert!(
        matches!(stage.effects.last(), Some(Effect::Flash(flash)) if flash.text.contains("nothing owns"))
    );
}

#[test]
fn a_secret_is_decoded_for_this_screen_alone() {
    let mut stage = Stage::new(vec![]);
    stage.shared.kinds = kinds();
    let mut pane = Resources::new(query("secrets"), &stage.shared);
    let (ticket, _) = watching(&mut stage, &mut pane);
    let columns = [Column::new("DATA", ColumnKind::Number)];
    let secret = row("eu-1", "shop", "db", Tone::Normal, vec![Cell::Number(1)]);
    tell(&mut stage, &mut pane, ticket, table(&columns, vec![secret]));
    stage.act(&mut pane, "decode");
    let Some(Effect::Push(mut text)) = stage.effects.pop() else { panic!("a text pane") };
    stage.with(|cx| text.start(cx));
    let (ticket, request) = stage.calls().pop().unwrap();
    assert_eq!((request.operation.as_str(), &request.arguments["reveal"]), ("resource_get", &json!(true)));
    stage.answer(&mut *text, ticket, json!({ "text": "data:\n  password: hunter2\n" }));
    assert!(stage.frame(&mut *text, 60, 6).contains("hunter2"));
    let focus = text.focus();
    assert!(focus.private && !focus.selected.unwrap().to_string().contains("hunter2"));
}

#[test]
fn rows_are_saved_where_they_belong_and_a_failure_is_no_success() {
    let mut stage = Stage::new(vec![]);
    let mut pane = containers::pane(a_pod());
    let (ticket, _) = watching(&mut stage, &mut pane);
    tell(&mut stage, &mut pane, ticket, table(&container_columns(), some_containers()));
    stage.act(&mut pane, "save");
    let Some(Effect::Job { ticket, .. }) = stage.effects.pop() else { panic!("a job") };
    assert!(stage.effects.is_empty(), "nothing is claimed before it is done");
    let failed: crate::base::Result<(std::path::PathBuf, usize)> = Err(Error::internal("the disk is full"));
    stage.with(|cx| pane.receive(Message::Job { ticket, value: Box::new(failed) }, cx));
    assert!(
        matches!(stage.effects.last(), Some(Effect::Flash(flash)) if flash.text.contains("the disk is full"))
    );
    stage.act(&mut pane, "save");
    let Some(Effect::Job { ticket, .. }) = stage.effects.pop() else { panic!("a job") };
    let done: crate::base::Result<(std::path::PathBuf, usize)> = Ok(("/s/x.csv".into(), 3));
    stage.with(|cx| pane.receive(Message::Job { ticket, value: Box::new(done) }, cx));
    assert!(
        matches!(stage.effects.last(), Some(Effect::Flash(flash)) if flash.text == "3 rows saved to /s/x.csv")
    );
}
