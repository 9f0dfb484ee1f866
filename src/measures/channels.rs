//! Channels: what becomes of messages, judged from outside: what was published, handled, handled twice, lost, taken in the wrong order, and how long it took.
//!
//! A *delivery that is owed* is a message for one scope: for each subscriber of a topic, for all consumers of a queue together, for each
//! consumer group of a log. Every delivery of a message that was accepted after the warm-up comes to one end: handled, dead, dropped,
//! expired, passed over, lost, still waiting, or under way. The broker's word is taken for what it owes, and the consumers' for what
//! they did; that a message is a repeat, or out of order, neither of them says.

mod ledger;

use super::registry::measure_table;
use super::windows::{Clock, Level};
use super::{Measure, MeasureInfo, Setting, Sheet};
use crate::channels::{ChannelSpec, Kind};
use crate::kernel::SimTime;
use crate::world::record::{Batch, Mask, Record, What};
use ledger::Ledger;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is measured of a channel.
pub(super) const CHANNEL: &[MeasureInfo] = measure_table![
    "channel.*.published", Count, Neither, "Publications that agents made, each counted once however often it was sent.";
    "channel.*.accepted", Count, Neither, "Publications that the channel took, those that come from the dead letters of others included; a repeat that it didn't recognise counts again.";
    "channel.*.repeated", Count, Lower, "Publications that the channel took although it had taken them before.";
    "channel.*.deduplicated", Count, Neither, "Repeats of publications that the channel recognised.";
    "channel.*.refused", Count, Lower, "Publications that were refused since there was no room, attempts counted: backpressure.";
    "channel.*.owed", Count, Neither, "Deliveries owed: messages times those who are to get them, each subscriber of a topic and each consumer group of a log for itself.";
    "channel.*.delivered", Count, Neither, "Messages handed over to consumers, on their way or in answers to polls.";
    "channel.*.redelivered", Count, Lower, "Messages handed over again to the same scope.";
    "channel.*.handled", Count, Higher, "Deliveries that were handled to the end, each once.";
    "channel.*.duplicates", Count, Lower, "Messages that were handled again in the same scope: the same publication, whether it was published, delivered or sent twice.";
    "channel.*.replayed", Count, Neither, "Messages that were handled again since the consumer group was set back.";
    "channel.*.skipped", Count, Neither, "Messages that a consumer remembered, and only acknowledged.";
    "channel.*.failed", Count, Lower, "Messages that were begun to be handled, and a step failed.";
    "channel.*.discarded", Count, Lower, "Messages that reached a consumer who didn't handle them, or not to the end: its mailbox was full, it was down, it crashed, or it had given up its poll.";
    "channel.*.out_of_order", Count, Lower, "Messages that were handled after a later one with the same key, in the same scope; repeats don't count.";
    "channel.*.dead", Count, Lower, "Deliveries given up after as many as there may be.";
    "channel.*.dropped", Count, Lower, "Deliveries dropped since there was no room.";
    "channel.*.expired", Count, Lower, "Deliveries of messages beyond the retention of a log that a consumer group hadn't acknowledged.";
    "channel.*.passed_over", Count, Neither, "Deliveries that a consumer group didn't want, since it began behind them or was set forward.";
    "channel.*.lost", Count, Lower, "Deliveries that nobody will make and nobody handled: the broker lost its state, or had handed them over for good, and they were lost on the way or with the consumer.";
    "channel.*.waiting", Count, Lower, "Deliveries still owed at the end of the run.";
    "channel.*.under_way", Count, Neither, "Deliveries handed over for good that were on the way or with a consumer at the end of the run.";
    "channel.*.unaccounted", Count, Lower, "Deliveries that the records say the channel owes at the end and it doesn't know of, or the other way round. Anything but 0 is a bug.";
    "channel.*.latency.mean", Seconds, Lower, "Time from when the publisher began to publish until a message was handled, of deliveries that were: the mean.";
    "channel.*.latency.p50", Seconds, Lower, "The median of these times.";
    "channel.*.latency.p90", Seconds, Lower, "Their quantile at 90 %.";
    "channel.*.latency.p95", Seconds, Lower, "Their quantile at 95 %.";
    "channel.*.latency.p99", Seconds, Lower, "Their quantile at 99 %.";
    "channel.*.latency.max", Seconds, Lower, "The longest of these times.";
    "channel.*.latency", Seconds, Lower, "These times, one by one.";
    "channel.*.depth", Count, Lower, "Deliveries owed over time: the mean of each window.";
    "channel.*.depth.mean", Count, Lower, "Deliveries owed, on average over time.";
    "channel.*.depth.max", Count, Lower, "The most deliveries that were owed at one time.";
    "channel.*.lag.max", Count, Lower, "How far a consumer group of a log was behind at most: messages that it hadn't acknowledged.";
    "channel.*.rebalances", Count, Lower, "New generations of consumer groups.";
    "channel.*.unowned", Seconds, Lower, "How long partitions had no owner after they had had one, over all partitions and consumer groups.";
    "channel.*.fenced", Count, Lower, "Acknowledgements of messages that weren't with that consumer any more.";
    "channel.*.suspended", Count, Lower, "How often a consumer to whom messages are pushed was left alone, since it let one time out.";
    "channel.*.polls", Count, Neither, "Polls that were answered.";
    "channel.*.polls.empty", Count, Lower, "Polls that were answered without a message.";
];

