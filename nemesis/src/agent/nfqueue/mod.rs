//! A queue of the packet filter (NFQUEUE): packets that a rule sends there wait until user space says what becomes of them.
//!
//! ```text
//! -A DURESS-1f2e3d4c-3 -s 10.9.0.2/32 -j NFQUEUE --queue-num 53000 --queue-bypass
//! ```
//!
//! With `--queue-bypass` packets pass where nobody listens: a dead agent cuts nobody off. What was held at that moment is lost.
//!
//! A queue belongs to the network namespace that its socket was opened in, and to that socket alone. Packets come one by one, as they
//! were on the wire: large ones that the kernel keeps whole for speed are split before. A queue that is full drops; it never lets
//! packets pass unseen.

mod message;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, sendto, setsockopt,
    socket, sockopt,
};

pub use message::{Fate, Packet};

/// The first number that is tried; others of this machine begin at 0.
const NUMBER_FIRST: u16 = 53000;
const NUMBERS: u16 = 100;
/// Packets held at most. What comes on top is dropped by the kernel.
const PACKETS_MAX: u32 = 65_536;
/// Room for what the kernel has sent and we have not read: a burst must not be lost for want of it.
const RECEIVE_BUFFER: usize = 64 << 20;
/// The longest packet, and what is told of it.
const MESSAGE_MAX: usize = (1 << 16) + 4096;

/// A queue and its socket. Dropping it lets all packets that it holds go to waste.
#[derive(Debug)]
pub struct Queue {
    socket: OwnedFd,
    number: u16,
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Queue {
    /// Opens a queue that nobody else has, in the network namespace of the calling thread.
    pub fn open() -> io::Result<Queue> {
        let named = |error: io::Error| {
            io::Error::new(
                error.kind(),
                format!("open a queue of the packet filter: {error}"),
            )
        };
        let mut last = Errno::EBUSY;
        for number in NUMBER_FIRST..NUMBER_FIRST + NUMBERS {
            match Queue::open_numbered(number) {
                Ok(queue) => return Ok(queue),
                // Another one's. The kernel says EBUSY, or EPERM for a socket of another owner.
                Err(error @ (Errno::EBUSY | Errno::EPERM)) => last = error,
                Err(error) => return Err(named(error.into())),
            }
        }
        Err(named(last.into()))
    }

    fn open_numbered(number: u16) -> Result<Queue, Errno> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkNetFilter,
        )?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        // More than an ordinary user may ask for; without it bursts are lost earlier.
        if setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
            let _ = setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER);
        }
        let queue = Queue { socket, number };
        for setting in [
            message::bind(number),
            message::whole_packets(number),
            message::length_max(number, PACKETS_MAX),
        ] {
            queue.send(&setting)?;
            queue.acknowledged()?;
        }
        Ok(queue)
    }

    /// As in rules.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// The packets that have come since the last time, as far as one message has them. None: nothing has come.
    pub fn receive(&self, buffer: &mut Vec<u8>) -> io::Result<Vec<Packet>> {
        buffer.resize(MESSAGE_MAX, 0);
        match recv(self.socket.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(length) => Ok(message::packets(&buffer[..length])),
            // ENOBUFS: some were lost for want of room. The next ones come all the same.
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ENOBUFS) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// Says what becomes of a packet; `payload`: with these bytes instead of its own.
    pub fn decide(&self, id: u32, fate: Fate, payload: Option<&[u8]>) -> io::Result<()> {
        match self.send(&message::verdict(self.number, id, fate, payload)) {
            // The packet went with the interface that it came by.
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn send(&self, message: &[u8]) -> Result<(), Errno> {
        sendto(
            self.socket.as_raw_fd(),
            message,
            &NetlinkAddr::new(0, 0),
            MsgFlags::empty(),
        )
        .map(drop)
    }

    fn acknowledged(&self) -> Result<(), Errno> {
        let mut buffer = vec![0; MESSAGE_MAX];
        loop {
            let length = recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            match message::error(&buffer[..length]) {
                Some(0) => return Ok(()),
                Some(number) => return Err(Errno::from_raw(number)),
                // A packet that was there first; it passes, since nothing is in force yet.
                None => {
                    for packet in message::packets(&buffer[..length]) {
                        self.send(&message::verdict(self.number, packet.id, Fate::Accept, None))?;
                    }
                }
            }
        }
    }
}
