//! All templates of a system: the table `[http]` of its `system.toml`, checked as a whole.

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use duress_http::{Authorities, HeaderValue};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::case::{Case, Good, Outcome};
use super::step::{Headers, Step, Steps};
use super::template::Place;
use crate::clients::kind::{Mistake, Problem, ReadMode};
use crate::op::{Op, Operation};
use crate::workload::{HOLD, operations};

/// Which of the templates of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variant {
    /// The usual one.
    Plain,
    /// A read in another way than the usual one.
    Read(ReadMode),
    /// A write of null.
    Delete,
    /// A compare-and-set of null.
    Create,
    /// A compare-and-set to null.
    Remove,
}

/// The templates of one operation.
#[derive(Clone, Debug, PartialEq)]
struct Block {
    name: String,
    operation: Operation,
    variant: Variant,
    steps: Steps,
}

/// A system's templates.
#[derive(Clone, Debug)]
pub(super) struct Templates {
    pub headers: Headers,
    pub authorization: Option<HeaderValue>,
    /// `None`: plain HTTP.
    pub authorities: Option<Authorities>,
    /// What certificates are made out to. `None`: each to its node's name.
    pub server_name: Option<String>,
    /// Looked at before those of each step.
    pub common: Vec<Case>,
    pub executes_tokens_once: bool,
    blocks: Vec<Block>,
}

/// Steps of one operation, at most: each costs a round trip.
const STEPS_MAX: usize = 8;
/// Cases of one answer, at most.
const CASES_MAX: usize = 50;

/// Every block that there may be.
fn known() -> Vec<(String, Operation, Variant)> {
    let mut known = Vec::new();
    for (name, operation) in operations() {
        match operation.f {
            "read" => known.extend([ReadMode::Lease, ReadMode::Local].map(|mode| {
                let name = format!("{name}-{}", mode.as_str());
                (name, operation, Variant::Read(mode))
            })),
            "write" => known.push(("delete".to_owned(), operation, Variant::Delete)),
            "cas" => known.extend([
                ("create".to_owned(), operation, Variant::Create),
                ("remove".to_owned(), operation, Variant::Remove),
            ]),
            _ => {}
        }
        known.push((name, operation, Variant::Plain));
    }
    known
}

/// The table before it has been looked at as a whole.
#[derive(Default)]
struct Written {
    headers: Headers,
    auth: Option<Auth>,
    tls: Option<Tls>,
    answer: Vec<Case>,
    executes_tokens_once: bool,
    blocks: Vec<Block>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Auth {
    Basic { user: String, password: String },
    Bearer(String),
}

impl Auth {
    fn header(&self) -> Result<HeaderValue, &'static str> {
        let text = match self {
            Auth::Basic { user, .. } if user.contains(':') => {
                return Err("basic: a user has no colon in its name");
            }
            Auth::Basic { user, password } => {
                format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
            }
            Auth::Bearer(token) => format!("Bearer {token}"),
        };
        let mut value =
            HeaderValue::from_str(&text).map_err(|_| "bearer: a token has no control characters")?;
        value.set_sensitive(true);
        Ok(value)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Tls {
    ca: PathBuf,
    server_name: Option<String>,
}

/// By hand, so that the names of blocks are known to be right where they stand.
impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Table;

        impl<'de> Visitor<'de> for Table {
            type Value = Written;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a table of requests")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Written, A::Error> {
                let mut written = Written::default();
                while let Some(key) = entries.next_key::<Key>()? {
                    match key {
                        Key::Headers => written.headers = entries.next_value()?,
                        Key::Auth => written.auth = Some(entries.next_value()?),
                        Key::Tls => written.tls = Some(entries.next_value()?),
                        Key::Answer => written.answer = entries.next_value()?,
                        Key::Tokens => written.executes_tokens_once = entries.next_value()?,
                        Key::Block(name, operation, variant) => written.blocks.push(Block {
                            name,
                            operation,
                            variant,
                            steps: entries.next_value()?,
                        }),
                    }
                }
                match written.blocks.is_empty() {
                    true => Err(A::Error::custom("it has no requests; write e.g. [http.read]")),
                    false => Ok(written),
                }
            }
        }

        deserializer.deserialize_map(Table)
    }
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
enum Key {
    Headers,
    Auth,
    Tls,
    Answer,
    Tokens,
    Block(String, Operation, Variant),
}

impl TryFrom<String> for Key {
    type Error = String;

    fn try_from(key: String) -> Result<Self, String> {
        Ok(match key.as_str() {
            "headers" => Key::Headers,
            "auth" => Key::Auth,
            "tls" => Key::Tls,
            "answer" => Key::Answer,
            "executes-tokens-once" => Key::Tokens,
            _ => match known().into_iter().find(|(name, ..)| *name == key) {
                Some((name, operation, variant)) => Key::Block(name, operation, variant),
                None => {
                    let known: Vec<String> = known().into_iter().map(|(name, ..)| name).collect();
                    return Err(format!(
                        "no workload asks {key:?}; there are {}, and headers, auth, tls, answer, executes-tokens-once",
                        known.join(", ")
                    ));
                }
            },
        })
    }
}

