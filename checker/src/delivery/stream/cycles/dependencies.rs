//! Which transaction must come before which: the graph whose cycles are anomalies.
//!
//! ```text
//! A sends 5 at offset 1, B sends 6 at 3, nothing known between      A ww B
//! A sends 5, B polls it                                             A wr B
//! A polls up to offset 1 and not on, B sends 6 at 3                 A rw B
//! ```
//!
//! Nodes are requests that are known to have happened. A message is left out of the order of its partition if it lies at two
//! offsets, or another one at its own; who was before it is still before who is behind it. An `rw` takes the last message that A polled in
//! the partition, where A assigned itself the partition and kept it: whom the system deals partitions may have lost this one before it came to B's.

use super::graph::{Edge, Graph, Kind};
use crate::delivery::by_message::ByMessage;
use crate::delivery::journal::{Journal, Touch, TouchKind};
use crate::delivery::promise::Isolation;
use crate::delivery::stream::log::Logs;
use crate::history::Val;
use crate::history::values::FastMap;

pub(super) struct Dependencies {
    /// By node, its request's position in the journal.
    pub requests: Vec<u32>,
    pub graph: Graph,
}

/// No node.
const NOBODY: u32 = u32::MAX;

/// A message whose place in its partition is certain.
struct Placed {
    partition: Val,
    place: u32,
    node: u32,
    /// Position in the journal.
    send: u32,
}

impl Dependencies {
    /// As far as an isolation forbids cycles of them.
    pub fn of(journal: &Journal, by_message: &ByMessage, logs: &Logs, isolation: Isolation) -> Self {
        let (requests, node_of) = nodes(journal, logs, isolation);
        let mut edges = Vec::new();
        let mut placed: Vec<Placed> = Vec::new();
        if requests.is_empty() {
            let graph = Graph::of(0, edges);
            return Dependencies { requests, graph };
        }
        for message in 0..by_message.messages.len() {
            let touches = by_message.positions(message);
            let at = |position: u32| &journal.touches[position as usize];
            let is_send = |position: &u32| at(*position).kind == TouchKind::Send;
            let Some(send) = touches.iter().copied().find(is_send) else {
                continue;
            };
            let touch = at(send);
            let from = node_of[touch.request as usize];
            if from == NOBODY {
                continue;
            }
            let place = logs.log(touch).and_then(|log| log.only_place(touch.value));
            if let Some(place) = place.filter(|_| isolation > Isolation::Kafka) {
                placed.push(Placed {
                    partition: touch.stream,
                    place,
                    node: from,
                    send,
                });
            }
            for &poll in touches
                .iter()
                .filter(|&&position| at(position).kind == TouchKind::Receive)
            {
                let to = node_of[at(poll).request as usize];
                if to != NOBODY && to != from {
                    edges.push(Edge {
                        from,
                        to,
                        kind: Kind::Wr,
                        shown_by: (send, poll),
                    });
                }
            }
        }
        placed.sort_unstable_by_key(|placed| (placed.partition, placed.place));
        for pair in placed.windows(2) {
            let [one, other] = pair else { continue };
            if one.partition == other.partition && one.node != other.node {
                edges.push(Edge {
                    from: one.node,
                    to: other.node,
                    kind: Kind::Ww,
                    shown_by: (one.send, other.send),
                });
            }
        }
        if isolation > Isolation::ReadCommitted {
            not_polled(journal, logs, &node_of, &placed, &mut edges);
        }
        let graph = Graph::of(requests.len(), edges);
        Dependencies { requests, graph }
    }
}

/// Requests that can be part of a cycle, and the node of each request.
fn nodes(journal: &Journal, logs: &Logs, isolation: Isolation) -> (Vec<u32>, Vec<u32>) {
    let mut requests = Vec::new();
    let mut node_of = vec![NOBODY; journal.requests.len()];
    for touches in journal
        .touches
        .chunk_by(|one, other| one.request == other.request)
    {
        let does = |kind| touches.iter().any(|touch: &Touch| touch.kind == kind);
        let takes_part = match isolation {
            // A cycle of polls goes in and out of each.
            Isolation::Usual | Isolation::None | Isolation::Kafka => {
                does(TouchKind::Send) && does(TouchKind::Receive)
            }
            Isolation::ReadCommitted => does(TouchKind::Send),
            Isolation::ConsistentView | Isolation::Serializable => {
                does(TouchKind::Send) || does(TouchKind::Receive)
            }
        };
        if takes_part && logs.committed(&touches[0]) {
            node_of[touches[0].request as usize] = requests.len() as u32;
            requests.push(touches[0].request);
        }
    }
    (requests, node_of)
}

/// `rw`: to whoever sent what lies behind the last message that a request polled.
fn not_polled(journal: &Journal, logs: &Logs, node_of: &[u32], placed: &[Placed], edges: &mut Vec<Edge>) {
    let mut dealt: FastMap<u64, bool> = FastMap::default();
    let mut start = 0;
    for touches in journal
        .touches
        .chunk_by(|one, other| one.request == other.request)
    {
        let positions = start..;
        start += touches.len() as u32;
        let request = journal.request(&touches[0]);
        if let kind @ (TouchKind::Assign | TouchKind::Subscribe) = touches[0].kind {
            dealt.insert(request.process, kind == TouchKind::Subscribe);
        }
        let from = node_of[touches[0].request as usize];
        if from == NOBODY || !request.is_ok() || dealt.get(&request.process) == Some(&true) {
            continue;
        }
        // Of few partitions the last place, and the touch that shows it.
        let mut last: Vec<(Val, u32, u32)> = Vec::new();
        for (position, touch) in positions.zip(touches) {
            let place = logs.log(touch).and_then(|log| log.only_place(touch.value));
            let Some(place) = place.filter(|_| touch.kind == TouchKind::Receive) else {
                continue;
            };
            match last.iter_mut().find(|(partition, ..)| *partition == touch.stream) {
                Some((_, before, _)) if *before >= place => {}
                Some(there) => (there.1, there.2) = (place, position),
                None => last.push((touch.stream, place, position)),
            }
        }
        let changed = |partition: Val| {
            let of = |touch: &Touch| touch.kind == TouchKind::Rebalance && touch.stream == partition;
            touches.iter().any(of)
        };
        for (partition, place, poll) in last {
            let behind =
                placed.partition_point(|placed| (placed.partition, placed.place) <= (partition, place));
            let next = placed.get(behind).filter(|next| next.partition == partition);
            if let Some(next) = next.filter(|next| next.node != from && !changed(partition)) {
                edges.push(Edge {
                    from,
                    to: next.node,
                    kind: Kind::Rw,
                    shown_by: (poll, next.send),
                });
            }
        }
    }
}
