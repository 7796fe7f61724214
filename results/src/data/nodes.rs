//! What nodes said of themselves: stretches of time with the same role and term, and how far each lags behind.

use std::fs;
use std::io;
use std::path::Path;

use super::{LoadError, lines};
use crate::verdict_file::Probe;

/// Stretches that are kept for a node; a node that changes more often than this is drawn as it was at each probe.
const SPANS_MAX: usize = 400;

/// Points of a lag that are kept for a node.
const LAG_MAX: usize = 300;

/// One node through the run.
#[derive(Clone, Debug, Default)]
pub struct NodeState {
    /// Its name.
    pub name: String,
    /// Stretches of time with the same role and term, in order, each up to the beginning of the next.
    pub spans: Vec<StatusStretch>,
    /// The last probe's time.
    pub end: u64,
    /// Time, and how many log entries it had not applied of what any node knew to be committed by then.
    pub lag: Vec<(u64, u64)>,
    /// How many probes there were, and how many of them it answered.
    pub probes: u64,
    /// How many of them it answered.
    pub answered: u64,
}

/// A stretch of time in which a node said the same of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusStretch {
    /// Its beginning, in nanoseconds since the run began.
    pub from: u64,
    /// Whether it answered.
    pub up: bool,
    /// Its role.
    pub role: Option<String>,
    /// Its term.
    pub term: Option<u64>,
}

/// Reads `<nodes>/*/probes.jsonl`, in order of name.
pub(super) fn load(nodes: &Path) -> Result<Vec<NodeState>, LoadError> {
    let failed = |source| LoadError::Io {
        path: nodes.to_owned(),
        source,
    };
    let entries = match fs::read_dir(nodes) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut probed: Vec<(String, Vec<Probe>)> = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let mut probes: Vec<Probe> = Vec::new();
        lines::for_each(&entry.path().join("probes.jsonl"), |line| {
            probes.push(serde_json::from_slice(line)?);
            Ok(())
        })?;
        if !probes.is_empty() {
            probes.sort_by_key(|probe| probe.time);
            probed.push((entry.file_name().to_string_lossy().into_owned(), probes));
        }
    }
    probed.sort_by_key(|(name, _)| natural(name));
    let frontier = frontier(&probed);
    Ok((probed.iter())
        .map(|(name, probes)| node_state(name, probes, &frontier))
        .collect())
}

/// `n10` comes after `n9`.
fn natural(name: &str) -> (String, u64) {
    let letters = name.trim_end_matches(|c: char| c.is_ascii_digit());
    (letters.to_owned(), name[letters.len()..].parse().unwrap_or(0))
}

/// When the highest commit index that any node had reported rose, and to what.
fn frontier(probed: &[(String, Vec<Probe>)]) -> Vec<(u64, u64)> {
    let mut reported: Vec<(u64, u64)> = (probed.iter())
        .flat_map(|(_, probes)| probes)
        .filter_map(|probe| Some((probe.time, probe.commit?)))
        .collect();
    reported.sort_unstable();
    let mut highest = 0;
    reported.retain_mut(|(_, commit)| {
        let rose = *commit > highest;
        highest = highest.max(*commit);
        rose
    });
    reported
}

fn node_state(name: &str, probes: &[Probe], frontier: &[(u64, u64)]) -> NodeState {
    let mut node = NodeState {
        name: name.to_owned(),
        ..NodeState::default()
    };
    let step = probes.len().div_ceil(LAG_MAX);
    let spans_step = if changes(probes) > SPANS_MAX {
        probes.len().div_ceil(SPANS_MAX)
    } else {
        1
    };
    for (position, probe) in probes.iter().enumerate() {
        node.end = node.end.max(probe.time);
        node.probes += 1;
        node.answered += u64::from(probe.up);
        if position % step == 0
            && let Some(applied) = probe.applied
        {
            let known = frontier.partition_point(|&(time, _)| time <= probe.time);
            let committed = known.checked_sub(1).map_or(0, |last| frontier[last].1);
            node.lag.push((probe.time, committed.saturating_sub(applied)));
        }
        let span = span(probe);
        let same = (node.spans.last()).is_some_and(|last| {
            StatusStretch {
                from: last.from,
                ..span.clone()
            } == *last
        });
        if !same && position % spans_step == 0 {
            node.spans.push(span);
        }
    }
    node
}

fn span(probe: &Probe) -> StatusStretch {
    StatusStretch {
        from: probe.time,
        up: probe.up,
        // What a node said last is not what it is when it is down.
        role: probe.role.clone().filter(|_| probe.up),
        term: probe.term.filter(|_| probe.up),
    }
}

fn changes(probes: &[Probe]) -> usize {
    (probes.windows(2))
        .filter(|pair| {
            let (a, b) = (&pair[0], &pair[1]);
            (a.up, &a.role, a.term) != (b.up, &b.role, b.term)
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(time: u64, role: &str, applied: u64, commit: u64) -> Probe {
        Probe {
            time,
            up: role != "down",
            role: Some(role.to_owned()),
            term: Some(1),
            applied: Some(applied),
            commit: Some(commit),
            ..Probe::default()
        }
    }

    #[test]
    fn probes_that_say_the_same_are_one_span() {
        let probes = [
            probe(1, "follower", 0, 0),
            probe(2, "follower", 0, 0),
            probe(3, "down", 0, 0),
            probe(4, "leader", 0, 0),
        ];
        let node = node_state("n1", &probes, &[]);
        let seen: Vec<_> = (node.spans.iter())
            .map(|span| (span.from, span.up, span.role.as_deref()))
            .collect();
        assert_eq!(
            seen,
            [
                (1, true, Some("follower")),
                (3, false, None),
                (4, true, Some("leader"))
            ]
        );
        assert_eq!((node.probes, node.answered, node.end), (4, 3, 4));
    }

    #[test]
    fn lag_is_behind_the_highest_commit_that_any_node_had_reported() {
        let probed = vec![
            (
                "n1".to_owned(),
                vec![probe(1, "leader", 5, 5), probe(3, "leader", 9, 9)],
            ),
            (
                "n2".to_owned(),
                vec![probe(2, "follower", 4, 4), probe(4, "follower", 9, 9)],
            ),
        ];
        let frontier = frontier(&probed);
        assert_eq!(frontier, [(1, 5), (3, 9)]);
        assert_eq!(node_state("n2", &probed[1].1, &frontier).lag, [(2, 1), (4, 0)]);
    }

    #[test]
    fn a_node_that_flaps_has_a_bounded_number_of_spans() {
        let probes: Vec<Probe> = (0..10_000)
            .map(|time| probe(time, if time % 2 == 0 { "leader" } else { "follower" }, 0, 0))
            .collect();
        assert!(node_state("n1", &probes, &[]).spans.len() <= SPANS_MAX);
    }

    #[test]
    fn nodes_are_in_the_order_that_people_count_in() {
        let mut names = vec!["n10", "n2", "n1"];
        names.sort_by_key(|name| natural(name));
        assert_eq!(names, ["n1", "n2", "n10"]);
    }
}
