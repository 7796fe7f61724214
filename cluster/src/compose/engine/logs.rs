//! What containers wrote: the last lines for a person, and nearly all of it for a run's directory.

use std::io;
use std::path::Path;

use bollard::query_parameters::{DownloadFromContainerOptionsBuilder, LogsOptions, LogsOptionsBuilder};
use futures_util::StreamExt;
use tokio::io::{AsyncWriteExt, BufWriter};

use super::archive::ArchivedFile;
use super::{Engine, engine_error};
use crate::{ClusterError, FileEnd};

/// How a program came up, and a day of what a talkative one writes.
const LOG_BEGINNING_BYTES_MAX: usize = 48 << 20;
/// The engine cuts lines at 16 KiB, so these are no more than [`LOG_END_BYTES_MAX`], whatever the program writes.
const LOG_END_LINES: &str = "1000";
/// With the beginning, 64 MiB.
const LOG_END_BYTES_MAX: usize = 16 << 20;

fn write_error(path: &Path, source: io::Error) -> ClusterError {
    ClusterError::Io {
        what: format!("write {}", path.display()),
        source,
    }
}

/// Of a line that is shown to a person, as much is kept: some systems put whole configurations into one.
const LINE_CHARS_MAX: usize = 240;

fn cut(line: &str) -> String {
    match line.char_indices().nth(LINE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

impl Engine {
    /// The last lines that a container wrote, or why they can't be had.
    pub async fn log_tail(&self, id: &str, lines_max: usize) -> String {
        let options = LogsOptionsBuilder::new()
            .stdout(true)
            .stderr(true)
            .tail(&lines_max.to_string())
            .build();
        let mut chunks = self.docker.logs(id, Some(options));
        let mut tail = String::new();
        while let Some(chunk) = chunks.next().await {
            match chunk {
                Ok(chunk) => tail.push_str(&chunk.to_string()),
                Err(error) => return format!("(the log can't be read: {error})"),
            }
        }
        tail.lines().map(cut).collect::<Vec<_>>().join("\n")
    }

    /// Appends what a container wrote, with time stamps, to a file: the beginning, and of one that wrote more than
    /// [`LOG_BEGINNING_BYTES_MAX`] the end, with a line between them that says so. `path` is for messages.
    pub async fn save_log(&self, id: &str, file: std::fs::File, path: &Path) -> Result<(), ClusterError> {
        let mut file = BufWriter::new(tokio::fs::File::from_std(file));
        let options = LogsOptionsBuilder::new()
            .stdout(true)
            .stderr(true)
            .timestamps(true);
        let cut = (self.copy_log(
            id,
            options.clone().build(),
            LOG_BEGINNING_BYTES_MAX,
            &mut file,
            path,
        ))
        .await?;
        if cut {
            let line =
                format!("\nduress: cut here, after {LOG_BEGINNING_BYTES_MAX} bytes; the last lines follow\n");
            let failed = |source| write_error(path, source);
            file.write_all(line.as_bytes()).await.map_err(failed)?;
            let last = options.tail(LOG_END_LINES).build();
            let cut = self
                .copy_log(id, last, LOG_END_BYTES_MAX, &mut file, path)
                .await?;
            if cut {
                let line = format!("\nduress: cut here, after {LOG_END_BYTES_MAX} bytes\n");
                file.write_all(line.as_bytes()).await.map_err(failed)?;
            }
        }
        file.flush().await.map_err(|source| write_error(path, source))
    }

    /// The last `bytes_max` bytes of a regular file in a container, whether or not it runs.
    pub async fn read_end(&self, id: &str, path: &str, bytes_max: u64) -> Result<FileEnd, ClusterError> {
        let what = || format!("read {path} in container {id}");
        let failed = |source| ClusterError::Io { what: what(), source };
        let options = DownloadFromContainerOptionsBuilder::new().path(path).build();
        let mut pieces = self.docker.download_from_container(id, Some(options));
        let mut file = ArchivedFile::new(bytes_max);
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| engine_error(what(), error))?;
            if let Some(end) = file.take(&piece).map_err(failed)? {
                return Ok(end);
            }
        }
        Err(failed(io::Error::from(io::ErrorKind::UnexpectedEof)))
    }

    /// True if there was more than the limit.
    async fn copy_log(
        &self,
        id: &str,
        options: LogsOptions,
        bytes_max: usize,
        file: &mut BufWriter<tokio::fs::File>,
        path: &Path,
    ) -> Result<bool, ClusterError> {
        let mut left = bytes_max;
        let mut chunks = self.docker.logs(id, Some(options));
        while let Some(chunk) = chunks.next().await {
            let chunk =
                chunk.map_err(|error| engine_error(format!("read the log of container {id}"), error))?;
            let bytes = chunk.as_ref();
            let kept = &bytes[..bytes.len().min(left)];
            file.write_all(kept)
                .await
                .map_err(|source| write_error(path, source))?;
            if kept.len() < bytes.len() {
                return Ok(true);
            }
            left -= kept.len();
        }
        Ok(false)
    }
}
