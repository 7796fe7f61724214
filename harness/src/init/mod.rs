//! What `duress init` does between a compose file and a first run: guesses, and the two files that say them.
//!
//! ```text
//! compose.yaml ──▶ Description ──▶ Guess ──▶ system.toml, spec.toml
//!                  (cluster)       guess     files
//! ```
//!
//! [`guess`] and [`files`] are pure; [`health`] reads health checks. What only the user can know gets a mark in the files, which
//! `duress run` finds again (`spec/fill_in.rs`).

pub mod files;
pub mod guess;
mod health;
