//! `duress fault` on containers that somebody else started.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::compose::{both, docker, engine_or_skip};
use crate::host::{Bench, duress, wait_for};

const IMAGE: &str = "duress/etcd:3.5.1";
const NODES: [&str; 3] = ["n1", "n2", "n3"];

/// An etcd of three, made as Compose would make it, with a rule of somebody's own in each packet filter. It goes with the test.
struct Project {
    name: String,
    bench: Bench,
}

impl Project {
    fn start() -> Project {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let project = Project {
            name: format!("strange{}-{number}", std::process::id()),
            bench: Bench::new(""),
        };
        let name = &project.name;
        docker(&["network", "create", name]);
        let members = NODES.map(|node| format!("{node}=http://{node}:2380")).join(",");
        for node in NODES {
            let project_label = format!("--label=com.docker.compose.project={name}");
            let service_label = format!("--label=com.docker.compose.service={node}");
            let container = project.container(node);
            let own = format!("--initial-advertise-peer-urls=http://{node}:2380");
            let clients = format!("--advertise-client-urls=http://{node}:2379");
            let cluster = format!("--initial-cluster={members}");
            let named = format!("--name={node}");
            let run = [
                "run",
                "--detach",
                &project_label,
                &service_label,
                "--name",
                &container,
            ];
            let run = [
                &run[..],
                &["--network", name, "--network-alias", node, IMAGE, &named],
            ]
            .concat();
            let listen = [
                "--listen-peer-urls=http://0.0.0.0:2380",
                "--listen-client-urls=http://0.0.0.0:2379",
            ];
            docker(&[&run[..], &[&own, &clients, &cluster], &listen].concat());
            let foreign = ["iptables", "-A", "INPUT", "-s", "192.0.2.1", "-j", "DROP"];
            assert!(project.inside(node, &foreign).status.success());
        }
        wait_for("members that answer", Duration::from_secs(30), || {
            NODES.iter().all(|node| project.answers(node)).then_some(())
        });
        project
    }

    fn container(&self, node: &str) -> String {
        format!("{}-{node}", self.name)
    }

    fn inspect(&self, node: &str, what: &str) -> String {
        docker(&["inspect", "--format", what, &self.container(node)])
    }

    /// A command in a node's network.
    fn inside(&self, node: &str, command: &[&str]) -> Output {
        let pid = self.inspect(node, "{{.State.Pid}}");
        let mut nsenter = Command::new("nsenter");
        nsenter.args(["--target", &pid, "--net"]).args(command);
        nsenter.output().expect("nsenter")
    }

    /// Whether a node's peers' port takes connections from another node's network, or from its own.
    fn hears(&self, node: &str, from: &str) -> bool {
        let address = self.inspect(node, "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}");
        let connect = format!("exec 3<>/dev/tcp/{address}/2380");
        self.inside(from, &["timeout", "1", "bash", "-c", &connect])
            .status
            .success()
    }

    fn answers(&self, node: &str) -> bool {
        self.hears(node, node)
    }

    /// What a fault must leave as it was: the packet filters, and which containers there are.
    fn state(&self) -> Vec<String> {
        let of = |node: &&str| {
            let saved = self.inside(node, &["iptables-save"]);
            let rules = String::from_utf8_lossy(&saved.stdout).into_owned();
            // Rules, and chains without their counters. The kernel's own chains appear when somebody first looks at a table.
            let rules = rules.lines().map(|line| line.split(" [").next().unwrap_or(line));
            let rules: Vec<&str> = rules
                .filter(|line| line.starts_with("-A") || line.ends_with(" -"))
                .collect();
            format!("{} {}", self.inspect(node, "{{.Id}}"), rules.join("\n"))
        };
        NODES.iter().map(of).collect()
    }

    /// `duress fault` on this project, not started yet.
    fn fault(&self, arguments: &str) -> Command {
        let mut command = self.bench.command("fault");
        command
            .args(["--on", &self.name])
            .args(arguments.split_whitespace());
        command
    }

