//! What no system should do, over plain sockets: `--listen ADDRESS:PORT`, `--name n3`, and `--modes a,b,c`, of which the
//! third is n3's. Status requests are answered as the specimen would, except in modes that begin with `status`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

struct Server {
    name: String,
    mode: String,
    /// Where redirects point.
    target: String,
    store: Mutex<BTreeMap<String, Value>>,
    requests: AtomicUsize,
}

struct Request {
    method: String,
    path: String,
    body: Value,
}

#[expect(clippy::print_stdout, reason = "its log is read by tests")]
pub fn main(args: &[OsString]) -> ExitCode {
    let args: Vec<String> = args
        .iter()
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    let value = |name: &str| {
        let position = args.iter().position(|arg| arg == name);
        position.and_then(|position| args.get(position + 1).cloned())
    };
    let name = value("--name").expect("--name");
    let modes = value("--modes").expect("--modes");
    let modes: Vec<&str> = modes.split(',').collect();
    let number: usize = name.trim_start_matches('n').parse().expect("a name like n3");
    let server = Arc::new(Server {
        mode: modes[(number - 1) % modes.len()].to_owned(),
        target: value("--target").unwrap_or_else(|| "http://127.0.0.1:1/".to_owned()),
        name,
        store: Mutex::default(),
        requests: AtomicUsize::new(0),
    });
    let limit = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).expect("a limit");
    println!("open files: {} {}", limit.0, limit.1);
    let listener = TcpListener::bind(value("--listen").expect("--listen")).expect("an address");
    loop {
        // Fails when there is no descriptor left.
        let Ok((stream, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        };
        let server = server.clone();
        // A client that hangs up is no error.
        std::thread::spawn(move || server.serve(stream).ok());
    }
}

