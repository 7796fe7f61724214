//! JSON values with places in their strings: bodies, and what answers are compared with. JSON stays JSON whatever is filled in.
//!
//! ```text
//! {"value": "{value}"}                   a string that is one place and nothing else becomes the value itself: {"value": 7}
//! {"value": "{value|json|base64}"}       {"value": "Nw=="}
//! ```

use std::fmt;

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::template::{Piece, Place, Slot, Template, Values};

/// A JSON value with places in its strings.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    Plain(Value),
    Text(Template),
    /// A string that was nothing but this: becomes the value, whatever its type.
    Slot(Slot),
    List(Vec<Shape>),
    Table(Vec<(String, Shape)>),
}

impl Shape {
    /// With every place filled in.
    pub fn value(&self, values: &Values<'_>) -> Result<Value, String> {
        Ok(match self {
            Shape::Plain(value) => value.clone(),
            Shape::Text(template) => Value::String(template.text(values)?),
            Shape::Slot(slot) => slot.value(values)?.into_owned(),
            Shape::List(list) => list
                .iter()
                .map(|shape| shape.value(values))
                .collect::<Result<_, _>>()?,
            Shape::Table(table) => {
                let filled = table
                    .iter()
                    .map(|(key, shape)| Ok((key.clone(), shape.value(values)?)));
                Value::Object(filled.collect::<Result<_, String>>()?)
            }
        })
    }

    /// What it needs to be filled in.
    pub fn places(&self) -> Vec<Place> {
        match self {
            Shape::Plain(_) => Vec::new(),
            Shape::Text(template) => template.places(),
            Shape::Slot(slot) => slot.places(),
            Shape::List(list) => list.iter().flat_map(Shape::places).collect(),
            Shape::Table(table) => table.iter().flat_map(|(_, shape)| shape.places()).collect(),
        }
    }
}

impl From<Template> for Shape {
    fn from(mut template: Template) -> Shape {
        match template.0.as_mut_slice() {
            [] => Shape::Plain(Value::String(String::new())),
            [Piece::Text(text)] => Shape::Plain(Value::String(std::mem::take(text))),
            [Piece::Slot(slot)] => Shape::Slot(slot.clone()),
            _ => Shape::Text(template),
        }
    }
}

/// By hand, so that a mistake in a string is shown at that string.
impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Shape;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string, number, true, false, list or table")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Shape, E> {
                Ok(Shape::Plain(value.into()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Shape, E> {
                Ok(Shape::Plain(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Shape, E> {
                Ok(Shape::Plain(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Shape, E> {
                Ok(Shape::Plain(value.into()))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Shape, E> {
                Template::try_from(text.to_owned())
                    .map(Shape::from)
                    .map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Shape, A::Error> {
                let mut list = Vec::new();
                while let Some(entry) = entries.next_element()? {
                    list.push(entry);
                }
                Ok(Shape::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Shape, A::Error> {
                let mut table = Vec::new();
                while let Some((key, shape)) = entries.next_entry::<String, Shape>()? {
                    if key == DATE {
                        return Err(A::Error::custom("JSON has no dates; write it as a string"));
                    }
                    table.push((key, shape));
                }
                Ok(Shape::Table(table))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

/// The one key of the table as which `toml` hands over a date.
const DATE: &str = "$__toml_private_datetime";
