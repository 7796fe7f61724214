//! Whether everything that judges a part says what trying all orders says.

use std::fmt::Debug;
use std::time::Duration;

use crate::certify::{brute_force, explains, order_holds};
use crate::generate::Random;
use crate::history::Values;
use crate::limits::Limits;
use crate::model::{Decision, Model, Part, Shortcuts, prefix};
use crate::search::jit::{self, Pace};
use crate::search::{Outcome, wgl};
use crate::verdict::Budget;

/// What was looked at besides the searches, and what is true.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// Some order explains the part.
    pub holds: bool,
    /// It was [decided](Shortcuts::decide) without search.
    pub decided: bool,
    /// It holds a [contradiction](Shortcuts::contradiction) that can be told without search.
    pub contradicted: bool,
    /// It was [divided](Shortcuts::divide).
    pub divided: bool,
    /// It was [resolved](Shortcuts::resolve) to another part.
    pub resolved: bool,
    /// Some of its operations were [focused](Shortcuts::focus) on.
    pub focused: bool,
}

/// An answer that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{judge}: {what}: {operations}")]
pub struct Wrong {
    /// Whose answer it is: `search`, `decide`, `divide`…
    pub judge: &'static str,
    /// What is wrong with it.
    pub what: String,
    /// The part.
    pub operations: String,
}

fn wrong<T>(judge: &'static str, what: impl Into<String>, part: &impl Debug) -> Result<T, Wrong> {
    Err(Wrong {
        judge,
        what: what.into(),
        operations: format!("{part:#?}"),
    })
}

/// Has a handful of operations judged by everything that a model has, and compares with trying all orders. `values` are
/// what their values stand for; without, it is not [resolved](Shortcuts::resolve).
///
/// ```
/// use duress_checker::generate::{Random, small};
/// use duress_checker::history::{Val, Values};
/// use duress_checker::laws::check_part;
/// use duress_checker::object::register::{Register, RegisterOp};
///
/// let mut random = Random::new(1);
/// let mut held = 0;
/// for _ in 0..100 {
///     // Six operations, up to three at a time, of which ten in a hundred are unknown.
///     let part = small(&mut random, 6, 3, 10, |random, _unknown| {
///         let value = Val::int(random.below(2)).unwrap();
///         match random.below(2) {
///             0 => RegisterOp::Read(value),
///             _ => RegisterOp::Write(value),
///         }
///     });
///     let looked = check_part(&Register { cas: false }, &part, Some(&Values::default()), &mut random).unwrap();
///     held += u64::from(looked.holds);
/// }
/// assert!(held > 10 && held < 90);
/// ```
pub fn check_part<M: Model>(
    model: &M,
    part: &Part<M::Op>,
    values: Option<&Values>,
    random: &mut Random,
) -> Result<Looked, Wrong> {
    let holds = brute_force(model, part);
    searches(model, part, holds)?;
    let mut looked = Looked {
        holds,
        ..Looked::default()
    };
    looked.divided = divided(model, part, holds, values, random)?;
    let mut resolved = part.clone();
    if let Some(values) = values {
        model.shortcuts().resolve(&mut resolved, values);
    }
    looked.resolved = resolved != *part;
    if looked.resolved && brute_force(model, &resolved) != holds {
        return wrong("resolve", format!("that of {part:#?} differs"), &resolved);
    }
    looked.decided = decided(model, &resolved, holds, random)?;
    looked.contradicted = contradicted(model, &resolved, holds, random)?;
    own_search(model, &resolved, holds)?;
    // What becomes of a part while a witness is made small: reads lose writes, and so on.
    let some: Part<M::Op> = resolved.iter().filter(|_| random.percent(60)).cloned().collect();
    decided(model, &some, brute_force(model, &some), random)?;
    if model.shortcuts().decide(&resolved).is_some()
        && let Some(focused) = model.shortcuts().focus(&some)
    {
        looked.focused = true;
        // What is said of some of the operations must be true of them too.
        if holds && !brute_force(model, &focused) {
            return wrong("focus", format!("it is impossible, {part:#?} is not"), &focused);
        }
    }
    Ok(looked)
}

/// What a search of a few operations may take.
fn limits() -> Limits<'static> {
    let budget = Budget {
        memory_bytes_max: 64 << 20,
        ..Budget::default()
    };
    Limits {
        budget,
        elapsed: &|| Duration::ZERO,
    }
}

