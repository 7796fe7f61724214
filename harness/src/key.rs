//! The key by which `duress heal` knows what this user's Duress made: see [`duress_cluster::key`].

use duress_cluster::{Key, KeyError, key};

/// That of this user. Must come before the process enters namespaces: in a user namespace it is root, and isn't.
pub fn of_this_user() -> Result<Key, KeyError> {
    let is_root = nix::unistd::geteuid().is_root();
    Key::kept_in(&key::folder(is_root, |name| std::env::var_os(name))?)
}
