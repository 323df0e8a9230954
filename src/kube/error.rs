//! What can go wrong between us and an API server, and what a person should do about it.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::wire;
use crate::base::{self, Code};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed step on the way to, or at, an API server.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    #[error("the kubeconfig {path} cannot be used: {reason}")]
    Kubeconfig { path: String, reason: String },
    #[error("there is no Kubernetes context: no kubeconfig was found and this is not a pod")]
    NoContexts,
    #[error("the kubeconfig names no current context")]
    NoCurrentContext,
    #[error("there is no context {name:?} in the kubeconfig")]
    UnknownContext { name: String, nearest: Option<String> },
    #[error("{context}: {reason}")]
    Settings { context: String, reason: String },
    #[error("cannot connect to {server}: {reason}")]
    Connect { server: String, reason: String, next: String },
    #[error("the connection to {server} broke: {reason}")]
    Broken { server: String, reason: String },
    #[error("{server} did not answer within {seconds} s")]
    Timeout { server: String, seconds: u64 },
    #[error("no credential for {context}: {reason}")]
    Credential { context: String, reason: String, next: String },
    #[error("{}", status.sentence())]
    Status { server: String, status: Box<Status> },
    #[error("{server} sent what cannot be read as {what}: {reason}")]
    Decode { server: String, what: &'static str, reason: String },
    #[error("{cluster} has no kind {kind:?}")]
    UnknownKind { cluster: String, kind: String, nearest: Option<String> },
    #[error("{what} is too large: more than {limit} bytes")]
    TooLarge { what: String, limit: usize },
    #[error("the request is not valid: {0}")]
    Request(String),
    #[error("no Kubernetes name or namespace holds \"/\", \"%\", line ends or only dots: {0:?}")]
    Name(String),
}

impl Error {
    /// The HTTP status, when the server answered with one.
    pub fn http_status(&self) -> Option<u16> {
        match self {
            Error::Status { status, .. } => Some(status.code),
            _ => None,
        }
    }

    /// 410: the resource version asked for is no longer kept.
    pub fn is_gone(&self) -> bool {
        self.http_status() == Some(410)
            || matches!(self, Error::Status { status, .. } if status.reason == "Expired")
    }

    pub fn is_forbidden(&self) -> bool {
        self.http_status() == Some(403)
    }

    pub fn is_not_found(&self) -> bool {
        self.http_status() == Some(404)
    }

    /// The code that the doors know.
    pub fn code(&self) -> Code {
        match self {
            Error::Kubeconfig { .. } | Error::Settings { .. } => Code::InvalidArgument,
            Error::NoContexts
            | Error::NoCurrentContext
            | Error::UnknownContext { .. }
            | Error::UnknownKind { .. } => Code::NotFound,
            Error::Connect { .. } | Error::Broken { .. } => Code::Unavailable,
            Error::Timeout { .. } => Code::Timeout,
            Error::Credential { .. } => Code::Unauthenticated,
            Error::Status { status, .. } => status.base_code(),
            Error::Decode { .. } | Error::TooLarge { .. } => Code::Unsupported,
            Error::Request(_) | Error::Name(_) => Code::InvalidArgument,
        }
    }

    /// What a person should do next, where it is not what the code says anyway.
    fn next(&self) -> Option<String> {
        let nearest = |n: &Option<String>| n.as_ref().map(|n| format!("Did you mean {n:?}?"));
        match self {
            Error::Kubeconfig { .. } | Error::Settings { .. } => {
                Some("Mend the file, or name another with --kubeconfig or KUBECONFIG.".into())
            }
            Error::NoContexts => {
                Some("Name a file with --kubeconfig or KUBECONFIG, or try `qd lab`, which needs none.".into())
            }
            Error::NoCurrentContext => {
                Some("Name a context, or run `kubectl config use-context NAME`.".into())
            }
            Error::UnknownContext { nearest: n, .. } => Some(nearest(n).unwrap_or_else(|| {
                "`:clusters` on the screen, and cluster_list, show which there are.".into()
            })),
            Error::UnknownKind { nearest: n, .. } => {
                Some(nearest(n).unwrap_or_else(|| "List the kinds with kind_list.".into()))
            }
            Error::Connect { next, .. } | Error::Credential { next, .. } => Some(next.clone()),
            Error::Broken { .. } | Error::Timeout { .. } => {
                Some("Try again; if it stays so, check the network between here and the API server.".into())
            }
            Error::Status { status, .. } => status.next(),
            Error::Decode { .. } => {
                Some("Check that the address is a Kubernetes API server and not another service.".into())
            }
            Error::Name(_) => {
                Some("Name the object by its kind, its namespace and its name, each by itself.".into())
            }
            Error::TooLarge { .. } | Error::Request(_) => None,
        }
    }
}

