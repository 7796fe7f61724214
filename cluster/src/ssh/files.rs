//! Reads files of nodes on hosts.

use super::Host;
use super::shell::quoted;
use crate::{ClusterError, FileEnd, LogFile, LogPath};

/// The end of a file. Where data directories are known, paths may be below them.
pub(super) async fn read_end(
    host: &Host,
    file: &LogFile,
    data: Option<&str>,
    bytes_max: u64,
) -> Result<FileEnd, ClusterError> {
    let (path, within) = match (file.path(), data) {
        (LogPath::Data(below), Some(data)) => (format!("{data}/{below}"), format!("{data}/")),
        (LogPath::Data(below), None) => {
            let why = "where the node keeps its data is not known; name the file by its whole path";
            return Err(host.error(&format!("read {below} in the data directory"), why));
        }
        (LogPath::Root(path), _) => (path.to_owned(), "/".to_owned()),
    };
    let failed = |why: String| host.error(&format!("read {path}"), why);
    // A link out of the data directory leads to nothing.
    let script = format!(
        "real=$(realpath -e -- {path}) && case $real in {within}*) ;; *) echo 'a link leads out of the node' >&2; exit 1;; esac && \
         [ -f \"$real\" ] && stat -c %s -- \"$real\" && tail -c {bytes_max} -- \"$real\"",
        path = quoted(&path),
        within = quoted(&within),
    );
    let (bytes, end) = host.bytes(&host.script_as_root(&script), bytes_max + 64).await?;
    if end.status != Some(0) {
        return Err(failed(end.how()));
    }
    let line = bytes.iter().position(|byte| *byte == b'\n');
    let line = line.ok_or_else(|| failed("it has no length".to_owned()))?;
    let length = String::from_utf8_lossy(&bytes[..line]).parse();
    Ok(FileEnd {
        length: length.map_err(|_| failed("its length is no number".to_owned()))?,
        bytes: bytes[line + 1..].to_vec(),
    })
}
