//! When a container that somebody else started is ready again.

use std::sync::Arc;
use std::time::Duration;

use duress_cluster::compose::RunningContainers;
use duress_nemesis::AwaitReady;
use tokio::time::sleep;

const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A container is ready when it runs, and where it has a health check, when the engine calls it healthy.
pub struct Ready(pub Arc<RunningContainers>);

#[async_trait::async_trait]
impl AwaitReady for Ready {
    async fn ready(&self, node: &str) -> Result<(), String> {
        while !self.0.is_ready(node).await.map_err(|error| error.to_string())? {
            sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }
}

/// A host that is logged in to is ready.
pub struct HostReady;

#[async_trait::async_trait]
impl AwaitReady for HostReady {
    async fn ready(&self, _node: &str) -> Result<(), String> {
        Ok(())
    }
}
