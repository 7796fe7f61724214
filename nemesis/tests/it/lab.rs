//! A small network of real namespaces: a hub with a bridge, and nodes that hang on it.
//!
//! Everything hangs on processes that die with the test; nothing is visible outside the hub's namespace.

use std::fs;
use std::net::IpAddr;
use std::process::{self, Child, Stdio};
use std::time::{Duration, Instant};

use duress_cluster::Place;
use duress_nemesis::agent::protocol::{Command, Identity, Link, Mark, Point, Reachability};
use duress_nemesis::{AgentClient, Agents};

/// Where clients' requests come from, on the hub.
pub const CLIENTS: &str = "10.9.0.101";
/// Where the harness looks from, on the hub.
pub const OBSERVERS: &str = "10.9.0.102";

/// Of agents that no run has.
pub fn mark() -> Mark {
    Mark::of_seal("0badcafe").expect("a mark")
}

/// What healing needs to know of nodes.
pub async fn identify(agent: &Agents, places: Vec<Place>) -> Vec<Identity> {
    agent
        .call(Command::Identify { places })
        .await
        .expect("nodes that live")
}

pub struct Lab {
    hub: Child,
    nodes: Vec<(Child, Place)>,
}

impl Drop for Lab {
    fn drop(&mut self) {
        for child in self
            .nodes
            .iter_mut()
            .map(|(child, _)| child)
            .chain([&mut self.hub])
        {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Runs a shell script and returns what it printed; a script that fails fails the test.
pub fn sh(script: &str) -> String {
    let output = process::Command::new("bash")
        .args(["-ec", script])
        .output()
        .expect("run bash");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{script}\n{}: {err}", output.status);
    out.into_owned()
}

/// For what is mounted where others see it, too: by its name they know that it is none of theirs.
pub fn lab_folder() -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("duress-lab-").tempdir();
    folder.expect("a temporary directory")
}

pub fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn spawn_namespace(flags: &str) -> (Child, u32) {
    // The signal goes to unshare, and from there (--kill-child) to the first process of the namespace.
    let child = process::Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "unshare"])
        .args(flags.split(' '))
        .args(["--fork", "--kill-child", "sleep", "infinity"])
        .stdin(Stdio::null())
        .spawn()
        .expect("run setpriv and unshare, of util-linux");
    let parent = child.id();
    let first = wait_until("the first process of a namespace", || {
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
        let pid: u32 = children.split_ascii_whitespace().next()?.parse().ok()?;
        (fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim() == "sleep").then_some(pid)
    });
    (child, first)
}

impl Lab {
    pub fn new(count: u8) -> Lab {
        let (hub, hub_pid) = spawn_namespace("--net --pid");
        let mut script = format!(
            "hub='nsenter -t {hub_pid} -n'\n$hub ip link add br0 type bridge\n$hub ip link set br0 up\n\
             $hub ip link set lo up\n$hub ip addr add {CLIENTS}/24 dev br0\n$hub ip addr add {OBSERVERS}/24 dev br0\n"
        );
        let mut nodes = Vec::new();
        for number in 1..=count {
            let (child, pid) = spawn_namespace("--net --pid");
            script += &format!(
                "$hub ip link add v{number} type veth peer name eth0 netns {pid}\n$hub ip link set v{number} master br0 up\n\
                 node='nsenter -t {pid} -n'\n$node ip link set lo up\n$node ip addr add 10.9.0.{number}/24 dev eth0\n\
                 $node ip -6 addr add fd09::{number}/64 dev eth0 nodad\n$node ip link set eth0 up\n"
            );
            let addresses: Vec<IpAddr> = vec![
                IpAddr::from([10, 9, 0, number]),
                format!("fd09::{number}").parse().expect("an address"),
            ];
            nodes.push((
                child,
                Place {
                    name: format!("n{number}"),
                    pid,
                    keeper: true,
                    addresses,
                    data: None,
                    group: None,
                    machine: 0,
                },
            ));
        }
        sh(&script);
        Lab { hub, nodes }
    }

    pub fn place(&self, number: usize) -> Place {
        self.nodes[number - 1].1.clone()
    }

    pub fn places(&self) -> Vec<Place> {
        self.nodes.iter().map(|(_, place)| place.clone()).collect()
    }

