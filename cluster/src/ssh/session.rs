//! Logs in to a host, with libssh2. Blocks, so it is done on a thread of the host.

use std::net::{IpAddr, TcpStream, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ssh2::{MethodType, Session};

use super::known::{self, KEY_KINDS, Known};
use super::login::Login;
use super::pump::Pump;
use crate::ClusterError;

/// For a host that does not answer.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// For each answer while logging in, and for each step of what is done at once.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(15);

/// Somebody is logged in.
pub struct LoggedIn {
    /// The session itself.
    pub session: Session,
    /// What carries it, where it goes through another host.
    pub tunnel: Option<Pump>,
}

/// Why there is no session yet.
enum Failed {
    /// Nobody answers, or not as sshd does.
    Unreachable(ClusterError),
    /// There are no keys of the kind that was asked for, say.
    Handshake(ClusterError),
}

impl From<Failed> for ClusterError {
    fn from(failed: Failed) -> ClusterError {
        match failed {
            Failed::Unreachable(error) | Failed::Handshake(error) => error,
        }
    }
}

/// Connects, compares the host's key, and logs in.
pub fn log_in(login: &Login) -> Result<LoggedIn, ClusterError> {
    let session = known_session(login)?;
    authenticate(login, &session.session)?;
    Ok(session)
}

/// The addresses that its name stands for here.
pub fn resolve(login: &Login) -> Result<Vec<IpAddr>, ClusterError> {
    let found = (login.host.as_str(), login.port).to_socket_addrs();
    let found = found.map_err(|error| {
        let why = format!("its name is not known here ({error}); check it, or write its address");
        refused(login, why)
    })?;
    Ok(found.map(|address| address.ip()).collect())
}

fn refused(login: &Login, why: String) -> ClusterError {
    ClusterError::Unsupported {
        what: format!("log in to {}", login.name),
        why,
    }
}

fn known_session(login: &Login) -> Result<LoggedIn, ClusterError> {
    let Some(files) = &login.known_hosts else {
        return Ok(handshake(login, None)?);
    };
    let mut best = Known::Nothing;
    let mut failed = None;
    let mut shown = false;
    for kind in KEY_KINDS {
        let session = match handshake(login, Some(kind)) {
            Ok(session) => session,
            Err(Failed::Unreachable(error)) => return Err(error),
            Err(Failed::Handshake(error)) => {
                failed.get_or_insert(error);
                continue;
            }
        };
        shown = true;
        let known = known::look(&session.session, files, &login.host, login.port);
        match known.map_err(|why| refused(login, why))? {
            Known::It => return Ok(session),
            known => best = best.max(known),
        }
    }
    match failed {
        Some(error) if !shown => Err(error),
        _ => {
            let file = files.first().map_or(Path::new("known_hosts"), PathBuf::as_path);
            let why = known::refusal(best, file, &login.host, login.port);
            Err(refused(login, why))
        }
    }
}

fn handshake(login: &Login, key_kind: Option<&str>) -> Result<LoggedIn, Failed> {
    let tried = |why: String| refused(login, why);
    let mut session = Session::new().map_err(|error| Failed::Unreachable(tried(error.to_string())))?;
    session.set_timeout(ANSWER_LIMIT.as_millis() as u32);
    if let Some(kind) = key_kind {
        let asked = session.method_pref(MethodType::HostKey, kind);
        asked.map_err(|error| Failed::Handshake(tried(error.to_string())))?;
    }
    let tunnel = match &login.jump {
        None => {
            session.set_tcp_stream(connect(login).map_err(Failed::Unreachable)?);
            None
        }
        Some(jump) => {
            let through = log_in(jump).map_err(Failed::Unreachable)?;
            let pump = Pump::start(&jump.name, through).map_err(Failed::Unreachable)?;
            let stream = pump.tunnel(&login.host, login.port);
            session.set_tcp_stream(stream.map_err(|error| {
                Failed::Unreachable(tried(format!("{} does not reach it: {error}", jump.name)))
            })?);
            Some(pump)
        }
    };
    session.handshake().map_err(|error| {
        Failed::Handshake(tried(format!(
            "what listens there does not agree on how to speak SSH ({error}); check host and port"
        )))
    })?;
    Ok(LoggedIn { session, tunnel })
}

fn connect(login: &Login) -> Result<TcpStream, ClusterError> {
    let found = (login.host.as_str(), login.port).to_socket_addrs();
    let found = found.map_err(|error| {
        refused(
            login,
            format!("its name is not known here ({error}); check it, or write its address"),
        )
    })?;
    let mut last = None;
    for address in found {
        match TcpStream::connect_timeout(&address, CONNECT_LIMIT) {
            Ok(stream) => {
                // Commands are short, and somebody waits for each.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => last = Some(format!("{address}: {error}")),
        }
    }
    let why = last.unwrap_or_else(|| "its name stands for no address".to_owned());
    Err(refused(
        login,
        format!(
            "it can't be reached ({why}); see that it runs, that sshd listens there, and that no firewall is in between"
        ),
    ))
}

/// By agent, keys and password, in this order.
fn authenticate(login: &Login, session: &Session) -> Result<(), ClusterError> {
    let user = &login.user;
    // Asking which methods there are is itself an attempt without any, which a host may accept.
    let offered = session.auth_methods(user).unwrap_or_default().to_owned();
    if session.authenticated() {
        return Ok(());
    }
    let mut tried = Vec::new();
    if offered.contains("publickey") {
        for identity in login.identities.iter().filter(|identity| identity.exists()) {
            match session.userauth_pubkey_file(user, None, identity, login.password.as_deref()) {
                Ok(()) => return Ok(()),
                Err(error) => tried.push(format!("the key {} ({})", identity.display(), error.message())),
            }
        }
        if std::env::var_os("SSH_AUTH_SOCK").is_some() {
            match session.userauth_agent(user) {
                Ok(()) => return Ok(()),
                Err(error) => tried.push(format!("the agent ({})", error.message())),
            }
        }
    }
    if let Some(password) = login.password.as_deref().filter(|_| offered.contains("password")) {
        match session.userauth_password(user, password) {
            Ok(()) => return Ok(()),
            Err(error) => tried.push(format!("the password ({})", error.message())),
        }
    }
    let tried = match tried.is_empty() {
        true => "there was nothing to try".to_owned(),
        false => format!("it took none of: {}", tried.join(", ")),
    };
    Err(refused(
        login,
        format!(
            "it lets {user} not in: {tried}; it offers {offered}. Name a key by `identity` that stands in its authorized_keys, or the variable \
             that has the password by `password-env`"
        ),
    ))
}
