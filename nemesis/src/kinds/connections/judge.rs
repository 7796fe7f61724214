//! Whether connections ended as they were to. Pure.

use serde_json::json;

use super::order::{Ended, Established, RulesSeen};
use crate::agent::tcp::Connection;
use crate::life::technique::{StepOutcome, Unproven};

/// How many of those that were aborted are there, at the end that forgot them and at the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct There {
    forgetting: usize,
    keeping: usize,
}

fn there(ended: &[Ended], seen: &[Established]) -> There {
    let is_at = |node: &str, end: &Connection| {
        let of_node = seen.iter().find(|of_node| of_node.node == node);
        of_node.is_some_and(|of_node| of_node.connections.contains(end))
    };
    There {
        forgetting: (ended.iter())
            .filter(|ended| is_at(&ended.forgot, &ended.there))
            .count(),
        keeping: (ended.iter())
            .filter(|ended| is_at(&ended.kept, &ended.here))
            .count(),
    }
}

/// Right after they were aborted: `told` says whether both ends were to know, `before` what was established before.
pub fn judge_ended(told: bool, ended: &[Ended], before: &[Established], now: &[Established]) -> StepOutcome {
    let evidence = json!({"ended": ended, "established": now});
    StepOutcome::seen(find_ended(told, ended, before, now), evidence)
}

fn find_ended(
    told: bool,
    ended: &[Ended],
    before: &[Established],
    now: &[Established],
) -> Result<String, Unproven> {
    let count = ended.len();
    if count == 0 {
        let why = "nobody was hurt: no connection was established between these nodes";
        return Err(why.to_owned().into());
    }
    // Those that nobody has seen before prove nothing.
    let known = |ended: &&Ended| {
        let of_one = there(std::slice::from_ref(*ended), before);
        (of_one.forgetting, of_one.keeping) == (1, 1)
    };
    if !ended.iter().any(|ended| known(&ended)) {
        let why = format!("none of {count} connections was established before, at both ends");
        return Err(why.into());
    }
    let There { forgetting, keeping } = there(ended, now);
    if forgetting > 0 {
        let why = format!(
            "{forgetting} of {count} connections are established still where they were to be aborted"
        );
        return Err(Unproven::Mismatch(why));
    }
    match (told, keeping) {
        (true, 0) => Ok(format!("{count} connections are gone at both ends")),
        (true, keeping) => Err(Unproven::Mismatch(format!(
            "{keeping} of {count} connections are half-open: their other ends don't know that they are reset"
        ))),
        (false, 0) => Err(Unproven::Mismatch(format!(
            "none of {count} connections is half-open: they are gone at both ends"
        ))),
        (false, keeping) => Ok(format!("{keeping} of {count} connections are half-open")),
    }
}

/// While it lasts: whether the rules are there at each of these nodes.
pub fn judge_rules(nodes: &[String], rules: &[RulesSeen]) -> Result<(), String> {
    let mut lost: Vec<String> = (nodes.iter())
        .filter(|node| !rules.iter().any(|seen| seen.node == **node))
        .map(|node| format!("{node}: no rule of this fault is remembered"))
        .collect();
    for seen in rules {
        lost.extend(
            seen.missing
                .iter()
                .map(|part| format!("{}: {part} is gone", seen.node)),
        );
    }
    match lost.is_empty() {
        true => Ok(()),
        false => Err(format!("the rules are not in force: {}", lost.join("; "))),
    }
}

/// Right before half-open ones are healed.
pub fn judge_half_open(ended: &[Ended], now: &[Established], rules: &[RulesSeen]) -> StepOutcome {
    let evidence = json!({"ended": ended, "established": now, "rules": rules});
    StepOutcome::seen(find_half_open(ended, now, rules), evidence)
}

fn find_half_open(ended: &[Ended], now: &[Established], rules: &[RulesSeen]) -> Result<String, Unproven> {
    let (count, dropped) = (ended.len(), rules.iter().map(|seen| seen.dropped).sum::<u64>());
    let There { forgetting, keeping } = there(ended, now);
    if forgetting > 0 {
        return Err(Unproven::Mismatch(format!(
            "{forgetting} of {count} connections are established again where they were aborted"
        )));
    }
    // Each was aborted with one such segment. More of them are answers to those who used it in vain.
    let used = dropped.saturating_sub(count as u64);
    if keeping == 0 && used == 0 {
        let why = format!(
            "nobody was hurt: none of {count} connections is half-open any more, nor was used in vain"
        );
        return Err(why.into());
    }
    Ok(format!(
        "{keeping} of {count} connections are half-open still; {dropped} segments with RST were kept from their other ends"
    ))
}

