//! The last request of each client with its answer, so that a retry is answered and not repeated (Ongaro 2014, *Consensus: bridging
//! theory and practice*, §6.3).
//!
//! Part of the replicated state, and bounded by [`SESSIONS_MAX`]; the session that has been silent for the longest stretch of the log
//! goes first, which is the same one on every replica.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::defect::{Defect, Defects};
use crate::types::{Reply, Token};

/// Sessions kept. A client that comes back after this many others have written has lost its protection
/// against repeats; at some 100 bytes a session this bounds the table to about 2 MB.
pub const SESSIONS_MAX: usize = 16_384;

/// Sessions kept with [`Defect::DedupWindowTooShort`].
const WINDOW: usize = 8;

/// The table.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sessions {
    by_client: BTreeMap<String, Session>,
    /// Commands with a token applied so far: the clock by which sessions age.
    requests: u64,
    /// By age. Derived from `by_client`, so a snapshot leaves it out.
    #[serde(skip)]
    by_age: BTreeMap<u64, String>,
    /// What a defect made it forget: the last request of each client.
    #[serde(skip)]
    forgotten: BTreeMap<String, u64>,
}

/// The last request of one client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Session {
    seq: u64,
    reply: Reply,
    /// The value of `Sessions::requests` at that request.
    age: u64,
}

/// What is known of a request.
pub(crate) enum Known {
    /// Nothing: it has to run.
    No,
    /// It has run, and this came of it.
    Ran(Reply),
    /// The client has sent a later one, with this number.
    Stale(u64),
}

impl Sessions {
    /// What is known of the request with this token.
    pub fn known(&self, token: &Token) -> Known {
        match self.by_client.get(&token.client) {
            Some(session) if token.seq == session.seq => Known::Ran(session.reply.clone()),
            Some(session) if token.seq < session.seq => Known::Stale(session.seq),
            _ => Known::No,
        }
    }

    /// Whether it was known that this request had run, before a defect made the table forget it.
    pub fn has_forgotten(&self, token: &Token) -> bool {
        self.forgotten
            .get(&token.client)
            .is_some_and(|seq| token.seq <= *seq)
    }

    /// Keeps what came of the request with this token.
    pub fn remember(&mut self, token: &Token, reply: Reply, defects: &Defects) {
        self.requests += 1;
        let session = Session {
            seq: token.seq,
            reply,
            age: self.requests,
        };
        if let Some(before) = self.by_client.insert(token.client.clone(), session) {
            self.by_age.remove(&before.age);
        }
        self.by_age.insert(self.requests, token.client.clone());
        let short = defects.has(Defect::DedupWindowTooShort);
        let max = if short { WINDOW } else { SESSIONS_MAX };
        if self.by_client.len() > max
            && let Some((_, oldest)) = self.by_age.pop_first()
            && let Some(session) = self.by_client.remove(&oldest)
            && short
        {
            self.forgotten.insert(oldest, session.seq);
        }
        // Only what is counted of a defect suffers.
        if self.forgotten.len() > SESSIONS_MAX {
            self.forgotten.pop_first();
        }
    }

    /// Makes of what a snapshot holds what it was.
    pub fn restore(&mut self, defects: &Defects) {
        if defects.has(Defect::DedupLostInSnapshot) {
            let sessions = std::mem::take(&mut self.by_client).into_iter();
            self.forgotten = sessions.map(|(client, session)| (client, session.seq)).collect();
        }
        let by_age = |(client, session): (&String, &Session)| (session.age, client.clone());
        self.by_age = self.by_client.iter().map(by_age).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(client: &str, seq: u64) -> Token {
        Token {
            client: client.into(),
            seq,
        }
    }

    fn restored(sessions: &Sessions, defects: &Defects) -> Sessions {
        let bytes = serde_json::to_vec(sessions).unwrap();
        let mut sessions: Sessions = serde_json::from_slice(&bytes).unwrap();
        sessions.restore(defects);
        sessions
    }

    #[test]
    fn the_table_is_bounded_and_the_longest_silent_goes_first() {
        let defects = Defects::default();
        let mut sessions = Sessions::default();
        for client in 0..SESSIONS_MAX {
            sessions.remember(&token(&format!("c{client}"), 1), Reply::Written(1), &defects);
        }
        sessions.remember(&token("c0", 2), Reply::Written(2), &defects);
        // Ages must survive a snapshot, or replicas would evict differently after installing one.
        let mut sessions = restored(&sessions, &defects);
        sessions.remember(&token("new", 1), Reply::Written(3), &defects);
        assert_eq!(sessions.by_client.len(), SESSIONS_MAX);
        assert!(sessions.by_client.contains_key("c0") && !sessions.by_client.contains_key("c1"));
        assert_eq!(sessions.by_age.len(), SESSIONS_MAX);
    }

    #[test]
    fn a_window_that_is_too_short_forgets_whoever_was_silent_for_a_moment() {
        for (defect, knows) in [(None, true), (Some(Defect::DedupWindowTooShort), false)] {
            let defects = Defects::new(defect);
            let mut sessions = Sessions::default();
            for client in 0..=WINDOW {
                sessions.remember(&token(&format!("c{client}"), 1), Reply::Written(1), &defects);
            }
            assert_eq!(matches!(sessions.known(&token("c0", 1)), Known::Ran(_)), knows);
            assert_eq!(sessions.has_forgotten(&token("c0", 1)), !knows);
            assert!(matches!(sessions.known(&token("c1", 1)), Known::Ran(_)));
            assert!(
                !sessions.has_forgotten(&token("c0", 2)),
                "that is another request"
            );
        }
    }

    #[test]
    fn with_the_defect_a_snapshot_lacks_the_table() {
        for (defect, knows) in [(None, true), (Some(Defect::DedupLostInSnapshot), false)] {
            let defects = Defects::new(defect);
            let mut sessions = Sessions::default();
            sessions.remember(&token("c", 1), Reply::Written(1), &defects);
            let sessions = restored(&sessions, &defects);
            assert_eq!(matches!(sessions.known(&token("c", 1)), Known::Ran(_)), knows);
            assert_eq!(sessions.has_forgotten(&token("c", 1)), !knows);
        }
    }
}
