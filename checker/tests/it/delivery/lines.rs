//! Lines that are read without making events of them: which those are, and that nothing else passes for one.

use duress_checker::delivery::Collector;
use duress_checker::generate::{Deliveries, queue_deliveries, stream_deliveries};

use super::journal_of_lines;

#[test]
fn usual_histories_are_read_so() {
    let shape = Deliveries {
        messages: 200,
        clients: 3,
        info_percent: 0,
        seed: 1,
    };
    let (mut queue, mut stream) = (Vec::new(), Vec::new());
    queue_deliveries(shape, &mut |event| queue.push(event));
    stream_deliveries(shape, 3, &mut |event| stream.push(event));
    // All but the drain at the end, and but three assigns.
    assert_eq!(journal_of_lines(&queue).1, queue.len() - 2);
    assert_eq!(journal_of_lines(&stream).1, stream.len() - 6);
}

const INVOKE: &str = r#"{"index":0,"time":1,"process":1,"type":"invoke","f":"poll","value":[["poll"]]}"#;

/// Whether the second line is read so, behind a usual invocation.
fn usual(line: &str) -> bool {
    let mut collector = Collector::default();
    assert_eq!(collector.line(INVOKE.as_bytes()), Some(1));
    collector.line(line.as_bytes()).is_some()
}

#[test]
fn what_is_not_usual_is_left_to_who_can_say_what_is_wrong() {
    let line = r#"{"index":1,"time":2,"process":1,"type":"ok","f":"poll","value":[["poll",{"a":[[0,7],[1,"x"]],"b":[[null,8]]}]],"node":"n1","attempts":[],"other":[1]}"#;
    assert!(usual(line));
    for (from, to) in [
        // Errors.
        (r#""index":1"#, r#""index":0"#),
        (r#""process":1"#, r#""process":2"#),
        (r#""f":"poll""#, r#""f":"send""#),
        (r#""time":2"#, r#""time":2,"time":2"#),
        (r#""node":"n1""#, r#""node":1"#),
        (r#""attempts":[]"#, r#""attempts":[1]"#),
        ("[1]}", "[1}"),
        ("[1]}", "[1]} x"),
        (r#"[[0,7]"#, r#"[[-1,7]"#),
        (r#"[[0,7]"#, r#"[[0,7,1]"#),
        (r#""type":"ok","#, ""),
        // Another outcome, or more than is looked at here.
        (r#""type":"ok""#, r#""type":"info""#),
        (r#""process":1"#, r#""process":"nemesis""#),
        (r#"[[0,7]"#, r#"[[0,{"input":["in",1]}]"#),
        (r#"[[0,7]"#, r#"[[0,7.5]"#),
        (r#""b""#, r#""a""#),
        (r#"["poll","#, r#"["look","#),
        (r#""other""#, r#""rebalance-log""#),
        (r#""other""#, r#""ordering_key""#),
        ("\"value\":[", "\"value\":[[\"commit\"],"),
    ] {
        assert!(line.contains(from), "{from}");
        assert!(!usual(&line.replacen(from, to, 1)), "{to}");
    }
    // Then it can come as an event.
    let mut collector = Collector::default();
    collector.line(INVOKE.as_bytes()).expect("a usual line");
    let odd = line.replace("[[0,7]", "[[0,7.5]");
    assert_eq!(collector.line(odd.as_bytes()), None);
    let event = duress_checker::history::jsonl::parse_event(odd.as_bytes()).expect("an event");
    collector.event(event).expect("an operation");
    let journal = collector.finish().expect("operations");
    assert_eq!((journal.requests.len(), journal.touches.len()), (1, 3));
}

#[test]
fn a_line_of_another_key_ends_nothing() {
    let line = |index: u64, kind: &str, key: &str| {
        format!(
            "{{\"index\":{index},\"time\":1,\"process\":1,\"type\":\"{kind}\",\"f\":\"enqueue\"{key},\"value\":7}}"
        )
    };
    for (key, ends) in [
        (",\"key\":\"q\"", true),
        ("", true),
        (",\"key\":null", true),
        (",\"key\":\"r\"", false),
    ] {
        let mut collector = Collector::default();
        let begin = line(0, "invoke", ",\"key\":\"q\"");
        assert_eq!(collector.line(begin.as_bytes()), Some(1));
        let end = line(1, "ok", key);
        assert_eq!(collector.line(end.as_bytes()).is_some(), ends, "{end}");
    }
}
