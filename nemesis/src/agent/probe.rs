//! Which nodes hear which: the directed reachability of nodes, measured with packets.
//!
//! Each point gets a UDP socket for each family, opened inside its network namespace, so it works while the node's own
//! program is dead or paused. In every round each point sends to each other; what arrives is counted. A link that is
//! meant to be cut must stay silent through all rounds, and one that isn't must be heard once.

use std::fs::File;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant, SystemTime};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::chains::Family;
use super::firewall::within;
use super::protocol::{Link, Point, Reachability};

/// Time between rounds. With [`ROUNDS_MIN`] a cut link is watched for 120 ms: hundreds of times a round trip here.
const ROUND: Duration = Duration::from_millis(15);
/// Rounds that always take place.
const ROUNDS_MIN: u32 = 8;
/// Rounds go on until every open link was heard, at most this many: a neighbour's address may have to be resolved anew,
/// and the kernel waits a second before it asks again.
const ROUNDS_MAX: u32 = 150;

struct ProbeSocket {
    point: usize,
    family: Family,
    socket: UdpSocket,
    address: SocketAddr,
    /// Nodes answer to probes; clients and observers only send.
    listens: bool,
}

/// Probes every pair. `netns_of` opens a point's namespace (`None`: the agent's own); `cut` tells whether a packet from
/// this address to this point is meant to be dropped.
pub fn probe(
    points: &[Point],
    netns_of: impl Fn(&Point) -> io::Result<Option<File>>,
    cut: impl Fn(&IpAddr, &Point) -> bool,
) -> io::Result<Reachability> {
    let began = Instant::now();
    let mut unprobed = Vec::new();
    let mut sockets = Vec::new();
    for (index, point) in points.iter().enumerate() {
        match netns_of(point).and_then(|netns| open_sockets(index, point, netns.as_ref())) {
            Ok(of_point) => sockets.extend(of_point),
            Err(error) => unprobed.push((point.name.clone(), error.to_string())),
        }
    }
    let mut pairs = Vec::new();
    let mut links = Vec::new();
    for (sender, from) in sockets.iter().enumerate() {
        for (receiver, to) in sockets.iter().enumerate() {
            if from.point != to.point && from.family == to.family && to.listens {
                pairs.push((sender, receiver));
                links.push(Link {
                    from: points[from.point].name.clone(),
                    to: points[to.point].name.clone(),
                    family: if from.family == Family::V4 { 4 } else { 6 },
                    cut: cut(&from.address.ip(), &points[to.point]),
                    sent: 0,
                    heard: 0,
                });
            }
        }
    }
    let session = session_number();
    for round in 0..ROUNDS_MAX {
        if round >= ROUNDS_MIN && links.iter().all(|link| link.cut || link.heard > 0) {
            break;
        }
        let round_ends = Instant::now() + ROUND;
        for (number, (sender, receiver)) in pairs.iter().enumerate() {
            let packet = [session.to_be_bytes(), (number as u64).to_be_bytes()].concat();
            if sockets[*sender]
                .socket
                .send_to(&packet, sockets[*receiver].address)
                .is_ok()
            {
                links[number].sent += 1;
            }
        }
        listen_until(round_ends, &sockets, session, |number, receiver, source| {
            if let Some((from, to)) = pairs.get(number)
                && *to == receiver
                && sockets[*from].address.ip() == source.ip()
            {
                links[number].heard += 1;
            }
        })?;
    }
    Ok(Reachability {
        links,
        unprobed,
        micros: began.elapsed().as_micros() as u64,
    })
}

fn open_sockets(index: usize, point: &Point, netns: Option<&File>) -> io::Result<Vec<ProbeSocket>> {
    let open = || bind_to_each_family(&point.addresses);
    let sockets = match netns {
        Some(netns) => within(netns, open),
        None => open(),
    }?;
    let socket = |(family, socket, address)| ProbeSocket {
        point: index,
        family,
        socket,
        address,
        listens: point.place.is_some(),
    };
    Ok(sockets.into_iter().map(socket).collect())
}

/// A socket for each family, at the first of the addresses that is of it, and where it is. They don't block.
pub fn bind_to_each_family(addresses: &[IpAddr]) -> io::Result<Vec<(Family, UdpSocket, SocketAddr)>> {
    let mut sockets = Vec::new();
    for family in Family::ALL {
        let Some(address) = addresses.iter().find(|address| family.has(address)) else {
            continue;
        };
        let socket = UdpSocket::bind((*address, 0))
            .map_err(|error| io::Error::new(error.kind(), format!("open a socket at {address}: {error}")))?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        sockets.push((family, socket, address));
    }
    Ok(sockets)
}

/// Calls `heard(number of the pair, receiving socket, source)` for each of our packets that arrives until then.
fn listen_until(
    end: Instant,
    sockets: &[ProbeSocket],
    session: u64,
    mut heard: impl FnMut(usize, usize, SocketAddr),
) -> io::Result<()> {
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        let mut polled: Vec<PollFd<'_>> = sockets
            .iter()
            .map(|socket| PollFd::new(socket.socket.as_fd(), PollFlags::POLLIN))
            .collect();
        // Rounded up: with a timeout of 0 this would spin through the last millisecond.
        let timeout = u16::try_from(left.as_millis() + 1).unwrap_or(u16::MAX);
        match poll(&mut polled, PollTimeout::from(timeout)) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        for (receiver, socket) in sockets.iter().enumerate() {
            let mut packet = [0; 16];
            while let Ok((length, source)) = socket.socket.recv_from(&mut packet) {
                let (nonce, number) = packet.split_at(8);
                if length == packet.len() && nonce == session.to_be_bytes() {
                    let number = number.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
                    heard(number, receiver, source);
                }
            }
        }
    }
}

/// Tells the packets of this probing from late ones of another.
pub fn session_number() -> u64 {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    now.as_nanos() as u64 ^ u64::from(std::process::id()).rotate_left(40)
}
