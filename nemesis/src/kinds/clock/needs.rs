//! What wrong clocks need of a machine: that the clocks of a process can be made wrong there, and right again.

use std::process::{Child, Command, Stdio};

use duress_cluster::doctor::{Found, Requirement};
use duress_cluster::procfs::living;

use crate::agent::protocol::{Mark, Process};
use crate::agent::vdso::check_machine;
use crate::agent::vdso::measure::measure;
use crate::agent::vdso::patch::{self, Applied, State, Tag};
use crate::agent::vdso::skew::{CLOCKS, Clock, SECOND, Skew};

/// Of each of the kinds.
pub static NEEDS: [&Requirement; 1] = [&CLOCKS_OF_A_PROCESS];

static CLOCKS_OF_A_PROCESS: Requirement = Requirement {
    name: "clocks of a process",
    probe,
    fix: "use an x86-64 machine whose kernel lets its root trace processes (kernel.yama.ptrace_scope below 3)",
};

/// Ends with its owner.
struct Sleeper(Child);

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Makes the clock of a process of our own wrong, reads it, and makes it right again.
fn probe() -> Found {
    let failed = |error: std::io::Error| error.to_string();
    check_machine().map_err(failed)?;
    let sleeper = Command::new("sleep")
        .arg("60")
        .stdin(Stdio::null())
        .spawn()
        .map_err(|error| format!("run sleep: {error}"))?;
    let sleeper = Sleeper(sleeper);
    let pid = sleeper.0.id();
    let process = Process {
        pid,
        started: living(pid).ok_or("a process that sleeps is gone")?.started,
        state: 'S',
        entered: false,
        machine: 0,
    };
    let skew = Skew {
        clocks: vec![Clock::Realtime],
        offset_ns: 3600 * SECOND,
        rate: 0,
        period_ns: 0,
        anchors_ns: [0; CLOCKS],
    };
    let tag = Tag {
        mark: Mark::of_seal("00000000")?,
        fault: 0,
    };
    match patch::apply(&process, &tag, &skew).map_err(failed)? {
        Applied::Now => {}
        other => return Err(format!("its vDSO was not patched: {other:?}")),
    }
    let wrong = measure(&process, &skew.clocks)
        .map_err(failed)?
        .unwrap_or_default();
    let off = |reading: &crate::agent::vdso::measure::Reading| Some(reading.shown_ns - reading.truth_ns?);
    if wrong.first().and_then(off) != Some(skew.offset_ns) {
        return Err(format!("the clock was to be an hour ahead and shows {wrong:?}"));
    }
    patch::restore(&process, &tag).map_err(failed)?;
    match patch::look(&process, &tag, None).map_err(failed)? {
        Some(State::Pristine) => Ok("set a process' clock ahead by an hour, and right again".to_owned()),
        other => Err(format!("the vDSO was not put back: {other:?}")),
    }
}