impl From<Error> for base::Error {
    fn from(error: Error) -> Self {
        let mut out = base::Error::new(error.code(), error.to_string());
        out.next = error.next();
        if let Error::Status { status, .. } = &error {
            out.details = Some(Box::new(json!({ "reason": status.reason, "status": status.code })));
        }
        out
    }
}

/// The body of an answer that is not a success: `meta/v1 Status`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    pub code: u16,
    /// A CamelCase word, such as `NotFound` or `Invalid`; empty if the body was not a Status.
    pub reason: String,
    pub message: String,
    pub details: StatusDetails,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StatusDetails {
    pub name: String,
    pub kind: String,
    pub causes: Vec<StatusCause>,
    pub retry_after_seconds: u64,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StatusCause {
    pub reason: String,
    pub message: String,
    /// The path of the field at fault, as `spec.replicas`.
    pub field: String,
}

impl Status {
    /// Reads an error body; one that is no Status (a proxy's page, say) gives its first line.
    pub fn from_body(code: u16, body: &[u8]) -> Self {
        // Who asks for protobuf gets errors in it too.
        if wire::is_protobuf(body)
            && let Ok(mut status) =
                wire::unwrap(Bytes::copy_from_slice(body)).and_then(|(_, raw)| wire::status(raw))
        {
            status.code = code;
            return status;
        }
        match serde_json::from_slice::<Status>(body) {
            Ok(mut status) if !status.message.is_empty() || !status.reason.is_empty() => {
                if status.code == 0 {
                    status.code = code;
                }
                status
            }
            _ => {
                let text = String::from_utf8_lossy(&body[..body.len().min(300)]);
                let line = text.lines().find(|l| !l.trim().is_empty()).unwrap_or("").trim();
                Status { code, message: line.to_owned(), ..Status::default() }
            }
        }
    }

    fn sentence(&self) -> String {
        let words = match self.code {
            401 => "the API server refused the credential: 401",
            _ if !self.message.is_empty() => return self.message.clone(),
            _ => return format!("the API server answered {} {}", self.code, self.reason).trim().to_owned(),
        };
        match self.message.as_str() {
            "" | "Unauthorized" => format!("{words} Unauthorized"),
            message => format!("{words} {message}"),
        }
    }

    /// The reasons are those of `apimachinery/pkg/apis/meta/v1/types.go`.
    fn base_code(&self) -> Code {
        match (self.reason.as_str(), self.code) {
            ("AlreadyExists", _) => Code::AlreadyExists,
            (_, 400 | 422) => Code::InvalidArgument,
            (_, 401) => Code::Unauthenticated,
            (_, 403) => Code::PermissionDenied,
            (_, 404) => Code::NotFound,
            (_, 405 | 406 | 415) => Code::Unsupported,
            (_, 409) => Code::Conflict,
            (_, 410) => Code::Expired,
            (_, 429) => Code::RateLimited,
            (_, 504) => Code::Timeout,
            _ => Code::Unavailable,
        }
    }

    fn next(&self) -> Option<String> {
        match (self.reason.as_str(), self.code) {
            (_, 401) => Some("Log in again, or mend the context's user in the kubeconfig.".into()),
            (_, 403) if self.message.contains("cannot impersonate") => Some(
                "Ask a cluster administrator for the right to impersonate, or leave out --as (or the `as` of the \
                 context's user in the kubeconfig)."
                    .into(),
            ),
            (_, 403) if self.message.contains("at the cluster scope") => Some(
                "If you have rights in some namespaces only, name one; else ask a cluster administrator, or use another context."
                    .into(),
            ),
            (_, 403) => Some("Ask a cluster administrator for the right, or use another context.".into()),
            ("Invalid", _) => Some("Change the fields that the message names.".into()),
            (_, 429) if self.details.retry_after_seconds > 0 => {
                Some(format!("Try again in {} s.", self.details.retry_after_seconds))
            }
            (_, 500..) => {
                Some("Try again; if it stays so, look at the API server's health and its log.".into())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_body_gives_reason_code_and_next_step() {
        let body = br#"{"kind":"Status","status":"Failure","message":"pods \"a\" not found","reason":"NotFound","details":{"name":"a","kind":"pods"},"code":404}"#;
        let error = Error::Status { server: "s".into(), status: Box::new(Status::from_body(404, body)) };
        let base: base::Error = error.into();
        assert_eq!(base.code, Code::NotFound);
        assert_eq!(base.message, "pods \"a\" not found");
        assert_eq!(base.details.unwrap()["reason"], "NotFound");
    }

    #[test]
    fn a_body_that_is_no_status_gives_its_first_line() {
        let status = Status::from_body(502, b"\n <html>bad gateway</html>\nmore");
        assert_eq!(status.message, "<html>bad gateway</html>");
        assert_eq!(status.base_code(), Code::Unavailable);
        assert_eq!(
            Status::from_body(401, b"").sentence(),
            "the API server refused the credential: 401 Unauthorized"
        );
    }
}
