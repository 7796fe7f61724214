//! What commands do to the state.

use super::*;
use crate::types::Token;

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
fn a_snapshot_holds_keys_and_sessions() {
    let mut state = State::default();
    let first = state.apply(1, &by("c1", 1, put("x", 1)));
    let mut restored = State::decode(&state.encode().unwrap(), &Defects::default()).unwrap();
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
    let state = State::decode(&state.encode().unwrap(), &Defects::default()).unwrap();
    let (_, grant) = state.locks().next().unwrap();
    assert_eq!((grant.number, &grant.owner), (3, &1.into()));
}

fn enqueue(value: i64, max: u64) -> Op {
    Op::Enqueue {
        queue: "q".into(),
        value: value.into(),
        max,
    }
}

#[test]
fn an_enqueue_that_was_refused_may_run_when_it_is_tried_again() {
    let mut state = State::default();
    let tried = |state: &mut State, max| state.apply(1, &by("c", 1, enqueue(7, max)));
    let done = |done| Reply::Enqueued { done, index: 1 };
    assert_eq!(
        tried(&mut state, 0),
        done(true),
        "a queue that is not there has room"
    );
    assert_eq!(state.apply(1, &by("d", 1, enqueue(8, 1))), done(false));
    assert_eq!(state.apply(1, &by("d", 1, enqueue(8, 2))), done(true));
    assert_eq!(
        state.apply(1, &by("d", 1, enqueue(8, 2))),
        done(true),
        "and only once"
    );
    assert_eq!(state.queues().counts(), (2, 0));
}

#[test]
fn with_the_defect_a_retry_jumps_the_queue() {
    for (defect, first) in [(None, 7), (Some(Defect::ReordersOnRetry), 8)] {
        let defects = Defects::new(defect);
        let mut state = State::new(&defects);
        for (client, value) in [("c", 7), ("d", 8), ("d", 8)] {
            state.apply(1, &by(client, 1, enqueue(value, 9)));
        }
        let (queue, lease_ms) = ("q".to_owned(), 9);
        let Reply::Dequeued { lent, .. } = state.run(1, &Op::Dequeue { queue, lease_ms }) else {
            panic!("no answer of a dequeue");
        };
        assert_eq!(lent.value, first.into());
        assert_eq!(
            defects.times(Defect::ReordersOnRetry),
            u64::from(defect.is_some())
        );
    }
}

#[test]
fn what_a_defect_made_it_forget_runs_again_and_is_counted() {
    let defects = Defects::new([Defect::DedupLostInSnapshot]);
    let mut state = State::new(&defects);
    state.apply(1, &by("c", 1, enqueue(7, 9)));
    let mut state = State::decode(&state.encode().unwrap(), &defects).unwrap();
    state.apply(2, &by("c", 1, enqueue(7, 9)));
    assert_eq!(state.queues().counts(), (2, 0));
    assert_eq!(defects.times(Defect::DedupLostInSnapshot), 1);
}

#[test]
fn with_the_defect_a_seq_from_the_past_runs_again() {
    for (defect, messages) in [(None, 2), (Some(Defect::AcceptsReplayed), 3)] {
        let defects = Defects::new(defect);
        let mut state = State::new(&defects);
        for seq in [1, 2, 1, 2] {
            state.apply(seq, &by("c", seq, enqueue(7, 9)));
        }
        assert_eq!(state.queues().counts(), (messages, 0));
        assert_eq!(defects.times(Defect::AcceptsReplayed), messages - 2);
    }
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
