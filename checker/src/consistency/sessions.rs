//! The session guarantees, and circles.

use super::guarantee::{Guarantee, Kept};
use super::object::Object;

/// Edges between writes of one object that a guarantee forces, and the steps that force each.
pub(super) type Edges = Vec<(usize, usize, [u32; 2])>;

/// A session guarantee is kept if the order that it forces on the writes has no circle.
///
/// A process that has `a` in hand (it wrote or read it) and later reads or writes `b` puts `b` after `a`, where the
/// guarantee is about that pair.
pub(super) fn in_session(object: &Object, guarantee: Guarantee) -> Kept {
    let mut edges: Edges = Vec::new();
    for session in &object.sessions {
        // Which write the process made or saw last, and the row where it did.
        let mut written: Option<(usize, u32)> = None;
        let mut read: Option<(usize, u32)> = None;
        for step in session {
            let (before, after) = match guarantee {
                Guarantee::ReadYourWrites => (written, step.saw),
                Guarantee::MonotonicReads => (read, step.saw),
                Guarantee::MonotonicWrites => (written, step.made),
                _ => (read, step.made),
            };
            if let (Some((before, row)), Some(after)) = (before, after)
                && before != after
            {
                edges.push((before, after, [row, step.row]));
            }
            if let Some(saw) = step.saw {
                read = Some((saw, step.row));
            }
            if let Some(made) = step.made {
                written = Some((made, step.row));
            }
        }
    }
    // The writes alone don't order each other, so of the guarantees about writes only circles through the initial value
    // and between processes are visible.
    match circle(object.writes.len(), &edges) {
        Some(rows) => Kept::No(rows),
        None => Kept::Yes,
    }
}

/// The rows that force a circle, if there is one; nothing may come before the initial value.
pub(super) fn circle(count: usize, edges: &Edges) -> Option<Vec<u32>> {
    if let Some((_, _, rows)) = edges.iter().find(|(_, after, _)| *after == 0) {
        return Some(rows.to_vec());
    }
    let mut out: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (at, (before, _, _)) in edges.iter().enumerate() {
        out[*before].push(at);
    }
    // Depth first; the path in hand is the circle when it meets itself.
    let (mut colour, mut path): (Vec<u8>, Vec<(usize, usize)>) = (vec![0; count], Vec::new());
    for start in 0..count {
        if colour[start] != 0 {
            continue;
        }
        colour[start] = 1;
        path.push((start, 0));
        while let Some((node, next)) = path.last_mut() {
            let Some(&edge) = out[*node].get(*next) else {
                colour[*node] = 2;
                path.pop();
                continue;
            };
            *next += 1;
            let target = edges[edge].1;
            match colour[target] {
                0 => {
                    colour[target] = 1;
                    path.push((target, 0));
                }
                1 => {
                    let from = path.iter().position(|(node, _)| *node == target).unwrap_or(0);
                    let used = path[from..].iter().map(|(node, next)| out[*node][next - 1]);
                    let mut rows: Vec<u32> = used.flat_map(|edge| edges[edge].2).collect();
                    rows.sort_unstable();
                    rows.dedup();
                    return Some(rows);
                }
                _ => {}
            }
        }
    }
    None
}
