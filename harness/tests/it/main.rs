//! End-to-end tests: the real binary, real clusters in namespaces, real faults.

mod bad_input;
mod bad_specs;
mod compose;
mod compose_agent;
mod compose_heal;
mod compose_init;
mod compose_systems;
mod cut_off;
mod docs;
mod doctor;
mod evidence;
mod exec;
mod heal;
mod histories;
mod host;
mod init;
mod logs;
mod moved;
mod proof;
mod runs;
mod signals;
mod templates;
mod terminal;
