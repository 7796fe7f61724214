//! `duress try`: shows what a client asks of a system, what is answered, and what that is taken for.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use duress_cluster::compose::{self, FileProblem};
use duress_http::{Exchange, HeaderMap};
use duress_workloads::{Answer, Op};

use crate::commands::arguments::{Read, parse_nodes, parse_read};
use crate::commands::{fail, print, usage_error};
use crate::exit;
use crate::runs::trial::{self, Expected, News, Phase, Trial};
use crate::spec::{ClusterSpec, ComposeSpec, Definition, LocalSpec, SpecError, SystemRef, deployable};

/// Characters of a body that are shown.
const BODY_SHOWN_MAX: usize = 2000;
/// Headers that are shown.
const HEADERS_SHOWN_MAX: usize = 30;
/// Characters of a header that are shown.
const HEADER_SHOWN_MAX: usize = 200;

/// Deploy a system, ask each operation of its client once, and show what is sent, answered, and what that is taken for
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  duress try specimen\n  duress try ./mine --file ./mine/compose.yaml --services a,b,c\n  duress \
                      try cluster/systems/etcd --file cluster/systems/etcd/compose-3.yaml\n\nCtrl-C takes the cluster down. What nodes \
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
            if args.version.is_some() {
                let what = "--version is that of images; name a compose file with --file";
                return Err(Refusal::Arguments(what.to_owned()));
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
                ..ComposeSpec::of(named, file, nodes)
            })
        }
    };
    if let Some(complaint) = deployable(&cluster, system) {
        return Err(Refusal::Arguments(complaint.what));
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
            answer,
        } => {
            for exchange in exchanges {
                print(shown(node, exchange));
            }
            print(format_args!("  = {}\n", taken_for(answer)));
        }
        News::Ends { expected: true, .. } => {}
        News::Ends { expects, .. } => print(format_args!("  ! it must end {}\n", must_be(expects))),
    }
}

/// `cas of "try": [1,2]`.
fn asked(op: &Op) -> String {
    let object = op
        .key
        .as_ref()
        .map_or_else(|| "everything".to_owned(), ToString::to_string);
    match op.f {
        "read" => format!("read of {object}"),
        f => format!("{f} of {object}: {}", op.value),
    }
}

fn shown(node: &str, exchange: &Exchange) -> String {
    let request = &exchange.request;
    let mut text = format!("  > {node}: {} {}\n", request.method.as_str(), request.url);
    text += &headers(&request.headers);
    text += &body(&request.body);
    match &exchange.answered {
        Some(Ok(reply)) => {
            text += &format!("  < {}\n", reply.status);
            text += &headers(&reply.headers);
            text += &body(&reply.body);
        }
        Some(Err(trouble)) => text += &format!("  < no answer: {trouble}\n"),
        None => text += "  < no answer in time\n",
    }
    text
}

fn headers(headers: &HeaderMap) -> String {
    let line = |(name, value): (_, &duress_http::HeaderValue)| {
        let value = match value.is_sensitive() {
            true => "(not shown)".to_owned(),
            false => cut(
                &one_line(&String::from_utf8_lossy(value.as_bytes())),
                HEADER_SHOWN_MAX,
            ),
        };
        format!("    {name}: {value}\n")
    };
    headers.iter().take(HEADERS_SHOWN_MAX).map(line).collect()
}

fn body(body: &[u8]) -> String {
    if body.is_empty() {
        return String::new();
    }
    format!(
        "    {}\n",
        one_line(&cut(&String::from_utf8_lossy(body), BODY_SHOWN_MAX))
    )
}

/// Line ends and tabs are spelled out too, so that nothing passes for what Duress says.
fn one_line(text: &str) -> String {
    text.trim_end_matches(['\r', '\n'])
        .replace('\n', "\\n")
        .replace('\t', "\\t")
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!(
            "{}… (cut, it has {} characters)",
            &text[..end],
            text.chars().count()
        ),
    }
}

fn taken_for(answer: &Answer) -> String {
    let said = match answer {
        Answer::Ok(value) => format!("ok: {value}"),
        Answer::Failed { error } => format!("fail: it did not happen, {error}"),
        Answer::Refused { error, leader, .. } => {
            let leader = leader
                .as_ref()
                .map(|leader| format!("; {leader} leads"))
                .unwrap_or_default();
            format!("refused: it did not happen and may be asked again, {error}{leader}")
        }
        Answer::Unknown { error } => format!("info: it may have happened, {error}"),
        Answer::Local { error } => format!("this machine could not ask: {error}"),
    };
    one_line(&cut(&said, BODY_SHOWN_MAX))
}

fn must_be(expects: &Expected) -> String {
    match expects {
        Expected::Ok(value) => format!("ok: {value}"),
        Expected::Fail => "fail".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use duress_http::{HeaderValue, Method, Reply, Request};
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_shown_is_short_keeps_secrets_and_passes_for_nothing_else() {
        let mut secret = HeaderValue::from_static("Basic c2VjcmV0");
        secret.set_sensitive(true);
        let headers = HeaderMap::from_iter([("authorization".parse().expect("a name"), secret)]);
        let exchange = Exchange {
            request: Request {
                method: Method::Put,
                url: "http://10.77.0.11:8080/kv/try".to_owned(),
                headers,
                body: json!({"value": 7}).to_string().into_bytes(),
            },
            answered: Some(Ok(Reply {
                status: 200,
                retry_after: None,
                headers: HeaderMap::new(),
                body: format!("a\n  = ok: 7\t{}", "x".repeat(100_000)).into_bytes(),
            })),
        };
        let text = shown("n1", &exchange);
        assert!(text.contains("  > n1: PUT http://10.77.0.11:8080/kv/try\n    authorization: (not shown)\n    {\"value\":7}\n"), "{text}");
        assert!(!text.contains("c2VjcmV0"), "{text}");
        assert!(
            text.contains("  < 200\n    a\\n  = ok: 7\\tx") && text.lines().count() == 5,
            "{text}"
        );
        assert!(
            text.len() < 3000 && text.contains("(cut, it has "),
            "{}",
            text.len()
        );
    }
}
