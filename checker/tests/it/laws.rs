//! Hints agree with `step`, for every model of the table; and a hint that does not is found out.

use duress_checker::history::{Val, Values};
use duress_checker::laws::{self, Law};
use duress_checker::model::{Call, CheckError, Hints, Model, Shortcuts, Words};
use duress_checker::object::shared::element_op::ElementOp;
use duress_checker::object::unordered_queue::UnorderedQueue;
use duress_checker::object::{CATALOGUE, WithModel, with_model};

/// Tests the laws of the model of this name for operations of these names.
struct Laws<'a>(&'a str, &'a [&'a str]);

impl WithModel for Laws<'_> {
    /// How many different operations there were.
    type Result = usize;

    fn with<M: Model>(self, model: &M) -> Result<usize, CheckError> {
        let ops = laws::operations(model, self.1);
        assert_eq!(model.name(), self.0, "the table and the model call it the same");
        if let Err(broken) = laws::check(model, &ops) {
            panic!("{}: {broken}", model.name());
        }
        Ok(ops.len())
    }
}

#[test]
fn of_every_model() {
    for about in CATALOGUE {
        // What the table says that it takes; whatever else stands there is refused, and no operation.
        let words: Vec<&str> = about.takes.split(|c: char| !c.is_alphanumeric()).collect();
        let count = with_model(about.name, Laws(about.name, &words)).unwrap();
        assert!(count >= 2, "{} reads {count} operations", about.name);
    }
    assert_eq!(
        with_model("semaphore:2", Laws("semaphore", &["acquire", "release"])),
        Ok(5)
    );
}

/// A number that is set and seen, with one hint that is wrong.
struct Wrong(Law);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Op {
    Set(i64),
    See(i64),
}

impl Model for Wrong {
    type Op = Op;
    type State = i64;

    fn name(&self) -> &'static str {
        "wrong"
    }

    fn operation(&self, call: &Call<'_>) -> Result<Option<Op>, String> {
        let number = |of: Val| call.values.int(of);
        Ok(match (call.f, call.result) {
            ("set", _) => number(call.argument.first).map(Op::Set),
            (_, Some(result)) => number(result.first).map(Op::See),
            (_, None) => None,
        })
    }

    fn initial(&self) -> i64 {
        0
    }

    fn step(&self, state: &i64, op: &Op, next: &mut Vec<i64>) {
        match *op {
            Op::Set(number) => next.push(number),
            Op::See(number) if number == *state => next.push(number),
            Op::See(_) => {}
        }
    }

    fn hints(&self) -> &impl Hints<Op, i64> {
        self
    }
}

impl Hints<Op, i64> for Wrong {
    fn observes_only(&self, op: &Op) -> bool {
        matches!(op, Op::See(_)) || self.0 == Law::ObservesOnly
    }

    fn overwrites(&self, op: &Op) -> bool {
        matches!(op, Op::Set(_)) || self.0 == Law::Overwrites
    }

    fn only_in(&self, op: &Op) -> Option<i64> {
        match *op {
            Op::See(number) => Some(number + i64::from(self.0 == Law::OnlyIn)),
            Op::Set(_) => None,
        }
    }

    fn apply(&self, state: &mut i64, op: &Op) -> Option<bool> {
        match *op {
            Op::Set(number) => *state = number + i64::from(self.0 == Law::Apply),
            Op::See(number) => return Some(number == *state),
        }
        Some(true)
    }
}

#[test]
fn a_wrong_hint_is_found_out() {
    for law in [Law::ObservesOnly, Law::Overwrites, Law::OnlyIn, Law::Apply] {
        let model = Wrong(law);
        let ops = laws::operations(&model, &["set", "see"]);
        assert_eq!(laws::check(&model, &ops).unwrap_err().law, law);
    }
    // Wrong about nothing that it says.
    let right = Wrong(Law::Taking);
    let ops = laws::operations(&right, &["set", "see"]);
    assert_eq!(laws::check(&right, &ops), Ok(()));
}

/// An unordered queue of which an unknown `dequeue` takes what is not there.
struct Greedy;

impl Model for Greedy {
    type Op = ElementOp;
    type State = Vec<Val>;

    fn name(&self) -> &'static str {
        "greedy"
    }

    fn operation(&self, call: &Call<'_>) -> Result<Option<ElementOp>, String> {
        UnorderedQueue.operation(call)
    }

    fn initial(&self) -> Vec<Val> {
        Vec::new()
    }

    fn step(&self, state: &Vec<Val>, op: &ElementOp, next: &mut Vec<Vec<Val>>) {
        UnorderedQueue.step(state, op, next);
    }

    fn words(&self) -> &impl Words<ElementOp, Vec<Val>> {
        self
    }

    fn shortcuts(&self) -> &impl Shortcuts<ElementOp> {
        self
    }
}

impl Words<ElementOp, Vec<Val>> for Greedy {
    fn show(&self, state: &Vec<Val>, values: &Values) -> String {
        UnorderedQueue.words().show(state, values)
    }

    fn produces<'op>(&self, op: &'op ElementOp) -> &'op [Val] {
        UnorderedQueue.words().produces(op)
    }
}

impl Shortcuts<ElementOp> for Greedy {
    fn taking(&self, _op: &ElementOp, value: Val) -> Option<ElementOp> {
        Some(ElementOp::Put(value))
    }
}

#[test]
fn a_wrong_choice_is_found_out() {
    let ops = laws::operations(&Greedy, &["enqueue", "dequeue"]);
    let broken = laws::check(&Greedy, &ops).unwrap_err();
    assert_eq!(broken.law, Law::Taking);
    assert!(broken.to_string().starts_with("taking makes of it"), "{broken}");
}
