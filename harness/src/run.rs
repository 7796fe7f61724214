//! One run: deploy, warm up, break, heal, wait for recovery, read a last time.
//!
//! Two kinds of trouble, never mixed: what the system under test does goes into the history and is judged; what the
//! harness can't do is a [`Failure`], noted in the history, which ends the run in order. What was recorded until then
//! is still analysed.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use duress_checker::history::FaultEvent;
use duress_checker::liveness::Recovery;
use duress_cluster::local::{Isolation, LocalCluster};
use duress_cluster::readiness::wait_ready;
use duress_cluster::systems::System;
use duress_cluster::{Cluster, ClusterError};
use duress_nemesis::agent::{AgentClient, AgentError};
use duress_nemesis::journal::Journal;
use duress_nemesis::schedule::Schedule;
use duress_nemesis::{Nemesis, Readiness};
use duress_results::rundir::RunDir;
use duress_workloads::register::Register;
use duress_workloads::specimen::Specimen;
use duress_workloads::{Endpoint, Service, Workload};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::judge::END;
use crate::load::Clients;
use crate::observer::Observer;
use crate::progress::Progress;
use crate::recorder::Recorder;
use crate::spec::{Spec, WorkloadSpec};

/// Why a run could not go on: nothing that the system under test is to blame for.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The cluster could not be brought up or reached.
    #[error("cluster: {0}")]
    Cluster(#[from] ClusterError),
    /// The one that breaks died or can't be understood.
    #[error("agent: {0}")]
    Agent(#[from] AgentError),
    /// Before any fault the nodes did not come to agree on a leader.
    #[error("within {limit:?} and before any fault the nodes did not come to agree on a leader: {missing}")]
    NeverReady {
        /// How long was waited.
        limit: Duration,
        /// What was missing.
        missing: String,
    },
    /// Anything else, in words.
    #[error("{0}")]
    Other(String),
}

/// Everything that a run needs and that does not change.
pub struct Run<'a> {
    /// What to do.
    pub spec: &'a Spec,
    /// What everything random is drawn from.
    pub seed: u64,
    /// What breaks when.
    pub schedule: Schedule,
    /// What is deployed.
    pub system: System,
    /// The private namespaces that this process is in.
    pub isolation: Isolation,
    /// Where everything goes.
    pub dir: &'a RunDir,
    /// What happened.
    pub recorder: Arc<Recorder>,
    /// What a person sees.
    pub progress: Arc<Progress>,
    /// Turns true on Ctrl-C: heal, write, check what there is.
    pub interrupt: watch::Receiver<bool>,
}

/// How a run's waiting ended.
enum Waited {
    Done,
    Interrupted,
}

