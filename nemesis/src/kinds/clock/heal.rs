//! Takes patches out again: the agent's, and that of `duress heal`.

use std::io;

use crate::agent::procfs;
use crate::agent::protocol::Processes;
use crate::agent::vdso::patch::{Tag, restore};
use crate::kinds::kind::{InForceAt, Undone, json};

/// Nothing but the node is needed: a patch says itself which run and which fault it belongs to, and what was there before is in
/// every other process. It may have been inherited by processes that nobody noted, so all that can have it are looked at.
pub fn heal(at: &InForceAt<'_>) -> io::Result<Undone> {
    let node = at.node;
    at.check_apart("pid", node.processes)?;
    let mut healed = Processes {
        node: node.place.name.clone(),
        processes: Vec::new(),
    };
    let tag = Tag {
        mark: at.healer.mark.clone(),
        fault: at.fault,
    };
    let mut failed = Vec::new();
    let home = procfs::namespace(node.place.pid, "pid").is_ok_and(|inode| inode == node.processes);
    // One that is made while others are healed has what its parent had.
    let mut again = home;
    while again {
        again = false;
        failed.clear();
        for process in procfs::kin(&node.place)? {
            match restore(&process, &tag) {
                Ok(true) => {
                    healed.processes.push(process);
                    again = true;
                }
                Ok(false) => {}
                Err(_) if procfs::current(&process).is_none() => {}
                // A process that nobody may look into is none whose clocks were changed.
                Err(error)
                    if error.kind() == io::ErrorKind::PermissionDenied && !at.healer.own_namespaces =>
                {
                    failed.push(error.to_string());
                }
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                Err(error) => failed.push(error.to_string()),
            }
        }
    }
    if !failed.is_empty() {
        return Err(io::Error::other(failed.join("; ")));
    }
    Ok(Undone {
        said: format!("set the clocks of {} processes right", healed.processes.len()),
        answer: json(&healed),
    })
}
