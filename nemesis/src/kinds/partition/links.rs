//! What probes and counters say of a partition: pure.
//!
//! A partition is proven by packets: every link that it cuts is silent, all others are heard. It hurt somebody if both ends of
//! at least one of its links could have used it, and if its rules dropped packets of the system itself and not only probes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::{Value, json};

use super::order::RulesSeen;
use crate::agent::protocol::{Link, Reachability};
use crate::life::technique::StepOutcome;

/// Directed links, `(from, to)`, by the names of the points that were probed.
pub type Links = BTreeSet<(String, String)>;

/// The counters of a partition's rules, over all looks at them.
#[derive(Debug, Default)]
pub struct Counters {
    /// By node, inode of its network namespace, and source: packets dropped, and how many of them were probes.
    rules: BTreeMap<(String, u64, IpAddr), (u64, u64)>,
}

impl Counters {
    /// Takes what was seen at the nodes that the rules are meant to be at. Fails when they are not, or not any more, in
    /// force there: a counter that goes back belongs to a rule that was taken away and put back.
    pub fn add(&mut self, nodes: &[String], seen: &[RulesSeen]) -> Result<(), String> {
        let mut lost = Vec::new();
        for node in nodes {
            if !seen.iter().any(|rules| rules.node == *node) {
                lost.push(format!("{node}: no rule of this fault is remembered"));
            }
        }
        for rules in seen {
            lost.extend(
                rules
                    .missing
                    .iter()
                    .map(|part| format!("{}: {part} is gone", rules.node)),
            );
            for dropped in &rules.dropped {
                let rule = (rules.node.clone(), rules.net, dropped.from);
                let before = self.rules.insert(rule, (dropped.packets, dropped.probes));
                if let Some((packets, _)) = before.filter(|(packets, _)| *packets > dropped.packets) {
                    lost.push(format!(
                        "{}: the counter for {} went back from {packets} to {}",
                        rules.node, dropped.from, dropped.packets
                    ));
                }
            }
        }
        if lost.is_empty() {
            Ok(())
        } else {
            Err(format!(
                "the rules were not in force all the time: {}",
                lost.join("; ")
            ))
        }
    }

    /// Packets of the system, and probes.
    pub fn dropped(&self) -> (u64, u64) {
        let all = self.rules.values();
        all.fold((0, 0), |(system, probes), (packets, ours)| {
            (system + packets.saturating_sub(*ours), probes + ours.min(packets))
        })
    }

    /// `{"n1": {"10.9.0.2": {"packets": 20, "probes": 8}}}`.
    fn to_json(&self) -> Value {
        let mut nodes: BTreeMap<&str, BTreeMap<String, Value>> = BTreeMap::new();
        for ((node, _, from), (packets, probes)) in &self.rules {
            let rule = json!({"packets": packets, "probes": probes});
            nodes.entry(node).or_default().insert(from.to_string(), rule);
        }
        json!(nodes)
    }
}

/// As `from>to`.
pub fn pairs(links: &Links) -> Vec<String> {
    links.iter().map(|(from, to)| format!("{from}>{to}")).collect()
}

fn name(link: &Link) -> String {
    format!("{}>{}/{}", link.from, link.to, link.family)
}

fn named<'a>(links: impl Iterator<Item = &'a Link>) -> Vec<String> {
    links.map(name).collect()
}

fn matrix(seen: &Reachability) -> Value {
    json!({
        "heard": named(seen.links.iter().filter(|link| link.heard > 0)),
        "silent": named(seen.links.iter().filter(|link| link.heard == 0)),
        "unprobed": seen.unprobed,
        "micros": seen.micros,
    })
}

/// Links that should be open, by all that is in force, and are silent.
fn lost(seen: &Reachability) -> Vec<String> {
    named(seen.links.iter().filter(|link| !link.cut && link.heard == 0))
}

/// What the probes say of a partition: every link that it cuts is silent, and no other but those of other faults. At least
/// one of its links must be one that both ends could have used: `able` has the points that could.
pub fn judge_cut(seen: &Reachability, links: &Links, able: &BTreeSet<String>) -> StepOutcome {
    let probed = match silent(seen, links) {
        Ok(probed) => probed,
        Err(why) => return StepOutcome::indeterminate(why, matrix(seen)),
    };
    let useless = |(from, to): &&(String, String)| !(able.contains(from) && able.contains(to));
    let unused: Vec<String> = probed
        .iter()
        .filter(useless)
        .map(|(from, to)| format!("{from}>{to}"))
        .collect();
    if unused.len() == probed.len() {
        let why = format!(
            "nobody was hurt: none of its links could have been used, since no process runs at one end: {}",
            unused.join(", ")
        );
        return StepOutcome::indeterminate(why, matrix(seen));
    }
    let unused = match unused.as_slice() {
        [] => String::new(),
        unused => format!("; nobody could have used {}", unused.join(", ")),
    };
    let detail = format!(
        "{} of {} directed links are cut, all others are heard{unused}{}",
        probed.len(),
        links.len(),
        gaps(seen, links, &probed)
    );
    StepOutcome::installed(detail, matrix(seen))
}

