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
