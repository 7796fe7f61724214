//! The closing lines of a run, for the terminal. Whoever prints them decides whether there is colour.
//!
//! ```text
//! ✕ violated  register, seed 7, 30.0 s
//!   linearizable is violated: a read at n1 returned a value that had been overwritten
//!
//!   ✕ linearizable    1 of 10 keys, 35,314 operations, 84 ms
//!   ✓ no-lost-writes  8,445 acknowledged writes, 12 ms
//! ```

use std::fmt::Write;

use duress_checker::verdict::{Proof, PropertyVerdict, Verdict, Witness, WitnessOp};

use crate::format::{count, counted, cut, duration, moment, printable, share};
use crate::report::{held, lived, operation_label, said};
use crate::rundir::RunDir;
use crate::verdict_file::{Overall, VerdictFile};

/// Rows of a witness that are shown; the report has them all.
const ROWS_MAX: usize = 12;

/// Characters of a sentence. What a checker says is shorter; a verdict from elsewhere may hold anything.
const SENTENCE_MAX: usize = 4000;

/// The summary of a run, several lines, the last one with its newline.
pub fn summary(verdict: &VerdictFile, colour: bool) -> String {
    let paint = Paint { colour };
    let (icon, word, tone) = match verdict.overall {
        Overall::Held => ("✓", "held", Tone::Good),
        Overall::Violated => ("✕", "violated", Tone::Bad),
        Overall::Inconclusive => ("?", "inconclusive", Tone::Unsure),
        Overall::HarnessFailure => ("!", "harness failure", Tone::Unsure),
    };
    let mut text = format!(
        "{}  {}, seed {}, {}{}\n",
        paint.bold(&format!("{icon} {word}"), tone),
        clean(&verdict.name),
        verdict.seed,
        duration(verdict.duration_ms.saturating_mul(1_000_000)),
        if verdict.cut_short { ", cut short" } else { "" },
    );
    let _ = writeln!(text, "  {}", sentence(&verdict.summary));
    if let Some(failure) = &verdict.harness_failure {
        let _ = writeln!(
            text,
            "  {} {}",
            paint.tone("harness:", Tone::Unsure),
            sentence(failure)
        );
    }
    properties(&mut text, verdict, paint);
    evidence(&mut text, verdict, paint);
    let _ = writeln!(text, "\n  again  {}", clean(&verdict.reproduce));
    text
}

/// The verdict on one property, as of `duress check`, several lines.
pub fn property(verdict: &PropertyVerdict, colour: bool) -> String {
    let paint = Paint { colour };
    let mut text = String::new();
    let (icon, tone, why) = said_of(verdict);
    let undecided = matches!(verdict.verdict, Verdict::Inconclusive { .. });
    // What was noticed on the way follows, each on a line of its own; it may be why nothing could be decided.
    let (why, noticed) = match undecided {
        true => (why, verdict.detail.as_str()),
        false => why.split_once("; ").unwrap_or((why, "")),
    };
    let line = format!("{}  {}", clean(&verdict.property), sentence(why));
    let _ = writeln!(text, "{} {}", paint.tone(icon, tone), line.trim_end());
    for noticed in noticed.split("; ").filter(|noticed| !noticed.is_empty()) {
        let _ = writeln!(text, "  {}", clean(noticed));
    }
    broken(&mut text, verdict, paint);
    text
}

/// Icon, tone, and how it was decided or why not.
fn said_of(property: &PropertyVerdict) -> (&'static str, Tone, &str) {
    match &property.verdict {
        Verdict::Held => ("✓", Tone::Good, property.detail.as_str()),
        Verdict::Violated { .. } => ("✕", Tone::Bad, property.detail.as_str()),
        Verdict::Inconclusive { reason } => ("?", Tone::Unsure, reason.as_str()),
    }
}

/// The witness of a property that is violated.
fn broken(text: &mut String, property: &PropertyVerdict, paint: Paint) {
    if let Verdict::Violated { witness: broken } = &property.verdict {
        let _ = writeln!(text, "\n  {}", paint.bold(&sentence(&broken.summary), Tone::Bad));
        for line in witness(broken).lines().skip(1) {
            let _ = writeln!(text, "    {line}");
        }
    }
}

/// [`summary`], and where the report is.
pub fn closing(verdict: &VerdictFile, dir: &RunDir, colour: bool) -> String {
    format!(
        "{}  report {}\n",
        summary(verdict, colour),
        dir.report().display()
    )
}

fn properties(text: &mut String, verdict: &VerdictFile, paint: Paint) {
    if verdict.properties.is_empty() {
        return;
    }
    text.push('\n');
    let width = (verdict.properties.iter())
        .map(|property| clean(&property.property).chars().count())
        .max()
        .unwrap_or(0);
    for property in &verdict.properties {
        let (icon, tone, why) = said_of(property);
        let line = format!("{:width$}  {}", clean(&property.property), sentence(why));
        let _ = writeln!(text, "  {} {}", paint.tone(icon, tone), line.trim_end());
    }
    for property in &verdict.properties {
        broken(text, property, paint);
    }
}

