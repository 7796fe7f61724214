//! What became of messages, request by request: the vocabulary that queues, streams and effects share.
//!
//! A [`Request`] is one logical operation of a client, whatever number of attempts it took. It touches any number of
//! messages: an `enqueue` one, a `drain` or a transaction of a stream many.
//!
//! ```text
//! {"f":"enqueue","key":"q","value":7}               send 7 to q
//! {"f":"dequeue","key":"q"} → 7                     receive 7 from q
//! {"f":"txn","value":[["send",2,[31,7]],            send 7 to partition 2, at offset 31
//!                     ["poll",{"1":[[8,5]]}]]}      receive 5 from partition 1, at offset 8
//! {"f":"increment","key":"c","value":1}             an effect of 1 on c
//! ```

use crate::history::values::FastMap;
use crate::history::{EventType, Token, Val, Values};

/// No offset, no lease.
pub const NONE: u64 = u64::MAX;

/// One operation of a client: where it began, how it ended.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Index of its invocation in the history.
    pub index: u64,
    /// Index of its completion; [`NONE`] if it has none.
    pub end: u64,
    /// Nanoseconds since the run began.
    pub invoked: u64,
    /// Nanoseconds since the run began; [`NONE`] if it has no completion.
    pub ended: u64,
    /// Who asked.
    pub process: u64,
    /// How it ended: `ok`, `fail` or `info`.
    pub outcome: EventType,
    /// How often it was tried on the wire without an answer that proves that nothing happened, as far as that was recorded.
    pub attempts: u16,
    /// Whether it was sent once more when it had ended.
    pub sent_again: bool,
    /// Who it is to the system: the client of its token, else its process.
    pub producer: Val,
}

impl Request {
    /// Index of the event by which it had certainly taken effect; [`NONE`] if nobody knows.
    pub fn settled(&self) -> u64 {
        match self.outcome {
            EventType::Ok => self.end,
            _ => NONE,
        }
    }

    /// Whether it ended before another began, and so took effect before it.
    pub fn precedes(&self, later: &Request) -> bool {
        self.settled() < later.index
    }

    /// Whether it happened.
    pub fn is_ok(&self) -> bool {
        self.outcome == EventType::Ok
    }

    /// Whether nobody knows if it happened.
    pub fn is_unknown(&self) -> bool {
        self.outcome == EventType::Info
    }
}

/// What a request did to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TouchKind {
    /// Put it into a queue or a stream.
    Send,
    /// Got it.
    Receive,
    /// Said that a consumer is done with it.
    Ack,
    /// Gave it back.
    Nack,
    /// Found the queue empty, or emptied it. About no message.
    Empty,
    /// May have taken one message, and nobody knows which. About no message.
    Take,
    /// May have taken any number: a drain, or a poll of unknown outcome. About no message.
    TakeAll,
    /// Chose a partition to poll, by itself. [`Val::NONE`] as the stream: all former ones are given up.
    Assign,
    /// Chose a topic to poll, whose partitions the system deals out.
    Subscribe,
    /// The system took the partition away or gave it meanwhile.
    Rebalance,
    /// Said of the message just sent which message it was made from: partition and offset. Its key is `[by, epoch]`.
    Output,
    /// Sent what follows in the request as this producer (its value), in the session of this epoch (its offset).
    As,
    /// Asked for the same send once more, after it had been answered.
    Replay,
    /// Committed how far a group (its value) has come in a partition: the next offset.
    Commit,
    /// Asked to be a member of a group (its value), or said that it is still there. Its key is `[member, generation]`.
    Join,
    /// Was told by the system how far a group (its value) has come in a partition that was dealt to the process: the next offset.
    Dealt,
    /// Asked for an effect: an amount, or the id of a request.
    Effect,
    /// Read the state that effects are applied to.
    State,
}

/// One message in one request.
#[derive(Clone, Copy, Debug)]
pub struct Touch {
    /// Position of the request in the journal.
    pub request: u32,
    /// What was done.
    pub kind: TouchKind,
    /// The queue, partition or object; [`Val::NONE`] where a history has only one.
    pub stream: Val,
    /// The message.
    pub value: Val,
    /// Of a send to a queue its ordering key, of a send to a partition too; [`Val::NONE`]: none.
    pub key: Val,
    /// Of a stream the offset, of a delivery from a queue the time at which its lease ends, in nanoseconds since the run
    /// began; [`NONE`]: not known. Of a take 0 if what it may have taken is only lent; of an empty queue 0 if nothing in it was lent.
    pub at: u64,
}

/// What a history is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    /// `enqueue`, `dequeue`, `ack`, `nack`, `drain`.
    Queue,
    /// `send`, `poll`, `txn`, `assign`, `subscribe`.
    Stream,
    /// `add`, `increment`, `decrement`, `append`; `read`.
    Effects,
}

/// All requests of a history, and what they did to messages.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    /// Names of queues, partitions, messages.
    pub values: Values,
    /// In the order in which they were read.
    pub requests: Vec<Request>,
    /// Those of one request stand together, in their order.
    pub touches: Vec<Touch>,
    /// What it is about; `None`: nothing.
    pub shape: Option<Shape>,
    /// When nodes were being restarted, in nanoseconds since the run began.
    pub restarts: Vec<(u64, u64)>,
    /// What may have upset streams.
    pub(super) upsets: Upsets,
    /// Which kinds there are among the touches, a bit each.
    kinds: u32,
}

