//! `duress doctor`: what this machine can do, and how to get what it can't.

use std::path::PathBuf;
use std::process::ExitCode;

use duress_cluster::compose::{self, EngineAddress};
use duress_cluster::doctor::{Capability, examine};
use duress_cluster::ssh::HostAddress;
use duress_cluster::{ClusterError, Key, local};
use duress_nemesis::kinds::TABLE;

use crate::commands::hosts::{HostArgs, runtime};
use crate::commands::{fail, print, print_json};
use crate::runs::deploy::is_done_elsewhere;
use crate::{exit, key, machine};

/// Say what this machine can do, and how to get what it can't
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Example:\n  duress doctor --json\n  duress doctor --on root@10.0.0.11\n  duress doctor --engine tcp://10.0.0.12:2376 \
                  --certificates ~/.docker"
)]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Look at this host, over SSH, instead
    #[arg(long, value_name = "HOST")]
    on: Option<HostAddress>,
    /// Look at this container engine instead: an address as in specs, or the name of a docker context
    #[arg(long, value_name = "ADDRESS", conflicts_with = "on")]
    engine: Option<String>,
    /// The folder with ca.pem, cert.pem and key.pem, for an engine at tcp://
    #[arg(long, value_name = "FOLDER", requires = "engine")]
    certificates: Option<PathBuf>,
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
    if let Some(engine) = &args.engine {
        return match on_engine(args, engine) {
            Ok(capabilities) => told(args, &capabilities),
            Err(error) => fail(&error, exit::HARNESS_FAILURE),
        };
    }
    // Before there are any threads: namespaces are entered by threads one by one.
    let isolation = local::isolate();
    let mut capabilities = examine(&isolation, &["/proc/self/exe".into(), "sandbox".into()]);
    // Where there is no isolation nothing can be tried, and that is said already.
    if let Ok(isolation) = isolation {
        let probed = machine::probe(isolation, TABLE);
        let faults = machine::faults(&probed);
        capabilities.extend(probed.into_values().chain(faults));
    }
    told(args, &capabilities)
}

fn told(args: &Args, capabilities: &[Capability]) -> ExitCode {
    if args.json {
        print_json(&capabilities);
    } else {
        print(text(capabilities));
    }
    if capabilities.iter().all(|capability| capability.ok) {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(2)
    }
}

/// What an engine can do, and which faults can be done to nodes there.
fn on_engine(args: &Args, engine: &str) -> Result<Vec<Capability>, ClusterError> {
    let invalid = |why| ClusterError::Invalid {
        what: format!("--engine {engine}"),
        why,
    };
    let address = EngineAddress::named(engine, args.certificates.as_deref()).map_err(invalid)?;
    // It seals what is made there for a moment.
    let key = key::of_this_user().unwrap_or_else(|_| Key::of_this_process());
    let mut capabilities = runtime()?.block_on(compose::examine(&address, &key));
    let is_reached = capabilities.first().is_some_and(|engine| engine.ok);
    if is_reached && !address.is_here() {
        capabilities.push(done_elsewhere());
    }
    Ok(capabilities)
}

/// Which kinds of faults are done to nodes of an engine elsewhere. That others aren't is no lack of the engine.
fn done_elsewhere() -> Capability {
    let names = |done: bool| {
        let kinds = TABLE.iter().filter(|kind| is_done_elsewhere(**kind) == done);
        kinds.map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
    };
    Capability {
        name: "faults".to_owned(),
        ok: true,
        detail: format!("{}; not done on engines elsewhere: {}", names(true), names(false)),
        fix: String::new(),
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
