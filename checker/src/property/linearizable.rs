//! `linearizable`: what the checkers in [`linearizability`] find, and what else was kept if it was violated.

use crate::consistency;
use crate::history::{History, Trace};
use crate::limits::Limits;
use crate::linearizability;
use crate::model::{CheckError, Model};
use crate::property::claim::{About, Property, PropertyKind, Settings, Source};
use crate::verdict::{PropertyVerdict, Verdict};

/// Herlihy and Wing, Linearizability, ACM TOPLAS 1990.
pub struct Linearizable;

const ABOUT: About = About {
    name: linearizability::PROPERTY,
    claim: "every operation takes effect at one point between its invocation and its completion",
    kind: PropertyKind::Safety,
    judges: Source::Operations,
    parameters: &[("model", "what the system would do with one client and no faults")],
};

impl Property for Linearizable {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn judge(&self, trace: &Trace<'_>, settings: &Settings<'_>) -> PropertyVerdict {
        let judged = History::from_events(trace.events)
            .map_err(CheckError::from)
            .and_then(|history| judge_history(&history, settings));
        judged.unwrap_or_else(|error| ABOUT.inconclusive(error.to_string(), String::new()))
    }
}

/// Whether a model of a user's own explains a run, for a property of a user's own.
pub fn judge_model<M: Model>(
    about: &About,
    model: &M,
    trace: &Trace<'_>,
    settings: &Settings<'_>,
) -> PropertyVerdict {
    let limits = Limits {
        budget: settings.budget,
        elapsed: settings.elapsed,
    };
    let judged = History::from_events(trace.events)
        .map_err(CheckError::from)
        .and_then(|history| linearizability::check_model(model, &history, limits));
    match judged {
        Ok(verdict) => PropertyVerdict {
            property: about.name.to_owned(),
            ..verdict
        },
        Err(error) => about.inconclusive(error.to_string(), String::new()),
    }
}

/// What this property finds in a history in columns, which is all that this property needs. It is an error if there is no such model, or
/// if it does not know the operations.
pub fn judge_history(history: &History, settings: &Settings<'_>) -> Result<PropertyVerdict, CheckError> {
    let &Settings {
        budget,
        elapsed,
        threads,
        ..
    } = settings;
    let Some(model) = settings.model else {
        return Ok(ABOUT.inconclusive("no model says what the operations mean", String::new()));
    };
    let verdict = linearizability::check_parallel(history, model, budget, elapsed, threads)?;
    let mut verdict = consistency::judged(history, model, verdict, budget, &elapsed);
    if let (Verdict::Inconclusive { reason }, Some(why)) = (&mut verdict.verdict, (settings.cut_short)()) {
        *reason = why;
        verdict.detail.clear();
    }
    Ok(verdict)
}
