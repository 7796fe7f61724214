//! Numbers, times and text as a person reads them: `23,114`, `3.2 ms`, `12.904 s`.

use std::borrow::Cow;

use serde_json::Value;

/// `1234567` as `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 operation`, `2 operations`.
pub(crate) fn counted(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", count(number))
}

/// A length of time with the unit that suits it: `412 µs`, `3.2 ms`, `1.25 s`, `2 min 05 s`.
pub(crate) fn duration(nanos: u64) -> String {
    let value = nanos as f64;
    match nanos {
        0 => "0 s".to_owned(),
        1..1_000 => format!("{nanos} ns"),
        1_000..999_500 => format!("{:.0} µs", value / 1e3),
        999_500..10_000_000 => format!("{:.1} ms", value / 1e6),
        10_000_000..999_500_000 => format!("{:.0} ms", value / 1e6),
        999_500_000..9_995_000_000 => format!("{:.2} s", value / 1e9),
        9_995_000_000..119_950_000_000 => format!("{:.1} s", value / 1e9),
        119_950_000_000..7_200_000_000_000 => {
            let seconds = nanos / 1_000_000_000;
            format!("{} min {:02} s", seconds / 60, seconds % 60)
        }
        _ => {
            let minutes = nanos / 60_000_000_000;
            format!("{} h {:02} min", minutes / 60, minutes % 60)
        }
    }
}

/// What was measured, in this unit: times as [`duration`] says them, anything else with at most one decimal.
pub(crate) fn quantity(number: f64, unit: &str) -> String {
    let nanos = match unit {
        "s" => 1e9,
        "ms" => 1e6,
        _ => {
            let rounded = (number * 10.0).round() / 10.0;
            return format!("{rounded} {unit}");
        }
    };
    let sign = if number < 0.0 { "−" } else { "" };
    format!("{sign}{}", duration((number.abs() * nanos).round() as u64))
}

/// A moment of the run, in seconds since it began: `12.904 s`.
pub(crate) fn moment(nanos: u64) -> String {
    let millis = nanos / 1_000_000;
    format!("{}.{:03} s", count(millis / 1000), millis % 1000)
}

/// A share of a whole, `99.2 %`; never `100 %` or `0 %` by rounding.
pub(crate) fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    let percent = 100.0 * part as f64 / whole as f64;
    match percent {
        p if p > 99.9 && part < whole => "> 99.9 %".to_owned(),
        p if p < 0.1 && part > 0 => "< 0.1 %".to_owned(),
        p if p == p.trunc() => format!("{p:.0} %"),
        p => format!("{p:.1} %"),
    }
}

/// A JSON value as short as it can be said: strings bare, `null` as `nil`, cut at 60 characters.
pub(crate) fn value(value: &Value) -> String {
    let text = match value {
        Value::Null => "nil".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    cut(&text, 60)
}

/// At most `length_max` characters, with an ellipsis where something was left out.
pub(crate) fn cut(text: &str, length_max: usize) -> String {
    match text.char_indices().nth(length_max) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// Text without characters that break a page, a terminal or an XML file: control characters become their pictures
/// (`␛`), and characters that turn the direction of writing or are not allowed in XML become `�`.
///
/// Newlines and tabs stay.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hostile) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(
        (text.chars())
            .map(|c| match c {
                c if !is_hostile(c) => c,
                '\0'..='\x1f' => char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}'),
                '\x7f' => '\u{2421}',
                _ => '\u{fffd}',
            })
            .collect(),
    )
}

fn is_hostile(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        '\u{fffe}' | '\u{ffff}' => true,
        c => c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_thousands_separators() {
        let seen: Vec<String> = [0, 999, 1000, 23_114, 1_000_000].map(count).to_vec();
        assert_eq!(seen, ["0", "999", "1,000", "23,114", "1,000,000"]);
    }

    #[test]
    fn durations_have_the_unit_that_suits_them() {
        let seen = [
            0,
            17,
            412_000,
            999_900,
            3_200_000,
            45_000_000,
            1_250_000_000,
            30_000_000_000,
            125_000_000_000,
            7_260_000_000_000,
        ]
        .map(duration);
        assert_eq!(
            seen,
            [
                "0 s",
                "17 ns",
                "412 µs",
                "1.0 ms",
                "3.2 ms",
                "45 ms",
                "1.25 s",
                "30.0 s",
                "2 min 05 s",
                "2 h 01 min"
            ]
        );
    }

    #[test]
    fn shares_do_not_round_to_everything_or_nothing() {
        assert_eq!(share(99_999, 100_000), "> 99.9 %");
        assert_eq!(share(1, 100_000), "< 0.1 %");
        assert_eq!(share(0, 10), "0 %");
        assert_eq!(share(10, 10), "100 %");
        assert_eq!(share(0, 0), "–");
    }

    #[test]
    fn hostile_characters_become_visible() {
        assert_eq!(printable("a\u{1b}[31m\0b\u{202e}c\n\t\u{7f}"), "a␛[31m␀b�c\n\t␡");
        assert!(matches!(printable("plain → text"), Cow::Borrowed(_)));
    }
}
