//! Reading a spec: from text to types, and what is refused because its values make no sense.

use std::path::{Path, PathBuf};

use super::{ClusterSpec, Complaint, Marked, Spec};
use crate::client;

/// The addresses of a local cluster end here.
const NODES_MAX: usize = 200;

/// Why a spec can't be used. The command line exits with code 64.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// It can't be read.
    #[error("read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no TOML, or has an unknown or missing key or a value of the wrong kind.
    #[error("{path}: {source}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, excerpt and choices.
        source: Box<toml::de::Error>,
    },
    /// A value doesn't make sense.
    #[error("{path}: {what}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Which, where it stands, and what would.
        what: Marked,
    },
}

/// A spec as it is written, so that whatever is wrong with it can be shown.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self, SpecError> {
        let text = std::fs::read_to_string(path).map_err(|source| SpecError::Read {
            path: path.to_owned(),
            source,
        })?;
        Ok(Source {
            path: path.to_owned(),
            text,
        })
    }

    /// Parses and checks it; relative paths in it start from its folder.
    pub fn parse(&self) -> Result<Spec, SpecError> {
        let mut spec: Spec = toml::from_str(&self.text).map_err(|source| SpecError::Parse {
            path: self.path.clone(),
            source: Box::new(source),
        })?;
        if let ClusterSpec::Compose(compose) = &mut spec.cluster {
            compose.file = from_spec(&self.path, &compose.file);
        }
        match spec.problem() {
            Some(complaint) => Err(self.invalid(complaint)),
            None => Ok(spec),
        }
    }

    /// A complaint about it, with its place.
    pub fn invalid(&self, complaint: Complaint) -> SpecError {
        SpecError::Invalid {
            path: self.path.clone(),
            what: Marked::new(complaint, &self.text),
        }
    }
}

impl Spec {
    /// Reads and checks a spec.
    pub fn read(path: &Path) -> Result<Self, SpecError> {
        Source::read(path)?.parse()
    }

    /// Which value makes no sense, and what would.
    fn problem(&self) -> Option<Complaint> {
        let name_ok = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if self.name.is_empty() || self.name.starts_with('.') || !self.name.chars().all(name_ok) {
            return Some(Complaint::at(
                ["name"],
                "use letters, digits, \"-\", \"_\" and \".\"",
            ));
        }
        if self.properties.is_empty() {
            return Some(Complaint::at(
                ["properties"],
                "name at least one, e.g. [\"linearizable\"]",
            ));
        }
        match &self.cluster {
            ClusterSpec::Local(local) if !(1..=NODES_MAX).contains(&local.nodes) => {
                return Some(Complaint::at(
                    ["cluster", "local", "nodes"],
                    format!("{} nodes; use 1 to {NODES_MAX}", local.nodes),
                ));
            }
            ClusterSpec::Compose(compose) if compose.nodes.is_empty() => {
                return Some(Complaint::at(
                    ["cluster", "compose", "nodes"],
                    "name services of the file",
                ));
            }
            _ => {}
        }
        client::problem(self)
    }
}

/// A path in a spec starts from the spec's own folder; the resolved spec, which is kept elsewhere, has it in full.
fn from_spec(spec: &Path, file: &Path) -> PathBuf {
    let joined = spec.parent().unwrap_or(Path::new("")).join(file);
    std::path::absolute(&joined).unwrap_or(joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = "name = \"t\"\n[cluster.local]\nsystem = \"specimen\"\n[workload.register]\n";

    fn parse(text: &str) -> Result<Spec, SpecError> {
        let source = Source {
            path: "t.toml".into(),
            text: text.to_owned(),
        };
        source.parse()
    }

    fn error(text: &str) -> String {
        parse(text).expect_err("a bad spec").to_string()
    }

    #[test]
    fn a_resolved_spec_reads_back_as_itself() {
        let spec = parse(MINIMAL).expect("a good spec");
        let resolved = toml::to_string(&spec).expect("TOML");
        assert_eq!(parse(&resolved).expect(&resolved), spec);
    }

    #[test]
    fn unknown_keys_and_values_name_line_and_choices() {
        let key = error(&MINIMAL.replace("system", "sistem"));
        assert!(key.contains("line 3") && key.contains("`system`"), "{key}");
        let workload = error(&MINIMAL.replace("workload.register", "workload.registre"));
        assert!(
            workload.contains("line 4") && workload.contains("`register`"),
            "{workload}"
        );
        let property = error(&format!("properties = [\"fast\"]\n{MINIMAL}"));
        assert!(
            property.contains("line 1") && property.contains("`linearizable`"),
            "{property}"
        );
        let duration = error(&format!("{MINIMAL}[time]\nfaults = \"soon\"\n"));
        assert!(
            duration.contains("line 6") && duration.contains("\"30s\""),
            "{duration}"
        );
    }

    #[test]
    fn values_that_make_no_sense_are_refused() {
        assert!(error(&MINIMAL.replace("\"t\"", "\"../t\"")).contains("use letters"));
        assert!(error(&MINIMAL.replace("\"specimen\"\n", "\"specimen\"\nnodes = 0\n")).contains("use 1 to"));
        assert!(error(&format!("{MINIMAL}[load.open]\nrate = 0.0\n")).contains("above 0"));
        assert!(error(&format!("{MINIMAL}[load.closed]\nprocesses = 0\n")).contains("at least 1"));
    }
}
