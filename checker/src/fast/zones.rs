//! Registers whose written values are all different.

use super::Fast;
use crate::model::Operation;
use crate::model::register::RegisterOp;

/// Decides a part.
pub fn decide(_part: &[Operation<RegisterOp>]) -> Option<Fast> {
    None
}
