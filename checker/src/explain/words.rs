//! A proof in words.

use super::broken::Broken;
use super::statement::{Statement, last_to_complete};
use crate::history::{History, NEVER, Row, Val};
use crate::model::{Call, Model, Operation, Telling, Words};
use crate::verdict::{Reached, Witness};

/// Operations that are impossible together, whatever their model.
pub(super) struct Core<'a> {
    pub history: &'a History,
    /// The object's name, or [`Val::NONE`].
    pub key: Val,
    pub statements: Vec<Statement<'a>>,
    pub model: &'a dyn Narrator,
}

/// What only the model can say.
pub(super) trait Narrator {
    /// What happened, in the object's own words, if it has any. The culprit is at this position of the core.
    fn tell(&self, culprit: usize) -> Option<String>;

    /// The row of an operation on the object that brings in one of these values.
    fn writer(&self, wanted: &[Val]) -> Option<u32>;

    /// Whether what failed would have brought in one of these values to the object.
    fn would_bring(&self, failed: &Row, wanted: &[Val]) -> bool;
}

/// Tells of a core.
pub(super) struct Told<'a, M: Model> {
    pub broken: &'a Broken<'a, M>,
    pub core: &'a [Operation<M::Op>],
}

impl<M: Model> Narrator for Told<'_, M> {
    fn tell(&self, culprit: usize) -> Option<String> {
        let Broken {
            model, part, history, ..
        } = self.broken;
        model.words().tell(&Telling {
            core: self.core,
            culprit: &self.core[culprit],
            part,
            history,
        })
    }

    fn writer(&self, wanted: &[Val]) -> Option<u32> {
        let brings = |operation: &&Operation<M::Op>| {
            Statement::new(self.broken.model, operation).brings_one_of(wanted)
        };
        self.broken.part.iter().find(brings).map(|writer| writer.row)
    }

    fn would_bring(&self, failed: &Row, wanted: &[Val]) -> bool {
        let Broken {
            model, history, key, ..
        } = self.broken;
        let call = Call {
            f: &history.functions[failed.f as usize],
            process: u64::from(failed.process),
            key: failed.key,
            argument: failed.argument,
            result: None,
            values: &history.values,
        };
        let values = |op| model.words().produces(op);
        let op = model.operation(&call);
        model.part(&call) == *key
            && matches!(&op, Ok(Some(op)) if values(op).iter().any(|value| wanted.contains(value)))
    }
}

