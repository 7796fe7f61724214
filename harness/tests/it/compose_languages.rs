//! Clocks a day off, ahead and behind, in containers whose programs are in other languages: seen in what these print.
//!
//! Python is in an image that ships; Java is this machine's, which is bound into a container. Without Java that part is skipped, loudly;
//! with `DURESS_JAVA=1` it must run: `scripts/setup java` installs what it takes.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::compose::{both, docker, engine_or_skip};
use crate::host::{Bench, HostState, wait_for};

const DAY: i64 = 24 * 3600;

/// A container of a project by this name, which goes with the test.
struct Clock {
    name: String,
    bench: Bench,
}

impl Clock {
    fn start(language: &str, more: &[String], program: &[&str]) -> Clock {
        let name = format!("clock{}-{language}", std::process::id());
        let run = ["run", "--detach", "--init", "--name", &name];
        let labels = [
            format!("--label=com.docker.compose.project={name}"),
            "--label=com.docker.compose.service=n1".to_owned(),
        ];
        let arguments = run.into_iter().chain(labels.iter().map(String::as_str));
        let arguments = arguments
            .chain(more.iter().map(String::as_str))
            .chain(program.iter().copied());
        docker(&arguments.collect::<Vec<_>>());
        let bench = Bench::new("");
        let clock = Clock { name, bench };
        wait_for("a program that tells the time", Duration::from_secs(30), || {
            (clock.told().len() > 1).then_some(())
        });
        clock
    }

    /// Seconds since 1970, as its program has told them.
    fn told(&self) -> Vec<i64> {
        let lines = docker(&["logs", &self.name]);
        lines
            .lines()
            .filter_map(|line| line.trim().parse().ok())
            .collect()
    }

    /// `duress fault clock-jump`, to its end.
    fn jump(&self, by: &str) -> String {
        let mut command = self.bench.command("fault");
        let arguments = ["clock-jump", "--targets", "n1", "--for", "1s", "--on", &self.name];
        let output = command.args(arguments).arg(format!("--by={by}")).output();
        let output = output.expect("the binary starts");
        assert_eq!(output.status.code(), Some(0), "{}", both(&output));
        both(&output)
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        let _ = Command::new("docker")
            .args(["rm", "--force", &self.name])
            .stdout(Stdio::null())
            .status();
    }
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    now.as_secs() as i64
}

fn is_a_day_off_and_right_again(clock: &Clock) {
    let before = HostState::now();
    let began = now();
    for (by, seconds) in [("1d", DAY), ("-1d", -DAY)] {
        let said = clock.jump(by);
        assert!(
            said.contains(&format!("realtime is {seconds:+}.000000000 s off")),
            "{said}"
        );
    }
    let right_again = clock.told().len();
    wait_for("more of what it tells", Duration::from_secs(10), || {
        (clock.told().len() > right_again + 2).then_some(())
    });
    let (told, took) = (clock.told(), now() - began);
    let from = |offset: i64| {
        let within = |time: &&i64| (began + offset - 30..=began + offset + took + 1).contains(*time);
        told.iter().filter(within).count()
    };
    let (right, ahead, behind) = (from(0), from(DAY), from(-DAY));
    assert!(right > 3 && ahead > 3 && behind > 3, "{right} {ahead} {behind}");
    assert_eq!(right + ahead + behind, told.len(), "{told:?}");
    assert!(
        (began..=now() + 1).contains(told.last().expect("a time")),
        "{told:?}"
    );
    before.wait_until_back(&clock.bench, Duration::from_secs(10));
}

const PYTHON: &str = "import time\nwhile True: print(int(time.time()), flush=True); time.sleep(0.05)";

#[test]
fn python() {
    if engine_or_skip() {
        let image = [
            "--entrypoint".to_owned(),
            "python3".to_owned(),
            "duress/sqlite:3.40".to_owned(),
        ];
        is_a_day_off_and_right_again(&Clock::start("python", &image, &["-c", PYTHON]));
    }
}

const JAVA: &str = "class Told { public static void main(String[] none) throws Exception {
    while (true) { System.out.println(java.time.Instant.now().getEpochSecond()); Thread.sleep(50); } } }";

/// Where this machine's Java is, if it has one that compiles.
#[expect(
    clippy::print_stderr,
    reason = "whoever runs the tests has to see that some did not"
)]
fn java_or_skip() -> Option<String> {
    let found = Command::new("sh")
        .args(["-c", "readlink -f \"$(command -v javac)\""])
        .output();
    let path = String::from_utf8(found.expect("sh").stdout).expect("a path");
    let home = path.trim().strip_suffix("/bin/javac").map(str::to_owned);
    if home.is_none() {
        let missing = "there is no javac here; `scripts/setup java` installs one";
        assert!(
            std::env::var_os("DURESS_JAVA").is_none(),
            "this must run, but {missing}"
        );
        eprintln!("\n*** SKIPPED, no clock of Java was wrong: {missing} ***\n");
    }
    home
}

#[test]
fn java() {
    let (true, Some(home)) = (engine_or_skip(), java_or_skip()) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary directory");
    let source = folder.path().join("Told.java");
    std::fs::write(&source, JAVA).expect("a source");
    let built = Command::new(format!("{home}/bin/javac")).arg(&source).status();
    assert!(built.expect("javac").success());
    // What it links to, its settings, and the program.
    let library = "/lib/x86_64-linux-gnu/libz.so.1";
    let mut bound = vec![
        home.clone(),
        library.to_owned(),
        folder.path().display().to_string(),
    ];
    let settings = Path::new("/etc").join(format!(
        "java-{}",
        home.rsplit("java-")
            .next()
            .unwrap_or_default()
            .trim_end_matches("-amd64")
    ));
    bound.extend(settings.exists().then(|| settings.display().to_string()));
    let mut more: Vec<String> = bound
        .iter()
        .map(|path| format!("--volume={path}:{path}:ro"))
        .collect();
    more.push("debian:bookworm-slim".to_owned());
    let program = [&format!("{home}/bin/java"), "-Xmx64m", "-cp", &bound[2], "Told"];
    is_a_day_off_and_right_again(&Clock::start("java", &more, &program));
}
