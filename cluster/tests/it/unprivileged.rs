//! The same without root: an ordinary user in a user namespace.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use duress_cluster::local::isolate;
use duress_cluster::{Cluster as _, ClusterError, run_in};

use crate::support::{Test, deploy, end_of, eventually, processes, shells};

/// `nobody`.
const USER: u32 = 65534;
/// Says that the kernel doesn't allow it.
const UNSUPPORTED: u8 = 77;

pub fn tests() -> Vec<Test> {
    vec![("an_ordinary_user_can_deploy", an_ordinary_user_can_deploy)]
}

/// Runs as the ordinary user.
pub fn main(args: &[OsString]) -> ExitCode {
    assert!(!nix::unistd::geteuid().is_root());
    let isolation = match isolate() {
        Err(error @ ClusterError::Unsupported { .. }) => {
            let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("{error}\n").as_bytes());
            return ExitCode::from(UNSUPPORTED);
        }
        isolation => isolation.unwrap(),
    };
    assert!(isolation.user_namespace);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let cluster = deploy(
            isolation,
            shells(2, "id -u; hostname; exit 7"),
            Path::new(&args[0]),
        )
        .await;
        cluster.start("n2").await.unwrap();
        assert_eq!(end_of(&cluster, "n2").await, "exit status 7");
        assert_eq!(cluster.log_tail("n2", 9).await, "0\nn2");
        let place = cluster.place("n1").await.unwrap();
        let argv = ["hostname".to_owned()];
        assert_eq!(
            run_in(&place, &argv, Duration::from_secs(10))
                .await
                .unwrap()
                .output,
            "n1\n"
        );
        let observer = cluster.observer_addresses().unwrap()[0];
        let target = within_reach(place.pid, place.addresses[0]);
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((observer, 0).into()).unwrap();
        socket.connect(target).await.unwrap();
        cluster.down().await.unwrap();
    });
    ExitCode::SUCCESS
}

/// A listener in the node that stays for the rest of this process.
fn within_reach(pid: u32, address: std::net::IpAddr) -> std::net::SocketAddr {
    let bind = move || std::net::TcpListener::bind((address, 0)).unwrap();
    let listener = crate::support::within(pid, "net", bind);
    let target = listener.local_addr().unwrap();
    std::mem::forget(listener);
    target
}

fn an_ordinary_user_can_deploy() {
    assert!(
        nix::unistd::geteuid().is_root(),
        "the test becomes an ordinary user, so it must begin as root"
    );
    let dir = tempfile::tempdir().unwrap();
    // The program itself may lie where an ordinary user can't go.
    let exe = dir.path().join("it");
    std::fs::copy("/proc/self/exe", &exe).unwrap();
    for path in [dir.path(), &exe] {
        std::os::unix::fs::chown(path, Some(USER), Some(USER)).unwrap();
    }
    let mut command = Command::new(&exe);
    command
        .arg("unprivileged")
        .arg(dir.path())
        .uid(USER)
        .gid(USER)
        .current_dir("/");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(UNSUPPORTED.into()) {
        // There is no outcome between passed and failed; at least it is loud.
        let note = format!("NOT TESTED: this kernel keeps ordinary users from it: {said}\n");
        let _ = std::io::Write::write_all(&mut std::io::stderr(), note.as_bytes());
        return;
    }
    assert!(output.status.success(), "{}: {said}", output.status);
    let runs_it = |pid: &u32| std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|path| path == exe);
    eventually("no process is left", || !processes().iter().any(runs_it));
}
