//! What `/proc` says of a process: whether it lives, and what tells it from a later one of the same number.

use std::fs;

/// The part of `/proc/PID/stat` that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// `R`, `S`, `D`, `T`…
    pub state: char,
    /// The parent.
    pub parent: u32,
    /// Clock ticks since boot.
    pub started: u64,
}

/// A process that still does, or may again do, something. `None` if there is none of this number, or only what is left
/// of it until its parent has asked how it ended.
pub fn living(pid: u32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
        .filter(|stat| !matches!(stat.state, 'Z' | 'X' | 'x'))
}

fn parse(text: &str) -> Option<Stat> {
    // The name stands in parentheses and may hold anything, parentheses too.
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use nix::sys::wait::{Id, WaitPidFlag, waitid};
    use nix::unistd::Pid;

    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_fields() {
        let line = "77 (a) Z (b)) T 12 77 77 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 2 3 4";
        assert_eq!(
            parse(line),
            Some(Stat {
                state: 'T',
                parent: 12,
                started: 98765
            })
        );
    }

    #[test]
    fn what_a_killed_process_leaves_until_it_is_waited_for_does_not_live() {
        let mut child = std::process::Command::new("sleep")
            .arg("600")
            .spawn()
            .expect("there is a program `sleep`");
        assert!(living(child.id()).is_some());
        child.kill().expect("it is ours");
        // Waits until it has ended, and leaves what is left of it.
        let id = Id::Pid(Pid::from_raw(child.id() as i32));
        waitid(id, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).expect("it ends");
        assert_eq!(living(child.id()), None);
        assert!(fs::exists(format!("/proc/{}/stat", child.id())).expect("/proc is there"));
        child.wait().expect("it has ended");
    }
}
