//! `applied-never-goes-back`: a node's applied index never goes back as long as its program runs.

use super::statuses::never_back;
use crate::history::Trace;
use crate::property::claim::{About, Property, PropertyKind, Settings, Source};
use crate::verdict::PropertyVerdict;

/// A running member never takes back what it has applied, by what it says of itself.
pub struct AppliedNeverGoesBack;

const ABOUT: About = About {
    name: "applied-never-goes-back",
    claim: "a running member never takes back what it has applied, by what it says of itself",
    kind: PropertyKind::Safety,
    judges: Source::Statuses,
    parameters: &[],
};

impl Property for AppliedNeverGoesBack {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn judge(&self, trace: &Trace<'_>, _: &Settings<'_>) -> PropertyVerdict {
        never_back(&ABOUT, "applied index", trace, |sample| sample.applied)
    }
}
