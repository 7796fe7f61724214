//! The systems that can be deployed: how each is started, when it is ready, and how it says what it is doing.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{ClusterError, Node, NodeProgram, Readiness, TemplateValues};

/// Where a system keeps what it acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// In its data directory: it must survive a kill and a power failure.
    Disk,
    /// In memory: only the other members keep it when one is killed.
    Memory,
}

/// Which status a system offers to [`crate::StatusProbe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StatusKind {
    /// `GET /status` on the client port, in the form of [`crate::NodeStatus`].
    Http,
}

/// A system under test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct System {
    /// As specs name it.
    pub name: String,
    /// One line.
    pub description: String,
    /// How many nodes it has unless a spec says otherwise.
    pub nodes_default: usize,
    /// The template of a node's command line; see [`NodeProgram::from_template`].
    pub argv: Vec<String>,
    /// Where clients connect.
    pub port: u16,
    /// When a node can be used.
    pub readiness: Readiness,
    /// How it is asked for roles, if it can be.
    pub status: Option<StatusKind>,
    /// What may be lost.
    pub durability: Durability,
}

impl System {
    /// Every system that comes with Duress.
    pub fn all() -> Vec<System> {
        vec![System::specimen()]
    }

    /// The system of this name.
    pub fn named(name: &str) -> Result<System, ClusterError> {
        System::all()
            .into_iter()
            .find(|system| system.name == name)
            .ok_or_else(|| {
                let known: Vec<String> = System::all().into_iter().map(|system| system.name).collect();
                ClusterError::Invalid {
                    what: format!("system {name:?}"),
                    why: format!("there are {}", known.join(", ")),
                }
            })
    }

    /// The replicated key-value store that ships with Duress, run by the very same program.
    pub fn specimen() -> System {
        let argv = [
            "{duress}",
            "specimen",
            "--name",
            "{name}",
            "--listen",
            "{ip}:{port}",
            "--data",
            "{data}",
            "@each --peer {name}={ip}:{port}",
        ];
        let port = 8080;
        System {
            name: "specimen".into(),
            description:
                "the replicated key-value store that ships with Duress; its defects can be switched on".into(),
            nodes_default: 5,
            argv: argv.map(String::from).into(),
            port,
            readiness: Readiness::Http {
                path: "/status".into(),
                port,
                true_field: Some("ready".into()),
            },
            status: Some(StatusKind::Http),
            durability: Durability::Disk,
        }
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
        let node = |index: u8| Node {
            name: format!("n{index}"),
            ipv4: [10, 77, 0, 10 + index].into(),
            ipv6: None,
        };
        let extra = ["--defect".to_owned(), "stale-read".to_owned()];
        let programs = System::specimen()
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

    #[test]
    fn an_unknown_system_is_refused_with_the_choices() {
        let error = System::named("oracle").unwrap_err().to_string();
        assert_eq!(error, "system \"oracle\": there are specimen");
    }
}
