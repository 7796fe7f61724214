//! Commands that Duress starts itself: parts of it that run elsewhere.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use duress_nemesis::agent::OnHost;

use super::fail;
use crate::{client_hosts, exit};

/// Not for people.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The one that breaks: reads JSON lines, answers in JSON lines
    #[command(hide = true)]
    Agent {
        /// Heal and end after so many milliseconds in which nothing is heard
        #[arg(long)]
        silence_max_ms: Option<u64>,
        /// Ports of TCP that no rule in a packet filter touches
        #[arg(long, value_delimiter = ',')]
        spared_ports: Vec<u16>,
    },
    /// The one that asks nodes, on a client's host: reads JSON lines, answers in JSON lines
    #[command(hide = true)]
    ClientWorker,
    /// A file system over a node's data directory
    #[command(hide = true, disable_help_flag = true)]
    DiskLayer {
        /// For the layer itself.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// The init process of a local sandbox
    #[command(hide = true, disable_help_flag = true)]
    Sandbox {
        /// For the sandbox itself.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// One node of the specimen
    #[command(hide = true)]
    Specimen(duress_specimen::Args),
}

impl Command {
    /// Does it.
    pub fn main(&self) -> ExitCode {
        match self {
            Command::Agent {
                silence_max_ms,
                spared_ports,
            } => duress_nemesis::agent::main(OnHost {
                silence_max: silence_max_ms.map(Duration::from_millis),
                spared_ports: spared_ports.clone(),
            }),
            Command::ClientWorker => client_hosts::main(),
            Command::DiskLayer { args } => duress_nemesis::layer::main(args),
            Command::Sandbox { args } => duress_cluster::local::sandbox::main(args),
            Command::Specimen(args) => specimen(args),
        }
    }
}

/// Runs one node of the specimen until it is told to stop.
fn specimen(args: &duress_specimen::Args) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error, exit::HARNESS_FAILURE),
    };
    match runtime.block_on(duress_specimen::run(args.clone())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}
