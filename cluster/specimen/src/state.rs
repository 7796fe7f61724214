//! The state machine, as a plain value: keys, sessions, and the one function that changes them.
//!
//! Every replica applies the same commands in the same order and so holds the same [`State`]. The session
//! table is part of it: the last request of each client with its answer, so that a retry is answered and not
//! repeated (Ongaro 2014, *Consensus: bridging theory and practice*, §6.3). It is bounded by
//! [`SESSIONS_MAX`]; the session that has been silent for the longest stretch of the log goes first, which is
//! the same one on every replica.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::types::{Command, Op, Reply, Scalar, Token};

/// Sessions kept. A client that comes back after this many others have written has lost its protection
/// against repeats; at some 100 bytes a session this bounds the table to about 2 MB.
pub const SESSIONS_MAX: usize = 16_384;

/// What every replica agrees on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    keys: BTreeMap<String, Scalar>,
    sessions: BTreeMap<String, Session>,
    /// Locks that are lent.
    locks: BTreeMap<String, Grant>,
    /// How many were lent so far.
    grants: u64,
    /// Commands with a token applied so far: the clock by which sessions age.
    requests: u64,
    /// Sessions by age. Derived from `sessions`, so a snapshot leaves it out.
    #[serde(skip)]
    by_age: BTreeMap<u64, String>,
}

/// A lock that is lent. When its time is over is for the leader to say: see [`crate::locks`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    /// Counts up by grant.
    pub number: u64,
    /// To whom it is lent.
    pub owner: Scalar,
    /// For how long.
    pub ttl_ms: u64,
}

/// The last request of one client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Session {
    seq: u64,
    reply: Reply,
    /// The value of `State::requests` at that request.
    age: u64,
}

impl State {
    /// The value of `key`; absent keys have [`Scalar::ABSENT`].
    pub fn get(&self, key: &str) -> Scalar {
        self.keys.get(key).cloned().unwrap_or(Scalar::ABSENT)
    }

    /// The locks that are lent, by name.
    pub fn locks(&self) -> impl Iterator<Item = (&String, &Grant)> {
        self.locks.iter()
    }

    /// Applies `command`, which the log holds at `index`.
    pub fn apply(&mut self, index: u64, command: &Command) -> Reply {
        let Some(token) = &command.token else {
            return self.run(index, &command.op);
        };
        if let Some(session) = self.sessions.get(&token.client) {
            if token.seq == session.seq {
                return session.reply.clone();
            }
            if token.seq < session.seq {
                return Reply::StaleSeq { last: session.seq };
            }
        }
        let reply = self.run(index, &command.op);
        self.remember(token, reply.clone());
        reply
    }

    /// Applies `command` whatever the session table says; whether that should have kept it from running.
    pub(crate) fn apply_again(&mut self, index: u64, command: &Command) -> (Reply, bool) {
        let reply = self.run(index, &command.op);
        let Some(token) = &command.token else {
            return (reply, false);
        };
        let session = self.sessions.get(&token.client);
        let again = session.is_some_and(|session| token.seq <= session.seq);
        if !again {
            self.remember(token, reply.clone());
        }
        (reply, again)
    }

    /// Applies `op` without asking or telling the session table.
    pub(crate) fn run(&mut self, index: u64, op: &Op) -> Reply {
        match op {
            Op::Put { key, value } => {
                self.set(key, value.clone());
                Reply::Written(index)
            }
            Op::Delete { key } => {
                self.keys.remove(key);
                Reply::Written(index)
            }
            Op::Cas { key, old, new } => {
                let swapped = self.get(key) == *old;
                if swapped {
                    self.set(key, new.clone());
                }
                Reply::Cas { swapped, index }
            }
            Op::Acquire { lock, owner, ttl_ms } => {
                let done = !self.locks.contains_key(lock);
                if done {
                    self.grants += 1;
                    let grant = Grant {
                        number: self.grants,
                        owner: owner.clone(),
                        ttl_ms: *ttl_ms,
                    };
                    self.locks.insert(lock.clone(), grant);
                }
                Reply::Lock { done, index }
            }
            Op::Release { lock, owner } => {
                let is = |grant: &Grant| grant.owner == *owner;
                self.take_back(index, lock, is)
            }
            Op::Expire { lock, grant } => {
                let is = |lent: &Grant| lent.number == *grant;
                self.take_back(index, lock, is)
            }
        }
    }

    /// Takes a lock back, if it `is` lent as is said.
    fn take_back(&mut self, index: u64, lock: &str, is: impl Fn(&Grant) -> bool) -> Reply {
        let done = self.locks.get(lock).is_some_and(is);
        if done {
            self.locks.remove(lock);
        }
        Reply::Lock { done, index }
    }

    fn set(&mut self, key: &str, value: Scalar) {
        if value.is_absent() {
            self.keys.remove(key);
        } else {
            self.keys.insert(key.to_owned(), value);
        }
    }

