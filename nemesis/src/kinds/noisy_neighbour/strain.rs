//! What a node feels of its neighbours: how long its threads wait for a processor, and how long a sync takes beside its data.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use duress_cluster::Place;
use serde::{Deserialize, Serialize};

use crate::agent::neighbour::nameless;
use crate::agent::procfs;
use crate::agent::vdso::skew::{Clock, now_ns};

/// What a node waits in this time, before there are neighbours, is what it waits for without them.
const QUIET: Duration = Duration::from_millis(100);
/// Syncs of which the median counts.
const SYNCS: usize = 7;
/// In each second: less may be by chance.
const WAIT_LEAST_MS: f64 = 1.0;
/// In per cent of a processor.
const USED_LEAST: f64 = 1.0;
const BLOCK: [u8; 4096] = [0x5a; 4096];

/// What a node feels.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Strain {
    /// When it was looked at, on a monotonic clock.
    at_ns: u64,
    /// How long each of its threads has waited for a processor so far.
    waited_ns: BTreeMap<String, u64>,
    /// How much longer they had waited [`QUIET`] later.
    more_ns: u64,
    /// How long a sync took; `None`: nobody asked.
    sync_us: Option<u64>,
}

impl Strain {
    /// Of a node, and of a file in this folder.
    pub fn of(place: &Place, folder: Option<&Path>) -> io::Result<Strain> {
        let at_ns = now_ns(Clock::Monotonic.id())?.unsigned_abs();
        let waited_ns = waited(place)?;
        thread::sleep(QUIET);
        let more_ns = since(&waited_ns, &waited(place)?);
        Ok(Strain {
            at_ns,
            waited_ns,
            more_ns,
            sync_us: folder.map(sync_us).transpose()?,
        })
    }
}

/// By thread: how long it was ready to run and did not.
fn waited(place: &Place) -> io::Result<BTreeMap<String, u64>> {
    let mut waited = BTreeMap::new();
    for process in procfs::members(place)? {
        let Ok(threads) = fs::read_dir(format!("/proc/{}/task", process.pid)) else {
            continue;
        };
        for thread in threads.flatten() {
            // `time on the processor, time waiting for one, slices`, in nanoseconds.
            let text = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
            if let Some(Ok(ns)) = text.split_ascii_whitespace().nth(1).map(str::parse) {
                waited.insert(
                    format!("{}/{}", thread.file_name().display(), process.started),
                    ns,
                );
            }
        }
    }
    Ok(waited)
}

fn since(first: &BTreeMap<String, u64>, now: &BTreeMap<String, u64>) -> u64 {
    let more = |(thread, waited): (&String, &u64)| {
        waited.saturating_sub(first.get(thread).copied().unwrap_or_default())
    };
    now.iter().map(more).sum()
}

fn sync_us(folder: &Path) -> io::Result<u64> {
    let file = nameless(folder)?;
    let mut took = Vec::new();
    for number in 0..SYNCS {
        let began = Instant::now();
        file.write_all_at(&BLOCK, (number * BLOCK.len()) as u64)?;
        file.sync_all()?;
        took.push(began.elapsed().as_micros() as u64);
    }
    took.sort_unstable();
    Ok(took[SYNCS / 2])
}

/// Says how long threads have waited since right after the neighbours began, who used so much of a processor meanwhile; the error is that
/// nobody was hurt. They share what their group gets, so what neighbours had while a thread waited is what it waited for: how busy
/// the machine is besides does not matter.
pub fn waited_for(used_ns: u64, quiet: &Strain, first: &Strain, now: &Strain) -> Result<String, String> {
    let before_ms = quiet.more_ns as f64 / 1e6 / QUIET.as_secs_f64();
    let seconds = now.at_ns.saturating_sub(first.at_ns) as f64 / 1e9 + QUIET.as_secs_f64();
    let since_ms = (since(&first.waited_ns, &now.waited_ns) + now.more_ns) as f64 / 1e6 / seconds;
    let used = used_ns as f64 / 1e9 / seconds * 100.0;
    let said = format!(
        "its threads waited {since_ms:.1} ms a second for a processor, and {before_ms:.1} ms before; the neighbours got {used:.1} % of one"
    );
    match since_ms >= WAIT_LEAST_MS && used >= USED_LEAST {
        true => Ok(said),
        false => Err(format!("nobody was hurt: {said}")),
    }
}

/// Says how much longer a sync takes; the error is that it doesn't.
pub fn synced(quiet: &Strain, noisy: &Strain) -> Result<String, String> {
    let (Some(before), Some(now)) = (quiet.sync_us, noisy.sync_us) else {
        return Err("nobody knows how long a sync takes".to_owned());
    };
    let said = format!(
        "a sync beside its data took {:.2} ms, and {:.2} ms before",
        now as f64 / 1e3,
        before as f64 / 1e3
    );
    match now > before {
        true => Ok(said),
        false => Err(format!("nobody was hurt: {said}")),
    }
}
