//! Cutting links: the agent's rules, its probes, and what they leave alone.

use duress_cluster::Place;
use duress_nemesis::agent::protocol::{Command, Hello, Point, Reachability};
use duress_nemesis::kinds::partition::order::{Dropped, Rule, Took};
use duress_nemesis::{AgentError, Agents};
use std::time::Instant;

use super::lab::{CLIENTS, Lab, OBSERVERS, identify, silent, wait_until};

fn rule(lab: &Lab, at: usize, from: &[usize]) -> Rule {
    let drop_from = from
        .iter()
        .flat_map(|number| lab.place(*number).addresses)
        .collect();
    Rule {
        place: lab.place(at),
        drop_from,
    }
}

async fn cut(agent: &Agents, fault: u64, rules: Vec<Rule>) {
    inject(agent, fault, &rules).await.unwrap();
}

async fn inject(agent: &Agents, fault: u64, rules: &[Rule]) -> Result<Took, AgentError> {
    let places = rules.iter().map(|rule| rule.place.clone()).collect();
    let nodes = identify(agent, places).await;
    agent.inject("partition", fault, &nodes, &rules).await
}

async fn heal(agent: &Agents, fault: u64) -> Vec<Dropped> {
    agent.heal("partition", fault).await.unwrap()
}

async fn probe(lab: &Lab, agent: &Agents) -> Reachability {
    agent.ask("partition", &lab.points()).await.unwrap()
}

#[tokio::test]
async fn a_partition_of_five_is_cut_and_proven_in_half_a_second() {
    let lab = Lab::new(5);
    let agent = lab.agent().await;
    let began = Instant::now();
    let rules: Vec<Rule> = (1..=5)
        .map(|at| rule(&lab, at, if at <= 2 { &[3, 4, 5] } else { &[1, 2] }))
        .collect();
    cut(&agent, 1, rules).await;
    let seen = probe(&lab, &agent).await;
    let took = began.elapsed();
    assert_eq!(seen.links.len(), 5 * 4 * 2);
    assert_eq!(silent(&seen).len(), 2 * 3 * 2 * 2);
    assert!(
        seen.links.iter().all(|link| link.cut == (link.heard == 0)),
        "{:?}",
        seen.links
    );
    assert!(
        seen.micros >= 100_000,
        "{} µs of silence prove little",
        seen.micros
    );
    assert!(took.as_millis() < 500, "{took:?}");
    for (from, to, heard) in [
        (1, 2, true),
        (3, 5, true),
        (1, 3, false),
        (3, 1, false),
        (5, 2, false),
    ] {
        assert_eq!(lab.hears(from, to, false), heard, "n{from} to n{to}, IPv4");
        assert_eq!(lab.hears(from, to, true), heard, "n{from} to n{to}, IPv6");
    }
    let dropped = heal(&agent, 1).await;
    assert_eq!(dropped.len(), 5);
    assert!(dropped.iter().all(|node| node.packets > 0), "{dropped:?}");
    let seen = probe(&lab, &agent).await;
    assert_eq!(silent(&seen), [""; 0]);
    assert!(lab.hears(1, 3, false) && lab.hears(3, 1, true));
}

#[tokio::test]
async fn one_way_is_one_way() {
    let lab = Lab::new(2);
    let agent = lab.agent().await;
    cut(&agent, 7, vec![rule(&lab, 2, &[1])]).await;
    // Neighbours must be found anew, as they would be some time after the cut.
    lab.at(1, "ip neigh flush all; ip -6 neigh flush all");
    lab.at(2, "ip neigh flush all; ip -6 neigh flush all");
    let seen = probe(&lab, &agent).await;
    assert_eq!(silent(&seen), ["n1>n2/4", "n1>n2/6"]);
    assert!(lab.hears(2, 1, false) && lab.hears(2, 1, true));
    assert!(!lab.hears(1, 2, false) && !lab.hears(1, 2, true));
}

#[tokio::test]
async fn foreign_rules_survive_and_overlapping_faults_heal_on_their_own() {
    let lab = Lab::new(3);
    lab.at(
        1,
        "iptables -N DURESS-MINE; iptables -A DURESS-MINE -s 10.9.0.77 -j DROP; iptables -A INPUT -s 10.9.0.78 -j DROP
         iptables -A INPUT -j DURESS-MINE; iptables -P FORWARD DROP; ip6tables -A INPUT -s fd09::77 -j DROP",
    );
    let before = lab.rules(1);
    let agent = lab.agent().await;
    cut(&agent, 1, vec![rule(&lab, 1, &[2])]).await;
    cut(&agent, 12, vec![rule(&lab, 1, &[3]), rule(&lab, 3, &[1])]).await;
    for line in before.lines() {
        assert!(lab.rules(1).contains(line), "{line} is gone");
    }
    let seen = probe(&lab, &agent).await;
    assert_eq!(
        silent(&seen),
        ["n1>n3/4", "n1>n3/6", "n2>n1/4", "n2>n1/6", "n3>n1/4", "n3>n1/6"]
    );
    heal(&agent, 1).await;
    let seen = probe(&lab, &agent).await;
    assert_eq!(silent(&seen), ["n1>n3/4", "n1>n3/6", "n3>n1/4", "n3>n1/6"]);
    heal(&agent, 12).await;
    assert_eq!(lab.rules(1), before);
}

