//! Gossip: items that spread from member to member, as an epidemic does, with no member that all depend on.
//!
//! After Demers et al., "Epidemic algorithms for replicated database maintenance" (PODC 1987). A member contacts a few others at a time,
//! chosen at random, and tells them what it knows (push), asks what they know (pull), or both. What it tells is everything, each time
//! (a simple epidemic, which reaches all and never ends), or what it still takes for a rumour, which it loses interest in by a
//! [`Stopping`] rule (rumour mongering, which ends and may leave a residue of members that never heard). Anti-entropy compares
//! what two members have and exchanges what either lacks: it brings the residue to zero.
//!
//! In rounds that all begin at the same instants, a member tells in a round what it knew when the round began, and whether a contact was
//! unnecessary is judged by what was known then: this is the model of the paper, and of Karp et al. (FOCS 2000). Otherwise each member
//! has a phase and a period of its own.
//!
//! A member is about 80 bytes, with room for one item, so that there may be millions.

mod member;
mod message;
#[cfg(test)]
mod tests;
mod views;

pub use member::Gossiper;
pub use message::{Item, Talk};
pub use views::Views;
pub(crate) use views::distinct;

use super::PatternInfo;
use super::member::Saying;
use serde::{Deserialize, Serialize};

/// The pattern's page in the reference.
pub const INFO: PatternInfo = PatternInfo {
    name: "Gossip",
    title: "Gossip",
    kinds: <Talk as Saying>::KINDS,
    doc: "\
Items spread from member to member, as an epidemic does (Demers et al. 1987). Whoever makes a contact tells (`Push`), asks (`Pull`), or both
(`PushPull`) one other member, or `fan_out` of them, chosen uniformly among all or among the `neighbours` that it has. An item comes into
the world by an agent that submits it to the nearest member, which answers at once, or by itself (`items`); every member tells it to the agent
beside it once (`tells`), the one where it came into the world included.

What is told is everything each time (`Everything`: a simple epidemic reaches all, and never ends), or what is still a rumour (`Rumours`). A
member loses interest in a rumour with a chance of one in `k` (`Coin(k)`) or at the `k`-th time (`Counter(k)`): of all its contacts (`feedback:
false`, called blind), or of those that turn out unnecessary because the other one knew when the round began; with a counter these must be
consecutive. Who tells in answer to a pull counts by the round: it was unnecessary if it told somebody and nobody needed it. Rumours die, and
may leave some who never heard. With `anti_entropy` two members compare what they have that often, and give each other what lacks: that
reaches them, and what it brings is a rumour again.

With `pace: Together` all contacts of a round begin at the same instants, and what is told in it is what was known when it began, as in the
papers; rounds begin whenever a member's clock reads a multiple of `every`, but for zero. With `Apart` each member has a phase of its own.

Guarantees: none as to time; with anti-entropy, or everything told for ever, all who are up and can be reached come to have all that some who
are up have. No member is told the same item twice, unless it lost it with its memory.

Costs: a message for each push (with all that it tells) or ask; an answer where there is something to tell, or, with feedback, to say of a push; and
with feedback one more for each answer. A comparison is a message with the runs of identities that a member has, and one or two more
where either lacks something. A member that has nothing to tell, and only pushes, is silent.
",
};

/// What happens among members who gossip, as notes say it.
pub mod note {
    /// An item came into the world at this member. About: the item; word: its value; extra: its size in bytes, and the
    /// round that is under way (0 where there are no rounds for all).
    pub const BEGUN: u16 = 0x40;
    /// The member was told of an item that it didn't have. About: the item; word: the round in the upper half (0 where there are no rounds for
    /// all), and in the lower one through how many hands it came.
    pub const LEARNT: u16 = 0x41;
    /// It was told of an item that it had. About: the item; word: by whom.
    pub const AGAIN: u16 = 0x42;
    /// It tells another one of an item. About: the item; word: whom.
    pub const PASSED: u16 = 0x43;
    /// It has lost interest in an item. About: the item; word: its counter.
    pub const RESTED: u16 = 0x44;
}

/// Which way news go in a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exchange {
    /// From whoever makes the contact.
    Push,
    /// To whoever makes the contact.
    Pull,
    /// Both ways.
    PushPull,
}

impl Exchange {
    /// Whether whoever makes a contact tells.
    pub const fn pushes(self) -> bool {
        !matches!(self, Self::Pull)
    }

