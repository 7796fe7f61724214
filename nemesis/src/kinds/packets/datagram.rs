//! The datagrams that links are measured with. Each carries its name three times, so that it is known whichever of its bits was flipped:
//!
//! ```text
//! "DURESS.P" session:u64 track:u32 number:u32, three times; zeros
//! ```

use super::packet::MAGIC;

/// How long a name is, and how long three are.
const NAME: usize = 24;
const NAMES: usize = 3 * NAME;
/// Headers of a datagram: of IPv4 and UDP.
pub const HEADERS_V4: usize = 28;
/// Of IPv6 and UDP.
pub const HEADERS_V6: usize = 48;
/// The longest datagram that is read.
pub const DATAGRAM_MAX: usize = 2048;

/// What tells a packet from those of other sessions, tracks and rounds.
fn name(session: u64, track: u32, round: u32) -> [u8; NAME] {
    let mut name = [0; NAME];
    name[..8].copy_from_slice(&MAGIC);
    name[8..16].copy_from_slice(&session.to_be_bytes());
    name[16..20].copy_from_slice(&track.to_be_bytes());
    name[20..].copy_from_slice(&round.to_be_bytes());
    name
}

/// The datagram that is so long, from its IPv4 header on.
pub fn datagram(session: u64, bytes: u32, track: u32, round: u32) -> Vec<u8> {
    let mut packet = name(session, track, round).repeat(3);
    packet.resize((bytes as usize).saturating_sub(HEADERS_V4).max(NAMES), 0);
    packet
}

/// What has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    pub track: u32,
    pub round: u32,
    /// It is not as it was sent.
    pub changed: bool,
}

/// By what two of three names agree on, bit by bit. `None`: it is of another session, or none of ours.
pub fn read(packet: &[u8], session: u64, bytes: u32) -> Option<Named> {
    let names = packet.get(..NAMES)?;
    let mut agreed = [0; NAME];
    for (at, byte) in agreed.iter_mut().enumerate() {
        let [a, b, c] = [names[at], names[at + NAME], names[at + 2 * NAME]];
        *byte = (a & b) | (a & c) | (b & c);
    }
    let number = |at: usize| u32::from_be_bytes([agreed[at], agreed[at + 1], agreed[at + 2], agreed[at + 3]]);
    let (track, round) = (number(16), number(20));
    (agreed == name(session, track, round)).then(|| Named {
        track,
        round,
        changed: packet != datagram(session, bytes, track, round),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_known_whichever_of_its_bits_was_flipped() {
        let whole = datagram(3, 120, 7, 9);
        assert_eq!(whole.len(), 120 - HEADERS_V4);
        let named = |changed| Named {
            track: 7,
            round: 9,
            changed,
        };
        assert_eq!(read(&whole, 3, 120), Some(named(false)));
        for bit in 0..whole.len() * 8 {
            let mut packet = whole.clone();
            packet[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&packet, 3, 120), Some(named(true)), "bit {bit}");
        }
        assert_eq!(read(&whole, 4, 120), None);
        assert_eq!(read(&whole[..NAMES - 1], 3, 120), None);
    }
}
