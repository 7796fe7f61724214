//! The way to an engine: how a connection to it is made, and why none can be.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::address::EngineAddress;
use super::tls;
use crate::ssh::{PlainHost, RemoteChannel};

/// For a machine that does not answer.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// What an engine says to a greeting is a few lines.
const GREETING_BYTES_MAX: u64 = 4096;
/// What makes a connection to the engine of a machine out of a login: a command of the docker client, which comes with every engine.
const DIAL: &str = "exec docker system dial-stdio";

/// A connection to an engine.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// The way to an engine.
pub enum Way {
    /// A socket of this machine.
    Unix(std::path::PathBuf),
    /// A port.
    Tcp {
        /// A name or an address.
        host: String,
        /// Where it listens.
        port: u16,
        /// What encrypts it.
        tls: Option<(TlsConnector, ServerName<'static>)>,
    },
    /// A session.
    Ssh(PlainHost),
}

impl Way {
    /// What can be known before there is a connection; a machine is logged in to. The error says what to do.
    pub async fn to(address: &EngineAddress) -> Result<Way, String> {
        Ok(match address {
            EngineAddress::Unix(socket) => Way::Unix(socket.clone()),
            EngineAddress::Tcp {
                host,
                port,
                certificates,
            } => {
                let tls = match certificates {
                    None => None,
                    Some(folder) => {
                        let name = ServerName::try_from(host.clone()).map_err(|_| {
                            format!("{host:?} is no name that a certificate can be made out to")
                        })?;
                        Some((TlsConnector::from(Arc::new(tls::config(folder)?)), name))
                    }
                };
                let (host, port) = (host.clone(), *port);
                Way::Tcp { host, port, tls }
            }
            EngineAddress::Ssh(way) => Way::Ssh(
                PlainHost::log_in(&way.host, &way.how)
                    .await
                    .map_err(|error| error.to_string())?,
            ),
        })
    }

    /// By what address its machine is reached from here.
    pub async fn machine(&self) -> Option<Ipv4Addr> {
        let found: Vec<IpAddr> = match self {
            Way::Unix(_) => vec![Ipv4Addr::LOCALHOST.into()],
            Way::Ssh(host) => host.addresses.clone(),
            Way::Tcp { host, port, .. } => match lookup_host((host.as_str(), *port)).await {
                Ok(found) => found.map(|address| address.ip()).collect(),
                Err(_) => Vec::new(),
            },
        };
        found.into_iter().find_map(|address| match address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        })
    }

    /// Makes a connection.
    pub async fn dial(&self) -> io::Result<Box<dyn Connection>> {
        Ok(match self {
            Way::Unix(socket) => Box::new(UnixStream::connect(socket).await?),
            Way::Tcp { host, port, tls } => {
                let connected = timeout(CONNECT_LIMIT, TcpStream::connect((host.as_str(), *port))).await;
                let stream = connected.map_err(|_| io::Error::from(ErrorKind::TimedOut))??;
                stream.set_nodelay(true)?;
                match tls {
                    None => Box::new(stream),
                    Some((connector, name)) => Box::new(connector.connect(name.clone(), stream).await?),
                }
            }
            Way::Ssh(host) => {
                let RemoteChannel { input, output, .. } =
                    host.remote.open(DIAL).await.map_err(io::Error::other)?;
                Box::new(tokio::io::join(output, input))
            }
        })
    }

    /// Makes sure that an engine is at the other end, and that it lets this user in. The error says what to do.
    pub async fn greet(&self, address: &EngineAddress) -> Result<(), String> {
        if let Way::Ssh(host) = self {
            return greet_by_login(host).await;
        }
        let said = match self.dial().await {
            Ok(connection) => ask(connection).await,
            Err(error) => Err(error),
        };
        match (said, address) {
            (Ok(said), _) if is_engine(&said) => Ok(()),
            (Ok(said), EngineAddress::Tcp { certificates: None, .. }) if said.contains("to an HTTPS server") => {
                Err("it is spoken to by TLS only; name the folder with ca.pem, cert.pem and key.pem by `certificates`, or by \
                     DOCKER_CERT_PATH with DOCKER_TLS_VERIFY=1"
                    .to_owned())
            }
            (Ok(said), _) => Err(strange(&said)),
            (Err(error), EngineAddress::Tcp { host, certificates: Some(folder), .. }) => {
                Err(tls::why(&error, host, folder).unwrap_or_else(|| unreachable(&error)))
            }
            (Err(error), EngineAddress::Unix(socket)) => Err(no_socket(&error, socket)),
            (Err(error), _) => Err(unreachable(&error)),
        }
    }
}

async fn ask(mut connection: impl Connection) -> io::Result<String> {
    let answer = async {
        connection.write_all(b"GET /_ping HTTP/1.0\r\n\r\n").await?;
        let mut answer = Vec::new();
        connection
            .take(GREETING_BYTES_MAX)
            .read_to_end(&mut answer)
            .await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let answered = timeout(CONNECT_LIMIT, answer).await;
    answered.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

/// What went wrong over there is told by how the command ended.
async fn greet_by_login(host: &PlainHost) -> Result<(), String> {
    let opened = host.remote.open(DIAL).await;
    let RemoteChannel { input, output, ended } = opened.map_err(|error| error.to_string())?;
    let said = ask(tokio::io::join(output, input)).await;
    if said.as_deref().is_ok_and(is_engine) {
        return Ok(());
    }
    match timeout(CONNECT_LIMIT, ended).await {
        Ok(Ok(end)) if end.status != Some(0) => Err(format!(
            "`docker system dial-stdio`, by which the engine there is reached, ended with {}; see that docker is installed there and that this \
             user may use it: root, or one of the group docker",
            end.how()
        )),
        _ => Err(said.map_or_else(|error| unreachable(&error), |said| strange(&said))),
    }
}

fn is_engine(said: &str) -> bool {
    let (head, _) = said.split_once("\r\n\r\n").unwrap_or((said, ""));
    head.contains(" 200 ") && head.to_ascii_lowercase().contains("\napi-version:")
}

fn strange(said: &str) -> String {
    let first = said.lines().next().unwrap_or_default();
    let body = said.split_once("\r\n\r\n").map_or("", |(_, body)| body.trim());
    let shown: String = format!("{first} {body}").chars().take(200).collect();
    format!(
        "what listens there answers not as an engine does: {:?}; check host and port",
        shown.trim()
    )
}

fn unreachable(error: &io::Error) -> String {
    let what = match error.kind() {
        ErrorKind::TimedOut => format!("it does not answer within {} s", CONNECT_LIMIT.as_secs()),
        _ => error.to_string(),
    };
    format!(
        "it can't be reached ({what}); see that the engine runs and listens there, and that no firewall is in between"
    )
}

fn no_socket(error: &io::Error, socket: &Path) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied => format!(
            "this user may not use {}; be root, or one of the socket's group: usermod -aG docker $USER, and log in again",
            socket.display()
        ),
        _ => format!("{error}; start the engine, or name another by DOCKER_HOST"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_known_by_its_answer() {
        assert!(is_engine("HTTP/1.0 200 OK\r\nApi-Version: 1.41\r\n\r\nOK"));
        assert!(!is_engine("HTTP/1.1 200 OK\r\nServer: nginx\r\n\r\nhello"));
        assert!(!is_engine(
            "HTTP/1.1 403 Forbidden\r\nApi-Version: 1.41\r\n\r\nno"
        ));
        let said = strange("HTTP/1.1 403 Forbidden\r\nApi-Version: 1.41\r\n\r\nnot you");
        assert!(said.contains("403 Forbidden not you"), "{said}");
    }
}
