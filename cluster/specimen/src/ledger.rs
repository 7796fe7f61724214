//! What a node must never forget, in two copies: who it is, and how it has voted.
//!
//! ```text
//! 9b1c04f2 {"revision":7,"identity":{"id":1,"name":"n1"},"vote":{…},"forgot":null}
//! ```
//!
//! A line: the CRC-32 of the JSON, in hexadecimal, and the JSON. The copies, `vote.1` and `vote.2`, are written and synced one
//! after the other, and nothing is acknowledged before both are. So each has all that was ever acknowledged, and one that can be
//! read will do; of two the later one counts. With none the node must not start: it could vote twice in one term.
//!
//! # A node that has lost part of its log
//!
//! It may have acknowledged entries that it does not have any more, and must not vote for anybody who lacks them. So it forgets the
//! rest as well, and writes down up to which term it *forgot* ([`Ledger::forget`]); its own vote moves to the term after, so that no
//! leader of a term up to then can count on it any more. Until its log has an entry of a later term it is *recovering*: it takes
//! what a leader sends and acknowledges it, but grants no vote and stands for no election. Why that is safe: whatever it had
//! acknowledged and was committed, was committed by a majority in a term up to that one. The leader of a later term was elected by
//! a majority without this node; the two majorities share another node, so this leader has all of it, and before its first own entry it
//! sends all of it. (The same reasoning: Alagappan and others 2018, FAST '18, §3.4.)

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use openraft::LeaderId;
use serde::{Deserialize, Serialize};

use crate::SpecimenError;
use crate::types::{NodeId, Vote};

const COPIES: [&str; 2] = ["vote.1", "vote.2"];

/// The node that a data directory belongs to, fixed at its first start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The number in the protocol.
    pub id: NodeId,
    /// The name on the command line.
    pub name: String,
}

/// What a node must never forget.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    directory: PathBuf,
    page: Page,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Page {
    revision: u64,
    identity: Option<Identity>,
    vote: Option<Vote>,
    forgot: Option<u64>,
}

impl Ledger {
    /// Reads it from `directory`, where there may be none yet.
    pub fn open(directory: &Path) -> Result<Self, SpecimenError> {
        let mut pages = Vec::new();
        let mut unreadable = Vec::new();
        for name in COPIES {
            let path = directory.join(name);
            match std::fs::read(&path) {
                // A crash at the first start can leave an empty one.
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => match parse(&bytes) {
                    Some(page) => pages.push(page),
                    None => unreadable.push(path),
                },
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(SpecimenError::Open { path, source }),
            }
        }
        let page = pages.into_iter().max_by_key(|page| page.revision);
        let directory = directory.to_owned();
        match (page, unreadable.pop()) {
            (Some(page), _) => Ok(Self { directory, page }),
            (None, None) => Ok(Self {
                directory,
                page: Page::default(),
            }),
            (None, Some(path)) => Err(SpecimenError::VoteLost { path }),
        }
    }

    /// The identity that the directory was given, or `first` from now on.
    pub fn identify(&mut self, first: impl FnOnce() -> Identity) -> Result<Identity, SpecimenError> {
        if let Some(identity) = &self.page.identity {
            return Ok(identity.clone());
        }
        let identity = first();
        self.change(|page| page.identity = Some(identity.clone()))
            .map_err(|source| self.broken(source))?;
        Ok(identity)
    }

    /// How it has voted last.
    pub fn vote(&self) -> Option<Vote> {
        self.page.vote
    }

    /// Writes down a vote; when this returns it is on disk.
    pub fn save_vote(&mut self, vote: Vote) -> io::Result<()> {
        self.change(|page| page.vote = Some(vote))
    }

    /// The term up to which it has forgotten what it may have acknowledged.
    pub fn forgot(&self) -> Option<u64> {
        self.page.forgot
    }

    /// Writes down that the log of node `me` can't be relied on any more.
    pub fn forget(&mut self, me: NodeId) -> Result<(), SpecimenError> {
        let term = self.page.vote.map_or(0, |vote| vote.leader_id.term);
        let forgotten = self.change(|page| {
            page.forgot = Some(term);
            page.vote = Some(Vote {
                leader_id: LeaderId::new(term + 1, me),
                committed: false,
            });
        });
        forgotten.map_err(|source| self.broken(source))
    }

    fn broken(&self, source: io::Error) -> SpecimenError {
        SpecimenError::Open {
            path: self.directory.join(COPIES[0]),
            source,
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut Page)) -> io::Result<()> {
        let mut page = self.page.clone();
        change(&mut page);
        page.revision += 1;
        let json = serde_json::to_string(&page)?;
        let line = format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes()));
        let first = self.page.revision == 0;
        for name in COPIES {
            let mut file = File::create(self.directory.join(name))?;
            file.write_all(line.as_bytes())?;
            file.sync_all()?;
        }
        if first {
            File::open(&self.directory)?.sync_all()?;
        }
        self.page = page;
        Ok(())
    }
}

fn parse(bytes: &[u8]) -> Option<Page> {
    let (sum, json) = std::str::from_utf8(bytes).ok()?.trim_end().split_once(' ')?;
    let sum = u32::from_str_radix(sum, 16).ok()?;
    (sum == crc32fast::hash(json.as_bytes())).then(|| serde_json::from_str(json).ok())?
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn voted() -> TempDir {
        let directory = TempDir::new().unwrap();
        let mut ledger = Ledger::open(directory.path()).unwrap();
        assert_eq!(ledger.vote(), None);
        ledger.save_vote(Vote::new(3, 1)).unwrap();
        ledger.save_vote(Vote::new(4, 2)).unwrap();
        directory
    }

    fn rot(directory: &TempDir, copy: &str) {
        let path = directory.path().join(copy);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[20] ^= 1;
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn a_vote_outlives_the_loss_of_either_copy_and_not_of_both() {
        for copy in COPIES {
            let directory = voted();
            rot(&directory, copy);
            assert_eq!(
                Ledger::open(directory.path()).unwrap().vote(),
                Some(Vote::new(4, 2))
            );
        }
        let directory = voted();
        COPIES.iter().for_each(|copy| rot(&directory, copy));
        let error = Ledger::open(directory.path()).unwrap_err();
        assert!(error.to_string().contains("how it has voted"), "{error}");
    }

    #[test]
    fn of_two_copies_the_later_one_counts() {
        let directory = voted();
        let old = std::fs::read(directory.path().join("vote.2")).unwrap();
        Ledger::open(directory.path())
            .unwrap()
            .save_vote(Vote::new(5, 1))
            .unwrap();
        // A crash between the two.
        std::fs::write(directory.path().join("vote.2"), old).unwrap();
        assert_eq!(
            Ledger::open(directory.path()).unwrap().vote(),
            Some(Vote::new(5, 1))
        );
    }

    #[test]
    fn who_forgets_moves_beyond_every_term_that_it_may_have_acknowledged_in() {
        let directory = voted();
        Ledger::open(directory.path()).unwrap().forget(7).unwrap();
        let ledger = Ledger::open(directory.path()).unwrap();
        assert_eq!((ledger.forgot(), ledger.vote()), (Some(4), Some(Vote::new(5, 7))));
    }
}
