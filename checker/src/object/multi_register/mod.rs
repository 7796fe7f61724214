//! Several registers, read and written together: `txn`.
//!
//! `{"f":"txn","value":[["read","x",1],["write","y",2]]}`, with `r` and `w` for short; also `read` and `write` of one
//! register by `key`. A register begins as `null` or as 0, whichever is read first: Knossos' histories begin with 0.

mod op;

use self::op::is_initial;
pub use self::op::{Micro, Txn};
use crate::history::{Datum, NEVER, Val, Values};
use crate::model::{Call, Hints, Model, Part, Shortcuts, Words};

/// Several registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MultiRegister;

impl Model for MultiRegister {
    type Op = Txn;
    /// Registers whose value is known, in order of their name.
    type State = Vec<(Val, Val)>;

    fn name(&self) -> &'static str {
        "multi-register"
    }

    fn operation(&self, call: &Call<'_>) -> Result<Option<Txn>, String> {
        let known = call.result.is_some();
        let mut micros = Vec::new();
        match call.f {
            "read" => match call.result.map(|result| result.single()) {
                None => {}
                Some(Some(value)) => micros.push(Micro::Read(call.key, value)),
                Some(None) => {
                    return Err("read of a multi-register returns one value, no list of two".to_owned());
                }
            },
            "write" => match call.argument.single() {
                Some(value) => micros.push(Micro::Write(call.key, value)),
                None => return Err("write of a multi-register takes one value, no list of two".to_owned()),
            },
            "txn" => {
                let asked = steps(call.argument, call.values)?;
                let found = match call.result {
                    Some(result) => steps(result, call.values)?,
                    None => asked.clone(),
                };
                if asked.len() != found.len()
                    || !asked.iter().zip(&found).all(|(asked, found)| asked.fits(found))
                {
                    return Err("a txn completes with other steps than it was invoked with".to_owned());
                }
                // Nobody saw what an unknown transaction read.
                let seen = |micro: &Micro| known || matches!(micro, Micro::Write(..));
                micros.extend(found.into_iter().filter(seen));
            }
            f => return Err(format!("a multi-register takes txn, read and write, not {f}")),
        }
        Ok((!micros.is_empty()).then(|| micros.into_iter().collect()))
    }

    fn initial(&self) -> Vec<(Val, Val)> {
        Vec::new()
    }

    fn step(&self, state: &Self::State, op: &Txn, next: &mut Vec<Self::State>) {
        let mut state = state.clone();
        for micro in &op.steps {
            let (Micro::Read(name, value) | Micro::Write(name, value)) = *micro;
            match state.binary_search_by_key(&name, |entry| entry.0) {
                Ok(at) if matches!(micro, Micro::Read(..)) && state[at].1 != value => return,
                Ok(at) => state[at].1 = value,
                Err(_) if matches!(micro, Micro::Read(..)) && !is_initial(value) => return,
                Err(at) => state.insert(at, (name, value)),
            }
        }
        next.push(state);
    }

    /// Transactions tie the registers together.
    fn part(&self, _call: &Call<'_>) -> Val {
        Val::NONE
    }

    fn hints(&self) -> &impl Hints<Txn, Vec<(Val, Val)>> {
        self
    }

    fn words(&self) -> &impl Words<Txn, Vec<(Val, Val)>> {
        self
    }

    fn shortcuts(&self) -> &impl Shortcuts<Txn> {
        self
    }
}

impl Hints<Txn, Vec<(Val, Val)>> for MultiRegister {
    fn heap_bytes(&self, state: &Vec<(Val, Val)>) -> usize {
        state.capacity() * size_of::<(Val, Val)>()
    }

    fn observes_only(&self, op: &Txn) -> bool {
        // Whoever reads a register first decides whether it began as null or as 0.
        let observes = |micro: &Micro| match *micro {
            Micro::Read(_, value) => !is_initial(value),
            Micro::Write(..) => false,
        };
        op.steps.iter().all(observes)
    }
}

impl Words<Txn, Vec<(Val, Val)>> for MultiRegister {
    fn produces<'op>(&self, op: &'op Txn) -> &'op [Val] {
        &op.set
    }

    fn needs<'op>(&self, op: &'op Txn) -> &'op [Val] {
        &op.found
    }

    fn show(&self, state: &Vec<(Val, Val)>, values: &Values) -> String {
        let each = state
            .iter()
            .map(|&(name, value)| format!("{} = {}", values.json(name), values.json(value)));
        format!("{{{}}}", each.collect::<Vec<_>>().join(", "))
    }
}

impl Shortcuts<Txn> for MultiRegister {
    /// An unknown transaction is left out if nobody saw anything that it wrote: whoever reads one of its registers
    /// after it reads what was written there later.
    fn resolve(&self, part: &mut Part<Txn>, _values: &Values) {
        let known = part.iter().filter(|operation| operation.ret != NEVER);
        let mut seen: Vec<(Val, Val)> = (known.flat_map(|operation| &operation.op.steps))
            .filter_map(|micro| match *micro {
                Micro::Read(name, value) => Some((name, value)),
                Micro::Write(..) => None,
            })
            .collect();
        seen.sort_unstable();
        let was_seen = |micro: &Micro| match *micro {
            Micro::Write(name, value) => seen.binary_search(&(name, value)).is_ok(),
            Micro::Read(..) => false,
        };
        part.retain(|operation| operation.ret != NEVER || operation.op.steps.iter().any(was_seen));
    }
}

fn steps(txn: Datum, values: &Values) -> Result<Vec<Micro>, String> {
    let steps = match txn.pair() {
        Some((first, second)) => vec![first, second],
        None => match values.list(txn.first) {
            Some(steps) => steps.to_vec(),
            None => return Err("a txn takes a list of steps".to_owned()),
        },
    };
    steps.into_iter().map(|step| micro(step, values)).collect()
}

fn micro(step: Val, values: &Values) -> Result<Micro, String> {
    let wrong =
        || "a step of a txn is [\"read\", register, value] or [\"write\", register, value]".to_owned();
    let Some(&[f, register, value]) = values.list(step) else {
        return Err(wrong());
    };
    match values.str(f) {
        Some("read" | "r") => Ok(Micro::Read(register, value)),
        Some("write" | "w") => Ok(Micro::Write(register, value)),
        _ => Err(wrong()),
    }
}
