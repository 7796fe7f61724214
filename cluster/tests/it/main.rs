//! Real sandboxes on a real bridge. Without the standard harness, because this binary plays other parts too, so that the
//! tests need no program but itself, `sh` and `sleep`:
//!
//! - `sandbox NAME`: the init of a sandbox, as `duress sandbox` is.
//! - `controller DIR`: deploys five nodes, says where they are, and waits to be killed.
//! - `unprivileged DIR`: deploys two nodes as an ordinary user.
//! - `serve ADDRESS ANSWER`: an HTTP server with one answer to everything.

mod controller;
mod deploy;
mod examine;
mod ready;
mod support;
mod unprivileged;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let args: Vec<std::ffi::OsString> = std::env::args_os().skip(1).collect();
    match args.first().and_then(|first| first.to_str()) {
        Some("sandbox") => return duress_cluster::local::sandbox::main(&args[1..]),
        Some("controller") => return controller::main(&args[1..]),
        Some("unprivileged") => return unprivileged::main(&args[1..]),
        Some("serve") => return ready::main(&args[1..]),
        _ => {}
    }
    let tests = [
        deploy::tests(),
        controller::tests(),
        examine::tests(),
        ready::tests(),
        unprivileged::tests(),
    ]
    .concat();
    let trials = tests.into_iter().map(|(name, test)| {
        // A thread for each: isolation can't be undone, and the harness uses its threads again.
        Trial::test(name, move || match std::thread::spawn(test).join() {
            Ok(()) => Ok(()),
            Err(panic) => {
                let message = panic.downcast_ref::<String>().cloned();
                let message = message.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
                Err(message.unwrap_or_else(|| "panicked".into()).into())
            }
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}
