//! How fast the harness itself is, against a stub server that answers at once.
//!
//! `cargo bench -p duress` prints two rows: operations a second in a closed loop, and the recorded latency in an open
//! loop at 5,000 a second. The stub runs on the same machine, so all of that latency counts as the harness' own share.
//! What is measured is the path of a real run: generator, client over HTTP, recorder, `history.jsonl` on disk.
//!
//! `cargo bench -p duress -- clients` compares the clients in Rust with the same systems spoken to by templates, in turns.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use duress::load::{Clients, Pace};
use duress::recorder::{Recorder, Tally};
use duress_checker::history::{Event, EventType, Process, RunNote};
use duress_workloads::Endpoint;
use duress_workloads::clients::{self, ClientKind, Definition, Options, ReadMode};
use duress_workloads::retry::{RetryOn, RetryPolicy, Routing};
use duress_workloads::workload::register::{Register, RegisterSpec};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Long enough to outlast the start of connections many times over.
const LENGTH: Duration = Duration::from_secs(8);

fn main() {
    let address = start_stub();
    if std::env::args().any(|arg| arg == "clients") {
        return compare_clients(address);
    }
    println!(
        "stub server on loopback, {} cores, {} s a row",
        cores(),
        LENGTH.as_secs()
    );
    for processes in [10, 50, 200] {
        let (tally, _) = measure(address, &client("specimen"), Pace::Closed { processes });
        println!(
            "closed loop, {processes:>3} processes: {:>7.0} operations/s   (ok {}, fail {}, info {})",
            tally.ok as f64 / LENGTH.as_secs_f64(),
            tally.ok,
            tally.fail,
            tally.info
        );
    }
    for rate in [1000.0, 5000.0] {
        let (tally, mut latencies) =
            measure(address, &client("specimen"), Pace::Open { rate, processes: 200 });
        latencies.sort_unstable();
        let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize] as f64 / 1e6;
        println!(
            "open loop, {rate:>5.0} a second: recorded latency p50 {:.3} ms, p95 {:.3} ms, p99 {:.3} ms   (ok {})",
            at(0.5),
            at(0.95),
            at(0.99),
            tally.ok
        );
    }
}

/// Rounds in which each client has its turn: what else goes on on the machine then meets all of them.
const ROUNDS: usize = 5;

fn compare_clients(address: SocketAddr) {
    for system in ["specimen", "etcd"] {
        let (rust, templates) = (client(system), by_templates(&format!("{system}-http")));
        let mut rates = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for (client, rates) in [&rust, &templates].into_iter().zip(&mut rates) {
                let (tally, _) = measure(address, client, Pace::Closed { processes: 50 });
                assert_eq!((tally.fail, tally.info), (0, 0), "of {system}");
                rates.push(tally.ok as f64 / LENGTH.as_secs_f64());
            }
        }
        let [rust, templates] = rates.map(|mut rates| {
            rates.sort_by(f64::total_cmp);
            rates[rates.len() / 2]
        });
        println!(
            "{system}, closed loop, 50 processes, median of {ROUNDS}: {rust:.0} operations/s in Rust, {templates:.0} by templates \
             ({:+.1} %)",
            (templates / rust - 1.0) * 100.0
        );
    }
}

fn client(name: &str) -> ClientKind {
    let nothing = Definition {
        text: "",
        folder: Path::new("."),
    };
    clients::of(name, &nothing).expect("a client in Rust")
}

fn by_templates(fixture: &str) -> ClientKind {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(fixture);
    let text = std::fs::read_to_string(folder.join("system.toml")).expect("a fixture");
    let definition = Definition {
        text: &text,
        folder: &folder,
    };
    clients::of("http", &definition).expect("templates")
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(0, usize::from)
}