    /// Whether whoever makes a contact asks.
    pub const fn pulls(self) -> bool {
        !matches!(self, Self::Push)
    }
}

/// What members tell in a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Spread {
    /// All that they know, for ever: a simple epidemic.
    Everything,
    /// What they haven't lost interest in: rumour mongering.
    Rumours(Stopping),
    /// Nothing: members only compare what they have, in anti-entropy.
    Nothing,
}

/// When a member loses interest in a rumour.
///
/// Who tells it in a pull counts by the cycle: one in which somebody got it from this member and nobody needed it counts as one unnecessary
/// contact, and one in which somebody needed it as a useful one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopping {
    /// Whether only contacts count that turn out unnecessary, because the other one knew when the round began (*feedback*); else all do
    /// (*blind*).
    pub feedback: bool,
    /// What a contact that counts does.
    pub rule: Rule,
}

/// What a contact that counts does to the interest in a rumour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rule {
    /// It ends with probability one in so many.
    Coin(u32),
    /// It ends with the contact of this number. With feedback a useful contact sets the number back: they are consecutive.
    Counter(u32),
}

/// When members make contacts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Pace {
    /// All at the same instants: whenever their clocks read a multiple of this many nanoseconds, from the first such reading after zero.
    Together {
        /// The length of a round, in nanoseconds.
        every: u64,
    },
    /// Each in its own time, from a random phase on.
    Apart {
        /// The mean time between two contacts of a member, in nanoseconds of its clock.
        every: u64,
        /// By which part of it the time differs at most, either way: in [0, 1).
        jitter: f64,
    },
}

/// An item that comes into the world by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planted {
    /// At which member.
    pub origin: u32,
    /// Its number there.
    pub number: u32,
    /// When, as the member's clock reads.
    pub at: i64,
    /// A word of content.
    pub value: u64,
    /// Its size on the wire.
    pub bytes: u32,
}

impl Planted {
    /// The item's identity: apart from those of what is asked for, whose upper bit is not set.
    pub fn identity(&self) -> u64 {
        1 << 63 | u64::from(self.origin) << 32 | u64::from(self.number)
    }
}

/// A flaw that tests plant, and that checks must find.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Flaw {
    None,
    /// The agent beside a member is told of an item whenever it comes.
    TellsAgain,
    /// An item that comes again is a rumour again.
    ForwardsAgain,
}

/// What all members share.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// How many members there are.
    pub members: u32,
    /// Which way news go.
    pub exchange: Exchange,
    /// What is told.
    pub spread: Spread,
    /// When contacts are made.
    pub pace: Pace,
    /// With how many others at a time.
    pub fan_out: u32,
    /// How often a member compares what it has with another one, in nanoseconds of its clock, from a random phase on: whatever either
    /// lacks it gets.
    pub anti_entropy: Option<u64>,
    /// To how many others each member opens a link when the group is made: it contacts only those that it has a link with. Without this
    /// all others.
    pub neighbours: Option<u32>,
    /// These links, once they are drawn.
    pub views: Option<Views>,
    /// What comes into the world by itself, ascending by origin and time.
    pub planted: Vec<Planted>,
    /// What is broken.
    #[doc(hidden)]
    pub flaw: Flaw,
}

impl Rules {
    /// A simple epidemic by push and pull, in rounds of a second, among so many.
    pub fn new(members: u32) -> Self {
        Self {
            members,
            exchange: Exchange::PushPull,
            spread: Spread::Everything,
            pace: Pace::Together { every: 1_000_000_000 },
            fan_out: 1,
            anti_entropy: None,
            neighbours: None,
            views: None,
            planted: Vec::new(),
            flaw: Flaw::None,
        }
    }

    /// The same with these items, in whatever order.
    pub fn plant(mut self, mut planted: Vec<Planted>) -> Self {
        planted.sort_unstable_by_key(|item| (item.origin, item.at, item.number));
        self.planted = planted;
        self
    }

    /// The stopping rule, if there is one.
    pub(crate) fn stopping(&self) -> Option<Stopping> {
        match self.spread {
            Spread::Rumours(stopping) => Some(stopping),
            Spread::Everything | Spread::Nothing => None,
        }
    }

    /// What is planted at a member.
    pub(crate) fn planted_at(&self, member: u32) -> &[Planted] {
        let first = self.planted.partition_point(|item| item.origin < member);
        let end = self.planted.partition_point(|item| item.origin <= member);
        &self.planted[first..end]
    }
}
