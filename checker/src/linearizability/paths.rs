//! Who decided how many objects, and whose answers did not stand.

use super::decide::Finding;
use crate::certify::Path;
use crate::verdict::DecidedBy;

/// Counts by [`Path`], in the order of [`Path::ALL`].
#[derive(Default)]
pub(super) struct Paths {
    decided: [u64; Path::ALL.len()],
    refuted: [u64; Path::ALL.len()],
}

impl Paths {
    pub fn count(&mut self, finding: &Finding) {
        for path in &finding.decided_by {
            self.decided[*path as usize] += 1;
        }
        for path in &finding.refuted {
            self.refuted[*path as usize] += 1;
        }
    }

    /// As a verdict says it.
    pub fn said(&self) -> Vec<DecidedBy> {
        self.each().collect()
    }

    /// What a person has to be told: a checker that was wrong, even if another one put it right.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        self.each().filter(|by| by.refuted > 0).map(|by| {
            let (refuted, path) = (by.refuted, by.path);
            format!("{refuted} answers of the path {path:?} did not stand up to being checked: please report this history")
        })
    }

    fn each(&self) -> impl Iterator<Item = DecidedBy> {
        let counted = Path::ALL
            .into_iter()
            .zip(self.decided.into_iter().zip(self.refuted));
        counted
            .filter(|(_, counts)| *counts != (0, 0))
            .map(|(path, (objects, refuted))| DecidedBy {
                path: path.name().to_owned(),
                objects,
                refuted,
            })
    }
}
