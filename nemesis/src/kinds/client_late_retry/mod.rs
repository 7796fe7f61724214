//! `client-late-retry`: requests whose outcome is not known are sent again long after their clients gave up.
//!
//! ```toml
//! kind = "client-late-retry"
//! share = 1.0            # of the operations that change something, and have no known outcome
//! after = "2s..5s"       # how long after the client gave up: e.g. longer than the system remembers requests
//! ```

use serde::{Deserialize, Serialize};

use super::clients::{Clients, Wrong, sent_again};
use super::kind::Parameter;
use crate::duration_range::DurationRange;
use crate::life::clients::{ClientsSeen, Misstep};

/// The kind.
pub type ClientLateRetry = Clients<RetryingLate>;

/// What it takes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RetryingLate {
    #[serde(default = "after")]
    after: DurationRange,
}

fn after() -> DurationRange {
    DurationRange {
        min_ms: 2000,
        max_ms: 5000,
    }
}

impl Wrong for RetryingLate {
    const NAME: &'static str = "client-late-retry";
    const DESCRIPTION: &'static str = "sends requests whose outcome is not known once more, with the tokens that they had, long after their clients gave up: \
                                       they may be executed once, and no more";
    const VERIFIED_BY: &'static str = "the clients count what they sent again; at least one request was while it was in force, which takes another fault that \
                                       leaves outcomes unknown; healed when none is on its way any more";
    const SHARE: f64 = 1.0;
    const NEEDS_TOKENS: bool = true;

    fn own() -> Vec<Parameter> {
        vec![Parameter {
            name: "after",
            values:
                "a duration, or a range to draw it from: how long after the client gave up; default 2s..5s"
                    .to_owned(),
        }]
    }

    fn misstep(&self) -> Misstep {
        Misstep::LateRetry { after: self.after }
    }

    fn told(&self, seen: &ClientsSeen) -> String {
        sent_again(seen)
    }
}
