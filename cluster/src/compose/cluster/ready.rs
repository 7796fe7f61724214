//! Waiting until nodes are ready.

use std::time::Duration;

use tokio::time::Instant;

use super::ComposeCluster;
use crate::compose::container::program_state;
use crate::{Cluster, ClusterError, ProgramState, wait_ready};

const HEALTH_PAUSE: Duration = Duration::from_millis(100);
/// Before a node that ended while it came up is started again.
const RESTART_PAUSE: Duration = Duration::from_millis(500);
const LOG_LINES_IN_ERRORS: usize = 15;

impl ComposeCluster {
    /// Resolves once every node is ready.
    pub(in crate::compose) async fn await_ready(&self) -> Result<(), ClusterError> {
        let deadline = Instant::now() + self.config.ready_within;
        let waits = self
            .config
            .nodes
            .iter()
            .map(|node| self.await_node(node, deadline));
        futures_util::future::try_join_all(waits).await.map(drop)
    }

    /// Resolves once a node is ready, or fails when it has ended or the time is over. A node that ends while it comes up
    /// is started again if the file says so: members that need each other may count on that.
    pub async fn await_node(&self, node: &str, deadline: Instant) -> Result<(), ClusterError> {
        loop {
            let waited = match &self.config.readiness {
                Some(readiness) => wait_ready(self, node, readiness, deadline).await,
                None => self.await_health(node, deadline).await,
            };
            let Err(error) = waited else { return Ok(()) };
            let ProgramState::Stopped { how } = self.state(node).await? else {
                return Err(error);
            };
            if !self.resolved.restarts(node) || Instant::now() >= deadline {
                return Err(self.ended_early(node, &how, error).await);
            }
            tokio::time::sleep(RESTART_PAUSE).await;
            self.start(node).await?;
        }
    }

    /// A node that ended before it could even be looked at still gets its last lines into the error.
    async fn ended_early(&self, node: &str, how: &str, error: ClusterError) -> ClusterError {
        if matches!(error, ClusterError::Timeout { .. }) {
            return error;
        }
        let log = self.log_tail(node, LOG_LINES_IN_ERRORS).await;
        ClusterError::Unsupported {
            what: format!("wait until {node} is ready"),
            why: format!("its program has ended: {how}; it wrote last:\n{}", log.trim_end()),
        }
    }

    /// Waits for the file's own healthcheck.
    async fn await_health(&self, node: &str, deadline: Instant) -> Result<(), ClusterError> {
        let began = Instant::now();
        loop {
            let container = self.engine.container(&self.container_of(node)?).await?;
            let state = container.state.unwrap_or_default();
            let health = state.health.as_ref().and_then(|health| health.status);
            let why = match (
                program_state(&state),
                health.map(|health| health.to_string()).as_deref(),
            ) {
                (ProgramState::Running, None | Some("" | "none" | "healthy")) => return Ok(()),
                (ProgramState::Running, Some(health)) => format!("its healthcheck says {health}"),
                (ProgramState::Stopped { how }, _) => format!("its program has ended: {how}"),
            };
            if state.running != Some(true) || Instant::now() >= deadline {
                let log = self.log_tail(node, LOG_LINES_IN_ERRORS).await;
                return Err(ClusterError::Timeout {
                    what: format!("wait until {node} is ready"),
                    limit_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
                    detail: format!(": {why}; it wrote last:\n{}", log.trim_end()),
                });
            }
            tokio::time::sleep(HEALTH_PAUSE).await;
        }
    }
}
