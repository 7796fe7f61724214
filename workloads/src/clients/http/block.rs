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
use crate::generator::WorkloadParameters;
use crate::op::Operation;
use crate::workload::operations;
use crate::workload::stream::StreamSpec;

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

/// Every block that there may be. Operations on streams are lists of steps, which no template can follow.
pub(super) fn known() -> Vec<(String, Operation, Variant)> {
    let mut known = Vec::new();
    let has_steps = |operation: &Operation| StreamSpec::ABOUT.operations.contains(operation);
    for (name, operation) in operations()
        .into_iter()
        .filter(|(_, operation)| !has_steps(operation))
    {
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
