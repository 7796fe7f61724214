//! Whatever keeps a host from being used is said before anything is broken, with what to do.

use super::rig::{LOGIN, Rig, spec};
use crate::compose::both;

const KILL: &str = "[[faults.mix]]\nkind = \"kill\"\ntargets = \"one\"\n";

/// The run fails as a harness failure, says this, and has broken nothing.
fn refused(rig: &Rig, spec: &str, expected: &[&str]) {
    let output = rig.run(spec).output().expect("the binary starts");
    let said = both(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    for expected in expected {
        assert!(said.contains(expected), "no {expected:?} in {said}");
    }
    assert!(!rig.latest().join("nemesis-journal.jsonl").exists(), "{said}");
    let history = std::fs::read_to_string(rig.latest().join("history.jsonl")).expect("a history");
    assert!(
        !history.contains("\"process\":\"nemesis\",\"type\":\"info\",\"f\":\"kill\""),
        "{history}"
    );
}

#[test]
fn a_host_that_is_not_the_known_one() {
    let Some(rig) = Rig::new(1, "64m") else { return };
    let known = rig.dir().join("known_hosts");
    let right = std::fs::read_to_string(&known).expect("known hosts");
    let (host, _) = right.split_once(' ').expect("a host");
    let other = std::fs::read_to_string(rig.dir().join("id.pub")).expect("another key");
    std::fs::write(&known, format!("{host} {other}")).expect("written");
    refused(
        &rig,
        &spec(1, LOGIN, KILL),
        &["host key is not the one in", "ssh-keygen -f", "ssh-keyscan"],
    );
    std::fs::write(&known, "").expect("written");
    refused(
        &rig,
        &spec(1, LOGIN, KILL),
        &["host key is not known", "ssh-keyscan 10.78.0.11 >>"],
    );
}

#[test]
fn a_login_that_is_refused() {
    let Some(rig) = Rig::new(1, "64m") else { return };
    let login = LOGIN.replace("\"id\"", "\"key-1\"");
    refused(
        &rig,
        &spec(1, &login, KILL),
        &[
            "log in to root@10.78.0.11:22",
            "it took none of: the key",
            "authorized_keys",
        ],
    );
    let login = "known-hosts = \"known_hosts\"";
    refused(
        &rig,
        &spec(1, login, KILL),
        &["there was nothing to try", "`identity`"],
    );
    let login = format!("{LOGIN}\npassword-env = \"NO_SUCH_VARIABLE\"");
    refused(&rig, &spec(1, &login, KILL), &["NO_SUCH_VARIABLE", "export it"]);
}

#[test]
fn a_host_that_nobody_reaches() {
    let Some(rig) = Rig::new(1, "64m") else { return };
    let nobody = spec(1, LOGIN, KILL).replace("10.78.0.11", "10.78.0.11:23");
    refused(
        &rig,
        &nobody,
        &["log in to root@10.78.0.11:23", "can't be reached", "sshd listens"],
    );
    let nobody = spec(1, LOGIN, KILL).replace("10.78.0.11", "no-such-host.invalid");
    refused(&rig, &nobody, &["its name is not known here"]);
}

#[test]
fn a_disk_that_is_full() {
    let Some(rig) = Rig::new(1, "8m") else { return };
    refused(
        &rig,
        &spec(1, LOGIN, KILL),
        &[
            "bring duress there on root@10.78.0.11:22",
            "MiB are free",
            "make room",
        ],
    );
    assert_eq!(
        rig.sh(Some(1), "ls /root/.duress/bin"),
        "",
        "nothing of it is left"
    );
}

#[test]
fn a_user_who_may_not_become_root() {
    let Some(rig) = Rig::new(1, "64m") else { return };
    let plain = spec(1, LOGIN, KILL).replace("root@", "plain@");
    refused(
        &rig,
        &plain,
        &["become root on plain@10.78.0.11:22", "sudo", "NOPASSWD"],
    );
}
