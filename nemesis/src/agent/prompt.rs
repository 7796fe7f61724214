//! Threads whose lateness would be taken for the fault's: those that hold packets and let them go, and those that measure it.

use std::marker::PhantomData;

use nix::libc;

/// The lowest of the real-time priorities, which is before everything that has none.
const PRIORITY: libc::c_int = 1;
/// The best of those that are not real-time.
const NICE: libc::c_int = -20;

/// As long as this lives, the calling thread runs as soon as it has something to do, however busy the machine is: by the real-time policy
/// `SCHED_RR` of sched(7), or, where the control group leaves no time for that, by the best nice value. What it starts does not inherit that.
/// Who may have neither stays as prompt as everybody else.
pub struct Prompt {
    /// How nice the thread was before.
    nice: libc::c_int,
    /// Belongs to one thread.
    _thread: PhantomData<*const ()>,
}

impl Prompt {
    /// From now on.
    pub fn begin() -> Prompt {
        let nice = nice();
        if !schedule(libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, PRIORITY) {
            schedule(libc::SCHED_OTHER | libc::SCHED_RESET_ON_FORK, 0);
            be_nice(NICE);
        }
        Prompt {
            nice,
            _thread: PhantomData,
        }
    }
}

impl Drop for Prompt {
    fn drop(&mut self) {
        schedule(libc::SCHED_OTHER, 0);
        be_nice(self.nice);
    }
}

/// Whether that is allowed.
fn schedule(policy: libc::c_int, priority: libc::c_int) -> bool {
    let parameters = libc::sched_param {
        sched_priority: priority,
    };
    // SAFETY: sched_setscheduler(2) reads one sched_param, to which the pointer is valid; 0 is the calling thread.
    unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) == 0 }
}

/// How nice the calling thread is.
fn nice() -> libc::c_int {
    // SAFETY: getpriority(2) takes no pointer; 0 is the calling thread, which exists, so it can't fail.
    unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
}

/// Does nothing where it is not allowed.
fn be_nice(nice: libc::c_int) {
    // SAFETY: setpriority(2) takes no pointer; 0 is the calling thread.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The policy, and how nice.
    fn schedule_of_this() -> (libc::c_int, libc::c_int) {
        // SAFETY: sched_getscheduler(2) takes no pointer; 0 is the calling thread.
        (unsafe { libc::sched_getscheduler(0) }, nice())
    }

    /// Tests run as root, or the rest of the agent's could not.
    #[test]
    fn a_thread_is_prompt_for_as_long_as_it_is_asked_for_and_what_it_starts_is_not() {
        be_nice(3);
        let prompt = Prompt::begin();
        let (policy, nice) = schedule_of_this();
        assert!(policy & libc::SCHED_RR != 0 || nice == NICE, "{policy}, {nice}");
        let of_another = std::thread::spawn(schedule_of_this).join().expect("a schedule");
        assert_eq!(of_another, (libc::SCHED_OTHER, 0));
        drop(prompt);
        assert_eq!(schedule_of_this(), (libc::SCHED_OTHER, 3));
    }
}
