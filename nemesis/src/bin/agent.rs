//! The agent alone: what `duress agent` runs, without the rest of Duress; and the layers that it starts.

use std::process::ExitCode;

use duress_nemesis::agent::OnHost;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match arguments.split_first() {
        Some((command, rest)) if command == duress_nemesis::layer::COMMAND => {
            duress_nemesis::layer::main(rest)
        }
        _ => duress_nemesis::agent::main(OnHost::default()),
    }
}
