//! The controller of a run, recorded so that a later `duress heal` can tell whether it is still alive.
//!
//! `4711/893344/4026531836/6d1c…`: process number, start time in clock ticks since boot, inode of its PID namespace, and the
//! boot that all of these belong to. It stands in labels and in the first line of a journal. A controller never leaves its
//! PID namespace, so the four are the same from within a local cluster's namespaces and from outside.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::procfs::living;

/// A controller, as it was written down.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Controller {
    /// Its process, as numbered in its PID namespace.
    pub pid: u32,
    /// When that process started, in clock ticks since boot.
    pub started: u64,
    /// Inode of its PID namespace; 0: unknown.
    pub namespace: u64,
    /// The kernel's own name for the time since it was started.
    pub boot: String,
}

impl Controller {
    /// This process.
    pub fn this() -> Controller {
        let pid = std::process::id();
        Controller {
            pid,
            started: living(pid).map_or(0, |stat| stat.started),
            namespace: own_namespace(),
            boot: boot(),
        }
    }

    /// Whether it can be looked for from here, where process numbers are those of its PID namespace.
    pub fn is_within_sight(&self) -> bool {
        self.boot != boot() || self.namespace == own_namespace()
    }

    /// Why what it made must be left alone; `None` if it is dead.
    pub fn why_spared(&self) -> Option<String> {
        if self.boot != boot() {
            return None;
        }
        if self.namespace != own_namespace() {
            return Some(
                "its controller runs in another PID namespace, where it can't be looked for".to_owned(),
            );
        }
        let same = living(self.pid).filter(|stat| stat.started == self.started);
        same.map(|_| format!("its controller is alive, process {}", self.pid))
    }
}

/// The boot that process numbers and start times belong to. Empty where there is no `/proc`, as in no place where Duress runs.
fn boot() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

fn own_namespace() -> u64 {
    std::fs::metadata("/proc/self/ns/pid").map_or(0, |namespace| namespace.ino())
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Controller {
            pid,
            started,
            namespace,
            boot,
        } = self;
        write!(f, "{pid}/{started}/{namespace}/{boot}")
    }
}

impl FromStr for Controller {
    type Err = String;

    fn from_str(text: &str) -> Result<Controller, String> {
        let parse = || {
            let mut parts = text.split('/');
            let controller = Controller {
                pid: parts.next()?.parse().ok()?,
                started: parts.next()?.parse().ok()?,
                namespace: parts.next()?.parse().ok()?,
                boot: parts.next()?.to_owned(),
            };
            parts.next().is_none().then_some(controller)
        };
        parse().ok_or_else(|| format!("{text:?} is not a controller: process/start time/namespace/boot"))
    }
}

impl From<Controller> for String {
    fn from(controller: Controller) -> String {
        controller.to_string()
    }
}

impl TryFrom<String> for Controller {
    type Error = String;

    fn try_from(text: String) -> Result<Controller, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_living_controller_is_spared() {
        let ours: Controller = Controller::this().to_string().parse().expect("as it was written");
        assert_eq!(ours, Controller::this());
        assert!(ours.why_spared().expect("we live").contains("is alive"));
    }

    #[test]
    fn a_dead_controller_is_not_spared_even_if_its_number_lives_on() {
        let earlier = Controller {
            started: 1,
            ..Controller::this()
        };
        assert_eq!(earlier.why_spared(), None);
        let before_the_boot = Controller {
            boot: "another".to_owned(),
            ..Controller::this()
        };
        assert_eq!(before_the_boot.why_spared(), None);
    }

    #[test]
    fn a_controller_elsewhere_is_spared() {
        let elsewhere = Controller {
            namespace: 12345,
            ..Controller::this()
        };
        assert!(elsewhere.why_spared().is_some());
    }

    #[test]
    fn what_is_no_controller_is_refused() {
        for garbage in ["", "1", "1/2/3", "a/2/3/b", "1/2/3/b/c", "-1/2/3/b"] {
            assert!(garbage.parse::<Controller>().is_err(), "{garbage}");
        }
    }
}
