//! The client with programs of a few lines of shell, most of which misbehave.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::*;

/// A client whose program is this script.
fn exec(script: &str) -> Exec {
    let argv = toml::Value::from(vec!["sh", "-c", script]);
    let text = format!("[exec]\nargv = {argv}\noperations = [\"read\", \"write\"]");
    let program = Program::parse(&text, Path::new("/")).expect("a definition");
    let options = Options {
        from: None,
        read: ReadMode::Linearizable,
        lease: None,
        long_writes: false,
        body_max: 10_000,
        programs: None,
    };
    Exec::new(Arc::new(program), options)
}

fn op(f: &'static str) -> Op {
    Op {
        f,
        key: Some(json!("k")),
        value: json!(4),
        idempotent: false,
    }
}

async fn ask(exec: &Exec) -> Answer {
    let endpoint = Endpoint {
        node: "n1".to_owned(),
        address: "127.0.0.1:1".parse().expect("an address"),
    };
    let asker = Asker {
        process: 7,
        token: None,
    };
    exec.attempt(&endpoint, &op("write"), asker).await
}

fn unknown(answer: Answer) -> String {
    match answer {
        Answer::Unknown { error } => error,
        other => panic!("{other:?}"),
    }
}

/// Answers each question by its number.
const HONEST: &str = r#"n=0; while read -r line; do echo "{\"id\":$n,\"type\":\"ok\"}"; n=$((n+1)); done"#;

/// Answers the greeting, and then does something else.
fn greeted(then: &str) -> String {
    format!("read -r line; echo '{{\"id\":0,\"type\":\"ok\"}}'; {then}")
}

/// Asks until a program is there.
async fn ask_patiently(exec: &Exec) -> Answer {
    loop {
        match ask(exec).await {
            Answer::Refused { error, .. } if error.contains("still starting") => {}
            answer => return answer,
        }
    }
}

#[tokio::test]
async fn one_program_answers_one_question_after_the_other() {
    let exec = exec(HONEST);
    for _ in 0..3 {
        assert_eq!(ask_patiently(&exec).await, Answer::Ok(json!(4)));
    }
    assert_eq!(exec.pool.idle(), [3], "the same program is asked again");
}

#[tokio::test]
async fn what_misbehaves_is_unknown_and_ended_and_the_next_one_is_another() {
    for (script, said) in [
        ("exit 3", "the program ended with exit status: 3"),
        ("read -r line; echo 'no such host' >&2; exit 1", "no such host"),
        ("read -r line; echo hello; sleep 60", "can't be understood"),
        (
            "read -r line; echo '{\"id\":9,\"type\":\"ok\"}'; sleep 60",
            "answers question 9 when it is asked 1",
        ),
        (
            "read -r line; yes | tr -d '\\n'",
            "10000 bytes without an end of line",
        ),
        ("read -r line; kill -9 $$", "the program was ended"),
    ] {
        let exec = exec(&greeted(script));
        for _ in 0..2 {
            let error = unknown(ask_patiently(&exec).await);
            assert!(error.contains(said), "{script}: {error}");
            assert!(exec.pool.idle().is_empty(), "{script}");
        }
    }
}

