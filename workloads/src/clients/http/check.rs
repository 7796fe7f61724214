//! Whether templates make sense together: places that are there, steps that lead on, answers that can be.

use super::block::Block;
use super::case::{Case, Good, Meaning};
use super::step::{Headers, Step};
use super::template::Place;
use crate::clients::kind::Mistake;
use crate::op::Operation;

/// Steps of one operation, at most: each costs a round trip.
const STEPS_MAX: usize = 8;
/// Cases of one answer, at most.
const CASES_MAX: usize = 50;

/// What is wrong with the table as a whole, if anything is.
pub(super) fn check(headers: &Headers, common: &[Case], blocks: &[Block]) -> Result<(), Mistake> {
    if common.len() > CASES_MAX {
        return Err(Mistake::at(
            ["http", "answer"],
            format!("use up to {CASES_MAX} cases"),
        ));
    }
    for (index, case) in common.iter().enumerate() {
        let at = || Mistake::at(["http", "answer"], "").entry(index);
        if let Meaning::Ok(_) | Meaning::Next(_) = case.then {
            return Err(at().saying(
                "it is looked at for every answer: what an answer to one request means is said there",
            ));
        }
        if let Some(place) = case.places().into_iter().find(|place| *place != Place::Key) {
            return Err(at().saying(format!("no place {place} is there for every request; {{key}} is")));
        }
    }
    for (_, value) in &headers.0 {
        if let Some(place) = (value.places().into_iter()).find(|place| {
            !matches!(
                place,
                Place::Key | Place::Process | Place::TokenClient | Place::TokenSeq
            )
        }) {
            let what = format!(
                "no place {place} is there for every request; use {{key}}, {{process}}, {{token.client}} or {{token.seq}}"
            );
            return Err(Mistake::at(["http", "headers"], what));
        }
    }
    blocks.iter().try_for_each(check_block)
}

/// Whether the system tells something that was not known before.
fn returns(operation: Operation) -> bool {
    matches!(operation.f, "read" | "dequeue")
}

fn check_block(block: &Block) -> Result<(), Mistake> {
    let steps = &block.steps.steps;
    let here = || Mistake::at(["http", &block.name], "");
    let of_step = |index| {
        if block.steps.listed {
            here().entry(index)
        } else {
            here()
        }
    };
    if steps.is_empty() || steps.len() > STEPS_MAX {
        return Err(here().saying(format!("an operation has 1 to {STEPS_MAX} requests")));
    }
    let mut bound: Vec<&str> = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let last = index + 1 == steps.len();
        for (key, case, place) in step.places() {
            if !has_place(block, &place, &bound) {
                let at = of_step(index).key(key);
                let at = case.map_or_else(|| at.clone(), |case| at.clone().entry(case));
                return Err(at.saying(no_place(block, &place, &bound)));
            }
        }
        if step.answer.len() > CASES_MAX {
            return Err(of_step(index)
                .key("answer")
                .saying(format!("use up to {CASES_MAX} cases")));
        }
        for (number, case) in step.answer.iter().enumerate() {
            if case.keep.is_some() && block.operation.f != "dequeue" {
                let what = "only the answer to a dequeue has something to be kept for an ack";
                return Err(of_step(index).key("answer").entry(number).saying(what));
            }
            if let Some(what) = misfit(block, &case.then, last) {
                return Err(of_step(index).key("answer").entry(number).saying(what));
            }
        }
        let goes_on = |case: &Case| matches!(case.then, Meaning::Next(_));
        let happens = |case: &Case| matches!(case.then, Meaning::Ok(_));
        if last && !step.answer.iter().any(happens) {
            let what = "no case says ok, so nothing would ever be known to have happened";
            return Err(of_step(index).key("answer").saying(what));
        }
        if !last && !step.answer.iter().any(goes_on) {
            return Err(of_step(index)
                .key("answer")
                .saying("no case goes on to the next request; say next = {}"));
        }
        if last && step.effect == Some(false) && block.operation.f != "read" {
            let what = format!("{} changes something, and this is its last request", block.name);
            return Err(of_step(index).key("effect").saying(what));
        }
        bound.extend(binds(step));
    }
    Ok(())
}

/// What is bound whichever case goes on.
fn binds(step: &Step) -> Vec<&str> {
    let ways = step.answer.iter().filter_map(|case| match &case.then {
        Meaning::Next(names) => Some(names.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>()),
        _ => None,
    });
    ways.reduce(|all, way| all.into_iter().filter(|name| way.contains(name)).collect())
        .unwrap_or_default()
}

/// What an answer can't mean for this operation, if it can't.
fn misfit(block: &Block, outcome: &Meaning, last: bool) -> Option<&'static str> {
    match outcome {
        Meaning::Ok(Good::Done) if returns(block.operation) => {
            Some("a read has a result: say where in the answer it stands, e.g. ok = \"/value\"")
        }
        Meaning::Ok(Good::At(_)) if !returns(block.operation) => {
            Some("its result is what was asked for: say ok = true")
        }
        Meaning::Next(_) if last => Some("there is no request after this one"),
        _ => None,
    }
}

fn has_place(block: &Block, place: &Place, bound: &[&str]) -> bool {
    match place {
        Place::Key => block.operation.keyed,
        Place::Value => !returns(block.operation) && block.operation.f != "cas",
        Place::Old | Place::New => block.operation.f == "cas",
        Place::LeaseSeconds | Place::LeaseMs => matches!(block.operation.f, "acquire" | "dequeue"),
        Place::Kept => matches!(block.operation.f, "ack" | "nack"),
        Place::Process | Place::TokenClient | Place::TokenSeq => true,
        Place::Bound(name) => bound.contains(&name.as_str()),
    }
}

fn no_place(block: &Block, place: &Place, bound: &[&str]) -> String {
    let all = [
        Place::Key,
        Place::Value,
        Place::Old,
        Place::New,
        Place::LeaseSeconds,
        Place::LeaseMs,
        Place::Kept,
        Place::Process,
        Place::TokenClient,
        Place::TokenSeq,
    ];
    let bound_places = bound.iter().map(|name| Place::Bound((*name).to_owned()));
    let there: Vec<String> = (all.into_iter().filter(|place| has_place(block, place, bound)))
        .chain(bound_places)
        .map(|place| place.to_string())
        .collect();
    format!("{} has no place {place}; it has {}", block.name, there.join(", "))
}
