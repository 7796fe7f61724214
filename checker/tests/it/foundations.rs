//! What a verdict rests on: an answer that is wrong is not believed, whoever gives it, and shows.

use std::time::Duration;

use duress_checker::history::{History, Val};
use duress_checker::limits::Limits;
use duress_checker::linearizability::{check, check_model};
use duress_checker::model::{Call, Decision, Hints, Model, Operation, Shortcuts, Words};
use duress_checker::object::register::{Register, RegisterOp};
use duress_checker::verdict::{Budget, DecidedBy, PropertyVerdict, Verdict};
use serde_json::{Value, json};

use crate::front_door::{events, judge};

type Step = (u64, &'static str, &'static str, Value);

/// An operation on its own.
fn done(process: u64, f: &'static str, value: Value, result: Value) -> [Step; 2] {
    [(process, "invoke", f, value), (process, "ok", f, result)]
}

fn by(path: &str, objects: u64, refuted: u64) -> DecidedBy {
    let path = path.to_owned();
    DecidedBy {
        path,
        objects,
        refuted,
    }
}

fn judge_model<M: Model>(model: &M, steps: &[Step], budget: Budget) -> PropertyVerdict {
    let history = History::from_events(&events(steps)).unwrap();
    // Whatever it may take is spent already.
    let limits = Limits {
        budget,
        elapsed: &|| Duration::from_secs(1),
    };
    check_model(model, &history, limits).unwrap()
}

/// A register whose path without search is wrong.
struct Liar(fn(&[Operation<RegisterOp>]) -> Option<Decision>);

const REGISTER: Register = Register { cas: true };

impl Model for Liar {
    type Op = RegisterOp;
    type State = Val;

    fn name(&self) -> &'static str {
        "liar"
    }

    fn operation(&self, call: &Call<'_>) -> Result<Option<RegisterOp>, String> {
        REGISTER.operation(call)
    }

    fn initial(&self) -> Val {
        Val::NIL
    }

    fn step(&self, state: &Val, op: &RegisterOp, next: &mut Vec<Val>) {
        REGISTER.step(state, op, next);
    }

    fn words(&self) -> &impl Words<RegisterOp, Val> {
        const { &REGISTER }
    }

    fn shortcuts(&self) -> &impl Shortcuts<RegisterOp> {
        self
    }
}

impl Shortcuts<RegisterOp> for Liar {
    fn decide(&self, part: &[Operation<RegisterOp>]) -> Option<Decision> {
        self.0(part)
    }
}

/// Writes of one value by many clients at once: hard to search, and linearizable.
fn crowd() -> Vec<Step> {
    let write = |turn: u64, kind| (turn % 40, kind, "write", json!(1));
    let round = |from: u64| {
        let turns = from * 40..(from + 1) * 40;
        let begin = turns.clone().map(move |turn| write(turn, "invoke"));
        begin.chain(turns.map(move |turn| write(turn, "ok")))
    };
    (0..50).flat_map(round).collect()
}

/// The search has no time left to contradict it: that does not make it right.
#[test]
fn a_large_core_that_nobody_could_judge_is_no_violation() {
    let all = |part: &[Operation<RegisterOp>]| {
        let core = 0..part.len() as u32;
        (part.len() > 1500).then(|| Decision::Core(core.collect()))
    };
    let budget = Budget {
        time_ms_max: 5,
        ..Budget::default()
    };
    let verdict = judge_model(&Liar(all), &crowd(), budget);
    assert!(
        !matches!(verdict.verdict, Verdict::Violated { .. }),
        "{verdict:?}"
    );
}

/// With time the search puts it right, and that there was something to be put right is said.
#[test]
fn an_answer_without_search_that_is_wrong_shows() {
    let steps = [
        done(0, "write", json!(1), json!(1)),
        done(0, "read", json!(null), json!(1)),
        done(1, "write", json!(1), json!(1)),
    ]
    .concat();
    let core = |_: &[Operation<RegisterOp>]| Some(Decision::Core(vec![0, 1]));
    let backwards = |part: &[Operation<RegisterOp>]| {
        let order = (0..part.len() as u32).rev();
        Some(Decision::Order(order.collect()))
    };
    for liar in [Liar(core), Liar(backwards)] {
        let verdict = judge_model(&liar, &steps, Budget::default());
        assert_eq!(verdict.verdict, Verdict::Held);
        assert_eq!(verdict.decided_by, [by("direct", 0, 1), by("search", 1, 0)]);
        assert!(
            verdict
                .detail
                .contains("\"direct\" did not stand up to being checked"),
            "{verdict:?}"
        );
    }
}

