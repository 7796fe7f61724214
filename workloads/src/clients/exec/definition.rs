//! The table `[exec]` of a `system.toml`: which program asks, and what it can be asked.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::clients::kind::{Mistake, Problem, ReadMode};
use crate::op::Operation;
use crate::workload::{operations, with_hold};

/// The table as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Written {
    argv: Vec<String>,
    operations: Vec<String>,
    #[serde(default = "linearizable")]
    reads: Vec<ReadMode>,
    #[serde(default)]
    executes_tokens_once: bool,
    #[serde(default)]
    contents: bool,
    #[serde(default)]
    env: BTreeMap<String, String>,
    service: Option<String>,
}

fn linearizable() -> Vec<ReadMode> {
    vec![ReadMode::Linearizable]
}

/// A `system.toml`, of which only this counts here.
#[derive(Deserialize)]
struct Definition {
    exec: Option<Written>,
}

/// A program, and what it can be asked.
#[derive(Clone, Debug)]
pub(super) struct Program {
    /// The service of the compose file that it runs in. `None`: it runs where Duress does.
    pub service: Option<String>,
    /// Its path; in a service, as it is written.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Where it runs: the system's folder.
    pub folder: PathBuf,
    /// Variables that it gets beside those of Duress.
    pub env: BTreeMap<String, String>,
    /// What it can be asked.
    pub operations: Vec<Operation>,
    /// How it can read.
    pub reads: Vec<ReadMode>,
    /// Whether the system executes a token at most once.
    pub executes_tokens_once: bool,
    /// Whether it reads what a single member holds.
    pub contents: bool,
}

impl Program {
    /// From the text of a `system.toml`. Relative paths start from `folder`.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, Problem> {
        let definition: Definition = toml::from_str(text).map_err(|error| Problem::Form(Box::new(error)))?;
        let Some(written) = definition.exec else {
            let what =
                "the client exec runs the program of the table [exec]; write one with argv and operations";
            return Err(Mistake::at(["client"], what).into());
        };
        let (name, arguments) = match written.argv.split_first() {
            Some((name, arguments)) if !name.is_empty() => (name, arguments.to_vec()),
            _ => {
                return Err(Mistake::at(
                    ["exec", "argv"],
                    "name a program, e.g. [\"python3\", \"client.py\"]",
                )
                .into());
            }
        };
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let path = match &written.service {
            Some(service) if service.is_empty() => {
                let what = "name a service of the compose file that is no node, e.g. \"drivers\"";
                return Err(Mistake::at(["exec", "service"], what).into());
            }
            // What is in its container is not known here.
            Some(_) => PathBuf::from(name),
            None => found(name, &folder).map_err(|what| Mistake::at(["exec", "argv"], what).entry(0))?,
        };
        let known = operations();
        let operation = |(index, name): (usize, &String)| {
            let found = known.iter().find(|(known, _)| known == name);
            found.map(|(_, operation)| *operation).ok_or_else(|| {
                let names: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
                let what = format!("no workload asks {name:?}; there are {}", names.join(", "));
                Mistake::at(["exec", "operations"], what).entry(index)
            })
        };
        let operations: Vec<Operation> = (written.operations.iter().enumerate())
            .map(operation)
            .collect::<Result<_, _>>()?;
        if operations.is_empty() {
            let what = "name what the program can be asked, e.g. [\"read\", \"write\"]";
            return Err(Mistake::at(["exec", "operations"], what).into());
        }
        Ok(Program {
            service: written.service,
            path,
            arguments,
            folder,
            env: written.env,
            operations: with_hold(operations),
            reads: written.reads,
            executes_tokens_once: written.executes_tokens_once,
            contents: written.contents,
        })
    }
}

impl Program {
    /// As messages have it.
    pub fn name(&self) -> String {
        match &self.service {
            Some(service) => format!("{} in the service {service}", self.path.display()),
            None => self.path.display().to_string(),
        }
    }

    /// Its path and arguments.
    pub fn argv(&self) -> Vec<String> {
        let path = self.path.to_string_lossy().into_owned();
        std::iter::once(path)
            .chain(self.arguments.iter().cloned())
            .collect()
    }
}

/// Where a program is: beside the `system.toml` if its name has a slash, else where the shell would look.
fn found(name: &str, folder: &Path) -> Result<PathBuf, String> {
    if name.contains('/') {
        let path = folder.join(name);
        return match path.is_file() {
            true => Ok(path),
            false => Err(format!("there is no program {}", path.display())),
        };
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    found.ok_or_else(|| {
        format!("no program {name:?} in the folders of PATH; one beside system.toml is \"./{name}\"")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(exec: &str) -> String {
        let text = format!("client = \"exec\"\n{exec}");
        match Program::parse(&text, Path::new("/")) {
            Err(Problem::Meaning(mistake)) => format!("{:?}: {mistake}", mistake.at.last()),
            Err(Problem::Form(error)) => error.to_string(),
            Ok(program) => panic!("{program:?}"),
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_where_it_stands() {
        for (exec, said) in [
            ("", "write one with argv"),
            ("[exec]\nargv = []\noperations = [\"read\"]", "name a program"),
            (
                "[exec]\nargv = [\"./no-such\"]\noperations = [\"read\"]",
                "there is no program /./no-such",
            ),
            (
                "[exec]\nargv = [\"no-such-program\"]\noperations = [\"read\"]",
                "in the folders of PATH",
            ),
            (
                "[exec]\nargv = [\"sh\"]\noperations = [\"read\"]\nservice = \"\"",
                "name a service of the compose file",
            ),
            (
                "[exec]\nargv = [\"sh\"]\noperations = []",
                "name what the program can be asked",
            ),
            (
                "[exec]\nargv = [\"sh\"]\noperations = [\"read\", \"reed\"]",
                "Entry(1)): no workload asks \"reed\"",
            ),
            ("[exec]\nargv = [\"sh\"]", "operations"),
            (
                "[exec]\nargv = [\"sh\"]\noperations = [\"read\"]\nretries = 3",
                "retries",
            ),
        ] {
            let error = refused(exec);
            assert!(error.contains(said), "{exec}: {error}");
        }
    }

    #[test]
    fn a_program_is_asked_for_what_it_says() {
        let text = "[exec]\nargv = [\"sh\", \"-c\", \"cat\"]\noperations = [\"read\", \"read-all\"]\nreads = [\"local\"]";
        let program = Program::parse(text, Path::new("/")).expect("a program");
        assert_eq!(
            program.operations,
            [Operation::on_key("read"), Operation::on_all("read")]
        );
        assert!(program.path.is_absolute());
        let there = text.replace("\"sh\"", "\"./in-the-image\"") + "\nservice = \"drivers\"";
        let there = Program::parse(&there, Path::new("/")).expect("whatever is in the service");
        assert_eq!(there.argv(), ["./in-the-image", "-c", "cat"]);
        assert_eq!(program.arguments, ["-c", "cat"]);
    }
}
