//! The file of the log, and the thread that owns it.
//!
//! One file, `log.wal`, to which records are added (see [`crate::wal`]); votes go elsewhere ([`crate::ledger`]). The thread takes
//! all jobs that are waiting, writes them at once, syncs once, and then tells everyone. A write or sync that fails ends the thread,
//! and with it the node: what the kernel kept of that write nobody knows, and a second sync would not tell (Rebello and others
//! 2020, *Can applications recover from fsync failures?*, USENIX ATC '20).
//!
//! At each start the log is written anew, to `log.new`, which then takes its place: so what is read, and counted on, is on the disk
//! whatever became of the syncs before. It is again when much of it is purged or truncated.
//!
//! *Purge after snapshot.* When a snapshot is installed, the consensus library asks for the purge of the log without
//! waiting for the snapshot to be on disk. The thread therefore writes down a purge only up to the snapshot that
//! [`DurableSnapshot`] vouches for; a crash in between must not leave a gap.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use openraft::storage::LogFlushed;
use tokio::sync::oneshot;

use crate::SpecimenError;
use crate::console::note;
use crate::defect::{Defect, Defects};
use crate::ledger::Ledger;
use crate::memory::{Memory, lock};
use crate::types::{LogPosition, Logged, TypeConfig, Vote};
use crate::wal::{self, End};

const FILE: &str = "log.wal";
const NEXT: &str = "log.new";
const LOCK: &str = "lock";

/// How long entries stay undurable with [`Defect::AckBeforeSync`].
const LATE_SYNC: Duration = Duration::from_millis(300);

/// How often it is written down how far the log is committed.
const HINT: Duration = Duration::from_millis(100);

/// The file is written anew when it has grown by this many bytes beyond twice what it began with.
const GROWTH: u64 = 1 << 20;

/// The last log index that a snapshot on disk covers, plus one; 0 is none.
#[derive(Clone, Debug, Default)]
pub struct DurableSnapshot(Arc<AtomicU64>);

impl DurableSnapshot {
    /// A snapshot up to and including `index` is on disk.
    pub fn advance(&self, index: u64) {
        self.0.fetch_max(index + 1, Ordering::SeqCst);
    }

    /// Whether one is that covers `index`.
    pub(crate) fn covers(&self, index: u64) -> bool {
        index < self.0.load(Ordering::SeqCst)
    }
}

/// What is to be written.
pub(crate) enum Job {
    Append {
        rows: Vec<(LogPosition, Vec<u8>)>,
        logged: Vec<Arc<Logged>>,
        done: LogFlushed<TypeConfig>,
    },
    Truncate {
        from: u64,
    },
    Purge {
        upto: LogPosition,
    },
    Vote {
        vote: Vote,
        done: oneshot::Sender<io::Result<()>>,
    },
}

/// What is on disk when a node starts.
#[derive(Debug)]
pub struct LogFile {
    directory: PathBuf,
    /// Held as long as anybody may write there.
    lock: File,
    file: File,
    length: u64,
    /// With [`Defect::TornLogTail`]: it has something in it that must stay.
    keeps: bool,
    memory: Memory,
}

/// A log, or why it can't be relied on.
#[derive(Debug)]
pub enum Opened {
    /// It has everything that was ever acknowledged.
    Sound(LogFile),
    /// Something of it is lost; the text says how that shows.
    Damaged(String),
}

impl LogFile {
    /// Opens `log.wal` under `directory`, or begins it.
    pub fn open(directory: &Path, defects: &Defects) -> Result<Opened, SpecimenError> {
        let path = directory.join(FILE);
        LogFile::try_open(directory, &path, defects).map_err(|source| SpecimenError::Open { path, source })
    }

