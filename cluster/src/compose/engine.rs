//! The container engine, over its unix socket: what is there, how it is, what it wrote.
//!
//! A thin layer over `bollard` that speaks this crate's words: containers are found by label, never by name, and every
//! error says what was tried.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::Path;

use bollard::Docker;
use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder, LogsOptions,
    LogsOptionsBuilder, RemoveContainerOptionsBuilder, RemoveVolumeOptionsBuilder,
};
use futures_util::StreamExt;
use tokio::io::{AsyncWriteExt, BufWriter};

use super::subnet::Subnet;
use crate::ClusterError;

/// The engine's longest answer is the removal of a container whose program does not die.
const CALL_SECONDS_MAX: u64 = 60;

/// A connection to the engine.
#[derive(Clone)]
pub(super) struct Engine {
    docker: Docker,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Engine")
    }
}

/// Labels of something the engine has.
pub(super) type Labels = HashMap<String, String>;

/// Kinds of things that Compose makes on an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// With its anonymous volumes.
    Container,
    /// A network.
    Network,
    /// A named volume.
    Volume,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Container => "container",
            Kind::Network => "network",
            Kind::Volume => "volume",
        })
    }
}

/// One container, network or volume.
#[derive(Clone, Debug)]
pub(super) struct Thing {
    pub kind: Kind,
    pub id: String,
    pub name: String,
    pub labels: Labels,
}

impl Engine {
    /// Connects, and agrees on a version of the interface.
    pub async fn connect(socket: &Path) -> Result<Self, ClusterError> {
        let missing = |error: bollard::errors::Error| ClusterError::Unsupported {
            what: format!("talk to the container engine at {}", socket.display()),
            why: format!("{error}; start the engine, or name its socket"),
        };
        let path = socket.to_str().unwrap_or_default();
        let docker = Docker::connect_with_unix(path, CALL_SECONDS_MAX, bollard::API_DEFAULT_VERSION)
            .map_err(missing)?
            .negotiate_version()
            .await
            .map_err(missing)?;
        Ok(Engine { docker })
    }

    /// The client itself, for what only the helper container needs.
    pub fn docker(&self) -> &Docker {
        &self.docker
    }

    /// Everything of one kind that has this label: `key` or `key=value`.
    pub async fn list(&self, kind: Kind, label: &str) -> Result<Vec<Thing>, ClusterError> {
        let filters = HashMap::from([("label", vec![label])]);
        let failed = |error| engine_error(format!("list the {kind}s with label {label}"), error);
        let thing = |id: Option<String>, name: Option<String>, labels: Option<Labels>| Thing {
            kind,
            id: id.unwrap_or_default(),
            name: name.unwrap_or_default(),
            labels: labels.unwrap_or_default(),
        };
        Ok(match kind {
            Kind::Container => {
                let options = ListContainersOptionsBuilder::new()
                    .all(true)
                    .filters(&filters)
                    .build();
                let found = self.docker.list_containers(Some(options)).await.map_err(failed)?;
                let name = |names: Option<Vec<String>>| {
                    names.and_then(|names| Some(names.first()?.trim_start_matches('/').to_owned()))
                };
                (found.into_iter())
                    .map(|one| thing(one.id, name(one.names), one.labels))
                    .collect()
            }
            Kind::Network => {
                let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
                let found = self.docker.list_networks(Some(options)).await.map_err(failed)?;
                found
                    .into_iter()
                    .map(|one| thing(one.id, one.name, one.labels))
                    .collect()
            }
            Kind::Volume => {
                let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
                let found = self.docker.list_volumes(Some(options)).await.map_err(failed)?;
                (found.volumes.unwrap_or_default().into_iter())
                    .map(|one| thing(Some(one.name.clone()), Some(one.name), Some(one.labels)))
                    .collect()
            }
        })
    }

    /// Removes one thing; a container by force and with its anonymous volumes. What is gone already is no error.
    pub async fn remove(&self, thing: &Thing) -> Result<(), ClusterError> {
        let removed = match thing.kind {
            Kind::Container => {
                let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
                self.docker.remove_container(&thing.id, Some(options)).await
            }
            Kind::Network => self.docker.remove_network(&thing.id).await,
            Kind::Volume => {
                let options = RemoveVolumeOptionsBuilder::new().force(true).build();
                self.docker.remove_volume(&thing.id, Some(options)).await
            }
        };
        match removed {
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => Ok(()),
            removed => {
                removed.map_err(|error| engine_error(format!("remove {} {}", thing.kind, thing.name), error))
            }
        }
    }

