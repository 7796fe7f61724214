//! What a kind of fault says that takes something from nodes.

use std::fmt::Debug;
use std::io;

use duress_checker::history::Effect;
use duress_cluster::Place;
use duress_cluster::doctor::Requirement;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::agent::cgroup::hold::Tag;
use crate::kinds::kind::{InForceAt, Parameter};
use crate::life::technique::Unproven;

/// Something that a node is left less of: the parameters that a kind has for itself, and what is done with them at one node.
pub trait Resource: Debug + Clone + Send + Sync + Serialize + DeserializeOwned + 'static {
    /// Of the kind.
    const NAME: &'static str;
    /// What it does to nodes.
    const EFFECT: Effect;
    /// As [`crate::kinds::About::description`].
    const DESCRIPTION: &'static str;
    /// As [`crate::kinds::About::verified_by`].
    const VERIFIED_BY: &'static str;
    /// What it needs of the machine.
    const NEEDS: &'static [&'static Requirement];
    /// Whether control groups are what makes it scarce.
    const BY_CONTROL_GROUP: bool = true;

    /// How a node was before: what it takes to put it back.
    type Before: Debug + Clone + Send + Sync + Serialize + DeserializeOwned;
    /// What the agent keeps while it is in force at a node. Dropping it ends whatever it stands for.
    type Guard: Send;
    /// What can be seen of it at a node.
    type Seen: Debug + Clone + Send + Sync + Serialize + DeserializeOwned;

    /// The parameters that it has for itself.
    fn own() -> Vec<Parameter>;
    /// The parameter that makes no sense, and what would.
    fn check(&self) -> Result<(), (&'static str, String)>;

    /// How the node is now. Changes nothing; fails where it can't be done.
    fn plan(&self, place: &Place, tag: &Tag) -> io::Result<Self::Before>;
    /// Does it.
    fn begin(&self, place: &Place, before: &Self::Before, tag: &Tag) -> io::Result<Self::Guard>;
    /// Does it to processes that have started since. What can't be done is seen by whoever verifies.
    fn keep(&self, place: &Place, before: &Self::Before, guard: &mut Self::Guard);
    /// Looks at the node, after doing it to processes that have just started. `None`: nothing runs there, and nothing is known of what did.
    fn see(
        &self,
        place: &Place,
        before: &Self::Before,
        guard: Option<&mut Self::Guard>,
    ) -> io::Result<Option<Self::Seen>>;
    /// Puts the node back as it was, from plain data alone, and says what it did. Safe to repeat. `lives`: whether its process does.
    fn undo(before: &Self::Before, at: &InForceAt<'_>, lives: bool) -> io::Result<String>;
    /// What is left of it, if anything is.
    fn left(&self, place: Option<&Place>, before: &Self::Before) -> io::Result<Option<String>>;

    /// Why it is not in force as asked, if it isn't.
    fn stands(&self, seen: &Self::Seen) -> Result<(), String>;
    /// What it did to the node between these two looks; the error is why nobody was hurt, or not as asked.
    fn measure(&self, first: &Self::Seen, now: &Self::Seen) -> Result<String, Unproven>;
    /// A command of an everyday tool that does the same to this node, or nearly.
    fn by_hand(&self, node: &str) -> String;
    /// Whether a program that is not there any more may have ended of it.
    fn may_end(_first: &Self::Seen, _now: &Self::Seen) -> bool {
        false
    }
}