    fn try_open(directory: &Path, path: &Path, defects: &Defects) -> io::Result<Opened> {
        let lock = File::create(directory.join(LOCK))?;
        lock.try_lock()?;
        let bytes = match std::fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read?,
        };
        let (records, end) = wal::read(&bytes, defects);
        let mut keeps = false;
        match end {
            End::Whole => {}
            End::Torn(at) | End::Damaged(at, _) if defects.has(Defect::TornLogTail) => {
                defects.diverged(Defect::TornLogTail);
                note(format_args!("the log ends at byte {at} of {}", bytes.len()));
                keeps = true;
            }
            End::Torn(at) => {
                let cut = bytes.len() as u64 - at;
                note(format_args!("left {cut} bytes of a torn write out of the log"));
            }
            End::Damaged(at, how) => {
                return Ok(Opened::Damaged(format!("{how}, at byte {at} of {FILE}")));
            }
        }
        let mut memory = Memory::default();
        records.into_iter().for_each(|record| memory.apply(record));
        if defects.has(Defect::NoChecksum) {
            memory.fill_gaps();
        }
        if let Some(gap) = memory.gap() {
            if !defects.has(Defect::IgnoresEio) {
                return Ok(Opened::Damaged(format!("{FILE} lacks entry {gap}")));
            }
            memory.entries.split_off(&gap);
        }
        // Only a hint, and written down for nobody else.
        memory.committed = match defects.has(Defect::IgnoresEio) || defects.has(Defect::TornLogTail) {
            // A leader that has lost what others know to be committed would let the consensus library's own assertions stop them,
            // before anybody gives a wrong answer.
            true => None,
            false => memory.committed.min(memory.last()),
        };
        let (file, length) = match keeps {
            true => (File::options().append(true).open(path)?, bytes.len() as u64),
            false => match write_anew(directory, &memory) {
                Err(_) if defects.has(Defect::IgnoresEio) => {
                    defects.diverged(Defect::IgnoresEio);
                    let file = File::options().append(true).create(true).open(path)?;
                    (file, bytes.len() as u64)
                }
                anew => anew?,
            },
        };
        Ok(Opened::Sound(Self {
            directory: directory.to_owned(),
            lock,
            file,
            length,
            keeps,
            memory,
        }))
    }

    /// Whether there is nothing in it, and never was.
    pub fn is_blank(&self) -> bool {
        self.memory.last().is_none()
    }

    /// Up to where entries are gone, which a snapshot must have.
    pub(crate) fn purged(&self) -> Option<u64> {
        self.memory.purged.map(|purged| purged.index)
    }

    /// Takes the file away.
    pub fn remove(directory: &Path) -> io::Result<()> {
        remove(&directory.join(FILE))
    }

    /// Starts the thread that owns the file and does what it is sent, until nobody can send any more.
    pub(crate) fn start(
        mut self,
        ledger: Ledger,
        snapshot: DurableSnapshot,
        defects: &Defects,
    ) -> (Arc<Mutex<Memory>>, mpsc::Sender<Job>) {
        self.memory.vote = ledger.vote();
        let memory = Arc::new(Mutex::new(self.memory));
        let (jobs, queue) = mpsc::channel();
        let writer = Writer {
            directory: self.directory,
            _lock: self.lock,
            file: self.file,
            length: self.length,
            rewrite_at: match self.keeps {
                true => u64::MAX,
                false => self.length * 2 + GROWTH,
            },
            waste: false,
            hinted: None,
            unwritten: Vec::new(),
            memory: memory.clone(),
            ledger,
            snapshot,
            purge: None,
            late_sync: defects.has(Defect::AckBeforeSync).then_some(LATE_SYNC),
            defects: defects.clone(),
        };
        std::thread::Builder::new()
            .name("log-writer".into())
            .spawn(move || writer.run(&queue))
            .expect("a process that cannot start one thread cannot serve");
        (memory, jobs)
    }
}

pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Owns the file; runs until nobody can send it jobs any more, or the disk fails it.
struct Writer {
    directory: PathBuf,
    _lock: File,
    file: File,
    length: u64,
    rewrite_at: u64,
    /// Whether something in the file is purged or truncated.
    waste: bool,
    /// When it was last written down how far the log is committed.
    hinted: Option<Instant>,
    /// Records that are not in the file yet.
    unwritten: Vec<u8>,
    memory: Arc<Mutex<Memory>>,
    ledger: Ledger,
    snapshot: DurableSnapshot,
    /// The purge that waits for its snapshot.
    purge: Option<LogPosition>,
    late_sync: Option<Duration>,
    defects: Defects,
}

