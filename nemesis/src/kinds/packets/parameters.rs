//! Parameters of packet faults: which links, and what is done to their packets.

use std::time::Duration;

use serde_json::Value;

use super::effects::Effects;
use super::links;
use super::steps::PacketSteps;
use super::written::Written;
use crate::kinds::kind::{Parameter, ParameterError, Parameters, json, typed};
use crate::life::technique::Technique;

/// For a catalogue.
pub fn parameters() -> Vec<Parameter> {
    let parameter = |name, values: &str| Parameter {
        name,
        values: values.to_owned(),
    };
    let mut all = vec![
        parameter("delay", "how late each packet is, e.g. \"200ms\": 1ms to 5s"),
        parameter(
            "jitter",
            "how much that varies, e.g. \"50ms\"; with distribution uniform or normal at most the delay",
        ),
        parameter(
            "distribution",
            "uniform: from delay - jitter to delay + jitter; normal: jitter is the standard deviation; exponential: jitter is \
             the mean of what is added to delay; default uniform",
        ),
        parameter(
            "jam",
            "how long packets are held before all of them are delivered at once, again and again: 50ms to 2s",
        ),
        parameter("loss", "share of packets that get lost, each way: 0.01 to 0.9"),
        parameter(
            "burst",
            "mean number of packets that get lost in a row: 1 to 50 (the model of Gilbert and Elliott); each by itself, if it does not say",
        ),
        parameter(
            "burst-loss",
            "share of packets that get lost in a burst: more than loss, up to 1; default 1",
        ),
        parameter(
            "loss-between",
            "share of packets that get lost between bursts: 0 to half of loss; default 0",
        ),
        parameter("duplicate", "share of packets that arrive twice: 0.01 to 0.9"),
        parameter(
            "reorder",
            "share of packets that are held back, so that later ones overtake them: 0.01 to 0.4; not with jitter or jam",
        ),
        parameter(
            "reorder-by",
            "how long those are held back, e.g. \"50ms\": 5ms to 2s; default 20ms",
        ),
        parameter(
            "corrupt",
            "share of packets of TCP and UDP in whose data a bit is flipped: 0.01 to 0.9",
        ),
        parameter(
            "checksum",
            "of those: broken: the receiving kernel drops them, so that TCP sends again what it never got; repaired: it fits, and the \
             program gets what nobody sent; default broken",
        ),
        parameter(
            "rate",
            "bytes a second that pass at most, for each family of addresses, e.g. \"100KiB\": 8KiB to 1MiB",
        ),
        parameter(
            "queue",
            "bytes that wait for their turn at most; what comes on top is dropped; at least 16KiB, at most what passes in 5 s; default \
             what passes in 100 ms",
        ),
        parameter(
            "log",
            "true: what is decided of each packet is written to nodes/NODE/packets-N.jsonl, for fault N, of 20,000 packets a node at most",
        ),
        parameter(
            "capture",
            "true: packets are written to nodes/NODE/packets-N.pcap as they came, up to 4 MiB a node",
        ),
    ];
    all.extend(links::parameters());
    all
}

/// Reads the parameters of one fault.
pub fn read(parameters: Value) -> Result<PacketParameters, ParameterError> {
    // Flattened, what is not known would not be noticed.
    let known: Vec<&str> = self::parameters().iter().map(|known| known.name).collect();
    if let Some(key) = parameters
        .as_object()
        .and_then(|all| all.keys().find(|key| !known.contains(&key.as_str())))
    {
        let all: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
        return Err(ParameterError::at(
            key,
            format!("unknown field `{key}`, expected one of {}", all.join(", ")),
        ));
    }
    let written: Written = typed(parameters)?;
    let effects = written.effects()?;
    written.links.check_shape()?;
    Ok(PacketParameters { written, effects })
}

/// Which links, and what is done to them.
#[derive(Debug)]
pub struct PacketParameters {
    written: Written,
    effects: Effects,
}

impl Parameters for PacketParameters {
    fn to_json(&self) -> Value {
        json(&self.written)
    }

    fn check(&self, nodes: &[String]) -> Result<(), (&'static str, String)> {
        self.written.links.check(nodes)
    }

    fn names_role(&self) -> Option<&'static str> {
        self.written.links.names_role()
    }

    fn technique(&self, id: u64, seed: u64, _length: Duration) -> Box<dyn Technique> {
        Box::new(PacketSteps::new(
            id,
            self.written.links.clone(),
            self.effects,
            self.written.record(),
            seed,
        ))
    }
}

