use super::*;

fn datagram(data: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; 28];
    (packet[0], packet[9]) = (0x45, UDP);
    packet[2..4].copy_from_slice(&(28 + data.len() as u16).to_be_bytes());
    packet[12..16].copy_from_slice(&[10, 9, 0, 2]);
    packet[16..20].copy_from_slice(&[10, 9, 0, 3]);
    packet[24..26].copy_from_slice(&(8 + data.len() as u16).to_be_bytes());
    packet.extend(data);
    with_checksum(packet, 20, 6)
}

fn segment(data: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; 40 + 24];
    (packet[0], packet[6]) = (0x60, TCP);
    packet[4..6].copy_from_slice(&(24 + data.len() as u16).to_be_bytes());
    packet[8..24].copy_from_slice(&[0xfd; 16]);
    packet[24..40].copy_from_slice(&[0xfe; 16]);
    // Six words of header: one of options.
    packet[40 + 12] = 6 << 4;
    packet.extend(data);
    with_checksum(packet, 40, 16)
}

/// Of a segment or datagram with its pseudo-header: 0 if its checksum fits.
fn sum(packet: &[u8], start: usize) -> u16 {
    let (ends, protocol) = match packet[0] >> 4 {
        4 => (12..20, packet[9]),
        _ => (8..40, packet[6]),
    };
    let body = &packet[start..];
    let mut bytes = [
        &packet[ends],
        &(body.len() as u32).to_be_bytes(),
        &[0, protocol],
        body,
    ]
    .concat();
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    let words = bytes
        .chunks(2)
        .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let total = words.fold(0, |sum, word| {
        let sum = sum + word;
        (sum >> 16) + (sum & 0xffff)
    });
    !(total as u16)
}

fn with_checksum(mut packet: Vec<u8>, start: usize, at: usize) -> Vec<u8> {
    let fits = sum(&packet, start);
    packet[start + at..start + at + 2].copy_from_slice(&fits.to_be_bytes());
    assert_eq!(sum(&packet, start), 0);
    packet
}

#[test]
fn senders_and_probes_are_told() {
    assert_eq!(source(&datagram(b"")), Some(IpAddr::from([10, 9, 0, 2])));
    assert_eq!(destination(&datagram(b"")), Some(IpAddr::from([10, 9, 0, 3])));
    assert_eq!(source(&[]), None);
    assert_eq!(source(&[0x45; 15]), None);
    assert!(is_probe(&datagram(b"DURESS.P 12345")));
    assert!(!is_probe(&datagram(b"DURESS.")));
    assert!(!is_probe(&datagram(b"hello, this is the system")));
    assert!(!is_probe(&segment(b"DURESS.P 12345")));
    assert_eq!(source(&segment(b"")), Some(IpAddr::from([0xfdfd; 8])));
    let mut v6 = vec![0; 48];
    (v6[0], v6[6], v6[5]) = (0x60, UDP, 16);
    v6.extend(MAGIC);
    assert!(is_probe(&v6));
}

#[test]
fn one_bit_of_the_data_is_flipped_and_the_checksum_fits_or_does_not() {
    let data = b"an odd number of bytes!";
    for (whole, start) in [(datagram(data), 20), (segment(data), 40)] {
        let head = whole.len() - data.len();
        for drawn in 0..data.len() as u64 * 8 {
            for repair in [false, true] {
                let mut packet = whole.clone();
                assert!(flip(&mut packet, drawn, repair));
                let bits = |range: Range<usize>| -> u32 {
                    range.map(|at| (packet[at] ^ whole[at]).count_ones()).sum()
                };
                assert_eq!(bits(head..whole.len()), 1, "bit {drawn}");
                assert_eq!(sum(&packet, start) == 0, repair, "bit {drawn}");
                assert_eq!(bits(0..start), 0, "the IP header");
            }
        }
    }
}

#[test]
fn what_carries_nothing_and_what_is_cut_off_stays_as_it_is() {
    let mut ping = datagram(b"an echo request");
    ping[9] = 1;
    let mut fragment = datagram(b"a part");
    fragment[6] = 0x20;
    for packet in [datagram(b""), segment(b""), ping, fragment, vec![], vec![0x45; 9]] {
        let mut changed = packet.clone();
        assert!(!flip(&mut changed, 7, true));
        assert_eq!(changed, packet);
    }
    let whole = segment(b"some data");
    for length in 0..whole.len() {
        let _ = flip(&mut whole[..length].to_vec(), 12345, true);
    }
    // A datagram without a checksum has none afterwards.
    let mut none = datagram(b"data");
    none[26..28].fill(0);
    assert!(flip(&mut none, 3, true));
    assert_eq!(none[26..28], [0, 0]);
}
