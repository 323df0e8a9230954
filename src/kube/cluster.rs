//! One cluster: its connection, made when first needed, and requests to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderValue, USER_AGENT};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use kube::client::{Body, ClientBuilder, Connection as Upgraded};
use parking_lot::Mutex;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tower::BoxError;

use super::auth::Proof;
use super::call::{Answer, Call, DEFAULT_TIMEOUT};
use super::connect::{self, HttpClient};
use super::discovery::Discovery;
use super::error::{Error, Result, Status};
use super::gzip;
use super::impersonation::Impersonation;
use super::kinds::{Kinds, Resource};
use super::settings::{Prepared, Settings};
use super::sockets::Sockets;
use super::stream::ByteStream;
use super::upgrade;
use super::usage::Metrics;
use super::watch::{Times, Watches};

/// No single answer that is held whole may be larger.
const BODY_LIMIT: usize = 256 << 20;
const ERROR_BODY_LIMIT: usize = 1 << 20;
const AGENT: &str = concat!("quarterdeck/", env!("CARGO_PKG_VERSION"));

/// One context's cluster. It lives as long as the context is in the kubeconfig; a changed
/// kubeconfig changes its settings, and everything goes on over a new connection.
pub struct Cluster {
    name: Arc<str>,
    settings: ArcSwap<Settings>,
    connection: tokio::sync::Mutex<Option<Arc<Connection>>>,
    discovery: Discovery,
    watches: Watches,
    metrics: Metrics,
    health: Health,
    sockets: Sockets,
}

struct Connection {
    client: HttpClient,
    prepared: Arc<Prepared>,
    /// Of the proof whose client certificate it has; 0 for the kubeconfig's own.
    identity: u64,
    dialled: Arc<AtomicU64>,
}

/// What is known of a cluster without asking it.
#[derive(Default)]
struct Health {
    /// Of the last question for the version, from sending to the head of its answer; 0 is unknown.
    latency_us: AtomicU64,
    last_error: Mutex<Option<(Instant, Error)>>,
    version: Mutex<Option<Version>>,
}

/// What `/version` says.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// `v1.36.3`, with a vendor's suffix perhaps.
    pub git_version: String,
    #[serde(default)]
    pub platform: String,
}

impl Cluster {
    pub(super) fn new(settings: Settings, times: Times) -> Arc<Self> {
        Arc::new(Self {
            name: settings.context.clone(),
            settings: ArcSwap::from_pointee(settings),
            connection: tokio::sync::Mutex::default(),
            discovery: Discovery::default(),
            watches: Watches::new(times),
            metrics: Metrics::new(times.pace),
            health: Health::default(),
            sockets: Sockets::default(),
        })
    }

    /// Takes changed settings; connections made with the old ones serve what they carry and are
    /// not used again.
    pub(super) async fn replace(&self, settings: Settings) {
        self.settings.store(Arc::new(settings));
        *self.connection.lock().await = None;
        self.discovery.forget();
        self.watches.restart();
    }

    pub(super) fn digest(&self) -> [u8; 32] {
        self.settings.load().digest
    }

