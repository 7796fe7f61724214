//! Brokers that ship as files alone: what they acknowledged is delivered, or lost where their pages say so.

use toml::Table;

use crate::compose::on_engine;
use crate::compose_systems::{image_or_skip, shipped};
use crate::host::Bench;

/// Runs a spec that ships, made shorter by `change`, and says whether all of its faults were proven.
fn comes_out_as(spec: &str, code: i32, overall: &str, change: impl FnOnce(&mut Table)) {
    let bench = Bench::new(&shipped(spec, change));
    let verdict = bench.run(1, code);
    assert_eq!(verdict["overall"], overall, "{spec}: {verdict}");
    let evidence = &verdict["evidence"];
    assert!(
        evidence["faults_verified"].as_u64() >= Some(1),
        "{spec}: {verdict}"
    );
    assert_eq!(
        evidence["faults_healed"], evidence["faults_verified"],
        "{spec}: {verdict}"
    );
    assert_eq!(on_engine(&bench.latest()), Vec::<String>::new());
}

/// One fault, two seconds after faults begin, and a few operations.
fn short(fault: &'static str) -> impl FnOnce(&mut Table) {
    move |spec| {
        let fault: Table = fault.parse().expect("TOML");
        spec["time"]["faults"] = "20s".into();
        spec["evidence"]["ok"] = 100.into();
        spec["evidence"]["ok-of-each"] = 1.into();
        spec["faults"] = fault.into();
    }
}

const KILL_ALL: &str = "at = [{at = '2s', length = '2s', kind = 'kill', targets = 'all'}]";
const KILL_ONE: &str = "at = [{at = '2s', length = '3s', kind = 'kill', targets = 'one'}]";

#[test]
fn a_stream_of_nats_keeps_what_it_acknowledged_when_all_are_killed() {
    if image_or_skip("duress/nats:2.12.1") && image_or_skip("duress/nats-client:2.16.0") {
        comes_out_as("nats/set.toml", 0, "held", short(KILL_ALL));
    }
}

#[test]
fn a_queue_of_nats_delivers_once_when_all_are_killed() {
    if image_or_skip("duress/nats:2.12.1") && image_or_skip("duress/nats-client:2.16.0") {
        comes_out_as("nats/queue.toml", 0, "held", short(KILL_ALL));
    }
}

#[test]
fn a_quorum_queue_of_rabbitmq_loses_nothing_when_a_node_is_killed() {
    if image_or_skip("duress/rabbitmq:3.10") && image_or_skip("duress/rabbitmq-client:5.1") {
        comes_out_as("rabbitmq/queue.toml", 0, "held", short(KILL_ONE));
    }
}

#[test]
fn entries_of_a_redis_primary_that_is_cut_off_are_lost_unless_clients_wait_for_a_replica() {
    if !image_or_skip("duress/redis:7.0") {
        return;
    }
    for (spec, code, overall) in [
        ("redis/defects/queue.toml", 1, "violated"),
        ("redis/queue-wait.toml", 0, "held"),
    ] {
        comes_out_as(spec, code, overall, |spec| {
            spec["time"]["faults"] = "20s".into();
            spec["faults"]["at"].as_array_mut().expect("faults").truncate(1);
        });
    }
}
