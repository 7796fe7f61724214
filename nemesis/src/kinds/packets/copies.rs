//! Copies of packets, for those that are to arrive twice: a queue of the packet filter can let a packet go, and not make two of it.
//!
//! A copy is sent by a raw socket (IP_HDRINCL, raw(7)) in the receiver's own network namespace, from the sender's address to the receiver's:
//! so it takes the way of what a machine sends to itself, and arrives as the packet that it is a copy of. Its socket marks it, by which
//! the queue knows it: nothing is done to it there.

use std::fs::File;
use std::io;
use std::net::{IpAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, SockaddrIn6, sendto, setsockopt,
    socket, sockopt,
};

use super::packet::destination;
use crate::agent::firewall::within;

/// Of every copy: "DURS". Rules of others that look at marks are rare, and none has this number.
pub const MARK: u32 = 0x4455_5253;

/// Sockets that copies are sent by.
#[derive(Debug)]
pub struct Copies {
    v4: OwnedFd,
    /// `None`: the kernel has no IPv6.
    v6: Option<OwnedFd>,
}

impl Copies {
    /// Opens them in the network namespace.
    pub fn open(netns: &File) -> io::Result<Copies> {
        within(netns, || {
            let open = |family| -> Result<OwnedFd, Errno> {
                // Of this protocol a socket sends whole packets, header included.
                let raw = socket(
                    family,
                    SockType::Raw,
                    SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
                    SockProtocol::Raw,
                )?;
                setsockopt(&raw, sockopt::Mark, &MARK)?;
                Ok(raw)
            };
            let v6 = match open(AddressFamily::Inet6) {
                Err(Errno::EAFNOSUPPORT) => None,
                opened => Some(opened?),
            };
            let v4 = open(AddressFamily::Inet)?;
            Ok(Copies { v4, v6 })
        })
    }

    /// Sends a copy of a packet that has arrived here. False: it could not be sent.
    pub fn send(&self, packet: &[u8]) -> bool {
        let sent = match destination(packet) {
            Some(IpAddr::V4(to)) => {
                let to = SockaddrIn::from(SocketAddrV4::new(to, 0));
                sendto(self.v4.as_raw_fd(), packet, &to, MsgFlags::empty())
            }
            Some(IpAddr::V6(to)) => {
                let to = SockaddrIn6::from(SocketAddrV6::new(to, 0, 0, 0));
                let v6 = self.v6.as_ref().ok_or(Errno::EAFNOSUPPORT);
                v6.and_then(|v6| sendto(v6.as_raw_fd(), packet, &to, MsgFlags::empty()))
            }
            None => Err(Errno::EINVAL),
        };
        sent.is_ok()
    }
}
