//! Sequences that grow long, without holding them.
//!
//! A search has many states in hand. Instead of a string or a list it holds the length and two fingerprints,
//! polynomials modulo 2^61 - 1 at different points, from which that of any concatenation follows. Equal sequences have
//! equal fingerprints, so what is impossible by fingerprints is impossible. That two of `n` different ones of length up to
//! `l` have equal ones has a chance below `n^2 l / 2^121`, unless somebody looked for them: so an order that holds by
//! fingerprints is no proof yet, and is [replayed](crate::model::Model::holds_exactly) with the sequences themselves.

const PRIME: u64 = (1 << 61) - 1;
const POINTS: [u64; 2] = [0x0C3A_5F1B_9D27_E411, 0x1B9E_03D7_64A8_F253];

/// A sequence by length and fingerprints, with what its length does to a sequence before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Print {
    length: u64,
    prints: [u64; 2],
    shifts: [u64; 2],
}

impl Print {
    /// Of nothing.
    pub const EMPTY: Print = Print {
        length: 0,
        prints: [0, 0],
        shifts: [1, 1],
    };

    /// Of a string, byte by byte.
    pub fn of(text: &str) -> Print {
        text.bytes()
            .fold(Print::EMPTY, |print, byte| print.and(u32::from(byte)))
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Of this followed by one more.
    pub fn and(mut self, one: u32) -> Print {
        self.length += 1;
        for (at, point) in POINTS.iter().enumerate() {
            self.prints[at] = add(multiply(self.prints[at], *point), u64::from(one) + 1);
            self.shifts[at] = multiply(self.shifts[at], *point);
        }
        self
    }

    /// Of this followed by another.
    pub fn then(&self, other: &Print) -> Print {
        let mut both = Print {
            length: self.length + other.length,
            prints: [0, 0],
            shifts: [0, 0],
        };
        for at in 0..2 {
            both.prints[at] = add(multiply(self.prints[at], other.shifts[at]), other.prints[at]);
            both.shifts[at] = multiply(self.shifts[at], other.shifts[at]);
        }
        both
    }
}

fn add(a: u64, b: u64) -> u64 {
    let sum = a + b;
    if sum >= PRIME { sum - PRIME } else { sum }
}

fn multiply(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    let folded = (product as u64 & PRIME) + (product >> 61) as u64;
    if folded >= PRIME { folded - PRIME } else { folded }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_print_of_a_concatenation_follows_from_its_parts() {
        for (a, b) in [
            ("", ""),
            ("x", ""),
            ("", "y"),
            ("x 0 1 y", "x 0 2 y"),
            ("\0", "\0\0"),
        ] {
            assert_eq!(Print::of(a).then(&Print::of(b)), Print::of(&format!("{a}{b}")));
        }
        assert_ne!(Print::of("ab"), Print::of("ba"));
        assert_ne!(Print::of("\0"), Print::of(""));
        assert_eq!(Print::of("a").and(u32::from(b'b')), Print::of("ab"));
    }
}
