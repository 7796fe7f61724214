//! What is, or may be, in force: written and synced before anything is broken, so that `duress heal` can undo it when
//! controller and agent are both dead.
//!
//! `nemesis-journal.jsonl`, one object a line, appended only:
//!
//! ```json
//! {"op":"run","format":2,"id":"9f…","controller":"4711/88001/4026531836/6d1c…","directory":"/runs/a/1","mark":"1f2e3d4c","boot":"6d1c…","agent":4242,"seal":"…"}
//! {"op":"storage","nodes":[{"node":"n1","directory":"/runs/a/1/nodes/n1/data","under":["layer"]}],"seal":"…"}
//! {"op":"open","fault":3,"kind":"partition","nodes":[{"place":{"name":"n1","pid":77,…},"started":88123,"net":4026532281,"processes":4026532284,"stopped":[]}],"seal":"…"}
//! {"op":"held","fault":4,"data":[{"pid":78,"started":88130,"state":"T"}],"seal":"…"}
//! {"op":"moved","fault":3,"node":{"place":{"name":"n1","pid":99,…},…},"seal":"…"}
//! {"op":"closed","fault":3,"seal":"…"}
//! {"op":"storage-removed","seal":"…"}
//! ```
//!
//! Each line ends with a seal of this machine's [`Key`] over the seal before it and its own text, so that nobody else can write
//! a line, change one, or put one from elsewhere in between. While the run lives its controller holds a lock on the file.
//! How it is read back, and what healing does and doesn't touch, stands in [`crate::heal`].

mod entry;
mod line;
pub(crate) mod read;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use duress_cluster::{Controller, Key, key};
use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, openat};

use crate::agent::protocol::{Hello, Mark};
use crate::in_force::InForce;

pub use entry::{Entry, HostEntry, JOURNAL_FORMAT, RunEntry};
use line::{LINE_DOMAIN, sealed};

/// Name of the journal in the directory of a run.
pub const JOURNAL_FILE: &str = "nemesis-journal.jsonl";

/// The domain of the seal that the mark is taken from.
const MARK_DOMAIN: &str = "chains";

/// Why the journal can't be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The file.
    #[error("{what} the journal {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Somebody else could have written it.
    #[error("the journal {path} {why}, so nothing is done on its word")]
    Untrusted {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// The journal of a run, open for writing, and locked as long as it is.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    key: Key,
    mark: Mark,
    id: String,
    controller: Controller,
    tail: Mutex<Tail>,
    has_storage: AtomicBool,
}

/// Where the next line goes.
#[derive(Debug)]
pub(crate) struct Tail {
    pub file: File,
    /// Seal of the last line; empty before the first.
    pub seal: String,
}

impl Journal {
    /// Makes the journal of a run that this controller drives.
    pub fn create(path: &Path, key: &Key, controller: Controller) -> Result<Journal, JournalError> {
        let failed = io_error("make", path);
        let flags = OFlags::WRONLY
            | OFlags::CREATE
            | OFlags::EXCL
            | OFlags::APPEND
            | OFlags::NOFOLLOW
            | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
        let file: File = openat(CWD, path, flags, mode)
            .map_err(|errno| failed(errno.into()))?
            .into();
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|errno| failed(errno.into()))?;
        let id = key::nonce();
        let mark = Mark::of_seal(&key.seal(MARK_DOMAIN, &[&id])).expect("a seal has 64 hexadecimal digits");
        Ok(Journal {
            path: path.to_owned(),
            key: key.clone(),
            mark,
            id,
            controller,
            has_storage: AtomicBool::new(false),
            tail: Mutex::new(Tail {
                file,
                seal: String::new(),
            }),
        })
    }

    /// The run's directory, which it lies in.
    pub(crate) fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// What the run's chains in packet filters are named after.
    pub fn mark(&self) -> &Mark {
        &self.mark
    }

    /// Writes the first line, unless it is there: which run it belongs to, and which agent injects its faults.
    pub fn begin(&self, agent: &Hello, hosts: Vec<HostEntry>) -> Result<(), JournalError> {
        let has_begun = !self
            .tail
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .seal
            .is_empty();
        if has_begun {
            return Ok(());
        }
        let directory = directory_of(&self.path).map_err(io_error("find the folder of", &self.path))?;
        self.write(&Entry::Run(RunEntry {
            format: JOURNAL_FORMAT,
            id: self.id.clone(),
            controller: self.controller.clone(),
            directory,
            mark: self.mark.clone(),
            boot: agent.boot.clone(),
            agent: agent.pid,
            hosts,
        }))
    }

    /// The faults that it says are open, as `duress heal` would find them.
    pub(crate) fn open_faults(&self) -> Result<BTreeMap<u64, InForce>, JournalError> {
        // Nobody writes meanwhile: half a line is none.
        let _tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let text = std::fs::read_to_string(&self.path).map_err(io_error("read", &self.path))?;
        Ok(read::Contents::read(&text, &self.key).open)
    }

    /// Whether something was put under data directories.
    pub(crate) fn has_storage(&self) -> bool {
        self.has_storage.load(Ordering::Acquire)
    }

    /// Returns when the entry is on disk.
    pub fn write(&self, entry: &Entry) -> Result<(), JournalError> {
        if let Entry::Storage { .. } = entry {
            self.has_storage.store(true, Ordering::Release);
        }
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.write(entry, &self.key)
            .map_err(io_error("write", &self.path))
    }
}

impl Tail {
    pub fn write(&mut self, entry: &Entry, key: &Key) -> io::Result<()> {
        let body = serde_json::to_string(entry)?;
        let seal = key.seal(LINE_DOMAIN, &[&self.seal, &body]);
        self.file.write_all(sealed(&body, &seal).as_bytes())?;
        self.file.sync_data()?;
        self.seal = seal;
        Ok(())
    }
}

pub(crate) fn io_error<'a>(what: &'static str, path: &'a Path) -> impl Fn(io::Error) -> JournalError + 'a {
    move |source| JournalError::Io {
        what,
        path: path.to_owned(),
        source,
    }
}

/// The folder that the journal is in, by the one path that has no links in it.
pub(crate) fn directory_of(journal: &Path) -> io::Result<PathBuf> {
    match journal.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.canonicalize(),
        _ => Path::new(".").canonicalize(),
    }
}
