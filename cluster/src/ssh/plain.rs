//! A host on which nothing is to be broken, and where root and the program are not needed.

use std::net::IpAddr;
use std::sync::Arc;

use super::login::Login;
use super::pool::Pool;
use super::{HostAddress, Remote, SshHosts, session};
use crate::ClusterError;

/// A host that somebody is logged in to, and no more than that.
pub(crate) struct PlainHost {
    /// The lines to it.
    pub remote: Arc<dyn Remote>,
    /// By what it is reached from here.
    pub addresses: Vec<IpAddr>,
}

impl PlainHost {
    /// Logs in.
    pub async fn log_in(address: &HostAddress, how: &SshHosts) -> Result<PlainHost, ClusterError> {
        let login = Login::of(address, how)?;
        let looked_up = login.clone();
        let addresses = tokio::task::spawn_blocking(move || session::resolve(&looked_up)).await;
        let addresses = addresses.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        let remote = Arc::new(Pool::log_in(login).await?);
        Ok(PlainHost {
            remote,
            // Behind a jump host its name may not be known here.
            addresses: addresses.unwrap_or_default(),
        })
    }
}
