//! One file out of a container, as the engine sends it: a tar archive of a single entry, in pieces of any size.

use std::io;

use tar::{EntryType, Header};

use crate::logs::FileEnd;

/// Bytes of a block: headers are one long, and entries are filled up to whole ones.
const BLOCK: usize = 512;
/// A file that is longer is not read: its end comes last.
const LENGTH_MAX: u64 = 1 << 30;

/// Reads the end of a regular file out of an archive.
pub struct ArchivedFile {
    bytes_max: u64,
    header: Vec<u8>,
    state: State,
}

enum State {
    /// A header is to come.
    Header,
    /// This many bytes belong to an entry that only describes the next.
    Skip(u64),
    /// This many bytes of the file are to come.
    Body { left: u64, end: FileEnd },
}

impl ArchivedFile {
    /// Keeps the last `bytes_max` bytes.
    pub fn new(bytes_max: u64) -> Self {
        ArchivedFile {
            bytes_max,
            header: Vec::new(),
            state: State::Header,
        }
    }

    /// Takes the next piece. Gives the file once all of it is there.
    pub fn take(&mut self, mut piece: &[u8]) -> io::Result<Option<FileEnd>> {
        loop {
            match &mut self.state {
                State::Header => {
                    let missing = BLOCK - self.header.len();
                    let (now, later) = piece.split_at(missing.min(piece.len()));
                    self.header.extend_from_slice(now);
                    piece = later;
                    if self.header.len() < BLOCK {
                        return Ok(None);
                    }
                    self.state = after(Header::from_byte_slice(&self.header))?;
                    self.header.clear();
                }
                State::Skip(left) => {
                    let now = (*left).min(piece.len() as u64);
                    *left -= now;
                    piece = &piece[now as usize..];
                    if *left > 0 {
                        return Ok(None);
                    }
                    self.state = State::Header;
                }
                State::Body { left, end } => {
                    let now = (*left).min(piece.len() as u64);
                    // Counted from here, this many bytes at the end of the file are kept.
                    let too_early = left.saturating_sub(self.bytes_max).min(now);
                    end.bytes
                        .extend_from_slice(&piece[too_early as usize..now as usize]);
                    *left -= now;
                    return Ok((*left == 0).then(|| std::mem::take(end)));
                }
            }
        }
    }
}

/// What follows a header.
fn after(header: &Header) -> io::Result<State> {
    let length = header.entry_size()?;
    match header.entry_type() {
        EntryType::Regular | EntryType::Continuous if length > LENGTH_MAX => Err(io::Error::other(format!(
            "it has {length} bytes, and no more than {LENGTH_MAX} are read"
        ))),
        EntryType::Regular | EntryType::Continuous => Ok(State::Body {
            left: length,
            end: FileEnd {
                bytes: Vec::new(),
                length,
            },
        }),
        EntryType::XHeader | EntryType::XGlobalHeader | EntryType::GNULongName | EntryType::GNULongLink
            if length <= LENGTH_MAX =>
        {
            Ok(State::Skip(length.next_multiple_of(BLOCK as u64)))
        }
        _ => Err(io::Error::other("it is not a regular file")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(kind: EntryType, content: &[u8]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        builder
            .append_pax_extensions([("mtime", b"1.5".as_slice())])
            .unwrap();
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, "x.log", content).unwrap();
        builder.into_inner().unwrap()
    }

    fn read(archive: &[u8], piece: usize, bytes_max: u64) -> io::Result<Option<FileEnd>> {
        let mut file = ArchivedFile::new(bytes_max);
        for piece in archive.chunks(piece) {
            if let Some(end) = file.take(piece)? {
                return Ok(Some(end));
            }
        }
        Ok(None)
    }

    #[test]
    fn the_end_of_a_file_is_kept_whatever_the_pieces() {
        let content: Vec<u8> = (0..2000_u32).map(|number| number as u8).collect();
        let archive = archive(EntryType::Regular, &content);
        for piece in [1, 7, 511, 512, 513, 100_000] {
            for bytes_max in [1, 600, 2000, 5000] {
                let end = read(&archive, piece, bytes_max).unwrap().expect("the file");
                let kept = (bytes_max as usize).min(content.len());
                assert_eq!(end.bytes, content[content.len() - kept..], "{piece} {bytes_max}");
                assert_eq!(end.length, 2000);
            }
        }
        assert_eq!(read(&archive[..2000], 512, 10).unwrap(), None, "cut off");
    }

    #[test]
    fn an_empty_file_is_a_file_and_a_link_is_none() {
        let empty = archive(EntryType::Regular, b"");
        assert_eq!(read(&empty, 512, 10).unwrap(), Some(FileEnd::default()));
        for kind in [EntryType::Symlink, EntryType::Directory, EntryType::Fifo] {
            let error = read(&archive(kind, b""), 512, 10).unwrap_err();
            assert!(error.to_string().contains("not a regular file"), "{error}");
        }
    }
}
