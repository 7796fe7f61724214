//! One request of an operation, as a template: the table `[http.<operation>]`, or one of `[[http.<operation>]]`.

use std::collections::BTreeMap;
use std::fmt;

use duress_http::{HeaderName, HeaderValue, Method};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::case::Case;
use super::shape::Shape;
use super::template::{Place, Template};

/// One request, and what its answers mean.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
pub(super) struct Step {
    pub method: Method,
    pub path: Template,
    pub headers: Vec<(HeaderName, Template)>,
    pub body: Body,
    /// Whether it may change something. `None`: unless the operation only reads.
    pub effect: Option<bool>,
    pub answer: Vec<Case>,
}

/// What is sent along.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Body {
    None,
    Json(Shape),
    Text(Template),
}

/// A step before its keys have been looked at together.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    #[serde(default)]
    method: Verb,
    path: Path,
    #[serde(default)]
    headers: Headers,
    body: Option<Shape>,
    text: Option<Template>,
    effect: Option<bool>,
    answer: Vec<Case>,
}

impl TryFrom<Written> for Step {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, &'static str> {
        let body = match (written.body, written.text) {
            (None, None) => Body::None,
            (Some(shape), None) => Body::Json(shape),
            (None, Some(template)) => Body::Text(template),
            (Some(_), Some(_)) => {
                return Err("body and text are two bodies; body is sent as JSON, text as it is");
            }
        };
        Ok(Step {
            method: written.method.into(),
            path: written.path.0,
            headers: written.headers.0,
            body,
            effect: written.effect,
            answer: written.answer,
        })
    }
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Verb {
    #[default]
    Get,
    Put,
    Post,
    Patch,
    Delete,
}

impl From<Verb> for Method {
    fn from(verb: Verb) -> Method {
        match verb {
            Verb::Get => Method::Get,
            Verb::Put => Method::Put,
            Verb::Post => Method::Post,
            Verb::Patch => Method::Patch,
            Verb::Delete => Method::Delete,
        }
    }
}

#[derive(Deserialize)]
#[serde(try_from = "Template")]
struct Path(Template);

impl TryFrom<Template> for Path {
    type Error = &'static str;

    fn try_from(template: Template) -> Result<Self, &'static str> {
        match template.beginning().starts_with('/') {
            true => Ok(Path(template)),
            false => Err("a path begins with a slash, as in path = \"/kv/{key}\""),
        }
    }
}

/// Headers by name.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(try_from = "BTreeMap<String, Template>")]
pub(super) struct Headers(pub Vec<(HeaderName, Template)>);

/// `hyper` reads no more from others; nobody needs as many.
const HEADERS_MAX: usize = 50;

impl TryFrom<BTreeMap<String, Template>> for Headers {
    type Error = String;

    fn try_from(written: BTreeMap<String, Template>) -> Result<Self, String> {
        if written.len() > HEADERS_MAX {
            return Err(format!(
                "{} headers are too many; use up to {HEADERS_MAX}",
                written.len()
            ));
        }
        let header = |(name, value): (String, Template)| {
            let parsed: HeaderName = name
                .parse()
                .map_err(|_| format!("{name:?} is no name of a header"))?;
            HeaderValue::from_str(value.beginning())
                .map_err(|_| format!("the header {name} has a control character in its value"))?;
            Ok((parsed, value))
        };
        written
            .into_iter()
            .map(header)
            .collect::<Result<_, _>>()
            .map(Headers)
    }
}

impl Step {
    /// What it needs to be filled in, and where: the key of the step, and a case of it, from 0.
    pub fn places(&self) -> Vec<(&'static str, Option<usize>, Place)> {
        let at = |key, case| move |place| (key, case, place);
        let mut places: Vec<_> = self.path.places().into_iter().map(at("path", None)).collect();
        for (_, value) in &self.headers {
            places.extend(value.places().into_iter().map(at("headers", None)));
        }
        match &self.body {
            Body::None => {}
            Body::Json(shape) => places.extend(shape.places().into_iter().map(at("body", None))),
            Body::Text(template) => places.extend(template.places().into_iter().map(at("text", None))),
        }
        for (index, case) in self.answer.iter().enumerate() {
            places.extend(case.places().into_iter().map(at("answer", Some(index))));
        }
        places
    }
}

/// A table is one step, a list of tables are several, in order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Steps {
    pub steps: Vec<Step>,
    /// Whether it is written as a list.
    pub listed: bool,
}

impl<'de> Deserialize<'de> for Steps {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Steps;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a request, or a list of requests")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Steps, A::Error> {
                let step = Step::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Steps {
                    steps: vec![step],
                    listed: false,
                })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Steps, A::Error> {
                let mut steps = Vec::new();
                while let Some(step) = entries.next_element()? {
                    steps.push(step);
                }
                Ok(Steps { steps, listed: true })
            }
        }

        deserializer.deserialize_any(Either)
    }
}
