//! What Porcupine took for the same kind of histories: one key, a register with read, write and cas, measured on a machine
//! of 2 cores. The figures are those of the table that asked for this checker; this benchmark does not measure them again.

use self::Took::{Memory, Millis, NotTried, Time};

/// How long it took.
#[derive(Clone, Copy)]
pub enum Took {
    /// Decided after so many milliseconds.
    Millis(f64),
    /// Not decided within 60 s.
    Time,
    /// Not decided within 8 GB.
    Memory,
    /// A smaller one had failed.
    NotTried,
}

/// By values (unique, few), by info (0, 1, 5 %), valid before stale; in each by concurrency (5, 10, 20, 50), by length
/// (1,000, 10,000, 100,000).
const TABLE: [[[Took; 3]; 4]; 12] = [
    [
        [Millis(0.9), Millis(41.0), Millis(1_800.0)],
        [Millis(23.0), Millis(838.0), Memory],
        TIME,
        TIME,
    ],
    [
        [Millis(4.5), Millis(155.0), Memory],
        [Millis(170.0), Millis(5_500.0), Memory],
        TIME,
        TIME,
    ],
    [
        [Millis(1.3), Millis(39.0), Millis(1_900.0)],
        [Millis(25.0), Millis(1_000.0), Memory],
        TIME,
        NONE,
    ],
    [
        [Millis(18.0), Memory, NotTried],
        [Millis(2_200.0), Time, NotTried],
        TIME,
        NONE,
    ],
    [
        [Millis(1.9), Millis(80.0), Millis(2_900.0)],
        [Millis(47.0), Millis(1_500.0), Memory],
        TIME,
        NONE,
    ],
    [TIME, NONE, NONE, NONE],
    [
        [Millis(1.0), Millis(35.0), Millis(1_500.0)],
        [Millis(28.0), Millis(569.0), Memory],
        [Millis(17_200.0), Memory, NotTried],
        TIME,
    ],
    [
        [Millis(6.3), Millis(226.0), Memory],
        [Millis(330.0), Millis(11_300.0), Memory],
        TIME,
        NONE,
    ],
    [
        [Millis(0.9), Millis(27.0), Millis(1_400.0)],
        [Millis(19.0), Millis(654.0), Memory],
        [Millis(45_400.0), Time, NotTried],
        TIME,
    ],
    [
        [Millis(92.0), Memory, NotTried],
        [Millis(22_400.0), Memory, NotTried],
        TIME,
        NONE,
    ],
    [
        [Millis(1.1), Millis(39.0), Millis(2_000.0)],
        [Millis(26.0), Millis(1_400.0), Memory],
        TIME,
        NONE,
    ],
    [TIME, NONE, NONE, NONE],
];
const TIME: [Took; 3] = [Time, NotTried, NotTried];
const NONE: [Took; 3] = [NotTried; 3];

/// What Porcupine took for a cell of the grid, where it is known.
pub fn took(unique: bool, info_percent: u64, stale: bool, concurrency: u32) -> [Took; 3] {
    let info = match info_percent {
        0 => 0,
        1 => 1,
        _ => 2,
    };
    let row = usize::from(!unique) * 6 + info * 2 + usize::from(stale);
    match concurrency {
        5 => TABLE[row][0],
        10 => TABLE[row][1],
        20 => TABLE[row][2],
        50 => TABLE[row][3],
        _ => NONE,
    }
}
