//! Clusters from compose files, on a real container engine.
//!
//! Where there is no engine every test says loudly that it was skipped; with `CI=true` it fails instead.

#![allow(clippy::print_stderr)]

mod etcd;
mod leftovers;
mod support;
mod unseen;
