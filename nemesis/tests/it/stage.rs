//! A cluster of the lab's nodes, and a nemesis on it whose events are kept.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use duress_checker::history::{FaultEvent, FaultStep, StepResult, bit};
use duress_cluster::{Cluster, ClusterError, Controller, Key, Node, Place, ProgramState, Roles};
use duress_nemesis::journal::JOURNAL_FILE;
use duress_nemesis::schedule::{PlannedFault, SCHEDULE_FORMAT};
use duress_nemesis::{AgentClient, AwaitReady, HealReport, Journal, Nemesis, Schedule, heal_from_journal};
use tokio::sync::watch;

use super::lab::{CLIENTS, Lab, OBSERVERS, wait_until};
use super::sabotage::{AnswerInstead, sabotaged};
use super::talk::{peers, talker};

/// The lab's nodes as a cluster; each runs a small tree of processes, one of which talks to all others. So do clients.
pub struct LabCluster {
    pub lab: Lab,
    nodes: Vec<Node>,
    programs: Mutex<BTreeMap<String, Child>>,
    /// A talker on the hub, unless nobody talks here.
    clients: Option<Child>,
}

impl LabCluster {
    fn new(count: u8, talks: bool) -> LabCluster {
        let node = |number: u8| Node {
            name: format!("n{number}"),
            ipv4: Ipv4Addr::new(10, 9, 0, number),
            ipv6: Some(format!("fd09::{number}").parse().unwrap()),
        };
        let lab = Lab::new(count);
        let mut clients = Command::new("setpriv");
        clients
            .args(["--pdeathsig", "KILL", "nsenter", "-t", &lab.hub_pid(), "-n"])
            .args(talker());
        peers(&mut clients, count)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let clients = talks.then(|| clients.spawn().unwrap());
        let cluster = LabCluster {
            lab,
            clients,
            nodes: (1..=count).map(node).collect(),
            programs: Mutex::default(),
        };
        for node in &cluster.nodes {
            cluster.run(&node.name);
        }
        cluster
    }

    fn number(&self, node: &str) -> usize {
        self.nodes.iter().position(|other| other.name == node).unwrap() + 1
    }

