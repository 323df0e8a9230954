//! Both ends over a pipe in memory, with a transport that answers by name.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tokio::sync::mpsc;

use super::*;
use crate::base::ids::CallId;
use crate::base::{Actor, ActorKind, Code, Door, Result};
use crate::bus::{Bus, Event, Events, Level};
use crate::gate::client::{Client, Transport, Watch};
use crate::gate::spec::Target;
use crate::rows::{Row, RowKey, TableDelta, Tone, feed};

#[derive(Default)]
struct Answers {
    bus: Bus,
    /// Frames that the watch has produced, and watches that were dropped.
    produced: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
    cancelled: Arc<AtomicUsize>,
}

struct Count(Arc<AtomicUsize>);

impl Drop for Count {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Transport for Answers {
    async fn call(&self, request: Request) -> Result<Reply> {
        match request.operation.as_str() {
            "echo" => Ok(Reply::Done { call: CallId::new(), output: request.arguments }),
            "hang" => {
                let _count = Count(self.cancelled.clone());
                std::future::pending().await
            }
            other => Err(Error::not_found(format!("no {other}")).next("Try echo.").details(json!({"n": 1}))),
        }
    }

    async fn preview(&self, _: Request) -> Result<Preview> {
        Ok(Preview::of(Target::own("thing")))
    }

    async fn watch(&self, request: Request) -> Result<Watch> {
        if request.operation == "table" {
            let (sender, feed) = feed();
            for n in 0..1000 {
                let row = Row {
                    key: RowKey::new("c", "n", format!("{}", n % 10)),
                    cells: Box::new([]),
                    tone: Tone::Normal,
                    uid: "".into(),
                };
                sender.merge(TableDelta { upserts: vec![Arc::new(row)], ..TableDelta::default() });
            }
            return Ok(Watch::table(feed));
        }
        let (sender, receiver) = mpsc::channel(1);
        let (produced, count) = (self.produced.clone(), Count(self.dropped.clone()));
        tokio::spawn(async move {
            let _count = count;
            for n in 0.. {
                if sender.send(Ok(Frame::Value(json!(n)))).await.is_err() {
                    return;
                }
                produced.fetch_add(1, Ordering::SeqCst);
            }
        });
        Ok(Watch::frames(receiver))
    }

    fn events(&self) -> Events {
        self.bus.subscribe()
    }

