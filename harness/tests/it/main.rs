//! End-to-end tests: the real binary, real clusters in namespaces, real faults.

mod bad_input;
mod compose;
mod cut_off;
mod evidence;
mod histories;
mod host;
mod runs;
