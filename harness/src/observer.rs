//! Watches the nodes while clients and faults are at them: who leads, who is up, how far the log is.
//!
//! Every node is asked for its status all the time, from an address that no fault cuts. What it says goes into
//! `nodes/<node>/probes.jsonl`, one [`Probe`] a line, and makes up the [`Roles`] by which faults choose their targets.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::time::Duration;

use duress_cluster::{ClusterError, Node, NodeStatus, Role, StatusProbe};
use duress_nemesis::Roles;
use duress_results::rundir::RunDir;
use duress_results::verdict_file::Probe;
use duress_workloads::retry::Clock;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::recorder::Recorder;

/// Between two looks at a node.
const INTERVAL: Duration = Duration::from_millis(100);

/// What every node said last; `None`: nothing.
type Statuses = BTreeMap<String, Option<NodeStatus>>;

/// Watches all nodes until it is dropped.
#[derive(Debug)]
pub struct Observer {
    statuses: watch::Receiver<Statuses>,
    roles: watch::Receiver<Roles>,
    _tasks: JoinSet<()>,
}

impl Observer {
    /// Starts to watch. Where nodes can't be asked, or what they say can't be kept, the recorder is told.
    pub fn start(
        nodes: &[Node],
        probe: &StatusProbe,
        dir: &RunDir,
        recorder: &Arc<Recorder>,
    ) -> std::io::Result<Self> {
        let blank: Statuses = nodes.iter().map(|node| (node.name.clone(), None)).collect();
        let (statuses_in, statuses) = watch::channel(blank);
        let (roles_in, roles) = watch::channel(Roles::default());
        let shared = Arc::new((statuses_in, roles_in));
        let mut tasks = JoinSet::new();
        for node in nodes {
            let path = dir.probes(&node.name);
            let mut file = BufWriter::new(
                File::options()
                    .create(true)
                    .append(true)
                    .custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits())
                    .open(&path)?,
            );
            let (node, nodes) = (node.clone(), nodes.to_vec());
            let (probe, recorder) = (probe.clone(), recorder.clone());
            let shared = shared.clone();
            tasks.spawn(async move {
                let mut tick = tokio::time::interval(INTERVAL);
                tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
                loop {
                    tick.tick().await;
                    let time = recorder.now();
                    let status = match probe.probe(&node).await {
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
            _tasks: tasks,
        })
    }

    /// Who leads and who follows, as far as anybody says.
    pub fn roles(&self) -> watch::Receiver<Roles> {
        self.roles.clone()
    }

    /// Waits until every node has answered after this call, is ready, and all agree on one leader. Gives what was agreed
    /// on, or after `limit` what is missing.
    pub async fn agreement(&self, limit: Duration) -> Result<String, String> {
        let mut statuses = self.statuses.clone();
        statuses.mark_unchanged();
        let mut last = "no node has answered".to_owned();
        let waited = tokio::time::timeout(limit, async {
            // What is known may be from before the heal: let every node be asked anew.
            tokio::time::sleep(INTERVAL * 2).await;
            loop {
                match agreed(&statuses.borrow_and_update()) {
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
        probe.role = Some(name_of(status.role).to_owned());
        probe.term = Some(status.term);
        probe.leader = status.leader.clone();
        probe.commit = Some(status.commit);
        probe.applied = Some(status.applied);
    }
    serde_json::to_writer(&mut *file, &probe)?;
    file.write_all(b"\n")?;
    file.flush()
}

fn name_of(role: Role) -> &'static str {
    match role {
        Role::Leader => "leader",
        Role::Follower => "follower",
        Role::Candidate => "candidate",
        Role::Learner => "learner",
    }
}

/// Who leads and who follows: nodes that say nothing do neither.
fn roles_of(nodes: &[Node], statuses: &Statuses) -> Roles {
    let answered = statuses
        .iter()
        .filter_map(|(name, status)| Some((name.clone(), status.clone()?)))
        .collect();
    let roles = duress_cluster::Roles::of(nodes, &answered);
    Roles {
        leader: roles.leader,
        followers: roles.followers,
    }
}

/// Whether all are ready and name the same leader in the same term.
fn agreed(statuses: &Statuses) -> Result<String, String> {
    let mut named: Option<(&str, u64)> = None;
    for (name, status) in statuses {
        let Some(status) = status else {
            return Err(format!("{name} does not answer"));
        };
        let Some(leader) = status.leader.as_deref() else {
            return Err(format!("{name} knows no leader"));
        };
        if !status.ready {
            return Err(format!("{name} is not ready"));
        }
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
        None => Err("there are no nodes".to_owned()),
        Some((leader, term)) => Ok(format!("{leader} leads in term {term}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(role: Role, term: u64, leader: Option<&str>) -> Option<NodeStatus> {
        let leader = leader.map(str::to_owned);
        Some(NodeStatus {
            role,
            term,
            leader,
            commit: 9,
            applied: 9,
            ready: true,
        })
    }

    fn statuses(list: Vec<(&str, Option<NodeStatus>)>) -> Statuses {
        list.into_iter()
            .map(|(name, status)| (name.to_owned(), status))
            .collect()
    }

    #[test]
    fn agreement_needs_every_node_one_leader_and_one_term() {
        let all = |second| statuses(vec![("n1", status(Role::Leader, 4, Some("n1"))), ("n2", second)]);
        assert_eq!(
            agreed(&all(status(Role::Follower, 4, Some("n1")))).as_deref(),
            Ok("n1 leads in term 4")
        );
        assert!(agreed(&all(None)).is_err());
        assert!(agreed(&all(status(Role::Follower, 4, None))).is_err());
        assert!(agreed(&all(status(Role::Follower, 3, Some("n1")))).is_err());
        assert!(agreed(&all(status(Role::Leader, 5, Some("n2")))).is_err());
    }
}
