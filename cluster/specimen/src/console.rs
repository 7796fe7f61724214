//! The log of the process: one line per notable event, on standard error.
//!
//! ```text
//! 12:03:55.120 n1 role follower -> leader, term 3
//! ```

use std::fmt;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

static NAME: OnceLock<String> = OnceLock::new();

/// Puts `name` in front of every line of this process.
pub(crate) fn name_lines(name: &str) {
    let _ = NAME.set(name.to_owned());
}

/// Writes one line.
// A server's standard error is its log; everything else in this crate stays silent.
#[allow(clippy::print_stderr)]
pub(crate) fn note(event: fmt::Arguments<'_>) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, millis) = (now.as_secs() % 86_400, now.subsec_millis());
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let name = NAME.get().map_or("-", String::as_str);
    eprintln!("{hour:02}:{minute:02}:{second:02}.{millis:03} {name} {event}");
}
