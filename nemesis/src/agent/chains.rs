//! What is Duress' own in a filter table, and the scripts that change it. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::protocol::Mark;

/// What the names of all chains begin with.
const PREFIX: &str = "DURESS";

/// Names of chains have 28 characters at most; prefix, mark and dashes take 16.
pub const FAULT_MAX: u64 = 999_999_999_999;

/// The table that packets are dropped in.
pub const TABLE: &str = "filter";

/// An address family, which has tables of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both.
    pub const ALL: [Family; 2] = [Family::V4, Family::V6];

    /// True for addresses of this family.
    pub fn has(self, address: &IpAddr) -> bool {
        address.is_ipv4() == (self == Family::V4)
    }

    /// Those of this family.
    pub fn of(self, addresses: &[IpAddr]) -> Vec<&IpAddr> {
        addresses.iter().filter(|address| self.has(address)).collect()
    }
}

/// What the chains of a run are called.
#[derive(Clone, Debug)]
pub struct Names {
    pub mark: Mark,
    /// Ports of TCP whose packets no rule meets, from or to them: by these the agent itself is reached.
    pub spared: Vec<u16>,
}

impl Names {
    /// The chain that INPUT jumps to first. Chains of faults are named after it.
    pub fn main(&self) -> String {
        format!("{PREFIX}-{}", self.mark.as_str())
    }

    pub fn of_fault(&self, fault: u64) -> String {
        format!("{}-{fault}", self.main())
    }

    /// True for the chain of this fault, or of any where none is given: the run's chain, a dash, a number. Anything else is
    /// another's, however alike.
    pub fn is_of(&self, chain: &str, fault: Option<u64>) -> bool {
        let number = chain
            .strip_prefix(&self.main())
            .and_then(|rest| rest.strip_prefix('-'))
            .and_then(|number| number.parse::<u64>().ok());
        number
            .is_some_and(|number| chain == self.of_fault(number) && fault.is_none_or(|fault| fault == number))
    }
}

/// The beginning of a script for `iptables-restore`: fills the chain of a fault with these rules, and jumps to it after those
/// of the `others`.
pub fn script_to_fill<'a>(
    names: &Names,
    table: &str,
    family: Family,
    fault: u64,
    others: impl Iterator<Item = &'a str>,
    rules: impl Iterator<Item = String>,
) -> String {
    let (main, chain) = (names.main(), names.of_fault(fault));
    // Naming a chain with a colon makes it, and empties it if it is there. Those of other faults aren't named, so
    // their rules and counters stay.
    let mut script = format!("*{table}\n:{main} - [0:0]\n:{chain} - [0:0]\n");
    if family == Family::V6 {
        // Neighbour discovery is to IPv6 what ARP is to IPv4, but it passes the filter: without these, a link that
        // is cut one way would soon be cut the other way as well.
        for kind in ["neighbour-solicitation", "neighbour-advertisement"] {
            script += &format!("-A {chain} -p ipv6-icmp -m icmp6 --icmpv6-type {kind} -j RETURN\n");
        }
    }
    for port in &names.spared {
        for end in ["--sport", "--dport"] {
            script += &format!("-A {chain} -p tcp -m tcp {end} {port} -j RETURN\n");
        }
    }
    for rule in rules {
        script += &format!("-A {chain} {rule}\n");
    }
    for other in others.filter(|other| *other != chain) {
        script += &format!("-A {main} -j {other}\n");
    }
    script + &format!("-A {main} -j {chain}\n")
}

/// The script that removes the chain of a fault, if it is among the `chains`; with the last one goes what INPUT jumps to, and
/// its `hooks` jumps.
pub fn script_to_remove<'a>(
    names: &Names,
    table: &str,
    fault: u64,
    chains: impl Iterator<Item = &'a str>,
    hooks: usize,
) -> Option<String> {
    let main = names.main();
    let (gone, stay): (Vec<&str>, Vec<&str>) = chains.partition(|chain| names.is_of(chain, Some(fault)));
    if gone.is_empty() {
        return None;
    }
    let mut script = format!("*{table}\n:{main} - [0:0]\n");
    for chain in &gone {
        script += &format!("-F {chain}\n-X {chain}\n");
    }
    for chain in &stay {
        script += &format!("-A {main} -j {chain}\n");
    }
    if stay.is_empty() {
        script += &format!("-D INPUT -j {main}\n").repeat(hooks);
        script += &format!("-X {main}\n");
    }
    Some(script + "COMMIT\n")
}

