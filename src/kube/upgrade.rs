//! Why a connection could not be upgraded to a WebSocket, in the words of every other failure.

use kube::client::UpgradeConnectionError;

use super::connect;
use super::error::{Error, Status, StatusCause, StatusDetails};

/// Turns kube's error into ours.
pub(super) fn explain(server: &str, error: kube::Error) -> Error {
    let broken = |reason: String| Error::Broken { server: server.to_owned(), reason };
    match error {
        kube::Error::Api(status) => {
            Error::Status { server: server.to_owned(), status: Box::new(translate(*status)) }
        }
        kube::Error::UpgradeConnection(UpgradeConnectionError::ProtocolSwitch(code)) => broken(format!(
            "it answered {code} where a WebSocket was asked for; a proxy on the way may not let them through"
        )),
        kube::Error::Service(inner) => match inner.downcast::<hyper_util::client::legacy::Error>() {
            Ok(error) => connect::explain(server, &error),
            Err(inner) => match inner.downcast::<Error>() {
                Ok(error) => *error,
                // kube puts a buffer around the service, which wraps what it passes on.
                Err(inner) => wrapped(server, inner.as_ref()),
            },
        },
        other => broken(other.to_string()),
    }
}

fn wrapped(server: &str, error: &(dyn std::error::Error + 'static)) -> Error {
    let mut next = Some(error);
    while let Some(e) = next {
        if let Some(found) = e.downcast_ref::<hyper_util::client::legacy::Error>() {
            return connect::explain(server, found);
        }
        if let Some(found) = e.downcast_ref::<Error>() {
            return found.clone();
        }
        next = e.source();
    }
    Error::Broken { server: server.to_owned(), reason: error.to_string() }
}

fn translate(status: kube::core::Status) -> Status {
    let cause = |c: kube::core::response::StatusCause| StatusCause {
        reason: c.reason,
        message: c.message,
        field: c.field,
    };
    Status {
        code: status.code,
        reason: status.reason,
        message: status.message,
        details: status.details.map_or_else(StatusDetails::default, |details| StatusDetails {
            name: details.name,
            kind: details.kind,
            causes: details.causes.into_iter().map(cause).collect(),
            retry_after_seconds: details.retry_after_seconds.into(),
        }),
    }
}
