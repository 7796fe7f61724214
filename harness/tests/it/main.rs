//! End-to-end tests: the real binary, real clusters in namespaces, real faults.

mod bad_input;
mod bad_specs;
mod compose;
mod cut_off;
mod evidence;
mod host;
mod runs;
mod signals;
mod terminal;
