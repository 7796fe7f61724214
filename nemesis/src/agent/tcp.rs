//! The TCP connections of a network namespace: which are established, and how one is ended from outside.
//!
//! Functions here act on the network namespace of the calling thread.
//!
//! They are read from `/proc/net/tcp` and `tcp6`, whose addresses are words in the machine's byte order:
//!
//! ```text
//!   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
//!    1: 0200090A:1F90 0300090A:931A 01 00000000:00000000 00:00000000 00000000     0        0 44556 1 …
//! ```
//!
//! One is ended as `ss --kill` does (sock_diag(7), SOCK_DESTROY, CONFIG_INET_DIAG_DESTROY): the kernel aborts it, as RFC 9293, 3.10.5, has
//! it. Its program is told (ECONNABORTED), and the other end is sent a segment with RST.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};
use serde::{Deserialize, Serialize};

/// One end of an established connection. Addresses of IPv4 that a socket of IPv6 has are those of IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Connection {
    /// This end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// Of its socket, by which it is told from a later one with the same addresses; 0 while no program has accepted it.
    pub inode: u64,
}

impl Connection {
    /// Whether these are the two ends of one connection.
    pub fn is_other_end_of(&self, other: &Connection) -> bool {
        self.local == other.remote && self.remote == other.local
    }
}

/// Those that are established.
pub fn established() -> io::Result<Vec<Connection>> {
    let mut all = read(&fs::read_to_string("/proc/thread-self/net/tcp")?);
    // A kernel without IPv6 has no such file.
    all.extend(read(
        &fs::read_to_string("/proc/thread-self/net/tcp6").unwrap_or_default(),
    ));
    Ok(all)
}

fn read(table: &str) -> Vec<Connection> {
    const ESTABLISHED: &str = "01";
    let connection = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        if *words.get(3)? != ESTABLISHED {
            return None;
        }
        Some(Connection {
            local: end(words[1])?,
            remote: end(words[2])?,
            inode: words.get(9)?.parse().ok()?,
        })
    };
    table.lines().filter_map(connection).collect()
}

