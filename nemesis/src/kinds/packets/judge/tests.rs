use duress_checker::history::StepResult::{Indeterminate, Installed};
use serde_json::{Value, from_value};

use super::*;

fn effects(value: Value) -> Effects {
    let mut all =
        json!({"delay_us": 0, "jitter_us": 0, "distribution": "uniform", "loss": 0.0, "burst": 0.0});
    for (key, value) in value.as_object().unwrap() {
        all[key] = value.clone();
    }
    from_value(all).unwrap()
}

fn link(sent: u32, heard: u32, median_ms: u64, width_ms: u64) -> LinkMeasured {
    let median = median_ms * 1000;
    let half = width_ms * 500;
    LinkMeasured {
        from: "a".to_owned(),
        to: "b".to_owned(),
        family: 4,
        sent,
        heard,
        delay_us: [median - half, median - half, median, median + half, median + half],
        ..LinkMeasured::default()
    }
}

fn judged(link: LinkMeasured, effects: &Effects) -> (bool, String) {
    let seen = Measured {
        links: vec![link],
        unprobed: Vec::new(),
    };
    let able = ["a", "b"].map(str::to_owned).into();
    let outcome = judge_in_force(&seen, &[("a".to_owned(), "b".to_owned())], effects, &able);
    (outcome.result == Installed, outcome.detail)
}

#[test]
fn numbers_are_those_of_the_link_that_fares_worst() {
    let seen = Measured {
        links: vec![link(100, 80, 50, 0), link(100, 95, 60, 0)],
        unprobed: Vec::new(),
    };
    let asked = effects(json!({"delay_us": 50_000, "loss": 0.1}));
    let numbers = |in_force| {
        let numbers = measurements(&seen, &asked, in_force);
        let told = numbers
            .into_iter()
            .map(|one| (one.node, one.unit, one.seen.round(), one.asked.map(f64::round)));
        told.collect::<Vec<_>>()
    };
    let of = |unit: &str, number, asked| ("b".to_owned(), unit.to_owned(), number, asked);
    assert_eq!(
        numbers(true),
        [of("ms", 60.0, Some(50.0)), of("%", 20.0, Some(10.0))]
    );
    assert_eq!(numbers(false), [of("ms", 60.0, None), of("%", 20.0, None)]);
}

#[test]
fn a_delay_is_as_asked_or_is_not() {
    let asked = effects(json!({"delay_us": 500_000}));
    for (median, wanted) in [
        (210, false),
        (490, false),
        (500, true),
        (520, true),
        (600, false),
        (0, false),
    ] {
        let (proven, said) = judged(link(100, 100, median, 0), &asked);
        assert_eq!(proven, wanted, "{median} ms: {said}");
    }
    let (_, said) = judged(link(100, 100, 210, 0), &asked);
    assert_eq!(said, "a>b/4: packets are 210.0 ms late instead of 500.0 ms");
    assert!(!judged(link(100, 90, 500, 0), &asked).0, "a tenth is lost");
    assert!(!judged(link(100, 0, 0, 0), &asked).0, "silence");
    assert!(!judged(link(0, 0, 0, 0), &asked).0, "nothing sent");
}

#[test]
fn a_jitter_is_as_asked_or_is_not() {
    let asked = effects(json!({"delay_us": 100_000, "jitter_us": 40_000}));
    for (width, wanted) in [(0, false), (15, false), (40, true), (50, true), (90, false)] {
        let (proven, said) = judged(link(200, 200, 100, width), &asked);
        assert_eq!(proven, wanted, "{width} ms: {said}");
    }
}

#[test]
fn a_loss_is_as_asked_or_is_not() {
    let asked = effects(json!({"loss": 0.1}));
    for (heard, wanted) in [
        (400, false),
        (395, false),
        (360, true),
        (345, true),
        (320, false),
        (200, false),
    ] {
        let (proven, said) = judged(link(400, heard, 0, 0), &asked);
        assert_eq!(proven, wanted, "{heard}: {said}");
    }
    assert!(
        judged(link(400, 320, 0, 0), &asked)
            .1
            .contains("20.0 % of 400 packets are lost instead of 10.0 %")
    );
}

#[test]
fn what_other_faults_do_to_the_link_is_reckoned_with() {
    let asked = effects(json!({"delay_us": 100_000}));
    let mut both = link(400, 360, 300, 0);
    both.others = vec![effects(json!({"delay_us": 200_000, "loss": 0.1}))];
    assert!(judged(both.clone(), &asked).0);
    both.others.clear();
    assert!(!judged(both, &asked).0);
}

#[test]
fn links_that_nobody_could_use_hurt_nobody() {
    let asked = effects(json!({"delay_us": 500_000}));
    let seen = Measured {
        links: vec![link(100, 100, 500, 0)],
        unprobed: Vec::new(),
    };
    let able = ["a".to_owned()].into();
    let outcome = judge_in_force(&seen, &[("a".to_owned(), "b".to_owned())], &asked, &able);
    assert!(outcome.detail.contains("nobody was hurt"), "{}", outcome.detail);
}

