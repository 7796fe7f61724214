//! `duress init` on compose files of different shape: what it proposes, that `duress run` accepts it, and what it refuses.
//!
//! They need the Compose tool and no engine: `DOCKER_HOST` leads nowhere, so a run whose spec is accepted ends where it would
//! deploy.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::compose::both;
use crate::host::{DURESS, STATE};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/init");
const NOWHERE: &str = "unix:///nowhere/docker.sock";

/// Whether there is a Compose tool. In CI there must be.
#[expect(
    clippy::print_stderr,
    reason = "whoever runs the tests has to see that some did not"
)]
fn compose_or_skip() -> bool {
    let works = |words: &[&str]| {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args(["version", "--short"]);
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    if works(&["docker", "compose"]) || works(&["docker-compose"]) {
        return true;
    }
    let missing = "there is no Compose tool; install docker-compose";
    assert!(
        std::env::var_os("CI").is_none(),
        "in CI this must run, but {missing}"
    );
    eprintln!("\n*** SKIPPED, nothing was tested: {missing} ***\n");
    false
}

/// A copy of a fixture, to be initialised.
struct Project(tempfile::TempDir);

impl Project {
    fn of(fixture: &str) -> Project {
        let dir = tempfile::tempdir().expect("a folder");
        let copied = Command::new("cp")
            .arg("--recursive")
            .arg(Path::new(FIXTURES).join(fixture).join("."))
            .arg(dir.path().join("project"))
            .status();
        assert!(copied.expect("cp").success());
        Project(dir)
    }

    fn path(&self, below: &str) -> PathBuf {
        self.0.path().join("project").join(below)
    }

    fn duress(&self, args: &[&str]) -> Output {
        Command::new(DURESS)
            .args(args)
            .current_dir(self.path(""))
            .env("DURESS_STATE", STATE)
            .env("DOCKER_HOST", NOWHERE)
            .stdin(Stdio::null())
            .output()
            .expect("the binary starts")
    }

    fn init(&self, more: &[&str]) -> Output {
        self.duress(&[&["init", "compose.yaml"], more].concat())
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path("duress").join(name)).expect("it was written")
    }

    /// The spec and the system, as read.
    fn written(&self) -> (Value, Value) {
        let read = |name: &str| {
            let table: toml::Table = self.text(name).parse().expect("TOML");
            serde_json::to_value(table).expect("JSON")
        };
        (read("spec.toml"), read("system.toml"))
    }

    /// Takes all guesses for true.
    fn confirm(&self) {
        let lines = self.text("system.toml");
        let confirmed = lines.lines().map(|line| match line.split_once("    # fill in:") {
            Some((value, _)) => format!("{value}\n"),
            None => format!("{line}\n"),
        });
        let confirmed: String = confirmed.collect();
        std::fs::write(self.path("duress/system.toml"), confirmed).expect("written");
    }

    fn run(&self) -> Output {
        self.duress(&["run", "duress/spec.toml", "--quiet"])
    }
}

/// Files of ten shapes, and the nodes and the data directory that are proposed for each.
const SHAPES: [(&str, &[&str], &str); 10] = [
    ("anchors", &["amber", "beryl", "coral"], "/var/lib/kv"),
    ("profiles", &["one", "three", "two"], ""),
    ("extends", &["db-a", "db-b", "db-c"], "/data"),
    ("env-files", &["kv1", "kv2", "kv3"], ""),
    ("networks", &["left", "middle", "right"], ""),
    ("anonymous", &["first", "second"], "/data"),
    ("published", &["kv-1", "kv-2", "kv-3"], ""),
    ("configs", &["east", "north", "west"], "/var/lib/kv"),
    ("scaled", &["kv-1", "kv-2", "kv-3"], ""),
    ("single", &["db"], "/var/lib/db"),
];

fn readiness_of(fixture: &str) -> &'static str {
    match fixture {
        "anchors" => r#"{"http":{"path":"/health","port":7100}}"#,
        "single" => r#"{"command":{"argv":["db-isready","--port","7100"]}}"#,
        _ => r#"{"tcp":{"port":7100}}"#,
    }
}

