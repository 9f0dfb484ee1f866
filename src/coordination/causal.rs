//! Causal broadcast: events that carry vector clocks, and that every member delivers after their causes.
//!
//! After Birman, Schiper and Stephenson, "Lightweight causal and atomic group multicast" (TOCS 1991): an event carries how many events of
//! each member its author had delivered when it issued it, and is held back until those are delivered. It goes to all others directly, or
//! from hand to hand to a few at a time; what was lost is found by comparing vectors with a random member now and then, and is sent again
//! from the log that every member keeps.
//!
//! A member that has lost its disk issues events under a new name, made of the reading of its clock: the numbers of the old one are taken.

mod member;
mod message;
#[cfg(test)]
mod tests;

pub use member::Caster;
pub use message::{Author, Event, Talk, Vector};

use super::PatternInfo;
use super::member::Saying;
use serde::{Deserialize, Serialize};

/// The pattern's page in the reference.
pub const INFO: PatternInfo = PatternInfo {
    name: "Causal",
    title: "Causal broadcast",
    kinds: <Talk as Saying>::KINDS,
    doc: "\
Events that every member delivers after their causes (Birman, Schiper and Stephenson 1991). An agent submits an event to the nearest member,
which issues it with its vector clock: how many events of each member it has delivered. It goes to all others (`Direct`), or from everybody who
gets it to a few others (`Gossip(3)`), and is held back until all that its author had delivered is delivered. Then it is told to the agent beside
the member (`tells`), at its own member at once. Every `repair` a member compares vectors with a random other one, and they give each other what lacks: everybody keeps all
events. Issuing waits for nobody: the answer comes at once.

A member that has lost its state takes part under a new name, since the numbers of the old one are taken.

Guarantees: nothing is delivered before what its author knew, nor twice; with `repair`, all that anybody who is up has delivered comes to all
who are up and can be reached, however long they were cut off. Concurrent events come in any order, and in different ones.

Costs: n - 1 messages for each event (`Direct`), with 12 bytes for each author in its clock; two or three messages for each comparison. What
comes before its causes waits, as `coordination.*.held` says.
",
};

/// What happens among members who broadcast in causal order, as notes say it.
pub mod note {
    /// A member issues an event, after all that it has delivered. About: the event's identity; word: how many members' events it depends
    /// on.
    pub const ISSUED: u16 = 0x60;
    /// A member delivers an event. About: its identity; word: for how many nanoseconds of the member's clock it was held back.
    pub const DELIVERED: u16 = 0x61;
    /// An event has come before its causes. About: its identity.
    pub const HELD: u16 = 0x62;
    /// An event has come again. About: its identity.
    pub const AGAIN: u16 = 0x63;
}

/// How events get to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Via {
    /// From their author to all.
    Direct,
    /// From everybody who gets one to so many others, once.
    Gossip(u32),
}

/// A flaw that tests plant, and that checks must find.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Flaw {
    None,
    /// Events are delivered as they come.
    Eager,
    /// Events wait for the earlier ones of their author alone.
    FirstInFirstOut,
}

/// What all members share.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// How many members there are.
    pub members: u32,
    /// How events get to the others.
    pub via: Via,
    /// How often a member compares what it has with another one, in nanoseconds of its clock; `None`: never, and what is lost is lost.
    pub repair: Option<u64>,
    /// What is broken.
    #[doc(hidden)]
    pub flaw: Flaw,
}

impl Rules {
    /// Direct broadcast among so many, with a comparison a second.
    pub fn new(members: u32) -> Self {
        Self {
            members,
            via: Via::Direct,
            repair: Some(1_000_000_000),
            flaw: Flaw::None,
        }
    }
}
