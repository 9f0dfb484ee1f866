//! What a channel is.

use crate::kernel::{SimDuration, SimTime};
use crate::random::Law;

/// A channel as described.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelSpec {
    /// What becomes of a message: to everybody, to one of several, or to a log.
    pub kind: Kind,
    /// How often a message is handed over.
    pub delivery: Delivery,
    /// How long a message that was handed over may stay unacknowledged; then it is handed over again.
    pub visibility: SimDuration,
    /// How long the broker remembers the idempotency keys of publications; `None`: it doesn't look at them.
    pub deduplicates: Option<SimDuration>,
    /// How many operations are in work at once; `None`: any number.
    pub servers: Option<u32>,
    /// How long an operation takes: a publication, a poll, an acknowledgement.
    pub time: Law,
    /// The size of an answer without messages, and of the frame of a message that is pushed.
    pub answer_bytes: u32,
    /// Who consumes, in the order of their entities.
    pub consumers: Vec<ConsumerSpec>,
    /// How many consumer groups they form, where there are any.
    pub groups: u16,
    /// The topic of the messages that it pushes.
    pub topic: u16,
    /// A mistake to be made on purpose: whoever judges channels has to notice.
    pub flaw: Flaw,
}

/// A mistake that a broker may make, so that tests see that it is noticed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Flaw {
    /// None.
    #[default]
    None,
    /// A line takes a message that it hands over for acknowledged.
    EagerAcknowledgement,
    /// Publications aren't recognised when they come again.
    NoDeduplication,
    /// An acknowledgement commits all that lies before it in its partition, acknowledged or not.
    CommitsHighest,
}

/// What becomes of the messages of a channel.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Each goes to every subscriber: each has a line of its own.
    Topic(QueueSpec),
    /// Each goes to one of the consumers, who share a line.
    Queue(QueueSpec),
    /// Each is appended to a partition, which every consumer group reads in its order.
    Log(LogSpec),
}

/// How a line of messages behaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueSpec {
    /// How long a message waits before it can be handed over.
    pub delay: SimDuration,
    /// After how many deliveries a message isn't handed over any more; `None`: never.
    pub most_deliveries: Option<u32>,
    /// The channel to which such a message goes; `None`: it is dropped.
    pub dead_letters: Option<u32>,
    /// How many messages may wait, and what happens to one more.
    pub bound: Option<Bound>,
}

/// The bound of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// How many messages may wait. Those that are with consumers don't count.
    pub most: u32,
    /// What happens when there are as many.
    pub full: Full,
}

/// What happens to a message for which there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// Its publisher is refused: backpressure.
    Refuse,
    /// It takes the place of the oldest, which is dropped.
    DropOldest,
    /// It is dropped, and its publisher isn't told.
    DropNewest,
}

/// How a partitioned log behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSpec {
    /// How many partitions it has.
    pub partitions: u32,
    /// How partitions are shared among the members of a consumer group.
    pub assignment: Assignment,
    /// How long it takes from a change of the members until partitions that change hands have an owner again.
    pub rebalance: SimDuration,
    /// How long a member may be silent before it is taken for gone.
    pub session: SimDuration,
    /// What is kept.
    pub retention: Retention,
}

/// How partitions are shared among members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assignment {
    /// Each gets a range of neighbouring partitions, in the order of the members. A rebalance takes all partitions from all.
    Range,
    /// Each keeps what it has, as far as the shares stay even; only what changes hands is taken away.
    Sticky,
}

/// How much of a partition is kept; what is beyond any of these goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// How many messages.
    pub count: Option<u64>,
    /// How old they get, from when the broker took them.
    pub age: Option<SimDuration>,
    /// How many bytes they have together.
    pub bytes: Option<u64>,
}

/// How often a message is handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Once, without an acknowledgement: what is handed over is off the channel, or its offset committed, before it is handled.
    AtMostOnce,
    /// Until it is acknowledged, which it is once it was handled.
    AtLeastOnce,
    /// The same, between publishers whose repeats the broker recognises and consumers that remember what they have handled.
    EffectivelyOnce,
}

impl Delivery {
    /// Whether consumers acknowledge.
    pub fn acknowledges(self) -> bool {
        self != Self::AtMostOnce
    }
}

/// A group of agents that consume.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsumerSpec {
    /// The group's name.
    pub name: String,
    /// The entity of its first agent.
    pub base: u32,
    /// How many entities there may be.
    pub count: u32,
    /// Whether messages are pushed to them: so many at a time, without an acknowledgement. `None`: they poll.
    pub prefetch: Option<u32>,
    /// Which consumer group they belong to.
    pub group: u16,
    /// Where a consumer group begins to read a log.
    pub from: Position,
    /// When the consumer group is set back, and to where.
    pub replays: Vec<(SimTime, Position)>,
}

/// A place in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum Position {
    /// The first message that is kept.
    Earliest,
    /// Behind the last.
    Latest,
    /// This offset in every partition, or the nearest that there is.
    Offset(u64),
}

impl ChannelSpec {
    /// A channel of this kind and guarantee, whose operations take no time, with nobody to read it.
    pub fn new(kind: Kind, delivery: Delivery) -> Self {
        Self {
            kind,
            delivery,
            visibility: SimDuration::from_secs(30),
            deduplicates: None,
            servers: None,
            time: Law::Constant(0.0),
            answer_bytes: 0,
            consumers: Vec::new(),
            groups: 0,
            topic: 0,
            flaw: Flaw::None,
        }
    }

    /// The group of agents that an entity belongs to, if it consumes.
    pub fn consumer(&self, entity: u32) -> Option<&ConsumerSpec> {
        let place = self.consumers.partition_point(|group| group.base <= entity);
        let group = self.consumers.get(place.checked_sub(1)?)?;
        (entity - group.base < group.count).then_some(group)
    }

    /// The number of the set of consumers that an agent belongs to, each of which is to handle a message once: the agent itself for a
    /// topic, all of them for a queue, its consumer group for a log.
    pub fn scope(&self, entity: u32) -> u32 {
        match &self.kind {
            Kind::Topic(_) => entity,
            Kind::Queue(_) => 0,
            Kind::Log(_) => self.consumer(entity).map_or(0, |group| u32::from(group.group)),
        }
    }
}

impl LogSpec {
    /// A log of so many partitions that keeps everything, and hands partitions over at once.
    pub fn new(partitions: u32) -> Self {
        Self {
            partitions,
            assignment: Assignment::Range,
            rebalance: SimDuration::ZERO,
            session: SimDuration::from_secs(45),
            retention: Retention::default(),
        }
    }
}
