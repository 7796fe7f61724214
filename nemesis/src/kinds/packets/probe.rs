//! Measures how packets fare on directed links: how late they are, how many are lost, come twice, overtake each other, are changed or
//! refused, and how many bytes pass. Knows nothing of what is done to them.
//!
//! Each carries its name three times, so that it is known whichever of its bits was flipped:
//!
//! ```text
//! "DURESS.P" agent:u32 probing:u32 link:u32 number:u32, three times; zeros
//! ```
//!
//! Datagrams are sent at an even pace on all links at once, from sockets inside the nodes' network namespaces; so nodes' own programs
//! may be dead. Sender and receiver have one clock, the agent's, so delays are one-way.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeSpec;

use super::order::{LinkMeasured, Measured, Probe};
use super::packet::MAGIC;
use crate::agent::chains::Family;
use crate::agent::firewall::{open_netns, within};
use crate::agent::probe::bind_to_each_family;
use crate::agent::protocol::Point;

/// How long a name is, and how long three are.
const NAME: usize = 24;
const NAMES: usize = 3 * NAME;
/// Headers of a datagram: of IPv4 and UDP, of IPv6 and UDP.
const HEADERS_V4: usize = 28;
const HEADERS_V6: usize = 48;
/// Room for what has arrived and was not read yet.
const RECEIVE_BUFFER: usize = 4 << 20;
/// The longest datagram that is read.
const DATAGRAM_MAX: usize = 2048;

struct End {
    point: usize,
    family: Family,
    socket: UdpSocket,
    address: SocketAddr,
    refused_before: u64,
}

/// One directed link and family.
struct Track {
    from: usize,
    to: usize,
    sent: Vec<Option<Instant>>,
    delays: Vec<Option<Duration>>,
    twice: u32,
    overtaken: u32,
    newest: u32,
    changed: u32,
    first: Option<Instant>,
    last: Option<Instant>,
    /// Of those after the first.
    bytes: u64,
}

/// Sends what was asked for, and listens until the last has come or time is up.
pub fn probe(question: &Probe) -> io::Result<Measured> {
    let mut measured = Measured::default();
    let mut ends = Vec::new();
    for (index, point) in question.points.iter().enumerate() {
        match open(index, point) {
            Ok(of_point) => ends.extend(of_point),
            Err(error) => measured.unprobed.push((point.name.clone(), error.to_string())),
        }
    }
    let name = |end: usize| question.points[ends[end].point].name.as_str();
    let mut tracks = Vec::new();
    for (from, to) in &question.links {
        for (sender, one) in ends.iter().enumerate().filter(|(end, _)| name(*end) == from) {
            let receivers = ends.iter().enumerate().filter(|(end, _)| name(*end) == to);
            for (receiver, _) in receivers.filter(|(_, other)| other.family == one.family) {
                tracks.push(Track {
                    from: sender,
                    to: receiver,
                    sent: Vec::new(),
                    delays: vec![None; question.count as usize],
                    twice: 0,
                    overtaken: 0,
                    newest: 0,
                    changed: 0,
                    first: None,
                    last: None,
                    bytes: 0,
                });
            }
        }
    }
    let session = Instant::now();
    let (interval, wait) = (
        Duration::from_micros(question.interval_us),
        Duration::from_micros(question.wait_us),
    );
    for round in 0..question.count {
        for (track, index) in tracks.iter_mut().zip(0u32..) {
            let packet = datagram(question, index, round);
            let now = Instant::now();
            let sent = ends[track.from]
                .socket
                .send_to(&packet, ends[track.to].address)
                .is_ok();
            track.sent.push(sent.then_some(now));
        }
        listen(
            &ends,
            &mut tracks,
            question,
            session + interval * (round + 1),
            false,
        )?;
    }
    listen(&ends, &mut tracks, question, Instant::now() + wait, true)?;
    let refused = refused(&question.points, &ends);
    measured.links = tracks
        .iter()
        .map(|track| track.measured(question, &ends, &refused))
        .collect();
    Ok(measured)
}

/// How many datagrams were refused for their checksum since the ends were opened, by end.
type Refused = BTreeMap<usize, u64>;

fn refused(points: &[Point], ends: &[End]) -> Refused {
    let of_end = |(index, end): (usize, &End)| {
        let place = points[end.point].place.as_ref()?;
        let (_, netns) = open_netns(place).ok()?;
        let now = within(&netns, refused_of_each).ok()?;
        let now = now[usize::from(end.family == Family::V6)];
        Some((index, now.saturating_sub(end.refused_before)))
    };
    ends.iter().enumerate().filter_map(of_end).collect()
}

