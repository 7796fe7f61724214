//! What is wrong with a value of a spec, where it stands, and how that is shown.
//!
//! ```text
//! spec.toml: TOML parse error at line 6, column 9
//!   |
//! 6 | nodes = 0
//!   |         ^
//! cluster.local.nodes: 0 is too few; use 1 to 200
//! ```
//!
//! Mistakes in form are told by the parser itself, in the same shape; those in meaning are found afterwards, in typed
//! values that no longer know where they came from. So each names its key, and the text is asked for its place.

use std::fmt;
use std::ops::Range;

use serde_path_to_error::Segment;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Characters of a line that are shown; a file may be a single line.
const EXCERPT_MAX: usize = 160;

/// The way to a value: `cluster.local.nodes`, `faults.mix[2].targets`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Entry(usize),
}

impl KeyPath {
    /// Through these tables.
    pub fn of<'a>(keys: impl IntoIterator<Item = &'a str>) -> Self {
        KeyPath(keys.into_iter().map(|key| Step::Key(key.to_owned())).collect())
    }

    /// On to a key of the table that this leads to.
    pub fn key(mut self, key: &str) -> Self {
        self.0.push(Step::Key(key.to_owned()));
        self
    }

    /// On to an entry of the list that this leads to; the first is 0.
    pub fn entry(mut self, index: usize) -> Self {
        self.0.push(Step::Entry(index));
        self
    }

    /// The way to an entry of a list, if that is where reading failed.
    pub(super) fn of_entry(path: &serde_path_to_error::Path) -> Option<KeyPath> {
        let step = |segment: &Segment| match segment {
            Segment::Map { key } => Some(Step::Key(key.clone())),
            Segment::Seq { index } => Some(Step::Entry(*index)),
            Segment::Enum { .. } | Segment::Unknown => None,
        };
        let steps: Vec<Step> = path.iter().map(step).collect::<Option<_>>()?;
        matches!(steps.last(), Some(Step::Entry(_))).then_some(KeyPath(steps))
    }

    /// Whether it leads to a part of what this span has, and not to all of it.
    pub(super) fn is_within(&self, span: Option<Range<usize>>, text: &str) -> bool {
        match (self.locate(text), span) {
            (Some(place), Some(span)) => place != span && span.start <= place.start,
            (place, None) => place.is_some(),
            (None, _) => false,
        }
    }

    /// Where the value stands in the text of a spec. Of a value that is not written, because a default stands for it:
    /// where the table stands that it would be in. `None`: not even that is written.
    fn locate(&self, text: &str) -> Option<Range<usize>> {
        let document = DeTable::parse(text).ok()?;
        let mut found = None;
        let mut here: Option<&Spanned<DeValue<'_>>> = None;
        for step in &self.0 {
            let next = match (here.map(Spanned::get_ref), step) {
                (None, Step::Key(key)) => document.get_ref().get(key.as_str()),
                (Some(DeValue::Table(table)), Step::Key(key)) => table.get(key.as_str()),
                (Some(DeValue::Array(list)), Step::Entry(index)) => list.get(*index),
                _ => None,
            };
            let Some(next) = next else { break };
            found = Some(next.span());
            here = Some(next);
        }
        found
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if position == 0 => write!(formatter, "{key}")?,
                Step::Key(key) => write!(formatter, ".{key}")?,
                // People count from 1, and say "the second fault of the mix".
                Step::Entry(index) => write!(formatter, " no. {}", index + 1)?,
            }
        }
        Ok(())
    }
}

/// What is wrong with a value, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// Which value.
    pub key: KeyPath,
    /// E.g. `0 is too few; use 1 to 200`.
    pub what: String,
}

impl Complaint {
    /// About the value that these keys lead to.
    pub fn at<'a>(keys: impl IntoIterator<Item = &'a str>, what: impl Into<String>) -> Self {
        KeyPath::of(keys).complain(what)
    }
}

impl KeyPath {
    /// A complaint about the value that this leads to.
    pub fn complain(self, what: impl Into<String>) -> Complaint {
        Complaint {
            key: self,
            what: what.into(),
        }
    }
}

/// A complaint with the place that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marked {
    complaint: Complaint,
    place: Place,
}

/// A place in the text of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Line and column count from 1, columns in characters.
    line: usize,
    column: usize,
    excerpt: String,
    /// Characters of the excerpt before the value, and in it.
    indent: usize,
    length: usize,
}

impl Marked {
    /// Finds the place in the text of the spec.
    pub fn new(complaint: Complaint, text: &str) -> Self {
        // A key that is on no line is missing from the file as a whole, so point at the first line.
        let span = complaint.key.locate(text).unwrap_or(0..0);
        Marked {
            place: Place::of(span, text),
            complaint,
        }
    }
}

impl Place {
    /// Of these bytes of the text.
    pub(super) fn of(span: Range<usize>, text: &str) -> Self {
        let start = text.floor_char_boundary(span.start.min(text.len()));
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line = text[line_start..].lines().next().unwrap_or_default();
        let before = text[line_start..start].chars().count();
        let end = text.floor_char_boundary(span.end.clamp(start, text.len()));
        let length = text[start..end]
            .lines()
            .next()
            .unwrap_or_default()
            .chars()
            .count();
        // A long line is shown from shortly before what is wrong with it.
        let skipped = if before + length < EXCERPT_MAX {
            0
        } else {
            before.saturating_sub(20)
        };
        let excerpt: String = line.chars().skip(skipped).take(EXCERPT_MAX).collect();
        Place {
            line: text[..line_start].matches('\n').count() + 1,
            column: before + 1,
            indent: before - skipped,
            length: length.clamp(1, EXCERPT_MAX),
            excerpt,
        }
    }
}

impl fmt::Display for Marked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Marked { complaint, place } = self;
        write!(
            formatter,
            "TOML parse error at {place}{}: {}",
            complaint.key, complaint.what
        )
    }
}

/// `line 6, column 9`, and the line with a mark below it.
impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gutter = " ".repeat(self.line.to_string().len());
        let indent = " ".repeat(self.indent);
        let mark = "^".repeat(self.length);
        writeln!(formatter, "line {}, column {}", self.line, self.column)?;
        writeln!(formatter, "{gutter} |\n{} | {}", self.line, self.excerpt)?;
        writeln!(formatter, "{gutter} | {indent}{mark}")
    }
}
