//! Waits for nodes, asks them for their status, and runs commands in them.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::ExitCode;
use std::time::Duration;

use duress_cluster::local::{LocalCluster, plan_nodes};
use duress_cluster::{
    Cluster as _, NodeProgram, Readiness, Role, Roles, StatusProbe, System, TemplateValues, bring_up, run_in,
    wait_ready,
};
use tokio::time::Instant;

use crate::support::{Test, deploy, eventually, isolated, shells};

pub fn tests() -> Vec<Test> {
    vec![
        (
            "servers_become_ready_and_tell_their_status",
            servers_become_ready_and_tell_their_status,
        ),
        ("a_port_becomes_ready", a_port_becomes_ready),
        ("a_command_becomes_ready", a_command_becomes_ready),
        (
            "what_never_becomes_ready_is_an_error_with_the_log",
            what_never_becomes_ready_is_an_error_with_the_log,
        ),
        ("what_ends_is_an_error_at_once", what_ends_is_an_error_at_once),
        ("a_command_runs_in_the_node", a_command_runs_in_the_node),
    ]
}

/// Answers every request alike, and logs who asked.
pub fn main(args: &[OsString]) -> ExitCode {
    let (address, answer) = (args[0].to_str().unwrap(), args[1].to_str().unwrap());
    let listener = TcpListener::bind(address).unwrap();
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let mut log = std::io::stdout();
        writeln!(log, "{}", stream.peer_addr().unwrap().ip()).unwrap();
        let request = BufReader::new(&stream).lines();
        let headers = request.map_while(Result::ok).take_while(|line| !line.is_empty());
        headers.for_each(drop);
        let length = answer.len();
        let _ = write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{answer}"
        );
    }
    ExitCode::SUCCESS
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

/// Two servers: a leader of term 4, and a leader of term 3.
async fn servers(isolation: duress_cluster::local::Isolation, dir: &std::path::Path) -> LocalCluster {
    let nodes = plan_nodes(["n1", "n2"], 0).unwrap();
    let status = |term: u64| {
        format!(
            r#"{{"role":"leader","term":{term},"leader":"n1","commit":9,"applied":8,"ready":true,"more":1}}"#
        )
    };
    let exe = std::env::current_exe().unwrap();
    let programs = nodes.iter().zip([3, 4]).map(|(node, term)| {
        let template = ["{duress}", "serve", "{ip}:{port}"].map(String::from);
        let values = TemplateValues {
            nodes: &nodes,
            data: dir,
            port: 8080,
            duress: &exe,
        };
        NodeProgram::from_template(&template, node, &values, &[status(term)]).unwrap()
    });
    deploy(isolation, programs.collect(), dir).await
}

fn servers_become_ready_and_tell_their_status() {
    isolated(async |isolation| {
        let dir = tempfile::tempdir().unwrap();
        let cluster = servers(isolation, dir.path()).await;
        let system = System::named("specimen").unwrap();
        let observer = cluster.observer_addresses().unwrap()[0];
        let status = system.status.clone().unwrap();
        let probe = StatusProbe::new(status, system.port, Some(observer), None).unwrap();
        assert!(
            probe.probe_all(cluster.nodes()).await.is_empty(),
            "nobody answers before the start"
        );

        bring_up(&cluster, &system.readiness, soon()).await.unwrap();
        let status = probe.probe(&cluster.nodes()[1]).await.unwrap();
        assert_eq!(
            (status.role, status.term, status.commit, status.applied),
            (Some(Role::Leader), Some(4), Some(9), Some(8))
        );
        let roles = Roles::of(cluster.nodes(), &probe.probe_all(cluster.nodes()).await);
        assert_eq!(roles.leader.as_deref(), Some("n2"));
        assert_eq!(roles.stale_leaders, ["n1"]);
        let askers = cluster.log_tail("n1", 100).await;
        assert!(
            !askers.is_empty() && askers.lines().all(|asker| asker == observer.to_string()),
            "{askers}"
        );
    });
}

fn a_port_becomes_ready() {
    isolated(async |isolation| {
        let dir = tempfile::tempdir().unwrap();
        let cluster = servers(isolation, dir.path()).await;
        bring_up(&cluster, &Readiness::Tcp { port: 8080 }, soon())
            .await
            .unwrap();
    });
}

fn a_command_becomes_ready() {
    isolated(async |isolation| {
        let dir = tempfile::tempdir().unwrap();
        let cluster = deploy(
            isolation,
            shells(1, "sleep 0.1; touch ready; sleep 1000"),
            dir.path(),
        )
        .await;
        let ready = dir.path().join("n1/data/ready");
        let argv = ["test", "-e", ready.to_str().unwrap()].map(String::from).into();
        bring_up(&cluster, &Readiness::Command { argv }, soon())
            .await
            .unwrap();
        assert!(ready.exists());
    });
}

fn what_never_becomes_ready_is_an_error_with_the_log() {
    isolated(async |isolation| {
        let dir = tempfile::tempdir().unwrap();
        let cluster = deploy(
            isolation,
            shells(1, "echo cannot find my peers; sleep 1000"),
            dir.path(),
        )
        .await;
        cluster.start("n1").await.unwrap();
        let log = dir.path().join("n1/log");
        eventually("the program has complained", || {
            std::fs::read_to_string(&log).unwrap().ends_with('\n')
        });
        let all = [
            (Readiness::Tcp { port: 8080 }, "refused"),
            (
                Readiness::Http {
                    path: "/".into(),
                    port: 8080,
                    true_field: None,
                },
                "refused",
            ),
            (
                Readiness::Command {
                    argv: vec!["false".into()],
                },
                "exit status: 1",
            ),
        ];
        for (readiness, why) in all {
            let deadline = Instant::now() + Duration::from_millis(200);
            let error = wait_ready(&cluster, "n1", &readiness, deadline)
                .await
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("n1") && error.contains("cannot find my peers"),
                "{error}"
            );
            assert!(error.to_lowercase().contains(why), "{error}");
        }
    });
}

fn what_ends_is_an_error_at_once() {
    isolated(async |isolation| {
        let dir = tempfile::tempdir().unwrap();
        let cluster = deploy(isolation, shells(1, "echo no such option; exit 64"), dir.path()).await;
        let error = bring_up(
            &cluster,
            &Readiness::Tcp { port: 8080 },
            Instant::now() + Duration::from_secs(1000),
        );
        let error = error.await.unwrap_err().to_string();
        assert!(
            error.contains("exit status 64") && error.contains("no such option"),
            "{error}"
        );
    });
}

fn a_command_runs_in_the_node() {
    isolated(async |isolation| {
        let dir = tempfile::tempdir().unwrap();
        let cluster = deploy(isolation, shells(1, "sleep 1000"), dir.path()).await;
        let place = cluster.place("n1").await.unwrap();
        let script = "hostname; head -n1 /proc/1/cmdline | tr '\\0' ' '; exit 3";
        let argv = ["sh", "-c", script].map(String::from);
        let ended = run_in(&place, &argv, Duration::from_secs(10)).await.unwrap();
        assert_eq!(ended.output.trim(), "n1\n/proc/self/exe sandbox n1");
        assert_eq!((ended.success, ended.how.as_str()), (false, "exit status: 3"));

        let argv = ["sleep", "1000"].map(String::from);
        let error = run_in(&place, &argv, Duration::from_millis(50))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("nothing after 50 ms"), "{error}");
        let error = run_in(&place, &["no-such-program".into()], Duration::from_secs(10))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("no-such-program"), "{error}");
    });
}
