//! What packets carry, how often and in which order they come, and how many: seen by datagrams and a connection of the test's own.

use std::process::Command;

use serde_json::Value;

use super::{LONG_MS, tables, verified};
use crate::lab::Lab;
use crate::stage::Stage;

/// Opens sockets in the network namespaces of two processes. With `udp`, sends so many numbered datagrams of 200 bytes, one every 2 ms,
/// and tells in which order they came, how many had other data, and by how many bits. With `tcp`, sends so many bytes by a connection
/// and tells how many seconds they took, and whether they are the same. Both tell what the receiver's kernel refused for its checksum.
const TALK: &str = r#"
import ctypes, json, os, select, socket, sys, threading, time
kind, sender, receiver, to, count = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5])
def enter(pid):
    if ctypes.CDLL(None, use_errno=True).setns(os.open(f"/proc/{pid}/ns/net", os.O_RDONLY), 0): raise OSError(ctypes.get_errno())
def opened(pid, how):
    enter(pid)
    return socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, how)
def refused():
    enter(receiver)
    name = "Udp:" if kind == "udp" else "Tcp:"
    names, values = [l.split() for l in open("/proc/thread-self/net/snmp") if l.startswith(name)]
    v6 = [int(l.split()[1]) for l in open("/proc/thread-self/net/snmp6") if l.startswith("Udp6InCsumErrors")]
    return int(values[names.index("InCsumErrors")]) + (v6[0] if kind == "udp" else 0)
before, said = refused(), {}
if kind == "udp":
    s, r = opened(sender, socket.SOCK_DGRAM), opened(receiver, socket.SOCK_DGRAM)
    r.bind((to, 0))
    name = lambda n: n.to_bytes(4, "big")
    order, bits = [], []
    def listen(until):
        while (left := until - time.monotonic()) > 0:
            if select.select([r], [], [], left)[0]:
                data = r.recv(1000)
                names = [data[i * 4:i * 4 + 4] for i in range(50)]
                most = max(set(names), key=names.count)
                order.append(int.from_bytes(most, "big"))
                wrong = sum(bin(a ^ b).count("1") for a, b in zip(data, most * 50))
                if wrong: bits.append(wrong)
    for n in range(count):
        s.sendto(name(n) * 50, r.getsockname())
        listen(time.monotonic() + 0.002)
    listen(time.monotonic() + 0.5)
    newest, overtaken, seen = -1, 0, set()
    for n in order:
        overtaken += n < newest and n not in seen
        newest = max(newest, n); seen.add(n)
    said = dict(heard=len(seen), twice=len(order) - len(seen), overtaken=overtaken, changed=len(bits), bits=max(bits, default=0))
else:
    s, l = opened(sender, socket.SOCK_STREAM), opened(receiver, socket.SOCK_STREAM)
    l.bind((to, 0)); l.listen()
    sent, got = os.urandom(count), bytearray()
    def take():
        c, _ = l.accept()
        while len(got) < count: got.extend(c.recv(65536))
    taker = threading.Thread(target=take); taker.start()
    s.connect(l.getsockname())
    began = time.monotonic()
    s.sendall(sent); taker.join()
    said = dict(seconds=time.monotonic() - began, same=sent == bytes(got))
said["refused"] = refused() - before
print(json.dumps(said))
"#;

/// From one node to another's address.
fn talk(lab: &Lab, kind: &str, [from, to]: [usize; 2], address: &str, count: u32) -> Value {
    let pid = |node| lab.place(node).pid.to_string();
    let output = Command::new("timeout")
        .args(["60", "python3", "-c", TALK, kind])
        .args([pid(from), pid(to), address.to_owned(), count.to_string()])
        .output()
        .expect("timeout and python3");
    let said = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&said)
        .unwrap_or_else(|_| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)))
}

