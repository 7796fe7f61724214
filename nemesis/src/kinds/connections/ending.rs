//! What a kind of fault that ends connections says of itself.

use std::fmt;

/// How connections end.
pub trait Ending: fmt::Debug + Send + Sync + 'static {
    /// Of the kind.
    const NAME: &'static str;
    /// What it does, as [`description`](crate::kinds::About::description).
    const DESCRIPTION: &'static str;
    /// What proves it, as [`verified_by`](crate::kinds::About::verified_by).
    const VERIFIED_BY: &'static str;
    /// Whether both ends know.
    const TOLD: bool;
}
