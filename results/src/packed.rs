//! Texts that may be compressed: `history.jsonl`, and `history.jsonl.zst` where it was large.
//!
//! A compressed one is told by its first four bytes, whatever it is called (RFC 8878, section 3.1.1).

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

/// How a Zstandard frame begins.
const MAGIC: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();

/// Zstandard's own default: a tenth of the size, at some 100 MB a second.
const LEVEL: i32 = 3;

/// What this reads, unpacked if it is compressed, and whether it was.
pub fn unpacked(mut input: impl Read + 'static) -> io::Result<(Box<dyn Read>, bool)> {
    let mut begin = Vec::with_capacity(MAGIC.len());
    input.by_ref().take(MAGIC.len() as u64).read_to_end(&mut begin)?;
    let is_packed = begin == MAGIC;
    let whole = io::Cursor::new(begin).chain(input);
    let reader: Box<dyn Read> = match is_packed {
        true => Box::new(zstd::Decoder::new(whole)?),
        false => Box::new(whole),
    };
    Ok((reader, is_packed))
}

/// Opens a file, unpacked if it is compressed.
pub fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    Ok(unpacked(File::open(path)?)?.0)
}

/// Compresses a file into a new one, which is on the disk when this returns.
pub fn pack(from: &Path, to: &Path) -> io::Result<()> {
    let mut encoder = zstd::Encoder::new(BufWriter::new(File::create(to)?), LEVEL)?;
    encoder.include_checksum(true)?;
    io::copy(&mut BufReader::new(File::open(from)?), &mut encoder)?;
    let mut file = encoder.finish()?;
    file.flush()?;
    file.get_ref().sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        open(path)?.read_to_end(&mut text)?;
        Ok(text)
    }

    #[test]
    fn a_text_is_read_as_it_was_packed_or_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let (plain, packed) = (folder.path().join("plain"), folder.path().join("packed"));
        for text in [b"".as_slice(), b"{}", &b"{\"index\":1}\n".repeat(100_000)] {
            std::fs::write(&plain, text).expect("a text");
            pack(&plain, &packed).expect("it is packed");
            assert!(read(&plain).expect("a text") == text);
            assert!(read(&packed).expect("a text") == text);
        }
        let length = |path| std::fs::metadata(path).expect("a file").len();
        assert!(length(&packed) * 100 < length(&plain));
    }

    #[test]
    fn what_is_cut_off_or_changed_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let (plain, packed) = (folder.path().join("plain"), folder.path().join("packed"));
        std::fs::write(&plain, b"{\"index\":1}\n".repeat(1000)).expect("a text");
        pack(&plain, &packed).expect("it is packed");
        let whole = std::fs::read(&packed).expect("bytes");
        std::fs::write(&packed, &whole[..whole.len() - 5]).expect("fewer");
        assert!(read(&packed).is_err());
        let mut other = whole.clone();
        *other.last_mut().expect("bytes") ^= 1;
        std::fs::write(&packed, &other).expect("others");
        assert!(read(&packed).is_err());
    }
}
