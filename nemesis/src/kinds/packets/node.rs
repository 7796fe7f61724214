//! A node whose packets something is done to: the queue there, the rules that lead to it, and which faults are in force.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::IpAddr;

use super::effects::Effects;
use super::fates::{Fates, seed_of_link};
use super::order::{Count, LinkCount, Seen, Sender};
use super::record::Wanted;
use super::rules::{Present, TABLE};
use super::server::Server;
use super::state::Say;
use crate::agent::chains::Family;
use crate::agent::firewall::{Backend, within};

/// A network namespace whose packets something is done to.
pub struct Node {
    pub name: String,
    pub netns: File,
    pub server: Server,
    pub faults: BTreeMap<u64, Applied>,
}

/// What a fault does to the links that end at a node.
#[derive(Clone)]
pub struct Applied {
    pub effects: Effects,
    pub seed: u64,
    pub record: Wanted,
    pub from: Vec<Sender>,
}

impl Applied {
    fn sources(&self) -> impl Iterator<Item = IpAddr> {
        self.from
            .iter()
            .flat_map(|sender| sender.addresses.iter().copied())
    }

    fn sender(&self, source: &IpAddr) -> &str {
        let sender = self.from.iter().find(|sender| sender.addresses.contains(source));
        sender.map_or("?", |sender| sender.name.as_str())
    }
}

impl Node {
    /// Puts a fault in force: first what is done, then the rules that packets come by.
    pub fn put_in_force(&mut self, backend: &Backend, fault: u64, applied: Applied) -> io::Result<()> {
        if applied.record.any() {
            self.server.record(fault, applied.record);
        }
        for sender in &applied.from {
            for address in &sender.addresses {
                let v6 = address.is_ipv6();
                let seed = seed_of_link(applied.seed, &sender.name, &self.name, v6);
                let say = Say {
                    fault,
                    link: format!("{}>{}/{}", sender.name, self.name, if v6 { 6 } else { 4 }),
                    fates: Fates::new(applied.effects, seed),
                    repair: applied.effects.repaired,
                };
                self.server.add(*address, say);
            }
        }
        let sources: Vec<IpAddr> = applied.sources().collect();
        self.faults.insert(fault, applied);
        let queue = self.server.queue();
        within(&self.netns, || {
            for family in Family::ALL {
                let of_family = family.of(&sources);
                if !of_family.is_empty() {
                    let names = backend.names();
                    let present = Present::parse(names, &backend.save_table(family, TABLE)?);
                    backend.write(
                        family,
                        &present.script_to_queue(names, family, fault, &of_family, queue),
                    )?;
                }
            }
            Ok(())
        })
        .map_err(|error| io::Error::other(format!("queue packets at {}: {error}", self.name)))
    }

    /// What is there of a fault.
    pub fn look(&self, backend: &Backend, fault: u64, applied: &Applied) -> io::Result<Seen> {
        let sources: Vec<IpAddr> = applied.sources().collect();
        let queue = self.server.queue();
        let mut missing = within(&self.netns, || {
            let mut missing = Vec::new();
            for family in Family::ALL {
                let of_family = family.of(&sources);
                if !of_family.is_empty() {
                    let present = Present::parse(backend.names(), &backend.save_table(family, TABLE)?);
                    missing.extend(present.missing(backend.names(), fault, &of_family, queue));
                }
            }
            Ok(missing)
        })?;
        missing.extend(self.server.failed());
        let counts = self.server.counts(fault);
        let mut links: BTreeMap<&str, Count> = BTreeMap::new();
        for (source, count) in &counts {
            links.entry(applied.sender(source)).or_default().add(count);
        }
        let link = |(from, count): (&str, Count)| LinkCount {
            from: from.to_owned(),
            count,
        };
        Ok(Seen {
            node: self.name.clone(),
            missing,
            links: links.into_iter().map(link).collect(),
        })
    }
}
