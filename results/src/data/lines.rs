//! JSON lines, read as a stream, with a last line that may be half there.

use std::io::{self, BufRead, BufReader};
use std::path::Path;

use super::LoadError;
use crate::packed;

/// Hands every line to `line`, and says whether the last one was cut off. A file that does not exist has no lines.
///
/// Only a line without its newline may be broken: whoever appends writes the newline last.
pub(super) fn for_each(
    path: &Path,
    mut line: impl FnMut(&[u8]) -> Result<(), serde_json::Error>,
) -> Result<bool, LoadError> {
    let failed = |source| LoadError::Io {
        path: path.to_owned(),
        source,
    };
    let file = match packed::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(failed(error)),
    };
    let mut reader = BufReader::with_capacity(1 << 18, file);
    let mut buffer = Vec::new();
    for number in 1.. {
        buffer.clear();
        if reader.read_until(b'\n', &mut buffer).map_err(failed)? == 0 {
            break;
        }
        let whole = buffer.ends_with(b"\n");
        if buffer.trim_ascii().is_empty() {
            continue;
        }
        match line(buffer.trim_ascii()) {
            Ok(()) => {}
            Err(_) if !whole => return Ok(true),
            Err(source) => {
                return Err(LoadError::Malformed {
                    path: path.to_owned(),
                    line: number,
                    source,
                });
            }
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &str) -> Result<(Vec<u64>, bool), LoadError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("numbers.jsonl");
        std::fs::write(&path, content).unwrap();
        let mut seen = Vec::new();
        let cut = for_each(&path, |line| {
            seen.push(serde_json::from_slice(line)?);
            Ok(())
        })?;
        Ok((seen, cut))
    }

    #[test]
    fn a_last_line_that_was_cut_off_is_left_out() {
        assert_eq!(read("1\n2\n3").unwrap(), (vec![1, 2, 3], false));
        assert_eq!(read("1\n2\n{\"ti").unwrap(), (vec![1, 2], true));
        assert_eq!(read("").unwrap(), (vec![], false));
    }

    #[test]
    fn lines_of_a_packed_file_are_read_too() {
        let folder = tempfile::tempdir().unwrap();
        let (plain, packed) = (folder.path().join("plain"), folder.path().join("packed"));
        std::fs::write(&plain, "1\n2\n3").unwrap();
        packed::pack(&plain, &packed).unwrap();
        let mut lines = Vec::new();
        let cut = for_each(&packed, |line| {
            lines.push(line.to_vec());
            Ok(())
        });
        assert!(!cut.unwrap());
        assert_eq!(lines, [b"1", b"2", b"3"]);
    }

    #[test]
    fn a_broken_line_before_the_last_is_an_error_that_names_it() {
        let error = read("1\n\nx\n3\n").unwrap_err();
        assert!(error.to_string().contains("numbers.jsonl line 3: "), "{error}");
    }

    #[test]
    fn a_file_that_does_not_exist_has_no_lines() {
        assert!(!for_each(Path::new("/nonexistent/history.jsonl"), |_| unreachable!()).unwrap());
    }
}
