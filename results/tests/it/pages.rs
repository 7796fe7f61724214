//! The report, `junit.xml` and the terminal's summary of sample runs.

use std::fmt::Write;
use std::fs;

use duress_checker::verdict::{Proof, Verdict};
use duress_results::verdict_file::VerdictFile;
use duress_results::{RunData, RunDir, junit, plots, report, terminal};
use serde_json::{Value, json};

use crate::sample;

fn page(verdict: &VerdictFile) -> String {
    let root = tempfile::tempdir().unwrap();
    let dir = sample::write(root.path());
    dir.write_verdict(verdict).unwrap();
    report::render(&RunData::load(&dir).unwrap())
}

/// Where each of `parts` begins; fails when one is missing.
fn places(page: &str, parts: &[&str]) -> Vec<usize> {
    (parts.iter())
        .map(|part| {
            page.find(part)
                .unwrap_or_else(|| panic!("{part:?} is not on the page"))
        })
        .collect()
}

#[test]
fn a_violated_run_is_told_in_the_order_of_a_reviewers_questions() {
    let page = page(&sample::violated());
    let order = places(
        &page,
        &[
            "Violated</h1>",
            "id=\"properties\"",
            "id=\"witness\"",
            "class=\"sentence\"",
            "read k3 → 4",
            "write k3=7 → ok",
            "How far it can be explained",
            "What completed before event 10520",
            "after 127 others; 1: write 4 → ok; 2: read → 4; 3: write 2 → ?; 4: read → 2;",
            "10: read → 7; write 9 → ? may have taken effect by then; this leaves 7 or 9; read → 4 fits nowhere",
            "class=\"through\"",
            "It keeps causal consistency.",
            "id=\"evidence\"",
            "id=\"behaviour\"",
            "id=\"faults\"",
            "12 of 12 directed links",
            "id=\"state\"",
            "id=\"reproduce\"",
            "duress run specs/register.toml --seed 7",
        ],
    );
    assert!(order.is_sorted(), "{order:?}");
    assert!(page.contains("1 of 10 keys, 35,314 operations, 84 ms"));
    assert!(page.contains("dropped_packets\u{a0}312"));
}

/// What stands in an attribute, wherever elements of a class have it.
fn numbers_in(text: &str, attribute: &str) -> Vec<f64> {
    let begins = format!(" {attribute}=\"");
    let parts = text.split(&begins).skip(1);
    parts
        .map(|part| part.split('"').next().unwrap().parse().unwrap())
        .collect()
}

#[test]
fn an_order_is_drawn_from_top_to_bottom_and_never_goes_back() {
    let page = page(&sample::violated());
    let from = page
        .find("How far it can be explained")
        .expect("the part is there");
    let svg = page[from..].split("</svg>").next().unwrap();
    assert!(svg.contains("<svg"), "nothing is drawn");

    // Each number twice: in the list, and on the bar.
    let places: Vec<&str> = svg.split("<g class=\"place\">").skip(1).collect();
    let number = |place: &&str| -> u64 {
        let text = place.split('>').nth(2).and_then(|text| text.split('<').next());
        text.unwrap().parse().unwrap()
    };
    let ordered = sample::reached().order.len() as u64;
    let seen: Vec<u64> = places.iter().map(number).collect();
    let wanted: Vec<u64> = (1..=ordered).flat_map(|number| [number, number]).collect();
    assert_eq!(seen, wanted);

    let (x, y) = (numbers_in(svg, "cx"), numbers_in(svg, "cy"));
    let on_bars: Vec<f64> = x.iter().copied().filter(|&x| x > 100.0).collect();
    assert_eq!(on_bars.len() as u64, ordered);
    assert!(on_bars.is_sorted(), "{on_bars:?}");
    assert!(y.is_sorted(), "{y:?}");
    let rows: Vec<f64> = y.chunks(2).map(|row| row[0]).collect();
    assert!(rows.is_sorted_by(|a, b| a < b), "{rows:?}");

    // The bars are those of the order, then the write that may have been, then what fits nowhere.
    let bars: Vec<&str> = svg.split("<g class=\"op").skip(1).collect();
    assert_eq!(bars.len() as u64, ordered + 2);
    for (bar, x) in bars.iter().zip(&on_bars) {
        let (left, width) = (numbers_in(bar, "x")[0], numbers_in(bar, "width")[0]);
        assert!((left..=left + width).contains(x), "{x} is not on {bar}");
    }
    let last = bars.last().unwrap();
    assert!(
        last.starts_with(" culprit\"") && last.contains("fits nowhere"),
        "{last}"
    );
}