/// Runs the load against the stub, and gives the latencies in nanoseconds as the history has them.
fn measure(address: SocketAddr, client: &ClientKind, pace: Pace) -> (Tally, Vec<u64>) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("history.jsonl");
    let (recorder, writer) = Recorder::create(&path, RunNote::default()).expect("a new history");
    let policy = RetryPolicy {
        timeout: Duration::from_secs(1),
        deadline: Duration::from_secs(1),
        attempts_max: 1,
        backoff: Duration::from_millis(1),
        backoff_max: Duration::from_millis(1),
        budget_ratio: 1.0,
        tokens: true,
        retry_on: RetryOn::ALL,
        hedge: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let options = Options {
            from: None,
            read: ReadMode::Linearizable,
            lease: None,
            long_writes: false,
            body_max: 1 << 20,
            programs: None,
        };
        let service = (client.make)(options).expect("a client");
        let workload = Register::new(&RegisterSpec {
            keys: 100,
            ..RegisterSpec::default()
        })
        .expect("a workload");
        let endpoints = vec![Arc::new(Endpoint {
            node: "stub".to_owned(),
            address,
        })];
        let clients = Clients::new(
            service,
            Arc::new(endpoints),
            policy,
            Routing::Leader,
            Box::new(workload),
            recorder.clone(),
            1,
        );
        let clients = Arc::new(clients.expect("threads"));
        let (stop, stopped) = watch::channel(false);
        let load = tokio::spawn(async move { clients.run(pace, stopped).await });
        tokio::time::sleep(LENGTH).await;
        stop.send_replace(true);
        load.await.expect("the load");
    });
    let tally = recorder.tally();
    writer.finish(&recorder).expect("a written history");
    (tally, latencies(&std::fs::read(&path).expect("a history")))
}

fn latencies(history: &[u8]) -> Vec<u64> {
    let events = duress_checker::history::jsonl::read_events(history).expect("a well-formed history");
    let mut begun = std::collections::HashMap::new();
    let mut latencies = Vec::new();
    for Event {
        process,
        kind,
        time,
        extra,
        ..
    } in events
    {
        let Process::Client(process) = process else {
            continue;
        };
        match kind {
            EventType::Invoke => {
                let intended = extra.get("intended").and_then(serde_json::Value::as_u64);
                begun.insert(process, intended.unwrap_or(time));
            }
            _ => latencies.extend(begun.remove(&process).map(|start| time - start)),
        }
    }
    latencies
}

/// A server that answers every request of the specimen's interface, and of etcd's, with the same success.
fn start_stub() -> SocketAddr {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .expect("a runtime");
        runtime.block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            sender
                .send(listener.local_addr().expect("an address"))
                .expect("someone waits");
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                tokio::spawn(answer(stream));
            }
        });
    });
    receiver.recv_timeout(Duration::from_secs(5)).expect("a stub")
}

async fn answer(mut stream: TcpStream) -> Option<()> {
    // Each its own: what a client has to read is part of what is measured.
    let [specimen, etcd] = [
        r#"{"value":7,"index":1,"swapped":true}"#,
        r#"{"header":{"revision":"7"},"succeeded":true,"kvs":[{"key":"azE=","value":"Nw=="}]}"#,
    ]
    .map(|body| format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
    stream.set_nodelay(true).ok()?;
    let mut buffer = Vec::with_capacity(4096);
    loop {
        while let Some(length) = request_length(&buffer) {
            let response = match buffer.starts_with(b"POST /v3/") {
                true => &etcd,
                false => &specimen,
            };
            buffer.drain(..length);
            stream.write_all(response.as_bytes()).await.ok()?;
        }
        if stream.read_buf(&mut buffer).await.ok()? == 0 {
            return None;
        }
    }
}

/// Length of the first request in the buffer, if all of it is there.
fn request_length(buffer: &[u8]) -> Option<usize> {
    let head = buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&buffer[..head]).ok()?;
    let body = (text.lines())
        .find_map(|line| {
            line.split_once(':')
                .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        })
        .map_or(Some(0), |(_, value)| value.trim().parse().ok())?;
    (buffer.len() >= head + body).then_some(head + body)
}
