//! The log and the vote, on disk before they are acknowledged.
//!
//! One redb file, `log.redb`, with two tables: `log` (index → entry as JSON) and `meta` (`vote`, `committed`,
//! `purged`, `identity`). A thread of its own owns the file: it takes all jobs that are waiting, writes them in
//! one transaction, syncs once, and then tells everyone. Reads never touch the disk: compaction keeps the log
//! short, so the whole of it is in memory as well.
//!
//! Two rules that the consensus library leaves to its storage:
//!
//! - *Purge after snapshot.* When a snapshot is installed, the library asks for the purge of the log without
//!   waiting for the snapshot to be on disk. The thread therefore deletes entries only up to the snapshot that
//!   [`DurableSnapshot`] vouches for; a crash in between must not leave a gap.
//! - *A restarted leader does not lead on.* The library lets a node that finds its own committed vote resume
//!   as leader at once, with the commit index that was saved, which may be older than writes it has already
//!   acknowledged; a linearizable read served then could be stale. [`LogStore::read_vote`] hands such a vote
//!   back as not committed: the node must be elected again.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{Entry, EntryPayload, LogState, RaftLogReader, StorageIOError};
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use crate::SpecimenError;
use crate::defect::{Defect, Defects};
use crate::types::{LogPosition, Logged, NodeId, StorageError, TypeConfig, Vote};

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

/// The log as the consensus sees it. Clones share one log.
#[derive(Clone)]
pub struct LogStore {
    node: NodeId,
    memory: Arc<Mutex<Memory>>,
    jobs: mpsc::Sender<Job>,
}

#[derive(Default)]
struct Memory {
    entries: BTreeMap<u64, Entry<TypeConfig>>,
    purged: Option<LogPosition>,
    vote: Option<Vote>,
    committed: Option<LogPosition>,
}

enum Job {
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

/// Who a data directory belongs to, fixed at its first start.
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

    /// Starts the thread that owns the file.
    pub fn start(self, node: NodeId, snapshot: DurableSnapshot, defects: &Defects) -> LogStore {
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
        LogStore { node, memory, jobs }
    }
}

/// Owns the file; runs until the last [`LogStore`] is gone.
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

impl LogStore {
    /// The index up to which this node knows the log to be committed.
    pub fn committed_index(&self) -> Option<u64> {
        lock(&self.memory).committed.map(|position| position.index)
    }

    fn submit(&self, job: Job) -> io::Result<()> {
        self.jobs.send(job).map_err(|_| gone())
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + Send>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry<TypeConfig>>, StorageError> {
        Ok(lock(&self.memory)
            .entries
            .range(range)
            .map(|(_, entry)| entry.clone())
            .collect())
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, StorageError> {
        let memory = lock(&self.memory);
        let last = memory
            .entries
            .last_key_value()
            .map(|(_, entry)| entry.log_id)
            .or(memory.purged);
        Ok(LogState {
            last_purged_log_id: memory.purged,
            last_log_id: last,
        })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        let (done, saved) = oneshot::channel();
        self.submit(Job::Vote { vote: *vote, done })
            .map_err(|error| StorageIOError::write_vote(&error))?;
        saved
            .await
            .unwrap_or_else(|_| Err(gone()))
            .map_err(|error| StorageIOError::write_vote(&error))?;
        lock(&self.memory).vote = Some(*vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        let vote = lock(&self.memory).vote;
        Ok(vote.map(|vote| {
            let own = vote.leader_id.voted_for() == Some(self.node);
            Vote {
                committed: vote.committed && !own,
                ..vote
            }
        }))
    }

    async fn save_committed(&mut self, committed: Option<LogPosition>) -> Result<(), StorageError> {
        lock(&self.memory).committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogPosition>, StorageError> {
        Ok(lock(&self.memory).committed)
    }

    async fn append<I>(&mut self, entries: I, done: LogFlushed<TypeConfig>) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry<TypeConfig>> + Send,
        I::IntoIter: Send,
    {
        let mut rows = Vec::new();
        let mut logged = Vec::new();
        {
            let mut memory = lock(&self.memory);
            for mut entry in entries {
                let index = entry.log_id.index;
                if let EntryPayload::Normal(batch) = &mut entry.payload
                    && let Some(proposer) = batch.logged.take()
                {
                    proposer.taken(index);
                    logged.push(proposer);
                }
                let bytes = serde_json::to_vec(&entry).map_err(|error| StorageIOError::write_logs(&error))?;
                rows.push((index, bytes));
                memory.entries.insert(index, entry);
            }
        }
        Ok(self
            .submit(Job::Append { rows, logged, done })
            .map_err(|error| StorageIOError::write_logs(&error))?)
    }

    async fn truncate(&mut self, position: LogPosition) -> Result<(), StorageError> {
        lock(&self.memory).entries.split_off(&position.index);
        Ok(self
            .submit(Job::Truncate { from: position.index })
            .map_err(|error| StorageIOError::write_logs(&error))?)
    }

    async fn purge(&mut self, position: LogPosition) -> Result<(), StorageError> {
        {
            let mut memory = lock(&self.memory);
            memory.purged = memory.purged.max(Some(position));
            memory.entries = memory.entries.split_off(&(position.index + 1));
        }
        Ok(self
            .submit(Job::Purge { upto: position })
            .map_err(|error| StorageIOError::write_logs(&error))?)
    }
}

fn gone() -> io::Error {
    io::Error::other("the log writer is gone")
}

fn lock(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
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
