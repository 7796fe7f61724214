//! Workloads that a program of a user's own brings along: see `docs/examples/rust`.

use std::fmt::Debug;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::Value;

use crate::bounds::SpecError;
use crate::generator::{CatalogueEntry, Workload, WorkloadParameters};
use crate::op::Operation;

/// A workload that can be added.
#[derive(Clone, Copy, Debug)]
pub struct OwnKind {
    about: &'static CatalogueEntry,
    read: fn(Value) -> Result<Arc<dyn Parameters>, serde_json::Error>,
}

impl OwnKind {
    /// The one with these parameters.
    pub fn of<P: WorkloadParameters + Send + Sync + 'static>() -> OwnKind {
        OwnKind {
            about: &P::ABOUT,
            read: |value| Ok(Arc::new(serde_json::from_value::<P>(value)?)),
        }
    }

    /// What is said about it.
    pub fn about(&self) -> &'static CatalogueEntry {
        self.about
    }

    /// Reads its table of a spec.
    pub(super) fn read(&self, value: Value) -> Result<OwnWorkload, serde_json::Error> {
        (self.read)(value).map(OwnWorkload)
    }
}

/// Those that a program brought along.
static ADDED: OnceLock<Vec<OwnKind>> = OnceLock::new();

/// Lets a spec name these, as if they were in the table. Once, before anything is read: later ones are left out, and that
/// is `false`.
pub fn add(workloads: Vec<OwnKind>) -> bool {
    ADDED.set(workloads).is_ok()
}

pub(super) fn all() -> &'static [OwnKind] {
    ADDED.get().map(Vec::as_slice).unwrap_or_default()
}

pub(super) fn named(name: &str) -> Option<&'static OwnKind> {
    all().iter().find(|kind| kind.about.name == name)
}

/// One of them, with the parameters of a spec.
#[derive(Clone, Debug)]
pub struct OwnWorkload(Arc<dyn Parameters>);

impl PartialEq for OwnWorkload {
    fn eq(&self, other: &Self) -> bool {
        self.about().name == other.about().name && self.to_json() == other.to_json()
    }
}

impl OwnWorkload {
    pub(super) fn about(&self) -> &'static CatalogueEntry {
        self.0.about()
    }

    pub(super) fn generator(&self) -> Result<Box<dyn Workload>, SpecError> {
        self.0.generator()
    }

    pub(super) fn operations(&self) -> Vec<Operation> {
        self.0.operations()
    }

    pub(super) fn lease(&self) -> Option<Duration> {
        self.0.lease()
    }

    pub(super) fn to_json(&self) -> Value {
        self.0.to_json()
    }
}

/// [`WorkloadParameters`] of any type.
trait Parameters: Debug + Send + Sync {
    fn about(&self) -> &'static CatalogueEntry;
    fn generator(&self) -> Result<Box<dyn Workload>, SpecError>;
    fn operations(&self) -> Vec<Operation>;
    fn lease(&self) -> Option<Duration>;
    fn to_json(&self) -> Value;
}

impl<P: WorkloadParameters + Send + Sync> Parameters for P {
    fn about(&self) -> &'static CatalogueEntry {
        &P::ABOUT
    }

    fn generator(&self) -> Result<Box<dyn Workload>, SpecError> {
        WorkloadParameters::generator(self)
    }

    fn operations(&self) -> Vec<Operation> {
        WorkloadParameters::operations(self)
    }

    fn lease(&self) -> Option<Duration> {
        WorkloadParameters::lease(self)
    }

    fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}