/// `0200090A:1F90`.
fn end(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let mut bytes = Vec::new();
    for at in (0..address.len()).step_by(8) {
        let word = u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    let address: IpAddr = match bytes.len() {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into(),
        _ => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_canonical(),
    };
    Some(SocketAddr::new(address, u16::from_str_radix(port, 16).ok()?))
}

/// Ends a connection at this end. False: it was not there any more.
pub fn destroy(connection: &Connection) -> io::Result<bool> {
    let named =
        |error: Errno| io::Error::other(format!("end a connection to {}: {error}", connection.remote));
    let found = match ask(BY_FAMILY, REQUEST, connection, ANY_COOKIE) {
        Ok(found) => found,
        Err(Errno::ENOENT) => return Ok(false),
        Err(error) => return Err(named(error)),
    };
    // Where the connection is gone, the kernel finds the socket that listens there: that one is not to end.
    let Some(cookie) = cookie_of(&found, connection) else {
        return Ok(false);
    };
    match ask(DESTROY, REQUEST | ACKNOWLEDGE, connection, cookie) {
        Ok(_) => Ok(true),
        Err(Errno::ENOENT | Errno::ESTALE) => Ok(false),
        Err(error) => Err(named(error)),
    }
}

/// `SOCK_DIAG_BY_FAMILY` tells of one socket; `SOCK_DESTROY` ends it (`linux/sock_diag.h`).
const BY_FAMILY: u16 = 20;
const DESTROY: u16 = 21;
const REQUEST: u16 = 1;
const ACKNOWLEDGE: u16 = 4;
/// What an answer of the type `NLMSG_ERROR` begins with after its header: 0, or a number below.
const ERROR: u16 = 2;
/// By which the kernel tells a socket from a later one with the same addresses. `INET_DIAG_NOCOOKIE`: whichever it is.
type Cookie = [u8; 8];
const ANY_COOKIE: Cookie = [0xff; 8];

/// The cookie in an `inet_diag_msg`, if it is about this very connection, and that is established still.
fn cookie_of(answer: &[u8], connection: &Connection) -> Option<Cookie> {
    const ESTABLISHED: u8 = 1;
    let inode = answer.get(84..88)?.try_into().ok().map(u32::from_ne_bytes)?;
    let ports = [connection.local, connection.remote].map(|end| end.port().to_be_bytes());
    let same = answer[17] == ESTABLISHED
        && u64::from(inode) == connection.inode
        && answer[20..24] == *ports.as_flattened();
    same.then(|| answer[60..68].try_into().ok()).flatten()
}

/// Asks the kernel about a socket; what it answers, with its header.
fn ask(kind: u16, flags: u16, connection: &Connection, cookie: Cookie) -> Result<Vec<u8>, Errno> {
    let netlink = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkSockDiag,
    )?;
    let everybody = NetlinkAddr::new(0, 0);
    let message = request(kind, flags, connection, cookie);
    sendto(netlink.as_raw_fd(), &message, &everybody, MsgFlags::empty())?;
    let mut answer = vec![0; 4096];
    let length = recv(netlink.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    answer.truncate(length);
    let is_error = answer.get(4..6) == Some(&ERROR.to_ne_bytes());
    let number = answer.get(16..20).and_then(|bytes| bytes.try_into().ok());
    match number.map(i32::from_ne_bytes) {
        None => Err(Errno::EPROTO),
        Some(error) if is_error && error != 0 => Err(Errno::from_raw(-error)),
        Some(_) => Ok(answer),
    }
}

/// `nlmsghdr` and `inet_diag_req_v2` (`linux/inet_diag.h`).
fn request(kind: u16, flags: u16, connection: &Connection, cookie: Cookie) -> Vec<u8> {
    const TCP: u8 = 6;
    const LENGTH: u32 = 16 + 56;
    let family = match connection.local {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let mut bytes = Vec::with_capacity(LENGTH as usize);
    bytes.extend(LENGTH.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([family as u8, TCP, 0, 0]);
    // In whatever state.
    bytes.extend(u32::MAX.to_ne_bytes());
    for end in [connection.local, connection.remote] {
        bytes.extend(end.port().to_be_bytes());
    }
    for end in [connection.local, connection.remote] {
        match end.ip() {
            IpAddr::V4(address) => bytes.extend([&address.octets()[..], &[0; 12]].concat()),
            IpAddr::V6(address) => bytes.extend(address.octets()),
        }
    }
    // By whatever interface.
    bytes.extend(0u32.to_ne_bytes());
    bytes.extend(cookie);
    bytes
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn established_ones_are_read_and_others_are_not() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:9859 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 44751 1 0 100\n   \
            1: 0200090A:1F90 0300090A:931A 01 00000000:00000000 00:00000000 00000000     0        0 44556 1 0 20\n   \
            2: 0000000000000000FFFF00000100007F:9859 0000000000000000FFFF00000100007F:92EE 01 0:0 00:0 0 0 0 44753 1\n   \
            3: 00000000000000000000000001000000:A74E 00000000000000000000000001000000:B515 01 0:0 00:0 0 0 0 44595 2\n \
            4: nonsense\n";
        let told: Vec<String> = read(table)
            .iter()
            .map(|found| format!("{} {} {}", found.local, found.remote, found.inode))
            .collect();
        assert_eq!(
            told,
            [
                "10.9.0.2:8080 10.9.0.3:37658 44556",
                "127.0.0.1:39001 127.0.0.1:37614 44753",
                "[::1]:42830 [::1]:46357 44595"
            ]
        );
    }

    #[test]
    fn one_connection_is_ended_and_no_other() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut streams = Vec::new();
        for _ in 0..2 {
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            streams.push((client, listener.accept().unwrap().0));
        }
        let of = |stream: &TcpStream| {
            let ends = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
            let mut found = established().unwrap().into_iter();
            found.find(|connection| (connection.local, connection.remote) == ends)
        };
        let (mut client, mut server) = streams.remove(0);
        let connection = of(&client).unwrap();
        assert!(connection.is_other_end_of(&of(&server).unwrap()));
        assert!(destroy(&connection).unwrap());
        let said = |stream: &mut TcpStream| stream.read(&mut [0]).unwrap_err().kind();
        assert_eq!(said(&mut client), io::ErrorKind::ConnectionAborted);
        assert_eq!(said(&mut server), io::ErrorKind::ConnectionReset);
        assert!(!destroy(&connection).unwrap());
        assert!(of(&streams[0].0).is_some() && of(&streams[0].1).is_some());
    }

    #[test]
    fn one_that_is_gone_does_not_take_the_socket_that_listens_with_it() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).unwrap();
        let server = listener.accept().unwrap().0;
        let remote = server.peer_addr().unwrap();
        let mut found = established().unwrap().into_iter();
        let there = found
            .find(|end| end.local == address && end.remote == remote)
            .unwrap();
        assert!(destroy(&there).unwrap());
        assert!(!destroy(&there).unwrap());
        drop((client, server));
        assert!(TcpStream::connect(address).is_ok() && listener.accept().is_ok());
    }
}
