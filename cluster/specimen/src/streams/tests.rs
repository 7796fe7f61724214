//! What commands do to streams.

use super::*;

/// Streams without defects, or with one, and the index of the next entry of the log.
struct Log {
    streams: Streams,
    defects: Defects,
    index: u64,
}

impl Log {
    fn with(defect: Option<Defect>) -> Self {
        Log {
            streams: Streams::default(),
            defects: Defects::new(defect),
            index: 0,
        }
    }

    fn apply(&mut self, op: StreamOp) -> Answer {
        self.index += 1;
        let answer = self.streams.apply(self.index, &op, &self.defects);
        // After every command, what a snapshot holds is all there is.
        let bytes = serde_json::to_vec(&self.streams).unwrap();
        self.streams = serde_json::from_slice(&bytes).unwrap();
        answer
    }

    fn init(&mut self) -> u64 {
        match self.apply(StreamOp::Init { producer: "p".into() }) {
            Ok(StreamReply::Began { epoch, .. }) => epoch,
            other => panic!("{other:?}"),
        }
    }

    /// The offset of what `p` sends.
    fn send(
        &mut self,
        partition: &str,
        epoch: u64,
        sequence: u64,
        txn: Option<u64>,
    ) -> Result<u64, Declined> {
        let from = Origin {
            producer: "p".into(),
            epoch,
            sequence,
            txn,
        };
        self.send_from(partition, sequence, Some(from))
    }

    fn send_from(&mut self, partition: &str, value: u64, from: Option<Origin>) -> Result<u64, Declined> {
        let sent = self.apply(StreamOp::Send {
            partition: partition.into(),
            value: value.into(),
            from,
            max: 100,
        });
        sent.map(|reply| match reply {
            StreamReply::Sent(sent) => sent.offset,
            other => panic!("{other:?}"),
        })
    }

    fn commit(&mut self, epoch: u64, txn: u64, progress: Option<Progress>) -> Answer {
        self.apply(StreamOp::Commit {
            transaction: id(epoch, txn),
            progress,
        })
    }

    fn abort(&mut self, epoch: u64, txn: u64) -> Answer {
        self.apply(StreamOp::Abort(id(epoch, txn)))
    }

    /// The generation, and what is to be read next of `in`.
    fn join(&mut self, member: &str) -> (u64, Option<u64>) {
        let joined = self.apply(StreamOp::Join {
            group: "g".into(),
            member: member.into(),
            partitions: vec!["in".into()],
            session_ms: 1000,
        });
        match joined {
            Ok(StreamReply::Joined { share, .. }) => (share.generation, share.offsets.get("in").copied()),
            other => panic!("{other:?}"),
        }
    }

    /// The values that are shown, and the next offset.
    fn shown(&self, partition: &str) -> (Vec<u64>, u64) {
        let shown = self.streams.poll(partition, 0, 100);
        let values = shown.messages.iter().map(|(_, value)| value.as_u64().unwrap());
        (values.collect(), shown.next)
    }
}

fn id(epoch: u64, txn: u64) -> TxnId {
    TxnId {
        producer: "p".into(),
        epoch,
        txn,
    }
}

fn progress(generation: u64, member: &str, next: u64) -> Option<Progress> {
    Some(Progress {
        group: "g".into(),
        generation,
        member: member.into(),
        offsets: BTreeMap::from([("in".to_owned(), next)]),
    })
}

fn settled(index: u64) -> Answer {
    Ok(StreamReply::Settled { done: true, index })
}

#[test]
fn what_is_sent_again_gets_the_first_answer_as_long_as_that_is_remembered() {
    let mut log = Log::with(None);
    assert_eq!(log.send("in", 1, 0, None), Err(Declined::Fenced { epoch: 0 }));
    let epoch = log.init();
    for sequence in 0..=producer::WINDOW as u64 {
        assert_eq!(log.send("in", epoch, sequence, None), Ok(sequence));
        assert_eq!(log.send("in", epoch, sequence, None), Ok(sequence));
    }
    assert_eq!(log.send("in", epoch, 1, None), Ok(1));
    assert_eq!(log.send("in", epoch, 0, None), Err(Declined::Forgotten));
    assert_eq!(log.send("in", epoch, 18, None), Err(Declined::Gap { next: 17 }));
    assert_eq!(
        log.send("other", epoch, 17, None),
        Ok(0),
        "one count over all partitions"
    );
    assert_eq!(log.shown("in").1, 17);
}

