//! Records: what happened, as observers see it.
//!
//! A record names the entry during which it was made, by (origin, number); [`What::Caused`] says which entry scheduled which.
//! Records fill a buffer under an interest mask and reach the observers in batches, in the total order of the entries: with
//! nobody interested they cost a test.

use crate::kernel::{SimTime, Ticket};
use serde::Serialize;

/// What a record says. The comment gives the meaning of the subject and of the three words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[repr(u8)]
pub enum What {
    /// The entry scheduled another. Subject: the other's target; a: its origin and number; b: when it is due; c: its kind. Said
    /// again if a timer is put off or a message is held up: the other keeps its place in the order of its origin.
    Caused,
    /// An agent came to life. Subject: the agent; a: its ordinal in its group.
    AgentStarted,
    /// An agent ended. Subject: the agent.
    AgentEnded,
    /// A task began. Subject: the agent; a: task identity; b: its name; c: activation.
    TaskStarted,
    /// A task ended. Subject: the agent; a: task identity; b: outcome in the low byte, name in the next two, 1 in bit 32 if a step
    /// in it was given up and the program went on; c: activation;
    /// extra: start, then the parts.
    TaskEnded,
    /// A message was sent. Subject: the sender; a: receiver and kind, and from bit 40 the topic of one between members; b: bytes; c: message identity.
    Sent,
    /// A message was lost. Subject: the receiver; a: sender and kind; b: cause; c: message identity;
    /// extra: bytes, and when it was sent.
    Lost,
    /// A message was delivered. Subject: the receiver; a: sender and kind; b: when it was sent; c: message identity;
    /// extra: bytes.
    Delivered,
    /// A full mailbox, or nobody to read it, dropped a message. Subject: the receiver; a: sender and topic; b: when
    /// it was sent.
    Dropped,
    /// An agent meant to call. Subject: the agent; a: call identity; b: server.
    CallStarted,
    /// An attempt left the client. Subject: the agent; a: call identity; b: server; c: attempt number from 1;
    /// extra: when the call began, and a word more, 1, if it is a hedge.
    AttemptSent,
    /// A client gave an attempt up. Subject: the agent; a: call identity; b: server; c: attempt number.
    AttemptTimedOut,
    /// An answer came and was used. Subject: the agent; a: call identity; b: server; c: attempt number; extra: sent, arrived,
    /// started, finished, down, coordinated, when the answer was there (earlier than now if the agent stood still), stood, undone
    /// ([`crate::world::call::Attempt`] says what these are), and of a gateway's answer the call of its own that it was found out by, or 0.
    AttemptAnswered,
    /// A refusal came back. Subject: the agent; a: call identity; b: server; c: attempt number.
    AttemptRefused,
    /// An answer came that nobody waited for. Subject: the agent; a: call identity; b: server.
    AnswerUnused,
    /// A call ended. Subject: the agent; a: call identity; b: server; c: 1 answered, 0 failed, 2 given up with its
    /// activation; extra: start, attempts, and of a failed call how often it was executed.
    CallEnded,
    /// A request reached its server. Subject: the server; a: call identity; b: client; c: attempt number.
    RequestArrived,
    /// A request was turned away. Subject: the server; a: call identity; b: why; c: in queue.
    RequestRefused,
    /// Work on a request began. Subject: the server; a: call identity; b: arrival; c: tokens in (high) and out (low); extra: there
    /// is a word if it begins anew after a crash.
    ServiceStarted,
    /// Work on a request ended. Subject: the server; a: call identity; b: when it began; c: tokens in (high) and out
    /// (low); extra: arrival.
    ServiceFinished,
    /// A request's effect was applied. Subject: the server; a: call identity; b: how often before; c: 1 if the call had failed by
    /// then; extra: when the call began.
    Executed,
    /// A budget ran out. Subject: the server; a: which (0 calls, 1 tokens, 2 money).
    BudgetSpent,
    /// A server was crashed, and dropped a request. Subject: the server; a: call identity; b: 0 at the door of a server that was
    /// down, 1 if it waited, 2 if it was in work.
    RequestDropped,
    /// An update of shared state is accepted by a replica; what becomes of it follows. Subject: the replica; a: call identity;
    /// b: store and key; c: dot; extra: when the call began, agent (bit 32 set: the update builds on what the replica has heard,
    /// as all do but a write to a register that comes with a context; bit 33 set: its agent had before its eyes what is listed at
    /// the end, and that alone), the stamp, the operation (two words), the versions that
    /// the replica showed before, or what the agent had before its eyes. See [`crate::stores::words`].
    Accepted,
    /// A read was served. Subject: the replica, or the coordinator, or an agent that kept what it had read; a: call identity; b: store and key; c: attempt number; extra:
    /// when the call began, agent, and what it returned ([`crate::stores::words::ReplyWords`]).
    ReadServed,
    /// An operation's answer reached its agent. Subject: the agent; a: call identity; b: store and key; c: 1 for an update in
    /// bit 0, and above it the number of the attempt that was answered (0 if not said: the first that was served).
    OperationAcknowledged,
    /// An operation failed at its agent. Subject: the agent; a: call identity; b: store and key; c: 1 for an update in bit 0, and
    /// in bit 1 whether it was a conditional one that was answered, and refused, as often as its policy tries.
    OperationFailed,
    /// Effects became visible at a replica, or are kept there as siblings. Subject: the replica; a: store and key; b: origin
    /// (replica and life, 16 bits each); c: first and last number.
    Applied,
    /// A version was computed by a replica from another, whose effects live on in it. Subject: the replica; a: store and key;
    /// b: version; c: base.
    BuiltOn,
    /// The replica that accepted an insertion into a text found the place for it. Subject: the replica; a: store and key; b:
    /// version; c: the character before, as a word; all ones for none.
    Placed,
    /// The replica that accepted a deletion from a text found characters that it takes. Subject: the replica; a: store and key; b:
    /// version; c: the version that had inserted them; extra: the place of the first of them in that, and their number, in the
    /// two halves of a word.
    Took,
    /// An effect was outranked at a replica: it is not visible there any more, or never became so. Subject: the replica; a:
    /// store and key; b: loser; c: winner, or all ones where a merge repeats what another replica decided.
    Outranked,
    /// The visible value of a key changed at a replica; before the first such record it is the type's empty value. Subject: the
    /// replica; a: store and key; b: digest.
    Visible,
    /// What a replica shows of a key once the run is over and drained, if anything ever reached it. Subject: the replica; a: store and key;
    /// extra: versions.
    Holds,
    /// The state metadata of a replica once the run is over and drained: clocks, tombstones, siblings. Subject: the replica; a: store; b:
    /// bytes; c: how many deleted elements and characters are kept.
    Metadata,
    /// A fault began. Subject: its timeline; a: the fault's index; b: occurrence; c: which of the fault's targets it hits in the low
    /// half, and which member of that above it; all ones: all of them, or nobody in particular.
    FaultBegan,
    /// A fault ended. Subject, a, b and c: as where it began.
    FaultEnded,
    /// An entity crashed. Subject: it; a: 1 if its state is lost.
    Crashed,
    /// An entity came back. Subject: it.
    Restarted,
    /// An invariant was checked by the model itself and failed. Subject: the entity; a: which.
    Violated,
    /// A guess was right and its work used. Subject: the agent.
    GuessRight,
    /// A guess was wrong and its work thrown away. Subject: the agent.
    GuessWrong,
    /// The network made a copy of a message. Subject: the receiver; a: sender and kind; c: message identity; extra: bytes, and
    /// when it was sent.
    Duplicated,
    /// A request was let in, to wait or to be worked on. Subject: the server; a: call identity; b: 1 if it has to wait at the limit.
    Admitted,
    /// The measured time is over, and the answer to an attempt that its client still waits for is on its way. Subject: the client; a: call
    /// identity; b: server; c: attempt number; extra: when the work on it was over.
    AnswerUnderWay,
    /// A conditional update of shared state reached a replica, which compared versions. Subject: the replica; a: call identity;
    /// b: store and key; c: 1 if it was applied, 0 if the key had moved on.
    Swapped,
    /// A branch or a handler of an agent began. Subject: the agent; a: activation; b: the activation that forked it, or all ones
    /// for a handler; c: which branch.
    ActivationBegan,
    /// An activation is over. Subject: the agent; a: activation; b: 0 at its end, 1 thrown away.
    ActivationEnded,
    /// An activation began to work or to wait. Subject: the agent; a: activation; b: its state (`agents::activation::State`);
    /// c: when that is due, the call's identity, or the ask's message.
    StepBegan,
    /// What an activation worked on or waited for is settled. Subject: the agent; a: activation; b: how
    /// (`agents::activation::Settled`); c: the call's identity, or the message that came; extra: when it could go on, which is
    /// earlier than now if its agent stood still.
    StepEnded,
    /// An activation took an ask up. Subject: the agent; a: activation; c: the ask's message.
    AskTaken,
    /// An activation answered an ask. Subject: the agent; a: activation; b: the answer; c: the ask's message.
    AskReplied,
    /// An entity began to stand still. Subject: it.
    Paused,
    /// An entity went on. Subject: it.
    Resumed,
    /// An update that a coordinator has accepted, and logged, replaces another one, wherever it arrives. Subject: the replica; a:
    /// store and key; b: the one that is replaced; c: the update.
    Replaces,
    /// A replica told a coordinator what it holds of a key. Subject: the replica; a: call identity; b: store and key; c: a mark, which
    /// no other answer has; extra: what it holds ([`crate::stores::words::ReplyWords`]).
    EntryRead,
    /// A server works at another speed from now on, unless it is down. Subject: the server; a: the bits of the speed, a float: 0 is a
    /// standstill, 1 its own speed.
    Paced,
    /// A replica takes back all that it had applied of a key, and takes over what another one holds. Subject: the replica; a: store
    /// and key.
    TakenBack,
    /// Something happened to a lock. Subject: its service, unless the event says otherwise; a: the call by which it was asked for; b:
    /// and the extra word: see the event; c: the event ([`crate::services::lock::event`]).
    Lock,
    /// A replica took in an update of another one, in its order and after what it depends on; or it never could, which is said once
    /// the run is over and drained. Subject: the replica; a: store and key; b: the update's place in the order (origin and number over
    /// all keys); c: when it had come; extra: the bytes of its place and its dependencies on the wire, and 0 if it was never taken in.
    Ordered,
    /// Something happened in an agent's cache. Subject: the agent; a: store and key; b: what ([`crate::agents::cached`]); c: of a read
    /// that was answered the age of the answer.
    Cached,
    /// What a replica shows of a text once the run is over and drained, if anything ever reached it: in several records if it is long.
    /// Subject: the replica; a: store and key; b: which of the records, from 0; extra: where characters stand in the table, and
    /// how many, in the two halves of a word.
    Shows,
    /// Something happened to an agent's log, or to an agent that is rebuilt from it. Subject, words and extra: see the event, which is c
    /// ([`crate::agents::journal::event`]).
    Journal,
    /// How many pairs of changes of texts a replica has transformed, once the run is over and drained. Subject: the replica; a: store;
    /// b: how many.
    Transformed,
    /// An activation begins a row of a recorded run, or is through with the run. Subject: the agent; a: activation; b: the run and, in the
    /// low half, the row's place in it; c: which, and what is recorded of the run ([`crate::agents::rows::event`]).
    Row,
    /// A client has rejected an attempt by itself, or gives a call up before its next attempt. Subject: the agent; a: call identity; b:
    /// server; c: why ([`crate::world::pursuit::Rejection`]); extra: there is a word if it was a hedge, which is left out.
    AttemptRejected,
    /// A hedge came to something. Subject: the agent; a: call identity; b: server; c: attempt number; extra: 1 if its answer was used,
    /// 0 if not.
    HedgeEnded,
    /// Somebody says that nobody waits for an attempt any more. Subject: the client, or the server of its twin; a: call identity; b: server;
    /// c: attempt number.
    CancelSent,
    /// A server hears that. Subject: the server; a: call identity; b: what it finds ([`crate::services::Found`]); c: attempt number.
    Cancelled,
    /// A server gives up a request that nobody waits for. Subject: the server; a: call identity; b: 1 if it waited, 2 if it was in work,
    /// 3 if it waited for the answer to another attempt; c: why, 0 a cancellation, 1 its deadline; extra: the work that was left, in
    /// nanoseconds at the server's own speed, and its tokens in (high) and out (low).
    RequestDiscarded,
    /// A circuit breaker has changed its phase. Subject: the agent that met it; a: the server; b: whose it is: the agent, or with bit 32
    /// the first agent of a group that shares it; bits 40 and above: the policy; c: the phase, 0 closed, 1 open, 2 half-open; extra: of an
    /// open one until when.
    BreakerChanged,
    /// An attempt is held at its client until it may leave. Subject: the agent; a: call identity; b: server; c: what for, 0 for a token
    /// of its rate, 1 for a place among those under way.
    AttemptHeld,
    /// A gateway asks a server for what it was asked for. Subject: the gateway; a: identity of its own call; b: server; c: attempt
    /// number, from 1, and in bit 32 whether it is a hedge; extra: for each call that it passes on the identity, and since when it could have
    /// been.
    PassedOn,
    /// An attempt of a gateway is over. Subject: the gateway; a: identity of its own call; b: server; c: how
    /// ([`crate::services::service::passed`]); extra: of an answer that it used, its times as in `AttemptAnswered`; of
    /// a call's first attempt that was rejected, what `PassedOn` would have said.
    PassedBack,
    /// A gateway leaves a server out for a while, because it fails. Subject: the gateway; a: server; b: until when.
    Ejected,
    /// Something happened to a budget. Subject, words and extra: see the event, which is c ([`crate::world::ledger::event`]).
    Budget,
    /// Something happened at an inference endpoint. Subject: the service; words and extra: see the event, which is c
    /// ([`crate::services::batching::event`]).
    Inference,
    /// A service that keeps answers was asked about something, or has found something out. Subject: the service; a: call identity; b: about what;
    /// c: see [`crate::services::service::cached`].
    AnswerCached,
    /// Something happened in a coordination group. Subject: the member; a: what it is about; b and the extra words: see the event; c: the
    /// event ([`crate::coordination::member::event`] and each protocol's own).
    Coordination,
    /// At the end of the run: somebody waits for somebody. Subject: who; a: how ([`crate::world::waiting`]); b: for whom, by entity; c: since
    /// when, or which call it is.
    Waits,
    /// Something happened to a channel, or to a message of one. Subject, words and extra: see the event, which is c
    /// ([`crate::channels::event`]).
    Channel,
    /// An agent does something again that was done. Subject: the agent; a: activation; b: 1 if it is a call; c: see
    /// [`crate::agents::errs::again`].
    Redone,
}

