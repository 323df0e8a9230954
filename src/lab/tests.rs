//! The fleet through a real client: TLS, HTTP/2, the bytes as they go over the wire.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use super::*;

type Http =
    Client<hyper_rustls::HttpsConnector<hyper_util::client::legacy::connect::HttpConnector>, Full<Bytes>>;

/// A client of one cluster.
struct Caller {
    http: Http,
    base: String,
    token: String,
}

struct Answer {
    code: u16,
    content_type: String,
    body: Value,
    raw: Bytes,
}

impl Caller {
    fn new(fleet: &Lab, name: &str) -> Self {
        use rustls::pki_types::CertificateDer;
        use rustls::pki_types::pem::PemObject as _;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(fleet.authority.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let https = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_only()
            .enable_http1()
            .enable_http2()
            .build();
        let cluster = fleet.cluster(name).unwrap();
        Self {
            http: Client::builder(TokioExecutor::new()).build(https),
            base: format!("https://{}", cluster.address()),
            token: cluster.admin_token(),
        }
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> http::Response<hyper::body::Incoming> {
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("authorization", format!("Bearer {}", self.token));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
        tokio::time::timeout(Duration::from_secs(10), self.http.request(request)).await.unwrap().unwrap()
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let response = self.send(method, path, headers, body).await;
        let code = response.status().as_u16();
        let content_type = response
            .headers()
            .get("content-type")
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let raw = response.into_body().collect().await.unwrap().to_bytes();
        Answer { code, content_type, body: serde_json::from_slice(&raw).unwrap_or(Value::Null), raw }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "").await
    }

    /// Opens a watch and gives its events one by one.
    async fn watch(&self, path: &str, accept: &str) -> Events {
        let response = self.send("GET", path, &[("accept", accept)], "").await;
        assert_eq!(response.status(), 200);
        Events { body: response.into_body(), rest: Vec::new() }
    }
}

struct Events {
    body: hyper::body::Incoming,
    rest: Vec<u8>,
}

impl Events {
    /// The next event; `None` when the watch has ended.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.rest.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let frame = tokio::time::timeout(Duration::from_secs(10), self.body.frame()).await.unwrap()?;
            if let Ok(data) = frame.unwrap().into_data() {
                self.rest.extend_from_slice(&data);
            }
        }
    }
}

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

