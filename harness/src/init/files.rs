//! The two files that `duress init` writes: what Duress has to know of the system, and a first spec. Pure.
//!
//! Each says in comments what it is about. A line that only the user can confirm ends in a mark, as in
//!
//! ```toml
//! path = "/kv/{key}"    # fill in: the path of a key
//! ```

use std::fmt::Write as _;

use duress_cluster::Readiness;
use duress_cluster::compose::PROFILES_VARIABLE;
use toml::Value;

use super::guess::Guess;
use crate::spec::FILL_IN;

/// The text of `system.toml`. `name` is the system's, `file` the compose file as comments call it.
pub fn system(guess: &Guess, name: &str, file: &str) -> String {
    let count = guess.nodes.len();
    let port = match guess.port_by {
        Some(by) => format!("port = {}    # {by}\n", guess.port),
        None => marked(
            &format!("port = {}", guess.port),
            "where clients connect, inside the containers; nothing in the file says it",
        ),
    };
    let ready = match (&guess.readiness, guess.has_health) {
        (Readiness::Http { .. } | Readiness::Command { .. }, true) => "what the health check asks",
        _ => "no health check says more, or not the same of every node",
    };
    let data = match &guess.data {
        Some(folder) => format!(
            "\n[compose]\ndata = {}    # a volume of every node: where it keeps its data\n",
            quoted(folder)
        ),
        None => "\n# No volume is seen that every node has. If nodes keep data on disk, say where, as seen in the containers:\n\
                 # [compose]\n# data = \"/var/lib/mine\"\n"
            .to_owned(),
    };
    let description = format!("{} of {file}", list_of(&guess.nodes));
    format!(
        "# What Duress has to know of this system, as `duress init` guesses it from {}.\n\
         #\n\
         # A line with a mark, \"{FILL_IN}\", is a guess that only you can confirm. Write what is true and delete the mark.\n\
         # `duress try` shows what the system answers to these requests; `duress run` names the marks that are left.\n\
         name = {}\ndescription = {}\nclient = \"http\"    # by the requests below; \"exec\" asks by a program of yours, in any language\n\
         nodes-default = {count}\n{port}\n# When a node can be used: {ready}.\n{}{data}{STATUS}{requests}",
        one_line(file),
        quoted(name),
        quoted(&description),
        readiness(&guess.readiness),
        requests = requests(),
    )
}

/// The text of `spec.toml`. `file` is the way from its folder to the compose file.
pub fn spec(guess: &Guess, name: &str, file: &str) -> String {
    let mut cluster = format!(
        "[cluster.compose]\nsystem = \".\"    # the system.toml in this folder\nfile = {}\nnodes = {}\n",
        quoted(file),
        Value::from(guess.nodes.clone())
    );
    if !guess.profiles.is_empty() {
        let profiles: Vec<&str> = guess.profiles.iter().map(String::as_str).collect();
        let profiles = quoted(&profiles.join(","));
        let _ = writeln!(
            cluster,
            "variables = {{ {PROFILES_VARIABLE} = {profiles} }}    # the nodes are behind them"
        );
    }
    if let [network, _, ..] = guess.networks.as_slice() {
        let network = quoted(network);
        let all = one_line(&guess.networks.join(", "));
        let _ = writeln!(
            cluster,
            "network = {network}    # nodes are addressed by it; they share {all}"
        );
    }
    let partition = match guess.nodes.len() {
        1 => "# One node alone can't be cut off from others, so there are no partitions.\n",
        2 => {
            "[[faults.mix]]\nkind = \"partition\"\nshape = \"one\"    # one node is cut off from the other\n\n"
        }
        _ => {
            "[[faults.mix]]\nkind = \"partition\"\nshape = \"majority-minority\"\n\n\
              [[faults.mix]]\nkind = \"partition\"\nshape = \"one\"    # one node is cut off from all others\n\n"
        }
    };
    format!(
        "# A first run: registers, under the faults that every system should survive. `duress faults`, `duress workloads` and\n\
         # `duress properties` list what else there is.\n\
         name = {}\nproperties = [\"linearizable\", \"recovers\"]\n\n{cluster}ready = \"120s\"    # the nodes may take this long to \
         become ready\n\n{REST}{partition}{NODE_FAULTS}",
        quoted(name)
    )
}

