//! Into a container.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{Copied, Progress, Side, pipe, script, words};
use crate::base::{self, Code};
use crate::kube::exec::{Collected, Exit, Limits, Process, Put, collect};

/// For the small commands around the copy.
const SMALL: Limits = Limits { bytes: 8 * 1024, time: Duration::from_secs(60) };

/// Copies a file or a directory to the path `to`, or into it where it is a directory. Gives where it is now.
pub async fn upload(
    from: &Path,
    into: &Side<'_>,
    to: &str,
    progress: Progress<'_>,
) -> base::Result<(Copied, String)> {
    let kind = fs::metadata(from).map_err(|e| {
        base::Error::not_found(format!("{} cannot be read: {e}", from.display()))
            .next("Check the path, and that it is yours to read.")
    })?;
    let name = from.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let inside = to.ends_with('/') || is_directory(into, to).await?;
    let to = match (inside, name.is_empty()) {
        (true, false) => format!("{}/{name}", to.trim_end_matches('/')),
        _ => to.to_owned(),
    };
    let (directory, last) = super::end::split(&to);
    let mut copied = match by_tar(from, into, &directory, &last, progress).await? {
        Some(copied) => copied,
        None => by_shell(from, into, &to, kind.is_dir(), progress).await?,
    };
    copied.checked = check(into, &to, &copied).await?;
    Ok((copied, to))
}

/// Runs a small command; `None` where the container does not have it.
async fn small(into: &Side<'_>, command: &[String]) -> base::Result<Option<Collected>> {
    let process = match Process::start(&into.pod.cluster, &into.command(command, false)).await {
        Ok(process) => process,
        Err(e) if e.http_status() == Some(500) && Exit::Failed(e.to_string()).is_missing() => {
            return Ok(None);
        }
        Err(e) => return Err(e.into()),
    };
    let done = collect(process, None, SMALL).await?;
    Ok((!done.exit.is_missing()).then_some(done))
}

async fn is_directory(into: &Side<'_>, path: &str) -> base::Result<bool> {
    Ok(small(into, &words(["test", "-d", path])).await?.is_some_and(|done| done.exit == Exit::Code(0)))
}

/// `None`: the container has no tar.
async fn by_tar(
    from: &Path,
    into: &Side<'_>,
    directory: &str,
    name: &str,
    progress: Progress<'_>,
) -> base::Result<Option<Copied>> {
    if small(into, &words(["mkdir", "-p", directory])).await?.is_some_and(|d| d.exit != Exit::Code(0)) {
        return Err(base::Error::unavailable(format!("{directory} cannot be made in the container"))
            .next("Its file system may be read-only: choose a volume or /tmp."));
    }
    // `o`: the files are the user's who runs there, as kubectl has it.
    let command = words(["tar", "xof", "-", "-C", directory]);
    let process = match Process::start(&into.pod.cluster, &into.command(&command, true)).await {
        Ok(process) => process,
        Err(e) if e.http_status() == Some(500) && Exit::Failed(e.to_string()).is_missing() => {
            return Ok(None);
        }
        Err(e) => return Err(e.into()),
    };
    let (writer, pieces) = pipe::from_thread();
    let (from, name) = (from.to_owned(), name.to_owned());
    let packing = tokio::task::spawn_blocking(move || pack(&from, &name, writer));
    let done = send(process, pieces, progress).await?;
    let packed = packing.await.map_err(base::Error::internal)?;
    if done.exit.is_missing() {
        return Ok(None);
    }
    let code = done.exit.code(&command)?;
    if code != 0 {
        return Err(base::Error::new(
            Code::Unavailable,
            format!("the container's tar ended with {code}: {}; a part may be there", done.error.trim()),
        )
        .next("Its disk may be full or read-only: choose a volume or /tmp."));
    }
    Ok(Some(packed?))
}

/// Feeds a process with pieces while it runs, to its end.
async fn send(
    process: Process,
    mut pieces: mpsc::Receiver<Bytes>,
    progress: Progress<'_>,
) -> base::Result<Collected> {
    if !process.can_end_input() {
        return Err(base::Error::unsupported(
            "this server cannot be told where a file ends (it has no v5.channel.k8s.io)",
        )
        .next("Kubernetes 1.30 and newer can."));
    }
    let input = process.input.clone();
    let feeding = async move {
        let mut sent = 0;
        while let Some(bytes) = pieces.recv().await {
            sent += bytes.len() as u64;
            if input.send(Put::Bytes(bytes)).await.is_err() {
                break;
            }
            progress(sent, None, "");
        }
        let _ = input.send(Put::End).await;
        std::future::pending::<()>().await;
    };
    // As long as it takes: bytes that move are seen to move.
    let limits = Limits { time: Duration::from_secs(24 * 3600), ..SMALL };
    tokio::select! {
        done = collect(process, None, limits) => done,
        () = feeding => Err(base::Error::internal("feeding a copy ended")),
    }
}

