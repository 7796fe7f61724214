//! A connection to a host that is made again when it broke: by the next who asks for something.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::login::Login;
use super::pump::Pump;
use super::remote::{Remote, RemoteChannel};
use crate::ClusterError;

/// Somebody who is logged in, and would log in again.
pub(super) struct Connection {
    login: Login,
    /// The session that there is, or was. Locked while another is made: nobody needs two.
    pump: Mutex<Arc<Pump>>,
}

impl Connection {
    /// Logs in.
    pub async fn log_in(login: Login) -> Result<Connection, ClusterError> {
        let pump = Pump::log_in(login.clone()).await?;
        Ok(Connection {
            login,
            pump: Mutex::new(Arc::new(pump)),
        })
    }

    /// A session that is not known to be broken.
    async fn pump(&self) -> Result<Arc<Pump>, ClusterError> {
        let mut pump = self.pump.lock().await;
        if pump.is_broken() {
            let another = Arc::new(Pump::log_in(self.login.clone()).await?);
            let broken = std::mem::replace(&mut *pump, another);
            // Its thread may still wait for an answer, and is waited for.
            tokio::task::spawn_blocking(move || drop(broken));
        }
        Ok(Arc::clone(&pump))
    }
}

#[async_trait]
impl Remote for Connection {
    async fn open(&self, command: &str) -> Result<RemoteChannel, ClusterError> {
        self.pump().await?.open(command).await
    }

    async fn upload(&self, file: &Path, to: &str, mode: i32) -> Result<(), ClusterError> {
        self.pump().await?.upload(file, to, mode).await
    }

    async fn give_up(&self) {
        self.pump.lock().await.break_off();
    }
}
