//! A program of its own at a node of the lab, that reads clocks by the C library and by the kernel.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::lab::Lab;

pub const SECOND: i64 = 1_000_000_000;
pub const HOUR: i64 = 3600 * SECOND;
pub const REALTIME: u8 = 0;
pub const MONOTONIC: u8 = 1;
pub const REALTIME_COARSE: u8 = 5;
pub const BOOTTIME: u8 = 7;

/// For each clock that it is asked for by a line: what the kernel says, what the C library says, what the kernel says.
const READER: &str = r#"
import ctypes, sys
c = ctypes.CDLL(None)
class T(ctypes.Structure): _fields_ = [("s", ctypes.c_int64), ("n", ctypes.c_int64)]
t = T()
def kernel(clock):
    assert c.syscall(228, clock, ctypes.byref(t)) == 0
    return t.s * 10**9 + t.n
def shown(what, clock):
    if what == "clock": assert c.clock_gettime(clock, ctypes.byref(t)) == 0
    if what == "day": assert c.gettimeofday(ctypes.byref(t), None) == 0; return (t.s * 10**6 + t.n) * 1000
    if what == "time": return c.time(None) * 10**9
    return t.s * 10**9 + t.n
c.time.restype = ctypes.c_int64
print("ready", flush=True)
for line in sys.stdin:
    what, clock = line.split()
    clock = int(clock)
    print(kernel(clock), shown(what, clock), kernel(clock), flush=True)
"#;

/// What was read of a clock.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    pub before: i64,
    pub shown: i64,
    pub after: i64,
}

impl Read {
    /// Whether it is off by this, to the granularity of the clock.
    pub fn is_off_by(&self, offset: i64, granularity: i64) -> bool {
        let error = self.shown - offset;
        self.before - granularity <= error && error <= self.after
    }
}

/// A program at a node that reads clocks for its whole life.
pub struct Reader {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Reader {
    pub fn at(lab: &Lab, number: usize) -> Reader {
        let pid = lab.place(number).pid.to_string();
        Reader::run(Command::new("nsenter").args(["-t", &pid, "-n", "-p", "python3", "-c", READER]))
    }

    fn run(command: &mut Command) -> Reader {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("nsenter and python3");
        let mut reader = Reader {
            input: child.stdin.take().unwrap(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
        };
        assert_eq!(reader.line(), "ready\n");
        reader
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line
    }

    fn ask(&mut self, what: &str, clock: u8) -> Read {
        writeln!(self.input, "{what} {clock}").unwrap();
        let line = self.line();
        let numbers: Vec<i64> = line
            .split_ascii_whitespace()
            .map(|word| word.parse().unwrap())
            .collect();
        let [before, shown, after] = numbers[..] else {
            panic!("{line:?}")
        };
        Read { before, shown, after }
    }

    pub fn clock(&mut self, clock: u8) -> Read {
        self.ask("clock", clock)
    }

    /// Panics unless these clocks are off by this, however they are read, and the others are right.
    pub fn assert_off_by(&mut self, clocks: &[u8], offset: i64) {
        for clock in [REALTIME, MONOTONIC, 4, REALTIME_COARSE, 6, BOOTTIME, 11] {
            let offset = if clocks.contains(&clock) { offset } else { 0 };
            // Coarse clocks go on with the ticks of the kernel.
            let read = self.clock(clock);
            assert!(
                read.is_off_by(offset, if [5, 6].contains(&clock) { 12_000_000 } else { 0 }),
                "clock {clock}: {read:?}"
            );
        }
        let offset = if clocks.contains(&REALTIME) { offset } else { 0 };
        let day = self.ask("day", REALTIME);
        assert!(day.is_off_by(offset, 1000), "gettimeofday: {day:?}");
        let time = self.ask("time", REALTIME);
        assert!(time.is_off_by(offset, SECOND + 12_000_000), "time: {time:?}");
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The bytes of a process' vDSO.
pub fn vdso(pid: &str) -> Option<(u64, Vec<u8>)> {
    use std::os::unix::fs::FileExt;
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let line = maps.lines().find(|line| line.ends_with("[vdso]"))?;
    let (start, end) = line.split_once(' ')?.0.split_once('-')?;
    let [start, end] = [start, end].map(|digits| u64::from_str_radix(digits, 16).unwrap());
    let mut bytes = vec![0; (end - start) as usize];
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).ok()?;
    memory.read_exact_at(&mut bytes, start).ok()?;
    Some((start, bytes))
}

/// Every process of the node has the vDSO that this one has.
pub fn assert_pristine(lab: &Lab, number: usize) {
    let (_, ours) = vdso("self").unwrap();
    let mut looked = 0;
    for pid in lab.pids(number) {
        // One that has ended since has none.
        if let Some((_, theirs)) = vdso(&pid.to_string()) {
            assert!(theirs == ours, "process {pid} has another vDSO");
            looked += 1;
        }
    }
    assert!(looked > 0);
}
