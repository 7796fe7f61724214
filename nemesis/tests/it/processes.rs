//! Stopping and ending: the agent's commands on real processes.

use std::process::{Command as Program, Stdio};

use duress_cluster::Place;
use duress_nemesis::agent::protocol::{Command, Ending, Processes};
use duress_nemesis::kinds::pause::Held;

use super::lab::{Lab, identify, wait_until};

#[tokio::test]
async fn a_node_without_a_pid_namespace_is_its_program_and_what_descends_from_it() {
    let lab = Lab::new(1);
    let agent = lab.agent().await;
    let mut program = Program::new("bash")
        .args(["-c", "sleep 1000 & sleep 1001 & wait"])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let mut bystander = Program::new("sleep").arg("1002").spawn().unwrap();
    let place = Place {
        name: "host".into(),
        pid: program.id(),
        keeper: false,
        addresses: vec![],
        data: None,
        group: None,
        machine: 0,
    };
    let list = || {
        agent.call::<Vec<Processes>>(Command::Processes {
            places: vec![place.clone()],
        })
    };
    while list().await.unwrap()[0].processes.len() < 3 {}
    let places = vec![place.clone()];
    let held: Vec<Held> = agent
        .inject("pause", 1, &identify(&agent, places.clone()).await, &places)
        .await
        .unwrap();
    assert_eq!(held[0].processes.len(), 3);
    assert!(
        list().await.unwrap()[0]
            .processes
            .iter()
            .all(|process| process.state == 'T')
    );
    assert_ne!(lab.state(bystander.id()), 'T');
    let ended: Vec<Processes> = agent
        .call(Command::Signal {
            signal: Ending::Kill,
            places: vec![place.clone()],
        })
        .await
        .unwrap();
    assert_eq!(ended[0].processes.len(), 3, "stopped processes die, too");
    program.wait().unwrap();
    assert!(bystander.try_wait().unwrap().is_none());
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

#[tokio::test]
async fn the_end_of_input_wakes() {
    let lab = Lab::new(1);
    let agent = lab.agent().await;
    let mut program = Program::new("sleep").arg("1000").spawn().unwrap();
    let place = Place {
        name: "host".into(),
        pid: program.id(),
        keeper: false,
        addresses: vec![],
        data: None,
        group: None,
        machine: 0,
    };
    let nodes = identify(&agent, vec![place.clone()]).await;
    agent
        .inject::<Vec<Held>>("pause", 1, &nodes, &[place])
        .await
        .unwrap();
    assert_eq!(lab.state(program.id()), 'T');
    agent.close().await.unwrap();
    wait_until("the process to go on", || {
        (lab.state(program.id()) != 'T').then_some(())
    });
    program.kill().unwrap();
    program.wait().unwrap();
}

#[tokio::test]
async fn a_process_that_two_pauses_hold_goes_on_when_both_have_ended() {
    let lab = Lab::new(1);
    let agent = lab.agent().await;
    let mut program = Program::new("sleep").arg("1000").spawn().unwrap();
    let place = Place {
        name: "host".into(),
        pid: program.id(),
        keeper: false,
        addresses: vec![],
        data: None,
        group: None,
        machine: 0,
    };
    for order in [[1, 2], [2, 1]] {
        let nodes = identify(&agent, vec![place.clone()]).await;
        for fault in [1, 2] {
            let held: Vec<Held> = agent.inject("pause", fault, &nodes, &[&place]).await.unwrap();
            assert_eq!(held[0].newly, usize::from(fault == 1));
        }
        for (fault, woken) in order.into_iter().zip([0, 1]) {
            let healed: Vec<Processes> = agent.heal("pause", fault).await.unwrap();
            assert_eq!(healed[0].processes.len(), woken);
            assert_eq!(lab.state(program.id()) == 'T', woken == 0);
        }
    }
    program.kill().unwrap();
    program.wait().unwrap();
}
