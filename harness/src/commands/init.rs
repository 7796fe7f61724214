//! `duress init`: from a compose file to a system and a first spec.

use std::fs::File;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use duress_cluster::compose::{Description, EngineAddress, PROFILES_VARIABLE, describe};
use duress_cluster::{ClusterError, Readiness};

use crate::commands::{fail, print, usage_error};
use crate::exit;
use crate::init::files;
use crate::init::guess::{Guess, guess, nodes};
use crate::spec::FILL_IN;

/// Write a system and a first spec for the services of a compose file
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Example:\n  duress init compose.yaml\n  duress init compose.yaml --yes --nodes a,b,c --port 8080 --out mine\n\nThe \
                  compose file is read as Compose resolves it, and never changed. Images that the container engine has are looked at. What \
                  is guessed is asked where there is a terminal. What only you can know is marked in the files; `duress run` names the \
                  marks that are left.\n\nExit codes:\n  0   the files are written\n  3   there is no Compose tool\n  64  the command line or \
                  the compose file is wrong, or nodes can't be told, or are what Duress can't break; it says why"
)]
pub struct Args {
    /// The compose file
    pub file: PathBuf,
    /// Services that are nodes, e.g. a,b,c. By default those that are made of the same image
    #[arg(long, value_delimiter = ',')]
    pub nodes: Vec<String>,
    /// Where clients connect, inside the containers
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// Write system.toml and spec.toml to this folder. By default `duress` beside the compose file
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Take what is guessed, ask nothing
    #[arg(long, short)]
    pub yes: bool,
}

/// Does all of it.
pub fn main(args: &Args) -> ExitCode {
    match init(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Refusal::NoTool(error)) => fail(&error, exit::HARNESS_FAILURE),
        Err(Refusal::File(error)) => fail(&error, exit::USAGE),
        Err(Refusal::Said(what)) => usage_error(&what),
    }
}

enum Refusal {
    NoTool(ClusterError),
    File(ClusterError),
    Said(String),
}

impl From<ClusterError> for Refusal {
    fn from(error: ClusterError) -> Self {
        match error {
            ClusterError::Unsupported { .. } => Refusal::NoTool(error),
            error => Refusal::File(error),
        }
    }
}

impl From<String> for Refusal {
    fn from(what: String) -> Self {
        Refusal::Said(what)
    }
}

/// The files, as they are called in their folder.
const FILES: [&str; 2] = ["system.toml", "spec.toml"];

fn init(args: &Args) -> Result<(), Refusal> {
    let folder = (args.file.canonicalize())
        .map(|file| file.parent().unwrap_or(Path::new("/")).to_owned())
        .map_err(|error| format!("read {}: {error}", args.file.display()))?;
    let beside = args.file.parent().unwrap_or(Path::new("")).join("duress");
    let out = args.out.clone().unwrap_or(beside);
    let there: Vec<String> = FILES
        .iter()
        .map(|name| out.join(name))
        .filter(|path| path.symlink_metadata().is_ok())
        .map(|path| path.display().to_string())
        .collect();
    if !there.is_empty() {
        let there = there.join(" and ");
        return Err(Refusal::Said(format!(
            "{there} exists already, and nothing is overwritten; write to another folder with --out"
        )));
    }
    let engine = EngineAddress::of_environment()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("start: {error}"))?;
    let description = runtime.block_on(describe(&args.file, &engine))?;
    let asks = !args.yes && std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let guess = decide(args, &description, asks)?;
    print(shown(&args.file, &description, &guess));
    write(args, &out, &folder, &guess)
}

