//! `duress doctor`: what this machine can do, and how to get what it can't.

use std::process::ExitCode;

use duress_cluster::doctor::{Capability, examine};
use duress_cluster::ssh::HostAddress;
use duress_cluster::{ClusterError, local};
use duress_nemesis::kinds::TABLE;

use crate::commands::hosts::{HostArgs, runtime};
use crate::commands::{fail, print, print_json};
use crate::exit;
use crate::machine;

/// Say what this machine can do, and how to get what it can't
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example:\n  duress doctor --json\n  duress doctor --on root@10.0.0.11")]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Look at this host, over SSH, instead
    #[arg(long, value_name = "HOST")]
    on: Option<HostAddress>,
    #[command(flatten)]
    #[allow(missing_docs)] // its fields have their own
    hosts: HostArgs,
}

/// Looks, and says. Exits 0 when local clusters can run here and every kind of fault can be done to them, 2 otherwise.
pub fn main(args: &Args) -> ExitCode {
    if let Some(host) = &args.on {
        return match there(args, host) {
            Ok(code) => ExitCode::from(code),
            Err(error) => fail(&error, exit::HARNESS_FAILURE),
        };
    }
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

/// The same by this very program, on that host.
fn there(args: &Args, host: &HostAddress) -> Result<u8, ClusterError> {
    runtime()?.block_on(async {
        let host = args.hosts.reach(host).await?;
        let arguments = match args.json {
            true => vec!["doctor", "--json"],
            false => vec!["doctor"],
        };
        let (said, end) = host.run(&arguments).await?;
        print(said);
        match end.status {
            Some(status) if status <= 2 => Ok(status as u8),
            _ => Err(ClusterError::Unsupported {
                what: format!("look at {}", host.name()),
                why: end.how(),
            }),
        }
    })
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
