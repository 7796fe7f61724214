//! What has no brackets: strings, numbers, keywords and symbols.

use serde_json::{Number, Value};

use super::{EdnError, Reader};
use crate::history::{exact, shortened};

impl Reader<'_> {
    /// The string that begins here.
    pub(super) fn string(&mut self) -> Result<Value, EdnError> {
        self.at += 1;
        let mut bytes = Vec::new();
        loop {
            let Some(&byte) = self.text.get(self.at) else {
                return self.error("the text ends within a string");
            };
            self.at += 1;
            match byte {
                b'"' => break,
                b'\\' => {
                    let escaped = self.text.get(self.at).copied();
                    self.at += 1;
                    match escaped {
                        Some(b'n') => bytes.push(b'\n'),
                        Some(b't') => bytes.push(b'\t'),
                        Some(b'r') => bytes.push(b'\r'),
                        Some(b'b') => bytes.push(8),
                        Some(b'f') => bytes.push(12),
                        Some(quoted @ (b'"' | b'\\' | b'/')) => bytes.push(quoted),
                        Some(b'u') => {
                            let digits = self.text.get(self.at..self.at + 4).unwrap_or_default();
                            let code = std::str::from_utf8(digits).ok();
                            let code = code.and_then(|digits| u32::from_str_radix(digits, 16).ok());
                            let Some(letter) = code.and_then(char::from_u32) else {
                                return self.error("\\u wants four digits of one character");
                            };
                            self.at += 4;
                            bytes.extend(letter.encode_utf8(&mut [0; 4]).as_bytes());
                        }
                        _ => return self.error("no such escape in a string"),
                    }
                }
                byte => bytes.push(byte),
            }
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Value::String(text)),
            Err(_) => self.error("a string that is no UTF-8"),
        }
    }

    /// What stands here up to a blank or a bracket; one byte at least.
    pub(super) fn token(&mut self) -> String {
        let start = self.at;
        while let Some(&byte) = self.text.get(self.at) {
            let ends = matches!(
                byte,
                b' ' | b'\t'
                    | b'\n'
                    | b'\r'
                    | 0x0c
                    | b','
                    | b';'
                    | b'('
                    | b')'
                    | b'['
                    | b']'
                    | b'{'
                    | b'}'
                    | b'"'
            );
            // A character literal such as `\(` is one byte at least.
            if ends && self.at > start {
                break;
            }
            self.at += 1;
            if ends {
                break;
            }
        }
        String::from_utf8_lossy(&self.text[start..self.at]).into_owned()
    }

    /// A number, keyword or symbol.
    pub(super) fn atom(&mut self) -> Result<Value, EdnError> {
        let token = self.token();
        match token.as_str() {
            "nil" => return Ok(Value::Null),
            "true" => return Ok(Value::Bool(true)),
            "false" => return Ok(Value::Bool(false)),
            _ => {}
        }
        if let Some(name) = token.strip_prefix(':') {
            return Ok(Value::String(name.to_owned()));
        }
        let digits = token.strip_prefix(['+', '-']).unwrap_or(&token);
        if digits.starts_with(|first: char| first.is_ascii_digit()) {
            return self.number(token.strip_prefix('+').unwrap_or(&token));
        }
        Ok(Value::String(token))
    }

    /// `12`, `12N`, `1.5`, `1.5M`.
    fn number(&self, token: &str) -> Result<Value, EdnError> {
        let plain = token.strip_suffix(['N', 'M']).unwrap_or(token);
        let float = plain.parse::<f64>().ok().filter(|_| !token.ends_with('N'));
        if let Ok(number) = plain.parse::<i64>() {
            return Ok(Value::Number(number.into()));
        }
        if let Ok(number) = plain.parse::<u64>() {
            return Ok(Value::Number(number.into()));
        }
        let digits = plain.strip_prefix('-').unwrap_or(plain);
        if digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return self.error(exact::why(token));
        }
        match float.and_then(Number::from_f64) {
            Some(number) if exact::is_exact(plain, number.as_f64().unwrap_or(f64::NAN)) => {
                Ok(Value::Number(number))
            }
            Some(_) => self.error(exact::why(token)),
            None => self.error(format!("{} is no number", shortened(token))),
        }
    }
}
