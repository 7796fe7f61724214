//! The specs: in each one line is wrong.

pub mod places;

/// To this, lines are added from the seventh on.
pub const LOCAL: &str = r#"name = "t"
[cluster.local]
system = "specimen"
nodes = 3
[workload.register]
keys = 3
"#;

/// To this, lines are added from the seventh on, too.
const COMPOSE: &str = r#"name = "t"
[cluster.compose]
system = "etcd"
file = "compose.yaml"
nodes = ["n1", "n2"]
[workload.register]
"#;

/// A spec, the line that is wrong, and a part of what has to be said.
pub struct Row {
    pub spec: String,
    pub line: usize,
    pub says: &'static str,
}

fn local(from: &str, to: &str, line: usize, says: &'static str) -> Row {
    assert!(LOCAL.contains(from), "{from}");
    let spec = LOCAL.replacen(from, to, 1);
    Row { spec, line, says }
}

fn compose(from: &str, to: &str, line: usize, says: &'static str) -> Row {
    assert!(COMPOSE.contains(from), "{from}");
    let spec = COMPOSE.replacen(from, to, 1);
    Row { spec, line, says }
}

fn more(text: &str, line: usize, says: &'static str) -> Row {
    let spec = format!("{LOCAL}{text}\n");
    Row { spec, line, says }
}

