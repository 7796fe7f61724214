//! The runs that there are: `<root>/runs/<spec>/<time>-<seed>/`, and `<root>/runs/latest`, which points at the newest.
//!
//! What is in a run's directory, and how it is made and opened, is [`RunDir`]'s to say.

use std::path::{Path, PathBuf};

use duress_nemesis::journal::JOURNAL_FILE;
use duress_results::rundir::RunDir;

/// Every run below `<root>/runs`, by spec and then by time. What can't be read holds no run.
pub fn all(root: &Path) -> Vec<RunDir> {
    folders(&root.join("runs"))
        .iter()
        .flat_map(|spec| folders(spec))
        .filter_map(|run| RunDir::open(&run).ok())
        .collect()
}

/// Where a run's faults are written down before they are injected.
pub fn journal_path(dir: &RunDir) -> PathBuf {
    dir.path().join(JOURNAL_FILE)
}

/// Folders in a folder, in order. Links are none: they point at runs that are listed anyway.
fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir() && !path.is_symlink())
        .collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_is_listed_once() {
        let root = tempfile::tempdir().expect("a folder");
        let started = ["2026-01-02T03:04:05Z", "2026-01-02T03:04:06Z"];
        let made: Vec<PathBuf> = (["b", "a"].iter().zip(started))
            .map(|(name, started)| RunDir::create(root.path(), name, started, 7).expect("a run"))
            .map(|dir| {
                dir.write_spec("").expect("a spec");
                dir.path().to_owned()
            })
            .collect();
        std::fs::write(root.path().join("runs/note.txt"), "").expect("a file");
        let listed: Vec<PathBuf> = all(root.path()).iter().map(|dir| dir.path().to_owned()).collect();
        let full = |path: &PathBuf| path.canonicalize().expect("it is there");
        assert_eq!(
            listed.iter().map(full).collect::<Vec<_>>(),
            [full(&made[1]), full(&made[0])]
        );
        assert!(all(&root.path().join("nowhere")).is_empty());
    }
}
