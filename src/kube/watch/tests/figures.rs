//! Figures in the rows of a watch, told by a metrics API that works, refuses, breaks or is not there.

use std::sync::atomic::{AtomicI64, Ordering};

use super::*;

/// Discovery as a server gives it; `metrics`: none, fresh or stale.
fn discovery(path: &str, metrics: Option<&str>) -> Answer {
    let group = metrics.filter(|_| path.starts_with("/apis")).map(|freshness| {
        let pods = r#"{"resource":"pods","responseKind":{"kind":"PodMetrics"},"scope":"Namespaced","verbs":["get","list"]}"#;
        let resources = if freshness == "Stale" { "" } else { pods };
        format!(
            r#"{{"metadata":{{"name":"metrics.k8s.io"}},"versions":[{{"version":"v1beta1","freshness":"{freshness}","resources":[{resources}]}}]}}"#
        )
    });
    let items = group.unwrap_or_default();
    Answer::json(200, format!(r#"{{"kind":"APIGroupDiscoveryList","items":[{items}]}}"#))
}

fn figures(pods: &[(&str, i64)], at: i64) -> Answer {
    let at = jiff::Timestamp::from_second(at).unwrap();
    let item = |(name, millicores): &(&str, i64)| {
        format!(
            r#"{{"metadata":{{"name":"{name}","namespace":"ns"}},"timestamp":"{at}","window":"15s","containers":[{{"name":"a","usage":{{"cpu":"{millicores}m","memory":"64Mi"}}}}]}}"#
        )
    };
    let items: Vec<_> = pods.iter().map(item).collect();
    Answer::json(200, format!(r#"{{"kind":"PodMetricsList","items":[{}]}}"#, items.join(",")))
}

/// Two pods, of which `a` asks for CPU.
fn two() -> Answer {
    let mut a = pod("a", 1);
    a.spec = serde_json::from_str(
        r#"{"containers":[{"name":"a","resources":{"requests":{"cpu":"200m"},"limits":{"memory":"128Mi"}}}]}"#,
    )
    .unwrap();
    let added = |pod: &wire::Pod| frame("ADDED", wire::envelope("Pod", pod));
    Answer::watch(PROTOBUF, vec![added(&a), added(&pod("b", 2)), end(3)], Then::StayOpen)
}

/// What a reader sees: CPU, MEM and the shares of each row as one text, and what is said of the source.
struct Sight {
    feed: TableFeed,
    shown: Vec<String>,
    rows: BTreeMap<String, String>,
    note: Option<String>,
    notes: usize,
    upserts: Vec<String>,
}

impl Sight {
    fn new(feed: TableFeed) -> Self {
        let shown = Vec::new();
        Self { feed, shown, rows: BTreeMap::new(), note: None, notes: 0, upserts: Vec::new() }
    }

    async fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let reading = async {
            while !done(self) {
                let delta = self.feed.next().await.expect("the feed goes on");
                if let Some(columns) = delta.columns {
                    assert_eq!(super::super::join::place(&columns), Some(AT));
                    let usual = columns.iter().filter(|c| c.is_usual());
                    self.shown = usual.map(|c| c.name.to_string()).collect();
                }
                for row in delta.upserts {
                    let cells: Vec<_> =
                        row.cells[AT..AT + 6].iter().map(|c| c.display(0).to_string()).collect();
                    self.upserts.push(row.key.name.to_string());
                    self.rows.insert(row.key.name.to_string(), cells.join(" "));
                }
                for source in delta.sources {
                    self.notes += usize::from(source.note.is_some() && source.note != self.note);
                    self.note = source.note;
                }
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(10), reading).await.is_ok();
        assert!(in_time, "{what}: {:?} {:?}", self.rows, self.note);
    }

    fn has(&self, a: &str, b: &str) -> bool {
        self.rows.get("a").is_some_and(|r| r == a) && self.rows.get("b").is_some_and(|r| r == b)
    }
}

/// Where CPU stands among a pod's cells.
const AT: usize = 4;
const NOTHING: &str = "– – – – – –";

fn asked(bench: &Bench) -> usize {
    bench.asked.lock().iter().filter(|path| path.contains("metrics.k8s.io/v1beta1")).count()
}

#[tokio::test]
async fn rows_come_first_and_only_those_are_changed_whose_figures_are() {
    let now = Arc::new(AtomicI64::new(0));
    let told = now.clone();
    let bench = bench(move |_, path| match path {
        "/api" | "/apis" => discovery(path, Some("Current")),
        p if p.contains("metrics.k8s.io") => {
            let turn = told.fetch_add(1, Ordering::Relaxed);
            figures(&[("a", if turn < 3 { 50 } else { 100 }), ("b", 7)], 1_000 + turn * 15)
        }
        _ => two(),
    })
    .await;
    let mut sight = Sight::new(bench.cluster.watch_measured(pods()));
    sight.until("rows", |s| s.has(NOTHING, NOTHING)).await;
    assert!(!sight.shown.contains(&"CPU".to_owned()), "shown before anything is known: {:?}", sight.shown);
    sight.until("figures", |s| s.has("50m 64Mi 25 – – 50", "7m 64Mi – – – –")).await;
    assert!(
        sight.shown.starts_with(&["READY", "STATUS", "RESTARTS", "CPU", "MEM", "%CPU/R"].map(str::to_owned))
    );
    sight.upserts.clear();
    sight.until("the change", |s| s.has("100m 64Mi 50 – – 50", "7m 64Mi – – – –")).await;
    assert_eq!(sight.upserts, ["a"], "rows whose figures are the same are not sent again");
    assert_eq!(sight.note, None);
    assert_eq!(bench.asked.lock().iter().filter(|path| path.contains("sendInitialEvents")).count(), 1);
}

#[tokio::test]
async fn a_row_that_comes_has_its_figures_and_readers_share_one_list() {
    let bench = bench(move |_, path| match path {
        "/api" | "/apis" => discovery(path, Some("Current")),
        p if p.contains("metrics.k8s.io") => {
            figures(&[("a", 50), ("c", 3)], 1_000 + jiff::Timestamp::now().as_millisecond() / 10)
        }
        p if p.contains("sendInitialEvents") => {
            Answer::watch(PROTOBUF, vec![event("ADDED", "a", 1), end(3)], Then::End)
        }
        // The stream that follows tells of another pod.
        _ => Answer::watch(PROTOBUF, vec![event("ADDED", "c", 9)], Then::StayOpen),
    })
    .await;
    let mut first = Sight::new(bench.cluster.watch_measured(pods()));
    let mut second = Sight::new(bench.cluster.watch_measured(pods()));
    first.until("figures", |s| s.rows.get("a").is_some_and(|r| r.starts_with("50m"))).await;
    first.until("the new row", |s| s.rows.get("c").is_some_and(|r| r.starts_with("3m"))).await;
    assert_eq!(first.upserts.iter().filter(|name| *name == "c").count(), 1, "it comes with its figures");
    second.until("the same", |s| s.rows.get("c").is_some_and(|r| r.starts_with("3m"))).await;
    let namespace = Selection::all(Resource::pods(), Some("ns".into()));
    let mut third = Sight::new(bench.cluster.watch_measured(namespace));
    third.until("the namespace", |s| s.rows.get("a").is_some_and(|r| r.starts_with("50m"))).await;
    let paths = bench.asked.lock().clone();
    assert!(
        !paths.iter().any(|p| p.contains("v1beta1/namespaces/ns")),
        "the list of all pods has them: {paths:?}"
    );
    drop((first, second, third));
    // The last reader has left: nothing is asked any more.
    for _ in 0..50 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if bench.cluster.watches().open.lock().is_empty() {
            break;
        }
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let before = asked(&bench);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(asked(&bench), before, "figures are asked for though nobody looks");
}

#[tokio::test]
async fn a_cluster_without_metrics_is_not_asked_for_any_and_shows_no_columns_of_them() {
    let bench =
        bench(|_, path| if path.starts_with("/api/v1/") { two() } else { discovery(path, None) }).await;
    let mut sight = Sight::new(bench.cluster.watch_measured(pods()));
    sight.until("rows", |s| s.has(NOTHING, NOTHING)).await;
    let listing = bench.cluster.rows_measured(pods(), Duration::from_secs(5)).await.unwrap();
    assert!(
        listing.note.as_deref().is_some_and(|n| n.contains("c has no metrics.k8s.io")),
        "{:?}",
        listing.note
    );
    assert!(listing.columns.iter().all(|c| c.hidden == crate::kube::usage::is_figure(&c.name)));
    assert!(!sight.shown.contains(&"CPU".to_owned()) && sight.note.is_none());
    assert_eq!(asked(&bench), 0);
}

#[tokio::test]
async fn a_metrics_api_that_refuses_or_is_down_is_told_once_and_gives_no_zeros() {
    for (code, reason, freshness, next) in
        [(403, "Forbidden", "Current", "get` and `list"), (503, "ServiceUnavailable", "Stale", "APIService")]
    {
        let bench = bench(move |_, path| match path {
            "/api" | "/apis" => discovery(path, Some(freshness)),
            p if p.contains("metrics.k8s.io") => Answer::status(code, reason),
            _ => two(),
        })
        .await;
        let mut sight = Sight::new(bench.cluster.watch_measured(pods()));
        sight.until("the reason", |s| s.note.is_some() && s.has(NOTHING, NOTHING)).await;
        let note = sight.note.clone().unwrap();
        assert!(note.starts_with("no CPU and memory: ") && note.contains("says the test"), "{note}");
        let several = asked(&bench) + 3;
        for _ in 0..100 {
            if asked(&bench) >= several {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(asked(&bench) >= several, "it is tried again");
        assert!(
            sight.feed.try_next().is_none_or(|d| d.sources.is_empty() && d.upserts.is_empty()),
            "said twice"
        );
        assert_eq!(sight.notes, 1);
        let listing = bench.cluster.rows_measured(pods(), Duration::from_secs(5)).await.unwrap();
        assert_eq!(listing.note.as_deref(), Some(note.as_str()));
        let scope = crate::kube::usage::Scope::Pods;
        let error = bench.cluster.usage(scope, Duration::from_secs(5)).await.err().unwrap();
        assert!(error.next_step().contains(next), "{}", error.next_step());
    }
}

#[tokio::test]
async fn figures_go_when_the_metrics_api_breaks_and_come_back_with_it() {
    let broken = Arc::new(AtomicI64::new(0));
    let state = broken.clone();
    let bench = bench(move |_, path| match path {
        "/api" | "/apis" => discovery(path, Some("Current")),
        p if p.contains("metrics.k8s.io") && state.load(Ordering::Relaxed) == 1 => {
            Answer::status(503, "Down")
        }
        p if p.contains("metrics.k8s.io") => {
            figures(&[("a", 50), ("b", 7)], jiff::Timestamp::now().as_millisecond() / 10)
        }
        _ => two(),
    })
    .await;
    let mut sight = Sight::new(bench.cluster.watch_measured(pods()));
    sight.until("figures", |s| s.has("50m 64Mi 25 – – 50", "7m 64Mi – – – –")).await;
    broken.store(1, Ordering::Relaxed);
    sight.until("nothing that is old", |s| s.has(NOTHING, NOTHING) && s.note.is_some()).await;
    broken.store(0, Ordering::Relaxed);
    sight
        .until("figures again", |s| s.has("50m 64Mi 25 – – 50", "7m 64Mi – – – –") && s.note.is_none())
        .await;
}
