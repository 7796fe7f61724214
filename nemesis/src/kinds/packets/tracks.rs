//! How packets fared, from what was sent at one end and heard at the other. Pure.
//!
//! ```text
//! n1 sent     [100, 2100, 4100]                 by its own clock, which is 0 ahead of the controller's
//! n2 heard    (0 at 5051150) (2 at 5055150)     by its own, which is 5051000 ± 20 ahead
//! n1>n2/4     3 sent, 2 heard, 0.05 ms late, each ± 0.02 us
//! ```

use std::collections::BTreeMap;

use duress_cluster::clock_offset::Offset;

use super::order::{Arrival, Exchanged, Heard, LinkMeasured, Measured, Traffic};
use crate::agent::chains::Family;

/// A directed link, and a family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Track {
    /// Which of the links, from 0.
    pub link: usize,
    /// Of the addresses.
    pub family: Family,
}

impl Track {
    /// By which agents know it.
    pub fn number(self) -> u32 {
        self.link as u32 * 2 + u32::from(self.family == Family::V6)
    }

    fn numbered(number: u32) -> Track {
        Track {
            link: number as usize / 2,
            family: Family::ALL[number as usize % 2],
        }
    }
}

/// Which of the links a track is of.
pub fn link_of(track: u32) -> usize {
    Track::numbered(track).link
}

/// The tracks of these links, in the order of their numbers.
pub fn number(links: &[(String, String)]) -> impl Iterator<Item = Track> {
    let all = (0..links.len()).flat_map(|link| Family::ALL.map(|family| Track { link, family }));
    all.into_iter()
}

/// What agents have sent and heard, as if one had. `clock_of` says how far the clock of a node's machine is ahead; where nobody knows, what
/// ends there is left out, and said.
pub fn measured(
    traffic: &Traffic,
    told: &Exchanged,
    unprobed: Vec<(String, String)>,
    clock_of: impl Fn(&str) -> Option<Offset>,
) -> Measured {
    let sent: BTreeMap<u32, &Vec<Option<u64>>> =
        told.sent.iter().map(|(track, sent)| (*track, sent)).collect();
    let mut measured = Measured {
        links: Vec::new(),
        unprobed,
    };
    for heard in &told.heard {
        let Track { link, family } = Track::numbered(heard.track);
        let (Some((from, to)), Some(sent)) = (traffic.links.get(link), sent.get(&heard.track)) else {
            continue;
        };
        let (Some(theirs), Some(ours)) = (clock_of(from), clock_of(to)) else {
            let why = "how far its clock is from others is not known";
            measured.unprobed.push((to.clone(), why.to_owned()));
            continue;
        };
        let mut track = Counted::default();
        let mut packets = heard.packets.clone();
        packets.sort_by_key(|packet| packet.at_ns);
        for packet in &packets {
            track.count(packet, sent, ours.ns - theirs.ns);
        }
        measured.links.push(LinkMeasured {
            from: from.clone(),
            to: to.clone(),
            family: if family == Family::V4 { 4 } else { 6 },
            clock_error_us: (theirs.error_ns + ours.error_ns).div_ceil(1000),
            ..track.told(sent, heard)
        });
    }
    measured
}

/// What is counted of a track.
#[derive(Default)]
struct Counted {
    /// In nanoseconds, by round.
    delays: BTreeMap<u32, i64>,
    twice: u32,
    overtaken: u32,
    newest: u32,
    changed: u32,
    first: Option<u64>,
    last: Option<u64>,
    /// Of those after the first.
    bytes: u64,
}

impl Counted {
    fn count(&mut self, packet: &Arrival, sent: &[Option<u64>], ahead_ns: i64) {
        let Arrival {
            round,
            at_ns,
            bytes,
            changed,
        } = *packet;
        let Some(Some(sent)) = sent.get(round as usize) else {
            return;
        };
        let delay = at_ns.wrapping_sub(*sent).cast_signed().saturating_sub(ahead_ns);
        if self.delays.contains_key(&round) {
            self.twice += 1;
            return;
        }
        self.delays.insert(round, delay);
        self.overtaken += u32::from(round < self.newest);
        self.newest = self.newest.max(round);
        self.changed += u32::from(changed);
        self.bytes += if self.first.is_some() { u64::from(bytes) } else { 0 };
        self.first.get_or_insert(at_ns);
        self.last = Some(at_ns);
    }