/// A `system.toml`, of which only this counts here.
#[derive(Deserialize)]
struct Definition {
    http: Option<Written>,
}

impl Templates {
    /// From the text of a `system.toml`. Files that it names start from `folder`.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, Problem> {
        let definition: Definition = toml::from_str(text).map_err(|error| Problem::Form(Box::new(error)))?;
        let Some(written) = definition.http else {
            let what = "the client http asks as the table [http] says; write one, e.g. with [http.read]";
            return Err(Mistake::at(["client"], what).into());
        };
        check(&written)?;
        let authorization = (written.auth.as_ref().map(Auth::header).transpose())
            .map_err(|what| Mistake::at(["http", "auth"], what))?;
        let authorities = (written.tls.as_ref())
            .map(|tls| {
                let path = folder.join(&tls.ca);
                let pem = std::fs::read(&path).map_err(|error| format!("read {}: {error}", path.display()));
                let authorities = pem.and_then(|pem| {
                    Authorities::from_pem(&pem).map_err(|error| format!("{}: {error}", path.display()))
                });
                authorities.map_err(|what| Mistake::at(["http", "tls", "ca"], what))
            })
            .transpose()?;
        Ok(Templates {
            headers: written.headers,
            authorization,
            authorities,
            server_name: written.tls.and_then(|tls| tls.server_name),
            common: written.answer,
            executes_tokens_once: written.executes_tokens_once,
            blocks: written.blocks,
        })
    }

    /// How it can read: as every operation that reads has a template for.
    pub fn reads(&self) -> Vec<ReadMode> {
        let reads = |mode| {
            let mut read = self.blocks.iter().map(|block| block.operation);
            read.all(|operation| operation.f != "read" || self.block(operation, read_variant(mode)).is_some())
        };
        let all = [ReadMode::Linearizable, ReadMode::Lease, ReadMode::Local];
        all.into_iter().filter(|mode| reads(*mode)).collect()
    }

    /// What there are templates for.
    pub fn operations(&self) -> Vec<Operation> {
        let has = |operation: &Operation| {
            let mut blocks = self.blocks.iter().filter(|block| block.operation == *operation);
            blocks.any(|block| matches!(block.variant, Variant::Plain | Variant::Read(_)))
        };
        let mut operations: Vec<Operation> = operations()
            .into_iter()
            .map(|(_, operation)| operation)
            .filter(has)
            .collect();
        if operations.iter().any(|operation| operation.f == "acquire") {
            operations.push(Operation::on_key(HOLD));
        }
        operations
    }

    /// Whether some request carries a token.
    pub fn sends_tokens(&self) -> bool {
        let is_token = |place: &Place| matches!(place, Place::TokenClient | Place::TokenSeq);
        let in_headers = self
            .headers
            .0
            .iter()
            .flat_map(|(_, value)| value.places())
            .any(|place| is_token(&place));
        let steps = self.blocks.iter().flat_map(|block| &block.steps.steps);
        in_headers || steps.flat_map(Step::places).any(|(.., place)| is_token(&place))
    }

    fn block(&self, operation: Operation, variant: Variant) -> Option<&Block> {
        let is = |block: &&Block| block.operation == operation && block.variant == variant;
        self.blocks.iter().find(is)
    }

    /// The name and the steps of the template for this operation. The error says what there is none for.
    pub fn for_op(&self, op: &Op, mode: ReadMode) -> Result<(&str, &[Step]), String> {
        let operation = Operation {
            f: op.f,
            keyed: op.key.is_some(),
        };
        let is_null = |index| op.value.get(index).is_some_and(Value::is_null);
        let variant = match op.f {
            "read" => read_variant(mode),
            "write" if op.value.is_null() => Variant::Delete,
            "cas" if is_null(0) && is_null(1) => return Err("null is not compared with itself".to_owned()),
            "cas" if is_null(0) => Variant::Create,
            "cas" if is_null(1) => Variant::Remove,
            _ => Variant::Plain,
        };
        // Where no template says how a value is taken away or comes to be, null is a value as any other.
        let null_is_absence = (self.blocks.iter())
            .any(|block| matches!(block.variant, Variant::Delete | Variant::Create | Variant::Remove));
        let block = match variant {
            Variant::Delete | Variant::Create | Variant::Remove if !null_is_absence => {
                self.block(operation, Variant::Plain)
            }
            variant => self.block(operation, variant),
        };
        let block = block.ok_or_else(|| format!("there is no template for {} of {}", op.f, op.value))?;
        Ok((&block.name, &block.steps.steps))
    }
}

fn read_variant(mode: ReadMode) -> Variant {
    match mode {
        ReadMode::Linearizable => Variant::Plain,
        mode => Variant::Read(mode),
    }
}

