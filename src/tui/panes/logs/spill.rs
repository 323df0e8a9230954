//! Log lines on disk: what no longer fits into the memory that a pane may take.
//!
//! Chunks are written by a thread of their own into files that have no name: each is removed from its directory as
//! soon as it is open, so that the space is free again when the pane closes or the console dies, and nobody else can open it.
//! A file holds many chunks and goes with the last of them.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;

use parking_lot::Mutex;

use super::chunk::Chunk;

/// Size at which another file is begun.
const FILE_BYTES: u64 = 64 << 20;
/// So much is left free on the disk for others.
const LEFT_FREE: u64 = 512 << 20;
/// How the files are called in the moment in which they have a name.
const ENDING: &str = "lines";

/// Where lines may be written, and how many bytes of them.
#[derive(Debug, Clone)]
pub struct Disk {
    pub directory: PathBuf,
    /// 0: nothing is written.
    pub limit: u64,
    /// Bytes of closed chunks that stay in memory.
    pub memory: usize,
}

/// Bytes kept in memory where nothing can be written.
pub const MEMORY_ALONE: usize = 256 << 20;

impl Default for Disk {
    fn default() -> Self {
        Self { directory: PathBuf::new(), limit: 0, memory: MEMORY_ALONE }
    }
}

impl Disk {
    /// At most `limit` bytes in this directory, which need not be there yet.
    pub fn new(directory: PathBuf, limit: u64) -> Self {
        let memory = if limit == 0 { MEMORY_ALONE } else { 64 << 20 };
        Self { directory, limit, memory }
    }
}

/// What is known of all chunks together, by the pane and by the thread that writes.
#[derive(Debug, Default)]
pub struct Tally {
    /// Bytes of closed chunks in memory.
    resident: AtomicUsize,
    /// Of these, bytes that wait to be written.
    waiting: AtomicUsize,
    on_disk: AtomicU64,
    /// Why nothing more is written.
    failed: Mutex<Option<String>>,
}

impl Tally {
    pub fn resident(&self) -> usize {
        self.resident.load(Ordering::Relaxed)
    }

    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    pub fn on_disk(&self) -> u64 {
        self.on_disk.load(Ordering::Relaxed)
    }

    pub fn failed(&self) -> Option<String> {
        self.failed.lock().clone()
    }
}

/// Where a closed chunk is now.
#[derive(Debug)]
enum Place {
    Memory(Arc<Chunk>),
    Disk { file: Arc<File>, offset: u64, bytes: usize },
    Gone,
}

/// A closed chunk, wherever it is. Shared with whoever searches.
#[derive(Debug)]
pub struct Slot {
    pub first: u64,
    pub lines: usize,
    /// The earliest and the latest time of its lines.
    pub times: Option<(i64, i64)>,
    place: Mutex<Place>,
    tally: Arc<Tally>,
}

impl Slot {
    pub fn new(chunk: Arc<Chunk>, tally: &Arc<Tally>) -> Arc<Self> {
        tally.resident.fetch_add(chunk.size(), Ordering::Relaxed);
        Arc::new(Self {
            first: chunk.first,
            lines: chunk.len(),
            times: chunk.times(),
            place: Mutex::new(Place::Memory(chunk)),
            tally: tally.clone(),
        })
    }

    /// Number of the line after its last.
    pub fn end(&self) -> u64 {
        self.first + self.lines as u64
    }

    /// Its lines; `None` once they were let go. What cannot be read back is said in their place. Blocks on a disk that does.
    pub fn load(&self) -> Option<Arc<Chunk>> {
        let (file, offset, bytes) = match &*self.place.lock() {
            Place::Memory(chunk) => return Some(chunk.clone()),
            Place::Disk { file, offset, bytes } => (file.clone(), *offset, *bytes),
            Place::Gone => return None,
        };
        let mut buffer = vec![0; bytes];
        let read = file.read_exact_at(&mut buffer, offset).map_err(|e| e.to_string());
        let chunk = read.and_then(|()| {
            Chunk::decode(self.first, self.lines, buffer)
                .ok_or_else(|| "it is not what was written".to_owned())
        });
        Some(Arc::new(chunk.unwrap_or_else(|why| Chunk::unreadable(self.first, self.lines, &why))))
    }

    /// Lets its lines go.
    pub fn let_go(&self) {
        match std::mem::replace(&mut *self.place.lock(), Place::Gone) {
            Place::Memory(chunk) => {
                self.tally.resident.fetch_sub(chunk.size(), Ordering::Relaxed);
            }
            Place::Disk { bytes, .. } => {
                self.tally.on_disk.fetch_sub(bytes as u64, Ordering::Relaxed);
            }
            Place::Gone => {}
        }
    }

    fn in_memory(&self) -> Option<Arc<Chunk>> {
        if let Place::Memory(chunk) = &*self.place.lock() { Some(chunk.clone()) } else { None }
    }

