//! The consensus library's own test suite for storage, and what survives a reopening.

use openraft::storage::{RaftLogStorage, RaftLogStorageExt, RaftStateMachine};
use openraft::testing::{StoreBuilder, Suite, blank_ent, log_id};
use openraft::{RaftLogReader, RaftSnapshotBuilder};
use tempfile::TempDir;

use crate::defect::{Defect, Defects};
use crate::ledger::Ledger;
use crate::log_file::{DurableSnapshot, LogFile, Opened};
use crate::log_store::LogStore;
use crate::machine::Machine;
use crate::shelf::Shelf;
use crate::types::{Batch, Command, NodeId, Op, Scalar, StorageError, TypeConfig, Vote};

const ME: NodeId = 7;

struct Stores {
    log: LogStore,
    machine: Machine,
    durable: DurableSnapshot,
}

fn open(directory: &TempDir, defects: &Defects) -> Stores {
    let durable = DurableSnapshot::default();
    let shelf = Shelf::open(directory.path(), durable.clone(), defects).unwrap();
    let machine = Machine::new(shelf.expect("a sound snapshot"), ME, defects.clone()).unwrap();
    let Opened::Sound(file) = LogFile::open(directory.path(), defects).unwrap() else {
        panic!("a sound log");
    };
    let ledger = Ledger::open(directory.path()).unwrap();
    let log = LogStore::start(file, ledger, ME, durable.clone(), defects);
    Stores {
        log,
        machine,
        durable,
    }
}

/// Opens again, once the thread that owns the log has let go of it.
fn reopen(stores: Stores, directory: &TempDir) -> Stores {
    drop(stores);
    while matches!(
        LogFile::open(directory.path(), &Defects::default()),
        Err(crate::SpecimenError::Open { .. })
    ) {
        std::thread::yield_now();
    }
    open(directory, &Defects::default())
}

struct Fresh;

impl StoreBuilder<TypeConfig, LogStore, Machine, TempDir> for Fresh {
    async fn build(&self) -> Result<(TempDir, LogStore, Machine), StorageError> {
        let directory = TempDir::new().unwrap();
        let Stores { log, machine, .. } = open(&directory, &Defects::default());
        Ok((directory, log, machine))
    }
}

#[test]
fn storage_passes_the_suite_of_the_consensus_library() {
    Suite::test_all(Fresh).unwrap();
}

#[tokio::test]
async fn log_and_vote_are_there_after_reopening() {
    let directory = TempDir::new().unwrap();
    let mut stores = open(&directory, &Defects::default());
    let vote = Vote::new_committed(3, 1);
    stores.log.save_vote(&vote).await.unwrap();
    stores
        .log
        .blocking_append((0..5).map(|index| blank_ent(3, 1, index)))
        .await
        .unwrap();
    stores.log.truncate(log_id(3, 1, 4)).await.unwrap();
    stores.log.blocking_append([blank_ent(4, 1, 4)]).await.unwrap();

    let mut stores = reopen(stores, &directory);
    assert_eq!(stores.log.read_vote().await.unwrap(), Some(vote));
    assert_eq!(
        stores.log.get_log_state().await.unwrap().last_log_id,
        Some(log_id(4, 1, 4))
    );
    assert_eq!(stores.log.try_get_log_entries(..).await.unwrap().len(), 5);
}

#[tokio::test]
async fn a_node_that_led_must_be_elected_again_after_a_restart() {
    let directory = TempDir::new().unwrap();
    let mut stores = open(&directory, &Defects::default());
    stores.log.save_vote(&Vote::new_committed(3, ME)).await.unwrap();
    let mut stores = reopen(stores, &directory);
    assert_eq!(stores.log.read_vote().await.unwrap(), Some(Vote::new(3, ME)));
}

#[tokio::test]
async fn a_purge_reaches_the_disk_only_after_its_snapshot() {
    let directory = TempDir::new().unwrap();
    let mut stores = open(&directory, &Defects::default());
    stores
        .log
        .blocking_append((0..5).map(|index| blank_ent(1, 1, index)))
        .await
        .unwrap();
    stores.log.purge(log_id(1, 1, 2)).await.unwrap();
    assert_eq!(stores.log.try_get_log_entries(..).await.unwrap().len(), 2);

    let mut stores = reopen(stores, &directory);
    assert_eq!(
        stores.log.try_get_log_entries(..).await.unwrap().len(),
        5,
        "no snapshot vouches for them yet"
    );
    stores.log.purge(log_id(1, 1, 2)).await.unwrap();
    stores.durable.advance(2);
    stores.log.blocking_append([blank_ent(1, 1, 5)]).await.unwrap();

    let mut stores = reopen(stores, &directory);
    assert_eq!(stores.log.try_get_log_entries(..).await.unwrap().len(), 3);
    assert_eq!(
        stores.log.get_log_state().await.unwrap().last_purged_log_id,
        Some(log_id(1, 1, 2))
    );
}

async fn put(machine: &mut Machine, index: u64, key: &str) {
    let op = Op::Put {
        key: key.into(),
        value: Scalar::from(1),
    };
    let batch = Batch {
        commands: vec![Command { op, token: None }],
        logged: None,
    };
    let entry = openraft::Entry {
        log_id: log_id(1, 1, index),
        payload: openraft::EntryPayload::Normal(batch),
    };
    machine.apply([entry]).await.unwrap();
}

/// Whether a snapshot that says it covers a write that came after its copy also holds it.
async fn snapshot_keeps_its_word(defects: &Defects) -> bool {
    let directory = TempDir::new().unwrap();
    let mut machine = open(&directory, defects).machine;
    put(&mut machine, 1, "a").await;
    let mut builder = machine.get_snapshot_builder().await;
    put(&mut machine, 2, "b").await;
    let claims = builder.build_snapshot().await.unwrap().meta.last_log_id;
    drop((machine, builder));
    let restored = open(&directory, &Defects::default()).machine;
    let holds_b = !restored.read().state.get("b").is_absent();
    assert_eq!(restored.read().applied, claims);
    assert!(!restored.read().state.get("a").is_absent());
    holds_b == (claims == Some(log_id(1, 1, 2)))
}

#[tokio::test]
async fn a_snapshot_holds_what_it_claims_but_for_the_defect() {
    assert!(snapshot_keeps_its_word(&Defects::default()).await);
    assert!(!snapshot_keeps_its_word(&Defects::new([Defect::LostOnCompaction])).await);
}

#[tokio::test]
async fn an_overtaken_snapshot_does_not_replace_a_later_one() {
    let directory = TempDir::new().unwrap();
    let mut machine = open(&directory, &Defects::default()).machine;
    put(&mut machine, 1, "a").await;
    let mut early = machine.get_snapshot_builder().await;
    put(&mut machine, 2, "b").await;
    machine
        .get_snapshot_builder()
        .await
        .build_snapshot()
        .await
        .unwrap();
    early.build_snapshot().await.unwrap();
    let current = machine.get_current_snapshot().await.unwrap().unwrap();
    assert_eq!(current.meta.last_log_id, Some(log_id(1, 1, 2)));
}
