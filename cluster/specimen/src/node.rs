//! The life of one node: open, join, serve, stop.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt;
use openraft::{Config, SnapshotPolicy};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};

use crate::SpecimenError;
use crate::args::{Args, natural};
use crate::console::{name_lines, note};
use crate::defect::Defects;
use crate::http::router;
use crate::lease::Lease;
use crate::ledger::{Identity, Ledger};
use crate::loans;
use crate::locks::expire;
use crate::log_file::{DurableSnapshot, LogFile, Opened};
use crate::log_store::LogStore;
use crate::machine::Machine;
use crate::network::Network;
use crate::overdue;
use crate::service::Service;
use crate::shelf::Shelf;
use crate::types::{Member, NodeId, Raft};

/// How often the first node looks whether its peers are up, before it begins the cluster.
const LOOK: Duration = Duration::from_millis(20);
/// Nothing is lost by a slow stop: everything acknowledged is on disk.
const STOP_LIMIT: Duration = Duration::from_secs(1);

/// Runs one node until SIGTERM or SIGINT (`Ok`) or until it cannot go on (`Err`).
pub async fn run(args: Args) -> Result<(), SpecimenError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(SpecimenError::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(SpecimenError::Signal)?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    name_lines(&args.name);
    let defects = Defects::new(args.defects.iter().copied());
    let listed = if args.defects.is_empty() {
        "none".to_owned()
    } else {
        defects.names().join(", ")
    };
    note(format_args!(
        "duress-specimen {} at {}, defects: {listed}",
        env!("CARGO_PKG_VERSION"),
        args.listen
    ));
    serve(args, defects, stop).await
}

async fn serve(args: Args, defects: Defects, stop: impl Future<Output = ()>) -> Result<(), SpecimenError> {
    std::fs::create_dir_all(&args.data).map_err(|source| SpecimenError::Directory {
        path: args.data.clone(),
        source,
    })?;
    let members = number(&args)?;
    let mut ledger = Ledger::open(&args.data)?;
    let identity = identify(&args, &members, &mut ledger)?;
    let Restored { file, shelf, durable } = restore(&args.data, &mut ledger, identity.id, &defects)?;
    let blank = ledger.vote().is_none() && file.is_blank();
    let machine = Machine::new(shelf, identity.id, defects.clone())?;
    let log = LogStore::start(file, ledger, identity.id, durable, &defects);
    let recovering = log.is_recovering();

    let lease = Arc::new(Lease::new(args.election_ms.max(), &defects));
    let network = Network::new(lease.clone()).map_err(SpecimenError::Http)?;
    let listener = TcpListener::bind(&args.listen)
        .await
        .map_err(|source| SpecimenError::Listen {
            address: args.listen.clone(),
            source,
        })?;
    // An answer must not wait for the acknowledgement of the one before.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));

    let config = Arc::new(config(&args)?);
    let raft = Raft::new(identity.id, config, network.clone(), log.clone(), machine.clone())
        .await
        .map_err(|error| SpecimenError::Consensus(error.to_string()))?;
    raft.runtime_config().elect(!recovering);
    let first = members.keys().next() == Some(&identity.id);
    let service = Arc::new(Service::new(
        &args,
        identity,
        raft.clone(),
        network,
        lease,
        machine,
        log,
    ));
    tokio::spawn(expire(Arc::downgrade(&service), defects));
    tokio::spawn(loans::expire(Arc::downgrade(&service)));
    tokio::spawn(overdue::expire(Arc::downgrade(&service), args.transaction_ms));

    if blank && first {
        tokio::spawn(begin(service.clone(), members));
    }
    let serving = tokio::spawn(axum::serve(listener, router(service.clone())).into_future());
    let result = tokio::select! {
        () = stop => Ok(()),
        error = watch(&service) => Err(error),
    };
    serving.abort();
    if timeout(STOP_LIMIT, raft.shutdown()).await.is_err() {
        note(format_args!("the consensus did not stop in time"));
    }
    note(format_args!("shut down"));
    result
}

/// Numbers the peers, by name.
fn number(args: &Args) -> Result<BTreeMap<NodeId, Member>, SpecimenError> {
    let mut peers = args.peers.clone();
    peers.sort_by(|a, b| natural(&a.name).cmp(&natural(&b.name)));
    if let Some(pair) = peers.windows(2).find(|pair| pair[0].name == pair[1].name) {
        return Err(SpecimenError::DoublePeer {
            name: pair[0].name.clone(),
        });
    }
    Ok((1..)
        .zip(peers.into_iter().map(|peer| Member {
            name: peer.name,
            address: peer.address,
        }))
        .collect())
}

/// What a node has kept on disk.
struct Restored {
    file: LogFile,
    shelf: Shelf,
    durable: DurableSnapshot,
}