    fn told(&self, sent: &[Option<u64>], heard: &Heard) -> LinkMeasured {
        // Nothing arrives before it was sent: what looks so is within the error of the clocks.
        let mut delays: Vec<u64> = (self.delays.values())
            .map(|delay| delay.max(&0).cast_unsigned() / 1000)
            .collect();
        delays.sort_unstable();
        let at = |quarter: usize| {
            let last = delays.len().saturating_sub(1);
            delays.get(last * quarter / 4).copied().unwrap_or(0)
        };
        let span_ns = self.last.zip(self.first).map(|(last, first)| last - first);
        LinkMeasured {
            sent: sent.iter().flatten().count() as u32,
            heard: delays.len() as u32,
            twice: self.twice,
            overtaken: self.overtaken,
            changed: self.changed,
            refused: heard.refused,
            bytes: self.bytes,
            span_us: span_ns.map_or(0, |span| span / 1000),
            delay_us: [0, 1, 2, 3, 4].map(at),
            others: heard.others.clone(),
            ..LinkMeasured::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(packets: &[(u32, u64)]) -> Heard {
        let packet = |(round, at_ns): &(u32, u64)| Arrival {
            round: *round,
            at_ns: *at_ns,
            bytes: 100,
            changed: false,
        };
        Heard {
            track: 0,
            packets: packets.iter().map(packet).collect(),
            ..Heard::default()
        }
    }

    fn of(told: &Exchanged, clock_of: impl Fn(&str) -> Option<Offset>) -> Measured {
        let traffic = Traffic {
            fault: 1,
            links: vec![("n1".to_owned(), "n2".to_owned())],
            count: 3,
            bytes: 100,
            interval_us: 2,
            wait_us: 1,
        };
        measured(&traffic, told, Vec::new(), clock_of)
    }

    #[test]
    fn delays_are_those_of_one_clock() {
        let told = Exchanged {
            sent: vec![(0, vec![Some(100_000), Some(2_100_000), Some(4_100_000)])],
            heard: vec![heard(&[(0, 305_150_000), (2, 309_150_000), (0, 309_160_000)])],
        };
        let ahead = |node: &str| {
            let (ns, error_ns) = if node == "n1" {
                (0, 0)
            } else {
                (305_000_000, 20_500)
            };
            Some(Offset { ns, error_ns })
        };
        let link = &of(&told, ahead).links[0];
        assert_eq!((link.sent, link.heard, link.twice), (3, 2, 1));
        assert_eq!((link.delay_us[0], link.clock_error_us), (50, 21));
        // Without the clocks, nobody knows.
        let unknown = of(&told, |node| (node == "n1").then(Offset::default));
        assert_eq!((unknown.links.len(), unknown.unprobed.len()), (0, 1));
    }

    #[test]
    fn what_arrives_after_a_later_one_was_overtaken() {
        let told = Exchanged {
            sent: vec![(0, vec![Some(1000), None, Some(3000)])],
            heard: vec![heard(&[(2, 4000), (0, 5000), (1, 6000)])],
        };
        let link = &of(&told, |_| Some(Offset::default())).links[0];
        // The kernel did not take the second: what has its name is none of ours.
        assert_eq!((link.sent, link.heard, link.overtaken), (2, 2, 1));
        assert_eq!(
            (link.delay_us[0], link.delay_us[4], link.bytes, link.span_us),
            (1, 4, 100, 1)
        );
    }

    #[test]
    fn numbers_lead_back_to_their_tracks() {
        let links = vec![("a".to_owned(), "b".to_owned()), ("b".to_owned(), "a".to_owned())];
        let all: Vec<Track> = number(&links).collect();
        assert_eq!(all.len(), 4);
        for track in all {
            assert_eq!(Track::numbered(track.number()), track);
        }
    }
}
