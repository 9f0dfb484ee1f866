//! What a store is: its keys, its replicas, and how they keep up with each other.

use super::Stamping;
use super::causal::CausalSpec;
use super::ot::CentralSpec;
use super::primary::PrimarySpec;
use super::quorum::QuorumSpec;
use super::raft::RaftSpec;
use crate::kernel::{SimDuration, SimTime};
use crate::network::SiteId;
use crate::random::Law;
use crate::state::{Clock, KeyType, Memory};

/// A store as described. Which consistency model it runs is said beside it: see [`super::Model`].
#[derive(Debug, Clone, PartialEq)]
pub struct StoreSpec {
    /// The keys, by name; a request names one by its place here.
    pub keys: Vec<(String, KeyType)>,
    /// The replicas; each holds all keys, unless quorums have fewer.
    pub replicas: Vec<ReplicaSpec>,
    /// How an accepted update gets to the other replicas, unless the store works by quorums.
    pub replication: Replication,
    /// Which replicas take part in an operation.
    pub protocol: Protocol,
    /// Whether replicas compare what they hold from time to time, which makes good what was lost.
    pub anti_entropy: Option<AntiEntropy>,
    /// How replicas stamp the updates that they accept.
    pub stamping: Stamping,
    /// What clients remember from one operation to the next.
    pub memory: Memory,
    /// Whether replicas collect tombstones of texts that all of them know of. Only where no replica ever loses its state: one
    /// that has forgotten what the others count on could write what has no place any more.
    pub collects_tombstones: bool,
    /// What a value or an element weighs, in bytes.
    pub value_bytes: u64,
    /// How long a replica works on a request, in nanoseconds, any number at once. It reads, or applies, at the end of that
    /// time. `None`: no time at all.
    pub processing: Option<Law>,
}

/// Which replicas take part in an operation.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Protocol {
    /// The one that is asked; the others hear of it afterwards.
    #[default]
    Alone,
    /// As many as a quorum needs.
    Quorum(Box<QuorumSpec>),
    /// One orders all updates, and others have copies.
    Primary(Box<PrimarySpec>),
    /// The one that is asked; the others take what they hear in after what that depends on.
    Causal(CausalSpec),
    /// All, which agree on one order.
    Raft(Box<RaftSpec>),
    /// The one that is asked; it sends edits of texts to one of them, which tells the others.
    Central(CentralSpec),
}

/// One replica.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplicaSpec {
    /// Where it is.
    pub site: SiteId,
    /// The clock from which its stamps come: skew and drift.
    pub clock: Clock,
}

/// How an accepted update gets to the other replicas: to each one, at once unless this says otherwise. The network's own
/// latency comes on top.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Replication {
    /// How long the update waits before it is sent, in nanoseconds, drawn for each update and peer.
    pub delay: Option<Law>,
    /// How long updates are gathered before they are sent together; those of one key become one.
    pub batch: Option<SimDuration>,
}

/// How often a replica exchanges what it holds with another.
///
/// An exchange is push-pull: a digest of every key goes to a random live peer; what differs comes back whole; what the peer
/// lacks goes there. Nothing comes back if nothing differs.
#[derive(Debug, Clone, PartialEq)]
pub struct AntiEntropy {
    /// The time between two exchanges that a replica starts. Its first comes at a random point of its first period.
    pub every: SimDuration,
    /// What is added to that time, in nanoseconds, drawn for each exchange.
    pub jitter: Option<Law>,
    /// From here on a replica starts exchanges only while live replicas differ or news is on its way. `None`: for ever.
    pub until: Option<SimTime>,
}

impl StoreSpec {
    /// How many replicas take part in an operation, if the store works by quorums.
    pub fn quorum(&self) -> Option<&QuorumSpec> {
        match &self.protocol {
            Protocol::Quorum(quorum) => Some(quorum),
            _ => None,
        }
    }

    /// How its primary works, if the store has one.
    pub fn primary(&self) -> Option<&PrimarySpec> {
        match &self.protocol {
            Protocol::Primary(primary) => Some(primary),
            _ => None,
        }
    }

    /// How updates are ordered, if they are.
    pub fn causal(&self) -> Option<&CausalSpec> {
        match &self.protocol {
            Protocol::Causal(causal) => Some(causal),
            _ => None,
        }
    }

    /// How its replicas agree, if they do by Raft.
    pub fn raft(&self) -> Option<&RaftSpec> {
        match &self.protocol {
            Protocol::Raft(raft) => Some(raft),
            _ => None,
        }
    }

    /// The server through which edits of texts go, if there is one.
    pub fn central(&self) -> Option<&CentralSpec> {
        match &self.protocol {
            Protocol::Central(central) => Some(central),
            _ => None,
        }
    }

    /// Whether a replica keeps a key.
    pub fn keeps(&self, member: u32, key: u32) -> bool {
        self.quorum().is_none_or(|quorum| quorum.keeps(member, key))
    }

    /// A store of these keys with a replica of a perfect clock at each of these sites; updates are sent at once, each by
    /// itself, and there is no anti-entropy.
    pub fn new(
        keys: impl IntoIterator<Item = (impl Into<String>, KeyType)>,
        sites: impl IntoIterator<Item = SiteId>,
    ) -> Self {
        let replicas = sites.into_iter().map(|site| ReplicaSpec {
            site,
            clock: Clock::default(),
        });
        Self {
            keys: keys.into_iter().map(|(name, key)| (name.into(), key)).collect(),
            replicas: replicas.collect(),
            replication: Replication::default(),
            protocol: Protocol::Alone,
            anti_entropy: None,
            stamping: Stamping::Wall,
            memory: Memory::None,
            collects_tombstones: false,
            value_bytes: 8,
            processing: None,
        }
    }
}
