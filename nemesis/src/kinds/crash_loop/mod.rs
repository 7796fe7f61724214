//! `crash-loop`: a program is killed, and killed again each time that it was started again.
//!
//! ```toml
//! kind = "crash-loop"
//! every = "1s"           # from one start to the next
//! after = "20ms"         # how long it runs each time: a short time kills it before it is ready; at once, if it does not say
//! targets = "leader"     # any one node, if it does not say
//! ```

mod steps;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use duress_checker::history::Effect;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::as_text;
use super::at_nodes;
use super::kill::nothing_left;
use super::kind::{About, InForceAt, Kind, Parameter, ParameterError, Parameters, Undone, json, typed};
use crate::agent::part::AgentPart;
use crate::agent::protocol::Mark;
use crate::life::technique::Technique;
use crate::targets::Selector;
use steps::{CrashLoopSteps, Pace};

/// As in specs, schedules and histories.
const NAME: &str = "crash-loop";

/// Programs are not started faster; and a fault is longer than this.
const EVERY: std::ops::RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(3600);
/// Longer than it takes to be ready, and less than a fault lasts.
const AFTER_MAX: Duration = Duration::from_secs(600);

/// The kind.
#[derive(Clone, Copy, Debug)]
pub struct CrashLoop;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    targets: Selector,
    #[serde(default = "a_second", with = "as_text")]
    every: Duration,
    #[serde(default, with = "as_text")]
    after: Duration,
}

fn a_second() -> Duration {
    Duration::from_secs(1)
}

impl Parameters for Written {
    fn to_json(&self) -> Value {
        json(self)
    }

    fn check(&self, nodes: &[String]) -> Result<(), (&'static str, String)> {
        at_nodes::check(&self.targets, nodes)
    }

    fn technique(&self, id: u64, seed: u64, _length: Duration) -> Box<dyn Technique> {
        let pace = Pace {
            every: self.every,
            after: self.after,
        };
        Box::new(CrashLoopSteps::new(id, self.targets.clone(), seed, pace))
    }
}

impl Kind for CrashLoop {
    fn name(&self) -> &'static str {
        NAME
    }

    fn effect(&self) -> Effect {
        Effect::Restarts
    }

    fn about(&self) -> About {
        About {
            description: "ends every process of a node by SIGKILL, starts the program again and ends that, too, again and again until the \
                          fault ends",
            parameters: vec![
                Parameter {
                    name: "every",
                    values: "from one start to the next, e.g. \"500ms\": 10ms to 1h; default 1s".to_owned(),
                },
                Parameter {
                    name: "after",
                    values: "how long it runs each time, e.g. \"20ms\" to end it before it is ready: up to 10min, less than every; default \
                             0s, at once"
                        .to_owned(),
                },
                at_nodes::parameter(),
            ],
            verified_by: "the processes are gone; each time, the program was started, its processes were others than before, and they are \
                          gone, too, with nothing left that runs there; healed when the program runs and is ready",
        }
    }

    fn read(&self, parameters: Value) -> Result<Arc<dyn Parameters>, ParameterError> {
        let written: Written = typed(parameters)?;
        let shown = humantime::format_duration;
        if !EVERY.contains(&written.every) {
            let what = format!("{} makes no sense; use 10ms to 1h", shown(written.every));
            return Err(ParameterError::at("every", what));
        }
        if written.after > AFTER_MAX || written.after >= written.every {
            let every = shown(written.every);
            let what = format!(
                "{} is too long; use less than every, which is {every}",
                shown(written.after)
            );
            return Err(ParameterError::at("after", what));
        }
        Ok(Arc::new(written))
    }

    fn spans_machines(&self) -> bool {
        true
    }

    /// Signals are the agent's own.
    fn agent(&self, _mark: &Mark) -> Option<Box<dyn AgentPart>> {
        None
    }

    fn heal(&self, _at: &InForceAt<'_>) -> io::Result<Undone> {
        Ok(nothing_left())
    }
}

#[cfg(test)]
mod tests {
    use crate::kinds::{Fault, KindRef};

    #[test]
    fn what_makes_no_sense_is_told_with_its_parameter() {
        let read = |text: &str| {
            let mut fault: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).unwrap();
            let kind = fault.remove("kind").unwrap();
            Fault::new(KindRef::named(kind.as_str().unwrap()).unwrap(), fault)
        };
        let text = r#"{"kind":"crash-loop","targets":"all","every":"500ms","after":"20ms"}"#;
        let written: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_value(read(text).unwrap()).unwrap(), written);
        for (text, key) in [
            (r#"{"kind":"crash-loop","every":"1ms"}"#, "every"),
            (r#"{"kind":"crash-loop","every":"2days"}"#, "every"),
            (r#"{"kind":"crash-loop","every":"soon"}"#, "every"),
            (r#"{"kind":"crash-loop","after":"1s"}"#, "after"),
            (r#"{"kind":"crash-loop","often":"1s"}"#, "often"),
        ] {
            assert_eq!(read(text).unwrap_err().key.as_deref(), Some(key), "{text}");
        }
    }
}