#[test]
fn what_is_proposed_for_ten_shapes_is_accepted_once_it_is_filled_in() {
    if !compose_or_skip() {
        return;
    }
    for (fixture, nodes, data) in SHAPES {
        let project = Project::of(fixture);
        let before = std::fs::read(project.path("compose.yaml")).expect("the fixture");
        let output = project.init(&[]);
        let said = both(&output);
        assert_eq!(output.status.code(), Some(0), "{fixture}: {said}");
        assert!(
            said.contains("not looked at: talk to the container engine"),
            "{said}"
        );
        let after = std::fs::read(project.path("compose.yaml")).expect("the fixture");
        assert!(before == after, "{fixture}: the compose file was touched");

        let (spec, system) = project.written();
        assert_eq!(spec["cluster"]["compose"]["nodes"], serde_json::json!(nodes));
        assert_eq!(system["port"], 7100, "{fixture}");
        assert_eq!(
            system["readiness"].to_string(),
            readiness_of(fixture),
            "{fixture}"
        );
        assert_eq!(
            system["compose"]["data"].as_str().unwrap_or_default(),
            data,
            "{fixture}"
        );

        // As it is, it passes every check but that of what only the user can know.
        let output = project.run();
        let said = both(&output);
        assert_eq!(output.status.code(), Some(64), "{fixture}: {said}");
        for shown in [
            "duress/spec.toml passes every check, but 13 lines are guesses",
            "duress/system.toml: line ",
            "| path = \"/kv/{key}\"    # fill in: the path of a key",
            "| ^^^^^^^^^^^^^^^^^^\nfill in: the path of a key",
        ] {
            assert!(said.contains(shown), "{fixture}: no {shown:?} in\n{said}");
        }
        assert!(!project.path("results").exists(), "a run was begun");

        project.confirm();
        let output = project.run();
        let said = both(&output);
        assert_eq!(output.status.code(), Some(3), "{fixture}: {said}");
        assert!(
            said.contains("talk to the container engine at unix:///nowhere"),
            "{fixture}: {said}"
        );
    }
}

#[test]
fn what_is_special_about_a_shape_is_in_its_spec() {
    if !compose_or_skip() {
        return;
    }
    let spec_of = |fixture: &str| {
        let project = Project::of(fixture);
        let said = both(&project.init(&["--yes"]));
        (project.written().0, said)
    };
    let (profiles, said) = spec_of("profiles");
    assert_eq!(
        profiles["cluster"]["compose"]["variables"]["COMPOSE_PROFILES"],
        "cluster"
    );
    assert!(
        said.contains("\n  COMPOSE_PROFILES=cluster duress try ./duress"),
        "{said}"
    );
    let (networks, said) = spec_of("networks");
    assert_eq!(networks["cluster"]["compose"]["network"], "clients");
    assert!(said.contains("console: left in peace"), "{said}");
    let kinds = |spec: &Value| {
        let mix = spec["faults"]["mix"].as_array().expect("a list").clone();
        let kind = |fault: &Value| format!("{} {}", fault["kind"], fault["shape"]);
        mix.iter().map(kind).collect::<Vec<_>>().join(", ")
    };
    assert!(
        kinds(&spec_of("single").0).starts_with("\"kill\""),
        "one node can't be cut off"
    );
    assert!(
        kinds(&spec_of("anonymous").0).starts_with("\"partition\" \"one\""),
        "two nodes"
    );
}

#[test]
fn a_scaled_service_is_one_node_for_each_replica() {
    if !compose_or_skip() {
        return;
    }
    let project = Project::of("scaled");
    let output = project.init(&["--nodes", "kv"]);
    let said = both(&output);
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert!(
        said.contains("no service \"kv\"; there are kv-1, kv-2, kv-3, proxy"),
        "{said}"
    );
    assert!(!project.path("duress").exists(), "something was written");
    let output = project.init(&["--nodes", "kv-1,kv-4"]);
    let said = both(&output);
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert!(
        said.contains("\"kv-4\"; there are kv-1, kv-2, kv-3, proxy"),
        "{said}"
    );
    let output = project.init(&["--nodes", "kv-3,kv-1"]);
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
}

#[test]
fn a_store_without_compare_and_set_is_accepted_with_a_word_in_the_spec() {
    if !compose_or_skip() {
        return;
    }
    let project = Project::of("anonymous");
    assert_eq!(project.init(&[]).status.code(), Some(0));
    project.confirm();
    let system = project.text("system.toml");
    let (without, _) = system.split_once("[http.cas]").expect("the block");
    std::fs::write(project.path("duress/system.toml"), without).expect("written");
    let output = project.run();
    let said = both(&output);
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert!(said.contains("it knows no cas of a key"), "{said}");
    let spec = project.text("spec.toml").replace("# cas = 0 ", "cas = 0 ");
    std::fs::write(project.path("duress/spec.toml"), spec).expect("written");
    let output = project.run();
    assert_eq!(output.status.code(), Some(3), "{}", both(&output));
}

