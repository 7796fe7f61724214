//! Two container engines as on two machines, made by `scripts/two-engines`, and commands that are run beside them.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::host::{DURESS, STATE};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/two-engines");
/// The script's exit code where there can't be such engines.
const UNAVAILABLE: i32 = 69;

/// Engines that vanish when this is dropped.
pub struct Rig {
    script: Child,
    /// The end of its input ends it, and with it all that it started.
    input: Option<ChildStdin>,
    dir: tempfile::TempDir,
    /// A process beside the engines.
    inside: String,
}

impl Rig {
    /// Both engines with the image of the specimen. `None`: they can't be had here.
    #[allow(clippy::print_stderr)] // what was not tested must be said
    pub fn new() -> Option<Rig> {
        let skip = |why: &str| {
            assert!(
                std::env::var_os("CI").is_none(),
                "the tests of several engines must run in CI, but {why}"
            );
            eprintln!("\n*** SKIPPED, nothing was tested: {why} ***\n");
            None
        };
        let image = Command::new("docker")
            .args(["image", "inspect", "duress/specimen:0.1.0"])
            .output();
        if !image.is_ok_and(|output| output.status.success()) {
            return skip("there is no engine, or no image of the specimen; run `make images`");
        }
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut script = Command::new(SCRIPT)
            .args(["--load", "duress/specimen:0.1.0"])
            .arg(dir.path())
            .args(["sh", "-c", "echo; read -r _"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the script starts");
        let mut line = String::new();
        let said = script.stdout.take().expect("its output");
        BufReader::new(said).read_line(&mut line).expect("a line");
        if line.is_empty() {
            let status = script.wait().expect("it ends");
            assert_eq!(status.code(), Some(UNAVAILABLE), "the engines did not come up");
            return skip("this machine can't have these engines, see above");
        }
        // The script's child made the namespaces; only its own child is in all of them.
        let inside = child_of(&child_of(&script.id().to_string()));
        let small = dir.path().join("duress");
        let stripped = Command::new("strip").arg("-o").arg(small).arg(DURESS).status();
        assert!(stripped.expect("strip, of binutils").success());
        Some(Rig {
            input: script.stdin.take(),
            script,
            dir,
            inside,
        })
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The directory of the newest run.
    pub fn latest(&self) -> std::path::PathBuf {
        self.dir().join("out/runs/latest").canonicalize().expect("a run")
    }

    /// A program beside the engines, not started yet. No engine is where one usually is.
    fn beside(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        let inside = ["net", "mount", "pid"].map(|kind| format!("--{kind}"));
        command
            .args(["--target", &self.inside])
            .args(inside)
            .arg(format!("--wd={}", self.dir().display()))
            .arg(program);
        command
            .stdin(Stdio::null())
            .env("DURESS_STATE", STATE)
            .env("HOME", self.dir())
            .env_remove("SSH_AUTH_SOCK")
            .env_remove("DOCKER_HOST");
        command
    }

    /// `duress` there.
    pub fn duress(&self, args: &[&str]) -> Command {
        let mut command = self.beside(&self.dir().join("duress"));
        command.args(args);
        command
    }

    /// `duress run` of this spec there.
    pub fn run(&self, spec: &str) -> Command {
        std::fs::write(self.dir().join("spec.toml"), spec).expect("a spec");
        self.duress(&["run", "spec.toml", "--seed", "1", "--out", "out"])
    }

    /// What `docker` prints of an engine, `old` or `new`.
    pub fn docker(&self, engine: &str, args: &[&str]) -> String {
        let host = format!("unix://{}/{engine}.sock", self.dir().display());
        let output = Command::new("docker")
            .args(["-H", &host])
            .args(args)
            .output()
            .expect("docker is there");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// What Duress has on an engine now: containers, networks, volumes.
    pub fn left(&self, engine: &str) -> String {
        let of = |kind: &str, all: &[&str]| {
            let args = [&[kind, "ls", "--quiet", "--filter", "label=duress.run"], all].concat();
            self.docker(engine, &args)
        };
        format!(
            "{}{}{}",
            of("container", &["--all"]),
            of("network", &[]),
            of("volume", &[])
        )
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.script.wait();
    }
}

/// The only child of a process.
fn child_of(pid: &str) -> String {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    children.expect("a process with a child").trim().to_owned()
}

/// Kills a program beside the engines: the child of what went there to start it.
pub fn kill_inside(outside: &mut Child) {
    let pid = child_of(&outside.id().to_string()).parse().expect("a number");
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it dies");
    outside.wait().expect("so does what waited for it");
}
