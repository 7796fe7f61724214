//! Finds out what this machine can do for local clusters, by doing it where it harms nobody.
//!
//! Every probe that changes something runs on a thread that has left for namespaces of its own, inside those of the
//! caller's isolation; they vanish with the thread.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::getuid;
use serde::{Deserialize, Serialize};

use crate::local::Isolation;
use crate::{ClusterError, tools};

/// For one probe. They take milliseconds, but modules may have to be loaded.
const PROBE_LIMIT: Duration = Duration::from_secs(10);
/// The first with `pidfd_open` and `clone3`; older ones are nobody's target any more.
const KERNEL_MIN: (u32, u32) = (5, 3);

/// One thing that the machine can or can't do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capability {
    /// E.g. `bridge`.
    pub name: String,
    /// Whether it can.
    pub ok: bool,
    /// What was found, e.g. a version, or why it can't.
    pub detail: String,
    /// What to do where it can't; else empty.
    pub fix: String,
}

/// What a probe found, or why it failed.
pub type Found = Result<String, String>;

/// Something that whoever uses a cluster needs of the machine, and how to find out whether it is there.
#[derive(Debug)]
pub struct Requirement {
    /// E.g. `iptables`.
    pub name: &'static str,
    /// Tries it, on a thread in network and mount namespaces that nobody else is in.
    pub probe: fn() -> Found,
    /// What to do where it is not there.
    pub fix: &'static str,
}

/// Tries one requirement, inside the isolation.
pub fn probe(isolation: Isolation, requirement: &Requirement) -> Capability {
    Capability::new(
        requirement.name,
        apart(isolation, requirement.probe),
        requirement.fix,
    )
}

impl Capability {
    pub(crate) fn new(name: &str, found: Found, fix: &str) -> Self {
        let (ok, detail) = found.map_or_else(|why| (false, why), |detail| (true, detail));
        Capability {
            name: name.into(),
            ok,
            detail,
            fix: if ok { String::new() } else { fix.to_owned() },
        }
    }
}

/// Tries everything that a local cluster needs. `isolation` is what [`crate::local::isolate`] said at the start of the program, and `sandbox_exe`
/// the command line that leads to [`crate::local::sandbox::main`], as in [`crate::local::LocalSpec`].
pub fn examine(isolation: &Result<Isolation, ClusterError>, sandbox_exe: &[OsString]) -> Vec<Capability> {
    let mut report = Vec::new();
    let mut add = |name: &str, found: Found, fix: &str| report.push(Capability::new(name, found, fix));
    let iproute2 = "install the package iproute2";
    add("kernel", kernel(), "boot a kernel of this decade");
    add(
        "cgroups",
        cgroups(),
        "mount cgroups, version 2 if possible, at /sys/fs/cgroup",
    );
    add("iproute2", output_of("ip", &["-V"]), iproute2);
    // The error says itself what to do.
    add(
        "namespaces",
        namespaces(isolation),
        "see above, or use a cluster on Docker Compose or on hosts",
    );
    let Ok(isolation) = isolation else { return report };

    let isolation = *isolation;
    let apart = |probe: fn() -> Found| apart(isolation, probe);
    let exe = sandbox_exe.to_vec();
    add(
        "sandbox",
        on_thread(isolation, move || sandbox(&exe)),
        "in a container, its /proc must not be masked: docker run --security-opt systempaths=unconfined",
    );
    add(
        "bridge",
        apart(bridge),
        "load the kernel module bridge; install the package iproute2",
    );
    add(
        "veth",
        apart(veth),
        "load the kernel module veth; install the package iproute2",
    );
    add(
        "IPv6",
        apart(ipv6),
        "set net.ipv6.conf.default.disable_ipv6 to 0; without it nodes have IPv4 only",
    );
    report
}

fn kernel() -> Found {
    let path = "/proc/sys/kernel/osrelease";
    let release = fs::read_to_string(path)
        .map_err(|error| format!("read {path}: {error}"))?
        .trim()
        .to_owned();
    match parse_release(&release) {
        Some(version) if version < KERNEL_MIN => Err(format!(
            "Linux {release}; {}.{} is needed",
            KERNEL_MIN.0, KERNEL_MIN.1
        )),
        _ => Ok(format!("Linux {release}")),
    }
}

