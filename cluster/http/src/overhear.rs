//! Listening to what a piece of work asks of nodes, and what they answer: for people who look, not for a load.
//!
//! ```text
//! let (answer, exchanges) = overhear(service.attempt(…)).await;
//! ```

use std::cell::RefCell;

use crate::{Reply, Request, RequestError};

/// A request, and what became of it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// What was sent, or was to be.
    pub request: Request,
    /// `None`: it was given up before there was an answer.
    pub answered: Option<Result<Reply, RequestError>>,
}

tokio::task_local! {
    static HEARD: RefCell<Vec<Exchange>>;
}

/// Does the work, and gives back all that it asked by any [`Client`](crate::Client), in order. Tasks that it spawns are not
/// listened to.
pub async fn overhear<F: Future>(work: F) -> (F::Output, Vec<Exchange>) {
    let heard = RefCell::default();
    HEARD
        .scope(heard, async {
            let result = work.await;
            (result, HEARD.with(RefCell::take))
        })
        .await
}

/// Notes a request, if somebody listens. Gives its number.
pub(crate) fn begin(request: &Request) -> Option<usize> {
    let note = |heard: &RefCell<Vec<Exchange>>| {
        let mut heard = heard.borrow_mut();
        heard.push(Exchange {
            request: request.clone(),
            answered: None,
        });
        heard.len() - 1
    };
    HEARD.try_with(note).ok()
}

/// Notes what became of it.
pub(crate) fn end(number: Option<usize>, answered: &Result<Reply, RequestError>) {
    let Some(number) = number else { return };
    let _ = HEARD.try_with(|heard| {
        if let Some(exchange) = heard.borrow_mut().get_mut(number) {
            exchange.answered = Some(answered.clone());
        }
    });
}