/// A number that it told.
fn number(said: &Value, what: &str) -> u64 {
    said[what].as_u64().unwrap_or_else(|| panic!("{what} in {said}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_come_twice_in_another_order_and_with_other_data() {
    let stage = Stage::new(2).await;
    let lab = &stage.cluster.lab;
    let fault = r#"{"kind":"packets","duplicate":0.2,"reorder":0.1,"corrupt":0.2,"checksum":"repaired",
        "shape":"one-way","targets":["n1"]}"#;
    let run = stage.begin(&[(fault, LONG_MS)]);
    verified(&stage, 0).await;
    for address in ["10.9.0.2", "fd09::2"] {
        let seen = talk(lab, "udp", [1, 2], address, 400);
        assert_eq!(number(&seen, "heard"), 400, "{address}: {seen}");
        assert_eq!(number(&seen, "refused"), 0, "{address}: {seen}");
        assert_eq!(number(&seen, "bits"), 1, "{address}: {seen}");
        // 80 with a standard deviation of 8; a copy of one that was changed is changed, too: 96.
        assert!((40..=120).contains(&number(&seen, "twice")), "{address}: {seen}");
        assert!(
            (50..=145).contains(&number(&seen, "changed")),
            "{address}: {seen}"
        );
        // 40 with a standard deviation of 6, if the machine does not stand still.
        assert!(
            (10..=70).contains(&number(&seen, "overtaken")),
            "{address}: {seen}"
        );
    }
    // The way back is another link.
    let back = talk(lab, "udp", [2, 1], "10.9.0.1", 100);
    for what in ["twice", "overtaken", "changed"] {
        assert_eq!(number(&back, what), 0, "{back}");
    }
    stage.cancel.send_replace(true);
    run.await.unwrap().unwrap();
    stage.assert_proven(0);
    let healed = talk(lab, "udp", [1, 2], "10.9.0.2", 100);
    for what in ["twice", "overtaken", "changed"] {
        assert_eq!(number(&healed, what), 0, "{healed}");
    }
    assert_eq!(tables(lab, 1) + &tables(lab, 2), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_gets_over_broken_checksums_and_believes_those_that_fit() {
    for (checksum, repaired) in [("broken", false), ("repaired", true)] {
        let stage = Stage::new(2).await;
        let lab = &stage.cluster.lab;
        let fault = format!(
            r#"{{"kind":"packets","corrupt":0.1,"checksum":"{checksum}","shape":"one-way","targets":["n1"]}}"#
        );
        let run = stage.begin(&[(&fault, LONG_MS)]);
        verified(&stage, 0).await;
        let seen = talk(lab, "tcp", [1, 2], "10.9.0.2", 300_000);
        assert_eq!(seen["same"], !repaired, "{checksum}: {seen}");
        assert_eq!(number(&seen, "refused") > 0, !repaired, "{checksum}: {seen}");
        stage.cancel.send_replace(true);
        run.await.unwrap().unwrap();
        stage.assert_proven(0);
        let healed = talk(lab, "tcp", [1, 2], "10.9.0.2", 300_000);
        assert_eq!(healed["same"], true);
        assert_eq!(number(&healed, "refused"), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_pass_in_a_second_than_the_rate() {
    let stage = Stage::new(2).await;
    let lab = &stage.cluster.lab;
    let fault = r#"{"kind":"packets","rate":"200KiB","queue":"32KiB","shape":"one-way","targets":["n1"]}"#;
    let run = stage.begin(&[(fault, LONG_MS)]);
    verified(&stage, 0).await;
    let seconds = |seen: &Value| seen["seconds"].as_f64().expect("seconds");
    for address in ["10.9.0.2", "fd09::2"] {
        let seen = talk(lab, "tcp", [1, 2], address, 300 << 10);
        assert_eq!(seen["same"], true, "{address}");
        // A second and a half, and headers; what is dropped for want of room is sent again.
        assert!((1.4..6.0).contains(&seconds(&seen)), "{address}: {seen}");
    }
    let back = talk(lab, "tcp", [2, 1], "10.9.0.1", 300 << 10);
    assert!(seconds(&back) < 1.0, "{back}");
    stage.cancel.send_replace(true);
    run.await.unwrap().unwrap();
    stage.assert_proven(0);
    assert!(seconds(&talk(lab, "tcp", [1, 2], "10.9.0.2", 300 << 10)) < 1.0);
}