#[test]
fn a_new_session_fences_the_one_before_and_aborts_what_it_has_open() {
    let mut log = Log::with(None);
    let first = log.init();
    log.send("in", first, 0, Some(1)).unwrap();
    let second = log.init();
    assert!(second > first);
    let fenced = Declined::Fenced { epoch: second };
    assert_eq!(log.send("in", first, 1, None), Err(fenced));
    assert_eq!(log.commit(first, 1, None), Err(fenced));
    assert_eq!(
        log.send("in", second + 1, 0, None),
        Err(fenced),
        "nobody was given that"
    );
    assert_eq!(log.send("in", second, 0, None), Ok(1));
    assert_eq!(log.shown("in"), (vec![0], 2));
}

#[test]
fn a_transaction_is_shown_as_a_whole_with_its_groups_progress_or_not_at_all() {
    let mut log = Log::with(None);
    let epoch = log.init();
    let (generation, _) = log.join("c1");
    log.send("a", epoch, 0, Some(1)).unwrap();
    log.send("b", epoch, 1, Some(1)).unwrap();
    log.send_from("a", 9, None).unwrap();
    assert_eq!((log.shown("a").1, log.shown("b").1), (0, 0));
    assert_eq!(log.commit(epoch, 1, progress(generation, "c1", 5)), settled(6));
    assert_eq!((log.shown("a"), log.shown("b")), ((vec![0, 9], 2), (vec![1], 1)));
    assert_eq!(log.join("c1"), (generation, Some(5)));
    log.send("a", epoch, 2, Some(2)).unwrap();
    let aborted = log.abort(epoch, 2);
    assert_eq!(log.abort(epoch, 2), aborted, "a repeat gets the first answer");
    assert_eq!(log.shown("a"), (vec![0, 9], 3));
    assert_eq!(log.commit(epoch, 2, None), Err(Declined::Over));
    assert_eq!(log.send("a", epoch, 3, Some(2)), Err(Declined::Over));
    assert_eq!(log.commit(epoch, 1, progress(generation, "c1", 5)), settled(6));
    assert_eq!(log.abort(epoch, 1), Err(Declined::Over));
}

#[test]
fn a_commit_by_whoever_is_no_member_any_more_changes_nothing_and_may_be_aborted() {
    let mut log = Log::with(None);
    let epoch = log.init();
    let (generation, _) = log.join("c1");
    log.send("out", epoch, 0, Some(1)).unwrap();
    log.join("c2");
    let late = log.commit(epoch, 1, progress(generation, "c1", 5));
    assert_eq!(late, Err(Declined::Rebalanced { generation: 2 }));
    assert_eq!(log.shown("out"), (vec![], 0));
    assert!(log.abort(epoch, 1).is_ok());
    assert_eq!(log.shown("out"), (vec![], 1));
    assert_eq!(log.join("c1"), (2, Some(0)));
}

#[test]
fn transactions_of_a_producer_come_one_after_another() {
    let mut log = Log::with(None);
    let epoch = log.init();
    log.send("out", epoch, 0, Some(3)).unwrap();
    assert_eq!(log.send("out", epoch, 1, Some(4)), Err(Declined::Open { txn: 3 }));
    assert_eq!(log.commit(epoch, 4, None), Err(Declined::Open { txn: 3 }));
    assert_eq!(log.send("out", epoch, 1, Some(2)), Err(Declined::Over));
    assert_eq!(log.commit(epoch, 2, None), Err(Declined::Over));
    assert!(log.commit(epoch, 3, None).is_ok());
    assert!(log.commit(epoch, 4, None).is_ok(), "it has sent nothing");
    for txn in 5..5 + producer::WINDOW as u64 {
        assert!(log.commit(epoch, txn, None).is_ok());
    }
    assert_eq!(log.commit(epoch, 4, None), Err(Declined::Forgotten));
}

