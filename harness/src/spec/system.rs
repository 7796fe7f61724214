//! Which system a spec names: one that ships, or a folder of the user's.
//!
//! ```toml
//! system = "etcd"       # ships with Duress
//! system = "./mine"     # the folder `mine` beside the spec, with a system.toml in it
//! ```

use std::path::Path;

use duress_cluster::{StatusAsk, System};
use duress_workloads::clients::{self, ClientKind, Problem, Turn};
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

    /// As it is written on a command line, from where that is.
    pub fn new(written: &str) -> Self {
        let mut named = SystemRef(written.to_owned());
        named.start_from(Path::new(""));
        named
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

impl Source {
    /// The definition in this folder.
    pub(super) fn of_system(folder: &Path) -> Result<Source, SpecError> {
        Source::read(&folder.join(SYSTEM_FILE))
    }
}

/// A definition and where it is written, so that whatever is wrong with it can be shown.
#[derive(Debug)]
pub struct Definition {
    /// What is defined.
    pub system: System,
    source: Source,
}

impl Definition {
    /// Reads it. `spec` is where it is named, by the key `cluster.<cluster>.system`.
    pub(super) fn of(named: &SystemRef, spec: &Source, cluster: &str) -> Result<Self, SpecError> {
        let key = KeyPath::of(["cluster", cluster, "system"]);
        Definition::find(named, |what| spec.invalid(key.complain(what)))
    }

    /// Reads that of the system which a command line names.
    pub fn read(named: &SystemRef) -> Result<Self, SpecError> {
        Definition::find(named, |what| SpecError::Unknown { what })
    }

    /// Reads it; `missing` makes an error of the reason why there is none.
    fn find(named: &SystemRef, missing: impl FnOnce(String) -> SpecError) -> Result<Self, SpecError> {
        let Some(folder) = named.folder() else {
            let shipped = System::definitions()
                .iter()
                .map(|text| Source::new(SYSTEM_FILE.into(), (*text).to_owned()));
            let mut read = shipped.map(|source| Ok((source.parse_as(System::parse)?, source)));
            let found = read.find(|read| read.as_ref().is_ok_and(|(system, _)| system.name == named.0));
            return match (found, System::named(&named.0)) {
                (Some(found), _) => found.map(|(system, source)| Definition { system, source }),
                (None, Err(error)) => Err(missing(error.to_string())),
                (None, Ok(_)) => unreachable!("what is named is among those that ship"),
            };
        };
        let source = Source::of_system(folder)
            .map_err(|error| missing(format!("{error}; a system is a folder with a {SYSTEM_FILE}")))?;
        let system = source.parse_as(System::parse)?;
        Ok(Definition { system, source })
    }

    /// The client that it names, told how to ask.
    pub fn client(&self) -> Result<ClientKind, SpecError> {
        if self.system.http.is_some() && self.system.client != "http" {
            let what = "templates are for client = \"http\"; name it, or leave them out";
            return Err(self.invalid(Complaint::at(["http"], what)));
        }
        let asks = self.system.status.as_ref().map(|status| &status.ask);
        if asks == Some(&StatusAsk::Exec) && self.system.client != "exec" {
            let what = "a status that a program asks for goes with client = \"exec\"; name a path instead";
            return Err(self.invalid(Complaint::at(["status", "exec"], what)));
        }
        let definition = clients::Definition {
            text: self.source.text(),
            folder: self.source.path().parent().unwrap_or(Path::new("")),
        };
        clients::of(&self.system.client, &definition).map_err(|problem| match problem {
            Problem::Form(error) => self.source.misread(error),
            Problem::Meaning(mistake) => {
                let key = mistake
                    .at
                    .iter()
                    .fold(KeyPath::default(), |key, turn| match turn {
                        Turn::Key(name) => key.key(name),
                        Turn::Entry(index) => key.entry(*index),
                    });
                self.invalid(key.complain(mistake.what))
            }
        })
    }

    /// As it is written.
    pub fn text(&self) -> &str {
        self.source.text()
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
