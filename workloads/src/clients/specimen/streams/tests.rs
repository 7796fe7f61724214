//! What each step asks, and what answers prove.

use super::*;
use crate::clients::scripted::{Script, member, said};

/// What comes of an operation with these steps, asked of a member that answers so; and what it was asked, as path and body.
async fn attempted(f: &'static str, value: Value, script: Script) -> (Answer, Vec<(String, Value)>) {
    let (endpoint, asked) = member(script).await;
    let http = Client::new(crate::service::for_processes(None, 1 << 20)).expect("a client");
    let op = Op {
        f,
        key: None,
        value,
        idempotent: false,
    };
    let token = Token {
        client: "p7".to_owned(),
        seq: 3,
    };
    let answer = attempt(&http, &endpoint, &op, Some(&token)).await;
    let asked = asked.lock().expect("no panic");
    let request = |(head, body): &(String, String)| {
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        (path, serde_json::from_str(body).unwrap_or_default())
    };
    (answer, asked.iter().map(request).collect())
}

fn transaction(end: Value) -> Value {
    json!([
        ["as", {"producer": "t1", "epoch": 3, "sequence": 18, "txn": 5}],
        ["send", "out0", 7],
        ["send", "out1", {"input": ["in0", 17]}],
        ["commit-again", 4],
        end,
    ])
}

#[tokio::test]
async fn a_transaction_counts_its_sequences_up_and_ends_with_its_commit() {
    let commit = json!(["commit", {"group": "g", "member": "t1", "generation": 4, "offsets": {"in0": 18}}]);
    let script = vec![
        said(200, &json!({"offset": 31, "index": 90})),
        said(200, &json!({"offset": 8, "index": 91})),
        // Of the repeat nothing is made, whatever is said.
        said(409, &json!({"error": "txn-over", "executed": "no"})),
        said(200, &json!({"done": true, "index": 92})),
    ];
    let (answer, asked) = attempted("txn", transaction(commit.clone()), script).await;
    let mut done = transaction(commit);
    done[1][2] = json!([31, 7]);
    done[2][2] = json!([8, {"input": ["in0", 17]}]);
    assert_eq!(answer, Answer::Ok(done));
    let session = json!({"producer": "t1", "epoch": 3, "sequence": 18, "txn": 5, "value": 7});
    assert_eq!(asked[0], ("/streams/out0/send".to_owned(), session));
    assert_eq!(
        (asked[1].0.as_str(), &asked[1].1["sequence"]),
        ("/streams/out1/send", &json!(19))
    );
    assert_eq!(
        asked[2],
        ("/producers/t1/commit".to_owned(), json!({"epoch": 3, "txn": 4}))
    );
    let end =
        json!({"epoch": 3, "txn": 5, "group": "g", "member": "t1", "generation": 4, "offsets": {"in0": 18}});
    assert_eq!(asked[3], ("/producers/t1/commit".to_owned(), end));
}

#[tokio::test]
async fn what_is_refused_before_its_commit_did_not_happen() {
    let sent = || said(200, &json!({"offset": 31, "index": 90}));
    let refused = |error: &str, executed: &str| said(409, &json!({"error": error, "executed": executed}));
    for (second, proves) in [
        (
            refused("fenced", "no"),
            Some(Answer::Fenced {
                error: "fenced".into(),
            }),
        ),
        // Nobody says that it was not executed, or nobody who knows.
        (refused("sequence-forgotten", "unknown"), None),
        (refused("fenced", "unknown"), None),
        (refused("fended", "no"), None),
        (said(200, &json!({"index": 91})), None),
        (said(200, &json!({"offset": 8, "executed": "no"})), None),
        (said(500, &json!({})), None),
        ((0, "", String::new()), None),
    ] {
        let script = vec![sent(), second.clone()];
        let (answer, asked) = attempted("txn", transaction(json!(["commit"])), script).await;
        assert_eq!(asked.len(), 2);
        match proves {
            Some(proves) => assert_eq!(answer, proves),
            None => assert!(matches!(answer, Answer::Unknown { .. }), "{second:?}: {answer:?}"),
        }
    }
    let busy = said(429, &json!({"error": "full", "executed": "no"}));
    let (answer, _) = attempted("txn", transaction(json!(["commit"])), vec![sent(), busy]).await;
    assert!(matches!(answer, Answer::Refused { .. }), "{answer:?}");
}

