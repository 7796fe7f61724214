//! `tcp-reset`: TCP connections that are established between nodes are reset, once.

use super::connections::{Connections, Ending};

/// The kind.
pub type TcpReset = Connections<Reset>;

/// Both ends know.
#[derive(Debug)]
pub struct Reset;

impl Ending for Reset {
    const NAME: &'static str = "tcp-reset";
    const DESCRIPTION: &'static str = "resets all TCP connections that are established between nodes: one end aborts them, and the other is sent a \
         segment with RST; once, and new ones work";
    const VERIFIED_BY: &'static str = "each connection that was established at both ends is at neither any more, by the kernels' own tables; there \
         was at least one";
    const TOLD: bool = true;
}
