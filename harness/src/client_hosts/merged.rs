//! A history with the clocks of client hosts, once it is whole.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use duress_checker::history::jsonl;
use duress_checker::history::merge::{has_other_clocks, merge};

/// Puts events in the order that the clocks of their attempts tell, if there are such. The file is replaced as a whole: whoever reads it
/// meanwhile, or after a crash, finds what was recorded.
pub fn merge_history(path: &Path) -> io::Result<()> {
    let bytes = std::fs::read(path)?;
    let events = jsonl::read_events(jsonl::complete_lines(&bytes)).map_err(io::Error::other)?;
    if !has_other_clocks(&events) {
        return Ok(());
    }
    let merged = path.with_extension("merged");
    let mut file = BufWriter::new(File::create(&merged)?);
    for event in merge(events) {
        serde_json::to_writer(&mut file, &event)?;
        file.write_all(b"\n")?;
    }
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    std::fs::rename(&merged, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE_CLOCK: &str = concat!(
        r#"{"index":0,"time":5,"process":"nemesis","type":"info","f":"run","value":{"format":1}}"#,
        "\n",
        r#"{"index":1,"time":100,"process":1,"type":"invoke","f":"read","value":null}"#,
        "\n",
        r#"{"index":2,"time":900,"process":1,"type":"ok","f":"read","value":1,"attempts":[{"start":101,"end":899,"node":"n1"}]}"#,
        "\n",
    );

    fn merged(text: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.jsonl");
        std::fs::write(&path, text).unwrap();
        merge_history(&path).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        std::fs::read_to_string(&path).unwrap()
    }

    #[test]
    fn what_other_clocks_tell_is_in_the_file_and_nothing_else_is_touched() {
        assert_eq!(merged(ONE_CLOCK), ONE_CLOCK);
        let attempt = r#"{"start":300,"end":400,"node":"n1","clock":{"host":"c1","error-ns":20}}"#;
        let two = ONE_CLOCK.replace(r#"{"start":101,"end":899,"node":"n1"}"#, attempt);
        let wanted = two
            .replace(r#""time":100,"#, r#""time":280,"#)
            .replace(r#""time":900,"#, r#""time":420,"#);
        let events = |text: &str| jsonl::read_events(text.as_bytes()).unwrap();
        assert_eq!(events(&merged(&two)), events(&wanted));
    }
}
