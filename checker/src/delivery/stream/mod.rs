//! Streams: partitions that messages are appended to, each at an offset, and from which consumers poll.
//!
//! ```text
//! send 1 7 → at 31 … poll {1: [[30, 6], [31, 7]]}     delivered
//! send 1 8 → at 32 … poll {1: [[31, 7], [33, 9]]}     32 is passed over: int-poll-skip; if nobody polls it, lost-write
//! send 1 9 failed  … poll {1: [[33, 9]]}              G1a
//! ```
//!
//! Definitions are those of `jepsen.tests.kafka` (Kingsbury, `jepsen/src/jepsen/tests/kafka.clj`, 2021–2024): messages are unique
//! within a partition; the order of a partition is that of the offsets at which messages were polled, or sent by requests that must
//! have been committed: those that ended `ok`, and those of unknown outcome of which a poll that succeeded shows a message. Offsets at
//! which nothing is known don't count, since transactions take up some that nobody sees.
//!
//! Where this is more careful, or more exact:
//!
//! | | Jepsen | here |
//! |---|---|---|
//! | `lost-write` | no poll that succeeded shows it | no poll shows it, whatever became of its transaction |
//! | `poll-skip`, `nonmonotonic-poll` | allowed in all of a test that subscribes | looked at where the process assigned its partitions itself, not across changes of the partition's hands, and not after a poll of unknown outcome |
//! | skips, nonmonotonic | places of messages | places of offsets where they are known, so that a `duplicate` is that alone |
//! | `nonmonotonic-send` | forgotten when the client assigns or subscribes | not forgotten: it is about producers; not after a send of unknown outcome, which may be appended later |
//! | `unseen` | invalid | undecided: it may still be polled |
//! | `int-send-skip` | allowed | counted: transactions interleave |
//! | `phantom` | an exception | a message that nobody sent, or sent later |
//! | `G0` | counted | broken where `isolation` promises that sends of transactions do not lie between each other |
//! | `G1c` | counted, or of polls alone broken (`ww-deps`) | of polls alone always broken (`G1c-polled`), with sends as `G0` is |
//! | `G-single`, `G2` | – | where `isolation` promises them; an `rw` only from who assigned itself the partition |
//! | `group-poll-skip`, `group-duplicate` | – | of groups that make no outputs, position by position |
//! | `reordered` | – | a send that was acknowledged before another was asked for lies behind it |
//! | `gap` | – | counted: offsets between others of which nothing is known |

mod coverage;
mod cycles;
mod groups;
mod log;
mod messages;
mod outputs;
mod sends;
mod sessions;

use self::log::Logs;
use super::by_message::ByMessage;
use super::findings::Findings;
use super::journal::Journal;
use super::promise::{Isolation, Order};

/// Judges every partition.
pub(super) fn judge(journal: &Journal, order: Order, isolation: Isolation) -> Findings {
    let mut findings = Findings::default();
    let by_message = ByMessage::of(journal);
    let logs = match Logs::of(journal, &by_message) {
        Ok(logs) => logs,
        Err(reason) => {
            findings.leave(reason);
            return findings;
        }
    };
    logs.judge(journal, &mut findings);
    messages::judge(journal, &by_message, &logs, &mut findings);
    sessions::judge(journal, &logs, order, &mut findings);
    outputs::judge(journal, &logs, &mut findings);
    coverage::judge(journal, &by_message, &logs, &mut findings);
    cycles::judge(journal, &by_message, &logs, isolation, &mut findings);
    if matches!(order, Order::Key | Order::Partition | Order::Global) {
        sends::judge(journal, &logs, order, &mut findings);
    }
    findings
}
