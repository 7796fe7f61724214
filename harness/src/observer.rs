//! Watches the nodes while clients and faults are at them: which leads, which are up, how far the log is.
//!
//! Every node is asked for its status all the time, or where the system has none, whether it is ready; from an address that
//! no fault cuts. What it says goes into `nodes/<node>/probes.jsonl`, one [`Probe`] a line, and makes up the [`Roles`] by
//! which faults choose their targets.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use duress_checker::history::Note;
use duress_cluster::{
    Cluster, ClusterError, Node, NodeStatus, Readiness, Role, Roles, StatusProbe, System, try_ready,
};
use duress_results::rundir::RunDir;
use duress_results::verdict_file::Probe;
use duress_workloads::Endpoints as _;
use duress_workloads::retry::Clock;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::address_book::AddressBook;
use crate::diverged::Diverged;
use crate::recorder::Recorder;

/// Between two looks at a node.
const INTERVAL: Duration = Duration::from_millis(100);

/// The same where each look runs a program in the node.
const COMMAND_INTERVAL: Duration = Duration::from_secs(1);

/// What every node said last; `None`: nothing.
type Statuses = BTreeMap<String, Option<NodeStatus>>;

/// How nodes are looked at.
#[derive(Clone)]
pub struct Look {
    cluster: Arc<dyn Cluster>,
    addresses: Arc<AddressBook>,
    status: Option<StatusProbe>,
    readiness: Readiness,
    leaders: bool,
}

impl Look {
    /// As this system is to be asked; `status` is how it is asked for its status.
    pub fn new(
        cluster: Arc<dyn Cluster>,
        addresses: Arc<AddressBook>,
        system: &System,
        status: Option<StatusProbe>,
    ) -> Self {
        Look {
            cluster,
            addresses,
            status,
            readiness: system.readiness.clone(),
            leaders: system.facts().roles,
        }
    }

    /// What this node, from 0, says. Where it tells no leader, it can be used when its readiness probe says so.
    async fn at(&self, index: usize) -> Result<NodeStatus, ClusterError> {
        let node = self.addresses.node(index);
        let mut status = match &self.status {
            Some(probe) => match probe.probe(&node).await {
                Err(error @ ClusterError::Io { .. }) => {
                    self.addresses.doubt(index);
                    return Err(error);
                }
                probed => probed?,
            },
            None => {
                try_ready(&*self.cluster, &node.name, &self.readiness).await?;
                return Ok(NodeStatus {
                    ready: true,
                    ..NodeStatus::default()
                });
            }
        };
        if !self.leaders {
            match try_ready(&*self.cluster, &node.name, &self.readiness).await {
                Err(error @ ClusterError::Local { .. }) => return Err(error),
                tried => status.ready &= tried.is_ok(),
            }
        }
        Ok(status)
    }

    fn interval(&self) -> Duration {
        match &self.readiness {
            Readiness::Command { .. } if !self.leaders => COMMAND_INTERVAL,
            _ => INTERVAL,
        }
    }
}

/// Watches all nodes until it is dropped.
pub struct Observer {
    statuses: watch::Receiver<Statuses>,
    roles: watch::Receiver<Roles>,
    diverged: Arc<Mutex<Diverged>>,
    leaders: bool,
    interval: Duration,
    _tasks: JoinSet<()>,
}

