//! Causal order: a replica takes an update in only after what it depends on.
//!
//! A layer in [`Store`](super::Store), for causal stores and for session guarantees: replicas, stamps, records and what faults do
//! to them are its own. Each replica numbers the updates that it accepts over all keys, keeps a vector of what it has taken in,
//! and takes the updates of each origin in in their order (lazy replication: Ladin et al., ACM TOCS 1992; the prefix property of
//! Bayou: Petersen et al., SOSP 1997). Clients bring what they have read and written, as in COPS ([`crate::state::session`]). In
//! reading order: `order` is what a replica knows, `accept` how an update gets its place, `arrive` how one from elsewhere is
//! taken in, `hold` how requests wait for what their clients have seen, `exchange` how replicas make good what was lost.
//!
//! Guarantees: what a replica has taken in is closed under dependencies at every moment, as far as what it depends on survives
//! somewhere. A dependency on an update that a replica took with it when it lost its state is given up after `wait`.

mod accept;
mod arrive;
mod exchange;
mod hold;
mod order;
#[cfg(test)]
mod tests;

pub(super) use arrive::Update;
pub(super) use exchange::Ordered;
pub(super) use order::Order;

use crate::kernel::SimDuration;
use crate::state::{KeyType, ModelInfo};

/// The model's page in the reference.
pub const INFO: ModelInfo = ModelInfo {
    name: "causal",
    title: "Causal order",
    keys: KeyType::ALL,
    doc: "\
The replica that is asked answers from what it holds, and tells the others afterwards. An update carries what it depends on, and a
replica takes it in only after that. So whoever has seen an update, at any replica, sees all that came before it. What is kept of
concurrent updates is the choice of `resolve`: any of the models below but quorums, with its types of keys and its costs. Causal order
with a rule by which replicas converge is what COPS calls causal+ (Lloyd et al. 2011).

*The algorithm.* A replica numbers the updates that it accepts, over all keys, and keeps a vector of what it has taken in: for each
origin, up to which number. Updates of one origin are taken in in their order, and each after the vector that it carries (lazy
replication, Ladin et al. 1992). What comes too early waits in a buffer; what comes twice is dropped.

*What an update depends on.* What its agent has read since its last update, and that update: the nearest dependencies of COPS, which
stand for all that lies behind them. And what its replica had taken in of its key, on which it is made. Of these the update carries
what its origin's earlier updates haven't carried already. A component of a vector stands for all earlier updates of its origin, so an
update may wait for some that it doesn't depend on; that is the price of vectors that don't grow with the number of keys.

*Clients.* An agent keeps one context for the store, and brings it with each operation to whatever replica it asks. A replica that
lacks something of it waits, and refuses after `wait`; with `wait: \"0s\"` it refuses at once, and the agent's policy decides who is
asked next. The wait counts as coordination. The context is gone with the agent's state. It holds along what goes through the
store: messages between agents don't carry it, and neither does another store. So who acts on what he was told may not see it.

*The clock.* Without `resolve` the last write wins by hybrid logical clocks: an update is stamped above all that it depends on. Under
wall clocks that are off, an update may be outranked by what it was to replace: it is taken in after its causes, and loses to them.

*What is lost.* A replica that has had an update in its buffer for `wait` asks the origin for what it lacks, as does one that comes
back from a crash, all live peers. Anti-entropy does so from time to time. The answer brings the entries of all keys of which the
asker lacks updates, together with the sender's vector; both sides have all that their updates depend on, and so has their union. A
replica that loses its state is a new origin. Updates that nobody else had are gone; who depends on them is let pass after `wait`.

Costs: an update brings its number and its dependencies, 8 bytes each, and a request its client's context; a replica keeps a vector,
and one for each key. No operation waits for other replicas, but for what its agent has already seen elsewhere.
",
};

/// The page of session guarantees in the reference.
pub const SESSIONS: ModelInfo = ModelInfo {
    name: "sessions",
    title: "Session guarantees",
    keys: KeyType::ALL,
    doc: "\
An option of stores whose replicas answer by themselves, `sessions: (...)`: what an agent may expect of a store whatever replica it
asks (Terry et al. 1994). *Read your writes*: a read shows what the agent has written, or what replaced it. *Monotonic reads*: a read
shows what earlier reads of the agent have shown. *Monotonic writes*: an update is taken in everywhere after the agent's earlier
ones. *Writes follow reads*: an update is taken in everywhere after what the agent had read. All four are on unless one is switched
off; together they are causal order (Brzezinski et al. 2004) of what agents have read and written. Of what a replica held when it accepted a
blind update, which `state.causal_violations` counts as seen by it, no session knows. Under `Raft(reads: Local)` sessions are kept by places in the log instead, as
its page says.

*By token.* As in Bayou, the agent's session keeps a vector of what it has read and one of what it has written, and brings of them
what the guarantees need: for reads the writes (read your writes) and the reads (monotonic reads), for updates the writes (monotonic
writes) and the reads (writes follow reads). A replica that lacks something of it waits, and refuses after `wait`, which counts as
coordination; with `wait: \"0s\"` it refuses at once, and the agent's policy decides who is asked next. The last two guarantees
are about all replicas: an update carries the vectors that it came with, and is taken in after them. Replicas number, buffer and
exchange updates as with `Causal`, and take the updates of one replica in in their order. So an agent that stays at one replica
has monotonic writes anyway.

*By staying*, `by: Sticky`. The agent stays with the replica that it used first, and brings nothing; steps that name a site ask that
one. When an attempt fails it moves to another one, drawn evenly, and stays there: what it has seen may be missing there, and how often
it is the judge counts. An attempt that brings an idempotency key goes on asking the same replica, and only the next operation
moves. For monotonic writes replicas take the updates of one replica in in their order; for writes follow reads an update is taken
in after all that its replica had.

The guarantees are about what replicas have taken in. Under last-write-wins by clocks that are off, what a replica has may be
outranked by what it was to replace, and a read doesn't show it.

Costs: a token brings 4 bytes and 8 for each replica's component of each vector; updates bring their numbers and dependencies. An agent
that loses its state loses its session, and an agent's session with one store says nothing about another.
",
};

/// How a store orders updates.
#[derive(Debug, Clone, PartialEq)]
pub struct CausalSpec {
    /// What an update is taken in after, everywhere.
    pub after: After,
    /// How long a request waits for what its client has seen before it is refused, and an update in the buffer before its
    /// origin is asked for what lacks.
    pub wait: SimDuration,
    /// What is broken, for tests.
    #[doc(hidden)]
    pub flaw: Option<Flaw>,
}

/// What an update is taken in after, beside the earlier updates of its origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// What its client brings, and what its replica has of the key: causal order.
    Causes,
    /// What its client brings.
    Session,
    /// All that its replica has: where a session stays at one replica, that has what the session has seen.
    Replica,
    /// Nothing.
    Nothing,
}

/// A flaw that tests plant, and that the judges must find.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Updates are taken in in the order of their origins alone.
    IgnoresDependencies,
    /// Requests are served whatever their clients have seen.
    DropsTokens,
    /// An update doesn't carry what its own replica had taken in when it accepted it, as if all had that.
    ReducesTooFar,
    /// A vector is taken over without the entries that it stands for.
    TakesVectorsOnTrust,
}

impl CausalSpec {
    /// Causal order, where a request waits for a second.
    pub fn causal() -> Self {
        Self {
            after: After::Causes,
            wait: SimDuration::from_secs(1),
            flaw: None,
        }
    }
}
