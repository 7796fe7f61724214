//! The line to the keeper of a node on a host: what a sandbox's init says and is told, over SSH.
//!
//! When the connection breaks, the node goes on. Its keeper is spoken to by the next one: as soon as there is one, and until it has heard
//! nothing for [`SILENCE_MAX`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{Mutex as AsyncMutex, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout_at};

use super::machines::Machine;
use super::{Host, RemoteChannel, SILENCE_MAX};
use crate::ClusterError;
use crate::local::{ATTACH, Heard, NOBODY, ON_HOST, Order};

/// Between two signs of life.
const ALIVE_INTERVAL: Duration = Duration::from_secs(3);
/// Between two tries to make a connection again.
const TRY_INTERVAL: Duration = Duration::from_millis(300);

/// A keeper that runs. Dropping it ends the node, in [`SILENCE_MAX`].
pub(super) struct Keeper {
    line: Arc<Line>,
    pub heard: watch::Receiver<Heard>,
    tasks: [AbortHandle; 2],
}

/// Where orders go.
struct Line {
    /// `None`: there is no connection.
    input: AsyncMutex<Option<OwnedWriteHalf>>,
    /// Whether there is one.
    is_up: watch::Sender<bool>,
    /// The node is to end.
    over: watch::Sender<bool>,
    /// The newest start, which may have been lost with its connection.
    start: Mutex<Option<(u64, Vec<u8>)>>,
}

impl Keeper {
    /// Starts it.
    pub async fn start(machine: &Machine) -> Result<Keeper, ClusterError> {
        let Machine {
            host,
            node,
            duress,
            folder,
        } = machine;
        let silence = SILENCE_MAX.as_millis().to_string();
        let command = host.as_root([duress, "sandbox", ON_HOST, &silence, folder, &node.name]);
        let attach = host.as_root([duress, "sandbox", ATTACH, folder]);
        let channel = host.remote.open(&command).await?;
        let (tell, heard) = watch::channel(Heard::nothing());
        let line = Arc::new(Line {
            input: AsyncMutex::new(None),
            is_up: watch::channel(false).0,
            over: watch::channel(false).0,
            start: Mutex::default(),
        });
        let listener = Listener {
            host: host.clone(),
            attach,
            line: Arc::clone(&line),
            tell,
        };
        let listening = tokio::spawn(listener.until_it_ends(channel));
        let spoken = Arc::clone(&line);
        let alive = tokio::spawn(async move {
            loop {
                sleep(ALIVE_INTERVAL).await;
                let _ = spoken.write(&Order::Alive).await;
            }
        });
        Ok(Keeper {
            line,
            heard,
            tasks: [listening.abort_handle(), alive.abort_handle()],
        })
    }

    /// Tells it what to do, as soon as there is a connection. The error, in words, is why it can't be told.
    pub async fn order(&self, order: &Order) -> Result<(), String> {
        if let Order::Start(start) = order {
            let mut newest = self.line.newest_start();
            *newest = Some((start.id, line_of(order)?));
        }
        self.until_up().await?;
        self.line.write(order).await
    }

    /// Returns when it can be spoken to. The error says why it never will be.
    pub async fn until_up(&self) -> Result<(), String> {
        let mut is_up = self.line.is_up.subscribe();
        let mut heard = self.heard.clone();
        tokio::select! {
            _ = is_up.wait_for(|is_up| *is_up) => Ok(()),
            ended = heard.wait_for(|heard| heard.ended.is_some()) => {
                let ended = ended.ok().and_then(|heard| heard.ended.clone());
                Err(ended.unwrap_or_else(|| "its listener ended".to_owned()))
            }
        }
    }

    /// The order to die.
    pub async fn hang_up(&self) {
        self.line.over.send_replace(true);
        let _ = self.line.write(&Order::End).await;
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Line {
    fn newest_start(&self) -> std::sync::MutexGuard<'_, Option<(u64, Vec<u8>)>> {
        self.start.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn write(&self, order: &Order) -> Result<(), String> {
        self.write_line(&line_of(order)?).await
    }

    async fn write_line(&self, line: &[u8]) -> Result<(), String> {
        match self.input.lock().await.as_mut() {
            Some(input) => input.write_all(line).await.map_err(|error| error.to_string()),
            None => Err("there is no connection to it".to_owned()),
        }
    }
}

fn line_of(order: &Order) -> Result<Vec<u8>, String> {
    let mut line = serde_json::to_vec(order).map_err(|error| error.to_string())?;
    line.push(b'\n');
    Ok(line)
}

/// How a connection to a keeper ended.
struct Ended {
    said: String,
    /// It broke: the keeper may live.
    broke: bool,
    /// There is no keeper any more.
    gone: bool,
}

/// Hears what the keeper says, by one connection after the other.
struct Listener {
    host: Host,
    attach: String,
    line: Arc<Line>,
    tell: watch::Sender<Heard>,
}

impl Listener {
    async fn until_it_ends(self, first: RemoteChannel) {
        let mut channel = first;
        let mut heard = Instant::now();
        let mut how = String::new();
        loop {
            let ended = self.hear(channel, &mut heard).await;
            if ended.gone {
                return self.end(&how);
            }
            how = ended.said;
            if *self.line.over.borrow() && !ended.broke {
                return self.end(&how);
            }
            match self.again(heard + SILENCE_MAX).await {
                Some(next) => channel = next,
                None => {
                    return self.end(&format!(
                        "{how}, and no other could be made within {SILENCE_MAX:?}"
                    ));
                }
            }
        }
    }

    /// Another connection to the same keeper.
    async fn again(&self, deadline: Instant) -> Option<RemoteChannel> {
        while Instant::now() < deadline {
            sleep(TRY_INTERVAL).await;
            if let Ok(channel) = timeout_at(deadline, self.host.remote.open(&self.attach))
                .await
                .ok()?
            {
                return Some(channel);
            }
        }
        None
    }

    fn end(&self, how: &str) {
        let name = &self.host.name;
        self.tell
            .send_modify(|heard| heard.end(&format!("it ended on {name}: {how}")));
    }

    /// Until this connection ends. Says when something was heard by it the last time.
    async fn hear(&self, channel: RemoteChannel, heard: &mut Instant) -> Ended {
        let RemoteChannel { input, output, ended } = channel;
        *self.line.input.lock().await = Some(input);
        let mut lines = BufReader::new(output).lines();
        let mut is_first = true;
        while let Ok(Some(line)) = lines.next_line().await {
            *heard = Instant::now();
            self.tell.send_modify(|heard| heard.hear(&line));
            if std::mem::take(&mut is_first) {
                self.said_again().await;
                self.line.is_up.send_replace(true);
            }
        }
        if !is_first {
            // What stood until now was heard of by signs of life, too.
            *heard = Instant::now();
        }
        self.line.is_up.send_replace(false);
        self.line.input.lock().await.take();
        match ended.await {
            Ok(end) => Ended {
                said: end.how(),
                broke: end.broke,
                gone: end.status == Some(NOBODY),
            },
            Err(_) => Ended {
                said: "its connection was closed".to_owned(),
                broke: true,
                gone: false,
            },
        }
    }

    /// What may not have arrived by the connection before.
    async fn said_again(&self) {
        let answered = self.tell.borrow().answer.as_ref().map_or(0, |(id, _)| *id);
        let start = self.line.newest_start().clone();
        if let Some((id, line)) = start
            && id > answered
        {
            let _ = self.line.write_line(&line).await;
        }
        if *self.line.over.borrow() {
            let _ = self.line.write(&Order::End).await;
        }
    }
}
