//! The table of kinds, and how one is found in it.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::bit_rot::BitRot;
use super::client_crash::ClientCrash;
use super::client_late_retry::ClientLateRetry;
use super::client_replay::ClientReplay;
use super::clock_drift::ClockDrift;
use super::clock_freeze::ClockFreeze;
use super::clock_jump::ClockJump;
use super::clock_strobe::ClockStrobe;
use super::cpu_squeeze::CpuSqueeze;
use super::crash_loop::CrashLoop;
use super::disk_error::DiskError;
use super::disk_full::DiskFull;
use super::disk_slow::DiskSlow;
use super::file_descriptors::FileDescriptors;
use super::half_open::HalfOpen;
use super::kill::Kill;
use super::kind::{About, Kind, KindRef};
use super::lose_unsynced::LoseUnsynced;
use super::memory_squeeze::MemorySqueeze;
use super::noisy_neighbour::NoisyNeighbour;
use super::packets::Packets;
use super::partition::Partition;
use super::pause::Pause;
use super::restart::Restart;
use super::snapshot_rollback::SnapshotRollback;
use super::tcp_reset::TcpReset;
use super::torn_write::TornWrite;

/// Every kind, in the order of `duress faults`.
pub static TABLE: &[&dyn Kind] = &[
    &Partition,
    &Packets,
    &TcpReset::KIND,
    &HalfOpen::KIND,
    &Kill,
    &Pause,
    &Restart,
    &CrashLoop,
    &CpuSqueeze::KIND,
    &MemorySqueeze::KIND,
    &FileDescriptors::KIND,
    &NoisyNeighbour::KIND,
    &ClockJump::KIND,
    &ClockStrobe::KIND,
    &ClockDrift::KIND,
    &ClockFreeze::KIND,
    &DiskSlow::KIND,
    &DiskError::KIND,
    &DiskFull::KIND,
    &TornWrite,
    &BitRot,
    &SnapshotRollback,
    &LoseUnsynced,
    &ClientCrash::KIND,
    &ClientReplay::KIND,
    &ClientLateRetry::KIND,
];

/// One kind, for `duress faults` and the reference page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CatalogueEntry {
    /// As in specs and histories.
    pub kind: &'static str,
    /// The rest.
    #[serde(flatten)]
    pub about: About,
}

/// Every kind of fault.
pub fn catalogue() -> Vec<CatalogueEntry> {
    let entry = |kind: &&dyn Kind| CatalogueEntry {
        kind: kind.name(),
        about: kind.about(),
    };
    TABLE.iter().map(entry).collect()
}

impl KindRef {
    /// Finds it in the table. The error names the choices.
    pub fn named(name: &str) -> Result<KindRef, String> {
        let found = TABLE.iter().find(|kind| kind.name() == name);
        found.map(|kind| KindRef(*kind)).ok_or_else(|| {
            let choices: Vec<String> = TABLE.iter().map(|kind| format!("`{}`", kind.name())).collect();
            format!(
                "unknown kind of fault `{name}`, expected one of {}",
                choices.join(", ")
            )
        })
    }
}

impl<'de> Deserialize<'de> for KindRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<KindRef, D::Error> {
        KindRef::named(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_and_everything_is_described() {
        let names: std::collections::BTreeSet<&str> = TABLE.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), TABLE.len());
        for entry in catalogue() {
            assert!(
                !entry.about.description.is_empty() && !entry.about.verified_by.is_empty(),
                "{entry:?}"
            );
        }
    }
}