#[test]
fn healed_means_neither_late_nor_lost_and_no_rule_left() {
    let judged = |link: LinkMeasured, left: &[String]| {
        let seen = Measured {
            links: vec![link],
            unprobed: Vec::new(),
        };
        judge_healed(&seen, left).result
    };
    assert_eq!(judged(link(20, 20, 0, 0), &[]), Installed);
    assert_eq!(judged(link(20, 0, 0, 0), &[]), Installed);
    assert_eq!(judged(link(20, 20, 50, 0), &[]), Indeterminate);
    assert_eq!(judged(link(20, 15, 0, 0), &[]), Indeterminate);
    assert_eq!(
        judged(link(20, 20, 0, 0), &["n1: a chain".to_owned()]),
        Indeterminate
    );
    let mut slow = link(20, 20, 50, 0);
    slow.others = vec![effects(json!({"delay_us": 50_000}))];
    assert_eq!(judged(slow, &[]), Installed);
}

#[test]
fn a_jam_is_told_from_packets_that_are_late_one_by_one() {
    let asked = effects(json!({"jam_us": 300_000}));
    let mut seen = link(200, 200, 150, 150);
    assert!(judged(seen.clone(), &asked).0);
    seen.overtaken = 90;
    assert!(
        judged(seen, &asked)
            .1
            .contains("45.0 % of the packets were overtaken")
    );
    assert!(!judged(link(200, 200, 150, 0), &asked).0, "a plain delay");
    assert!(!judged(link(200, 200, 0, 0), &asked).0, "nothing");
}

#[test]
fn copies_changes_and_overtaking_are_as_asked_or_are_not() {
    let shares = |asked: &Effects, fill: &dyn Fn(&mut LinkMeasured, u32)| -> Vec<u32> {
        let proven = |count: &u32| {
            let mut seen = link(400, 400, 0, 0);
            fill(&mut seen, *count);
            judged(seen, asked).0
        };
        [0, 20, 80, 100, 160].into_iter().filter(proven).collect()
    };
    let twice = effects(json!({"duplicate": 0.2}));
    assert_eq!(shares(&twice, &|link, count| link.twice = count), [80, 100]);
    let changed = effects(json!({"corrupt": 0.2, "repaired": true}));
    assert_eq!(shares(&changed, &|link, count| link.changed = count), [80, 100]);
    // A machine that stands still overtakes nobody: half will do.
    let held = effects(json!({"reorder": 0.2, "reorder_us": 20_000}));
    assert_eq!(
        shares(&held, &|link, count| link.overtaken = count),
        [20, 80, 100]
    );
    // What nobody has asked for.
    let nothing = effects(json!({"delay_us": 1000}));
    let mut seen = link(400, 400, 1, 0);
    assert!(judged(seen.clone(), &nothing).0);
    seen.twice = 20;
    assert!(
        judged(seen, &nothing)
            .1
            .contains("5.0 % of 400 packets come twice instead of 0.0 %")
    );
}

#[test]
fn what_the_kernel_refuses_is_told_from_what_gets_lost() {
    let asked = effects(json!({"corrupt": 0.2}));
    for (heard, refused, wanted) in [
        (320, 80, true),
        (320, 200, true),
        (320, 0, false),
        (320, 20, false),
        (400, 80, false),
    ] {
        let mut seen = link(400, heard, 0, 0);
        seen.refused = refused;
        assert_eq!(judged(seen, &asked).0, wanted, "{heard} {refused}");
    }
}

#[test]
fn no_more_bytes_pass_than_the_rate_and_not_far_less() {
    let asked = effects(json!({"rate": 100_000, "queue": 16_384}));
    for (bytes, wanted) in [
        (0, false),
        (10_000, false),
        (30_000, true),
        (50_000, true),
        (70_000, false),
    ] {
        let mut seen = link(100, 60, 300, 0);
        (seen.bytes, seen.span_us) = (bytes, 500_000);
        let (proven, said) = judged(seen, &asked);
        assert_eq!(proven, wanted, "{bytes}: {said}");
    }
    // Losses and delays of what waits for its turn are no mismatch of another fault on the link.
    let mut seen = link(400, 100, 300, 0);
    seen.others = vec![asked];
    assert!(judged(seen.clone(), &effects(json!({"delay_us": 100_000}))).0);
    seen.others.clear();
    assert!(!judged(seen, &effects(json!({"delay_us": 100_000}))).0);
}

#[test]
fn probes_are_as_many_as_tell_and_more_than_a_line_takes() {
    let plan = |value| probes(&effects(value));
    assert_eq!(plan(json!({"duplicate": 0.01})).count, 4000);
    assert_eq!(plan(json!({"corrupt": 0.9})).count, 200);
    for rate in [8192u64, 100_000, 1 << 20] {
        let Plan {
            count,
            interval_us,
            bytes,
        } = plan(json!({"rate": rate, "queue": 16_384}));
        let offered = u64::from(bytes) * 1_000_000 / interval_us;
        assert!(
            (rate * 19 / 10..=rate * 21 / 10).contains(&offered),
            "{rate}: {offered}"
        );
        assert!(
            u64::from(count) * interval_us >= 240_000,
            "{rate}: {count} {interval_us}"
        );
        assert!(bytes <= 1400);
    }
}