    fn catalogue(&self) -> Arc<[OperationInfo]> {
        Arc::new([])
    }
}

fn pair() -> (Remote, Arc<Answers>) {
    let answers = Arc::new(Answers::default());
    let client = Client::new(answers.clone(), Arc::new(Actor::agent("a")));
    let (ours, theirs) = tokio::io::duplex(4096);
    let (read, write) = tokio::io::split(theirs);
    tokio::spawn(serve(client, read, write));
    let (read, write) = tokio::io::split(ours);
    (Remote::over(read, write), answers)
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..500 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("never came: {what}");
}

#[tokio::test]
async fn calls_previews_and_errors_come_back_whole_and_in_any_order() {
    let (remote, _answers) = pair();
    let calls = (0..100).map(|n| remote.call(Request::new("echo", json!({ "n": n }))));
    for (n, reply) in futures::future::join_all(calls).await.into_iter().enumerate() {
        let Ok(Reply::Done { output, .. }) = reply else { panic!("{reply:?}") };
        assert_eq!(output, json!({ "n": n }));
    }
    assert_eq!(remote.preview(Request::new("x", json!({}))).await.unwrap().target, Target::own("thing"));
    let error = remote.call(Request::new("nothing", json!({}))).await.unwrap_err();
    assert_eq!((error.code, error.next_step()), (Code::NotFound, "Try echo."));
    assert_eq!(error.details.as_deref(), Some(&json!({"n": 1})));
    let _ = remote.fetch_catalogue().await;
}

#[tokio::test]
async fn a_slow_reader_stops_its_watch_alone_and_dropping_it_ends_it() {
    let (remote, answers) = pair();
    let mut watch = remote.watch(Request::new("numbers", json!({}))).await.unwrap();
    until("the window to fill", || answers.produced.load(Ordering::SeqCst) > WINDOW).await;
    tokio::time::sleep(Duration::from_millis(30)).await;
    let stuck = answers.produced.load(Ordering::SeqCst);
    assert!(stuck <= WINDOW + 5, "the writer ran ahead: {stuck}");
    // The stream is not stuck with it.
    remote.call(Request::new("echo", json!(1))).await.unwrap();
    for n in 0..50 {
        let Some(Ok(Frame::Value(value))) = watch.next().await else { panic!("the watch ended") };
        assert_eq!(value, json!(n));
    }
    drop(watch);
    until("the watch to be dropped", || answers.dropped.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn a_table_watch_is_merged_and_its_end_arrives() {
    let (remote, _answers) = pair();
    let mut watch = remote.watch(Request::new("table", json!({}))).await.unwrap();
    let Some(Ok(Frame::Table(delta))) = watch.next().await else { panic!("no frame") };
    assert_eq!(delta.upserts.len(), 10);
    assert!(watch.next().await.is_none());
}

#[tokio::test]
async fn a_caller_that_gives_up_cancels_the_call_there() {
    let (remote, answers) = pair();
    let call = remote.call(Request::new("hang", json!({})));
    assert!(tokio::time::timeout(Duration::from_millis(20), call).await.is_err());
    until("the call to be dropped", || answers.cancelled.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn events_come_once_somebody_wants_them() {
    let (remote, answers) = pair();
    let mut events = remote.events();
    let publish = async {
        loop {
            answers.bus.publish(Event::Notice { level: Level::Info, text: "hello".to_owned() });
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let event = tokio::select! {
        event = events.next() => event.unwrap(),
        () = publish => unreachable!(),
    };
    assert!(matches!(&*event, Event::Notice { text, .. } if text == "hello"));
}

#[tokio::test]
async fn when_the_session_goes_every_caller_is_told() {
    let (remote, answers) = {
        let answers = Arc::new(Answers::default());
        let client = Client::new(answers.clone(), Arc::new(Actor::agent("a")));
        let (ours, theirs) = tokio::io::duplex(4096);
        let (read, write) = tokio::io::split(theirs);
        let server = tokio::spawn(serve(client, read, write));
        let (read, write) = tokio::io::split(ours);
        let remote = Remote::over(read, write);
        let mut watch = remote.watch(Request::new("numbers", json!({}))).await.unwrap();
        let hang = async {
            tokio::join!(remote.call(Request::new("hang", json!({}))), async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                server.abort();
            })
            .0
        };
        assert_eq!(hang.await.unwrap_err().code, Code::Unavailable);
        let last = loop {
            match watch.next().await {
                Some(Ok(_)) => {}
                other => break other,
            }
        };
        assert_eq!(last.unwrap().unwrap_err().code, Code::Unavailable);
        (remote, answers)
    };
    assert_eq!(remote.call(Request::new("echo", json!({}))).await.unwrap_err().code, Code::Unavailable);
    until("the watch to be dropped", || answers.dropped.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn a_message_with_a_key_twice_ends_the_connection() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let client = Client::new(Arc::new(Answers::default()), Arc::new(Actor::agent("a")));
    let (mut ours, theirs) = tokio::io::duplex(4096);
    let (read, write) = tokio::io::split(theirs);
    tokio::spawn(serve(client, read, write));
    let text = r#"{"do":"call","id":1,"request":{"operation":"echo","arguments":{"a":1,"a":2}}}"#;
    ours.write_all(format!("{text}\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(Duration::from_secs(3), ours.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.contains("invalid_argument") && answer.contains("twice"), "{answer}");
}

#[tokio::test]
async fn the_greeting_names_the_session_or_says_why_not() {
    for refuse in [false, true] {
        let (ours, theirs) = tokio::io::duplex(4096);
        let server = tokio::spawn(async move {
            let (read, mut write) = tokio::io::split(theirs);
            let hello = receive(&mut tokio::io::BufReader::new(read)).await.unwrap();
            let error = refuse.then(|| Error::new(Code::RateLimited, "too many"));
            let welcome = Welcome {
                quarterdeck: VERSION,
                session: "s".to_owned(),
                pid: 7,
                state: String::new(),
                read_only: false,
                acting: None,
                error,
            };
            welcome.send(&mut write).await.unwrap();
            hello
        });
        let (read, mut write) = tokio::io::split(ours);
        let claim =
            Claim { kind: ActorKind::Agent, door: Door::Mcp, name: "claude".to_owned(), read_only: false };
        let mut read = tokio::io::BufReader::new(read);
        let welcome = greet(&mut read, &mut write, Purpose::Mcp, claim.clone()).await;
        assert_eq!(server.await.unwrap(), Hello { quarterdeck: VERSION, purpose: Purpose::Mcp, claim });
        match refuse {
            false => assert_eq!(welcome.unwrap().session, "s"),
            true => assert_eq!(welcome.unwrap_err().code, Code::RateLimited),
        }
    }
}