/// What is guessed, and what is said instead on the command line or when asked.
fn decide(args: &Args, description: &Description, asks: bool) -> Result<Guess, String> {
    let guessed = match args.nodes.is_empty() {
        true => nodes(description).map_err(|why| {
            format!(
                "{}: it can't be told which services are nodes: {why}",
                args.file.display()
            )
        }),
        false => Ok(args.nodes.clone()),
    };
    if !asks || !args.nodes.is_empty() {
        let nodes =
            guessed.map_err(|why| format!("{why}\nname the services that are nodes with --nodes a,b,c"))?;
        let guess = guess(description, &nodes, args.port)?;
        return if asks { ask_rest(args, guess) } else { Ok(guess) };
    }
    let services: Vec<&str> = description
        .services
        .iter()
        .map(|service| service.name.as_str())
        .collect();
    print(format_args!("services: {}\n", services.join(", ")));
    let default = guessed.unwrap_or_else(|why| {
        print(format_args!("{why}\n"));
        Vec::new()
    });
    let guess = ask("which of them are nodes", &default.join(","), |answer| {
        let nodes: Vec<String> = answer
            .split([',', ' '])
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect();
        guess(description, &nodes, args.port)
    })?;
    ask_rest(args, guess)
}

/// Asks for what is uncertain even if the nodes are known.
fn ask_rest(args: &Args, mut guess: Guess) -> Result<Guess, String> {
    if args.port.is_none() {
        let port = ask(
            "at which port of their containers do clients connect",
            &guess.port.to_string(),
            |answer| match answer.parse::<u16>() {
                Ok(port) if port > 0 => Ok(port),
                _ => Err("use 1 to 65535".to_owned()),
            },
        )?;
        if guess.readiness == (Readiness::Tcp { port: guess.port }) {
            guess.readiness = Readiness::Tcp { port };
        }
        (guess.port, guess.port_by) = (port, Some("as you said"));
    }
    let data = guess.data.as_deref().unwrap_or("none");
    guess.data = ask(
        "in which folder of their containers do they keep data, or \"none\"",
        data,
        |answer| match answer {
            "none" => Ok(None),
            folder if folder.starts_with('/') => Ok(Some(folder.to_owned())),
            _ => Err("write the whole path, or \"none\"".to_owned()),
        },
    )?;
    Ok(guess)
}

/// Asks until the answer makes sense; an empty one is the default.
fn ask<T>(
    question: &str,
    default: &str,
    mut understood: impl FnMut(&str) -> Result<T, String>,
) -> Result<T, String> {
    loop {
        print(format_args!("{question}? [{default}] "));
        // What can't be shown can't be answered either, which is noticed below.
        let _ = std::io::stdout().flush();
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        if read.map_err(|error| format!("read the answer: {error}"))? == 0 {
            return Err(format!(
                "{question}: no answer; say it on the command line, see --help"
            ));
        }
        let answer = match line.trim() {
            "" => default,
            answer => answer,
        };
        match understood(answer) {
            Ok(value) => return Ok(value),
            Err(why) => print(format_args!("{why}\n")),
        }
    }
}

/// What was found out, a line each.
fn shown(file: &Path, description: &Description, guess: &Guess) -> String {
    let is_node = |name: &String| guess.nodes.contains(name);
    let others: Vec<&str> = (description.services.iter())
        .filter(|service| !is_node(&service.name))
        .map(|service| service.name.as_str())
        .collect();
    let port = match guess.port_by {
        Some(by) => format!("{}, {by}", guess.port),
        None => format!("{}, though nothing says so", guess.port),
    };
    let ready = match &guess.readiness {
        Readiness::Http { path, port, .. } => format!("GET {path} at port {port} is answered with success"),
        Readiness::Tcp { port } => format!("port {port} accepts connections"),
        Readiness::Command { argv } => format!("in each, this succeeds: {}", argv.join(" ")),
    };
    let mut lines = vec![
        ("nodes", guess.nodes.join(", ")),
        ("port", port),
        ("ready when", ready),
        (
            "data",
            guess
                .data
                .clone()
                .unwrap_or_else(|| "no volume that all have".to_owned()),
        ),
        ("network", guess.networks.join(", ")),
    ];
    if !guess.profiles.is_empty() {
        let profiles: Vec<&str> = guess.profiles.iter().map(String::as_str).collect();
        lines.push(("profiles", profiles.join(", ")));
    }
    if !others.is_empty() {
        lines.push(("no nodes", format!("{}: left in peace", others.join(", "))));
    }
    if let Some(why) = &description.engine_silent {
        lines.push(("images", format!("not looked at: {why}")));
    }
    let lines: String = lines
        .iter()
        .map(|(what, value)| format!("  {what:<11} {value}\n"))
        .collect();
    format!("{}\n{lines}", file.display())
}

