//! Everything that Duress says to a person goes through here, and so does every escape.
//!
//! File names, specs, histories, logs of nodes and words of container engines are other people's text. A terminal obeys
//! what is in it (`ESC ] 0 ;` sets its title, `ESC [ 2 J` clears it, others answer as if somebody had typed), so control
//! characters are written as what they are:
//!
//! ```text
//! duress: read \u{1b}[2Jspec.toml: No such file or directory
//! ```
//!
//! Newlines and tabs stay: logs have several lines. Duress' own colours are in text whose foreign parts are clean already,
//! see [`painted`].

use std::borrow::Cow;
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::mpsc;
use std::time::Duration;

/// How long a terminal may take for the last words of a program.
const LAST_WORDS_TIME: Duration = Duration::from_secs(1);

/// The codes that pages for the terminal are painted with (`duress_results::terminal`).
const COLOURS: [&str; 7] = [
    "\x1b[0m",
    "\x1b[31m",
    "\x1b[32m",
    "\x1b[33m",
    "\x1b[1;31m",
    "\x1b[1;32m",
    "\x1b[1;33m",
];

/// Text in which nothing commands a terminal.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(commands) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match commands(c) {
            true => clean.extend(c.escape_unicode()),
            false => clean.push(c),
        }
    }
    Cow::Owned(clean)
}

/// Control characters (C0 but for newline and tab, DEL, C1), those that turn the direction of writing, and line ends that
/// are none to `lines`.
fn commands(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        c => c.is_control(),
    }
}

/// The same, but for colours: for text that Duress has painted, and whose foreign parts are clean already.
fn painted(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(position) = rest.find('\x1b') {
        clean.push_str(&escape(&rest[..position]));
        rest = &rest[position..];
        let code = COLOURS.iter().find(|code| rest.starts_with(**code)).copied();
        let code = code.unwrap_or("\x1b");
        match code.len() {
            1 => clean.push_str(&escape(code)),
            _ => clean.push_str(code),
        }
        rest = &rest[code.len()..];
    }
    clean.push_str(&escape(rest));
    clean
}

/// Whether standard output takes colours (<https://no-color.org>).
pub fn colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Writes to standard output. A reader that has gone, as after `| head`, is not an error.
pub fn out(text: &str) {
    write_out(&escape(text));
}

/// Writes to standard output what was painted.
pub fn out_painted(text: &str) {
    write_out(&painted(text));
}

/// Writes JSON to standard output. Escapes of its own kind keep it JSON: what commands a terminal can only be in strings.
pub fn out_json(json: &str) {
    let mut clean = String::with_capacity(json.len());
    for c in json.chars() {
        match commands(c) {
            true => clean.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => clean.push(c),
        }
    }
    write_out(&clean);
}

fn write_out(text: &str) {
    if let Err(error) = std::io::stdout().write_all(text.as_bytes())
        && error.kind() != ErrorKind::BrokenPipe
    {
        err(&format!("duress: write to standard output: {error}\n"));
    }
}

/// Writes to standard error. A terminal that went away can't be told anything.
pub fn err(text: &str) {
    let _ = std::io::stderr().write_all(escape(text).as_bytes());
}

/// Writes to standard error over the line that is rewritten all the time, and leaves the cursor behind `text`.
pub fn err_over_line(text: &str) {
    let mut stderr = std::io::stderr();
    let _ = stderr
        .write_all(format!("\r\x1b[K{}", escape(text)).as_bytes())
        .and_then(|()| stderr.flush());
}

/// Does what may never return, as writing to a terminal that was stopped or a disk that hangs, and waits only so long.
pub fn briefly(work: impl FnOnce() + Send + 'static) {
    let (done, wait) = mpsc::channel();
    // Without a thread there is no way to say anything safely.
    let started = std::thread::Builder::new().spawn(move || {
        work();
        let _ = done.send(());
    });
    if started.is_ok() {
        let _ = wait.recv_timeout(LAST_WORDS_TIME);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_commands_a_terminal_is_spelled_out() {
        assert_eq!(escape("\x1b[2Ja\rb\x07"), "\\u{1b}[2Ja\\u{d}b\\u{7}");
        assert_eq!(escape("\u{9b}31m\u{7f}\u{202e}x"), "\\u{9b}31m\\u{7f}\\u{202e}x");
        assert_eq!(escape("two\n\tlines, naïve 界"), "two\n\tlines, naïve 界");
    }

    #[test]
    fn colours_stay_and_nothing_else_does() {
        assert_eq!(
            painted("\x1b[1;32m✓ held\x1b[0m\x1b]0;title\x07"),
            "\x1b[1;32m✓ held\x1b[0m\\u{1b}]0;title\\u{7}"
        );
        assert_eq!(painted("\x1b"), "\\u{1b}");
    }

    #[test]
    fn what_never_returns_is_left() {
        let start = std::time::Instant::now();
        briefly(|| std::thread::sleep(Duration::from_secs(3600)));
        assert!(start.elapsed() < Duration::from_secs(30));
    }
}
