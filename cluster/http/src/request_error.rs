//! Why a call brought no answer, and what that proves.

use std::error::Error;
use std::io;

use nix::errno::Errno;

/// Why a call brought no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No connection could be made, so nothing was sent. The only one that proves that nothing happened.
    #[error("{0}")]
    NotSent(String),
    /// This machine has no descriptor, memory or port left. Says nothing of the node.
    #[error("{0}")]
    Local(String),
    /// The request may have arrived: the connection broke, the time was up, the answer is no HTTP.
    #[error("{0}")]
    Broken(String),
    /// The answer was not read to its end.
    #[error("the answer is longer than {limit} bytes, the rest was not read")]
    TooLarge {
        /// In bytes.
        limit: usize,
    },
    /// The answer was not read to its end, because too many long ones came at once.
    #[error("the answers of this moment are longer than {limit} bytes together, this one was not read")]
    TooMuch {
        /// In bytes.
        limit: usize,
    },
}

/// The longest text of an error that is kept, in bytes.
const TEXT_MAX: usize = 1024;

/// A text from outside, short enough to be kept: what is cut says so.
pub fn cut(mut text: String) -> String {
    if text.len() > TEXT_MAX {
        let length = text.len();
        text.truncate(text.floor_char_boundary(TEXT_MAX));
        text.push_str(&format!("… (cut, it has {length} bytes)"));
        text.shrink_to_fit();
    }
    text
}

/// What an error of `reqwest` proves.
pub(crate) fn of(error: &reqwest::Error) -> RequestError {
    if let Some(local) = local_cause(error) {
        return RequestError::Local(local);
    }
    let text = cut(root_cause(error));
    // Without redirects and retries there is one connection to a call.
    if error.is_connect() {
        RequestError::NotSent(text)
    } else if error.is_timeout() {
        RequestError::Broken("no answer in time".to_owned())
    } else {
        RequestError::Broken(text)
    }
}

/// What this machine has run out of, with what to do, if that is behind an error.
pub fn local_cause(error: &(dyn Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let io_error = error.downcast_ref::<io::Error>();
        if let Some(text) = io_error.and_then(what_to_do) {
            return Some(text);
        }
        // An `io::Error` skips what it wraps when it is asked for its source.
        cause = match io_error.and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

fn what_to_do(error: &io::Error) -> Option<String> {
    let advice = match Errno::from_raw(error.raw_os_error()?) {
        Errno::EMFILE => {
            "this process has as many files and connections open as it may: raise `ulimit -n`, or use fewer clients"
        }
        Errno::ENFILE => {
            "this machine has as many files open as it may: raise fs.file-max, or end other programs"
        }
        Errno::ENOMEM | Errno::ENOBUFS => {
            "this machine is out of memory: use fewer clients, or end other programs"
        }
        Errno::EADDRNOTAVAIL => {
            "this machine has no such address, or no port left on it: use fewer clients, or widen net.ipv4.ip_local_port_range"
        }
        _ => return None,
    };
    Some(format!("{error}: {advice}"))
}

/// The innermost error, which says what happened; the outer ones say which URL it happened to.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters_and_say_so() {
        assert_eq!(cut("short".to_owned()), "short");
        let text = cut(format!("a{}", "é".repeat(1000)));
        assert!(text.starts_with("aé") && text.len() < TEXT_MAX + 40, "{text}");
        assert!(text.ends_with("é… (cut, it has 2001 bytes)"), "{text}");
    }

    #[test]
    fn what_this_machine_lacks_is_found_however_deep_it_is() {
        for errno in [
            Errno::EMFILE,
            Errno::ENFILE,
            Errno::ENOMEM,
            Errno::ENOBUFS,
            Errno::EADDRNOTAVAIL,
        ] {
            let error = io::Error::other(io::Error::other(io::Error::from(errno)));
            assert!(local_cause(&error).is_some(), "{errno}");
        }
        for errno in [
            Errno::ECONNREFUSED,
            Errno::ECONNRESET,
            Errno::EHOSTUNREACH,
            Errno::EPIPE,
        ] {
            assert_eq!(local_cause(&io::Error::from(errno)), None, "{errno}");
        }
    }
}
