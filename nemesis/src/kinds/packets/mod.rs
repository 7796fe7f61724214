//! `packets`: packets of links between nodes are late, get lost, come twice, in another order or with other data, or wait for their turn.
//!
//! ```toml
//! kind = "packets"
//! delay = "200ms"          # each packet, each way
//! jitter = "50ms"
//! distribution = "normal"  # uniform, if it does not say
//! jam = "500ms"            # instead of delay and jitter: packets are held so long, then delivered at once, again and again
//! loss = 0.1
//! burst = 3                # packets in a row; each by itself, if it does not say
//! duplicate = 0.05
//! reorder = 0.1            # held back by 20 ms, so that later ones overtake them; reorder-by = "50ms"
//! corrupt = 0.05           # one bit of the data; checksum = "repaired" lets the program have it
//! rate = "100KiB"          # a second; queue = "64KiB" is what may wait
//! log = true               # what is decided of each packet, and the packets: capture = true
//! shape = "one-way"        # as a partition's; all links from and to the targets, if it does not say
//! targets = "leader"
//! ```
//!
//! Several may be in force on one link: delays add up, what one loses is lost, each copies and flips for itself. They do to packets
//! what `tc netem` does, by a queue of the packet filter ([`crate::agent::nfqueue`]), which more kernels have; why never by netem stands in
//! `docs/packets.md`. What measures and judges knows of neither.
//!
//! In the agent: [`agent`] has a [`node`] for each network namespace, with a [`server`] of its queue, whose [`state`] asks the [`fates`] of
//! each fault and does to the [`packet`] what they say. In the controller: [`steps`] lets [`probe`] send what [`tracks`] counts and [`judge`] judges.

mod agent;
mod apart;
mod copies;
mod datagram;
mod effects;
mod fates;
mod files;
mod judge;
mod kept;
mod links;
mod measurements;
mod needs;
mod node;
pub mod order;
mod packet;
mod parameters;
mod probe;
mod record;
mod rules;
mod server;
mod state;
mod steps;
mod tracks;
mod written;

use std::io;
use std::sync::Arc;

use duress_checker::history::Effect;
use duress_cluster::doctor::Requirement;
use serde_json::Value;

use super::kind::{About, InForceAt, Kind, ParameterError, Parameters, Undone, gone};
use crate::agent::part::AgentPart;
use crate::agent::protocol::Mark;

pub use effects::{Distribution, Effects};
pub(crate) use fates::{Fate, Fates};
pub(crate) use links::{LinksWritten, parameters as parameters_of_links};

/// The kind.
#[derive(Clone, Copy, Debug)]
pub struct Packets;

impl Kind for Packets {
    fn name(&self) -> &'static str {
        steps::KIND
    }

    fn effect(&self) -> Effect {
        Effect::Slows
    }

    fn about(&self) -> About {
        About {
            description: "delays packets of links between nodes, loses, doubles, reorders or changes some of them, or lets no more than \
             so many pass, where they arrive",
            parameters: parameters::parameters(),
            verified_by: "datagrams on each of its links, IPv4 and IPv6: their one-way delays, how many are lost, come twice, are overtaken, \
             have other data or are refused by the receiving kernel for their checksum, and how many bytes pass in a second, are what was \
             asked for; at its end again, with the rules still there, which have done it to packets of the system and not only to probes; \
             healed when no rule is left and nothing is done to datagrams",
        }
    }

    fn read(&self, parameters: Value) -> Result<Arc<dyn Parameters>, ParameterError> {
        Ok(Arc::new(parameters::read(parameters)?))
    }

    fn needs(&self) -> &'static [&'static Requirement] {
        &needs::NEEDS
    }

    fn agent(&self, mark: &Mark) -> Option<Box<dyn AgentPart>> {
        Some(Box::new(agent::Packets::new(mark.clone())))
    }

    fn spans_machines(&self) -> bool {
        true
    }

    /// The rules of a host outlive what ran there.
    fn heal_after(&self, at: &InForceAt<'_>) -> io::Result<Undone> {
        match at.node.place.machine {
            0 => Ok(gone(at)),
            _ => self.heal(at),
        }
    }

    fn heal(&self, at: &InForceAt<'_>) -> io::Result<Undone> {
        agent::heal(at)
    }
}