async fn still() -> Lab {
    start(Options { live: false, ..Options::default() }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_starts_and_shows_every_kind_of_trouble() {
    let began = std::time::Instant::now();
    let fleet = still().await;
    println!("started in {:?}", began.elapsed());
    let harbour = Caller::new(&fleet, "harbour");
    let table = harbour.ask("GET", "/api/v1/pods", &[("accept", TABLE)], "").await;
    assert_eq!((table.code, table.body["kind"].as_str()), (200, Some("Table")));
    let rows = table.body["rows"].as_array().unwrap();
    assert!(rows.len() > 150, "{} pods", rows.len());
    let shown: Vec<&str> = rows.iter().filter_map(|r| r["cells"][2].as_str()).collect();
    for status in [
        "Running",
        "CrashLoopBackOff",
        "ImagePullBackOff",
        "Pending",
        "CreateContainerConfigError",
        "Init:0/1",
        "Completed",
        "Terminating",
        "Evicted",
    ] {
        assert!(shown.contains(&status), "no pod is {status}");
    }
    let pods = harbour.get("/api/v1/pods").await.body;
    let killed = pods["items"].as_array().unwrap().iter().any(|p| p.to_string().contains("OOMKilled"));
    assert!(killed, "no pod was killed for its memory");
    assert!(fleet.kubeconfig_path().exists());
    let path = fleet.kubeconfig_path().to_owned();
    drop(fleet);
    assert!(!path.exists());
}

/// Serves for somebody to look at: `cargo test lab::tests::serve -- --ignored`, for `LAB_SECONDS`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "serves until told to stop"]
async fn serve_for_a_while() {
    let fleet = start(Options::default()).await.unwrap();
    let seconds = std::env::var("LAB_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(60);
    if let Some(path) = std::env::var_os("LAB_KUBECONFIG") {
        std::fs::copy(fleet.kubeconfig_path(), path).unwrap();
    }
    println!("{}", fleet.kubeconfig_path().display());
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_go_on_by_pages_and_refuse_what_is_wrong() {
    let fleet = still().await;
    let harbour = Caller::new(&fleet, "harbour");
    let all = harbour.get("/api/v1/namespaces/shop/pods").await.body;
    let wanted: Vec<&str> =
        all["items"].as_array().unwrap().iter().map(|p| p["metadata"]["name"].as_str().unwrap()).collect();
    let (mut names, mut next, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = harbour.get(&format!("/api/v1/namespaces/shop/pods?limit=20&continue={next}")).await.body;
        names.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|p| p["metadata"]["name"].as_str().unwrap().to_owned()),
        );
        pages += 1;
        assert!(page["items"][0].get("kind").is_none());
        match page["metadata"]["continue"].as_str() {
            Some(token) => next = token.to_owned(),
            None => break,
        }
    }
    assert_eq!((names, pages > 3), (wanted.iter().map(|n| (*n).to_owned()).collect(), true));
    for (path, code, reason) in [
        ("/api/v1/namespaces/shop/pods/none", 404, "NotFound"),
        ("/api/v1/nothing", 404, "NotFound"),
        ("/api/v1/pods?fieldSelector=spec.foo%3Db", 400, "BadRequest"),
        ("/api/v1/pods?labelSelector=a%3D%3D%3Db", 400, "BadRequest"),
        ("/api/v1/pods?resourceVersion=99999999999", 504, "Timeout"),
        ("/api/v1/pods?limit=1&continue=bogus", 400, "BadRequest"),
        ("/api/v1/pods?sendInitialEvents=true", 422, "Invalid"),
    ] {
        let answer = harbour.get(path).await;
        assert_eq!((answer.code, answer.body["reason"].as_str()), (code, Some(reason)), "{path}");
        assert_eq!(answer.body["kind"], "Status");
    }
    let nobody = Caller { token: "wrong".into(), ..Caller::new(&fleet, "harbour") };
    assert_eq!(nobody.get("/api/v1/pods").await.code, 401);
    let viewer =
        Caller { token: fleet.cluster("harbour").unwrap().viewer_token(), ..Caller::new(&fleet, "harbour") };
    assert_eq!(viewer.get("/api/v1/pods").await.code, 200);
    let secret = viewer.get("/api/v1/namespaces/shop/secrets").await;
    assert_eq!(secret.code, 403);
    assert!(secret.body["message"].as_str().unwrap().contains("cannot list resource \"secrets\""));
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let groups = harbour.ask("GET", "/apis", &[("accept", accept)], "").await;
    assert_eq!(groups.content_type, accept);
    assert!(
        groups.body["items"].as_array().unwrap().iter().any(|g| g["metadata"]["name"] == "cert-manager.io")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_streams_the_list_then_changes_and_ends_with_410_when_history_is_forgotten() {
    let fleet = still().await;
    let harbour = Caller::new(&fleet, "harbour");
    let path = "/api/v1/namespaces/shop/configmaps";
    let count = harbour.get(path).await.body["items"].as_array().unwrap().len();
    let streaming =
        "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut events = harbour.watch(&format!("{path}?{streaming}"), "application/json").await;
    let mut table = harbour.watch(&format!("{path}?{streaming}"), TABLE).await;
    for _ in 0..count {
        assert_eq!(events.next().await.unwrap()["type"], "ADDED");
    }
    let end = events.next().await.unwrap();
    assert_eq!(end["type"], "BOOKMARK");
    assert_eq!(end["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    for i in 0..count {
        let row = table.next().await.unwrap();
        assert_eq!(row["object"]["columnDefinitions"].is_array(), i == 0);
        assert_eq!(row["object"]["rows"].as_array().unwrap().len(), 1);
    }
    let end = table.next().await.unwrap();
    let marked = &end["object"]["rows"][0]["object"]["metadata"]["annotations"];
    assert_eq!(marked["k8s.io/initial-events-end"], "true");

    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new", "labels": {"a": "b"}}, "data": {"k": "v"}});
    let made = harbour.ask("POST", path, &[("content-type", "application/json")], &object.to_string()).await;
    assert_eq!(made.code, 201);
    let version = made.body["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let mut labelled = harbour
        .watch(&format!("{path}?watch=1&resourceVersion={version}&labelSelector=a%3Db"), "application/json")
        .await;
    let merge = [("content-type", "application/merge-patch+json")];
    harbour.ask("PATCH", &format!("{path}/new"), &merge, r#"{"metadata":{"labels":{"a":"c"}}}"#).await;
    harbour.ask("DELETE", &format!("{path}/new"), &[], "").await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(events.next().await.unwrap()["type"].as_str().unwrap().to_owned());
    }
    assert_eq!(seen, ["ADDED", "MODIFIED", "DELETED"]);
    // For the selector the object was gone with its label.
    let left = labelled.next().await.unwrap();
    assert_eq!(
        (left["type"].as_str(), left["object"]["metadata"]["labels"]["a"].as_str()),
        (Some("DELETED"), Some("b"))
    );

    fleet.cluster("harbour").unwrap().forget_history();
    let gone = events.next().await.unwrap();
    assert_eq!((gone["type"].as_str(), gone["object"]["code"].as_u64()), (Some("ERROR"), Some(410)));
    assert!(events.next().await.is_none());
    let mut old =
        harbour.watch(&format!("{path}?watch=1&resourceVersion={version}"), "application/json").await;
    assert_eq!(old.next().await.unwrap()["object"]["reason"], "Expired");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_come_as_protobuf_frames_where_they_are_asked_for() {
    let fleet = still().await;
    let harbour = Caller::new(&fleet, "harbour");
    let accept = [("accept", "application/vnd.kubernetes.protobuf, application/json")];
    let list = harbour.ask("GET", "/api/v1/namespaces/data/pods", &accept, "").await;
    assert_eq!(list.content_type, "application/vnd.kubernetes.protobuf");
    let object = proto::decode(&list.raw);
    // A list is no message of its own here; its envelope is the same.
    assert!(list.raw.starts_with(b"k8s\0") && object.is_none());
    let one = harbour.ask("GET", "/api/v1/namespaces/data/pods/postgres-0", &accept, "").await;
    let decoded = proto::decode(&one.raw).unwrap();
    let json = harbour.get("/api/v1/namespaces/data/pods/postgres-0").await.body;
    assert_eq!(decoded["spec"]["containers"][0]["image"], json["spec"]["containers"][0]["image"]);
    assert_eq!(decoded["metadata"]["managedFields"], json["metadata"]["managedFields"]);
    assert_eq!(
        decoded["status"]["conditions"][2]["lastTransitionTime"],
        json["status"]["conditions"][2]["lastTransitionTime"]
    );

    let path = "/api/v1/namespaces/data/pods?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&\
                allowWatchBookmarks=true&timeoutSeconds=1";
    let header = [("accept", "application/vnd.kubernetes.protobuf;type=watch, application/json")];
    let stream = harbour.ask("GET", path, &header, "").await;
    assert_eq!(stream.content_type, "application/vnd.kubernetes.protobuf;stream=watch");
    let (mut rest, mut frames) = (stream.raw.as_ref(), 0);
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        rest = &after[u32::from_be_bytes(*length) as usize..];
        frames += 1;
    }
    let pods = harbour.get("/api/v1/namespaces/data/pods").await.body["items"].as_array().unwrap().len();
    assert_eq!(frames, pods + 1);
    fleet.cluster("harbour").unwrap().reject_protobuf(true);
    assert_eq!(harbour.ask("GET", path, &header, "").await.content_type, "application/json");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_are_checked_tried_and_owned() {
    let fleet = still().await;
    let harbour = Caller::new(&fleet, "harbour");
    let path = "/apis/apps/v1/namespaces/shop/deployments/cart";
    let before = harbour.get(path).await.body;
    let strategic = [("content-type", "application/strategic-merge-patch+json")];
    let image = r#"{"spec":{"template":{"spec":{"containers":[{"name":"cart","image":"registry.shop.example/shop/cart:1.3.0"}]}}}}"#;
    let dry = harbour.ask("PATCH", &format!("{path}?dryRun=All&fieldManager=t"), &strategic, image).await;
    assert_eq!(dry.code, 200);
    let container = &dry.body["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], "registry.shop.example/shop/cart:1.3.0");
    assert_eq!(container["ports"], before["spec"]["template"]["spec"]["containers"][0]["ports"]);
    assert_eq!(dry.body["metadata"]["generation"], before["metadata"]["generation"].as_i64().unwrap() + 1);
    assert_eq!(harbour.get(path).await.body, before, "a dry run changes nothing");
    // A write on an old version is refused.
    let changed = harbour.ask("PATCH", &format!("{path}?fieldManager=t"), &strategic, image).await.body;
    let json_type = [("content-type", "application/json")];
    let conflict = harbour.ask("PUT", path, &json_type, &before.to_string()).await;
    assert_eq!((conflict.code, conflict.body["reason"].as_str()), (409, Some("Conflict")));
    let mut negative = changed.clone();
    negative["spec"]["replicas"] = (-1).into();
    assert_eq!(harbour.ask("PUT", path, &json_type, &negative.to_string()).await.code, 422);
    let unknown = r#"{"spec":{"replcas":3,"template":{"spec":{"containers":[{"name":"cart","imag":"x"}]}}}}"#;
    let strict = harbour.ask("PATCH", &format!("{path}?fieldValidation=Strict"), &strategic, unknown).await;
    assert_eq!(strict.code, 400);
    let message = strict.body["message"].as_str().unwrap().to_owned();
    assert!(
        message.contains("spec.replcas") && message.contains("spec.template.spec.containers[0].imag"),
        "{message}"
    );
    // Applying what another manager owns is a conflict.
    let apply = [("content-type", "application/apply-patch+yaml")];
    let yaml = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: cart}\nspec: {replicas: 9}\n";
    let refused = harbour.ask("PATCH", &format!("{path}?fieldManager=me"), &apply, yaml).await;
    assert_eq!(
        (refused.code, refused.body["details"]["causes"][0]["field"].as_str()),
        (409, Some(".spec.replicas"))
    );
    let forced =
        harbour.ask("PATCH", &format!("{path}?fieldManager=me&force=true&dryRun=All"), &apply, yaml).await;
    assert_eq!((forced.code, forced.body["spec"]["replicas"].as_i64()), (200, Some(9)));
    let scale = harbour
        .ask(
            "PATCH",
            &format!("{path}/scale"),
            &[("content-type", "application/merge-patch+json")],
            r#"{"spec":{"replicas":13}}"#,
        )
        .await;
    assert_eq!(
        (scale.body["kind"].as_str(), scale.body["spec"]["replicas"].as_i64()),
        (Some("Scale"), Some(13))
    );
    let review = r#"{"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectAccessReview","spec":{"resourceAttributes":{"verb":"delete","resource":"pods"}}}"#;
    let may = harbour
        .ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &json_type, review)
        .await;
    assert_eq!((may.code, may.body["status"]["allowed"].as_bool()), (201, Some(true)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_fleet_scales_heals_and_logs() {
    let fleet = start(Options::default()).await.unwrap();
    let harbour = Caller::new(&fleet, "harbour");
    let path = "/apis/apps/v1/namespaces/shop/deployments";
    let merge = [("content-type", "application/merge-patch+json")];
    harbour.ask("PATCH", &format!("{path}/mailer/scale"), &merge, r#"{"spec":{"replicas":5}}"#).await;
    // What the crashing checkout lacks is given to it, and it recovers.
    let json_patch = [("content-type", "application/json-patch+json")];
    let env = r#"[{"op":"add","path":"/spec/template/spec/containers/0/env/-","value":{"name":"DATABASE_URL","value":"postgres://db"}}]"#;
    assert_eq!(harbour.ask("PATCH", &format!("{path}/checkout"), &json_patch, env).await.code, 200);
    let mut waited = 0;
    loop {
        let ready = |d: &Value| d["status"]["readyReplicas"].as_i64().unwrap_or(0);
        let (mailer, checkout) = (
            harbour.get(&format!("{path}/mailer")).await.body,
            harbour.get(&format!("{path}/checkout")).await.body,
        );
        if ready(&mailer) == 5 && ready(&checkout) == 3 && checkout["status"]["updatedReplicas"] == 3 {
            break;
        }
        waited += 1;
        assert!(waited < 60, "not ready after 30 s: {} {}", mailer["status"], checkout["status"]);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let pods = harbour.get("/api/v1/namespaces/shop/pods?labelSelector=app%3Dmailer").await.body;
    assert_eq!(pods["items"].as_array().unwrap().len(), 5);
    let name = pods["items"][0]["metadata"]["name"].as_str().unwrap();
    let log = format!("/api/v1/namespaces/shop/pods/{name}/log");
    let tail = harbour.ask("GET", &format!("{log}?tailLines=1&timestamps=true"), &[], "").await;
    assert_eq!(tail.raw.iter().filter(|b| **b == b'\n').count(), 1);
    let response = harbour.send("GET", &format!("{log}?follow=true&tailLines=0"), &[], "").await;
    let mut body = response.into_body();
    let line = tokio::time::timeout(Duration::from_secs(5), body.frame()).await.unwrap().unwrap().unwrap();
    assert!(line.into_data().unwrap().ends_with(b"\n"));
    let missing = harbour.get(&format!("{log}?previous=true")).await;
    assert_eq!(missing.code, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_holds_back_pods_and_an_event_says_so() {
    let fleet = start(Options::default()).await.unwrap();
    let harbour = Caller::new(&fleet, "harbour");
    let path = "/apis/apps/v1/namespaces/shop/deployments/mailer/scale";
    let merge = [("content-type", "application/merge-patch+json")];
    assert_eq!(harbour.ask("PATCH", path, &merge, r#"{"spec":{"replicas":60000}}"#).await.code, 200);
    let events = "/api/v1/namespaces/shop/events?fieldSelector=reason%3DFailedCreate";
    let mut waited = 0;
    let told = loop {
        let told = harbour.get(events).await.body;
        if let Some(told) = told["items"].as_array().and_then(|all| all.first()) {
            break told["message"].as_str().unwrap().to_owned();
        }
        waited += 1;
        assert!(waited < 60, "no event after 30 s");
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    assert!(told.contains("exceeded quota: team, requested:"), "{told}");
    let pods = harbour.get("/api/v1/namespaces/shop/pods").await.body;
    assert!(pods["items"].as_array().unwrap().len() <= 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_are_felt_and_pass() {
    let fleet = still().await;
    let harbour = Caller::new(&fleet, "harbour");
    let cluster = fleet.cluster("harbour").unwrap();
    cluster.reject_watch(true);
    assert_eq!(harbour.get("/api/v1/pods?watch=1").await.code, 403);
    cluster.reject_watch(false);
    cluster.reject_streaming(true);
    let streaming =
        "/api/v1/pods?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=1";
    assert_eq!(harbour.get(streaming).await.code, 422);
    cluster.pause();
    let waiting = tokio::time::timeout(Duration::from_millis(300), harbour.get("/readyz")).await;
    assert!(waiting.is_err(), "a paused server answers nothing");
    cluster.resume();
    assert_eq!(harbour.get("/readyz").await.code, 200);
    cluster.restart(Duration::from_millis(100)).await.unwrap();
    // The old connection is gone; a new one finds the same server.
    let again = Caller::new(&fleet, "harbour");
    assert_eq!(again.get("/api/v1/namespaces/shop").await.code, 200);
    fleet.renew_token("harbour").unwrap();
    assert_eq!(again.get("/api/v1/pods?limit=1").await.code, 401);
    let text = std::fs::read_to_string(fleet.kubeconfig_path()).unwrap();
    assert!(text.contains(&cluster.admin_token()) && text.contains("name: wreck"));
    assert!(fleet.cluster("nowhere").is_err());
}

#[tokio::test]
async fn the_kubeconfig_of_a_fleet_that_was_killed_goes_at_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let make = |name: &str, age: u64| {
        let path = directory.path().join(name);
        let file = std::fs::File::create(&path).unwrap();
        file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(age)).unwrap();
        path
    };
    let left = make("quarterdeck-lab-0011.kubeconfig", 60);
    let starting = make("quarterdeck-lab-0022.kubeconfig", 0);
    let other = make("kubeconfig", 60);
    let options =
        || super::Options { directory: Some(directory.path().to_owned()), ..super::Options::default() };
    let first = super::start(options()).await.unwrap();
    assert!(!left.exists() && starting.exists() && other.exists());
    // One that lives keeps its file, however old it is.
    std::fs::File::open(first.kubeconfig_path())
        .unwrap()
        .set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(60))
        .unwrap();
    let second = super::start(options()).await.unwrap();
    assert!(first.kubeconfig_path().exists() && second.kubeconfig_path().exists());
}
