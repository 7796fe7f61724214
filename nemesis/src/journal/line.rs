//! A line of a journal: a JSON object, and the seal that ends it.

/// The domain of the seals.
pub(super) const LINE_DOMAIN: &str = "journal";

/// What stands between the body of a line and its seal, and after it.
const BEFORE_SEAL: &str = ",\"seal\":\"";
const AFTER_SEAL: &str = "\"}";
const SEAL_DIGITS: usize = 64;

/// A line, from the JSON object that is sealed.
pub(super) fn sealed(body: &str, seal: &str) -> String {
    let open = body.strip_suffix('}').unwrap_or(body);
    format!("{open}{BEFORE_SEAL}{seal}{AFTER_SEAL}\n")
}

/// The JSON object that was sealed, and its seal.
pub(super) fn unsealed(line: &str) -> Option<(String, &str)> {
    let rest = line.strip_suffix(AFTER_SEAL)?;
    let (rest, seal) = rest.split_at_checked(rest.len().checked_sub(SEAL_DIGITS)?)?;
    Some((rest.strip_suffix(BEFORE_SEAL)?.to_owned() + "}", seal))
}