#[test]
fn who_decided_is_said() {
    let unique = done(0, "write", json!(1), json!(1));
    assert_eq!(judge(&unique, "register").decided_by, [by("direct", 1, 0)]);
    let repeated = [unique.clone(), unique].concat();
    assert_eq!(judge(&repeated, "register").decided_by, [by("search", 1, 0)]);
    let stale = [
        repeated,
        done(0, "write", json!(2), json!(2)).to_vec(),
        done(1, "read", json!(null), json!(1)).to_vec(),
    ]
    .concat();
    let verdict = judge(&stale, "register");
    assert!(matches!(verdict.verdict, Verdict::Violated { .. }), "{verdict:?}");
    assert_eq!(verdict.decided_by, [by("search", 1, 0)]);
    let json = serde_json::to_value(&verdict).unwrap();
    assert_eq!(json["decided_by"], json!([{"path": "search", "objects": 1}]));
    // Verdicts from before it was said.
    let old = json!({"property": "linearizable", "verdict": "held", "detail": ""});
    let old: PropertyVerdict = serde_json::from_value(old).unwrap();
    assert_eq!(old.decided_by, []);
}

/// A counter with a hint that is wrong: additions are said to leave it as it is, so the search never makes one.
struct Misled;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Op {
    Add,
    See(i64),
}

impl Model for Misled {
    type Op = Op;
    type State = i64;

    fn name(&self) -> &'static str {
        "misled"
    }

    fn operation(&self, call: &Call<'_>) -> Result<Option<Op>, String> {
        Ok(match (call.f, call.result) {
            ("add", _) => Some(Op::Add),
            (_, Some(result)) => call.values.int(result.first).map(Op::See),
            (_, None) => None,
        })
    }

    fn initial(&self) -> i64 {
        0
    }

    fn step(&self, state: &i64, op: &Op, next: &mut Vec<i64>) {
        match *op {
            Op::Add => next.push(state + 1),
            Op::See(seen) if seen == *state => next.push(seen),
            Op::See(_) => {}
        }
    }

    fn hints(&self) -> &impl Hints<Op, i64> {
        self
    }
}

impl Hints<Op, i64> for Misled {
    fn observes_only(&self, _op: &Op) -> bool {
        true
    }
}

/// It takes all of them to see that the search is wrong: of fewer, the number that was read really is impossible.
#[test]
fn a_search_does_not_confirm_itself() {
    for count in [3, 40] {
        let mut steps = Vec::new();
        for _ in 0..count {
            steps.extend(done(0, "add", json!(null), json!(null)));
        }
        steps.extend(done(1, "see", json!(null), json!(count)));
        let verdict = judge_model(&Misled, &steps, Budget::default());
        assert!(
            matches!(verdict.verdict, Verdict::Inconclusive { .. }),
            "{count}: {verdict:?}"
        );
        assert_eq!(verdict.decided_by, [by("search", 0, 1)]);
    }
}

/// Two texts that the fingerprints do not tell apart.
const TWINS: [&str; 2] = ["NPNKVQPRUQMWRPRNMRLOSPNNTL", "RQRVKOQNLOTJNQNRSOUQMPRSLT"];

#[test]
fn fingerprints_alone_prove_nothing() {
    let put = |text: &str| done(0, "put", json!(text), json!(text));
    let get = |text: &str| done(1, "get", json!(null), json!(text));
    // One text is the beginning of another, so there is no way around the search.
    let before = [put("a"), put("ab"), put(TWINS[0])].concat();
    let texts = |seen: &str| [before.clone(), get(seen).to_vec()].concat();
    let log = |seen: &str| {
        let codes = |text: &str| text.bytes().map(u64::from).collect::<Vec<_>>();
        let appends = codes(TWINS[0]).into_iter();
        let mut steps: Vec<Step> = appends
            .flat_map(|code| done(0, "append", json!(code), json!(code)))
            .collect();
        steps.extend(done(1, "read", json!(null), json!(codes(seen))));
        steps
    };
    for (model, steps) in [("kv", &texts as &dyn Fn(&str) -> Vec<Step>), ("log", &log)] {
        assert_eq!(judge(&steps(TWINS[0]), model).verdict, Verdict::Held, "{model}");
        let other = check(&events(&steps(TWINS[1])), model, Budget::default(), &|| {
            Duration::ZERO
        });
        let verdict = other.unwrap().verdict;
        assert!(
            matches!(verdict, Verdict::Inconclusive { .. }),
            "{model}: {verdict:?}"
        );
    }
}