/// What the probes and the rules' counters say of a partition right before it is healed.
pub fn judge_still_cut(seen: &Reachability, links: &Links, counters: &Counters) -> StepOutcome {
    let mut evidence = matrix(seen);
    evidence["dropped"] = counters.to_json();
    let probed = match silent(seen, links) {
        Ok(probed) => probed,
        Err(why) => return StepOutcome::indeterminate(why, evidence),
    };
    let (system, probes) = counters.dropped();
    if system == 0 {
        let why =
            format!("nobody was hurt: the rules dropped {probes} probes, and not one packet of the system");
        return StepOutcome::indeterminate(why, evidence);
    }
    let detail = format!(
        "{} of {} directed links are still cut; the rules dropped {system} packets of the system and {probes} probes{}",
        probed.len(),
        links.len(),
        gaps(seen, links, &probed)
    );
    StepOutcome::installed(detail, evidence)
}

/// The links of a partition that were probed, if each of them is silent and no other is but those of other faults.
fn silent(seen: &Reachability, links: &Links) -> Result<Links, String> {
    let mine = |link: &&Link| links.contains(&(link.from.clone(), link.to.clone()));
    let probed: Links = seen
        .links
        .iter()
        .filter(mine)
        .map(|link| (link.from.clone(), link.to.clone()))
        .collect();
    let leaks = named(seen.links.iter().filter(mine).filter(|link| link.heard > 0));
    let unsent = named(seen.links.iter().filter(mine).filter(|link| link.sent == 0));
    if !leaks.is_empty() {
        let leaks = leaks.join(", ");
        return Err(format!(
            "these links are meant to be cut, and were heard: {leaks}"
        ));
    }
    if probed.is_empty() {
        return Err(format!(
            "none of its links could be probed: {}",
            reasons(&seen.unprobed)
        ));
    }
    if !unsent.is_empty() {
        let unsent = unsent.join(", ");
        return Err(format!("silence proves nothing where nothing was sent: {unsent}"));
    }
    let lost = lost(seen);
    if !lost.is_empty() {
        let lost = lost.join(", ");
        return Err(format!("no fault cuts these links, and they are silent: {lost}"));
    }
    Ok(probed)
}

/// Links that could not be probed, for the end of a sentence.
fn gaps(seen: &Reachability, links: &Links, probed: &Links) -> String {
    let unprobed = pairs(&links.difference(probed).cloned().collect());
    if unprobed.is_empty() {
        String::new()
    } else {
        format!(
            "; not probed: {} ({})",
            unprobed.join(", "),
            reasons(&seen.unprobed)
        )
    }
}

/// What the probes say once it is healed: all is heard but what other faults cut.
pub fn judge_healed(seen: &Reachability, links: &Links) -> StepOutcome {
    let lost = lost(seen);
    if seen.links.is_empty() && !links.is_empty() {
        return StepOutcome::indeterminate(
            format!("no link could be probed: {}", reasons(&seen.unprobed)),
            matrix(seen),
        );
    }
    if lost.is_empty() {
        return StepOutcome::installed("every link is heard that no other fault cuts", matrix(seen));
    }
    StepOutcome::indeterminate(format!("still silent: {}", lost.join(", ")), matrix(seen))
}

