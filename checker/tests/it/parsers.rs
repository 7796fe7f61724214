//! A short run of what the targets under `fuzz/` do for as long as they are let.
//!
//! `DURESS_FUZZ` sets how many inputs a parser.

use std::path::{Path, PathBuf};

use duress_checker::formats::edn::Reader;
use duress_checker::formats::{Format, read, read_history};
use duress_checker::generate::Random;
use duress_checker::history::{History, Remarks, jsonl};

use crate::against_brute_force::rounds;

/// What the fuzzers start from, and what they once found, by name.
fn corpus() -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut files: Vec<PathBuf> = ["edn", "formats", "jsonl"]
        .iter()
        .flat_map(|target| std::fs::read_dir(directory.join(target)).unwrap())
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    let mut corpus: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    corpus.extend([
        br#"{"index":0,"time":0,"process":"nemesis","type":"info","f":"x","value":{"a":[1,{"b":null}]},"extra":-1.5e3}"#
            .to_vec(),
        b"{:process 1 :type :ok :f :read :value [7 nil]}".to_vec(),
    ]);
    corpus
}

/// Cuts, doubles, swaps and replaces a few pieces.
fn mutate(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = corpus[random.below(corpus.len() as u64) as usize].clone();
    for _ in 0..random.below(5) {
        let at = random.below(bytes.len() as u64 + 1) as usize;
        match random.below(4) {
            0 => bytes.truncate(at),
            1 => {
                let to = (at + random.below(20) as usize).min(bytes.len());
                let piece = bytes[at..to].to_vec();
                bytes.splice(at..at, piece);
            }
            2 => {
                let to = (at + random.below(4) as usize).min(bytes.len());
                bytes.drain(at..to);
            }
            _ => {
                let letters = b"{}[]()\":,\\ \n#;_-.019eENntf\x00\xff";
                bytes.insert(at, letters[random.below(letters.len() as u64) as usize]);
            }
        }
    }
    bytes
}

/// The corpus as it is, then changed.
fn inputs(corpus: &[Vec<u8>]) -> impl Iterator<Item = (Vec<u8>, u64)> {
    let changed = (0..rounds()).map(|seed| mutate(corpus, &mut Random::new(seed)));
    corpus.iter().cloned().chain(changed).zip(0..)
}

/// Operations, and what was noted but for a line that was cut off: events don't tell that.
fn shown(history: &History) -> (Vec<String>, Remarks) {
    let rows = 0..history.rows.len() as u32;
    let rows = rows.map(|row| format!("{:?}", history.witness_op(row, String::new())));
    let remarks = Remarks {
        cut: false,
        ..history.remarks
    };
    (rows.collect(), remarks)
}

#[test]
fn both_readers_of_jsonl_agree_on_any_bytes() {
    let (corpus, mut read) = (corpus(), 0);
    for (bytes, seed) in inputs(&corpus) {
        let quick = jsonl::read_history(&bytes);
        let slow = jsonl::read_events(&bytes)
            .ok()
            .and_then(|events| History::from_events(&events).ok());
        read += u64::from(slow.is_some());
        assert_eq!(
            quick.ok().as_ref().map(shown),
            slow.as_ref().map(shown),
            "seed {seed}: {}",
            String::from_utf8_lossy(&bytes)
        );
    }
    assert!(read * 50 > rounds(), "{read} inputs were histories");
}

#[test]
fn no_bytes_make_a_reader_panic_and_both_ways_agree() {
    let corpus = corpus();
    for (bytes, seed) in inputs(&corpus) {
        for format in [Format::Guess, Format::Json, Format::Edn, Format::Log] {
            let events = read(&bytes, format).ok();
            let slow = events.and_then(|events| History::from_events(&events).ok());
            let quick = read_history(&bytes, format).ok();
            assert_eq!(
                quick.map(|history| shown(&history).0),
                slow.map(|history| shown(&history).0),
                "seed {seed}, {format:?}: {}",
                String::from_utf8_lossy(&bytes)
            );
        }
        let mut reader = Reader::new(&bytes);
        let forms = (0..=bytes.len())
            .take_while(|_| matches!(reader.next_form(), Ok(Some(_))))
            .count();
        assert!(forms <= bytes.len(), "seed {seed}: more forms than bytes");
    }
}