#[cfg(test)]
mod tests {
    use duress_cluster::Roles;

    use super::*;

    fn error(text: &str) -> String {
        let error = read(serde_json::from_str(text).unwrap()).unwrap_err();
        format!("{}: {}", error.key.unwrap_or_default(), error.what)
    }

    #[test]
    fn what_makes_no_sense_is_told_with_its_parameter() {
        for (text, said) in [
            ("{}", ": nothing is done"),
            (r#"{"delay":"0ms"}"#, "delay: a delay of"),
            (r#"{"delay":"1h"}"#, "delay: a delay of"),
            (r#"{"delay":"soon"}"#, "delay: \"soon\""),
            (r#"{"delay":"5ms","jitter":"6ms"}"#, "jitter: a jitter above"),
            (
                r#"{"delay":"5ms","distribution":"normal"}"#,
                "distribution: without",
            ),
            (r#"{"loss":1.0}"#, "loss: a loss of 1"),
            (r#"{"loss":0.9,"burst":2}"#, "burst: bursts of 2"),
            (r#"{"delay":"5ms","burst":2}"#, "burst: without"),
            (
                r#"{"loss":0.2,"burst-loss":0.5}"#,
                "burst-loss: it goes with burst",
            ),
            (
                r#"{"loss":0.2,"burst":3,"burst-loss":0.2}"#,
                "burst-loss: a share of 0.2",
            ),
            (
                r#"{"loss":0.2,"burst":3,"burst-loss":1.1}"#,
                "burst-loss: a share of 1.1",
            ),
            (
                r#"{"loss":0.2,"burst":3,"loss-between":0.15}"#,
                "loss-between: use 0 to 0.1",
            ),
            (r#"{"delay":"5ms","los":2}"#, "los: unknown"),
            (r#"{"duplicate":0.001}"#, "duplicate: a share of 0.001"),
            (r#"{"reorder":0.5}"#, "reorder: a share of 0.5"),
            (r#"{"reorder":0.1,"reorder-by":"1ms"}"#, "reorder-by: "),
            (
                r#"{"loss":0.1,"reorder-by":"10ms"}"#,
                "reorder-by: it goes with reorder",
            ),
            (
                r#"{"delay":"9ms","jitter":"5ms","reorder":0.1}"#,
                "reorder: a jitter reorders",
            ),
            (r#"{"corrupt":2}"#, "corrupt: a share of 2"),
            (
                r#"{"loss":0.1,"checksum":"repaired"}"#,
                "checksum: it goes with corrupt",
            ),
            (r#"{"rate":"1KiB"}"#, "rate: a rate of"),
            (r#"{"rate":"fast"}"#, "rate: \"fast\""),
            (r#"{"rate":"8KiB","queue":"1MiB"}"#, "queue: use 16384 to 40960"),
            (r#"{"delay":"5ms","queue":"1MiB"}"#, "queue: it goes with rate"),
            (r#"{"log":true}"#, ": nothing is done"),
            (r#"{"delay":"5ms","shape":"clients"}"#, "shape: links are"),
            (
                r#"{"delay":"5ms","shape":"halves","targets":"one"}"#,
                "targets: shape",
            ),
            (
                r#"{"delay":"5ms","shape":"one","targets":"all"}"#,
                "targets: shape",
            ),
        ] {
            assert!(error(text).contains(said), "{text}: {}", error(text));
        }
    }

    #[test]
    fn most_packets_may_get_lost_without_bursts() {
        assert!(read(serde_json::json!({"loss": 0.9})).is_ok());
    }

    #[test]
    fn links_are_those_of_the_targets_or_of_the_shape() {
        let nodes = ["a", "b", "c"].map(str::to_owned);
        let chosen = |text: &str| {
            let read = read(serde_json::from_str(text).unwrap()).unwrap();
            read.written.links.choose(&nodes, &Roles::default(), 1).unwrap()
        };
        let all = chosen(r#"{"loss":0.1,"targets":"all"}"#);
        assert_eq!((all.links.len(), all.targets.len()), (6, 3));
        let one = chosen(r#"{"loss":0.1,"targets":["b"]}"#);
        let pairs: Vec<String> = one
            .links
            .iter()
            .map(|(from, to)| format!("{from}>{to}"))
            .collect();
        assert_eq!(pairs, ["a>b", "b>a", "b>c", "c>b"]);
        let way = chosen(r#"{"loss":0.1,"shape":"one-way","targets":["b"]}"#);
        assert_eq!((way.links.len(), way.targets), (2, vec!["b".to_owned()]));
    }
}
