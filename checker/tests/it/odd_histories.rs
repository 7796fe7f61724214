//! Texts that are no histories, or are odd ones: what is refused, with which line, and what is noted instead.
//!
//! Each history here was once judged as if nothing were wrong with it.

use std::num::NonZeroUsize;
use std::time::Duration;

use duress_checker::formats::{Format, FormatError, may_be_history, read, read_history};
use duress_checker::history::{History, Remarks};
use duress_checker::linearizability::{check_history, check_parallel};
use duress_checker::verdict::{Budget, PropertyVerdict, Verdict};

/// Reads it both ways, which must agree, and gives what was wrong.
pub fn refused(text: &str) -> String {
    let whole = read_history(text.as_bytes(), Format::Guess);
    match whole {
        Ok(history) => panic!("read as {} operations: {text}", history.rows.len()),
        Err(error) => error.to_string(),
    }
}

fn history(text: &str) -> History {
    read_history(text.as_bytes(), Format::Guess).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn remarks(text: &str) -> Remarks {
    history(text).remarks
}

pub fn judged(text: &str, model: &str) -> PropertyVerdict {
    check_history(&history(text), model, Budget::default(), &|| Duration::ZERO).unwrap()
}

/// A `history.jsonl` of `(process, type, f, value)`, the last two as JSON.
pub fn lines(steps: &[(u64, &str, &str, &str)]) -> String {
    let line = |(index, (process, kind, f, value)): (usize, &(u64, &str, &str, &str))| {
        format!(
            "{{\"index\":{index},\"time\":{index},\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\",\"value\":{value}}}\n"
        )
    };
    steps.iter().enumerate().map(line).collect()
}

/// JSON without strings that hold blanks or colons, as EDN with keywords.
pub fn as_edn(json: &str) -> String {
    let words = json.replace("\":", " ").replace("\",", ",").replace("\"}", "}");
    words.replace('"', ":").replace("null", "nil")
}

#[test]
fn a_text_without_operations_is_no_history_that_holds() {
    for text in [
        "",
        "\n\n",
        "[]",
        "; nothing\n",
        "[{:process :nemesis :type :info :f :kill}]",
    ] {
        let judged = judged(text, "register");
        let Verdict::Inconclusive { reason } = judged.verdict else {
            panic!("{text:?}: {judged:?}");
        };
        assert!(reason.contains("no operation of a client"), "{text:?}: {reason}");
    }
}

#[test]
fn nothing_that_happened_is_nothing_judged_on_any_number_of_threads() {
    for (steps, wanted) in [
        (
            vec![(0, "invoke", "write", "1"), (0, "fail", "write", "1")],
            "every operation failed",
        ),
        (
            vec![(0, "invoke", "write", "1"), (0, "info", "write", "1")],
            "1 unknown",
        ),
        (vec![(0, "invoke", "read", "null")], "1 unknown"),
    ] {
        let history = history(&lines(&steps));
        let one = check_history(&history, "register", Budget::default(), &|| Duration::ZERO).unwrap();
        let threads = NonZeroUsize::new(4).unwrap();
        let many = check_parallel(
            &history,
            "register",
            Budget::default(),
            &|| Duration::ZERO,
            threads,
        )
        .unwrap();
        for judged in [one, many] {
            let Verdict::Inconclusive { reason } = judged.verdict else {
                panic!("{judged:?}");
            };
            assert!(reason.contains(wanted), "{reason}");
        }
    }
}

#[test]
fn words_that_begin_like_a_log_are_no_log() {
    for text in [
        "Error: could not connect\n",
        "I am no log",
        "Down\n\nEnd of file",
        "WARN nothing",
    ] {
        assert_eq!(
            read_history(text.as_bytes(), Format::Guess).unwrap_err(),
            FormatError::NoLog,
            "{text}"
        );
    }
    let log = "INFO  jepsen.core - setting up\nINFO  jepsen.util - 0\t:invoke\t:write\t1\nWARN  jepsen.core - hm\n\
               INFO  jepsen.util - 0\t:ok\t:write\t1\n";
    assert_eq!(remarks(log).other_lines, 2);
    assert_eq!(
        remarks(log).skipped(),
        ["2 other lines of the log are passed over"]
    );
    assert_eq!(judged(log, "register").verdict, Verdict::Held);
    // Where the words of an operation are expected and others stand.
    let said = refused("INFO  jepsen.util - 0\t:invoke\t:write\t1\nINFO  jepsen.util - starting up\n");
    assert!(said.starts_with("line 2: "), "{said}");
}

#[test]
fn a_keyword_is_a_value_unless_an_operation_ended_without() {
    let log = "INFO  jepsen.util - 0\t:invoke\t:write\t:a\nINFO  jepsen.util - 0\t:ok\t:write\t:a\n\
               INFO  jepsen.util - 1\t:invoke\t:read\tnil\nINFO  jepsen.util - 1\t:ok\t:read\tnil\n";
    assert!(matches!(
        judged(log, "register").verdict,
        Verdict::Violated { .. }
    ));
}

/// A read of what nobody wrote, by a process that stands for `PROCESS`.
const BROKEN: &str = r#"[{"process":PROCESS,"type":"invoke","f":"read","value":null},
{"process":PROCESS,"type":"ok","f":"read","value":7}]"#;