/// Why points could not be probed.
pub fn reasons(unprobed: &[(String, String)]) -> String {
    let said = unprobed.iter().map(|(point, why)| format!("{point}: {why}"));
    let all: Vec<String> = said.collect();
    if all.is_empty() {
        "the nodes are not there".to_owned()
    } else {
        all.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use duress_checker::history::StepResult;

    use super::*;
    use crate::kinds::partition::order::DroppedFrom;

    /// `a>b` heard; `a-b` silent and meant to be; `a!b` silent and not meant to be; `a~b` heard though meant to be cut.
    fn seen(text: &str) -> Reachability {
        let links = text
            .split(' ')
            .map(|link| {
                let sign = link.as_bytes()[1];
                Link {
                    from: link[..1].to_owned(),
                    to: link[2..].to_owned(),
                    family: 4,
                    cut: matches!(sign, b'-' | b'~'),
                    sent: 8,
                    heard: if matches!(sign, b'>' | b'~') { 8 } else { 0 },
                }
            })
            .collect();
        Reachability {
            links,
            ..Reachability::default()
        }
    }

    fn cut(text: &str) -> Links {
        text.split(' ')
            .map(|link| (link[..1].to_owned(), link[2..].to_owned()))
            .collect()
    }

    fn able(text: &str) -> BTreeSet<String> {
        text.chars().map(String::from).collect()
    }

    #[test]
    fn only_what_was_seen_is_installed() {
        use StepResult::{Indeterminate, Installed};
        for (matrix, links, result, said) in [
            ("a-b b-a a>c c>a", "a-b b-a", Installed, "2 of 2"),
            ("a-b b~a a>c c>a", "a-b b-a", Indeterminate, "b>a/4"),
            ("a-b b-a a!c c>a", "a-b b-a", Indeterminate, "a>c/4"),
            ("a-b b>a a-c c>a", "a-b", Installed, "1 of 1"),
            ("a-b b>a", "a-b a-c", Installed, "not probed: a>c"),
            ("a>b b>a", "a-c", Indeterminate, "none of its links"),
            ("a>b b>a", "a-b", Indeterminate, "were heard: a>b/4"),
        ] {
            let outcome = judge_cut(&seen(matrix), &cut(links), &able("abc"));
            assert_eq!(outcome.result, result, "{matrix} / {links}: {}", outcome.detail);
            assert!(outcome.detail.contains(said), "{}", outcome.detail);
        }
        let mut mute = seen("a-b b>a");
        mute.links[0].sent = 0;
        assert_eq!(judge_cut(&mute, &cut("a-b"), &able("ab")).result, Indeterminate);
    }

    #[test]
    fn a_link_that_nobody_could_have_used_is_not_cut() {
        use StepResult::{Indeterminate, Installed};
        for (can, result, said) in [
            (
                "abc",
                Installed,
                "4 of 4 directed links are cut, all others are heard",
            ),
            ("ac", Installed, "nobody could have used a>b, b>a"),
            ("bc", Indeterminate, "nobody was hurt"),
            ("a", Indeterminate, "a>b, a>c, b>a, c>a"),
            ("", Indeterminate, "nobody was hurt"),
        ] {
            let outcome = judge_cut(
                &seen("a-b b-a a-c c-a b>c c>b"),
                &cut("a-b b-a a-c c-a"),
                &able(can),
            );
            assert_eq!(outcome.result, result, "{can}: {}", outcome.detail);
            assert!(outcome.detail.contains(said), "{can}: {}", outcome.detail);
        }
    }

    /// `10.0.0.2` lost these packets at node a, this many of them probes.
    fn rules(net: u64, missing: &[&str], packets: u64, probes: u64) -> RulesSeen {
        let from = IpAddr::from([10, 0, 0, 2]);
        RulesSeen {
            node: "a".to_owned(),
            net,
            missing: missing.iter().map(|&part| part.to_owned()).collect(),
            dropped: vec![DroppedFrom {
                from,
                packets,
                probes,
            }],
        }
    }

    #[test]
    fn rules_are_in_force_while_they_are_there_and_their_counters_do_not_go_back() {
        let nodes = ["a".to_owned()];
        let mut counters = Counters::default();
        assert_eq!(counters.add(&nodes, &[rules(7, &[], 10, 8)]), Ok(()));
        assert_eq!(counters.dropped(), (2, 8));
        assert_eq!(counters.add(&nodes, &[rules(7, &[], 25, 16)]), Ok(()));
        // In another namespace they begin anew.
        assert_eq!(counters.add(&nodes, &[rules(8, &[], 3, 0)]), Ok(()));
        assert_eq!(counters.dropped(), (12, 16));
        let back = counters.add(&nodes, &[rules(8, &[], 2, 0)]).unwrap_err();
        assert!(back.contains("went back from 3 to 2"), "{back}");
        let gone = counters
            .add(&nodes, &[rules(8, &["the jump"], 4, 0)])
            .unwrap_err();
        assert!(gone.contains("a: the jump is gone"), "{gone}");
        let forgotten = counters.add(&nodes, &[]).unwrap_err();
        assert!(forgotten.contains("a: no rule"), "{forgotten}");
    }

    #[test]
    fn probes_alone_are_no_proof_that_somebody_was_hurt() {
        for (packets, probes, result) in [
            (20, 16, StepResult::Installed),
            (16, 16, StepResult::Indeterminate),
            (0, 0, StepResult::Indeterminate),
        ] {
            let mut counters = Counters::default();
            counters
                .add(&["a".to_owned()], &[rules(7, &[], packets, probes)])
                .unwrap();
            let outcome = judge_still_cut(&seen("b-a a>b"), &cut("b-a"), &counters);
            assert_eq!(outcome.result, result, "{}", outcome.detail);
        }
    }

    #[test]
    fn healed_means_heard() {
        assert_eq!(
            judge_healed(&seen("a>b b-a"), &cut("a-b")).result,
            StepResult::Installed
        );
        assert_eq!(
            judge_healed(&seen("a!b b>a"), &cut("a-b")).result,
            StepResult::Indeterminate
        );
    }
}
