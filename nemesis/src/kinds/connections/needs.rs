//! What it needs of a machine to end connections: a kernel that ends them when it is asked to; for half-open ones the packet filter, too.

use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use duress_cluster::doctor::{Found, Requirement, output_of};

use crate::agent::tcp::{destroy, established};
use crate::kinds::partition::{IP6TABLES, IPTABLES};

/// Of `tcp-reset`.
pub static RESET: [&Requirement; 1] = [&DESTROY];
/// Of `half-open`.
pub static HALF_OPEN: [&Requirement; 3] = [&DESTROY, &IPTABLES, &IP6TABLES];

static DESTROY: Requirement = Requirement {
    name: "sock-destroy",
    probe,
    fix: "the kernel needs CONFIG_INET_DIAG_DESTROY (Linux 4.5; `ss --kill` uses it, too)",
};

/// Ends a connection of its own.
fn probe() -> Found {
    let said = |error: std::io::Error| error.to_string();
    output_of("ip", &["link", "set", "lo", "up"])?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(said)?;
    let mut client = TcpStream::connect(listener.local_addr().map_err(said)?).map_err(said)?;
    let local = client.local_addr().map_err(said)?;
    let found = established().map_err(said)?;
    let connection = found.iter().find(|connection| connection.local == local);
    let connection = connection.ok_or("a connection of its own is not in /proc/net/tcp")?;
    destroy(connection).map_err(said)?;
    match client.read(&mut [0]) {
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => {
            Ok("a connection was ended".to_owned())
        }
        other => Err(format!("a connection that was to end did not: {other:?}")),
    }
}