/// The chain that a line of `iptables-save` names: `:CHAIN - [0:0]`.
pub fn named(line: &str) -> Option<&str> {
    line.strip_prefix(':')?.split_ascii_whitespace().next()
}

/// `[7:70] -A CHAIN WHAT`: the chain, what it does, and how many packets it met.
pub fn rule(line: &str) -> Option<(&str, &str, Option<u64>)> {
    let (counters, rule) = line.strip_prefix('[')?.split_once("] -A ")?;
    let (chain, what) = rule.split_once(' ').unwrap_or((rule, ""));
    let packets = counters.split_once(':');
    Some((chain, what, packets.and_then(|(packets, _)| packets.parse().ok())))
}

/// What is ours in a filter table.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Present {
    /// The chain that INPUT jumps to exists.
    main: bool,
    /// INPUT's jumps to it.
    hooks: usize,
    /// It is INPUT's first rule.
    first: bool,
    /// Chains of faults.
    chains: Vec<String>,
    /// Packets dropped, by chain.
    pub dropped: BTreeMap<String, u64>,
}

impl Present {
    /// Reads the output of `iptables-save -c -t filter`.
    pub fn parse(names: &Names, saved: &str) -> Present {
        let main = names.main();
        let mut present = Present::default();
        let mut input_rules = 0;
        for line in saved.lines() {
            if let Some(chain) = named(line) {
                present.main |= chain == main;
                if names.is_of(chain, None) {
                    present.chains.push(chain.to_owned());
                }
                continue;
            }
            let Some((chain, what, packets)) = rule(line) else {
                continue;
            };
            if chain == "INPUT" {
                if what == format!("-j {main}") {
                    present.hooks += 1;
                    present.first |= input_rules == 0;
                }
                input_rules += 1;
            } else if names.is_of(chain, None) && what.ends_with("-j DROP") {
                *present.dropped.entry(chain.to_owned()).or_default() += packets.unwrap_or(0);
            }
        }
        present
    }

    pub fn script_to_drop(&self, names: &Names, family: Family, fault: u64, sources: &[&IpAddr]) -> String {
        let rules = sources.iter().map(|source| format!("-s {source} -j DROP"));
        self.script_to_fill(names, family, fault, rules)
    }

    /// Fills the chain of a fault with these rules.
    pub fn script_to_fill(
        &self,
        names: &Names,
        family: Family,
        fault: u64,
        rules: impl Iterator<Item = String>,
    ) -> String {
        let main = names.main();
        let others = self.chains.iter().map(String::as_str);
        let mut script = script_to_fill(names, TABLE, family, fault, others, rules);
        if !self.first {
            script += &format!("-D INPUT -j {main}\n").repeat(self.hooks);
            script += &format!("-I INPUT 1 -j {main}\n");
        }
        script + "COMMIT\n"
    }

    /// Whether there is a chain of this fault.
    pub fn has(&self, names: &Names, fault: u64) -> bool {
        let mut chains = self.chains.iter();
        chains.any(|chain| names.is_of(chain, Some(fault)))
    }

