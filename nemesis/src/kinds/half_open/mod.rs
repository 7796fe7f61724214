//! `half-open`: one end of TCP connections between nodes is aborted, and the other does not know.

use super::connections::{Connections, Ending};

/// The kind.
pub type HalfOpen = Connections<Half>;

/// One end does not know.
#[derive(Debug)]
pub struct Half;

impl Ending for Half {
    const NAME: &'static str = "half-open";
    const DESCRIPTION: &'static str = "leaves TCP connections that are established between nodes half-open (RFC 9293, 3.5.1): the targets abort \
         them, and the other ends don't know; what they send on them gets no answer, as from a machine that lost its memory behind a \
         firewall that says nothing; new ones work";
    const VERIFIED_BY: &'static str = "of the connections that were established at both ends none is at the target any more, and at least one is \
         at its other end still, by the kernels' own tables; at its end the target has none of them, and the rules are still there that \
         keep segments with RST from the others, and one is half-open still, or was used in vain; healed when no rule is left, and none of them at either end";
    const TOLD: bool = false;
}