impl Probe {
    /// What tells the packets of this probing from late ones of another.
    fn fault_low(&self) -> [u8; 4] {
        (self.fault as u32 ^ self.count.rotate_left(16) ^ (self.wait_us as u32).rotate_left(7)).to_be_bytes()
    }
}

fn open(index: usize, point: &Point) -> io::Result<Vec<End>> {
    let Some(place) = &point.place else {
        return Err(io::Error::other("it is no node"));
    };
    let (_, netns) = open_netns(place)?;
    let (sockets, refused) = within(&netns, || {
        Ok((bind_to_each_family(&point.addresses)?, refused_of_each()?))
    })?;
    for (_, socket, _) in &sockets {
        // More than an ordinary user may ask for; without it a machine that stands still for a moment loses probes.
        let _ = setsockopt(socket, sockopt::RcvBufForce, &RECEIVE_BUFFER);
    }
    let end = |(family, socket, address)| End {
        point: index,
        family,
        socket,
        address,
        refused_before: refused[usize::from(family == Family::V6)],
    };
    Ok(sockets.into_iter().map(end).collect())
}

/// How many datagrams the kernel has refused for their checksum in the network namespace of the calling thread: over IPv4, and over IPv6.
fn refused_of_each() -> io::Result<[u64; 2]> {
    let v4 = fs::read_to_string("/proc/thread-self/net/snmp")?;
    // A kernel without IPv6 has no such file.
    let v6 = fs::read_to_string("/proc/thread-self/net/snmp6").unwrap_or_default();
    Ok([refused_v4(&v4).unwrap_or(0), refused_v6(&v6).unwrap_or(0)])
}

/// Of two lines that begin with `Udp:`, the names of the counters and their values.
fn refused_v4(snmp: &str) -> Option<u64> {
    let mut lines = snmp.lines().filter(|line| line.starts_with("Udp: "));
    let mut named = lines
        .next()?
        .split_ascii_whitespace()
        .zip(lines.next()?.split_ascii_whitespace());
    named
        .find(|(name, _)| *name == "InCsumErrors")
        .and_then(|(_, value)| value.parse().ok())
}

