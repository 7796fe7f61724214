//! What is said of hosts, and of engines elsewhere.

use super::{Row, compose};

/// Lines are added to the second part, from the fifth on.
const HOSTS: &str = r#"name = "t"
[cluster.ssh]
system = "specimen"
hosts = ["db1", "db2"]
[workload.register]
keys = 3
"#;

fn hosts(from: &str, to: &str, line: usize, says: &'static str) -> Row {
    assert!(HOSTS.contains(from), "{from}");
    let spec = HOSTS.replacen(from, to, 1);
    Row { spec, line, says }
}

/// One line more about hosts.
fn said_of_hosts(text: &str, says: &'static str) -> Row {
    hosts("[workload", &format!("{text}\n[workload"), 5, says)
}

/// What is said of hosts.
pub fn on_hosts() -> Vec<Row> {
    let named = |list: &str, says| hosts("\"db1\", \"db2\"", list, 4, says);
    vec![
        hosts("\"specimen\"", "\"etcd\"", 3, "in containers only"),
        named("", "name 1 to"),
        named("\"db1\", \"db1\"", "twice"),
        named("\"db1:0\"", "ports are 1 to 65535"),
        named("\"db1:ssh\"", "ports are 1 to 65535"),
        named("\"-oProxyCommand=sh\"", "is not a host"),
        named("\"a b\"", "is not a host"),
        named("\"@db1@\"", "is not a host"),
        named("\"[fd00::1\"", "a bracket has no partner"),
        named("7", "string"),
        said_of_hosts("addresses = [\"10.0.0.1\"]", "1 for 2 hosts"),
        said_of_hosts("addresses = [\"db1\", \"db2\"]", "IPv4"),
        said_of_hosts("client-hosts = [\"c1\", \"c1\"]", "twice"),
        said_of_hosts("client-hosts = [\"c 1\"]", "is not a host"),
        said_of_hosts("jump = \"a,b\"", "is not a host"),
        said_of_hosts("folder = \"\"", "use letters"),
        said_of_hosts("folder = \"a b\"", "use letters"),
        said_of_hosts("folder = \"-rf\"", "use letters"),
        said_of_hosts("password-env = \"A=B\"", "A=B"),
        said_of_hosts("password = \"secret\"", "unknown field"),
        said_of_hosts("check-host-keys = \"no\"", "boolean"),
        said_of_hosts("defects = [\"none\"]", "stale-read"),
        said_of_hosts("unit = \"a b\"", "not a name of a unit"),
        said_of_hosts("args = [\"-v\"]\nunit = \"db\"", "a command line of its own"),
        said_of_hosts("ready = \"0s\"", "use 1ms to 1h"),
    ]
}

fn before_nodes(lines: &str, line: usize, says: &'static str) -> Row {
    compose("nodes =", &format!("{lines}\nnodes ="), line, says)
}

/// Engines.
pub fn engines() -> Vec<Row> {
    vec![
        before_nodes("engine = \"npipe://x\"", 5, "unix://…, tcp://…, ssh://…"),
        before_nodes("engine = \"tcp://db:0\"", 5, "ports are 1 to 65535"),
        before_nodes("engine = \"\"", 5, "the name of a docker context"),
        before_nodes("certificates = \"c\"", 5, "for the engine of the key `engine`"),
        before_nodes(
            "engine = \"ssh://db\"\ncertificates = \"c\"",
            5,
            "leave out its certificates",
        ),
        before_nodes(
            "own-data = true\nengine = \"ssh://db\"",
            5,
            "the engine elsewhere",
        ),
        before_nodes(
            "latency = \"5ms\"\nengine = \"ssh://db\"",
            5,
            "not done on engines elsewhere",
        ),
        before_nodes(
            "agent = \"child\"\nengine = \"ssh://db\"",
            5,
            "a child of this process",
        ),
        before_nodes("reach = \"somehow\"", 5, "`addresses`"),
        before_nodes(
            "stack = true\nreach = \"addresses\"",
            6,
            "leads nowhere from outside",
        ),
        before_nodes(
            "engine = \"unix:///x\"\nengines = [{ engine = \"ssh://a\", nodes = [\"n1\", \"n2\"] }]",
            5,
            "not both",
        ),
        before_nodes(
            "engines = [{ engine = \"a\", nodes = [\"n1\", \"n3\"] }]",
            5,
            "none of cluster.compose.nodes",
        ),
        before_nodes(
            "engines = [{ engine = \"a\", nodes = [\"n1\", \"n1\"] }]",
            5,
            "lives on two engines",
        ),
        before_nodes(
            "engines = [{ engine = \"a\" }]",
            5,
            "name at least one of the nodes",
        ),
        before_nodes(
            "engines = [{ engine = \"a\", nodes = [\"n1\"] }]",
            6,
            "lives on none of the engines",
        ),
        before_nodes(
            "stack = true\nengines = [{ engine = \"a\", nodes = [\"n1\"] }]",
            6,
            "the Swarm decides",
        ),
    ]
}
