//! Kills controllers and looks for what they leave.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use duress_cluster::Cluster as _;

use crate::support::{
    Namespace, Test, deploy, eventually, isolated, namespaces, processes, processes_in, shells,
};

/// In the environment of a controller and of all that it starts.
const MARK: &str = "DURESS_TEST_CONTROLLER";

pub fn tests() -> Vec<Test> {
    vec![
        (
            "killing_the_controller_leaves_nothing",
            killing_the_controller_leaves_nothing,
        ),
        (
            "killing_the_controller_at_any_moment_leaves_nothing",
            killing_the_controller_at_any_moment_leaves_nothing,
        ),
    ]
}

/// Deploys, says who it and the nodes' inits are, and waits.
pub fn main(args: &[OsString]) -> ExitCode {
    isolated(async |isolation| {
        let cluster = deploy(
            isolation,
            shells(5, "setsid sleep 1000 & wait"),
            Path::new(&args[0]),
        )
        .await;
        let mut known = vec![std::process::id().to_string()];
        for node in cluster.nodes() {
            cluster.start(&node.name).await.unwrap();
            known.push(cluster.place(&node.name).await.unwrap().pid.to_string());
        }
        #[expect(clippy::print_stdout, reason = "the test reads it")]
        {
            println!("{}", known.join(" "));
        }
        std::future::pending().await
    })
}

/// Is killed at the latest when the test fails.
struct Controller(Child);

impl Controller {
    fn start(dir: &Path, mark: &str) -> Controller {
        let mut command = Command::new("/proc/self/exe");
        Controller(
            command
                .arg("controller")
                .arg(dir)
                .env(MARK, mark)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap(),
        )
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Processes that a controller with this mark started, and itself.
fn marked(mark: &str) -> Vec<u32> {
    let wanted = format!("{MARK}={mark}");
    let has_it = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment
            .split(|&byte| byte == 0)
            .any(|variable| variable == wanted.as_bytes())
    };
    processes().into_iter().filter(has_it).collect()
}

fn killing_the_controller_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mark = format!("{}-once", std::process::id());
    let mut controller = Controller::start(dir.path(), &mark);
    let mut line = String::new();
    BufReader::new(controller.0.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let pids = line.split_whitespace().map(|pid| pid.parse().unwrap());
    let own: Vec<Namespace> = pids.flat_map(namespaces).collect();
    assert_eq!(
        own.len(),
        2 + 5 * 4,
        "the controller has the PID and the UTS namespace of this test"
    );
    // The controller, and for each node: the outer process, the init, a shell, and what the shell started.
    eventually("all processes run", || processes_in(&own).len() == 1 + 5 * 4);
    assert_eq!(marked(&mark).len(), 1 + 5 * 4, "the mark finds them too");

    controller.kill();
    // With its last process a namespace ends, and with it its mounts, interfaces and firewall rules.
    eventually("no process is left in any of the namespaces", || {
        processes_in(&own).is_empty()
    });
    eventually("no process with the mark is left", || marked(&mark).is_empty());
}

fn killing_the_controller_at_any_moment_leaves_nothing() {
    for step in 0..25 {
        let dir = tempfile::tempdir().unwrap();
        let mark = format!("{}-{step}", std::process::id());
        let mut controller = Controller::start(dir.path(), &mark);
        // Any moment will do: this is no wait for something, but where the axe falls.
        std::thread::sleep(Duration::from_millis(step * 4));
        controller.kill();
        eventually("no process with the mark is left", || marked(&mark).is_empty());
    }
}
