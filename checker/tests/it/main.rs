//! The checkers against slow and obvious oracles, and whole histories through the front door.

mod against_brute_force;
mod certificates;
mod consistency;
mod delivery;
mod explanations;
mod fast_paths;
mod foundations;
mod front_door;
mod laws;
mod limits_of_readers;
mod mismatches;
mod odd_histories;
mod parsers;
mod planted;
mod sentences;
mod statuses;
mod stream;
