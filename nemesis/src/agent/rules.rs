//! What is really there of a fault's rules, by the packet filter's own words.
//!
//! ```text
//! [7:70] -A INPUT -j DURESS
//! [7:70] -A DURESS -j DURESS-3
//! [7:70] -A DURESS-3 -s 10.9.0.2/32 -j DROP
//! ```
//!
//! A rule is in force if each of these three lines is there, and the first one is the first of its chain: whatever stands
//! before it may let packets through. The counters tell how many packets each source lost.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::chains::rule;

/// The rules of one fault in one filter table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Parts that are not there, in words.
    pub missing: Vec<String>,
    /// Packets dropped, by source. Sources without a rule are missing.
    pub dropped: BTreeMap<IpAddr, u64>,
}

/// Looks for the rules that drop packets of these sources in the output of `iptables-save -c -t filter`. `main` is the
/// chain that INPUT jumps to, `chain` the one of the fault.
pub fn look(saved: &str, main: &str, chain: &str, sources: &[&IpAddr]) -> Seen {
    let counted = |(of, what, packets): (_, _, Option<u64>)| Some((of, what, packets?));
    let rules = saved.lines().filter_map(rule).filter_map(counted);
    let (mut input_rules, mut hooked, mut jump) = (0, None, false);
    let mut seen = Seen::default();
    for (of, what, packets) in rules {
        if of == "INPUT" {
            if what == format!("-j {main}") {
                hooked.get_or_insert(input_rules);
            }
            input_rules += 1;
        } else if of == main {
            jump |= what == format!("-j {chain}");
        } else if of == chain
            && let Some(source) = dropped_source(what)
        {
            *seen.dropped.entry(source).or_default() += packets;
        }
    }
    match hooked {
        None => seen.missing.push(format!("the jump from INPUT to {main}")),
        Some(0) => {}
        Some(before) => seen
            .missing
            .push(format!("{before} rules of INPUT stand before the jump to {main}")),
    }
    if !jump {
        seen.missing.push(format!("the jump from {main} to {chain}"));
    }
    for source in sources {
        if !seen.dropped.contains_key(*source) {
            seen.missing
                .push(format!("the rule that drops packets of {source}"));
        }
    }
    seen
}

/// The chain of one fault in one filter table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChainSeen {
    /// Parts that are not there, in words.
    pub missing: Vec<String>,
    /// Packets dropped.
    pub dropped: u64,
}

/// Looks for so many rules that drop in the chain of a fault, whatever else they say.
pub fn look_at_chain(saved: &str, main: &str, chain: &str, rules: usize) -> ChainSeen {
    let mut seen = ChainSeen {
        missing: look(saved, main, chain, &[]).missing,
        dropped: 0,
    };
    let (mut count, of_chain) = (0, |(of, ..): &(&str, _, _)| *of == chain);
    for (_, what, packets) in saved.lines().filter_map(rule).filter(of_chain) {
        if what.ends_with("-j DROP") {
            count += 1;
            seen.dropped += packets.unwrap_or(0);
        }
    }
    if count < rules {
        let gone = rules - count;
        seen.missing.push(format!("{gone} of {rules} rules that drop"));
    }
    seen
}

/// The address in `-s 10.9.0.2/32 -j DROP`.
fn dropped_source(what: &str) -> Option<IpAddr> {
    let source = what.strip_prefix("-s ")?.strip_suffix(" -j DROP")?;
    source
        .split_once('/')
        .map_or(source, |(address, _)| address)
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAVED: &str = "*filter\n:INPUT ACCEPT [9:99]\n:DURESS - [0:0]\n:DURESS-3 - [0:0]\n\
        [7:70] -A INPUT -j DURESS\n[1:10] -A INPUT -s 10.0.0.9/32 -j DROP\n[7:70] -A DURESS -j DURESS-3\n\
        [3:30] -A DURESS-3 -s 10.0.0.1/32 -j DROP\n[4:40] -A DURESS-3 -s 10.0.0.2/32 -j DROP\nCOMMIT\n";

    fn missing(saved: &str) -> Vec<String> {
        let sources = [IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2])];
        look(saved, "DURESS", "DURESS-3", &sources.each_ref()).missing
    }

    #[test]
    fn what_is_there_is_seen_with_its_counters() {
        let source = IpAddr::from([10, 0, 0, 2]);
        let seen = look(SAVED, "DURESS", "DURESS-3", &[&source]);
        assert_eq!(seen.missing, [""; 0]);
        assert_eq!(seen.dropped[&source], 4);
    }

    #[test]
    fn each_part_that_is_gone_is_named() {
        assert_eq!(missing(SAVED), [""; 0]);
        for (gone, said) in [
            ("[7:70] -A INPUT -j DURESS\n", "the jump from INPUT to DURESS"),
            (
                "[7:70] -A DURESS -j DURESS-3\n",
                "the jump from DURESS to DURESS-3",
            ),
            (
                "[4:40] -A DURESS-3 -s 10.0.0.2/32 -j DROP\n",
                "the rule that drops packets of 10.0.0.2",
            ),
        ] {
            assert!(SAVED.contains(gone));
            assert_eq!(missing(&SAVED.replace(gone, "")), [said]);
        }
        let passed_by = SAVED.replace("[7:70] -A INPUT", "[9:90] -A INPUT -j ACCEPT\n[7:70] -A INPUT");
        assert_eq!(
            missing(&passed_by),
            ["1 rules of INPUT stand before the jump to DURESS"]
        );
        assert_eq!(missing("*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n").len(), 4);
    }

    #[test]
    fn rules_of_a_chain_are_counted() {
        let seen = |rules| look_at_chain(SAVED, "DURESS", "DURESS-3", rules);
        assert_eq!((seen(2).missing, seen(2).dropped), (vec![], 7));
        assert_eq!(seen(3).missing, ["1 of 3 rules that drop"]);
        assert_eq!(look_at_chain("", "DURESS", "DURESS-3", 1).missing.len(), 3);
    }
}
