//! TCP connections that are reset or half-open, seen by both of their ends: sockets of the test's own in the nodes' network namespaces.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use duress_checker::history::FaultStep;
use serde_json::Value;

use super::lab::{Lab, sh, wait_until};
use super::packets::{LONG_MS, tables, verified};
use super::stage::Stage;

/// Opens connections, each from one network namespace to an address in another, and tells their ends: `local`, `remote`, `inode`. Then, for
/// each line that it reads, tells of each end `open` or by which error it has ended; `send` sends a byte on each from its second end before,
/// `again` opens all of them anew before, `close` closes all.
const HOLD: &str = r#"
import ctypes, errno, json, os, socket, sys, time
def opened(pid, to):
    if ctypes.CDLL(None).setns(os.open(f"/proc/{pid}/ns/net", os.O_RDONLY), 0): raise OSError("setns")
    return socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET)
def connect(a, b, to):
    l = opened(b, to); l.bind((to, 0)); l.listen()
    c = opened(a, to); c.settimeout(5); c.connect(l.getsockname())
    s, _ = l.accept()
    for end in (c, s): end.setblocking(False)
    return c, s
wanted = [sys.argv[i:i + 3] for i in range(1, len(sys.argv), 3)]
pairs = [connect(*w) for w in wanted]
def shown(a): return f"[{a[0]}]:{a[1]}" if ":" in a[0] else f"{a[0]}:{a[1]}"
def told(s): return dict(local=shown(s.getsockname()), remote=shown(s.getpeername()), inode=os.fstat(s.fileno()).st_ino)
said = {}
def state(s):
    try: return "closed" if s.recv(100) == b"" else "open"
    except BlockingIOError: return said.get(s, "open")
    except OSError as e:
        said[s] = errno.errorcode[e.errno]; return said[s]
print(json.dumps([[told(c), told(s)] for c, s in pairs]), flush=True)
for line in sys.stdin:
    if line == "send\n":
        for _, s in pairs:
            try: s.send(b"x")
            except OSError: pass
        time.sleep(0.3)
    if line == "again\n": pairs = [connect(*w) for w in wanted]
    if line == "close\n":
        for ends in pairs:
            for s in ends: s.close()
        pairs = []
    print(json.dumps([[state(c), state(s)] for c, s in pairs]), flush=True)
"#;

/// Connections that are held open.
pub struct Held {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Their ends.
    pub ends: Value,
}

impl Held {
    /// Each from one node to an address of another.
    pub fn open(lab: &Lab, wanted: &[(usize, usize, &str)]) -> Held {
        let pid = |node| lab.place(node).pid.to_string();
        let arguments = wanted
            .iter()
            .flat_map(|(from, to, address)| [pid(*from), pid(*to), (*address).to_owned()]);
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "python3", "-c", HOLD])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("setpriv and python3");
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut held = Held {
            child,
            input,
            output: BufReader::new(output),
            ends: Value::Null,
        };
        held.ends = held.line();
        held
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line:?} is no JSON"))
    }

    /// What it says of each of their ends.
    pub fn ask(&mut self, what: &str) -> Vec<[String; 2]> {
        writeln!(self.input, "{what}").expect("it reads");
        serde_json::from_value(self.line()).expect("two words of each")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn all(ends: &[[String; 2]], wanted: [&str; 2]) -> bool {
    !ends.is_empty() && ends.iter().all(|ends| *ends == wanted.map(str::to_owned))
}

const TO_N1: &str = r#"{"kind":"tcp-reset","targets":["n1"]}"#;
pub const HALF_OPEN: &str = r#"{"kind":"half-open","targets":["n1"]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_ends_connections_of_the_target_at_both_ends_and_no_others() {
    let stage = Stage::new(3).await;
    let lab = &stage.cluster.lab;
    let mut held = Held::open(
        lab,
        &[
            (1, 2, "10.9.0.2"),
            (2, 1, "10.9.0.1"),
            (1, 3, "fd09::3"),
            (2, 1, "fd09::1"),
        ],
    );
    let mut others = Held::open(lab, &[(2, 3, "10.9.0.3"), (3, 2, "fd09::2"), (1, 1, "10.9.0.1")]);
    stage.begin(&[(TO_N1, 100)]).await.unwrap().unwrap();
    stage.assert_proven(0);
    let verify = stage.event(0, FaultStep::Verify).await;
    assert_eq!(verify.detail, "4 connections are gone at both ends");
    for (index, ends) in held.ask("look").into_iter().enumerate() {
        let mut ends: Vec<String> = ends.into();
        ends.sort_unstable();
        assert_eq!(ends, ["ECONNABORTED", "ECONNRESET"], "connection {index}");
    }
    assert!(all(&others.ask("send"), ["open", "open"]));
    assert!(all(&held.ask("again"), ["open", "open"]));
    assert_eq!(tables(lab, 1) + &tables(lab, 2), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_open_connection_is_gone_at_one_end_and_the_other_does_not_know() {
    let stage = Stage::new(2).await;
    let lab = &stage.cluster.lab;
    let mut held = Held::open(lab, &[(1, 2, "10.9.0.2"), (1, 2, "fd09::2")]);
    let run = stage.begin(&[(HALF_OPEN, LONG_MS)]);
    verified(&stage, 0).await;
    // Whatever is sent on it gets no answer.
    assert!(all(&held.ask("send"), ["ECONNABORTED", "open"]));
    let mut new = Held::open(lab, &[(1, 2, "10.9.0.2")]);
    assert!(all(&new.ask("send"), ["open", "open"]));
    stage.cancel.send_replace(true);
    run.await.unwrap().unwrap();
    stage.assert_proven(0);
    let recheck = stage.event(0, FaultStep::Recheck).await;
    assert!(
        recheck
            .detail
            .starts_with("2 of 2 connections are half-open still; "),
        "{recheck:?}"
    );
    // Ended by the agent, or by the answer to what it sends again.
    for ends in held.ask("look") {
        assert!(ends[1] == "ECONNABORTED" || ends[1] == "ECONNRESET", "{ends:?}");
    }
    assert!(all(&new.ask("send"), ["open", "open"]));
    assert_eq!(tables(lab, 1) + &tables(lab, 2), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_open_connections_are_healed_by_an_agent_alone_and_from_the_journal() {
    for agent_dies in [false, true] {
        let stage = Stage::new(2).await;
        let mut held = Held::open(&stage.cluster.lab, &[(1, 2, "10.9.0.2")]);
        let run = stage.begin(&[(HALF_OPEN, LONG_MS)]);
        verified(&stage, 0).await;
        let agent = stage.agent_pid();
        if agent_dies {
            sh(&format!("kill -KILL {agent}"));
        }
        run.abort();
        let _ = run.await;
        let (cluster, report, _dir, _key) = match agent_dies {
            true => {
                assert!(
                    tables(&stage.cluster.lab, 2).contains("DURESS"),
                    "somebody healed"
                );
                stage.heal().await
            }
            false => {
                let healed = stage.heal().await;
                wait_until("the agent to end", || {
                    matches!(healed.0.lab.state(agent as u32), 'X' | 'Z').then_some(())
                });
                healed
            }
        };
        assert!(report.failed.is_empty(), "{report:?}");
        assert_eq!(tables(&cluster.lab, 1) + &tables(&cluster.lab, 2), "");
        assert!(
            all(&held.ask("look"), ["ECONNABORTED", "ECONNABORTED"]),
            "{agent_dies}"
        );
    }
}
