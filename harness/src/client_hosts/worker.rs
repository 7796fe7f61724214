//! The worker on a client's host.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, BufRead as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use duress_cluster::clock_offset::monotonic_ns;
use duress_cluster::ssh::SILENCE_MAX;
use duress_workloads::clients::{self, Definition, Options};
use duress_workloads::{Asker, Op, Service};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::{Asked, Done, Request, Said, Setup, Told, What};
use crate::commands::fail;
use crate::exit;

/// For what is said last.
const LAST_WORDS_MAX: Duration = Duration::from_secs(1);

/// Answers until its input ends, or until nothing is heard any more.
pub fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error, exit::HARNESS_FAILURE),
    };
    runtime.block_on(work());
    // Attempts that are under way are nobody's any more.
    runtime.shutdown_background();
    ExitCode::SUCCESS
}

async fn work() {
    let (hear, mut heard) = mpsc::unbounded_channel();
    // Threads of their own: reading and writing wait for whoever is at the other end.
    thread::spawn(move || {
        let lines = io::stdin().lock().lines().map_while(Result::ok);
        lines.into_iter().try_for_each(|line| hear.send(line)).ok()
    });
    let (tell, told) = std::sync::mpsc::channel::<Told>();
    let writes = thread::spawn(move || write(&told));
    answer(&mut heard, &tell).await;
    drop(tell);
    // What is said already is still written, as long as somebody reads.
    let _ = tokio::time::timeout(LAST_WORDS_MAX, tokio::task::spawn_blocking(|| writes.join())).await;
}

/// Until nobody says anything more, or nobody reads it.
fn write(told: &Receiver<Told>) -> Option<()> {
    let mut output = io::stdout().lock();
    while let Ok(told) = told.recv() {
        let mut line = serde_json::to_vec(&told).ok()?;
        line.push(b'\n');
        output.write_all(&line).and_then(|()| output.flush()).ok()?;
    }
    Some(())
}

/// What is heard next. `None`: the controller is gone, whether that was seen or not.
async fn next(heard: &mut mpsc::UnboundedReceiver<String>) -> Option<String> {
    tokio::time::timeout(SILENCE_MAX, heard.recv())
        .await
        .ok()
        .flatten()
}

async fn answer(heard: &mut mpsc::UnboundedReceiver<String>, tell: &Sender<Told>) {
    let say = |id, what| drop(tell.send(Told { id, what }));
    let Some(first) = next(heard).await else {
        return;
    };
    let service: Arc<dyn Service> = match serde_json::from_str(&first)
        .map_err(|error| error.to_string())
        .and_then(|setup| make(&setup))
    {
        Ok(service) => Arc::from(service),
        Err(why) => return say(0, Said::Unable(why)),
    };
    say(0, Said::Ready(true));
    let mut functions = Functions::default();
    let running: Arc<Mutex<HashMap<u64, AbortHandle>>> = Arc::default();
    let lock = |running: &Mutex<HashMap<u64, AbortHandle>>, id| {
        running.lock().unwrap_or_else(PoisonError::into_inner).remove(&id)
    };
    while let Some(line) = next(heard).await {
        let Ok(Asked { id, what }) = serde_json::from_str(&line) else {
            continue;
        };
        match what {
            What::Clock => say(id, Said::Clock(monotonic_ns())),
            What::Drop => {
                if let Some(attempt) = lock(&running, id) {
                    attempt.abort();
                }
            }
            What::Attempt(request) => {
                let f = functions.named(&request.f);
                let (service, tell, all) = (Arc::clone(&service), tell.clone(), Arc::clone(&running));
                // Entered while nobody else can take it out, so that it is out again when it has ended.
                let mut entered = running.lock().unwrap_or_else(PoisonError::into_inner);
                let attempt = tokio::spawn(async move {
                    let done = attempt(&*service, f, *request).await;
                    lock(&all, id);
                    drop(tell.send(Told {
                        id,
                        what: Said::Done(done),
                    }));
                });
                entered.insert(id, attempt.abort_handle());
            }
        }
    }
}

fn make(setup: &Setup) -> Result<Box<dyn Service>, String> {
    let definition = Definition {
        text: &setup.definition,
        folder: Path::new("."),
    };
    let kind = clients::of(&setup.client, &definition).map_err(|problem| problem.to_string())?;
    let options = Options {
        from: None,
        read: setup.read,
        lease: setup.lease,
        long_writes: setup.long_writes,
        body_max: setup.body_max,
        programs: None,
    };
    (kind.make)(options).map_err(|error| error.to_string())
}

async fn attempt(service: &dyn Service, f: &'static str, request: Request) -> Done {
    let op = Op {
        f,
        key: request.key,
        value: request.value,
        idempotent: request.idempotent,
    };
    let asker = Asker {
        process: request.process,
        token: request.token.as_ref(),
    };
    let start = monotonic_ns();
    let answer = service.attempt(&request.endpoint, &op, asker).await;
    Done {
        answer,
        start,
        end: monotonic_ns(),
    }
}

/// Names of functions, which live as long as the worker. A workload has a handful.
#[derive(Default)]
struct Functions(BTreeSet<&'static str>);

impl Functions {
    fn named(&mut self, name: &str) -> &'static str {
        if let Some(known) = self.0.get(name) {
            return known;
        }
        let name = Box::leak(name.to_owned().into_boxed_str());
        self.0.insert(name);
        name
    }
}
