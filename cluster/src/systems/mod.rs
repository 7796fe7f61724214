//! The systems that can be deployed: how each is started, when it is ready, and how it says what it is doing.
//!
//! A system is a folder with a `system.toml`, in which [`System`] is written. Those of `cluster/systems` ship with Duress; any
//! other folder is a user's. `docs/systems.md` shows every key:
//!
//! ```toml
//! name = "mine"
//! description = "a register on three nodes"
//! client = "specimen"
//! port = 8080
//! readiness.http = {path = "/health", port = 8080}
//! ```

use std::path::Path;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::logs::{LogFile, log_files};
use crate::status::{Facts, StatusRequest};
use crate::{ClusterError, Node, NodeProgram, Readiness, TemplateValues};

/// Where a system keeps what it acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// In its data directory: it must survive a kill and a power failure.
    #[default]
    Disk,
    /// In memory: only the other members keep it when one is killed.
    Memory,
}

/// A system under test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct System {
    /// As specs name it, if it ships, and as reports do.
    #[serde(deserialize_with = "name")]
    pub name: String,
    /// One line.
    pub description: String,
    /// Name of the client that speaks to it. Which clients there are is not known here.
    pub client: String,
    /// How the client `http` asks: for that client alone to understand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<Value>,
    /// Which program the client `exec` runs: for that client alone to understand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exec: Option<Value>,
    /// How many nodes it usually has.
    #[serde(default = "three")]
    pub nodes_default: usize,
    /// The template of a node's command line; see [`NodeProgram::from_template`]. Empty where it runs in containers only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub argv: Vec<String>,
    /// Where clients connect.
    #[serde(deserialize_with = "port")]
    pub port: u16,
    /// When a node can be used.
    pub readiness: Readiness,
    /// How it is asked for its status, if it can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusRequest>,
    /// What may be lost.
    #[serde(default)]
    pub durability: Durability,
    /// Defects that are switched on by adding `--defect NAME` to `argv`; only systems made for calibration have some.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub defects: Vec<String>,
    /// Files that nodes write, beside what they write to their output: kept at the end of a run.
    #[serde(
        default,
        deserialize_with = "log_files",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub logs: Vec<LogFile>,
    /// How it runs in containers, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compose: Option<ComposeSystem>,
}

/// What has to be known of a system beside its compose file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct ComposeSystem {
    /// The data directory, as seen in the containers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// How the version is chosen, if the compose file lets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Versions>,
}

/// How the version of a system is chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Versions {
    /// The variable of the compose file that has it.
    pub variable: String,
    /// The version unless a spec says otherwise.
    pub default: String,
    /// Versions that there are images for.
    #[serde(default)]
    pub known: Vec<String>,
}

/// The definitions that ship, in the order of their folders' names.
const SHIPPED: &[&str] = include!(concat!(env!("OUT_DIR"), "/shipped.rs"));

/// Those that are used by their folders, which are below the root of the sources, and their texts.
const BY_FOLDER: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/by_folder.rs"));

/// Most characters of a name.
const NAME_MAX: usize = 100;

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    let name_ok = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !(1..=NAME_MAX).contains(&name.len()) || name.starts_with('.') || !name.chars().all(name_ok) {
        let what =
            format!("use up to {NAME_MAX} letters, digits, \"-\", \"_\" and \".\", and no \".\" first");
        return Err(D::Error::custom(what));
    }
    Ok(name)
}

fn port<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    match u16::deserialize(deserializer)? {
        0 => Err(D::Error::custom("port 0 is none; use 1 to 65535")),
        port => Ok(port),
    }
}

fn three() -> usize {
    3
}

impl System {
    /// Reads the text of a `system.toml`. The error shows the line and what would be right.
    pub fn parse(text: &str) -> Result<System, toml::de::Error> {
        toml::from_str(text)
    }

