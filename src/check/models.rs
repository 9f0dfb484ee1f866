//! The consistency models and the objects that histories are judged by, and which go together.

use std::fmt;

/// What a history is held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Model {
    /// One order of all operations that is legal and keeps real time (Herlihy and Wing 1990).
    Linearizable,
    /// One order of all operations that is legal and keeps the order of each process (Lamport 1979).
    Sequential,
    /// For each process an order of its reads and all writes that is legal and keeps causality: causal memory (Ahamad et al.
    /// 1995), CM of Bouajjani et al. 2017.
    Causal,
    /// Every read sees its causal past, in one order of writes that all share: CCv of Bouajjani et al. 2017.
    CausalConvergence,
    /// Every read can be explained by its causal past, each for itself: CC of Bouajjani et al. 2017.
    WeakCausal,
    /// For each process an order of its reads and all writes that is legal and keeps the order of each process (Lipton and
    /// Sandberg 1988).
    Pram,
    /// Transactions are seen whole or not at all (Bailis et al. 2014).
    ReadAtomic,
    /// A process sees its own writes (this and the next three: Terry et al. 1994).
    ReadYourWrites,
    /// What a process has seen, it keeps seeing.
    MonotonicReads,
    /// A process that sees a write sees what its writer had written before.
    MonotonicWrites,
    /// A process that sees a write sees what its writer had read before.
    WritesFollowReads,
}

impl Model {
    /// Every model with its name on the command line.
    pub const ALL: [(&'static str, Self); 11] = [
        ("linearizable", Self::Linearizable),
        ("sequential", Self::Sequential),
        ("causal", Self::Causal),
        ("causal-convergence", Self::CausalConvergence),
        ("weak-causal", Self::WeakCausal),
        ("pram", Self::Pram),
        ("read-atomic", Self::ReadAtomic),
        ("read-your-writes", Self::ReadYourWrites),
        ("monotonic-reads", Self::MonotonicReads),
        ("monotonic-writes", Self::MonotonicWrites),
        ("writes-follow-reads", Self::WritesFollowReads),
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, of)| *of == self)
            .map_or("", |(name, _)| name)
    }

    /// The models that every history of this model obeys as well, where both can be judged: the next weaker ones.
    pub fn implies(self) -> &'static [Self] {
        match self {
            Self::Linearizable => &[Self::Sequential],
            Self::Sequential => &[Self::Causal, Self::CausalConvergence],
            Self::Causal => &[Self::WeakCausal, Self::Pram, Self::WritesFollowReads],
            Self::CausalConvergence => &[
                Self::WeakCausal,
                Self::ReadAtomic,
                Self::ReadYourWrites,
                Self::MonotonicReads,
                Self::MonotonicWrites,
                Self::WritesFollowReads,
            ],
            Self::Pram => &[Self::ReadYourWrites, Self::MonotonicReads, Self::MonotonicWrites],
            _ => &[],
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the objects of a history are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spec {
    /// Registers that are read and written.
    Register,
    /// Registers that can also be compared and set.
    CasRegister,
    /// The keys of a key-value store: registers as above, to whose texts more can be appended.
    Kv,
    /// Sets: elements are added and removed, a read returns all.
    Set,
    /// First-in-first-out queues.
    Queue,
    /// Transactions that append to lists and read them.
    ListAppend,
}

impl Spec {
    /// Every specification with its name on the command line.
    pub const ALL: [(&'static str, Self); 6] = [
        ("register", Self::Register),
        ("cas-register", Self::CasRegister),
        ("kv", Self::Kv),
        ("set", Self::Set),
        ("queue", Self::Queue),
        ("list-append", Self::ListAppend),
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, of)| *of == self)
            .map_or("", |(name, _)| name)
    }

    /// The operations that its objects have.
    pub fn words(self) -> &'static [&'static str] {
        match self {
            Self::Register => &["read", "write"],
            Self::CasRegister => &["read", "write", "cas"],
            Self::Kv => &["read", "write", "cas", "append"],
            Self::Set => &["read", "add", "remove"],
            Self::Queue => &["enqueue", "dequeue"],
            Self::ListAppend => &["txn"],
        }
    }

    /// The operations that a model can judge, which may be fewer.
    pub fn words_under(self, model: Model) -> &'static [&'static str] {
        match (model, self) {
            (Model::Linearizable | Model::Sequential, _) | (_, Self::Register | Self::ListAppend) => self.words(),
            (_, Self::CasRegister | Self::Kv) => &["read", "write"],
            (_, Self::Set) => &["read", "add"],
            (_, Self::Queue) => &[],
        }
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a model can't judge objects of a kind; `None` if it can.
pub fn unsupported(model: Model, spec: Spec) -> Option<&'static str> {
    use Model::{Linearizable, ReadAtomic, Sequential, WeakCausal};
    match (model, spec) {
        (Linearizable | Sequential, _) => None,
        (_, Spec::Queue) => Some(
            "the weaker models say what reads may return, and a queue has none: a dequeue is a read and a write at once. Queues are \
             judged as linearizable or sequential",
        ),
        (ReadAtomic, Spec::ListAppend) => None,
        (ReadAtomic, _) => Some(
            "read atomicity is about transactions of several parts, and these operations have one each. It is judged with list-append",
        ),
        (WeakCausal, Spec::ListAppend) => Some(
            "lists show one order of appends to everybody, so that no read can have an order of its own: use causal, which is the same as \
             causal-convergence there",
        ),
        (_, Spec::Register | Spec::CasRegister | Spec::Kv | Spec::Set | Spec::ListAppend) => None,
    }
}
