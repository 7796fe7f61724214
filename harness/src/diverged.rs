//! What defects of a system did in a run, by the counts that its nodes tell in their statuses.

use std::collections::BTreeMap;

/// What nodes have counted of what their defects did. Each counts from its start: a count that is lower than the one before it is
/// that of a program that began anew. What the program before counted after it was last asked is lost.
#[derive(Default)]
pub struct Diverged {
    /// By node and defect: what it said last.
    last: BTreeMap<(String, String), u64>,
    /// By defect: what programs had counted that are gone.
    gone: BTreeMap<String, u64>,
}

impl Diverged {
    /// Takes what a node says.
    pub fn see(&mut self, node: &str, counts: &BTreeMap<String, u64>) {
        for (defect, count) in counts {
            let last = self.last.insert((node.to_owned(), defect.clone()), *count);
            if let Some(last) = last.filter(|last| last > count) {
                *self.gone.entry(defect.clone()).or_default() += last;
            }
        }
    }

    /// By defect, over all nodes and all their programs so far.
    pub fn total(&self) -> BTreeMap<String, u64> {
        let mut total = self.gone.clone();
        for ((_, defect), count) in &self.last {
            *total.entry(defect.clone()).or_default() += count;
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_defects_did_adds_up_over_nodes_and_restarts() {
        let mut diverged = Diverged::default();
        for (node, count) in [("n1", 0), ("n1", 3), ("n2", 1), ("n1", 2), ("n1", 5), ("n1", 0)] {
            diverged.see(node, &[("split-cas".to_owned(), count)].into());
        }
        // 3, then 5 of the program after it, then none; and 1.
        assert_eq!(diverged.total(), [("split-cas".to_owned(), 9)].into());
        assert!(Diverged::default().total().is_empty());
    }
}
