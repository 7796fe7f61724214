//! Own chains in the packet filter of a network namespace.
//!
//! The rules of fault 3 at a node that must not hear `10.9.0.2`, in the run with the mark `1f2e3d4c`:
//!
//! ```text
//! -A INPUT -j DURESS-1f2e3d4c
//! -A DURESS-1f2e3d4c -j DURESS-1f2e3d4c-3
//! -A DURESS-1f2e3d4c-3 -s 10.9.0.2/32 -j DROP
//! ```
//!
//! Chains with another mark, or with none, are not ours, however alike their names.
//!
//! Every change is one `iptables-restore --noflush`, which the kernel takes as a whole or not at all, and is worked out
//! from what is really there, so that healing works after a crash, too. Chains of other owners are neither read for
//! meaning nor written.
//!
//! Functions here act on the network namespace of the calling thread; [`within`] makes one.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread;

use duress_cluster::Place;
use duress_cluster::procfs::living;
use nix::sched::{CloneFlags, setns};

use super::chains::{FAULT_MAX, Family, Names, Present, TABLE};
use super::outside;
use super::protocol::{Identity, Mark};
use super::rules;

/// How long to wait for another program that holds the lock of the tables.
const LOCK_WAIT_S: &str = "5";

/// Runs `work` in a thread of its own in the network namespace. Sockets that it opens stay there.
pub fn within<T: Send>(netns: &File, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        scope
            .spawn(|| {
                setns(netns, CloneFlags::CLONE_NEWNET)?;
                work()
            })
            .join()
            .unwrap_or_else(|_| {
                Err(io::Error::other(
                    "the thread in the node's network namespace panicked",
                ))
            })
    })
}

/// Opens the network namespace of a place: its inode, and itself.
pub fn open_netns(place: &Place) -> io::Result<(u64, File)> {
    let path = format!("/proc/{}/ns/net", place.pid);
    let netns = File::open(&path).map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("enter {}: open {path}: {error}", place.name),
        )
    })?;
    Ok((netns.metadata()?.ino(), netns))
}

/// The same, to change its rules: refuses the namespace that the agent itself lives in, unless the node is a host.
pub fn open_others_netns(place: &Place) -> io::Result<(u64, File)> {
    let opened = open_netns(place)?;
    if place.machine == 0 && opened.0 == std::fs::metadata("/proc/self/ns/net")?.ino() {
        return Err(io::Error::other(format!(
            "{} lives in the agent's own network namespace, whose rules are not Duress' to change",
            place.name
        )));
    }
    Ok(opened)
}

/// The network namespace that a node lived in when it was written down. `None`: it is gone. That of a host, which is the agent's own, outlives
/// its nodes; that of a container does not.
pub fn netns_written_down(node: &Identity) -> io::Result<Option<File>> {
    if node.place.machine != 0 {
        let own = File::open("/proc/self/ns/net")?;
        if own.metadata()?.ino() == node.net {
            return Ok(Some(own));
        }
        if living(node.place.pid).is_none_or(|stat| stat.started != node.started) {
            return Ok(None);
        }
    }
    let opened = open_netns(&node.place)?;
    Ok((opened.0 == node.net).then_some(opened.1))
}

/// A kernel without IPv6 has no rules of it, either.
pub fn has_ipv6() -> bool {
    Path::new("/proc/sys/net/ipv6").exists()
}

/// Fails where a fault's number is too long for the name of a chain.
pub fn check_number(fault: u64) -> io::Result<()> {
    match fault > FAULT_MAX {
        true => Err(io::Error::other(format!(
            "fault {fault}: names of chains have no room for numbers above {FAULT_MAX}"
        ))),
        false => Ok(()),
    }
}

/// Ports of TCP whose packets no rule of this process meets.
static SPARED: OnceLock<Vec<u16>> = OnceLock::new();

/// Spares packets from and to these ports of TCP: on a host, where the line to the agent passes the same filter as the node's packets.
pub fn spare(ports: Vec<u16>) {
    let _ = SPARED.set(ports);
}

