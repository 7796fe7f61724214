//! A socket here that leads to an engine elsewhere, so that the Compose tool and we need no more than a path, whichever way there is.
//!
//! ```text
//! docker-compose ──┐
//!                  ├─▶ /tmp/duress-engine-4711-0/engine.sock ── TLS or SSH ──▶ the engine
//! Engine ──────────┘
//! ```
//!
//! Only this user can enter its folder. A connection is made there for each that is made here, and ends with it.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::UnixListener;
use tokio::task::AbortHandle;

use super::way::Way;

/// The socket, as long as this lives and the runtime that it was opened on.
pub struct Line {
    folder: PathBuf,
    socket: PathBuf,
    listening: AbortHandle,
}

impl Line {
    /// Opens it.
    pub fn open(way: Way) -> io::Result<Line> {
        let folder = own_folder()?;
        let socket = folder.join("engine.sock");
        let listener = UnixListener::bind(&socket).inspect_err(|_| drop(std::fs::remove_dir(&folder)))?;
        let listening = tokio::spawn(serve(listener, Arc::new(way))).abort_handle();
        Ok(Line {
            folder,
            socket,
            listening,
        })
    }

    /// Where it is.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.listening.abort();
        let _ = std::fs::remove_file(&self.socket);
        let _ = std::fs::remove_dir(&self.folder);
    }
}

async fn serve(listener: UnixListener, way: Arc<Way>) {
    // An error is about one connection, or about too many of them; whoever asked sees his closed and says so.
    loop {
        let Ok((mut here, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let way = way.clone();
        tokio::spawn(async move {
            if let Ok(mut there) = way.dial().await {
                let _ = copy_bidirectional(&mut here, &mut there).await;
            }
        });
    }
}

/// A folder that nobody else has and that only this user can enter.
fn own_folder() -> io::Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("duress-engine-{}-{number}", std::process::id()));
        match DirBuilder::new().mode(0o700).create(&folder) {
            // Left by a process that had this number before.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| folder),
        }
    }
}
