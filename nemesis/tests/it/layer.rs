//! The layer under a data directory, against a plain directory: the same calls give the same results.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use duress_nemesis::layer::call::{Answer, Ask, Counts, Rule};
use serde_json::{Value, json};

use super::lab::{lab_folder, sh, wait_until};
use super::layer_calls::{Player, tree};

const AGENT: &str = env!("CARGO_BIN_EXE_duress-agent");

/// A layer over a folder, which it takes itself away from when this is dropped.
pub struct Mounted {
    pub folder: PathBuf,
    child: Child,
    reader: BufReader<UnixStream>,
    /// `None`: its agent is dead.
    writer: Option<UnixStream>,
    _dir: tempfile::TempDir,
}

impl Mounted {
    pub fn new(name: &str) -> Mounted {
        let dir = lab_folder();
        let folder = dir.path().canonicalize().unwrap().join("with spaces");
        std::fs::create_dir(&folder).unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let child = Command::new(AGENT)
            .args(["disk-layer", &format!("duress-disk-test-{name}")])
            .arg(&folder)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .spawn()
            .unwrap();
        let mut mounted = Mounted {
            folder,
            child,
            reader: BufReader::new(ours.try_clone().unwrap()),
            writer: Some(ours),
            _dir: dir,
        };
        assert_eq!(mounted.read(), Answer::Ok(Value::Null));
        mounted
    }

