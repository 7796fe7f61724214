//! Sends datagrams on directed links and listens for them: what packets are measured with. Knows nothing of what is done to them.
//!
//! They are sent at an even pace on all links at once, from sockets inside the nodes' network namespaces; so nodes' own programs may be
//! dead. An agent that has both ends of all links has one clock for both. On hosts each agent has the ends on its own, with a clock of its
//! own: [`super::tracks`] puts together what they have sent and heard.

use std::fs;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use duress_cluster::clock_offset::monotonic_ns;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeSpec;

use super::datagram::{DATAGRAM_MAX, HEADERS_V4, HEADERS_V6, datagram, read};
use super::order::{Arrival, Exchange, Exchanged, Heard, Traffic};
use super::tracks::{Track, number};
use crate::agent::chains::Family;
use crate::agent::firewall::{open_netns, within};
use crate::agent::probe::bind_to_each_family;
use crate::agent::prompt::Prompt;
use crate::agent::protocol::Point;
use crate::agent::spread::{Listening, Opened};

/// Room for what has arrived and was not read yet.
const RECEIVE_BUFFER: usize = 4 << 20;
/// Agents don't begin at the same moment: each listens for so long before it sends, and for twice as much after, for what others send. What
/// waits in a socket until somebody listens would seem late.
const OTHERS_LATE: Duration = Duration::from_millis(250);

/// Sockets of points, in their network namespaces.
pub struct Sockets {
    points: Vec<Point>,
    ends: Vec<End>,
    unprobed: Vec<(String, String)>,
}

struct End {
    point: usize,
    family: Family,
    socket: UdpSocket,
    address: SocketAddr,
    refused_before: u64,
}

/// A track that begins here, and where it ends.
struct Outgoing {
    track: u32,
    end: usize,
    to: SocketAddr,
    sent: Vec<Option<u64>>,
}

/// A track that ends here.
struct Incoming {
    track: u32,
    end: usize,
    from: SocketAddr,
    packets: Vec<Arrival>,
    /// By round: it has come, or was never sent.
    settled: Vec<bool>,
    missing: usize,
}

impl Incoming {
    fn settle(&mut self, round: u32) {
        if let Some(settled) = self.settled.get_mut(round as usize)
            && !*settled
        {
            *settled = true;
            self.missing -= 1;
        }
    }
}

impl Sockets {
    /// Opens them. Points that have none are said.
    pub fn open(points: Vec<Point>) -> Sockets {
        let (mut ends, mut unprobed) = (Vec::new(), Vec::new());
        for (index, point) in points.iter().enumerate() {
            match open(index, point) {
                Ok(of_point) => ends.extend(of_point),
                Err(error) => unprobed.push((point.name.clone(), error.to_string())),
            }
        }
        Sockets {
            points,
            ends,
            unprobed,
        }
    }

    /// Where others reach them.
    pub fn listening(&self) -> Listening {
        let opened = |end: &End| Opened {
            name: self.points[end.point].name.clone(),
            address: end.address,
        };
        Listening {
            opened: self.ends.iter().map(opened).collect(),
            unprobed: self.unprobed.clone(),
        }
    }

    /// Sends what is asked for, and listens until the last has come or time is up; `others` is how much longer faults at the ends that are
    /// here may hold packets, in microseconds.
    pub fn exchange(&self, asked: &Exchange, others_us: u64) -> io::Result<Exchanged> {
        let Exchange { session, traffic, .. } = asked;
        let _prompt = Prompt::begin();
        let (mut outgoing, mut incoming) = self.tracks(asked);
        let ends_here = |track: &Outgoing| incoming.iter().any(|other| other.track == track.track);
        let all_here = outgoing.len() == incoming.len() && outgoing.iter().all(ends_here);
        let mut began = Instant::now();
        let mut wait = Duration::from_micros(traffic.wait_us + others_us);
        if !all_here {
            began += OTHERS_LATE;
            wait += 2 * OTHERS_LATE;
            self.listen(&mut incoming, *session, traffic, began, false)?;
        }
        let interval = Duration::from_micros(traffic.interval_us);
        for round in 0..traffic.count {
            for track in &mut outgoing {
                let packet = datagram(*session, traffic.bytes, track.track, round);
                let now = monotonic_ns();
                let sent = self.ends[track.end].socket.send_to(&packet, track.to).is_ok();
                track.sent.push(sent.then_some(now));
                if !sent && let Some(track) = incoming.iter_mut().find(|other| other.track == track.track) {
                    track.settle(round);
                }
            }
            let until = began + interval * (round + 1);
            self.listen(&mut incoming, *session, traffic, until, false)?;
        }
        self.listen(&mut incoming, *session, traffic, Instant::now() + wait, true)?;
        let heard = |track: Incoming| Heard {
            track: track.track,
            refused: self.refused(track.end),
            packets: track.packets,
            others: Vec::new(),
        };
        Ok(Exchanged {
            sent: (outgoing.into_iter().map(|track| (track.track, track.sent))).collect(),
            heard: incoming.into_iter().map(heard).collect(),
        })
    }

