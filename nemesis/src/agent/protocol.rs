//! What controller and agent say to each other: one JSON object a line.
//!
//! ```json
//! {"id":1,"do":"hello","version":10,"mark":"1f2e3d4c"}
//! {"id":1,"ok":{"version":10,"pid":4242,"boot":"6d1c…"}}
//! {"id":2,"do":"inject","kind":"partition","fault":3,"nodes":[{"place":{"name":"n1",…},"started":88123,…}],"order":[{"place":{"name":"n1","pid":77,…},"drop_from":["10.9.0.2"]}]}
//! {"id":2,"ok":{"micros":31000}}
//! {"id":3,"do":"heal","kind":"partition","fault":3}
//! {"id":3,"error":"remove the rules of fault 3 from n1: ip6tables-restore: exit status: 4: …"}
//! ```
//!
//! What a kind of fault orders and answers is its own business: see [`super::part::AgentPart`].
//!
//! Answers come in any order; the `id` says which is whose.

use std::net::{IpAddr, SocketAddr};

use duress_cluster::{Place, is_zero};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::storage::NodeStorage;

/// Version of the protocol. Controller and agent must agree on it to the letter.
pub const PROTOCOL_VERSION: u32 = 10;

/// One line to the agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// Comes back with the answer.
    pub id: u64,
    /// What to do.
    #[serde(flatten)]
    pub command: Command,
}

/// One line from the agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reply {
    /// Of the request.
    pub id: u64,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: CommandResult,
}

/// How a command ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CommandResult {
    /// Done; the value depends on the command.
    Ok(Value),
    /// Not done, or not all of it; says what was tried, on which node, and what the system said.
    Error(String),
}

/// What an agent can be asked to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Command {
    /// First on every connection. Answer: [`Hello`].
    Hello {
        /// [`PROTOCOL_VERSION`] of the controller.
        version: u32,
        /// Of the run: whatever the agent makes in a packet filter is named after it.
        mark: Mark,
    },
    /// Says nothing but that the agent still answers. Answer: `null`.
    Ping,
    /// What the clock of its machine reads, in nanoseconds (`CLOCK_MONOTONIC`). Answer: a number.
    Clock,
    /// What the journal needs to find nodes again. Answer: a list of [`Identity`].
    Identify {
        /// The nodes.
        places: Vec<Place>,
    },
    /// Says whether a kind of fault can be done to a node, and if not, why not. Answer: `null`.
    Can {
        /// Which kind.
        kind: String,
        /// The node.
        place: Place,
    },
    /// Does it. Answer: the kind's.
    Inject {
        /// Which kind.
        kind: String,
        /// Number of the fault.
        fault: u64,
        /// Where it will act: what it is healed by, as in the journal.
        nodes: Vec<Identity>,
        /// What exactly, for the kind to read.
        order: Value,
        /// What it takes to heal it, beside its nodes, where that is known before anything is touched. Null: it is not.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        held: Value,
    },
    /// What is there of a fault. Answer: the kind's.
    Look {
        /// Which kind.
        kind: String,
        /// Number of the fault.
        fault: u64,
    },
    /// Anything else that a kind wants to know. Answer: the kind's.
    Ask {
        /// Which kind.
        kind: String,
        /// For the kind to read.
        question: Value,
    },
    /// Undoes a fault. Answer: a list of the kind's, one for each node where there was something to undo.
    Heal {
        /// Which kind.
        kind: String,
        /// Number of the fault.
        fault: u64,
    },
    /// A node is somewhere else now: puts there in force what was in force where it was. Answer: the numbers of the faults of
    /// which something was put back.
    Follow {
        /// Where the node is now.
        place: Place,
    },
    /// The processes of nodes, keepers spared. Answer: a list of [`Processes`].
    Processes {
        /// The nodes.
        places: Vec<Place>,
    },
    /// Signals every process of the nodes. Answer: a list of [`Processes`], those that were signalled.
    Signal {
        /// Which signal.
        signal: Ending,
        /// The nodes.
        places: Vec<Place>,
    },
    /// Which of these processes are still the same and alive. Answer: a list of [`Process`].
    Alive {
        /// As told by an earlier answer.
        processes: Vec<Process>,
    },
    /// Opens sockets for probes between machines. Answer: [`super::spread::Listening`].
    Listen {
        /// Tells the probe from others.
        session: u64,
        /// Whose sockets.
        points: Vec<Point>,
    },
    /// Sends from each of them to all targets, and listens. Answer: [`super::spread::Spread`].
    Spread {
        /// Of the sockets.
        session: u64,
        /// Sockets on all machines.
        targets: Vec<SocketAddr>,
        /// How often.
        rounds: u32,
    },
    /// Takes over a fault that another agent, which is dead, may have left in force. Answer: `null`.
    Adopt {
        /// Which kind.
        kind: String,
        /// Number of the fault.
        fault: u64,
        /// Where it acted.
        nodes: Vec<Identity>,
        /// What it takes to heal it, beside its nodes.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        held: Value,
    },
    /// Puts this under data directories, before the nodes' programs start. Answer: `null`.
    Put {
        /// Where, and what.
        storage: Vec<NodeStorage>,
    },
    /// Heals whatever is in force. Answer: a list of sentences, one for each thing that was healed.
    HealAll {
        /// Numbers of faults that stay.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        spared: Vec<u64>,
    },
}

