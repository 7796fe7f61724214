//! One run: deploy, warm up, break, heal, wait for recovery, read a last time.
//!
//! Two kinds of trouble, never mixed: what the system under test does goes into the history and is judged; what the
//! harness can't do is a [`Failure`], noted in the history, which ends the run in order. What was recorded until then
//! is still analysed.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use duress_checker::converged;
use duress_checker::history::FaultEvent;
use duress_checker::liveness::Recovery;
use duress_cluster::{Cluster, ClusterError, Controller, Key, StatusProbe, System, wait_ready};
use duress_nemesis::journal::JOURNAL_FILE;
use duress_nemesis::{EventSink, Journal, Nemesis, NemesisError, Readiness, Schedule};
use duress_results::rundir::RunDir;
use duress_workloads::Endpoint;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::client;
use crate::contents;
use crate::deploy::{self, Deployed, Ground};
use crate::judge::END;
use crate::load::Clients;
use crate::observer::Observer;
use crate::progress::Progress;
use crate::recorder::Recorder;
use crate::spec::{Property, Spec};

/// Why a run could not go on: nothing that the system under test is to blame for.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The cluster could not be brought up or reached.
    #[error("cluster: {0}")]
    Cluster(#[from] ClusterError),
    /// The one that breaks died, or could not mend what it broke.
    #[error("nemesis: {0}")]
    Nemesis(#[from] NemesisError),
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
    /// Where nodes will live.
    pub ground: Ground,
    /// What proves to `duress heal` that this run made what it made.
    pub key: Key,
    /// Where everything goes.
    pub dir: &'a RunDir,
    /// What happened.
    pub recorder: Arc<Recorder>,
    /// What a person sees.
    pub progress: Arc<Progress>,
    /// Turns true on Ctrl-C: heal, write, check what there is.
    pub interrupt: watch::Receiver<bool>,
}

/// Between two looks at whether the run can still be recorded.
const TROUBLE_INTERVAL: Duration = Duration::from_millis(100);

/// How a run's waiting ended.
enum Waited {
    Done,
    Interrupted,
}

impl Run<'_> {
    /// Does all of it. Whatever happens, everything is healed and taken down before this returns.
    pub async fn drive(self) {
        let failure = match self.deploy().await {
            Err(failure) => Some(failure),
            Ok(deployed) => {
                let result = self.on(&deployed).await;
                self.progress.phase("down");
                let down = deployed.cluster.down().await.map_err(Failure::from);
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

    async fn deploy(&self) -> Result<Deployed, Failure> {
        self.phase("deploy");
        let start = Instant::now();
        let deployed =
            deploy::deploy(&self.spec.cluster, &self.system, self.ground, self.dir, &self.key).await?;
        self.progress.say(&format!(
            "{} nodes of {} are up after {:.1} s",
            deployed.cluster.nodes().len(),
            self.system.name,
            start.elapsed().as_secs_f64()
        ));
        Ok(deployed)
    }

    async fn on(&self, deployed: &Deployed) -> Result<(), Failure> {
        let cluster = &deployed.cluster;
        let observer_address = cluster.observer_addresses().and_then(|list| first_v4(&list));
        let probe = StatusProbe::new(&self.system, observer_address)?;
        let observer = Observer::start(cluster.nodes(), &probe, self.dir, &self.recorder)
            .map_err(|error| Failure::Other(format!("keep what nodes say: {error}")))?;
        let limit = self.spec.cluster.ready_limit();
        observer
            .agreement(limit)
            .await
            .map_err(|missing| Failure::NeverReady { limit, missing })?;

        let nemesis = self.nemesis(deployed, &observer).await?;
        let clients = Arc::new(self.clients(&**cluster)?);
        let (stop_load, stopped) = watch::channel(false);
        let load = tokio::spawn({
            let (clients, pace) = (clients.clone(), self.spec.load.pace());
            async move { clients.run(pace, stopped).await }
        });

        let result = self.under_load(&nemesis, &observer).await;
        // Faults first: nothing must stay broken, whatever went wrong above.
        let healed = nemesis.heal_all().await.map_err(Failure::from);
        let result = match result.and_then(|waited| healed.map(|_| waited)) {
            Ok(waited) => self.after_faults(waited, &observer).await,
            Err(failure) => Err(failure),
        };
        stop_load.send_replace(true);
        join(load).await;
        if let Ok(Waited::Done) = result {
            self.phase("final-reads");
            let deadline = Instant::now() + self.spec.time.recovery.0;
            let (answered, asked) = clients.final_ops(deadline).await;
            self.recorder
                .note("final-ops", json!({"answered": answered, "asked": asked}));
            if self.spec.properties.contains(&Property::Converged) {
                self.phase("contents");
                let deadline = Instant::now() + self.spec.time.recovery.0;
                let contents = contents::read(&*clients.service, &clients.endpoints, deadline).await;
                self.recorder.note(converged::NOTE, json!(contents));
            }
        }
        let closed = nemesis.close().await.map_err(Failure::from);
        if self.recorder.is_broken() {
            return Err(Failure::Other("the history could not be written".to_owned()));
        }
        if let Some(trouble) = observer.trouble() {
            return Err(Failure::Other(trouble));
        }
        result.and(closed)
    }

    /// Warm-up and faults.
    async fn under_load(&self, nemesis: &Nemesis, observer: &Observer) -> Result<Waited, Failure> {
        self.phase("warm-up");
        if let Waited::Interrupted = self.wait(self.spec.time.warm_up.0, nemesis, observer).await? {
            return Ok(Waited::Interrupted);
        }
        self.phase("faults");
        // Faults end inside their window; to verify the healing of the last one may take a little longer.
        let faults = nemesis.run(&self.schedule, std::time::Instant::now(), self.interrupt.clone());
        let faults = async { faults.await.map_err(Failure::from) };
        let (waited, ()) = tokio::try_join!(self.wait(self.spec.time.faults.0, nemesis, observer), faults)?;
        Ok(waited)
    }

    /// Waits until the cluster has provably recovered, still under load.
    async fn after_faults(&self, waited: Waited, observer: &Observer) -> Result<Waited, Failure> {
        if let Waited::Interrupted = waited {
            self.progress
                .say("interrupted: everything is healed, checking what there is (again to quit at once)");
            self.recorder.note("interrupted", json!({}));
            return Ok(Waited::Interrupted);
        }
        self.phase("recovery");
        let start = Instant::now();
        let agreement = observer.agreement(self.spec.time.recovery.0).await;
        let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let recovered = agreement.is_ok();
        let detail = agreement.unwrap_or_else(|missing| missing);
        self.recorder.note(
            "recovered",
            json!(Recovery {
                recovered,
                ms,
                detail
            }),
        );
        Ok(Waited::Done)
    }

    async fn wait(
        &self,
        duration: Duration,
        nemesis: &Nemesis,
        observer: &Observer,
    ) -> Result<Waited, Failure> {
        let trouble = async {
            let mut tick = tokio::time::interval(TROUBLE_INTERVAL);
            loop {
                tick.tick().await;
                if self.recorder.is_broken() {
                    return "the history can't be written".to_owned();
                }
                if let Some(trouble) = observer.trouble() {
                    return trouble;
                }
            }
        };
        let mut interrupt = self.interrupt.clone();
        tokio::select! {
            () = tokio::time::sleep(duration) => Ok(Waited::Done),
            _ = interrupt.wait_for(|interrupted| *interrupted) => Ok(Waited::Interrupted),
            how = nemesis.agent_gone() => Err(Failure::Other(format!("the agent is gone: {how}"))),
            what = trouble => Err(Failure::Other(what)),
        }
    }

    async fn nemesis(&self, deployed: &Deployed, observer: &Observer) -> Result<Nemesis, Failure> {
        let journal = Journal::create(&journal_path(self.dir), &self.key, Controller::this());
        let journal = journal.map_err(NemesisError::from)?;
        let agent = deployed.start_agent(journal.mark()).await?;
        let cluster = deployed.cluster.clone();
        let sink: EventSink = {
            let (recorder, progress) = (self.recorder.clone(), self.progress.clone());
            Arc::new(move |kind: &str, event: FaultEvent| {
                recorder.fault(kind, &event);
                progress.fault(kind, &event);
            })
        };
        let ready = Ready {
            cluster: cluster.clone(),
            system: self.system.clone(),
            limit: self.spec.cluster.ready_limit(),
        };
        Ok(Nemesis::new(
            cluster,
            agent,
            journal,
            sink,
            observer.roles(),
            Arc::new(ready),
        )?)
    }

    fn clients(&self, cluster: &dyn Cluster) -> Result<Clients, Failure> {
        let from = first_v4(&cluster.client_addresses());
        let service = client::service(self.spec, from).map_err(Failure::Other)?;
        let workload = client::workload(&self.spec.workload).map_err(Failure::Other)?;
        let endpoints = (cluster.nodes().iter())
            .map(|node| Endpoint {
                node: node.name.clone(),
                address: (node.ipv4, self.system.port).into(),
            })
            .collect();
        let asks = &self.spec.client;
        let recorder = self.recorder.clone();
        Clients::new(
            service,
            endpoints,
            asks.policy(),
            asks.routing,
            workload,
            recorder,
            self.seed,
        )
        .map_err(|error| Failure::Other(format!("start the clients' threads: {error}")))
    }
}

/// Where a run's faults are written down before they are done.
pub fn journal_path(dir: &RunDir) -> PathBuf {
    dir.path().join(JOURNAL_FILE)
}

/// Tells the nemesis when a node that it started again is ready.
struct Ready {
    cluster: Arc<dyn Cluster>,
    system: System,
    limit: Duration,
}

#[async_trait::async_trait]
impl Readiness for Ready {
    async fn ready(&self, node: &str) -> Result<(), String> {
        wait_ready(
            &*self.cluster,
            node,
            &self.system.readiness,
            Instant::now() + self.limit,
        )
        .await
        .map_err(|error| error.to_string())
    }
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