    fn remember(&mut self, token: &Token, reply: Reply) {
        self.requests += 1;
        let session = Session {
            seq: token.seq,
            reply,
            age: self.requests,
        };
        if let Some(before) = self.sessions.insert(token.client.clone(), session) {
            self.by_age.remove(&before.age);
        }
        self.by_age.insert(self.requests, token.client.clone());
        if self.sessions.len() > SESSIONS_MAX
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.sessions.remove(&oldest);
        }
    }

    /// The bytes that a snapshot holds.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// The state that [`State::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let mut state: State = serde_json::from_slice(bytes)?;
        state.by_age = state
            .sessions
            .iter()
            .map(|(client, session)| (session.age, client.clone()))
            .collect();
        Ok(state)
    }

    /// Adds the keys of `other`, which win; everything else of `other` replaces what is here. Whether there was a key that `other`
    /// does not have.
    pub(crate) fn merge(&mut self, other: State) -> bool {
        let mut keys = std::mem::take(&mut self.keys);
        let revived = keys.keys().any(|key| !other.keys.contains_key(key));
        keys.extend(other.keys);
        *self = State {
            keys,
            ..State {
                keys: BTreeMap::new(),
                ..other
            }
        };
        revived
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str, value: i64) -> Op {
        Op::Put {
            key: key.into(),
            value: value.into(),
        }
    }

    fn cas(key: &str, old: impl Into<Scalar>, new: i64) -> Op {
        Op::Cas {
            key: key.into(),
            old: old.into(),
            new: new.into(),
        }
    }

    fn by(client: &str, seq: u64, op: Op) -> Command {
        Command {
            op,
            token: Some(Token {
                client: client.into(),
                seq,
            }),
        }
    }

    #[test]
    fn cas_swaps_only_the_expected_value_and_null_means_absent() {
        let mut state = State::default();
        assert_eq!(
            state.run(1, &cas("x", 1, 2)),
            Reply::Cas {
                swapped: false,
                index: 1
            }
        );
        assert_eq!(
            state.run(2, &cas("x", Scalar::ABSENT, 2)),
            Reply::Cas {
                swapped: true,
                index: 2
            }
        );
        assert_eq!(state.get("x"), 2.into());
        state.run(
            3,
            &Op::Put {
                key: "x".into(),
                value: Scalar::ABSENT,
            },
        );
        assert_eq!(state.get("x"), Scalar::ABSENT);
    }

    #[test]
    fn a_retry_gets_the_first_answer_and_changes_nothing() {
        let mut state = State::default();
        state.run(1, &put("x", 1));
        let first = state.apply(2, &by("c1", 7, cas("x", 1, 2)));
        state.apply(3, &by("c2", 1, put("x", 1)));
        assert_eq!(state.apply(4, &by("c1", 7, cas("x", 1, 2))), first);
        assert_eq!(state.get("x"), 1.into());
    }

    #[test]
    fn a_seq_from_the_past_is_refused() {
        let mut state = State::default();
        state.apply(1, &by("c1", 7, put("x", 1)));
        assert_eq!(
            state.apply(2, &by("c1", 6, put("x", 2))),
            Reply::StaleSeq { last: 7 }
        );
        assert_eq!(state.get("x"), 1.into());
    }

    #[test]
    fn requests_without_a_token_always_run() {
        let mut state = State::default();
        let command = Command {
            op: put("x", 1),
            token: None,
        };
        assert_eq!(state.apply(1, &command), Reply::Written(1));
        assert_eq!(state.apply(2, &command), Reply::Written(2));
    }

    #[test]
    fn the_session_table_is_bounded_and_the_longest_silent_goes_first() {
        let mut state = State::default();
        for client in 0..SESSIONS_MAX {
            state.apply(client as u64, &by(&format!("c{client}"), 1, put("x", 0)));
        }
        state.apply(90_000, &by("c0", 2, put("x", 0)));
        // Ages must survive a snapshot, or replicas would evict differently after installing one.
        let mut state = State::decode(&state.encode().unwrap()).unwrap();
        state.apply(90_001, &by("new", 1, put("x", 0)));
        assert_eq!(state.sessions.len(), SESSIONS_MAX);
        assert!(state.sessions.contains_key("c0") && !state.sessions.contains_key("c1"));
        assert_eq!(state.by_age.len(), SESSIONS_MAX);
    }

    #[test]
    fn a_snapshot_holds_keys_and_sessions() {
        let mut state = State::default();
        let first = state.apply(1, &by("c1", 1, put("x", 1)));
        let mut restored = State::decode(&state.encode().unwrap()).unwrap();
        assert_eq!(restored.get("x"), 1.into());
        assert_eq!(restored.apply(9, &by("c1", 1, put("x", 5))), first);
    }

    #[test]
    fn a_lock_has_one_holder_until_it_is_given_or_taken_back() {
        let acquire = |owner: i64| Op::Acquire {
            lock: "l".into(),
            owner: owner.into(),
            ttl_ms: 1000,
        };
        let release = |owner: i64| Op::Release {
            lock: "l".into(),
            owner: owner.into(),
        };
        let expire = |grant| Op::Expire {
            lock: "l".into(),
            grant,
        };
        let mut state = State::default();
        for (index, (op, done)) in (1..).zip([
            (acquire(1), true),
            (acquire(2), false),
            (release(2), false),
            (release(1), true),
            (release(1), false),
            (acquire(2), true),
            // The grant before is not this one.
            (expire(1), false),
            (expire(2), true),
            (acquire(1), true),
        ]) {
            assert_eq!(state.run(index, &op), Reply::Lock { done, index }, "{op:?}");
        }
        let state = State::decode(&state.encode().unwrap()).unwrap();
        let (_, grant) = state.locks().next().unwrap();
        assert_eq!((grant.number, &grant.owner), (3, &1.into()));
    }

    #[test]
    fn merging_keeps_keys_that_the_other_lacks() {
        let (mut old, mut new) = (State::default(), State::default());
        old.run(1, &put("gone", 1));
        old.run(2, &put("x", 1));
        new.run(3, &put("x", 2));
        assert!(!new.clone().merge(old.clone()) || old.get("gone") == 1.into());
        assert!(old.merge(new.clone()), "there was a key that the other lacks");
        assert_eq!((old.get("gone"), old.get("x")), (1.into(), 2.into()));
        assert!(!new.merge(old));
    }
}
