//! The vDSO as the kernel made it, and where in it a patch goes.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

use super::arch::{self, DATA_BYTES, ENTRY_BYTES};

/// Patches begin at a multiple of this, with some distance to what the kernel made.
const ALIGN: usize = 64;

/// No vDSO has more than a few pages.
const BYTES_MAX: u64 = 1 << 20;

/// Where things are, as offsets from the start of the mapping; the same in every process of this kernel and architecture.
#[derive(Debug)]
pub struct Layout {
    /// Every byte of it, unpatched.
    pub pristine: Vec<u8>,
    /// For each function that is replaced: where it begins, and where its replacement does.
    pub entries: Vec<(usize, usize)>,
    /// Where data and code of a patch go.
    pub payload: Range<usize>,
}

/// Of this machine, from this process' own; or why it can't be patched.
pub fn layout() -> io::Result<&'static Layout> {
    static LAYOUT: OnceLock<Result<Layout, String>> = OnceLock::new();
    let found = LAYOUT.get_or_init(|| own().map_err(|error| error.to_string()));
    found.as_ref().map_err(|why| io::Error::other(why.clone()))
}

/// Fails, in words, where no vDSO of this machine can be patched.
pub fn check() -> io::Result<()> {
    layout().map(drop)
}

fn own() -> io::Result<Layout> {
    let pid = std::process::id();
    let range = mapping(pid)?.ok_or_else(|| io::Error::other("this kernel gives programs no vDSO"))?;
    let pristine = bytes(&File::open(format!("/proc/{pid}/mem"))?, &range)?;
    Layout::of(pristine).map_err(io::Error::other)
}

impl Layout {
    fn of(pristine: Vec<u8>) -> Result<Layout, String> {
        let functions = arch::functions();
        if functions.is_empty() {
            return Err(format!(
                "clocks can be changed on x86-64 only, and this is {}",
                std::env::consts::ARCH
            ));
        }
        if machine(&pristine) != Some(arch::MACHINE) {
            return Err("this program's own vDSO is not that of a 64-bit program".to_owned());
        }
        let symbols = symbols(&pristine).ok_or("the vDSO has no table of symbols that can be read")?;
        let mut entries = Vec::new();
        for function in &functions {
            let found = symbols.iter().find(|symbol| symbol.name == function.name);
            let symbol = found.ok_or_else(|| format!("the vDSO has no function {}", function.name))?;
            if symbol.size < ENTRY_BYTES {
                return Err(format!("{} has no room for a jump", function.name));
            }
            entries.push((symbol.offset, function.offset));
        }
        let used = pristine.len() - pristine.iter().rev().take_while(|byte| **byte == 0).count();
        let start = (used + ALIGN).next_multiple_of(ALIGN);
        let payload = start..start + DATA_BYTES + arch::code().len();
        if payload.end > pristine.len() {
            return Err(format!(
                "the vDSO of this kernel has {} bytes free in its last page, and {} are needed",
                pristine.len().saturating_sub(start),
                payload.len()
            ));
        }
        let entries = entries
            .into_iter()
            .map(|(from, offset)| (from, payload.start + offset))
            .collect();
        Ok(Layout {
            pristine,
            entries,
            payload,
        })
    }

    /// Where `clock_gettime` begins.
    pub fn clock_gettime(&self) -> usize {
        self.entries[0].0
    }

    /// Whether a patch may change the byte at this offset.
    pub fn is_ours(&self, offset: usize) -> bool {
        let in_entry = |(from, _): &(usize, usize)| (*from..from + ENTRY_BYTES).contains(&offset);
        self.payload.contains(&offset) || self.entries.iter().any(in_entry)
    }
}

/// Where the vDSO of a process is. `None` where it has none.
pub fn mapping(pid: u32) -> io::Result<Option<Range<u64>>> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let line = maps.lines().find(|line| line.ends_with("[vdso]"));
    Ok(line
        .and_then(range)
        .filter(|range| range.end - range.start <= BYTES_MAX))
}

