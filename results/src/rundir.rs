//! The run directory: where everything that a run leaves behind has its place.
//!
//! ```text
//! results/runs/
//! ├── latest -> register/20261123T000500Z-7
//! └── register/20261123T000500Z-7/
//!     ├── spec.toml  schedule.json  history.jsonl  duress.log
//!     ├── verdict.json  report.html  junit.xml
//!     ├── plots/latency.svg …
//!     └── nodes/n1/probes.jsonl …
//! ```
//!
//! It is written in phases: what exists is whole. Files that are written at once appear by a rename, so that a run
//! that is killed leaves the old file or the new one, never half of one. What is appended to (`history.jsonl`,
//! `probes.jsonl`, `duress.log`) belongs to whoever appends; readers tolerate a last line that was cut off. A large history is
//! compressed when the run has been judged: `history.jsonl.zst` is there instead.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::folder::Folder;
use crate::packed;
use crate::rundir_error::COLLISIONS_MAX;
pub use crate::rundir_error::RunDirError;
use crate::verdict_file::VerdictFile;

/// Where runs are kept unless someone says otherwise.
pub const ROOT_DEFAULT: &str = "results";

const PLOTS: &str = "plots";
const NODES: &str = "nodes";

/// One run's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Makes the directory of a new run below `<root>/runs`, and points `latest` at it.
    ///
    /// `started_utc` is RFC 3339, as in [`VerdictFile::started`]. Two runs that begin in the same second get
    /// directories of their own: `…-7`, `…-7.2`, `…-7.3`.
    pub fn create(root: &Path, spec_name: &str, started_utc: &str, seed: u64) -> Result<Self, RunDirError> {
        let runs = root.join("runs");
        let name = match file_name(spec_name) {
            // The link needs its name for itself.
            name if name == "latest" => "latest-".to_owned(),
            name => name,
        };
        let parent = runs.join(&name);
        fs::create_dir_all(&parent).map_err(io("creating", &parent))?;
        let stamp = format!("{}-{seed}", stamp(started_utc)?);
        for attempt in 1..=COLLISIONS_MAX {
            let folder = match attempt {
                1 => stamp.clone(),
                _ => format!("{stamp}.{attempt}"),
            };
            let path = parent.join(&folder);
            match fs::create_dir(&path) {
                Ok(()) => {
                    let dir = RunDir { path };
                    for part in [dir.plots(), dir.nodes()] {
                        fs::create_dir(&part).map_err(io("creating", &part))?;
                    }
                    // In one step: there is never a moment without a `latest`.
                    Folder::open(&runs)?.link("latest", &Path::new(&name).join(&folder))?;
                    return Ok(dir);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(io("creating", &path)(error)),
            }
        }
        Err(RunDirError::Taken(parent.join(stamp)))
    }

    /// Opens a run that exists: its folder, a link to it, a file in it, or the word `latest`, which means
    /// `results/runs/latest`.
    pub fn open(path: &Path) -> Result<Self, RunDirError> {
        if path == Path::new("latest") && !path.exists() {
            return Self::latest(Path::new(ROOT_DEFAULT));
        }
        let found = match fs::canonicalize(path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(RunDirError::Missing(path.to_owned()));
            }
            Err(error) => return Err(io("opening", path)(error)),
        };
        let folder = match found.parent() {
            Some(parent) if found.is_file() => parent.to_owned(),
            _ => found,
        };
        let dir = RunDir { path: folder };
        let known = [dir.spec(), dir.history(), dir.history_compressed(), dir.verdict()];
        if !known.iter().any(|file| file.is_file()) {
            return Err(RunDirError::NotARun(path.to_owned()));
        }
        Ok(dir)
    }

    /// Opens the newest run below `<root>/runs`.
    pub fn latest(root: &Path) -> Result<Self, RunDirError> {
        Self::open(&root.join("runs/latest"))
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `spec.toml`: the spec as resolved, defaults included.
    pub fn spec(&self) -> PathBuf {
        self.path.join("spec.toml")
    }

    /// `schedule.json`: the faults as planned.
    pub fn schedule(&self) -> PathBuf {
        self.path.join("schedule.json")
    }

    /// `history.jsonl`: every operation and every fault.
    pub fn history(&self) -> PathBuf {
        self.path.join("history.jsonl")
    }

    /// `history.jsonl.zst`: the same, where it was large.
    pub fn history_compressed(&self) -> PathBuf {
        self.path.join("history.jsonl.zst")
    }

    /// The history, unpacked if it is compressed.
    pub fn read_history(&self) -> io::Result<Box<dyn Read>> {
        packed::open(&self.history_file())
    }

    /// The file that the history is in: `history.jsonl`, or where there is only that `history.jsonl.zst`.
    pub fn history_file(&self) -> PathBuf {
        let (plain, packed) = (self.history(), self.history_compressed());
        match !plain.exists() && packed.exists() {
            true => packed,
            false => plain,
        }
    }

    /// Compresses a history of more than so many bytes.
    pub fn pack_history(&self, bytes_max: u64) -> io::Result<()> {
        let plain = self.history();
        if !fs::metadata(&plain).is_ok_and(|file| file.len() > bytes_max) {
            return Ok(());
        }
        let packed = self.history_compressed();
        let next = packed.with_extension("zst.new");
        packed::pack(&plain, &next)?;
        fs::rename(next, packed)?;
        fs::remove_file(plain)
    }

    /// `verdict.json`: see [`VerdictFile`].
    pub fn verdict(&self) -> PathBuf {
        self.path.join("verdict.json")
    }

    /// `report.html`: the page that a person reviews.
    pub fn report(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// `junit.xml`: the file that CI reads.
    pub fn junit(&self) -> PathBuf {
        self.path.join("junit.xml")
    }

    /// `duress.log`: what the harness did.
    pub fn log(&self) -> PathBuf {
        self.path.join("duress.log")
    }

    /// `plots/`: the drawings of the report, each as a file.
    pub fn plots(&self) -> PathBuf {
        self.path.join(PLOTS)
    }

    /// `plots/<name>.svg`.
    pub fn plot(&self, name: &str) -> PathBuf {
        self.plots().join(format!("{}.svg", file_name(name)))
    }

    /// `nodes/`: a folder a node.
    pub fn nodes(&self) -> PathBuf {
        self.path.join(NODES)
    }

    /// `nodes/<node>/`, whatever the node is called.
    pub fn node(&self, node: &str) -> PathBuf {
        self.nodes().join(file_name(node))
    }

    /// `nodes/<node>/probes.jsonl`: what the node said of itself, one [`crate::verdict_file::Probe`] a line.
    pub fn probes(&self, node: &str) -> PathBuf {
        self.node(node).join("probes.jsonl")
    }

    /// Makes `nodes/<node>/` and says where it is.
    pub fn create_node(&self, node: &str) -> Result<PathBuf, RunDirError> {
        let path = self.node(node);
        Folder::open(&self.path)?.below(NODES)?.below(&file_name(node))?;
        Ok(path)
    }

    /// Writes `spec.toml`.
    pub fn write_spec(&self, toml: &str) -> Result<(), RunDirError> {
        write_atomic(&self.spec(), toml.as_bytes())
    }

    /// Writes `schedule.json`.
    pub fn write_schedule<T: Serialize>(&self, schedule: &T) -> Result<(), RunDirError> {
        write_json(&self.schedule(), schedule)
    }

    /// Writes `verdict.json`.
    pub fn write_verdict(&self, verdict: &VerdictFile) -> Result<(), RunDirError> {
        write_json(&self.verdict(), verdict)
    }

    /// Writes `report.html`.
    pub fn write_report(&self, html: &str) -> Result<(), RunDirError> {
        write_atomic(&self.report(), html.as_bytes())
    }

    /// Writes `junit.xml`.
    pub fn write_junit(&self, xml: &str) -> Result<(), RunDirError> {
        write_atomic(&self.junit(), xml.as_bytes())
    }

    /// Writes `plots/<name>.svg`.
    pub fn write_plot(&self, name: &str, svg: &str) -> Result<(), RunDirError> {
        Folder::open(&self.path)?
            .below(PLOTS)?
            .write(&format!("{}.svg", file_name(name)), svg.as_bytes())
    }
}

/// Writes a file so that at any time, a crash of the machine included, the old one or the new one is there, whole.
pub fn write_atomic(path: &Path, content: &[u8]) -> Result<(), RunDirError> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| io("writing", path)(io::ErrorKind::InvalidFilename.into()))?;
    Folder::open(folder)?.write(name, content)
}

fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), RunDirError> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|error| io("encoding", path)(error.into()))?;
    text.push(b'\n');
    write_atomic(path, &text)
}

/// A name that is safe as one part of a path: letters, digits, `.`, `_`, `-`, and never hidden or above.
fn file_name(name: &str) -> String {
    let safe: String = (name.chars())
        .map(|c| match c {
            c if c.is_alphanumeric() || matches!(c, '.' | '_' | '-') => c,
            _ => '-',
        })
        .take(100)
        .collect();
    match safe.trim_start_matches('.') {
        "" => "unnamed".to_owned(),
        name => name.to_owned(),
    }
}

/// `2026-11-23T00:05:00.123Z` as `20261123T000500Z`.
fn stamp(started_utc: &str) -> Result<String, RunDirError> {
    let wrong = || RunDirError::Started(started_utc.to_owned());
    let pattern = b"dddd-dd-ddTdd:dd:dd";
    let head = started_utc.get(..pattern.len()).ok_or_else(wrong)?;
    let utc = started_utc.ends_with('Z') || started_utc.ends_with("+00:00");
    let shaped = head.bytes().zip(pattern).all(|(byte, &shape)| match shape {
        b'd' => byte.is_ascii_digit(),
        _ => byte == shape,
    });
    if !utc || !shaped {
        return Err(wrong());
    }
    let digits: String = head.chars().filter(|c| !matches!(c, '-' | ':')).collect();
    Ok(digits + "Z")
}

