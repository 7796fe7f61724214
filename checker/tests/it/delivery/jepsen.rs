//! Histories as Jepsen's Kafka tests write them, from the text to the verdict.

use duress_checker::formats::{self, Format};
use duress_checker::history::{Series, Trace};
use duress_checker::property::{self, Settings};
use duress_checker::verdict::{Proof, Verdict, Witness};

/// In the shape of a run of `jepsen.tests.kafka` with transactions: clients assign partitions, crash and come back, the nemesis
/// is at work, sends time out, and in the end everything is polled.
const HISTORY: &str = r#"
{:process 0, :type :invoke, :f :assign, :value [1 2], :index 0, :time 1000000}
{:process 0, :type :ok, :f :assign, :value [1 2], :index 1, :time 2000000}
{:process 1, :type :invoke, :f :send, :value [[:send 1 11]], :index 2, :time 3000000}
{:process 1, :type :ok, :f :send, :value [[:send 1 [0 11]]], :index 3, :time 9000000}
{:process :nemesis, :type :info, :f :start-partition, :value [:isolated {"n1" #{"n2" "n3"}}], :index 4, :time 10000000}
{:process 1, :type :invoke, :f :txn, :value [[:poll] [:send 2 12] [:send 1 13]], :index 5, :time 11000000}
{:process 0, :type :invoke, :f :poll, :value [[:poll]], :index 6, :time 12000000}
{:process 0, :type :ok, :f :poll, :value [[:poll {1 [[0 11]]}]], :index 7, :time 13000000}
{:process 1, :type :ok, :f :txn, :value [[:poll {}] [:send 2 [0 12]] [:send 1 [2 13]]], :index 8, :time 20000000, :rebalance-log []}
{:process 1, :type :invoke, :f :send, :value [[:send 2 14]], :index 9, :time 21000000}
{:process 1, :type :info, :f :send, :value [[:send 2 14]], :index 10, :time 9021000000, :error [:timeout nil]}
{:process 3, :type :invoke, :f :send, :value [[:send 2 15]], :index 11, :time 9022000000}
{:process 3, :type :fail, :f :send, :value [[:send 2 15]], :index 12, :time 9023000000, :error :not-leader}
{:process 3, :type :invoke, :f :crash, :value nil, :index 13, :time 9024000000}
{:process 3, :type :info, :f :crash, :value nil, :index 14, :time 9025000000}
{:process :nemesis, :type :info, :f :stop-partition, :value nil, :index 15, :time 9030000000}
{:process 0, :type :invoke, :f :debug-topic-partitions, :value [1 2], :index 16, :time 9031000000}
{:process 0, :type :ok, :f :debug-topic-partitions, :value {1 {:end-offset 4}}, :index 17, :time 9032000000}
{:process 0, :type :invoke, :f :poll, :value [[:poll]], :index 18, :time 9033000000}
{:process 0, :type :ok, :f :poll, :value [[:poll {1 [[2 13]], 2 [[0 12] [2 14]]}]], :index 19, :time 9034000000}
"#;

fn judged(text: &str, property: &str) -> duress_checker::verdict::PropertyVerdict {
    let events = formats::read(text.as_bytes(), Format::Guess).expect("a history");
    let trace = Trace::new(&events, Series::new());
    let property = property::named(property).expect("a property");
    property::judge(property, &trace, &Settings::new(None))
}

fn witness(text: &str, property: &str) -> Witness {
    match judged(text, property).verdict {
        Verdict::Violated { witness } => witness,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_correct_one_holds() {
    let verdict = judged(HISTORY, "exactly-once");
    assert_eq!(verdict.verdict, Verdict::Held, "{verdict:?}");
    // 14 timed out, and was polled; the partitions' markers of transactions are gaps.
    assert!(
        verdict.detail.contains("1 appeared, 0 did not, 0 can't be known"),
        "{}",
        verdict.detail
    );
    assert!(
        verdict.detail.contains("2 kept exactly-once"),
        "{}",
        verdict.detail
    );
}

#[test]
fn each_planted_anomaly_is_found() {
    for (before, after, found) in [
        ("{1 [[2 13]], 2", "{2", "unseen"),
        ("[2 14]]}", "[2 15]]}", "1 G1a"),
        ("[2 14]]}", "[2 14] [3 12]]}", "1 duplicate"),
        ("[2 14]]}", "[2 14] [3 99]]}", "1 phantom"),
        ("2 [[0 12] [2 14]]", "2 [[2 14]]", "1 lost-write"),
        ("{1 [[0 11]]}", "{1 [[0 13]]}", "inconsistent-offsets"),
        (
            "[:poll {}] [:send 2 [0 12]]",
            "[:poll {2 [[0 12]]}] [:send 2 [0 12]]",
            "1 precommitted-read",
        ),
        ("{1 [[2 13]], 2", "{1 [[0 11] [2 13]], 2", "1 nonmonotonic-poll"),
        (
            "2 [[0 12] [2 14]]",
            "2 [[2 14] [0 12]]",
            "1 int-nonmonotonic-poll",
        ),
    ] {
        assert!(HISTORY.contains(before), "{before}");
        let text = HISTORY.replace(before, after);
        match judged(&text, "exactly-once").verdict {
            Verdict::Violated { witness } => {
                assert!(witness.summary.contains(found), "{after}: {}", witness.summary)
            }
            Verdict::Inconclusive { reason } => {
                assert_eq!(found, "unseen", "{after}: {reason}");
                assert!(reason.contains("had not been polled"), "{reason}");
            }
            Verdict::Held => panic!("{after} holds"),
        }
    }
}

#[test]
fn the_same_as_json() {
    let lines: Vec<String> = (formats::read(HISTORY.as_bytes(), Format::Edn)
        .expect("a history")
        .iter())
    .map(|event| serde_json::to_string(event).expect("plain data"))
    .collect();
    let json = format!("[{}]", lines.join(",\n"));
    assert_eq!(judged(&json, "exactly-once"), judged(HISTORY, "exactly-once"));
    let broken = json.replace("[2,14]]", "[2,14],[3,12]]");
    assert_eq!(
        witness(&broken, "at-most-once"),
        witness(&HISTORY.replace("[2 14]]}", "[2 14] [3 12]]}"), "at-most-once")
    );
}

#[test]
fn the_witness_tells_the_life_of_the_message() {
    let witness = witness(&HISTORY.replace("[2 14]]}", "[2 14] [3 14]]}"), "exactly-once");
    let Proof::Messages(proof) = &witness.proof else {
        panic!("{witness:?}")
    };
    assert_eq!(proof.anomalies.len(), 1);
    assert_eq!(
        (proof.anomalies[0].name.as_str(), proof.anomalies[0].count),
        ("duplicate", 1)
    );
    let causes: Vec<&str> = proof.anomalies[0].causes.keys().map(String::as_str).collect();
    assert_eq!(causes, ["client retry after an ambiguous answer"]);
    let told: Vec<&str> = proof.lives[0]
        .moments
        .iter()
        .map(|moment| moment.what.as_str())
        .collect();
    assert_eq!(
        told,
        [
            "send has no known outcome",
            "poll delivered it",
            "poll delivered it"
        ]
    );
    assert_eq!(
        witness.operations.iter().map(|op| op.index).collect::<Vec<_>>(),
        [9, 18]
    );
    assert_eq!(witness.key, Some(serde_json::json!("2")));
}

#[test]
fn queues_of_jepsen() {
    let text = "{:process 0 :type :invoke :f :enqueue :value 1}{:process 0 :type :ok :f :enqueue :value 1}\
                {:process 1 :type :invoke :f :dequeue}{:process 1 :type :fail :f :dequeue :error :empty}";
    assert!(witness(text, "at-least-once").summary.contains("1 lost"));
    let text = text.replace(
        ":type :fail :f :dequeue :error :empty",
        ":type :ok :f :dequeue :value 1",
    );
    assert_eq!(judged(&text, "exactly-once").verdict, Verdict::Held);
}