    /// Starts it, and returns when the fault is in force.
    fn in_force(&self, arguments: &str) -> Child {
        let child = self
            .fault(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child = child.expect("the binary starts");
        wait_for("fault in force", Duration::from_secs(30), || {
            assert_eq!(child.try_wait().expect("a child"), None, "it ended before");
            self.history().contains("\"verify\"").then_some(())
        });
        child
    }

    fn folder(&self) -> Option<PathBuf> {
        let out = self.bench.spec().with_file_name("ad-hoc");
        out.join("runs/latest").canonicalize().ok()
    }

    fn history(&self) -> String {
        let folder = self.folder().unwrap_or_default();
        std::fs::read_to_string(folder.join("history.jsonl")).unwrap_or_default()
    }

    fn rules_of_duress(&self) -> usize {
        self.state()
            .iter()
            .filter(|state| state.contains("DURESS"))
            .count()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        for node in NODES {
            docker(&["rm", "--force", "--volumes", &self.container(node)]);
        }
        docker(&["network", "rm", &self.name]);
    }
}

#[test]
fn each_fault_is_one_command_and_leaves_the_project_as_it_was() {
    if !engine_or_skip() {
        return;
    }
    let project = Project::start();
    let before = project.state();
    for (arguments, measured) in [
        (
            "partition --shape one --targets n1",
            "4 of 4 directed links are still cut",
        ),
        ("pause --targets n2", "all 1 processes are stopped"),
        (
            "packets --delay 100ms --targets n3 --agent container",
            "(asked 100.0 ms)",
        ),
        (
            "half-open --targets n3 --agent container",
            "connections are half-open",
        ),
        ("tcp-reset --targets n1", "connections are gone at both ends"),
        (
            "clock-jump --by 1d --targets n1",
            "realtime is +86400.000000000 s off",
        ),
    ] {
        let output = project
            .fault(&format!("{arguments} --for 2s"))
            .output()
            .expect("the binary starts");
        let said = both(&output);
        assert_eq!(output.status.code(), Some(0), "{arguments}: {said}");
        let line = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(line.lines().count(), 1, "{line}");
        for part in ["confirmed", measured, "healed after", "proven"] {
            assert!(line.contains(part), "{arguments}: no {part} in {line}");
        }
        assert_eq!(project.state(), before, "{arguments}");
    }
    let dry = project
        .fault("partition --shape one --targets n1 --dry-run")
        .output()
        .expect("the binary starts");
    assert!(
        both(&dry).contains("iptables --insert INPUT --source"),
        "{}",
        both(&dry)
    );
    assert_eq!(project.state(), before);
    // A killed container is started again: the same one, with a packet filter that nobody has changed yet.
    let killed = project
        .fault("kill --targets n3 --for 1s --json")
        .output()
        .expect("the binary starts");
    assert_eq!(killed.status.code(), Some(0), "{}", both(&killed));
    let told: Value = serde_json::from_slice(&killed.stdout).expect("JSON");
    assert_eq!(
        (&told[0]["fate"], &told[0]["healed"]),
        (&"confirmed".into(), &true.into())
    );
    assert_eq!(project.state()[..2], before[..2]);
}

#[test]
fn a_partition_is_seen_from_a_node_and_ends_at_ctrl_c() {
    if !engine_or_skip() {
        return;
    }
    let project = Project::start();
    let before = project.state();
    assert!(project.hears("n1", "n2") && project.hears("n2", "n3"));
    let child = project.in_force("partition --shape one --targets n1 --for 60s");
    assert!(!project.hears("n1", "n2") && project.hears("n2", "n3"));
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).expect("SIGINT");
    let output = child.wait_with_output().expect("an end");
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    assert!(both(&output).contains("confirmed"), "{}", both(&output));
    assert!(project.hears("n1", "n2"));
    assert_eq!(project.state(), before);
}

