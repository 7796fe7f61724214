//! What is written down of single packets: the same seed decides the same, and the files say what was there.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{LONG_MS, verified};
use crate::stage::Stage;

const ALL: &str = r#"{"kind":"packets","delay":"5ms","loss":0.2,"burst":2,"duplicate":0.2,"reorder":0.2,"corrupt":0.2,
    "checksum":"repaired","log":true,"capture":true,"targets":["n1"]}"#;

/// What was decided at a node, by link and number; and how many packets its capture has.
struct Written {
    decided: BTreeMap<(String, u64), Value>,
    captured: usize,
}

fn read(directory: &Path, node: &str) -> Written {
    let file = |suffix| directory.join(format!("nodes/{node}/packets-0.{suffix}"));
    let text = std::fs::read_to_string(file("jsonl")).expect("a log");
    let mut lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let head = lines.next().expect("a first line");
    assert_eq!(
        (&head["format"], &head["fault"], &head["node"], &head["left_out"]),
        (&1.into(), &0.into(), &node.into(), &0.into())
    );
    let decided = lines.map(|line| {
        let link = line["link"].as_str().expect("a link").to_owned();
        ((link, line["packet"].as_u64().expect("a number")), line)
    });
    Written {
        decided: decided.collect(),
        captured: packets(&file("pcap")),
    }
}

/// By the lengths in the file, and by tcpdump where there is one.
#[allow(clippy::print_stderr)] // what was not asked must be said
fn packets(file: &Path) -> usize {
    let bytes = std::fs::read(file).expect("a capture");
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    assert_eq!((word(0), word(20)), (0xa1b2_3c4d, 101));
    let (mut at, mut count) = (24, 0);
    while at < bytes.len() {
        let (kept, length) = (word(at + 8), word(at + 12));
        assert_eq!(kept, length);
        let version = bytes[at + 16] >> 4;
        assert!(matches!(version, 4 | 6), "packet {count} is of IPv{version}");
        at += 16 + length as usize;
        count += 1;
    }
    assert_eq!(at, bytes.len());
    match Command::new("tcpdump").args(["-n", "-r"]).arg(file).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout);
            let lines = said.lines().filter(|line| line.contains(" IP"));
            assert_eq!(
                lines.count(),
                count,
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Err(_) => eprintln!("tcpdump is not installed: it was not asked"),
    }
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_seed_decides_the_same_and_it_is_all_written_down() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let stage = Stage::new(2).await;
        let run = stage.begin(&[(ALL, LONG_MS)]);
        verified(&stage, 0).await;
        stage.cancel.send_replace(true);
        run.await.unwrap().unwrap();
        stage.assert_proven(0);
        let directory = stage.journal();
        let directory = directory.parent().expect("a directory");
        runs.push(["n1", "n2"].map(|node| read(directory, node)));
    }
    for (first, second) in runs[0].iter().zip(&runs[1]) {
        for written in [first, second] {
            assert_eq!(written.captured, written.decided.len());
        }
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for (packet, line) in &first.decided {
            let Some(again) = second.decided.get(packet) else {
                continue;
            };
            // Which packet comes when, and whether it has data, is the system's affair.
            let same = line["bytes"] == again["bytes"];
            for what in ["fate", "delay_us", "copied", "flipped"] {
                assert!(
                    line[what] == again[what] || (what == "flipped" && !same),
                    "{what} of {packet:?}"
                );
            }
            *seen.entry(line["fate"].as_str().expect("a fate")).or_default() += 1;
            *seen.entry("copied").or_default() += usize::from(line["copied"] == true);
            *seen.entry("flipped").or_default() += usize::from(!line["flipped"].is_null());
        }
        for (what, least) in [("lost", 20), ("delivered", 200), ("copied", 20), ("flipped", 20)] {
            assert!(
                seen.get(what).is_some_and(|count| *count >= least),
                "{what} in {seen:?}"
            );
        }
    }
}
