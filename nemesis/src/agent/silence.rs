//! The dead-man switch of an agent on a host. A connection that is cut does not end its input: nothing is what it hears then.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use super::Agent;

/// Waits for the next sign of life.
pub(super) struct Silence(Option<Sender<()>>);

impl Silence {
    /// Heals everything and ends the process when nothing is heard for so long.
    pub fn watch(silence_max: Option<Duration>, agent: &Arc<Agent>) -> Silence {
        let Some(silence_max) = silence_max else {
            return Silence(None);
        };
        let (signs, heard) = channel();
        let agent = Arc::clone(agent);
        thread::spawn(move || {
            loop {
                match heard.recv_timeout(silence_max) {
                    Ok(()) => {}
                    Err(RecvTimeoutError::Timeout) => std::process::exit(i32::from(!agent.close())),
                    // Its input has ended, and it heals.
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        });
        Silence(Some(signs))
    }

    /// Something was heard.
    pub fn ends(&self) {
        if let Some(signs) = &self.0 {
            let _ = signs.send(());
        }
    }
}