/// What is wrong with the table as a whole, if anything is.
fn check(written: &Written) -> Result<(), Mistake> {
    if written.answer.len() > CASES_MAX {
        return Err(Mistake::at(
            ["http", "answer"],
            format!("use up to {CASES_MAX} cases"),
        ));
    }
    for (index, case) in written.answer.iter().enumerate() {
        let at = || Mistake::at(["http", "answer"], "").entry(index);
        if let Outcome::Ok(_) | Outcome::Next(_) = case.then {
            return Err(at().saying(
                "it is looked at for every answer: what an answer to one request means is said there",
            ));
        }
        if let Some(place) = case.places().into_iter().find(|place| *place != Place::Key) {
            return Err(at().saying(format!("no place {place} is there for every request; {{key}} is")));
        }
    }
    for (_, value) in &written.headers.0 {
        if let Some(place) = (value.places().into_iter())
            .find(|place| !matches!(place, Place::Key | Place::TokenClient | Place::TokenSeq))
        {
            let what = format!(
                "no place {place} is there for every request; use {{key}}, {{token.client}} or {{token.seq}}"
            );
            return Err(Mistake::at(["http", "headers"], what));
        }
    }
    written.blocks.iter().try_for_each(check_block)
}

/// Whether the system tells something that was not known before.
fn returns(operation: Operation) -> bool {
    operation.f == "read"
}

fn check_block(block: &Block) -> Result<(), Mistake> {
    let steps = &block.steps.steps;
    let here = || Mistake::at(["http", &block.name], "");
    let of_step = |index| {
        if block.steps.listed {
            here().entry(index)
        } else {
            here()
        }
    };
    if steps.is_empty() || steps.len() > STEPS_MAX {
        return Err(here().saying(format!("an operation has 1 to {STEPS_MAX} requests")));
    }
    let mut bound: Vec<&str> = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let last = index + 1 == steps.len();
        for (key, case, place) in step.places() {
            if !has_place(block, &place, &bound) {
                let at = of_step(index).key(key);
                let at = case.map_or_else(|| at.clone(), |case| at.clone().entry(case));
                return Err(at.saying(no_place(block, &place, &bound)));
            }
        }
        if step.answer.len() > CASES_MAX {
            return Err(of_step(index)
                .key("answer")
                .saying(format!("use up to {CASES_MAX} cases")));
        }
        for (number, case) in step.answer.iter().enumerate() {
            if let Some(what) = misfit(block, &case.then, last) {
                return Err(of_step(index).key("answer").entry(number).saying(what));
            }
        }
        let goes_on = |case: &Case| matches!(case.then, Outcome::Next(_));
        let happens = |case: &Case| matches!(case.then, Outcome::Ok(_));
        if last && !step.answer.iter().any(happens) {
            let what = "no case says ok, so nothing would ever be known to have happened";
            return Err(of_step(index).key("answer").saying(what));
        }
        if !last && !step.answer.iter().any(goes_on) {
            return Err(of_step(index)
                .key("answer")
                .saying("no case goes on to the next request; say next = {}"));
        }
        if last && step.effect == Some(false) && !returns(block.operation) {
            let what = format!("{} changes something, and this is its last request", block.name);
            return Err(of_step(index).key("effect").saying(what));
        }
        for case in &step.answer {
            if let Outcome::Next(names) = &case.then {
                bound.extend(names.iter().map(|(name, _)| name.as_str()));
            }
        }
    }
    Ok(())
}

/// What an answer can't mean for this operation, if it can't.
fn misfit(block: &Block, outcome: &Outcome, last: bool) -> Option<&'static str> {
    match outcome {
        Outcome::Ok(Good::Done) if returns(block.operation) => {
            Some("a read has a result: say where in the answer it stands, e.g. ok = \"/value\"")
        }
        Outcome::Ok(Good::At(_)) if !returns(block.operation) => {
            Some("its result is what was asked for: say ok = true")
        }
        Outcome::Next(_) if last => Some("there is no request after this one"),
        _ => None,
    }
}

fn has_place(block: &Block, place: &Place, bound: &[&str]) -> bool {
    match place {
        Place::Key => block.operation.keyed,
        Place::Value => !returns(block.operation) && block.operation.f != "cas",
        Place::Old | Place::New => block.operation.f == "cas",
        Place::LeaseSeconds | Place::LeaseMs => block.operation.f == "acquire",
        Place::TokenClient | Place::TokenSeq => true,
        Place::Bound(name) => bound.contains(&name.as_str()),
    }
}

fn no_place(block: &Block, place: &Place, bound: &[&str]) -> String {
    let all = [
        Place::Key,
        Place::Value,
        Place::Old,
        Place::New,
        Place::LeaseSeconds,
        Place::LeaseMs,
        Place::TokenClient,
        Place::TokenSeq,
    ];
    let bound_places = bound.iter().map(|name| Place::Bound((*name).to_owned()));
    let there: Vec<String> = (all.into_iter().filter(|place| has_place(block, place, bound)))
        .chain(bound_places)
        .map(|place| place.to_string())
        .collect();
    format!("{} has no place {place}; it has {}", block.name, there.join(", "))
}
