//! A scanner for the JSON of one line: strict about the grammar, quick about plain strings and small numbers.
//!
//! It reads the common case and reports [`Unusual`] for everything else (escapes, floats where a number is wanted,
//! errors); the caller then asks `serde_json`, which is slower and words the error. Being too strict here is only
//! slow; being too lax would let a malformed line pass, so [`Scanner::skip_value`] knows the whole grammar.

/// Not the common case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unusual;

/// `serde_json` gives up at 128.
const DEPTH_MAX: u32 = 100;

pub(crate) struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    pub fn new(text: &'a [u8]) -> Self {
        Scanner { text, at: 0 }
    }

    /// The next byte that is no blank, without taking it.
    pub fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.text.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    pub fn next(&mut self) -> Result<u8, Unusual> {
        let byte = self.peek().ok_or(Unusual)?;
        self.at += 1;
        Ok(byte)
    }

    pub fn open(&mut self, wanted: u8) -> Result<(), Unusual> {
        if self.next()? == wanted {
            Ok(())
        } else {
            Err(Unusual)
        }
    }

    pub fn end(&mut self) -> Result<(), Unusual> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(Unusual),
        }
    }

    /// A string without escapes.
    pub fn plain_string(&mut self) -> Result<&'a [u8], Unusual> {
        self.open(b'"')?;
        let start = self.at;
        loop {
            match *self.text.get(self.at).ok_or(Unusual)? {
                b'"' => break,
                b'\\' | 0..0x20 => return Err(Unusual),
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Ok(&self.text[start..self.at - 1])
    }

    /// The same as text.
    pub fn plain_str(&mut self) -> Result<&'a str, Unusual> {
        std::str::from_utf8(self.plain_string()?).map_err(|_| Unusual)
    }

    /// A non-negative integer.
    pub fn number(&mut self) -> Result<u64, Unusual> {
        self.peek();
        let start = self.at;
        let mut number = 0u64;
        while let Some(digit @ b'0'..=b'9') = self.text.get(self.at) {
            number = (number.checked_mul(10))
                .and_then(|n| n.checked_add(u64::from(digit - b'0')))
                .ok_or(Unusual)?;
            self.at += 1;
        }
        let digits = self.at - start;
        let leading_zero = digits > 1 && self.text[start] == b'0';
        let goes_on = matches!(self.text.get(self.at), Some(b'.' | b'e' | b'E'));
        if digits == 0 || leading_zero || goes_on {
            return Err(Unusual);
        }
        Ok(number)
    }

    /// An integer below 2^31; if there is none, nothing is taken.
    pub fn small(&mut self) -> Option<u32> {
        let before = self.at;
        match self.number() {
            Ok(number) if number < 1 << 31 => Some(number as u32),
            _ => {
                self.at = before;
                None
            }
        }
    }

    /// Two of them in brackets; if there are none, nothing is taken.
    pub fn small_pair(&mut self) -> Option<(u32, u32)> {
        let before = self.at;
        let mut pair = || {
            self.open(b'[').ok()?;
            let first = self.small()?;
            self.open(b',').ok()?;
            let second = self.small()?;
            self.open(b']').ok()?;
            Some((first, second))
        };
        let found = pair();
        if found.is_none() {
            self.at = before;
        }
        found
    }

    /// `null`; if there is none, nothing is taken.
    pub fn null(&mut self) -> bool {
        self.peek();
        let found = self.text[self.at..].starts_with(b"null");
        if found {
            self.at += 4;
        }
        found
    }

    /// `[]`; if there is none, nothing is taken.
    pub fn empty_list(&mut self) -> bool {
        let before = self.at;
        let found = self.open(b'[').is_ok() && self.open(b']').is_ok();
        if !found {
            self.at = before;
        }
        found
    }

    /// The text of one value of any kind.
    pub fn value(&mut self) -> Result<&'a [u8], Unusual> {
        self.peek();
        let start = self.at;
        self.skip_value()?;
        Ok(&self.text[start..self.at])
    }

    /// Passes over one value of any kind, checking its grammar.
    pub fn skip_value(&mut self) -> Result<(), Unusual> {
        self.skip(0)
    }

    fn skip(&mut self, depth: u32) -> Result<(), Unusual> {
        if depth > DEPTH_MAX {
            return Err(Unusual);
        }
        match self.peek().ok_or(Unusual)? {
            b'"' => self.plain_str().map(|_| ()),
            b'{' => self.skip_items(depth, b'}', |scan| {
                scan.plain_str()?;
                scan.open(b':')
            }),
            b'[' => self.skip_items(depth, b']', |_| Ok(())),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            // Signs, fractions and exponents, and what is no value at all.
            b'0'..=b'9' => self.number().map(|_| ()),
            _ => Err(Unusual),
        }
    }

    fn skip_items(
        &mut self,
        depth: u32,
        close: u8,
        label: impl Fn(&mut Self) -> Result<(), Unusual>,
    ) -> Result<(), Unusual> {
        self.at += 1;
        if self.peek() == Some(close) {
            self.at += 1;
            return Ok(());
        }
        loop {
            label(self)?;
            self.skip(depth + 1)?;
            match self.next()? {
                b',' => {}
                byte if byte == close => return Ok(()),
                _ => return Err(Unusual),
            }
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Unusual> {
        if !self.text[self.at..].starts_with(word) {
            return Err(Unusual);
        }
        self.at += word.len();
        Ok(())
    }
}