/// A witness as text: its sentence, when and where it happened, then its proof in columns.
pub(crate) fn witness(witness: &Witness) -> String {
    let mut text = sentence(&witness.summary) + "\n";
    if !witness.circumstances.is_empty() {
        let _ = writeln!(text, "{}", sentence(&witness.circumstances));
    }
    match &witness.proof {
        Proof::Contents(proof) => columns(&mut text, &held(proof), "key"),
        Proof::Statuses(proof) => columns(&mut text, &said(proof), "status"),
        Proof::Messages(proof) => columns(&mut text, &lived(proof), "line"),
        // Their operations say the same in words.
        Proof::Tenures(_) | Proof::Operations => {}
    }
    let operation = |op: &WitnessOp| {
        vec![
            moment(op.invoked),
            format!("process {}", op.process),
            operation_label(witness.key.as_ref(), op),
            op.node.clone().unwrap_or_default(),
            op.note.clone(),
        ]
    };
    let operations: Vec<Vec<String>> = witness.operations.iter().map(operation).collect();
    columns(&mut text, &operations, "operation");
    if let Some(weaker) = &witness.weaker {
        let _ = writeln!(text, "{}", sentence(&weaker.sentence));
    }
    text
}

/// Rows one below the other, their columns aligned; how many were left out of `what`, where there are too many.
fn columns(text: &mut String, rows: &[Vec<String>], what: &str) {
    let shown: Vec<Vec<String>> = (rows.iter().take(ROWS_MAX))
        .map(|row| row.iter().map(|cell| clean(cell)).collect())
        .collect();
    let width = |column: usize| {
        let widths = shown
            .iter()
            .filter_map(|row| Some(row.get(column)?.chars().count()));
        widths.max().unwrap_or(0)
    };
    for row in &shown {
        let cells = row.iter().enumerate().map(|(column, cell)| match column {
            // Times are numbers.
            0 if cell.ends_with(" s") => format!("{cell:>width$}", width = width(column)),
            _ => format!("{cell:width$}", width = width(column)),
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let rest = rows.len().saturating_sub(ROWS_MAX);
    if rest > 0 {
        let _ = writeln!(text, "and {}", counted(rest as u64, &format!("more {what}")));
    }
}

fn evidence(text: &mut String, verdict: &VerdictFile, paint: Paint) {
    let evidence = &verdict.evidence;
    let operations = evidence.operations;
    let all = operations.ok + operations.fail + operations.info;
    let _ = writeln!(
        text,
        "\n  {}: {} ok ({}), {} fail, {} info",
        counted(all, "operation"),
        count(operations.ok),
        share(operations.ok, all),
        count(operations.fail),
        count(operations.info),
    );
    let _ = writeln!(
        text,
        "  {}: {} proven to bite, {} proven healed",
        counted(evidence.faults_planned, "fault"),
        count(evidence.faults_verified),
        count(evidence.faults_healed),
    );
    for of in &evidence.breaks {
        let _ = writeln!(text, "  {}", clean(&of.told()));
    }
    for requirement in evidence
        .requirements
        .iter()
        .filter(|requirement| !requirement.met)
    {
        let _ = writeln!(
            text,
            "  {} {}: needed {}, seen {}",
            paint.tone("? too little:", Tone::Unsure),
            clean(&requirement.what),
            clean(&requirement.needed),
            clean(&requirement.seen),
        );
    }
}

/// One line of at most 200 characters that can't move the cursor: a name, a value.
fn clean(text: &str) -> String {
    line(text, 200)
}

/// As [`clean`], for what is the reason of a verdict: it is told as a whole.
fn sentence(text: &str) -> String {
    line(text, SENTENCE_MAX)
}

fn line(text: &str, length_max: usize) -> String {
    cut(&printable(text).replace(['\n', '\t'], " "), length_max)
}

#[derive(Clone, Copy)]
enum Tone {
    Good,
    Bad,
    Unsure,
}

#[derive(Clone, Copy)]
struct Paint {
    colour: bool,
}

impl Paint {
    fn tone(self, text: &str, tone: Tone) -> String {
        self.code(text, tone, "")
    }

    fn bold(self, text: &str, tone: Tone) -> String {
        self.code(text, tone, "1;")
    }

    fn code(self, text: &str, tone: Tone, weight: &str) -> String {
        let number = match tone {
            Tone::Good => 32,
            Tone::Bad => 31,
            Tone::Unsure => 33,
        };
        if self.colour {
            format!("\x1b[{weight}{number}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}
