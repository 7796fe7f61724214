//! Who hears whom, where nodes live on several machines: puts together what the agent of each has sent and heard.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use crate::agent::ends::AgentError;
use crate::agent::fleet::Agents;
use crate::agent::probe::session_number;
use crate::agent::protocol::{Command, Link, Point, Reachability};
use crate::agent::spread::{Listening, Spread};

/// Rounds of the first try, as many as a cut link is watched for.
const ROUNDS: u32 = 8;
/// Of those that follow while a link that is open was not heard.
const ROUNDS_MORE: u32 = 24;
/// Tries: together as long as on one machine, where an address may have to be resolved anew.
const TRIES: u32 = 6;

/// Probes every pair of points that live somewhere. `cut` is told what was sent, and asks those who drop packets which links are meant to be
/// cut.
pub async fn probe<F>(
    agents: &Agents,
    points: Vec<Point>,
    cut: impl Fn(Vec<Sent>) -> F,
) -> Result<Reachability, AgentError>
where
    F: Future<Output = Result<Vec<(IpAddr, String)>, AgentError>>,
{
    let began = Instant::now();
    let points: Vec<Point> = points.into_iter().filter(|point| point.place.is_some()).collect();
    let mut links: BTreeMap<(SocketEnd, SocketEnd), Link> = BTreeMap::new();
    let mut unprobed = Vec::new();
    for number in 0..TRIES {
        let session = session_number();
        let points = points.clone();
        let listening: Listening = agents.call(Command::Listen { session, points }).await?;
        let end = |address: &SocketAddr| -> Option<SocketEnd> {
            let opened = listening
                .opened
                .iter()
                .find(|opened| opened.address == *address)?;
            Some((opened.name.clone(), address.ip()))
        };
        let targets: Vec<SocketAddr> = listening.opened.iter().map(|opened| opened.address).collect();
        let rounds = if number == 0 { ROUNDS } else { ROUNDS_MORE };
        let spread: Spread = agents
            .call(Command::Spread {
                session,
                targets,
                rounds,
            })
            .await?;
        unprobed = listening.unprobed.clone();
        for (from, to, count) in &spread.sent {
            if let (Some(from), Some(to)) = (end(from), end(to))
                && from.0 != to.0
            {
                links
                    .entry((from.clone(), to.clone()))
                    .or_insert_with(|| link(&from, &to))
                    .sent += count;
            }
        }
        for (from, to, count) in &spread.heard {
            if let (Some(from), Some(to)) = (end(from), end(to))
                && from.0 != to.0
            {
                links
                    .entry((from.clone(), to.clone()))
                    .or_insert_with(|| link(&from, &to))
                    .heard += count;
            }
        }
        let sent = spread.sent.iter().filter_map(|(from, to, count)| {
            let ((_, from), (to, _)) = (end(from)?, end(to)?);
            Some(Sent {
                from,
                to,
                count: *count,
            })
        });
        let meant = cut(sent.collect()).await?;
        for ((from, to), link) in &mut links {
            link.cut = meant.contains(&(from.1, to.0.clone()));
        }
        if links.values().all(|link| link.cut || link.heard > 0) {
            break;
        }
    }
    Ok(Reachability {
        links: links.into_values().collect(),
        unprobed,
        micros: began.elapsed().as_micros() as u64,
    })
}

/// What was sent to a point.
pub struct Sent {
    /// The sender.
    pub from: IpAddr,
    /// The point's name.
    pub to: String,
    /// Packets.
    pub count: u32,
}

/// A point's name, and its address of a family.
type SocketEnd = (String, IpAddr);

fn link(from: &SocketEnd, to: &SocketEnd) -> Link {
    Link {
        from: from.0.clone(),
        to: to.0.clone(),
        family: if from.1.is_ipv4() { 4 } else { 6 },
        cut: false,
        sent: 0,
        heard: 0,
    }
}
