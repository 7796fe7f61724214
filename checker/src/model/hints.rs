//! What spares a search work: facts about operations that follow from [`step`](super::Model::step).
//!
//! A hint that is left out costs time, a hint that is wrong costs the verdict: [`crate::laws`] tests them.

use super::plain::Plain;

/// Facts that follow from a model's `step`, each with a default that says nothing.
pub trait Hints<Op, State> {
    /// Whether the operation leaves every state as it is.
    fn observes_only(&self, _op: &Op) -> bool {
        false
    }

    /// Whether the operation is possible in every state and leaves all of them in one and the same state.
    fn overwrites(&self, _op: &Op) -> bool {
        false
    }

    /// The only state in which the operation is possible, if there is just one.
    fn only_in(&self, _op: &Op) -> Option<State> {
        None
    }

    /// Whether operations of this kind, each taken any number of times, lead to few states. Then a search may begin by
    /// not counting the unknown ones. Wrongly `true` may cost the whole budget, but no verdict.
    fn reusable(&self, op: &Op) -> bool {
        self.overwrites(op)
    }

    /// Puts an operation into effect in place and says whether that was possible; if not, the state is of no use any
    /// more. `None`, and nothing done: `step` knows. For states that are expensive to copy.
    fn apply(&self, _state: &mut State, _op: &Op) -> Option<bool> {
        None
    }

    /// About how many bytes a state takes on the heap. A search that counts none may use more memory than its budget.
    fn heap_bytes(&self, _state: &State) -> usize {
        0
    }
}

impl<Op, State> Hints<Op, State> for Plain {}
