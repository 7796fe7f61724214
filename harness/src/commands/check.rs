//! `duress check`: judge a history from anywhere, as a whole or while it is being written.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use duress_checker::formats::{self, Format};
use duress_checker::history::Event;
use duress_checker::linearizability::{CheckError, PROPERTY, WithModel, with_model};
use duress_checker::model::Model;
use duress_checker::stream::{News, Stream};
use duress_checker::verdict::{Budget, PropertyVerdict, Verdict, Witness};

use crate::cli::CheckArgs;
use crate::commands::{colour, fail, print_json, print_painted};
use crate::exit;
use crate::judge;

#[derive(Debug, thiserror::Error)]
enum CheckFailure {
    #[error("read {path}: {source}")]
    Read { path: String, source: std::io::Error },
    #[error("{path}: {source}")]
    Format {
        path: String,
        source: formats::FormatError,
    },
    #[error("{path}: {source}")]
    Check { path: String, source: CheckError },
    #[error("{path}, line {line}: {source}; --stream takes history.jsonl only")]
    Line {
        path: String,
        line: u64,
        source: serde_json::Error,
    },
}

/// Reads, judges, prints.
pub fn main(args: &CheckArgs) -> ExitCode {
    match check(args) {
        Ok(verdict) => {
            if args.json {
                print_json(&verdict);
            } else if !args.quiet {
                print_painted(duress_results::terminal::property(&verdict, colour()));
            }
            ExitCode::from(match verdict.verdict {
                Verdict::Held => 0,
                Verdict::Violated { .. } => 1,
                Verdict::Inconclusive { .. } => 2,
            })
        }
        Err(error) => fail(&error, exit::USAGE),
    }
}

fn check(args: &CheckArgs) -> Result<PropertyVerdict, CheckFailure> {
    let path = args.history.display().to_string();
    let budget = Budget {
        time_ms_max: u64::try_from(args.time.0.as_millis()).unwrap_or(u64::MAX),
        memory_bytes_max: args.memory_mib << 20,
    };
    let read_failed = |source| CheckFailure::Read {
        path: path.clone(),
        source,
    };
    let mut input = open(&args.history).map_err(read_failed)?;
    let check_failed = |source| CheckFailure::Check {
        path: path.clone(),
        source,
    };
    if args.stream {
        let lines = Lines {
            path: &path,
            input: BufReader::new(input),
            budget,
        };
        return with_model(&args.model, lines).map_err(check_failed)?;
    }
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes).map_err(read_failed)?;
    let history = formats::read_history(&bytes, Format::Guess).map_err(|source| CheckFailure::Format {
        path: path.clone(),
        source,
    })?;
    judge::check(&history, &args.model, budget).map_err(check_failed)
}

fn open(path: &Path) -> std::io::Result<Box<dyn Read>> {
    if path == Path::new("-") {
        Ok(Box::new(std::io::stdin().lock()))
    } else {
        Ok(Box::new(File::open(path)?))
    }
}

/// A history that comes line by line.
struct Lines<'a, R> {
    path: &'a str,
    input: R,
    budget: Budget,
}

impl<R: BufRead> WithModel for Lines<'_, R> {
    type Result = Result<PropertyVerdict, CheckFailure>;

    /// Judges until the end or the first violation.
    fn with<M: Model>(self, model: &M) -> Result<Self::Result, CheckError> {
        let mut stream = Stream::new(model, self.budget);
        let start = Instant::now();
        let elapsed = || start.elapsed();
        let (mut events, mut undecided) = (0_u64, None);
        let path = || self.path.to_owned();
        for line in self.input.lines() {
            let line = match line {
                Ok(line) => line,
                Err(source) => return Ok(Err(CheckFailure::Read { path: path(), source })),
            };
            let event: Event = match serde_json::from_str(&line) {
                Ok(event) => event,
                Err(source) => {
                    let (path, line) = (path(), events + 1);
                    return Ok(Err(CheckFailure::Line { path, line, source }));
                }
            };
            events += 1;
            match stream.push(&event, &elapsed)? {
                News::Violated { key, operations } => return Ok(Ok(broken(key, &operations, events))),
                News::Undecided { key, reason } => {
                    undecided.get_or_insert(format!("key {key}: {reason}"));
                }
                News::Fine => {}
            }
        }
        Ok(Ok(match stream.finish(&elapsed)? {
            News::Violated { key, operations } => broken(key, &operations, events),
            News::Undecided { key, reason } => {
                let reason = undecided.unwrap_or_else(|| format!("key {key}: {reason}"));
                verdict(Verdict::Inconclusive { reason }, events)
            }
            News::Fine => verdict(
                undecided.map_or(Verdict::Held, |reason| Verdict::Inconclusive { reason }),
                events,
            ),
        }))
    }
}

fn verdict(verdict: Verdict, events: u64) -> PropertyVerdict {
    PropertyVerdict {
        property: PROPERTY.to_owned(),
        verdict,
        detail: format!("{events} events, line by line"),
    }
}

/// A stream remembers too little for a small witness: the whole history is asked for that.
fn broken(key: serde_json::Value, operations: &[u64], events: u64) -> PropertyVerdict {
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
    verdict(Verdict::Violated { witness }, events)
}
