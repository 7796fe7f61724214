//! One run: deploy, warm up, break, heal, wait for recovery, read a last time.
//!
//! Two kinds of trouble, never mixed: what the system under test does goes into the history and is judged; what the
//! harness can't do is a [`Failure`], noted in the history, which ends the run in order. What was recorded until then
//! is still analysed.

mod nemesis;

use std::sync::Arc;
use std::time::Duration;

use duress_checker::history::{ClientClock, END_PHASE, FinalOps, HarnessFailure, Note, PhaseNote, Recovery};
use duress_checker::property::Source;
use duress_cluster::{Key, collect_logs};
use duress_nemesis::{Agents, Journal, Nemesis};
use duress_results::rundir::RunDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::address_book::{AddressBook, first_v4};
use crate::client;
use crate::client_hosts::{ClientHost, OnHosts, Setup};
use crate::contents;
use crate::interrupt::Interrupt;
use crate::load::Clients;
use crate::missteps::Missteps;
use crate::observer::{Look, Observer};
use crate::programs;
use crate::progress::Progress;
use crate::recorder::Recorder;
use crate::status;
use crate::watchdog::Watchdog;

use super::deploy::{self, Deployed, Environment, Ground};
use super::failure::Failure;
use super::host_clock::HostClock;
use super::hosts;
use super::plan::Plan;
use super::ready::INTERRUPTED_GRACE;

/// Everything that a run needs and that does not change.
pub struct Run<'a> {
    /// What to do.
    pub plan: &'a Plan,
    /// Where nodes will live.
    pub environment: Environment,
    /// What proves to `duress heal` that this run made what it made.
    pub key: Key,
    /// Where everything goes.
    pub dir: &'a RunDir,
    /// What happened.
    pub recorder: Arc<Recorder>,
    /// What a person sees.
    pub progress: Arc<Progress>,
    /// Ctrl-C: heal, write, check what there is.
    pub interrupt: Interrupt,
    /// Looks whether all of it moves.
    pub watchdog: Watchdog,
}

/// Between two looks at whether the run can still be recorded.
const TROUBLE_INTERVAL: Duration = Duration::from_millis(100);

/// What an operation may take beyond what its policy allows.
const OPERATION_MARGIN: Duration = Duration::from_secs(30);

/// What it may take to collect the log files of all nodes.
const COLLECT_TIME_MAX: Duration = Duration::from_secs(60);

/// What was begun before the nodes were: the journal, and the agent that has put something under data directories.
type Laid = (Journal, Agents);

/// How a run's waiting ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waited {
    Done,
    Interrupted,
}

