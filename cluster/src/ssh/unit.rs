//! What systemd says of a unit, and whether Duress can work with it.
//!
//! ```text
//! $ systemctl show --property=LoadState,ActiveState,… etcd.service
//! LoadState=loaded
//! ActiveState=active
//! MainPID=4711
//! ControlGroup=/system.slice/etcd.service
//! ```

use std::collections::BTreeMap;

use super::Host;
use crate::{ClusterError, ProgramState};

/// What is asked.
const PROPERTIES: &str =
    "--property=LoadState,ActiveState,Result,MainPID,ControlGroup,Restart,PrivateNetwork";

/// A unit as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Unit(BTreeMap<String, String>);

impl Unit {
    /// Asks for it.
    pub async fn look(host: &Host, unit: &str) -> Result<Unit, ClusterError> {
        let said = host
            .run(&host.as_root(["systemctl", "show", PROPERTIES, unit]))
            .await?;
        Ok(Unit::read(&said))
    }

    fn read(said: &str) -> Unit {
        let property = |line: &str| {
            let (name, value) = line.split_once('=')?;
            Some((name.to_owned(), value.trim().to_owned()))
        };
        Unit(said.lines().filter_map(property).collect())
    }

    fn property(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// What keeps it from being a node, if anything does, and what to do.
    pub fn refusal(&self, unit: &str) -> Option<String> {
        match (
            self.property("LoadState"),
            self.property("Restart"),
            self.property("PrivateNetwork"),
        ) {
            ("loaded", "no" | "", "no" | "") => None,
            ("loaded", restart, "no" | "") => Some(format!(
                "systemd starts it again when it was killed (Restart={restart}), and a node that was killed is to stay down. For as long as \
                 the machine runs: mkdir -p /run/systemd/system/{unit}.d && printf '[Service]\\nRestart=no\\n' > \
                 /run/systemd/system/{unit}.d/duress.conf && systemctl daemon-reload"
            )),
            ("loaded", ..) => Some(
                "it has a network of its own (PrivateNetwork=yes), in which nobody asks it; use a unit without".to_owned(),
            ),
            (state, ..) => Some(format!(
                "systemd has no such unit (LoadState={state}); install it there, or name another by `unit`"
            )),
        }
    }

    /// Whether its program runs.
    pub fn state(&self) -> ProgramState {
        let (active, main) = (self.property("ActiveState"), self.property("MainPID"));
        match active {
            "active" | "activating" | "reloading" | "deactivating" if !matches!(main, "" | "0") => {
                ProgramState::Running
            }
            _ => ProgramState::Stopped {
                how: format!("{active}, result {}", self.property("Result")),
            },
        }
    }

    /// The control group that its processes are in. `None`: there is none now.
    pub fn group(&self) -> Option<&str> {
        Some(self.property("ControlGroup")).filter(|group| !matches!(*group, "" | "/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNS: &str = "LoadState=loaded\nActiveState=active\nResult=success\nMainPID=4711\n\
                        ControlGroup=/system.slice/db.service\nRestart=no\nPrivateNetwork=no\n";

    fn with(from: &str, to: &str) -> Unit {
        assert!(RUNS.contains(from));
        Unit::read(&RUNS.replace(from, to))
    }

    #[test]
    fn a_unit_that_runs_has_a_group() {
        let unit = Unit::read(RUNS);
        assert_eq!(unit.refusal("db.service"), None);
        assert_eq!(unit.state(), ProgramState::Running);
        assert_eq!(unit.group(), Some("/system.slice/db.service"));
    }

    #[test]
    fn one_that_was_killed_tells_how() {
        let killed = with(
            "active\nResult=success\nMainPID=4711",
            "failed\nResult=signal\nMainPID=0",
        );
        let how = "failed, result signal".to_owned();
        assert_eq!(killed.state(), ProgramState::Stopped { how });
        assert_eq!(with("/system.slice/db.service", "").group(), None);
    }

    #[test]
    fn what_would_make_a_run_worthless_is_refused() {
        for (from, to, says) in [
            ("Restart=no", "Restart=on-failure", "printf '[Service]"),
            ("PrivateNetwork=no", "PrivateNetwork=yes", "without"),
            ("LoadState=loaded", "LoadState=not-found", "no such unit"),
        ] {
            let why = with(from, to).refusal("db.service").expect(to);
            assert!(why.contains(says), "{why}");
        }
    }
}
