//! The Compose tool: `docker compose` (version 2) or `docker-compose` (1.29 or 2), whichever is there.
//!
//! It is used where only it knows what the user's file means: to resolve the file (`config`), to bring the project up,
//! to replace one service, to pull. Everything else goes to the engine directly. A call looks like
//!
//! ```text
//! docker-compose --ansi never --project-name duress-a1 --project-directory /home/u/db
//!                --file /home/u/db/compose.yaml --file /runs/1/compose.override.yaml up --detach
//! ```
//!
//! All arguments used are common to both generations; where they differ is in what they make of an override file
//! (see [`super::entries`]).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::ClusterError;

/// How a tool merges an override file into the user's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// 1.29: an entry of `networks`, `volumes` or a service's `networks` replaces the one below it.
    V1,
    /// 2.x: entries are merged deeply, lists are joined.
    V2,
}

/// A Compose tool that was found to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tool {
    /// Program and the arguments that come before all others.
    command: &'static [&'static str],
    /// How it merges.
    pub generation: Generation,
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let generation = match self.generation {
            Generation::V1 => "1",
            Generation::V2 => "2",
        };
        write!(f, "`{}`, version {generation}", self.command.join(" "))
    }
}

/// Bringing a project up may mean building its images, or pulling them.
pub const UP_TIME_MAX: Duration = Duration::from_secs(600);

/// The ways to call Compose, the better one first.
const COMMANDS: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];

/// One project as a tool is told about it.
#[derive(Clone, Debug)]
pub struct Project {
    /// Unique name; containers, networks and volumes get it as prefix and label.
    pub name: String,
    /// The user's file.
    pub file: PathBuf,
    /// The file that Duress generates. `None` while the user's file is looked at alone.
    pub additions: Option<PathBuf>,
    /// Variables for the `${…}` of the user's file.
    pub variables: BTreeMap<String, String>,
    /// A socket here that leads to the engine.
    pub socket: PathBuf,
}

impl Project {
    /// The folder that relative paths in the user's file start from.
    pub fn directory(&self) -> &Path {
        match self.file.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        }
    }
}

impl Tool {
    /// The first tool that says its version.
    pub async fn find() -> Result<Self, ClusterError> {
        for command in COMMANDS {
            let output = Command::new(command[0])
                .args(&command[1..])
                .args(["version", "--short"])
                .output()
                .await;
            let Ok(output) = output else { continue };
            if let Some(generation) = generation(&String::from_utf8_lossy(&output.stdout)) {
                return Ok(Tool { command, generation });
            }
        }
        Err(ClusterError::Unsupported {
            what: "run Docker Compose".to_owned(),
            why: "neither `docker compose` nor `docker-compose` works here; install one of the packages \
                  docker-compose-plugin and docker-compose"
                .to_owned(),
        })
    }

    /// Program and arguments of a call.
    pub fn arguments(&self, project: &Project, call: &[&str]) -> Vec<OsString> {
        let mut words: Vec<OsString> = self.command.iter().map(OsString::from).collect();
        words.extend(["--ansi", "never", "--project-name"].map(OsString::from));
        words.push(project.name.clone().into());
        words.push("--project-directory".into());
        words.push(project.directory().into());
        for file in [Some(&project.file), project.additions.as_ref()]
            .into_iter()
            .flatten()
        {
            words.push("--file".into());
            words.push(file.into());
        }
        words.extend(call.iter().map(OsString::from));
        words
    }

    /// Runs a call and gives what it wrote to its standard output.
    pub async fn run(
        &self,
        project: &Project,
        call: &[&str],
        limit: Duration,
    ) -> Result<String, ClusterError> {
        let what = format!("run `{} {}`", self.command.join(" "), call.join(" "));
        run_words(project, &self.arguments(project, call), &what, limit).await
    }
}

/// Runs a command that is told of a project's engine and its variables, and gives what it wrote to its standard output.
pub async fn run(project: &Project, command: &[&str], limit: Duration) -> Result<String, ClusterError> {
    let words: Vec<OsString> = command.iter().map(OsString::from).collect();
    // Its words after these are files and names.
    let what = format!("run `{}`", command[..command.len().min(3)].join(" "));
    run_words(project, &words, &what, limit).await
}

