//! Log files in nodes: which there are, and how they get into a run's directory.
//!
//! ```toml
//! logs = ["{data}/raft.log", "/var/log/db/db.log"]   # of a system.toml
//! ```
//!
//! The last part of each becomes `nodes/<node>/logs/raft.log` and `nodes/<node>/logs/var-log-db-db.log`. What a node has
//! there is not trusted: it can neither choose where it is written nor how much, and links are not followed.

use std::collections::BTreeSet;
use std::path::Path;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::folder::Folder;
use crate::{Cluster, ClusterError};

/// As much of each file is kept: its last bytes.
const BYTES_MAX: u64 = 16 << 20;
/// Files of a node.
pub(crate) const FILES_MAX: usize = 20;
/// Characters of a path.
const PATH_MAX: usize = 200;
/// What stands for the data directory.
const DATA: &str = "{data}/";

/// A log file in every node: below its data directory (`{data}/raft.log`), or anywhere (`/var/log/db.log`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct LogFile(String);

/// Where a log file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogPath<'a> {
    /// Below the node's data directory.
    Data(&'a str),
    /// In the node's file system, from its root; begins with a slash.
    Root(&'a str),
}

impl LogFile {
    /// Checks a path as it is written.
    pub fn new(path: &str) -> Result<Self, String> {
        let refuse = |why: &str| Err(format!("{path:?} is not the path of a log file: {why}"));
        let below = match path.strip_prefix(DATA).or_else(|| path.strip_prefix('/')) {
            Some(below) => below,
            None => return refuse("begin with \"/\" or \"{data}/\""),
        };
        if below
            .split('/')
            .any(|part| part.is_empty() || part == "." || part == "..")
        {
            return refuse("name a file, without \"//\", \".\" and \"..\"");
        }
        if path.chars().count() > PATH_MAX || path.chars().any(char::is_control) {
            return refuse("use up to 200 characters, and no control characters");
        }
        Ok(LogFile(path.to_owned()))
    }

    /// Where it is.
    pub fn path(&self) -> LogPath<'_> {
        match self.0.strip_prefix(DATA) {
            Some(below) => LogPath::Data(below),
            None => LogPath::Root(&self.0),
        }
    }

    /// The name that it has among the logs of a node: letters, digits, `-`, `_` and `.`, and no `.` first.
    pub fn name(&self) -> String {
        let path = self
            .0
            .strip_prefix(DATA)
            .unwrap_or(self.0.trim_start_matches('/'));
        let plain = |c: char| match c {
            '/' => '-',
            c if c.is_ascii_alphanumeric() || "-_.".contains(c) => c,
            _ => '_',
        };
        let name: String = path.chars().map(plain).collect();
        match name.strip_prefix('.') {
            Some(rest) => format!("_{rest}"),
            None => name,
        }
    }
}

/// Reads the key `logs` of a `system.toml`.
pub(crate) fn log_files<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<LogFile>, D::Error> {
    let paths = Vec::<String>::deserialize(deserializer)?;
    if paths.len() > FILES_MAX {
        let what = format!("{} log files; use at most {FILES_MAX}", paths.len());
        return Err(D::Error::custom(what));
    }
    let mut names = BTreeSet::new();
    let mut files = Vec::new();
    for path in paths {
        let file = LogFile::new(&path).map_err(D::Error::custom)?;
        if !names.insert(file.name()) {
            let what = format!("two log files would be kept as {:?}; leave one out", file.name());
            return Err(D::Error::custom(what));
        }
        files.push(file);
    }
    Ok(files)
}

/// The end of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileEnd {
    /// Its last bytes.
    pub bytes: Vec<u8>,
    /// How long the whole file is, in bytes.
    pub length: u64,
}

/// Copies the log files of all nodes to `logs/` in the folders of nodes that `dir` holds. Says what was not copied, or not
/// whole.
pub async fn collect_logs(cluster: &dyn Cluster, dir: &Path, files: &[LogFile]) -> Vec<String> {
    let Some(node_files) = cluster.node_files().filter(|_| !files.is_empty()) else {
        return Vec::new();
    };
    let mut notes = Vec::new();
    for node in cluster.nodes() {
        for file in files {
            let kept = match node_files.read_end(&node.name, file, BYTES_MAX).await {
                Ok(end) => keep(dir, &node.name, file, &end).map(|()| end),
                Err(error) => Err(error),
            };
            match kept {
                Ok(end) if end.length > BYTES_MAX => notes.push(format!(
                    "{}: of {} only the last {BYTES_MAX} of {} bytes were kept",
                    node.name, file.0, end.length
                )),
                Ok(_) => {}
                Err(error) => notes.push(format!("{}: {} was not kept: {error}", node.name, file.0)),
            }
        }
    }
    notes
}

fn keep(dir: &Path, node: &str, file: &LogFile, end: &FileEnd) -> Result<(), ClusterError> {
    let folder = Folder::open(dir)?.below(node)?.below("logs")?;
    folder.replace(&file.name(), &end.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_below_the_data_directory_or_the_root() {
        let file = |path| LogFile::new(path).unwrap();
        assert_eq!(file("{data}/a/raft.log").path(), LogPath::Data("a/raft.log"));
        assert_eq!(file("/var/log/x.log").path(), LogPath::Root("/var/log/x.log"));
        for (bad, says) in [
            ("raft.log", "begin with"),
            ("{name}/raft.log", "begin with"),
            ("/", "name a file"),
            ("{data}/", "name a file"),
            ("/var/../etc/shadow", "\"..\""),
            ("{data}/../../secret", "\"..\""),
            ("/var//log", "\"//\""),
            ("/a\nb", "control characters"),
        ] {
            let error = LogFile::new(bad).unwrap_err();
            assert!(error.contains(says), "{bad:?}: {error}");
        }
        assert!(LogFile::new(&format!("/{}", "x".repeat(PATH_MAX))).is_err());
    }

    #[test]
    fn names_are_plain_and_stay_in_the_folder() {
        let name = |path| LogFile::new(path).unwrap().name();
        assert_eq!(name("{data}/raft.log"), "raft.log");
        assert_eq!(name("/var/log/x.log"), "var-log-x.log");
        assert_eq!(name("{data}/.hidden"), "_hidden");
        assert_eq!(name("/a b/ü;$(x)"), "a_b-____x_");
    }

    #[test]
    fn lists_are_short_and_names_differ() {
        #[derive(Debug, Deserialize)]
        struct Written {
            #[serde(deserialize_with = "log_files")]
            logs: Vec<LogFile>,
        }
        let read = |text: &str| toml::from_str::<Written>(text).map_err(|error| error.to_string());
        assert_eq!(read("logs = ['/a', '{data}/b']").unwrap().logs.len(), 2);
        assert!(read("logs = ['/a/b', '/a-b']").unwrap_err().contains("\"a-b\""));
        let many: Vec<String> = (0..21).map(|number| format!("'/{number}'")).collect();
        let error = read(&format!("logs = [{}]", many.join(", "))).unwrap_err();
        assert!(error.contains("at most 20"), "{error}");
    }
}