    fn read(&mut self) -> Answer {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    pub fn ask(&mut self, ask: &Ask) -> Value {
        let line = format!("{}\n", json!(ask));
        self.writer.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
        match self.read() {
            Answer::Ok(value) => value,
            Answer::Error(why) => panic!("{why}"),
        }
    }

    pub fn arm(&mut self, rule: Value) {
        let rule: Rule = serde_json::from_value(rule).unwrap();
        self.ask(&Ask::Arm { rule });
    }

    pub fn counts(&mut self, fault: u64) -> Counts {
        serde_json::from_value(self.ask(&Ask::Count { fault })).unwrap()
    }

    /// As if its agent were killed.
    pub fn orphan(&mut self) {
        let socket = self.writer.take().unwrap();
        socket.shutdown(std::net::Shutdown::Both).unwrap();
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn is_mounted(&self) -> bool {
        let at = self.folder.display().to_string().replace(' ', "\\040");
        std::fs::read_to_string("/proc/self/mountinfo")
            .unwrap()
            .contains(&at)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Some(socket) = self.writer.take() {
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
        let _ = self.child.wait();
    }
}

/// The user and the group of those who are not root.
const OTHER: &str = "setpriv --reuid 1234 --regid 1234 --clear-groups";

#[test]
fn thousands_of_calls_have_the_same_results_as_on_a_plain_directory() {
    let mounted = Mounted::new("calls");
    let plain = tempfile::tempdir().unwrap();
    let calls: usize =
        std::env::var("DURESS_LAYER_CALLS").map_or(6000, |count| count.parse().expect("a number"));
    let mut kinds = std::collections::BTreeMap::new();
    for seed in [1, 2] {
        let mut players = [
            Player::new(&mounted.folder, seed),
            Player::new(plain.path(), seed),
        ];
        for number in 0..calls / 2 {
            let [layered, direct] = players.each_mut().map(Player::step);
            assert_eq!(layered, direct, "call {number} of seed {seed}");
            *kinds.entry(direct.0).or_insert(0) += 1;
            if number % 500 == 0 {
                assert_eq!(
                    tree(&mounted.folder),
                    tree(plain.path()),
                    "after call {number} of seed {seed}"
                );
            }
        }
        drop(players);
        assert_eq!(
            tree(&mounted.folder),
            tree(plain.path()),
            "at the end of seed {seed}"
        );
    }
    assert!(
        kinds.len() >= 24 && kinds.values().all(|count| *count > 10),
        "{kinds:?}"
    );
}

#[test]
fn what_lies_below_is_what_was_seen_above() {
    let mut mounted = Mounted::new("below");
    let mut player = Player::new(&mounted.folder, 3);
    for _ in 0..1500 {
        let _ = player.step();
    }
    drop(player);
    let above = tree(&mounted.folder);
    mounted.ask(&Ask::Detach);
    assert!(!mounted.is_mounted());
    assert_eq!(tree(&mounted.folder), above);
}

/// Owners, modes and rights are those of whoever calls.
#[test]
fn other_users_own_what_they_make_and_are_refused_what_is_not_theirs() {
    let mounted = Mounted::new("owners");
    let plain = tempfile::tempdir().unwrap();
    let said = |folder: &Path| {
        sh(&format!(
            "cd '{}'; chmod 755 ..; chmod 777 .; umask 027; mkdir -m 2775 shared; chgrp 4321 shared; echo a > mine; chmod 600 mine; \
             {OTHER} bash -c 'umask 022; echo b > theirs; mkdir folder; ln -s theirs link; mkfifo pipe; echo c > shared/c; mkdir shared/d; \
             ln theirs hard; echo x >> mine; cat mine; rm -f shared/../mine; chmod 4755 theirs; chown 0 theirs; truncate -s 9 theirs; \
             stat -c \"%A %u %g\" theirs' 2>&1 || true; {OTHER} bash -c 'chmod 6755 hard; echo more >> hard'; python3 -c 'import os; os.setxattr(\"hard\", \"user.a\", b\"b\"); print(os.listxattr(\"hard\"))'; stat -c '%n %A %u %g %s %h %t' * shared/* | sort",
            folder.display()
        ))
    };
    let (layered, direct) = (said(&mounted.folder), said(plain.path()));
    assert_eq!(layered, direct);
    assert!(
        direct.contains("1234 1234") && direct.contains("Permission denied"),
        "{direct}"
    );
}

/// What databases do: shared mappings, locks of both kinds, direct and synchronous writes.
#[test]
fn databases_find_what_they_need() {
    let mounted = Mounted::new("databases");
    let script = r#"
import fcntl, mmap, os, sqlite3, subprocess, sys
os.chdir(sys.argv[1])
f = os.open("map", os.O_RDWR | os.O_CREAT)
os.ftruncate(f, 8192)
m = mmap.mmap(f, 8192)
m[4096:4101] = b"hello"
m.flush()
assert os.pread(f, 5, 4096) == b"hello"
os.pwrite(f, b"world", 0)
assert m[:5] == b"world"
m.close()
assert open("map", "rb").read()[4096:4101] == b"hello"
for mode in ["wal", "delete"]:
    one = sqlite3.connect(mode + ".db", isolation_level=None)
    assert one.execute("pragma journal_mode=" + mode).fetchone()[0] == mode
    one.execute("create table t(x)")
    for x in range(300): one.execute("insert into t values (?)", (x,))
    two = sqlite3.connect(mode + ".db", timeout=0, isolation_level=None)
    assert two.execute("select count(*) from t").fetchone()[0] == 300
    one.execute("begin immediate")
    try: two.execute("begin immediate"); raise SystemExit("not locked")
    except sqlite3.OperationalError: pass
    one.execute("rollback")
    assert two.execute("pragma integrity_check").fetchone()[0] == "ok"
a, b = open("lock", "w"), open("lock", "w")
fcntl.flock(a, fcntl.LOCK_EX)
try: fcntl.flock(b, fcntl.LOCK_EX | fcntl.LOCK_NB); raise SystemExit("not locked")
except BlockingIOError: pass
d = os.open("direct", os.O_RDWR | os.O_CREAT | os.O_DIRECT | os.O_DSYNC)
buffer = mmap.mmap(-1, 8192)
buffer[:] = b"d" * 8192
assert os.writev(d, [buffer]) == 8192
assert os.preadv(d, [buffer], 4096) == 4096
assert open("direct", "rb").read() == b"d" * 8192
t = open("gone", "w+")
os.unlink("gone")
t.write("still here"); t.flush(); os.fsync(t.fileno()); t.seek(0)
assert t.read() == "still here" and os.fstat(t.fileno()).st_nlink == 0
"#;
    let output = Command::new("python3")
        .args(["-c", script])
        .arg(&mounted.folder)
        .output()
        .expect("python3");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn fsync_ms(folder: &Path) -> f64 {
    let script = "import os, sys, time\nf = os.open(sys.argv[1] + '/timed', os.O_RDWR | os.O_CREAT)\nos.write(f, b'x')\n\
                  t = time.monotonic()\nos.fsync(f)\nprint((time.monotonic() - t) * 1000)";
    let output = Command::new("python3")
        .args(["-c", script])
        .arg(folder)
        .output()
        .expect("python3");
    let said = String::from_utf8_lossy(&output.stdout);
    said.trim()
        .parse()
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

/// A layer whose agent dies lets go of everything, and goes on for those who use it.
#[test]
fn the_end_of_its_agent_disarms_a_layer_that_is_still_used() {
    let mut mounted = Mounted::new("orphan");
    let slow = json!({"slow": {"delay_us": 300_000, "jitter_us": 0, "distribution": "uniform"}});
    mounted.arm(json!({"fault": 1, "calls": ["fsync"], "effect": slow, "seed": 1}));
    assert!(fsync_ms(&mounted.folder) >= 300.0);
    assert_eq!(mounted.counts(1).hit, 1);
    // As a node that lives has it.
    let used = std::fs::File::create(mounted.folder.join("used")).unwrap();
    mounted.orphan();
    wait_until("the layer to go away", || (!mounted.is_mounted()).then_some(()));
    let began = std::time::Instant::now();
    (&used).write_all(b"still").unwrap();
    used.sync_all().unwrap();
    assert!(began.elapsed().as_millis() < 300);
    assert_eq!(std::fs::read(mounted.folder.join("used")).unwrap(), b"still");
    assert!(
        std::fs::exists(format!("/proc/{}", mounted.pid())).unwrap(),
        "it lives as long as it is used"
    );
    drop(used);
    wait_until("its end", || mounted.child.try_wait().unwrap());
}

/// Late calls keep nobody waiting but who made them.
#[test]
fn slow_calls_are_slow_side_by_side() {
    let mut mounted = Mounted::new("beside");
    let slow = json!({"slow": {"delay_us": 300_000, "jitter_us": 0, "distribution": "uniform"}});
    mounted.arm(json!({"fault": 1, "calls": ["fsync"], "effect": slow, "seed": 1}));
    let began = std::time::Instant::now();
    std::thread::scope(|scope| {
        for number in 0..16 {
            let path = mounted.folder.join(number.to_string());
            scope.spawn(move || std::fs::File::create(path).unwrap().sync_all().unwrap());
        }
    });
    let took = began.elapsed().as_millis();
    assert!((300..1200).contains(&took), "{took} ms");
    std::fs::read(mounted.folder.join("0")).unwrap();
}

/// What the page cache holds is not asked for; a fault of reads is met all the same.
#[test]
fn reads_fail_though_their_pages_are_in_memory() {
    let mut mounted = Mounted::new("reads");
    let path = mounted.folder.join("a.log");
    std::fs::write(&path, vec![7; 10_000]).unwrap();
    std::fs::read(&path).unwrap();
    let fail = json!({"fail": {"errno": 5, "when": "always"}});
    mounted.arm(json!({"fault": 1, "calls": ["read"], "path": "*.log", "effect": fail, "seed": 1}));
    assert_eq!(std::fs::read(&path).unwrap_err().raw_os_error(), Some(5));
    assert!(mounted.counts(1).hit > 0);
    mounted.ask(&Ask::Disarm { fault: 1 });
    assert_eq!(std::fs::read(&path).unwrap(), vec![7; 10_000]);
}

#[test]
fn a_full_disk_says_so_and_takes_what_needs_no_space() {
    let mut mounted = Mounted::new("full");
    let path = mounted.folder.join("a");
    std::fs::write(&path, vec![7; 8192]).unwrap();
    mounted.arm(json!({"fault": 1, "calls": ["create", "write", "truncate", "allocate", "mkdir"], "effect": "full", "seed": 1}));
    let full = |result: std::io::Result<()>| assert_eq!(result.unwrap_err().raw_os_error(), Some(28));
    full(std::fs::write(mounted.folder.join("b"), "x"));
    full(std::fs::create_dir(mounted.folder.join("c")));
    let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all(&[8; 4096]).unwrap();
    full(
        std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"x"),
    );
    let free = sh(&format!("stat -f -c %a '{}'", mounted.folder.display()));
    assert_eq!(free.trim(), "0");
    mounted.ask(&Ask::Disarm { fault: 1 });
    std::fs::write(mounted.folder.join("b"), "x").unwrap();
}