async fn run_words(
    project: &Project,
    words: &[OsString],
    what: &str,
    limit: Duration,
) -> Result<String, ClusterError> {
    let failed = |source| ClusterError::Io {
        what: format!("{what} on {}", project.file.display()),
        source,
    };
    let mut command = Command::new(&words[0]);
    command
        .args(&words[1..])
        .envs(&project.variables)
        .env("DOCKER_HOST", format!("unix://{}", project.socket.display()))
        // What is said of another engine, or of the way to this one, which the socket is the end of.
        .env_remove("DOCKER_CONTEXT")
        .env_remove("DOCKER_TLS")
        .env_remove("DOCKER_TLS_VERIFY")
        .env_remove("DOCKER_CERT_PATH")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Out of reach of a terminal's Ctrl-C, which is for the controller alone, and to be ended as a whole.
        .process_group(0)
        .kill_on_drop(true);
    // A tool that outlives a killed controller would go on making containers after `heal` looked for them.
    // SAFETY: between fork and exec only prctl(2) is called, which is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL).map_err(io::Error::from)
        });
    }
    let child = command.spawn().map_err(failed)?;
    let mut group = Group(child.id());
    let output = match tokio::time::timeout(limit, child.wait_with_output()).await {
        Ok(output) => {
            group.0 = None;
            output.map_err(failed)?
        }
        Err(_) => {
            let said = format!("not done after {} s", limit.as_secs());
            return Err(failed(io::Error::new(io::ErrorKind::TimedOut, said)));
        }
    };
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(failed(io::Error::other(complaint(&String::from_utf8_lossy(
        &output.stderr,
    )))))
}

/// A call and all that it started: `docker compose` is a plugin that outlives `docker`, and would go on making containers.
/// Dropped before the call has ended, it ends it.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0.and_then(|pid| i32::try_from(pid).ok()) {
            // Gone already is as good.
            let _ = nix::sys::signal::killpg(
                nix::unistd::Pid::from_raw(leader),
                nix::sys::signal::Signal::SIGKILL,
            );
        }
    }
}

/// The generation from what `version --short` prints, e.g. `1.29.2` or `v2.27.0`.
fn generation(version: &str) -> Option<Generation> {
    let (major, _) = version.trim().trim_start_matches('v').split_once('.')?;
    match major.parse::<u32>().ok()? {
        1 => Some(Generation::V1),
        2.. => Some(Generation::V2),
        0 => None,
    }
}

/// The end of what a failed call wrote: errors come last, after a line for each thing that went well.
fn complaint(stderr: &str) -> String {
    const LINES_MAX: usize = 8;
    // A part of what engines said of images until version 24.
    if stderr.contains("KeyError: 'ContainerConfig'") {
        return "docker-compose 1.29 can't recreate containers on engines from version 25 on; install Compose 2, \
                package docker-compose-plugin"
            .to_owned();
    }
    let lines: Vec<&str> = stderr
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    lines[lines.len().saturating_sub(LINES_MAX)..].join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(additions: Option<&str>) -> Project {
        Project {
            name: "duress-a1".to_owned(),
            file: "/home/u/db/compose.yaml".into(),
            additions: additions.map(PathBuf::from),
            variables: BTreeMap::new(),
            socket: "/var/run/docker.sock".into(),
        }
    }

    fn line(command: &'static [&'static str], project: &Project, call: &[&str]) -> String {
        let tool = Tool {
            command,
            generation: Generation::V1,
        };
        let words = tool.arguments(project, call);
        words
            .iter()
            .map(|word| word.to_str().expect("ASCII"))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn both_tools_get_the_same_arguments() {
        let with_additions = project(Some("/runs/1/compose.override.yaml"));
        let rest = "--ansi never --project-name duress-a1 --project-directory /home/u/db --file \
                    /home/u/db/compose.yaml --file /runs/1/compose.override.yaml up --detach";
        for command in COMMANDS {
            assert_eq!(
                line(command, &with_additions, &["up", "--detach"]),
                format!("{} {rest}", command.join(" "))
            );
        }
        assert!(!line(COMMANDS[1], &project(None), &["config"]).contains("override"));
    }

    #[test]
    fn the_generation_is_the_major_version() {
        assert_eq!(generation("1.29.2\n"), Some(Generation::V1));
        assert_eq!(generation("v2.27.0-desktop.2\n"), Some(Generation::V2));
        assert_eq!(generation("5.0.1"), Some(Generation::V2));
        assert_eq!(generation("docker: unknown command"), None);
    }

    #[test]
    fn a_complaint_is_the_end_of_what_was_written_or_says_what_to_install() {
        let written = (1..=10)
            .map(|line| format!("  line {line}\n\n"))
            .collect::<String>();
        let end = "line 3; line 4; line 5; line 6; line 7; line 8; line 9; line 10";
        assert_eq!(complaint(&written), end);
        let traceback = "Traceback (most recent call last):\n    container.image_config['ContainerConfig'].get('Volumes') or \
                         {}\nKeyError: 'ContainerConfig'\n";
        assert!(complaint(traceback).contains("install Compose 2"));
    }

    #[test]
    fn a_file_without_folder_lives_in_the_working_directory() {
        let mut bare = project(None);
        bare.file = "compose.yaml".into();
        assert_eq!(bare.directory(), Path::new("."));
    }
}
