//! Deploys clusters as root and looks at them from inside and outside.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use duress_cluster::local::{LocalCluster, LocalSpec, isolate, plan_nodes};
use duress_cluster::{Cluster as _, ClusterError, Place, ProgramState};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{
    Namespace, Test, deploy, end_of, eventually, interfaces, isolated, namespaces, processes_in, shells,
    within,
};

pub fn tests() -> Vec<Test> {
    vec![
        ("five_nodes_reach_each_other", five_nodes_reach_each_other),
        (
            "clients_and_observer_are_told_apart",
            clients_and_observer_are_told_apart,
        ),
        ("a_program_sees_its_own_world", a_program_sees_its_own_world),
        ("a_killed_program_starts_again", a_killed_program_starts_again),
        (
            "the_end_of_a_program_is_reported",
            the_end_of_a_program_is_reported,
        ),
        (
            "a_program_that_cannot_start_is_refused",
            a_program_that_cannot_start_is_refused,
        ),
        (
            "down_leaves_nothing_and_can_be_repeated",
            down_leaves_nothing_and_can_be_repeated,
        ),
        ("a_stubborn_program_is_ended", a_stubborn_program_is_ended),
        ("dropping_leaves_nothing", dropping_leaves_nothing),
        (
            "a_thread_that_is_not_isolated_is_refused",
            a_thread_that_is_not_isolated_is_refused,
        ),
        ("bad_names_are_refused", bad_names_are_refused),
        (
            "a_sandbox_that_cannot_start_is_an_error",
            a_sandbox_that_cannot_start_is_an_error,
        ),
    ]
}

const PATIENCE: Duration = Duration::from_secs(5);

async fn places(cluster: &LocalCluster) -> Vec<Place> {
    let mut places = Vec::new();
    for node in cluster.nodes() {
        places.push(cluster.place(&node.name).await.unwrap());
    }
    places
}

/// Sends a word from one node to another over TCP and UDP.
fn reaches(from: u32, to: u32, address: IpAddr) {
    let (tcp, udp) = within(to, "net", move || {
        let udp = UdpSocket::bind((address, 0)).unwrap();
        udp.set_read_timeout(Some(PATIENCE)).unwrap();
        (TcpListener::bind((address, 0)).unwrap(), udp)
    });
    let (tcp_address, udp_address) = (tcp.local_addr().unwrap(), udp.local_addr().unwrap());
    within(from, "net", move || {
        TcpStream::connect_timeout(&tcp_address, PATIENCE)
            .unwrap()
            .write_all(b"tcp")
            .unwrap();
        let any: SocketAddr = if address.is_ipv4() {
            ([0; 4], 0).into()
        } else {
            ([0; 16], 0).into()
        };
        UdpSocket::bind(any)
            .unwrap()
            .send_to(b"udp", udp_address)
            .unwrap();
    });
    let mut word = String::new();
    tcp.accept().unwrap().0.read_to_string(&mut word).unwrap();
    assert_eq!(word, "tcp");
    let mut datagram = [0; 8];
    let length = udp.recv(&mut datagram).unwrap();
    assert_eq!(&datagram[..length], b"udp");
}

fn five_nodes_reach_each_other() {
    isolated(async |isolation| {
        let dir = tempfile::tempdir().unwrap();
        let began = Instant::now();
        let cluster = deploy(isolation, shells(5, "sleep 1000"), dir.path()).await;
        let deployed = began.elapsed();
        for node in cluster.nodes() {
            cluster.start(&node.name).await.unwrap();
        }
        #[expect(clippy::print_stdout, reason = "a measurement, shown on request")]
        {
            println!("deployed in {deployed:?}, running after {:?}", began.elapsed());
        }
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "far too slow, even for a loaded machine"
        );
        let places = places(&cluster).await;
        for from in &places {
            for to in places.iter().filter(|to| to.pid != from.pid) {
                assert_eq!(to.addresses.len(), 2, "the test's kernel should have IPv6");
                to.addresses
                    .iter()
                    .for_each(|address| reaches(from.pid, to.pid, *address));
            }
        }
    });
}

fn clients_and_observer_are_told_apart() {
    isolated(async |isolation| {
        let dir = tempfile::tempdir().unwrap();
        let cluster = deploy(isolation, shells(1, "sleep 1000"), dir.path()).await;
        let place = cluster.place("n1").await.unwrap();
        for address in place.addresses.clone() {
            let server = within(place.pid, "net", move || TcpListener::bind((address, 0)).unwrap());
            let target = server.local_addr().unwrap();
            drop(TcpStream::connect_timeout(&target, PATIENCE).unwrap());
            let (_, client) = server.accept().unwrap();
            assert!(
                cluster.client_addresses().contains(&client.ip()),
                "{client} isn't a client's"
            );
            assert!(!cluster.observer_addresses().unwrap().contains(&client.ip()));

            let family = |other: &&IpAddr| other.is_ipv4() == address.is_ipv4();
            let observer = *cluster.observer_addresses().unwrap().iter().find(family).unwrap();
            let socket = if address.is_ipv4() {
                tokio::net::TcpSocket::new_v4()
            } else {
                tokio::net::TcpSocket::new_v6()
            }
            .unwrap();
            socket.bind((observer, 0).into()).unwrap();
            drop(socket.connect(target).await.unwrap());
            assert_eq!(server.accept().unwrap().1.ip(), observer);
        }
    });
}

