//! SWIM: who is there, and who has failed, as a weakly consistent view that members keep by probing each other.
//!
//! After Das, Gupta and Motivala, "SWIM: Scalable Weakly-consistent Infection-style Process Group Membership Protocol" (DSN 2002). Once a
//! period each member probes one other. If no answer comes in time, it has a few others probe in its stead; if they hear nothing
//! either, it suspects the target, or takes it for failed at once. News of members (joined, suspected, alive again, failed) ride on
//! the messages of probes, each a bounded number of times. A member that hears that it is suspected says that it lives, under a new
//! incarnation number, which overrides the suspicion.
//!
//! Three things go beyond the paper, as in systems that are built on it (memberlist, Serf). Whoever talks to a member that it suspects, or takes
//! for failed, tells it so. Now and then a member compares all that it knows with another one, since news that are passed on a bounded
//! number of times may miss somebody. And failed members are tried again: without that two halves of a group that was cut in two
//! would never find together, and who was taken for failed by mistake would stay so.

mod member;
mod message;
mod roster;
#[cfg(test)]
mod tests;

pub use member::Prober;
pub use message::{Talk, Update};
pub use roster::State;

use super::PatternInfo;
use super::member::Saying;
use serde::{Deserialize, Serialize};

/// The pattern's page in the reference.
pub const INFO: PatternInfo = PatternInfo {
    name: "Swim",
    title: "SWIM",
    kinds: <Talk as Saying>::KINDS,
    doc: "\
Who is there, and who has failed (Das, Gupta and Motivala 2002). Once a `period` each member probes one other, at random or in shuffled
turns (`targets`). If no answer comes within `timeout`, `helpers` others are asked to probe in its stead; if nothing is heard by the end of the
period, the target is suspected for as long as `suspicion` says, and then taken for failed; without suspicion it is taken for failed at once. A
member that hears that it is suspected says that it lives, under a higher incarnation. Such news ride on the messages of probes: at most
`piggyback` on each, and each at most `retransmit` times the natural logarithm of the number of members, the least told first.

The first `initial` members know each other from the beginning; the others join, one every `join_every`, by asking one of those. Whoever comes
back with its state says that it lives; whoever has lost it joins anew. Beyond the paper, as in memberlist and Serf: whoever talks to somebody
that it suspects tells it so; and every `sync` a member exchanges all that it knows with a random one who is there, and with one who
seems to have failed, so that groups that were cut in two find together again. A submission is answered with the number of members.

Guarantees: completeness, in that every member that stays down is suspected by each that is up, with `Shuffled` targets within 2 n - 1
periods by the first; and none of accuracy, which suspicion buys with time.

Costs: a period of a quiet group is two messages for each member, whatever their number; four more for each helper. Messages grow by 9 bytes
for each piece of news, and a comparison is as long as the list of members, twice.
",
};

/// What happens among members who probe each other, as notes say it.
pub mod note {
    /// A member is probed. About: it; word: the number of the probe at its sender.
    pub const PROBED: u16 = 0x50;
    /// Nobody has heard of the target of a probe by the end of the period. About: the target; word: the number of the probe.
    pub const UNHEARD: u16 = 0x51;
    /// This member suspects another one from now on. About: it; word: its incarnation; extra: 1 if it was told so, 0 if it found out by
    /// itself.
    pub const SUSPECTS: u16 = 0x52;
    /// It takes another one for failed from now on. About, word and extra as above.
    pub const BURIES: u16 = 0x53;
    /// It takes another one that it suspected, or took for failed, or didn't know, for alive. About: it; word: its incarnation.
    pub const TRUSTS: u16 = 0x54;
    /// It says of itself that it lives, because it was told otherwise. About: itself; word: its new incarnation.
    pub const REFUTES: u16 = 0x55;
    /// It is in the group: it has been told who else is. About: itself; word: its incarnation.
    pub const JOINED: u16 = 0x56;
}

/// How a member chooses whom it probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Targets {
    /// Uniformly at random, each time anew.
    Random,
    /// All others in turn, in an order that is shuffled whenever it is through: a failed member is probed within twice as many periods as
    /// there are members.
    RoundRobin,
}

/// When members probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pace {
    /// All at the same instants: whenever their clocks read a multiple of the period.
    Together,
    /// Each from a random phase on.
    Apart,
}

/// A flaw that tests plant, and that checks must find.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Flaw {
    None,
    /// Nobody refutes a suspicion.
    Silent,
    /// What was found out isn't passed on.
    Mute,
}

/// What all members share. Times are nanoseconds of a member's clock.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// How many members there may be.
    pub members: u32,
    /// How many of them know each other from the beginning; the others join.
    pub initial: u32,
    /// When those that join do, by their clocks: the `n`-th entry is for the `n`-th of them; without one it is the beginning.
    pub joins: Vec<i64>,
    /// The length of a period.
    pub period: u64,
    /// How long an answer to a direct probe is waited for.
    pub timeout: u64,
    /// How many others probe in the stead of a member that got no answer.
    pub helpers: u32,
    /// How long a suspected member may refute; `None`: who isn't heard of has failed.
    pub suspicion: Option<u64>,
    /// News are passed on this many times the natural logarithm of the number of members, rounded up.
    pub retransmit: f64,
    /// How many news a message carries at most.
    pub piggyback: u32,
    /// Who is probed.
    pub targets: Targets,
    /// When.
    pub pace: Pace,
    /// How often a member compares all that it knows with another one, and with one that it takes for failed, if there is any; `None`:
    /// never.
    pub sync: Option<u64>,
    /// What is broken.
    #[doc(hidden)]
    pub flaw: Flaw,
}

impl Rules {
    /// Periods of a second, with three helpers, five periods of suspicion and a comparison every thirty, among so many who know each
    /// other.
    pub fn new(members: u32) -> Self {
        let second = 1_000_000_000;
        Self {
            members,
            initial: members,
            joins: Vec::new(),
            period: second,
            timeout: second / 5,
            helpers: 3,
            suspicion: Some(5 * second),
            retransmit: 3.0,
            piggyback: 6,
            targets: Targets::RoundRobin,
            pace: Pace::Apart,
            sync: Some(30 * second),
            flaw: Flaw::None,
        }
    }

    /// How often a piece of news is passed on in a group of so many.
    pub fn retransmissions(&self, members: u32) -> u32 {
        let times = self.retransmit * crate::random::math::ln(f64::from(members) + 1.0);
        times.ceil().max(1.0) as u32
    }

    /// When a member that isn't there from the beginning joins.
    pub(crate) fn joins_at(&self, member: u32) -> Option<i64> {
        let late = member.checked_sub(self.initial)?;
        Some(self.joins.get(late as usize).copied().unwrap_or(0))
    }
}
