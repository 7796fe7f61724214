//! Brings the running program to a host, once for each build of it.
//!
//! ```text
//! ~/.duress/bin/duress-3f9a01b2c4d5e6f7      named after its checksum, which is compared each time
//! ~/.duress/runs/20261128t101112z-7-4711/n1/ log, data
//! ```
//!
//! Whatever keeps a host from being used is found here, before anything is broken: no room, another machine, no root, no library.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::Host;
use super::shell::quoted;
use crate::ClusterError;

/// What has to be left of a disk once the program is there.
const ROOM_KIB: u64 = 16 * 1024;
/// Builds that are kept on a host, this one among them.
const BUILDS_MAX: usize = 3;
/// Digits of the checksum in its name.
const DIGITS: usize = 16;

/// The program that this process runs.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    kib: u64,
    checksum: String,
}

/// Where things are on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brought {
    /// The program.
    pub duress: String,
    /// The folder of all that Duress has there, in full.
    pub folder: String,
}

impl Program {
    /// Reads it, which takes a moment.
    pub async fn this() -> Result<Program, ClusterError> {
        let read = tokio::task::spawn_blocking(|| Program::at(Path::new("/proc/self/exe"))).await;
        read.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    fn at(path: &Path) -> Result<Program, ClusterError> {
        let bytes = std::fs::read(path).map_err(|source| ClusterError::Io {
            what: format!("read {}", path.display()),
            source,
        })?;
        let checksum = Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok(Program {
            path: path.to_owned(),
            kib: bytes.len() as u64 / 1024 + 1,
            checksum,
        })
    }

    /// Brings it there, unless it is there, and sees that it runs. `folder` is relative to the home of the user who logs in.
    pub async fn bring(&self, host: &Host, folder: &str) -> Result<Brought, ClusterError> {
        self.check_machine(host).await?;
        let folder = self.make_folder(host, folder).await?;
        let duress = format!("{folder}/bin/duress-{}", &self.checksum[..DIGITS]);
        if self.checksum_there(host, &duress).await? != self.checksum {
            self.upload(host, &folder, &duress).await?;
        }
        let run = format!("{} --version", quoted(&duress));
        let (_, end) = host.ended(&run).await?;
        if end.status != Some(0) {
            let why = format!(
                "{}; it needs the same system libraries as here, of which libssl.so.3 comes with the package libssl3",
                end.how()
            );
            return Err(host.error("run duress", why));
        }
        Ok(Brought { duress, folder })
    }

    async fn check_machine(&self, host: &Host) -> Result<(), ClusterError> {
        let machine = host.run("uname -sm").await?;
        let here = format!("Linux {}", std::env::consts::ARCH);
        if machine.trim() == here {
            return Ok(());
        }
        let why = format!(
            "it is {}, and this program is for {here}; use a host of the same kind",
            machine.trim()
        );
        Err(host.error("use duress", why))
    }

    /// Only its user may write there: what lies in it is run as root.
    async fn make_folder(&self, host: &Host, folder: &str) -> Result<String, ClusterError> {
        let folder = quoted(folder);
        let make = format!(
            "cd && mkdir -p {folder}/bin {folder}/runs && chmod 700 {folder} && cd {folder} && pwd -P"
        );
        let (made, end) = host.ended(&make).await?;
        if end.status != Some(0) {
            let why = format!("{}; see that its disk is not full and may be written", end.how());
            return Err(host.error(&format!("make the folder {folder}"), why));
        }
        Ok(made.trim().to_owned())
    }

    async fn checksum_there(&self, host: &Host, duress: &str) -> Result<String, ClusterError> {
        let (said, _) = host.ended(&format!("sha256sum {}", quoted(duress))).await?;
        Ok(said.split_whitespace().next().unwrap_or_default().to_owned())
    }

    async fn upload(&self, host: &Host, folder: &str, duress: &str) -> Result<(), ClusterError> {
        // The builds that were used last stay.
        let clean = format!(
            "cd {}/bin && rm -f *.part && ls -t | tail -n +{BUILDS_MAX} | xargs -r rm -f",
            quoted(folder)
        );
        host.run(&clean).await?;
        let free = host.run(&format!("df -Pk {}", quoted(folder))).await?;
        if let Some(free) = free_kib(&free)
            && free < self.kib + ROOM_KIB
        {
            let why = format!(
                "{} MiB are free in {folder} and {} are needed; make room there, or name another folder",
                free / 1024,
                (self.kib + ROOM_KIB) / 1024
            );
            return Err(host.error("bring duress there", why));
        }
        let part = format!("{duress}.part");
        host.remote.upload(&self.path, &part, 0o700).await?;
        if self.checksum_there(host, &part).await? != self.checksum {
            return Err(host.error(
                "bring duress there",
                "what arrived is not what was sent; try again",
            ));
        }
        let (part, duress) = (quoted(&part), quoted(duress));
        host.run(&format!("chmod 700 {part} && mv -f {part} {duress}"))
            .await
            .map(drop)
    }
}

/// What `df -Pk` says is free.
fn free_kib(said: &str) -> Option<u64> {
    said.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_free_is_the_fourth_column() {
        let said = "Filesystem 1024-blocks Used Available Capacity Mounted on\ntmpfs 1024 1000 24 98% /root/.duress\n";
        assert_eq!(free_kib(said), Some(24));
        assert_eq!(free_kib("df: no such file"), None);
    }

    #[test]
    fn the_checksum_is_of_the_content() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "abc").unwrap();
        let checksum = Program::at(file.path()).unwrap().checksum;
        assert!(checksum.starts_with("ba7816bf8f01cfea"), "{checksum}");
    }
}
