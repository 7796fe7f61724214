//! `terms-never-go-back`: a node's term never goes back as long as its program runs.

use super::statuses::never_back;
use crate::history::Trace;
use crate::property::claim::{About, Property, PropertyKind, Settings, Source};
use crate::verdict::PropertyVerdict;

/// A running member's term never goes back, by what it says of itself.
pub struct TermsNeverGoBack;

const ABOUT: About = About {
    name: "terms-never-go-back",
    claim: "a running member's term never goes back, by what it says of itself",
    kind: PropertyKind::Safety,
    judges: Source::Statuses,
    parameters: &[],
};

impl Property for TermsNeverGoBack {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn judge(&self, trace: &Trace<'_>, _: &Settings<'_>) -> PropertyVerdict {
        never_back(&ABOUT, "term", trace, |sample| sample.term)
    }
}
