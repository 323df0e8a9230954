use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::*;
use crate::base::clock::ManualClock;
use crate::base::ids::CallId;
use crate::base::text::is_harmful;
use crate::base::{Actor, Error};
use crate::bus::{Bus, Event, Message, MessageKind};
use crate::gate::{Effect, Method, OperationInfo, Preview, Reply, Request, Schema, Target, Transport, Watch};
use crate::rows::{
    Cell, Column, ColumnKind, Phase, Row, RowKey, SourceState, TableDelta, TableSender, Tone, feed,
};

const NOW: i64 = 1_800_000_000;

/// A gate that says what the test gave it, and remembers what was asked.
struct Fake {
    bus: Bus,
    requests: Mutex<Vec<Request>>,
    senders: Mutex<Vec<TableSender>>,
    rows: Mutex<Vec<Arc<Row>>>,
    /// Names of the contexts, and whether the servers may answer.
    contexts: Mutex<Vec<&'static str>>,
    servers: tokio::sync::Semaphore,
}

impl Fake {
    fn new(rows: Vec<Arc<Row>>) -> Arc<Self> {
        Arc::new(Self {
            bus: Bus::default(),
            requests: Mutex::default(),
            senders: Mutex::default(),
            rows: Mutex::new(rows),
            contexts: Mutex::default(),
            servers: tokio::sync::Semaphore::new(0),
        })
    }

    fn asked(&self, operation: &str) -> Vec<Value> {
        let requests = self.requests.lock();
        requests.iter().filter(|r| r.operation == operation).map(|r| r.arguments.clone()).collect()
    }

    /// What `cluster_list` says: of servers that were asked, the state comes when they may answer.
    async fn clusters(&self, offline: bool) -> Value {
        let names = self.contexts.lock().clone();
        if !offline {
            self.servers.acquire().await.unwrap().forget();
        }
        let state = |name: &&str| match (offline, *name == "dead") {
            (true, _) => "–",
            (false, true) => "Unreachable",
            (false, false) => "Ready",
        };
        let rows: Vec<Value> = names.iter().map(|n| json!([n, state(n), "–", "–"])).collect();
        json!({ "columns": ["NAME", "STATUS", "VERSION", "LATENCY"], "rows": rows })
    }

    /// An agent points at a field of a pod in `shop`.
    fn point(&self, agent: &str, pod: &str, field: &str) {
        self.bus.publish(Event::Message(Message {
            from: Actor::agent(agent),
            kind: MessageKind::Point,
            text: format!("see {field}"),
            about: Some(json!({ "cluster": "eu-1", "kind": "pods", "namespace": "shop", "name": pod, "field": field })),
            at: jiff::Timestamp::from_second(NOW).unwrap(),
        }));
    }

    fn send(&self, delta: TableDelta) {
        for sender in self.senders.lock().iter() {
            sender.merge(delta.clone());
        }
    }
}

fn columns() -> Arc<[Column]> {
    [
        Column::new("READY", ColumnKind::Ratio).rank(1),
        Column::new("STATUS", ColumnKind::Status).rank(0),
        Column::new("RESTARTS", ColumnKind::Number).rank(2),
        Column::new("AGE", ColumnKind::Age).rank(3),
    ]
    .into()
}

fn pod(namespace: &str, name: &str, status: &str, restarts: i64) -> Arc<Row> {
    let tone = if status == "Running" { Tone::Normal } else { Tone::Error };
    Arc::new(Row {
        key: RowKey::new("eu-1", namespace, name),
        cells: [
            Cell::Ratio(1, 1),
            Cell::status(status, tone),
            Cell::Number(restarts),
            Cell::Time(NOW - 7200),
        ]
        .into(),
        tone,
        uid: "".into(),
    })
}

#[async_trait]
impl Transport for Fake {
    async fn call(&self, request: Request) -> Result<Reply> {
        self.requests.lock().push(request.clone());
        let output = match request.operation.as_str() {
            "resource_get" if request.arguments["kind"] == "deployments.apps" => {
                json!({ "text": "{\"matchLabels\":{\"app\":\"web\"}}" })
            }
            "cluster_list" => self.clusters(request.arguments["offline"] == true).await,
            "resource_get" => json!({ "text": "kind: Pod\nspec:\n  nodeName: n1\n  priority: 0\n" }),
            _ => json!({}),
        };
        Ok(Reply::Done { call: CallId::new(), output })
    }

    async fn preview(&self, request: Request) -> Result<Preview> {
        self.requests.lock().push(request);
        Ok(Preview::of(Target::default()))
    }