/// The searches find an order that holds or what is impossible, whatever they leave away.
fn searches<M: Model>(model: &M, part: &Part<M::Op>, holds: bool) -> Result<(), Wrong> {
    for (judge, outcome) in [
        ("plain search", wgl::search(model, part, limits())),
        ("search", jit::search(model, part, limits())),
        (
            "narrow search",
            jit::search_at(model, part, limits(), Pace::NARROWEST),
        ),
        (
            "search that is stuck",
            jit::search_at(model, part, limits(), Pace::STUCK),
        ),
    ] {
        match outcome {
            Outcome::Order(_) if !holds => return wrong(judge, "an order of the impossible", part),
            Outcome::Order(order) => {
                if !order_holds(model, part, &order) {
                    return wrong(judge, format!("{order:?} does not hold"), part);
                }
            }
            Outcome::Impossible { .. } if holds => {
                return wrong(judge, "impossible, though there is an order", part);
            }
            Outcome::Impossible { at, since } => {
                let prefix = prefix(part, part[at as usize].ret);
                if brute_force(model, &prefix) {
                    return wrong(judge, "the prefix is possible", part);
                }
                let window: Part<M::Op> = (prefix.into_iter())
                    .filter(|operation| operation.ret >= since)
                    .collect();
                if brute_force(model, &window) {
                    return wrong(judge, format!("possible since {since}"), part);
                }
            }
            Outcome::Exhausted(reason) => return wrong(judge, reason, part),
        }
    }
    Ok(())
}

/// The objects that a part is divided into hold exactly if it does.
fn divided<M: Model>(
    model: &M,
    part: &Part<M::Op>,
    holds: bool,
    values: Option<&Values>,
    random: &mut Random,
) -> Result<bool, Wrong> {
    let Some(parts) = model.shortcuts().divide(part) else {
        return Ok(false);
    };
    let mut all = true;
    for part in &parts {
        all &= check_part(model, part, values, random)?.holds;
    }
    match all == holds {
        true => Ok(true),
        false => wrong("divide", format!("of these parts: {parts:#?}"), part),
    }
}

/// What is said without search is true, and a core is one whatever else happens.
fn decided<M: Model>(model: &M, part: &Part<M::Op>, holds: bool, random: &mut Random) -> Result<bool, Wrong> {
    match model.shortcuts().decide(part) {
        Some(Decision::Core(core)) => {
            is_core("decide", model, part, holds, &core, random)?;
            Ok(true)
        }
        Some(found) => {
            order_of("decide", model, part, holds, &found)?;
            // Without what it took, an operation that leaves a choice takes anything.
            let order = found.order().unwrap_or_default();
            match order_holds(model, part, order) {
                true => Ok(true),
                false => wrong("decide", format!("{order:?} does not hold without choices"), part),
            }
        }
        None => Ok(false),
    }
}

/// What is said to be a contradiction is one.
fn contradicted<M: Model>(
    model: &M,
    part: &Part<M::Op>,
    holds: bool,
    random: &mut Random,
) -> Result<bool, Wrong> {
    let Some(core) = model.shortcuts().contradiction(part) else {
        return Ok(false);
    };
    is_core("contradiction", model, part, holds, &core, random)?;
    Ok(true)
}

/// A core is impossible whatever else happens.
fn is_core<M: Model>(
    judge: &'static str,
    model: &M,
    part: &Part<M::Op>,
    holds: bool,
    core: &[u32],
    random: &mut Random,
) -> Result<(), Wrong> {
    if holds {
        return wrong(judge, format!("{core:?} is possible"), part);
    }
    for percent in [0, 30, 60] {
        let kept = |at: u32, random: &mut Random| core.contains(&at) || random.percent(percent);
        let more: Part<M::Op> = (part.iter().zip(0..))
            .filter(|(_, at)| kept(*at, random))
            .map(|(operation, _)| operation.clone())
            .collect();
        if brute_force(model, &more) {
            let what = format!("the core {core:?} is possible with others: {more:#?}");
            return wrong(judge, what, part);
        }
    }
    Ok(())
}

/// What a model's own search says is true, and its core is one.
fn own_search<M: Model>(model: &M, part: &Part<M::Op>, holds: bool) -> Result<(), Wrong> {
    const JUDGE: &str = "own search";
    match model.shortcuts().search(part, limits()) {
        None => Ok(()),
        Some(Ok(Decision::Core(core))) => {
            let core: Part<M::Op> = core.iter().map(|&at| part[at as usize].clone()).collect();
            match brute_force(model, &core) {
                true => wrong(JUDGE, format!("the core {core:#?} is possible"), part),
                false if holds => wrong(JUDGE, "impossible, though there is an order", part),
                false => Ok(()),
            }
        }
        Some(Ok(found)) => order_of(JUDGE, model, part, holds, &found),
        Some(Err(reason)) => wrong(JUDGE, reason, part),
    }
}

fn order_of<M: Model>(
    judge: &'static str,
    model: &M,
    part: &Part<M::Op>,
    holds: bool,
    found: &Decision,
) -> Result<(), Wrong> {
    match explains(model, part, found) {
        _ if !holds => wrong(judge, "an order of the impossible", part),
        true => Ok(()),
        false => wrong(judge, format!("{found:?} does not hold"), part),
    }
}
