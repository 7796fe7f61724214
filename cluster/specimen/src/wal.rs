//! The format of `log.wal`: records one after another, each with checksums of its own.
//!
//! ```text
//!  0  length of the body       u32     40  body: the payload of an entry as JSON, e.g.
//!  4  CRC-32 of the body       u32         {"Normal":{"commands":[{"op":{"put":{"key":"x","value":7}}}]}}
//!  8  what it is               u32
//! 12  index                    u64     All numbers little-endian. Other records than entries have no body:
//! 20  term                     u64     truncate (from this index on), purge (up to this position),
//! 28  node that led            u64     committed (up to this position).
//! 36  CRC-32 of bytes 0 to 35  u32     Padding has a body of zeros.
//! ```
//!
//! Padding ends each batch of records at a multiple of [`SECTOR`]: so no sector is written again that has something acknowledged in it,
//! which a disk whose power fails in the middle could take along.
//!
//! # A torn tail, or damage
//!
//! A batch of records is one write and one sync, and nobody is told of it before the sync. So what a crash may leave of a batch
//! was never acknowledged, and can go. It looks like the beginning of a record after which the file ends, or nothing but zeros
//! to the end of the file, where the file had grown and nothing had been written. Everything else that does not fit its checksum
//! is damage: there, something acknowledged may be lost, and what can't be told apart from damage is taken for it. (Alagappan and
//! others 2018, *Protocol-aware recovery for consensus-based storage*, FAST '18, §3.3: "disentangling crashes and corruption".)

use openraft::{Entry, EntryPayload, LogId};

use crate::defect::{Defect, Defects};
use crate::types::{LogPosition, TypeConfig};

/// Bytes before the body of a record.
pub const HEADER: usize = 40;

/// What disks write as a whole, at most.
pub const SECTOR: u64 = 4096;

/// One record.
#[derive(Clone, Debug)]
pub enum Record {
    /// An entry of the log. It replaces one at the same index.
    Entry(Entry<TypeConfig>),
    /// Entries from this index on are gone.
    Truncate(u64),
    /// Entries up to this position are gone: a snapshot has them.
    Purge(LogPosition),
    /// The log is known to be committed up to this position.
    Committed(LogPosition),
}

/// Adds padding to records that begin at this byte of the file, so that they end with a sector.
pub fn pad(to: &mut Vec<u8>, at: u64) {
    let end = at + (to.len() + HEADER) as u64;
    let rest = end.next_multiple_of(SECTOR) - end;
    put(to, Kind::Padding, LogPosition::default(), &vec![0; rest as usize]);
}

/// Where the readable part of a log ends, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With the file.
    Whole,
    /// At this byte: what follows was being written when the node crashed, and never acknowledged.
    Torn(u64),
    /// What stands at this byte is not what was written; the text says how that shows.
    Damaged(u64, &'static str),
}

/// Adds a record for `entry`, whose payload is `payload` in JSON.
pub fn put_entry(to: &mut Vec<u8>, position: LogPosition, payload: &[u8]) {
    put(to, Kind::Entry, position, payload);
}

/// Adds a record for a truncation.
pub fn put_truncate(to: &mut Vec<u8>, from: u64) {
    let at = LogId {
        index: from,
        ..LogId::default()
    };
    put(to, Kind::Truncate, at, &[]);
}

/// Adds a record for a purge.
pub fn put_purge(to: &mut Vec<u8>, upto: LogPosition) {
    put(to, Kind::Purge, upto, &[]);
}

/// Adds a record for what is known to be committed.
pub fn put_committed(to: &mut Vec<u8>, upto: LogPosition) {
    put(to, Kind::Committed, upto, &[]);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Entry = 1,
    Truncate = 2,
    Purge = 3,
    Committed = 4,
    Padding = 5,
}

fn put(to: &mut Vec<u8>, kind: Kind, at: LogPosition, body: &[u8]) {
    let begin = to.len();
    // A batch is bounded by what a request may carry, far below 4 GiB.
    to.extend((body.len() as u32).to_le_bytes());
    to.extend(crc32fast::hash(body).to_le_bytes());
    to.extend((kind as u32).to_le_bytes());
    to.extend(at.index.to_le_bytes());
    to.extend(at.leader_id.term.to_le_bytes());
    to.extend(at.leader_id.node_id.to_le_bytes());
    let header = crc32fast::hash(&to[begin..]);
    to.extend(header.to_le_bytes());
    to.extend(body);
}

