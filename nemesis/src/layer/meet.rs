//! How calls meet the rules: done at once, later, or not at all.

use std::ffi::{OsStr, OsString};
use std::sync::Arc;
use std::thread;

use fuser::{Errno, INodeNo, ReplyEmpty};
use rustix::io::Result;

use super::below::Below;
use super::call::Call;
use super::inodes::PROBE;
use super::rules::{Fate, Rules, Seen};

/// Of a call that was never done.
pub const EIO: i32 = rustix::io::Errno::IO.raw_os_error();

/// What a call is about.
#[derive(Clone)]
pub enum About {
    File(INodeNo),
    Name(INodeNo, OsString),
}

/// The directory below, and what is done to calls.
pub struct Layer {
    pub below: Below,
    pub rules: Rules,
}

/// For the kernel.
pub struct FileSystem(pub Arc<Layer>);

/// Whether a name is the agent's.
fn is_probe(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(PROBE.as_bytes())
}

/// As FUSE has it.
pub fn error(errno: rustix::io::Errno) -> Errno {
    Errno::from_i32(errno.raw_os_error())
}

impl Layer {
    /// What becomes of a call.
    pub fn fate(
        &self,
        call: Call,
        also: Option<Call>,
        about: &About,
        tears: &dyn Fn(u64) -> Vec<u64>,
        takes_space: &dyn Fn() -> bool,
    ) -> Fate {
        let inodes = &self.below.inodes;
        self.rules.decide(&Seen {
            call,
            also,
            tears,
            probe: match about {
                About::File(number) => inodes.is_probe(*number),
                About::Name(_, name) => is_probe(name),
            },
            path: &|| match about {
                About::File(number) => inodes
                    .get(*number)
                    .map_or_else(|_| String::new(), |inode| inodes.path(&inode)),
                About::Name(parent, name) => inodes.path_in(*parent, name),
            },
            takes_space,
        })
    }
}

impl FileSystem {
    /// Removes a name. One of the agent's goes in any case: what becomes of the call is all that is asked.
    pub fn remove(&self, parent: INodeNo, name: &OsStr, directory: bool, reply: ReplyEmpty) {
        let name = name.to_owned();
        let probe = is_probe(&name);
        let removed = probe.then(|| self.0.below.unlink(parent, &name, directory));
        let about = (Call::Unlink, About::Name(parent, name.clone()));
        let work =
            move |layer: &Layer| removed.unwrap_or_else(|| layer.below.unlink(parent, &name, directory));
        self.act(about, reply, work, |reply, done| match done {
            Ok(()) => reply.ok(),
            Err(errno) => reply.error(errno),
        });
    }

    /// Does the work at once, or later on a thread of its own, or not at all, as the rules say.
    pub fn act<T, R: Send + 'static>(
        &self,
        (call, about): (Call, About),
        reply: R,
        work: impl FnOnce(&Layer) -> Result<T> + Send + 'static,
        answer: impl FnOnce(R, std::result::Result<T, Errno>) + Send + 'static,
    ) {
        let takes_space = || matches!(call, Call::Create | Call::Mkdir | Call::Allocate | Call::Truncate);
        match self.0.fate(call, None, &about, &|_| Vec::new(), &takes_space) {
            Fate::Passes => answer(reply, work(&self.0).map_err(error)),
            Fate::Fails(errno) => answer(reply, Err(Errno::from_i32(errno))),
            fate => {
                let layer = Arc::clone(&self.0);
                thread::spawn(move || {
                    let done = match fate {
                        Fate::Late(by) => {
                            thread::sleep(by);
                            work(&layer).map_err(error)
                        }
                        _ => match layer.rules.wait_until_let_go() {
                            true => work(&layer).map_err(error),
                            // The process that waits for this is dead by then.
                            false => Err(Errno::from_i32(EIO)),
                        },
                    };
                    answer(reply, done);
                });
            }
        }
    }
}