#[tokio::test]
async fn an_aborted_transaction_fails() {
    let sent = || said(200, &json!({"offset": 31, "index": 90}));
    let done = || said(200, &json!({"done": true, "index": 92}));
    let script = vec![sent(), sent(), done(), done()];
    let (answer, asked) = attempted("txn", transaction(json!(["abort"])), script).await;
    let error = ABORTED.to_owned();
    assert_eq!(answer, Answer::Failed { error });
    assert_eq!(
        asked[3],
        ("/producers/t1/abort".to_owned(), json!({"epoch": 3, "txn": 5}))
    );
}

#[tokio::test]
async fn sessions_polls_and_joins_are_read_as_they_are_answered() {
    let begun = vec![said(200, &json!({"epoch": 3, "index": 90}))];
    let (answer, asked) = attempted("init", json!([["init", "t1"]]), begun).await;
    assert_eq!(answer, Answer::Ok(json!([["init", "t1", 3]])));
    assert_eq!(
        asked[0],
        ("/producers/t1/init".to_owned(), json!({"client": "p7", "seq": 3}))
    );

    let shown =
        json!({"messages": {"in0": [[17, 6], [18, {"a": 1}]], "in1": []}, "next": {"in0": 19, "in1": 0}});
    let asked_for = json!([["poll", {"in0": 17, "in1": 0}, 10]]);
    let (answer, asked) = attempted("poll", asked_for.clone(), vec![said(200, &shown)]).await;
    assert_eq!(
        answer,
        Answer::Ok(json!([["poll", {"in0": [[17, 6], [18, {"a": 1}]]}]]))
    );
    assert_eq!(asked[0].1, json!({"from": {"in0": 17, "in1": 0}, "max": 10}));
    let odd = json!({"messages": {"in0": [[17]]}});
    let (answer, _) = attempted("poll", asked_for, vec![said(200, &odd)]).await;
    assert!(matches!(answer, Answer::Unknown { .. }), "{answer:?}");

    let member = json!({"group": "g", "member": "t1", "partitions": ["in0", "in1"], "session_ms": 2000});
    let dealt = json!({"generation": 4, "assigned": ["in0"], "offsets": {"in0": 17, "in1": 3}, "index": 9});
    let (answer, asked) = attempted("subscribe", json!([["join", member]]), vec![said(200, &dealt)]).await;
    let mut joined = member;
    joined["generation"] = json!(4);
    joined["offsets"] = json!({"in0": 17});
    assert_eq!(answer, Answer::Ok(json!([["join", joined]])));
    assert_eq!(asked[0].0, "/groups/g/join");
    assert_eq!(asked[0].1.get("group"), None);

    let (answer, asked) = attempted("assign", json!(["in0"]), vec![]).await;
    assert!(answer == Answer::Ok(json!(["in0"])) && asked.is_empty());
}

#[tokio::test]
async fn a_replay_that_comes_after_its_answer_was_forgotten_did_not_run_again() {
    let send = json!([["as", {"producer": "s1", "epoch": 3, "sequence": 18}], ["send", "in0", 7]]);
    let forgotten = || said(409, &json!({"error": FORGOTTEN, "executed": "unknown"}));
    let (answer, _) = attempted("replay", send.clone(), vec![forgotten()]).await;
    let error = FORGOTTEN.to_owned();
    assert_eq!(answer, Answer::Fenced { error });
    let (answer, _) = attempted("send", send, vec![forgotten()]).await;
    assert!(matches!(answer, Answer::Unknown { .. }), "{answer:?}");
}

#[test]
fn what_is_too_long_to_have_been_sent_is_cut() {
    let long = json!({"a": "x".repeat(MESSAGE_MAX)});
    assert!(whole(&long).is_string() && whole(&json!({"a": 1})) == json!({"a": 1}));
}