/// Reads all records of a log, as far as it can be read.
///
/// With [`Defect::NoChecksum`] bodies are not compared with their checksums, commands that are no JSON count as none, and where no
/// record can be read, reading goes on in the next sector.
pub fn read(bytes: &[u8], defects: &Defects) -> (Vec<Record>, End) {
    let mut records = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match record(&bytes[at..], defects) {
            Ok((record, length)) => {
                records.extend(record);
                at += length;
            }
            Err(Bad::Cut) => return (records, End::Torn(at as u64)),
            Err(Bad::Wrong(_)) if bytes[at..].iter().all(|byte| *byte == 0) => {
                return (records, End::Torn(at as u64));
            }
            Err(Bad::Wrong(_)) if defects.has(Defect::NoChecksum) => {
                defects.diverged(Defect::NoChecksum);
                at = (at + 1).next_multiple_of(SECTOR as usize);
            }
            Err(Bad::Wrong(how)) => return (records, End::Damaged(at as u64, how)),
        }
    }
    (records, End::Whole)
}

enum Bad {
    /// The file ends before the record does.
    Cut,
    Wrong(&'static str),
}

/// The record at the beginning of `bytes`, if it is more than padding, and its length.
fn record(bytes: &[u8], defects: &Defects) -> Result<(Option<Record>, usize), Bad> {
    let header: &[u8; HEADER] = bytes.first_chunk().ok_or(Bad::Cut)?;
    if crc32fast::hash(&header[..36]) != u32_at(header, 36) {
        return Err(Bad::Wrong("a header does not fit its checksum"));
    }
    let length = HEADER + u32_at(header, 0) as usize;
    let body = bytes.get(HEADER..length).ok_or(Bad::Cut)?;
    let kind = u32_at(header, 8);
    let trusts = defects.has(Defect::NoChecksum);
    if crc32fast::hash(body) != u32_at(header, 4) {
        if !trusts {
            return Err(Bad::Wrong("a body does not fit its checksum"));
        }
        // Nobody reads what rots in padding.
        if kind != Kind::Padding as u32 {
            defects.diverged(Defect::NoChecksum);
        }
    }
    let position = LogId {
        leader_id: openraft::LeaderId::new(u64_at(header, 20), u64_at(header, 28)),
        index: u64_at(header, 12),
    };
    let record = match kind {
        kind if kind == Kind::Entry as u32 => Record::Entry(Entry {
            log_id: position,
            payload: match serde_json::from_slice(body) {
                Ok(payload) => payload,
                Err(_) if trusts && body.starts_with(br#"{"Normal""#) => EntryPayload::Blank,
                Err(_) => return Err(Bad::Wrong("an entry is no JSON")),
            },
        }),
        kind if kind == Kind::Truncate as u32 => Record::Truncate(position.index),
        kind if kind == Kind::Purge as u32 => Record::Purge(position),
        kind if kind == Kind::Committed as u32 => Record::Committed(position),
        kind if kind == Kind::Padding as u32 => return Ok((None, length)),
        _ => return Err(Bad::Wrong("a record is of no known kind")),
    };
    Ok((Some(record), length))
}

fn u32_at(header: &[u8; HEADER], at: usize) -> u32 {
    u32::from_le_bytes(header[at..at + 4].try_into().expect("4 bytes"))
}

fn u64_at(header: &[u8; HEADER], at: usize) -> u64 {
    u64::from_le_bytes(header[at..at + 8].try_into().expect("8 bytes"))
}

#[cfg(test)]
mod tests {
    use openraft::testing::log_id;

    use super::*;

    /// Three entries, and where each ends.
    fn log() -> (Vec<u8>, Vec<usize>) {
        let mut bytes = Vec::new();
        let mut ends = Vec::new();
        for index in 0..3 {
            let payload =
                format!(r#"{{"Normal":{{"commands":[{{"op":{{"put":{{"key":"x","value":{index}}}}}}}]}}}}"#);
            put_entry(&mut bytes, log_id(1, 1, index), payload.as_bytes());
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    fn correct(bytes: &[u8]) -> (usize, End) {
        let (records, end) = read(bytes, &Defects::default());
        (records.len(), end)
    }

    #[test]
    fn records_are_read_as_they_were_written() {
        let (mut bytes, _) = log();
        put_truncate(&mut bytes, 2);
        put_purge(&mut bytes, log_id(1, 1, 0));
        put_committed(&mut bytes, log_id(1, 1, 1));
        let (records, end) = read(&bytes, &Defects::default());
        assert_eq!(end, End::Whole);
        assert!(matches!(&records[0], Record::Entry(entry) if entry.log_id == log_id(1, 1, 0)));
        assert!(matches!(
            records[3..],
            [Record::Truncate(2), Record::Purge(purged), Record::Committed(committed)]
            if purged == log_id(1, 1, 0) && committed == log_id(1, 1, 1)
        ));
    }

    #[test]
    fn each_batch_ends_with_a_sector_and_is_torn_wherever_it_is_cut() {
        let (mut bytes, _) = log();
        pad(&mut bytes, 0);
        assert_eq!(bytes.len() as u64, SECTOR);
        assert_eq!(correct(&bytes), (3, End::Whole));
        let begin = bytes.len();
        let (mut batch, _) = log();
        pad(&mut batch, begin as u64);
        bytes.extend(batch);
        assert_eq!(correct(&bytes), (6, End::Whole));
        for sector in 1..8 {
            let (records, end) = correct(&bytes[..begin + sector * 512]);
            assert!(
                records >= 3 && matches!(end, End::Torn(at) if at >= begin as u64),
                "{sector}"
            );
        }
        // Where there is hardly room for padding, it takes a sector of its own.
        for at in 0..SECTOR {
            let mut batch = Vec::new();
            pad(&mut batch, at);
            assert_eq!((at + batch.len() as u64) % SECTOR, 0);
        }
    }

    #[test]
    fn a_log_cut_off_anywhere_is_torn_and_keeps_what_is_whole() {
        let (bytes, ends) = log();
        for cut in 1..bytes.len() {
            let whole = ends.iter().filter(|end| **end <= cut).count();
            let at = whole.checked_sub(1).map_or(0, |last| ends[last]) as u64;
            let end = match at as usize == cut {
                true => End::Whole,
                false => End::Torn(at),
            };
            assert_eq!(correct(&bytes[..cut]), (whole, end), "cut at {cut}");
        }
        let grown = [bytes.as_slice(), &[0; 700]].concat();
        assert_eq!(correct(&grown), (3, End::Torn(bytes.len() as u64)));
    }

    #[test]
    fn any_bit_that_turned_over_is_found_and_never_taken_for_a_crash() {
        let (bytes, ends) = log();
        for bit in 0..bytes.len() * 8 {
            let mut rotten = bytes.clone();
            rotten[bit / 8] ^= 1 << (bit % 8);
            let hit = ends.iter().filter(|end| **end <= bit / 8).count();
            let (whole, end) = correct(&rotten);
            assert_eq!(whole, hit, "bit {bit}");
            assert!(matches!(end, End::Damaged(..)), "bit {bit}: {end:?}");
        }
    }

    #[test]
    fn without_checksums_what_is_read_is_taken() {
        let (bytes, ends) = log();
        let trusting = Defects::new([Defect::NoChecksum]);
        // 1 becomes 3; a quotation mark becomes something else.
        let digit = ends[1] - 7;
        for (at, mask, taken) in [(digit, 2, true), (ends[0] + HEADER + 11, 4, false)] {
            let mut rotten = bytes.clone();
            assert!(at != digit || rotten[at] == b'1');
            rotten[at] ^= mask;
            let (records, end) = read(&rotten, &trusting);
            assert_eq!((records.len(), end), (3, End::Whole));
            let Record::Entry(entry) = &records[1] else {
                panic!("{records:?}");
            };
            assert_eq!(matches!(entry.payload, EntryPayload::Normal(_)), taken);
        }
        assert_eq!(trusting.times(Defect::NoChecksum), 2);
    }

    #[test]
    fn without_checksums_a_bad_header_costs_the_rest_of_its_batch() {
        let mut bytes = Vec::new();
        for _ in 0..3 {
            let mut batch = log().0;
            pad(&mut batch, bytes.len() as u64);
            bytes.extend(batch);
        }
        let sector = SECTOR as usize;
        bytes[sector + log().1[0] + 12] ^= 1;
        let trusting = Defects::new([Defect::NoChecksum]);
        let (records, end) = read(&bytes, &trusting);
        assert_eq!((records.len(), end), (3 + 1 + 3, End::Whole));
        assert_eq!(trusting.times(Defect::NoChecksum), 1);
    }
}
