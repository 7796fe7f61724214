//! What `duress heal` never touches: its own namespaces.

use std::io;

use super::procfs;
use super::protocol::Identity;

/// Refuses what is the host's: a node that shares a namespace with the process that heals has none of its own there.
pub fn check_apart(node: &Identity, which: &str, inode: u64) -> io::Result<()> {
    if procfs::namespace(std::process::id(), which)? == inode {
        return Err(io::Error::other(format!(
            "{} is written down with this machine's own {which} namespace, where `duress heal` changes nothing",
            node.place.name
        )));
    }
    Ok(())
}
