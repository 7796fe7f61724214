//! `client-crash`: clients crash while they wait for an answer, and come back.
//!
//! ```toml
//! kind = "client-crash"
//! share = 0.1            # of all operations
//! within = "200ms"       # a client that is going to crash does so after this time at most
//! comes-back = "same"    # as whom: "same", or "new", which the system has never heard of
//! ```

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::clients::{Clients, Wrong};
use super::kind::Parameter;
use crate::life::clients::{ClientsSeen, Misstep};

/// The kind.
pub type ClientCrash = Clients<Crashing>;

/// What it takes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Crashing {
    #[serde(default = "within", with = "super::as_text")]
    within: Duration,
    #[serde(default, rename = "comes-back")]
    comes_back: ComesBack,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ComesBack {
    #[default]
    Same,
    New,
}

fn within() -> Duration {
    Duration::from_millis(200)
}

impl Wrong for Crashing {
    const NAME: &'static str = "client-crash";
    const DESCRIPTION: &'static str = "lets clients crash while they wait for an answer, which then nobody takes, and come back as who they were, or as somebody new";
    const VERIFIED_BY: &'static str = "the clients count whom it happened to; at least one operation was given up so while it was in force; healed when it \
                                       happens no more";
    const SHARE: f64 = 0.1;
    const NEEDS_TOKENS: bool = false;

    fn own() -> Vec<Parameter> {
        vec![
            Parameter {
                name: "within",
                values: "a duration: a client that crashes lives on for that long at most; default 200ms"
                    .to_owned(),
            },
            Parameter {
                name: "comes-back",
                values: "same: it comes back with the name that its tokens had; new; default same".to_owned(),
            },
        ]
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        match self.within.is_zero() {
            true => Err((
                "within",
                "0s is before anything is asked; use e.g. \"200ms\"".to_owned(),
            )),
            false => Ok(()),
        }
    }

    fn misstep(&self) -> Misstep {
        Misstep::Crash {
            within: self.within,
            same_identity: self.comes_back == ComesBack::Same,
        }
    }

    fn told(&self, seen: &ClientsSeen) -> String {
        match seen.hit {
            1 => "1 client crashed while it waited for an answer".to_owned(),
            hit => format!("{hit} clients crashed while they waited for an answer"),
        }
    }
}
