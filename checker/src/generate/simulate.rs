//! Clients and one object that works.

use super::random::Random;
use crate::history::{Datum, History, NEVER, Row, Times, Val};

/// What a generated history looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// How many operations.
    pub length: u32,
    /// How many clients; each has one operation open at any time.
    pub concurrency: u32,
    /// How many of a hundred operations end unknown. Their client goes on under a new number.
    pub info_percent: u64,
    /// Whether a read near the end returns a value that was replaced long before.
    pub stale: bool,
    /// The seed.
    pub seed: u64,
}

/// An operation of a client between its invocation and its completion.
struct Client<Request> {
    row: Option<(usize, Request)>,
    applied: bool,
    process: u32,
}

/// Runs clients against one object: each invokes an operation, which takes effect at some later time and then
/// completes, so that every history is linearizable by construction.
///
/// `ask` makes a request, `apply` does it and gives its result, or `None` if it failed; `row` writes both down.
pub(super) fn simulate<Request: Copy>(
    shape: Shape,
    history: &mut History,
    mut ask: impl FnMut(&mut Random) -> Request,
    mut apply: impl FnMut(Request) -> Option<Datum>,
    row: impl Fn(Request) -> (u16, Val, Datum),
) {
    let mut random = Random::new(shape.seed);
    let mut clients: Vec<Client<Request>> = (0..shape.concurrency)
        .map(|process| Client {
            row: None,
            applied: false,
            process,
        })
        .collect();
    let mut processes = shape.concurrency;
    let (mut position, mut begun, mut open) = (0u32, 0u32, 0u32);
    let mut failed: Vec<usize> = Vec::new();
    while begun < shape.length || open > 0 {
        let at = random.below(u64::from(shape.concurrency)) as usize;
        let client = &mut clients[at];
        let Some((index, request)) = client.row else {
            if begun < shape.length {
                let request = ask(&mut random);
                let (f, key, argument) = row(request);
                client.row = Some((history.rows.len(), request));
                client.applied = false;
                history.rows.push(Row {
                    invoke: position,
                    ret: NEVER,
                    f,
                    node: 0,
                    process: client.process,
                    key,
                    argument,
                    result: argument,
                });
                history.times.push(Times {
                    invoked: u64::from(position) * 1000,
                    completed: 0,
                });
                position += 1;
                begun += 1;
                open += 1;
            }
            continue;
        };
        if !client.applied {
            // Of the unknown operations, half took effect.
            let unknown = random.percent(shape.info_percent);
            if unknown {
                if random.percent(50) {
                    apply(request);
                }
                client.row = None;
                client.process = processes;
                processes += 1;
                open -= 1;
                // Its event, `info`.
                position += 1;
                continue;
            }
            client.applied = true;
            match apply(request) {
                Some(result) => history.rows[index].result = result,
                None => failed.push(index),
            }
            continue;
        }
        let done = &mut history.rows[index];
        done.ret = position;
        history.times[index].completed = u64::from(position) * 1000;
        position += 1;
        client.row = None;
        open -= 1;
    }
    failed.sort_unstable();
    let succeeded = || {
        let mut failed = failed.iter().copied().peekable();
        (0..).map(move |index| failed.next_if_eq(&index).is_none())
    };
    let (mut of_rows, mut of_times) = (succeeded(), succeeded());
    history.rows.retain(|_| of_rows.next() == Some(true));
    history.times.retain(|_| of_times.next() == Some(true));
}

/// A history of nothing, of which the functions have these names.
pub(super) fn empty(functions: &[&str]) -> History {
    let mut history = History::default();
    history.functions = functions.iter().map(|&name| name.to_owned()).collect();
    history
}
