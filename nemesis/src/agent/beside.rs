//! Names of what is kept beside a data directory.

use std::path::{Path, PathBuf};

/// `nodes/n1/data.WHAT`, for this directory alone: data directories of several nodes may lie beside each other.
pub fn beside(directory: &Path, what: &str) -> PathBuf {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    directory.with_file_name(format!("{name}.{what}"))
}
