//! What tells a layer from other processes.

/// The command that is a layer.
pub const COMMAND: &str = "disk-layer";