    /// The definitions of every system that ships, as they are written.
    pub fn definitions() -> &'static [&'static str] {
        SHIPPED
    }

    /// Every system that ships with a client program next to it, by its folder below the root of the sources.
    pub fn by_folder() -> Vec<(String, System)> {
        let parsed = |(folder, text): &(&str, &str)| {
            let system = System::parse(text).expect("what is compiled in is tested to be valid");
            ((*folder).to_owned(), system)
        };
        BY_FOLDER.iter().map(parsed).collect()
    }

    /// Every system that ships.
    pub fn all() -> Vec<System> {
        let parsed = |text: &&str| System::parse(text).expect("what is compiled in is tested to be valid");
        SHIPPED.iter().map(parsed).collect()
    }

    /// The system of this name, of those that ship.
    pub fn named(name: &str) -> Result<System, ClusterError> {
        System::all()
            .into_iter()
            .find(|system| system.name == name)
            .ok_or_else(|| {
                let known: Vec<String> = System::all().into_iter().map(|system| system.name).collect();
                ClusterError::Invalid {
                    what: format!("system {name:?}"),
                    why: format!(
                        "there are {}; a folder of your own has a slash: \"./{name}\"",
                        known.join(", ")
                    ),
                }
            })
    }

    /// Which facts its status tells: none, if it has none.
    pub fn facts(&self) -> Facts {
        let status = self.status.as_ref();
        status.map_or_else(Facts::default, |status| status.answer.facts())
    }

    /// Whether it can be deployed from a compose file. One that can't be started otherwise is meant to be.
    pub fn in_containers(&self) -> bool {
        self.compose.is_some() || self.argv.is_empty()
    }

    /// What each node runs. `dir` is the folder that holds a folder per node, as in [`crate::local::LocalSpec`];
    /// `duress` is the path of the program, for systems that are part of it; `extra` goes to the end of every command
    /// line, e.g. `--defect stale-read`.
    pub fn programs(
        &self,
        nodes: &[Node],
        dir: &Path,
        duress: &Path,
        extra: &[String],
    ) -> Result<Vec<NodeProgram>, ClusterError> {
        if self.argv.is_empty() {
            return Err(ClusterError::Unsupported {
                what: format!("run {} in local sandboxes", self.name),
                why: "it comes in containers only; deploy it with [cluster.compose]".into(),
            });
        }
        // Programs run in their data directory, where a relative path would lead elsewhere.
        let dir = std::path::absolute(dir).map_err(|source| ClusterError::Io {
            what: format!("resolve {}", dir.display()),
            source,
        })?;
        let program = |node: &Node| {
            let data = dir.join(&node.name).join("data");
            let values = TemplateValues {
                nodes,
                data: &data,
                port: self.port,
                duress,
            };
            NodeProgram::from_template(&self.argv, node, &values, extra)
        };
        nodes.iter().map(program).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specimens_command_line_is_what_it_understands() {
        let node = |index: u8| Node::new(format!("n{index}"), [10, 77, 0, 10 + index].into(), None);
        let extra = ["--defect".to_owned(), "stale-read".to_owned()];
        let programs = named("specimen")
            .programs(
                &[node(1), node(2)],
                Path::new("/runs/1/nodes"),
                Path::new("/bin/duress"),
                &extra,
            )
            .unwrap();
        assert_eq!(
            programs[1].argv.join(" "),
            "/bin/duress specimen --name n2 --listen 10.77.0.12:8080 --data /runs/1/nodes/n2/data \
             --peer n1=10.77.0.11:8080 --peer n2=10.77.0.12:8080 --defect stale-read"
        );
    }

    fn named(name: &str) -> System {
        System::named(name).unwrap()
    }

    #[test]
    fn every_definition_is_understood_and_tells_what_invariants_need() {
        for text in System::definitions() {
            let system = System::parse(text).unwrap_or_else(|error| panic!("{text}\n{error}"));
            if let Some(versions) = system.compose.and_then(|compose| compose.version) {
                assert!(versions.known.contains(&versions.default), "{}", system.name);
            }
        }
        assert!(!System::definitions().is_empty());
        for name in ["etcd", "specimen"] {
            let facts = named(name).facts();
            assert!(facts.roles && facts.term && facts.applied, "{name}");
        }
        let specimen = named("specimen").compose.unwrap().version.unwrap();
        assert_eq!(
            specimen.default,
            env!("CARGO_PKG_VERSION"),
            "the specimen is part of Duress: write its version into its system.toml"
        );
    }

    #[test]
    fn little_is_a_complete_system() {
        let little = "name = 'r'\ndescription = ''\nclient = 'c'\nport = 8080\nreadiness.tcp.port = 8080";
        let system = System::parse(little).unwrap();
        assert_eq!((system.facts(), system.status.as_ref()), (Facts::default(), None));
        assert!(system.in_containers());
        for (from, to, line, said) in [
            ("8080\n", "0\n", 4, "use 1 to 65535"),
            ("'r'", "'a/b'", 1, "letters, digits"),
            ("client", "clients", 3, "`client`"),
            ("port = 8080\n", "", 1, "missing field `port`"),
            ("tcp", "udp", 5, "`tcp`"),
        ] {
            let error = System::parse(&little.replacen(from, to, 1))
                .unwrap_err()
                .to_string();
            assert!(
                error.contains(&format!("line {line}")) && error.contains(said),
                "{error}"
            );
        }
    }

    #[test]
    fn what_has_no_command_line_runs_in_containers_only() {
        let error = named("etcd")
            .programs(&[], Path::new("/"), Path::new("/"), &[])
            .unwrap_err();
        assert!(error.to_string().contains("[cluster.compose]"));
    }

    #[test]
    fn an_unknown_system_is_refused_with_the_choices() {
        let error = System::named("oracle").unwrap_err().to_string();
        assert_eq!(
            error,
            "system \"oracle\": there are etcd, nats, rabbitmq, specimen; a folder of your own has a slash: \"./oracle\""
        );
    }
}
