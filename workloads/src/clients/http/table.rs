//! All templates of a system: the table `[http]` of its `system.toml`.

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use duress_http::{Authorities, HeaderValue};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::block::{Block, Variant, known};
use super::case::Case;
use super::check::check;
use super::step::{Headers, Step};
use super::template::Place;
use crate::clients::kind::{Mistake, Problem, ReadMode};
use crate::op::{Op, Operation};
use crate::workload::{operations, with_hold};

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
        check(&written.headers, &written.answer, &written.blocks)?;
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
            read.all(|operation| {
                operation.f != "read" || self.block(operation, Variant::of_read(mode)).is_some()
            })
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
        let asked = operations().into_iter().map(|(_, operation)| operation);
        with_hold(asked.filter(has).collect())
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
            "read" => Variant::of_read(mode),
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