    /// Subnets of all networks of the engine, whoever made them.
    pub async fn subnets(&self) -> Result<Vec<Subnet>, ClusterError> {
        let failed = |error| engine_error("list the networks".to_owned(), error);
        let networks = self.docker.list_networks(None).await.map_err(failed)?;
        let entries = networks
            .into_iter()
            .filter_map(|network| network.ipam?.config)
            .flatten();
        Ok(entries.filter_map(|entry| entry.subnet?.parse().ok()).collect())
    }

    /// Whether the engine has an image.
    pub async fn has_image(&self, image: &str) -> Result<bool, ClusterError> {
        match self.docker.inspect_image(image).await {
            Ok(_) => Ok(true),
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => Ok(false),
            Err(error) => Err(engine_error(format!("look for image {image}"), error)),
        }
    }

    /// A container as it is.
    pub async fn container(&self, id: &str) -> Result<ContainerInspectResponse, ClusterError> {
        let failed = |error| engine_error(format!("look at container {id}"), error);
        self.docker.inspect_container(id, None).await.map_err(failed)
    }

    /// Starts a container; one that runs is left alone.
    pub async fn start(&self, id: &str, node: &str) -> Result<(), ClusterError> {
        let failed = |error| engine_error(format!("start the container of {node}"), error);
        self.docker.start_container(id, None).await.map_err(failed)
    }

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

/// What was tried, and what the engine said: all of it, as the client keeps the cause ("connection refused") in an error
/// within an error.
pub(super) fn engine_error(what: String, error: bollard::errors::Error) -> ClusterError {
    let mut said = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(source) = cause {
        let source_said = source.to_string();
        if !said.contains(&source_said) {
            said = format!("{said}: {source_said}");
        }
        cause = source.source();
    }
    ClusterError::Io {
        what,
        source: io::Error::other(said),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::PathBuf;

    use super::*;

    /// An engine that answers as `answer` does, given what was asked for.
    fn fake(answer: fn(&str, &mut UnixStream)) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("engine.sock");
        let listener = UnixListener::bind(&socket).expect("a socket");
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                std::thread::spawn(move || {
                    let mut asked = Vec::new();
                    let mut byte = [0];
                    while !asked.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1)
                    {
                        asked.push(byte[0]);
                    }
                    let asked = String::from_utf8_lossy(&asked).into_owned();
                    answer(asked.split(' ').nth(1).unwrap_or_default(), &mut stream);
                });
            }
        });
        (folder, socket)
    }

    fn reply(stream: &mut UnixStream, status: &str, kind: &str, body: &str) {
        let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n");
        let _ = stream.write_all((head + body).as_bytes());
    }

    const VERSION: &str = r#"{"ApiVersion":"1.41","Version":"20.10.24"}"#;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_the_engine_says_is_part_of_the_error() {
        let (_folder, socket) = fake(|asked, stream| match asked {
            asked if asked.ends_with("/version") => reply(stream, "200 OK", "application/json", VERSION),
            asked if asked.contains("/refused/") => {
                let why = r#"{"message":"the disk is on fire"}"#;
                reply(stream, "500 Internal Server Error", "application/json", why);
            }
            _ => {}
        });
        let engine = Engine::connect(&socket).await.expect("an engine");
        let said = engine
            .container("refused")
            .await
            .expect_err("refused")
            .to_string();
        assert!(
            said.contains("look at container refused") && said.contains("the disk is on fire"),
            "{said}"
        );
        // The cause of this one is in an error within an error.
        let said = engine.container("gone").await.expect_err("cut off").to_string();
        assert!(
            said.contains("connection closed before message completed"),
            "{said}"
        );
    }

    /// As the engine frames what a container writes to its standard output.
    fn frame(payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).expect("a short line").to_be_bytes();
        [&[1, 0, 0, 0], &length[..], payload].concat()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn of_a_log_without_end_the_beginning_and_the_last_lines_are_kept() {
        let (folder, socket) = fake(|asked, stream| {
            if asked.ends_with("/version") {
                return reply(stream, "200 OK", "application/json", VERSION);
            }
            reply(stream, "200 OK", "application/vnd.docker.raw-stream", "");
            if asked.contains("tail=1000") {
                let _ = stream.write_all(&frame(b"the last words\n"));
                return;
            }
            let line = [[b'x'; 16 * 1024].as_slice(), b"\n"].concat();
            // Until nobody reads any more.
            while stream.write_all(&frame(&line)).is_ok() {}
        });
        let engine = Engine::connect(&socket).await.expect("an engine");
        let path = folder.path().join("log");
        let file = std::fs::File::create(&path).expect("a file");
        engine.save_log("n1", file, &path).await.expect("is saved");
        let saved = std::fs::read_to_string(&path).expect("a log");
        assert!(saved.len() < 64 << 20, "{} bytes", saved.len());
        assert!(saved.starts_with('x') && saved.ends_with("the last words\n"));
        assert!(saved.contains("\nduress: cut here, after 50331648 bytes; the last lines follow\n"));
    }
}