/// Writes both files and says what comes next. `folder` is that of the compose file.
fn write(args: &Args, out: &Path, folder: &Path, guess: &Guess) -> Result<(), Refusal> {
    let failed = |path: &Path, error: std::io::Error| format!("write {}: {error}", path.display());
    std::fs::create_dir_all(out).map_err(|error| failed(out, error))?;
    let from = out.canonicalize().map_err(|error| failed(out, error))?;
    let file_name = args
        .file
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let to_file = way(&from, &folder.join(&file_name));
    let name = system_name(folder);
    let texts = [
        files::system(guess, &name, &file_name),
        files::spec(guess, &name, &to_file),
    ];
    for (path, text) in FILES.map(|name| out.join(name)).iter().zip(&texts) {
        let written = File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| failed(path, error))?;
    }
    let [system, spec] = FILES.map(|name| out.join(name));
    let marks = texts[0].matches(&format!("    {FILL_IN}")).count();
    let profiles: Vec<&str> = guess.profiles.iter().map(String::as_str).collect();
    let variables = match profiles.is_empty() {
        true => String::new(),
        false => format!("{PROFILES_VARIABLE}={} ", in_shell(&profiles.join(","))),
    };
    print(format_args!(
        "\nwrote {} and {}\n\nFill in the {marks} lines of {0} that are marked \"{FILL_IN}\", and try what the system answers to \
         them:\n  {variables}duress try {} --file {} --services {}\nThen run it:\n  duress run {}\n",
        system.display(),
        spec.display(),
        in_shell(&dotted(out)),
        in_shell(&args.file.to_string_lossy()),
        in_shell(&guess.nodes.join(",")),
        in_shell(&spec.to_string_lossy()),
    ));
    Ok(())
}

/// A path that can't be taken for the name of a system that ships.
fn dotted(folder: &Path) -> String {
    let text = folder.to_string_lossy();
    match text.contains('/') || text.starts_with('.') {
        true => text.into_owned(),
        false => format!("./{text}"),
    }
}

/// A word of a shell.
fn in_shell(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,:@%+=".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

/// The way from a folder to a file; both are absolute. Where they have nothing in common, the absolute path.
fn way(from: &Path, to: &Path) -> String {
    let common = (from.components().zip(to.components()))
        .take_while(|(one, other)| one == other)
        .count();
    if common <= 1 {
        return to.to_string_lossy().into_owned();
    }
    let up = from.components().skip(common).map(|_| Path::new("..").to_owned());
    let down = to
        .components()
        .skip(common)
        .map(|part| PathBuf::from(part.as_os_str()));
    let way: PathBuf = up.chain(down).collect();
    way.to_string_lossy().into_owned()
}

/// A name for the system: that of the folder of its compose file, as far as it can be one.
fn system_name(folder: &Path) -> String {
    let folder = folder.file_name().unwrap_or_default().to_string_lossy();
    let plain: String = (folder.chars())
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '-'
            }
        })
        .collect();
    match plain.trim_matches(['.', '-']) {
        "" => "system".to_owned(),
        name => name.chars().take(50).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_names_and_words() {
        assert_eq!(
            way(Path::new("/a/b/duress"), Path::new("/a/b/c.yaml")),
            "../c.yaml"
        );
        assert_eq!(way(Path::new("/a"), Path::new("/a/b/c.yaml")), "b/c.yaml");
        assert_eq!(way(Path::new("/x"), Path::new("/a/c.yaml")), "/a/c.yaml");
        for (folder, name) in [("/x/My KV", "My-KV"), ("/", "system"), ("/x/.hidden", "hidden")] {
            assert_eq!(system_name(Path::new(folder)), name);
        }
        assert_eq!(
            (in_shell("a/b.c"), in_shell("a b"), in_shell("")),
            ("a/b.c".to_owned(), "'a b'".to_owned(), "''".to_owned())
        );
        assert_eq!(
            (dotted(Path::new("mine")), dotted(Path::new("a/b"))),
            ("./mine".to_owned(), "a/b".to_owned())
        );
    }
}
