//! Services that are no nodes, and what is run in them.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::ComposeCluster;
use crate::compose::container::program_state;
use crate::compose::engine::Kind;
use crate::compose::mark::RUN_LABEL;
use crate::compose::{service_program, sweep};
use crate::{ClusterError, ProgramState, ServiceProgram, ServicePrograms};

const LOG_LINES_IN_ERRORS: usize = 5;

impl ComposeCluster {
    /// The container of this service. Compose may replace it, so it is looked up each time.
    async fn container_of_service(&self, service: &str) -> Result<String, ClusterError> {
        let label = format!("{RUN_LABEL}={}", self.config.run);
        let mut things = self.engine.list(Kind::Container, &label).await?.into_iter();
        let found =
            things.find(|thing| self.mark.is_on(thing) && sweep::service_of(&thing.labels) == Some(service));
        found
            .map(|thing| thing.id)
            .ok_or_else(|| ClusterError::Unsupported {
                what: format!("run programs in the service {service}"),
                why: "Compose made no container for it; is it behind a profile that is not active?"
                    .to_owned(),
            })
    }
}

#[async_trait]
impl ServicePrograms for ComposeCluster {
    async fn check_service(&self, service: &str) -> Result<(), ClusterError> {
        let id = self.container_of_service(service).await?;
        let container = self.engine.container(&id).await?;
        let ProgramState::Stopped { how } = program_state(&container.state.unwrap_or_default()) else {
            return Ok(());
        };
        let log = self.engine.log_tail(&id, LOG_LINES_IN_ERRORS).await;
        let log = match log.trim_end() {
            "" => String::new(),
            log => format!("; it wrote last:\n{log}"),
        };
        Err(ClusterError::Unsupported {
            what: format!("run programs in the service {service}"),
            why: format!(
                "its container does not run ({how}); give it a command that stays, e.g. [\"sleep\", \"infinity\"]{log}"
            ),
        })
    }

    fn knows(&self, node: &str) -> bool {
        !self.is_replica(node)
    }

    async fn start_program(
        &self,
        service: &str,
        argv: &[String],
        env: &BTreeMap<String, String>,
    ) -> Result<ServiceProgram, ClusterError> {
        let id = self.container_of_service(service).await?;
        service_program::start(&self.engine, &id, service, argv, env).await
    }
}
