//! What can be asked of a semaphore.

/// By how much the number of permits in use changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Permits(pub(super) i64);

impl Permits {
    /// Takes so many, or gives back, if negative.
    pub const fn take(count: i64) -> Permits {
        Permits(count)
    }
}
