//! Starting programs that a fault has ended, and whether they run again.

use duress_cluster::{Place, ProgramState};
use serde_json::Value;

use crate::life::shared::Shared;
use crate::life::technique::StepOutcome;

/// Starts the programs of all these nodes. Says what else that took; the error is what failed, in words.
pub(crate) async fn start_all(shared: &Shared, places: &[Place]) -> Result<Vec<String>, String> {
    let (mut said, mut failed) = (Vec::new(), Vec::new());
    for place in places {
        match shared.start(place).await {
            Ok(put_back) => said.extend(put_back),
            Err(why) => failed.push(why),
        }
    }
    if failed.is_empty() {
        return Ok(said);
    }
    failed.extend(said);
    Err(failed.join("; "))
}

/// Whether the programs run and are ready.
pub(crate) async fn verify_started(shared: &Shared, places: &[Place]) -> StepOutcome {
    let mut failed = Vec::new();
    for place in places {
        let node = &place.name;
        match shared.cluster.state(node).await {
            Ok(ProgramState::Running) => {
                if let Err(why) = shared.ready(node).await {
                    failed.push(format!("{node} runs and isn't ready: {why}"));
                }
            }
            Ok(ProgramState::Stopped { how }) => {
                let said = shared.cluster.log_tail(node, 3).await;
                failed.push(format!("{node} was started and ended again ({how}): {said}"));
            }
            Err(error) => failed.push(format!("{node}: {error}")),
        }
    }
    if failed.is_empty() {
        return StepOutcome::installed("runs and is ready", Value::Null);
    }
    StepOutcome::indeterminate(failed.join("; "), Value::Null)
}
