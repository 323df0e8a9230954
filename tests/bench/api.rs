//! The API server over HTTP/2: what makes the events, what reads them plainly, and what says how things are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;

use crate::bed::{Bed, pause};
use crate::reader::tls;

#[derive(Clone)]
pub struct Api {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

impl Api {
    pub async fn connect(bed: &Bed) -> Self {
        let host = bed.server.trim_start_matches("https://").to_owned();
        let mut config = tls(bed);
        config.alpn_protocols = vec![b"h2".to_vec()];
        let socket = tokio::net::TcpStream::connect(&host).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let name = rustls::pki_types::ServerName::try_from("127.0.0.1").unwrap();
        let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap();
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { sender, host }
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        accept: &str,
        body: String,
    ) -> hyper::Response<hyper::body::Incoming> {
        let request = hyper::Request::builder()
            .method(method)
            .uri(format!("https://{}{path}", self.host))
            .header("authorization", "Bearer admintoken")
            .header("content-type", kind)
            .header("accept", accept)
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        self.sender.clone().send_request(request).await.unwrap()
    }

    /// One change; what comes back is read and only its status is looked at. 404 is nothing there.
    pub async fn change(&self, method: &str, path: &str, kind: &str, body: String) -> bool {
        let small = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
        let answer = self.send(method, path, kind, small, body).await;
        let status = answer.status();
        let text = answer.into_body().collect().await.unwrap().to_bytes();
        let known = status.is_success() || status.as_u16() == 404;
        assert!(known, "{method} {path}: {status} {}", String::from_utf8_lossy(&text));
        status.is_success()
    }

    /// `None` if there is no such object.
    pub async fn get(&self, path: &str) -> Option<Value> {
        let answer = self.send("GET", path, "application/json", "application/json", String::new()).await;
        if answer.status().as_u16() == 404 {
            return None;
        }
        let text = answer.into_body().collect().await.unwrap().to_bytes();
        Some(serde_json::from_slice(&text).unwrap())
    }

    /// How many pods there are, as the server counts them.
    pub async fn pods(&self) -> u64 {
        let list = self.get("/api/v1/pods?limit=1").await.unwrap();
        let here = list["items"].as_array().map_or(0, |items| items.len() as u64);
        here + list["metadata"]["remainingItemCount"].as_u64().unwrap_or(0)
    }

    /// What a pod's status column is to say; `None` if there is no such pod.
    pub async fn status(&self, name: &str) -> Option<String> {
        let pod = self.get(&crate::churner::path(name)).await?;
        let status = &pod["status"];
        status["reason"].as_str().or(status["phase"].as_str()).map(str::to_owned)
    }
}

/// A plain watch that only looks for marks: `M`, five digits.
pub struct Marks(Arc<Mutex<HashMap<u32, Instant>>>);

impl Marks {
    /// Watches one pod, or all of them as protobuf as a console does.
    pub async fn watch(api: &Api, pod: Option<&str>) -> Self {
        let version = api.get("/api/v1/pods?limit=1").await.unwrap()["metadata"]["resourceVersion"].clone();
        let only = pod.map(|name| format!("&fieldSelector=metadata.name%3D{name}")).unwrap_or_default();
        let path = format!("/api/v1/pods?watch=true&resourceVersion={}{only}", version.as_str().unwrap());
        let accept = "application/vnd.kubernetes.protobuf;type=watch";
        let answer = api.send("GET", &path, "application/json", accept, String::new()).await;
        assert!(answer.status().is_success(), "the watch: {}", answer.status());
        let seen = Self(Arc::default());
        let marks = seen.0.clone();
        let mut body = answer.into_body();
        tokio::spawn(async move {
            let mut held: Vec<u8> = Vec::new();
            while let Some(Ok(frame)) = body.frame().await {
                let at = Instant::now();
                let Ok(data) = frame.into_data() else { continue };
                held.extend_from_slice(&data);
                for place in memchr::memchr_iter(b'M', &held) {
                    let digits = held.get(place + 1..place + 6).filter(|d| d.iter().all(u8::is_ascii_digit));
                    if let Some(number) = digits.and_then(|d| std::str::from_utf8(d).ok()?.parse().ok()) {
                        marks.lock().unwrap().entry(number).or_insert(at);
                    }
                }
                // A mark may lie across two frames.
                held.drain(..held.len().saturating_sub(5));
            }
        });
        seen
    }

    /// When the event with this mark came.
    pub fn when(&self, number: u32, within: Duration) -> Option<Instant> {
        let end = Instant::now() + within;
        loop {
            if let Some(at) = self.0.lock().unwrap().get(&number) {
                return Some(*at);
            }
            if Instant::now() > end {
                return None;
            }
            pause(1);
        }
    }
}
