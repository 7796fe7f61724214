//! Programs of a user's own that are all of `duress`, with clients, workloads and properties of theirs: see
//! `docs/examples/rust`.

use std::process::ExitCode;

use clap::Parser;
use duress_checker::property::{self, Property};
use duress_workloads::clients::{self, ClientKind};
use duress_workloads::workload::own::{self, OwnKind};

use crate::cli::Cli;
use crate::commands;

/// What a program brings along. Its names stand beside those that ship, in specs, `system.toml` and lists.
#[derive(Default)]
pub struct Extension {
    /// Clients: `client = "<name>"` of a `system.toml`.
    pub clients: Vec<ClientKind>,
    /// Workloads: `[workload.<name>]` of a spec.
    pub workloads: Vec<OwnKind>,
    /// What specs may claim.
    pub properties: Vec<&'static dyn Property>,
}

/// The command line of `duress`, with what this program brings along. Must be called first in `main`: before this process has
/// any other threads, and once.
pub fn main(extension: Extension) -> ExitCode {
    clients::add(extension.clients);
    own::add(extension.workloads);
    property::add(extension.properties);
    match Cli::try_parse() {
        Ok(cli) => cli.command.main(),
        Err(error) => commands::usage(&error),
    }
}