impl Command {
    /// Whether it does no harm to say it a second time when nobody knows what came of the first: it asks, or it heals.
    pub fn changes_nothing_new(&self) -> bool {
        match self {
            Command::Ping
            | Command::Clock
            | Command::Identify { .. }
            | Command::Can { .. }
            | Command::Look { .. }
            | Command::Ask { .. }
            | Command::Heal { .. }
            | Command::HealAll { .. }
            | Command::Processes { .. }
            | Command::Alive { .. } => true,
            Command::Hello { .. }
            | Command::Inject { .. }
            | Command::Follow { .. }
            | Command::Signal { .. }
            | Command::Listen { .. }
            | Command::Spread { .. }
            | Command::Adopt { .. }
            | Command::Put { .. } => false,
        }
    }
}

/// A signal that ends processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// SIGTERM, to programs only as a request.
    Term,
    /// SIGKILL. Goes on until no process is left, however fast they fork.
    Kill,
}

/// The mark of a run, by which its chains in packet filters are told from all others: 8 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Mark(String);

/// Digits of a [`Mark`]: names of chains have 28 characters, of which a fault's number needs some.
const MARK_DIGITS: usize = 8;

impl Mark {
    /// The first digits of a seal.
    pub fn of_seal(seal: &str) -> Result<Mark, String> {
        seal.get(..MARK_DIGITS).unwrap_or_default().to_owned().try_into()
    }

    /// As in names of chains.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Mark> for String {
    fn from(mark: Mark) -> String {
        mark.0
    }
}

impl TryFrom<String> for Mark {
    type Error = String;

    fn try_from(text: String) -> Result<Mark, String> {
        let digit = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
        if text.len() == MARK_DIGITS && text.bytes().all(digit) {
            return Ok(Mark(text));
        }
        Err(format!(
            "{text:?} is not the mark of a run, which has {MARK_DIGITS} hexadecimal digits"
        ))
    }
}

/// The agent's identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL_VERSION`] of the agent.
    pub version: u32,
    /// The agent's process.
    pub pid: u32,
    /// The boot that process ids and start times belong to.
    pub boot: String,
}

/// A place with what tells it from a later one that has the same process id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The node.
    pub place: Place,
    /// When its process started, in clock ticks since boot.
    pub started: u64,
    /// Inode of its network namespace.
    pub net: u64,
    /// Inode of its PID namespace.
    pub processes: u64,
    /// Processes that were stopped before any fault: not ours to wake.
    pub stopped: Vec<Process>,
}

/// Where probes start and end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// A node's name, or `clients`, or `observers`.
    pub name: String,
    /// `None`: the agent's own network namespace. Such a point only sends.
    pub place: Option<Place>,
    /// The first of each family is used.
    pub addresses: Vec<IpAddr>,
}

/// What arrived.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reachability {
    /// Every directed pair of points, once for each family that both have.
    pub links: Vec<Link>,
    /// Points that could not be probed, and why.
    pub unprobed: Vec<(String, String)>,
    /// How long the probing took, in microseconds.
    pub micros: u64,
}

/// One directed link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The sending point.
    pub from: String,
    /// The receiving point.
    pub to: String,
    /// `4` or `6`.
    pub family: u8,
    /// True if a rule in force is meant to cut it.
    pub cut: bool,
    /// Packets that the sender's kernel took.
    pub sent: u32,
    /// Packets that arrived.
    pub heard: u32,
}

/// A process that can be told from a later one with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Process {
    /// Its number, as seen by the agent.
    pub pid: u32,
    /// When it started, in clock ticks since boot.
    pub started: u64,
    /// Its state as in `/proc/PID/stat`: `R`, `S`, `D`, `T`…
    pub state: char,
    /// Whether it came into the node from outside, as an engine's health check or `docker exec` does, and is no child of
    /// the node's program.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub entered: bool,
    /// The machine that it runs on, as in [`Place`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub machine: u32,
}

/// The processes of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Processes {
    /// The node.
    pub node: String,
    /// All of its living processes but the keeper.
    pub processes: Vec<Process>,
}
