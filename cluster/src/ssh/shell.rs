//! Command lines for the shell of a host.

/// Quotes a word, so that a shell takes it as it is.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// The words as one command line.
pub fn line<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_words_as_they_are() {
        let words = ["printf", "%s|", "a b", "it's", "$HOME", "", "x;y", "--a=b"];
        let output = std::process::Command::new("sh")
            .args(["-c", &line(words)])
            .output()
            .unwrap();
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "a b|it's|$HOME||x;y|--a=b|"
        );
    }
}