#[test]
fn a_process_is_a_number_or_a_nemesis_and_nothing_is_dropped() {
    let quoted = BROKEN.replace("PROCESS", "\"0\"");
    let edn =
        "{:process \"0\" :type :invoke :f :read :value nil}\n{:process \"0\" :type :ok :f :read :value 7}";
    for text in [quoted.as_str(), edn] {
        let judged = judged(text, "register");
        assert!(matches!(judged.verdict, Verdict::Violated { .. }), "{judged:?}");
        assert!(judged.detail.contains("stands in quotes"), "{judged:?}");
        assert_eq!(remarks(text).quoted.count, 2);
    }
    for process in [
        "\"client-1\"",
        "\"\"",
        "-1",
        "1.5",
        "[0]",
        "\"99999999999999999999\"",
        "4294967295",
    ] {
        let said = refused(&BROKEN.replace("PROCESS", process));
        assert!(said.starts_with("line 1: "), "{process}: {said}");
    }
    for process in ["\"nemesis\"", "\":nemesis\"", "\"partition-nemesis\""] {
        assert_eq!(
            remarks(&BROKEN.replace("PROCESS", process)).nemesis,
            2,
            "{process}"
        );
    }
    // Our own format knows nothing but numbers and the nemesis.
    let own = lines(&[(0, "invoke", "read", "null")]).replace("\"process\":0", "\"process\":\"0\"");
    assert!(refused(&own).contains("process \"0\" is neither a number nor \"nemesis\""));
}

#[test]
fn indices_that_do_not_grow_are_refused() {
    let good = lines(&[
        (0, "invoke", "write", "1"),
        (0, "ok", "write", "1"),
        (1, "invoke", "read", "null"),
    ]);
    for (from, to, wanted) in [
        (
            "\"index\":2",
            "\"index\":1",
            "line 3: event 1 stands after event 1",
        ),
        (
            "\"index\":2",
            "\"index\":0",
            "line 3: event 0 stands after event 1",
        ),
    ] {
        let bad = good.replace(from, to);
        assert!(refused(&bad).starts_with(wanted), "{}", refused(&bad));
        assert!(read(bad.as_bytes(), Format::Guess).is_err());
        let json = bad.replace("\"time\"", "\"when\"");
        assert!(refused(&json).starts_with(wanted), "{}", refused(&json));
    }
    // A piece of a longer history has gaps.
    assert_eq!(
        history(&good.replace("\"index\":2", "\"index\":20")).rows.len(),
        2
    );
    // Where one has none, none counts.
    let some = "{:process 0 :type :invoke :f :write :value 1 :index 7}{:process :nemesis :type :info :f :kill}\
                {:process 0 :type :ok :f :write :value 1 :index 8}";
    assert_eq!(history(some).witness_op(0, String::new()).index, 0);
}

#[test]
fn a_completion_that_is_not_its_invocations_is_refused() {
    for (asked, answered) in [
        (("write", "1"), ("read", "1")),
        (("write", "1"), ("write", "2")),
        (("cas", "[1,2]"), ("cas", "[1,3]")),
        (("cas", "[1,2]"), ("cas", "false")),
        (("write", "[null,1]"), ("write", "[4,2]")),
    ] {
        let text = lines(&[(0, "invoke", asked.0, asked.1), (0, "ok", answered.0, answered.1)]);
        let said = refused(&text);
        let wanted = format!(
            "line 2: event 1: process 0 completes {} {}",
            answered.0, answered.1
        );
        assert!(said.starts_with(&wanted), "{said}");
        // Elsewhere a pair may be a key and its value.
        if !asked.1.starts_with("[null") {
            assert!(refused(&text.replace("\"time\"", "\"when\"")).starts_with(&wanted));
        }
    }
    let keyed = lines(&[(0, "invoke", "write", "1"), (0, "ok", "write", "1")]);
    let other_key = keyed
        .replacen("\"value\"", "\"key\":\"x\",\"value\"", 1)
        .replace("\"ok\",", "\"ok\",\"key\":\"y\",");
    assert!(
        refused(&other_key).contains("completes write 1 on \"y\", but what it invoked is write 1 on \"x\"")
    );
    // What may differ: the version that a write was given, a word for a cas, and everything where it is not known.
    for steps in [
        [(0, "invoke", "write", "[null,1]"), (0, "ok", "write", "[4,1]")],
        [(0, "invoke", "cas", "[1,2]"), (0, "ok", "cas", "true")],
        [(0, "invoke", "write", "1"), (0, "info", "write", "\"timed-out\"")],
        [(0, "invoke", "write", "1"), (0, "ok", "write", "null")],
    ] {
        assert_eq!(history(&lines(&steps)).rows.len(), 1, "{steps:?}");
    }
    let txn = "{:process 0 :type :invoke :f :txn :value [[:w :x 1]]}{:process 0 :type :ok :f :txn :value [[:w :x 2]]}";
    let error = check_history(&history(txn), "multi-register", Budget::default(), &|| {
        Duration::ZERO
    });
    assert!(error.unwrap_err().to_string().contains("other steps"));
}

