//! What a partition needs of a machine: the packet filter of a network namespace, for each family of addresses.

use std::path::Path;

use duress_cluster::doctor::{Found, Requirement, output_of};

const FIX: &str = "install the package iptables, and see that the kernel has nf_tables or ip_tables";

/// For IPv4.
pub static IPTABLES: Requirement = Requirement {
    name: "iptables",
    probe: || {
        drop_in_a_chain(
            ["iptables", "iptables-legacy", "iptables-nft"],
            "192.0.2.1", // TEST-NET-1 of RFC 5737
        )
    },
    fix: FIX,
};

/// For IPv6, where the kernel has that.
pub static IP6TABLES: Requirement = Requirement {
    name: "ip6tables",
    probe: || {
        if !Path::new("/proc/sys/net/ipv6").exists() {
            return Ok("this kernel has no IPv6, so nothing needs it".to_owned());
        }
        drop_in_a_chain(
            ["ip6tables", "ip6tables-legacy", "ip6tables-nft"],
            "2001:db8::1", // RFC 3849
        )
    },
    fix: FIX,
};

/// Tries the ways to the kernel's packet filter one after the other, as a partition would use them.
fn drop_in_a_chain(programs: [&str; 3], address: &str) -> Found {
    let mut failures = Vec::new();
    for program in programs {
        let steps = [
            vec!["-w", "-N", "duress-doctor"],
            vec!["-w", "-A", "duress-doctor", "-s", address, "-j", "DROP"],
            vec!["-w", "-I", "INPUT", "-j", "duress-doctor"],
        ];
        let mut tried = steps.iter().map(|arguments| output_of(program, arguments));
        match tried.try_for_each(|step| step.map(drop)) {
            Ok(()) => return output_of(program, &["--version"]),
            Err(why) => failures.push(format!("{program}: {why}")),
        }
    }
    Err(failures.join("; "))
}