#[tokio::test]
async fn clients_are_cut_and_observers_are_not() {
    let lab = Lab::new(2);
    let agent = lab.agent().await;
    let rules = vec![Rule {
        place: lab.place(1),
        drop_from: vec![CLIENTS.parse().unwrap()],
    }];
    cut(&agent, 1, rules).await;
    let mut points = lab.points();
    for (name, address) in [("clients", CLIENTS), ("observers", OBSERVERS)] {
        points.push(Point {
            name: name.to_owned(),
            place: None,
            addresses: vec![address.parse().unwrap()],
        });
    }
    let seen: Reachability = agent.ask("partition", &points).await.unwrap();
    assert_eq!(silent(&seen), ["clients>n1/4"]);
}

#[tokio::test]
async fn rules_removed_behind_its_back_are_noticed() {
    let lab = Lab::new(2);
    let agent = lab.agent().await;
    cut(&agent, 1, vec![rule(&lab, 1, &[2])]).await;
    lab.at(1, "iptables -F; ip6tables -F");
    let seen = probe(&lab, &agent).await;
    let lies: Vec<_> = seen
        .links
        .iter()
        .filter(|link| link.cut && link.heard > 0)
        .collect();
    assert_eq!(lies.len(), 2, "{:?}", seen.links);
    heal(&agent, 1).await;
    assert!(!lab.rules(1).contains("DURESS"));
}

#[tokio::test]
async fn the_end_of_input_heals() {
    let lab = Lab::new(2);
    let agent = lab.agent().await;
    cut(&agent, 1, vec![rule(&lab, 1, &[2]), rule(&lab, 2, &[1])]).await;
    assert!(lab.rules(1).contains("DURESS-0badcafe-1"));
    agent.close().await.unwrap();
    assert!(!lab.rules(1).contains("DURESS") && !lab.rules(2).contains("DURESS"));
    assert!(lab.hears(1, 2, false) && lab.hears(2, 1, true));
}

#[tokio::test]
async fn a_terminal_does_not_reach_it_and_sigterm_heals() {
    let lab = Lab::new(2);
    let agent = lab.agent().await;
    cut(&agent, 1, vec![rule(&lab, 1, &[2])]).await;
    let pid = agent.hello().pid;
    super::lab::sh(&format!("kill -INT {pid}; kill -HUP {pid}"));
    assert!(
        agent
            .ask::<Reachability>("partition", &lab.points())
            .await
            .is_ok()
    );
    super::lab::sh(&format!("kill -TERM {pid}"));
    let lost = agent.lost().await.to_string();
    assert!(lost.contains("exit status: 0"), "{lost}");
    wait_until("the rules to go", || {
        (!lab.rules(1).contains("DURESS")).then_some(())
    });
}

#[tokio::test]
async fn the_own_network_is_never_touched() {
    let lab = Lab::new(1);
    let agent = lab.agent().await;
    let mut here = lab.place(1);
    here.pid = agent.hello().pid;
    let rules = vec![Rule {
        place: here,
        drop_from: vec![CLIENTS.parse().unwrap()],
    }];
    let error = inject(&agent, 1, &rules).await.unwrap_err();
    assert!(error.to_string().contains("own network namespace"), "{error}");
}

#[tokio::test]
async fn a_node_that_comes_back_elsewhere_is_cut_there_again() {
    let lab = Lab::new(3);
    let agent = lab.agent().await;
    cut(&agent, 4, vec![rule(&lab, 1, &[2])]).await;
    cut(&agent, 5, vec![rule(&lab, 1, &[2])]).await;
    // As if n1's container had been started again, and now were where n3 is.
    let back = Place {
        name: "n1".into(),
        ..lab.place(3)
    };
    assert_eq!(
        agent
            .call::<Vec<u64>>(Command::Follow { place: back.clone() })
            .await
            .unwrap(),
        [4, 5]
    );
    assert_eq!(
        agent
            .call::<Vec<u64>>(Command::Follow { place: back })
            .await
            .unwrap(),
        [0; 0],
        "it is there already"
    );
    assert!(!lab.hears(2, 3, false) && !lab.hears(2, 3, true));
    heal(&agent, 4).await;
    assert!(!lab.hears(2, 3, false));
    heal(&agent, 5).await;
    assert!(lab.hears(2, 3, false));
    assert!(!lab.rules(3).contains("DURESS"));
}

#[tokio::test]
async fn another_version_and_nonsense_are_refused_in_words() {
    let lab = Lab::new(1);
    let agent = lab.agent().await;
    let error = agent
        .call::<Hello>(Command::Hello {
            version: 0,
            mark: super::lab::mark(),
        })
        .await
        .unwrap_err();
    assert!(error.to_string().contains("use the same build"), "{error}");
    let answer = super::lab::sh(&format!(
        "echo '{{\"id\":9,\"do\":\"dance\"}}' | {}",
        lab.agent_argv().join(" ")
    ));
    assert!(
        answer.contains("\"id\":9") && answer.contains("unknown variant `dance`"),
        "{answer}"
    );
}
