//! A stream says what the whole history says, and keeps little.

use std::time::Duration;

use duress_checker::generate::{self, Random, Shape};
use duress_checker::history::{Event, EventType, History, NEVER, Process, Remarks};
use duress_checker::linearizability::{CheckError, check};
use duress_checker::object::register::Register;
use duress_checker::stream::{News, Stream};
use duress_checker::verdict::{Budget, Verdict};
use serde_json::{Value, json};

/// Lets a read find what another one found.
fn bend(random: &mut Random, events: &mut [Event]) {
    let reads: Vec<usize> = (0..events.len())
        .filter(|&at| events[at].kind == EventType::Ok && events[at].f == "read")
        .collect();
    if reads.is_empty() {
        return;
    }
    let mut any = || reads[random.below(reads.len() as u64) as usize];
    let (to, from) = (any(), any());
    events[to].value = events[from].value.clone();
}

/// The events that a generated history stands for.
fn events(history: &History) -> Vec<Event> {
    let mut events = Vec::new();
    for row in 0..history.rows.len() as u32 {
        let (shown, times) = (history.witness_op(row, String::new()), history.rows[row as usize]);
        let event = |position: u32, kind, value| Event {
            index: u64::from(position),
            time: u64::from(position),
            process: Process::Client(shown.process),
            kind,
            f: shown.f.clone(),
            key: None,
            value,
            node: None,
            attempts: Vec::new(),
            error: None,
            extra: serde_json::Map::new(),
        };
        events.push(event(times.invoke, EventType::Invoke, shown.value.clone()));
        if times.ret != NEVER {
            events.push(event(
                times.ret,
                EventType::Ok,
                shown.result.clone().unwrap_or_default(),
            ));
        } else {
            events.push(event(times.invoke + 1, EventType::Info, shown.value.clone()));
        }
    }
    events.sort_by_key(|event| event.index);
    for (event, index) in events.iter_mut().zip(0..) {
        event.index = index;
    }
    events
}

#[test]
fn a_stream_finds_what_the_whole_check_finds() {
    let model = Register { cas: true };
    let (mut held, mut violated) = (0, 0);
    for seed in 0..1000 {
        let mut random = Random::new(seed);
        let shape = Shape {
            length: 30,
            concurrency: 2,
            info_percent: [0, 5, 25][random.below(3) as usize],
            stale: random.percent(40),
            seed,
        };
        let mut events = events(&generate::register(shape, Some([6, 3][random.below(2) as usize])));
        if random.percent(50) {
            bend(&mut random, &mut events);
        }
        let whole = check(&events, "cas-register", Budget::default(), &|| Duration::ZERO).unwrap();
        let mut stream = Stream::new(&model, Budget::default());
        let mut news = News::Fine;
        for event in &events {
            let more = stream.push(event, &|| Duration::ZERO).unwrap();
            if news == News::Fine {
                news = more;
            }
        }
        let last = stream.finish(&|| Duration::ZERO).unwrap();
        if news == News::Fine {
            news = last;
        }
        match whole.verdict {
            Verdict::Held => {
                held += 1;
                assert_eq!(news, News::Fine, "seed {seed}");
            }
            _ => {
                violated += 1;
                assert!(matches!(news, News::Violated { .. }), "seed {seed}: {news:?}");
            }
        }
    }
    assert!(held > 30 && violated > 30, "{held} held, {violated} violated");
}

#[test]
fn a_stream_forgets() {
    let shape = Shape {
        length: 20_000,
        concurrency: 3,
        info_percent: 0,
        stale: false,
        seed: 1,
    };
    let model = Register { cas: true };
    let mut stream = Stream::new(&model, Budget::default());
    let mut kept_max = 0;
    for event in events(&generate::register(shape, None)) {
        assert_eq!(stream.push(&event, &|| Duration::ZERO).unwrap(), News::Fine);
        kept_max = kept_max.max(stream.kept());
    }
    assert!(kept_max < 500, "{kept_max} operations were kept");
}

/// `(process, type, f, value)`, judged line by line, the end included.
fn streamed(steps: &[(u64, &str, &str, Value)]) -> Result<(News, Remarks), CheckError> {
    let model = Register { cas: true };
    let mut stream = Stream::new(&model, Budget::default());
    for event in crate::front_door::events(steps) {
        stream.push(&event, &|| Duration::ZERO)?;
    }
    let remarks = stream.remarks();
    Ok((stream.finish(&|| Duration::ZERO)?, remarks))
}

#[test]
fn a_stream_in_which_nothing_happened_judges_nothing() {
    for (steps, wanted) in [
        (vec![], "no operation of a client"),
        (
            vec![(0, "invoke", "write", json!(1)), (0, "fail", "write", json!(1))],
            "every operation failed",
        ),
        (
            vec![
                (0, "invoke", "write", json!(1)),
                (1, "invoke", "read", json!(null)),
            ],
            "2 unknown",
        ),
    ] {
        let (news, remarks) = streamed(&steps).unwrap();
        let News::Undecided { key, reason } = news else {
            panic!("{steps:?}: {news:?}");
        };
        assert!(key.is_null() && reason.contains(wanted), "{reason}");
        assert_eq!(
            remarks.open,
            steps.iter().filter(|step| step.1 == "invoke").count() as u64
                - u64::from(wanted.contains("failed"))
        );
    }
}

#[test]
fn a_stream_takes_no_completion_that_is_not_its_invocations() {
    for (steps, wanted) in [
        (
            vec![(0, "invoke", "write", json!(1)), (0, "ok", "write", json!(2))],
            "completes write 2",
        ),
        (
            vec![(0, "invoke", "write", json!(1)), (0, "ok", "read", json!(1))],
            "completes read 1",
        ),
        (vec![(0, "ok", "write", json!(1))], "that it never invoked"),
    ] {
        let error = streamed(&steps).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
    let mut twice =
        crate::front_door::events(&[(0, "invoke", "write", json!(1)), (0, "ok", "write", json!(1))]);
    twice[1].index = 0;
    let model = Register { cas: true };
    let mut stream = Stream::new(&model, Budget::default());
    stream.push(&twice[0], &|| Duration::ZERO).unwrap();
    let error = stream.push(&twice[1], &|| Duration::ZERO).unwrap_err();
    assert!(error.to_string().contains("indices must grow"), "{error}");
}
