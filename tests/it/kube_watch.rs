//! The watch pipeline on a real API server: nothing missed, nothing doubled, whatever happens to the server.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use quarterdeck::kube::{Clusters, Options, Resource, Selection};
use quarterdeck::rows::{Phase, TableFeed};

use crate::bed::{Bed, pause};
use crate::console::{Console, Home};
use crate::kubelet::{first, lines};

/// A reader's own copy of a table, as a screen keeps it.
struct Copy {
    feed: TableFeed,
    rows: BTreeMap<String, String>,
    phase: Option<Phase>,
    reconnected: bool,
    columns: Vec<String>,
}

impl Copy {
    fn new(feed: TableFeed) -> Self {
        Self { feed, rows: BTreeMap::new(), phase: None, reconnected: false, columns: Vec::new() }
    }

    /// Applies deltas until `done`; gives when the last one came.
    async fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) -> Instant {
        let end = Instant::now() + Duration::from_secs(90);
        let mut last = Instant::now();
        while !done(self) {
            let left = end.saturating_duration_since(Instant::now());
            let delta = tokio::time::timeout(left, self.feed.next())
                .await
                .unwrap_or_else(|_| panic!("no {what}: {:?}, {} rows", self.phase, self.rows.len()))
                .expect("the feed goes on");
            last = Instant::now();
            if let Some(columns) = delta.columns {
                self.columns = columns.iter().map(|c| c.name.to_string()).collect();
            }
            for key in delta.removed {
                let name = format!("{}/{}", key.namespace, key.name);
                assert!(self.rows.remove(&name).is_some(), "{name} was removed and had not been there");
            }
            for row in delta.upserts {
                assert_eq!(row.cells.len(), self.columns.len());
                let cells: Vec<String> = row.cells.iter().map(|c| c.display(0).to_string()).collect();
                self.rows.insert(format!("{}/{}", row.key.namespace, row.key.name), cells.join(" "));
            }
            for source in delta.sources {
                self.reconnected |= matches!(source.phase, Phase::Reconnecting { .. });
                self.phase = Some(source.phase);
            }
        }
        last
    }

    fn live(&self) -> bool {
        self.phase == Some(Phase::Live)
    }
}

fn clusters(bed: &Bed) -> std::sync::Arc<Clusters> {
    Clusters::new(Options { kubeconfig: Some(bed.kubeconfig.clone()), ..Options::default() })
}

