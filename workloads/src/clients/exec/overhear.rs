//! Listening to what programs are asked, and what they answer: for people who look, not for a load.
//!
//! ```text
//! let (answer, exchanges) = overhear(service.attempt(…)).await;
//! ```

use std::cell::RefCell;

/// A question, and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exchange {
    /// The line that was written to the program.
    pub sent: Vec<u8>,
    /// The line that it wrote, or what it wrote instead of one. `None`: nothing, or it was given up before.
    pub received: Option<Vec<u8>>,
    /// What it wrote to its standard error meanwhile.
    pub errors: Vec<u8>,
}

/// Of what a program writes to its standard error while it is asked one thing this much is kept, in bytes.
const ERRORS_MAX: usize = 10_000;

tokio::task_local! {
    static HEARD: RefCell<Vec<Exchange>>;
}

/// Does the work, and gives back all that programs were asked for it, in order. Tasks that it spawns are not listened to.
pub async fn overhear<F: Future>(work: F) -> (F::Output, Vec<Exchange>) {
    let heard = RefCell::default();
    HEARD
        .scope(heard, async {
            let result = work.await;
            (result, HEARD.with(RefCell::take))
        })
        .await
}

/// Notes an exchange, if somebody listens.
pub(super) fn note(exchange: impl FnOnce() -> Exchange) {
    let _ = HEARD.try_with(|heard| heard.borrow_mut().push(exchange()));
}

/// Notes a question, if somebody listens.
pub(super) fn sent(line: &[u8]) {
    note(|| Exchange {
        sent: line.to_vec(),
        ..Exchange::default()
    });
}

/// Notes what came for the last question.
pub(super) fn received(line: &[u8]) {
    last(|exchange| exchange.received = (!line.is_empty()).then(|| line.to_vec()));
}

/// Notes what the program wrote to its standard error.
pub(super) fn errors(bytes: &[u8]) {
    last(|exchange| {
        let room = ERRORS_MAX.saturating_sub(exchange.errors.len());
        exchange.errors.extend_from_slice(&bytes[..bytes.len().min(room)]);
    });
}

fn last(change: impl FnOnce(&mut Exchange)) {
    let _ = HEARD.try_with(|heard| heard.borrow_mut().last_mut().map(change));
}
