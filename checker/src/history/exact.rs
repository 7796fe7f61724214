//! Whether a number in a text survived being read.
//!
//! JSON has numbers of any length; what reads them keeps 64 bits. Two numbers that differ in the text only beyond that
//! would be one value, and a checker that compares them would be wrong. So whoever reads a value asks here whether
//! anything was lost:
//!
//! | text | kept as | |
//! |---|---|---|
//! | `18446744073709551615` | itself | exact |
//! | `18446744073709551616` | 1.8446744073709552e19 | lost, as any integer beyond 64 bits |
//! | `0.1`, `1.50`, `1e3` | the float nearest | exact: no other number so short is nearest to it |
//! | `0.10000000000000001` | 0.1 | lost |

use serde_json::Value;

/// Says what is lost where a number in these values does not stand in `text`, of which they were read as JSON, as it was
/// read.
pub(crate) fn lost<'v>(text: &[u8], values: impl Iterator<Item = &'v Value>) -> Option<String> {
    let mut floats = Vec::new();
    values.for_each(|value| floats_of(value, &mut floats));
    if floats.is_empty() {
        return None;
    }
    numbers(text).find_map(|token| {
        // An integer of 64 bits was kept as one, whatever float beside it has the same value.
        if token.parse::<u64>().is_ok() || token.parse::<i64>().is_ok() {
            return None;
        }
        let float = token.parse::<f64>().ok()?;
        // Others on the line, e.g. in fields that nobody judges, may lose what they like.
        (floats.contains(&float.to_bits()) && !is_exact(token, float)).then(|| why(token))
    })
}

/// What is wrong with a number that can't be kept.
pub(crate) fn why(token: &str) -> String {
    // A hostile one has any length.
    let shown: String = token.chars().take(50).collect();
    let more = if shown.len() < token.len() { "…" } else { "" };
    format!("the number {shown}{more} has more digits than 64 bits can tell apart: write it as a string")
}

/// Whether a number that was read as this float is what the text says.
pub(crate) fn is_exact(token: &str, float: f64) -> bool {
    if !token.contains(['.', 'e', 'E']) && float != 0.0 {
        return false;
    }
    match (decimal(token), decimal(&format!("{float:e}"))) {
        (Some(written), Some(kept)) => written == kept,
        _ => false,
    }
}

/// Sign, digits without zeros at either end, and where the point stands: after so many of them.
fn decimal(token: &str) -> Option<(bool, String, i64)> {
    let (negative, token) = match token.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, token),
    };
    let (mantissa, exponent) = match token.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (token, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let leading = digits.len() - digits.trim_start_matches('0').len();
    let digits = digits.trim_matches('0').to_owned();
    if digits.is_empty() {
        return Some((false, digits, 0));
    }
    let point = i64::try_from(whole.len()).ok()? - i64::try_from(leading).ok()?;
    Some((negative, digits, point.checked_add(exponent)?))
}

fn floats_of(value: &Value, floats: &mut Vec<u64>) {
    match value {
        Value::Number(number) if number.is_f64() => {
            let float = number.as_f64().map(f64::to_bits);
            floats.extend(float.filter(|float| !floats.contains(float)));
        }
        Value::Array(items) => items.iter().for_each(|item| floats_of(item, floats)),
        Value::Object(fields) => fields.values().for_each(|field| floats_of(field, floats)),
        _ => {}
    }
}

/// The numbers of a JSON text, as they are written.
fn numbers(text: &[u8]) -> impl Iterator<Item = &str> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let mut quoted = false;
        while let Some(&byte) = text.get(at) {
            match byte {
                b'"' => quoted = !quoted,
                b'\\' if quoted => at += 1,
                b'-' | b'0'..=b'9' if !quoted => {
                    let rest = &text[at..];
                    let ends = |byte: &u8| !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
                    let length = rest.iter().position(ends).unwrap_or(rest.len());
                    at += length;
                    return std::str::from_utf8(&rest[..length]).ok();
                }
                _ => {}
            }
            at += 1;
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost_in(text: &str) -> bool {
        let value: Value = serde_json::from_str(text).unwrap();
        lost(text.as_bytes(), std::iter::once(&value)).is_some()
    }

    #[test]
    fn what_64_bits_hold_is_exact() {
        for text in [
            "18446744073709551615",
            "-9223372036854775808",
            "0.1",
            "1.50",
            "1e3",
            "-0",
            "-0.0",
            "0e7",
            "1.7976931348623157e308",
            "5e-324",
            "1234567890123456e-3",
            r#"["a\"1", 2.5, {"18446744073709551616": 1}]"#,
            "[1, 1.0, -1, -1.0]",
        ] {
            assert!(!lost_in(text), "{text}");
        }
    }

    #[test]
    fn what_they_dont_is_lost() {
        for text in [
            "18446744073709551616",
            "-9223372036854775809",
            "100000000000000000000000",
            "0.10000000000000001",
            "1e-400",
            "123456789012345678.5",
            r#"["\\", [{"a": 9007199254740993.0}]]"#,
        ] {
            assert!(lost_in(text), "{text}");
        }
    }

    #[test]
    fn what_nobody_judges_may_lose() {
        let text = br#"{"value":1.5,"intended":0.10000000000000001}"#;
        let value = serde_json::json!(1.5);
        assert_eq!(lost(text, std::iter::once(&value)), None);
    }
}