#[tokio::test]
async fn one_that_is_silent_is_ended_with_all_that_it_started() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pid");
    let exec = exec(&greeted(&format!(
        "read -r line; sleep 600 & echo $! > {}; wait",
        file.display()
    )));
    let pid = async {
        loop {
            match std::fs::read_to_string(&file) {
                Ok(pid) if pid.ends_with('\n') => return pid.trim().to_owned(),
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    let pid = tokio::select! {
        answer = ask_patiently(&exec) => panic!("{answer:?}"),
        pid = pid => pid,
    };
    // The attempt was dropped, as by its time limit.
    let gone = async {
        let state = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        while !state().is_empty() && !state().contains(") Z") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone)
        .await
        .expect("what it started is ended");
}

#[tokio::test]
async fn an_answer_that_comes_late_is_no_answer_to_the_next_question() {
    // Answers twice what it is asked once.
    let exec = exec(
        r#"n=0; while read -r line; do echo "{\"id\":$n,\"type\":\"ok\"}"; [ $n = 1 ] && echo "{\"id\":$n,\"type\":\"fail\"}"; n=$((n+1)); done"#,
    );
    assert_eq!(ask_patiently(&exec).await, Answer::Ok(json!(4)));
    let error = unknown(ask_patiently(&exec).await);
    assert!(error.contains("answers question 1 when it is asked 2"), "{error}");
    assert_eq!(ask_patiently(&exec).await, Answer::Ok(json!(4)), "a new program");
}

#[tokio::test]
async fn a_flood_takes_no_memory() {
    let exec = exec(&greeted("read -r line; head -c 100000000 /dev/zero; cat"));
    let error = unknown(ask_patiently(&exec).await);
    assert!(error.contains("without an end of line"), "{error}");
    let exec = self::exec(&format!("head -c 100000000 /dev/zero >&2; {HONEST}"));
    assert_eq!(
        ask_patiently(&exec).await,
        Answer::Ok(json!(4)),
        "standard error is read and forgotten"
    );
}

#[tokio::test]
async fn what_does_not_start_was_not_asked() {
    for (script, said) in [
        ("exit 3", "does not start: the program ended with exit status: 3"),
        ("echo 'no such module' >&2; exit 1", "no such module"),
        ("read -r line; echo hello", "can't be understood"),
        ("head -c 100000 /dev/zero; cat", "without an end of line"),
    ] {
        let exec = exec(script);
        let Answer::Refused { error, .. } = ask_patiently(&exec).await else {
            panic!("{script}: nothing was sent");
        };
        assert!(error.contains(said), "{script}: {error}");
    }
}

/// An operation does not wait for long and proves that nothing was sent; who only looks has the time.
#[tokio::test]
async fn a_program_that_is_still_starting_is_waited_for_by_who_looks() {
    let slow = r#"sleep 1; n=0; while read -r line; do echo "{\"id\":$n,\"type\":\"ok\",\"value\":{\"role\":\"leader\"}}"; n=$((n+1)); done"#;
    let exec = exec(slow);
    let Answer::Refused { error, .. } = ask(&exec).await else {
        panic!("nothing was sent");
    };
    assert!(error.contains("still starting"), "{error}");
    let endpoint = Endpoint {
        node: "n1".to_owned(),
        address: "127.0.0.1:1".parse().expect("an address"),
    };
    let (status, heard) = overhear(exec.status(&endpoint)).await;
    assert_eq!(status.expect("a status"), json!({"role": "leader"}));
    let line = String::from_utf8_lossy(&heard[0].sent).into_owned();
    assert!(
        line.contains(r#""f":"status","value":null,"node":"n1""#),
        "{line}"
    );
    // What never starts is not waited for.
    let gone = self::exec("exit 3");
    let error = gone
        .status(&endpoint)
        .await
        .expect_err("nobody answers")
        .to_string();
    assert!(error.contains("exit status: 3"), "{error}");
}

/// Starts nothing, and knows one node by its name.
struct Elsewhere;

#[async_trait]
impl StartPrograms for Elsewhere {
    fn knows(&self, node: &str) -> bool {
        node == "n1"
    }

    async fn start(
        &self,
        argv: &[String],
        _env: &std::collections::BTreeMap<String, String>,
    ) -> Result<Started, String> {
        let mut program = Program::parse("[exec]\nargv = [\"sh\"]\noperations = [\"read\"]", Path::new("/"))
            .expect("a definition");
        program.arguments = argv[1..].to_vec();
        start::here(&program).map_err(|error| error.to_string())
    }
}

#[tokio::test]
async fn programs_in_a_service_are_told_names_that_are_known_there() {
    let argv = toml::Value::from(vec!["sh", "-c", HONEST]);
    let text = format!(
        "client = \"exec\"\n[exec]\nargv = {argv}\noperations = [\"read\", \"write\"]\nservice = \"drivers\""
    );
    let kind = kind(&Definition {
        text: &text,
        folder: Path::new("/"),
    })
    .expect("a client");
    assert_eq!(kind.service.as_deref(), Some("drivers"));
    let options = |programs| Options {
        from: None,
        read: ReadMode::Linearizable,
        lease: None,
        long_writes: false,
        body_max: 10_000,
        programs,
    };
    assert!((kind.make)(options(None)).is_err(), "nobody starts its programs");
    let client = (kind.make)(options(Some(Arc::new(Elsewhere)))).expect("a client");
    for (node, address) in [("n1", "n1:7"), ("kv-2", "10.0.0.9:7")] {
        let endpoint = Endpoint {
            node: node.to_owned(),
            address: "10.0.0.9:7".parse().expect("an address"),
        };
        let (_, heard) = overhear(client.status(&endpoint)).await;
        let line = String::from_utf8_lossy(&heard[0].sent).into_owned();
        assert!(line.contains(&format!(r#""address":"{address}""#)), "{line}");
    }
}
