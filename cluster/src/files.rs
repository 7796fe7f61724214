//! Reads what nodes leave behind.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::logs::FileEnd;

/// Enough for some dozens of lines, little enough for a log of gigabytes.
const TAIL_BYTES_MAX: u64 = 64 * 1024;

/// The file's last lines, or nothing when it can't be read: this is decoration for errors that have their own cause.
pub(crate) fn tail(path: &Path, lines_max: usize) -> String {
    let Ok(bytes) = last_bytes(path) else {
        return String::new();
    };
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(lines_max)..].join("\n")
}

fn last_bytes(path: &Path) -> io::Result<Vec<u8>> {
    Ok(end(File::open(path)?, TAIL_BYTES_MAX)?.bytes)
}

/// The last `bytes_max` bytes of a file, and its length.
pub(crate) fn end(mut file: File, bytes_max: u64) -> io::Result<FileEnd> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(bytes_max)))?;
    let mut bytes = Vec::new();
    file.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(FileEnd { bytes, length })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_last_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, "a\nb\nc\n").unwrap();
        assert_eq!(tail(&path, 2), "b\nc");
        assert_eq!(tail(&path, 9), "a\nb\nc");
        assert_eq!(tail(&dir.path().join("none"), 9), "");
    }

    #[test]
    fn reads_only_the_end_of_a_large_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, "x".repeat(1 << 20) + "\nend\n").unwrap();
        assert_eq!(tail(&path, 1), "end");
        assert!(tail(&path, 9).len() <= usize::try_from(TAIL_BYTES_MAX).unwrap());
    }
}
