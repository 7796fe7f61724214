//! The file of log and vote, and the thread that owns it.
//!
//! One redb file, `log.redb`, with two tables: `log` (index → entry as JSON) and `meta` (`vote`, `committed`,
//! `purged`, `identity`). The thread takes all jobs that are waiting, writes them in one transaction, syncs once, and
//! then tells everyone.
//!
//! *Purge after snapshot.* When a snapshot is installed, the consensus library asks for the purge of the log without
//! waiting for the snapshot to be on disk. The thread therefore deletes entries only up to the snapshot that
//! [`DurableSnapshot`] vouches for; a crash in between must not leave a gap.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use openraft::Entry;
use openraft::storage::LogFlushed;
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use crate::SpecimenError;
use crate::defect::{Defect, Defects};
use crate::types::{LogPosition, Logged, NodeId, TypeConfig, Vote};

const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

/// How long entries stay undurable with [`Defect::AckBeforeSync`].
const LATE_SYNC: Duration = Duration::from_millis(300);

/// The last log index that a snapshot on disk covers, plus one; 0 is none.
#[derive(Clone, Debug, Default)]
pub struct DurableSnapshot(Arc<AtomicU64>);

impl DurableSnapshot {
    /// A snapshot up to and including `index` is on disk.
    pub fn advance(&self, index: u64) {
        self.0.fetch_max(index + 1, Ordering::SeqCst);
    }

    fn covers(&self, index: u64) -> bool {
        index < self.0.load(Ordering::SeqCst)
    }
}

/// The whole log, as it will be on disk once all jobs are done.
#[derive(Default)]
pub(crate) struct Memory {
    pub entries: BTreeMap<u64, Entry<TypeConfig>>,
    pub purged: Option<LogPosition>,
    pub vote: Option<Vote>,
    pub committed: Option<LogPosition>,
}

/// What is to be written.
pub(crate) enum Job {
    Append {
        rows: Vec<(u64, Vec<u8>)>,
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
pub struct LogFile {
    database: Database,
    memory: Memory,
    identity: Option<Identity>,
}

/// The node that a data directory belongs to, fixed at its first start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Identity {
    /// The number in the protocol.
    pub id: NodeId,
    /// The name on the command line.
    pub name: String,
}

impl LogFile {
    /// Opens `log.redb` under `directory`, or begins it.
    pub fn open(directory: &Path) -> Result<Self, SpecimenError> {
        let path = directory.join("log.redb");
        let open = || -> Result<Self, redb::Error> {
            let database = Database::create(&path)?;
            let setup = database.begin_write()?;
            setup.open_table(LOG)?;
            setup.open_table(META)?;
            setup.commit()?;
            let read = database.begin_read()?;
            let meta = read.open_table(META)?;
            let mut memory = Memory {
                entries: BTreeMap::new(),
                purged: get(&meta, "purged")?,
                vote: get(&meta, "vote")?,
                committed: get(&meta, "committed")?,
            };
            for row in read.open_table(LOG)?.iter()? {
                let (index, bytes) = row?;
                memory.entries.insert(index.value(), decode(bytes.value())?);
            }
            let identity = get(&meta, "identity")?;
            drop((meta, read));
            Ok(Self {
                database,
                memory,
                identity,
            })
        };
        open().map_err(|source| SpecimenError::Open {
            path: path.clone(),
            source: Box::new(source),
        })
    }

    /// Whether the node has ever taken part in a cluster.
    pub fn is_blank(&self) -> bool {
        self.memory.vote.is_none() && self.memory.entries.is_empty() && self.memory.purged.is_none()
    }

    /// The identity that the directory was given, or `first` from now on.
    pub fn identify(&mut self, first: impl FnOnce() -> Identity) -> Result<Identity, SpecimenError> {
        if let Some(identity) = &self.identity {
            return Ok(identity.clone());
        }
        let identity = first();
        let save = || -> Result<(), redb::Error> {
            let write = self.database.begin_write()?;
            put(&mut write.open_table(META)?, "identity", &identity)?;
            Ok(write.commit()?)
        };
        save().map_err(|source| SpecimenError::Open {
            path: "log.redb".into(),
            source: Box::new(source),
        })?;
        self.identity = Some(identity.clone());
        Ok(identity)
    }

