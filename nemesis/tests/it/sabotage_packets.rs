//! Packets that are neither late nor lost, or not all, or not as they should be: never proven. See [`super::sabotage`].

use serde_json::{Value, json};

use super::lab::Lab;
use super::sabotage::{end_all, is_injection, never_bites, never_proven, nothing};
use super::stage::Stage;

const LATE: &str = r#"{"kind":"packets","delay":"50ms","targets":["n1"]}"#;
const LOST: &str = r#"{"kind":"packets","loss":0.3,"targets":["n1"]}"#;

const JAM: &str = r#"{"kind":"packets","jam":"200ms","targets":["n1"]}"#;

fn claims(request: &Value) -> Option<Value> {
    if is_injection(request, "packets") {
        return Some(json!({"micros": 1}));
    }
    // Rules that are said to be there, and met much.
    if request["do"] == "look" && request["kind"] == "packets" {
        let node = |name| json!({"node": name, "missing": [], "links": [{"from": "x", "packets": 9, "touched": 9, "lost": 9, "probes": 9}]});
        return Some(json!([node("n1"), node("n2")]));
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
pub async fn packets_that_nothing_is_done_to() {
    let stage = Stage::with_saboteur(2, claims).await;
    never_proven(&stage, LATE, nothing, "ms late instead of 50.0 ms").await;
    never_proven(&stage, JAM, nothing, "ms late instead of 100.0 ms").await;
    never_proven(&stage, LOST, nothing, "are lost instead of 30.0 %").await;
    for (effect, said) in [
        (r#""duplicate":0.3"#, "come twice instead of 30.0 %"),
        (r#""reorder":0.3"#, "are overtaken instead of 30.0 %"),
        (r#""corrupt":0.3"#, "are lost instead of 30.0 %"),
        (
            r#""corrupt":0.3,"checksum":"repaired""#,
            "are changed instead of 30.0 %",
        ),
        (r#""rate":"100KiB""#, "pass in a second instead of 102.4 kB"),
    ] {
        let fault = format!(r#"{{"kind":"packets",{effect},"targets":["n1"]}}"#);
        never_proven(&stage, &fault, nothing, said).await;
    }
}

/// A packet that gets lost is none that the kernel has refused.
#[tokio::test(flavor = "multi_thread")]
async fn packets_that_are_lost_and_not_corrupted() {
    let stage = Stage::with_saboteur(2, claims).await;
    for (node, tool) in [
        (1, "iptables"),
        (1, "ip6tables"),
        (2, "iptables"),
        (2, "ip6tables"),
    ] {
        let third = format!("{tool} -I INPUT -p udp -m statistic --mode random --probability 0.3 -j DROP");
        stage.cluster.lab.at(node, &third);
    }
    const CORRUPT: &str = r#"{"kind":"packets","corrupt":0.3,"targets":["n1"]}"#;
    never_proven(&stage, CORRUPT, nothing, "the kernel refused 0 datagrams").await;
}

#[tokio::test(flavor = "multi_thread")]
pub async fn rules_that_are_flushed_or_lack_a_source() {
    let stage = Stage::new(2).await;
    let flush = |lab: &Lab| {
        lab.at(1, "iptables -t mangle -F; ip6tables -t mangle -F");
    };
    never_proven(&stage, LATE, flush, "is gone").await;
    let one_rule = |lab: &Lab| {
        lab.at(
            2,
            "ip6tables -t mangle -D $(ip6tables -t mangle -S | sed -n \"s/^-A \\(.* -s .*\\)/\\1/p\" | head -1)",
        );
    };
    never_proven(
        &stage,
        LOST,
        one_rule,
        "the rule that queues packets of fd09::1 is gone",
    )
    .await;
    assert!((1..=2).all(|node| {
        !stage
            .cluster
            .lab
            .at(node, "iptables-save; ip6tables-save")
            .contains("DURESS")
    }));
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_packets_are_led_past() {
    let stage = Stage::new(2).await;
    let passed_by = |lab: &Lab| {
        lab.at(1, "iptables -t mangle -I INPUT -s 10.9.0.2 -j ACCEPT");
    };
    never_proven(&stage, LATE, passed_by, "n2>n1/4: packets are").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_of_nobody() {
    let stage = Stage::silent(2).await;
    never_bites(&stage, LATE, "nobody was hurt: the rules met 0 packets").await;
    let stage = Stage::new(2).await;
    end_all(&stage.cluster.lab, 1..=1);
    never_bites(&stage, LATE, "no process runs at one end").await;
}
