//! Objects: one folder each, with its operations, its model and its paths without search; and the table of models.
//!
//! A folder has `op.rs`, what can be asked of the object; `mod.rs`, the [`Model`] with its hints, words and shortcuts;
//! and a file for each path that decides a part without search (`direct.rs` where there is but one). What several
//! objects share is in [`shared`]. A model that is added is a folder, and its `pub mod` and a line in the table below:
//! from that come `check --model`, its help, its errors, and the test of its [laws](crate::laws).

pub mod counter;
pub mod kv;
pub mod lock;
pub mod log;
pub mod multi_register;
pub mod queue;
pub mod register;
pub mod semaphore;
pub mod set;
pub mod shared;
pub mod stack;
pub mod unordered_queue;
pub mod versioned_register;

use self::semaphore::PERMITS_MAX;
use crate::model::{CheckError, Model};

/// Something to be done with a model, whichever it is.
pub trait WithModel {
    /// What comes of it.
    type Result;
    /// Does it.
    fn with<M: Model>(self, model: &M) -> Result<Self::Result, CheckError>;
}

/// One line about a model, for the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// As the command line names it.
    pub name: &'static str,
    /// Which `f` it takes, and with which values.
    pub takes: &'static str,
    /// Whether [`consistency`](crate::consistency) can say which weaker promises a history keeps.
    pub weaker: bool,
}

/// Makes [`CATALOGUE`] and [`with_model`] of the table: name, how it is made of the parameter behind a colon, what it
/// takes, and `weaker` where [`consistency`](crate::consistency) knows it.
macro_rules! models {
    ($($name:literal, $make:expr, $takes:literal $(, $weaker:ident)?;)*) => {
        /// All models by name.
        pub const CATALOGUE: &[About] = &[$(About {
            name: $name,
            takes: $takes,
            weaker: !concat!($(stringify!($weaker))?).is_empty(),
        }),*];

        /// Finds a model by name, e.g. `queue` or `semaphore:5`, and does something with it.
        pub fn with_model<W: WithModel>(name: &str, then: W) -> Result<W::Result, CheckError> {
            let (base, parameter) = match name.split_once(':') {
                Some((base, parameter)) => (base, Some(parameter)),
                None => (name, None),
            };
            match base {
                $($name => match $make(parameter) {
                    Some(model) => then.with(&model),
                    None => Err(unknown(name)),
                },)*
                _ => Err(unknown(name)),
            }
        }
    };
}

models! {
    "register", only(register::Register { cas: false }),
        "read -> v, write v; begins as null", weaker;
    "cas-register", only(register::Register { cas: true }),
        "read -> v, write v, cas [old, new]; begins as null", weaker;
    "multi-register", only(multi_register::MultiRegister),
        "txn [[\"read\", x, v], [\"write\", y, v]], or read and write by key; begins as null or 0";
    "kv", only(kv::Kv),
        "get -> v, put v, append text, delete, by key; begins absent, which is null or \"\"";
    "versioned-register", only(versioned_register::VersionedRegister),
        "read -> [version, v], write [null, v] -> [version, v], cas [null, [old, new]] -> [version, [old, new]]";
    "set", only(set::Set),
        "add v, remove v, contains v -> true or false, read -> [v, ...]; begins empty";
    "queue", only(queue::Queue),
        "enqueue v, dequeue -> v, or null when empty; first in, first out";
    "unordered-queue", only(unordered_queue::UnorderedQueue),
        "enqueue v, dequeue -> v, or null when empty; in any order";
    "stack", only(stack::Stack),
        "push v, pop -> v, or null when empty";
    "mutex", only(lock::Lock::Mutex),
        "acquire, release";
    "owner-mutex", only(lock::Lock::Owner),
        "acquire, release, by the owner in the value, else by the process";
    "fenced-lock", only(lock::Lock::Fenced),
        "acquire -> token, release, by process; tokens must grow";
    "semaphore", semaphore::Semaphore::of,
        "acquire n, release n; semaphore:5 has five permits, semaphore one";
    "counter", only(counter::Counter),
        "add n, inc, dec, read -> n; begins as 0";
    "log", only(log::Log),
        "append v -> offset or nothing, read -> [v, ...]; begins empty";
}

/// The line of the table about a model by name; `None` if there is none.
pub fn about(name: &str) -> Option<&'static About> {
    let base = name.split(':').next()?;
    CATALOGUE.iter().find(|about| about.name == base)
}

/// A model that takes no parameter.
fn only<M>(model: M) -> impl FnOnce(Option<&str>) -> Option<M> {
    |parameter| parameter.is_none().then_some(model)
}

fn unknown(name: &str) -> CheckError {
    let names: Vec<&str> = CATALOGUE.iter().map(|about| about.name).collect();
    CheckError::UnknownModel {
        name: name.to_owned(),
        choices: names.join(", ") + &format!("; semaphore:N has N permits, 1 to {PERMITS_MAX}"),
    }
}