    async fn watch(&self, request: Request) -> Result<Watch> {
        self.requests.lock().push(request.clone());
        if request.arguments.get("namespace").is_some_and(|n| n == "nobody") {
            return Err(Error::unavailable("no answer from eu-1"));
        }
        let (sender, receiver) = feed();
        sender.merge(TableDelta {
            columns: Some(columns()),
            upserts: self.rows.lock().clone(),
            sources: vec![SourceState::new("eu-1".into(), Phase::Live)],
            ..TableDelta::default()
        });
        self.senders.lock().push(sender);
        Ok(Watch::table(receiver))
    }

    fn events(&self) -> Events {
        self.bus.subscribe()
    }

    fn catalogue(&self) -> Arc<[OperationInfo]> {
        let names =
            ["pod_list", "resource_list", "resource_get", "resource_delete", "focus_set", "cluster_list"];
        names
            .iter()
            .map(|name| OperationInfo {
                name: (*name).to_owned(),
                summary: String::new(),
                effect: Effect::Observe,
                idempotent: true,
                method: Method::Get,
                path: "/v1/x".to_owned(),
                watch: true,
                preview: false,
                terminal: false,
                input: Schema::default(),
                output: Schema::default(),
            })
            .collect()
    }
}

fn start(fake: &Arc<Fake>, width: u16, height: u16) -> Headless {
    let client = Client::new(fake.clone(), Arc::new(Actor::operator("ann")));
    let clock = ManualClock::at(jiff::Timestamp::from_second(NOW).unwrap());
    let options = Options { clock, ..Options::default() };
    Headless::start(client, options, width, height).unwrap()
}

fn shop() -> Vec<Arc<Row>> {
    vec![
        pod("shop", "web-10", "Running", 0),
        pod("shop", "web-2", "CrashLoopBackOff", 14),
        pod("bank", "api-1", "Running", 3),
    ]
}

/// The order in which names stand on the screen.
fn order(screen: &str, names: &[&str]) -> Vec<String> {
    let mut found: Vec<(usize, String)> =
        names.iter().filter_map(|n| Some((screen.find(&format!(" {n} "))?, (*n).to_owned()))).collect();
    found.sort();
    found.into_iter().map(|(_, name)| name).collect()
}

#[tokio::test]
async fn it_opens_on_pods_sorted_by_namespace_and_natural_name() {
    let fake = Fake::new(shop());
    let mut screen = start(&fake, 80, 24);
    let text = screen.until(|s| s.contains("pods(all)[3]")).await.unwrap();
    assert_eq!(order(&text, &["web-10", "web-2", "api-1"]), ["api-1", "web-2", "web-10"]);
    assert!(text.contains("NAMESPACE↑"), "{text}");
    assert_eq!(fake.asked("pod_list"), [json!({ "all_namespaces": true })]);
}

/// The names may be read again while slow servers are waited for: how those are is learnt all the same.
#[tokio::test]
async fn what_servers_say_is_taken_though_the_contexts_were_read_again_meanwhile() {
    let fake = Fake::new(shop());
    *fake.contexts.lock() = vec!["eu-1", "dead", "gone"];
    let mut screen = start(&fake, 160, 24);
    screen.until(|_| fake.asked("cluster_list").len() == 2).await.unwrap();
    *fake.contexts.lock() = vec!["eu-1", "dead"];
    fake.bus.publish(Event::Contexts);
    screen.until(|s| fake.asked("cluster_list").len() == 3 && s.contains("2 clusters")).await.unwrap();
    fake.servers.add_permits(1);
    screen.until(|s| s.contains("2 clusters") && s.contains("1 down")).await.unwrap();
}

#[tokio::test]
async fn typing_a_filter_narrows_at_once_and_escape_brings_all_back() {
    let fake = Fake::new(shop());
    let mut screen = start(&fake, 80, 24);
    screen.until(|s| s.contains("[3]")).await.unwrap();
    screen.press("/crash");
    let text = screen.until(|s| s.contains("pods(all)[1/3] /crash")).await.unwrap();
    assert_eq!(order(&text, &["web-10", "web-2", "api-1"]), ["web-2"]);
    screen.press("<Enter><Esc>");
    screen.until(|s| s.contains("pods(all)[3]")).await.unwrap();
    screen.press("/web[");
    screen.until(|s| s.contains("not a regular expression")).await.unwrap();
    screen.press("<Esc>/zzz");
    screen.until(|s| s.contains("none of 3 pods matches /zzz")).await.unwrap();
}

#[tokio::test]
async fn labels_restart_the_watch_on_enter_only() {
    let fake = Fake::new(shop());
    let mut screen = start(&fake, 80, 24);
    screen.until(|s| s.contains("[3]")).await.unwrap();
    screen.press("/-l app=web");
    screen.until(|s| s.contains("-l app=web")).await.unwrap();
    assert_eq!(fake.asked("pod_list").len(), 1);
    screen.press("<Enter>");
    screen.until(|_| fake.asked("pod_list").len() == 2).await.unwrap();
    assert_eq!(fake.asked("pod_list")[1]["labels"], "app=web");
}

