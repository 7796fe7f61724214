//! As many connections to one host as its channels take: sshd refuses those beyond its `MaxSessions`, of which there are ten where nobody
//! says otherwise, and whoever opened that one learns no more than that it failed.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::login::Login;
use super::pump::Pump;
use super::remote::{Remote, RemoteChannel};
use crate::ClusterError;

/// Channels of a connection, unless it takes fewer.
const CHANNELS_MAX: usize = 8;
/// Connections to one host: more would be a mistake of ours.
const CONNECTIONS_MAX: usize = 32;

/// Somebody who is logged in, once or more often.
pub(super) struct Pool {
    login: Login,
    /// Locked while another is made.
    all: Mutex<Vec<One>>,
}

/// A connection, and how many channels it takes.
struct One {
    pump: Arc<Pump>,
    room: usize,
}

impl Pool {
    /// Logs in.
    pub async fn log_in(login: Login) -> Result<Pool, ClusterError> {
        let pump = Arc::new(Pump::log_in(login.clone()).await?);
        let room = CHANNELS_MAX;
        Ok(Pool {
            login,
            all: Mutex::new(vec![One { pump, room }]),
        })
    }

    /// A connection that takes another channel.
    async fn with_room(&self) -> Result<Arc<Pump>, ClusterError> {
        let mut all = self.all.lock().await;
        let broken: Vec<One> = all.extract_if(.., |one| one.pump.is_broken()).collect();
        // Threads that may still wait for an answer are waited for.
        tokio::task::spawn_blocking(move || drop(broken));
        if let Some(one) = all.iter().find(|one| one.pump.channels() < one.room) {
            return Ok(Arc::clone(&one.pump));
        }
        if all.len() >= CONNECTIONS_MAX {
            return Err(ClusterError::Unsupported {
                what: format!("open another connection to {}", self.login.name),
                why: format!("there are {CONNECTIONS_MAX}, and all are in use"),
            });
        }
        let pump = Arc::new(Pump::log_in(self.login.clone()).await?);
        let room = CHANNELS_MAX;
        all.push(One {
            pump: Arc::clone(&pump),
            room,
        });
        Ok(pump)
    }

    /// Remembers that a connection takes no more channels than these.
    async fn is_full(&self, pump: &Arc<Pump>, channels: usize) {
        let mut all = self.all.lock().await;
        let mut same = all.iter_mut().filter(|one| Arc::ptr_eq(&one.pump, pump));
        same.by_ref().for_each(|one| one.room = one.room.min(channels));
    }
}

#[async_trait]
impl Remote for Pool {
    async fn open(&self, command: &str) -> Result<RemoteChannel, ClusterError> {
        loop {
            let pump = self.with_room().await?;
            match pump.open(command).await {
                Ok(channel) => return Ok(channel),
                Err(error) => {
                    let others = pump.channels();
                    if others == 0 || pump.is_broken() {
                        return Err(error);
                    }
                    self.is_full(&pump, others).await;
                }
            }
        }
    }

    async fn upload(&self, file: &Path, to: &str, mode: i32) -> Result<(), ClusterError> {
        self.with_room().await?.upload(file, to, mode).await
    }

    async fn give_up(&self) {
        self.all.lock().await.iter().for_each(|one| one.pump.break_off());
    }
}
