//! A system that does what no system should, and what becomes of the run.
//!
//! Without the standard harness, because this binary plays other parts too, so that nothing hostile has to be in the
//! `duress` that ships: called with a command it is `duress`, but its `specimen` is the hostile [`server`]. So a spec for
//! the specimen deploys that one, in sandboxes as well as in containers.

mod bench;
mod container;
mod descriptors;
mod sandboxes;
mod server;
mod unknown;

use std::process::ExitCode;

use clap::Parser as _;
use duress::cli::Cli;
use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let args: Vec<std::ffi::OsString> = std::env::args_os().skip(1).collect();
    match args.first().and_then(|first| first.to_str()) {
        Some("specimen") => server::main(&args[1..]),
        Some("sandbox") => duress_cluster::local::sandbox::main(&args[1..]),
        Some("agent") => duress_nemesis::agent::main(duress_nemesis::agent::OnHost::default()),
        Some("run") => Cli::parse().command.main(),
        _ => {
            let tests = [
                sandboxes::tests(),
                descriptors::tests(),
                container::tests(),
                unknown::tests(),
            ]
            .concat();
            let trials = (tests.into_iter())
                .map(|(name, test)| {
                    Trial::test(name, move || {
                        test();
                        Ok(())
                    })
                })
                .collect();
            libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
        }
    }
}

/// Name and test.
type Test = (&'static str, fn());