#[test]
fn what_stays_open_is_aborted_once_and_what_ended_meanwhile_stays_so() {
    let mut log = Log::with(None);
    let epoch = log.init();
    let expire = |txn| {
        StreamOp::Expire(Overdue {
            transactions: vec![id(epoch, txn)],
            ..Overdue::default()
        })
    };
    log.send("out", epoch, 0, Some(1)).unwrap();
    log.commit(epoch, 1, None).unwrap();
    log.apply(expire(1)).unwrap();
    assert_eq!(log.shown("out"), (vec![0], 1));
    log.send("out", epoch, 1, Some(2)).unwrap();
    log.apply(expire(2)).unwrap();
    assert_eq!(log.commit(epoch, 2, None), Err(Declined::Over));
    assert_eq!(log.shown("out"), (vec![0], 2));
}

#[test]
fn what_finds_no_room_is_declined_and_leaves_no_trace() {
    let mut log = Log::with(None);
    let epoch = log.init();
    let origin = |sequence| Origin {
        producer: "p".into(),
        epoch,
        sequence,
        txn: Some(1),
    };
    let send = |sequence: u64, max| StreamOp::Send {
        partition: "in".into(),
        value: sequence.into(),
        from: Some(origin(sequence)),
        max,
    };
    assert!(log.apply(send(0, 1)).is_ok());
    assert_eq!(log.apply(send(1, 1)), Err(Declined::Full));
    assert!(log.apply(send(0, 1)).is_ok(), "a repeat needs no room");
    assert!(log.apply(send(1, 2)).is_ok());
    for partition in 1..64 {
        assert_eq!(log.send_from(&format!("p{partition}"), 1, None), Ok(0));
    }
    assert_eq!(log.send_from("one more", 1, None), Err(Declined::Full));
}

#[test]
fn with_the_defect_older_sessions_go_on() {
    for (defect, shown) in [(None, vec![0]), (Some(Defect::NoFencing), vec![0, 1, 0])] {
        let mut log = Log::with(defect);
        let first = log.init();
        log.send("out", first, 0, Some(1)).ok();
        let second = log.init();
        log.send("out", first, 1, Some(1)).ok();
        log.send("out", second, 0, Some(1)).unwrap();
        log.commit(first, 1, None).ok();
        log.commit(second, 1, None).unwrap();
        assert_eq!(log.shown("out").0, shown);
        let times = log.defects.times(Defect::NoFencing);
        assert_eq!(times, if defect.is_some() { 2 } else { 0 });
    }
}

#[test]
fn with_the_defect_a_late_commit_ends_the_next_transaction() {
    for (defect, shown) in [(None, vec![0]), (Some(Defect::LateCommitWins), vec![0, 1])] {
        let mut log = Log::with(defect);
        let epoch = log.init();
        for (sequence, txn) in [(0, 1), (1, 2)] {
            log.send("out", epoch, sequence, Some(txn)).unwrap();
            // What was committed in time, and is committed again while the next one is open.
            log.commit(epoch, 1, None).unwrap();
        }
        log.abort(epoch, 2).ok();
        assert_eq!(log.shown("out").0, shown);
        let times = log.defects.times(Defect::LateCommitWins);
        assert_eq!(times, u64::from(defect.is_some()));
    }
}

#[test]
fn with_the_defect_what_is_older_than_the_window_is_sent_again() {
    for (defect, again) in [(None, 0), (Some(Defect::AcceptsReplayed), 1)] {
        let mut log = Log::with(defect);
        let epoch = log.init();
        let last = producer::WINDOW as u64;
        for sequence in (0..=last).chain([0, last]) {
            log.send("out", epoch, sequence, None).ok();
        }
        assert_eq!(log.shown("out").1, last + 1 + again);
        assert_eq!(log.defects.times(Defect::AcceptsReplayed), again);
        assert_eq!(log.send("out", epoch, last + 1, None), Ok(last + 1 + again));
    }
}
