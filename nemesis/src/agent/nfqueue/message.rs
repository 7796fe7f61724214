//! The messages of the kernel's `nfnetlink_queue`, to and fro (`linux/netfilter/nfnetlink_queue.h`). Pure.
//!
//! ```text
//! nlmsghdr  length:u32 type:u16 flags:u16 sequence:u32 port:u32      in the machine's byte order
//! nfgenmsg  family:u8 version:u8 queue:u16                           the queue big-endian, as all that follows
//! nlattr    length:u16 type:u16, in the machine's byte order; data; zeros up to a multiple of four
//! ```

const SUBSYSTEM: u16 = 3;
const PACKET: u16 = SUBSYSTEM << 8;
const VERDICT: u16 = (SUBSYSTEM << 8) | 1;
const CONFIG: u16 = (SUBSYSTEM << 8) | 2;
const ERROR: u16 = 2;

const REQUEST: u16 = 1;
const ACKNOWLEDGE: u16 = 4;

const CONFIG_COMMAND: u16 = 1;
const CONFIG_COPY: u16 = 2;
const CONFIG_LENGTH: u16 = 3;
const COMMAND_BIND: u8 = 1;
const COPY_PACKET: u8 = 2;

const PACKET_HEADER: u16 = 1;
const VERDICT_HEADER: u16 = 2;
const MARK: u16 = 3;
const PAYLOAD: u16 = 10;

const HEADERS: usize = 20;

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is gone, and nobody is told.
    Drop,
    /// It goes on to where it was going.
    Accept,
}

/// A packet that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// By which the kernel knows it.
    pub id: u32,
    /// The mark that its socket, or a rule, has put on it. 0: none.
    pub mark: u32,
    /// From its IP header on.
    pub payload: Vec<u8>,
}

/// Begins to listen.
pub fn bind(queue: u16) -> Vec<u8> {
    config(queue, CONFIG_COMMAND, &[COMMAND_BIND, 0, 0, 0])
}

/// Asks for all bytes of each packet.
pub fn whole_packets(queue: u16) -> Vec<u8> {
    let range = u32::from(u16::MAX).to_be_bytes();
    config(queue, CONFIG_COPY, &[&range[..], &[COPY_PACKET]].concat())
}

/// How many packets may wait.
pub fn length_max(queue: u16, packets: u32) -> Vec<u8> {
    config(queue, CONFIG_LENGTH, &packets.to_be_bytes())
}

/// Says what becomes of a packet.
pub fn verdict(queue: u16, id: u32, fate: Fate, payload: Option<&[u8]>) -> Vec<u8> {
    let number: u32 = match fate {
        Fate::Drop => 0,
        Fate::Accept => 1,
    };
    let header = [number.to_be_bytes(), id.to_be_bytes()].concat();
    let mut attributes = attribute(VERDICT_HEADER, &header);
    if let Some(payload) = payload {
        attributes.extend(attribute(PAYLOAD, payload));
    }
    message(VERDICT, REQUEST, queue, &attributes)
}

fn config(queue: u16, kind: u16, data: &[u8]) -> Vec<u8> {
    message(CONFIG, REQUEST | ACKNOWLEDGE, queue, &attribute(kind, data))
}

fn message(kind: u16, flags: u16, queue: u16, attributes: &[u8]) -> Vec<u8> {
    let length = (HEADERS + attributes.len()) as u32;
    let mut bytes = Vec::with_capacity(length as usize);
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([0, 0]);
    bytes.extend(queue.to_be_bytes());
    bytes.extend(attributes);
    bytes
}

fn attribute(kind: u16, data: &[u8]) -> Vec<u8> {
    let length = (4 + data.len()) as u16;
    let mut bytes = Vec::with_capacity(data.len() + 8);
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// The packets in what was received; other messages are left out.
pub fn packets(bytes: &[u8]) -> Vec<Packet> {
    messages(bytes)
        .filter_map(|(kind, body)| (kind == PACKET).then(|| packet(body)).flatten())
        .collect()
}

/// The error number that an acknowledgement has, 0 for success; `None` where it is none.
pub fn error(bytes: &[u8]) -> Option<i32> {
    let (_, body) = messages(bytes).find(|(kind, _)| *kind == ERROR)?;
    let number = body.get(..4)?.try_into().ok()?;
    Some(-i32::from_ne_bytes(number))
}

/// Type and body, without the first header.
fn messages(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
        let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
        let body = bytes.get(16..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, body))
    })
}

fn packet(body: &[u8]) -> Option<Packet> {
    let (mut id, mut mark, mut payload) = (None, 0, Vec::new());
    let mut rest = body.get(4..)?;
    while let Some(head) = rest.get(..4) {
        let length = usize::from(u16::from_ne_bytes([head[0], head[1]]));
        let kind = u16::from_ne_bytes([head[2], head[3]]);
        let data = rest.get(4..length)?;
        match kind {
            PACKET_HEADER => id = Some(u32::from_be_bytes(data.get(..4)?.try_into().ok()?)),
            MARK => mark = u32::from_be_bytes(data.get(..4)?.try_into().ok()?),
            PAYLOAD => payload = data.to_vec(),
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(Packet {
        id: id?,
        mark,
        payload,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_read_and_what_is_cut_off_is_not() {
        let attributes = [
            attribute(PACKET_HEADER, &[0, 0, 0, 7, 8, 0, 1]),
            attribute(4, &[1, 2]),
            attribute(MARK, &[0, 0, 1, 2]),
            attribute(PAYLOAD, b"hello"),
        ];
        let one = message(PACKET, 0, 53000, &attributes.concat());
        let wanted = Packet {
            id: 7,
            mark: 0x102,
            payload: b"hello".to_vec(),
        };
        assert_eq!(packets(&one), std::slice::from_ref(&wanted));
        assert_eq!(
            packets(&[one.clone(), one.clone()].concat()),
            [wanted.clone(), wanted]
        );
        for length in 0..one.len() {
            assert_eq!(packets(&one[..length]), [], "{length} bytes");
        }
    }

    #[test]
    fn errors_are_told_from_packets() {
        let refused = message(ERROR, 0, 0, &[]);
        let mut refused = refused[..16].to_vec();
        refused.extend((-16i32).to_ne_bytes());
        refused[..4].copy_from_slice(&20u32.to_ne_bytes());
        assert_eq!(error(&refused), Some(16));
        assert_eq!(error(&message(PACKET, 0, 1, &[])), None);
        assert_eq!(error(&[]), None);
    }

    #[test]
    fn a_verdict_is_as_the_kernel_wants_it() {
        let bytes = verdict(53000, 7, Fate::Accept, None);
        assert_eq!(bytes.len(), 32);
        assert_eq!(bytes[18..20], 53000u16.to_be_bytes());
        assert_eq!(bytes[24..32], [0, 0, 0, 1, 0, 0, 0, 7]);
        assert_eq!(verdict(1, 7, Fate::Drop, Some(b"xyz")).len(), 40);
    }
}
