//! Floor 3: channels between agents: topics, work queues and partitioned logs, with a delivery guarantee.
//!
//! In reading order: [`spec`] is what a channel is; [`item`] what is published and handed over; [`queue`] a line of messages with
//! visibility timeouts, [`log`] partitions with offsets and retention, [`group`] a consumer group whose members share the partitions
//! ([`assignment`]); [`known`] recognises what is published again. [`core`] ties them together, without I/O: it is told what came, and
//! says what is to be sent and what has happened. [`broker`] is the population around it: servers, crashes, pauses, messages.
//!
//! The models follow the documentation of systems that many use, without being copies of them: Amazon SQS for queues (visibility timeout,
//! delay queues, long polling, dead-letter queues with a maximum receive count, deduplication over five minutes), RabbitMQ for pushes
//! (prefetch, queue length limits that refuse or drop the head), Apache Kafka for logs (offsets, consumer groups, the range and the
//! cooperative sticky assignor, retention by age and bytes).
//!
//! What a consumer has handled twice, missed or taken in the wrong order isn't known here: it is judged from the records.

pub mod assignment;
pub mod broker;
pub mod core;
pub mod event;
pub mod group;
pub mod item;
pub mod known;
pub mod log;
pub mod queue;
pub mod spec;

#[cfg(test)]
mod tests;

pub use broker::Broker;
pub use spec::{
    Assignment, Bound, ChannelSpec, ConsumerSpec, Delivery, Full, Kind, LogSpec, Position, QueueSpec, Retention,
};
