//! Templates that make no sense.

use super::*;
use crate::clients::Turn;

/// What is wrong with `text`: where, and what.
fn wrong(text: &str) -> String {
    match kind_of(text).expect_err(text) {
        Problem::Form(error) => error.to_string(),
        Problem::Meaning(mistake) => {
            let turn = |turn: &Turn| match turn {
                Turn::Key(key) => key.clone(),
                Turn::Entry(index) => index.to_string(),
            };
            let path: Vec<String> = mistake.at.iter().map(turn).collect();
            format!("{}: {}", path.join("."), mistake.what)
        }
    }
}

#[test]
fn templates_that_make_no_sense_are_refused_where_they_stand() {
    let read = "[http.read]\npath = '/kv/{key}'\nanswer = [{status = 200, ok = '/value'}]\n";
    assert!(kind_of(read).is_ok());
    for (from, to, said) in [
        (
            "{key}",
            "{kee}",
            "http.read.path: read has no place {kee}; it has {key}, {process}, {token.client}, {token.seq}",
        ),
        ("{key}", "{value}", "http.read.path: read has no place {value}"),
        ("{key}", "{key|base63}", "no filter \"base63\""),
        ("{key}", "{key", "a { without its other half"),
        ("{key}", "}", "a } without its other half"),
        ("{key}", "{Key}", "{Key} is no place"),
        ("'/kv", "'kv", "a path begins with a slash"),
        ("'/value'", "'value'", "\"value\" is no place in an answer"),
        ("'/value'", "'/value|base63'", "no decoder \"base63\""),
        ("'/value'", "'/value|or nul'", "after \"or\" stands a JSON value"),
        ("'/value'", "'/value|or 1|json'", "comes after the \"or\""),
        ("'/value'", "'header:a b'", "is no name of a header"),
        ("'/value'", "true", "http.read.answer.0: a read has a result"),
        ("'/value'", "false", "ok = false says nothing"),
        ("ok = '/value'", "fail = 'x'", "http.read.answer: no case says ok"),
        (
            "ok = '/value'",
            "next = {}",
            "http.read.answer.0: there is no request after this one",
        ),
        (
            "ok = '/value'",
            "ok = '/value', fail = 'x'",
            "one of ok, fail, refused, info and next",
        ),
        (
            "ok = '/value'",
            "ok = '/value', leader = '/l'",
            "leader goes with refused",
        ),
        (
            "ok = '/value'",
            "ok = '/value', keep = '/r'",
            "http.read.answer.0: only the answer to a dequeue",
        ),
        (
            "ok = '/value'",
            "refused = 'busy', keep = '/r'",
            "keep goes with a message",
        ),
        ("status = 200, ", "", "it would hold for any answer"),
        ("200", "99", "a status from 100 to 599"),
        ("200", "'6xx'", "a status from 100 to 599"),
        (
            "ok = '/value'",
            "ok = '/value', where = {'/a' = {is = 1}}",
            "a table here is {exists = true}",
        ),
        (
            "ok = '/value'",
            "ok = '/value', where = {'/a' = '{old}'}",
            "http.read.answer.0: read has no place {old}",
        ),
        ("path", "method = 'head'\npath", "unknown variant `head`"),
        ("path", "body = {a = 1}\ntext = 'a'\npath", "two bodies"),
        (
            "path",
            "headers = {'a b' = 'c'}\npath",
            "\"a b\" is no name of a header",
        ),
        ("path", "pfad = 1\npath", "unknown field `pfad`"),
        ("path", "body = {at = 2026-01-01}\npath", "JSON has no dates"),
        (
            "[http.read]",
            "[http.reed]",
            "no workload asks \"reed\"; there are read-lease, read-local, read, ",
        ),
        ("[http.read]", "[http.hold]", "no workload asks \"hold\""),
        (
            "[http.read]",
            "[http]\nauth.bearer = \"a\\nb\"\n[http.read]",
            "http.auth: bearer: a token has no control",
        ),
        (
            "[http.read]",
            "[http]\ntls.ca = 'none.pem'\n[http.read]",
            "http.tls.ca: read ",
        ),
        (
            "[http.read]",
            "[http]\ntls.ca = 'system.toml'\n[http.read]",
            "it holds no certificate",
        ),
        (
            "[http.read]",
            "[http]\nheaders.a = '{value}'\n[http.read]",
            "http.headers: no place {value} is there for every",
        ),
        (
            "[http.read]",
            "[http]\nanswer = [{status = 1, ok = true}]\n[http.read]",
            "a status from 100 to 599",
        ),
        (
            "[http.read]",
            "[http]\nanswer = [{status = 200, ok = true}]\n[http.read]",
            "http.answer.0: it is looked at for",
        ),
    ] {
        let error = wrong(&read.replacen(from, to, 1));
        assert!(error.contains(said), "{to}: {error}");
    }
    assert!(wrong("client = 'http'").contains("client: the client http asks as the table [http] says"));
    assert!(wrong("[http]\n").contains("it has no requests"));
    let write = "[[http.write]]\npath = '/a'\nanswer = [{status = 200, next = {id = '/id'}}]\n\
                 [[http.write]]\npath = '/b/{id}'\nanswer = [{status = 200, ok = true}]\n";
    assert!(kind_of(write).is_ok());
    for (from, to, said) in [
        (
            "{id}",
            "{idd}",
            "http.write.1.path: write has no place {idd}; it has {key}, {value}, {process}, {token.client}, {token.seq}, {id}",
        ),
        (
            "ok = true",
            "ok = '/a'",
            "http.write.1.answer.0: its result is what was asked for",
        ),
        (
            "path = '/b",
            "effect = false\npath = '/b",
            "http.write.1.effect: write changes something",
        ),
        (
            "next = {id = '/id'}",
            "info = 'x'",
            "http.write.0.answer: no case goes on",
        ),
        (
            "{id = '/id'}}",
            "{id = '/id'}}, {status = 201, next = {}}",
            "http.write.1.path: write has no place {id}",
        ),
        ("{id = '/id'}", "{Id = '/id'}", "nothing can be bound to \"Id\""),
        ("{id = '/id'}", "{key = '/id'}", "nothing can be bound to \"key\""),
    ] {
        let error = wrong(&write.replacen(from, to, 1));
        assert!(error.contains(said), "{to}: {error}");
    }
    assert!(wrong(&write.repeat(5)).contains("1 to 8 requests"));
}

