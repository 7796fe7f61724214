//! `duress try`: shows what a client asks of a system, what is answered, and what that is taken for.

mod shown;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use duress_cluster::compose::{self, FileProblem};

use self::shown::{asked, must_be, said, shown, shown_line, taken_for};
use crate::commands::arguments::{Read, parse_nodes, parse_read, parse_variable};
use crate::commands::{fail, print, usage_error};
use crate::exit;
use crate::runs::trial::{self, News, Phase, Trial};
use crate::spec::{
    ClusterSpec, ComposeSpec, Definition, LocalSpec, SpecError, SystemRef, deployable, service_problem,
};

/// Deploy a system, ask each operation of its client once, and show what is sent, answered, and what that is taken for
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  duress try specimen\n  duress try ./mine --file ./mine/compose.yaml --services a,b,c\n  duress \
                      try cluster/systems/etcd --file cluster/systems/etcd/compose-3.yaml\n  duress try ./mine --variable TAG=7 --network \
                      back\n\nCtrl-C takes the cluster down. What nodes \
                      wrote is kept below try/runs in the folder of --out.\n\nExit codes:\n  0   every operation ended as it \
                      must with one client and no faults\n  1   some did not: the client misunderstands the system, or is \
                      misunderstood\n  3   harness failure, or interrupted\n  64  the command line or the system's definition is wrong"
)]
pub struct Args {
    /// A system that ships, or a folder with a system.toml: with a slash, or a dot in front
    pub system: String,
    /// The compose file, of a system that comes in containers. By default compose.yaml in its folder
    #[arg(long)]
    pub file: Option<PathBuf>,
    /// Services of the compose file that are nodes, e.g. n1,n2,n3. By default n1 and so on, as many as there are nodes
    #[arg(long, value_delimiter = ',')]
    pub services: Vec<String>,
    /// Number of nodes. By default what the system says
    #[arg(long, value_parser = parse_nodes)]
    pub nodes: Option<usize>,
    /// Version of the system, where its compose file takes one
    #[arg(long)]
    pub version: Option<String>,
    /// A variable for the ${…} of the compose file, e.g. TAG=7; once for each, as `variables` of a spec
    #[arg(long = "variable", value_name = "NAME=VALUE", value_parser = parse_variable)]
    pub variables: Vec<(String, String)>,
    /// The network to address nodes by, where they share several, as `network` of a spec
    #[arg(long)]
    pub network: Option<String>,
    /// How to read: linearizable, lease or local
    #[arg(long, value_parser = parse_read, default_value = "linearizable")]
    pub read: Read,
    /// What nodes wrote is kept below `try/runs` in this folder
    #[arg(long, default_value = "results")]
    pub out: PathBuf,
}

/// Does all of it.
pub fn main(args: &Args) -> ExitCode {
    let trial = match plan(args) {
        Ok(trial) => trial,
        Err(Refusal::Spec(error)) => return fail(&error, exit::USAGE),
        Err(Refusal::Arguments(what)) => return usage_error(&what),
    };
    let client = &trial.client;
    print(format_args!(
        "{} by the client {}, which carries {}\n",
        trial.system.name,
        client.name,
        match client.workloads().as_slice() {
            [] => "no workload".to_owned(),
            workloads => workloads.join(", "),
        }
    ));
    match trial::run(&trial, &args.out.join("try"), &mut show) {
        Ok(tried) if tried.interrupted => {
            print("interrupted: the cluster is down again\n");
            ExitCode::from(exit::HARNESS_FAILURE)
        }
        Ok(tried) => {
            print(format_args!(
                "\n{} of {} operations ended as they must with one client and no faults\n",
                tried.expected, tried.asked
            ));
            ExitCode::from(u8::from(tried.expected < tried.asked))
        }
        Err(error) => fail(&*error, exit::HARNESS_FAILURE),
    }
}

enum Refusal {
    Spec(SpecError),
    Arguments(String),
}

impl From<SpecError> for Refusal {
    fn from(error: SpecError) -> Self {
        Refusal::Spec(error)
    }
}

