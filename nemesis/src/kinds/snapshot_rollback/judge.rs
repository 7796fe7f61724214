//! Whether directories are what they were. Pure.

use serde::{Deserialize, Serialize};

use super::tree::Tree;
use crate::life::technique::Unproven;

/// Of paths that differ, so many are named.
const NAMED_MAX: usize = 5;

/// A data directory now, beside the copy of it, and beside what it was right before it was put back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// The node.
    pub node: String,
    /// SHA-256 of the directory when the copy was taken.
    pub copied: String,
    /// The same right before it was put back. `None`: it was not.
    pub last: Option<String>,
    /// The same now.
    pub now: String,
    /// Files, folders and links in the copy.
    pub files: usize,
    /// How many paths had something else, or nothing, or not yet anything, right before it was put back.
    pub undone: usize,
    /// How many have something else now than they had in the copy.
    pub differing: usize,
    /// Some of these.
    pub examples: Vec<String>,
}

impl Compared {
    pub(super) fn of(node: &str, copied: &Tree, last: Option<&Tree>, now: &Tree) -> Compared {
        let differing = copied.differing(now);
        Compared {
            node: node.to_owned(),
            copied: copied.digest(),
            last: last.map(Tree::digest),
            now: now.digest(),
            files: copied.count(),
            undone: last.map_or(0, |last| copied.differing(last).len()),
            differing: differing.len(),
            examples: differing.into_iter().take(NAMED_MAX).collect(),
        }
    }
}

/// Each directory is what it was, and was something else in between.
pub fn judge(nodes: &[Compared], count: usize) -> Result<String, Unproven> {
    if nodes.len() != count || count == 0 {
        return Err(Unproven::Indeterminate(
            "not all of its directories were looked at".to_owned(),
        ));
    }
    let mut said = Vec::new();
    for node in nodes {
        let unproven = match &node.last {
            None => "its directory was not put back".to_owned(),
            Some(_) if node.now != node.copied => format!(
                "{} of its files are not what they were: {}",
                node.differing,
                node.examples.join(", ")
            ),
            Some(last) if *last == node.copied => {
                "nothing had been written since the copy was taken: nobody was hurt".to_owned()
            }
            Some(_) => {
                said.push(format!(
                    "{}: all {} files are what they were, which {} had not been any more",
                    node.node, node.files, node.undone
                ));
                continue;
            }
        };
        return Err(Unproven::Indeterminate(unproven).of(&node.node));
    }
    Ok(said.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proven_is_what_is_as_it_was_and_was_not_in_between() {
        let compared = |copied: &str, last: Option<&str>, now: &str| Compared {
            node: "n1".to_owned(),
            copied: copied.to_owned(),
            last: last.map(str::to_owned),
            now: now.to_owned(),
            files: 3,
            undone: 1,
            differing: 1,
            examples: vec!["log".to_owned()],
        };
        assert!(judge(&[compared("a", Some("b"), "a")], 1).is_ok());
        for unproven in [
            compared("a", None, "a"),
            compared("a", Some("a"), "a"),
            compared("a", Some("b"), "b"),
            compared("a", Some("b"), "c"),
        ] {
            let good = compared("a", Some("b"), "a");
            assert!(judge(&[good, unproven.clone()], 2).is_err(), "{unproven:?}");
        }
        assert!(judge(&[], 0).is_err());
        assert!(judge(&[compared("a", Some("b"), "a")], 2).is_err());
    }
}
