//! `duress-specimen`: one node of the specimen.

use std::process::ExitCode;

use clap::Parser;

/// A replicated key-value store: correct by default, with defects that can be switched on.
///
/// Example, the first of three nodes:
///   duress-specimen --name n1 --listen 127.0.0.1:7001 --data /tmp/n1
///     --peer n1=127.0.0.1:7001 --peer n2=127.0.0.1:7002 --peer n3=127.0.0.1:7003
#[derive(Parser)]
#[command(version, verbatim_doc_comment)]
struct Cli {
    #[command(flatten)]
    args: duress_specimen::Args,
}

#[tokio::main]
async fn main() -> ExitCode {
    match duress_specimen::run(Cli::parse().args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The one message of a program that cannot go on.
            #[allow(clippy::print_stderr)]
            {
                eprintln!("duress-specimen: {error}");
            }
            ExitCode::FAILURE
        }
    }
}
