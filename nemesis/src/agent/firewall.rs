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

use std::fs::File;
use std::io::{self, Write};
use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

use nix::sched::{CloneFlags, setns};

use super::chains::{FAULT_MAX, Family, Names, Present};
use super::outside;
use super::protocol::Mark;
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
                names: Names { mark: mark.clone() },
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
        self.run(family, "-save", &["-c", "-t", "filter"], "")
    }

    fn read(&self, family: Family) -> io::Result<Present> {
        Ok(Present::parse(&self.names, &self.save(family)?))
    }

    fn write(&self, family: Family, script: &str) -> io::Result<()> {
        self.run(family, "-restore", &["--noflush", "-w", LOCK_WAIT_S], script)
            .map(drop)
    }

    /// Drops what comes from these addresses, on behalf of the fault.
    pub fn drop_from(&self, fault: u64, addresses: &[IpAddr]) -> io::Result<()> {
        if fault > FAULT_MAX {
            return Err(io::Error::other(format!(
                "fault {fault}: names of chains have no room for numbers above {FAULT_MAX}"
            )));
        }
        for family in Family::ALL {
            let sources: Vec<&IpAddr> = addresses.iter().filter(|address| family.has(address)).collect();
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

    /// What is there of what [`Backend::drop_from`] did.
    pub fn look(&self, fault: u64, addresses: &[IpAddr]) -> io::Result<rules::Seen> {
        let mut all = rules::Seen::default();
        for family in Family::ALL {
            let sources: Vec<&IpAddr> = addresses.iter().filter(|address| family.has(address)).collect();
            if !sources.is_empty() {
                let (main, chain) = (self.names.main(), self.names.of_fault(fault));
                let seen = rules::look(&self.save(family)?, &main, &chain, &sources);
                all.missing.extend(seen.missing);
                all.dropped.extend(seen.dropped);
            }
        }
        Ok(all)
    }

    /// Removes the chain of a fault. Returns how many packets it had dropped, or `None` if it was not there.
    pub fn remove(&self, fault: u64) -> io::Result<Option<u64>> {
        let mut dropped = None;
        for family in Family::ALL {
            let present = match self.read(family) {
                Ok(present) => present,
                // A kernel without IPv6 has no rules of it, either.
                Err(_) if family == Family::V6 && !std::path::Path::new("/proc/sys/net/ipv6").exists() => {
                    continue;
                }
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
