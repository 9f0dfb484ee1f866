//! A longest-chain ledger (Nakamoto, "Bitcoin: A Peer-to-Peer Electronic Cash System", 2008), as data without I/O.
//!
//! In reading order: [`message`] is what travels; `tree` is the blocks that a node has, and which of them are its chain; `node` finds
//! blocks, hears of them and answers; `attack` mines in secret.
//!
//! Members are nodes that know each other's addresses, each with a share of all work. Finding a block is a Poisson process: a node of share
//! `s` finds one after a time that is exponential with mean `interval / s`, whatever it works on. It works on the longest chain that it
//! has, of equals the one it saw first, and passes on what it hears to its peers. A request is done when its block is the
//! `confirmations`-th from the end of the chain of the node that was asked; a longer chain may undo it even then.
//!
//! Guarantees: a node's chain is the longest of those it has heard of; a request is in a chain once. Nothing is ever final.
//!
//! Difficulty is constant: what the network loses in hash rate, it loses in blocks.

mod attack;
pub mod message;
mod node;
#[cfg(test)]
mod tests;
mod tree;

pub use message::Message;
pub use node::Node;

use super::member::{Saying, event};
use super::spec::PatternInfo;
use serde::Serialize;

/// What the reference says of it.
pub const INFO: PatternInfo = PatternInfo {
    name: "Ledger",
    title: "A longest-chain ledger",
    kinds: <Message as Saying>::KINDS,
    doc: "\
A ledger by proof of work (Nakamoto 2008), in which nobody has to be known. The members are nodes with shares of all work; somebody finds a
block every `interval` in the mean, at random in time, each node in proportion to its share. An agent submits to the nearest node, which
passes the request on; whoever finds the next block puts up to `block` waiting requests into it, the oldest first. Nodes work on the longest
chain that they know, and of equals on the one that they saw first. The node that was asked answers once the request's block is the
`confirmations`-th from the end of its chain. Where two blocks are found within the time that news takes there is a fork, and the work on one
branch is wasted. A longer chain undoes what it doesn't have, even if it was answered.

Without `peers` all nodes are connected, and whoever finds a block or is asked for something tells all others; with it a node connects to
so many others, and everything is passed on. With `announces` a node tells of a block and sends it to those who ask. Blocks that are lost are
asked for when the next one comes, again after `patience`.

An `attacker` mines in secret from when it hears of a request, a chain in which that request is ruled out, until enough confirmations have
convinced whoever waits for them and its own chain is the longer one; or until it is `gives_up` blocks behind.

Guarantees: none for good. What has `k` confirmations is undone by an attacker with a share `q` with a probability that falls as
`(4 q (1 - q))^k`, roughly; after a partition the shorter side's blocks are undone, whatever was answered there. Nodes that crash keep their
blocks, unless a fault takes the state: then they get them from others. Difficulty doesn't change: less work means fewer blocks.

Costs: a request goes to all nodes, and a block too; the rest of the cost is work. Waiting for `confirmations` takes that many intervals.
",
};

/// The events of nodes, beside those of all protocols.
///
/// [`event::DECIDED`] is a request with enough confirmations at a node: its word is its place among the requests of the chain, from 1.
pub mod notes {
    use super::event;
    /// A node has found a block. About: its height; word: its identity.
    pub const FOUND: u16 = event::OWN;
    /// A node has found a block and keeps it secret. About: its height; word: its identity.
    pub const WITHHELD: u16 = event::OWN + 1;
    /// A node has another chain. About: its height; word: the identity of its last block; extra: how many blocks were left for it.
    pub const ADOPTED: u16 = event::OWN + 2;
    /// What had enough confirmations at a node isn't in its chain any more. About: the request's identity; word: how many blocks were left.
    pub const UNDONE: u16 = event::OWN + 3;
    /// An attacker publishes its secret chain. About: the request that it undoes; word: how many blocks it has.
    pub const PUBLISHED: u16 = event::OWN + 4;
    /// An attacker gives up. About: the request; word: how many blocks it wasted.
    pub const GAVE_UP: u16 = event::OWN + 5;
}

/// An attacker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Attack {
    /// Which node it is.
    pub by: u32,
    /// It gives up when the chain of the others is so many blocks longer than its own.
    pub gives_up: u64,
}

/// What all nodes share. Times are in nanoseconds of a node's own clock.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rules {
    /// The share of all work that each node does; 0 for a node that only listens. They add up to 1.
    pub shares: Vec<f64>,
    /// The mean time between two blocks that are found by anybody.
    pub interval: i64,
    /// How many blocks, that of the request included, make it done.
    pub confirmations: u64,
    /// The most requests in a block.
    pub block: u32,
    /// The size of a block without requests.
    pub header: u32,
    /// How many others a node connects to; they are connected to it then. `None`: all are connected, and nobody passes on what comes from
    /// whoever found it.
    pub peers: Option<u32>,
    /// Whether a node tells its peers of a block and sends it to those who ask, or sends it at once.
    pub announces: bool,
    /// How long a node waits for a block that it has asked for before it asks somebody else, and for a request that it was asked for to be
    /// in a block before it passes it on again.
    pub patience: i64,
    /// Who mines in secret, if anybody does.
    pub attack: Option<Attack>,
}

impl Rules {
    /// The usual ones, with equal shares.
    pub fn new(nodes: u32) -> Self {
        const SECOND: i64 = 1_000_000_000;
        Self {
            shares: vec![1.0 / f64::from(nodes); nodes as usize],
            interval: 600 * SECOND,
            confirmations: 6,
            block: 2_000,
            header: 80,
            peers: None,
            announces: false,
            patience: 60 * SECOND,
            attack: None,
        }
    }

    /// How many nodes there are.
    pub fn nodes(&self) -> u32 {
        self.shares.len() as u32
    }
}
