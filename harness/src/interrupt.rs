//! Ctrl-C, SIGTERM and SIGHUP: the first ends a run in order, the second at once.
//!
//! In order means: whatever is waited for is left, faults are healed, the cluster is taken down, and what was recorded is
//! judged. All that may take long is therefore waited for by [`Interrupt::unless`].
//!
//! Signals have a thread and a runtime of their own, so that the second one works when everything else stands still.

use std::path::Path;
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::{exit, output};

/// What is interrupted, and so what is said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupted {
    /// A run, which is judged.
    Run,
    /// Faults on a cluster that somebody else started.
    Faults,
}

/// Whether somebody wants the run to end.
#[derive(Clone, Debug)]
pub struct Interrupt {
    what: Interrupted,
    asked: watch::Receiver<bool>,
    ask: Arc<watch::Sender<bool>>,
    dir: Arc<OnceLock<String>>,
}

impl Interrupt {
    /// Listens to signals from now on. Fails when the machine gives no thread or no pipe.
    pub fn listen(what: Interrupted) -> std::io::Result<Self> {
        let (sender, asked) = watch::channel(false);
        let interrupt = Interrupt {
            what,
            asked,
            ask: Arc::new(sender),
            dir: Arc::default(),
        };
        let (ready, wait) = mpsc::channel();
        let heard = interrupt.clone();
        std::thread::Builder::new()
            .name("duress-signals".to_owned())
            .spawn(move || match Signals::listen() {
                Ok((runtime, signals)) => {
                    let _ = ready.send(Ok(()));
                    runtime.block_on(heard.follow(signals));
                }
                Err(error) => drop(ready.send(Err(error))),
            })?;
        wait.recv().map_err(std::io::Error::other)??;
        Ok(interrupt)
    }

    /// Without signals.
    #[cfg(test)]
    pub fn unheard() -> Self {
        let (sender, asked) = watch::channel(false);
        Interrupt {
            what: Interrupted::Run,
            asked,
            ask: Arc::new(sender),
            dir: Arc::default(),
        }
    }

    /// As the first signal does.
    #[cfg(test)]
    pub fn ask_now(&self) {
        self.ask.send_replace(true);
    }

    /// Where the run is kept: the last words name it.
    pub fn run_is_in(&self, dir: &Path) {
        // There is one run in a process.
        let _ = self.dir.set(dir.display().to_string());
    }

    /// Whether the run is to end.
    pub fn asked(&self) -> bool {
        *self.asked.borrow()
    }

    /// Returns when the run is to end.
    pub async fn wait(&self) {
        let mut asked = self.asked.clone();
        if asked.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Does this, or gives it up when the run is to end: then there is no result.
    pub async fn unless<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            result = work => Some(result),
            () = self.wait() => None,
        }
    }

    /// Does this; when the run is to end it gets `grace` more, and is then given up.
    pub async fn grace<T>(&self, grace: Duration, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            result = work => Some(result),
            () = async { self.wait().await; tokio::time::sleep(grace).await } => None,
        }
    }

    /// Turns true when the run is to end.
    pub fn receiver(&self) -> watch::Receiver<bool> {
        self.asked.clone()
    }

    async fn follow(self, mut signals: Signals) {
        signals.next().await;
        self.ask.send_replace(true);
        let words = match self.what {
            Interrupted::Run => "heals what is broken, takes the cluster down and judges what there is",
            Interrupted::Faults => "heals what is broken",
        };
        output::briefly(move || {
            output::err(&format!(
                "\nduress: interrupted: {words}; again to quit at once\n"
            ))
        });
        signals.next().await;
        let words = self.last_words();
        output::briefly(move || output::err(&words));
        std::process::exit(i32::from(exit::HARNESS_FAILURE));
    }

    fn last_words(&self) -> String {
        match self.dir.get() {
            Some(dir) if self.what == Interrupted::Faults => {
                format!("\nduress: quit at once. Faults may be in force: `duress heal {dir}` heals them\n")
            }
            Some(dir) => format!(
                "\nduress: quit without a verdict. Containers and faults may be left: `duress heal {dir}` removes them, and \
                 `duress report {dir}` judges what was recorded\n"
            ),
            None => "\nduress: quit before anything began\n".to_owned(),
        }
    }
}

/// The signals that end a run, in the order in which they come.
struct Signals(tokio::sync::mpsc::Receiver<()>);

impl Signals {
    fn listen() -> std::io::Result<(Runtime, Self)> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (came, signals) = tokio::sync::mpsc::channel(8);
        let inside = runtime.enter();
        for kind in [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ] {
            // What whoever started this had ignored (nohup, a shell's `&`) stays ignored.
            if ignored() & (1 << (kind.as_raw_value() - 1)) != 0 {
                continue;
            }
            let mut signal = signal(kind)?;
            let came = came.clone();
            tokio::spawn(async move {
                while signal.recv().await.is_some() {
                    let _ = came.send(()).await;
                }
            });
        }
        drop(inside);
        Ok((runtime, Signals(signals)))
    }

    /// Returns when one has come.
    async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// The signals that this process ignores, as a mask: bit 0 is signal 1.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or_default()
}
