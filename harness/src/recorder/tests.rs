//! Recorders over files, pipes and full disks.

use duress_checker::history::{Series, Token, Trace};

use super::*;

fn write(value: u64) -> Op {
    Op {
        f: "write",
        key: Some(json!("k")),
        value: json!(value),
        idempotent: false,
    }
}

fn ok(op: &Op) -> Completion {
    let value = op.value.clone();
    Completion {
        outcome: EventType::Ok,
        value,
        node: None,
        error: None,
        local: false,
        attempts: vec![],
        token: Some(Token {
            client: "p0".to_owned(),
            seq: 3,
        }),
        lease_ms: None,
    }
}

fn run() -> RunNote {
    RunNote {
        name: "test".to_owned(),
        seed: Some(7),
        started: "2026-01-02T03:04:05Z".to_owned(),
        ..RunNote::default()
    }
}

#[test]
fn lines_are_in_order_of_time_whoever_writes() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("history.jsonl");
    let (recorder, writer) = Recorder::create(&path, run()).expect("a new file");
    std::thread::scope(|scope| {
        for process in 0..4 {
            let recorder = &recorder;
            scope.spawn(move || {
                for number in 0..500 {
                    recorder.invoke(process, &write(number), None);
                    recorder.complete(process, &write(number), ok(&write(number)));
                }
            });
        }
    });
    writer.finish(&recorder).expect("a written history");
    let text = std::fs::read_to_string(&path).expect("a readable history");
    let events: Vec<Event> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("an event"))
        .collect();
    assert_eq!(events.len(), 1 + 4 * 500 * 2);
    assert_eq!(
        events[0].value,
        json!({"format": 1, "name": "test", "seed": 7, "started": "2026-01-02T03:04:05Z"})
    );
    let trace = Trace::new(&events, Series::new());
    let operations = trace.operations().expect("a history");
    assert_eq!(operations.len(), 4 * 500);
    assert!(
        operations
            .iter()
            .all(|operation| operation.token().is_some_and(|token| token.seq == 3))
    );
    for (number, pair) in events.windows(2).enumerate() {
        assert_eq!(pair[0].index, number as u64);
        assert!(pair[0].time <= pair[1].time);
    }
    assert_eq!(
        recorder.tally(),
        Tally {
            ok: 2000,
            fail: 0,
            info: 0
        }
    );
}

#[test]
fn a_slow_disk_makes_the_load_wait_and_nothing_is_dropped() {
    const EVENTS: usize = 3 * QUEUE_LENGTH;
    let (reader, disk) = std::io::pipe().expect("a pipe");
    let (recorder, writer) =
        Recorder::over(File::from(std::os::fd::OwnedFd::from(disk)), Path::new("a pipe"));
    let load = std::thread::spawn({
        let recorder = recorder.clone();
        move || (0..EVENTS).for_each(|number| recorder.invoke(number as u64, &write(1), None))
    });
    // Nobody reads yet, so the writer stands still with what it took first.
    while recorder.queue.lock().events.len() < QUEUE_LENGTH {
        std::thread::yield_now();
    }
    assert!(!load.is_finished());
    assert_eq!(recorder.queue.lock().events.len(), QUEUE_LENGTH);
    let lines = std::io::BufRead::lines(std::io::BufReader::new(reader)).take(EVENTS);
    for (index, line) in lines.enumerate() {
        let event: Event = serde_json::from_str(&line.expect("a line")).expect("an event");
        assert_eq!(event.index, index as u64);
    }
    load.join().expect("the load ends");
    // A pipe can't be synced.
    writer.finish(&recorder).expect_err("no disk");
}

#[test]
fn long_values_make_the_load_wait_before_they_fill_the_memory() {
    let (reader, disk) = std::io::pipe().expect("a pipe");
    let (recorder, writer) =
        Recorder::over(File::from(std::os::fd::OwnedFd::from(disk)), Path::new("a pipe"));
    let long = json!(vec![0; QUEUE_WEIGHT / 4]);
    let load = std::thread::spawn({
        let recorder = recorder.clone();
        move || (0..12).for_each(|_| recorder.nemesis("long", long.clone()))
    });
    // Nobody reads yet, so the writer stands still with what it took first.
    while recorder.queue.lock().weight < QUEUE_WEIGHT {
        std::thread::yield_now();
    }
    assert!(recorder.queue.lock().events.len() <= 4);
    let lines = std::io::BufRead::lines(std::io::BufReader::new(reader)).take(12);
    assert_eq!(lines.filter_map(Result::ok).count(), 12);
    load.join().expect("the load ends");
    // A pipe can't be synced.
    writer.finish(&recorder).expect_err("no disk");
}

#[test]
fn the_first_who_gives_up_says_why() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (recorder, writer) = Recorder::create(&dir.path().join("history.jsonl"), run()).expect("a new file");
    assert!(!recorder.must_end() && recorder.trouble().is_none());
    recorder.give_up("no descriptor");
    recorder.give_up("another reason");
    assert!(recorder.must_end());
    assert_eq!(recorder.trouble().as_deref(), Some("no descriptor"));
    // What is recorded after that is still kept.
    recorder.invoke(0, &write(1), None);
    writer.finish(&recorder).expect("a written history");
}

#[test]
fn a_full_disk_is_noticed() {
    let full = File::options().write(true).open("/dev/full").expect("/dev/full");
    let (recorder, writer) = Recorder::over(full, Path::new("/dev/full"));
    recorder.invoke(0, &write(1), None);
    let error = writer.finish(&recorder).expect_err("no space");
    assert!(error.to_string().starts_with("write /dev/full: "), "{error}");
    assert_eq!(
        recorder.trouble().as_deref(),
        Some("the history can't be written")
    );
}