#[test]
fn nothing_is_overwritten() {
    if !compose_or_skip() {
        return;
    }
    let project = Project::of("anonymous");
    std::fs::create_dir(project.path("duress")).expect("a folder");
    std::fs::write(project.path("duress/spec.toml"), "mine").expect("a file");
    let output = project.init(&["--yes"]);
    let said = both(&output);
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert!(
        said.contains("duress/spec.toml exists already") && said.contains("--out"),
        "{said}"
    );
    assert_eq!(project.text("spec.toml"), "mine");
    assert!(!project.path("duress/system.toml").exists());
    let output = project.init(&["--yes", "--out", "a/b", "--port", "9"]);
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    let spec = std::fs::read_to_string(project.path("a/b/spec.toml")).expect("it was written");
    assert!(spec.contains("file = \"../../compose.yaml\""), "{spec}");
    let system = std::fs::read_to_string(project.path("a/b/system.toml")).expect("it was written");
    assert!(system.contains("\nport = 9    # as you said"), "{system}");
}

#[test]
fn what_is_wrong_with_the_file_or_the_command_line_is_said() {
    if !compose_or_skip() {
        return;
    }
    let project = Project::of("anonymous");
    for (text, args, says) in [
        (None, &["missing.yaml"][..], "read missing.yaml: No such file"),
        (
            None,
            &["compose.yaml", "--nodes", "first,third"],
            "no service \"third\"; there are first, second",
        ),
        (None, &["compose.yaml", "--port", "0"], "1..=65535"),
        (
            Some("services: ["),
            &["compose.yaml"],
            "read the compose file compose.yaml",
        ),
        (Some("services: {a: {imagine: b}}"), &["compose.yaml"], "imagine"),
        (
            Some("version: '3'\nservices: {a: {image: a}, b: {image: b}}"),
            &["compose.yaml"],
            "no two services are made of the same image",
        ),
        (
            Some("version: '3'\nservices: {a: {image: a, network_mode: host}}"),
            &["compose.yaml"],
            "network_mode: host",
        ),
        (
            Some("version: '3'\nservices: {a: {image: \"a:${TAG:?is not set}\"}}"),
            &["compose.yaml"],
            "is not set",
        ),
    ] {
        if let Some(text) = text {
            std::fs::write(project.path("compose.yaml"), text).expect("written");
        }
        let output = project.duress(&[&["init"], args].concat());
        let said = both(&output);
        assert_eq!(output.status.code(), Some(64), "{args:?}: {said}");
        assert!(said.contains(says), "{args:?}: no {says:?} in\n{said}");
        assert!(!project.path("duress").exists(), "something was written");
    }
}

/// On a terminal it asks, and asks again where an answer makes no sense.
#[test]
fn a_terminal_is_asked() {
    if !compose_or_skip() {
        return;
    }
    let project = Project::of("networks");
    let command = format!("{DURESS} init compose.yaml");
    let mut child = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .current_dir(project.path(""))
        .env("DOCKER_HOST", NOWHERE)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script, of util-linux");
    let mut input = child.stdin.take().expect("a pipe");
    let answers = "nobody\nright, left\nhigh\n7200\ndata\n/state\n";
    std::io::Write::write_all(&mut input, answers.as_bytes()).expect("a terminal");
    let output = child.wait_with_output().expect("an end");
    drop(input);
    let said = both(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for shown in [
        "which of them are nodes? [left,middle,right]",
        "there is no service \"nobody\"; there are console, left, middle, right",
        "clients connect? [7100]",
        "use 1 to 65535",
        "write the whole path",
    ] {
        assert!(said.contains(shown), "no {shown:?} in\n{said}");
    }
    let (spec, system) = project.written();
    assert_eq!(
        spec["cluster"]["compose"]["nodes"],
        serde_json::json!(["right", "left"])
    );
    assert_eq!(
        (&system["port"], &system["compose"]["data"]),
        (&Value::from(7200), &Value::from("/state"))
    );
    assert_eq!(system["readiness"]["tcp"]["port"], 7200);
}