/// A channel to be watched.
#[derive(Debug, Clone)]
pub struct Watched {
    /// Its entity.
    pub entity: u32,
    /// Its name.
    pub name: String,
    /// What it is.
    pub spec: Arc<ChannelSpec>,
}

impl Watched {
    /// How many scopes there are.
    fn scopes(&self) -> u64 {
        match self.spec.kind {
            Kind::Topic(_) => self.spec.consumers.iter().map(|group| u64::from(group.count)).sum(),
            Kind::Queue(_) => 1,
            Kind::Log(_) => u64::from(self.spec.groups),
        }
    }
}

/// The measure of channels.
#[derive(Debug)]
pub struct Channels {
    ledgers: BTreeMap<u32, Ledger>,
    /// What messages on their way carry, and how many copies of each there are.
    carried: BTreeMap<u64, Carried>,
    sample: usize,
}

/// What a message on its way carries.
#[derive(Debug, Default)]
struct Carried {
    copies: u32,
    deliveries: Vec<(u32, u64)>,
}

impl Channels {
    /// For a run.
    pub fn new(setting: &Setting, sample: usize) -> Self {
        let clock = Clock::new(setting.window);
        let ledger = |watched: &Watched| {
            let depth = Level::new(setting.warm_up, &clock);
            let ledger = Ledger::new(watched.clone(), setting.warm_up, clock.clone(), depth);
            (watched.entity, ledger)
        };
        Self {
            ledgers: setting.channels.iter().map(ledger).collect(),
            carried: BTreeMap::new(),
            sample,
        }
    }

    fn follow(&mut self, record: &Record, extra: &[u64]) {
        use crate::channels::event::*;
        let channel = match record.c {
            SENT..=SKIPPED => extra[0] as u32,
            _ => record.subject,
        };
        let Some(ledger) = self.ledgers.get_mut(&channel) else {
            return;
        };
        if record.c == DELIVERED {
            let carried = self.carried.entry(extra[2]).or_default();
            carried.copies = 1;
            carried.deliveries.push((extra[0] as u32, record.b));
        }
        ledger.follow(record, extra);
    }

    /// A message on its way was copied, has come, or is lost.
    fn journey(&mut self, record: &Record) {
        let channel = (record.a >> 8) as u32;
        let Some(ledger) = self.ledgers.get_mut(&channel) else {
            return;
        };
        let Some(carried) = self.carried.get_mut(&record.c) else {
            return;
        };
        for (scope, number) in &carried.deliveries {
            match record.what {
                What::Duplicated => ledger.copied(*scope, *number),
                What::Lost => ledger.ended(*scope, *number),
                _ => {}
            }
        }
        match record.what {
            What::Duplicated => carried.copies += 1,
            _ => carried.copies -= 1,
        }
        if carried.copies == 0 {
            self.carried.remove(&record.c);
        }
    }
}

impl Measure for Channels {
    fn wants(&self) -> Mask {
        Mask::of(&[What::Channel, What::Delivered, What::Duplicated, What::Lost])
    }

    fn batch(&mut self, batch: Batch<'_>) {
        for record in batch.records {
            match record.what {
                What::Channel => self.follow(record, batch.extra(record)),
                What::Delivered | What::Duplicated | What::Lost => self.journey(record),
                _ => {}
            }
        }
    }

    fn measured_until(&mut self, _: SimTime) -> bool {
        // What channels owe is said after the drain, in which nothing happens to them.
        true
    }

    fn finish(self: Box<Self>, end: SimTime, sheet: &mut Sheet) {
        for ledger in self.ledgers.into_values() {
            ledger.write(end, self.sample, sheet);
        }
    }
}