/// Network namespaces whose rules somebody reads and changes now, by inode.
static CHANGING: Mutex<BTreeSet<u64>> = Mutex::new(BTreeSet::new());
static CHANGED: Condvar = Condvar::new();

/// Held by the one that reads and changes the rules of a network namespace: several kinds of fault have chains in one table.
struct Alone(u64);

/// Waits until nobody else changes the rules of the calling thread's network namespace.
fn alone() -> io::Result<Alone> {
    let inode = std::fs::metadata("/proc/thread-self/ns/net")?.ino();
    let mut changing = CHANGING.lock().unwrap_or_else(PoisonError::into_inner);
    while !changing.insert(inode) {
        changing = CHANGED.wait(changing).unwrap_or_else(PoisonError::into_inner);
    }
    Ok(Alone(inode))
}

impl Drop for Alone {
    fn drop(&mut self) {
        CHANGING
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.0);
        CHANGED.notify_all();
    }
}

/// The [`Backend`] of an agent, looked for once.
pub struct Firewall {
    mark: Mark,
    backend: Option<Backend>,
}

impl Firewall {
    /// Not looked for yet. Chains will be named after `mark`.
    pub fn new(mark: Mark) -> Firewall {
        Firewall { mark, backend: None }
    }

    /// Looks for it in this namespace, if it was not found yet.
    pub fn backend(&mut self, netns: &File) -> io::Result<Backend> {
        if let Some(backend) = &self.backend {
            return Ok(backend.clone());
        }
        let mark = self.mark.clone();
        let backend = within(netns, || Backend::find(mark))?;
        Ok(self.backend.insert(backend).clone())
    }

    /// If it was found.
    pub fn found(&self) -> Option<&Backend> {
        self.backend.as_ref()
    }
}

/// Which of the programs that are called iptables works here.
#[derive(Clone, Debug)]
pub struct Backend {
    names: Names,
    suffix: &'static str,
    /// Where the programs are, if not where the agent is.
    outside: Option<Arc<File>>,
}

impl Backend {
    /// Asks each for its rules, the distribution's own choice first; some are installed where the kernel can't serve
    /// them.
    pub fn find(mark: Mark) -> io::Result<Backend> {
        let outside = outside::mounts_with("iptables-restore")?.map(Arc::new);
        let mut said = Vec::new();
        for suffix in ["", "-nft", "-legacy"] {
            let backend = Backend {
                names: Names {
                    mark: mark.clone(),
                    spared: SPARED.get().cloned().unwrap_or_default(),
                },
                suffix,
                outside: outside.clone(),
            };
            match backend.run(
                Family::V4,
                "",
                &["-w", LOCK_WAIT_S, "-t", "filter", "-S", "INPUT"],
                "",
            ) {
                Ok(_) => return Ok(backend),
                Err(error) => said.push(error.to_string()),
            }
        }
        let hint = "install the Debian package iptables, and see that the kernel has nf_tables or ip_tables";
        Err(io::Error::other(format!(
            "no iptables works here ({}); {hint}",
            said.join("; ")
        )))
    }

    fn run(&self, family: Family, tool: &str, arguments: &[&str], input: &str) -> io::Result<String> {
        let base = match family {
            Family::V4 => "iptables",
            Family::V6 => "ip6tables",
        };
        let name = format!("{base}{}{tool}", self.suffix);
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{name}: {error}"));
        let mut command = Command::new(&name);
        if let Some(mounts) = &self.outside {
            outside::enter_mounts(&mut command, mounts);
        }
        let mut child = command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(named)?;
        // Scripts are far smaller than a pipe's buffer: this can't wait for a child that waits for us.
        let fed = child
            .stdin
            .take()
            .map_or(Ok(()), |mut stdin| stdin.write_all(input.as_bytes()));
        let output = child.wait_with_output().map_err(named)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(io::Error::other(format!(
                "{name}: {}: {}",
                output.status,
                said.trim()
            )));
        }
        fed.map_err(named)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn save(&self, family: Family) -> io::Result<String> {
        self.save_table(family, TABLE)
    }

