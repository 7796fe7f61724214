//! What becomes of the packets in a queue: which faults have a say in those of which sender, and what they hold.
//!
//! All faults of a link have a say in each of its packets, in the order of their numbers: delays add up, what one loses is lost, and each
//! copies and flips for itself. A fault that ends takes its part out of what is held, and leaves the rest alone.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::copies::{Copies, MARK};
use super::fates::{Fate, Fates, Passage};
use super::order::Count;
use super::packet::{carries_data, flip, is_probe, source};
use super::record::{Recorder, Taken, Wanted};
use crate::agent::nfqueue::{self, Packet, Queue};

/// What a fault does to the packets of one source.
pub struct Say {
    /// Its number.
    pub fault: u64,
    /// The link, `from>to/family`.
    pub link: String,
    /// What becomes of its packets.
    pub fates: Fates,
    /// Whether its bits are flipped so that checksums fit.
    pub repair: bool,
}

struct Applied {
    say: Say,
    began: Instant,
    met: u64,
    count: Count,
}

struct Record {
    began: Instant,
    recorder: Recorder,
}

/// A packet that waits, or is about to go on.
struct Held {
    id: u32,
    arrived: Instant,
    /// How it goes on, by fault.
    passages: Vec<(u64, bool, Passage)>,
    /// Kept where it goes on otherwise than it came.
    packet: Option<Vec<u8>>,
}

/// What is done to packets, and which are held.
#[derive(Default)]
pub struct State {
    links: BTreeMap<IpAddr, Vec<Applied>>,
    records: BTreeMap<u64, Record>,
    /// By when they are due, and then by when they came.
    held: BTreeMap<(Instant, u64), Held>,
    packets: u64,
    /// Everything is let go.
    pub stopped: bool,
    /// Why nothing is served any more.
    pub failed: Option<String>,
}

impl State {
    /// From now on the fault has a say in what comes from there.
    pub fn add(&mut self, source: IpAddr, say: Say) {
        let link = self.links.entry(source).or_default();
        link.retain(|applied| applied.say.fault != say.fault);
        link.push(Applied {
            say,
            began: Instant::now(),
            met: 0,
            count: Count::default(),
        });
        link.sort_by_key(|applied| applied.say.fault);
    }

    /// From now on this is written down of what the fault does.
    pub fn record(&mut self, fault: u64, wanted: Wanted) {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let record = Record {
            began: Instant::now(),
            recorder: Recorder::new(wanted, since_1970),
        };
        self.records.insert(fault, record);
    }

    /// What was written down of the fault, which ends.
    pub fn take_record(&mut self, fault: u64) -> Option<Taken> {
        self.records.remove(&fault).map(|record| record.recorder.take())
    }

    /// What the fault did, by source. Sources that it has no say in are missing.
    pub fn counts(&self, fault: u64) -> BTreeMap<IpAddr, Count> {
        let mut counts = BTreeMap::new();
        for (source, link) in &self.links {
            let of_fault = link.iter().find(|applied| applied.say.fault == fault);
            counts.extend(of_fault.map(|applied| (*source, applied.count)));
        }
        counts
    }

    /// The fault has no say any more. What it alone held is due now.
    pub fn remove(&mut self, fault: u64) {
        for link in self.links.values_mut() {
            link.retain(|applied| applied.say.fault != fault);
        }
        self.links.retain(|_, link| !link.is_empty());
        let held = std::mem::take(&mut self.held);
        for ((_, number), mut packet) in held {
            packet.passages.retain(|(of, ..)| *of != fault);
            self.held.insert((due(&packet), number), packet);
        }
    }

    /// When the first of those that are held is due.
    pub fn first_due(&self) -> Option<Instant> {
        self.held.keys().next().map(|(due, _)| *due)
    }

