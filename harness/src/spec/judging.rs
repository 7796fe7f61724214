//! How a run is judged: what is claimed, how much evidence that takes, what the checkers may spend.

use serde::{Deserialize, Serialize};

use crate::duration::Span;

/// A named claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Property {
    /// Safety: every operation takes effect at one point between its invocation and its completion.
    Linearizable,
    /// Safety: once everything is healed and nobody writes, members that have applied the same hold the same.
    Converged,
    /// Safety, of sets: what was acknowledged can be read from then on, and nothing else.
    NothingLost,
    /// Safety, of locks: no two hold one at once.
    MutualExclusion,
    /// Safety, by what members say of themselves: no two lead in one term.
    OneLeaderPerTerm,
    /// Safety, by what members say of themselves: a running member's term never goes back.
    TermsNeverGoBack,
    /// Safety, by what members say of themselves: a running member never takes back what it has applied.
    AppliedNeverGoesBack,
    /// Liveness: once every fault is proven to be healed, all nodes agree on a leader and answer within `time.recovery`;
    /// where the system has no leaders, every node answers.
    Recovers,
}

/// What is claimed where a spec names nothing.
pub(super) fn default_properties() -> Vec<Property> {
    vec![Property::Linearizable, Property::Recovers]
}

/// How much evidence a run needs; one that falls short is inconclusive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct EvidenceSpec {
    /// Operations that ended `ok`.
    pub ok: u64,
    /// Operations of each kind that ended `ok`.
    pub ok_of_each: u64,
    /// Whether each fault has to be proven to have bitten and to have been healed.
    pub faults_verified: bool,
}

impl Default for EvidenceSpec {
    fn default() -> Self {
        EvidenceSpec {
            ok: 1000,
            ok_of_each: 50,
            faults_verified: true,
        }
    }
}

/// What the checkers may spend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct CheckSpec {
    /// Wall time.
    pub time: Span,
    /// Memory, in MiB.
    pub memory_mib: usize,
}

impl Default for CheckSpec {
    fn default() -> Self {
        CheckSpec {
            time: Span::seconds(60),
            memory_mib: 2048,
        }
    }
}