#[test]
fn what_is_killed_in_the_middle_is_healed_by_the_agent_or_by_heal() {
    if !engine_or_skip() {
        return;
    }
    let project = Project::start();
    let before = project.state();
    let mut child = project.in_force("partition --shape one --targets n1 --for 60s");
    child.kill().expect("SIGKILL");
    child.wait().expect("a dead child");
    wait_for("healing by the agent", Duration::from_secs(10), || {
        (project.state() == before).then_some(())
    });

    std::fs::remove_dir_all(project.folder().expect("a folder")).expect("removed");
    let mut child = project.in_force("partition --shape one --targets n1 --for 60s");
    let journal = project.folder().expect("a folder").join("nemesis-journal.jsonl");
    let journal = std::fs::read_to_string(journal).expect("a journal");
    let first: Value = serde_json::from_str(journal.lines().next().expect("a line")).expect("JSON");
    let agent = i32::try_from(first["agent"].as_i64().expect("a process")).expect("a process");
    kill(Pid::from_raw(agent), Signal::SIGKILL).expect("SIGKILL");
    child.kill().expect("SIGKILL");
    child.wait().expect("a dead child");
    assert_eq!(project.rules_of_duress(), 3, "nobody was to heal it");
    let out = project.bench.spec().parent().expect("a folder").to_owned();
    let healed = duress(["heal".as_ref(), "--out".as_ref(), out.as_os_str()]);
    assert_eq!(healed.status.code(), Some(0), "{}", both(&healed));
    assert!(both(&healed).contains("removed the rules"), "{}", both(&healed));
    assert_eq!(project.state(), before);
}

#[test]
fn a_plan_is_a_file_and_a_probe_that_fails_ends_it() {
    if !engine_or_skip() {
        return;
    }
    let project = Project::start();
    let before = project.state();
    let plan = project.bench.spec().with_file_name("plan.toml");
    let text = "for = \"20s\"\n[[faults.at]]\nat = \"0s\"\nkind = \"pause\"\ntargets = [\"n1\"]\nlength = \"1s\"\n\
                [[faults.at]]\nat = \"2s\"\nkind = \"partition\"\nshape = \"one\"\ntargets = [\"n2\"]\nlength = \"15s\"\n";
    std::fs::write(&plan, text).expect("a plan");
    let mut command = project.fault("--abort-after 1s");
    // It fails once the first fault is over.
    let history = project
        .bench
        .spec()
        .with_file_name("ad-hoc")
        .join("runs/latest/history.jsonl");
    let probe = format!("! grep -q partition {}", history.display());
    command.arg("--plan").arg(&plan).arg("--abort-when").arg(&probe);
    let output = command.output().expect("the binary starts");
    let said = both(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("healed before its time: `! grep"), "{said}");
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(lines.matches(": confirmed: ").count(), 2, "{lines}");
    assert_eq!(project.state(), before);
}

#[test]
fn what_can_not_be_broken_is_refused_and_nothing_is_touched() {
    if !engine_or_skip() {
        return;
    }
    let project = Project::start();
    let before = project.state();
    for (arguments, why) in [
        ("pause --targets leader", "name the nodes"),
        ("pause --targets n9", "no node \"n9\"; there are n1, n2, n3"),
        ("pause --nodes n1,n9", "no node \"n9\"; there are n1, n2, n3"),
        ("pause --network nowhere", "no node is on it; there are"),
        ("pause --shape one", "pause has no --shape"),
        ("earthquake", "unknown kind of fault `earthquake`"),
        ("partition --shape one --nodes n1", "needs 2 nodes; there are 1"),
        ("--plan /nowhere", "/nowhere"),
    ] {
        let output = project.fault(arguments).output().expect("the binary starts");
        let said = both(&output);
        assert_eq!(output.status.code(), Some(64), "{arguments}: {said}");
        assert!(said.contains(why), "{arguments}: {said}");
    }
    let mut command = project.bench.command("fault");
    let output = command
        .args(["pause", "--on", "nobodys-project"])
        .output()
        .expect("the binary starts");
    assert_eq!(output.status.code(), Some(64), "{}", both(&output));
    assert!(both(&output).contains("no compose project and no container of that name"));
    assert_eq!(project.folder(), None, "nothing was begun");
    assert_eq!(project.state(), before);
}
