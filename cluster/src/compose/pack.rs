//! The running program as the file system of a container: itself, its loader and its libraries, and nothing else.
//!
//! A program that is linked statically makes an archive of one file; one that is not brings along what is mapped into
//! this very process, so that it runs on the engine as it runs here:
//!
//! ```text
//! duress                              the program
//! lib64/ld-linux-x86-64.so.2          the loader, where the program asks for it
//! libraries/libc.so.6                 found by LD_LIBRARY_PATH
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::path::{Path, PathBuf};

/// The program in the archive.
pub(super) const PROGRAM: &str = "/duress";
/// The folder of libraries in the archive.
pub(super) const LIBRARIES: &str = "/libraries";

/// A file system for a container.
pub(super) struct Packed {
    /// A tar archive.
    pub archive: Vec<u8>,
    /// Names the content: the same for the same program with the same libraries.
    pub digest: String,
}

/// Packs the program that this process runs.
pub(super) fn pack_self() -> io::Result<Packed> {
    let program = fs::read("/proc/self/exe")?;
    let mut files = BTreeMap::new();
    if let Some(loader) = loader(&program) {
        files.insert(loader.to_owned(), fs::read(loader)?);
        for library in mapped_libraries(&fs::read_to_string("/proc/self/maps")?) {
            let content = fs::read(&library)?;
            for name in names_of(&library) {
                files.insert(format!("{LIBRARIES}/{name}"), content.clone());
            }
        }
    }
    files.insert(PROGRAM.to_owned(), program);
    archive(&files)
}

fn archive(files: &BTreeMap<String, Vec<u8>>) -> io::Result<Packed> {
    let mut digest = DefaultHasher::new();
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        builder.append_data(&mut header, path.trim_start_matches('/'), content.as_slice())?;
        for part in [path.as_bytes(), content] {
            digest.write_usize(part.len());
            digest.write(part);
        }
    }
    Ok(Packed {
        archive: builder.into_inner()?,
        digest: format!("{:016x}", digest.finish()),
    })
}

/// Shared libraries in a `/proc/PID/maps`. The path is all that follows the inode, blanks included.
fn mapped_libraries(maps: &str) -> Vec<PathBuf> {
    let mut libraries: Vec<PathBuf> = (maps.lines())
        .filter_map(|line| line.find('/').map(|start| Path::new(&line[start..])))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.ends_with(".so") || name.contains(".so.")
        })
        .map(Path::to_owned)
        .collect();
    libraries.sort();
    libraries.dedup();
    libraries
}

/// What a library may be asked for by: its own name, and links to it beside it (`libz.so.1` for `libz.so.1.2.13`).
fn names_of(library: &Path) -> Vec<String> {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let beside = library.parent().and_then(|folder| fs::read_dir(folder).ok());
    let links = (beside.into_iter().flatten().flatten())
        .map(|entry| entry.path())
        .filter(|path| path.is_symlink() && path.canonicalize().is_ok_and(|target| target == library));
    let mut names: Vec<String> = links.filter_map(|path| name(&path)).collect();
    names.extend(name(library));
    names
}

/// The loader that a program asks for: the program header of type 3, `PT_INTERP`, of a 64-bit little-endian ELF file.
/// `None` where it asks for none, being linked statically.
fn loader(elf: &[u8]) -> Option<&str> {
    const INTERP: u64 = 3;
    let number = |at: usize, length: usize| {
        let bytes = elf.get(at..at.checked_add(length)?)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte)),
        )
    };
    elf.starts_with(b"\x7fELF\x02\x01").then_some(())?;
    let table = usize::try_from(number(32, 8)?).ok()?;
    let (size, count) = (number(54, 2)? as usize, number(56, 2)? as usize);
    (0..count).find_map(|index| {
        let header = table.checked_add(index * size)?;
        (number(header, 4)? == INTERP).then_some(())?;
        let start = usize::try_from(number(header + 8, 8)?).ok()?;
        let length = usize::try_from(number(header + 32, 8)?).ok()?;
        let name = elf.get(start..start.checked_add(length)?)?;
        std::str::from_utf8(name)
            .ok()
            .map(|name| name.trim_end_matches('\0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_told_from_other_mappings() {
        let maps = "7f0-7f1 r-xp 00000000 fe:00 77   /usr/lib/x86_64-linux-gnu/libc.so.6\n\
                    7f2-7f3 r--p 00000000 fe:00 77   /usr/lib/x86_64-linux-gnu/libc.so.6\n\
                    7f4-7f5 r--p 00000000 fe:00 78   /opt/a b/libx.so\n\
                    7f6-7f7 r--p 00000000 fe:00 79   /usr/bin/duress\n\
                    7f8-7f9 rw-p 00000000 00:00 0    [heap]\n7fa-7fb rw-p 00000000 00:00 0\n";
        let expected = ["/opt/a b/libx.so", "/usr/lib/x86_64-linux-gnu/libc.so.6"];
        assert_eq!(mapped_libraries(maps), expected.map(PathBuf::from));
    }

    #[test]
    fn a_program_brings_its_loader_and_libraries() {
        let program = fs::read("/proc/self/exe").expect("ourselves");
        let packed = pack_self().expect("an archive");
        let mut names = Vec::new();
        for entry in tar::Archive::new(packed.archive.as_slice())
            .entries()
            .expect("entries")
        {
            let entry = entry.expect("an entry");
            names.push(format!("/{}", entry.path().expect("a path").display()));
        }
        assert!(names.contains(&PROGRAM.to_owned()));
        match loader(&program) {
            Some(loader) => {
                assert!(names.contains(&loader.to_owned()), "{names:?}");
                assert!(names.contains(&format!("{LIBRARIES}/libc.so.6")), "{names:?}");
            }
            None => assert_eq!(names, [PROGRAM]),
        }
        assert_eq!(packed.digest, pack_self().expect("again").digest);
    }

    #[test]
    fn what_is_no_program_asks_for_no_loader() {
        assert_eq!(loader(b"#!/bin/sh\n"), None);
        assert_eq!(loader(b"\x7fELF\x02\x01"), None);
    }

    #[test]
    fn another_content_or_name_is_another_digest() {
        let digest = |path: &str, content: &[u8]| {
            let files = BTreeMap::from([(path.to_owned(), content.to_vec())]);
            archive(&files).expect("an archive").digest
        };
        assert_ne!(digest("/a", b"1"), digest("/a", b"2"));
        assert_ne!(digest("/a", b"1"), digest("/b", b"1"));
    }
}
