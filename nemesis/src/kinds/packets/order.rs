//! What the two halves of a packet fault say to each other: [`Order`] and [`Took`], [`Question`] with its answer, [`Seen`] as the answer to
//! a look, [`Healed`] as that to healing.

use std::net::IpAddr;

use duress_cluster::Place;
use serde::{Deserialize, Serialize};

use super::effects::Effects;
use super::record::{Decision, Wanted};
use crate::agent::protocol::Point;
use crate::agent::spread::Opened;

/// What to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// To the packets of each link.
    pub effects: Effects,
    /// All chance comes from it.
    pub seed: u64,
    /// What is written down of single packets.
    #[serde(default)]
    pub record: Wanted,
    /// By the node that receives.
    pub at: Vec<At>,
}

/// The links that end at a node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct At {
    /// The receiving node.
    pub place: Place,
    /// Where packets come from.
    pub from: Vec<Sender>,
}

/// Where packets come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sender {
    /// The node's name.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// How long it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Took {
    /// In microseconds.
    pub micros: u64,
}

/// What the controller's half wants to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// How packets fare. Answer: [`Measured`].
    Probe(Probe),
    /// Opens sockets for packets between machines. Answer: [`Listening`](crate::agent::spread::Listening).
    Open {
        /// Tells them from others.
        session: u64,
        /// Whose sockets.
        points: Vec<Point>,
    },
    /// Sends from them, and listens. Answer: [`Exchanged`].
    Exchange(Exchange),
    /// What is left of a fault at these places. Answer: a list of sentences, none if nothing is left.
    Left {
        /// Its number.
        fault: u64,
        /// Where to look.
        places: Vec<Place>,
    },
    /// What was written down at a node of a fault that is over; once. Answer: a list of [`Recorded`], one for each time that it was put in
    /// force there.
    Recorded {
        /// Its number.
        fault: u64,
        /// The receiving node's name.
        node: String,
    },
}

/// What was written down of a fault at a node: see [`super::record`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// When it was in force, in microseconds since 1970.
    pub began_unix_us: u64,
    /// What was decided, packet by packet; `None`: nobody had asked.
    pub decisions: Option<Vec<Decision>>,
    /// Decisions that there was no room for.
    pub decisions_left_out: u64,
    /// A pcap file, in base 64; `None`: nobody had asked.
    pub capture: Option<String>,
    /// Packets that there was no room for.
    pub packets_left_out: u64,
}

/// Packets to be sent, by an agent that has both ends of all links.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Probe {
    /// Where links begin and end.
    pub points: Vec<Point>,
    /// What is sent.
    pub traffic: Traffic,
}

/// What is sent, and where it is listened for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Traffic {
    /// On whose behalf: what other faults do to the links is told.
    pub fault: u64,
    /// Directed links, by names of points.
    pub links: Vec<(String, String)>,
    /// How many on each link, for each family of addresses.
    pub count: u32,
    /// How long each is, in bytes from its IPv4 header on; those over IPv6 are 20 longer.
    pub bytes: u32,
    /// Between two on one link, in microseconds.
    pub interval_us: u64,
    /// How long to wait for the last, in microseconds.
    pub wait_us: u64,
}

/// The same to agents that have some of the ends each, and have opened their sockets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Exchange {
    /// Tells these packets from others.
    pub session: u64,
    /// The sockets of all points.
    pub ends: Vec<Opened>,
    /// What is sent.
    pub traffic: Traffic,
}

/// What one agent has sent and heard. Tracks are numbered as by [`super::tracks::number`], times are nanoseconds of its machine's clock.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Exchanged {
    /// Of each track that begins here, when each packet was sent; `None`: the kernel did not take it.
    pub sent: Vec<(u32, Vec<Option<u64>>)>,
    /// What came of tracks that end here.
    pub heard: Vec<Heard>,
}

/// What came of a track.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Heard {
    /// Its number.
    pub track: u32,
    /// In the order in which they came.
    pub packets: Vec<Arrival>,
    /// As [`LinkMeasured::refused`].
    pub refused: u64,
    /// As [`LinkMeasured::others`].
    pub others: Vec<Effects>,
}

/// One packet that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// Which, from 0.
    pub round: u32,
    /// When.
    pub at_ns: u64,
    /// Its length, IP headers included.
    pub bytes: u32,
    /// It is not as it was sent.
    pub changed: bool,
}

/// How packets fared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Each link, once for each family that both of its ends have.
    pub links: Vec<LinkMeasured>,
    /// Points that could not be probed, and why.
    pub unprobed: Vec<(String, String)>,
}

/// How packets fared on one directed link.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LinkMeasured {
    /// The sender.
    pub from: String,
    /// The receiver.
    pub to: String,
    /// `4` or `6`.
    pub family: u8,
    /// Packets that the sender's kernel took.
    pub sent: u32,
    /// How many of them arrived.
    pub heard: u32,
    /// How many arrived once more.
    pub twice: u32,
    /// How many arrived after one that was sent later.
    pub overtaken: u32,
    /// How many arrived with other data than they were sent with.
    #[serde(default)]
    pub changed: u32,
    /// How many datagrams of this family the receiver's kernel refused meanwhile for their checksum, from wherever they came
    /// (`InCsumErrors`).
    #[serde(default)]
    pub refused: u64,
    /// Bytes that arrived after the first packet, IP headers included, in [`LinkMeasured::span_us`].
    #[serde(default)]
    pub bytes: u64,
    /// From the first packet that arrived to the last, in microseconds.
    #[serde(default)]
    pub span_us: u64,
    /// One-way delays in microseconds: least, a quarter, half, three quarters, most. Zeros if nothing arrived.
    pub delay_us: [u64; 5],
    /// By how much all of them may be too small or too large, since the two ends have clocks of their own. In microseconds.
    #[serde(default, skip_serializing_if = "is_none")]
    pub clock_error_us: u64,
    /// What other faults do to this link, as far as the agent knows.
    pub others: Vec<Effects>,
}

fn is_none(error_us: &u64) -> bool {
    *error_us == 0
}

/// What is there of a fault at a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The receiving node.
    pub node: String,
    /// What is not there, in words.
    pub missing: Vec<String>,
    /// What was done, by link.
    pub links: Vec<LinkCount>,
}

/// What a fault did to a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkCount {
    /// The sender's name.
    pub from: String,
    /// What it did there.
    #[serde(flatten)]
    pub count: Count,
}

/// What a fault did to packets. All but the last count those of the system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Count {
    /// Packets that were met.
    pub packets: u64,
    /// Those that something was done to.
    pub touched: u64,
    /// Those that were lost.
    pub lost: u64,
    /// Those that were dropped since too many waited for their turn.
    pub overflowed: u64,
    /// Those that went on with a copy.
    pub copied: u64,
    /// Those with a bit of their data flipped.
    pub flipped: u64,
    /// Probes that were met.
    pub probes: u64,
}

impl Count {
    /// Of both.
    pub fn add(&mut self, other: &Count) {
        self.packets += other.packets;
        self.touched += other.touched;
        self.lost += other.lost;
        self.overflowed += other.overflowed;
        self.copied += other.copied;
        self.flipped += other.flipped;
        self.probes += other.probes;
    }
}

/// What was taken away at a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Healed {
    /// The receiving node.
    pub node: String,
    /// Packets that the rules had met, probes included.
    pub packets: u64,
}
