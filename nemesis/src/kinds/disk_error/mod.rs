//! `disk-error`: calls that a node makes of its disk fail.
//!
//! ```toml
//! kind = "disk-error"
//! errno = "EIO"          # if it does not say
//! calls = ["fsync"]
//! nth = 3                # only the third; or share = 0.1; all, if it does not say
//! targets = "leader"
//! ```

use duress_checker::history::Effect as OnNodes;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::disk::{Wrong, WrongDisk};
use super::kind::Parameter;
use crate::layer::call::{Call, Effect, When};

/// The kind.
pub type DiskError = WrongDisk<Fails>;

/// An error, by its name in errno(3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Error {
    /// A medium that fails.
    #[default]
    #[serde(rename = "EIO")]
    Io,
    /// A quota that is used up.
    #[serde(rename = "EDQUOT")]
    Quota,
    /// A disk that is full.
    #[serde(rename = "ENOSPC")]
    Space,
    /// A file system that has been made read-only, as the kernel does after errors.
    #[serde(rename = "EROFS")]
    ReadOnly,
    /// Rights that are missing.
    #[serde(rename = "EACCES")]
    Access,
    /// Too many files.
    #[serde(rename = "ENFILE")]
    Files,
}

impl Error {
    fn number(self) -> i32 {
        let errno = match self {
            Error::Io => Errno::IO,
            Error::Quota => Errno::DQUOT,
            Error::Space => Errno::NOSPC,
            Error::ReadOnly => Errno::ROFS,
            Error::Access => Errno::ACCESS,
            Error::Files => Errno::NFILE,
        };
        errno.raw_os_error()
    }
}

/// What it takes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fails {
    /// With which error.
    #[serde(default)]
    errno: Error,
    /// Only this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nth: Option<u64>,
    /// Each with this probability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    share: Option<f64>,
}

const NTH_MAX: u64 = 1_000_000;

impl Wrong for Fails {
    const NAME: &'static str = "disk-error";
    const DESCRIPTION: &'static str = "makes calls that a node makes of its disk fail, and do nothing";
    const VERIFIED_BY: &'static str = "calls of the agent's own in the data directory fail as was asked for; at its end again, and calls of the \
         system have failed, at each node; healed when none fails, and the programs run and are ready";
    const EFFECT: OnNodes = OnNodes::Loses;
    const CALLS: &'static [Call] = &[Call::Read, Call::Write, Call::Fsync];

    fn own() -> Vec<Parameter> {
        let parameter = |name, values: &str| Parameter {
            name,
            values: values.to_owned(),
        };
        vec![
            parameter("errno", "EIO, EDQUOT, ENOSPC, EROFS, EACCES, ENFILE; default EIO"),
            parameter(
                "nth",
                "only this one of the calls at a node, from 1; default all of them",
            ),
            parameter(
                "share",
                "each call by itself, with this probability: 0.01 to 0.99",
            ),
        ]
    }

    fn effect(&self) -> Result<Effect, (&'static str, String)> {
        let when = match (self.nth, self.share) {
            (None, None) => When::Always,
            (Some(_), Some(_)) => return Err(("share", "say either nth or share".to_owned())),
            (Some(nth), None) if (1..=NTH_MAX).contains(&nth) => When::Nth(nth),
            (Some(nth), None) => return Err(("nth", format!("there is no call {nth}; use 1 to {NTH_MAX}"))),
            (None, Some(share)) if (0.01..=0.99).contains(&share) => When::Share(share),
            (None, Some(share)) => {
                return Err(("share", format!("{share} makes no sense; use 0.01 to 0.99")));
            }
        };
        let errno = self.errno.number();
        Ok(Effect::Fail { errno, when })
    }
}