    /// Says what becomes of a packet that has come.
    pub fn decide(&mut self, queue: &Queue, copies: &Copies, packet: Packet) -> io::Result<()> {
        // A copy of our own: all that is to be done to it was done to the packet that it is one of.
        if packet.mark == MARK {
            return queue.decide(packet.id, nfqueue::Fate::Accept, None);
        }
        let Packet { id, payload, .. } = packet;
        let arrived = Instant::now();
        let source = source(&payload);
        let mut link = source.and_then(|source| self.links.get_mut(&source));
        let probe = is_probe(&payload);
        let (mut dropped, mut passages) = (false, Vec::new());
        for applied in link.iter_mut().flat_map(|link| link.iter_mut()) {
            let elapsed = arrived.saturating_duration_since(applied.began);
            let mut fate = applied.say.fates.next(elapsed, payload.len());
            if let Fate::Delivered(passage) = &mut fate
                && !carries_data(&payload)
            {
                passage.flip = None;
            }
            if let Some(Record { began, recorder }) = self.records.get_mut(&applied.say.fault) {
                let after = arrived.saturating_duration_since(*began);
                recorder.note(&applied.say.link, applied.met, after, &payload, fate);
                recorder.capture(after, &payload);
            }
            applied.met += 1;
            applied.count.add(&counted(fate, probe));
            match fate {
                Fate::Lost | Fate::Overflowed => dropped = true,
                Fate::Delivered(passage) if passage != Passage::default() => {
                    passages.push((applied.say.fault, applied.say.repair, passage));
                }
                Fate::Delivered(_) => {}
            }
        }
        if dropped {
            return queue.decide(id, nfqueue::Fate::Drop, None);
        }
        let otherwise = |(.., passage): &(u64, bool, Passage)| passage.copied || passage.flip.is_some();
        let held = Held {
            id,
            arrived,
            packet: passages.iter().any(otherwise).then_some(payload),
            passages,
        };
        if due(&held) <= arrived {
            return held.go_on(queue, copies);
        }
        self.packets += 1;
        self.held.insert((due(&held), self.packets), held);
        Ok(())
    }

    /// Lets go what is due; everything, once it is stopped.
    pub fn release(&mut self, queue: &Queue, copies: &Copies) -> io::Result<()> {
        let now = Instant::now();
        while let Some(first) = self.held.first_entry()
            && (first.key().0 <= now || self.stopped)
        {
            first.remove().go_on(queue, copies)?;
        }
        Ok(())
    }
}

/// One packet.
fn counted(fate: Fate, probe: bool) -> Count {
    let mut count = Count::default();
    if probe {
        count.probes = 1;
        return count;
    }
    count.packets = 1;
    count.touched = u64::from(fate != Fate::Delivered(Passage::default()));
    match fate {
        Fate::Lost => count.lost = 1,
        Fate::Overflowed => count.overflowed = 1,
        Fate::Delivered(passage) => {
            count.copied = u64::from(passage.copied);
            count.flipped = u64::from(passage.flip.is_some());
        }
    }
    count
}

fn due(packet: &Held) -> Instant {
    let delays = packet.passages.iter().map(|(.., passage)| passage.delay);
    packet.arrived + delays.sum::<Duration>()
}

impl Held {
    /// As the faults say that are still there.
    fn go_on(self, queue: &Queue, copies: &Copies) -> io::Result<()> {
        let Some(mut packet) = self.packet else {
            return queue.decide(self.id, nfqueue::Fate::Accept, None);
        };
        let mut flipped = false;
        for (_, repair, passage) in &self.passages {
            if let Some(drawn) = passage.flip {
                flipped |= flip(&mut packet, drawn, *repair);
            }
        }
        let changed = flipped.then_some(packet.as_slice());
        queue.decide(self.id, nfqueue::Fate::Accept, changed)?;
        for _ in self.passages.iter().filter(|(.., passage)| passage.copied) {
            // One that can't be sent is missed by the probes.
            copies.send(&packet);
        }
        Ok(())
    }
}
