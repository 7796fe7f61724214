//! The state machine as the consensus sees it: apply, snapshot, install.
//!
//! The state lives in memory. What survives is the last snapshot, in `snapshot.redb` (one table, two rows:
//! `meta` says what it covers, `data` is [`State::encode`]), and the log after it, which is applied again at
//! start. Both rows are written in one durable transaction, so a snapshot is there as a whole or not at all.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use openraft::storage::{RaftStateMachine, Snapshot};
use openraft::{Entry, EntryPayload, RaftSnapshotBuilder, StorageIOError};
use redb::{Database, ReadableDatabase, TableDefinition};

use crate::SpecimenError;
use crate::console::note;
use crate::defect::{Defect, Defects};
use crate::log_file::DurableSnapshot;
use crate::state::State;
use crate::types::{
    LogPosition, Member, NodeId, Reply, SnapshotMeta, StorageError, StoredMembership, TypeConfig,
};

const SNAPSHOT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("snapshot");

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

/// Where the current snapshot is kept.
struct Shelf {
    path: PathBuf,
    database: Database,
    current: Mutex<Option<(SnapshotMeta, Arc<Vec<u8>>)>>,
    durable: DurableSnapshot,
}

impl Machine {
    /// Opens `snapshot.redb` under `directory`, or begins it, and restores the state that it holds.
    pub fn open(
        directory: &Path,
        node: NodeId,
        durable: DurableSnapshot,
        defects: Defects,
    ) -> Result<Self, SpecimenError> {
        let path = directory.join("snapshot.redb");
        let (shelf, replica) = Shelf::open(path.clone(), durable).map_err(|source| SpecimenError::Open {
            path,
            source: Box::new(source),
        })?;
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
                EntryPayload::Normal(batch) if self.defects.has(Defect::DoubleApply) => batch
                    .commands
                    .iter()
                    .map(|command| replica.state.run(index, &command.op))
                    .collect(),
                EntryPayload::Normal(batch) => batch
                    .commands
                    .iter()
                    .map(|command| replica.state.apply(index, command))
                    .collect(),
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
        let state = State::decode(&data).map_err(|error| failed(std::io::Error::from(error)))?;
        self.shelf
            .store(meta.clone(), Arc::new(*data))
            .await
            .map_err(failed)?;
        let mut replica = self.write();
        if self.defects.has(Defect::ReviveDeleted) {
            replica.state.merge(state);
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

impl Shelf {
    fn open(path: PathBuf, durable: DurableSnapshot) -> Result<(Self, Replica), redb::Error> {
        let database = Database::create(&path)?;
        let setup = database.begin_write()?;
        setup.open_table(SNAPSHOT)?;
        setup.commit()?;
        let read = database.begin_read()?;
        let table = read.open_table(SNAPSHOT)?;
        let broken = |error: serde_json::Error| redb::Error::Io(error.into());
        let mut current = None;
        let mut replica = Replica::default();
        if let (Some(meta), Some(data)) = (table.get("meta")?, table.get("data")?) {
            let meta: SnapshotMeta = serde_json::from_slice(meta.value()).map_err(broken)?;
            let data = data.value().to_vec();
            replica.state = State::decode(&data).map_err(broken)?;
            replica.applied = meta.last_log_id;
            replica.membership = meta.last_membership.clone();
            if let Some(last) = meta.last_log_id {
                durable.advance(last.index);
            }
            current = Some((meta, Arc::new(data)));
        }
        drop((table, read));
        Ok((
            Self {
                path,
                database,
                current: Mutex::new(current),
                durable,
            },
            replica,
        ))
    }

    fn current(&self) -> Option<(SnapshotMeta, Arc<Vec<u8>>)> {
        self.current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Makes this the current snapshot, unless a later one is: a build may end after an install overtook it.
    async fn store(self: &Arc<Self>, meta: SnapshotMeta, data: Arc<Vec<u8>>) -> std::io::Result<()> {
        let shelf = self.clone();
        let write = move || {
            let mut current = shelf.current.lock().unwrap_or_else(PoisonError::into_inner);
            if current
                .as_ref()
                .is_some_and(|(newest, _)| newest.last_log_id > meta.last_log_id)
            {
                return Ok(());
            }
            shelf.write(&meta, &data).map_err(|error| {
                std::io::Error::other(format!("write snapshot {}: {error}", shelf.path.display()))
            })?;
            if let Some(last) = meta.last_log_id {
                shelf.durable.advance(last.index);
            }
            *current = Some((meta, data));
            Ok(())
        };
        tokio::task::spawn_blocking(write)
            .await
            .map_err(std::io::Error::other)?
    }

    fn write(&self, meta: &SnapshotMeta, data: &[u8]) -> Result<(), redb::Error> {
        let meta = serde_json::to_vec(meta).map_err(|error| redb::Error::Io(error.into()))?;
        let write = self.database.begin_write()?;
        {
            let mut table = write.open_table(SNAPSHOT)?;
            table.insert("meta", meta.as_slice())?;
            table.insert("data", data)?;
        }
        Ok(write.commit()?)
    }
}

/// The configuration that a replica has applied; for tests and status.
impl Replica {
    /// The members of the configuration that has been applied.
    pub fn members(&self) -> impl Iterator<Item = (&NodeId, &Member)> {
        self.membership.nodes()
    }
}
