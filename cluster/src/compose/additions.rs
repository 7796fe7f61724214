//! What Duress adds to the user's compose file, before it is written down.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use super::addresses::Addresses;

/// Everything that the override file is made from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Additions {
    /// The project's name.
    pub project: String,
    /// The services that are nodes.
    pub nodes: Vec<String>,
    /// Labels for everything that is made.
    pub labels: BTreeMap<String, String>,
    /// Subnets and addresses.
    pub addresses: Addresses,
    /// Data directories that are taken over, by node.
    pub data: BTreeMap<String, DataFolder>,
    /// By service, addresses of nodes that it knows by their names without asking anybody. Where a client's programs run: names of containers that
    /// do not run are not known to the engine, and asking for them can take ten seconds. In nodes: an engine knows none of other engines' containers.
    pub known: BTreeMap<String, BTreeMap<String, Ipv4Addr>>,
    /// Images of nodes that run another one than the file says.
    pub images: BTreeMap<String, String>,
}

/// A node's data directory and what takes its place.
#[derive(Clone, Debug, PartialEq)]
pub struct DataFolder {
    /// Where it is in the container.
    pub inside: String,
    /// The folder on the host.
    pub outside: PathBuf,
}