/// Sizes and numbers.
pub fn numbers() -> Vec<Row> {
    let crowd = "[[faults.at]]\nkind = \"kill\"\nat = \"1s\"\n".repeat(11);
    let many = "[[faults.mix]]\nkind = \"kill\"\n".repeat(101);
    let a_lot = "[faults]\npause = \"0s\"\nlength = \"100ms\"\n[[faults.mix]]\nkind = \"kill\"\n[time]\nfaults = \"2h\"";
    let zero =
        "[faults]\npause = \"0s\"\nlength = \"0s\"\n[[faults.mix]]\nkind = \"kill\"\n[time]\nfaults = \"6s\"";
    vec![
        local("nodes = 3", "nodes = 0", 4, "use 1 to 200"),
        local("nodes = 3", "nodes = 201", 4, "use 1 to 200"),
        local("nodes = 3", "nodes = -1", 4, "-1"),
        local("nodes = 3", "nodes = 3\nready = \"0s\"", 5, "use 1ms to 1h"),
        local(
            "nodes = 3",
            "nodes = 3\nready = \"500000000000years\"",
            5,
            "use 1ms to 1h",
        ),
        local("keys = 3", "keys = 0", 6, "use 1 to 100000"),
        local("keys = 3", "keys = 200000000", 6, "use 1 to 100000"),
        local("keys = 3", "keys = 9223372036854775807", 6, "use 1 to 100000"),
        local("keys = 3", "keys = 9223372036854775808", 6, "9223372036854775808"),
        local("keys = 3", "skew = nan", 6, "use 0 to 10"),
        local("keys = 3", "skew = -1.0", 6, "use 0 to 10"),
        local("keys = 3", "skew = inf", 6, "use 0 to 10"),
        local(
            "keys = 3",
            "values = 9223372036854775807",
            6,
            "use 0 to 1000000000",
        ),
        local("keys = 3", "read = nan", 6, "use 0 to 1000000"),
        local("keys = 3", "write = inf", 6, "use 0 to 1000000"),
        local("keys = 3", "cas = -1.0", 6, "use 0 to 1000000"),
        local("keys = 3", "read = 0.0\nwrite = 0.0\ncas = 0.0", 6, "above 0"),
        more("[load.open]\nrate = 1e-300", 8, "use 0.001 to 1000000"),
        more("[load.open]\nrate = 1e308", 8, "use 0.001 to 1000000"),
        more("[load.open]\nrate = nan", 8, "use 0.001 to 1000000"),
        more("[load.open]\nrate = -0.0", 8, "use 0.001 to 1000000"),
        more("[load.open]\nrate = 1\nprocesses = 0", 9, "use 1 to 10000"),
        more("[load.closed]\nprocesses = 1000000000", 8, "use 1 to 10000"),
        more("[client]\nattempts = 0", 8, "use 1 to 1000"),
        more("[client]\nattempts = 4294967295", 8, "use 1 to 1000"),
        more("[client]\ntimeout = \"0s\"", 8, "use 1ms to 1h"),
        more(
            "[client]\ntimeout = \"18446744073709551615s\"",
            8,
            "use 1ms to 1h",
        ),
        more("[client]\nbackoff = \"18446744073709551615s\"", 8, "to 1h"),
        more("[client]\nbackoff-max = \"100years\"", 8, "to 1h"),
        more("[client]\nretry-budget = inf", 8, "use 0 to 1000"),
        more("[client]\nretry-budget = -1.0", 8, "use 0 to 1000"),
        more("[time]\nfaults = \"0s\"", 8, "use 1ms to 30days"),
        more("[time]\nfaults = \"1000000h\"", 8, "use 1ms to 30days"),
        more(
            "[time]\nfaults = \"18446744073709551615s\"",
            8,
            "use 1ms to 30days",
        ),
        more("[time]\nwarm-up = \"1year\"", 8, "to 1day"),
        more("[time]\nrecovery = \"0s\"", 8, "use 1s to 1day"),
        more("[time]\nrecovery = \"150ms\"", 8, "use 1s to 1day"),
        more(
            "[evidence]\nok = 9223372036854775807",
            8,
            "use 0 to 1000000000000",
        ),
        more(
            "[evidence]\nok-of-each = 9223372036854775807",
            8,
            "use 0 to 1000000000000",
        ),
        more("[check]\nmemory-mib = 17592186044416", 8, "use 1 to 1048576"),
        more("[check]\nmemory-mib = 0", 8, "use 1 to 1048576"),
        more("[check]\ntime = \"0s\"", 8, "use 1ms to 7days"),
        more("[check]\ntime = \"1000000000s\"", 8, "use 1ms to 7days"),
        more(
            "[faults]\nlength = \"0s\"\n[[faults.mix]]\nkind = \"kill\"",
            8,
            "from 10ms to 1day",
        ),
        more(
            "[faults]\npause = \"0s..18446744073709551615ms\"",
            8,
            "is not a duration",
        ),
        more(zero, 9, "from 10ms to 1day"),
        more("[faults]\nhurt-max = 0", 8, "leaves nothing that could break"),
        more("[faults]\nhurt-max = -1", 8, "-1"),
        more(a_lot, 7, "more than 10000 faults"),
        more(&crowd, 7, "more than 10 faults begin"),
        more(&many, 208, "at most 100"),
        more(
            "[[faults.mix]]\nkind = \"kill\"\nlength = \"1ms\"",
            9,
            "from 10ms to 1day",
        ),
        more(
            "[[faults.mix]]\nkind = \"kill\"\nweight = 0",
            7,
            "leave the entry out",
        ),
        more(
            "[[faults.mix]]\nkind = \"kill\"\nweight = 4294967295",
            7,
            "use 1 to 1000000",
        ),
        more(
            "[[faults.mix]]\nkind = \"kill\"\nweight = 4294967296",
            9,
            "4294967296",
        ),
        more(
            "[[faults.at]]\nkind = \"kill\"\nat = \"29s\"\nlength = \"5s\"",
            9,
            "start earlier",
        ),
        // Each in the entry that is wrong, not in the first.
        more(
            "[[faults.mix]]\nkind = \"kill\"\n[[faults.mix]]\nkind = \"kill\"\nweight = 0",
            9,
            "leave the entry out",
        ),
        more(
            "[[faults.at]]\nkind = \"kill\"\nat = \"1s\"\n[[faults.at]]\nkind = \"pause\"\nat = \"2s\"\nby = \"1s\"",
            10,
            "unknown field `by`",
        ),
        more(
            "[[faults.at]]\nkind = \"kill\"\nat = \"300years\"",
            9,
            "start earlier",
        ),
    ]
}

