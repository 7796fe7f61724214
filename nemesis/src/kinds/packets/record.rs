//! What is written down of single packets, where a spec asks for it: what was decided of each (`log`), and the packets themselves
//! (`capture`). Both are bounded: what comes on top is counted, and not kept. Pure.
//!
//! `nodes/n1/packets-3.jsonl` is of fault 3, at the node that receives:
//!
//! ```json
//! {"format":1,"fault":3,"node":"n1","began_unix_us":1798070400000000,"left_out":0}
//! {"link":"n2>n1/4","packet":0,"at_us":1203,"bytes":84,"fate":"delivered","delay_us":20000}
//! {"link":"n2>n1/4","packet":1,"at_us":1311,"bytes":84,"fate":"lost"}
//! {"link":"n2>n1/4","packet":2,"at_us":1422,"bytes":84,"fate":"delivered","delay_us":20000,"copied":true,"flipped":17}
//! ```
//!
//! `packet` counts those of the link that the fault has met, probes included; `at_us` counts from `began_unix_us`; `flipped` is the number
//! that chose the bit. `nodes/n1/packets-3.pcap` has the same packets as they came, before anything was done to them, for tcpdump or
//! Wireshark.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::fates::{Fate, Passage};

/// Of the lines that follow the first.
pub const LOG_FORMAT: u32 = 1;
/// Decisions that are kept of one fault at one node.
const DECISIONS_MAX: usize = 20_000;
/// Bytes of a capture file.
const CAPTURE_MAX: usize = 4 << 20;

/// `pcap`, with nanoseconds (draft-ietf-opsawg-pcap, section 4).
const PCAP_MAGIC: u32 = 0xa1b2_3c4d;
const PCAP_VERSION: [u16; 2] = [2, 4];
/// Length of what stands before the first packet.
pub const PCAP_HEADER_LENGTH: usize = 24;
/// Packets begin with their IP header.
const LINKTYPE_RAW: u32 = 101;
/// The longest packet there is.
const SNAPLEN: u32 = 65_535;

/// What is to be written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// What is decided of each packet.
    pub log: bool,
    /// The packets.
    pub capture: bool,
}

impl Wanted {
    /// True if something is.
    pub fn any(self) -> bool {
        self.log || self.capture
    }
}

/// What was decided of one packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// `from>to/family`.
    pub link: String,
    /// Which of this link's packets, from 0.
    pub packet: u64,
    /// When it came, in microseconds since the fault was in force at this node.
    pub at_us: u64,
    /// Its length, IP header included.
    pub bytes: usize,
    /// `lost`, `overflowed` or `delivered`.
    pub fate: String,
    /// How long it was to be held, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_us: Option<u64>,
    /// Whether a copy went with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub copied: bool,
    /// What chose the bit that was flipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flipped: Option<u64>,
}

/// Takes down what one fault does at one node.
#[derive(Debug)]
pub struct Recorder {
    wanted: Wanted,
    /// Since 1970.
    began: Duration,
    decisions: Vec<Decision>,
    decisions_left_out: u64,
    capture: Vec<u8>,
    packets_left_out: u64,
}

/// What was taken down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// When the fault was in force, in microseconds since 1970.
    pub began_unix_us: u64,
    /// What was decided, packet by packet; `None`: nobody had asked.
    pub decisions: Option<Vec<Decision>>,
    /// Decisions that there was no room for.
    pub decisions_left_out: u64,
    /// A whole pcap file; `None`: nobody had asked.
    pub capture: Option<Vec<u8>>,
    /// Packets that there was no room for.
    pub packets_left_out: u64,
}

impl Recorder {
    /// From this time on, since 1970.
    pub fn new(wanted: Wanted, began: Duration) -> Recorder {
        Recorder {
            wanted,
            began,
            decisions: Vec::new(),
            decisions_left_out: 0,
            capture: pcap_header(),
            packets_left_out: 0,
        }
    }

    /// A packet of a link came so long after the beginning.
    pub fn note(&mut self, link: &str, number: u64, after: Duration, packet: &[u8], fate: Fate) {
        if self.wanted.log {
            match self.decisions.len() < DECISIONS_MAX {
                true => self
                    .decisions
                    .push(decision(link, number, after, packet.len(), fate)),
                false => self.decisions_left_out += 1,
            }
        }
    }

    /// A packet came so long after the beginning, of whatever link.
    pub fn capture(&mut self, after: Duration, packet: &[u8]) {
        if self.wanted.capture {
            let record = pcap_record(self.began + after, packet);
            match self.capture.len() + record.len() <= CAPTURE_MAX {
                true => self.capture.extend(record),
                false => self.packets_left_out += 1,
            }
        }
    }