/// The range of addresses with which a line of `/proc/PID/maps` begins.
pub fn range(line: &str) -> Option<Range<u64>> {
    let (range, _) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let number = |digits| u64::from_str_radix(digits, 16).ok();
    Some(number(start)?..number(end)?)
}

/// All bytes of a mapping.
pub fn bytes(memory: &File, range: &Range<u64>) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; (range.end - range.start) as usize];
    memory.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes)
}

/// `e_machine` of an ELF image.
pub fn machine(image: &[u8]) -> Option<u16> {
    (image.get(..4)? == b"\x7fELF").then_some(number(image, 18, 2)? as u16)
}

struct Symbol {
    name: String,
    offset: usize,
    size: usize,
}

/// A little-endian number of `length` bytes, at most 8.
fn number(image: &[u8], at: usize, length: usize) -> Option<u64> {
    let mut bytes = [0; 8];
    bytes[..length].copy_from_slice(image.get(at..at.checked_add(length)?)?);
    Some(u64::from_le_bytes(bytes))
}

/// The dynamic symbols of a 64-bit ELF image as it lies in memory (System V gABI, chapters 4 and 5): offsets from its start.
fn symbols(image: &[u8]) -> Option<Vec<Symbol>> {
    const PROGRAM_HEADER: usize = 56;
    const SYMBOL: usize = 24;
    const LOAD: u64 = 1;
    const DYNAMIC: u64 = 2;
    let word = |at| number(image, at, 8);
    let headers = word(32)? as usize;
    let (mut base, mut dynamic) = (None, None);
    for header in (0..number(image, 56, 2)? as usize).map(|n| headers + n * PROGRAM_HEADER) {
        match number(image, header, 4)? {
            LOAD if base.is_none() => base = Some(word(header + 16)?.wrapping_sub(word(header + 8)?)),
            DYNAMIC => dynamic = Some(word(header + 8)? as usize),
            _ => {}
        }
    }
    let (base, mut at) = (base?, dynamic?);
    let offset = |address: u64| address.wrapping_sub(base) as usize;
    let (mut table, mut names) = (None, None);
    loop {
        match (word(at)?, offset(word(at + 8)?)) {
            (0, _) => break,
            (5, strings) => names = Some(strings),
            (6, symbols) => table = Some(symbols),
            _ => {}
        }
        at += 16;
    }
    let (table, names) = (table?, names?);
    // The names follow the symbols, in every vDSO.
    let mut symbols = Vec::new();
    for symbol in (table..names).step_by(SYMBOL) {
        let name = image.get(names + number(image, symbol, 4)? as usize..)?;
        let name = name.split(|byte| *byte == 0).next()?;
        symbols.push(Symbol {
            name: String::from_utf8_lossy(name).into_owned(),
            offset: offset(word(symbol + 8)?),
            size: word(symbol + 16)? as usize,
        });
    }
    Some(symbols)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_in_this_kernels() {
        let layout = layout().unwrap();
        assert_eq!(layout.entries.len(), arch::functions().len());
        assert!(
            layout.pristine[layout.payload.clone()]
                .iter()
                .all(|byte| *byte == 0)
        );
        for (from, to) in &layout.entries {
            assert!(layout.payload.contains(to) && *from < layout.payload.start);
        }
    }

    #[test]
    fn what_has_no_room_or_no_symbols_is_refused() {
        let pristine = &layout().unwrap().pristine;
        let mut full = pristine.clone();
        *full.last_mut().unwrap() = 1;
        assert!(Layout::of(full).unwrap_err().contains("bytes free"));
        let name = b"__vdso_time";
        let at = pristine
            .windows(name.len())
            .position(|window| window == name)
            .unwrap();
        let mut renamed = pristine.clone();
        renamed[at] = b'x';
        assert!(
            Layout::of(renamed)
                .unwrap_err()
                .contains("no function __vdso_time")
        );
        assert!(Layout::of(vec![0; 4096]).is_err());
        for length in 0..pristine.len() {
            // Cut off anywhere: refused or read, never a panic.
            let _ = symbols(&pristine[..length]);
        }
    }
}
