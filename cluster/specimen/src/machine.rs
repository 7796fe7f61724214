//! The state machine as the consensus sees it: apply, snapshot, install.
//!
//! The state lives in memory. What survives is the last snapshot ([`crate::shelf`]), whose data is [`State::encode`], and the log
//! after it, which is applied again at start.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use openraft::storage::{RaftStateMachine, Snapshot};
use openraft::{Entry, EntryPayload, RaftSnapshotBuilder, StorageIOError};

use crate::SpecimenError;
use crate::console::note;
use crate::defect::{Defect, Defects};
use crate::shelf::Shelf;
use crate::state::State;
use crate::types::{
    Command, LogPosition, Member, NodeId, Reply, SnapshotMeta, StorageError, StoredMembership, TypeConfig,
};

/// Replicas reach the threshold for a snapshot at the same entry. Each waits for its turn before it writes, so
/// that not all of them sync their disks at once; what a snapshot holds is copied before.
const TURN: Duration = Duration::from_millis(60);
const TURNS: u64 = 5;

/// The replicated state and how far the log has been applied to it.
#[derive(Clone, Debug, Default)]
pub struct Replica {
    /// The data.
    pub state: State,
    /// The last entry in it.
    pub applied: Option<LogPosition>,
    membership: StoredMembership,
}

/// The state machine of one node. Clones share one state.
#[derive(Clone)]
pub struct Machine {
    replica: Arc<RwLock<Replica>>,
    shelf: Arc<Shelf>,
    defects: Defects,
    node: NodeId,
}

impl Machine {
    /// Begins with the state that the snapshot on the shelf holds, if there is one.
    pub fn new(shelf: Shelf, node: NodeId, defects: Defects) -> Result<Self, SpecimenError> {
        let mut replica = Replica {
            state: State::new(&defects),
            ..Replica::default()
        };
        if let Some((meta, data)) = shelf.current() {
            replica.state = State::decode(&data, &defects).map_err(|source| SpecimenError::Open {
                path: shelf.path(),
                source: source.into(),
            })?;
            replica.applied = meta.last_log_id;
            replica.membership = meta.last_membership;
        }
        Ok(Self {
            replica: Arc::new(RwLock::new(replica)),
            shelf: Arc::new(shelf),
            defects,
            node,
        })
    }

    /// The state as it is now. Held for moments only: applying waits meanwhile.
    pub fn read(&self) -> RwLockReadGuard<'_, Replica> {
        // Nothing panics while writing it: see `State::apply`.
        self.replica.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The defects of this node, with their counts.
    pub fn defects(&self) -> &Defects {
        &self.defects
    }

    /// Runs `command` here, and nowhere else: only for defects.
    pub(crate) fn run_alone(&self, command: &Command) -> Reply {
        let mut replica = self.write();
        let index = replica.applied.map_or(0, |position| position.index);
        replica.state.apply(index, command)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Replica> {
        self.replica.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogPosition>, StoredMembership), StorageError> {
        let replica = self.read();
        Ok((replica.applied, replica.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Vec<Reply>>, StorageError>
    where
        I: IntoIterator<Item = Entry<TypeConfig>> + Send,
        I::IntoIter: Send,
    {
        let twice = [Defect::DoubleApply, Defect::DedupInMemory];
        let twice = twice.into_iter().find(|defect| self.defects.has(*defect));
        let mut replica = self.write();
        let replies = entries.into_iter().map(|entry| {
            let index = entry.log_id.index;
            replica.applied = Some(entry.log_id);
            match entry.payload {
                EntryPayload::Blank => Vec::new(),
                EntryPayload::Membership(membership) => {
                    replica.membership = StoredMembership::new(Some(entry.log_id), membership);
                    Vec::new()
                }
                EntryPayload::Normal(batch) => {
                    let apply = |command| match twice {
                        None => replica.state.apply(index, command),
                        Some(defect) => {
                            let (reply, again) = replica.state.apply_again(index, command);
                            if again {
                                self.defects.diverged(defect);
                            }
                            reply
                        }
                    };
                    batch.commands.iter().map(apply).collect()
                }
            }
        });
        Ok(replies.collect())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder {
            copy: self.read().clone(),
            machine: self.clone(),
        }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Vec<u8>>, StorageError> {
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        data: Box<Vec<u8>>,
    ) -> Result<(), StorageError> {
        let failed = |error| StorageIOError::write_snapshot(Some(meta.signature()), &error);
        let state =
            State::decode(&data, &self.defects).map_err(|error| failed(std::io::Error::from(error)))?;
        self.shelf
            .store(meta.clone(), Arc::new(*data))
            .await
            .map_err(failed)?;
        let mut replica = self.write();
        if self.defects.has(Defect::ReviveDeleted) {
            if replica.state.merge(state) {
                self.defects.diverged(Defect::ReviveDeleted);
            }
        } else {
            replica.state = state;
        }
        replica.applied = meta.last_log_id;
        replica.membership = meta.last_membership.clone();
        note(format_args!(
            "snapshot installed up to {}",
            meta.last_log_id.map_or(0, |last| last.index)
        ));
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<TypeConfig>>, StorageError> {
        Ok(self.shelf.current().map(|(meta, data)| Snapshot {
            meta,
            snapshot: Box::new(data.to_vec()),
        }))
    }
}

/// Writes the copy of the state that was taken when it was made.
pub struct Builder {
    copy: Replica,
    machine: Machine,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    async fn build_snapshot(&mut self) -> Result<Snapshot<TypeConfig>, StorageError> {
        tokio::time::sleep(TURN * (self.machine.node % TURNS + 1) as u32).await;
        let covered = if self.machine.defects.has(Defect::LostOnCompaction) {
            let live = self.machine.read();
            if live.applied != self.copy.applied {
                self.machine.defects.diverged(Defect::LostOnCompaction);
            }
            (live.applied, live.membership.clone())
        } else {
            (self.copy.applied, self.copy.membership.clone())
        };
        let (last_log_id, last_membership) = covered;
        let snapshot_id = last_log_id.map_or_else(|| "empty".to_owned(), |last| last.to_string());
        let meta = SnapshotMeta {
            last_log_id,
            last_membership,
            snapshot_id,
        };

        let failed = |error| StorageIOError::write_snapshot(Some(meta.signature()), &error);
        let data = self
            .copy
            .state
            .encode()
            .map_err(|error| failed(std::io::Error::from(error)))?;
        let data = Arc::new(data);
        self.machine
            .shelf
            .store(meta.clone(), data.clone())
            .await
            .map_err(failed)?;
        note(format_args!(
            "snapshot built up to {}",
            last_log_id.map_or(0, |last| last.index)
        ));
        Ok(Snapshot {
            meta,
            snapshot: Box::new(data.to_vec()),
        })
    }
}

/// The configuration that a replica has applied; for tests and status.
impl Replica {
    /// The members of the configuration that has been applied.
    pub fn members(&self) -> impl Iterator<Item = (&NodeId, &Member)> {
        self.membership.nodes()
    }
}