/// A set of [`What`]s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mask(u128);

impl Mask {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Everything.
    pub const ALL: Self = Self(u128::MAX);

    /// These.
    pub const fn of(kinds: &[What]) -> Self {
        let (mut bits, mut index) = (0, 0);
        while index < kinds.len() {
            bits |= 1 << kinds[index] as u32;
            index += 1;
        }
        Self(bits)
    }

    /// Those of either.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether any of these is among `other`.
    #[inline]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether `what` is among them.
    #[inline]
    pub const fn has(self, what: What) -> bool {
        self.0 & (1 << what as u32) != 0
    }
}

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Record {
    /// When.
    pub time: SimTime,
    /// The entry during which it happened.
    pub entry: Ticket,
    /// Whom it is about.
    pub subject: u32,
    /// Where its extra words begin.
    extra_from: u32,
    /// Words whose meaning [`What`] gives.
    pub a: u64,
    /// See [`What`].
    pub b: u64,
    /// See [`What`].
    pub c: u64,
    extra_len: u16,
    /// What happened.
    pub what: What,
}

/// A run of records, in the total order of their entries.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// The records.
    pub records: &'a [Record],
    /// What they say, and nothing else.
    pub kinds: Mask,
    extra: &'a [u64],
}

impl<'a> Batch<'a> {
    /// The extra words of one of these records.
    pub fn extra(&self, record: &Record) -> &'a [u64] {
        &self.extra[record.extra_from as usize..][..record.extra_len as usize]
    }
}