    /// The rules of a table, with their counters.
    pub fn save_table(&self, family: Family, table: &str) -> io::Result<String> {
        self.run(family, "-save", &["-c", "-t", table], "")
    }

    /// What chains are called.
    pub fn names(&self) -> &Names {
        &self.names
    }

    fn read(&self, family: Family) -> io::Result<Present> {
        Ok(Present::parse(&self.names, &self.save(family)?))
    }

    /// Changes tables by a script of `iptables-restore`, as a whole or not at all.
    pub fn write(&self, family: Family, script: &str) -> io::Result<()> {
        self.run(family, "-restore", &["--noflush", "-w", LOCK_WAIT_S], script)
            .map(drop)
    }

    /// Drops what comes from these addresses, on behalf of the fault.
    pub fn drop_from(&self, fault: u64, addresses: &[IpAddr]) -> io::Result<()> {
        check_number(fault)?;
        let _alone = alone()?;
        for family in Family::ALL {
            let sources: Vec<&IpAddr> = family.of(addresses);
            if !sources.is_empty() {
                let present = self.read(family)?;
                self.write(
                    family,
                    &present.script_to_drop(&self.names, family, fault, &sources),
                )?;
            }
        }
        Ok(())
    }

    /// Fills the chain of the fault with these rules, each as it is written after the name of a chain.
    pub fn fill(&self, fault: u64, family: Family, rules: &[String]) -> io::Result<()> {
        check_number(fault)?;
        let _alone = alone()?;
        let present = self.read(family)?;
        let script = present.script_to_fill(&self.names, family, fault, rules.iter().cloned());
        self.write(family, &script)
    }

    /// What is there of what [`Backend::fill`] did with as many rules that drop.
    pub fn look_at_chain(&self, fault: u64, family: Family, rules: usize) -> io::Result<rules::ChainSeen> {
        let (main, chain) = (self.names.main(), self.names.of_fault(fault));
        Ok(rules::look_at_chain(&self.save(family)?, &main, &chain, rules))
    }

    /// What is there of what [`Backend::drop_from`] did.
    pub fn look(&self, fault: u64, addresses: &[IpAddr]) -> io::Result<rules::Seen> {
        let mut all = rules::Seen::default();
        for family in Family::ALL {
            let sources: Vec<&IpAddr> = family.of(addresses);
            if !sources.is_empty() {
                let (main, chain) = (self.names.main(), self.names.of_fault(fault));
                let seen = rules::look(&self.save(family)?, &main, &chain, &sources);
                all.missing.extend(seen.missing);
                all.dropped.extend(seen.dropped);
            }
        }
        Ok(all)
    }

    /// Whether there is a chain of this fault.
    pub fn has(&self, fault: u64) -> io::Result<bool> {
        for family in Family::ALL {
            match self.read(family) {
                Ok(present) if present.has(&self.names, fault) => return Ok(true),
                Err(error) if family == Family::V4 || has_ipv6() => return Err(error),
                _ => {}
            }
        }
        Ok(false)
    }

    /// Removes the chain of a fault. Returns how many packets it had dropped, or `None` if it was not there.
    pub fn remove(&self, fault: u64) -> io::Result<Option<u64>> {
        let _alone = alone()?;
        let mut dropped = None;
        for family in Family::ALL {
            let present = match self.read(family) {
                Ok(present) => present,
                Err(_) if family == Family::V6 && !has_ipv6() => continue,
                Err(error) => return Err(error),
            };
            let Some(script) = present.script_to_remove(&self.names, fault) else {
                continue;
            };
            self.write(family, &script)?;
            let packets: u64 = present
                .dropped
                .iter()
                .filter(|(chain, _)| self.names.is_of(chain, Some(fault)))
                .map(|(_, packets)| packets)
                .sum();
            dropped = Some(dropped.unwrap_or(0) + packets);
        }
        Ok(dropped)
    }
}
