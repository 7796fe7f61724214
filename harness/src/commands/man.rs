//! `duress man`: manual pages, made of the help.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::CommandFactory;

use crate::cli::Cli;
use crate::commands::{fail, print};
use crate::exit;

/// Write manual pages: duress(1), and one for each command
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example:\n  duress man ~/.local/share/man/man1 && man duress-run")]
pub struct Args {
    /// The folder for them; it is made if there is none
    folder: PathBuf,
}

/// Writes them.
pub fn main(args: &Args) -> ExitCode {
    let written = std::fs::create_dir_all(&args.folder)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), &args.folder));
    match written {
        Ok(()) => {
            print(format_args!("wrote the pages to {}\n", args.folder.display()));
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error, exit::HARNESS_FAILURE),
    }
}
