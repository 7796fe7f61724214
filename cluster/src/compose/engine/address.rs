//! Where an engine listens, in the forms that the docker command knows.
//!
//! ```text
//! unix:///run/docker.sock     a socket of this machine
//! tcp://10.0.0.12:2376        with certificates, by TLS
//! ssh://root@10.0.0.12        by `docker system dial-stdio` there
//! shop                        a context of the docker command
//! ```

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::context;
use crate::ClusterError;
use crate::ssh::{HostAddress, SshHosts};

/// Where the engine listens unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/var/run/docker.sock";
/// Of an engine that is reached by TLS, as the docker command has it.
const TLS_PORT: u16 = 2376;
/// Of one that is reached without.
const PLAIN_PORT: u16 = 2375;

/// Where an engine listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineAddress {
    /// A socket of this machine.
    Unix(PathBuf),
    /// A port of a machine.
    Tcp {
        /// A name or an address.
        host: String,
        /// Where it listens.
        port: u16,
        /// A folder with `ca.pem`, `cert.pem` and `key.pem`; `None`: nothing is encrypted, and whoever reaches the port may do anything there.
        certificates: Option<PathBuf>,
    },
    /// A machine that is logged in to.
    Ssh(Box<SshWay>),
}

/// How a machine is logged in to whose engine is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshWay {
    /// The machine.
    pub host: HostAddress,
    /// How to log in.
    pub how: SshHosts,
}

impl Default for EngineAddress {
    fn default() -> Self {
        EngineAddress::Unix(DEFAULT_SOCKET.into())
    }
}

impl fmt::Display for EngineAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EngineAddress::Unix(socket) => write!(f, "unix://{}", socket.display()),
            EngineAddress::Tcp { host, port, .. } if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            EngineAddress::Tcp { host, port, .. } => write!(f, "tcp://{host}:{port}"),
            EngineAddress::Ssh(way) => write!(f, "ssh://{}", way.host),
        }
    }
}

impl EngineAddress {
    /// Reads an address, or looks up the context of that name. The error says what is wrong with it.
    pub fn named(text: &str, certificates: Option<&Path>) -> Result<Self, String> {
        match text.contains("://") {
            true => EngineAddress::parse(text, certificates),
            false if certificates.is_some() => Err(format!(
                "{text:?} is the name of a docker context, which has certificates of its own; leave out `certificates`"
            )),
            false => context::read(&context::folder(), text),
        }
    }

    /// The engine that the docker command would use: by `DOCKER_HOST` with `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH`, by `DOCKER_CONTEXT`, by the
    /// context that is in use, or at the usual socket.
    pub fn of_environment() -> Result<Self, ClusterError> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let from = |said: String, why: String| ClusterError::Invalid {
            what: format!("find the container engine that {said} names"),
            why,
        };
        if let Some(host) = set("DOCKER_HOST") {
            let verify = set("DOCKER_TLS_VERIFY").is_some();
            let folder = set("DOCKER_CERT_PATH").map_or_else(context::folder, PathBuf::from);
            let certificates = (verify && host.starts_with("tcp://")).then_some(folder.as_path());
            return EngineAddress::parse(&host, certificates)
                .map_err(|why| from("DOCKER_HOST".to_owned(), why));
        }
        let (said, name) = match set("DOCKER_CONTEXT") {
            Some(name) => ("DOCKER_CONTEXT".to_owned(), Some(name)),
            None => {
                let file = context::folder().join("config.json");
                (file.display().to_string(), context::in_use(&file))
            }
        };
        match name.as_deref() {
            None | Some("default") => Ok(EngineAddress::default()),
            Some(name) => context::read(&context::folder(), name).map_err(|why| from(said, why)),
        }
    }

    /// Reads what has a scheme before it. A path without one is a socket's.
    pub fn parse(text: &str, certificates: Option<&Path>) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("unix", text));
        if certificates.is_some() && scheme != "tcp" {
            return Err(format!(
                "{text:?} is not reached by TLS; leave out its certificates"
            ));
        }
        match scheme {
            "unix" if rest.starts_with('/') => Ok(EngineAddress::Unix(rest.into())),
            "unix" => Err(format!(
                "{text:?} has no absolute path; write unix:///run/docker.sock"
            )),
            "ssh" => Ok(EngineAddress::Ssh(Box::new(SshWay {
                host: rest.trim_end_matches('/').parse()?,
                how: SshHosts::default(),
            }))),
            "tcp" => {
                let host: HostAddress = rest.trim_end_matches('/').parse()?;
                if host.user.is_some() {
                    return Err(format!("{text:?} names a user; only ssh:// has one"));
                }
                let usual = if certificates.is_some() {
                    TLS_PORT
                } else {
                    PLAIN_PORT
                };
                Ok(EngineAddress::Tcp {
                    host: host.host,
                    port: host.port.unwrap_or(usual),
                    certificates: certificates.map(Path::to_owned),
                })
            }
            _ => Err(format!(
                "{text:?} is no address of an engine; write unix://…, tcp://…, ssh://… or the name of a docker context"
            )),
        }
    }

    /// The same, logged in to in this way where it takes a login.
    pub fn logged_in_by(self, how: SshHosts) -> Self {
        match self {
            EngineAddress::Ssh(way) => EngineAddress::Ssh(Box::new(SshWay { how, ..*way })),
            other => other,
        }
    }

    /// Whether it is on this machine, as far as its address tells: its containers can be reached at their own addresses then.
    pub fn is_here(&self) -> bool {
        match self {
            EngineAddress::Unix(_) => true,
            EngineAddress::Tcp { host, .. } => {
                host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
            }
            EngineAddress::Ssh(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_the_docker_command_has_them() {
        let read = |text: &str| EngineAddress::parse(text, None).map(|address| address.to_string());
        for text in [
            "unix:///run/x.sock",
            "tcp://10.0.0.1:7",
            "tcp://[fd00::1]:2375",
            "ssh://root@db:9",
        ] {
            assert_eq!(read(text).as_deref(), Ok(text));
        }
        assert_eq!(read("/run/x.sock").as_deref(), Ok("unix:///run/x.sock"));
        assert_eq!(read("tcp://db").as_deref(), Ok("tcp://db:2375"));
        let encrypted = EngineAddress::parse("tcp://db", Some(Path::new("/c"))).expect("an address");
        assert_eq!(encrypted.to_string(), "tcp://db:2376");
        for (text, why) in [
            ("npipe:////./pipe/x", "unix://…, tcp://…, ssh://…"),
            ("unix://run", "no absolute path"),
            ("tcp://root@db", "only ssh:// has one"),
            ("ssh://", "is not a host"),
            ("tcp://db:0", "ports are 1 to 65535"),
        ] {
            let said = read(text).expect_err("refused");
            assert!(said.contains(why), "{said}");
        }
        let said = EngineAddress::parse("ssh://db", Some(Path::new("/c"))).expect_err("refused");
        assert!(said.contains("leave out its certificates"), "{said}");
    }

    #[test]
    fn only_what_is_here_for_certain_is_here() {
        let is_here = |text: &str| EngineAddress::parse(text, None).expect("an address").is_here();
        assert!(is_here("unix:///x") && is_here("tcp://127.0.0.1") && is_here("tcp://localhost:1"));
        assert!(!is_here("tcp://10.0.0.1") && !is_here("ssh://localhost"));
    }
}
