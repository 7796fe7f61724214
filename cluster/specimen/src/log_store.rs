//! The log and the vote, on disk before they are acknowledged: storage as the consensus library wants it.
//!
//! Writes go to the thread that owns the file ([`crate::log_file`]). Reads never touch the disk: compaction keeps the log
//! short, so the whole of it is in memory as well.
//!
//! *A restarted leader does not lead on.* The library lets a node that finds its own committed vote resume as leader at
//! once, with the commit index that was saved. That may be older than writes which it has already acknowledged, so a
//! linearizable read could be stale. [`LogStore::read_vote`] hands such a vote back as not committed: the node must be
//! elected again.

use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::sync::{Arc, Mutex, mpsc};

use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{Entry, EntryPayload, LogState, RaftLogReader, StorageIOError};
use tokio::sync::oneshot;

use crate::defect::Defects;
use crate::ledger::Ledger;
use crate::log_file::{DurableSnapshot, Job, LogFile};
use crate::memory::{Memory, lock};
use crate::types::{LogPosition, NodeId, StorageError, TypeConfig, Vote};

/// The log as the consensus sees it. Clones share one log.
#[derive(Clone)]
pub struct LogStore {
    node: NodeId,
    memory: Arc<Mutex<Memory>>,
    jobs: mpsc::Sender<Job>,
    /// The term up to which this node has forgotten what it may have acknowledged.
    forgot: Option<u64>,
}

impl LogStore {
    /// Of this node's file. A thread of its own writes to it, until the last clone is gone.
    pub fn start(
        file: LogFile,
        ledger: Ledger,
        node: NodeId,
        snapshot: DurableSnapshot,
        defects: &Defects,
    ) -> Self {
        let forgot = ledger.forgot();
        let (memory, jobs) = file.start(ledger, snapshot, defects);
        LogStore {
            node,
            memory,
            jobs,
            forgot,
        }
    }

    /// Whether this node has lost part of its log and does not have it back yet: it must not vote. See [`crate::ledger`].
    pub fn is_recovering(&self) -> bool {
        let last = lock(&self.memory).last();
        self.forgot
            .is_some_and(|term| last.is_none_or(|last| last.leader_id.term <= term))
    }

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
        Ok(LogState {
            last_purged_log_id: memory.purged,
            last_log_id: memory.last(),
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
                let payload =
                    serde_json::to_vec(&entry.payload).map_err(|error| StorageIOError::write_logs(&error))?;
                rows.push((entry.log_id, payload));
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