impl Observer {
    /// Starts to watch. Where nodes can't be asked, or what they say can't be kept, the recorder is told.
    pub fn start(look: &Look, dir: &RunDir, recorder: &Arc<Recorder>) -> std::io::Result<Self> {
        let nodes = look.cluster.nodes();
        let blank: Statuses = nodes.iter().map(|node| (node.name.clone(), None)).collect();
        let (statuses_in, statuses) = watch::channel(blank);
        let (roles_in, roles) = watch::channel(Roles::default());
        let shared = Arc::new((statuses_in, roles_in));
        let diverged = Arc::new(Mutex::new(Diverged::default()));
        let mut tasks = JoinSet::new();
        for (index, node) in nodes.iter().enumerate() {
            let path = dir.probes(&node.name);
            let mut file = BufWriter::new(
                File::options()
                    .create(true)
                    .append(true)
                    .custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits())
                    .open(&path)?,
            );
            let (node, nodes) = (node.clone(), nodes.to_vec());
            let (look, recorder) = (look.clone(), recorder.clone());
            let (shared, diverged) = (shared.clone(), diverged.clone());
            tasks.spawn(async move {
                let mut tick = tokio::time::interval(look.interval());
                tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
                loop {
                    tick.tick().await;
                    let time = recorder.now();
                    let status = match look.at(index).await {
                        // Not the node is silent: nobody asked it.
                        Err(error @ ClusterError::Local { .. }) => {
                            recorder.give_up(&error.to_string());
                            continue;
                        }
                        status => status.ok(),
                    };
                    if let Err(error) = write_probe(&mut file, time, status.as_ref()) {
                        recorder.give_up(&format!("write {}: {error}", path.display()));
                        return;
                    }
                    if let Some(status) = &status {
                        let mut diverged = diverged.lock().unwrap_or_else(PoisonError::into_inner);
                        diverged.see(&node.name, &status.diverged);
                    }
                    shared.0.send_modify(|statuses| {
                        statuses.insert(node.name.clone(), status);
                    });
                    let now = roles_of(&nodes, &shared.0.borrow());
                    shared.1.send_if_modified(|roles| {
                        let changed = *roles != now;
                        *roles = now;
                        changed
                    });
                }
            });
        }
        Ok(Observer {
            statuses,
            roles,
            diverged,
            leaders: look.leaders,
            interval: look.interval(),
            _tasks: tasks,
        })
    }

    /// Which node leads and which follow, as far as any node says.
    pub fn roles(&self) -> watch::Receiver<Roles> {
        self.roles.clone()
    }

    /// Writes down what defects that are switched on have done so far, if any are.
    pub fn note_diverged(&self, recorder: &Recorder) {
        let diverged = self.diverged.lock().unwrap_or_else(PoisonError::into_inner);
        let total = diverged.total();
        if !total.is_empty() {
            recorder.note(&Note::Diverged(total));
        }
    }

    /// Waits until every node has answered after this call and is ready, and, where there are leaders, all agree on one. Gives
    /// what was agreed on, or after `limit` what is missing.
    pub async fn agreement(&self, limit: Duration) -> Result<String, String> {
        let mut statuses = self.statuses.clone();
        statuses.mark_unchanged();
        let mut last = "no node has answered".to_owned();
        let waited = tokio::time::timeout(limit, async {
            // What is known may be from before the heal: let every node be asked anew.
            tokio::time::sleep(self.interval * 2).await;
            loop {
                match agreed(&statuses.borrow_and_update(), self.leaders) {
                    Ok(agreed) => return agreed,
                    Err(missing) => last = missing,
                }
                if statuses.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        })
        .await;
        waited.map_err(|_| last)
    }
}

fn write_probe(file: &mut BufWriter<File>, time: u64, status: Option<&NodeStatus>) -> std::io::Result<()> {
    let mut probe = Probe {
        time,
        up: status.is_some(),
        ..Probe::default()
    };
    if let Some(status) = status {
        probe.role = status.role.map(|role| role.name().to_owned());
        probe.term = status.term;
        probe.leader = status.leader.clone();
        probe.commit = status.commit;
        probe.applied = status.applied;
    }
    serde_json::to_writer(&mut *file, &probe)?;
    file.write_all(b"\n")?;
    file.flush()
}

/// Which node leads and which follow: nodes that say nothing do neither.
fn roles_of(nodes: &[Node], statuses: &Statuses) -> Roles {
    let answered = statuses
        .iter()
        .filter_map(|(name, status)| Some((name.clone(), status.clone()?)))
        .collect();
    Roles::of(nodes, &answered)
}

