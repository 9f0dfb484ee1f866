//! What happens to a channel, as records say it: the word `c` of [`What::Channel`](crate::world::record::What::Channel).
//!
//! The subject is the channel unless the event says otherwise; `a` is the publication's identity, `b` the message's number in the
//! channel's order. A *scope* is a set of consumers that are to handle a message once between them: an agent of a topic, all consumers of
//! a queue, a consumer group of a log ([`ChannelSpec::scope`](super::ChannelSpec::scope)).

/// A publication was accepted. Extra: its key plus 1 (0: none), when its publisher began, its size, its partition.
pub const ACCEPTED: u64 = 0;
/// A publication was recognised as one that was accepted before. No `b`.
pub const DEDUPLICATED: u64 = 1;
/// A publication was refused, since there is no room. No `b`.
pub const REFUSED: u64 = 2;
/// A message was handed over. Extra: scope, consumer, the identity of what carries it on the wire, how often it was before.
pub const DELIVERED: u64 = 3;
/// The channel owes a message to a scope no more. Extra: scope, and how ([`settled`]).
pub const SETTLED: u64 = 4;
/// A message that wasn't acknowledged in time, or whose consumer has begun anew, is to be handed over again. Extra: scope, consumer.
pub const RETURNED: u64 = 5;
/// An acknowledgement came for what isn't with that consumer any more. `b`: the tag. Extra: scope, consumer.
pub const FENCED: u64 = 6;
/// A consumer group begins a new generation. `b`: the generation. Extra: the group, how many members.
pub const REBALANCED: u64 = 7;
/// A partition has an owner. `a`: the partition; `b`: the generation. Extra: the group, the owner.
pub const ASSIGNED: u64 = 8;
/// A partition has no owner any more. Words as for [`ASSIGNED`].
pub const REVOKED: u64 = 9;
/// A poll was answered. `a`: its call; `b`: how many messages. Extra: scope.
pub const POLLED: u64 = 10;
/// A consumer group was set back, or forward. Extra: the group, how many messages it is owed then.
pub const REWOUND: u64 = 11;
/// What the channel owes to a scope once the run is over. `b`: how many messages. Extra: scope, how many of them are with consumers.
pub const HOLDS: u64 = 12;
/// A message that was settled is owed again, since the consumer group was set back. Extra: the group.
pub const REOPENED: u64 = 14;
/// A pushed consumer is left alone until it is heard of, or is heard of again. `a`: the consumer; `b`: 1 if it is left alone.
pub const SUSPENDED: u64 = 13;

/// An agent publishes. Subject: the agent; `b`: 1 if it waits until the broker has it. Extra: the channel, when.
pub const SENT: u64 = 16;
/// An agent begins to handle a message. Subject: the agent; `b`: the tag. Extra: the channel.
pub const BEGUN: u64 = 17;
/// It has handled it. Words as for [`BEGUN`].
pub const HANDLED: u64 = 18;
/// A step failed while it did. Words as for [`BEGUN`].
pub const FAILED: u64 = 19;
/// It didn't handle it, or not to the end: its mailbox was full, it was down, it crashed, or it had given up its poll. Words as for [`BEGUN`].
pub const DISCARDED: u64 = 20;
/// It remembers that it was handled before, and only acknowledges it. Words as for [`BEGUN`].
pub const SKIPPED: u64 = 21;

/// How a message ceased to be owed: a word of [`SETTLED`].
pub mod settled {
    /// It was acknowledged.
    pub const ACKNOWLEDGED: u64 = 0;
    /// It was handed over, once and for all.
    pub const HANDED_OVER: u64 = 1;
    /// It was handed over as often as it may be.
    pub const DEAD: u64 = 2;
    /// There was no room for it.
    pub const DROPPED: u64 = 3;
    /// It was beyond the retention.
    pub const EXPIRED: u64 = 4;
    /// The broker has lost its state.
    pub const WIPED: u64 = 5;
    /// The consumer group began behind it, or was set forward.
    pub const PASSED_OVER: u64 = 6;
}