/// What is not marked is right for most systems.
const STATUS: &str = "
# If nodes say who leads, and in which term, faults can be aimed at leaders and more can be claimed. JSON pointers:
# [status]
# path = \"/status\"
# answer = { role = \"/role\", term = \"/term\", leader = \"/leader\" }

# How each operation is asked, and what answers mean. An answer that no case maps proves nothing: the operation may have
# happened or not. Map an answer to `fail` or `refused` only if nothing happened, and never will.

";

/// The requests. Each guess is one line.
fn requests() -> String {
    let line = |line: &str, what: &str| marked(line, what);
    let case = |case: &str, what: &str| marked(&format!("    {case},"), what);
    [
        "[http.read]\n",
        &line("path = \"/kv/{key}\"", "the path of a key"),
        "answer = [\n",
        &case(
            "{ status = 200, ok = \"/value\" }",
            "where the value stands: a JSON pointer, or \"text|json\" if it is the whole body",
        ),
        &case(
            "{ status = 404, ok = \"absent\" }",
            "the answer for a key that is absent",
        ),
        "]\n\n[http.write]\nmethod = \"put\"\n",
        &line("path = \"/kv/{key}\"", "the request that writes a key, its method too"),
        &line(
            "body = { value = \"{value}\" }",
            "what is sent as JSON; or text = \"{value}\", which is sent as it is",
        ),
        "answer = [\n",
        &case(
            "{ status = [200, 201, 204], ok = true }",
            "the answers that say that it is written",
        ),
        "]\n\n",
        NULL,
        "[http.delete]\nmethod = \"delete\"\n",
        &line("path = \"/kv/{key}\"", "the request that makes a key absent"),
        "answer = [{ status = [200, 204, 404], ok = true }]\n\n",
        "# Writes `new` if the key holds `old`. If there is no such request, delete this and the next one, and write `cas = 0` in\n\
         # the spec.\n[http.cas]\nmethod = \"post\"\n",
        &line("path = \"/kv/{key}/cas\"", "the request that compares and sets, its method too"),
        &line(
            "body = { old = \"{old}\", new = \"{new}\" }",
            "what is sent, headers too",
        ),
        "answer = [\n",
        &case(
            "{ status = [200, 204], ok = true }",
            "the answers that say that it is swapped",
        ),
        &case(
            "{ status = [409, 412], fail = \"mismatch\" }",
            "the answers that say that the key holds another value",
        ),
        "]\n\n# The same, if the key must be absent.\n[http.create]\nmethod = \"put\"\n",
        &line(
            "path = \"/kv/{key}\"",
            "the request that writes a key only if it is absent, its method too",
        ),
        "headers = { if-none-match = \"*\" }\n",
        &line("body = { value = \"{new}\" }", "what is sent, headers too"),
        "answer = [\n    { status = [200, 201, 204], ok = true },\n    { status = [409, 412], fail = \"mismatch\" },\n]\n",
    ]
    .concat()
}

/// Without it, an absent key would be taken for one that holds null, and a system that refuses to swap it for wrong.
const NULL: &str = "# Null stands for an absent key as long as there is one of [http.delete] and [http.create]: keep one of them if there is\n\
                    # [http.cas]. What has no request here is not asked. Deletes are asked only if the spec says so: delete = 1.0\n";

const REST: &str = "[workload.register]
keys = 5
# cas = 0           # without compare-and-set

[load.open]
rate = 50           # operations a second

[client]
timeout = \"1s\"
routing = \"any\"     # nodes are asked in turn

