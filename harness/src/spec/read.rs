//! Reading a spec: from text to types, and what is refused because its values make no sense.

use std::path::{Path, PathBuf};

use super::{ClusterSpec, Spec};
use crate::client;
use crate::load::Pace;

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
    /// The values don't make sense.
    #[error("{path}: {what}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Which, and what would.
        what: String,
    },
}

impl Spec {
    /// Reads and checks a spec.
    pub fn read(path: &Path) -> Result<Self, SpecError> {
        let text = std::fs::read_to_string(path).map_err(|source| SpecError::Read {
            path: path.to_owned(),
            source,
        })?;
        Spec::parse(&text, path)
    }

    /// Parses and checks a spec; relative paths in it start from `path`, which errors name.
    pub fn parse(text: &str, path: &Path) -> Result<Self, SpecError> {
        let mut spec: Spec = toml::from_str(text).map_err(|source| SpecError::Parse {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        if let ClusterSpec::Compose(compose) = &mut spec.cluster {
            compose.file = from_spec(path, &compose.file);
        }
        match spec.problem() {
            Some(what) => Err(SpecError::Invalid {
                path: path.to_owned(),
                what,
            }),
            None => Ok(spec),
        }
    }

    /// Which value makes no sense, and what would.
    fn problem(&self) -> Option<String> {
        let name_ok = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if self.name.is_empty() || self.name.starts_with('.') || !self.name.chars().all(name_ok) {
            return Some(format!(
                "name {:?}: use letters, digits, \"-\", \"_\" and \".\"",
                self.name
            ));
        }
        if self.properties.is_empty() {
            return Some("properties is empty: name at least one, e.g. [\"linearizable\"]".to_owned());
        }
        match &self.cluster {
            ClusterSpec::Local(local) if !(1..=NODES_MAX).contains(&local.nodes) => {
                return Some(format!(
                    "cluster.local.nodes is {}: use 1 to {NODES_MAX}",
                    local.nodes
                ));
            }
            ClusterSpec::Compose(compose) if compose.nodes.is_empty() => {
                return Some("cluster.compose.nodes is empty: name services of the file".to_owned());
            }
            _ => {}
        }
        if let Some(problem) = client::problem(self) {
            return Some(problem);
        }
        match self.load.pace() {
            Pace::Closed { processes: 0 } | Pace::Open { processes: 0, .. } => {
                return Some("load: processes is 0: use at least 1".to_owned());
            }
            Pace::Open { rate, .. } if !(rate.is_finite() && rate > 0.0) => {
                return Some(format!(
                    "load.open.rate is {rate}: use operations a second, above 0"
                ));
            }
            _ => {}
        }
        if self.client.attempts == 0 {
            return Some("client.attempts is 0: use at least 1".to_owned());
        }
        if self.client.timeout.0.is_zero() {
            return Some("client.timeout is 0: use e.g. \"500ms\"".to_owned());
        }
        if !(self.client.retry_budget.is_finite() && self.client.retry_budget >= 0.0) {
            return Some(format!(
                "client.retry-budget is {}: use 0 or more",
                self.client.retry_budget
            ));
        }
        None
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

    fn error(text: &str) -> String {
        Spec::parse(text, Path::new("t.toml"))
            .expect_err("a bad spec")
            .to_string()
    }

    #[test]
    fn a_resolved_spec_reads_back_as_itself() {
        let spec = Spec::parse(MINIMAL, Path::new("t.toml")).expect("a good spec");
        let resolved = toml::to_string(&spec).expect("TOML");
        assert_eq!(
            Spec::parse(&resolved, Path::new("t.toml")).expect(&resolved),
            spec
        );
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
