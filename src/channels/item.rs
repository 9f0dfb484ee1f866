//! What is published, and how it is handed over.

use crate::kernel::SimTime;
use serde::{Deserialize, Serialize};

/// What a publisher says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    /// The publication, however often it was sent: the idempotency key.
    pub identity: u64,
    /// What it is about, for publications that are to stay in their order; `None`: nothing.
    pub key: Option<u64>,
    /// Its size.
    pub bytes: u32,
    /// When its publisher began to publish it, by true time: for the records.
    pub published: SimTime,
    /// The address of the draws about its further journeys, made one with the key that they are under.
    pub about: u64,
}

/// A publication that a channel has accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// What was published.
    pub publication: Publication,
    /// Its number in the order of the channel, from 0.
    pub number: u64,
    /// When it was accepted.
    pub accepted: SimTime,
}

/// A message on its way to a consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handed {
    /// What is handed over.
    pub item: Item,
    /// Which handing over it is: what the consumer acknowledges. See [`tag`].
    pub tag: u64,
    /// How often it was handed over to this set of consumers before.
    pub before: u32,
}

/// The bits of a tag that tell deliveries of one message apart.
const TRY_BITS: u32 = 12;

/// What names a handing over: the message's number, and which of its deliveries it is.
pub fn tag(number: u64, nth: u32) -> u64 {
    number << TRY_BITS | u64::from(nth) & ((1 << TRY_BITS) - 1)
}

/// The number of the message that was handed over.
pub fn number_of(tag: u64) -> u64 {
    tag >> TRY_BITS
}
