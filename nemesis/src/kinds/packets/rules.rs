//! The rules that send packets of a link to a queue: scripts for `iptables-restore`, and what is there of them. Pure.
//!
//! ```text
//! *mangle
//! -A INPUT -j DURESS-1f2e3d4c
//! -A DURESS-1f2e3d4c -j DURESS-1f2e3d4c-3
//! -A DURESS-1f2e3d4c-3 -s 10.9.0.2/32 -j NFQUEUE --queue-num 53000 --queue-bypass
//! ```
//!
//! They hook where packets arrive, never where they leave: what a sender's own kernel holds still counts against its socket, and TCP
//! stalls. The table is `mangle`, and the jump its last rule: a packet that is let go from a queue goes on with the next table, so
//! that `filter` still has its say, with the rules of others and those of partitions. All faults of a node share one queue.

use std::net::IpAddr;

use crate::agent::chains::{Family, Names, named, rule, script_to_fill, script_to_remove};

/// The table that the rules are in.
pub const TABLE: &str = "mangle";

/// What is ours in the table.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Present {
    hooks: usize,
    /// Chains of faults, with the packets that their rules met.
    chains: Vec<(String, u64)>,
    /// Faults' chains that are jumped to.
    jumps: Vec<String>,
    /// Rules of faults' chains: chain, and the rest of the line.
    rules: Vec<(String, String)>,
}

impl Present {
    /// Reads the output of `iptables-save -c -t mangle`.
    pub fn parse(names: &Names, saved: &str) -> Present {
        let main = names.main();
        let mut present = Present::default();
        for line in saved.lines() {
            if let Some(chain) = named(line) {
                if names.is_of(chain, None) {
                    present.chains.push((chain.to_owned(), 0));
                }
                continue;
            }
            let Some((chain, what, packets)) = rule(line) else {
                continue;
            };
            if chain == "INPUT" {
                present.hooks += usize::from(what == format!("-j {main}"));
            } else if chain == main {
                present.jumps.extend(what.strip_prefix("-j ").map(str::to_owned));
            } else if names.is_of(chain, None) {
                let of_chain = present.chains.iter_mut().find(|(name, _)| name == chain);
                if let Some((_, sum)) = of_chain.filter(|_| what.contains("-j NFQUEUE")) {
                    *sum += packets.unwrap_or(0);
                }
                present.rules.push((chain.to_owned(), what.to_owned()));
            }
        }
        present
    }

    /// Sends what comes from these addresses to the queue, on behalf of the fault.
    pub fn script_to_queue(
        &self,
        names: &Names,
        family: Family,
        fault: u64,
        sources: &[&IpAddr],
        queue: u16,
    ) -> String {
        let main = names.main();
        let others = self.chains.iter().map(|(other, _)| other.as_str());
        let to_queue = |source| format!("-s {source} -j NFQUEUE --queue-num {queue} --queue-bypass");
        let rules = sources.iter().map(to_queue);
        let mut script = script_to_fill(names, TABLE, family, fault, others, rules);
        if self.hooks == 0 {
            script += &format!("-A INPUT -j {main}\n");
        }
        script + "COMMIT\n"
    }

    /// `None` if there is nothing to remove. Else the script, and how many packets the rules had met.
    pub fn script_to_remove(&self, names: &Names, fault: u64) -> Option<(String, u64)> {
        let chains = self.chains.iter().map(|(chain, _)| chain.as_str());
        let script = script_to_remove(names, TABLE, fault, chains, self.hooks)?;
        let gone = |(chain, _): &&(String, u64)| names.is_of(chain, Some(fault));
        let packets = self.chains.iter().filter(gone).map(|(_, packets)| packets).sum();
        Some((script, packets))
    }

    /// Whether there is a chain of this fault.
    pub fn has(&self, names: &Names, fault: u64) -> bool {
        self.chains
            .iter()
            .any(|(chain, _)| names.is_of(chain, Some(fault)))
    }

