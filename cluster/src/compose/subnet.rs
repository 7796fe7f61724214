//! IPv4 subnets: which are free, and which addresses in them nodes get.
//!
//! A container that restarts while others are down may get another address than it had, unless its address is fixed;
//! and an address can be fixed only in a network whose subnet is fixed. So Duress picks both where the user did not.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// An IPv4 subnet, e.g. `10.211.7.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    base: u32,
    prefix: u8,
}

impl Subnet {
    /// The subnet that has this address in it.
    pub fn new(address: Ipv4Addr, prefix: u8) -> Self {
        let prefix = prefix.min(32);
        Subnet {
            base: u32::from(address) & mask(prefix),
            prefix,
        }
    }

    /// Whether some address is in both.
    pub fn overlaps(&self, other: &Subnet) -> bool {
        let shorter = mask(self.prefix.min(other.prefix));
        self.base & shorter == other.base & shorter
    }

    /// The addresses that hosts may have, the highest first: engines hand out addresses from the low end.
    pub fn hosts_from_the_top(&self) -> impl Iterator<Item = Ipv4Addr> + use<> {
        let first = self.base.saturating_add(1);
        let last = self.base | !mask(self.prefix);
        (first..last).rev().map(Ipv4Addr::from)
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.base), self.prefix)
    }
}

impl FromStr for Subnet {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, prefix) = text.split_once('/').ok_or(())?;
        let prefix = prefix.parse().ok().filter(|prefix| *prefix <= 32).ok_or(())?;
        Ok(Subnet::new(address.parse().map_err(|_| ())?, prefix))
    }
}

/// Where Duress looks for free subnets: the upper part of 10/8, away from the engine's own pools.
const FIRST: u32 = u32::from_be_bytes([10, 192, 0, 0]);
/// How many /24 there are from [`FIRST`] to the end of 10/8.
const COUNT: u32 = 64 * 256;

/// A /24 that overlaps none of `taken`. Where the search begins depends on `start`, so that runs that begin at the same
/// time seldom choose the same one.
pub fn free(taken: &[Subnet], start: u32) -> Option<Subnet> {
    (0..COUNT)
        .map(|step| Subnet {
            base: FIRST + (start % COUNT + step) % COUNT * 256,
            prefix: 24,
        })
        .find(|candidate| !taken.iter().any(|other| other.overlaps(candidate)))
}

/// Destinations in the kernel's routing table (`/proc/net/route`), the default route left out.
pub fn routed(table: &str) -> Vec<Subnet> {
    let subnet = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let destination = u32::from_str_radix(fields.next()?, 16).ok()?.swap_bytes();
        let mask = u32::from_str_radix(fields.nth(5)?, 16).ok()?;
        (mask != 0).then(|| Subnet::new(destination.into(), mask.count_ones() as u8))
    };
    table.lines().skip(1).filter_map(subnet).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().expect("a subnet")
    }

    #[test]
    fn subnets_overlap_when_one_holds_the_other() {
        assert!(subnet("10.0.0.0/8").overlaps(&subnet("10.211.7.0/24")));
        assert!(subnet("10.211.7.0/24").overlaps(&subnet("0.0.0.0/0")));
        assert!(!subnet("10.211.7.0/24").overlaps(&subnet("10.211.8.0/24")));
        assert_eq!(subnet("10.211.7.9/24").to_string(), "10.211.7.0/24");
        assert!("10.0.0.0/33".parse::<Subnet>().is_err());
        assert!("fd00::/64".parse::<Subnet>().is_err());
    }

    #[test]
    fn hosts_leave_out_the_network_and_broadcast_addresses() {
        let hosts: Vec<String> = subnet("10.0.0.0/29")
            .hosts_from_the_top()
            .map(|host| host.to_string())
            .collect();
        assert_eq!(
            hosts,
            [
                "10.0.0.6", "10.0.0.5", "10.0.0.4", "10.0.0.3", "10.0.0.2", "10.0.0.1"
            ]
        );
        assert_eq!(subnet("10.0.0.0/32").hosts_from_the_top().count(), 0);
    }

    #[test]
    fn a_free_subnet_overlaps_nothing_that_is_taken() {
        let mut taken = vec![subnet("10.192.0.0/16")];
        for start in [0, 0, 17, COUNT + 17, COUNT - 1] {
            let found = free(&taken, start).expect("most are free");
            assert!(
                !taken.iter().any(|other| other.overlaps(&found)),
                "{found} of {taken:?}"
            );
            taken.push(found);
        }
        assert_eq!(free(&[subnet("10.0.0.0/8")], 3), None);
    }

    #[test]
    fn the_routing_table_is_read() {
        let table = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
                     eth0\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                     br-1\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n";
        assert_eq!(routed(table), [subnet("172.17.0.0/16")]);
    }
}
