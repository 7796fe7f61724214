//! Writes a file on a host, by SFTP.

use std::io::{Read as _, Write as _};
use std::path::Path;

use ssh2::{OpenFlags, OpenType, Session};

/// It is written in pieces of this size, of which libssh2 has several on their way at a time.
const PIECE_BYTES: usize = 512 * 1024;

/// Sends a file. Waits, and leaves nothing of one that was not written whole.
pub fn upload(session: &Session, file: &Path, to: &str, mode: i32) -> Result<(), String> {
    let told = |error: &dyn std::fmt::Display| {
        format!("{error}; see that its disk is not full (`df -h`) and that the folder may be written")
    };
    let mut from = std::fs::File::open(file).map_err(|error| format!("read {}: {error}", file.display()))?;
    let sftp = session.sftp().map_err(|error| {
        format!("sshd there offers no SFTP ({error}); see the line `Subsystem sftp` in its sshd_config")
    })?;
    let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::TRUNCATE;
    let opened = sftp.open_mode(to, flags, mode, OpenType::File);
    let mut written = opened.map_err(|error| told(&error))?;
    let mut chunk = vec![0; PIECE_BYTES];
    let sent = loop {
        match from.read(&mut chunk) {
            Ok(0) => break Ok(()),
            Ok(count) => {
                if let Err(error) = written.write_all(&chunk[..count]) {
                    break Err(told(&error));
                }
            }
            Err(error) => break Err(format!("read {}: {error}", file.display())),
        }
    };
    let closed = written.close().map_err(|error| told(&error));
    sent.and(closed).inspect_err(|_| {
        // Half a file is worth nothing, and takes the room that there is.
        let _ = sftp.unlink(Path::new(to));
    })
}