/// Someone who watches. Observers read; nothing that they do reaches the run.
pub trait Observer: Send {
    /// What it wants to see.
    fn wants(&self) -> Mask;
    /// The next records that it wants, among others.
    fn batch(&mut self, batch: Batch<'_>);
    /// The measured time is over, and what comes from here on belongs to the drain: replicas get to know what they lack, and
    /// nobody does anything new. It is said once, and not if the run stops early.
    fn measured_until(&mut self, _end: SimTime) {}
    /// The observer itself, once the run is over and what it saw is asked for.
    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any>;
}

/// Records buffered before the observers get them.
const BUFFER: usize = 2048;

/// The buffer of records and those who read it.
#[derive(Default)]
pub struct Records {
    mask: Mask,
    records: Vec<Record>,
    /// What the waiting records say.
    kinds: Mask,
    extra: Vec<u64>,
    observers: Vec<Box<dyn Observer>>,
}

/// A copy of a world is watched by nobody: observers belong to one run.
impl Clone for Records {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records")
            .field("mask", &self.mask)
            .field("waiting", &self.records.len())
            .finish_non_exhaustive()
    }
}

impl Records {
    /// A buffer for these observers.
    pub fn new(observers: Vec<Box<dyn Observer>>) -> Self {
        let mask = observers
            .iter()
            .fold(Mask::NONE, |mask, observer| mask.union(observer.wants()));
        Self {
            mask,
            observers,
            ..Self::default()
        }
    }

