//! The defaults of everything optional.

/// A model's [hints](super::Hints), [words](super::Words) and [shortcuts](super::Shortcuts) where it gives none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plain;
