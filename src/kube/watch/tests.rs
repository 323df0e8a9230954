//! The pump against a server that misbehaves on purpose, over real sockets.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::{Request, Response};
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::config::Kubeconfig;
use parking_lot::Mutex;
use prost::Message;
use tokio::net::TcpListener;

use super::{Selection, Times};
use crate::base::Code;
use crate::kube::cluster::Cluster;
use crate::kube::kinds::Resource;
use crate::kube::settings::Settings;
use crate::kube::usage::Pace;
use crate::kube::wire;
use crate::rows::{Cell, Phase, TableFeed};

mod figures;

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf;stream=watch";
const JSON: &str = "application/json";

/// An answer: what is sent at once, and whether the body stays open then.
struct Answer {
    status: u16,
    content_type: &'static str,
    pieces: Vec<Bytes>,
    then: Then,
}

#[derive(Clone, Copy, PartialEq)]
enum Then {
    End,
    StayOpen,
    /// The connection breaks off.
    Break,
}

impl Answer {
    fn json(status: u16, body: impl Into<String>) -> Self {
        Self { status, content_type: JSON, pieces: vec![body.into().into()], then: Then::End }
    }

    fn status(code: u16, reason: &str) -> Self {
        let body = format!(
            r#"{{"kind":"Status","code":{code},"reason":"{reason}","message":"{reason} says the test"}}"#
        );
        Self::json(code, body)
    }

    fn watch(content_type: &'static str, pieces: Vec<Bytes>, then: Then) -> Self {
        Self { status: 200, content_type, pieces, then }
    }
}

type Script = Arc<dyn Fn(usize, &str) -> Answer + Send + Sync>;

/// A server that answers by a script of (count of requests before, path with query), and a cluster of it.
struct Bench {
    cluster: Arc<Cluster>,
    asked: Arc<Mutex<Vec<String>>>,
}

async fn bench(script: impl Fn(usize, &str) -> Answer + Send + Sync + 'static) -> Bench {
    let script: Script = Arc::new(script);
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let log = asked.clone();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (script, log) = (script.clone(), log.clone());
            tokio::spawn(async move {
                let service = service_fn(move |request: Request<Incoming>| {
                    let (script, log) = (script.clone(), log.clone());
                    async move { Ok::<_, Infallible>(serve(&script, &log, &request)) }
                });
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(socket), service)
                    .await;
            });
        }
    });
    let text = format!(
        "clusters: [{{name: c, cluster: {{server: 'http://{address}'}}}}]\ncontexts: [{{name: c, context: {{cluster: c}}}}]\n"
    );
    let file = Arc::new(Kubeconfig::from_yaml(&text).unwrap());
    let times = Times {
        linger: Duration::from_millis(150),
        bookmark_within: Duration::from_millis(400),
        still_coming: Duration::from_millis(100),
        poll_every: Duration::from_millis(50),
        refused_again: Duration::from_secs(2),
        pace: Pace {
            every: Duration::from_millis(60),
            large: Duration::from_millis(60),
            refused: Duration::from_millis(60),
            keep: Duration::from_secs(60),
        },
    };
    Bench { cluster: Cluster::new(Settings::of(&file, "c"), times), asked }
}

type Body = StreamBody<futures::stream::BoxStream<'static, Result<Frame<Bytes>, std::io::Error>>>;

fn serve(script: &Script, log: &Mutex<Vec<String>>, request: &Request<Incoming>) -> Response<Body> {
    let path = request.uri().path_and_query().unwrap().to_string();
    let count = {
        let mut log = log.lock();
        log.push(path.clone());
        log.len() - 1
    };
    let answer = script(count, &path);
    let pieces = futures::stream::iter(answer.pieces.into_iter().map(|p| Ok(Frame::data(p))));
    let rest = match answer.then {
        Then::End => futures::stream::empty().boxed(),
        Then::StayOpen => futures::stream::pending().boxed(),
        Then::Break => futures::stream::once(async {
            // Let what was sent arrive first.
            tokio::time::sleep(Duration::from_millis(50)).await;
            Err(std::io::Error::other("broken on purpose"))
        })
        .boxed(),
    };
    Response::builder()
        .status(answer.status)
        .header("content-type", answer.content_type)
        .body(StreamBody::new(pieces.chain(rest).boxed()))
        .unwrap()
}