    /// Starts the thread that owns the file and does what it is sent, until nobody can send any more.
    pub(crate) fn start(
        self,
        snapshot: DurableSnapshot,
        defects: &Defects,
    ) -> (Arc<Mutex<Memory>>, mpsc::Sender<Job>) {
        let memory = Arc::new(Mutex::new(self.memory));
        let (jobs, queue) = mpsc::channel();
        let late_sync = defects.has(Defect::AckBeforeSync).then_some(LATE_SYNC);
        let writer = Writer {
            database: self.database,
            memory: memory.clone(),
            snapshot,
            purge: None,
            late_sync,
        };
        std::thread::Builder::new()
            .name("log-writer".into())
            .spawn(move || writer.run(&queue))
            .expect("a process that cannot start one thread cannot serve");
        (memory, jobs)
    }
}

/// Owns the file; runs until nobody can send it jobs any more.
struct Writer {
    database: Database,
    memory: Arc<Mutex<Memory>>,
    snapshot: DurableSnapshot,
    /// The purge that waits for its snapshot.
    purge: Option<LogPosition>,
    late_sync: Option<Duration>,
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
            let votes = jobs.iter().any(|job| matches!(job, Job::Vote { .. }));
            let durability = match self.late_sync {
                Some(every) if !votes && synced.elapsed() < every => Durability::None,
                _ => Durability::Immediate,
            };
            let result = self.write(&jobs, durability).map_err(io::Error::other);
            if matches!(durability, Durability::Immediate) {
                synced = Instant::now();
            }
            answer(jobs, &result);
        }
    }

    /// One transaction for all `jobs`, in their order.
    fn write(&mut self, jobs: &[Job], durability: Durability) -> Result<(), redb::Error> {
        let mut write = self.database.begin_write()?;
        write.set_durability(durability)?;
        {
            let mut log = write.open_table(LOG)?;
            let mut meta = write.open_table(META)?;
            for job in jobs {
                match job {
                    Job::Append { rows, .. } => {
                        for (index, bytes) in rows {
                            log.insert(index, bytes.as_slice())?;
                        }
                    }
                    Job::Truncate { from } => log.retain_in(*from.., |_, _| false)?,
                    Job::Purge { upto } => self.purge = self.purge.max(Some(*upto)),
                    Job::Vote { vote, .. } => put(&mut meta, "vote", vote)?,
                }
                if let Some(upto) = self.purge.take_if(|upto| self.snapshot.covers(upto.index)) {
                    log.retain_in(..=upto.index, |_, _| false)?;
                    put(&mut meta, "purged", &upto)?;
                }
            }
            // Not acknowledged to anyone: it only spares a restarted node from waiting for a leader to
            // tell it what it has long applied.
            if let Some(committed) = lock(&self.memory).committed {
                put(&mut meta, "committed", &committed)?;
            }
        }
        Ok(write.commit()?)
    }
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

pub(crate) fn lock(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    // Nothing panics while holding it; if something did, the log itself would still be whole.
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

fn get<T: DeserializeOwned>(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    key: &str,
) -> Result<Option<T>, redb::Error> {
    table.get(key)?.map(|bytes| decode(bytes.value())).transpose()
}

fn put<T: Serialize>(
    table: &mut redb::Table<'_, &'static str, &'static [u8]>,
    key: &str,
    value: &T,
) -> Result<(), redb::Error> {
    let bytes = serde_json::to_vec(value).map_err(|error| redb::Error::Io(error.into()))?;
    table.insert(key, bytes.as_slice())?;
    Ok(())
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, redb::Error> {
    serde_json::from_slice(bytes).map_err(|error| redb::Error::Io(error.into()))
}