#[test]
fn a_mistake_in_form_shows_its_line_and_has_a_mark() {
    let error = wrong("[http.read]\npath = '/kv'\nanswer = [\n  {status = 200, ok = 'value'},\n]\n");
    assert!(
        error.contains("line 4, column 23") && error.contains('^'),
        "{error}"
    );
    let error = wrong("[http.read]\npath = '/kv'\n[http.read.body]\na = 1\nb = ['x', '{key|jason}']\n");
    assert!(error.contains("line 5, column 11"), "{error}");
}

/// Pieces that make and break templates.
const PIECES: [&str; 20] = [
    "{",
    "}",
    "{{",
    "|",
    "{key}",
    "{key|",
    "|json",
    "|or ",
    "/",
    "'",
    "\"",
    "[",
    "]",
    "=",
    "\n",
    "ok = true",
    "next = {}",
    "200",
    "\u{0}",
    "ä",
];

#[test]
fn no_text_makes_the_reader_panic() {
    use rand::{RngExt, SeedableRng};
    let good = include_str!("../../../../../harness/tests/fixtures/etcd-http/system.toml");
    let mut rng = rand_chacha::ChaCha12Rng::seed_from_u64(8);
    let (mut refused, mut read) = (0, 0);
    for _ in 0..1000 {
        let mut text = good.to_owned();
        for _ in 0..rng.random_range(1..4) {
            let from = text.floor_char_boundary(rng.random_range(0..=text.len()));
            let to = text.ceil_char_boundary((from + rng.random_range(0..3)).min(text.len()));
            text.replace_range(from..to, PIECES[rng.random_range(0..PIECES.len())]);
        }
        match kind_of(&text) {
            Ok(_) => read += 1,
            Err(Problem::Form(error)) => {
                assert!(error.to_string().contains(" at line "), "{text}\n{error}");
                refused += 1;
            }
            Err(Problem::Meaning(mistake)) => {
                assert!(!mistake.at.is_empty() && !mistake.what.is_empty(), "{text}");
                refused += 1;
            }
        }
    }
    assert!(refused > 300 && read > 10, "{refused} refused, {read} read");
}