[time]
warm-up = \"3s\"
faults = \"40s\"
recovery = \"60s\"    # how long the system may take to be well again, once nothing is broken any more

[evidence]          # less than this, and a run is inconclusive
ok = 300
ok-of-each = 20

[faults]
pause = \"1s..3s\"
length = \"3s..5s\"

";

const NODE_FAULTS: &str = "[[faults.mix]]
kind = \"kill\"
targets = \"one\"

[[faults.mix]]
kind = \"pause\"
targets = \"one\"
";

fn marked(line: &str, what: &str) -> String {
    format!("{line}    {FILL_IN} {what}\n")
}

fn readiness(readiness: &Readiness) -> String {
    match readiness {
        Readiness::Http { path, port, .. } => {
            format!("readiness.http = {{ path = {}, port = {port} }}\n", quoted(path))
        }
        Readiness::Tcp { port } => format!("readiness.tcp = {{ port = {port} }}\n"),
        Readiness::Command { argv } => {
            format!("readiness.command = {{ argv = {} }}\n", Value::from(argv.clone()))
        }
    }
}

/// A TOML string.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// For a comment, which ends with its line.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// Names in a description, not all of a large cluster's.
fn list_of(names: &[String]) -> String {
    const SHOWN: usize = 5;
    match names.len() {
        0..=SHOWN => names.join(", "),
        more => format!("{} and {} more", names[..SHOWN].join(", "), more - SHOWN),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use duress_cluster::System;
    use duress_workloads::clients::{self, Definition};

    use super::*;
    use crate::spec::Spec;

    fn guess(nodes: &[&str]) -> Guess {
        Guess {
            nodes: nodes.iter().map(|&name| name.to_owned()).collect(),
            port: 80,
            port_by: None,
            readiness: Readiness::Command {
                argv: vec!["sh".to_owned(), "-c".to_owned(), "a \"b\"\n'''".to_owned()],
            },
            has_health: true,
            data: Some("/a \"b\"".to_owned()),
            networks: vec!["x".to_owned(), "y".to_owned()],
            profiles: BTreeSet::from(["p".to_owned(), "q".to_owned()]),
        }
    }

    /// Whatever is in a compose file stands in TOML, and in a comment it stays one.
    #[test]
    fn what_is_written_reads_back_as_what_was_guessed() {
        for nodes in [&["a"][..], &["a", "b"], &["a", "b", "c", "d", "e", "f", "g"]] {
            let mut guess = guess(nodes);
            let text = system(&guess, "kv", "com\npose.yaml");
            let read = System::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert_eq!((read.port, &read.readiness), (80, &guess.readiness));
            assert_eq!(read.compose.and_then(|compose| compose.data), guess.data);
            let definition = Definition {
                text: &text,
                folder: Path::new("."),
            };
            let client = clients::of("http", &definition).unwrap_or_else(|error| panic!("{error:?}"));
            assert_eq!(client.workloads(), ["register"]);
            assert_eq!(text.matches(&format!("    {FILL_IN}")).count(), 13 + 1);

            let text = spec(&guess, "kv", "../com\"pose.yaml");
            let spec: Spec = toml::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert_eq!(spec.cluster.node_names(), guess.nodes);
            assert!(spec.faults.validate(&guess.nodes).is_ok());
            assert!(
                text.contains("COMPOSE_PROFILES = \"p,q\"") && text.contains("network = \"x\""),
                "{text}"
            );
            assert!(!text.contains(FILL_IN));

            guess.port_by = Some("as you said");
            guess.data = None;
            guess.networks.truncate(1);
            guess.profiles.clear();
            let text = system(&guess, "kv", "compose.yaml");
            assert!(
                System::parse(&text).is_ok() && text.contains("port = 80    # as you said"),
                "{text}"
            );
            let text = super::spec(&guess, "kv", "compose.yaml");
            assert!(
                !text.contains("COMPOSE_PROFILES") && !text.contains("network ="),
                "{text}"
            );
        }
    }
}