impl Run<'_> {
    /// Does all of it. Whatever happens, everything is healed and taken down before this returns.
    pub async fn drive(mut self) {
        let failure = match self.deploy().await {
            Err(failure) => Some(failure),
            Ok(cluster) => {
                let result = self.on(cluster.clone()).await;
                self.progress.phase("down");
                let down = cluster.down().await.map_err(Failure::from);
                result.and(down).err()
            }
        };
        match failure {
            Some(failure) => {
                let mut what = failure.to_string();
                let mut cause = std::error::Error::source(&failure);
                while let Some(source) = cause {
                    if !what.contains(&source.to_string()) {
                        what.push_str(&format!(": {source}"));
                    }
                    cause = source.source();
                }
                self.progress.say(&format!("harness failure: {what}"));
                self.recorder.note("harness-failure", json!({"what": what}));
            }
            None => self.phase(END),
        }
    }

    fn phase(&self, name: &str) {
        self.recorder.note("phase", json!({"phase": name}));
        self.progress.phase(name);
    }

    async fn deploy(&self) -> Result<Arc<dyn Cluster>, Failure> {
        self.phase("deploy");
        let start = Instant::now();
        let spec = self.system.local_spec(self.spec, self.dir)?;
        let cluster = LocalCluster::deploy(self.isolation.clone(), spec).await?;
        let limit = self.spec.ready_limit();
        let result = async {
            for node in cluster.nodes() {
                cluster.start(&node.name).await?;
            }
            for node in cluster.nodes() {
                wait_ready(&cluster, &node.name, &self.system.readiness, start + limit).await?;
            }
            Ok::<(), ClusterError>(())
        }
        .await;
        if let Err(error) = result {
            // The first error says why; one from taking down what never stood adds nothing.
            let _ = cluster.down().await;
            return Err(error.into());
        }
        self.progress.say(&format!(
            "{} nodes of {} are up after {:.1} s",
            cluster.nodes().len(),
            self.system.name,
            start.elapsed().as_secs_f64()
        ));
        Ok(Arc::new(cluster))
    }

    async fn on(&mut self, cluster: Arc<dyn Cluster>) -> Result<(), Failure> {
        let observer_address = cluster.observer_addresses().and_then(|list| first_v4(&list));
        let observer = Observer::start(
            cluster.nodes(),
            self.system.status.clone(),
            observer_address,
            self.dir,
            self.recorder.clone(),
        )
        .map_err(|error| Failure::Other(format!("keep what nodes say: {error}")))?;
        let limit = self.spec.ready_limit();
        observer.agreement(limit).await.map_err(|missing| Failure::NeverReady { limit, missing })?;

        let agent = Arc::new(AgentClient::spawn(&agent_argv()?).await?);
        let nemesis = self.nemesis(cluster.clone(), agent.clone(), &observer)?;
        let clients = Arc::new(self.clients(&*cluster)?);
        let (stop_load, stopped) = watch::channel(false);
        let load = tokio::spawn({
            let (clients, pace) = (clients.clone(), self.spec.load.pace());
            async move { clients.run(pace, stopped).await }
        });

        let result = self.under_load(&nemesis, &agent, &observer).await;
        // Faults first: nothing must stay broken, whatever went wrong above.
        nemesis.heal_all().await;
        let result = match result {
            Ok(waited) => self.after_faults(waited, &observer).await,
            Err(failure) => Err(failure),
        };
        stop_load.send_replace(true);
        join(load).await;
        if let Ok(Waited::Done) = result {
            self.phase("final-reads");
            let deadline = Instant::now() + self.spec.time.recovery.0;
            let (answered, asked) = clients.final_ops(deadline).await;
            self.recorder.note("final-ops", json!({"answered": answered, "asked": asked}));
        }
        agent.close().await;
        if self.recorder.is_broken() {
            return Err(Failure::Other("the history could not be written".to_owned()));
        }
        if let Some(trouble) = observer.trouble() {
            return Err(Failure::Other(trouble));
        }
        result.map(drop)
    }

    /// Warm-up and faults.
    async fn under_load(
        &mut self,
        nemesis: &Arc<Nemesis>,
        agent: &AgentClient,
        observer: &Observer,
    ) -> Result<Waited, Failure> {
        self.phase("warm-up");
        if let Waited::Interrupted = self.wait(self.spec.time.warm_up.0, agent).await? {
            return Ok(Waited::Interrupted);
        }
        self.phase("faults");
        let start = Instant::now();
        let faults = tokio::spawn({
            let (nemesis, schedule) = (nemesis.clone(), self.schedule.clone());
            async move { nemesis.run(&schedule, start).await }
        });
        let waited = self.wait(self.spec.time.faults.0, agent).await;
        match waited {
            // Faults end inside their window; verifying the last one's healing may take a little longer.
            Ok(Waited::Done) => join(faults).await,
            Ok(Waited::Interrupted) | Err(_) => faults.abort(),
        }
        match observer.trouble() {
            Some(trouble) => Err(Failure::Other(trouble)),
            None => waited,
        }
    }

    /// Waits until the cluster has provably recovered, still under load.
    async fn after_faults(&mut self, waited: Waited, observer: &Observer) -> Result<Waited, Failure> {
        if let Waited::Interrupted = waited {
            self.progress.say("interrupted: everything is healed, checking what there is (again to quit at once)");
            self.recorder.note("interrupted", json!({}));
            return Ok(Waited::Interrupted);
        }
        self.phase("recovery");
        let start = Instant::now();
        let agreement = observer.agreement(self.spec.time.recovery.0).await;
        let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let recovered = agreement.is_ok();
        let detail = agreement.unwrap_or_else(|missing| missing);
        self.recorder.note("recovered", json!(Recovery { recovered, ms, detail }));
        Ok(Waited::Done)
    }

    async fn wait(&mut self, duration: Duration, agent: &AgentClient) -> Result<Waited, Failure> {
        let recorder = self.recorder.clone();
        let broken = async move {
            let mut tick = tokio::time::interval(Duration::from_millis(100));
            while !recorder.is_broken() {
                tick.tick().await;
            }
        };
        tokio::select! {
            () = tokio::time::sleep(duration) => Ok(Waited::Done),
            _ = self.interrupt.wait_for(|interrupted| *interrupted) => Ok(Waited::Interrupted),
            why = agent.gone() => Err(Failure::Other(format!("the agent is gone: {why}"))),
            () = broken => Err(Failure::Other("the history can't be written".to_owned())),
        }
    }

    fn nemesis(
        &self,
        cluster: Arc<dyn Cluster>,
        agent: Arc<AgentClient>,
        observer: &Observer,
    ) -> Result<Arc<Nemesis>, Failure> {
        let journal = Journal::create(&journal_path(self.dir))
            .map_err(|error| Failure::Other(format!("the journal of faults: {error}")))?;
        let sink = {
            let (recorder, progress) = (self.recorder.clone(), self.progress.clone());
            Arc::new(move |kind: &str, event: FaultEvent| {
                recorder.fault(kind, &event);
                progress.fault(kind, &event);
            })
        };
        let ready = Arc::new(Ready { cluster: cluster.clone(), system: self.system.clone(), limit: self.spec.ready_limit() });
        Ok(Arc::new(Nemesis::new(cluster, agent, journal, sink, observer.roles(), ready)))
    }

    fn clients(&self, cluster: &dyn Cluster) -> Result<Clients, Failure> {
        let from = first_v4(&cluster.client_addresses());
        let service: Box<dyn Service> = Box::new(
            Specimen::new(from, self.spec.client.read)
                .map_err(|error| Failure::Other(format!("make an HTTP client: {error}")))?,
        );
        let workload: Box<dyn Workload> = match &self.spec.workload {
            WorkloadSpec::Register(register) => {
                Box::new(Register::new(register).map_err(|error| Failure::Other(error.to_string()))?)
            }
        };
        let endpoints = (cluster.nodes().iter())
            .map(|node| Endpoint { node: node.name.clone(), address: (node.ipv4, self.system.client_port).into() })
            .collect();
        let client = &self.spec.client;
        let recorder = self.recorder.clone();
        Ok(Clients::new(service, endpoints, client.policy(), client.routing, workload, recorder, self.seed))
    }
}

/// Where a run's faults are written down before they are done.
pub fn journal_path(dir: &RunDir) -> PathBuf {
    dir.path().join("nemesis-journal.jsonl")
}

/// Tells the nemesis when a node that it started again is ready.
struct Ready {
    cluster: Arc<dyn Cluster>,
    system: System,
    limit: Duration,
}

#[async_trait::async_trait]
impl Readiness for Ready {
    async fn wait(&self, node: &str) -> Result<(), String> {
        wait_ready(&*self.cluster, node, &self.system.readiness, Instant::now() + self.limit)
            .await
            .map_err(|error| error.to_string())
    }
}

fn agent_argv() -> Result<Vec<String>, Failure> {
    Ok(vec!["/proc/self/exe".to_owned(), "agent".to_owned()])
}

fn first_v4(addresses: &[IpAddr]) -> Option<IpAddr> {
    addresses.iter().copied().find(IpAddr::is_ipv4)
}

async fn join<T>(task: JoinHandle<T>) {
    if let Err(error) = task.await
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}
