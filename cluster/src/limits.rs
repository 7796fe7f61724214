//! How many files and connections a process may have open.
//!
//! The controller has a connection for each of its clients and takes as many as it may have. A node keeps the limit that it
//! would have had without Duress: what it does when it runs out is its own affair, and part of what is tested.

use std::sync::OnceLock;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// This process' own limit, before it was raised.
static ORIGINAL: OnceLock<u64> = OnceLock::new();

/// Raises this process' limit of open files from the soft to the hard one. Nodes that are started later get the one from
/// before.
pub fn raise_open_files() -> std::io::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    ORIGINAL.get_or_init(|| soft);
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(())
}

/// What nodes get; `None`: what this process has.
pub(crate) fn open_files_of_nodes() -> Option<u64> {
    ORIGINAL.get().copied()
}

/// Gives this process, and whatever it starts, a soft limit.
pub(crate) fn set_open_files(soft: u64) -> std::io::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, soft.min(hard), hard)?;
    Ok(())
}
