//! Verdicts on the sample run: violated, held, inconclusive, failed, and one in which every string is hostile.

use std::collections::BTreeMap;

use duress_checker::evidence::{Evidence, Outcomes, Requirement};
use duress_checker::history::EventType;
use duress_checker::verdict::{Ordered, PropertyVerdict, Reached, Verdict, Weaker, Witness, WitnessOp};
use duress_results::verdict_file::{Overall, Phase, VERDICT_FORMAT, VerdictFile};
use serde_json::{Value, json};

use super::{MS, SECOND, STARTED};

pub fn evidence() -> Evidence {
    let of = |ok, fail, info| Outcomes { ok, fail, info };
    let requirement = |what: &str, needed: &str, seen: &str, met| Requirement {
        what: what.to_owned(),
        needed: needed.to_owned(),
        seen: seen.to_owned(),
        met,
    };
    Evidence {
        operations: of(30_551, 4_322, 441),
        by_f: [
            ("cas".to_owned(), of(5_102, 3_861, 108)),
            ("read".to_owned(), of(17_004, 230, 221)),
            ("write".to_owned(), of(8_445, 231, 112)),
        ]
        .into(),
        faults_planned: 4,
        faults_verified: 4,
        faults_healed: 4,
        breaks: Vec::new(),
        requirements: vec![
            requirement("ok operations", "1000", "30551", true),
            requirement("ok cas operations", "100", "5102", true),
            requirement("ok read operations", "100", "17004", true),
            requirement("ok write operations", "100", "8445", true),
            requirement("faults proven to have bitten", "4", "4", true),
        ],
    }
}

#[allow(clippy::too_many_arguments)] // one for each field
fn op(
    index: u64,
    process: u64,
    f: &str,
    value: Value,
    result: Option<Value>,
    outcome: EventType,
    node: &str,
    invoked: u64,
    completed: Option<u64>,
    note: &str,
) -> WitnessOp {
    WitnessOp {
        index,
        process,
        f: f.to_owned(),
        value,
        result,
        outcome,
        node: Some(node.to_owned()),
        invoked,
        completed,
        note: note.to_owned(),
    }
}

fn at(ms: u64) -> u64 {
    ms * MS + 412_000
}

/// What came before the stale read, with operations side by side, and two writes of unknown outcome.
pub fn reached() -> Reached {
    let ok = |index, process, f, value, result: Value, node, from, to| {
        op(
            index,
            process,
            f,
            value,
            Some(result),
            EventType::Ok,
            node,
            at(from),
            Some(at(to)),
            "",
        )
    };
    let write = |index, process, value: u64, node, from, to| {
        ok(
            index,
            process,
            "write",
            json!(value),
            json!(value),
            node,
            from,
            to,
        )
    };
    let read = |index, process, value: u64, node, from, to| {
        ok(index, process, "read", Value::Null, json!(value), node, from, to)
    };
    let unknown = |index, process, value: u64, from| {
        op(
            index,
            process,
            "write",
            json!(value),
            None,
            EventType::Info,
            "n4",
            at(from),
            None,
            "",
        )
    };
    let cas = ok(
        10_312,
        12,
        "cas",
        json!([4, 5]),
        json!([4, 5]),
        "n2",
        6_702,
        6_706,
    );
    let mut effect = 0;
    let order = [
        write(8_120, 3, 4, "n1", 4_880, 4_883),
        read(8_131, 7, 4, "n1", 4_881, 4_886),
        unknown(8_140, 33, 2, 4_884),
        read(8_144, 2, 2, "n2", 4_885, 4_889),
        write(8_142, 9, 4, "n1", 4_884, 4_890),
        read(8_150, 6, 4, "n3", 4_888, 4_892),
        cas,
        read(10_310, 8, 5, "n5", 6_701, 6_709),
        write(10_440, 9, 7, "n2", 6_907, 6_910),
        read(10_442, 8, 7, "n2", 6_908, 6_911),
    ];
    Reached {
        fails_at: 10_520,
        ordered: 137,
        order: order
            .map(|operation| {
                effect = operation.invoked.max(effect);
                Ordered { operation, effect }
            })
            .to_vec(),
        open: vec![unknown(9_977, 31, 9, 6_011)],
        states: vec!["7".to_owned(), "9".to_owned()],
        failing: read(10_517, 5, 4, "n1", 6_921, 6_923),
        sentence: "What completed before event 10520 can be put in an order, of 137 operations, which leaves 7 or 9; the read \
                   of process 5 that completes there fits no such order."
            .to_owned(),
    }
}

