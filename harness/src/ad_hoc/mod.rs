//! Faults on containers and hosts that run already: no workload and no verdict, only what was broken and whether that is proven.
//!
//! ```text
//! arguments ─▶ FaultsSpec ─plan─▶ Schedule ─Nemesis, on RunningContainers─▶ events ─▶ Told, a line for each fault
//! ```
//!
//! All that makes a run safe is the same here: the journal, the agent with its dead-man switch, `duress heal`.

mod broken;
mod probe;
mod ready;
mod told;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use duress_checker::history::{FaultEvent, RunNote};
use duress_cluster::{Controller, Key, Roles};
use duress_nemesis::{EventSink, Journal, Nemesis, NemesisError, Rehearsal, Schedule};
use duress_results::rundir::RunDir;
use duress_workloads::retry::Clock as _;
use tokio::sync::watch;

use crate::interrupt::Interrupt;
use crate::recorder::{Recorder, Writer};
use crate::runs::failure::Failure;
use crate::runs::store::journal_path;

pub use self::broken::Broken;
pub use self::probe::Probe;
pub use self::told::{Fate, Told};

/// Where journals of ad hoc faults are kept, below the folder of results.
pub fn root(results: &Path) -> PathBuf {
    results.join("ad-hoc")
}

/// Is told of a fault whenever something new is known of it.
pub type Tell = Arc<dyn Fn(&Told) + Send + Sync>;

/// Faults on containers or hosts that run already.
pub struct AdHoc<'a> {
    /// What is broken.
    pub broken: Broken,
    /// Where the journal goes, and the history of the faults.
    pub dir: &'a RunDir,
    /// Seals the journal.
    pub key: Key,
    /// Heals all when somebody asks.
    pub interrupt: Interrupt,
    /// Heals all when it has failed for too long.
    pub abort_when: Option<Probe>,
    /// Is told of each fault.
    pub tell: Tell,
}

/// How it ended.
pub struct Ended {
    /// What became of each fault, in the order of the schedule.
    pub faults: Vec<Told>,
    /// Why it ended before its time, if the probe ended it.
    pub aborted: Option<String>,
}

impl AdHoc<'_> {
    /// Injects and heals what is planned. Whatever happens, all is healed when this returns, unless it says otherwise.
    pub async fn run(&self, schedule: &Schedule) -> Result<Ended, Failure> {
        let (recorder, writer) = self.record(schedule)?;
        let faults: Vec<Told> = (schedule.faults.iter())
            .map(|planned| Told::new(planned.id, planned.fault.kind().name()))
            .collect();
        let faults = Arc::new(Mutex::new(faults));
        let sink: EventSink = {
            let (faults, recorder, tell) = (faults.clone(), recorder.clone(), self.tell.clone());
            Arc::new(move |kind: &str, event: FaultEvent| {
                recorder.fault(kind, &event);
                let mut faults = faults.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(told) = faults.iter_mut().find(|told| told.id == event.id) {
                    told.take(&event, recorder.now() / 1_000_000);
                    tell(told);
                }
            })
        };
        let result = self.break_all(schedule, sink).await;
        let down = self.broken.cluster().down().await.map_err(Failure::from);
        let written = writer
            .finish(&recorder)
            .map_err(|error| Failure::Other(error.to_string()));
        let aborted = result?;
        down.and(written)?;
        let faults = faults.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Ended { faults, aborted })
    }

    /// Resolves what is planned as if each fault were injected now, and injects none.
    pub async fn rehearse(&self, schedule: &Schedule) -> Result<Vec<Rehearsal>, Failure> {
        let nemesis = self.nemesis(Arc::new(|_: &str, _: FaultEvent| {})).await?;
        let rehearsed = nemesis.rehearse(schedule).await;
        let closed = nemesis.close().await;
        self.broken.cluster().down().await?;
        let rehearsed = rehearsed?;
        closed?;
        Ok(rehearsed)
    }

    async fn break_all(&self, schedule: &Schedule, sink: EventSink) -> Result<Option<String>, Failure> {
        let nemesis = self.nemesis(sink).await?;
        let (cancel, cancelled) = watch::channel(false);
        let mut aborted = None;
        let faults = nemesis.run(schedule, Instant::now(), cancelled);
        let mut faults = std::pin::pin!(faults);
        let result = tokio::select! {
            biased;
            result = &mut faults => result,
            () = self.interrupt.wait() => {
                cancel.send_replace(true);
                faults.await
            }
            why = self.unwell() => {
                aborted = Some(why);
                cancel.send_replace(true);
                faults.await
            }
        };
        let healed = nemesis.heal_all().await;
        let closed = nemesis.close().await;
        result.and(healed.map(drop)).and(closed)?;
        Ok(aborted)
    }

    /// Returns when the probe has failed for too long.
    async fn unwell(&self) -> String {
        match &self.abort_when {
            Some(probe) => probe.failed().await,
            None => std::future::pending().await,
        }
    }

    async fn nemesis(&self, sink: EventSink) -> Result<Nemesis, Failure> {
        let journal = Journal::create(&journal_path(self.dir), &self.key, Controller::this());
        let journal = journal.map_err(NemesisError::from)?;
        let agent = self.broken.start_agents(journal.mark()).await?;
        // Nobody tells who leads here.
        let (_, roles) = watch::channel(Roles::default());
        let ready = self.broken.ready();
        Ok(Nemesis::new(
            self.broken.cluster(),
            agent,
            journal,
            sink,
            roles,
            ready,
        )?)
    }

    fn record(&self, schedule: &Schedule) -> Result<(Arc<Recorder>, Writer), Failure> {
        let run = RunNote {
            name: "ad-hoc".to_owned(),
            seed: Some(schedule.seed),
            ..RunNote::default()
        };
        let failed = |error: &dyn std::error::Error| Failure::Other(error.to_string());
        self.dir
            .write_schedule(schedule)
            .map_err(|error| failed(&error))?;
        Recorder::create(&self.dir.history(), run).map_err(|error| failed(&error))
    }
}