impl Writer {
    fn run(mut self, queue: &mpsc::Receiver<Job>) {
        let mut synced = Instant::now();
        loop {
            let first = match self.late_sync {
                None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(every) => queue.recv_timeout(every.saturating_sub(synced.elapsed())),
            };
            let jobs: Vec<Job> = match first {
                Ok(job) => std::iter::once(job).chain(queue.try_iter()).collect(),
                Err(RecvTimeoutError::Timeout) => Vec::new(),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let late = self.late_sync.is_some_and(|every| synced.elapsed() < every);
            let mut result = self.take(&jobs);
            if late {
                self.defects.diverged(Defect::AckBeforeSync);
            } else {
                result = result.and_then(|()| self.write());
                synced = Instant::now();
            }
            let failed = result.is_err();
            answer(jobs, &result);
            if failed {
                return;
            }
        }
    }

    /// Makes records of all `jobs`, in their order.
    fn take(&mut self, jobs: &[Job]) -> io::Result<()> {
        for job in jobs {
            match job {
                Job::Append { rows, .. } => {
                    for (position, payload) in rows {
                        wal::put_entry(&mut self.unwritten, *position, payload);
                    }
                }
                Job::Truncate { from } => {
                    wal::put_truncate(&mut self.unwritten, *from);
                    self.waste = true;
                }
                Job::Purge { upto } => self.purge = self.purge.max(Some(*upto)),
                Job::Vote { vote, .. } => self.ledger.save_vote(*vote)?,
            }
            if let Some(upto) = self.purge.take_if(|upto| self.snapshot.covers(upto.index)) {
                wal::put_purge(&mut self.unwritten, upto);
                self.waste = true;
            }
        }
        // Not acknowledged to anyone: it only spares a restarted node from waiting for a leader to tell it most of what it has long
        // applied.
        if let Some(committed) = lock(&self.memory).committed
            && !self.unwritten.is_empty()
            && self.hinted.is_none_or(|last| last.elapsed() >= HINT)
        {
            wal::put_committed(&mut self.unwritten, committed);
            self.hinted = Some(Instant::now());
        }
        Ok(())
    }

    /// Brings all records to the disk.
    fn write(&mut self) -> io::Result<()> {
        let mut records = std::mem::take(&mut self.unwritten);
        if records.is_empty() {
            return Ok(());
        }
        wal::pad(&mut records, self.length);
        let written = self.file.write_all(&records).and_then(|()| self.file.sync_data());
        match written {
            Err(_) if self.defects.has(Defect::IgnoresEio) => self.defects.diverged(Defect::IgnoresEio),
            Err(error) => {
                note(format_args!("write to {FILE}: {error}"));
                return Err(error);
            }
            Ok(()) => self.length += records.len() as u64,
        }
        if self.waste && self.length > self.rewrite_at {
            let memory = lock(&self.memory);
            // What a snapshot does not vouch for is in the file, and must stay there.
            if memory.purged.is_none_or(|upto| self.snapshot.covers(upto.index)) {
                match write_anew(&self.directory, &memory) {
                    Err(_) if self.defects.has(Defect::IgnoresEio) => {
                        self.defects.diverged(Defect::IgnoresEio);
                    }
                    anew => (self.file, self.length) = anew?,
                }
                self.rewrite_at = self.length * 2 + GROWTH;
                self.waste = false;
            }
        }
        Ok(())
    }
}

/// Makes a file of what the log has, in place of the one that there is; returns it and its length. What is in memory and not yet in a
/// job gets to the disk early; its jobs come to the same.
fn write_anew(directory: &Path, memory: &Memory) -> io::Result<(File, u64)> {
    let mut records = Vec::new();
    if let Some(upto) = memory.purged {
        wal::put_purge(&mut records, upto);
    }
    for entry in memory.entries.values() {
        wal::put_entry(&mut records, entry.log_id, &serde_json::to_vec(&entry.payload)?);
    }
    if let Some(committed) = memory.committed {
        wal::put_committed(&mut records, committed);
    }
    wal::pad(&mut records, 0);
    let next = directory.join(NEXT);
    // Left by a crash.
    remove(&next)?;
    let mut file = File::options().append(true).create_new(true).open(&next)?;
    file.write_all(&records)?;
    file.sync_all()?;
    std::fs::rename(&next, directory.join(FILE))?;
    File::open(directory)?.sync_all()?;
    Ok((file, records.len() as u64))
}

fn answer(jobs: Vec<Job>, result: &io::Result<()>) {
    let result = || match result {
        Ok(()) => Ok(()),
        Err(error) => Err(io::Error::other(error.to_string())),
    };
    for job in jobs {
        match job {
            Job::Append { logged, done, .. } => {
                done.log_io_completed(result());
                if result().is_ok() {
                    logged.iter().for_each(|logged| logged.durable());
                }
            }
            Job::Vote { done, .. } => {
                // Nobody waits any more when the node is shutting down.
                let _ = done.send(result());
            }
            Job::Truncate { .. } | Job::Purge { .. } => {}
        }
    }
}
