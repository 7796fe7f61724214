//! The usual line of a history, read without making an [`Event`](crate::history::Event) of it.
//!
//! ```text
//! {"index":7,"time":40,"process":3,"type":"ok","f":"poll","value":[["poll",{"1":[[30,6],[31,7]]}]]}
//! ```
//!
//! What an invocation says is kept as the text that it is, and looked at when its completion comes. Whatever is not usual (a step of a
//! session or group, an object as a message, a field that says more, an outcome that nobody knows, an error) is [`Unusual`], and left to who reads
//! events: it is slower, and can say what is wrong. So nothing is refused here, and nothing let pass that would be refused there.

use super::collect::{Begun, Collector};
use super::journal::{Journal, NONE, Request, Shape, TouchKind};
use super::{LEASE_FIELD, LENT_FIELD, ORDERING_KEY_FIELD};
use crate::history::jsonl::LINE_BYTES_MAX;
use crate::history::scan::{Scanner, Unusual};
use crate::history::{Attempt, EventType, TOKEN_FIELD, Token, Val};

/// One line, as far as it is read at once. Values are texts whose grammar is right.
pub(super) struct Usual<'a> {
    pub index: u64,
    pub time: u64,
    pub process: u64,
    pub kind: EventType,
    pub f: &'a str,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    attempts: Option<&'a [u8]>,
    token: Option<&'a [u8]>,
}

impl<'a> Usual<'a> {
    pub fn read(line: &'a [u8]) -> Result<Self, Unusual> {
        let mut scan = Scanner::new(line);
        let (mut index, mut time, mut process, mut kind, mut f) = (None, None, None, None, None);
        let (mut key, mut value, mut attempts, mut token) = (None, None, None, None);
        let mut seen = 0_u16;
        // A field that is given twice is an error.
        let mut once = |bit: u32| {
            let fresh = seen & 1 << bit == 0;
            seen |= 1 << bit;
            if fresh { Ok(()) } else { Err(Unusual) }
        };
        scan.open(b'{')?;
        loop {
            let name = scan.plain_str()?;
            scan.open(b':')?;
            match name {
                "index" => (once(0)?, index = Some(scan.number()?)).1,
                "time" => (once(1)?, time = Some(scan.number()?)).1,
                "process" => (once(2)?, process = Some(scan.number()?)).1,
                "type" => {
                    once(3)?;
                    kind = Some(match scan.plain_string()? {
                        b"invoke" => EventType::Invoke,
                        b"ok" => EventType::Ok,
                        _ => return Err(Unusual),
                    });
                }
                "f" => (once(4)?, f = Some(scan.plain_str()?)).1,
                "key" => (once(5)?, key = Some(scan.value()?)).1,
                "value" => (once(6)?, value = Some(scan.value()?)).1,
                "node" => {
                    once(7)?;
                    if !scan.null() {
                        scan.plain_str()?;
                    }
                }
                "attempts" => (once(8)?, attempts = Some(scan.value()?)).1,
                TOKEN_FIELD => (once(9)?, token = Some(scan.value()?)).1,
                "error" | ORDERING_KEY_FIELD | LEASE_FIELD | LENT_FIELD | "rebalance-log"
                | "seek-to-beginning?" => return Err(Unusual),
                _ => scan.skip_value()?,
            }
            match scan.next()? {
                b',' => {}
                b'}' => break,
                _ => return Err(Unusual),
            }
        }
        scan.end()?;
        let given = |text: &&[u8]| *text != b"null";
        match (index, time, process, kind, f) {
            (Some(index), Some(time), Some(process), Some(kind), Some(f)) => Ok(Usual {
                index,
                time,
                process,
                kind,
                f,
                key: key.filter(given),
                value: value.filter(given),
                attempts,
                token,
            }),
            _ => Err(Unusual),
        }
    }

    /// Whether it can be the beginning of an operation that is read here.
    pub fn begins(&self) -> bool {
        let plain = self.attempts.is_none() && self.token.is_none();
        self.kind == EventType::Invoke && plain && shape(self.f).is_some()
    }

