//! The traffic of the system itself: what the lab's nodes, and its clients, say to each other.
//!
//! A small datagram to each peer every [`PAUSE`], to a port at which the peer's own talker listens. Runs as a process of
//! its own, in the namespaces of a node: this very test binary, asked for the one ignored test in here.

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::time::Duration;

const PEERS_VARIABLE: &str = "DURESS_TEST_TALK_TO";
const PORT: u16 = 7777;
const PAUSE: Duration = Duration::from_millis(10);

/// The command line of a talker, as shell words. Its environment has to name its peers: see [`peers`].
pub fn talker() -> [String; 4] {
    let this = std::env::current_exe().expect("this test").display().to_string();
    [this, "--exact".into(), "talk::talks".into(), "--ignored".into()]
}

/// Tells a talker whom to talk to: the first so many nodes of a lab.
pub fn peers(command: &mut Command, count: u8) -> &mut Command {
    let peers: Vec<String> = (1..=count)
        .map(|number| format!("10.9.0.{number}:{PORT}"))
        .collect();
    command.env(PEERS_VARIABLE, peers.join(","))
}

/// Not a test: what a talker does until it is killed.
#[test]
#[ignore = "is run by the lab's nodes"]
fn talks() {
    let Ok(peers) = std::env::var(PEERS_VARIABLE) else {
        return;
    };
    let peers: Vec<SocketAddr> = peers
        .split(',')
        .map(|peer| peer.parse().expect("an address"))
        .collect();
    let socket = UdpSocket::bind(("0.0.0.0", PORT)).expect("a socket");
    socket
        .set_nonblocking(true)
        .expect("a socket that does not block");
    loop {
        for peer in &peers {
            // Whether anybody listens is the network's business.
            let _ = socket.send_to(b"hello", peer);
        }
        while socket.recv(&mut [0; 16]).is_ok() {}
        std::thread::sleep(PAUSE);
    }
}