    fn tracks(&self, asked: &Exchange) -> (Vec<Outgoing>, Vec<Incoming>) {
        let (mut outgoing, mut incoming) = (Vec::new(), Vec::new());
        for Track { link, family } in number(&asked.traffic.links) {
            let (from, to) = &asked.traffic.links[link];
            let is_of = |end: &&Opened, name: &String| end.name == *name && family.has(&end.address.ip());
            let address = |name: &String| {
                asked
                    .ends
                    .iter()
                    .find(|end| is_of(end, name))
                    .map(|end| end.address)
            };
            let here = |name: &String| {
                (self.ends.iter())
                    .position(|end| self.points[end.point].name == *name && end.family == family)
            };
            let (Some(from_address), Some(to_address)) = (address(from), address(to)) else {
                continue;
            };
            let track = Track { link, family }.number();
            if let Some(end) = here(from) {
                outgoing.push(Outgoing {
                    track,
                    end,
                    to: to_address,
                    sent: Vec::new(),
                });
            }
            if let Some(end) = here(to) {
                incoming.push(Incoming {
                    track,
                    end,
                    from: from_address,
                    packets: Vec::new(),
                    settled: vec![false; asked.traffic.count as usize],
                    missing: asked.traffic.count as usize,
                });
            }
        }
        (outgoing, incoming)
    }

    /// Takes what arrives, until then; `last`: or until nothing is missing.
    fn listen(
        &self,
        incoming: &mut [Incoming],
        session: u64,
        traffic: &Traffic,
        until: Instant,
        last: bool,
    ) -> io::Result<()> {
        loop {
            for (index, end) in self.ends.iter().enumerate() {
                let mut packet = [0; DATAGRAM_MAX];
                while let Ok((length, source)) = end.socket.recv_from(&mut packet) {
                    let at_ns = monotonic_ns();
                    let Some(named) = read(&packet[..length], session, traffic.bytes) else {
                        continue;
                    };
                    let of_track = |track: &&mut Incoming| {
                        (track.track, track.end, track.from) == (named.track, index, source)
                    };
                    if let Some(track) = incoming.iter_mut().find(of_track) {
                        let headers = match end.family {
                            Family::V4 => HEADERS_V4,
                            Family::V6 => HEADERS_V6,
                        };
                        track.settle(named.round);
                        track.packets.push(Arrival {
                            round: named.round,
                            at_ns,
                            bytes: (length + headers) as u32,
                            changed: named.changed,
                        });
                    }
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || (last && incoming.iter().all(|track| track.missing == 0)) {
                return Ok(());
            }
            let mut polled: Vec<PollFd<'_>> = (self.ends.iter())
                .map(|end| PollFd::new(end.socket.as_fd(), PollFlags::POLLIN))
                .collect();
            match ppoll(&mut polled, Some(TimeSpec::from_duration(left)), None) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// How many datagrams were refused for their checksum since the end was opened.
    fn refused(&self, end: usize) -> u64 {
        let end = &self.ends[end];
        let now = || {
            let place = self.points[end.point].place.as_ref()?;
            let (_, netns) = open_netns(place).ok()?;
            within(&netns, refused_of_each).ok()
        };
        let now = now().map_or(0, |now| now[usize::from(end.family == Family::V6)]);
        now.saturating_sub(end.refused_before)
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

#[cfg(test)]
mod tests {
    use super::*;

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