fn a_program_sees_its_own_world() {
    isolated(async |isolation| {
        let dir = tempfile::tempdir().unwrap();
        let script = "hostname; pwd; grep n2 /etc/hosts; echo $$; ls /proc | grep -c '^[0-9]*$'; \
             grep -E 'SigBlk|SigIgn' /proc/self/status; echo to stderr >&2; echo $VARIABLE; touch here; sleep 1000";
        let mut nodes = shells(2, script);
        nodes[0].env.insert("VARIABLE".into(), "of the node".into());
        let cluster = deploy(isolation, nodes, dir.path()).await;
        cluster.start("n1").await.unwrap();
        let place = cluster.place("n1").await.unwrap();
        let data = place.data.unwrap();
        eventually("the program is done", || data.join("here").exists());

        let log = cluster.log_tail("n1", 100).await;
        let data = data.display().to_string();
        let lines: Vec<&str> = log.lines().collect();
        assert_eq!(lines[..4], ["n1", &data, "10.77.0.12 n2", "fd77::12 n2"], "{log}");
        assert!(
            lines[4].parse::<u32>().unwrap() < 20,
            "a pid of its own namespace: {log}"
        );
        assert!(
            lines[5].parse::<u32>().unwrap() < 10,
            "it sees only its own processes: {log}"
        );
        for mask in &lines[6..8] {
            let mask = u64::from_str_radix(mask.split_once('\t').unwrap().1, 16).unwrap();
            // Above 31 are real-time signals; some are ignored all the way from who started the tests.
            assert_eq!(mask & 0x7fff_ffff, 0, "no signal is blocked or ignored: {log}");
        }
        assert_eq!(lines[8..], ["to stderr", "of the node"], "{log}");
        assert_eq!(
            namespaces(place.pid).len(),
            4,
            "none is shared with the controller"
        );
    });
}

/// Every process in the sandbox, but its init.
fn inhabitants(place: &Place) -> Vec<u32> {
    let inside = processes_in(&namespaces(place.pid));
    // The outer process shares what the init has, except for the PID namespace.
    let outer = parent_of(place.pid);
    inside
        .into_iter()
        .filter(|pid| ![place.pid, outer].contains(pid))
        .collect()
}

fn parent_of(pid: u32) -> u32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    status
        .lines()
        .find_map(|line| line.strip_prefix("PPid:"))
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.cast_signed()), signal).unwrap();
}

fn a_killed_program_starts_again() {
    isolated(async |isolation| {
        let dir = tempfile::tempdir().unwrap();
        let script = "echo started >> count; sleep 1000 & setsid sleep 1000 & wait";
        let cluster = deploy(isolation, shells(1, script), dir.path()).await;
        assert_eq!(
            cluster.state("n1").await.unwrap(),
            ProgramState::Stopped {
                how: "never started".into()
            }
        );
        cluster.start("n1").await.unwrap();
        let place = cluster.place("n1").await.unwrap();
        eventually("three processes", || inhabitants(&place).len() == 3);
        let before = inhabitants(&place);
        cluster.start("n1").await.unwrap();
        assert_eq!(
            inhabitants(&place),
            before,
            "a start of what runs changes nothing"
        );

        // While the init sleeps, so that it learns of the kill and of the order at once: it must not believe that the
        // program still runs.
        signal(place.pid, Signal::SIGSTOP);
        before.iter().for_each(|pid| signal(*pid, Signal::SIGKILL));
        eventually("the program is dead", || {
            let alive = inhabitants(&place);
            !before.iter().any(|pid| alive.contains(pid))
        });
        let wake = async { signal(place.pid, Signal::SIGCONT) };
        let (started, ()) = tokio::join!(cluster.start("n1"), wake);
        started.unwrap();
        eventually("three processes again", || inhabitants(&place).len() == 3);
        assert_eq!(cluster.place("n1").await.unwrap(), place, "the sandbox stays");
        let count = std::fs::read_to_string(place.data.unwrap().join("count")).unwrap();
        assert_eq!(count, "started\nstarted\n");
    });
}

fn the_end_of_a_program_is_reported() {
    isolated(async |isolation| {
        let dir = tempfile::tempdir().unwrap();
        let mut nodes = shells(2, "setsid sleep 1000 & echo bye; exit 3");
        nodes[1].argv[2] = "kill -9 $$".into();
        let cluster = deploy(isolation, nodes, dir.path()).await;
        cluster.start("n1").await.unwrap();
        cluster.start("n2").await.unwrap();
        assert_eq!(end_of(&cluster, "n1").await, "exit status 3");
        assert_eq!(end_of(&cluster, "n2").await, "signal 9");
        assert_eq!(cluster.log_tail("n1", 5).await, "bye");
        let place = cluster.place("n1").await.unwrap();
        assert_eq!(inhabitants(&place), [0; 0], "what it left running ends with it");
    });
}

