//! The line to the keeper of a node on a host: what a sandbox's init says and is told, over SSH.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{Mutex, watch};
use tokio::task::AbortHandle;

use super::{Host, RemoteChannel, SILENCE_MAX};
use crate::ClusterError;
use crate::local::{Heard, ON_HOST, Order};

/// Between two signs of life.
const ALIVE_INTERVAL: Duration = Duration::from_secs(3);

/// A keeper that runs. Dropping it ends the node.
pub(super) struct Keeper {
    input: std::sync::Arc<Mutex<Option<OwnedWriteHalf>>>,
    pub heard: watch::Receiver<Heard>,
    alive: AbortHandle,
}

impl Keeper {
    /// Starts it.
    pub async fn start(host: &Host, duress: &str, node: &str) -> Result<Keeper, ClusterError> {
        let silence = SILENCE_MAX.as_millis().to_string();
        let command = host.as_root([duress, "sandbox", ON_HOST, &silence, node]);
        let RemoteChannel { input, output, ended } = host.remote.open(&command).await?;
        let (tell, heard) = watch::channel(Heard::nothing());
        let name = host.name.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                tell.send_modify(|heard| heard.hear(&line));
            }
            let how = ended
                .await
                .map_or("its connection was closed".to_owned(), |end| end.how());
            tell.send_modify(|heard| heard.end(&format!("it ended on {name}: {how}")));
        });
        let input = std::sync::Arc::new(Mutex::new(Some(input)));
        let line = std::sync::Arc::clone(&input);
        let alive = tokio::spawn(async move {
            loop {
                tokio::time::sleep(ALIVE_INTERVAL).await;
                if write(&line, &Order::Alive).await.is_err() {
                    return;
                }
            }
        });
        let alive = alive.abort_handle();
        Ok(Keeper { input, heard, alive })
    }

    /// Tells it what to do.
    pub async fn order(&self, order: &Order) -> std::io::Result<()> {
        write(&self.input, order).await
    }

    /// The order to die.
    pub async fn hang_up(&self) {
        self.alive.abort();
        self.input.lock().await.take();
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.alive.abort();
    }
}

async fn write(input: &Mutex<Option<OwnedWriteHalf>>, order: &Order) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(order).map_err(std::io::Error::other)?;
    line.push(b'\n');
    match input.lock().await.as_mut() {
        Some(input) => input.write_all(&line).await,
        None => Err(std::io::Error::other("the node was taken down")),
    }
}
