//! Which templates there may be: one for each operation that some workload has, and some for a kind of it.
//!
//! | block | instead of | for |
//! |---|---|---|
//! | `read-local`, `read-lease` | `read` | reads of that way; the same of `read-all` |
//! | `delete` | `write` | a write of null |
//! | `create` | `cas` | a compare-and-set of null |
//! | `remove` | `cas` | a compare-and-set to null |

use super::step::Steps;
use crate::clients::kind::ReadMode;
use crate::op::Operation;
use crate::workload::catalogue;

/// Which of the templates of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variant {
    /// The usual one.
    Plain,
    /// A read in another way than the usual one.
    Read(ReadMode),
    /// A write of null.
    Delete,
    /// A compare-and-set of null.
    Create,
    /// A compare-and-set to null.
    Remove,
}

/// The templates of one operation.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Block {
    pub name: String,
    pub operation: Operation,
    pub variant: Variant,
    pub steps: Steps,
}

impl Variant {
    /// That of reads in this way.
    pub fn of_read(mode: ReadMode) -> Variant {
        match mode {
            ReadMode::Linearizable => Variant::Plain,
            mode => Variant::Read(mode),
        }
    }
}

/// Every operation that some workload has, by the name of its block. The holder of a lock asks nothing while it holds it.
pub(super) fn operations() -> impl Iterator<Item = (String, Operation)> {
    let mut all: Vec<Operation> = Vec::new();
    for operation in catalogue().into_iter().flat_map(|workload| workload.operations) {
        if operation.f != HOLD && !all.contains(operation) {
            all.push(*operation);
        }
    }
    all.clone().into_iter().map(move |operation| {
        let twice = !operation.keyed && all.contains(&Operation::on_key(operation.f));
        let suffix = if twice { "-all" } else { "" };
        (format!("{}{suffix}", operation.f), operation)
    })
}

/// What a holder does between acquiring and releasing: nothing that the system sees.
pub(super) const HOLD: &str = "hold";

/// Every block that there may be.
pub(super) fn known() -> Vec<(String, Operation, Variant)> {
    let mut known = Vec::new();
    for (name, operation) in operations() {
        match operation.f {
            "read" => known.extend([ReadMode::Lease, ReadMode::Local].map(|mode| {
                let name = format!("{name}-{}", mode.as_str());
                (name, operation, Variant::Read(mode))
            })),
            "write" => known.push(("delete".to_owned(), operation, Variant::Delete)),
            "cas" => known.extend([
                ("create".to_owned(), operation, Variant::Create),
                ("remove".to_owned(), operation, Variant::Remove),
            ]),
            _ => {}
        }
        known.push((name, operation, Variant::Plain));
    }
    known
}