/// Writes the archive of a file or a directory, under another name.
fn pack(from: &Path, name: &str, writer: pipe::Writer) -> base::Result<Copied> {
    let mut copied = Copied { by: "tar", ..Copied::default() };
    let mut archive = tar::Builder::new(writer);
    // Links are sent as links; what they lead to may be anywhere.
    archive.follow_symlinks(false);
    let base = if name == "." { PathBuf::from(".") } else { PathBuf::from(name) };
    let mut waiting = vec![(from.to_owned(), base)];
    while let Some((path, inside)) = waiting.pop() {
        let cannot =
            |e: std::io::Error| base::Error::unavailable(format!("{} cannot be sent: {e}", path.display()));
        // The root itself may be a link to what is meant.
        let kind =
            if path == from { fs::metadata(&path) } else { fs::symlink_metadata(&path) }.map_err(cannot)?;
        if kind.is_dir() {
            copied.directories += 1;
            if inside != Path::new(".") {
                archive.append_dir(&inside, &path).map_err(cannot)?;
            }
            for entry in fs::read_dir(&path).map_err(cannot)? {
                let entry = entry.map_err(cannot)?;
                waiting.push((entry.path(), inside.join(entry.file_name())));
            }
        } else if kind.is_file() {
            let mut file = fs::File::open(&path).map_err(cannot)?;
            let size = file.metadata().map_err(cannot)?.len();
            let mut header = tar::Header::new_gnu();
            header.set_metadata(&kind);
            header.set_size(size);
            // A file that grows meanwhile is sent as long as it was.
            archive.append_data(&mut header, &inside, (&mut file).take(size)).map_err(cannot)?;
            copied.files += 1;
            copied.bytes += size;
        } else if kind.is_symlink() {
            archive.append_path_with_name(&path, &inside).map_err(cannot)?;
        } else {
            copied.skip(format!("{}: a device, a pipe or a socket", path.display()));
        }
    }
    let mut writer = archive.into_inner().map_err(base::Error::internal)?;
    // Broken: the process has ended, and its exit code says why.
    let _ = std::io::Write::flush(&mut writer);
    Ok(copied)
}

/// One command a file.
async fn by_shell(
    from: &Path,
    into: &Side<'_>,
    to: &str,
    directory: bool,
    progress: Progress<'_>,
) -> base::Result<Copied> {
    let mut copied = Copied { by: "a shell", ..Copied::default() };
    let mut waiting = vec![(from.to_owned(), to.to_owned())];
    if directory {
        copied.directories = 1;
    }
    while let Some((path, target)) = waiting.pop() {
        let cannot =
            |e: std::io::Error| base::Error::unavailable(format!("{} cannot be sent: {e}", path.display()));
        let kind =
            if path == from { fs::metadata(&path) } else { fs::symlink_metadata(&path) }.map_err(cannot)?;
        if kind.is_dir() {
            for entry in fs::read_dir(&path).map_err(cannot)? {
                let entry = entry.map_err(cannot)?;
                waiting.push((entry.path(), format!("{target}/{}", entry.file_name().to_string_lossy())));
            }
            continue;
        }
        if !kind.is_file() {
            copied.skip(format!("{}: a link or a device, and the container has no tar", path.display()));
            continue;
        }
        let command = words(["sh", "-c", script::STORE, "sh", &target]);
        let process = Process::start(&into.pod.cluster, &into.command(&command, true)).await?;
        let (mut writer, pieces) = pipe::from_thread();
        let reading = tokio::task::spawn_blocking(move || {
            let mut file = fs::File::open(&path)?;
            let n = std::io::copy(&mut file, &mut writer)?;
            std::io::Write::flush(&mut writer).map(|()| n)
        });
        let done = send(process, pieces, progress).await?;
        let sent = reading.await.map_err(base::Error::internal)?;
        if done.exit.is_missing() {
            return Err(base::Error::unsupported(format!(
                "the container {} has neither tar nor a shell",
                into.container
            ))
            .next("container_debug puts a container with tools beside it; its files are under /proc/1/root there."));
        }
        let code = done.exit.code(&command)?;
        if code != 0 {
            return Err(base::Error::unavailable(format!("{target} was not written: {}", done.error.trim())));
        }
        copied.bytes +=
            sent.map_err(|e| base::Error::unavailable(format!("a file could not be read: {e}")))?;
        copied.files += 1;
    }
    Ok(copied)
}

/// Compares how many files and bytes are there now with what was sent; `None` where there is nothing to count with.
async fn check(into: &Side<'_>, to: &str, copied: &Copied) -> base::Result<Option<String>> {
    const COUNT: &str =
        r#"find "$1" -type f | tr -dc '\n' | wc -c; find "$1" -type f -exec cat {} + | wc -c"#;
    let counted = match small(into, &words(["sh", "-c", COUNT, "sh", to])).await? {
        Some(done) if done.exit == Exit::Code(0) => done.out,
        _ => return Ok(None),
    };
    let mut numbers = counted.split_whitespace().map(str::parse::<u64>);
    let (Some(Ok(files)), Some(Ok(bytes))) = (numbers.next(), numbers.next()) else { return Ok(None) };
    // A directory that was there before may hold more; a name with a line feed counts twice.
    if bytes < copied.bytes || files < copied.files {
        return Err(base::Error::unavailable(format!(
            "{to} holds {bytes} bytes in {files} files where {} bytes in {} files were sent",
            copied.bytes, copied.files
        ))
        .next("Something else changes it meanwhile, or its disk is full: look at it before it is used."));
    }
    Ok(Some(format!("{files} files and {bytes} bytes are there")))
}