    /// `None` if there is nothing to remove.
    pub fn script_to_remove(&self, names: &Names, fault: u64) -> Option<String> {
        let chains = self.chains.iter().map(String::as_str);
        script_to_remove(names, TABLE, fault, chains, self.hooks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let mark = Mark::of_seal("1f2e3d4c00").expect("a mark");
        Names {
            mark,
            spared: Vec::new(),
        }
    }

    #[test]
    fn what_the_agent_is_reached_by_is_spared_before_anything_is_dropped() {
        let names = Names {
            spared: vec![22],
            ..names()
        };
        let source = IpAddr::from([10, 0, 0, 1]);
        let script = Present::default().script_to_drop(&names, Family::V4, 1, &[&source]);
        let chain = "-A DURESS-1f2e3d4c-1";
        let wanted = format!(
            "{chain} -p tcp -m tcp --sport 22 -j RETURN\n{chain} -p tcp -m tcp --dport 22 -j RETURN\n{chain} -s 10.0.0.1 -j DROP\n"
        );
        assert!(script.contains(&wanted), "{script}");
    }

    const SAVED: &str = "*filter\n:INPUT ACCEPT [9:99]\n:DURESS-1f2e3d4c - [0:0]\n:DURESS-1f2e3d4c-1 - [0:0]\n\
        :DURESS-1f2e3d4c-12 - [0:0]\n:DURESS-1f2e3d4c-OWN - [0:0]\n:DURESS-1 - [0:0]\n:DURESS - [0:0]\n\
        :DURESS-00000000-1 - [0:0]\n:DURESS-1f2e3d4c-01 - [0:0]\n[7:70] -A INPUT -j DURESS-1f2e3d4c\n\
        [1:10] -A INPUT -s 10.0.0.9/32 -j DROP\n[0:0] -A DURESS-1f2e3d4c -j DURESS-1f2e3d4c-1\n\
        [0:0] -A DURESS-1f2e3d4c -j DURESS-1f2e3d4c-12\n[3:30] -A DURESS-1f2e3d4c-1 -s 10.0.0.1/32 -j DROP\n\
        [4:40] -A DURESS-1f2e3d4c-1 -s 10.0.0.2/32 -j DROP\n[5:50] -A DURESS-1f2e3d4c-12 -s 10.0.0.3/32 -j DROP\n\
        [6:60] -A DURESS-1f2e3d4c-OWN -j DROP\n[8:80] -A DURESS-1 -j DROP\nCOMMIT\n";

    #[test]
    fn only_what_is_ours_is_seen() {
        let present = Present::parse(&names(), SAVED);
        assert_eq!(present.chains, ["DURESS-1f2e3d4c-1", "DURESS-1f2e3d4c-12"]);
        assert_eq!((present.main, present.hooks, present.first), (true, 1, true));
        assert_eq!(
            present.dropped,
            BTreeMap::from([("DURESS-1f2e3d4c-1".into(), 7), ("DURESS-1f2e3d4c-12".into(), 5)])
        );
    }

    #[test]
    fn removing_one_fault_leaves_the_other() {
        let script = Present::parse(&names(), SAVED)
            .script_to_remove(&names(), 1)
            .unwrap();
        assert_eq!(
            script,
            "*filter\n:DURESS-1f2e3d4c - [0:0]\n-F DURESS-1f2e3d4c-1\n-X DURESS-1f2e3d4c-1\n\
             -A DURESS-1f2e3d4c -j DURESS-1f2e3d4c-12\nCOMMIT\n"
        );
        assert_eq!(
            Present::parse(&names(), SAVED).script_to_remove(&names(), 2),
            None
        );
    }

    #[test]
    fn removing_the_last_unhooks() {
        let saved = "*filter\n:INPUT ACCEPT [9:99]\n:DURESS-1f2e3d4c - [0:0]\n:DURESS-1f2e3d4c-12 - [0:0]\n\
            [7:70] -A INPUT -j DURESS-1f2e3d4c\n[0:0] -A DURESS-1f2e3d4c -j DURESS-1f2e3d4c-12\nCOMMIT\n";
        let script = Present::parse(&names(), saved)
            .script_to_remove(&names(), 12)
            .unwrap();
        assert!(
            script.contains("-D INPUT -j DURESS-1f2e3d4c\n-X DURESS-1f2e3d4c\n"),
            "{script}"
        );
        assert_eq!(
            Present::parse(&names(), "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n").script_to_remove(&names(), 12),
            None
        );
    }

    #[test]
    fn a_hook_that_is_not_first_is_moved() {
        let saved = "[0:0] -A INPUT -j ACCEPT\n[0:0] -A INPUT -j DURESS-1f2e3d4c\n";
        let source = IpAddr::from([10, 0, 0, 1]);
        let script = Present::parse(&names(), saved).script_to_drop(&names(), Family::V4, 1, &[&source]);
        assert!(
            script.contains("-D INPUT -j DURESS-1f2e3d4c\n-I INPUT 1 -j DURESS-1f2e3d4c\n"),
            "{script}"
        );
    }
}
