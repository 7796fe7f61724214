//! What is too large to be read: numbers, nesting, memory, lines. Each is an error that says so.

use duress_checker::formats::{Format, FormatError, read_history_within};
use duress_checker::history::jsonl::{self, LINE_BYTES_MAX};
use duress_checker::verdict::Verdict;

use crate::odd_histories::{as_edn, judged, lines, refused};

#[test]
fn numbers_that_64_bits_cannot_tell_apart_are_refused_with_their_line() {
    for (written, read) in [
        ("18446744073709551616", "18446744073709551617"),
        ("-9223372036854775809", "-9223372036854775810"),
        ("0.1", "0.10000000000000001"),
        ("[1,9007199254740993.0]", "[1,9007199254740992.0]"),
    ] {
        let steps = [
            (0, "invoke", "write", written),
            (0, "ok", "write", written),
            (1, "invoke", "read", "null"),
            (1, "ok", "read", read),
        ];
        let own = lines(&steps);
        let json = own.replace("\"index\"", "\"nr\"").replace("\"time\"", "\"when\"");
        let edn = as_edn(&json);
        for text in [own, json, edn] {
            let said = refused(&text);
            assert!(
                said.starts_with("line ") && said.contains("than 64 bits can tell apart"),
                "{text}: {said}"
            );
        }
    }
    // What they can tell apart is told apart.
    let near = lines(&[
        (0, "invoke", "write", "18446744073709551615"),
        (0, "ok", "write", "18446744073709551615"),
        (1, "invoke", "read", "null"),
        (1, "ok", "read", "18446744073709551614"),
    ]);
    assert!(matches!(
        judged(&near, "register").verdict,
        Verdict::Violated { .. }
    ));
}

#[test]
fn nesting_is_bounded_in_every_reader_and_what_is_read_can_be_shown() {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    for depth in [1, 90, 110, 120] {
        let value = nested(depth);
        let own = lines(&[(0, "invoke", "read", "null"), (0, "ok", "read", &value)]);
        let judged = judged(&own, "register");
        let Verdict::Violated { witness } = judged.verdict else {
            panic!("{depth}: {judged:?}");
        };
        assert!(witness.summary.contains('1'), "{}", witness.summary);
        assert!(serde_json::to_string(&witness).unwrap().contains(&value));
    }
    for depth in [500, 100_000] {
        for value in [
            nested(depth),
            "{\"a\":".repeat(depth),
            "{:a ".repeat(depth),
            "#a ".repeat(depth),
            "#_[".repeat(depth),
        ] {
            for text in [
                lines(&[(0, "invoke", "write", &value)]),
                format!("[{{\"process\":0,\"type\":\"invoke\",\"f\":\"write\",\"value\":{value}}}]"),
                format!("{{:process 0 :type :invoke :f :write :value {value}}}"),
                format!("INFO  jepsen.util - 0\t:invoke\t:write\t{value}\n"),
            ] {
                assert!(refused(&text).starts_with("line 1: "), "{}", refused(&text));
            }
        }
    }
    // Read, and followed by nothing: the line is named where the text ends.
    assert!(refused(&format!("{{:a {}", "#_".repeat(50_000))).starts_with("line 1: "));
}

#[test]
fn memory_is_bounded_whatever_the_format() {
    // Lists take sixteen times their text as JSON trees, and are kept by name.
    let list = format!("[{}0]", "0,".repeat(100_000));
    let own = lines(&[(0, "invoke", "write", &list), (0, "ok", "write", "null")]);
    let json = own.replace("\"time\"", "\"when\"");
    let edn = format!("[{}]", as_edn(&json));
    for text in [&json, &edn] {
        let memory = text.len() + (1 << 20);
        let error = read_history_within(text.as_bytes(), Format::Guess, memory).unwrap_err();
        assert!(matches!(error, FormatError::Memory(_)), "{error}");
        assert!(read_history_within(text.as_bytes(), Format::Guess, 64 << 20).is_ok());
    }
    let many: String = (0..20_000)
        .map(|index| {
            format!(
                "{{\"index\":{index},\"time\":0,\"process\":{index},\"type\":\"invoke\",\"f\":\"write\",\"value\":\"{index}\"}}\n"
            )
        })
        .collect();
    let error = read_history_within(many.as_bytes(), Format::Guess, many.len() + (1 << 20)).unwrap_err();
    assert!(matches!(error, FormatError::Memory(_)), "{error}");
    assert!(read_history_within(many.as_bytes(), Format::Guess, 64 << 20).is_ok());
}

#[test]
fn a_line_has_a_limit() {
    let long = format!("{{\"index\":0,\"error\":\"{}\"}}", "x".repeat(LINE_BYTES_MAX));
    let error = jsonl::parse_line(long.as_bytes()).unwrap_err();
    assert!(
        error.reason.contains("more than 16 MiB") && !error.cut,
        "{error:?}"
    );
    assert!(jsonl::read_history(long.as_bytes()).is_err() && jsonl::read_events(long.as_bytes()).is_err());
}