impl Core<'_> {
    /// The witness that it is.
    pub fn witness(&self, minimal: bool, reached: Option<Reached>) -> Witness {
        let culprit = self.culprit();
        let operations = self.statements.iter().map(|statement| {
            let note = culprit.map_or(String::new(), |culprit| {
                self.note(statement, &self.statements[culprit])
            });
            self.history.witness_op(statement.row, note)
        });
        Witness {
            summary: self.summary(culprit),
            key: (self.key != Val::NONE).then(|| self.history.values.json(self.key)),
            operations: operations.collect(),
            minimal,
            reached: reached.map(Box::new),
            ..Witness::default()
        }
    }

    /// The operation that the rest makes impossible: one that needs what nobody had asked for yet, else the last one to
    /// complete.
    fn culprit(&self) -> Option<usize> {
        let early = self.statements.iter().position(|statement| {
            let mut writers = self.producers(statement.needs).peekable();
            writers.peek().is_some() && writers.all(|writer| writer.invoke > statement.ret)
        });
        early.or_else(|| last_to_complete(Statement::rets(&self.statements)))
    }

    fn producers(&self, wanted: &[Val]) -> impl Iterator<Item = &Statement<'_>> {
        (self.statements.iter()).filter(move |statement| statement.brings_one_of(wanted))
    }

    /// What an operation is called.
    fn function(&self, row: u32) -> &str {
        &self.history.functions[self.history.rows[row as usize].f as usize]
    }

    /// What an operation contributes to the proof that the last one is impossible.
    fn note(&self, statement: &Statement<'_>, last: &Statement<'_>) -> String {
        if statement.row == last.row {
            return "impossible together with the others".to_owned();
        }
        let f = self.function(last.row);
        let mut notes = Vec::new();
        for &value in statement.produces {
            let shown = self.history.values.json(value);
            if last.needs == [value] {
                notes.push(format!("brought in the {shown} that the {f} returned"));
            } else if last.needs.contains(&value) {
                notes.push(format!("brought in {shown}, a part of what the {f} returned"));
            } else if (self.statements.iter()).any(|other| other.ret != NEVER && other.needs.contains(&value))
            {
                notes.push(format!("brought in {shown}, which was seen"));
            }
        }
        // The same value may have been brought in at two places.
        notes.dedup();
        if statement.ret == NEVER {
            let open = self.history.rows[statement.row as usize].ret != NEVER;
            notes.push(
                if open {
                    "still open at that time"
                } else {
                    "may take effect at any later time, or never"
                }
                .to_owned(),
            );
        } else if statement.invoke > last.ret {
            notes.push(format!("began after the {f} had completed"));
        } else if statement.ret < last.invoke {
            notes.push(format!("complete before the {f} began"));
        } else {
            notes.push(format!("at the same time as the {f}"));
        }
        notes.join("; ")
    }

    fn summary(&self, culprit: Option<usize>) -> String {
        let (core, history) = (&self.statements, self.history);
        let object = match self.key {
            Val::NONE => String::new(),
            key => format!(" of {}", history.values.json(key)),
        };
        let Some(culprit) = culprit else {
            return format!("no order of these operations{object} explains their results");
        };
        if let Some(told) = self.model.tell(culprit) {
            return match self.key {
                Val::NONE => told,
                key => format!("{}: {told}", history.values.json(key)),
            };
        }
        let last = &core[culprit];
        let shown = history.witness_op(last.row, String::new());
        let result = shown.result.unwrap_or(serde_json::Value::Null);
        let claim = match (last.denies, last.found) {
            (Some(value), _) => {
                let value = history.values.json(value);
                format!(
                    "{} {}{object} found another value than {value}",
                    shown.f, shown.value
                )
            }
            (None, Some(value)) => {
                let value = history.values.json(value);
                format!("{} {}{object} found {value}", shown.f, shown.value)
            }
            (None, None) => format!("{}{object} returned {result}", shown.f),
        };
        let wanted = last.needs;
        if wanted.is_empty() {
            return format!("{claim}, {}", by_others(core.len() - 1));
        }
        let writers: Vec<_> = self.producers(wanted).collect();
        if writers.is_empty() && core.len() == 1 {
            return format!("{claim}, {}", self.nobody(wanted));
        }
        if !writers.is_empty() && writers.iter().all(|writer| writer.invoke > last.ret) {
            return format!("{claim}, {}", self.later(writers[0].row));
        }
        // What had certainly taken the place of the value, and what shows it.
        let newer = core.iter().filter(|other| {
            other.ret < last.invoke
                && writers.iter().all(|writer| writer.ret < other.invoke)
                && other.row != last.row
        });
        for other in newer {
            if let Some(&value) = other.produces.iter().find(|value| !wanted.contains(value)) {
                let (f, value) = (self.function(other.row), history.values.json(value));
                return format!("{claim} after the {f} of {value} had been acknowledged");
            }
        }
        let seen = core.iter().filter(|other| other.ret < last.invoke);
        for other in seen {
            if let Some(&value) = other.needs.iter().find(|value| !wanted.contains(value)) {
                let value = history.values.json(value);
                return format!("{claim} after {value} had been seen in its place");
            }
        }
        format!("{claim}, {}", by_others(core.len() - 1))
    }

    /// Why nobody can have written values that were seen.
    fn nobody(&self, wanted: &[Val]) -> String {
        if let Some(writer) = self.model.writer(wanted) {
            return self.later(writer);
        }
        let refused = self.history.rows.iter().filter(|row| row.refused());
        let mut failed = self.history.failures.iter().chain(refused);
        match failed.find(|row| self.model.would_bring(row, wanted)) {
            Some(row) => format!(
                "which only a {} that failed wrote",
                self.history.functions[row.f as usize]
            ),
            None => "which nobody wrote".to_owned(),
        }
    }

    fn later(&self, writer: u32) -> String {
        format!("which only a later {} wrote", self.function(writer))
    }
}

/// What can be said of any contradiction.
fn by_others(count: usize) -> String {
    match count {
        0 => "which nothing that had been asked for until then can lead to".to_owned(),
        1 => "which no order with the other operation explains".to_owned(),
        count => format!("which no order with the {count} other operations explains"),
    }
}
