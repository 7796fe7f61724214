//! A reader for EDN, as far as histories use it (<https://github.com/edn-format/edn>).
//!
//! Keywords and symbols become strings without their colon, sets and lists become lists, maps become objects (their
//! keys as text), tags are dropped: `#jepsen.history.Op{:process 0, :value [1 2]}` reads as
//! `{"process": 0, "value": [1, 2]}`. So the result is a JSON value and everything after this is one way only.
//! So `:a`, `a`, `"a"` and `\a` are one value. A number that 64 bits can't hold exactly is an error, and so are `##NaN` and
//! `##Inf`, which JSON doesn't have, and a key that is there twice.

mod atoms;
pub(super) mod operations;

use serde_json::{Map, Value};

use crate::history::jsonl::LINE_BYTES_MAX;
use crate::history::shortened;

/// Where and why the text is no EDN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdnError {
    /// Line, from 1.
    pub line: u64,
    /// What is wrong.
    pub reason: String,
}

const DEPTH_MAX: u32 = 100;
/// How long the text of a key may be that is a collection. Keys within keys are quoted again and again, and the text
/// doubles each time.
const KEY_BYTES_MAX: usize = 4096;

/// Reads forms one after the other.
pub struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    /// Up to where lines are counted, and the line there.
    counted: (usize, u64),
    /// Where the form begins that is being read.
    form_start: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the beginning.
    pub fn new(text: &'a [u8]) -> Self {
        Reader {
            text,
            at: 0,
            counted: (0, 1),
            form_start: 0,
        }
    }

    /// The line that the reader is at, from 1.
    pub fn line(&self) -> u64 {
        let seen = &self.text[..self.at.min(self.text.len())];
        1 + seen.iter().filter(|&&byte| byte == b'\n').count() as u64
    }

    /// The line on which the next form begins.
    pub fn line_of_next(&mut self) -> Result<u64, EdnError> {
        self.form_start = self.at;
        self.blank(0)?;
        // Counting from the top for every form would be quadratic.
        let new = &self.text[self.counted.0..self.at];
        self.counted.1 += new.iter().filter(|&&byte| byte == b'\n').count() as u64;
        self.counted.0 = self.at;
        Ok(self.counted.1)
    }

    /// The next form; `None` at the end.
    pub fn next_form(&mut self) -> Result<Option<Value>, EdnError> {
        self.form_start = self.at;
        self.blank(0)?;
        if self.at == self.text.len() {
            return Ok(None);
        }
        self.form_start = self.at;
        self.form(0).map(Some)
    }

    /// Enters a vector or a list, if one is next, so that its elements can be read as forms one by one. Gives what closes
    /// it.
    pub fn enter(&mut self) -> Result<Option<u8>, EdnError> {
        self.blank(0)?;
        let close = match self.text.get(self.at) {
            Some(b'[') => Some(b']'),
            Some(b'(') => Some(b')'),
            _ => None,
        };
        self.at += usize::from(close.is_some());
        Ok(close)
    }

    /// Leaves the vector that was entered, if its end is next.
    pub fn leave(&mut self, close: u8) -> Result<bool, EdnError> {
        self.blank(0)?;
        let found = self.text.get(self.at) == Some(&close);
        self.at += usize::from(found);
        Ok(found)
    }

    fn error<T>(&self, reason: impl Into<String>) -> Result<T, EdnError> {
        Err(EdnError {
            line: self.line(),
            reason: reason.into(),
        })
    }

    /// Passes over blanks, commas, comments and `#_` forms. Any number of `#_` may stand in a row, and each takes a form.
    fn blank(&mut self, depth: u32) -> Result<(), EdnError> {
        let mut dropped = 0_u64;
        loop {
            match self.text.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r' | b',' | 0x0c) => self.at += 1,
                Some(b';') => {
                    let rest = &self.text[self.at..];
                    self.at += rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
                }
                Some(b'#') if self.text.get(self.at + 1) == Some(&b'_') => {
                    self.at += 2;
                    dropped += 1;
                }
                _ if dropped > 0 => {
                    dropped -= 1;
                    self.form(depth + 1)?;
                }
                _ => return Ok(()),
            }
        }
    }

    fn form(&mut self, depth: u32) -> Result<Value, EdnError> {
        if depth > DEPTH_MAX {
            return self.error(format!("nested more than {DEPTH_MAX} deep"));
        }
        self.blank(depth)?;
        if self.at.saturating_sub(self.form_start) > LINE_BYTES_MAX {
            return self.error(format!("a form of more than {} MiB", LINE_BYTES_MAX >> 20));
        }
        match self.text.get(self.at) {
            None => self.error("the text ends within a form"),
            Some(b'[') => self.sequence(depth, b']'),
            Some(b'(') => self.sequence(depth, b')'),
            Some(b'{') => self.map(depth),
            Some(b'"') => self.string(),
            Some(b'\\') => {
                self.at += 1;
                let name = self.token();
                Ok(Value::String(name))
            }
            Some(b'#') => self.tagged(depth),
            Some(b']' | b')' | b'}') => self.error("a closing bracket that nothing opened"),
            Some(_) => self.atom(),
        }
    }

    fn tagged(&mut self, depth: u32) -> Result<Value, EdnError> {
        self.at += 1;
        match self.text.get(self.at) {
            Some(b'{') => self.sequence(depth, b'}'),
            Some(b'#') => {
                self.at += 1;
                match self.token().as_str() {
                    name @ ("Inf" | "-Inf" | "NaN") => {
                        self.error(format!("##{name} is no value that can be compared"))
                    }
                    name => self.error(format!("no such number: ##{}", shortened(name))),
                }
            }
            _ => {
                self.token();
                self.form(depth + 1)
            }
        }
    }

    fn sequence(&mut self, depth: u32, close: u8) -> Result<Value, EdnError> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.blank(depth)?;
            if self.text.get(self.at) == Some(&close) {
                self.at += 1;
                return Ok(Value::Array(items));
            }
            items.push(self.form(depth + 1)?);
        }
    }

    fn map(&mut self, depth: u32) -> Result<Value, EdnError> {
        self.at += 1;
        let mut fields = Map::new();
        loop {
            self.blank(depth)?;
            if self.text.get(self.at) == Some(&b'}') {
                self.at += 1;
                return Ok(Value::Object(fields));
            }
            let name = match self.form(depth + 1)? {
                Value::String(name) => name,
                other => {
                    let text = other.to_string();
                    if text.len() > KEY_BYTES_MAX {
                        return self.error(format!(
                            "a key that is a collection of more than {KEY_BYTES_MAX} bytes"
                        ));
                    }
                    text
                }
            };
            self.blank(depth)?;
            if self.text.get(self.at) == Some(&b'}') {
                return self.error(format!("{} has no value", shortened(&name)));
            }
            if fields.contains_key(&name) {
                return self.error(format!("the key {} is there twice", shortened(&name)));
            }
            let value = self.form(depth + 1)?;
            fields.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn one(text: &str) -> Value {
        Reader::new(text.as_bytes()).next_form().unwrap().unwrap()
    }

    #[test]
    fn forms() {
        assert_eq!(
            one("; a comment\n{:process :nemesis, :value [1 nil \"a\\nb\" -2 1.5] #_skipped :f :read}"),
            json!({"process": "nemesis", "value": [1, null, "a\nb", -2, 1.5], "f": "read"})
        );
        assert_eq!(
            one("#jepsen.history.Op{:index 3 :type :ok}"),
            json!({"index": 3, "type": "ok"})
        );
        assert_eq!(
            one("(#{1 2} \\a 12N +7 {1 2})"),
            json!([[1, 2], "a", 12, 7, {"1": 2}])
        );
    }

    #[test]
    fn numbers_are_kept_as_they_are_or_refused() {
        assert_eq!(
            one("[18446744073709551615 -9223372036854775808N 1.5M 1e3]"),
            json!([18_446_744_073_709_551_615_u64, i64::MIN, 1.5, 1000.0])
        );
        for text in [
            "18446744073709551616",
            "18446744073709551617N",
            "0.10000000000000001",
            "123456789012345678.5M",
        ] {
            let error = Reader::new(text.as_bytes()).next_form().unwrap_err();
            assert!(error.reason.contains("64 bits"), "{text}: {error:?}");
        }
    }

    #[test]
    fn forms_that_are_dropped_stand_in_any_number() {
        assert_eq!(one("#_ #_ 1 2 3"), json!(3));
        assert_eq!(one("[#_#_a b 1 #_{:x 1}]"), json!([1]));
        let many = format!("{}{}7", "#_".repeat(50_000), "1 ".repeat(50_000));
        assert_eq!(one(&many), json!(7));
        let error = Reader::new("#_".repeat(50_000).as_bytes())
            .next_form()
            .unwrap_err();
        assert_eq!(
            (error.line, error.reason.as_str()),
            (1, "the text ends within a form")
        );
        // Each of these has another inside it.
        let nested = "#_[".repeat(50_000);
        assert!(Reader::new(nested.as_bytes()).next_form().is_err());
    }

    #[test]
    fn what_is_no_edn_names_its_line() {
        for (text, line, reason) in [
            ("{:a 1\n :b}", 2, "b has no value"),
            ("[1\n2", 2, "the text ends within a form"),
            ("\n\n]", 3, "a closing bracket that nothing opened"),
            ("\"abc", 1, "the text ends within a string"),
            ("12abc", 1, "12abc is no number"),
        ] {
            let error = Reader::new(text.as_bytes()).next_form().unwrap_err();
            assert_eq!((error.line, error.reason.as_str()), (line, reason), "{text}");
        }
        assert!(Reader::new("[".repeat(5000).as_bytes()).next_form().is_err());
        for text in [
            "##NaN",
            "{:a 1 :a 2}",
            "{:a 1 \"a\" 2}",
            "12NN",
            "1.5N",
            "#_",
            "[#_]",
        ] {
            assert!(Reader::new(text.as_bytes()).next_form().is_err(), "{text}");
        }
        let keys = format!("{}{}", "{".repeat(60), "} 1".repeat(60));
        let error = Reader::new(keys.as_bytes()).next_form().unwrap_err();
        assert_eq!(error.reason, "a key that is a collection of more than 4096 bytes");
    }
}
