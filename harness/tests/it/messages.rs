//! `duress check` on histories of messages: whole, line by line, compressed.

use std::path::Path;

use crate::histories::{BROKEN, Folder};
use crate::host::duress;

/// A queue with one message, delivered `times` times.
fn queue(times: usize) -> String {
    let mut text = String::new();
    let mut line = |process: usize, kind: &str, f: &str, value: &str| {
        let index = text.lines().count();
        text.push_str(&format!(
            "{{\"index\":{index},\"time\":{index},\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\",\"key\":\"q\",\
             \"value\":{value}}}\n"
        ));
    };
    line(0, "invoke", "enqueue", "7");
    line(0, "ok", "enqueue", "7");
    for _ in 0..times {
        line(1, "invoke", "dequeue", "null");
        line(1, "ok", "dequeue", "7");
    }
    line(1, "invoke", "dequeue", "null");
    line(1, "ok", "dequeue", "null");
    text
}

#[test]
fn messages_are_judged_line_by_line_and_from_a_compressed_file() {
    let folder = Folder::new();
    let path = |times| {
        let path = folder.file(queue(times));
        let packed = path.with_extension("jsonl.zst");
        duress_results::packed::pack(&path, &packed).expect("it is packed");
        packed
    };
    let judged = |path: &Path, options: &[&str]| {
        let args = ["check".as_ref(), path.as_os_str(), "--json".as_ref()];
        let output = duress(args.into_iter().chain(options.iter().map(std::ffi::OsStr::new)));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().expect("an exit code"), said + &error)
    };
    for options in [
        &["--property", "exactly-once"][..],
        &["--property", "exactly-once", "--stream"],
    ] {
        let (code, said) = judged(&path(1), options);
        assert_eq!(code, 0, "{said}");
        let (code, said) = judged(&path(2), options);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("duplicate-delivery"), "{said}");
        assert_eq!(
            said.contains("8 events, line by line"),
            options.len() > 2,
            "{said}"
        );
    }
    let (code, said) = judged(&path(1), &["--stream", "--property", "nothing-lost"]);
    assert_eq!(code, 64, "{said}");
    assert!(said.contains("nothing-lost takes the whole history"), "{said}");
    let (code, said) = judged(&folder.file(BROKEN), &["--stream", "--property", "exactly-once"]);
    assert_eq!(code, 2, "{said}");
}
