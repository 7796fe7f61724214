//! Probes between machines: each agent has the sockets of the nodes on its own, and sends to all others while it listens.
//!
//! In the same way as [`super::probe`], with the difference that nobody sees both ends. The controller puts together what each has sent and
//! heard ([`crate::life::spread`]).

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::{Deserialize, Serialize};

use super::firewall::{open_netns, within};
use super::probe::bind_to_each_family;
use super::protocol::Point;

/// Time between rounds, as for probes on one machine.
const ROUND: Duration = Duration::from_millis(15);
/// Agents don't begin at the same moment: each listens for so long after its own last round.
const TAIL: Duration = Duration::from_millis(300);
/// No controller asks for more.
const ROUNDS_MAX: u32 = 200;
/// Of sockets that were opened and never used, the oldest are closed.
const SESSIONS_MAX: usize = 16;

/// A socket of a point, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// The point.
    pub name: String,
    /// Where others reach the socket.
    pub address: SocketAddr,
}

/// What was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listening {
    /// The sockets.
    pub opened: Vec<Opened>,
    /// Points that have none, and why.
    pub unprobed: Vec<(String, String)>,
}

/// What came of sending to all and listening.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    /// From where to where, and how many packets the kernel took.
    pub sent: Vec<(SocketAddr, SocketAddr, u32)>,
    /// From where to where, and how many arrived.
    pub heard: Vec<(SocketAddr, SocketAddr, u32)>,
}

struct Socket {
    name: String,
    socket: UdpSocket,
    address: SocketAddr,
}

/// Sockets that were opened for a session and are not used yet, the oldest first.
static SESSIONS: Mutex<VecDeque<(u64, Vec<Socket>)>> = Mutex::new(VecDeque::new());

/// Opens the sockets of points, in the network namespaces of their nodes.
pub fn listen(session: u64, points: &[Point]) -> Listening {
    let mut listening = Listening::default();
    let mut sockets = Vec::new();
    for point in points {
        match open(point) {
            Ok(opened) => sockets.extend(opened),
            Err(error) => listening.unprobed.push((point.name.clone(), error.to_string())),
        }
    }
    let opened = |socket: &Socket| Opened {
        name: socket.name.clone(),
        address: socket.address,
    };
    listening.opened = sockets.iter().map(opened).collect();
    let mut sessions = SESSIONS.lock().unwrap_or_else(PoisonError::into_inner);
    sessions.push_back((session, sockets));
    while sessions.len() > SESSIONS_MAX {
        sessions.pop_front();
    }
    listening
}

fn open(point: &Point) -> io::Result<Vec<Socket>> {
    let place = point.place.as_ref();
    let place = place.ok_or_else(|| io::Error::other("it is on no machine"))?;
    let (_, netns) = open_netns(place)?;
    let opened = within(&netns, || bind_to_each_family(&point.addresses))?;
    let socket = |(_, socket, address)| Socket {
        name: point.name.clone(),
        socket,
        address,
    };
    Ok(opened.into_iter().map(socket).collect())
}

/// Sends to all targets from each socket of the session, in so many rounds, and closes them when it has listened.
pub fn send(session: u64, targets: &[SocketAddr], rounds: u32) -> io::Result<Spread> {
    let mut sessions = SESSIONS.lock().unwrap_or_else(PoisonError::into_inner);
    let at = sessions.iter().position(|(other, _)| *other == session);
    let sockets = at.and_then(|at| sessions.remove(at)).map(|(_, sockets)| sockets);
    drop(sessions);
    let Some(sockets) = sockets else {
        // None of the points was here.
        return Ok(Spread::default());
    };
    let mut sent: BTreeMap<(SocketAddr, SocketAddr), u32> = BTreeMap::new();
    let mut heard = BTreeMap::new();
    for _ in 0..rounds.min(ROUNDS_MAX) {
        let end = Instant::now() + ROUND;
        for socket in &sockets {
            for target in targets {
                if target.is_ipv4() == socket.address.is_ipv4() && *target != socket.address {
                    let taken = socket.socket.send_to(&session.to_be_bytes(), target).is_ok();
                    *sent.entry((socket.address, *target)).or_default() += u32::from(taken);
                }
            }
        }
        listen_until(end, &sockets, session, &mut heard)?;
    }
    listen_until(Instant::now() + TAIL, &sockets, session, &mut heard)?;
    let list = |counts: BTreeMap<(SocketAddr, SocketAddr), u32>| {
        counts
            .into_iter()
            .map(|((from, to), count)| (from, to, count))
            .collect()
    };
    Ok(Spread {
        sent: list(sent),
        heard: list(heard),
    })
}

fn listen_until(
    end: Instant,
    sockets: &[Socket],
    session: u64,
    heard: &mut BTreeMap<(SocketAddr, SocketAddr), u32>,
) -> io::Result<()> {
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        let polled = sockets
            .iter()
            .map(|socket| PollFd::new(socket.socket.as_fd(), PollFlags::POLLIN));
        // Rounded up: with a timeout of 0 this would spin through the last millisecond.
        let timeout = u16::try_from(left.as_millis() + 1).unwrap_or(u16::MAX);
        match poll(&mut polled.collect::<Vec<_>>(), PollTimeout::from(timeout)) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        for socket in sockets {
            let mut packet = [0; 16];
            while let Ok((length, source)) = socket.socket.recv_from(&mut packet) {
                if packet[..length] == session.to_be_bytes() {
                    *heard.entry((source, socket.address)).or_default() += 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duress_cluster::Place;

    #[test]
    fn who_sends_is_heard_and_only_in_its_session() {
        let point = |name: &str| Point {
            name: name.to_owned(),
            place: Some(Place {
                name: name.to_owned(),
                pid: std::process::id(),
                keeper: true,
                addresses: Vec::new(),
                data: None,
                group: None,
                machine: 1,
            }),
            addresses: vec!["127.0.0.1".parse().unwrap()],
        };
        // Entering a namespace, be it one's own, takes root; what was not tested must be said.
        #[allow(clippy::print_stderr)]
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: needs root");
            return;
        }
        let (one, other) = (listen(1, &[point("n1")]), listen(2, &[point("n2")]));
        assert_eq!(one.unprobed, []);
        let addresses = [one.opened[0].address, other.opened[0].address];
        let theirs = std::thread::spawn(move || send(2, &addresses, 3).unwrap());
        let ours = send(1, &addresses, 3).unwrap();
        let theirs = theirs.join().unwrap();
        assert_eq!(ours.sent, [(addresses[0], addresses[1], 3)]);
        assert_eq!(theirs.sent, [(addresses[1], addresses[0], 3)]);
        assert_eq!(
            (ours.heard, theirs.heard),
            (vec![], vec![]),
            "packets of another session"
        );
        assert_eq!(
            send(1, &addresses, 1).unwrap(),
            Spread::default(),
            "they are closed"
        );
        let both = listen(3, &[point("n1"), point("n2")]);
        let addresses: Vec<SocketAddr> = both.opened.iter().map(|opened| opened.address).collect();
        assert_eq!(send(3, &addresses, 2).unwrap().heard.len(), 2);
    }
}
