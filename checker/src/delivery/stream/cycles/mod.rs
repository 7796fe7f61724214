//! Cycles of dependencies between transactions: what no order of whole transactions explains.
//!
//! ```text
//! txn A: send p0 5 → offset 1, send p1 8 → offset 2        A ww B in p0
//! txn B: send p0 6 → offset 2, send p1 7 → offset 1        B ww A in p1: G0
//! ```
//!
//! Names are Adya's (*Weak Consistency*, PhD thesis, MIT 1999, 4.2 and 5.2) and Elle's (Kingsbury and Alvaro, VLDB 2020), edges those of
//! `jepsen.tests.kafka`; [`dependencies`] has them. What is looked for depends on what is promised:
//!
//! | isolation | forbids | since |
//! |---|---|---|
//! | `kafka` | `G1c-polled` | each polled what the one before it had committed, so each committed before the next: in a circle that can't be |
//! | `read-committed` | `G0`, `G1c` also | what a transaction sends lies together |
//! | `consistent-view` | `G-single` also | a poll that has seen a part of a transaction does not miss the rest of it |
//! | `serializable` | `G2` also | |
//!
//! A component of the graph in which there is a cycle counts once under each name, however many cycles are in it. `G1c` is named where
//! polls alone make no cycle, `G2` where none was found with one `rw` only.

mod dependencies;
mod graph;
mod telling;

use self::dependencies::Dependencies;
use self::graph::{Edge, Kind, Kinds, Search};
use self::telling::finding;
use super::log::Logs;
use crate::delivery::anomaly::Anomaly;
use crate::delivery::by_message::ByMessage;
use crate::delivery::findings::Findings;
use crate::delivery::journal::Journal;
use crate::delivery::promise::Isolation;

const SENT: Kinds = Kinds::of(&[Kind::Ww]);
const POLLED: Kinds = Kinds::of(&[Kind::Wr]);
const SENT_OR_POLLED: Kinds = Kinds::of(&[Kind::Ww, Kind::Wr]);
const ANY: Kinds = Kinds::of(&[Kind::Ww, Kind::Wr, Kind::Rw]);

/// `G0`, `G1c`, `G1c-polled`, `G-single` and `G2`, as far as they are forbidden.
pub(super) fn judge(
    journal: &Journal,
    by_message: &ByMessage,
    logs: &Logs,
    isolation: Isolation,
    findings: &mut Findings,
) {
    if isolation < Isolation::Kafka {
        return;
    }
    let dependencies = Dependencies::of(journal, by_message, logs, isolation);
    let graph = &dependencies.graph;
    let mut search = Search::of(graph);
    let mut add = |anomaly: Anomaly, cycle: Vec<Edge>| {
        findings.add(finding(journal, &dependencies.requests, anomaly, &cycle));
    };
    let polled = graph.components(POLLED);
    for members in &polled.circles {
        let cycle = search.cycle(&polled, members, Kind::Wr, POLLED);
        cycle.into_iter().for_each(|cycle| add(Anomaly::G1cPolled, cycle));
    }
    if isolation < Isolation::ReadCommitted {
        return;
    }
    let sent = graph.components(SENT);
    for members in &sent.circles {
        let cycle = search.cycle(&sent, members, Kind::Ww, SENT);
        cycle.into_iter().for_each(|cycle| add(Anomaly::G0, cycle));
    }
    let either = graph.components(SENT_OR_POLLED);
    let mut of_polls: Vec<u32> = (polled.circles.iter())
        .map(|circle| either.of(circle[0]))
        .collect();
    of_polls.sort_unstable();
    for members in &either.circles {
        if of_polls.binary_search(&either.of(members[0])).is_err() {
            let cycle = search.cycle(&either, members, Kind::Wr, SENT_OR_POLLED);
            cycle.into_iter().for_each(|cycle| add(Anomaly::G1c, cycle));
        }
    }
    if isolation < Isolation::ConsistentView {
        return;
    }
    let any = graph.components(ANY);
    for members in &any.circles {
        if let Some(cycle) = search.cycle(&any, members, Kind::Rw, SENT_OR_POLLED) {
            add(Anomaly::GSingle, cycle);
        } else if isolation == Isolation::Serializable
            && let Some(cycle) = search.cycle(&any, members, Kind::Rw, ANY)
        {
            add(Anomaly::G2, cycle);
        }
    }
    if search.gave_up && isolation < Isolation::Serializable {
        findings.leave(format!(
            "there are too many cycles among {} transactions to tell whether one of them is a G-single: claim isolation=serializable, \
             or check the history in parts",
            dependencies.requests.len()
        ));
    }
}