    pub(super) fn watches(&self) -> &Watches {
        &self.watches
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The context's name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The API server's address as the kubeconfig writes it.
    pub fn server(&self) -> String {
        self.settings.load().server.clone()
    }

    /// What the kubeconfig calls the cluster of this context.
    pub fn cluster_name(&self) -> String {
        self.settings.load().cluster.clone()
    }

    /// What the kubeconfig calls the user of this context.
    pub fn user_name(&self) -> String {
        self.settings.load().user.clone()
    }

    /// Whom the server takes its requests for, if that is not the user: `jane in devs`.
    pub fn acting_as(&self) -> Option<String> {
        self.settings.load().acting.as_ref().map(Impersonation::words)
    }

    /// The context's namespace, else `default`.
    pub fn default_namespace(&self) -> String {
        self.settings.load().default_namespace.clone()
    }

    /// How long the server took to say its version the last time, on a connection that was there already: the way there and
    /// back, and nothing that the server must compute.
    pub fn latency(&self) -> Option<Duration> {
        match self.health.latency_us.load(Ordering::Relaxed) {
            0 => None,
            us => Some(Duration::from_micros(us)),
        }
    }

    /// How many connections to the server are open: one for all requests, and one for each shell or forward.
    pub fn sockets(&self) -> u64 {
        self.sockets.open()
    }

    /// Why the last request did not reach the server, and when, unless one has since.
    pub fn problem(&self) -> Option<(Instant, Error)> {
        self.health.last_error.lock().clone()
    }

    /// The server's version, if it was asked.
    pub fn known_version(&self) -> Option<Version> {
        self.health.version.lock().clone()
    }

    /// Asks the server for its version: the lightest check there is, open to everyone by default.
    pub async fn version(&self) -> Result<Version> {
        let before = (self.latency().is_some(), self.dialled().await);
        let mut version = self.timed_version().await?;
        // The first answer waits for name lookup, TCP and TLS, and at the start of a program for all that it begins with:
        // what was measured then would be shown for long. Two more, and the least of them.
        if before != (true, self.dialled().await) {
            let mut least = u64::MAX;
            for _ in 0..2 {
                version = self.timed_version().await?;
                least = least.min(self.health.latency_us.load(Ordering::Relaxed));
            }
            self.health.latency_us.store(least, Ordering::Relaxed);
        }
        *self.health.version.lock() = Some(version.clone());
        Ok(version)
    }

    async fn timed_version(&self) -> Result<Version> {
        let began = Instant::now();
        let version = self.read(Call::get("/version").timeout(Duration::from_secs(8))).await?;
        let us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.health.latency_us.store(us.max(1), Ordering::Relaxed);
        Ok(version)
    }

    /// How often the connection of now was dialled.
    async fn dialled(&self) -> u64 {
        self.connection.lock().await.as_ref().map_or(0, |c| c.dialled.load(Ordering::Relaxed))
    }

    /// Whether a refused credential may be another one at the next try: a plugin or a file gives it.
    pub(super) async fn credential_is_renewed(&self) -> bool {
        let settings = self.settings.load_full();
        settings.prepared().await.is_ok_and(|p| p.credential.is_renewed())
    }

    /// Sends a request and reads its whole answer. A status other than 2xx is an error.
    pub async fn send(&self, call: Call) -> Result<Answer> {
        let limit = call.timeout;
        let call = gzip::offered(call);
        let server = self.server();
        let answer = async {
            let response = self.request(&call).await?;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let stream = ByteStream::new(response, server.as_str().into());
            let body = stream.collect(BODY_LIMIT, "the answer").await?;
            let body = if gzip::is_used(&headers) {
                gzip::decode(body, BODY_LIMIT).await.map_err(|reason| Error::Decode {
                    server: server.clone(),
                    what: "gzip",
                    reason,
                })?
            } else {
                body
            };
            Ok(Answer { status, headers, body })
        };
        // On the heap: callers hold many of these in futures of their own.
        match tokio::time::timeout(limit, Box::pin(answer)).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::Timeout { server, seconds: limit.as_secs() }),
        }
    }

    /// Sends a request and reads its answer as JSON of a type.
    pub async fn read<T: DeserializeOwned>(&self, call: Call) -> Result<T> {
        let answer = self.send(call).await?;
        serde_json::from_slice(&answer.body).map_err(|e| Error::Decode {
            server: self.server(),
            what: "JSON",
            reason: e.to_string(),
        })
    }

    /// Sends a request and reads its answer as JSON.
    pub async fn json(&self, call: Call) -> Result<Value> {
        self.read(call).await
    }

    /// Sends a request and gives its body as it comes. The call's time-out is for the answer's head only.
    pub async fn stream(&self, call: Call) -> Result<ByteStream> {
        let response = self.request(&call).await?;
        Ok(ByteStream::new(response, self.server().into()))
    }

    /// Finds what `kind` means here, as kubectl would: plural, singular, kind, short name, with a group
    /// (`deployments.apps`) or a group and version (`apps/v1/deployments`). Asks the server again when
    /// the kind is not known.
    pub async fn resolve(&self, kind: &str) -> Result<Resource> {
        self.discovery.resolve(self, kind).await
    }

    /// Every kind that the server has.
    pub async fn kinds(&self) -> Result<Arc<Kinds>> {
        self.discovery.kinds(self).await
    }

    /// The kinds as they were last read, without asking.
    pub fn known_kinds(&self) -> Option<Arc<Kinds>> {
        self.discovery.known()
    }

    /// Opens a WebSocket to a path of the server: exec, attach, port-forward. Renews a refused credential once.
    pub async fn upgrade(&self, path: &str) -> Result<Upgraded> {
        Call::get(path).check()?;
        let settings = self.settings.load_full();
        let mut second = false;
        loop {
            let client = self.upgrading_client().await?;
            let request = Request::get(path)
                .header(USER_AGENT, AGENT)
                .body(Vec::new())
                .map_err(|e| Error::Request(e.to_string()))?;
            let connecting = tokio::time::timeout(DEFAULT_TIMEOUT, Box::pin(client.connect(request)));
            let error = match connecting.await {
                Err(_) => {
                    let seconds = DEFAULT_TIMEOUT.as_secs();
                    return Err(Error::Timeout { server: settings.server.clone(), seconds });
                }
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => upgrade::explain(&settings.server, error),
            };
            if !second && error.http_status() == Some(401) {
                let prepared = settings.prepared().await?;
                let generation = prepared.credential.proof().await?.generation;
                if prepared.credential.refused(generation).await {
                    second = true;
                    continue;
                }
            }
            return Err(error);
        }
    }

    /// kube's client over HTTP/1.1, for connections that are upgraded: exec, attach, port-forward.
    async fn upgrading_client(&self) -> Result<kube::Client> {
        let settings = self.settings.load_full();
        let prepared = settings.prepared().await?;
        let proof = prepared.credential.proof().await?;
        let connector = prepared.connector(&self.name, &proof, false)?.counted(&self.sockets);
        let client: hyper_util::client::legacy::Client<_, Body> = connect::builder().build(connector);
        let service = tower::service_fn(move |mut request: Request<Body>| {
            let (prepared, client) = (prepared.clone(), client.clone());
            async move {
                let proof = prepared.credential.proof().await?;
                let path = request.uri().path_and_query().map_or("/", |p| p.as_str());
                *request.uri_mut() = format!("{}{path}", prepared.base).parse()?;
                prove(request.headers_mut(), &prepared, &proof);
                Ok::<_, BoxError>(client.request(request).await?)
            }
        });
        Ok(ClientBuilder::new(service, settings.default_namespace.clone()).build())
    }

    /// Sends `call` and gives the answer if it is a success. Renews a refused credential once.
    async fn request(&self, call: &Call) -> Result<Response<Incoming>> {
        let settings = self.settings.load_full();
        let mut second = false;
        loop {
            match self.attempt(&settings, call, second).await {
                Ok(Outcome::Done(response)) => {
                    *self.health.last_error.lock() = None;
                    return self.check(&settings, response).await;
                }
                Ok(Outcome::Again) => second = true,
                Err(error) => {
                    *self.health.last_error.lock() = Some((Instant::now(), error.clone()));
                    return Err(error);
                }
            }
        }
    }

    async fn attempt(&self, settings: &Settings, call: &Call, second: bool) -> Result<Outcome> {
        if settings.server.is_empty() {
            return Err(Error::Settings {
                context: self.name.to_string(),
                reason: "the context names no cluster with a server address".into(),
            });
        }
        call.check()?;
        let prepared = settings.prepared().await?;
        let proof = prepared.credential.proof().await?;
        let connection = self.connection(&prepared, &proof).await?;
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(format!("{}{}", prepared.base, call.path))
            .body(Full::new(call.body.clone()))
            .map_err(|e| Error::Request(e.to_string()))?;
        *request.headers_mut() = call.headers.clone();
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(AGENT));
        prove(request.headers_mut(), &prepared, &proof);

        let sent = tokio::time::timeout(call.timeout, connection.client.request(request)).await;
        match sent {
            Err(_) => {
                Err(Error::Timeout { server: settings.server.clone(), seconds: call.timeout.as_secs() })
            }
            Ok(Ok(response)) => {
                let refused = response.status() == StatusCode::UNAUTHORIZED;
                if refused && !second && prepared.credential.refused(proof.generation).await {
                    return Ok(Outcome::Again);
                }
                Ok(Outcome::Done(response))
            }
            Ok(Err(error)) => {
                let error_is_connect = error.is_connect();
                let explained = connect::explain(&settings.server, &error);
                // The kept connection may have died while nobody looked: a read may be sent again.
                if !error_is_connect && !second && call.method == http::Method::GET {
                    return Ok(Outcome::Again);
                }
                Err(explained)
            }
        }
    }

    /// The connection that all requests share, with the client certificate of `proof`.
    async fn connection(&self, prepared: &Arc<Prepared>, proof: &Proof) -> Result<Arc<Connection>> {
        let identity = if proof.identity.is_some() { proof.generation } else { 0 };
        let mut kept = self.connection.lock().await;
        if let Some(connection) = &*kept
            && connection.identity == identity
            && Arc::ptr_eq(&connection.prepared, prepared)
        {
            return Ok(connection.clone());
        }
        let connector = prepared.connector(&self.name, proof, true)?.counted(&self.sockets);
        let dialled = connector.dialled();
        let client = connect::client(connector);
        let connection = Arc::new(Connection { client, prepared: prepared.clone(), identity, dialled });
        *kept = Some(connection.clone());
        Ok(connection)
    }

    async fn check(&self, settings: &Settings, response: Response<Incoming>) -> Result<Response<Incoming>> {
        let code = response.status();
        if code.is_success() || code == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(response);
        }
        let stream = ByteStream::new(response, settings.server.as_str().into());
        let reading = stream.collect(ERROR_BODY_LIMIT, "the error");
        let body = match tokio::time::timeout(Duration::from_secs(5), reading).await {
            Ok(Ok(body)) => body,
            _ => Bytes::new(),
        };
        let status = Box::new(Status::from_body(code.as_u16(), &body));
        Err(Error::Status { server: settings.server.clone(), status })
    }
}

enum Outcome {
    Done(Response<Incoming>),
    Again,
}

fn prove(headers: &mut http::HeaderMap, prepared: &Prepared, proof: &Proof) {
    if let Some(value) = &proof.header {
        headers.insert(AUTHORIZATION, value.clone());
    }
    for (name, value) in &prepared.headers {
        headers.append(name.clone(), value.clone());
    }
}
