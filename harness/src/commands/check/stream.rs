//! `duress check --stream`: a `history.jsonl` line by line, forgetting what is settled, or keeping little of each line.
//!
//! Empty lines are passed over. A last line without newline that ends too early is where the writer was when it was cut
//! off, or is: it is left out, and the verdict says that the history has no end. Any other line that is no event is an
//! error.

use std::io::{BufRead, BufReader, Read};
use std::time::Instant;

use duress_checker::history::Remarks;
use duress_checker::history::jsonl::{self, LINE_BYTES_MAX, LineError};
use duress_checker::linearizability::{CheckError, PROPERTY, WithModel};
use duress_checker::model::Model;
use duress_checker::property::Streamed;
use duress_checker::stream::{News, Stream, UNCERTIFIED};
use duress_checker::verdict::{Budget, PropertyVerdict, Verdict, Witness};

use super::{CheckFailure, tell_what_was_skipped};

/// A history that comes line by line.
pub(super) struct Lines<'a, R> {
    pub path: &'a str,
    pub input: R,
    pub budget: Budget,
}

/// What came of a line.
enum Next {
    /// It is an event, and another one may come.
    Taken,
    /// It is one, and no more is wanted.
    Enough,
    NoEvent(LineError),
}

/// How far it was read.
struct Taken {
    events: u64,
    /// Its last line ends too early.
    cut: bool,
}

impl<R: Read> WithModel for Lines<'_, R> {
    type Result = Result<PropertyVerdict, CheckFailure>;

    /// Judges until the end or the first violation.
    fn with<M: Model>(self, model: &M) -> Result<Self::Result, CheckError> {
        Ok(self.judge(model))
    }
}

impl<R: Read> Lines<'_, R> {
    /// Judges to the end what can be judged so.
    pub fn judge_streamed(self, mut property: Box<dyn Streamed>) -> Result<PropertyVerdict, CheckFailure> {
        let path = self.path;
        let taken = self.each_line(|line, text| {
            let failed = |reason| CheckFailure::Event {
                path: path.to_owned(),
                line,
                reason,
            };
            if property.line(text).map_err(failed)? {
                return Ok(Next::Taken);
            }
            let event = match jsonl::parse_line(text) {
                Ok(event) => event,
                Err(error) => return Ok(Next::NoEvent(error)),
            };
            property.event(event).map_err(failed)?;
            Ok(Next::Taken)
        })?;
        let mut verdict = property.finish();
        verdict.detail += &format!("; {} events, line by line", taken.events);
        let remarks = Remarks {
            cut: taken.cut,
            ..Remarks::default()
        };
        for warning in remarks.warnings() {
            verdict.detail += &format!("; {warning}");
        }
        Ok(verdict)
    }

    fn judge<M: Model>(self, model: &M) -> Result<PropertyVerdict, CheckFailure> {
        let mut stream = Stream::new(model, self.budget);
        let start = Instant::now();
        let elapsed = || start.elapsed();
        let path = self.path;
        let (mut violated, mut undecided) = (None, None);
        let taken = self.each_line(|line, text| {
            let event = match jsonl::parse_line(text) {
                Ok(event) => event,
                Err(error) => return Ok(Next::NoEvent(error)),
            };
            let news = stream.push(&event, &elapsed);
            let news = news.map_err(|source| CheckFailure::LineCheck {
                path: path.to_owned(),
                line,
                source,
            })?;
            match news {
                News::Violated { key, operations } => {
                    violated = Some((key, operations));
                    return Ok(Next::Enough);
                }
                News::Undecided { key, reason } => {
                    undecided.get_or_insert(about(&key, &reason));
                }
                News::Fine => {}
            }
            Ok(Next::Taken)
        })?;
        let Taken { events, cut } = taken;
        let remarks = Remarks {
            cut,
            ..stream.remarks()
        };
        if let Some((key, operations)) = violated {
            return Ok(broken(key, &operations, events, remarks));
        }
        let news = stream.finish(&elapsed);
        let news = news.map_err(|source| CheckFailure::Check {
            path: path.to_owned(),
            source,
        })?;
        Ok(match (news, undecided) {
            (News::Violated { key, operations }, _) => broken(key, &operations, events, remarks),
            (_, Some(reason)) => verdict(Verdict::Inconclusive { reason }, events, remarks),
            (News::Undecided { key, reason }, None) => {
                let reason = about(&key, &reason);
                verdict(Verdict::Inconclusive { reason }, events, remarks)
            }
            (News::Fine, None) => verdict(Verdict::Held, events, remarks),
        })
    }

    /// Hands on each line that is not empty, and its number, to the end or as long as more are wanted.
    fn each_line(
        self,
        mut take: impl FnMut(u64, &[u8]) -> Result<Next, CheckFailure>,
    ) -> Result<Taken, CheckFailure> {
        let path = || self.path.to_owned();
        let mut input = BufReader::new(self.input);
        let (mut line, mut events) = (Vec::new(), 0_u64);
        for number in 1.. {
            line.clear();
            // Two bytes more: a newline, and one that tells that the line is too long.
            let read = (&mut input)
                .take(LINE_BYTES_MAX as u64 + 2)
                .read_until(b'\n', &mut line);
            match read {
                Ok(0) => break,
                Ok(_) => {}
                Err(source) => return Err(CheckFailure::Read { path: path(), source }),
            }
            // One that is too long, its newline aside, was not read to its end.
            let whole = line.len() <= LINE_BYTES_MAX + 1;
            let open = line.last() != Some(&b'\n') && whole;
            let text = if whole { line.trim_ascii() } else { line.as_slice() };
            if text.is_empty() {
                continue;
            }
            match take(number, text)? {
                Next::Taken => events += 1,
                Next::Enough => {
                    events += 1;
                    break;
                }
                Next::NoEvent(error) if error.cut && open && events > 0 => {
                    return Ok(Taken { events, cut: true });
                }
                Next::NoEvent(error) => {
                    return Err(CheckFailure::Line {
                        path: path(),
                        line: number,
                        reason: error.reason,
                    });
                }
            }
        }
        Ok(Taken { events, cut: false })
    }
}

fn about(key: &serde_json::Value, reason: &str) -> String {
    if key.is_null() {
        reason.to_owned()
    } else {
        format!("key {key}: {reason}")
    }
}

fn verdict(verdict: Verdict, events: u64, remarks: Remarks) -> PropertyVerdict {
    let mut detail = format!("{events} events, line by line; {UNCERTIFIED}");
    // At a violation the rest is not read, so nothing is known of an end.
    if !matches!(verdict, Verdict::Violated { .. }) {
        for warning in remarks.warnings() {
            detail += &format!("; {warning}");
        }
    }
    let mut verdict = PropertyVerdict {
        property: PROPERTY.to_owned(),
        verdict,
        detail,
        decided_by: Vec::new(),
    };
    tell_what_was_skipped(&mut verdict, &remarks);
    verdict
}

/// A stream remembers too little for a small witness: the whole history is asked for that.
fn broken(key: serde_json::Value, operations: &[u64], events: u64, remarks: Remarks) -> PropertyVerdict {
    let began = operations.iter().map(u64::to_string).collect::<Vec<_>>();
    let object = if key.is_null() {
        String::new()
    } else {
        format!(" on {key}")
    };
    let witness = Witness {
        summary: format!(
            "no order explains the operations{object} that began with the events {}; check without --stream for the few that \
             prove it",
            began.join(", ")
        ),
        key: Some(key).filter(|key| !key.is_null()),
        operations: Vec::new(),
        minimal: false,
        ..Witness::default()
    };
    verdict(Verdict::Violated { witness }, events, remarks)
}
