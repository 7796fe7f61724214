//! One container that is a node, whoever started it: where it is, and how it is started again.

use std::time::Duration;

use bollard::models::ContainerInspectResponse;
use tokio::time::Instant;

use super::container::{addresses, program_state};
use super::engine::Engine;
use crate::procfs::living;
use crate::{ClusterError, Place, ProgramState};

/// Until the engine has noticed that a container's program is dead.
const NOTICE_TIME_MAX: Duration = Duration::from_secs(5);
const NOTICE_PAUSE: Duration = Duration::from_millis(10);
/// The same on another machine, whose processes are not seen from here: a node that is not seen dead by then is alive.
pub const NOTICE_TIME_ELSEWHERE: Duration = Duration::from_secs(1);

/// Where it is, with all its addresses and without its data directory. Fails while it does not run.
pub fn place(container: &ContainerInspectResponse, node: &str) -> Result<Place, ClusterError> {
    let state = container.state.clone().unwrap_or_default();
    let how = match (program_state(&state), state.pid) {
        (ProgramState::Running, Some(pid @ 1..)) => {
            return Ok(Place {
                name: node.to_owned(),
                pid: pid as u32,
                keeper: false,
                addresses: addresses(container),
                data: None,
                group: None,
                machine: 0,
            });
        }
        (ProgramState::Running, _) => "on its way".to_owned(),
        (ProgramState::Stopped { how }, _) => how,
    };
    Err(ClusterError::Unsupported {
        what: format!("find the place of {node}"),
        why: format!("its container does not run ({how}), so it has no namespaces; start it first"),
    })
}

/// Starts it, if it does not run. `machine`: where it is, 0 here.
pub async fn start(engine: &Engine, id: &str, node: &str, machine: u32) -> Result<(), ClusterError> {
    let here = machine == 0;
    let deadline = Instant::now()
        + if here {
            NOTICE_TIME_MAX
        } else {
            NOTICE_TIME_ELSEWHERE
        };
    // Right after a kill the engine may not have noticed yet, and takes the container for running.
    while let Some(state) = engine.container(id).await?.state
        && state.running == Some(true)
        && !(here && state.pid.is_some_and(|pid| living(pid as u32).is_some()))
        && Instant::now() < deadline
    {
        tokio::time::sleep(NOTICE_PAUSE).await;
    }
    engine.start(id, node).await
}

/// Whether its process has this number here, as the engine knows it: not from inside another container, nor where the engine
/// runs on another machine.
pub async fn has_number_here(id: &str, pid: u32) -> bool {
    // Engines name control groups after containers.
    let groups = tokio::fs::read_to_string(format!("/proc/{pid}/cgroup")).await;
    groups.is_ok_and(|groups| groups.contains(id))
}
