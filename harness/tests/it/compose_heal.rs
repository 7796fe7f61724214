//! `duress heal` on a container engine: what dead runs left goes; living runs and what strangers made stay.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

use crate::compose::{
    ETCD, IN_CONTAINER, both, docker, engine_or_skip, leader_faults, on_engine, rules, spec, spec_with,
};
use crate::cut_off::kills;
use crate::host::{Bench, HostState, duress, start_until};

fn heal(run: &Path) -> String {
    let healed = duress(["heal".as_ref(), run.as_os_str()]);
    assert_eq!(healed.status.code(), Some(0), "{}", both(&healed));
    both(&healed)
}

fn end(child: &mut Child) {
    child.kill().expect("SIGKILL");
    child.wait().expect("a dead child");
}

/// The controller alone: its agent heals, and the containers wait for `duress heal`.
#[test]
fn kill_9_of_the_controller_leaves_what_heal_removes() {
    if !engine_or_skip() {
        return;
    }
    let before = HostState::now();
    let mut rng = ChaCha12Rng::seed_from_u64(11);
    for seed in 0..kills(2) {
        let agent = if seed % 2 == 0 { "" } else { IN_CONTAINER };
        let bench = Bench::new(&spec_with(Path::new(ETCD), agent, &leader_faults()));
        let needle = if seed % 3 == 0 { "\"deploy\"" } else { "\"faults\"" };
        let mut child = start_until(&bench, seed, needle);
        std::thread::sleep(Duration::from_millis(rng.random_range(0..5000)));
        end(&mut child);
        let run = bench.latest();
        heal(&run);
        assert_eq!(on_engine(&run), Vec::<String>::new(), "seed {seed}");
        before.wait_until_back(&bench, Duration::from_secs(10));
    }
}

/// Agent and controller: nobody is left who could heal but `duress heal`.
#[test]
fn kill_9_of_agent_and_controller_leaves_what_heal_removes() {
    if !engine_or_skip() {
        return;
    }
    let before = HostState::now();
    for (seed, agent) in (0..kills(2)).zip(["", IN_CONTAINER].into_iter().cycle()) {
        let bench = Bench::new(&spec_with(Path::new(ETCD), agent, &leader_faults()));
        let mut child = start_until(&bench, seed, "\"verify\"");
        let run = bench.latest();
        assert!(!rules(&run).is_empty(), "the partition has no rules");
        kill(bench.agent(), Signal::SIGKILL).expect("SIGKILL");
        end(&mut child);
        assert!(!rules(&run).is_empty(), "somebody healed");
        let said = heal(&run);
        assert!(
            said.contains("removed container") && said.contains("is gone, and what it lived in"),
            "{said}"
        );
        assert_eq!(on_engine(&run), Vec::<String>::new());
        before.wait_until_back(&bench, Duration::from_secs(10));
    }
}

#[test]
fn a_living_run_is_left_alone_with_its_containers() {
    if !engine_or_skip() {
        return;
    }
    let bench = Bench::new(&spec(&leader_faults()));
    let mut child = start_until(&bench, 3, "\"verify\"");
    let run = bench.latest();
    let before = (on_engine(&run), rules(&run));
    assert!(before.0.len() >= 4 && !before.1.is_empty(), "{before:?}");
    let out = bench.spec().parent().expect("a folder").to_owned();
    let healed = duress(["heal".as_ref(), "--out".as_ref(), out.as_os_str()]);
    let why = format!("left alone: its controller is alive, process {}", child.id());
    assert_eq!(
        both(&healed).matches(&why).count(),
        2,
        "by journal and by label: {}",
        both(&healed)
    );
    assert_eq!(healed.status.code(), Some(0), "{}", both(&healed));
    let chains = |rules: &[String]| rules.iter().filter(|line| line.starts_with(':')).count();
    assert_eq!(on_engine(&run), before.0);
    assert_eq!(chains(&rules(&run)), chains(&before.1));
    assert_eq!(child.wait().expect("an end").code(), Some(0));
}

/// A container and its image, removed with the test.
struct Container(String);

impl Drop for Container {
    fn drop(&mut self) {
        for args in [["rm", "--force"], ["rmi", "--force"]] {
            docker(&[args[0], args[1], &self.0]);
        }
    }
}

#[test]
fn an_image_with_labels_of_duress_gives_away_neither_the_container_nor_a_file() {
    if !engine_or_skip() {
        return;
    }
    let bench = Bench::new("");
    let folder = bench.spec().parent().expect("a folder").to_owned();
    let name = format!("duress-forged-{}", std::process::id());
    // All that anybody can know: a controller of this boot and of this PID namespace that is dead.
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("a boot");
    let namespace = {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata("/proc/self/ns/pid").expect("a namespace").ino()
    };
    let labels = [
        format!("duress.run=forged-{}", std::process::id()),
        format!("duress.controller=1/1/{namespace}/{}", boot.trim()),
        format!("duress.directory={}", folder.display()),
        format!("duress.seal={}", "0".repeat(64)),
        format!("com.docker.compose.project={name}"),
        "com.docker.compose.service=..".to_owned(),
    ];
    let container = Container(name.clone());
    let mut import = Command::new("docker");
    import.arg("import");
    for label in &labels {
        import.args(["--change", &format!("LABEL {label}")]);
    }
    // An archive without files: two empty blocks.
    let mut import = import
        .args(["-", &name])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("docker");
    std::io::Write::write_all(&mut import.stdin.take().expect("a pipe"), &[0; 1024]).expect("an archive");
    assert!(import.wait().expect("an end").success());
    docker(&["create", "--name", &name, &name, "/none"]);
    let files = || -> Vec<_> {
        let entries = std::fs::read_dir(&folder).expect("a folder").flatten();
        entries.map(|entry| entry.file_name()).collect()
    };
    let there = || docker(&["ps", "--all", "--quiet", "--filter", &format!("name={name}")]);
    assert!(!there().is_empty(), "there is no container");

    let healed = duress(["heal".as_ref(), "--out".as_ref(), folder.as_os_str()]);
    let said = both(&healed);
    assert_eq!(files(), ["spec.toml"], "{said}");
    assert!(!there().is_empty(), "{said}");
    assert!(
        said.contains(&format!(
            "container {name} carries labels of Duress without proof"
        )) && said.contains(&format!("docker rm --force {name}")),
        "{said}"
    );
    assert_eq!(healed.status.code(), Some(0), "{said}");
    drop(container);
}

#[test]
fn a_service_whose_log_would_be_written_elsewhere_is_refused() {
    if !engine_or_skip() {
        return;
    }
    let bench = Bench::new("");
    let file = bench.spec().with_file_name("compose.yaml");
    let yaml = std::fs::read_to_string(ETCD).expect("a compose file");
    let odd = "services:\n  ..:\n    image: duress/etcd:3.5.1\n    command: [/none]\n";
    std::fs::write(&file, yaml.replacen("services:\n", odd, 1)).expect("a compose file");
    std::fs::write(bench.spec(), spec_with(&file, "", &leader_faults())).expect("a spec");
    let output = bench.run_command(1).output().expect("the binary starts");
    let above = bench.latest().join("log");
    assert!(!above.exists(), "written above nodes/: {}", above.display());
    assert!(both(&output).contains("the name \"..\""), "{}", both(&output));
    assert_ne!(output.status.code(), Some(0));
}