fn pod(name: &str, version: u32) -> wire::Pod {
    let json = format!(
        r#"{{"metadata":{{"name":"{name}","namespace":"ns","uid":"u-{name}","resourceVersion":"{version}"}},
        "status":{{"phase":"Running","containerStatuses":[{{"name":"a","restartCount":{version}}}]}}}}"#
    );
    serde_json::from_str(&json).unwrap()
}

fn frame(kind: &str, object: Bytes) -> Bytes {
    let event = wire::WatchEvent { kind: kind.into(), object: Some(wire::RawExtension { raw: object }) };
    let body = event.encode_to_vec();
    [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], &body].concat().into()
}

fn event(kind: &str, name: &str, version: u32) -> Bytes {
    frame(kind, wire::envelope("Pod", &pod(name, version)))
}

/// The bookmark that ends the initial events.
fn end(version: u32) -> Bytes {
    let json = format!(
        r#"{{"metadata":{{"resourceVersion":"{version}","annotations":{{"k8s.io/initial-events-end":"true"}}}}}}"#
    );
    let mark: wire::BookmarkObject = serde_json::from_str(&json).unwrap();
    frame("BOOKMARK", wire::envelope("Pod", &mark))
}

fn gone() -> Bytes {
    frame(
        "ERROR",
        Bytes::from_static(br#"{"kind":"Status","code":410,"reason":"Expired","message":"too old"}"#),
    )
}

fn list(names: &[(&str, u32)], version: u32, next: &str) -> Answer {
    let items: Vec<String> = names
        .iter()
        .map(|(n, v)| format!(r#"{{"metadata":{{"name":"{n}","namespace":"ns","uid":"u-{n}","resourceVersion":"{v}"}},"status":{{"phase":"Running","containerStatuses":[{{"name":"a","restartCount":{v}}}]}}}}"#))
        .collect();
    let remaining = if next.is_empty() { "" } else { r#","remainingItemCount":1"# };
    let body = format!(
        r#"{{"kind":"PodList","metadata":{{"resourceVersion":"{version}","continue":"{next}"{remaining}}},"items":[{}]}}"#,
        items.join(",")
    );
    Answer::json(200, body)
}

fn pods() -> Selection {
    Selection::all(Resource::pods(), None)
}

/// What a reader has: name to restarts, which the tests use as a version.
struct Reader {
    feed: TableFeed,
    rows: BTreeMap<String, i64>,
    phase: Phase,
    phases: Vec<Phase>,
    columns: Vec<String>,
    upserts: usize,
}

impl Reader {
    fn new(feed: TableFeed) -> Self {
        Self {
            feed,
            rows: BTreeMap::new(),
            phase: Phase::Connecting,
            phases: Vec::new(),
            columns: Vec::new(),
            upserts: 0,
        }
    }

    async fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let reading = async {
            while !done(self) {
                let delta = self.feed.next().await.expect("the feed goes on");
                if let Some(columns) = delta.columns {
                    self.columns = columns.iter().map(|c| c.name.to_string()).collect();
                }
                for key in delta.removed {
                    assert!(
                        self.rows.remove(key.name.as_str()).is_some(),
                        "{key:?} was removed but not there"
                    );
                }
                for row in delta.upserts {
                    assert_eq!(row.cells.len(), self.columns.len());
                    self.upserts += 1;
                    let number =
                        row.cells.iter().find_map(|c| if let Cell::Number(n) = c { Some(*n) } else { None });
                    self.rows.insert(row.key.name.to_string(), number.unwrap_or(0));
                }
                for source in delta.sources {
                    self.phase = source.phase.clone();
                    self.phases.push(source.phase);
                }
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(10), reading).await.is_ok();
        assert!(in_time, "{what}: {:?} {:?}", self.phase, self.rows);
    }

    fn has(&self, rows: &[(&str, i64)]) -> bool {
        self.rows.iter().map(|(n, v)| (n.as_str(), *v)).eq(rows.iter().copied())
    }
}

#[tokio::test]
async fn a_streaming_list_gives_rows_and_then_changes() {
    let bench = bench(|_, _| {
        let events = vec![
            event("ADDED", "a", 1),
            event("ADDED", "b", 2),
            end(3),
            event("MODIFIED", "a", 4),
            event("DELETED", "b", 5),
            event("ADDED", "c", 6),
        ];
        Answer::watch(PROTOBUF, events, Then::StayOpen)
    })
    .await;
    let mut reader = Reader::new(bench.cluster.watch(pods()));
    reader.until("all events", |r| r.phase == Phase::Live && r.has(&[("a", 4), ("c", 6)])).await;
    let asked = bench.asked.lock().clone();
    assert_eq!(asked.len(), 1);
    assert!(
        asked[0].contains("sendInitialEvents=true") && asked[0].contains("resourceVersionMatch=NotOlderThan")
    );
}

#[tokio::test]
async fn where_streaming_lists_are_refused_it_lists_by_pages_and_watches() {
    for code in [400, 403, 405, 406, 422] {
        let bench = bench(move |_, path| match path {
            p if p.contains("sendInitialEvents") => Answer::status(code, "Refused"),
            p if p.contains("watch=true") => {
                Answer::watch(PROTOBUF, vec![event("ADDED", "d", 9)], Then::StayOpen)
            }
            p if p.contains("continue=more") => list(&[("c", 3)], 7, ""),
            _ => list(&[("a", 1), ("b", 2)], 7, "more"),
        })
        .await;
        let mut reader = Reader::new(bench.cluster.watch(pods()));
        reader
            .until("rows", |r| r.phase == Phase::Live && r.has(&[("a", 1), ("b", 2), ("c", 3), ("d", 9)]))
            .await;
        let asked = bench.asked.lock().clone();
        assert!(asked.last().unwrap().contains("resourceVersion=7"), "{asked:?}");
        assert!(asked[1].contains("limit=500"));
    }
}

#[tokio::test]
async fn a_server_that_never_ends_the_initial_events_is_listed() {
    let bench = bench(|_, path| match path {
        p if p.contains("sendInitialEvents") => {
            Answer::watch(PROTOBUF, vec![event("ADDED", "a", 1), event("ADDED", "x", 1)], Then::StayOpen)
        }
        p if p.contains("watch=true") => Answer::watch(PROTOBUF, vec![], Then::StayOpen),
        _ => list(&[("a", 1), ("b", 2)], 7, ""),
    })
    .await;
    let mut reader = Reader::new(bench.cluster.watch(pods()));
    reader.until("first rows", |r| r.has(&[("a", 1), ("x", 1)])).await;
    assert!(matches!(reader.phase, Phase::Loading { .. }));
    reader.until("the list", |r| r.phase == Phase::Live && r.has(&[("a", 1), ("b", 2)])).await;
}

#[tokio::test]
async fn after_410_it_lists_again_and_no_row_is_missed_or_doubled() {
    let bench = bench(|count, _| match count {
        0 => Answer::watch(
            PROTOBUF,
            vec![event("ADDED", "a", 1), event("ADDED", "b", 2), event("ADDED", "c", 3), end(3), gone()],
            Then::StayOpen,
        ),
        _ => Answer::watch(
            PROTOBUF,
            vec![event("ADDED", "a", 1), event("ADDED", "c", 8), event("ADDED", "d", 9), end(9)],
            Then::StayOpen,
        ),
    })
    .await;
    let mut reader = Reader::new(bench.cluster.watch(pods()));
    reader.until("the second list", |r| r.has(&[("a", 1), ("c", 8), ("d", 9)])).await;
    // `a` did not change: it was told once.
    assert_eq!(reader.upserts, 5);
    assert!(!reader.phases.iter().any(|p| matches!(p, Phase::Reconnecting { .. })));
}

#[tokio::test]
async fn a_broken_stream_says_so_and_goes_on_from_the_last_version() {
    let bench = bench(|count, path| match count {
        0 => {
            Answer::watch(PROTOBUF, vec![event("ADDED", "a", 1), end(3), event("ADDED", "b", 5)], Then::Break)
        }
        1 => Answer::status(503, "ServiceUnavailable"),
        _ if path.contains("resourceVersion=5") => {
            Answer::watch(PROTOBUF, vec![event("DELETED", "a", 6)], Then::StayOpen)
        }
        _ => Answer::status(500, "WrongVersion"),
    })
    .await;
    let mut reader = Reader::new(bench.cluster.watch(pods()));
    reader.until("recovery", |r| r.phase == Phase::Live && r.has(&[("b", 5)])).await;
    let reasons: Vec<_> = reader
        .phases
        .iter()
        .filter_map(|p| if let Phase::Reconnecting { attempt, .. } = p { Some(*attempt) } else { None })
        .collect();
    assert!(!reasons.is_empty(), "{:?}", reader.phases);
}

#[tokio::test]
async fn a_break_is_as_old_as_its_first_failure_however_often_it_is_tried_again() {
    let bench = bench(|count, _| match count {
        0 => Answer::watch(PROTOBUF, vec![event("ADDED", "a", 1), end(3)], Then::Break),
        1..4 => Answer::status(503, "ServiceUnavailable"),
        _ => Answer::watch(PROTOBUF, vec![], Then::StayOpen),
    })
    .await;
    let mut reader = Reader::new(bench.cluster.watch(pods()));
    reader.until("recovery", |r| r.phase == Phase::Live && bench.asked.lock().len() > 4).await;
    let since: Vec<_> = reader
        .phases
        .iter()
        .filter_map(|p| if let Phase::Reconnecting { since, .. } = p { Some(*since) } else { None })
        .collect();
    // The tries take more than a second together.
    assert!(since.len() > 1 && since.iter().all(|s| *s == since[0]), "{since:?}");
}

#[tokio::test]
async fn a_half_event_is_not_a_row_and_is_read_again() {
    let whole = event("ADDED", "b", 4);
    let half = whole.slice(..whole.len() - 3);
    let bench = bench(move |count, _| match count {
        0 => Answer::watch(PROTOBUF, vec![event("ADDED", "a", 1), end(3), half.clone()], Then::End),
        _ => Answer::watch(PROTOBUF, vec![whole.clone()], Then::StayOpen),
    })
    .await;
    let mut reader = Reader::new(bench.cluster.watch(pods()));
    reader.until("both", |r| r.has(&[("a", 1), ("b", 4)])).await;
    assert!(bench.asked.lock()[1].contains("resourceVersion=3"));
}

#[tokio::test]
async fn where_watching_is_forbidden_it_lists_again_and_says_so() {
    let bench = bench(|count, path| match path {
        p if p.contains("watch=true") => Answer::status(403, "Forbidden"),
        _ if count < 3 => list(&[("a", 1), ("b", 1)], 7, ""),
        _ => list(&[("b", 2), ("c", 1)], 8, ""),
    })
    .await;
    let mut reader = Reader::new(bench.cluster.watch(pods()));
    reader.until("the next list", |r| r.has(&[("b", 2), ("c", 1)])).await;
    let Phase::Polling { reason, .. } = &reader.phase else { panic!("{:?}", reader.phase) };
    assert!(reason.contains("Forbidden"));
}

#[tokio::test]
async fn where_nothing_is_allowed_it_fails_once_and_a_new_reader_tries_again() {
    let bench = bench(|count, _| match count {
        0 | 1 => Answer::status(403, "Forbidden"),
        _ => Answer::watch(PROTOBUF, vec![event("ADDED", "a", 1), end(1)], Then::StayOpen),
    })
    .await;
    let mut reader = Reader::new(bench.cluster.watch(pods()));
    reader.until("failure", |r| matches!(r.phase, Phase::Failed { .. })).await;
    let Phase::Failed { error } = &reader.phase else { unreachable!() };
    assert_eq!(error.code, Code::PermissionDenied);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(bench.asked.lock().len(), 2);
    let listing = bench.cluster.rows(pods(), Duration::from_secs(5)).await.unwrap();
    assert_eq!(listing.rows.len(), 1);
}

#[tokio::test]
async fn pods_in_json_are_read_as_well() {
    let bench = bench(|_, _| {
        let text = concat!(
            r#"{"type":"ADDED","object":{"kind":"Pod","metadata":{"name":"a","namespace":"ns","resourceVersion":"4"},"status":{"phase":"Pending"}}}"#,
            "\n",
            r#"{"type":"BOOKMARK","object":{"kind":"Pod","metadata":{"resourceVersion":"5","annotations":{"k8s.io/initial-events-end":"true"}}}}"#,
            "\n"
        );
        let pieces = text.as_bytes().chunks(7).map(Bytes::from_static).collect();
        Answer::watch(JSON, pieces, Then::StayOpen)
    })
    .await;
    let mut reader = Reader::new(bench.cluster.watch(pods()));
    reader.until("the pod", |r| r.phase == Phase::Live && r.has(&[("a", 0)])).await;
}

#[tokio::test]
async fn a_table_is_streamed_with_its_columns_from_the_first_event() {
    let bench = bench(|_, _| {
        let text = concat!(
            r#"{"type":"ADDED","object":{"kind":"Table","columnDefinitions":[{"name":"Name","type":"string","format":"name"},{"name":"Replicas","type":"integer"}],"rows":[{"cells":["a",1],"object":{"metadata":{"name":"a","namespace":"ns","resourceVersion":"3"}}}]}}"#,
            "\n",
            r#"{"type":"ADDED","object":{"kind":"Table","columnDefinitions":null,"rows":[{"cells":["b",2],"object":{"metadata":{"name":"b","namespace":"ns","resourceVersion":"4"}}}]}}"#,
            "\n",
            r#"{"type":"BOOKMARK","object":{"kind":"Table","metadata":{"resourceVersion":"4"},"columnDefinitions":null,"rows":[{"cells":["",0],"object":{"metadata":{"resourceVersion":"4","annotations":{"k8s.io/initial-events-end":"true"},"creationTimestamp":null}}}]}}"#,
            "\n",
            r#"{"type":"DELETED","object":{"kind":"Table","columnDefinitions":null,"rows":[{"cells":["a",1],"object":{"metadata":{"name":"a","namespace":"ns","resourceVersion":"5"}}}]}}"#,
            "\n"
        );
        Answer::watch(JSON, vec![Bytes::from_static(text.as_bytes())], Then::StayOpen)
    })
    .await;
    let mut resource = Resource::pods();
    resource.group = "apps".into();
    resource.plural = "deployments".into();
    let mut reader = Reader::new(bench.cluster.watch(Selection::all(resource, None)));
    reader.until("rows", |r| r.phase == Phase::Live && r.has(&[("b", 2)])).await;
    assert_eq!(reader.columns, ["REPLICAS"]);
    assert!(bench.asked.lock()[0].contains("includeObject=Metadata"));
}

#[tokio::test]
async fn readers_share_one_watch_and_it_ends_after_the_last() {
    let bench = bench(|_, _| {
        Answer::watch(PROTOBUF, vec![event("ADDED", "a", 1), event("ADDED", "b", 2), end(3)], Then::StayOpen)
    })
    .await;
    let mut first = Reader::new(bench.cluster.watch(pods()));
    first.until("live", |r| r.phase == Phase::Live).await;
    let mut late = Reader::new(bench.cluster.watch(pods()));
    late.until("the snapshot", |r| r.phase == Phase::Live && r.has(&[("a", 1), ("b", 2)])).await;
    assert_eq!(bench.cluster.rows(pods(), Duration::from_secs(1)).await.unwrap().rows.len(), 2);
    assert_eq!(bench.asked.lock().len(), 1);
    drop((first, late));
    for _ in 0..50 {
        if bench.cluster.watches().open.lock().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(bench.cluster.watches().open.lock().is_empty());
    let mut again = Reader::new(bench.cluster.watch(pods()));
    again.until("live again", |r| r.phase == Phase::Live).await;
    assert_eq!(bench.asked.lock().len(), 2);
}

#[tokio::test]
async fn a_dead_server_has_a_reason_and_a_next_step() {
    let text = "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\ncontexts: [{name: c, context: {cluster: c}}]\n";
    let file = Arc::new(Kubeconfig::from_yaml(text).unwrap());
    let cluster = Cluster::new(Settings::of(&file, "c"), Times::default());
    let mut reader = Reader::new(cluster.watch(pods()));
    reader.until("the reason", |r| matches!(r.phase, Phase::Reconnecting { .. })).await;
    let Phase::Reconnecting { reason, .. } = &reader.phase else { unreachable!() };
    assert!(reason.contains("connection refused"), "{reason}");
    let error: crate::base::Error = cluster.version().await.unwrap_err().into();
    assert!(error.next_step().contains("running?"), "{error:?}");
}