    /// All of it.
    pub fn take(self) -> Taken {
        Taken {
            began_unix_us: self.began.as_micros() as u64,
            decisions: self.wanted.log.then_some(self.decisions),
            decisions_left_out: self.decisions_left_out,
            capture: self.wanted.capture.then_some(self.capture),
            packets_left_out: self.packets_left_out,
        }
    }
}

fn decision(link: &str, packet: u64, after: Duration, bytes: usize, fate: Fate) -> Decision {
    let (name, passage) = match fate {
        Fate::Lost => ("lost", None),
        Fate::Overflowed => ("overflowed", None),
        Fate::Delivered(passage) => ("delivered", Some(passage)),
    };
    let Passage { copied, flip, .. } = passage.unwrap_or_default();
    Decision {
        link: link.to_owned(),
        packet,
        at_us: after.as_micros() as u64,
        bytes,
        fate: name.to_owned(),
        delay_us: passage.map(|passage| passage.delay.as_micros() as u64),
        copied,
        flipped: flip,
    }
}

fn pcap_header() -> Vec<u8> {
    let [major, minor] = PCAP_VERSION.map(u16::to_le_bytes);
    let (magic, snaplen, link) = (
        PCAP_MAGIC.to_le_bytes(),
        SNAPLEN.to_le_bytes(),
        LINKTYPE_RAW.to_le_bytes(),
    );
    [&magic[..], &major, &minor, &[0; 8], &snaplen, &link].concat()
}

fn pcap_record(at: Duration, packet: &[u8]) -> Vec<u8> {
    let length = (packet.len() as u32).to_le_bytes();
    let (seconds, nanoseconds) = (
        (at.as_secs() as u32).to_le_bytes(),
        at.subsec_nanos().to_le_bytes(),
    );
    [&seconds[..], &nanoseconds, &length, &length, packet].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGAN: Duration = Duration::new(1_798_070_400, 5000);

    #[test]
    fn a_capture_is_a_pcap_file() {
        let wanted = Wanted {
            capture: true,
            log: false,
        };
        let mut recorder = Recorder::new(wanted, BEGAN);
        recorder.capture(Duration::from_nanos(1), b"abc");
        let taken = recorder.take();
        let file = taken.capture.unwrap();
        // As `tcpdump --linktype RAW --time-stamp-precision=nano -w` writes it on such a machine.
        let wanted = "4d3cb2a1 0200 0400 00000000 00000000 ffff0000 65000000 80602c6b 89130000 03000000 03000000 616263";
        let hex: String = file.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, wanted.replace(' ', ""));
        assert_eq!((taken.decisions, taken.packets_left_out), (None, 0));
    }

    #[test]
    fn decisions_are_told_as_the_page_says() {
        let wanted = Wanted {
            log: true,
            capture: false,
        };
        let mut recorder = Recorder::new(wanted, BEGAN);
        let passage = Passage {
            delay: Duration::from_millis(20),
            copied: true,
            flip: Some(17),
        };
        let plain = Passage {
            copied: false,
            flip: None,
            ..passage
        };
        for (number, fate) in [Fate::Delivered(plain), Fate::Lost, Fate::Delivered(passage)]
            .into_iter()
            .enumerate()
        {
            let after = Duration::from_micros([1203, 1311, 1422][number]);
            recorder.note("n2>n1/4", number as u64, after, &[0; 84], fate);
        }
        let taken = recorder.take();
        assert_eq!(taken.capture, None);
        let page = include_str!("record.rs");
        for decision in taken.decisions.unwrap() {
            let line = format!("//! {}\n", serde_json::to_string(&decision).unwrap());
            assert!(page.contains(&line), "{line}");
        }
    }

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        let wanted = Wanted {
            log: true,
            capture: true,
        };
        let mut recorder = Recorder::new(wanted, BEGAN);
        for number in 0..DECISIONS_MAX as u64 + 5 {
            recorder.note("a>b/4", number, Duration::ZERO, &[], Fate::Lost);
            recorder.capture(Duration::ZERO, &[0; 1484]);
        }
        let taken = recorder.take();
        assert_eq!(taken.decisions.unwrap().len(), DECISIONS_MAX);
        assert_eq!(taken.decisions_left_out, 5);
        let kept = (CAPTURE_MAX - 24) / 1500;
        assert_eq!(taken.capture.unwrap().len(), 24 + kept * 1500);
        assert_eq!(taken.packets_left_out, DECISIONS_MAX as u64 + 5 - kept as u64);
    }
}
