//! The bytes of an IP packet: whom it comes from, whether it is a probe, and how a bit of what it carries is flipped. Pure.
//!
//! ```text
//! IPv4 (RFC 791): version and length of the header, total length at 2, protocol at 9, checksum, source at 12
//! IPv6 (RFC 8200): version, length of the rest at 4, next header at 6, source at 8; the rest begins at 40
//! TCP (RFC 9293): length of the header at 12, checksum at 16      UDP (RFC 768): data at 8, checksum at 6
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

/// What the payload of each probe begins with: they are counted by themselves.
pub const MAGIC: [u8; 8] = *b"DURESS.P";

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Whom a packet comes from.
pub fn source(packet: &[u8]) -> Option<IpAddr> {
    addresses(packet).map(|(source, _)| source)
}

/// Whom it goes to.
pub fn destination(packet: &[u8]) -> Option<IpAddr> {
    addresses(packet).map(|(_, destination)| destination)
}

fn addresses(packet: &[u8]) -> Option<(IpAddr, IpAddr)> {
    match packet.first()? >> 4 {
        4 => {
            let at = |start: usize| -> Option<IpAddr> {
                let bytes: [u8; 4] = packet.get(start..start + 4)?.try_into().ok()?;
                Some(Ipv4Addr::from(bytes).into())
            };
            Some((at(12)?, at(16)?))
        }
        6 => {
            let at = |start: usize| -> Option<IpAddr> {
                let bytes: [u8; 16] = packet.get(start..start + 16)?.try_into().ok()?;
                Some(Ipv6Addr::from(bytes).into())
            };
            Some((at(8)?, at(24)?))
        }
        _ => None,
    }
}

/// Whether it is a datagram that begins with [`MAGIC`].
pub fn is_probe(packet: &[u8]) -> bool {
    transport(packet)
        .is_some_and(|found| found.checksum == UDP_CHECKSUM && packet[found.data].starts_with(&MAGIC))
}

/// Where the checksum stands, from the beginning of the segment or datagram on.
const TCP_CHECKSUM: usize = 16;
const UDP_CHECKSUM: usize = 6;

/// A TCP segment or a UDP datagram in a packet.
struct Transport {
    /// Where it begins.
    start: usize,
    /// [`TCP_CHECKSUM`] or [`UDP_CHECKSUM`].
    checksum: usize,
    /// Its data, within the packet.
    data: Range<usize>,
}

/// `None`: it is neither, or a part of one.
fn transport(packet: &[u8]) -> Option<Transport> {
    let word = |at: usize| {
        Some(usize::from(u16::from_be_bytes([
            *packet.get(at)?,
            *packet.get(at + 1)?,
        ])))
    };
    let (protocol, start, end) = match packet.first()? >> 4 {
        4 => {
            // Fragments: what is more than one is put together before it gets here.
            if word(6)? & 0x3fff != 0 {
                return None;
            }
            (*packet.get(9)?, usize::from(packet[0] & 15) * 4, word(2)?)
        }
        6 => (*packet.get(6)?, 40, 40 + word(4)?),
        _ => return None,
    };
    let (checksum, header) = match protocol {
        TCP => (TCP_CHECKSUM, usize::from(packet.get(start + 12)? >> 4) * 4),
        UDP => (UDP_CHECKSUM, 8),
        _ => return None,
    };
    let data = start + header..end.min(packet.len());
    (data.start <= data.end && header > checksum).then_some(Transport {
        start,
        checksum,
        data,
    })
}

/// Whether there is a bit that [`flip`] could flip.
pub fn carries_data(packet: &[u8]) -> bool {
    transport(packet).is_some_and(|found| !found.data.is_empty())
}

/// Flips a bit of what a packet carries, the one that was drawn; with `repair` its checksum fits afterwards. False: it carries nothing, or
/// is neither TCP nor UDP.
pub fn flip(packet: &mut [u8], drawn: u64, repair: bool) -> bool {
    let Some(found) = transport(packet).filter(|found| !found.data.is_empty()) else {
        return false;
    };
    let bit = drawn % (found.data.len() as u64 * 8);
    let at = found.data.start + (bit / 8) as usize;
    let mask = 1u8 << (bit % 8);
    let before = packet[at];
    packet[at] ^= mask;
    if repair {
        // The byte is the high or the low one of its word.
        let shift = if (at - found.start).is_multiple_of(2) {
            8
        } else {
            0
        };
        let words = [before, packet[at]].map(|byte| u16::from(byte) << shift);
        refit(
            packet,
            found.start + found.checksum,
            found.checksum == UDP_CHECKSUM,
            words,
        );
    }
    true
}

/// The checksum once a word is another (RFC 1624, equation 3).
fn refit(packet: &mut [u8], at: usize, udp: bool, [before, after]: [u16; 2]) {
    let old = u16::from_be_bytes([packet[at], packet[at + 1]]);
    if udp && old == 0 {
        // The sender made none.
        return;
    }
    let mut sum = u32::from(!old) + u32::from(!before) + u32::from(after);
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    let new = match !(sum as u16) {
        0 if udp => 0xffff,
        new => new,
    };
    packet[at..at + 2].copy_from_slice(&new.to_be_bytes());
}

#[cfg(test)]
mod tests;
