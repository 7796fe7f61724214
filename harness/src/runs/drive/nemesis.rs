//! What breaks things in a run: the nemesis with its journal, and the latency that the cluster has anyway.

use std::sync::Arc;

use duress_checker::history::FaultEvent;
use duress_cluster::Controller;
use duress_nemesis::{EventSink, Journal, Nemesis, NemesisError};

use super::super::deploy::Deployed;
use super::super::failure::Failure;
use super::super::ready::Ready;
use super::super::regain::Told;
use super::super::store::journal_path;
use super::{Laid, Run};
use crate::address_book::AddressBook;
use crate::observer::Observer;

impl Run<'_> {
    pub(super) fn journal(&self) -> Result<Journal, Failure> {
        let journal = Journal::create(&journal_path(self.dir), &self.key, Controller::this());
        Ok(journal.map_err(NemesisError::from)?)
    }

    pub(super) async fn nemesis(
        &self,
        deployed: &Deployed,
        laid: Option<Laid>,
        observer: &Observer,
        addresses: &Arc<AddressBook>,
    ) -> Result<Nemesis, Failure> {
        let (journal, agent) = match laid {
            Some(laid) => laid,
            None => {
                let journal = self.journal()?;
                let agent = deployed.start_agents(journal.mark()).await?;
                (journal, agent)
            }
        };
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
            addresses: addresses.clone(),
            system: self.plan.system.clone(),
            limit: self.plan.spec.cluster.ready_limit(),
            interrupt: self.interrupt.clone(),
            recorder: self.recorder.clone(),
        };
        let told = Told {
            recorder: self.recorder.clone(),
            progress: self.progress.clone(),
        };
        let regain = deployed.regain(journal.mark(), told);
        let nemesis = Nemesis::new(cluster, agent, journal, sink, observer.roles(), Arc::new(ready))?;
        Ok(match &regain {
            Some(regain) => nemesis.regaining_by(regain),
            None => nemesis,
        })
    }

    /// From now on packets between nodes are as late as the spec says.
    pub(super) async fn latency(&self, nemesis: &Nemesis) -> Result<(), Failure> {
        if let Some(latency) = self.plan.spec.cluster.latency() {
            let measured = nemesis.set_latency(latency).await?;
            self.progress.say(&format!("latency of the cluster: {measured}"));
        }
        Ok(())
    }
}