/// Names, lists and what goes together.
pub fn names() -> Vec<Row> {
    let long = format!("\"{}\"", "n".repeat(300));
    let kill = |targets: &str| format!("[[faults.mix]]\nkind = \"kill\"\ntargets = {targets}");
    let part = |shape: &str| format!("[[faults.mix]]\nkind = \"partition\"\nshape = {shape:?}");
    vec![
        local("\"t\"", "\"\"", 1, "letters"),
        local("\"t\"", "\"..\"", 1, "letters"),
        local("\"t\"", "\"a/b\"", 1, "letters"),
        local("\"t\"", "\"ünïcode\"", 1, "letters"),
        local("\"t\"", "\"\\u001b[2J\"", 1, "letters"),
        local("\"t\"", &long, 1, "up to 100"),
        local("\"t\"", "\"t\"\nproperties = []", 2, "at least one"),
        local(
            "\"t\"",
            "\"t\"\nproperties = [\"recovers\", \"recovers\"]",
            2,
            "twice",
        ),
        local("\"t\"", "\"t\"\nproperties = [\"fast\"]", 2, "`linearizable`"),
        local("\"t\"", "\"t\"\nseed = -1", 2, "-1"),
        local(
            "\"specimen\"",
            "\"speciman\"",
            3,
            "there are etcd, nats, rabbitmq, specimen",
        ),
        local("\"specimen\"", "\"etcd\"", 3, "in containers only"),
        local(
            "\"specimen\"",
            "\"specimen\"\nsystem = \"etcd\"",
            4,
            "duplicate key",
        ),
        local("nodes = 3", "nodes = 3\ndefects = [\"none\"]", 5, "stale-read"),
        local(
            "nodes = 3",
            "nodes = 3\ndefects = [\"stale-read\", \"stale-read\"]",
            5,
            "twice",
        ),
        local(
            "nodes = 3",
            "nodes = 3\nargs = [\"--x\", \"a\\u0000b\"]",
            5,
            "NUL",
        ),
        local("[workload.register]", "[workload.registry]", 5, "`register`"),
        local(
            "[workload.register]\nkeys = 3",
            "[workload.set]\nread = 2.0",
            6,
            "use 0 to 1",
        ),
        local(
            "[workload.register]\nkeys = 3",
            "[workload.append]\nlists = 0",
            6,
            "use 1 to 10000",
        ),
        local(
            "[workload.register]\nkeys = 3",
            "[workload.append]\nlength = 0",
            6,
            "use 1 to 100000",
        ),
        local(
            "[workload.register]\nkeys = 3",
            "[workload.lock]\nlease-ms = 9223372036854775807",
            6,
            "use 1 to 3600000",
        ),
        local(
            "[workload.register]\nkeys = 3",
            "[workload.lock]\nstall = nan",
            6,
            "use 0 to 1",
        ),
        local(
            "[workload.register]\nkeys = 3",
            "[workload.set]",
            5,
            "it knows no add of everything, no read of everything; it carries register",
        ),
        more(&kill("[]"), 9, "list is empty"),
        more(&kill("[\"n9\"]"), 9, "there are n1, n2, n3"),
        more(&kill("[\"n1\", \"n1\"]"), 9, "twice"),
        more(&kill("\"boss\""), 9, "leader, follower"),
        more(&part("circle"), 9, "`halves`"),
        Row {
            spec: format!("{}{}\n", LOCAL.replace("nodes = 3", "nodes = 2"), part("bridge")),
            line: 9,
            says: "needs 3 nodes",
        },
        compose(
            "\"etcd\"",
            "\"oracle\"",
            3,
            "there are etcd, nats, rabbitmq, specimen",
        ),
        compose("\"etcd\"", "\"./nowhere\"", 3, "a folder with a system.toml"),
        compose("\"compose.yaml\"", "\"missing.yaml\"", 4, "No such file"),
        compose("\"compose.yaml\"", "\"bad.yaml\"", 4, "not a compose file"),
        compose("\"compose.yaml\"", "\".\"", 4, "not a regular file"),
        compose("\"n2\"", "\"n3\"", 5, "there are n1, n2, odd"),
        compose("\"n2\"", "\"odd\"", 5, "network_mode: host"),
        compose("\"n2\"", "\"n1\"", 5, "twice"),
        compose("\"n2\"", "\"..\"", 5, "not a valid service name"),
        compose("\"n2\"", "\"n2/../x\"", 5, "not a valid service name"),
        compose("\"n2\"", "\"\"", 5, "not a valid service name"),
        compose("[\"n1\", \"n2\"]", "[]", 5, "name 1 to 200"),
        compose("nodes =", "version = \"3 5\"\nnodes =", 5, "tag of an image"),
        compose("nodes =", "version = \"\"\nnodes =", 5, "tag of an image"),
        compose("nodes =", "network = \"\"\nnodes =", 5, "leave it out"),
        compose(
            "nodes =",
            "variables = { \"A=B\" = \"1\" }\nnodes =",
            5,
            "not a valid variable name",
        ),
        compose("nodes =", "variables = { A = \"a\\u0000\" }\nnodes =", 5, "NUL"),
        Row {
            spec: format!("{COMPOSE}[client]\nread = \"lease\"\n"),
            line: 8,
            says: "no \"lease\" reads",
        },
    ]
}