#[test]
fn where_nothing_came_before_there_is_no_order_to_draw() {
    let mut verdict = sample::violated();
    let Verdict::Violated { witness } = &mut verdict.properties[0].verdict else {
        panic!("the sample is violated");
    };
    let reached = witness.reached.as_mut().unwrap();
    (reached.ordered, reached.order) = (0, Vec::new());
    reached.open.clear();
    reached.states.truncate(1);
    let page = page(&verdict);
    places(
        &page,
        &["at first 7; read → 4 fits nowhere", ">at first 7</text>"],
    );
    assert!(!page.contains("after 127 others") && !page.contains("class=\"place\""));
}

#[test]
fn a_verdict_that_cannot_be_read_is_an_error_that_names_the_file() {
    let root = tempfile::tempdir().unwrap();
    let dir = sample::write(root.path());
    let mut verdict: Value = serde_json::from_slice(&fs::read(dir.verdict()).unwrap()).unwrap();
    verdict["properties"][0]["witness"]["reached"]["order"] = json!([4100, 4107]);
    fs::write(dir.verdict(), verdict.to_string()).unwrap();
    let error = RunData::load(&dir).unwrap_err().to_string();
    assert!(error.contains("verdict.json"), "{error}");
}

#[test]
fn every_verdict_is_said_in_words() {
    for (verdict, word) in [
        (sample::held(), "Held</h1>"),
        (sample::violated(), "Violated</h1>"),
        (sample::inconclusive(), "Inconclusive</h1>"),
        (sample::failure(), "Harness failure</h1>"),
    ] {
        let page = page(&verdict);
        assert!(page.contains(word), "{word}");
        assert_eq!(
            page.contains("id=\"witness\""),
            word.starts_with("Violated"),
            "{word}"
        );
    }
}

#[test]
fn a_run_without_operations_has_a_page_that_says_so() {
    let root = tempfile::tempdir().unwrap();
    let dir = RunDir::create(root.path(), "empty", sample::STARTED, 7).unwrap();
    dir.write_verdict(&sample::failure()).unwrap();
    let run = RunData::load(&dir).unwrap();
    let page = report::render(&run);
    places(
        &page,
        &[
            "Cut short.",
            "n2 never became ready",
            "No property was judged.",
            "No operations.",
            "there is nothing to draw",
            "No fault was injected.",
            "No node was asked about its state.",
        ],
    );
    assert!(plots::all(&run).is_empty());
}

#[test]
fn hostile_text_is_shown_and_never_obeyed() {
    let page = page(&sample::hostile());
    assert!(!page.contains("<script"), "markup got through");
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;]]&gt;"));
    let hostile = |c: char| (c.is_control() && c != '\n' && c != '\t') || c == '\u{202e}';
    assert_eq!(page.chars().find(|&c| hostile(c)), None);
    assert!(page.contains("␛[31m␀�"));
}

#[test]
fn a_page_fetches_nothing() {
    let page = page(&sample::violated());
    let without_namespace = page.replace("http://www.w3.org/2000/svg", "");
    for forbidden in ["http://", "https://", "src=", "@import", "url("] {
        assert!(!without_namespace.contains(forbidden), "{forbidden}");
    }
}

#[test]
fn a_history_that_was_cut_off_is_shown_as_far_as_it_goes() {
    let root = tempfile::tempdir().unwrap();
    let dir = sample::write(root.path());
    let history = fs::read(dir.history()).unwrap();
    fs::write(dir.history(), &history[..history.len() / 2]).unwrap();
    let run = RunData::load(&dir).unwrap();
    assert!(run.history_cut);
    assert!(report::render(&run).contains("Half a last line."));
}

#[test]
fn a_run_that_was_never_judged_says_what_to_do() {
    let root = tempfile::tempdir().unwrap();
    let dir = sample::write(root.path());
    fs::remove_file(dir.verdict()).unwrap();
    let error = RunData::load(&dir).unwrap_err().to_string();
    assert!(error.ends_with("`duress check` judges it"), "{error}");
}

#[test]
fn a_large_run_has_a_small_page() {
    let root = tempfile::tempdir().unwrap();
    let dir = sample::write(root.path());
    let mut history = String::new();
    for op in 0..60_000u64 {
        let time = op * 130_000_000;
        let kind = ["ok", "fail", "info"][op as usize % 3];
        let took = 100_000 + (op * 7_919 % 1_000) * (op * 104_729 % 9_000);
        let _ = writeln!(
            history,
            r#"{{"index":{i},"time":{time},"process":{op},"type":"invoke","f":"read","key":"x","value":null}}"#,
            i = 2 * op
        );
        let _ = writeln!(
            history,
            r#"{{"index":{i},"time":{end},"process":{op},"type":"{kind}","f":"read","key":"x","value":1,"error":"e{op}"}}"#,
            i = 2 * op + 1,
            end = time + took,
        );
    }
    fs::write(dir.history(), history).unwrap();
    let page = report::render(&RunData::load(&dir).unwrap());
    assert!(page.len() < 2 << 20, "{} bytes", page.len());
}