impl Run<'_> {
    /// Does all of it. Whatever happens, everything is healed and taken down before this returns.
    pub async fn drive(self) {
        let clock = HostClock::now();
        let failure = match self.interrupt.unless(self.deploy()).await {
            // What was deployed until then went down when it was given up.
            None => deploy::swept(&self.plan.spec.cluster, self.dir, &self.key)
                .await
                .err(),
            Some(Err(failure)) => Some(failure),
            Some(Ok((deployed, laid))) => {
                let result = self.on(&deployed, laid).await;
                self.collect_logs(&deployed).await;
                self.progress.phase("down");
                let down = deployed.cluster.down().await.map_err(Failure::from);
                result.and(down).err()
            }
        };
        let failure = failure.or_else(|| HostClock::was_set_since(clock).map(Failure::Other));
        if self.interrupt.asked() {
            self.progress.say("interrupted: what there is will be checked");
            self.recorder.note(&Note::Interrupted {});
        }
        match failure {
            Some(failure) => {
                let what = failure.in_full();
                self.progress.say(&format!("harness failure: {what}"));
                self.recorder.note(&Note::HarnessFailure(HarnessFailure { what }));
            }
            None => self.phase(END_PHASE),
        }
    }

    /// Keeps the log files of nodes. What can't be kept is told and changes no verdict.
    async fn collect_logs(&self, deployed: &Deployed) {
        let nodes = self.dir.nodes();
        let collect = collect_logs(&*deployed.cluster, &nodes, &self.plan.system.logs);
        let collect = tokio::time::timeout(COLLECT_TIME_MAX, collect);
        match self.interrupt.grace(INTERRUPTED_GRACE, collect).await {
            Some(Ok(notes)) => notes.iter().for_each(|note| self.progress.say(note)),
            Some(Err(_)) => self.progress.say(&format!(
                "log files of nodes: not all were kept within {COLLECT_TIME_MAX:?}"
            )),
            None => self
                .progress
                .say("log files of nodes: not all were kept, the run was interrupted"),
        }
    }

    fn phase(&self, name: &str) {
        let phase = name.to_owned();
        self.recorder.note(&Note::Phase(PhaseNote { phase }));
        self.progress.phase(name);
    }

    async fn deploy(&self) -> Result<(Deployed, Option<Laid>), Failure> {
        self.phase("deploy");
        let start = Instant::now();
        let can = |kind| self.environment.refuse(&[kind], &self.plan.system).is_ok();
        let storage = self.plan.storage(can);
        let journal = match storage.is_empty() {
            true => None,
            false => Some(self.journal()?),
        };
        let ground = journal.as_ref().map(|journal| Ground {
            storage: &storage,
            journal,
        });
        let (deployed, agent) = deploy::deploy(
            &self.plan.spec.cluster,
            &self.plan.system,
            &self.plan.client,
            self.environment,
            self.dir,
            &self.key,
            ground.as_ref(),
        )
        .await?;
        self.progress.say(&format!(
            "{} nodes of {} are up after {:.1} s",
            deployed.cluster.nodes().len(),
            self.plan.system.name,
            start.elapsed().as_secs_f64()
        ));
        Ok((deployed, journal.zip(agent)))
    }

    async fn on(&self, deployed: &Deployed, laid: Option<Laid>) -> Result<(), Failure> {
        let cluster = &deployed.cluster;
        let observer_address = cluster.observer_addresses().and_then(|list| first_v4(&list));
        let addresses = Arc::new(AddressBook::new(cluster.clone(), self.plan.system.port));
        let system = &self.plan.system;
        let probe = status::probe(cluster, system, &self.plan.client, observer_address).await?;
        let look = Look::new(cluster.clone(), addresses.clone(), system, probe);
        let observer = Observer::start(&look, self.dir, &self.recorder)
            .map_err(|error| Failure::Other(format!("keep what nodes say: {error}")))?;
        let limit = self.plan.spec.cluster.ready_limit();
        match self.interrupt.unless(observer.agreement(limit)).await {
            None => return Ok(()),
            Some(agreed) => agreed.map_err(|missing| match self.recorder.trouble() {
                Some(trouble) => Failure::Other(trouble),
                None => Failure::NeverReady { limit, missing },
            })?,
        };

        let missteps = Arc::new(Missteps::default());
        let Some(nemesis) = self
            .interrupt
            .unless(self.nemesis(deployed, laid, &observer, &addresses))
            .await
        else {
            return Ok(());
        };
        let nemesis = nemesis?.with_clients(missteps.clone());
        self.latency(&nemesis).await?;
        let clients = self.clients(deployed, addresses).await?;
        let clients = Arc::new(clients.misled_by(missteps));
        let watch = self.watchdog.watch("the clients");
        clients.show(watch.pulse.clone());
        let (stop_load, stopped) = watch::channel(false);
        let load = tokio::spawn({
            let (clients, pace) = (clients.clone(), self.plan.spec.load.pace());
            async move { clients.run(pace, stopped).await }
        });

        let result = self.under_load(&nemesis).await;
        // Faults first: nothing must stay broken, whatever went wrong above.
        let healed = nemesis.heal_all().await.map_err(Failure::from);
        let result = match result.and_then(|waited| healed.map(|_| waited)) {
            Ok(waited) => self.after_faults(waited, &observer).await,
            Err(failure) => Err(failure),
        };
        stop_load.send_replace(true);
        let joined = self.join(load).await;
        let result = result.and_then(|waited| joined.map(|()| waited));
        if let Ok(Waited::Done) = result {
            // What is interrupted is not noted: a part of the final reads says nothing.
            let _ = self.interrupt.unless(self.last_looks(&clients)).await;
        }
        observer.note_diverged(&self.recorder);
        drop(watch);
        let closed = nemesis.close().await.map_err(Failure::from);
        if let Some(trouble) = self.recorder.trouble() {
            return Err(Failure::Other(trouble));
        }
        result.and(closed)
    }

    /// Each key a last time, and what each member holds.
    async fn last_looks(&self, clients: &Arc<Clients>) {
        self.phase("final-reads");
        let deadline = Instant::now() + self.plan.spec.time.recovery.0;
        let (answered, asked) = clients.final_ops(deadline).await;
        let (answered, asked) = (answered as u64, asked as u64);
        self.recorder.note(&Note::FinalOps(FinalOps { answered, asked }));
        let judges = |source| {
            self.plan
                .spec
                .properties
                .iter()
                .any(|claim| claim.about().judges == source)
        };
        if judges(Source::Contents) {
            self.phase("contents");
            let deadline = Instant::now() + self.plan.spec.time.recovery.0;
            match contents::read(&*clients.service, &*clients.endpoints, deadline).await {
                Ok(contents) => self.recorder.note(&Note::Contents(contents)),
                Err(what) => self.recorder.give_up(&what),
            }
        }
    }

    /// Waits until every operation has ended that has begun, as long as one may take; of a run that is interrupted, only
    /// for a moment. What has not ended by then stays open in the history.
    async fn join(&self, mut load: JoinHandle<()>) -> Result<(), Failure> {
        let asks = &self.plan.spec.client;
        let longest = (asks.timeout.0 + 2 * asks.backoff_max.0) * asks.attempts + OPERATION_MARGIN;
        let ended = tokio::time::timeout(longest, &mut load);
        match self.interrupt.grace(INTERRUPTED_GRACE, ended).await {
            Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err(error))) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Some(Ok(Err(error))) => Err(Failure::Other(format!("wait for the clients: {error}"))),
            Some(Err(_)) => {
                load.abort();
                let what = format!(
                    "operations of the clients have not ended {longest:?} after the load was to stop"
                );
                Err(Failure::Other(what))
            }
            None => {
                load.abort();
                Ok(())
            }
        }
    }

    /// Warm-up and faults.
    async fn under_load(&self, nemesis: &Nemesis) -> Result<Waited, Failure> {
        self.phase("warm-up");
        if let Waited::Interrupted = self.wait(self.plan.spec.time.warm_up.0, nemesis).await? {
            return Ok(Waited::Interrupted);
        }
        self.phase("faults");
        // Faults end inside their window; to verify the healing of the last one may take a little longer.
        let cancel = self.interrupt.receiver();
        let faults = nemesis.run(&self.plan.schedule, std::time::Instant::now(), cancel);
        let faults = async { faults.await.map_err(Failure::from) };
        let (waited, ()) = tokio::try_join!(self.wait(self.plan.spec.time.faults.0, nemesis), faults)?;
        Ok(waited)
    }

    /// Waits until the cluster has provably recovered, still under load.
    async fn after_faults(&self, waited: Waited, observer: &Observer) -> Result<Waited, Failure> {
        if let Waited::Interrupted = waited {
            return Ok(Waited::Interrupted);
        }
        self.phase("recovery");
        let start = Instant::now();
        let agreement = observer.agreement(self.plan.spec.time.recovery.0);
        let Some(agreement) = self.interrupt.unless(agreement).await else {
            return Ok(Waited::Interrupted);
        };
        let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let recovered = agreement.is_ok();
        let detail = agreement.unwrap_or_else(|missing| missing);
        self.recorder.note(&Note::Recovered(Recovery {
            recovered,
            ms,
            detail,
        }));
        Ok(Waited::Done)
    }

    async fn wait(&self, duration: Duration, nemesis: &Nemesis) -> Result<Waited, Failure> {
        let trouble = async {
            let mut tick = tokio::time::interval(TROUBLE_INTERVAL);
            loop {
                tick.tick().await;
                if let Some(trouble) = self.recorder.trouble() {
                    return trouble;
                }
            }
        };
        tokio::select! {
            () = tokio::time::sleep(duration) => Ok(Waited::Done),
            () = self.interrupt.wait() => Ok(Waited::Interrupted),
            error = nemesis.agent_lost() => Err(error.into()),
            what = trouble => Err(Failure::Other(what)),
        }
    }

    /// Says how far the clock of a client's host is ahead.
    fn note_clock(&self, host: &ClientHost) {
        let offset = host.offset();
        let clock = ClientClock {
            host: host.name().to_owned(),
            ahead_ns: offset.ns,
            error_ns: offset.error_ns,
        };
        self.progress.say(&format!(
            "the clock of {} is {:.3} ms ahead, with an error of {:.3} ms at most",
            clock.host,
            offset.ns as f64 / 1e6,
            offset.error_ns as f64 / 1e6
        ));
        self.recorder.note(&Note::ClientClock(clock));
    }

    async fn clients(&self, deployed: &Deployed, addresses: Arc<AddressBook>) -> Result<Clients, Failure> {
        let cluster = &deployed.cluster;
        let from = first_v4(&cluster.client_addresses());
        let kind = &self.plan.client;
        let programs = programs::of(cluster, kind).await?;
        let options = client::options(&self.plan.spec, from, programs);
        let setup = Setup::of(kind, &self.plan.definition, &options);
        let mut service = client::service(kind, options).map_err(Failure::Other)?;
        if !deployed.client_hosts.is_empty() {
            let start = self.recorder.start();
            let hosts = hosts::start_clients(&deployed.client_hosts, &setup, start).await?;
            for host in &hosts {
                self.note_clock(host);
            }
            service = Box::new(OnHosts::new(service, hosts));
        }
        let workload = self
            .plan
            .spec
            .workload
            .generator()
            .map_err(|error| Failure::Other(error.to_string()))?;
        let asks = &self.plan.spec.client;
        let recorder = self.recorder.clone();
        Clients::new(
            service,
            addresses,
            asks.policy(),
            asks.routing,
            workload,
            recorder,
            self.plan.seed,
        )
        .map(|clients| clients.lending(self.plan.spec.workload.lease()))
        .map_err(|error| Failure::Other(format!("start the clients' threads: {error}")))
    }
}
