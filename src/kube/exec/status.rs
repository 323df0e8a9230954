//! How a command ended, from the `Status` object that the server sends last.

use crate::base;
use crate::kube::Status;

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// It ran, and ended with this code.
    Code(i32),
    /// It could not be started, or was lost: in the words of the container runtime.
    Failed(String),
}

impl Exit {
    /// Reads the body of channel 3.
    pub fn from_status(body: &[u8]) -> Self {
        #[derive(serde::Deserialize)]
        struct Summary {
            #[serde(default)]
            status: String,
        }
        let summary: Option<Summary> = serde_json::from_slice(body).ok();
        if summary.is_some_and(|s| s.status == "Success") {
            return Exit::Code(0);
        }
        let status = Status::from_body(500, body);
        let code = status.details.causes.iter().find(|c| c.reason == "ExitCode");
        match code.and_then(|c| c.message.parse().ok()) {
            Some(code) => Exit::Code(code),
            None => Exit::Failed(status.message),
        }
    }

    /// Whether there is no such program in the container.
    pub fn is_missing(&self) -> bool {
        let Exit::Failed(words) = self else { return false };
        is_missing(words)
    }

    /// The code, or an error that says why there is none.
    pub fn code(&self, command: &[String]) -> base::Result<i32> {
        match self {
            Exit::Code(code) => Ok(*code),
            Exit::Failed(words) => {
                let program = command.first().map(String::as_str).unwrap_or_default();
                Err(if is_missing(words) {
                    base::Error::not_found(format!("there is no program {program:?} in the container")).next(
                        "Name one that the image has; container_debug puts a container with tools beside it.",
                    )
                } else {
                    base::Error::unavailable(format!("the command did not run: {}", plain(words)))
                        .next("resource_describe on the pod tells whether the container runs.")
                })
            }
        }
    }
}

/// What runc, crun and their like say where a program is missing.
fn is_missing(words: &str) -> bool {
    ["executable file not found", "no such file or directory", "executable file `", "not found in $PATH"]
        .iter()
        .any(|w| words.contains(w))
}

/// The end of the chain of wrapped errors, which is the part that says something.
fn plain(words: &str) -> String {
    let words = words.strip_prefix("Internal error occurred: ").unwrap_or(words);
    let mut cut = words;
    for marker in ["OCI runtime exec failed: ", "unable to start container process: ", "rpc error: code = "] {
        if let Some(at) = cut.find(marker) {
            cut = &cut[at + marker.len()..];
        }
    }
    cut.trim_end_matches(": unknown").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_gives_the_exit_code_or_the_reason() {
        assert_eq!(Exit::from_status(br#"{"metadata":{},"status":"Success"}"#), Exit::Code(0));
        let failed = br#"{"metadata":{},"status":"Failure","message":"command terminated with non-zero exit code: exit status 3","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}"#;
        assert_eq!(Exit::from_status(failed), Exit::Code(3));
        let missing = br#"{"metadata":{},"status":"Failure","message":"Internal error occurred: error executing command in container: failed to exec in container: failed to start exec \"x\": OCI runtime exec failed: exec failed: unable to start container process: exec: \"bash\": executable file not found in $PATH: unknown","reason":"InternalError","code":500}"#;
        let exit = Exit::from_status(missing);
        assert!(exit.is_missing());
        let error = exit.code(&["bash".to_owned()]).unwrap_err();
        assert_eq!(error.message, "there is no program \"bash\" in the container");
        let lost =
            Exit::Failed("Internal error occurred: OCI runtime exec failed: cgroup gone: unknown".into());
        assert!(lost.code(&[]).unwrap_err().message.ends_with("did not run: cgroup gone"));
    }
}