#[test]
fn retries_are_drawn_where_there_were_more_attempts_than_operations() {
    let root = tempfile::tempdir().unwrap();
    let dir = sample::write(root.path());
    let drawn = || report::render(&RunData::load(&dir).unwrap()).contains("attempts made");
    let operation = |attempts: &str| {
        let event = |index, time, kind: &str, more: &str| {
            format!(
                r#"{{"index":{index},"time":{time},"process":1,"type":"{kind}","f":"read","key":"x","value":1{more}}}"#
            )
        };
        let attempts = format!(r#","attempts":[{attempts}]"#);
        let both = [event(0, 1000, "invoke", ""), event(1, 9000, "ok", &attempts)];
        fs::write(dir.history(), both.join("\n") + "\n").unwrap();
    };
    let (first, second) = (
        r#"{"start":1000,"end":2000,"node":"n1","error":"timeout"}"#,
        r#"{"start":3000,"end":9000,"node":"n2"}"#,
    );
    for once in ["", second] {
        operation(once);
        assert!(!drawn(), "{once}");
    }
    operation(&[first, second].join(","));
    assert!(drawn());
}

#[test]
fn plots_are_files_of_their_own() {
    let root = tempfile::tempdir().unwrap();
    let dir = sample::write(root.path());
    report::write(&RunData::load(&dir).unwrap(), &dir).unwrap();
    for name in ["latency", "rate", "errors", "roles", "lag"] {
        let svg = fs::read_to_string(dir.plot(name)).unwrap();
        assert!(
            svg.starts_with("<svg xmlns=") && svg.trim_end().ends_with("</svg>"),
            "{name}"
        );
        assert!(svg.contains("<style>"), "{name}");
    }
    assert!(dir.report().is_file());
}

#[test]
fn junit_of_a_violated_run() {
    insta::assert_snapshot!(junit::render(&sample::violated()));
}

#[test]
fn junit_of_an_inconclusive_run_is_red() {
    insta::assert_snapshot!(junit::render(&sample::inconclusive()));
}

#[test]
fn junit_of_a_harness_failure_is_red() {
    insta::assert_snapshot!(junit::render(&sample::failure()));
}

#[test]
fn junit_survives_hostile_text() {
    let xml = junit::render(&sample::hostile());
    assert!(!xml.contains("<script"));
    assert!(!xml.contains("]]>"));
    assert_eq!(xml.chars().find(|&c| c.is_control() && c != '\n'), None);
}

#[test]
fn every_property_tells_its_own_violation() {
    for (name, verdict, events) in sample::broken::all() {
        insta::assert_snapshot!(format!("terminal_{name}"), terminal::summary(&verdict, false));
        insta::assert_snapshot!(format!("junit_{name}"), junit::render(&verdict));
        let root = tempfile::tempdir().unwrap();
        let dir = sample::broken::write(root.path(), &verdict, &events);
        let page = report::render(&RunData::load(&dir).unwrap());
        let Verdict::Violated { witness } = &verdict.properties[0].verdict else {
            panic!("{name} is violated");
        };
        // Whatever its proof is, it says when, where, and during which fault.
        let told = &witness.circumstances;
        assert!(told.contains("n1") || told.contains("n2"), "{name}: {told}");
        assert!(told.contains("fault 1 (partition of n1)"), "{name}: {told}");
        places(
            &page,
            &[
                "class=\"sentence\"",
                "class=\"circumstances\"",
                "class=\"timeline\"",
            ],
        );
        assert_eq!(
            page.contains("alone prove it"),
            matches!(witness.proof, Proof::Operations),
            "{name}"
        );
    }
}

#[test]
fn terminal_held() {
    insta::assert_snapshot!(terminal::summary(&sample::held(), false));
}

#[test]
fn terminal_violated() {
    insta::assert_snapshot!(terminal::summary(&sample::violated(), false));
}

#[test]
fn terminal_inconclusive() {
    insta::assert_snapshot!(terminal::summary(&sample::inconclusive(), false));
}

#[test]
fn terminal_harness_failure() {
    insta::assert_snapshot!(terminal::summary(&sample::failure(), false));
}

#[test]
fn terminal_colours_are_added_and_nothing_else() {
    let plain = terminal::summary(&sample::violated(), false);
    let mut coloured = terminal::summary(&sample::violated(), true);
    assert!(coloured.starts_with("\x1b[1;31m✕ violated\x1b[0m"));
    for code in ["\x1b[1;31m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m"] {
        coloured = coloured.replace(code, "");
    }
    assert_eq!(coloured, plain);
}

#[test]
fn terminal_text_cannot_move_the_cursor() {
    let text = terminal::summary(&sample::hostile(), false);
    assert_eq!(text.chars().find(|&c| c.is_control() && c != '\n'), None);
}
