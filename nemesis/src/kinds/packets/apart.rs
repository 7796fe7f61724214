//! Measures links whose ends live on several machines, each with an agent and a clock of its own.

use duress_cluster::Place;

use super::order::{Exchange, Exchanged, Measured, Question, Traffic};
use super::steps::KIND;
use super::tracks::measured;
use crate::agent::ends::AgentError;
use crate::agent::fleet::Agents;
use crate::agent::probe::session_number;
use crate::agent::protocol::Point;
use crate::agent::spread::Listening;

/// Lets each agent send from the points on its machine, and puts together what all have sent and heard.
pub async fn measure_apart(
    agents: &Agents,
    places: &[Place],
    points: Vec<Point>,
    traffic: Traffic,
) -> Result<Measured, AgentError> {
    // Agents that began with different exchanges would each wait in vain.
    let _alone = agents.alone().await;
    let session = session_number();
    let listening: Listening = agents.ask(KIND, &Question::Open { session, points }).await?;
    let clocks = agents.clocks().await?;
    let asked = Exchange {
        session,
        ends: listening.opened,
        traffic,
    };
    let told: Exchanged = agents.ask(KIND, &Question::Exchange(asked.clone())).await?;
    let clock_of = |node: &str| {
        let place = places.iter().find(|place| place.name == node)?;
        clocks.get(&place.machine).copied()
    };
    Ok(measured(&asked.traffic, &told, listening.unprobed, clock_of))
}
