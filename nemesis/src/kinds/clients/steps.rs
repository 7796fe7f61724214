//! What the steps of a fault do that makes clients do something wrong.

use std::time::Duration;

use async_trait::async_trait;
use duress_checker::history::StepResult;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::Wrong;
use crate::life::clients::{ClientFault, ClientsSeen, Misstep};
use crate::life::shared::Shared;
use crate::life::technique::{StepOutcome, Technique, Unproven};

/// Beyond the time that it takes by itself, it has happened to somebody by then where there is any load.
const HIT_WAIT_MAX: Duration = Duration::from_secs(5);
/// Requests that are on their way end with their own time limits.
const END_WAIT_MAX: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

pub struct ClientSteps<W> {
    pub id: u64,
    pub fault: ClientFault,
    pub wrong: W,
}

impl<W: Wrong> ClientSteps<W> {
    /// How long it takes by itself until it has happened to an operation.
    fn takes(&self) -> Duration {
        match self.fault.how {
            Misstep::Crash { within, .. } => within,
            Misstep::Replay { after } | Misstep::LateRetry { after } => Duration::from_millis(after.max_ms),
        }
    }

    fn judge(&self, seen: Option<ClientsSeen>) -> StepOutcome {
        let judged = match seen {
            None => Err(Unproven::Mismatch(
                "the clients do nothing of the kind".to_owned(),
            )),
            Some(seen) if seen.hit == 0 => Err(Unproven::Indeterminate(
                "it has happened to no operation".to_owned(),
            )),
            Some(seen) => Ok(self.wrong.told(&seen)),
        };
        StepOutcome::seen(judged, json!({"clients": seen}))
    }

    fn look_now(&self, shared: &Shared) -> StepOutcome {
        self.judge(shared.clients.as_ref().and_then(|clients| clients.seen(self.id)))
    }
}

#[async_trait]
impl<W: Wrong> Technique for ClientSteps<W> {
    fn targets(&self) -> Vec<String> {
        Vec::new()
    }

    async fn prepare(&mut self, shared: &Shared) -> StepOutcome {
        match shared.clients {
            Some(_) => StepOutcome::installed("", Value::Null),
            None => StepOutcome::skipped("there are no clients but those of a run; put it into a spec"),
        }
    }

    async fn by_hand(&mut self, _shared: &Shared) -> Vec<String> {
        vec!["# the clients of a run do this themselves".to_owned()]
    }

    async fn inject(&mut self, shared: &Shared) -> StepOutcome {
        if let Some(clients) = &shared.clients {
            clients.begin(self.id, self.fault);
        }
        StepOutcome::installed("", json!({"share": self.fault.share}))
    }

    async fn verify(&mut self, shared: &Shared) -> StepOutcome {
        let deadline = Instant::now() + self.takes() + HIT_WAIT_MAX;
        loop {
            let outcome = self.look_now(shared);
            if outcome.result == StepResult::Installed
                || Instant::now() > deadline
                || !shared.wait(LOOK_AGAIN).await
            {
                return outcome;
            }
        }
    }

    async fn look(&mut self, shared: &Shared) -> StepOutcome {
        self.look_now(shared)
    }

    async fn recheck(&mut self, shared: &Shared) -> StepOutcome {
        self.look_now(shared)
    }

    async fn heal(&mut self, shared: &Shared) -> StepOutcome {
        let seen = shared.clients.as_ref().and_then(|clients| clients.end(self.id));
        let said = seen.as_ref().map(|seen| self.wrong.told(seen));
        StepOutcome::installed(said.unwrap_or_default(), json!({"clients": seen}))
    }

    async fn verify_healed(&mut self, shared: &Shared) -> StepOutcome {
        let Some(clients) = &shared.clients else {
            return StepOutcome::installed("", Value::Null);
        };
        let deadline = Instant::now() + END_WAIT_MAX;
        loop {
            let left = clients.on_their_way(self.id);
            if left == 0 && clients.seen(self.id).is_none() {
                return StepOutcome::installed("the clients do nothing of the kind any more", Value::Null);
            }
            if Instant::now() > deadline {
                let why = format!("{left} requests that were sent again are still on their way");
                return StepOutcome::indeterminate(why, json!({"left": left}));
            }
            sleep(LOOK_AGAIN).await;
        }
    }
}
