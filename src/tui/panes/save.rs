//! Writing what a pane shows into a file of the operator's own.

use std::any::Any;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::base::paths::{Paths, private_dir};
use crate::base::{Error, Result};
use crate::tui::effect::{Cx, Flash, Ticket};

/// Makes a new file, readable by its owner alone, in `saved/` of the state directory, and has `write`
/// fill it. Gives its path. Blocks: call it on a job.
pub fn save(
    name: &str,
    ending: &str,
    now: Timestamp,
    write: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> Result<PathBuf> {
    let folder = Paths::discover()?.state.join("saved");
    private_dir(&folder)?;
    let path = folder.join(format!("{}-{}.{ending}", file_name(name), now.strftime("%Y%m%dT%H%M%S%3f")));
    fill(&path, write)?;
    Ok(path)
}

/// Makes a new file at `path`, readable by its owner alone, and has `write` fill it. What is there is not replaced. Blocks:
/// call it on a job.
pub fn fill(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>) -> Result<()> {
    let failed = |e: std::io::Error| {
        Error::unavailable(format!("{} could not be written: {e}", path.display()))
            .next("Check that its directory is there and yours to write, that it has space, and that no such file is there.")
    };
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    let mut out = BufWriter::new(file);
    // A full disk may be noticed as late as here. Half a file is not one that was saved.
    let written = write(&mut out).and_then(|()| out.flush()).and_then(|()| out.get_ref().sync_all());
    if written.is_err() {
        let _ = std::fs::remove_file(path);
    }
    written.map_err(failed)
}

/// Writes a table as CSV on a job: a disk may hang. [`saved`] says how it went.
pub fn csv(name: &str, text: String, rows: usize, cx: &mut Cx<'_>) -> Ticket {
    let (name, now) = (name.to_owned(), cx.now);
    cx.job(move || save(&name, "csv", now, |out| out.write_all(text.as_bytes())).map(|path| (path, rows)))
}

/// Says where the rows of a [`csv`] are, or why they are nowhere.
pub fn saved(value: Box<dyn Any + Send>, cx: &mut Cx<'_>) {
    match value.downcast::<Result<(PathBuf, usize)>>().map(|result| *result) {
        Ok(Ok((path, 1))) => cx.flash(Flash::info(format!("1 row saved to {}", path.display()))),
        Ok(Ok((path, rows))) => cx.flash(Flash::info(format!("{rows} rows saved to {}", path.display()))),
        Ok(Err(error)) => cx.error(&error),
        Err(_) => {}
    }
}

/// Says where a text is, or why it is nowhere.
pub fn saved_text(value: Box<dyn Any + Send>, cx: &mut Cx<'_>) {
    match value.downcast::<Result<PathBuf>>().map(|result| *result) {
        Ok(Ok(path)) => cx.flash(Flash::info(format!("saved to {}", path.display()))),
        Ok(Err(error)) => cx.error(&error),
        Err(_) => {}
    }
}

/// Names of objects may hold `/`, `:` and worse.
fn file_name(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    let name: String = name.chars().take(120).map(safe).collect();
    name.trim_start_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leaves_the_folder() {
        assert_eq!(file_name("../../etc/passwd"), "-..-etc-passwd");
        assert_eq!(file_name("shop/api:main\x1b"), "shop-api-main-");
    }
}
