//! `client-replay`: requests that have been answered are sent again, as somebody could who had captured them.
//!
//! ```toml
//! kind = "client-replay"
//! share = 0.1            # of the operations that change something, and were answered
//! after = "100ms..1s"    # how long after the answer
//! ```
//!
//! The token is the one that they had: so the system must do nothing, and answer as the first time or refuse.

use serde::{Deserialize, Serialize};

use super::clients::{Clients, Wrong, sent_again};
use super::kind::Parameter;
use crate::duration_range::DurationRange;
use crate::life::clients::{ClientsSeen, Misstep};

/// The kind.
pub type ClientReplay = Clients<Replaying>;

/// What it takes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Replaying {
    #[serde(default = "after")]
    after: DurationRange,
}

fn after() -> DurationRange {
    DurationRange {
        min_ms: 100,
        max_ms: 1000,
    }
}

impl Wrong for Replaying {
    const NAME: &'static str = "client-replay";
    const DESCRIPTION: &'static str = "sends requests that have been answered once more, with the tokens that they had: nothing may come of it";
    const VERIFIED_BY: &'static str = "the clients count what they sent again; at least one request was while it was in force; healed when none is on its way \
                                       any more";
    const SHARE: f64 = 0.1;
    const NEEDS_TOKENS: bool = true;

    fn own() -> Vec<Parameter> {
        vec![Parameter {
            name: "after",
            values: "a duration, or a range to draw it from: how long after the answer; default 100ms..1s"
                .to_owned(),
        }]
    }

    fn misstep(&self) -> Misstep {
        Misstep::Replay { after: self.after }
    }

    fn told(&self, seen: &ClientsSeen) -> String {
        sent_again(seen)
    }
}
