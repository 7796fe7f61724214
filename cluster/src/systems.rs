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
    /// etcd's `POST /v3/maintenance/status` on the client port.
    Etcd,
}

/// A system under test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct System {
    /// As specs name it.
    pub name: String,
    /// One line.
    pub description: String,
    /// How many nodes it has unless a spec says otherwise.
    pub nodes_default: usize,
    /// The template of a node's command line; see [`NodeProgram::from_template`]. Empty where it runs in containers only.
    #[serde(default)]
    pub argv: Vec<String>,
    /// Where clients connect.
    pub port: u16,
    /// When a node can be used.
    pub readiness: Readiness,
    /// How it is asked for roles, if it can be.
    pub status: Option<StatusKind>,
    /// What may be lost.
    pub durability: Durability,
    /// How it runs in containers, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compose: Option<ComposeSystem>,
}

/// What has to be known of a system beside its compose file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ComposeSystem {
    /// The data directory, as seen in the containers.
    pub data: String,
    /// The variable of the compose file that chooses the version.
    pub version_variable: String,
    /// The version unless a spec says otherwise.
    pub version_default: String,
    /// Versions that there are images for.
    pub versions: Vec<String>,
}

/// The definition of etcd.
const ETCD: &str = include_str!("../systems/etcd/system.toml");

impl System {
    /// Every system that comes with Duress.
    pub fn all() -> Vec<System> {
        vec![System::specimen(), System::etcd()]
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

    /// etcd, in containers.
    pub fn etcd() -> System {
        toml::from_str(ETCD).expect("the definition that is compiled in is tested to be valid")
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
            compose: Some(ComposeSystem {
                data: "/data".into(),
                version_variable: "SPECIMEN_VERSION".into(),
                version_default: env!("CARGO_PKG_VERSION").into(),
                versions: vec![env!("CARGO_PKG_VERSION").into()],
            }),
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
    fn the_definition_of_etcd_is_understood() {
        let etcd = System::etcd();
        assert_eq!((etcd.port, etcd.status), (2379, Some(StatusKind::Etcd)));
        let compose = etcd.compose.as_ref().unwrap();
        assert!(compose.versions.contains(&compose.version_default));
        let error = etcd
            .programs(&[], Path::new("/"), Path::new("/"), &[])
            .unwrap_err();
        assert!(error.to_string().contains("[cluster.compose]"));
    }

    #[test]
    fn an_unknown_system_is_refused_with_the_choices() {
        let error = System::named("oracle").unwrap_err().to_string();
        assert_eq!(error, "system \"oracle\": there are specimen, etcd");
    }
}
