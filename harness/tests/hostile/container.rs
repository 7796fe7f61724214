//! Hostile nodes in containers: there the controller asks from the host's own network.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::Test;
use crate::bench::{exe, run};

pub fn tests() -> Vec<Test> {
    vec![(
        "containers_that_answer_with_anything_reach_nobody_on_the_host",
        containers_that_answer_with_anything_reach_nobody_on_the_host,
    )]
}

/// Removes the image when it is dropped.
pub struct Image(pub String);

impl Drop for Image {
    fn drop(&mut self) {
        let _ = Command::new("docker")
            .args(["image", "rm", "--force", &self.0])
            .stdout(Stdio::null())
            .status();
    }
}

/// An image of this program and the libraries that it needs, and nothing else. Without an engine there is none; in CI there
/// must be one.
#[expect(
    clippy::print_stderr,
    reason = "whoever runs the tests has to see that some did not"
)]
pub fn image() -> Option<Image> {
    let engine = Command::new("docker")
        .arg("version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !engine.is_ok_and(|status| status.success()) {
        assert!(
            std::env::var_os("CI").is_none(),
            "in CI this must run, but there is no container engine"
        );
        eprintln!("\n*** SKIPPED, nothing was tested: there is no container engine ***\n");
        return None;
    }
    static IMAGES: AtomicUsize = AtomicUsize::new(0);
    let number = IMAGES.fetch_add(1, Ordering::Relaxed);
    let name = format!("duress/hostile:{}-{number}", std::process::id());
    let libraries = Command::new("ldd").arg(exe()).output().expect("ldd");
    let libraries = String::from_utf8_lossy(&libraries.stdout).into_owned();
    let paths = libraries.split_whitespace().filter(|word| word.starts_with('/'));
    let mut tar = Command::new("tar")
        .args(["--create", "--dereference", "--absolute-names", "--transform"])
        .arg(format!("s,^{},/hostile,", exe().display()))
        .arg(exe())
        .args(paths.map(Path::new))
        .stdout(Stdio::piped())
        .spawn()
        .expect("tar");
    let imported = Command::new("docker")
        .args(["import", "-", &name])
        .stdin(tar.stdout.take().expect("a pipe"))
        .stdout(Stdio::null())
        .status();
    assert!(tar.wait().expect("tar").success());
    assert!(imported.expect("docker").success());
    Some(Image(name))
}

const MODES: [&str; 5] = ["redirect", "long-body", "endless-chunks", "long-error", "reset"];

/// A node for each mode. Redirects point to this port of the host's loopback.
fn compose(dir: &Path, image: &Image, port: u16) -> PathBuf {
    let mut file = "services:\n".to_owned();
    for number in 1..=MODES.len() {
        file += &format!(
            "  n{number}:\n    image: {}\n    networks: [cluster]\n    command: [\"/hostile\", \"specimen\", \"--name\", \
             \"n{number}\", \"--listen\", \"0.0.0.0:8080\", \"--modes\", \"{}\", \"--target\", \"http://127.0.0.1:{port}/\"]\n",
            image.0,
            MODES.join(",")
        );
    }
    file += "networks:\n  cluster:\n    internal: true\n";
    let path = dir.join("compose.yaml");
    std::fs::write(&path, file).expect("a compose file");
    path
}

fn containers_that_answer_with_anything_reach_nobody_on_the_host() {
    let Some(image) = image() else { return };
    let host = TcpListener::bind("127.0.0.1:0").expect("a free port");
    host.set_nonblocking(true).expect("a socket");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = compose(dir.path(), &image, host.local_addr().expect("an address").port());
    let nodes: Vec<String> = (1..=MODES.len()).map(|number| format!("n{number}")).collect();
    let spec = format!(
        r#"
name = "hostile"
properties = ["linearizable"]
[cluster.compose]
system = "specimen"
file = {file:?}
nodes = {nodes:?}
[workload.register]
[load.closed]
processes = 20
[client]
attempts = 1
timeout = "500ms"
routing = "any"
[time]
warm-up = "0ms"
faults = "3s"
recovery = "1s"
"#
    );
    let run = run(&spec, "", |_, _| {});
    let asked = host.accept().map(|(_, from)| from);
    assert!(asked.is_err(), "the host's loopback was asked by {asked:?}");
    assert_eq!(run.code, Some(2), "{}", run.said);
    assert!(run.took < Duration::from_secs(60), "{:?}", run.took);
    let outcomes = run.outcomes(false);
    for (node, mode) in nodes.iter().zip(MODES) {
        let outcomes = &outcomes[node];
        assert!(outcomes.info >= 5, "{mode}: {outcomes:?}");
        assert_eq!((outcomes.ok, outcomes.fail), (0, 0), "{mode}: {outcomes:?}");
    }
}
