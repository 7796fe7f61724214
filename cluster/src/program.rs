//! What a node runs, and templates for it.
//!
//! A template is a command line with placeholders, so that one serves every node:
//!
//! ```text
//! ["etcd", "--name", "{name}", "--data-dir", "{data}", "--initial-cluster", "@join , {name}=http://{ip}:2380"]
//!   n1: etcd --name n1 --data-dir …/n1/data --initial-cluster n1=http://10.77.0.11:2380,n2=http://10.77.0.12:2380
//! ["kv", "--listen", "{ip}:{port}", "@each --peer {name}={ip}:{port}"]
//!   n1: kv --listen 10.77.0.11:8080 --peer n1=10.77.0.11:8080 --peer n2=10.77.0.12:8080
//! ```
//!
//! `@each WORDS` stands for these words once for every node of the cluster, `@join SEPARATOR WORD` for one argument
//! that holds the word for every node. `{{` and `}}` are plain braces.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{ClusterError, Node};

const CHOICES: &str = "{name}, {id}, {ip}, {ip6}, {data}, {port}, {peers}, {duress}";

/// One node's program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeProgram {
    /// The node's name.
    pub name: String,
    /// The program and its arguments. A relative path of a program is taken from the node's data directory; a bare
    /// name is searched for.
    pub argv: Vec<String>,
    /// On top of the controller's own environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

/// What placeholders stand for.
#[derive(Clone, Copy, Debug)]
pub struct TemplateValues<'a> {
    /// All nodes of the cluster, in order; `{id}` is a node's place in it, from 1.
    pub nodes: &'a [Node],
    /// The node's data directory, as the node sees it.
    pub data: &'a Path,
    /// The port that clients use.
    pub port: u16,
    /// The path of the `duress` program.
    pub duress: &'a Path,
}

impl NodeProgram {
    /// Fills in the template for one of `values.nodes`, and adds `extra` as it is.
    pub fn from_template(
        template: &[String],
        node: &Node,
        values: &TemplateValues<'_>,
        extra: &[String],
    ) -> Result<NodeProgram, ClusterError> {
        let mut argv = Vec::new();
        for item in template {
            if let Some(words) = item.strip_prefix("@each ") {
                for peer in values.nodes {
                    for word in words.split_whitespace() {
                        argv.push(fill(word, peer, values)?);
                    }
                }
            } else if let Some(rest) = item.strip_prefix("@join ") {
                let (separator, word) = rest.split_once(' ').ok_or_else(|| ClusterError::Invalid {
                    what: format!("argument {item:?}"),
                    why: "write `@join SEPARATOR WORD`, e.g. `@join , {name}={ip}:{port}`".into(),
                })?;
                argv.push(join(separator, word, values)?);
            } else {
                argv.push(fill(item, node, values)?);
            }
        }
        argv.extend_from_slice(extra);
        Ok(NodeProgram {
            name: node.name.clone(),
            argv,
            env: BTreeMap::new(),
        })
    }
}

fn join(separator: &str, word: &str, values: &TemplateValues<'_>) -> Result<String, ClusterError> {
    let words: Result<Vec<String>, _> = values.nodes.iter().map(|peer| fill(word, peer, values)).collect();
    Ok(words?.join(separator))
}

fn fill(text: &str, node: &Node, values: &TemplateValues<'_>) -> Result<String, ClusterError> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        filled.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(plain) = rest.strip_prefix("{{").or_else(|| rest.strip_prefix("}}")) {
            filled.push_str(&rest[..1]);
            rest = plain;
            continue;
        }
        let name = rest.strip_prefix('{').and_then(|inside| inside.split_once('}'));
        let (name, after) = name.ok_or_else(|| ClusterError::Invalid {
            what: format!("argument {text:?}"),
            why: format!(
                "a brace has no partner; placeholders are {CHOICES}; write {{{{ or }}}} for a plain one"
            ),
        })?;
        filled.push_str(&value(name, text, node, values)?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

fn value(name: &str, text: &str, node: &Node, values: &TemplateValues<'_>) -> Result<String, ClusterError> {
    let invalid = |why: String| ClusterError::Invalid {
        what: format!("argument {text:?}"),
        why,
    };
    Ok(match name {
        "name" => node.name.clone(),
        "id" => {
            let position = values.nodes.iter().position(|other| other.name == node.name);
            let position = position.ok_or_else(|| invalid(format!("{} is not in the cluster", node.name)))?;
            (position + 1).to_string()
        }
        "ip" => node.ipv4.to_string(),
        "ip6" => node
            .ipv6
            .ok_or_else(|| invalid(format!("{} has no IPv6 address here", node.name)))?
            .to_string(),
        "data" => values.data.display().to_string(),
        "port" => values.port.to_string(),
        "peers" => join(",", "{name}={ip}:{port}", values)?,
        "duress" => values.duress.display().to_string(),
        unknown => {
            return Err(invalid(format!(
                "no placeholder {{{unknown}}}; there are {CHOICES}"
            )));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes() -> Vec<Node> {
        let node = |index: u8| {
            let ipv6 = format!("fd77::1{index}").parse().unwrap();
            Node::new(format!("n{index}"), [10, 77, 0, 10 + index].into(), Some(ipv6))
        };
        vec![node(1), node(2)]
    }

    fn argv(template: &[&str]) -> Result<Vec<String>, String> {
        let nodes = nodes();
        let (data, duress) = (Path::new("/run/n2/data"), Path::new("/bin/duress"));
        let values = TemplateValues {
            nodes: &nodes,
            data,
            port: 8080,
            duress,
        };
        let template: Vec<String> = template.iter().map(|&item| item.to_owned()).collect();
        NodeProgram::from_template(&template, &nodes[1], &values, &["--extra".into(), "{x}".into()])
            .map(|program| program.argv)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn fills_in_what_it_knows_and_leaves_extra_arguments_alone() {
        assert_eq!(
            argv(&[
                "{duress}",
                "{name}-{id}",
                "http://{ip}:{port}",
                "[{ip6}]",
                "{data}",
                "{{}}"
            ])
            .unwrap(),
            [
                "/bin/duress",
                "n2-2",
                "http://10.77.0.12:8080",
                "[fd77::12]",
                "/run/n2/data",
                "{}",
                "--extra",
                "{x}"
            ]
        );
    }

    #[test]
    fn repeats_for_every_node() {
        assert_eq!(
            argv(&["@each --peer {name}={ip}:{port}", "{peers}", "@join ; {id}@{ip6}"]).unwrap(),
            [
                "--peer",
                "n1=10.77.0.11:8080",
                "--peer",
                "n2=10.77.0.12:8080",
                "n1=10.77.0.11:8080,n2=10.77.0.12:8080",
                "1@fd77::11;2@fd77::12",
                "--extra",
                "{x}"
            ]
        );
    }

    #[test]
    fn refuses_what_it_does_not_know_and_names_the_choices() {
        for wrong in ["{nome}", "{}", "{name", "name}", "@join ,", "@each {nome}"] {
            let error = argv(&[wrong]).unwrap_err();
            assert!(error.contains("{name}"), "{wrong}: {error}");
        }
    }
}
