//! `duress doctor`: what this machine can do, and how to get what it can't.

use std::process::ExitCode;

use duress_cluster::doctor::{Capability, examine};
use duress_cluster::local;

use crate::cli::ListArgs;
use crate::commands::{print, print_json};

/// Looks, and says. Exits 0 when local clusters can run here, 2 otherwise.
pub fn main(args: ListArgs) -> ExitCode {
    // Before there are any threads: namespaces are entered by threads one by one.
    let isolation = local::isolate();
    let capabilities = examine(&isolation, &["/proc/self/exe".into(), "sandbox".into()]);
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