fn plan(args: &Args) -> Result<Trial, Refusal> {
    let named = SystemRef::new(&args.system);
    let definition = Definition::read(&named)?;
    let client = definition.client()?;
    if !client.reads.contains(&args.read.0) {
        let reads: Vec<&str> = client.reads.iter().map(|read| read.as_str()).collect();
        let what = format!(
            "--read: the client {} has {} reads only",
            client.name,
            reads.join(" and ")
        );
        return Err(Refusal::Arguments(what));
    }
    let system = &definition.system;
    let count = args.nodes.unwrap_or(system.nodes_default);
    let cluster = match &args.file {
        None if !system.argv.is_empty() && args.services.is_empty() => {
            let of_containers = [
                ("--version is that of images", args.version.is_some()),
                ("--variable is one of a compose file", !args.variables.is_empty()),
                ("--network is one of a compose file", args.network.is_some()),
            ];
            if let Some((what, _)) = of_containers.iter().find(|(_, given)| *given) {
                return Err(Refusal::Arguments(format!(
                    "{what}; name a compose file with --file"
                )));
            }
            let local = LocalSpec {
                nodes: count,
                ..LocalSpec::of(named)
            };
            ClusterSpec::Local(local)
        }
        file => {
            let file = match file {
                Some(file) => file.clone(),
                None => compose_file(&named)?,
            };
            let names = (1..=count).map(|number| format!("n{number}")).collect();
            let nodes = if args.services.is_empty() {
                names
            } else {
                args.services.clone()
            };
            if let Some(twice) = (1..nodes.len()).find(|index| nodes[..*index].contains(&nodes[*index])) {
                let what = format!("--services: {:?} is named twice", nodes[twice]);
                return Err(Refusal::Arguments(what));
            }
            compose::look(&file, &nodes).map_err(|problem| {
                Refusal::Arguments(match problem {
                    FileProblem::File { .. } => format!("--file: {problem}"),
                    FileProblem::Node { .. } => format!("--services: {problem}"),
                })
            })?;
            let file = std::path::absolute(&file).unwrap_or(file);
            ClusterSpec::Compose(ComposeSpec {
                version: args.version.clone(),
                variables: args.variables.iter().cloned().collect(),
                network: args.network.clone(),
                ..ComposeSpec::of(named, file, nodes)
            })
        }
    };
    if let Some(complaint) = deployable(&cluster, system) {
        return Err(Refusal::Arguments(complaint.what));
    }
    if let Some(complaint) = service_problem(&cluster, &client) {
        return Err(Refusal::Spec(definition.invalid(complaint)));
    }
    Ok(Trial {
        cluster,
        system: definition.system,
        client,
        read: args.read.0,
    })
}

/// Names that compose files usually have.
const COMPOSE_FILES: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yaml",
    "docker-compose.yml",
];

/// The compose file in the folder of the system.
fn compose_file(named: &SystemRef) -> Result<PathBuf, Refusal> {
    let folder = named.folder().unwrap_or(Path::new(""));
    let found = COMPOSE_FILES
        .iter()
        .map(|name| folder.join(name))
        .find(|path| named.folder().is_some() && path.is_file());
    found.ok_or_else(|| {
        let what = format!(
            "{} comes in containers: name its compose file with --file",
            named.name()
        );
        Refusal::Arguments(what)
    })
}

fn show(news: News<'_>) {
    match news {
        News::Phase(Phase::Deploy) => print("deploying\n"),
        News::Phase(Phase::Wait) => print("waiting until all nodes are ready\n"),
        News::Phase(Phase::Down) => print("\ntaking it down\n"),
        News::Asks { op } => print(format_args!("\n{}\n", asked(op))),
        News::Attempt {
            node,
            exchanges,
            lines,
            answer,
        } => {
            for exchange in exchanges {
                print(shown(node, exchange));
            }
            for exchange in lines {
                print(shown_line(node, exchange));
            }
            print(format_args!("  = {}\n", taken_for(answer)));
        }
        News::Looked {
            at,
            node,
            exchanges,
            lines,
            taken,
        } => {
            print(format_args!("\n{at} of {node}\n"));
            exchanges.iter().for_each(|exchange| print(shown(node, exchange)));
            lines
                .iter()
                .for_each(|exchange| print(shown_line(node, exchange)));
            match taken {
                Ok(value) => print(format_args!("  = {}\n", said(&value.to_string()))),
                Err(why) => print(format_args!("  ! it tells nothing: {}\n", said(why))),
            }
        }
        News::Ends { expected: true, .. } => {}
        News::Ends { expects, .. } => print(format_args!("  ! it must end {}\n", must_be(expects))),
    }
}
