//! What a layer is told to do to which calls, and what it says of that: plain data, for both ends of its control socket.
//!
//! ```json
//! {"do":"arm","rule":{"fault":3,"calls":["fsync"],"path":"**/*.wal","effect":{"slow":{"delay_us":100000,"jitter_us":0,"distribution":"uniform"}},"seed":7}}
//! {"do":"count","fault":3}
//! {"ok":{"seen":41,"hit":41,"added_us":4100000,"probed":3}}
//! {"do":"disarm","fault":3}
//! {"do":"detach"}
//! ```

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::kinds::packets::Distribution;

/// A kind of call that a program makes of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Call {
    /// Of a file that is there.
    Open,
    /// A file, and whatever else gets a name: links, symbolic links, pipes.
    Create,
    /// What the page cache does not hold.
    Read,
    /// Also what a shared mapping changed, and copies within the file system.
    Write,
    /// `fsync` and `fdatasync`, of directories too; writes of files that were opened with `O_SYNC` or `O_DSYNC` as well.
    Fsync,
    /// To another length.
    Truncate,
    /// `fallocate`.
    Allocate,
    /// To another name.
    Rename,
    /// Also of directories.
    Unlink,
    /// A directory.
    Mkdir,
}

impl Call {
    /// All of them, in the order of documents.
    pub const ALL: [Call; 10] = [
        Call::Open,
        Call::Create,
        Call::Read,
        Call::Write,
        Call::Fsync,
        Call::Truncate,
        Call::Allocate,
        Call::Rename,
        Call::Unlink,
        Call::Mkdir,
    ];

    /// As in specs.
    pub fn name(self) -> &'static str {
        match self {
            Call::Open => "open",
            Call::Create => "create",
            Call::Read => "read",
            Call::Write => "write",
            Call::Fsync => "fsync",
            Call::Truncate => "truncate",
            Call::Allocate => "allocate",
            Call::Rename => "rename",
            Call::Unlink => "unlink",
            Call::Mkdir => "mkdir",
        }
    }
}

/// What becomes of calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// They are late.
    Slow {
        /// By how much.
        delay_us: u64,
        /// How much that varies.
        jitter_us: u64,
        /// How.
        distribution: Distribution,
    },
    /// They fail, and do nothing.
    Fail {
        /// With this error.
        errno: i32,
        /// Which of them.
        when: When,
    },
    /// There is no space for what would take any.
    Full,
    /// The next write of more than this many bytes is cut off at a multiple of it; nothing that follows reaches the disk, and
    /// nobody is answered, until it is disarmed.
    Tear {
        /// Bytes of a sector.
        sector: u64,
    },
}

/// Which of the calls that match.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// Each.
    Always,
    /// Only this one, counted from 1.
    Nth(u64),
    /// Each by itself, with this probability.
    Share(f64),
}

/// Something that is done to calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// Number of the fault.
    pub fault: u64,
    /// To these calls.
    pub calls: BTreeSet<Call>,
    /// On files that this pattern fits: on their names if it has no slash, else on their paths below the data directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What.
    pub effect: Effect,
    /// What is drawn is drawn from this.
    pub seed: u64,
}

/// What a rule has met so far. Probes are counted apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Calls that matched.
    pub seen: u64,
    /// Of these, those that something was done to.
    pub hit: u64,
    /// How much later they were, together, in microseconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub added_us: u64,
    /// Of probes, those that something was done to.
    pub probed: u64,
    /// The file that was hit last, below the data directory.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The write that was torn, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub torn: Option<Torn>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A write of which only the beginning reached the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Torn {
    /// The file, below the data directory.
    pub path: String,
    /// Where in it the write began.
    pub offset: u64,
    /// Bytes that were to be written.
    pub length: u64,
    /// Bytes that were.
    pub kept: u64,
    /// SHA-256 of these.
    pub kept_digest: String,
    /// SHA-256 of the rest, which was not.
    pub lost_digest: String,
}

/// One line to a layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Ask {
    /// From now on this rule holds.
    Arm {
        /// Which.
        rule: Rule,
    },
    /// What the rule of a fault has met. Answer: [`Counts`].
    Count {
        /// Number of the fault.
        fault: u64,
    },
    /// From now on the rule of a fault does not hold. Answer: its [`Counts`]; null if there was none.
    Disarm {
        /// Number of the fault.
        fault: u64,
    },
    /// Disarms all, and takes the layer away from where it was mounted. It lives as long as somebody uses it.
    Detach,
}

/// One line from a layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// Done.
    Ok(Value),
    /// Not done, and why.
    Error(String),
}