fn io<'a>(doing: &'static str, path: &'a Path) -> impl Fn(io::Error) -> RunDirError + 'a {
    move |source| RunDirError::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STARTED: &str = "2026-11-23T00:05:00Z";

    #[test]
    fn runs_of_the_same_second_do_not_collide_and_latest_is_the_newest() {
        let root = tempfile::tempdir().unwrap();
        let first = RunDir::create(root.path(), "register", STARTED, 7).unwrap();
        let second = RunDir::create(root.path(), "register", STARTED, 7).unwrap();
        assert!(first.path().ends_with("runs/register/20261123T000500Z-7"));
        assert!(second.path().ends_with("runs/register/20261123T000500Z-7.2"));
        second.write_spec("seed = 7\n").unwrap();
        let latest = RunDir::latest(root.path()).unwrap();
        assert_eq!(latest.path(), fs::canonicalize(second.path()).unwrap());
        let link = fs::read_link(root.path().join("runs/latest")).unwrap();
        assert_eq!(link, Path::new("register/20261123T000500Z-7.2"));
    }

    #[test]
    fn runs_that_begin_at_once_each_get_a_directory() {
        let root = tempfile::tempdir().unwrap();
        let mut paths: Vec<PathBuf> = std::thread::scope(|scope| {
            let create = || RunDir::create(root.path(), "r", STARTED, 1).unwrap().path;
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(create)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        paths.sort();
        paths.dedup();
        assert_eq!(paths.len(), 8);
    }

    #[test]
    fn opening_accepts_the_folder_a_file_in_it_and_a_link() {
        let root = tempfile::tempdir().unwrap();
        let dir = RunDir::create(root.path(), "register", STARTED, 7).unwrap();
        dir.write_spec("").unwrap();
        let expected = fs::canonicalize(dir.path()).unwrap();
        for path in [dir.path().to_owned(), dir.spec(), root.path().join("runs/latest")] {
            assert_eq!(RunDir::open(&path).unwrap().path(), expected);
        }
    }

    #[test]
    fn what_is_no_run_is_refused_with_advice() {
        let root = tempfile::tempdir().unwrap();
        let missing = RunDir::open(&root.path().join("nowhere")).unwrap_err();
        assert!(missing.to_string().starts_with("no run at "), "{missing}");
        let other = RunDir::open(root.path()).unwrap_err();
        assert!(other.to_string().contains("is no run directory"), "{other}");
    }

    #[test]
    fn names_cannot_leave_the_run_directory() {
        let root = tempfile::tempdir().unwrap();
        let dir = RunDir::create(root.path(), "../../evil name", STARTED, 1).unwrap();
        assert!(dir.path().starts_with(root.path().join("runs/-..-evil-name")));
        let dir = RunDir::create(root.path(), "latest", STARTED, 1).unwrap();
        assert!(dir.path().starts_with(root.path().join("runs/latest-")));
        assert_eq!(dir.node("../../etc"), dir.nodes().join("-..-etc"));
        assert_eq!(dir.node(".."), dir.nodes().join("unnamed"));
    }

    #[test]
    fn a_start_that_is_no_time_is_refused() {
        for wrong in [
            "",
            "yesterday",
            "2026-11-23",
            "2026-11-23T00:05:00+02:00",
            "2026-11-23é00:05:00Z",
        ] {
            assert!(matches!(stamp(wrong), Err(RunDirError::Started(_))), "{wrong}");
        }
        assert_eq!(stamp("2026-11-23T00:05:00.123456Z").unwrap(), "20261123T000500Z");
    }
}
