//! How to log in to a host: what is said of it, put together with what the configuration of an OpenSSH client says.

use std::path::PathBuf;

use super::{HostAddress, SshHosts, config};
use crate::ClusterError;

/// Hosts to go through, one after the other.
const JUMPS_MAX: usize = 4;
/// Tried where no key is named, as OpenSSH does.
const USUAL_KEYS: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];
const PORT: u16 = 22;

/// A host with all that is known of how to log in to it.
#[derive(Clone, Debug)]
pub struct Login {
    /// As users know it: `root@10.0.0.11:22`.
    pub name: String,
    /// A name or an address.
    pub host: String,
    /// Of sshd.
    pub port: u16,
    /// Who logs in.
    pub user: String,
    /// Private keys.
    pub identities: Vec<PathBuf>,
    /// Of the user, and of private keys.
    pub password: Option<String>,
    /// Where keys of hosts are; `None`: any key is taken.
    pub known_hosts: Option<Vec<PathBuf>>,
    /// The host to go through.
    pub jump: Option<Box<Login>>,
}

impl Login {
    /// The ports of sshd that are passed on the way there.
    pub fn ports(&self) -> impl Iterator<Item = u16> {
        std::iter::successors(Some(self), |login| login.jump.as_deref()).map(|login| login.port)
    }

    /// Puts it together.
    pub fn of(address: &HostAddress, hosts: &SshHosts) -> Result<Login, ClusterError> {
        Login::through(address, hosts, JUMPS_MAX)
    }

    fn through(address: &HostAddress, hosts: &SshHosts, jumps_max: usize) -> Result<Login, ClusterError> {
        let home = home();
        let file = hosts.config.clone().unwrap_or_else(|| home.join(".ssh/config"));
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && hosts.config.is_none() => {
                String::new()
            }
            Err(source) => {
                return Err(ClusterError::Io {
                    what: format!("read {}", file.display()),
                    source,
                });
            }
        };
        let said = config::Said::of(&text, &address.host, &home);
        let user = address.user.clone().or(said.user);
        let user = user.or_else(|| std::env::var("USER").ok());
        let user = user.unwrap_or_else(|| "root".to_owned());
        let host = said.host_name.unwrap_or_else(|| address.host.clone());
        let port = address.port.or(said.port).unwrap_or(PORT);
        let identities = match &hosts.identity {
            Some(identity) => vec![identity.clone()],
            None if !said.identity_files.is_empty() => said.identity_files,
            None => USUAL_KEYS.map(|key| home.join(".ssh").join(key)).to_vec(),
        };
        let known_hosts = (!hosts.any_host_key).then(|| match &hosts.known_hosts {
            Some(file) => vec![file.clone()],
            None => vec![home.join(".ssh/known_hosts"), "/etc/ssh/ssh_known_hosts".into()],
        });
        let shown = HostAddress {
            user: Some(user.clone()),
            host: host.clone(),
            port: Some(port),
        };
        let name = shown.to_string();
        let invalid = |what: String, why: String| Err(ClusterError::Invalid { what, why });
        let jump = match (&hosts.jump, said.proxy_jump.as_deref().map(str::parse)) {
            (Some(jump), _) => Some(jump.clone()),
            (None, None) => None,
            (None, Some(Ok(jump))) => Some(jump),
            (None, Some(Err(why))) => {
                let what = format!("the ProxyJump of {} in {}", address.host, file.display());
                return invalid(what, format!("{why}; name one host, without commas"));
            }
        };
        let jump = match jump {
            None => None,
            Some(_) if jumps_max == 0 => {
                let why = format!(
                    "it has more than {JUMPS_MAX} jump hosts; look for a loop in {}",
                    file.display()
                );
                return invalid(format!("the way to {name}"), why);
            }
            Some(jump) => {
                // It is reached as its own configuration says.
                let direct = SshHosts {
                    jump: None,
                    ..hosts.clone()
                };
                Some(Box::new(Login::through(&jump, &direct, jumps_max - 1)?))
            }
        };
        Ok(Login {
            name,
            host,
            port,
            user,
            identities,
            password: hosts.password.clone(),
            known_hosts,
            jump,
        })
    }
}

/// Of the user who runs this.
fn home() -> PathBuf {
    PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/root".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(config: &str, host: &str) -> Result<Login, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), config).unwrap();
        let hosts = SshHosts {
            config: Some(file.path().to_owned()),
            ..SshHosts::default()
        };
        Login::of(&host.parse().unwrap(), &hosts).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_written_counts_more_than_the_configuration() {
        let config = "Host db\nHostName 10.0.0.1\nUser admin\nPort 7\nProxyJump out\nHost out\nHostName 10.9.9.9\nUser j\n";
        let db = login(config, "db").unwrap();
        assert_eq!(db.name, "admin@10.0.0.1:7");
        assert_eq!(db.jump.unwrap().name, "j@10.9.9.9:22");
        assert_eq!(login(config, "me@db:9").unwrap().name, "me@10.0.0.1:9");
    }

    #[test]
    fn a_loop_of_jumps_is_refused() {
        let error = login("Host a\nProxyJump b\nHost b\nProxyJump a\n", "a").unwrap_err();
        assert!(error.contains("look for a loop"), "{error}");
        let error = login("Host a\nProxyJump b,c\n", "a").unwrap_err();
        assert!(error.contains("without commas"), "{error}");
    }
}