    /// Whether another line ends the operation that this one begins, and says of what it came.
    pub fn is_ended_by(&self, end: &Usual<'_>) -> bool {
        let same_key = end.key.is_none() || end.key == self.key;
        end.kind == EventType::Ok && end.f == self.f && same_key
    }

    pub fn shape(&self) -> Option<Shape> {
        shape(self.f)
    }

    /// How often it was tried without being refused.
    pub fn attempts(&self) -> Result<usize, Unusual> {
        let Some(text) = self.attempts.filter(|text| *text != b"[]") else {
            return Ok(0);
        };
        let attempts: Vec<Attempt> = serde_json::from_slice(text).map_err(|_| Unusual)?;
        Ok(attempts.iter().filter(|attempt| !attempt.refused).count())
    }

    pub fn token(&self) -> Option<Token> {
        serde_json::from_slice(self.token?).ok()
    }
}

fn shape(f: &str) -> Option<Shape> {
    match f {
        "enqueue" | "dequeue" | "ack" | "nack" => Some(Shape::Queue),
        "send" | "poll" | "txn" => Some(Shape::Stream),
        _ => None,
    }
}

impl Journal {
    /// Notes what an operation did that ended `ok`: its request is the last one.
    fn usual(&mut self, invoke: &Usual<'_>, end: &Usual<'_>) -> Result<(), Unusual> {
        if end.shape() == Some(Shape::Stream) {
            return self.steps(end.value.ok_or(Unusual)?);
        }
        let queue = match invoke.key {
            Some(key) => self.plain(&mut Scanner::new(key))?,
            None => Val::NONE,
        };
        let (kind, message) = match (invoke.f, end.value) {
            ("enqueue", _) => (TouchKind::Send, invoke.value),
            ("ack", _) => (TouchKind::Ack, invoke.value),
            ("nack", _) => (TouchKind::Nack, invoke.value),
            (_, None) => (TouchKind::Empty, None),
            (_, received) => (TouchKind::Receive, received),
        };
        let message = match message {
            Some(message) => self.plain(&mut Scanner::new(message))?,
            None => Val::NIL,
        };
        self.note(kind, queue, message, Val::NONE, NONE);
        Ok(())
    }

    /// A list of sends and polls.
    fn steps(&mut self, value: &[u8]) -> Result<(), Unusual> {
        list(&mut Scanner::new(value), b'[', b']', |scan| {
            scan.open(b'[')?;
            match scan.plain_string()? {
                b"send" => {
                    scan.open(b',')?;
                    let partition = match scan.peek() {
                        Some(b'"') => scan.plain_str()?,
                        // Of a number its digits.
                        Some(b'0'..=b'9') => std::str::from_utf8(scan.value()?).map_err(|_| Unusual)?,
                        _ => return Err(Unusual),
                    };
                    let partition = self.values.text(partition);
                    scan.open(b',')?;
                    let (offset, message) = self.pair(scan)?;
                    self.note(TouchKind::Send, partition, message, Val::NONE, offset);
                }
                b"poll" if scan.peek() == Some(b',') => {
                    scan.open(b',')?;
                    self.polled(scan)?;
                }
                b"poll" => {}
                _ => return Err(Unusual),
            }
            scan.open(b']')
        })
    }

    /// `{"1":[[30,6],[31,7]]}`, partitions in order: as an object that was read has them, each once.
    fn polled(&mut self, scan: &mut Scanner<'_>) -> Result<(), Unusual> {
        let mut before: Option<&str> = None;
        list(scan, b'{', b'}', |scan| {
            let name = scan.plain_str()?;
            if before.is_some_and(|before| before >= name) {
                return Err(Unusual);
            }
            before = Some(name);
            let partition = self.values.text(name);
            scan.open(b':')?;
            list(scan, b'[', b']', |scan| {
                let (offset, message) = self.pair(scan)?;
                self.note(TouchKind::Receive, partition, message, Val::NONE, offset);
                Ok(())
            })
        })
    }