/// Moments, in nanoseconds since the run began, at which clients of streams did what duplicates and losses may come from.
#[derive(Clone, Debug, Default)]
pub(super) struct Upsets {
    /// By producer: another session was asked for.
    pub sessions: FastMap<Val, Vec<u64>>,
    /// By partition and message: its send was asked for again, after its answer.
    pub replays: FastMap<(Val, Val), u64>,
    /// By request, by its position in the journal: a commit of an earlier transaction came again in its midst.
    pub late: FastMap<u32, u64>,
    /// By partition: it was dealt to another process than before. The process that has it now, and when.
    pub deals: FastMap<Val, (u64, Vec<u64>)>,
}

impl Journal {
    /// The request of a touch.
    pub fn request(&self, touch: &Touch) -> &Request {
        &self.requests[touch.request as usize]
    }

    /// The request at this position.
    pub fn request_at(&self, position: u32) -> &Request {
        &self.requests[position as usize]
    }

    /// Whether requests of several sessions of one producer did these.
    pub(super) fn other_sessions(&self, touches: &[&Touch]) -> bool {
        let session = |touch: &&Touch| {
            let mut of = self.touches_of(touch.request).iter();
            of.find(|touch| touch.kind == TouchKind::As)
                .map(|session| (session.value, session.at))
        };
        let sessions: Vec<(Val, u64)> = touches.iter().filter_map(session).collect();
        (sessions.windows(2)).any(|pair| pair[0].0 == pair[1].0 && pair[0].1 != pair[1].1)
    }

    /// Whether the partition of a touch was dealt to another process since its request began.
    pub(super) fn changed_hands(&self, touch: &Touch, until: Option<&Request>) -> bool {
        let (from, to) = (
            self.request(touch).invoked,
            until.map_or(u64::MAX, |until| until.ended),
        );
        let deals = self.upsets.deals.get(&touch.stream);
        deals.is_some_and(|(_, deals)| deals.iter().any(|at| (from..=to).contains(at)))
    }

    /// Notes what the last request did.
    pub(super) fn note(&mut self, kind: TouchKind, stream: Val, value: Val, key: Val, at: u64) {
        self.kinds |= 1 << kind as u32;
        self.touches.push(Touch {
            request: self.requests.len() as u32 - 1,
            kind,
            stream,
            value,
            key,
            at,
        });
    }

    /// Who a process is to the system: the client of its token, if it has one.
    pub(super) fn producer(&mut self, token: Option<Token>, process: u64) -> Val {
        match token {
            Some(token) => self.values.text(&token.client),
            None => Val::int(process).unwrap_or(Val::NONE),
        }
    }

    /// Whether anything was done so to a message.
    pub fn has(&self, kind: TouchKind) -> bool {
        self.kinds & 1 << kind as u32 != 0
    }

    /// Everything that was done to one message, in the order of invocation.
    pub fn life(&self, stream: Val, value: Val) -> Vec<Touch> {
        let mut touches: Vec<Touch> = (self.touches.iter())
            .filter(|touch| touch.stream == stream && touch.value == value && touch.kind.is_of_message())
            .copied()
            .collect();
        touches.sort_by_key(|touch| self.request(touch).index);
        touches
    }

    /// Everything that one request did, by its position.
    pub fn touches_of(&self, request: u32) -> &[Touch] {
        let from = self.touches.partition_point(|touch| touch.request < request);
        let count = self.touches[from..]
            .iter()
            .take_while(|touch| touch.request == request)
            .count();
        &self.touches[from..from + count]
    }

    /// Hands over the positions of all touches in the order in which their requests were invoked.
    pub(super) fn in_order(&self, mut take: impl FnMut(u32)) {
        let count = self.touches.len() as u32;
        if self.requests.is_sorted_by_key(|request| request.index) {
            return (0..count).for_each(take);
        }
        // Of each request the position of its first touch, and one more.
        let mut starts: Vec<u32> = Vec::with_capacity(self.requests.len() + 1);
        for (position, touch) in (0..).zip(&self.touches) {
            while starts.len() <= touch.request as usize {
                starts.push(position);
            }
        }
        starts.resize(self.requests.len() + 1, count);
        let mut order: Vec<u32> = (0..self.requests.len() as u32).collect();
        order.sort_by_key(|&request| self.request_at(request).index);
        for request in order {
            let of = starts[request as usize]..starts[request as usize + 1];
            of.for_each(&mut take);
        }
    }

    /// Bytes of memory in use, about.
    pub fn bytes(&self) -> usize {
        self.values.bytes()
            + self.requests.capacity() * size_of::<Request>()
            + self.touches.capacity() * size_of::<Touch>()
    }

    /// Whether nodes were restarted between two moments, in nanoseconds since the run began.
    pub(super) fn restarted(&self, from: u64, to: u64) -> bool {
        self.restarts
            .iter()
            .any(|&(began, ended)| began <= to && ended >= from)
    }
}

impl TouchKind {
    /// Whether it is about one message.
    pub(super) fn is_of_message(self) -> bool {
        matches!(
            self,
            TouchKind::Send
                | TouchKind::Receive
                | TouchKind::Ack
                | TouchKind::Nack
                | TouchKind::Effect
                | TouchKind::Replay
        )
    }
}
