//! The command line of one node.

use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::defect::Defect;

/// What one node of the specimen is told when it starts.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// This node's name, e.g. n1; one of the peers
    #[arg(long)]
    pub name: String,

    /// Address and port for clients and peers, e.g. 10.77.0.11:8080
    #[arg(long, value_name = "ADDRESS")]
    pub listen: String,

    /// Directory for log and snapshots; made if it does not exist
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,

    /// A member of the cluster, this node included: once for each
    #[arg(long = "peer", value_name = "NAME=ADDRESS", required = true)]
    pub peers: Vec<Peer>,

    /// A bug to switch on; may be given several times
    #[arg(long = "defect", value_name = "NAME")]
    pub defects: Vec<Defect>,

    /// Log entries between two snapshots
    #[arg(long, value_name = "ENTRIES", default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..))]
    pub snapshot_every: u64,

    /// Client requests served at once; the next one is refused with 429
    #[arg(long, value_name = "REQUESTS", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    pub in_flight_max: u32,

    /// Messages that a queue may have, lent ones included; the next one is refused with 429
    #[arg(long, value_name = "MESSAGES", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    pub queue_max: u64,

    /// Messages that a partition of a stream may have, aborted ones included; the next one is refused with 429
    #[arg(long, value_name = "MESSAGES", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub stream_max: u64,

    /// How long a transaction may be open before the leader aborts it
    #[arg(long, value_name = "MS", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub transaction_ms: u64,

    /// Producers must show with each request the token that they were given for their session; it is signed with this secret. The
    /// same on every node
    #[arg(long, value_name = "TEXT")]
    pub secret: Option<String>,

    /// Time between two heartbeats of the leader
    #[arg(long, value_name = "MS", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    pub heartbeat_ms: u64,

    /// How long a follower waits beyond the leader's lease before it stands for election: random within this range.
    /// The lease is as long as its end. The same on every node.
    #[arg(long, value_name = "MIN..MAX", default_value = "150..300")]
    pub election_ms: Millis,
}

/// A member of the cluster on the command line: `n1=10.77.0.11:8080`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub address: String,
}

/// A range of milliseconds on the command line: `150..300`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Millis(pub Range<u64>);

impl Millis {
    /// The end of the range.
    pub fn max(&self) -> Duration {
        Duration::from_millis(self.0.end)
    }
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(given: &str) -> Result<Self, String> {
        match given.split_once('=') {
            Some((name, address)) if !name.is_empty() && address.contains(':') => Ok(Self {
                name: name.into(),
                address: address.into(),
            }),
            _ => Err("write NAME=ADDRESS:PORT, e.g. n1=10.77.0.11:8080".into()),
        }
    }
}

impl FromStr for Millis {
    type Err = String;

    fn from_str(given: &str) -> Result<Self, String> {
        let range = given
            .split_once("..")
            .and_then(|(min, max)| Some(min.parse().ok()?..max.parse().ok()?));
        match range {
            Some(range) if range.start < range.end => Ok(Self(range)),
            _ => Err("write MIN..MAX in milliseconds with MIN below MAX, e.g. 150..300".into()),
        }
    }
}

/// Orders names as people do: `n2` before `n10`.
pub(crate) fn natural(name: &str) -> (&str, u64, &str) {
    let prefix = name.trim_end_matches(|c: char| c.is_ascii_digit());
    (prefix, name[prefix.len()..].parse().unwrap_or(0), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_and_ranges_are_parsed_at_the_border() {
        let peer = Peer {
            name: "n1".into(),
            address: "[::1]:80".into(),
        };
        assert_eq!("n1=[::1]:80".parse(), Ok(peer));
        assert_eq!("150..300".parse(), Ok(Millis(150..300)));
        assert!("n1".parse::<Peer>().is_err() && "=a:1".parse::<Peer>().is_err());
        assert!("300..150".parse::<Millis>().is_err() && "150".parse::<Millis>().is_err());
    }

    #[test]
    fn names_are_numbered_as_people_count() {
        let mut names = ["n10", "n2", "n1", "a"];
        names.sort_by_key(|name| natural(name));
        assert_eq!(names, ["a", "n1", "n2", "n10"]);
    }
}
