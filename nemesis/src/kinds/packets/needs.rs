//! What packet faults need of a machine: a queue of the packet filter, and rules that send packets there.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use duress_cluster::doctor::{Found, Requirement, output_of};

use crate::agent::nfqueue::{Fate, Queue};

/// Of the kind.
pub static NEEDS: [&Requirement; 1] = [&NFQUEUE];

static NFQUEUE: Requirement = Requirement {
    name: "nfqueue",
    probe,
    fix: "install the package iptables, and see that the kernel has NFQUEUE (xt_NFQUEUE, nfnetlink_queue)",
};

/// Sends a packet through a queue.
fn probe() -> Found {
    let said = |error: std::io::Error| error.to_string();
    output_of("ip", &["link", "set", "lo", "up"])?;
    let queue = Queue::open().map_err(said)?;
    let number = queue.number().to_string();
    let rule = ["-j", "NFQUEUE", "--queue-num", &number, "--queue-bypass"];
    output_of(
        "iptables",
        &[&["-w", "-t", "mangle", "-A", "INPUT"], &rule[..]].concat(),
    )?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(said)?;
    socket
        .send_to(b"duress", socket.local_addr().map_err(said)?)
        .map_err(said)?;
    let deadline = Instant::now() + Duration::from_secs(2);
    let mut buffer = Vec::new();
    while Instant::now() < deadline {
        if let Some(packet) = queue.receive(&mut buffer).map_err(said)?.first() {
            queue.decide(packet.id, Fate::Accept, None).map_err(said)?;
            return Ok(format!("a packet came by queue {number}"));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Err("no packet came by the queue".to_owned())
}
