//! A journal as text: lines with seals, and what is open by those that are genuine.

use std::collections::BTreeMap;

use duress_cluster::Key;
use serde_json::Value;

use super::entry::{Entry, JOURNAL_FORMAT, RunEntry};
use super::line::{LINE_DOMAIN, unsealed};
use crate::in_force::InForce;
use crate::storage::NodeStorage;

/// What a journal says, as far as it is genuine.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// Whose it is; `None` before its first line.
    pub run: Option<RunEntry>,
    /// Faults that were opened and not closed, by number.
    pub open: BTreeMap<u64, InForce>,
    /// What may lie under data directories.
    pub storage: Vec<NodeStorage>,
    /// Seal of the last genuine line.
    pub seal: String,
    /// Bytes of all genuine lines. Half a line at the end, cut off by a crash, was never acted on.
    pub bytes: u64,
    /// The first line that isn't genuine, from 1.
    pub forged: Option<usize>,
}

impl Contents {
    pub fn read(text: &str, key: &Key) -> Contents {
        let mut contents = Contents::default();
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        for (index, line) in whole.split_inclusive('\n').enumerate() {
            let Some((entry, seal)) = contents.genuine(line, key) else {
                contents.forged = Some(index + 1);
                break;
            };
            contents.seal = seal;
            contents.bytes += line.len() as u64;
            contents.take(entry);
        }
        contents
    }

    fn genuine(&self, line: &str, key: &Key) -> Option<(Entry, String)> {
        let (body, seal) = unsealed(line.trim_end_matches('\n'))?;
        if !key.verifies(LINE_DOMAIN, &[&self.seal, &body], seal) {
            return None;
        }
        let entry: Entry = serde_json::from_str(&body).ok()?;
        let in_place =
            matches!(&entry, Entry::Run(run) if run.format == JOURNAL_FORMAT) == self.run.is_none();
        in_place.then(|| (entry, seal.to_owned()))
    }

    fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Run(run) => self.run = Some(run),
            Entry::Storage { nodes } => self.storage.extend(nodes),
            Entry::StorageRemoved => self.storage.clear(),
            Entry::Open { fault, kind, nodes } => drop(self.open.insert(fault, InForce::new(kind, nodes))),
            Entry::Held { fault, data } => {
                if let Some(fault) = self.open.get_mut(&fault) {
                    fault.held = Some(data);
                }
            }
            Entry::Moved { fault, node } => {
                if let Some(fault) = self.open.get_mut(&fault) {
                    fault.nodes.push(node);
                }
            }
            Entry::Closed { fault } => drop(self.open.remove(&fault)),
        }
    }
}

