//! Which address everyone has, and the lines for `ip -batch` that make it so.
//!
//! One bridge in the controller's network namespace, one virtual cable to each node:
//!
//! ```text
//! clients  10.77.0.1  fd77::1 ┐
//! observer 10.77.0.2  fd77::2 ┴ duress0 ─┬─ duress0n1 ══ eth0  n1  10.77.0.11  fd77::11
//!                                        └─ duress0n2 ══ eth0  n2  10.77.0.12  fd77::12
//! ```
//!
//! Clients and the observer have different addresses, so that cutting clients off doesn't blind the harness. A second
//! cluster in the same namespace takes another `subnet`: 10.77.1.0/24 and fd77:0:0:1::/64.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// As many as the last number of an IPv4 address leaves room for, rounded down.
pub(crate) const NODES_MAX: usize = 200;

const CLIENTS: u8 = 1;
const OBSERVER: u8 = 2;
const FIRST_NODE: u8 = 11;

/// The addresses of one cluster.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Network {
    pub subnet: u8,
    pub ipv6: bool,
}

impl Network {
    /// Asks the kernel whether new interfaces of the calling thread's network namespace get IPv6.
    pub(crate) fn detect(subnet: u8) -> Network {
        let disabled = std::fs::read_to_string("/proc/sys/net/ipv6/conf/default/disable_ipv6");
        Network {
            subnet,
            ipv6: disabled.is_ok_and(|text| text.trim() == "0"),
        }
    }

    fn ipv4(&self, last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, self.subnet, last)
    }

    /// Written alike: the decimal digits of the IPv4 address' last number, read as hexadecimal.
    fn ipv6(&self, last: u8) -> Option<Ipv6Addr> {
        let (hundreds, tens, ones) = (
            u16::from(last) / 100,
            u16::from(last) / 10 % 10,
            u16::from(last) % 10,
        );
        let last = hundreds << 8 | tens << 4 | ones;
        self.ipv6
            .then(|| Ipv6Addr::new(0xfd77, 0, 0, u16::from(self.subnet), 0, 0, 0, last))
    }

    fn both(&self, last: u8) -> Vec<IpAddr> {
        let ipv6 = self.ipv6(last).map(IpAddr::V6);
        std::iter::once(IpAddr::V4(self.ipv4(last))).chain(ipv6).collect()
    }

    pub(crate) fn clients(&self) -> Vec<IpAddr> {
        self.both(CLIENTS)
    }

    pub(crate) fn observer(&self) -> Vec<IpAddr> {
        self.both(OBSERVER)
    }

    pub(crate) fn node(&self, index: usize) -> (Ipv4Addr, Option<Ipv6Addr>) {
        let last = FIRST_NODE + u8::try_from(index).expect("there are at most NODES_MAX nodes");
        (self.ipv4(last), self.ipv6(last))
    }

    fn bridge(&self) -> String {
        format!("duress{}", self.subnet)
    }

    fn cable(&self, index: usize) -> String {
        format!("{}n{}", self.bridge(), index + 1)
    }

    /// Run in the controller's namespace, with the pid of a process in each node's.
    pub(crate) fn lines_up(&self, pids: &[u32]) -> String {
        let bridge = self.bridge();
        let mut lines = String::new();
        // No spanning tree and no listening: a port forwards as soon as it is up. No snooping: neighbour discovery is
        // multicast, and must not depend on what the bridge has learnt.
        let _ = writeln!(
            lines,
            "link add name {bridge} type bridge forward_delay 0 stp_state 0 mcast_snooping 0"
        );
        for last in [CLIENTS, OBSERVER] {
            let _ = writeln!(lines, "addr add {}/24 dev {bridge}", self.ipv4(last));
            if let Some(address) = self.ipv6(last) {
                // Deprecated, so that a program that binds no address counts as a client; with IPv4 the first address wins anyway.
                let deprecated = if last == OBSERVER { " preferred_lft 0" } else { "" };
                let _ = writeln!(lines, "addr add {address}/64 dev {bridge} nodad{deprecated}");
            }
        }
        let _ = writeln!(lines, "link set {bridge} up");
        for (index, pid) in pids.iter().enumerate() {
            let cable = self.cable(index);
            let _ = writeln!(
                lines,
                "link add name {cable} type veth peer name eth0 netns {pid}"
            );
            let _ = writeln!(lines, "link set {cable} master {bridge} up");
        }
        lines
    }

    /// Run in the controller's namespace. Removing our end of a cable removes the node's.
    pub(crate) fn lines_down(&self, nodes: usize) -> String {
        let mut lines = String::new();
        for index in 0..nodes {
            let _ = writeln!(lines, "link del {}", self.cable(index));
        }
        let _ = writeln!(lines, "link del {}", self.bridge());
        lines
    }

    /// Run in the node's namespace.
    pub(crate) fn lines_node(&self, index: usize) -> String {
        let (ipv4, ipv6) = self.node(index);
        let mut lines = format!("link set lo up\naddr add {ipv4}/24 dev eth0\n");
        if let Some(address) = ipv6 {
            // Nobody else can have it: without the search for duplicates it works at once.
            let _ = writeln!(lines, "addr add {address}/64 dev eth0 nodad");
        }
        lines.push_str("link set eth0 up\n");
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_kinds_look_alike() {
        let network = Network {
            subnet: 0,
            ipv6: true,
        };
        assert_eq!(
            network.clients(),
            ["10.77.0.1".parse::<IpAddr>().unwrap(), "fd77::1".parse().unwrap()]
        );
        assert_eq!(
            network.node(0),
            (Ipv4Addr::new(10, 77, 0, 11), Some("fd77::11".parse().unwrap()))
        );
        assert_eq!(network.node(9).1, Some("fd77::20".parse().unwrap()));
        let second = Network {
            subnet: 3,
            ipv6: true,
        };
        assert_eq!(
            second.node(189),
            (
                Ipv4Addr::new(10, 77, 3, 200),
                Some("fd77:0:0:3::200".parse().unwrap())
            )
        );
    }

    #[test]
    fn no_two_addresses_are_the_same() {
        let network = Network {
            subnet: 0,
            ipv6: true,
        };
        let nodes = (0..NODES_MAX)
            .map(|index| network.node(index))
            .flat_map(|(v4, v6)| [v4.into(), v6.unwrap().into()]);
        let all: Vec<IpAddr> = nodes.chain(network.clients()).chain(network.observer()).collect();
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(all.len(), distinct.len());
    }

    #[test]
    fn names_of_interfaces_fit_the_kernels_15_characters() {
        assert!(
            Network {
                subnet: 255,
                ipv6: false
            }
            .cable(NODES_MAX - 1)
            .len()
                <= 15
        );
    }

    #[test]
    fn without_ipv6_no_line_mentions_it() {
        let network = Network {
            subnet: 0,
            ipv6: false,
        };
        assert_eq!(network.node(0).1, None);
        assert!(!(network.lines_up(&[7]) + &network.lines_node(0)).contains("fd77"));
    }
}
