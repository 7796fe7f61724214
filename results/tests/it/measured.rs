//! What faults were measured to do: drawn, and in their rows.

use std::fmt::Write;
use std::fs;

use duress_results::{RunData, RunDir, plots, report};
use serde_json::{Value, json};

use crate::sample::{self, SECOND};

/// A run with one more fault, `n1` and `n2` five minutes late, with these numbers at `n1`: of the look after injection, of the one
/// before healing, and of the one after it.
fn run(root: &std::path::Path, numbers: [Value; 3]) -> RunDir {
    let dir = sample::write(root);
    let mut schedule: Value = serde_json::from_slice(&fs::read(dir.schedule()).unwrap()).unwrap();
    let fault = json!({"id": 9, "at_ms": 0, "length_ms": 1, "fault": {"kind": "clock-jump", "by": "-5m", "targets": "minority"}});
    schedule["faults"].as_array_mut().unwrap().push(fault);
    dir.write_schedule(&schedule).unwrap();
    let mut history = fs::read_to_string(dir.history()).unwrap();
    let index = history.lines().count();
    let [verify, recheck, healed] = numbers;
    let steps = [
        (25, "inject", Value::Null),
        (25, "verify", verify),
        (27, "recheck", recheck),
        (28, "heal", Value::Null),
        (28, "verify-healed", healed),
    ];
    for ((second, step, number), index) in steps.into_iter().zip(index..) {
        let measured = |node: &str, number: &Value| json!({"node": node, "what": "offset of the realtime clock", "unit": "s", "seen": number["seen"], "asked": number["asked"]});
        let measured = match number.is_null() {
            true => json!([]),
            false => json!([measured("n1", &number), measured("n<2>", &number)]),
        };
        let event = json!({"index": index, "time": second * SECOND, "process": "nemesis", "type": "info", "f": "clock-jump",
            "value": {"id": 9, "step": step, "targets": ["n1", "n<2>"], "result": "installed", "measured": measured}});
        writeln!(history, "{event}").unwrap();
    }
    fs::write(dir.history(), history).unwrap();
    dir
}

#[test]
fn a_row_says_what_was_asked_and_measured_and_what_is_left() {
    let root = tempfile::tempdir().unwrap();
    let dir = run(
        root.path(),
        [
            json!({"seen": -300.0, "asked": -300.0}),
            json!({"seen": -299.5, "asked": -300.0}),
            json!({"seen": 0.0}),
        ],
    );
    let page = report::render(&RunData::load(&dir).unwrap());
    for part in [
        "asked: by\u{a0}-5m · targets\u{a0}minority",
        "<strong>offset of the realtime clock</strong> · asked −5 min 00 s · measured −5 min 00 s to −4 min 59 s · healed 0 s",
        "<h3>Offset of the realtime clock, by node</h3>",
        "full height: −5 min 00 s to 0 s",
    ] {
        assert!(page.contains(part), "{part:?} is not on the page");
    }
}

#[test]
fn numbers_are_drawn_to_scale_and_in_time() {
    let root = tempfile::tempdir().unwrap();
    let numbers = [
        json!({"seen": -300.0, "asked": -200.0}),
        json!({"seen": -150.0, "asked": -200.0}),
        json!({"seen": 0.0}),
    ];
    let dir = run(root.path(), numbers);
    let drawn = plots::measured(&RunData::load(&dir).unwrap());
    assert_eq!(drawn.len(), 1);
    let svg = &drawn[0].svg;
    assert!(
        svg.contains("n&lt;2&gt;") && !svg.contains("n<2>"),
        "names are escaped"
    );
    let attribute = |of: &str, name: &str| -> Vec<f64> {
        let elements = svg.split(of).skip(1);
        let value = |element: &str| {
            element
                .split(&format!("{name}=\""))
                .nth(1)?
                .split('"')
                .next()?
                .parse()
                .ok()
        };
        elements.filter_map(value).collect()
    };
    let (x, y) = (attribute("<circle", "cx"), attribute("<circle", "cy"));
    assert_eq!(x.len(), 6, "three looks at two nodes");
    assert!(x[0] < x[1] && x[1] < x[2], "{x:?}");
    // Half as far off is half as far from zero.
    assert!(
        ((y[1] - y[2]) * 2.0 - (y[0] - y[2])).abs() < 0.3 && y[0] > y[2],
        "{y:?}"
    );
    let asked = attribute("class=\"asked\"", "y1");
    assert!(
        asked.len() == 2 && asked[0] > y[1] && asked[0] < y[0],
        "{asked:?}"
    );
    // Nobody looked between the last look in force and the one that found it healed.
    assert_eq!(svg.matches("class=\"unseen\"").count(), 2);
    assert_eq!(svg.matches("class=\"seen\"").count(), 2);
}

#[test]
fn where_nothing_was_measured_nothing_is_drawn() {
    let root = tempfile::tempdir().unwrap();
    let dir = sample::write(root.path());
    assert!(plots::measured(&RunData::load(&dir).unwrap()).is_empty());
}