pub fn witness() -> Witness {
    Witness {
        summary: "read of \"k3\" at n1 returned 4 after the write of 7 had been acknowledged".to_owned(),
        key: Some(json!("k3")),
        operations: vec![
            op(
                8_120,
                3,
                "write",
                json!(4),
                None,
                EventType::Ok,
                "n1",
                at(4_880),
                Some(at(4_883)),
                "the last write before the partition",
            ),
            op(
                9_977,
                31,
                "write",
                json!(9),
                None,
                EventType::Info,
                "n4",
                at(6_011),
                None,
                "timed out; may take effect at any time",
            ),
            op(
                10_312,
                12,
                "cas",
                json!([4, 5]),
                None,
                EventType::Ok,
                "n2",
                at(6_702),
                Some(at(6_706)),
                "acknowledged by the new leader",
            ),
            op(
                10_440,
                9,
                "write",
                json!(7),
                None,
                EventType::Ok,
                "n2",
                at(6_907),
                Some(at(6_910)),
                "acknowledged before the read began",
            ),
            op(
                10_517,
                5,
                "read",
                Value::Null,
                Some(json!(4)),
                EventType::Ok,
                "n1",
                at(6_921),
                Some(at(6_923)),
                "returned a value that had been overwritten twice",
            ),
        ],
        minimal: true,
        reached: Some(Box::new(reached())),
        weaker: Some(Box::new(Weaker {
            kept: vec!["causal consistency".to_owned()],
            broken: vec![],
            undecided: vec![],
            reads: 9,
            stale_reads: 0,
            staleness: vec![],
            sentence: "It keeps causal consistency.".to_owned(),
        })),
        circumstances:
            "Between 4.880 s and 6.923 s, at n1, n2 and n4, while fault 1 (partition of n1, n4) was in force."
                .to_owned(),
        ..Witness::default()
    }
}

pub fn violated() -> VerdictFile {
    VerdictFile {
        format: VERDICT_FORMAT,
        duress: "0.1.0".to_owned(),
        name: "register".to_owned(),
        seed: 7,
        started: STARTED.to_owned(),
        duration_ms: 30_000,
        overall: Overall::Violated,
        exit_code: 1,
        summary: "linearizable is violated: a read at n1 returned a value that had been overwritten"
            .to_owned(),
        properties: vec![
            PropertyVerdict {
                property: "linearizable".to_owned(),
                verdict: Verdict::Violated { witness: witness() },
                detail: "1 of 10 keys, 35,314 operations, 84 ms".to_owned(),
                decided_by: Vec::new(),
            },
            PropertyVerdict {
                property: "no-lost-writes".to_owned(),
                verdict: Verdict::Held,
                detail: "8,445 acknowledged writes, 12 ms".to_owned(),
                decided_by: Vec::new(),
            },
            PropertyVerdict {
                property: "recovers".to_owned(),
                verdict: Verdict::Held,
                detail: "4 of 4 faults, slowest 0.41 s".to_owned(),
                decided_by: Vec::new(),
            },
        ],
        evidence: evidence(),
        harness_failure: None,
        cut_short: false,
        phases: (["warm-up", "faults", "recovery", "final-reads"].into_iter())
            .zip([0, 3, 25, 29])
            .map(|(name, second)| Phase {
                name: name.to_owned(),
                start: second * SECOND,
            })
            .collect(),
        cluster: "local, 5 nodes, specimen with defect stale-read".to_owned(),
        diverged: BTreeMap::new(),
        clients: vec![
            "An attempt counts as not executed if no connection was made, or if the specimen says so; it is tried again."
                .to_owned(),
        ],
        reproduce: "duress run specs/register.toml --seed 7".to_owned(),
    }
}

