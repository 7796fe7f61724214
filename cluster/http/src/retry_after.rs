//! `Retry-After` in seconds (RFC 9110, section 10.2.3): a whole number. Fractions are understood as well, dates are not:
//! nodes' clocks are faulted on purpose.

use std::time::Duration;

/// `"3"` and `"0.25"`; whatever has no end is the longest duration that there is. `None`: it makes no sense.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    // Only digits, so it can only fail by being too large.
    let seconds = whole.parse().unwrap_or(u64::MAX);
    let nanos = fraction
        .bytes()
        .chain(std::iter::repeat(b'0'))
        .take(9)
        .fold(0, |nanos, digit| nanos * 10 + u32::from(digit - b'0'));
    Some(Duration::new(seconds, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_understood_and_nothing_else_is() {
        assert_eq!(parse("1"), Some(Duration::from_secs(1)));
        assert_eq!(parse(" 0 "), Some(Duration::ZERO));
        assert_eq!(parse("0.25"), Some(Duration::from_millis(250)));
        assert_eq!(
            parse("1.0000000019"),
            Some(Duration::from_secs(1) + Duration::from_nanos(1))
        );
        assert_eq!(parse("100000"), Some(Duration::from_secs(100_000)));
        let nines = "9".repeat(1000);
        assert_eq!(parse(&nines), Some(Duration::from_secs(u64::MAX)));
        for nonsense in [
            "-1",
            "-0",
            "+1",
            "nan",
            "NaN",
            "inf",
            "-inf",
            "1e300",
            "1e3",
            "",
            ".",
            "1.",
            ".5",
            "0x10",
            "١",
            "Wed, 21 Oct 2015 07:28:00 GMT",
        ] {
            assert_eq!(parse(nonsense), None, "{nonsense}");
        }
    }
}
