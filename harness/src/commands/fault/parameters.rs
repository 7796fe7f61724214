//! Parameters of a fault on the command line: every kind's, from the catalogue, each as `--name VALUE`.

use std::collections::BTreeMap;

use clap::{Arg, ArgMatches, Command, FromArgMatches};
use duress_nemesis::catalogue;
use duress_nemesis::kinds::{Fault, KindRef, ParameterError};
use duress_nemesis::targets::Selector;
use serde_json::{Map, Value};

/// What was written of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written(BTreeMap<String, String>);

/// The name of each parameter, with what kinds say of it.
fn names() -> BTreeMap<&'static str, Vec<(&'static str, String)>> {
    let mut names: BTreeMap<&'static str, Vec<_>> = BTreeMap::new();
    for entry in catalogue() {
        for parameter in entry.about.parameters {
            names
                .entry(parameter.name)
                .or_default()
                .push((entry.kind, parameter.values));
        }
    }
    names
}

impl clap::Args for Written {
    fn augment_args(command: Command) -> Command {
        let arg = |(name, said): (&'static str, Vec<(&'static str, String)>)| {
            let kinds: Vec<&str> = said.iter().map(|(kind, _)| *kind).collect();
            let values = &said[0].1;
            let help = match said.iter().all(|(_, other)| other == values) {
                true => format!("Of {}: {values}", kinds.join(", ")),
                false => format!("Of {}: see `duress faults`", kinds.join(", ")),
            };
            Arg::new(name)
                .long(name)
                .value_name("VALUE")
                .allow_hyphen_values(true)
                .help(help)
                .help_heading("Parameters of faults")
        };
        command.args(names().into_iter().map(arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Written {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let written = names().into_keys().filter_map(|name| {
            let value = matches.get_one::<String>(name)?;
            Some((name.to_owned(), value.clone()))
        });
        Ok(Written(written.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Written {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fault of this kind that has them. The error names the parameter as it was written.
    pub fn fault(&self, kind: KindRef) -> Result<Fault, String> {
        let about = kind.about();
        let known: Vec<&str> = about.parameters.iter().map(|parameter| parameter.name).collect();
        if let Some(other) = self.0.keys().find(|name| !known.contains(&name.as_str())) {
            let known: Vec<String> = known.iter().map(|name| format!("--{name}")).collect();
            return Err(format!(
                "{} has no --{other}; it has {}",
                kind.name(),
                known.join(", ")
            ));
        }
        let mut values: Map<String, Value> = self
            .0
            .iter()
            .map(|(name, text)| (name.clone(), value(name, text)))
            .collect();
        let refused = |error: ParameterError| match error.key {
            Some(key) => format!("--{key}: {}", error.what),
            None => error.what,
        };
        match Fault::new(kind, values.clone()) {
            Ok(fault) => Ok(fault),
            // One value of a list is written as a value.
            Err(error) => match error.key.as_ref().and_then(|key| values.get_mut(key)) {
                Some(value @ (Value::String(_) | Value::Number(_))) => {
                    *value = Value::Array(vec![value.take()]);
                    Fault::new(kind, values).map_err(|_| refused(error))
                }
                _ => Err(refused(error)),
            },
        }
    }
}

/// A value as it stands in a spec: quotes may be left out, and lists are separated by commas.
fn value(name: &str, text: &str) -> Value {
    let words = || {
        text.split(',')
            .map(|word| Value::String(word.trim().to_owned()))
            .collect()
    };
    if name == "targets" {
        let role = Value::String(text.to_owned());
        // A name alone is a list of one.
        return match serde_json::from_value::<Selector>(role.clone()) {
            Ok(Selector::Role(_)) => role,
            _ => Value::Array(words()),
        };
    }
    let toml = toml::from_str::<toml::Table>(&format!("value = {text}"));
    let parsed = toml
        .ok()
        .and_then(|mut table| serde_json::to_value(table.remove("value")?).ok());
    match parsed {
        Some(value) => value,
        None if text.contains(',') => Value::Array(words()),
        None => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        written: Written,
    }

    fn fault(kind: &str, line: &str) -> Result<Value, String> {
        let words = std::iter::once("fault").chain(line.split_whitespace());
        let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
        let fault = line.written.fault(KindRef::named(kind)?)?;
        Ok(Value::Object(fault.parameters()))
    }

    #[test]
    fn parameters_are_written_as_in_specs_without_quotes() {
        let asked = fault("partition", "--shape one-way --targets n1").expect("a partition");
        assert_eq!(
            (&asked["shape"], &asked["targets"]),
            (&json!("one-way"), &json!(["n1"]))
        );
        assert_eq!(
            fault("pause", "--targets n1").expect("a pause")["targets"],
            json!(["n1"])
        );
        assert_eq!(
            fault("pause", "--targets all").expect("a pause")["targets"],
            json!("all")
        );
        let late = fault("packets", "--delay 200ms --loss 0.1").expect("packets");
        assert_eq!(late["delay"], json!("200ms"));
        let jump = fault("clock-jump", "--by -1h --clocks realtime").expect("a jump");
        assert_eq!(jump["clocks"], json!(["realtime"]));
    }

    #[test]
    fn what_is_wrong_is_told_as_it_was_written() {
        let said = fault("pause", "--shape one").expect_err("a pause has no shape");
        assert_eq!(said, "pause has no --shape; it has --targets");
        let said = fault("partition", "--shape ring").expect_err("no such shape");
        assert!(
            said.starts_with("--shape: ") && said.contains("majorities-ring"),
            "{said}"
        );
    }
}