    /// Four processes: two sleep, one forks all the time, one talks.
    pub fn run(&self, node: &str) {
        let pid = self.lab.place(self.number(node)).pid.to_string();
        let talker = match self.clients {
            Some(_) => format!("'{}'", talker().join("' '")),
            None => "sleep 1000".to_owned(),
        };
        let program = format!("sleep 1000 & {talker} & while :; do sleep 0.01; done");
        let mut command = Command::new("setpriv");
        let child = peers(&mut command, self.nodes.len() as u8)
            .args([
                "--pdeathsig",
                "KILL",
                "nsenter",
                "-t",
                &pid,
                "-n",
                "-p",
                "bash",
                "-c",
                &program,
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let before = self.programs.lock().unwrap().insert(node.to_owned(), child);
        if let Some(mut before) = before {
            before.wait().unwrap();
        }
        wait_until("a node's program", || {
            (self.lab.pids(self.number(node)).len() >= 3).then_some(())
        });
    }
}

impl Drop for LabCluster {
    fn drop(&mut self) {
        for child in (self.programs.get_mut().unwrap().values_mut()).chain(&mut self.clients) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[async_trait]
impl Cluster for LabCluster {
    fn kind(&self) -> &'static str {
        "lab"
    }

    fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    fn client_addresses(&self) -> Vec<IpAddr> {
        vec![CLIENTS.parse().unwrap()]
    }

    fn observer_addresses(&self) -> Option<Vec<IpAddr>> {
        Some(vec![OBSERVERS.parse().unwrap()])
    }

    async fn place(&self, node: &str) -> Result<Place, ClusterError> {
        Ok(self.lab.place(self.number(node)))
    }

    async fn start(&self, node: &str) -> Result<(), ClusterError> {
        if self.lab.pids(self.number(node)).is_empty() {
            self.run(node);
        }
        Ok(())
    }

    async fn state(&self, node: &str) -> Result<ProgramState, ClusterError> {
        Ok(match self.lab.pids(self.number(node)).is_empty() {
            false => ProgramState::Running,
            true => ProgramState::Stopped {
                how: "ended".to_owned(),
            },
        })
    }

    async fn log_tail(&self, _node: &str, _lines_max: usize) -> String {
        String::new()
    }

    async fn down(&self) -> Result<(), ClusterError> {
        Ok(())
    }
}

struct AlwaysReady;

#[async_trait]
impl AwaitReady for AlwaysReady {
    async fn ready(&self, _node: &str) -> Result<(), String> {
        Ok(())
    }
}

pub struct Stage {
    pub cluster: Arc<LabCluster>,
    pub nemesis: Arc<Nemesis>,
    pub roles: watch::Sender<Roles>,
    pub cancel: watch::Sender<bool>,
    events: Arc<Mutex<Vec<(String, FaultEvent)>>>,
    dir: tempfile::TempDir,
    pub key: Key,
}

/// A run's directory with a journal in it, and the key that seals it.
struct Kept {
    dir: tempfile::TempDir,
    journal: Journal,
    key: Key,
}

impl Kept {
    fn new() -> Kept {
        let dir = tempfile::tempdir().unwrap();
        let key = Key::of_this_process();
        // As if the controller were dead, for whoever heals: of an earlier process with this one's number.
        let controller = Controller {
            started: 1,
            ..Controller::this()
        };
        let journal = Journal::create(&dir.path().join(JOURNAL_FILE), &key, controller).unwrap();
        Kept { dir, journal, key }
    }
}

impl Stage {
    pub async fn new(count: u8) -> Stage {
        Stage::with_agent(count, Lab::agent_argv).await
    }

    pub async fn with_agent(count: u8, argv: impl Fn(&Lab) -> Vec<String>) -> Stage {
        let cluster = LabCluster::new(count, true);
        let kept = Kept::new();
        let agent = AgentClient::spawn(&argv(&cluster.lab), kept.journal.mark())
            .await
            .unwrap();
        Stage::over(cluster, agent, kept)
    }

    /// With nodes, and clients, that say nothing.
    pub async fn silent(count: u8) -> Stage {
        let cluster = LabCluster::new(count, false);
        let kept = Kept::new();
        let agent = AgentClient::spawn(&cluster.lab.agent_argv(), kept.journal.mark())
            .await
            .unwrap();
        Stage::over(cluster, agent, kept)
    }

    /// With something between the nemesis and its agent that may keep the one from hearing the other.
    pub async fn with_saboteur(count: u8, answer_instead: AnswerInstead) -> Stage {
        let cluster = LabCluster::new(count, true);
        let kept = Kept::new();
        let agent = sabotaged(&cluster.lab.agent_argv(), kept.journal.mark(), answer_instead).await;
        Stage::over(cluster, agent, kept)
    }

    fn over(cluster: LabCluster, agent: AgentClient, kept: Kept) -> Stage {
        let Kept { dir, journal, key } = kept;
        let cluster = Arc::new(cluster);
        let events: Arc<Mutex<Vec<(String, FaultEvent)>>> = Arc::default();
        let kept = Arc::clone(&events);
        let (roles, roles_rx) = watch::channel(Roles {
            leader: Some("n2".to_owned()),
            followers: vec!["n1".to_owned(), "n3".to_owned()],
            ..Roles::default()
        });
        let nemesis = Nemesis::new(
            cluster.clone(),
            agent,
            journal,
            Arc::new(move |kind: &str, event: FaultEvent| {
                kept.lock().unwrap().push((kind.to_owned(), event))
            }),
            roles_rx,
            Arc::new(AlwaysReady),
        )
        .unwrap();
        Stage {
            cluster,
            nemesis: Arc::new(nemesis),
            roles,
            cancel: watch::channel(false).0,
            events,
            dir,
            key,
        }
    }

    /// Ends the nemesis, as if its process had died, and heals from its journal.
    pub async fn heal(self) -> (Arc<LabCluster>, HealReport, tempfile::TempDir, Key) {
        let Stage {
            cluster,
            nemesis,
            dir,
            key,
            ..
        } = self;
        drop(nemesis);
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let report = heal_from_journal(&dir.path().join(JOURNAL_FILE), &key).unwrap();
            if report.spared.is_none() {
                return (cluster, report, dir, key);
            }
            // Tasks of the nemesis that were aborted still hold the journal.
            assert!(Instant::now() < deadline, "{report:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub fn journal(&self) -> PathBuf {
        self.dir.path().join(JOURNAL_FILE)
    }

    /// As the journal has it.
    pub fn agent_pid(&self) -> u64 {
        let journal = std::fs::read_to_string(self.journal()).unwrap();
        let first: serde_json::Value = serde_json::from_str(journal.lines().next().unwrap()).unwrap();
        first["agent"].as_u64().unwrap()
    }

    /// Forgets all events.
    pub fn forget(&self) {
        self.events.lock().unwrap().clear();
    }

    /// Starts faults, all at once, each for so many milliseconds, in the background.
    pub fn begin(
        &self,
        faults: &[(&str, u64)],
    ) -> tokio::task::JoinHandle<Result<(), duress_nemesis::NemesisError>> {
        self.begin_from(0, faults)
    }

    /// The same with numbers from `first`, for more faults while others are in force.
    pub fn begin_from(
        &self,
        first: u64,
        faults: &[(&str, u64)],
    ) -> tokio::task::JoinHandle<Result<(), duress_nemesis::NemesisError>> {
        let faults = (first..)
            .zip(faults)
            .map(|(id, (fault, length_ms))| PlannedFault {
                id,
                at_ms: 0,
                length_ms: *length_ms,
                fault: serde_json::from_str(fault).unwrap(),
                choice_seed: 5,
            })
            .collect();
        let schedule = Schedule {
            format: SCHEDULE_FORMAT,
            seed: 5,
            faults,
        };
        let (nemesis, cancel) = (Arc::clone(&self.nemesis), self.cancel.subscribe());
        tokio::spawn(async move { nemesis.run(&schedule, Instant::now(), cancel).await })
    }

    /// All that happened to a fault so far.
    pub fn events(&self, id: u64) -> Vec<FaultEvent> {
        self.events
            .lock()
            .unwrap()
            .iter()
            .filter(|(_, event)| event.id == id)
            .map(|(_, event)| event.clone())
            .collect()
    }

    pub async fn event(&self, id: u64, step: FaultStep) -> FaultEvent {
        self.any_of(id, &[step]).await
    }

    /// Waits for the first of these steps.
    pub async fn any_of(&self, id: u64, steps: &[FaultStep]) -> FaultEvent {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(event) = self
                .events(id)
                .into_iter()
                .find(|event| steps.contains(&event.step))
            {
                return event;
            }
            assert!(Instant::now() < deadline, "no {steps:?} in {:?}", self.events(id));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Whether a fault is proven to have bitten; if not, why not.
    pub fn bit(&self, id: u64) -> Result<(), String> {
        let events = self.events(id);
        bit((events.iter()).map(|event| (event.step, event.result, event.detail.as_str())))
    }

    /// All steps, each installed.
    pub fn assert_proven(&self, id: u64) {
        let events = self.events(id);
        let steps: Vec<FaultStep> = events.iter().map(|event| event.step).collect();
        use FaultStep::{CleanUp, Heal, Inject, Prepare, Recheck, Verify, VerifyHealed};
        assert_eq!(
            steps,
            [Prepare, Inject, Verify, Recheck, Heal, VerifyHealed, CleanUp],
            "{events:#?}"
        );
        assert_eq!(self.bit(id), Ok(()));
        assert!(
            events.iter().all(|event| event.result == StepResult::Installed),
            "{events:#?}"
        );
    }
}