/// The names that kubectl sees now.
fn names(bed: &Bed, kind: &str) -> Vec<String> {
    let template = "jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name}{\"\\n\"}{end}";
    let mut names: Vec<String> =
        bed.kubectl(&["get", kind, "-A", "-o", template], None).lines().map(str::to_owned).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_api_server_loses_and_doubles_no_row() {
    let bed = Bed::up("watch", &["--scale"]);
    bed.command("pods 300");
    let cluster = clusters(&bed).get(None).unwrap();
    let mut copy = Copy::new(cluster.watch(Selection::all(Resource::pods(), None)));
    copy.until("live table", |c| c.live() && c.rows.len() == 300).await;

    bed.command("kill apiserver");
    copy.until("word of the break", |c| c.reconnected).await;
    assert_eq!(copy.rows.len(), 300, "what was seen stays");
    bed.command("start apiserver");
    copy.until("live table again", Copy::live).await;

    bed.kubectl(&["delete", "pod", "web-000007", "--grace-period=0", "--force", "--wait=false"], None);
    bed.command("pods 20 300");
    copy.until("the changes", |c| c.rows.len() == 319 && !c.rows.contains_key("default/web-000007")).await;
    assert_eq!(copy.rows.keys().cloned().collect::<Vec<_>>(), names(&bed, "pods"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_pod_is_a_row_as_soon_as_another_watch_has_it() {
    let bed = Bed::shared();
    bed.namespace("quick");
    let cluster = clusters(bed).get(None).unwrap();
    let selection = Selection::all(Resource::pods(), Some("quick".into()));
    let mut copy = Copy::new(cluster.watch(selection));
    copy.until("live table", Copy::live).await;
    // A plain reader of the same events.
    let call = quarterdeck::kube::Call::get("/api/v1/namespaces/quick/pods").query("watch", "true");
    let mut plain = cluster.stream(call).await.unwrap();
    let manifest = "apiVersion: v1\nkind: Pod\nmetadata: {name: one, namespace: quick}\nspec: {nodeName: node-0, containers: [{name: a, image: b}]}\n";
    let creating =
        tokio::task::spawn_blocking(move || Bed::shared().kubectl(&["create", "-f", "-"], Some(manifest)));
    let (ours, theirs) = tokio::join!(copy.until("row", |c| c.rows.contains_key("quick/one")), async {
        plain.next().await.unwrap().unwrap();
        Instant::now()
    });
    creating.await.unwrap();
    let late = ours.saturating_duration_since(theirs);
    assert!(late < Duration::from_millis(50), "the row came {late:?} after the event");
}

#[tokio::test(flavor = "multi_thread")]
async fn custom_resources_show_the_columns_their_author_chose() {
    const CRD: &str = r#"{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: boats.fleet.example},
      spec: {group: fleet.example, scope: Namespaced, names: {plural: boats, singular: boat, kind: Boat, shortNames: [bt]},
      versions: [{name: v1, served: true, storage: true, additionalPrinterColumns: [
        {name: Crew, type: integer, jsonPath: .spec.crew}, {name: Port, type: string, jsonPath: .spec.port, priority: 1}],
        schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {crew: {type: integer}, port: {type: string}}}}}}}]}}"#;
    let bed = Bed::shared();
    let cluster = clusters(bed).get(None).unwrap();
    // Read once before, so that the kind is not known and must be looked for again.
    cluster.kinds().await.unwrap();
    bed.kubectl(&["apply", "-f", "-"], Some(CRD));
    bed.kubectl(&["wait", "--for=condition=Established", "crd/boats.fleet.example", "--timeout=20s"], None);
    let boat = "{apiVersion: fleet.example/v1, kind: Boat, metadata: {name: tug, namespace: default}, spec: {crew: 3, port: kiel}}";
    bed.kubectl(&["apply", "-f", "-"], Some(boat));
    let resource = cluster.resolve("bt").await.unwrap();
    assert_eq!(resource.full_name(), "boats.fleet.example");
    let listing = cluster.rows(Selection::all(resource, None), Duration::from_secs(20)).await.unwrap();
    let columns: Vec<_> = listing.columns.iter().map(|c| (c.name.as_str(), c.wide)).collect();
    assert_eq!(columns, [("CREW", false), ("PORT", true)]);
    let cells: Vec<_> = listing.rows[0].cells.iter().map(|c| c.display(0).to_string()).collect();
    assert_eq!(cells, ["3", "kiel"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_cluster_is_a_row_with_its_reason_and_delays_nothing() {
    let bed = Bed::shared();
    let dir = tempfile::tempdir().unwrap();
    // Its listener accepts and never answers.
    let black_hole = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut text = std::fs::read_to_string(&bed.kubeconfig).unwrap();
    let extra = format!(
        "clusters: [{{name: dead, cluster: {{server: 'https://127.0.0.1:1'}}}}, {{name: hole, cluster: {{server: 'https://{}'}}}}]\n\
         contexts: [{{name: dead, context: {{cluster: dead}}}}, {{name: hole, context: {{cluster: hole}}}}]\n",
        black_hole.local_addr().unwrap()
    );
    let other = dir.path().join("other");
    std::fs::write(&other, extra).unwrap();
    // One file of both: `Options` names a single file, so append as YAML documents.
    text.push_str("\n---\n");
    text.push_str(&std::fs::read_to_string(&other).unwrap());
    let merged = dir.path().join("merged");
    std::fs::write(&merged, text).unwrap();
    let clusters = Clusters::new(Options { kubeconfig: Some(merged), ..Options::default() });
    let mut copy = Copy::new(clusters.watch_overviews(None));
    let began = Instant::now();
    let ready =
        |c: &Copy, name: &str, word: &str| c.rows.get(&format!("/{name}")).is_some_and(|r| r.contains(word));
    copy.until("the live cluster", |c| ready(c, &bed.context, "Ready")).await;
    copy.until("the dead one", |c| ready(c, "dead", "connection refused")).await;
    assert!(began.elapsed() < Duration::from_secs(4), "a dead cluster delayed the others");
    copy.until("the silent one", |c| ready(c, "hole", "Down")).await;
    assert!(began.elapsed() < Duration::from_secs(15));
}

/// The figures of a list of durations, in milliseconds.
fn figures(mut late: Vec<f64>) -> String {
    late.sort_by(f64::total_cmp);
    let at = |share: f64| late[((late.len() - 1) as f64 * share).round() as usize];
    format!("median {:.1} ms, p90 {:.1}, p99 {:.1}, most {:.1}", at(0.5), at(0.9), at(0.99), at(1.0))
}

/// What a plain reader of the same events, a shell and the screen see, each by the real binary, of pods that kubectl makes.
#[tokio::test(flavor = "multi_thread")]
async fn pods_that_kubectl_makes_come_in_order_to_shell_and_screen() {
    let (bed, home, other) = (Bed::shared(), Home::new(), Home::new());
    tokio::task::block_in_place(|| bed.namespace("prompt"));
    let mut shell = home.qd(&["pod", "list", "-n", "prompt", "--watch", "-o", "json"]);
    shell.env("KUBECONFIG", &bed.kubeconfig);
    let (mut child, shell) = lines(shell);
    first(&shell, &["live"]);
    let console = Console::start(&other, Some(&bed.kubeconfig), &["pods", "-n", "prompt"], 160, 50);
    console.wait("live table", 20, |s| s.contains("pods(prompt)[0]"));
    let cluster = clusters(bed).get(None).unwrap();
    let call = quarterdeck::kube::Call::get("/api/v1/namespaces/prompt/pods").query("watch", "true");
    let mut plain = cluster.stream(call).await.unwrap();

    const PODS: usize = 30;
    let name = |i: usize| format!("made-{i:02}");
    let making = tokio::task::spawn_blocking(move || {
        for i in 0..PODS {
            let manifest = format!(
                "{{apiVersion: v1, kind: Pod, metadata: {{name: made-{i:02}, namespace: prompt}}, spec: {{nodeName: node-0, containers: [{{name: a, image: b}}]}}}}"
            );
            Bed::shared().kubectl(&["create", "-f", "-"], Some(&manifest));
        }
    });
    let looking = tokio::task::spawn_blocking(move || {
        let mut seen = Vec::new();
        while seen.len() < PODS {
            let screen = console.screen();
            let now = Instant::now();
            while seen.len() < PODS && screen.contains(&format!("made-{:02}", seen.len())) {
                seen.push(now);
            }
            pause(1);
        }
        seen
    });
    let mut events: Vec<Instant> = Vec::new();
    let mut text = String::new();
    while events.len() < PODS {
        text.push_str(&String::from_utf8_lossy(&plain.next().await.unwrap().unwrap()));
        let now = Instant::now();
        while events.len() < PODS && text.contains(&name(events.len())) {
            events.push(now);
        }
    }
    making.await.unwrap();
    let screen = looking.await.unwrap();
    let mut rows: Vec<(Instant, String)> = Vec::new();
    while rows.len() < PODS {
        let (at, line) = shell.recv_timeout(Duration::from_secs(10)).unwrap();
        for i in 0..PODS {
            if line.contains(&name(i)) && rows.iter().all(|(_, seen)| *seen != name(i)) {
                rows.push((at, name(i)));
            }
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        rows.iter().map(|(_, n)| n.clone()).eq((0..PODS).map(name)),
        "they come in their order: {rows:?}"
    );
    let late = |seen: &[Instant]| {
        let after = seen.iter().zip(&events).map(|(seen, event)| seen.saturating_duration_since(*event));
        figures(after.map(|d| d.as_secs_f64() * 1e3).collect())
    };
    println!(
        "after the event of a plain reader: shell {}",
        late(&rows.iter().map(|(at, _)| *at).collect::<Vec<_>>())
    );
    println!("after the event of a plain reader: screen {}", late(&screen));
}
