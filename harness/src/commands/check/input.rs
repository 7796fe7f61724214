//! The bytes of a history, as many as there is memory for.
//!
//! A text takes memory, and so do the columns that it becomes: the text may have three quarters of what is allowed. A
//! file that is longer is refused before any of it is read; what has no length (a pipe, a device) is read piece by
//! piece, up to there, and only if it begins like a history. So is one that is compressed.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use duress_checker::formats::{self, FormatError};
use duress_results::packed;

/// As much is read at a time.
const PIECE_BYTES: usize = 1 << 20;

/// A history that was opened and not read yet.
pub(super) struct Input {
    pub reader: Box<dyn Read>,
    /// How many bytes it has, if that is known.
    length: Option<u64>,
}

/// Why it can't be read.
#[derive(Debug)]
pub(super) enum Failure {
    Read(io::Error),
    TooLarge,
    Format(FormatError),
}

/// Opens a file; `-` is standard input.
pub(super) fn open(path: &Path) -> io::Result<Input> {
    if path == Path::new("-") {
        return Ok(Input {
            reader: packed::unpacked(io::stdin())?.0,
            length: None,
        });
    }
    let file = File::open(path)?;
    let about = file.metadata()?;
    let (reader, is_packed) = packed::unpacked(file)?;
    Ok(Input {
        reader,
        length: (about.is_file() && !is_packed).then_some(about.len()),
    })
}

impl Input {
    /// All of it.
    pub fn read(mut self, memory_bytes_max: usize) -> Result<Vec<u8>, Failure> {
        let text_bytes_max = memory_bytes_max / 4 * 3;
        let length = self.length.unwrap_or(0);
        if length > text_bytes_max as u64 {
            return Err(Failure::TooLarge);
        }
        let mut text = Vec::new();
        loop {
            let room = text.capacity() - text.len();
            if room == 0 {
                // One byte more than is known, so that the end is seen without room for another piece.
                let known = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(1);
                let more = match text.is_empty() {
                    true => known.max(PIECE_BYTES),
                    false => text.len(),
                };
                // One byte beyond what is allowed tells that there is more.
                text.reserve_exact(more.min((text_bytes_max + 1).saturating_sub(text.len())));
            }
            let piece = PIECE_BYTES.min(text.capacity() - text.len()) as u64;
            let read = self.reader.by_ref().take(piece).read_to_end(&mut text);
            let read = read.map_err(Failure::Read)?;
            if read == 0 {
                return Ok(text);
            }
            if text.len() == read {
                formats::may_be_history(&text).map_err(Failure::Format)?;
            }
            if text.len() > text_bytes_max {
                return Err(Failure::TooLarge);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source without end that counts what is taken of it.
    struct Endless<'a> {
        byte: u8,
        taken: &'a std::cell::Cell<usize>,
    }

    impl Read for Endless<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            buffer.fill(self.byte);
            self.taken.set(self.taken.get() + buffer.len());
            Ok(buffer.len())
        }
    }

    fn endless(byte: u8, memory_bytes_max: usize) -> (Failure, usize) {
        let taken = Box::leak(Box::new(std::cell::Cell::new(0)));
        let input = Input {
            reader: Box::new(Endless { byte, taken }),
            length: None,
        };
        let failure = input.read(memory_bytes_max).expect_err("it has no end");
        (failure, taken.get())
    }

    #[test]
    fn what_has_no_end_is_read_up_to_the_limit_and_no_further() {
        let (failure, taken) = endless(b' ', 8 << 20);
        assert!(matches!(failure, Failure::TooLarge), "{failure:?}");
        assert_eq!(taken, (6 << 20) + 1);
    }

    #[test]
    fn what_begins_like_no_history_is_read_no_further() {
        let (failure, taken) = endless(0, 1 << 40);
        assert!(matches!(failure, Failure::Format(_)), "{failure:?}");
        assert_eq!(taken, PIECE_BYTES);
    }

    #[test]
    fn a_packed_text_is_unpacked_up_to_the_limit() {
        let folder = tempfile::tempdir().expect("a folder");
        let (plain, packed) = (folder.path().join("plain"), folder.path().join("packed"));
        let text: Vec<u8> = b"{}\n".repeat(1_000_000);
        std::fs::write(&plain, &text).expect("a text");
        packed::pack(&plain, &packed).expect("it is packed");
        let read = |memory_bytes_max| open(&packed).expect("a file").read(memory_bytes_max);
        assert!(read(8 << 20).expect("a text") == text);
        assert!(matches!(read(3 << 20), Err(Failure::TooLarge)));
    }

    #[test]
    fn a_text_is_read_whole() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let text: Vec<u8> = b"{}\n".repeat(1_000_000);
        std::fs::write(file.path(), &text).expect("a text");
        let read = open(file.path()).expect("a file").read(8 << 20).expect("a text");
        assert!(read == text && read.capacity() == text.len() + 1);
        assert!(matches!(
            open(file.path()).expect("a file").read(3 << 20),
            Err(Failure::TooLarge)
        ));
    }
}