#[test]
fn what_is_odd_and_harmless_is_noted() {
    let text = lines(&[
        (0, "invoke", "write", "1"),
        (0, "invoke", "write", "2"),
        (0, "ok", "write", "2"),
        (1, "invoke", "read", "null"),
    ])
    .replace("\"time\":2", "\"time\":0");
    let judged = judged(&text, "register");
    assert_eq!(judged.verdict, Verdict::Held);
    for wanted in [
        "2 operations have no completion: they may have taken effect at any time",
        "event 1: a process invokes again",
        "event 2: time goes back",
    ] {
        assert!(judged.detail.contains(wanted), "{judged:?}");
    }
}

#[test]
fn the_history_of_a_run_without_its_end_says_so() {
    let note = |index: u64, f: &str, value: &str| {
        format!(
            "{{\"index\":{index},\"time\":{index},\"process\":\"nemesis\",\"type\":\"info\",\"f\":\"{f}\",\"value\":{value}}}\n"
        )
    };
    let operations = "{\"index\":1,\"time\":1,\"process\":0,\"type\":\"invoke\",\"f\":\"write\",\"value\":1}\n\
                      {\"index\":2,\"time\":2,\"process\":0,\"type\":\"ok\",\"f\":\"write\",\"value\":1}\n";
    let cut = note(0, "run", "{\"format\":1}") + operations + &note(3, "phase", "{\"phase\":\"faults\"}");
    assert!(judged(&cut, "register").detail.contains("has no phase \"end\""));
    let whole = cut.clone() + &note(4, "phase", "{\"phase\":\"end\"}");
    assert!(!judged(&whole, "register").detail.contains("no phase"));
    assert_eq!(
        remarks(&whole).skipped(),
        ["3 events of the nemesis are not judged"]
    );
    let torn = &whole[..whole.len() - 4];
    let detail = judged(torn, "register").detail;
    assert!(
        detail.contains("the last line is cut off") && detail.contains("no phase"),
        "{detail}"
    );
}

#[test]
fn what_follows_or_stands_twice_is_not_passed_over() {
    for text in [
        "[{:process 0 :type :invoke :f :read}] {:process 0 :type :ok :f :read :value 7}",
        "[{\"process\":0,\"type\":\"invoke\",\"f\":\"read\"}] {\"process\":0,\"type\":\"ok\",\"f\":\"read\"}",
        "[{\"process\":0,\"type\":\"invoke\",\"f\":\"read\"}",
        "[{\"process\":0,\"type\":\"invoke\",\"f\":\"read\"},",
        "[{\"process\":0,\"type\":\"invoke\",\"f\":\"write\",\"value\":1,\"value\":2}]",
        "{:process 0 :type :invoke :f :write :value 1 :value 2}",
        "[{:process 0 :type :invoke :f :read})",
    ] {
        assert!(refused(text).starts_with("line 1: "), "{text}: {}", refused(text));
    }
}

#[test]
fn a_beginning_tells() {
    assert!(may_be_history(b"").is_ok() && may_be_history(b" \n[{").is_ok());
    assert!(may_be_history(&[0; 100]).is_err());
}

#[test]
fn a_semaphore_has_permits() {
    let steps = lines(&[(0, "invoke", "acquire", "1"), (0, "ok", "acquire", "1")]);
    for model in [
        "semaphore:0",
        "semaphore:-1",
        "semaphore:9223372036854775807",
        "semaphore:",
        "semaphore5",
    ] {
        let error =
            check_history(&history(&steps), model, Budget::default(), &|| Duration::ZERO).unwrap_err();
        assert!(
            error.to_string().contains("semaphore:N has N permits, 1 to"),
            "{error}"
        );
    }
    assert_eq!(judged(&steps, "semaphore:1").verdict, Verdict::Held);
}
