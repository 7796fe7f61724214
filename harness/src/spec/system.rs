//! Which system a spec names: one that ships, or a folder of the user's.
//!
//! ```toml
//! system = "etcd"       # ships with Duress
//! system = "./mine"     # the folder `mine` beside the spec, with a system.toml in it
//! ```

use std::path::{Path, PathBuf};

use duress_cluster::System;
use serde::{Deserialize, Serialize};

use super::read::{Source, SpecError, from_spec};
use super::{Complaint, KeyPath};

/// The definition, in a folder of a system.
const SYSTEM_FILE: &str = "system.toml";

/// A system, as a spec names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SystemRef(String);

impl SystemRef {
    /// The folder, if it is a user's: whatever has a slash or begins with a dot.
    pub fn folder(&self) -> Option<&Path> {
        (self.0.contains('/') || self.0.starts_with('.')).then(|| Path::new(&self.0))
    }

    /// The name, or that of the folder.
    pub fn name(&self) -> &str {
        let folder = self.folder().and_then(Path::file_name);
        folder.and_then(|name| name.to_str()).unwrap_or(&self.0)
    }

    /// A relative folder starts from the folder of the spec.
    pub(super) fn start_from(&mut self, spec: &Path) {
        if let Some(folder) = self.folder()
            && let Some(full) = from_spec(spec, folder).to_str()
        {
            self.0 = full.to_owned();
        }
    }
}

/// A definition and where it is written, so that whatever is wrong with it can be shown.
#[derive(Debug)]
pub(super) struct Definition {
    pub system: System,
    source: Source,
}

impl Definition {
    /// Reads it. `spec` is where it is named, by the key `cluster.<cluster>.system`.
    pub fn of(named: &SystemRef, spec: &Source, cluster: &str) -> Result<Self, SpecError> {
        let key = KeyPath::of(["cluster", cluster, "system"]);
        let Some(folder) = named.folder() else {
            let system =
                System::named(&named.0).map_err(|error| spec.invalid(key.complain(error.to_string())))?;
            let source = Source::new(PathBuf::from(SYSTEM_FILE), String::new());
            return Ok(Definition { system, source });
        };
        let path = folder.join(SYSTEM_FILE);
        let source = Source::read(&path).map_err(|error| {
            let what = format!("{error}; a system is a folder with a {SYSTEM_FILE}");
            spec.invalid(key.complain(what))
        })?;
        let system = source.parse_as(System::parse)?;
        Ok(Definition { system, source })
    }

    /// A complaint about it, with its place.
    pub fn invalid(&self, complaint: Complaint) -> SpecError {
        self.source.invalid(complaint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_or_a_dot_makes_a_folder() {
        let named = |text: &str| SystemRef(text.to_owned());
        for (text, name) in [("./mine", "mine"), ("a/b", "b"), ("../c/", "c"), ("/x/y", "y")] {
            assert!(named(text).folder().is_some(), "{text}");
            assert_eq!(named(text).name(), name);
        }
        assert_eq!((named("etcd").folder(), named("etcd").name()), (None, "etcd"));
        let mut mine = named("./mine");
        mine.start_from(Path::new("/specs/a.toml"));
        assert_eq!(mine, named("/specs/mine"));
    }
}
