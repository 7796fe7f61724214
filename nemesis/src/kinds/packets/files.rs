//! Where what was written down of single packets is kept: files in the run's directory, as [`super::record`] describes them.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::json;

use super::order::Recorded;
use super::record::{LOG_FORMAT, PCAP_HEADER_LENGTH};

/// Writes what a fault did at a node, each time that it was put in force there. Says what is where, and what was left out.
pub fn write_records(
    directory: &Path,
    node: &str,
    fault: u64,
    records: &[Recorded],
) -> io::Result<Vec<String>> {
    let folder = directory.join("nodes").join(node);
    let name = |suffix| folder.join(format!("packets-{fault}.{suffix}"));
    let mut said = Vec::new();
    if records.iter().any(|record| record.decisions.is_some()) {
        let left_out = records.iter().map(|record| record.decisions_left_out).sum();
        let lines = lines(node, fault, records)?;
        said.push(write(directory, name("jsonl"), &lines, left_out)?);
    }
    if records.iter().any(|record| record.capture.is_some()) {
        let left_out = records.iter().map(|record| record.packets_left_out).sum();
        said.push(write(directory, name("pcap"), &capture(records)?, left_out)?);
    }
    Ok(said)
}

fn lines(node: &str, fault: u64, records: &[Recorded]) -> io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    for record in records {
        let head = json!({
            "format": LOG_FORMAT,
            "fault": fault,
            "node": node,
            "began_unix_us": record.began_unix_us,
            "left_out": record.decisions_left_out,
        });
        writeln!(lines, "{head}")?;
        for decision in record.decisions.iter().flatten() {
            serde_json::to_writer(&mut lines, decision)?;
            lines.push(b'\n');
        }
    }
    Ok(lines)
}

/// One file of several: with the header of the first alone.
fn capture(records: &[Recorded]) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    for text in records.iter().filter_map(|record| record.capture.as_ref()) {
        let file = BASE64_STANDARD.decode(text).map_err(io::Error::other)?;
        let skipped = if all.is_empty() { 0 } else { PCAP_HEADER_LENGTH };
        all.extend_from_slice(file.get(skipped..).unwrap_or_default());
    }
    Ok(all)
}

fn write(directory: &Path, path: PathBuf, bytes: &[u8], left_out: u64) -> io::Result<String> {
    let shown = path
        .strip_prefix(directory)
        .unwrap_or(&path)
        .display()
        .to_string();
    let named = |error: io::Error| io::Error::new(error.kind(), format!("write {}: {error}", path.display()));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(named)?;
    }
    File::create(&path)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(named)?;
    Ok(match left_out {
        0 => shown,
        more => format!("{shown} ({more} more packets had no room)"),
    })
}