fn a_program_that_cannot_start_is_refused() {
    isolated(async |isolation| {
        let dir = tempfile::tempdir().unwrap();
        let mut nodes = shells(1, "");
        nodes[0].argv = vec!["/no/such/program".into()];
        let cluster = deploy(isolation, nodes, dir.path()).await;
        let error = cluster.start("n1").await.unwrap_err();
        let ClusterError::Io { what, source } = error else {
            panic!("{error}")
        };
        assert!(what.contains("/no/such/program") && what.contains("n1"), "{what}");
        assert!(source.to_string().contains("No such file"), "{source}");
        assert!(matches!(
            cluster.start("n9").await,
            Err(ClusterError::UnknownNode { .. })
        ));
    });
}

fn down_leaves_nothing_and_can_be_repeated() {
    isolated(async |isolation| {
        let dir = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let cluster = deploy(
                isolation,
                shells(3, "trap 'echo bye; exit' TERM; touch ready; sleep 1000 & wait"),
                dir.path(),
            )
            .await;
            for node in cluster.nodes() {
                cluster.start(&node.name).await.unwrap();
                let ready = dir.path().join(&node.name).join("data/ready");
                eventually("the program is ready", || ready.exists());
                std::fs::remove_file(ready).unwrap();
            }
            let own = namespaces_of(&cluster).await;
            cluster.down().await.unwrap();
            assert_eq!(processes_in(&own), [0; 0]);
            assert_eq!(interfaces(), ["lo"]);
            cluster.down().await.unwrap();
        }
        let log = std::fs::read_to_string(dir.path().join("n1/log")).unwrap();
        assert_eq!(log, "bye\nbye\n", "programs were asked to end, and logs are kept");
    });
}

async fn namespaces_of(cluster: &LocalCluster) -> Vec<Namespace> {
    places(cluster)
        .await
        .iter()
        .flat_map(|place| namespaces(place.pid))
        .collect()
}

fn a_stubborn_program_is_ended() {
    isolated(async |isolation| {
        let dir = tempfile::tempdir().unwrap();
        let mut nodes = shells(2, "trap '' TERM; touch ready; while :; do sleep 1000; done");
        nodes[1].argv[2] = "touch ready; kill -STOP $$".into();
        let cluster = deploy(isolation, nodes, dir.path()).await;
        for node in ["n1", "n2"] {
            cluster.start(node).await.unwrap();
            eventually("the program is ready", || {
                dir.path().join(node).join("data/ready").exists()
            });
        }
        let own = namespaces_of(&cluster).await;
        cluster.down().await.unwrap();
        assert_eq!(processes_in(&own), [0; 0]);
    });
}

fn dropping_leaves_nothing() {
    isolated(async |isolation| {
        let dir = tempfile::tempdir().unwrap();
        let cluster = deploy(isolation, shells(2, "sleep 1000"), dir.path()).await;
        cluster.start("n1").await.unwrap();
        let own = namespaces_of(&cluster).await;
        assert_ne!(processes_in(&own), [0; 0]);
        drop(cluster);
        eventually("no process is left", || processes_in(&own).is_empty());
    });
}

fn a_thread_that_is_not_isolated_is_refused() {
    let isolation = std::thread::spawn(|| isolate().unwrap()).join().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let spec = LocalSpec::new(shells(1, "true"), dir.path());
    let error = runtime
        .block_on(LocalCluster::deploy(isolation, spec))
        .err()
        .unwrap();
    assert!(
        error
            .to_string()
            .contains("isn't in the isolated network namespace"),
        "{error}"
    );
}

fn bad_names_are_refused() {
    let refused = |names: &[&str]| {
        let plan = plan_nodes(names.iter().copied(), 0);
        matches!(plan, Err(ClusterError::Invalid { .. }))
    };
    for wrong in ["", "N1", "a/b", "..", "-n", "a b", &"x".repeat(64)] {
        assert!(refused(&[wrong]), "{wrong:?}");
    }
    assert!(refused(&["n1", "n1"]) && refused(&[]));
    assert_eq!(plan_nodes(["n1", "etcd-0"], 0).unwrap().len(), 2);
}

fn a_sandbox_that_cannot_start_is_an_error() {
    isolated(async |isolation| {
        let dir = tempfile::tempdir().unwrap();
        let mut spec = LocalSpec::new(shells(1, "true"), dir.path());
        spec.sandbox_exe = vec!["/bin/false".into()];
        let error = LocalCluster::deploy(isolation, spec).await.err().unwrap();
        assert!(error.to_string().contains("create the sandbox of n1"), "{error}");
    });
}
