//! The usual line, read without building a JSON tree.

use crate::history::event::is_mismatch;
use crate::history::scan::{Scanner, Unusual};
use crate::history::values::{Val, Values};
use crate::history::{Builder, Datum, EventType, Raw};

/// What the usual line has.
pub(super) enum Seen {
    Client(Raw),
    Nemesis { index: u64, time: u64 },
}

/// Reads the usual line: [`Unusual`] for whatever is not usual.
pub(super) fn quick(line: &[u8], builder: &mut Builder) -> Result<Seen, Unusual> {
    let mut scan = Scanner::new(line);
    let (mut index, mut time, mut process, mut kind, mut f) = (None, None, None, None, None);
    let (mut node, mut key, mut value, mut error) = (0, Val::NONE, Datum::NIL, None);
    let mut seen = 0u8;
    let mut nemesis = false;
    // A field given twice is an error, which the slow reader words.
    let mut once = |bit: u8| {
        let fresh = seen & (1 << bit) == 0;
        seen |= 1 << bit;
        if fresh { Ok(()) } else { Err(Unusual) }
    };
    scan.open(b'{')?;
    loop {
        let name = scan.plain_string()?;
        scan.open(b':')?;
        match name {
            b"index" => (once(0)?, index = Some(scan.number()?)).1,
            b"time" => (once(1)?, time = Some(scan.number()?)).1,
            b"process" => {
                once(2)?;
                match scan.peek() {
                    Some(b'"') if scan.plain_string()? == b"nemesis" => nemesis = true,
                    Some(b'"') => return Err(Unusual),
                    _ => process = Some(scan.number()?),
                }
            }
            b"type" => {
                once(3)?;
                kind = Some(match scan.plain_string()? {
                    b"invoke" => EventType::Invoke,
                    b"ok" => EventType::Ok,
                    b"fail" => EventType::Fail,
                    b"info" => EventType::Info,
                    _ => return Err(Unusual),
                });
            }
            b"f" => (once(4)?, f = Some(scan.plain_str()?)).1,
            b"key" => {
                once(5)?;
                key = match scan.null() {
                    true => Val::NONE,
                    false => val(&mut scan, &mut builder.history.values)?,
                };
            }
            b"value" => {
                once(6)?;
                value = datum(&mut scan, &mut builder.history.values)?;
            }
            b"node" => {
                once(7)?;
                if !scan.null() {
                    node = builder.node(scan.plain_str()?);
                }
            }
            // Their inside has a type of its own, which only the slow reader checks; most are empty.
            b"attempts" => {
                if !scan.empty_list() {
                    return Err(Unusual);
                }
            }
            b"error" => {
                if !scan.null() {
                    error = Some(scan.plain_str()?);
                }
            }
            _ => {
                std::str::from_utf8(name).map_err(|_| Unusual)?;
                scan.skip_value()?;
            }
        }
        match scan.next()? {
            b',' => {}
            b'}' => break,
            _ => return Err(Unusual),
        }
    }
    scan.end()?;
    let (Some(index), Some(time), Some(kind), Some(f)) = (index, time, kind, f) else {
        return Err(Unusual);
    };
    if nemesis {
        // What these say is rare, and the slow reader's to look at.
        return if matches!(f, "run" | "phase") {
            Err(Unusual)
        } else {
            Ok(Seen::Nemesis { index, time })
        };
    }
    let Some(process) = process else {
        return Err(Unusual);
    };
    let mismatch = kind == EventType::Fail && is_mismatch(f, error);
    let f = builder.function(f).map_err(|_| Unusual)?;
    Ok(Seen::Client(Raw {
        index,
        time,
        process,
        kind,
        f,
        node,
        key,
        value,
        mismatch,
    }))
}

fn val(scan: &mut Scanner<'_>, values: &mut Values) -> Result<Val, Unusual> {
    if let Some(small) = scan.small() {
        return Ok(Val(small));
    }
    match scan.peek() {
        Some(b'"') => Ok(values.text(scan.plain_str()?)),
        _ => {
            let value = serde_json::from_slice(scan.value()?).map_err(|_| Unusual)?;
            Ok(values.intern(&value))
        }
    }
}

fn datum(scan: &mut Scanner<'_>, values: &mut Values) -> Result<Datum, Unusual> {
    if scan.null() {
        return Ok(Datum::NIL);
    }
    if let Some(pair) = scan.small_pair() {
        return Ok(Datum {
            first: Val(pair.0),
            second: Val(pair.1),
        });
    }
    match scan.peek() {
        Some(b'[') => {
            let value = serde_json::from_slice(scan.value()?).map_err(|_| Unusual)?;
            Ok(values.datum_of(&value))
        }
        _ => Ok(Datum::one(val(scan, values)?)),
    }
}