fn parse_release(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn cgroups() -> Found {
    let path = "/proc/self/mounts";
    let mounts = fs::read_to_string(path).map_err(|error| format!("read {path}: {error}"))?;
    cgroup_version(&mounts).ok_or_else(|| "none are mounted".into())
}

fn cgroup_version(mounts: &str) -> Option<String> {
    let of_type = |wanted: &str| {
        let mut fields = mounts.lines().map(|line| line.split(' ').skip(1));
        fields.find_map(|mut fields| {
            let path = fields.next()?;
            (fields.next()? == wanted).then(|| path.to_owned())
        })
    };
    match (of_type("cgroup2"), of_type("cgroup")) {
        (Some(path), None) => Some(format!("version 2 at {path}")),
        (Some(path), Some(_)) => Some(format!("version 1, and version 2 at {path} (hybrid)")),
        (None, Some(_)) => Some("version 1".into()),
        (None, None) => None,
    }
}

fn namespaces(isolation: &Result<Isolation, ClusterError>) -> Found {
    match isolation {
        Ok(isolation) if isolation.user_namespace => Ok("in a user namespace of an ordinary user".into()),
        Ok(_) => Ok(if getuid().is_root() {
            "as root".into()
        } else {
            "with the powers of root".to_owned()
        }),
        Err(error) => Err(error.to_string()),
    }
}

/// Runs the probe on a thread in a network and a mount namespace that nobody else is in.
fn apart(isolation: Isolation, probe: fn() -> Found) -> Found {
    on_thread(isolation, move || {
        let failed = |errno: nix::errno::Errno| format!("create namespaces: {}", errno.desc());
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).map_err(failed)?;
        // iptables locks a file there; an ordinary user can't, and root must not meet the host's firewall's users.
        mount(
            Some("tmpfs"),
            "/run",
            Some("tmpfs"),
            MsFlags::empty(),
            None::<&str>,
        )
        .map_err(failed)?;
        probe()
    })
}

fn on_thread(isolation: Isolation, probe: impl FnOnce() -> Found + Send + 'static) -> Found {
    let (answer, found) = mpsc::channel();
    let guarded = move || {
        // Whatever thread calls: nothing is tried in the host's namespaces.
        let found = isolation
            .check_this_thread()
            .map_err(|error| error.to_string())
            .and_then(|()| probe());
        let _ = answer.send(found);
    };
    thread::Builder::new()
        .spawn(guarded)
        .map_err(|error| format!("start a thread: {error}"))?;
    found
        .recv_timeout(PROBE_LIMIT)
        .unwrap_or_else(|_| Err(format!("no result after {} s", PROBE_LIMIT.as_secs())))
}

/// Starts one as a cluster does, and lets it end at once.
fn sandbox(exe: &[OsString]) -> Found {
    let (program, arguments) = exe.split_first().ok_or("no command line for it")?;
    let mut child = Command::new(program)
        .args(arguments)
        .arg("doctor")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|error| format!("run {program:?}: {error}"))?;
    let mut said = String::new();
    let stdout = child.stdout.take().expect("stdout was asked to be a pipe");
    let read = BufReader::new(stdout).read_line(&mut said);
    drop(child.stdin.take());
    let _ = child.wait();
    read.map_err(|error| error.to_string())?;
    if said.starts_with(r#"{"up":"#) {
        return Ok("process, mount, network and UTS namespaces with a /proc of their own".into());
    }
    let failure: Option<serde_json::Value> = serde_json::from_str(&said).ok();
    let what = failure
        .as_ref()
        .and_then(|failure| failure["failed"]["what"].as_str());
    Err(what.unwrap_or("it said nothing").to_owned())
}

fn bridge() -> Found {
    ip("link add name duress type bridge forward_delay 0 stp_state 0 mcast_snooping 0\nlink set duress up\n")
}

fn veth() -> Found {
    ip("link add name duress type veth peer name duress1\n")
}

fn ipv6() -> Found {
    ip("link set lo up\naddr add fd77::1/128 dev lo nodad\n")
}

fn ip(lines: &str) -> Found {
    match tools::ip_batch(lines, false) {
        Ok(()) => Ok("works".into()),
        Err(ClusterError::Io { source, .. }) => Err(source.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// Runs a program of one of the usual folders and gives what it wrote, or why it failed.
pub fn output_of(program: &str, arguments: &[&str]) -> Found {
    let path = tools::find(program).ok_or("not installed")?;
    let output = Command::new(path)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(format!(
        "{}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_understood() {
        assert_eq!(parse_release("6.1.0-18-amd64"), Some((6, 1)));
        assert_eq!(parse_release("5.15.153.1-microsoft-standard-WSL2"), Some((5, 15)));
        assert_eq!(parse_release("linux"), None);
        assert!(kernel().unwrap().starts_with("Linux "));
    }

    #[test]
    fn versions_of_cgroups_are_told_apart() {
        let two = "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n";
        let one = "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n";
        assert_eq!(cgroup_version(two).unwrap(), "version 2 at /sys/fs/cgroup");
        assert_eq!(cgroup_version(one).unwrap(), "version 1");
        assert!(cgroup_version(&format!("{one}{two}")).unwrap().contains("hybrid"));
        assert_eq!(cgroup_version("proc /proc proc rw 0 0\n"), None);
    }

    #[test]
    fn without_namespaces_nothing_is_tried_and_the_reason_is_given() {
        let refused = ClusterError::Unsupported {
            what: "create namespaces".into(),
            why: "run as root".into(),
        };
        let report = examine(&Err(refused), &[]);
        let names: Vec<&str> = report.iter().map(|capability| capability.name.as_str()).collect();
        assert_eq!(names, ["kernel", "cgroups", "iproute2", "namespaces"]);
        let namespaces = &report[3];
        assert!(!namespaces.ok && namespaces.detail.ends_with("run as root") && !namespaces.fix.is_empty());
    }
}