/// Log and snapshot, as they are on disk; or neither, where something of them is lost. A node that has lost part of its log has it
/// sent again, and does not vote before: see [`crate::ledger`].
fn restore(
    data: &Path,
    ledger: &mut Ledger,
    me: NodeId,
    defects: &Defects,
) -> Result<Restored, SpecimenError> {
    let durable = DurableSnapshot::default();
    let shelf = Shelf::open(data, durable.clone(), defects)?;
    let opened = LogFile::open(data, defects)?;
    let damage = match (opened, shelf) {
        (Opened::Damaged(how), _) => how,
        (Opened::Sound(_), None) => "the snapshot does not fit its checksum".to_owned(),
        (Opened::Sound(file), Some(shelf)) => match file.purged().filter(|last| !durable.covers(*last)) {
            None => return Ok(Restored { file, shelf, durable }),
            Some(last) => {
                format!("the snapshot lacks entries up to {last}, which the log does not have any more")
            }
        },
    };
    note(format_args!(
        "{}: {damage}; forgets log and snapshot, and votes for nobody before it has them again",
        data.display()
    ));
    ledger.forget(me)?;
    let gone = LogFile::remove(data).and_then(|()| Shelf::remove(data));
    gone.map_err(|source| SpecimenError::Open {
        path: data.to_owned(),
        source,
    })?;
    let durable = DurableSnapshot::default();
    let shelf = Shelf::open(data, durable.clone(), defects)?;
    match (LogFile::open(data, defects)?, shelf) {
        (Opened::Sound(file), Some(shelf)) => Ok(Restored { file, shelf, durable }),
        _ => unreachable!("what is empty is not damaged"),
    }
}

/// Whose directory it is. The number it was given at first stays, whatever peers are listed later.
fn identify(
    args: &Args,
    members: &BTreeMap<NodeId, Member>,
    ledger: &mut Ledger,
) -> Result<Identity, SpecimenError> {
    let (id, _) = members
        .iter()
        .find(|(_, member)| member.name == args.name)
        .ok_or_else(|| SpecimenError::NotAPeer {
            name: args.name.clone(),
        })?;
    let identity = ledger.identify(|| Identity {
        id: *id,
        name: args.name.clone(),
    })?;
    if identity.name != args.name {
        return Err(SpecimenError::ForeignData {
            path: args.data.clone(),
            owner: identity.name,
        });
    }
    Ok(identity)
}

fn config(args: &Args) -> Result<Config, SpecimenError> {
    let config = Config {
        cluster_name: "specimen".into(),
        heartbeat_interval: args.heartbeat_ms,
        election_timeout_min: args.election_ms.0.start,
        election_timeout_max: args.election_ms.0.end,
        // One request for the whole snapshot, over a link that may be slowed down on purpose.
        install_snapshot_timeout: 5_000,
        // Each entry is a batch.
        max_payload_entries: 64,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(args.snapshot_every),
        // Little, so that a follower that was away for long needs the snapshot: it must work.
        max_in_snapshot_log_to_keep: args.snapshot_every / 5,
        replication_lag_threshold: args.snapshot_every * 2,
        ..Config::default()
    };
    config
        .validate()
        .map_err(|error| SpecimenError::Timing(error.to_string()))
}

/// Begins the cluster, once a majority is there to vote. Whoever finds a cluster begins none.
async fn begin(service: Arc<Service>, members: BTreeMap<NodeId, Member>) {
    loop {
        let mut up = 1;
        for member in members
            .values()
            .filter(|member| member.name != service.identity.name)
        {
            let Some(status) = look(&service, &member.address).await else {
                continue;
            };
            if status["voters"]
                .as_array()
                .is_some_and(|voters| !voters.is_empty())
            {
                return note(format_args!(
                    "{} belongs to a cluster already; waiting to be added",
                    member.name
                ));
            }
            up += 1;
        }
        if up * 2 > members.len() {
            break;
        }
        sleep(LOOK).await;
    }
    match service.raft.initialize(members).await {
        Ok(()) => note(format_args!("cluster begun")),
        Err(error) => note(format_args!("cluster not begun: {error}")),
    }
}

async fn look(service: &Service, address: &str) -> Option<Value> {
    let ask = service
        .network
        .http()
        .get(format!("http://{address}/status"))
        .timeout(LOOK * 5);
    ask.send().await.ok()?.json().await.ok()
}

/// Notes what changes; resolves when the consensus has stopped by itself.
async fn watch(service: &Service) -> SpecimenError {
    let mut metrics = service.metrics();
    let mut before = None;
    let mut recovering = service.is_recovering();
    loop {
        if recovering && !service.is_recovering() {
            note(format_args!("has its log again, and votes"));
            service.raft.runtime_config().elect(true);
            recovering = false;
        }
        {
            let now = metrics.borrow_and_update();
            if let Err(fatal) = &now.running_state {
                return SpecimenError::Consensus(fatal.to_string());
            }
            let role = (now.state, now.current_leader, now.current_term);
            if before != Some(role) {
                let leader = now
                    .current_leader
                    .map_or_else(|| "none".into(), |leader| leader.to_string());
                note(format_args!(
                    "{:?}, term {}, leader {leader}",
                    now.state, now.current_term
                ));
                before = Some(role);
            }
        }
        if metrics.changed().await.is_err() {
            return SpecimenError::Consensus("it is gone".into());
        }
    }
}
