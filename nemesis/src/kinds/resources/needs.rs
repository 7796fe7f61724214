//! What faults of resources need of a machine: control groups that can be changed, limits that can be raised again.

use duress_cluster::doctor::{Found, Requirement};

use crate::agent::cgroup::Hierarchy;

/// For faults that hold a node's time on processors.
pub static CPU: [&Requirement; 1] = [&Requirement {
    name: "control groups: cpu",
    probe: || group("cpu"),
    fix: FIX,
}];

/// For faults that hold a node's memory.
pub static MEMORY: [&Requirement; 1] = [&Requirement {
    name: "control groups: memory",
    probe: || group("memory"),
    fix: FIX,
}];

const FIX: &str = "run as root where control groups are mounted writable at /sys/fs/cgroup, whole; in a container, with them mounted from \
                   the host";

/// Makes a group of our own, moves nothing there, and removes it again.
fn group(controller: &str) -> Found {
    let failed = |error: std::io::Error| error.to_string();
    let hierarchy = Hierarchy::of(controller).map_err(failed)?;
    let home = hierarchy.group_of(std::process::id()).map_err(failed)?;
    let own = hierarchy.group(&format!(
        "{}/duress-probe-{}",
        home.trim_end_matches('/'),
        std::process::id()
    ));
    own.make().map_err(failed)?;
    own.remove().map_err(failed)?;
    Ok(format!(
        "made a group, and removed it (version {})",
        hierarchy.version.number()
    ))
}