    /// An offset, or `null`, and a message.
    fn pair(&mut self, scan: &mut Scanner<'_>) -> Result<(u64, Val), Unusual> {
        if let Some((offset, message)) = scan.small_pair() {
            return Ok((offset.into(), Val::int(message.into()).ok_or(Unusual)?));
        }
        scan.open(b'[')?;
        let offset = match scan.null() {
            true => NONE,
            false => Some(scan.number()?)
                .filter(|&offset| offset != NONE)
                .ok_or(Unusual)?,
        };
        scan.open(b',')?;
        let message = self.plain(scan)?;
        scan.open(b']')?;
        Ok((offset, message))
    }

    /// A small number or a text.
    fn plain(&mut self, scan: &mut Scanner<'_>) -> Result<Val, Unusual> {
        match scan.small() {
            Some(small) => Val::int(small.into()).ok_or(Unusual),
            None => Ok(self.values.text(scan.plain_str()?)),
        }
    }
}

/// What stands between two brackets, parted by commas.
fn list<'a>(
    scan: &mut Scanner<'a>,
    open: u8,
    close: u8,
    mut item: impl FnMut(&mut Scanner<'a>) -> Result<(), Unusual>,
) -> Result<(), Unusual> {
    scan.open(open)?;
    if scan.peek() == Some(close) {
        return scan.open(close);
    }
    loop {
        item(scan)?;
        match scan.next()? {
            b',' => {}
            byte if byte == close => return Ok(()),
            _ => return Err(Unusual),
        }
    }
}

impl Collector {
    /// Takes the next line of a `history.jsonl`, without its newline, if it is usual, and returns its time. If it is not, nothing is done, and it
    /// is to come as an [event](Collector::event).
    pub fn line(&mut self, line: &[u8]) -> Option<u64> {
        let usual = Usual::read(line).ok()?;
        let out_of_order = self.last.is_some_and(|before| before >= usual.index);
        if out_of_order || line.len() > LINE_BYTES_MAX {
            return None;
        }
        match usual.kind {
            EventType::Invoke if usual.begins() && !self.open.contains_key(&usual.process) => {
                let mut text = self.spare.pop().unwrap_or_default();
                text.clear();
                text.extend_from_slice(line);
                self.open.insert(usual.process, Begun::Line(text));
            }
            EventType::Invoke => return None,
            _ => self.end(&usual)?,
        }
        self.last = Some(usual.index);
        Some(usual.time)
    }

    /// Notes the operation that a line ends.
    fn end(&mut self, end: &Usual<'_>) -> Option<()> {
        let text = match self.open.remove(&end.process)? {
            Begun::Line(text) => text,
            event => {
                self.open.insert(end.process, event);
                return None;
            }
        };
        let (requests, touches) = (self.journal.requests.len(), self.journal.touches.len());
        let invoke = Usual::read(&text);
        match invoke.and_then(|invoke| self.operation_of_lines(&invoke, end)) {
            Ok(()) => {
                self.spare.push(text);
                Some(())
            }
            Err(Unusual) => {
                self.journal.requests.truncate(requests);
                self.journal.touches.truncate(touches);
                self.open.insert(end.process, Begun::Line(text));
                None
            }
        }
    }

    fn operation_of_lines(&mut self, invoke: &Usual<'_>, end: &Usual<'_>) -> Result<(), Unusual> {
        let other_shape = self.journal.shape.is_some_and(|shape| Some(shape) != end.shape());
        if !invoke.is_ended_by(end) || other_shape || self.is_full() {
            return Err(Unusual);
        }
        let attempts = end.attempts()?;
        let producer = self.journal.producer(end.token(), end.process);
        self.journal.requests.push(Request {
            index: invoke.index,
            end: end.index,
            invoked: invoke.time,
            ended: end.time,
            process: end.process,
            outcome: EventType::Ok,
            attempts: u16::try_from(attempts).unwrap_or(u16::MAX),
            sent_again: false,
            producer,
        });
        self.journal.usual(invoke, end)?;
        self.journal.shape = end.shape();
        Ok(())
    }
}
