//! Numbers of bytes, as a spec has them.

/// Reads `64MiB`, `500kB`, `1GiB`, `4096`.
pub fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.len()
        - text
            .trim_start_matches(|letter: char| letter.is_ascii_digit())
            .len();
    let (number, unit) = text.split_at(digits);
    let unit: u64 = match unit.trim() {
        "" | "B" => 1,
        "kB" | "KB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        unit => {
            return Err(format!(
                "{text:?}: unknown unit {unit:?}; use e.g. KiB, MiB or GiB"
            ));
        }
    };
    let number: u64 = number
        .parse()
        .map_err(|_| format!("{text:?} is no size; use e.g. \"64MiB\""))?;
    number
        .checked_mul(unit)
        .ok_or_else(|| format!("{text:?} is too much"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        for (text, expected) in [
            ("4096", 4096),
            ("64MiB", 64 << 20),
            ("500 kB", 500_000),
            ("1GiB", 1 << 30),
        ] {
            assert_eq!(bytes(text), Ok(expected));
        }
        for text in [
            "",
            "MiB",
            "64 apples",
            "-5MiB",
            "99999999999999999999",
            "99999999TiB",
        ] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