#[tokio::test]
async fn a_field_that_an_agent_points_at_is_gone_to_and_marked() {
    let fake = Fake::new(shop());
    let mut screen = start(&fake, 80, 24);
    screen.until(|s| s.contains("[3]")).await.unwrap();
    let point = |field: &str| fake.point("helper", "web-2", field);
    point("STATUS");
    screen.until(|s| s.contains("web-2 ◆")).await.unwrap();
    point("spec.priority");
    screen.until(|s| s.contains("see spec.priority") && s.contains("F3 show me")).await.unwrap();
    screen.press("<F3>");
    screen.until(|s| s.contains("  priority: 0 ◆") && s.contains("yaml(shop/pods/web-2)")).await.unwrap();
    screen.press("<F3>");
    screen.until(|s| s.contains("2 of 2: helper: \"see STATUS\"") && s.contains("pods(shop)")).await.unwrap();
    screen.press("<F3>");
    screen.until(|s| s.contains("1 of 2: helper") && s.contains("  priority: 0 ◆")).await.unwrap();
    screen.press("<Esc>");
    screen.until(|s| s.contains("pods(all)[3]")).await.unwrap();
}

#[tokio::test]
async fn f3_goes_through_the_last_ten_pointers_and_a_new_one_comes_first() {
    let fake = Fake::new(shop());
    let mut screen = start(&fake, 80, 24);
    screen.until(|s| s.contains("[3]")).await.unwrap();
    screen.press("<F3>");
    screen.until(|s| s.contains("nobody points at anything")).await.unwrap();
    screen.press("<Esc>");
    for n in 0..12 {
        fake.point(if n % 2 == 0 { "helper" } else { "scout" }, "web-2", &format!("spec.f{n}"));
    }
    screen.until(|s| s.contains("see spec.f11")).await.unwrap();
    for n in 0..10 {
        screen.press("<F3>");
        let wanted = format!("{} of 10: {}: \"see spec.f{}\"", n + 1, ["scout", "helper"][n % 2], 11 - n);
        screen.until(|s| s.contains(&wanted)).await.unwrap();
    }
    screen.press("<F3>");
    screen.until(|s| s.contains("1 of 10: scout: \"see spec.f11\"")).await.unwrap();
    screen.press("<F3>");
    screen.until(|s| s.contains("2 of 10: helper")).await.unwrap();
    screen.press("<Esc>");
    fake.point("helper", "web-10", "READY");
    screen.until(|s| s.contains("see READY") && s.contains("F3 show me")).await.unwrap();
    screen.press("<F3>");
    screen.until(|s| s.contains("1 of 10: helper: \"see READY\"") && s.contains("pods(shop)")).await.unwrap();
    screen.press("<Esc>");
    screen.until(|s| s.contains("pods(all)[3]")).await.unwrap();
}

#[tokio::test]
async fn however_small_the_screen_is_it_is_drawn_or_said_to_be_too_small() {
    let fake = Fake::new(shop());
    for keys in ["", "?", "<C-p>", ":po", "/web", "d", "l", ":nothing<Enter>", ":q<Enter>"] {
        let mut screen = start(&fake, 80, 24);
        screen.until(|s| s.contains("[3]")).await.unwrap();
        screen.press(keys);
        screen.until(|s| !s.is_empty()).await.unwrap();
        for (width, height) in (1..=40).flat_map(|width| (1..=10).map(move |height| (width, height))) {
            screen.buffer = Buffer::empty(Rect::new(0, 0, width, height));
            let text = screen.screen();
            let first = text.lines().next().unwrap_or_default().to_owned();
            if width < 24 || height < 7 {
                let whole = ["small", "too", "too small"].iter().any(|w| first.starts_with(w));
                assert!(whole || (width < 5 && first.ends_with('…')), "{keys} {width}x{height}:\n{text}");
                assert!(!text.contains('│') && !text.contains("help"), "{keys} {width}x{height}:\n{text}");
            } else {
                // A dialog may need every line.
                let begins = first.starts_with(" qd  ") || first.starts_with('╭');
                assert!(!text.contains("too small") && begins, "{keys} {width}x{height}:\n{text}");
                // The clock is whole, or not there, and what is cut says so.
                let whole = |p: &str| {
                    p.trim() == "qd" || p.contains(['▸', '╭']) || p.trim().len() == 5 || p.ends_with('…')
                };
                let mut parts = first.split("  ").filter(|part| !part.trim().is_empty());
                assert!(parts.all(whole), "{first}");
            }
        }
    }
}

