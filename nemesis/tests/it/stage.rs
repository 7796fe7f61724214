//! A nemesis on a cluster of the lab's nodes, whose events are kept.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use duress_checker::history::{FaultEvent, FaultStep, StepResult, bit};
use duress_cluster::{Cluster, Controller, Key, Node, Roles};
use duress_nemesis::bound::Limits;
use duress_nemesis::journal::JOURNAL_FILE;
use duress_nemesis::schedule::{PlannedFault, SCHEDULE_FORMAT};
use duress_nemesis::storage::{NodeStorage, Storage};
use duress_nemesis::{
    AgentClient, Agents, AwaitReady, HealReport, Journal, Misleading, Nemesis, Schedule, heal_from_journal,
    put_storage,
};
use tokio::sync::watch;

use super::lab::{Lab, lab_folder};
use super::lab_cluster::LabCluster;
use super::sabotage::{AnswerInstead, sabotaged};

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

    /// With nodes that write to disks under which a layer lies, and something between the nemesis and its agent.
    pub async fn with_disks(count: u8, answer_instead: AnswerInstead) -> Stage {
        Stage::with_storage(count, &[Storage::Layer], answer_instead).await
    }

    /// The same, on something else.
    pub async fn with_storage(count: u8, under: &[Storage], answer_instead: AnswerInstead) -> Stage {
        let mut cluster = LabCluster::idle(count, false);
        let kept = Kept::new();
        let agent = sabotaged(&cluster.lab.agent_argv(), kept.journal.mark(), answer_instead).await;
        let agent = Agents::from(agent);
        let disks = lab_folder();
        let node = |node: &Node| {
            let directory = disks.path().join(&node.name);
            std::fs::create_dir(&directory).unwrap();
            NodeStorage {
                node: node.name.clone(),
                directory: directory.canonicalize().unwrap(),
                under: under.to_vec(),
                machine: 0,
            }
        };
        let nodes = cluster.nodes().iter().map(node).collect();
        put_storage(&agent, &kept.journal, nodes).await.unwrap();
        cluster.disks = Some(disks);
        Stage::over(LabCluster::begin(cluster), agent, kept)
    }

    /// With something between the nemesis and its agent that may keep the one from hearing the other.
    pub async fn with_saboteur(count: u8, answer_instead: AnswerInstead) -> Stage {
        let cluster = LabCluster::new(count, true);
        let kept = Kept::new();
        let agent = sabotaged(&cluster.lab.agent_argv(), kept.journal.mark(), answer_instead).await;
        Stage::over(cluster, agent, kept)
    }

    fn over(cluster: LabCluster, agent: impl Into<Agents>, kept: Kept) -> Stage {
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

    /// The same with clients.
    pub fn with_clients(self, clients: Arc<dyn Misleading>) -> Stage {
        let nemesis = Arc::into_inner(self.nemesis).expect("nothing has begun");
        Stage {
            nemesis: Arc::new(nemesis.with_clients(clients)),
            ..self
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
        self.begin_within(Limits::default(), first, faults)
    }

    /// The same within bounds.
    pub fn begin_within(
        &self,
        limits: Limits,
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
                optional: false,
                choice_seed: 5,
            })
            .collect();
        let schedule = Schedule {
            format: SCHEDULE_FORMAT,
            seed: 5,
            limits,
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
