//! Programs of a client that run in a service of the cluster's file: started by the cluster, asked by the client.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use duress_cluster::{Cluster, ClusterError, Connection, PROGRAM_ENDED};
use duress_workloads::clients::ClientKind;
use duress_workloads::clients::exec::{Running, StartPrograms, Started};
use tokio::runtime::Handle;

/// Starts programs in a service of a cluster.
struct InService {
    cluster: Arc<dyn Cluster>,
    service: String,
    /// That of the controller: connections to the engine must not end with the clients' threads.
    runtime: Handle,
}

/// Who starts the programs of this client, if it names a service for them: it has to run. Must be called on the runtime that
/// the cluster was deployed on.
pub async fn of(
    cluster: &Arc<dyn Cluster>,
    kind: &ClientKind,
) -> Result<Option<Arc<dyn StartPrograms>>, ClusterError> {
    let Some(service) = &kind.service else {
        return Ok(None);
    };
    let Some(programs) = cluster.service_programs() else {
        return Err(ClusterError::Unsupported {
            what: format!("run programs in the service {service}"),
            why: NO_SERVICES.to_owned(),
        });
    };
    programs.check_service(service).await?;
    Ok(Some(Arc::new(InService {
        cluster: cluster.clone(),
        service: service.clone(),
        runtime: Handle::current(),
    })))
}

const NO_SERVICES: &str = "this cluster has no services";

#[async_trait]
impl StartPrograms for InService {
    fn knows(&self, node: &str) -> bool {
        let programs = self.cluster.service_programs();
        programs.is_some_and(|programs| programs.knows(node))
    }

    async fn start(&self, argv: &[String], env: &BTreeMap<String, String>) -> Result<Started, String> {
        let (cluster, service) = (self.cluster.clone(), self.service.clone());
        let (argv, env) = (argv.to_vec(), env.clone());
        let started = self.runtime.spawn(async move {
            let Some(programs) = cluster.service_programs() else {
                return Err(NO_SERVICES.to_owned());
            };
            let started = programs.start_program(&service, &argv, &env).await;
            match started {
                Ok(program) => Ok(program),
                // Why it does not run says more than that nothing can be started in it.
                Err(error) => Err(programs
                    .check_service(&service)
                    .await
                    .err()
                    .unwrap_or(error)
                    .to_string()),
            }
        });
        let program = started.await.map_err(|error| error.to_string())??;
        Ok(Started {
            input: Box::new(program.input),
            output: Box::new(program.output),
            errors: Box::new(program.errors),
            running: Box::new(There {
                _connection: program.connection,
            }),
        })
    }
}

/// A program in a service.
#[derive(Debug)]
struct There {
    _connection: Connection,
}

#[async_trait]
impl Running for There {
    /// The end of its input has done it.
    fn end(&mut self) {}

    async fn how(&mut self, errors: &mut Vec<u8>) -> Option<String> {
        take_end(errors)
    }
}

/// Takes the line that says how the program ended from what was written to its standard error.
fn take_end(errors: &mut Vec<u8>) -> Option<String> {
    let said = String::from_utf8_lossy(errors).into_owned();
    let (before, status) = said.trim_end().rsplit_once(PROGRAM_ENDED)?;
    *errors = before.as_bytes().to_vec();
    Some(match status.parse() {
        // As a shell counts: 128 and the number of the signal.
        Ok(code @ 129..=192) => format!("signal: {}", code - 128),
        _ => format!("exit status: {status}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_says_how_a_program_ended_and_is_not_its_own() {
        let ended = |status: u8| format!("{PROGRAM_ENDED}{status}\n");
        for (said, how, left) in [
            (
                format!("no such host\n{}", ended(3)),
                Some("exit status: 3"),
                "no such host\n",
            ),
            (
                format!("no end of line{}", ended(137)),
                Some("signal: 9"),
                "no end of line",
            ),
            ("killed meanwhile\n".to_owned(), None, "killed meanwhile\n"),
        ] {
            let mut errors = said.into_bytes();
            assert_eq!(take_end(&mut errors).as_deref(), how);
            assert_eq!(String::from_utf8_lossy(&errors), left);
        }
    }
}