    /// Whether anybody wants to see such records.
    #[inline]
    pub fn wants(&self, what: What) -> bool {
        self.mask.has(what)
    }

    /// Adds a record that somebody wants.
    #[inline]
    pub fn push(&mut self, time: SimTime, entry: Ticket, what: What, subject: u32, words: [u64; 3], extra: &[u64]) {
        let extra_from = self.extra.len() as u32;
        self.extra.extend_from_slice(extra);
        let [a, b, c] = words;
        let extra_len = extra.len() as u16;
        self.kinds.0 |= 1 << what as u32;
        self.records.push(Record {
            time,
            entry,
            subject,
            extra_from,
            a,
            b,
            c,
            extra_len,
            what,
        });
        if self.records.len() >= BUFFER {
            self.flush();
        }
    }

    /// Hands over what has gathered.
    pub fn flush(&mut self) {
        let batch = Batch {
            records: &self.records,
            kinds: std::mem::take(&mut self.kinds),
            extra: &self.extra,
        };
        for observer in &mut self.observers {
            observer.batch(batch);
        }
        self.records.clear();
        self.extra.clear();
    }

    /// Hands over what has gathered, and says that the measured time is over.
    pub fn measured_until(&mut self, end: SimTime) {
        self.flush();
        for observer in &mut self.observers {
            observer.measured_until(end);
        }
    }

    /// The observers, after everything has been handed over.
    pub fn into_observers(mut self) -> Vec<Box<dyn Observer>> {
        self.flush();
        self.observers
    }
}
