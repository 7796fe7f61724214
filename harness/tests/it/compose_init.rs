//! The way of somebody who has a compose file and nothing else: docs/your-own-system.md, as written down in
//! `first-verdict.sh`, with its edits counted and its listings compared.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::compose::{both, engine_or_skip, on_engine};
use crate::host::{DURESS, STATE};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/examples/your-own-system");
const PAGE: &str = include_str!("../../../docs/your-own-system.md");

/// The example, in a folder of the name `shelf`.
fn copy(dir: &Path) -> PathBuf {
    let to = dir.join("shelf");
    let copied = Command::new("cp")
        .arg("--recursive")
        .args([Path::new(EXAMPLE), &to])
        .status();
    assert!(copied.expect("cp").success());
    to
}

fn duress_in(folder: &Path, program: &str, args: &[&str]) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let binaries = Path::new(DURESS)
        .parent()
        .expect("a folder")
        .display()
        .to_string();
    let mut command = Command::new(program);
    command
        .args(args)
        .current_dir(folder)
        .env("PATH", format!("{binaries}:{path}"))
        .env("DURESS_STATE", STATE)
        .stdin(Stdio::null());
    command
}

/// Lines that were changed, added or removed between two files.
fn edited(from: &Path, to: &Path) -> usize {
    let output = Command::new("diff").args([from, to]).output().expect("diff");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut removes = false;
    let mut count = 0;
    for line in said.lines() {
        match line.chars().next() {
            Some('>') => count += 1,
            Some('<') => count += usize::from(removes),
            _ => removes = line.contains('d'),
        }
    }
    count
}

/// The listings of the page in this language, line by line.
fn listings(language: &str) -> Vec<&'static str> {
    let blocks = PAGE
        .split("```")
        .skip(1)
        .step_by(2)
        .filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'));
    blocks
        .flat_map(str::lines)
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect()
}

/// Whether some line is this one, in which `…` stands for anything.
fn has_line(text: &str, line: &str) -> bool {
    let mut parts = line.split('…');
    let (first, rest) = (parts.next().unwrap_or_default(), parts.collect::<Vec<_>>());
    text.lines().map(str::trim).any(|found| {
        let Some(mut left) = found.strip_prefix(first) else {
            return false;
        };
        for part in &rest {
            match left.find(part) {
                Some(at) => left = &left[at + part.len()..],
                None => return false,
            }
        }
        left.is_empty() || line.ends_with('…')
    })
}

#[test]
fn from_a_compose_file_to_a_first_verdict_in_ten_minutes_and_twenty_lines() {
    if !engine_or_skip() {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let shelf = copy(dir.path());
    let start = Instant::now();
    let output = duress_in(&shelf, "./first-verdict.sh", &[])
        .output()
        .expect("a shell");
    let took = start.elapsed();
    let said = both(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(took < Duration::from_secs(600), "{took:?}");
    let run = shelf.join("results/runs/latest").canonicalize().expect("a run");
    assert_eq!(on_engine(&run), Vec::<String>::new());

    // What `duress init` writes, and what a run says of it before anything is filled in.
    let other = tempfile::tempdir().expect("a folder");
    let untouched = copy(other.path());
    let init = duress_in(&untouched, DURESS, &["init", "compose.yaml"])
        .output()
        .expect("starts");
    assert_eq!(init.status.code(), Some(0), "{}", both(&init));
    let unfilled = duress_in(&untouched, DURESS, &["run", "duress/spec.toml"])
        .output()
        .expect("starts");
    assert_eq!(unfilled.status.code(), Some(64), "{}", both(&unfilled));
    let edits: usize = ["duress/system.toml", "duress/spec.toml", "compose.yaml"]
        .iter()
        .map(|file| edited(&untouched.join(file), &shelf.join(file)))
        .sum();
    assert!((1..=20).contains(&edits), "{edits} lines were edited");

    let read = |path: PathBuf| std::fs::read_to_string(path).expect("a file");
    let shown = [
        ("sh", read(shelf.join("first-verdict.sh"))),
        ("yaml", read(shelf.join("compose.yaml"))),
        ("toml", read(shelf.join("duress/system.toml"))),
        ("text", said + &both(&unfilled)),
    ];
    for (language, text) in shown {
        let lines = listings(language);
        assert!(!lines.is_empty(), "the page shows no {language}");
        for line in lines {
            assert!(
                has_line(&text, line),
                "the page shows {line:?}, which is not in\n{text}"
            );
        }
    }
}

#[test]
fn lines_with_gaps_are_found_and_others_are_not() {
    let text = "one\n  at http://10.0.0.1:70/x\n";
    assert!(has_line(text, "at http://…:70/x") && has_line(text, "…:70/x") && has_line(text, "one"));
    assert!(!has_line(text, "on") && !has_line(text, "at http://…:71/x") && !has_line(text, "at …:70"));
}
