//! Where the current snapshot is kept: in the file `snapshot`, which is replaced as a whole.
//!
//! ```text
//! 0  CRC-32 of all that follows   u32     12  meta, as JSON: what the snapshot covers
//! 4  length of meta               u64      …  data
//! ```
//!
//! A new one is written to `snapshot.new`, synced, and renamed: so the file is there as a whole or not at all, and one that does not
//! fit its checksum is damaged.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::SpecimenError;
use crate::defect::{Defect, Defects};
use crate::log_file::{DurableSnapshot, remove};
use crate::types::SnapshotMeta;

const FILE: &str = "snapshot";
const NEXT: &str = "snapshot.new";

/// Where the current snapshot is kept.
pub struct Shelf {
    directory: PathBuf,
    current: Mutex<Option<(SnapshotMeta, Arc<Vec<u8>>)>>,
    durable: DurableSnapshot,
}

impl Shelf {
    /// Reads the snapshot under `directory`, if there is one. `None`: it is damaged.
    pub fn open(
        directory: &Path,
        durable: DurableSnapshot,
        defects: &Defects,
    ) -> Result<Option<Self>, SpecimenError> {
        let path = directory.join(FILE);
        let current = match std::fs::read(&path) {
            Ok(bytes) => match parse(&bytes, defects) {
                Some(read) => Some(read),
                None => return Ok(None),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(SpecimenError::Open { path, source }),
        };
        if let Some(last) = current.as_ref().and_then(|(meta, _)| meta.last_log_id) {
            durable.advance(last.index);
        }
        Ok(Some(Self {
            directory: directory.to_owned(),
            current: Mutex::new(current.map(|(meta, data)| (meta, Arc::new(data)))),
            durable,
        }))
    }

    /// Takes the file away.
    pub fn remove(directory: &Path) -> io::Result<()> {
        remove(&directory.join(FILE))
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.directory.join(FILE)
    }

    /// The snapshot, and what it covers.
    pub fn current(&self) -> Option<(SnapshotMeta, Arc<Vec<u8>>)> {
        self.current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Makes this the current snapshot, unless a later one is: a build may end after an install overtook it.
    pub async fn store(self: &Arc<Self>, meta: SnapshotMeta, data: Arc<Vec<u8>>) -> io::Result<()> {
        let shelf = self.clone();
        let write = move || {
            let mut current = shelf.current.lock().unwrap_or_else(PoisonError::into_inner);
            if current
                .as_ref()
                .is_some_and(|(newest, _)| newest.last_log_id > meta.last_log_id)
            {
                return Ok(());
            }
            shelf.write(&meta, &data).map_err(|error| {
                io::Error::other(format!("write snapshot {}: {error}", shelf.path().display()))
            })?;
            if let Some(last) = meta.last_log_id {
                shelf.durable.advance(last.index);
            }
            *current = Some((meta, data));
            Ok(())
        };
        tokio::task::spawn_blocking(write)
            .await
            .map_err(io::Error::other)?
    }

    fn write(&self, meta: &SnapshotMeta, data: &[u8]) -> io::Result<()> {
        let meta = serde_json::to_vec(meta)?;
        let mut bytes = vec![0; 4];
        bytes.extend((meta.len() as u64).to_le_bytes());
        bytes.extend(meta);
        bytes.extend(data);
        let sum = crc32fast::hash(&bytes[4..]).to_le_bytes();
        bytes[..4].copy_from_slice(&sum);
        let next = self.directory.join(NEXT);
        let mut file = File::create(&next)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(next, self.path())?;
        File::open(&self.directory)?.sync_all()
    }
}

fn parse(bytes: &[u8], defects: &Defects) -> Option<(SnapshotMeta, Vec<u8>)> {
    let (sum, rest) = bytes.split_first_chunk()?;
    if u32::from_le_bytes(*sum) != crc32fast::hash(rest) {
        if !defects.has(Defect::NoChecksum) {
            return None;
        }
        defects.diverged(Defect::NoChecksum);
    }
    let (length, rest) = rest.split_first_chunk()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (meta, data) = rest.split_at_checked(length)?;
    Some((serde_json::from_slice(meta).ok()?, data.to_vec()))
}