/// Once it is healed: no rule is left, and none of the connections.
pub fn judge_healed(ended: &[Ended], now: &[Established], rules_left: &[String]) -> StepOutcome {
    let evidence = json!({"established": now, "left": rules_left});
    if !rules_left.is_empty() {
        let why = format!("rules are left: {}", rules_left.join("; "));
        return StepOutcome::indeterminate(why, evidence);
    }
    match there(ended, now).keeping {
        0 => StepOutcome::installed("no rule is left, and no half-open connection", evidence),
        keeping => {
            let why = format!("no rule is left, but {keeping} connections are half-open still");
            StepOutcome::indeterminate(why, evidence)
        }
    }
}

#[cfg(test)]
mod tests {
    use duress_checker::history::StepResult::{self, Indeterminate, Installed, Mismatch};

    use super::*;

    fn end(local: u8, remote: u8, inode: u64) -> Connection {
        let address = |last| std::net::SocketAddr::from(([10, 9, 0, last], 1000 + u16::from(last)));
        Connection {
            local: address(local),
            remote: address(remote),
            inode,
        }
    }

    fn one() -> Vec<Ended> {
        vec![Ended {
            forgot: "a".to_owned(),
            there: end(1, 2, 11),
            kept: "b".to_owned(),
            here: end(2, 1, 12),
        }]
    }

    /// At `a`, and at `b`.
    fn now(a: &[Connection], b: &[Connection]) -> Vec<Established> {
        let at = |node: &str, connections: &[Connection]| Established {
            node: node.to_owned(),
            connections: connections.to_vec(),
        };
        vec![at("a", a), at("b", b)]
    }

    #[test]
    fn ended_means_gone_where_it_was_to_be() {
        let (there, here) = (end(1, 2, 11), end(2, 1, 12));
        // The same addresses again, by another socket, are another connection.
        let again = end(1, 2, 13);
        let before = now(&[there], &[here]);
        let judged =
            |told, a: &[Connection], b: &[Connection]| judge_ended(told, &one(), &before, &now(a, b)).result;
        assert_eq!(judged(true, &[], &[]), Installed);
        assert_eq!(judged(true, &[again], &[]), Installed);
        assert_eq!(judged(true, &[], &[here]), Mismatch);
        assert_eq!(judged(true, &[there], &[]), Mismatch);
        assert_eq!(judged(false, &[], &[here]), Installed);
        assert_eq!(judged(false, &[], &[]), Mismatch);
        assert_eq!(judged(false, &[there], &[here]), Mismatch);
        assert_eq!(
            judge_ended(true, &[], &before, &now(&[], &[])).result,
            Indeterminate
        );
        // One that nobody has seen before is no proof.
        let unseen = now(&[], &[here]);
        assert_eq!(
            judge_ended(true, &one(), &unseen, &now(&[], &[])).result,
            Indeterminate
        );
    }

    #[test]
    fn half_open_means_there_still_or_used_in_vain() {
        let here = end(2, 1, 12);
        let judged = |b: &[Connection], dropped| -> StepResult {
            let rules = [RulesSeen {
                node: "b".to_owned(),
                missing: Vec::new(),
                dropped,
            }];
            judge_half_open(&one(), &now(&[], b), &rules).result
        };
        assert_eq!(judged(&[here], 1), Installed);
        assert_eq!(judged(&[], 1), Indeterminate);
        assert_eq!(judged(&[], 2), Installed);
        let rules = RulesSeen {
            node: "b".to_owned(),
            missing: vec!["the jump".to_owned()],
            dropped: 1,
        };
        let nodes = ["b".to_owned()];
        assert!(
            judge_rules(&nodes, &[rules])
                .unwrap_err()
                .contains("the jump is gone")
        );
        assert!(judge_rules(&nodes, &[]).is_err());
    }

    #[test]
    fn healed_means_that_nothing_is_left() {
        let judged = |b: &[Connection], left: &[String]| judge_healed(&one(), &now(&[], b), left).result;
        assert_eq!(judged(&[], &[]), Installed);
        assert_eq!(judged(&[end(2, 1, 12)], &[]), Indeterminate);
        assert_eq!(judged(&[end(2, 1, 14)], &[]), Installed);
        assert_eq!(judged(&[], &["b: a chain".to_owned()]), Indeterminate);
    }
}