impl Server {
    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        while let Some(request) = read_request(&mut stream)? {
            if self.mode == "forward" {
                self.forward(&mut stream, &request)?;
            } else if request.path == "/status" && !self.mode.starts_with("status") {
                let role = if self.name == "n1" { "leader" } else { "follower" };
                let status = json!({"role": role, "term": 1, "leader": "n1", "commit": 1, "applied": 1, "ready": true});
                answer(&mut stream, 200, "", &status)?;
            } else {
                self.misbehave(&mut stream, &request)?;
            }
        }
        Ok(())
    }

    /// Passes a request on to the target, `host:port`, and answers with what that answers.
    fn forward(&self, stream: &mut TcpStream, request: &Request) -> io::Result<()> {
        let limit = Duration::from_millis(300);
        let connected = (self.target.to_socket_addrs())
            .and_then(|mut addresses| addresses.next().ok_or_else(|| io::ErrorKind::NotFound.into()))
            .and_then(|address| TcpStream::connect_timeout(&address, limit));
        // What was never sent was never executed; of all else nobody knows.
        let refusal = |executed| json!({"error": "no-quorum", "executed": executed});
        let Ok(mut target) = connected else {
            return answer(stream, 503, "", &refusal("no"));
        };
        target.set_read_timeout(Some(limit))?;
        let body = request.body.to_string();
        let (method, path, length) = (&request.method, &request.path, body.len());
        write!(
            target,
            "{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}"
        )?;
        match read_request(&mut target) {
            Ok(Some(answered)) if answered.path == "200" => answer(stream, 200, "", &answered.body),
            _ => answer(stream, 503, "", &refusal("unknown")),
        }
    }

    /// An error ends the connection.
    fn misbehave(&self, stream: &mut TcpStream, request: &Request) -> io::Result<()> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let ended = Err(io::ErrorKind::Other.into());
        let chunk = "x".repeat(1 << 16);
        match self.mode.trim_start_matches("status-") {
            "honest" => {
                let result = self.apply(request);
                answer(stream, 200, "", &result)
            }
            "late" => {
                let result = self.apply(request);
                std::thread::sleep(Duration::from_millis(200));
                answer(stream, 200, "", &result)
            }
            "retry-after" => {
                let values = ["-1", "nan", "inf", "1e300", "100000", "99999999999999999999999"];
                let header = format!("retry-after: {}\r\n", values[number % values.len()]);
                let refusal = json!({"error": "overloaded", "executed": "no"});
                answer(stream, 429, &header, &refusal)
            }
            // Every other write is answered, so that there is something to judge.
            "redirect" | "redirect-writes" => {
                let result = self.apply(request);
                if self.mode == "redirect-writes" && (request.method == "GET" || number.is_multiple_of(2)) {
                    return answer(stream, 200, "", &result);
                }
                let header = format!("location: {}\r\n", self.target);
                answer(stream, 307, &header, &Value::Null)
            }
            "long-body" => {
                write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")?;
                for _ in 0..1_000_000_000 / chunk.len() {
                    stream.write_all(chunk.as_bytes())?;
                }
                ended
            }
            "endless-body" => {
                write!(stream, "HTTP/1.1 200 OK\r\n\r\n")?;
                loop {
                    stream.write_all(chunk.as_bytes())?;
                }
            }
            "endless-chunks" => {
                write!(stream, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
                loop {
                    write!(stream, "{:x}\r\n{chunk}\r\n", chunk.len())?;
                }
            }
            "tiny-chunks" => {
                write!(stream, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
                loop {
                    write!(stream, "1\r\nx\r\n")?;
                }
            }
            "endless-headers" => {
                write!(stream, "HTTP/1.1 200 OK\r\n")?;
                for header in 0_u64.. {
                    write!(stream, "x-{header}: {header}\r\n")?;
                }
                ended
            }
            "endless-header" => {
                write!(stream, "HTTP/1.1 200 OK\r\nx: ")?;
                loop {
                    stream.write_all(chunk.as_bytes())?;
                }
            }
            "slow-headers" => slowly(stream, "HTTP/1.1 200 OK\r\nx-slow: "),
            "slow-body" => slowly(stream, "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"),
            "garbage" => {
                let bytes: Vec<u8> = (0..10_000_u32)
                    .map(|byte| (byte.wrapping_mul(2_654_435_761) >> 24) as u8)
                    .collect();
                stream.write_all(&bytes)?;
                ended
            }
            "half-closed" => {
                self.apply(request);
                stream.shutdown(Shutdown::Write)?;
                io::copy(stream, &mut io::sink())?;
                ended
            }
            "reset" => {
                self.apply(request);
                let now = nix::libc::linger {
                    l_onoff: 1,
                    l_linger: 0,
                };
                nix::sys::socket::setsockopt(stream, nix::sys::socket::sockopt::Linger, &now)?;
                ended
            }
            "wrong-type" => {
                write!(
                    stream,
                    "HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 4\r\n\r\n\u{1}\u{2}\u{3}\u{4}"
                )
            }
            "long-error" => {
                let refusal = json!({"error": "é".repeat(400_000), "executed": "unknown"});
                answer(stream, 503, "", &refusal)
            }
            "lies" => {
                self.apply(request);
                answer(stream, 502, "", &json!({"error": "not-leader", "executed": "no"}))
            }
            "deep" => {
                let body = "[".repeat(500_000);
                write!(
                    stream,
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                )
            }
            "long-value" => {
                let value = "0,".repeat(50_000);
                let body = format!("{{\"index\":1,\"value\":[{value}0]}}");
                write!(
                    stream,
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                )
            }
            "silent" => {
                io::copy(stream, &mut io::sink())?;
                ended
            }
            unknown => panic!("no mode {unknown}"),
        }
    }

    /// Does what is asked, as it should be.
    fn apply(&self, request: &Request) -> Value {
        let mut store = self.store.lock().expect("no panic");
        let key = request.path.trim_start_matches("/kv/").split(['/', '?']).next();
        let value = store.entry(key.unwrap_or_default().to_owned()).or_default();
        match request.method.as_str() {
            "GET" => return json!({"value": value, "index": 1}),
            "POST" => {
                let swapped = *value == request.body["old"];
                if swapped {
                    *value = request.body["new"].clone();
                }
                return json!({"swapped": swapped, "index": 1});
            }
            "PUT" => *value = request.body["value"].clone(),
            _ => *value = Value::Null,
        }
        json!({"index": 1})
    }
}

/// A byte now and then, for ever.
fn slowly(stream: &mut TcpStream, head: &str) -> io::Result<()> {
    stream.write_all(head.as_bytes())?;
    loop {
        std::thread::sleep(Duration::from_millis(50));
        stream.write_all(b"x")?;
    }
}

fn answer(stream: &mut TcpStream, status: u16, headers: &str, body: &Value) -> io::Result<()> {
    let body = body.to_string();
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status} -\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(answer.as_bytes())
}

/// The next request, or none if the client has hung up.
fn read_request(stream: &mut TcpStream) -> io::Result<Option<Request>> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        match stream.read(&mut chunk)? {
            0 => return Ok(None),
            read => bytes.extend_from_slice(&chunk[..read]),
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let length = head
        .lines()
        .find_map(|line| {
            line.to_lowercase()
                .strip_prefix("content-length:")?
                .trim()
                .parse()
                .ok()
        })
        .unwrap_or(0);
    let mut body = bytes.split_off(end);
    while body.len() < length {
        match stream.read(&mut chunk)? {
            0 => return Ok(None),
            read => body.extend_from_slice(&chunk[..read]),
        }
    }
    let mut words = head.split(' ').map(str::to_owned);
    Ok(Some(Request {
        method: words.next().unwrap_or_default(),
        path: words.next().unwrap_or_default(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    }))
}
