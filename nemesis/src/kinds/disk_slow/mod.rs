//! `disk-slow`: calls that a node makes of its disk take longer.
//!
//! ```toml
//! kind = "disk-slow"
//! delay = "100ms"
//! jitter = "20ms"
//! calls = ["fsync"]
//! path = "**/*.wal"
//! targets = "leader"
//! ```

use duress_checker::history::Effect as OnNodes;
use serde::{Deserialize, Serialize};

use super::disk::{Wrong, WrongDisk, microseconds};
use super::kind::Parameter;
use super::packets::Distribution;
use crate::layer::call::{Call, Effect};

/// The kind.
pub type DiskSlow = WrongDisk<Slow>;

/// What it takes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Slow {
    /// How late each call is, e.g. `100ms`.
    delay: String,
    /// How much that varies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jitter: Option<String>,
    /// How.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    distribution: Option<Distribution>,
}

/// A probe that takes longer would make the verification longer than most faults.
const DELAY_MAX_US: u64 = 2_000_000;

impl Wrong for Slow {
    const NAME: &'static str = "disk-slow";
    const DESCRIPTION: &'static str = "makes calls that a node makes of its disk take longer";
    const VERIFIED_BY: &'static str = "calls of the agent's own in the data directory take longer by what was asked for; at its end again, and \
         calls of the system have been late, at each node; healed when they take no longer";
    const EFFECT: OnNodes = OnNodes::Slows;
    const CALLS: &'static [Call] = &Call::ALL;

    fn own() -> Vec<Parameter> {
        let parameter = |name, values: &str| Parameter {
            name,
            values: values.to_owned(),
        };
        vec![
            parameter("delay", "how late each call is, e.g. \"100ms\": 1ms to 2s"),
            parameter(
                "jitter",
                "how much that varies, e.g. \"20ms\"; with distribution uniform or normal at most the delay",
            ),
            parameter(
                "distribution",
                "uniform: from delay - jitter to delay + jitter; normal: jitter is the standard deviation; exponential: jitter is \
                 the mean of what is added to delay; default uniform",
            ),
        ]
    }

    fn effect(&self) -> Result<Effect, (&'static str, String)> {
        let delay_us = microseconds("delay", &self.delay, 1000, DELAY_MAX_US)?;
        let jitter = self.jitter.as_deref();
        let jitter_us = jitter.map_or(Ok(0), |jitter| microseconds("jitter", jitter, 0, DELAY_MAX_US))?;
        let distribution = self.distribution.unwrap_or_default();
        if self.distribution.is_some() && jitter_us == 0 {
            return Err((
                "distribution",
                "nothing varies without jitter; say how much".to_owned(),
            ));
        }
        if jitter_us > delay_us && distribution != Distribution::Exponential {
            return Err(("jitter", "calls would be early; use at most the delay".to_owned()));
        }
        Ok(Effect::Slow {
            delay_us,
            jitter_us,
            distribution,
        })
    }
}