    /// What is not there of a fault's rules, in words.
    pub fn missing(&self, names: &Names, fault: u64, sources: &[&IpAddr], queue: u16) -> Vec<String> {
        let (main, chain) = (names.main(), names.of_fault(fault));
        let mut missing = Vec::new();
        if self.hooks == 0 {
            missing.push(format!("the jump from INPUT to {main}"));
        }
        if !self.jumps.contains(&chain) {
            missing.push(format!("the jump from {main} to {chain}"));
        }
        for source in sources {
            let bits = if source.is_ipv4() { 32 } else { 128 };
            let wanted = format!("-s {source}/{bits} -j NFQUEUE --queue-num {queue} --queue-bypass");
            if !self
                .rules
                .iter()
                .any(|(of, what)| *of == chain && *what == wanted)
            {
                missing.push(format!("the rule that queues packets of {source}"));
            }
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::protocol::Mark;

    fn names() -> Names {
        Names {
            mark: Mark::of_seal("1f2e3d4c").expect("a mark"),
            spared: Vec::new(),
        }
    }

    const SAVED: &str = "*mangle\n:INPUT ACCEPT [9:99]\n:DURESS-1f2e3d4c - [0:0]\n:DURESS-1f2e3d4c-3 - [0:0]\n\
        :DURESS-1f2e3d4c-4 - [0:0]\n[1:10] -A INPUT -s 10.0.0.9/32 -j MARK --set-xmark 0x1/0xffffffff\n\
        [7:70] -A INPUT -j DURESS-1f2e3d4c\n[7:70] -A DURESS-1f2e3d4c -j DURESS-1f2e3d4c-3\n\
        [7:70] -A DURESS-1f2e3d4c -j DURESS-1f2e3d4c-4\n\
        [3:30] -A DURESS-1f2e3d4c-3 -s 10.0.0.1/32 -j NFQUEUE --queue-num 53000 --queue-bypass\n\
        [4:40] -A DURESS-1f2e3d4c-4 -s 10.0.0.1/32 -j NFQUEUE --queue-num 53000 --queue-bypass\nCOMMIT\n";

    fn missing(saved: &str, queue: u16) -> Vec<String> {
        let source = IpAddr::from([10, 0, 0, 1]);
        Present::parse(&names(), saved).missing(&names(), 3, &[&source], queue)
    }

    #[test]
    fn each_part_that_is_gone_is_named() {
        assert_eq!(missing(SAVED, 53000), [""; 0]);
        assert_eq!(
            missing(SAVED, 53001),
            ["the rule that queues packets of 10.0.0.1"]
        );
        for (gone, said) in [
            (
                "[7:70] -A INPUT -j DURESS-1f2e3d4c\n",
                "the jump from INPUT to DURESS-1f2e3d4c",
            ),
            (
                "[7:70] -A DURESS-1f2e3d4c -j DURESS-1f2e3d4c-3\n",
                "the jump from DURESS-1f2e3d4c to DURESS-1f2e3d4c-3",
            ),
        ] {
            assert!(SAVED.contains(gone));
            assert_eq!(missing(&SAVED.replace(gone, ""), 53000), [said]);
        }
    }

    #[test]
    fn healing_one_leaves_the_other_and_healing_the_last_leaves_nothing() {
        let (script, packets) = Present::parse(&names(), SAVED)
            .script_to_remove(&names(), 3)
            .unwrap();
        assert_eq!(
            script,
            "*mangle\n:DURESS-1f2e3d4c - [0:0]\n-F DURESS-1f2e3d4c-3\n-X DURESS-1f2e3d4c-3\n\
             -A DURESS-1f2e3d4c -j DURESS-1f2e3d4c-4\nCOMMIT\n"
        );
        assert_eq!(packets, 3);
        let alone: Vec<&str> = SAVED.lines().filter(|line| !line.contains("c-4")).collect();
        let (script, _) = Present::parse(&names(), &alone.join("\n"))
            .script_to_remove(&names(), 3)
            .unwrap();
        assert!(
            script.ends_with("-D INPUT -j DURESS-1f2e3d4c\n-X DURESS-1f2e3d4c\nCOMMIT\n"),
            "{script}"
        );
        assert_eq!(
            Present::parse(&names(), SAVED).script_to_remove(&names(), 5),
            None
        );
    }

    #[test]
    fn the_jump_comes_after_the_rules_of_others() {
        let source = IpAddr::from([10, 0, 0, 1]);
        let none = Present::parse(&names(), "");
        let script = none.script_to_queue(&names(), Family::V4, 1, &[&source], 53007);
        assert_eq!(
            script,
            "*mangle\n:DURESS-1f2e3d4c - [0:0]\n:DURESS-1f2e3d4c-1 - [0:0]\n\
             -A DURESS-1f2e3d4c-1 -s 10.0.0.1 -j NFQUEUE --queue-num 53007 --queue-bypass\n\
             -A DURESS-1f2e3d4c -j DURESS-1f2e3d4c-1\n-A INPUT -j DURESS-1f2e3d4c\nCOMMIT\n"
        );
    }
}