    fn moved(&self, file: Arc<File>, offset: u64, bytes: usize) {
        let mut place = self.place.lock();
        // Lines that were let go meanwhile have left no place to move from.
        if let Place::Memory(chunk) = &*place {
            self.tally.resident.fetch_sub(chunk.size(), Ordering::Relaxed);
            self.tally.on_disk.fetch_add(bytes as u64, Ordering::Relaxed);
            *place = Place::Disk { file, offset, bytes };
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// The thread that writes. It ends with this.
#[derive(Debug)]
pub struct Spill {
    sender: mpsc::Sender<(Arc<Slot>, usize)>,
}

impl Spill {
    /// `None` if no thread can be had.
    pub fn start(disk: &Disk, tally: &Arc<Tally>) -> Option<Self> {
        let (sender, receiver) = mpsc::channel();
        let (directory, tally) = (disk.directory.clone(), tally.clone());
        let run = move || Writer { directory, tally, open: None }.run(&receiver);
        std::thread::Builder::new().name("log-spill".to_owned()).spawn(run).ok()?;
        Some(Self { sender })
    }

    /// Has a chunk written, and its memory given back then.
    pub fn take(&self, slot: &Arc<Slot>) {
        let bytes = slot.in_memory().map_or(0, |chunk| chunk.size());
        slot.tally.waiting.fetch_add(bytes, Ordering::Relaxed);
        if self.sender.send((slot.clone(), bytes)).is_err() {
            slot.tally.waiting.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

struct Writer {
    directory: PathBuf,
    tally: Arc<Tally>,
    /// The file being filled, and how far.
    open: Option<(Arc<File>, u64)>,
}

impl Writer {
    fn run(mut self, slots: &mpsc::Receiver<(Arc<Slot>, usize)>) {
        self.sweep();
        for (slot, bytes) in slots {
            // What was let go before its turn need not be written.
            let chunk = slot.in_memory().filter(|_| self.tally.failed.lock().is_none());
            let written = chunk.map_or(Ok(()), |chunk| self.write(&slot, &chunk));
            if let Err(error) = written {
                tracing::warn!(%error, "log lines are not written to disk any more");
                *self.tally.failed.lock() = Some(error.to_string());
            }
            self.tally.waiting.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// Removes the names of files that a console which died had no time to remove.
    fn sweep(&self) {
        for entry in std::fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|e| e == ENDING) {
                // Another console may be as quick.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    fn write(&mut self, slot: &Slot, chunk: &Chunk) -> std::io::Result<()> {
        let bytes = chunk.encode();
        if self.open.as_ref().is_none_or(|(_, filled)| *filled >= FILE_BYTES) {
            self.open = Some((Arc::new(nameless(&self.directory)?), 0));
        }
        let Some((file, filled)) = &mut self.open else { return Ok(()) };
        file.write_all_at(&bytes, *filled)?;
        slot.moved(file.clone(), *filled, bytes.len());
        *filled += bytes.len() as u64;
        Ok(())
    }
}

/// A file that only this process can reach, and whose space is free when it is closed.
fn nameless(directory: &Path) -> std::io::Result<File> {
    crate::base::paths::private_dir(directory).map_err(|e| std::io::Error::other(e.message))?;
    let space = rustix::fs::statvfs(directory)?;
    if space.f_bavail.saturating_mul(space.f_frsize) < LEFT_FREE {
        return Err(std::io::Error::other(format!(
            "the disk of {} has less than {} MiB left",
            directory.display(),
            LEFT_FREE >> 20
        )));
    }
    let path = directory.join(format!("{}.{ENDING}", crate::base::ids::CallId::new()));
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    match std::fs::remove_file(&path) {
        // Swept by another console.
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
        _ => Ok(file),
    }
}

#[cfg(test)]
mod tests {
    use super::super::chunk::Kind;
    use super::*;

    fn slot(first: u64, tally: &Arc<Tally>) -> Arc<Slot> {
        let mut chunk = Chunk::from_number(first);
        for i in 0..10 {
            chunk.push(&format!("line {}", first + i), i as i64, 0, Kind::Text, false);
        }
        Slot::new(Arc::new(chunk), tally)
    }

    fn written(tally: &Tally) {
        let began = std::time::Instant::now();
        while tally.waiting() > 0 {
            assert!(began.elapsed().as_secs() < 20, "the thread does not write");
            std::thread::yield_now();
        }
    }

    #[test]
    fn chunks_go_to_files_without_a_name_and_come_back() {
        let home = tempfile::tempdir().unwrap();
        let disk = Disk { directory: home.path().join("lines"), limit: 1 << 30, memory: 0 };
        let tally = Arc::new(Tally::default());
        let spill = Spill::start(&disk, &tally).unwrap();
        let slots: Vec<_> = (0..20).map(|i| slot(i * 10, &tally)).collect();
        slots.iter().for_each(|s| spill.take(s));
        written(&tally);
        assert_eq!((tally.resident(), tally.failed()), (0, None));
        assert!(tally.on_disk() > 20 * 70);
        for s in &slots {
            let chunk = s.load().unwrap();
            assert_eq!(chunk.line(9).text, format!("line {}", s.first + 9));
        }
        let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&disk.directory).unwrap());
        assert_eq!(mode & 0o777, 0o700);
        assert_eq!(std::fs::read_dir(&disk.directory).unwrap().count(), 0, "nothing has a name");
        slots[0].let_go();
        assert!(slots[0].load().is_none());
        drop(slots);
        assert_eq!(tally.on_disk(), 0);
    }

    #[test]
    fn a_directory_that_takes_nothing_is_said_and_the_lines_stay() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("file"), "x").unwrap();
        let disk = Disk { directory: home.path().join("file/lines"), limit: 1 << 30, memory: 0 };
        let tally = Arc::new(Tally::default());
        let spill = Spill::start(&disk, &tally).unwrap();
        let one = slot(0, &tally);
        spill.take(&one);
        written(&tally);
        assert!(tally.failed().is_some());
        assert_eq!(one.load().unwrap().line(3).text, "line 3");
    }
}
