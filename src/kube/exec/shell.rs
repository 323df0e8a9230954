//! Finding a shell in a container: bash, else sh, else ash.

use std::time::Duration;

use super::process::{Command, Piece, Process, Put};
use crate::base::{self, Code};
use crate::kube::Cluster;

/// The shells, in the order in which they are wanted. The second looks for bash itself, which costs no second try.
const SHELLS: &[&[&str]] = &[
    &["sh", "-c", "command -v bash >/dev/null 2>&1 && exec bash; exec sh"],
    &["bash"],
    &["ash"],
    &["/busybox/sh"],
];

/// How long the first word of a shell is waited for.
const FIRST: Duration = Duration::from_secs(3);

/// There is no shell in the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoShell;

impl NoShell {
    pub fn error(container: &str, pod: &str) -> base::Error {
        base::Error::new(
            Code::Unsupported,
            format!("there is no shell in the container {container} of {pod}: neither bash, sh nor ash"),
        )
        .next(format!(
            "A debug container beside it has one: `qd container debug {pod} --target {container}`, or Shift-d on the pod."
        ))
    }
}

/// Starts a shell with a terminal of that size. The first piece that it wrote comes along: it is the proof that it runs.
pub async fn open(
    cluster: &Cluster,
    namespace: &str,
    pod: &str,
    container: &str,
    size: Option<(u16, u16)>,
) -> base::Result<Result<(Process, Option<Piece>), NoShell>> {
    for shell in SHELLS {
        let words: Vec<String> = shell.iter().map(|w| (*w).to_owned()).collect();
        let command = Command { namespace, pod, container, words: &words, stdin: true, tty: true };
        let mut process = match Process::start(cluster, &command).await {
            Ok(process) => process,
            // Older runtimes say so before the connection is upgraded.
            Err(e) if e.http_status() == Some(500) && super::Exit::Failed(e.to_string()).is_missing() => {
                continue;
            }
            Err(e) => return Err(e.into()),
        };
        if let Some((columns, rows)) = size {
            // A process that has ended already shows below.
            let _ = process.input.send(Put::Size { columns, rows }).await;
        }
        // A prompt comes at once; a shell that says nothing is one all the same.
        let Ok(first) = tokio::time::timeout(FIRST, process.next()).await else {
            return Ok(Ok((process, None)));
        };
        match first? {
            // Docker's runtime says on the terminal what others say in the status alone.
            Some(piece) if is_refusal(&piece) => while process.next().await?.is_some() {},
            Some(piece) => return Ok(Ok((process, Some(piece)))),
            None if process.exit()?.is_missing() => {}
            None => return Ok(Ok((process, None))),
        }
    }
    Ok(Err(NoShell))
}

fn is_refusal(piece: &Piece) -> bool {
    let (Piece::Out(bytes) | Piece::Error(bytes)) = piece;
    bytes.starts_with(b"OCI runtime exec failed")
}
