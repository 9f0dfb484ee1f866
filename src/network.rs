//! Floor 2: sites, links, loss, partitions: what happens to a message between its sender and its receiver.
//!
//! The way through, in reading order:
//!
//! 1. [`spec`]: the network as described: sites, classes of links, cuts and degradations. It never changes during a run.
//! 2. [`measured`]: latency tables from measurements, and the law that stands for one cell.
//! 3. [`burst`] and [`jitter`]: the conditions of a link that last: trajectories of time alone.
//! 4. [`groups`] and [`cuts`]: who is concerned, which cuts are on, and what a cut does to a message on its way.
//! 5. [`route`]: the [`Network`] of one run: [`Network::route`] at the send, [`Network::arrive`] at the delivery,
//!    [`Network::fall`], [`Network::heal`], [`Network::degrade`] and [`Network::restore`] when a fault begins or ends.
//! 6. [`table`]: the sparse table that links and agent pairs are found in.
//!
//! What holds, always:
//!
//! - *Draws.* What happens to a message (loss, delay, copy) is drawn under the sender's key and the sender's own message
//!   number; what happens to a link (bursts, correlated jitter) is drawn under the link's key and is a function of time,
//!   never of traffic. So another link, or more traffic, changes nobody else's draws.
//! - *Conservation.* Sent + duplicated = delivered + lost + in flight + held, exact after every call ([`Conservation`]).
//! - *Memory* grows with the directed links used (and, where order is kept per pair, with the pairs in use).
//!
//! Calls come in the order of simulated time. The order of the calls within one instant is the kernel's.

pub mod burst;
pub mod cuts;
pub mod groups;
pub mod jitter;
pub mod measured;
mod order;
mod release;
pub mod route;
pub mod spec;
pub mod table;

#[cfg(test)]
mod tests;

pub use cuts::{Cut, InTransit};
pub use groups::{Ends, Group, SiteSet, TagSet};
pub use measured::{Measured, MeasuredError, Unit};
pub use release::Release;
pub use route::Network;
pub use spec::{
    Bandwidth, Correlation, Degradation, Fifo, Latency, LinkSpec, Loss, Measurement, NetworkSpec, Reordering, SiteSpec,
    SpecError,
};

use crate::kernel::{Key, SimTime};
use serde::{Deserialize, Serialize};

/// A site: its place in [`NetworkSpec::sites`]. What is in one site is near.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SiteId(pub u32);

/// A directed link: numbered densely in the order of first use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LinkId(pub u32);

/// A message as the network sees it when it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Outgoing {
    /// The site it leaves.
    pub from: SiteId,
    /// The site it goes to.
    pub to: SiteId,
    /// Who sends, as the groups of cuts and degradations know it ([`Group::Tags`]).
    pub from_tag: u32,
    /// Who is meant to receive.
    pub to_tag: u32,
    /// The kind of message: picks the latency law where a link has one for each kind.
    pub kind: u8,
    /// Its size, for links with a bandwidth.
    pub bytes: u32,
    /// The sender's key: the draws about this message are made under it.
    pub key: Key,
    /// The sender's own number for this message; never used twice under one key.
    pub number: u64,
    /// The time of the call.
    pub now: SimTime,
    /// The ordered pair of agents (sender, receiver), for links that keep order per pair. Below [`u64::MAX`].
    pub pair: u64,
}

/// One journey of a message along a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Leg {
    /// The directed link that it takes.
    pub link: LinkId,
    /// How many cuts had fallen when it left. [`Network::arrive`] compares it with how many have by then.
    pub epoch: u32,
    /// When it is due.
    pub at: SimTime,
}

/// What becomes of a message that is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// It never arrives.
    Lost(LossCause),
    /// It is on its way.
    At(Leg),
    /// It is on its way twice: the original, and the copy. The copy may be first.
    Twice(Leg, Leg),
    /// A cut holds it: [`Network::heal`] gives it back under this ticket. Tickets are small and are used again.
    Held(u32),
}

/// What becomes of a message when it is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Arrival {
    /// It is there.
    Deliver,
    /// A cut fell while it was on its way, and it is lost.
    Lost(LossCause),
    /// A cut that holds stopped it for a while and has healed: it is due later.
    Later(Leg),
    /// A cut holds it: [`Network::heal`] gives it back under this ticket.
    Held(u32),
}

/// Why a message was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u8)]
pub enum LossCause {
    /// By chance, each message for itself.
    Random,
    /// The link was in its bad state.
    Burst,
    /// A degradation took it: it would have passed otherwise.
    Degraded,
    /// The link's queue was full.
    Overflow,
    /// A cut lay, or fell, between sender and receiver.
    Partition,
}

impl LossCause {
    /// Every cause, in the order of [`Conservation::lost`].
    pub const ALL: [Self; 5] = [
        Self::Random,
        Self::Burst,
        Self::Degraded,
        Self::Overflow,
        Self::Partition,
    ];

    /// The cause's name in records and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Burst => "burst",
            Self::Degraded => "degraded",
            Self::Overflow => "overflow",
            Self::Partition => "partition",
        }
    }
}

/// The books of a network: every message is in exactly one place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Conservation {
    /// Messages sent.
    pub sent: u64,
    /// Copies that the network made.
    pub duplicated: u64,
    /// Messages and copies delivered.
    pub delivered: u64,
    /// Messages and copies on their way.
    pub in_flight: u64,
    /// Messages and copies that a cut holds.
    pub held: u64,
    /// Messages and copies lost, by cause (the order of [`LossCause::ALL`]).
    pub lost: [u64; 5],
}

impl Conservation {
    /// The messages and copies lost for any cause.
    pub fn lost_in_all(&self) -> u64 {
        self.lost.iter().sum()
    }

    /// Those lost for `cause`.
    pub fn lost_to(&self, cause: LossCause) -> u64 {
        self.lost[cause as usize]
    }

    /// Whether sent + duplicated = delivered + lost + in flight + held.
    pub fn balances(&self) -> bool {
        self.sent + self.duplicated == self.delivered + self.lost_in_all() + self.in_flight + self.held
    }
}
