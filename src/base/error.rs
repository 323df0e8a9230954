//! One error type with one code set for every door.
//!
//! A [`Code`] maps to an HTTP status, an MCP (JSON-RPC) error number, a process exit code and a
//! word for people, so that no door invents its own.

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call did not give its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The arguments do not fit the operation's schema, or contradict each other.
    InvalidArgument,
    /// No such operation, cluster, object, file.
    NotFound,
    /// The object to create is already there.
    AlreadyExists,
    /// The target changed since it was read or previewed, or another actor holds it.
    Conflict,
    /// No credential, or one that is not valid.
    Unauthenticated,
    /// The policy, or the target system, does not allow this actor to do it.
    PermissionDenied,
    /// A person refused the call.
    Refused,
    /// The approval ran out before it was used.
    Expired,
    /// Too many calls; try again later.
    RateLimited,
    /// The target cannot be reached now.
    Unavailable,
    /// The audit log cannot be written, so changes are refused.
    AuditUnavailable,
    /// No answer in time.
    Timeout,
    /// The caller gave up.
    Cancelled,
    /// The operation exists, but not for this target, server version or door.
    Unsupported,
    /// The call had started when the process ended; whether it took effect is not known.
    OutcomeUnknown,
    /// A defect of ours.
    Internal,
}

impl Code {
    pub const ALL: &[Code] = &[
        Code::InvalidArgument,
        Code::NotFound,
        Code::AlreadyExists,
        Code::Conflict,
        Code::Unauthenticated,
        Code::PermissionDenied,
        Code::Refused,
        Code::Expired,
        Code::RateLimited,
        Code::Unavailable,
        Code::AuditUnavailable,
        Code::Timeout,
        Code::Cancelled,
        Code::Unsupported,
        Code::OutcomeUnknown,
        Code::Internal,
    ];

    /// The snake_case word used in JSON, audit rows and logs.
    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    /// HTTP status, as RFC 9110 defines them.
    pub fn http_status(self) -> u16 {
        self.row().1
    }

    /// Process exit code of `qd NOUN VERB`. 0 is success, 2 wrong usage (as clap), the rest ours.
    pub fn exit_code(self) -> u8 {
        self.row().2
    }

    /// JSON-RPC error number for the cases that are protocol errors (JSON-RPC 2.0 section 5.1
    /// reserves -32768..-32000); the others travel as tool results with `isError`.
    pub fn json_rpc(self) -> i32 {
        self.row().3
    }

    /// A sentence naming the next step, used where the error itself does not name a better one.
    pub fn default_next(self) -> &'static str {
        self.row().4
    }

    fn row(self) -> (&'static str, u16, u8, i32, &'static str) {
        match self {
            Code::InvalidArgument => (
                "invalid_argument",
                400,
                2,
                -32602,
                "Look at what it takes: --help says it in a shell, operation_list to an agent.",
            ),
            Code::NotFound => ("not_found", 404, 4, -32002, "List what is there and try one of those names."),
            Code::AlreadyExists => {
                ("already_exists", 409, 5, -32003, "Choose another name, or change the one that is there.")
            }
            Code::Conflict => {
                ("conflict", 409, 6, -32004, "Read the target again and repeat the call on what it is now.")
            }
            Code::Unauthenticated => ("unauthenticated", 401, 7, -32005, "Give a valid credential."),
            Code::PermissionDenied => {
                ("permission_denied", 403, 8, -32006, "Ask for the right, or use an actor that has it.")
            }
            Code::Refused => ("refused", 403, 9, -32007, "Read the reason and propose something else."),
            Code::Expired => ("expired", 410, 10, -32008, "Propose the call again."),
            Code::RateLimited => ("rate_limited", 429, 11, -32009, "Wait a moment and try again."),
            Code::Unavailable => {
                ("unavailable", 503, 12, -32010, "Check that the target is up and can be reached from here.")
            }
            Code::AuditUnavailable => (
                "audit_unavailable",
                503,
                13,
                -32011,
                "Free space or mend the audit database; changes go on once it can be written.",
            ),
            Code::Timeout => ("timeout", 504, 14, -32012, "Try again, or raise the time-out."),
            Code::Cancelled => ("cancelled", 499, 15, -32013, "Call it again if it is still wanted."),
            Code::Unsupported => {
                ("unsupported", 501, 16, -32014, "Use an operation that this target supports.")
            }
            Code::OutcomeUnknown => {
                ("outcome_unknown", 500, 17, -32015, "Look at the target before doing it again.")
            }
            Code::Internal => (
                "internal",
                500,
                1,
                -32603,
                "This is a defect of Quarterdeck: the log in the state directory has more.",
            ),
        }
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error as every door shows it: what happened, and what to do next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    pub code: Code,
    /// One sentence of what happened, without a trailing "please".
    pub message: String,
    /// One sentence of what to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Machine-readable extras, such as the field at fault or an approval's identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Box<Value>>,
}

impl Error {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), next: None, details: None }
    }

    /// Names the next step.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    #[must_use]
    pub fn details(mut self, details: Value) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    /// What happened and what to do about it, for where both stand in one text.
    pub fn told(&self) -> String {
        format!("{}. {}", self.message, self.next_step())
    }

    /// The next step: its own, or the code's.
    pub fn next_step(&self) -> &str {
        self.next.as_deref().unwrap_or_else(|| self.code.default_next())
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Code::NotFound, message)
    }

    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Code::Unavailable, message)
    }

    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(Code::Unsupported, message)
    }

    pub fn internal(message: impl std::fmt::Display) -> Self {
        Self::new(Code::Internal, message.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_own_word_exit_code_and_json_rpc_number() {
        for (i, a) in Code::ALL.iter().enumerate() {
            for b in &Code::ALL[i + 1..] {
                assert_ne!(a.as_str(), b.as_str());
                assert_ne!(a.exit_code(), b.exit_code());
                assert_ne!(a.json_rpc(), b.json_rpc());
            }
            assert_eq!(serde_json::to_value(a).unwrap(), a.as_str());
            assert!(a.default_next().ends_with('.'));
        }
    }
}