/// Whether all are ready and, where there are leaders, take the same node for the leader in the same term.
fn agreed(statuses: &Statuses, leaders: bool) -> Result<String, String> {
    let mut named: Option<(&str, Option<u64>)> = None;
    for (name, status) in statuses {
        let Some(status) = status else {
            return Err(format!("{name} does not answer"));
        };
        if leaders && leader_of(name, status, statuses).is_none() {
            return Err(format!("{name} knows no leader"));
        }
        if !status.ready {
            return Err(format!("{name} is not ready"));
        }
        let Some(leader) = leader_of(name, status, statuses) else {
            continue;
        };
        match named {
            None => named = Some((leader, status.term)),
            Some((other, _)) if other != leader => {
                return Err(format!(
                    "{name} takes {leader} for the leader, another takes {other}"
                ));
            }
            Some((_, term)) if term != status.term => return Err(format!("{name} is in another term")),
            Some(_) => {}
        }
    }
    match named {
        _ if statuses.is_empty() => Err("there are no nodes".to_owned()),
        Some((leader, Some(term))) => Ok(format!("{leader} leads in term {term}")),
        Some((leader, None)) => Ok(format!("{leader} leads")),
        None => Ok("every node answers".to_owned()),
    }
}

/// Whom a node takes for the leader. Nodes that tell only their own role take the one that claims to lead.
fn leader_of<'a>(name: &'a str, status: &'a NodeStatus, all: &'a Statuses) -> Option<&'a str> {
    if status.leader.is_some() {
        return status.leader.as_deref();
    }
    let leads = |status: &NodeStatus| status.role == Some(Role::Leader);
    match status.role? {
        Role::Leader => Some(name),
        Role::Candidate => None,
        Role::Follower | Role::Learner => {
            // Where any node names a leader, one that names none knows none.
            let naming = all.values().flatten().any(|status| status.leader.is_some());
            let mut claims = all
                .iter()
                .filter(|(_, status)| status.as_ref().is_some_and(leads));
            claims.next().filter(|_| !naming).map(|(name, _)| name.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(role: Role, term: u64, leader: Option<&str>) -> Option<NodeStatus> {
        let leader = leader.map(str::to_owned);
        Some(NodeStatus {
            role: Some(role),
            term: Some(term),
            leader,
            commit: Some(9),
            applied: Some(9),
            ready: true,
            ..NodeStatus::default()
        })
    }

    fn statuses(list: Vec<(&str, Option<NodeStatus>)>) -> Statuses {
        list.into_iter()
            .map(|(name, status)| (name.to_owned(), status))
            .collect()
    }

    #[test]
    fn agreement_needs_every_node_one_leader_and_one_term() {
        let agreed = |statuses| agreed(&statuses, true);
        let all = |second| statuses(vec![("n1", status(Role::Leader, 4, Some("n1"))), ("n2", second)]);
        assert_eq!(
            agreed(all(status(Role::Follower, 4, Some("n1")))).as_deref(),
            Ok("n1 leads in term 4")
        );
        assert!(agreed(all(None)).is_err());
        assert!(agreed(all(status(Role::Follower, 4, None))).is_err());
        assert!(agreed(all(status(Role::Follower, 3, Some("n1")))).is_err());
        assert!(agreed(all(status(Role::Leader, 5, Some("n2")))).is_err());
    }

    #[test]
    fn where_nobody_leads_every_node_has_to_answer() {
        let answers = |ready| {
            Some(NodeStatus {
                ready,
                ..NodeStatus::default()
            })
        };
        let all = |second| agreed(&statuses(vec![("n1", answers(true)), ("n2", second)]), false);
        assert_eq!(all(answers(true)).as_deref(), Ok("every node answers"));
        assert_eq!(all(answers(false)).unwrap_err(), "n2 is not ready");
        assert_eq!(all(None).unwrap_err(), "n2 does not answer");
        assert!(agreed(&Statuses::new(), false).is_err());
    }

    #[test]
    fn where_nodes_tell_only_their_role_one_has_to_lead() {
        let says = |role| {
            Some(NodeStatus {
                role: Some(role),
                ready: true,
                ..NodeStatus::default()
            })
        };
        let all = |first, second| agreed(&statuses(vec![("n1", says(first)), ("n2", says(second))]), true);
        assert_eq!(
            all(Role::Follower, Role::Leader).as_deref(),
            Ok("n2 leads"),
            "a follower takes the one that leads"
        );
        assert!(all(Role::Leader, Role::Leader).is_err());
        assert!(all(Role::Follower, Role::Follower).is_err());
        assert!(all(Role::Leader, Role::Candidate).is_err());
    }
}
