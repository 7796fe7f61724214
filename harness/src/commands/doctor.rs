//! `duress doctor`: what this machine can do, and how to get what it can't.

use std::process::ExitCode;

use duress_cluster::doctor::{Capability, examine};
use duress_cluster::local;
use duress_nemesis::kinds::TABLE;

use crate::commands::{print, print_json};
use crate::machine;

/// Say what this machine can do, and how to get what it can't
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example:\n  duress doctor --json")]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Looks, and says. Exits 0 when local clusters can run here and every kind of fault can be done to them, 2 otherwise.
pub fn main(args: &Args) -> ExitCode {
    // Before there are any threads: namespaces are entered by threads one by one.
    let isolation = local::isolate();
    let mut capabilities = examine(&isolation, &["/proc/self/exe".into(), "sandbox".into()]);
    // Where there is no isolation nothing can be tried, and that is said already.
    if let Ok(isolation) = isolation {
        let probed = machine::probe(isolation, &TABLE);
        let faults = machine::faults(&probed);
        capabilities.extend(probed.into_values().chain(faults));
    }
    if args.json {
        print_json(&capabilities);
    } else {
        print(text(&capabilities));
    }
    if capabilities.iter().all(|capability| capability.ok) {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(2)
    }
}

fn text(capabilities: &[Capability]) -> String {
    let width = capabilities
        .iter()
        .map(|capability| capability.name.len())
        .max()
        .unwrap_or_default();
    let mut text = String::new();
    for capability in capabilities {
        let icon = if capability.ok { "✓" } else { "✕" };
        text.push_str(&format!(
            "{icon} {:width$}  {}\n",
            capability.name, capability.detail
        ));
        if !capability.ok {
            text.push_str(&format!("  {:width$}  → {}\n", "", capability.fix));
        }
    }
    text
}