/// The faults that a journal which proves nothing says are in force in this boot: not to act on, only to tell. `None` if it
/// can't be understood.
pub(crate) fn claims(text: &str, boot: &str) -> Option<Vec<u64>> {
    let mut of_boot = true;
    let mut open = Vec::new();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    for line in whole.lines() {
        let entry: Value = serde_json::from_str(line).ok()?;
        let fault = entry["fault"].as_u64();
        match entry["op"].as_str()? {
            "run" => of_boot = entry["boot"].as_str()? == boot,
            "open" => open.push(fault?),
            "closed" => open.retain(|other| Some(*other) != fault),
            _ => {}
        }
    }
    Some(if of_boot { open } else { Vec::new() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::journal::line::sealed;

    fn line(key: &Key, before: &str, body: &str) -> (String, String) {
        let seal = key.seal(LINE_DOMAIN, &[before, body]);
        (sealed(body, &seal), seal)
    }

    const RUN: &str = r#"{"op":"run","format":2,"id":"9f","controller":"1/2/3/b","directory":"/r","mark":"1f2e3d4c","boot":"b","agent":1}"#;

    fn opened(fault: u64) -> String {
        format!(r#"{{"op":"open","fault":{fault},"kind":"pause","nodes":[]}}"#)
    }

    #[test]
    fn what_is_sealed_in_order_is_read() {
        let key = Key::of_this_process();
        let (first, seal) = line(&key, "", RUN);
        let (second, seal) = line(&key, &seal, &opened(1));
        let (third, seal) = line(&key, &seal, r#"{"op":"closed","fault":1}"#);
        let text = [first, second, third].concat();
        let contents = Contents::read(&(text.clone() + "{\"op\":\"op"), &key);
        assert_eq!((contents.forged, contents.bytes), (None, text.len() as u64));
        assert_eq!(contents.run.expect("a first line").mark.as_str(), "1f2e3d4c");
        assert!(contents.open.is_empty());
        assert_eq!(contents.seal, seal);
    }

    #[test]
    fn from_the_first_line_that_is_not_genuine_nothing_counts() {
        let key = Key::of_this_process();
        let (first, seal) = line(&key, "", RUN);
        let (second, next) = line(&key, &seal, &opened(1));
        let forged = |lines: &[&str]| Contents::read(&lines.concat(), &key);
        let strange = Key::of_this_process();
        for bad in [
            line(&strange, &next, &opened(2)).0,
            line(&key, "", &opened(2)).0,
            line(&key, &seal, &opened(2)).0,
            line(&key, &next, RUN).0,
            opened(2) + "\n",
            "\n".to_owned(),
            "{\"é\n".to_owned(),
        ] {
            let contents = forged(&[&first, &second, &bad]);
            assert_eq!(contents.forged, Some(3), "{bad}");
            assert_eq!(contents.open.keys().collect::<Vec<_>>(), [&1], "{bad}");
        }
        // Spliced, repeated, begun in the middle, of another version.
        assert_eq!(forged(&[&first, &second, &second]).forged, Some(3));
        assert_eq!(forged(&[&second]).forged, Some(1));
        assert_eq!(forged(&[&line(&key, "", &opened(1)).0]).forged, Some(1));
        let later = line(&key, "", &RUN.replace("\"format\":2", "\"format\":3")).0;
        assert_eq!(forged(&[&later]).forged, Some(1));
    }

    #[test]
    fn an_old_journal_tells_what_it_would_have_healed() {
        let text = "{\"op\":\"run\",\"format\":1,\"boot\":\"b\",\"agent\":1}\n{\"op\":\"open\",\"fault\":1}\n\
                    {\"op\":\"open\",\"fault\":2}\n{\"op\":\"closed\",\"fault\":1}\n{\"op";
        assert_eq!(claims(text, "b"), Some(vec![2]));
        assert_eq!(claims(text, "another"), Some(vec![]));
        assert_eq!(claims("", "b"), Some(vec![]));
        assert_eq!(claims("garbage\n", "b"), None);
    }

    fn genuine_text(key: &Key) -> String {
        let (first, seal) = line(key, "", RUN);
        let (second, seal) = line(key, &seal, &opened(1));
        let (third, _) = line(key, &seal, &opened(2));
        [first, second, third].concat()
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_believe(text in "(?s).{0,300}") {
            let key = Key::of_this_process();
            let contents = Contents::read(&text, &key);
            prop_assert!(contents.run.is_none() && contents.open.is_empty());
            claims(&text, "b");
        }

        #[test]
        fn whoever_changes_a_byte_is_noticed_in_that_line(at in 0..10_000_usize, with in any::<u8>()) {
            let key = Key::of_this_process();
            let mut bytes = genuine_text(&key).into_bytes();
            let at = at % bytes.len();
            prop_assume!(bytes[at] != with);
            let before = bytes[..at].iter().filter(|byte| **byte == b'\n').count();
            bytes[at] = with;
            let contents = Contents::read(&String::from_utf8_lossy(&bytes), &key);
            // The last line without its end is half a line, which a crash may leave.
            let half = at + 1 == bytes.len();
            prop_assert_eq!(contents.forged, (!half).then_some(before + 1));
            prop_assert_eq!(contents.open.len(), before.saturating_sub(1));
        }
    }
}
