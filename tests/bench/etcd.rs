//! The API server's own store: events that cost it no more than their delivery.
//!
//! A change that is asked for over the API costs the server some milliseconds of a processor, and so a machine of two cores
//! has a few hundred of them a second. Written into its store they come to it as another replica's changes would, and go to
//! its watchers in the same way.

use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;

/// etcd's `RangeRequest` and `PutRequest` (api/etcdserverpb/rpc.proto), as far as they are needed here.
#[derive(Message)]
struct Asked {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

#[derive(Message)]
struct Found {
    #[prost(message, repeated, tag = "2")]
    kvs: Vec<KeyValue>,
}

#[derive(Message)]
struct KeyValue {
    #[prost(bytes = "bytes", tag = "5")]
    value: Bytes,
}

/// `runtime.Unknown` of Kubernetes (apimachinery/pkg/runtime/generated.proto), after four bytes of magic.
#[derive(Message)]
struct Stored {
    #[prost(bytes = "bytes", tag = "1")]
    type_meta: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    raw: Bytes,
}

const MAGIC: &[u8] = b"k8s\0";

/// A pod of which only `status.reason` is given: put behind a pod it is merged into it, as protobuf has it.
#[derive(Message)]
struct Pod {
    #[prost(message, optional, tag = "3")]
    status: Option<Status>,
}

#[derive(Message)]
struct Status {
    #[prost(string, tag = "4")]
    reason: String,
}

#[derive(Clone)]
pub struct Etcd {
    sender: SendRequest<Full<Bytes>>,
    url: Arc<str>,
}

impl Etcd {
    pub async fn connect(url: &str) -> Self {
        let socket = tokio::net::TcpStream::connect(url.trim_start_matches("http://")).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(socket)).await.unwrap();
        tokio::spawn(connection);
        Self { sender, url: url.into() }
    }

    async fn call(&self, method: &str, asked: &Asked) -> Bytes {
        let mut body = BytesMut::new();
        body.put_u8(0);
        body.put_u32(u32::try_from(asked.encoded_len()).unwrap());
        asked.encode(&mut body).unwrap();
        let request = hyper::Request::post(format!("{}/etcdserverpb.KV/{method}", self.url))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(body.freeze()))
            .unwrap();
        let answer =
            self.sender.clone().send_request(request).await.unwrap().into_body().collect().await.unwrap();
        let status = answer.trailers().and_then(|t| t.get("grpc-status")).map(|s| s.as_bytes().to_vec());
        assert_eq!(status.as_deref(), Some(&b"0"[..]), "{method}: {:?}", answer.trailers());
        answer.to_bytes().slice(5..)
    }

    /// Writes a reason into a pod's status.
    pub async fn mark(&self, name: &str, reason: &str) {
        let key = Bytes::from(format!("/registry/pods/default/{name}"));
        let found = self.call("Range", &Asked { key: key.clone(), value: Bytes::new() }).await;
        let found = Found::decode(found).unwrap();
        let value = &found.kvs.first().unwrap_or_else(|| panic!("{name} is not in the store")).value;
        let mut stored = Stored::decode(value.strip_prefix(MAGIC).expect("protobuf in the store")).unwrap();
        let status = Some(Status { reason: reason.to_owned() });
        let mut raw = BytesMut::from(&stored.raw[..]);
        Pod { status }.encode(&mut raw).unwrap();
        stored.raw = raw.freeze();
        let mut value = BytesMut::from(MAGIC);
        stored.encode(&mut value).unwrap();
        self.call("Put", &Asked { key, value: value.freeze() }).await;
    }
}