fn refused_v6(snmp6: &str) -> Option<u64> {
    let line = snmp6.lines().find(|line| line.starts_with("Udp6InCsumErrors"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// What tells a packet from those of other probings, links and rounds.
fn name(question: &Probe, track: u32, round: u32) -> [u8; NAME] {
    let mut name = [0; NAME];
    name[..8].copy_from_slice(&MAGIC);
    name[8..12].copy_from_slice(&std::process::id().to_be_bytes());
    name[12..16].copy_from_slice(&question.fault_low());
    name[16..20].copy_from_slice(&track.to_be_bytes());
    name[20..].copy_from_slice(&round.to_be_bytes());
    name
}

fn datagram(question: &Probe, track: u32, round: u32) -> Vec<u8> {
    let mut packet = name(question, track, round).repeat(3);
    packet.resize((question.bytes as usize).saturating_sub(HEADERS_V4).max(NAMES), 0);
    packet
}

/// Takes what arrives, until then; `last`: or until nothing is missing.
fn listen(
    ends: &[End],
    tracks: &mut [Track],
    question: &Probe,
    until: Instant,
    last: bool,
) -> io::Result<()> {
    loop {
        for (index, end) in ends.iter().enumerate() {
            let mut packet = [0; DATAGRAM_MAX];
            while let Ok((length, source)) = end.socket.recv_from(&mut packet) {
                let now = Instant::now();
                if let Some(arrived) = read(&packet[..length], question)
                    && let Some(track) = tracks.get_mut(arrived.track as usize)
                    && track.to == index
                    && ends[track.from].address == source
                {
                    let headers = match end.family {
                        Family::V4 => HEADERS_V4,
                        Family::V6 => HEADERS_V6,
                    };
                    track.heard(&arrived, (length + headers) as u64, now);
                }
            }
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || (last && tracks.iter().all(Track::complete)) {
            return Ok(());
        }
        let mut polled: Vec<PollFd<'_>> = ends
            .iter()
            .map(|end| PollFd::new(end.socket.as_fd(), PollFlags::POLLIN))
            .collect();
        match ppoll(&mut polled, Some(TimeSpec::from_duration(left)), None) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// What has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Arrived {
    track: u32,
    round: u32,
    /// It is not as it was sent.
    changed: bool,
}

/// By what two of three names agree on, bit by bit.
fn read(packet: &[u8], question: &Probe) -> Option<Arrived> {
    let names = packet.get(..NAMES)?;
    let mut agreed = [0; NAME];
    for (at, byte) in agreed.iter_mut().enumerate() {
        let [a, b, c] = [names[at], names[at + NAME], names[at + 2 * NAME]];
        *byte = (a & b) | (a & c) | (b & c);
    }
    let number = |at: usize| u32::from_be_bytes([agreed[at], agreed[at + 1], agreed[at + 2], agreed[at + 3]]);
    let (track, round) = (number(16), number(20));
    (agreed == name(question, track, round)).then(|| Arrived {
        track,
        round,
        changed: packet != datagram(question, track, round),
    })
}

impl Track {
    fn heard(&mut self, arrived: &Arrived, bytes: u64, now: Instant) {
        let Arrived { round, changed, .. } = *arrived;
        let Some(Some(sent)) = self.sent.get(round as usize) else {
            return;
        };
        let delay = &mut self.delays[round as usize];
        if delay.is_some() {
            self.twice += 1;
            return;
        }
        *delay = Some(now.saturating_duration_since(*sent));
        self.overtaken += u32::from(round < self.newest);
        self.newest = self.newest.max(round);
        self.changed += u32::from(changed);
        self.bytes += if self.first.is_some() { bytes } else { 0 };
        self.first.get_or_insert(now);
        self.last = Some(now);
    }

    fn complete(&self) -> bool {
        self.sent
            .iter()
            .zip(&self.delays)
            .all(|(sent, delay)| sent.is_none() || delay.is_some())
    }

    fn measured(&self, question: &Probe, ends: &[End], refused: &Refused) -> LinkMeasured {
        let mut delays: Vec<u64> = self
            .delays
            .iter()
            .flatten()
            .map(|delay| delay.as_micros() as u64)
            .collect();
        delays.sort_unstable();
        let at = |quarter: usize| {
            let last = delays.len().saturating_sub(1);
            delays.get(last * quarter / 4).copied().unwrap_or(0)
        };
        let name = |end: usize| question.points[ends[end].point].name.clone();
        let span = self.last.zip(self.first).map(|(last, first)| last - first);
        LinkMeasured {
            from: name(self.from),
            to: name(self.to),
            family: if ends[self.from].family == Family::V4 {
                4
            } else {
                6
            },
            sent: self.sent.iter().flatten().count() as u32,
            heard: delays.len() as u32,
            twice: self.twice,
            overtaken: self.overtaken,
            changed: self.changed,
            refused: refused.get(&self.to).copied().unwrap_or(0),
            bytes: self.bytes,
            span_us: span.map_or(0, |span| span.as_micros() as u64),
            delay_us: [0, 1, 2, 3, 4].map(at),
            others: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_known_whichever_of_its_bits_was_flipped() {
        let question = Probe {
            fault: 3,
            points: Vec::new(),
            links: Vec::new(),
            count: 10,
            bytes: 120,
            interval_us: 1,
            wait_us: 1,
        };
        let whole = datagram(&question, 7, 9);
        assert_eq!(whole.len(), 120 - HEADERS_V4);
        let arrived = |changed| Arrived {
            track: 7,
            round: 9,
            changed,
        };
        assert_eq!(read(&whole, &question), Some(arrived(false)));
        for bit in 0..whole.len() * 8 {
            let mut packet = whole.clone();
            packet[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&packet, &question), Some(arrived(true)), "bit {bit}");
        }
        let other = Probe { fault: 4, ..question };
        assert_eq!(read(&whole, &other), None);
        assert_eq!(read(&whole[..NAMES - 1], &other), None);
    }

    #[test]
    fn the_kernels_counters_are_read() {
        let snmp = "Tcp: A InCsumErrors\nTcp: 1 2\nUdp: InDatagrams NoPorts InErrors InCsumErrors\nUdp: 11 12 13 14\n\
                    UdpLite: InCsumErrors\nUdpLite: 7\n";
        assert_eq!(refused_v4(snmp), Some(14));
        assert_eq!(refused_v4(""), None);
        assert_eq!(refused_v6("Udp6InErrors  1\nUdp6InCsumErrors  5\n"), Some(5));
        assert_eq!(refused_v6(""), None);
    }
}