/// The same run without the defect.
pub fn held() -> VerdictFile {
    let mut verdict = violated();
    verdict.overall = Overall::Held;
    verdict.exit_code = 0;
    verdict.summary = "all 3 properties held through 4 faults".to_owned();
    verdict.properties[0].verdict = Verdict::Held;
    verdict.properties[0].detail = "10 of 10 keys, 35,314 operations, 84 ms".to_owned();
    verdict.cluster = "local, 5 nodes, specimen".to_owned();
    verdict
}

/// A fault never bit, and a search ran out of budget.
pub fn inconclusive() -> VerdictFile {
    let mut verdict = held();
    verdict.overall = Overall::Inconclusive;
    verdict.exit_code = 2;
    verdict.summary = "too little evidence: fault 2 (kill) never bit".to_owned();
    verdict.properties[0].verdict = Verdict::Inconclusive {
        reason: "the search of key \"k3\" ran out of its 60 s; give `budget.time` more".to_owned(),
    };
    verdict.evidence.faults_verified = 3;
    verdict.evidence.requirements.push(Requirement {
        what: "fault 2 (kill) bit".to_owned(),
        needed: "proven".to_owned(),
        seen: "process 4711 still runs".to_owned(),
        met: false,
    });
    verdict
}

/// The cluster never came up, and someone pressed Ctrl-C.
pub fn failure() -> VerdictFile {
    let mut verdict = held();
    verdict.overall = Overall::HarnessFailure;
    verdict.exit_code = 3;
    verdict.summary = "the run could not be done: n2 never became ready".to_owned();
    verdict.properties.clear();
    verdict.evidence = Evidence::default();
    verdict.phases.clear();
    verdict.duration_ms = 0;
    verdict.harness_failure = Some(
        "waiting for n2 to be ready: no answer on 10.0.0.2:8080 within 10 s; see nodes/n2/log".to_owned(),
    );
    verdict.cut_short = true;
    verdict
}

/// A violated run in which every string tries to break the page.
pub fn hostile() -> VerdictFile {
    const EVIL: &str = "<script>alert(1)</script>]]>\"'&\u{1b}[31m\0\u{202e}";
    let mut verdict = violated();
    verdict.name = EVIL.to_owned();
    verdict.summary = EVIL.to_owned();
    verdict.cluster = EVIL.to_owned();
    verdict.reproduce = EVIL.to_owned();
    verdict.started = EVIL.to_owned();
    verdict.duress = EVIL.to_owned();
    verdict.phases[1].name = EVIL.to_owned();
    verdict.properties[0].property = EVIL.to_owned();
    verdict.properties[0].detail = EVIL.repeat(20);
    let mut witness = witness();
    witness.summary = EVIL.to_owned();
    witness.key = Some(json!(EVIL));
    let reached = witness.reached.as_mut().expect("the sample has it");
    reached.sentence = EVIL.to_owned();
    reached.states[0] = EVIL.repeat(20);
    let ordered = reached.order.iter_mut().map(|placed| &mut placed.operation);
    let drawn = ordered.chain(&mut reached.open).chain([&mut reached.failing]);
    for op in drawn.chain(&mut witness.operations) {
        op.f = EVIL.to_owned();
        op.value = json!({"a": EVIL});
        op.node = Some(EVIL.to_owned());
        op.note = EVIL.to_owned();
    }
    verdict.properties[0].verdict = Verdict::Violated { witness };
    verdict.evidence.by_f.insert(EVIL.to_owned(), Outcomes::default());
    verdict.evidence.requirements[0].what = EVIL.to_owned();
    verdict.evidence.requirements[1].seen = EVIL.to_owned();
    verdict.harness_failure = Some(EVIL.to_owned());
    verdict
}