    /// What each node's name is in a probe.
    pub fn points(&self) -> Vec<Point> {
        self.places()
            .into_iter()
            .map(|place| Point {
                name: place.name.clone(),
                addresses: place.addresses.clone(),
                place: Some(place),
            })
            .collect()
    }

    /// A process in the hub's network namespace.
    pub fn hub_pid(&self) -> String {
        let hub = sh(&format!("cat /proc/{0}/task/{0}/children", self.hub.id()));
        hub.trim().to_owned()
    }

    /// How an agent is started that sees the hub's addresses as its own.
    pub fn agent_argv(&self) -> Vec<String> {
        [
            "nsenter",
            "-t",
            &self.hub_pid(),
            "-n",
            env!("CARGO_BIN_EXE_duress-agent"),
        ]
        .map(str::to_owned)
        .to_vec()
    }

    pub async fn agent(&self) -> Agents {
        AgentClient::spawn(&self.agent_argv(), &mark())
            .await
            .expect("an agent")
            .into()
    }

    /// Runs a script in the node's network and PID namespaces.
    pub fn at(&self, number: usize, script: &str) -> String {
        let pid = self.place(number).pid;
        sh(&format!("nsenter -t {pid} -n bash -ec '{script}'"))
    }

    /// Whether a packet from one node gets to another, by the receiving kernel's own counters: a datagram to a port that
    /// nobody listens at. Shares no code with the agent's probes.
    pub fn hears(&self, from: usize, to: usize, v6: bool) -> bool {
        let (file, field, address) = match v6 {
            false => ("snmp", "Udp:", format!("10.9.0.{to}")),
            true => ("snmp6", "Udp6NoPorts", format!("fd09::{to}")),
        };
        let count = || -> u64 {
            let text = self.at(to, &format!("cat /proc/net/{file}"));
            let line = text
                .lines()
                .rfind(|line| line.starts_with(field))
                .expect("a counter");
            let mut fields = line.split_ascii_whitespace();
            fields
                .nth(if v6 { 1 } else { 2 })
                .and_then(|number| number.parse().ok())
                .expect("a number")
        };
        let before = count();
        self.at(
            from,
            &format!("for i in 1 2 3; do echo x > /dev/udp/{address}/9; done"),
        );
        // Only silence takes the whole time.
        let deadline = Instant::now() + Duration::from_millis(150);
        while Instant::now() < deadline {
            if count() > before {
                return true;
            }
        }
        false
    }

    /// The node's processes, keeper and dead ones spared, by `ps`.
    pub fn pids(&self, number: usize) -> Vec<u32> {
        let keeper = self.place(number).pid;
        let home = fs::read_link(format!("/proc/{keeper}/ns/pid")).expect("a namespace");
        sh("ps -eo pid=,stat= | grep -v ' [ZX]' || true")
            .lines()
            .filter_map(|line| line.split_ascii_whitespace().next()?.parse().ok())
            .filter(|pid| *pid != keeper)
            .filter(|pid| fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok_and(|other| other == home))
            .collect()
    }

    /// As `ps` has it; `X` if there is no such process any more.
    pub fn state(&self, pid: u32) -> char {
        sh(&format!("ps -o stat= -p {pid} || true"))
            .trim()
            .chars()
            .next()
            .unwrap_or('X')
    }

    /// Of all the node's processes.
    pub fn states(&self, number: usize) -> Vec<char> {
        self.pids(number).into_iter().map(|pid| self.state(pid)).collect()
    }

    pub fn keeper_state(&self, number: usize) -> char {
        self.state(self.place(number).pid)
    }

    /// The filter tables of a node, as its own tools show them.
    pub fn rules(&self, number: usize) -> String {
        self.at(number, "iptables -S; ip6tables -S")
    }
}

/// The links that are cut, as `from>to/family`, by what the probes heard.
pub fn silent(seen: &Reachability) -> Vec<String> {
    assert!(seen.unprobed.is_empty(), "{:?}", seen.unprobed);
    assert!(!seen.links.is_empty());
    let name = |link: &Link| format!("{}>{}/{}", link.from, link.to, link.family);
    seen.links
        .iter()
        .filter(|link| link.heard == 0)
        .map(name)
        .collect()
}
