//! When a node that was started again is ready.

use std::sync::Arc;
use std::time::Duration;

use duress_cluster::{Cluster, ClusterError, System, wait_ready};
use duress_nemesis::AwaitReady;
use tokio::time::Instant;

use crate::address_book::AddressBook;
use crate::interrupt::Interrupt;
use crate::recorder::Recorder;

/// What is begun when a run is interrupted may take so long to end: operations, nodes that start.
pub(super) const INTERRUPTED_GRACE: Duration = Duration::from_secs(3);

/// Tells the nemesis when a node that it started again is ready.
pub(super) struct Ready {
    pub cluster: Arc<dyn Cluster>,
    pub addresses: Arc<AddressBook>,
    pub system: System,
    pub limit: Duration,
    pub interrupt: Interrupt,
    pub recorder: Arc<Recorder>,
}

#[async_trait::async_trait]
impl AwaitReady for Ready {
    async fn ready(&self, node: &str) -> Result<(), String> {
        let deadline = Instant::now() + self.limit;
        let ready = async {
            self.addresses.look_up(node).await;
            wait_ready(&*self.cluster, node, &self.system.readiness, deadline).await
        };
        match self.interrupt.grace(INTERRUPTED_GRACE, ready).await {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => {
                if matches!(error, ClusterError::Local { .. }) {
                    self.recorder.give_up(&error.to_string());
                }
                Err(error.to_string())
            }
            None => Err(format!("{node} was not ready yet when the run was interrupted")),
        }
    }
}
