//! A command that tells whether what is being broken may be broken further.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// From the start of one probe to the start of the next.
const INTERVAL: Duration = Duration::from_secs(1);
/// A command that has not ended by then has failed.
const TIME_MAX: Duration = Duration::from_secs(10);

/// A health probe: a shell command that ends with 0 as long as all is well.
#[derive(Clone, Debug)]
pub struct Probe {
    /// For `sh -c`.
    pub command: String,
    /// How long it may fail without a success in between.
    pub after: Duration,
}

impl Probe {
    /// Returns when it has failed for so long, with what is to be said of that.
    pub async fn failed(&self) -> String {
        let mut tick = interval(INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut well = Instant::now();
        loop {
            tick.tick().await;
            let began = Instant::now();
            let Err(how) = self.once().await else {
                well = began;
                continue;
            };
            if well.elapsed() >= self.after {
                return format!(
                    "`{}` has failed for {:.1} s ({how})",
                    self.command,
                    well.elapsed().as_secs_f64()
                );
            }
        }
    }

    async fn once(&self) -> Result<(), String> {
        let status = Command::new("sh")
            .args(["-c", &self.command])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .status();
        match timeout(TIME_MAX, status).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(status.to_string()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no end after {TIME_MAX:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_fails_for_long_enough_is_told_with_how() {
        let probe = |command: &str| Probe {
            command: command.to_owned(),
            after: Duration::ZERO,
        };
        let said = probe("exit 7").failed().await;
        assert!(
            said.starts_with("`exit 7` has failed for 0.0 s (exit status: 7)"),
            "{said}"
        );
        let well = timeout(Duration::from_millis(1500), probe("true").failed()).await;
        assert!(well.is_err(), "{well:?}");
    }

    #[tokio::test]
    async fn a_success_in_between_begins_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("n").display().to_string();
        // Fails every other time.
        let command = format!("if [ -e '{file}' ]; then rm '{file}'; exit 1; else touch '{file}'; fi");
        let after = Duration::from_millis(1500);
        let probe = Probe { command, after };
        let failed = timeout(Duration::from_secs(5), probe.failed()).await;
        assert!(failed.is_err(), "{failed:?}");
    }
}
