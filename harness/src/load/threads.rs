//! Threads for clients alone.

use tokio::runtime::{Handle, Runtime};

/// The clients' own threads, which end with the clients.
pub(super) struct Threads {
    pub handle: Handle,
    runtime: Option<Runtime>,
}

impl Threads {
    pub fn start() -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads((cores / 2).max(1))
            .thread_name("duress-clients")
            .enable_all()
            .build()?;
        Ok(Threads {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Whoever drops it may be a task, which must not wait for threads to end.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