#[tokio::test]
async fn the_cursor_follows_its_object() {
    let fake = Fake::new(shop());
    let mut screen = start(&fake, 80, 24);
    screen.until(|s| s.contains("[3]")).await.unwrap();
    screen.press("j");
    let selected = |screen: &Headless| {
        let (width, buffer) = (usize::from(screen.buffer().area.width), screen.buffer());
        let cursor = screen.app.theme().cursor.bg;
        let line = buffer.content().chunks(width).find(|l| l[5].style().bg == cursor).unwrap();
        line.iter().map(|c| c.symbol()).collect::<String>()
    };
    screen.screen();
    assert!(selected(&screen).contains("web-2"));
    fake.send(TableDelta { upserts: vec![pod("aaa", "first", "Running", 0)], ..TableDelta::default() });
    screen.until(|s| s.contains("[4]")).await.unwrap();
    assert!(selected(&screen).contains("web-2"), "a row above moves nothing under the cursor");
}

#[tokio::test]
async fn commands_and_history_lead_where_they_say() {
    let fake = Fake::new(shop());
    let mut screen = start(&fake, 80, 24);
    screen.until(|s| s.contains("[3]")).await.unwrap();
    screen.press(":deploy shop<Enter>");
    screen.until(|s| s.contains("deployments(shop)[3]")).await.unwrap();
    // The namespaces are for the completion of the prompt.
    let asked = fake.asked("resource_list");
    assert_eq!(
        asked,
        [json!({ "kind": "namespaces" }), json!({ "kind": "deployments.apps", "namespace": "shop" })]
    );
    screen.press("[");
    screen.until(|s| s.contains("pods(all)[3]")).await.unwrap();
    screen.press("]");
    screen.until(|s| s.contains("deployments(shop)[3]")).await.unwrap();
    screen.press("<Enter>");
    screen.until(|s| s.contains("pods(deployment ")).await.unwrap();
    screen.until(|_| fake.asked("pod_list").last().is_some_and(|a| a["labels"] == "app=web")).await.unwrap();
    screen.press("<Esc>");
    screen.until(|s| s.contains("deployments(shop)")).await.unwrap();
}

#[tokio::test]
async fn what_fails_says_so_and_names_a_key() {
    let fake = Fake::new(shop());
    let mut screen = start(&fake, 80, 24);
    screen.until(|s| s.contains("[3]")).await.unwrap();
    screen.press(":pods nobody<Enter>");
    screen.until(|s| s.contains("no answer from eu-1") && s.contains("Ctrl-r")).await.unwrap();
}

#[tokio::test]
async fn marks_sorting_and_columns_answer_to_their_keys() {
    let fake = Fake::new(shop());
    let mut screen = start(&fake, 200, 60);
    screen.until(|s| s.contains("[3]")).await.unwrap();
    screen.press("T");
    let text = screen.until(|s| s.contains("RESTARTS↑")).await.unwrap();
    assert_eq!(order(&text, &["web-10", "web-2", "api-1"]), ["web-10", "api-1", "web-2"]);
    screen.press("T");
    let text = screen.until(|s| s.contains("RESTARTS↓")).await.unwrap();
    assert_eq!(order(&text, &["web-10", "web-2", "api-1"]), ["web-2", "api-1", "web-10"]);
    screen.press("<Space>c");
    screen.screen();
    assert_eq!(
        screen.outbound,
        [Outbound::Copy("web-2".to_owned())],
        "the marked name, not the one under the cursor"
    );
    screen.press("<C-z>");
    screen.until(|s| s.contains("[1/3] faults only")).await.unwrap();
    screen.press("q");
    assert!(!screen.app.wants_quit());
    screen.press(":q<Enter>");
    assert!(screen.app.wants_quit());
}

#[tokio::test]
async fn hostile_names_reach_the_screen_harmlessly() {
    let names = ["a\x1b[2Jb", "c\x1b]52;c;aGk=\x07", "d\u{9b}31m", "user\u{202e}gnp.exe"];
    let fake = Fake::new(names.iter().map(|n| pod("shop", n, "Run\x1b[31mning", 0)).collect());
    let mut screen = start(&fake, 120, 24);
    screen.until(|s| s.contains("[4]")).await.unwrap();
    for cell in screen.buffer().content() {
        assert!(!cell.symbol().chars().any(is_harmful), "{:?}", cell.symbol());
    }
    screen.press(":pods \x1b]52;<Enter>");
    for cell in {
        screen.screen();
        screen.buffer().content()
    } {
        assert!(!cell.symbol().chars().any(is_harmful), "{:?}", cell.symbol());
    }
}

#[tokio::test]
async fn small_and_odd_terminals_do_not_break_it() {
    let fake = Fake::new(shop());
    for (width, height) in [(1, 1), (10, 3), (20, 5), (39, 12), (300, 100)] {
        let mut screen = start(&fake, width, height);
        screen.until(|s| !s.is_empty() || width < 3).await.unwrap();
        screen.press("?<Esc>:po<Tab><Esc>/x<Esc>jjkk<Space>");
        screen.screen();
    }
}
