//! Why a run's directory could not be read or written.

use std::io;
use std::path::PathBuf;

/// How many runs may begin in the same second with the same name and seed.
pub(crate) const COLLISIONS_MAX: u32 = 1000;

/// Why a run directory could not be made, found or written.
#[derive(Debug, thiserror::Error)]
pub enum RunDirError {
    /// The file system said no.
    #[error("{doing} {}: {source}", path.display())]
    Io {
        /// What was tried, e.g. `creating`.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A folder of the run's directory leads elsewhere.
    #[error("{} is a symbolic link or no folder, and Duress writes nothing through it; remove it", .0.display())]
    Link(PathBuf),
    /// There is nothing at that path.
    #[error("no run at {}; `duress run SPEC` makes one", .0.display())]
    Missing(PathBuf),
    /// There is something, but it is no run.
    #[error(
        "{} is no run directory: it has none of spec.toml, history.jsonl, verdict.json; give the folder \
         results/runs/NAME/TIME-SEED, or `latest`",
        .0.display()
    )]
    NotARun(PathBuf),
    /// The start of the run is not a time.
    #[error("start of the run {0:?} is no RFC 3339 time in UTC, e.g. 2026-11-23T00:05:00Z")]
    Started(String),
    /// Too many runs of the same name and seed in one second.
    #[error("{} and {COLLISIONS_MAX} names after it are taken; remove old runs", .0.display())]
    Taken(PathBuf),
}
