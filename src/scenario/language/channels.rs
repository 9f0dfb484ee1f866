//! `channels`: topics, queues and logs between agents.

use super::laws::TimeLaw;
use super::services::Servers;
use crate::scenario::syntax::quantity::{Bytes, Duration, Positive};
use crate::scenario::syntax::{Named, Part, Spanned};

crate::language! {
    /// A channel between agents: they publish to it in `Publish` steps, and get messages pushed to their handlers in `on`, under the name of the
    /// channel, or poll them in `Poll` steps.
    pub struct Channel {
        /// Its site.
        at: Part<Spanned<String>>,
        /// What becomes of a message.
        kind: Part<Spanned<ChannelKind>> = Part::from(ChannelKind::Topic),
        /// How often a message is handed over.
        delivery: Part<Spanned<Guarantee>> = Part::from(Guarantee::AtLeastOnce),
        /// Who consumes, by group of agents. Of a queue and a log whoever polls needn't be named.
        consumers: Named<Part<Spanned<Consumer>>> = Named::default(),
        /// How long a message that was handed over may stay unacknowledged; then it is handed over again, of a log with all that follow it
        /// in its partition.
        visibility: Part<Spanned<Positive<Duration>>> = Part::from(super::positive(Duration::from_secs(30))),
        /// After how many deliveries a message isn't handed over any more. Without it it is for ever. Not of a log.
        most_deliveries: Part<Option<Spanned<Positive<u32>>>>,
        /// The channel to which such a message goes. Without it it is dropped, and counted as dead all the same.
        dead_letters: Part<Option<Spanned<String>>>,
        /// How long a message waits before it can be handed over. Not of a log.
        delay: Part<Option<Spanned<Positive<Duration>>>>,
        /// How many messages may wait: in the queue, or for each subscriber of a topic. Without it any number. A log has its `retention`.
        bound: Part<Option<Spanned<QueueBound>>>,
        /// For how long it recognises a publication that comes again, by its idempotency key. Without it not at all; with `EffectivelyOnce`
        /// for five minutes.
        deduplicates: Part<Option<Spanned<Positive<Duration>>>>,
        /// How many operations it works on at once: publications, polls, acknowledgements.
        servers: Part<Servers> = Part::from(Servers::Unlimited),
        /// How long an operation takes.
        time: Part<Spanned<TimeLaw>> = Part::from(super::services::constant()),
        /// The size of an answer, and of a pushed message, beside the messages in it.
        answer: Part<Spanned<Bytes>> = Part::from(Bytes(0)),
    }

    /// What becomes of the messages of a channel.
    pub enum ChannelKind {
        /// Each goes to every consumer (publish-subscribe).
        Topic,
        /// Each goes to one of the consumers (a work queue), in the order of their publication, as far as they aren't handed over again.
        Queue,
        /// Each is appended to a partition, which every consumer group reads in its order, from where it has come to.
        Log {
            /// How many partitions it has. Publications with a `key` go to the partition of the key; the others to one after the other.
            partitions: Part<Spanned<Positive<u32>>> = Part::from(super::positive(1)),
            /// How partitions are shared among the members of a consumer group.
            assignment: Part<Sharing> = Part::from(Sharing::Range),
            /// How long it takes from a change of the members until partitions that change hands have an owner again.
            rebalance: Part<Duration> = Part::from(Duration::from_secs(3)),
            /// How long a member may be silent before it is taken for gone: one that polls doesn't come again, one to whom messages are pushed
            /// doesn't acknowledge any of them.
            session: Part<Spanned<Positive<Duration>>> = Part::from(super::positive(Duration::from_secs(45))),
            /// What of a partition is kept.
            retention: Part<Retained> = Part::from(super::of_defaults::<Retained>()),
        },
    }

    /// How much of each partition of a log is kept. Without any of these everything.
    pub struct Retained {
        /// How many messages.
        count: Part<Option<Positive<u64>>>,
        /// How old they get.
        age: Part<Option<Positive<Duration>>>,
        /// How large they are together.
        bytes: Part<Option<Positive<Bytes>>>,
    }

    /// How partitions are shared among members. Everybody's share is even but for one.
    pub enum Sharing {
        /// Each gets a range of neighbouring ones. A rebalance takes all partitions from all members.
        Range,
        /// Each keeps what it has, as far as that is even. A rebalance takes away what changes hands.
        Sticky,
    }

    /// How often a message is handed over.
    pub enum Guarantee {
        /// At most once: what is handed over is off the channel (of a log, its offset is committed) before it is handled, and nobody acknowledges.
        AtMostOnce,
        /// At least once: until it is acknowledged, which it is once it was handled.
        AtLeastOnce,
        /// At least once, between publications that are recognised when they come again (if their `policy` has an `idempotency_key`) and
        /// consumers that remember what they have handled.
        EffectivelyOnce,
    }

    /// The bound of a queue.
    pub struct QueueBound {
        /// How many messages may wait. Those that are with consumers don't count.
        most: Part<Positive<u32>>,
        /// What happens to one more.
        full: Part<WhenFull> = Part::from(WhenFull::Refuse),
    }

    /// What happens to a message for which there is no room.
    pub enum WhenFull {
        /// Its publisher is refused, and may try again by its policy: backpressure. Of a topic that is so if any subscriber has no room.
        Refuse,
        /// The oldest that waits is dropped for it.
        DropOldest,
        /// It is dropped, and its publisher isn't told.
        DropNewest,
    }

    /// How a group of agents consumes.
    pub struct Consumer {
        /// How messages reach them.
        by: Part<Spanned<Handing>> = Part::from(Handing::Push),
        /// How many pushed messages may be with each of them without an acknowledgement. Without it as many as it handles at once.
        prefetch: Part<Option<Spanned<Positive<u32>>>>,
        /// What they remember of what they have handled, so that they don't handle it again. Without it nothing; with `EffectivelyOnce` as if it
        /// said `()`.
        remembers: Part<Option<Spanned<Remembering>>>,
        /// The consumer group of a log. Groups of agents that say the same form one; without it each has its own.
        group: Part<Option<Spanned<String>>>,
        /// Where a consumer group begins to read a log, when its first member comes.
        from: Part<Option<Spanned<LogPosition>>>,
        /// When a consumer group of a log is set back, or forward, by somebody from outside.
        replay: Part<Vec<Part<Spanned<Replaying>>>> = Part::from(Vec::new()),
    }

    /// How messages reach a consumer.
    pub enum Handing {
        /// The channel sends them as they come; a handler in `on`, under the name of the channel, runs for each. Its end is the
        /// acknowledgement, unless a step of it failed. Who doesn't acknowledge in time gets nothing more until he is heard of: the channel
        /// asks, as often as `visibility` says (of a log, `session`).
        Push,
        /// They ask for them in `Poll` steps.
        Poll,
    }

    /// What consumers remember of the messages that they have handled.
    pub struct Remembering {
        /// How many they remember; of more the oldest is forgotten.
        most: Part<Positive<u32>> = Part::from(super::positive(100_000)),
        /// Whose memory it is. Without it the group's, but of a topic, which owes each message to each of them, each agent's own.
        by: Part<Option<Spanned<Rememberer>>>,
    }

    /// Whose memory of handled messages it is.
    pub enum Rememberer {
        /// The group's, as in a table that they share and that takes no time: it survives a crash of any of them.
        Group,
        /// Each agent's own, which it loses with its state.
        Agent,
    }

    /// A place in a log.
    pub enum LogPosition {
        /// The oldest message that is kept.
        Earliest,
        /// Behind the newest.
        Latest,
        /// This offset in each partition, from 0, or the nearest that there is.
        Offset(u64),
    }

    /// A change of where a consumer group is.
    pub struct Replaying {
        /// When.
        at: Part<Spanned<Duration>>,
        /// Where to.
        to: Part<LogPosition> = Part::from(LogPosition::Earliest),
    }

    /// What a publication is about.
    pub enum PublicationKey {
        /// A number by a law, rounded down; the law alone means this.
        Law(Spanned<super::NumberLaw>) as bare,
        /// Its publisher.
        Publisher,
    }
}
