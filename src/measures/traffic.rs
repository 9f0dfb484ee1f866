//! Traffic: messages and bytes, by kind and by what became of them; the end of the run; the intervals of faults.
//!
//! Messages sent before the warm-up aren't counted, whatever becomes of them later: of the others sent + duplicated = delivered + lost
//! + under way.

use super::registry::measure_table;
use super::{FaultSpan, Measure, MeasureInfo, Setting, Sheet};
use crate::faults::{Bands, Edge, Step};
use crate::kernel::{SimDuration, SimTime};
use crate::network::LossCause;
use crate::world::message::MessageKind;
use crate::world::record::{Batch, Mask, Record, What};
use std::collections::BTreeMap;
use std::sync::Arc;

macro_rules! message_table {
    ($prefix:literal) => {
        measure_table![
            concat!($prefix, "sent"), Count, Lower, "Messages sent after the warm-up; all that is said of messages is of these.";
            concat!($prefix, "duplicated"), Count, Lower, "Copies of messages that the network made.";
            concat!($prefix, "delivered"), Count, Neither, "Messages and copies delivered.";
            concat!($prefix, "lost"), Count, Lower, "Messages and copies lost.";
            concat!($prefix, "under_way"), Count, Neither, "Messages and copies on their way, or held by a cut, when the run ended.";
            concat!($prefix, "bytes_sent"), Bytes, Lower, "Bytes of the messages sent.";
            concat!($prefix, "bytes_delivered"), Bytes, Neither, "Bytes of the messages and copies delivered.";
            concat!($prefix, "bytes_lost"), Bytes, Lower, "Bytes of the messages and copies lost.";
        ]
    };
}

/// What is measured of all messages.
pub(super) const MESSAGES: &[MeasureInfo] = message_table!("messages.");
/// What is measured of messages of one kind.
pub(super) const KINDS: &[MeasureInfo] = message_table!("messages.*.");
/// What is measured of lost messages.
pub(super) const CAUSES: &[MeasureInfo] = measure_table![
    "messages.lost_by.random", Count, Lower, "Messages and copies lost by chance, each for itself.";
    "messages.lost_by.burst", Count, Lower, "Messages and copies lost because their link was in its bad state.";
    "messages.lost_by.degraded", Count, Lower, "Messages and copies lost to a degradation of the network.";
    "messages.lost_by.overflow", Count, Lower, "Messages and copies lost because a link's queue was full.";
    "messages.lost_by.partition", Count, Lower, "Messages and copies lost to a partition.";
    "messages.dropped", Count, Lower, "Messages sent after the warm-up and delivered that a full mailbox, or an agent that was down or gone, dropped.";
];
/// What is measured of the run.
pub(super) const RUN: &[MeasureInfo] = measure_table![
    "run.end", Seconds, Neither, "The simulated time at which the run ended: the stated end, or when the last task was over.";
    "run.last_delivery", Seconds, Neither, "When the last message was delivered.";
    "run.events", Count, Neither, "Entries handled.";
];

/// What became of the messages of one kind.
#[derive(Debug, Clone, Copy, Default)]
struct Fate {
    sent: u64,
    duplicated: u64,
    delivered: u64,
    lost: u64,
    bytes_sent: u64,
    bytes_delivered: u64,
    bytes_lost: u64,
}

impl Fate {
    fn merge(&mut self, other: &Self) {
        self.sent += other.sent;
        self.duplicated += other.duplicated;
        self.delivered += other.delivered;
        self.lost += other.lost;
        self.bytes_sent += other.bytes_sent;
        self.bytes_delivered += other.bytes_delivered;
        self.bytes_lost += other.bytes_lost;
    }

    fn write(&self, prefix: &str, sheet: &mut Sheet) {
        let under_way = (self.sent + self.duplicated).saturating_sub(self.delivered + self.lost);
        let numbers = [
            ("sent", self.sent),
            ("duplicated", self.duplicated),
            ("delivered", self.delivered),
            ("lost", self.lost),
            ("under_way", under_way),
            ("bytes_sent", self.bytes_sent),
            ("bytes_delivered", self.bytes_delivered),
            ("bytes_lost", self.bytes_lost),
        ];
        for (name, value) in numbers {
            sheet.count(format!("{prefix}{name}"), value);
        }
    }
}

/// The measure of traffic.
#[derive(Debug)]
pub struct Traffic {
    setting: Arc<Setting>,
    kinds: [Fate; 8],
    causes: [u64; 8],
    dropped: u64,
    last_delivery: Option<SimTime>,
    bands: Bands,
    /// The timelines on which a fault is on: since when, which fault, and whom it hits.
    on: BTreeMap<u32, (SimTime, u64, u64)>,
    over: Vec<FaultSpan>,
}

impl Traffic {
    /// For a run.
    pub fn new(setting: Arc<Setting>) -> Self {
        Self {
            bands: Bands::new(setting.faults.len()),
            setting,
            kinds: Default::default(),
            causes: [0; 8],
            dropped: 0,
            last_delivery: None,
            on: BTreeMap::new(),
            over: Vec::new(),
        }
    }

    fn note_fault(&mut self, record: &Record) {
        self.bands.note(&fault_step(record));
        if record.what == What::FaultBegan {
            self.on.insert(record.subject, (record.time, record.a, record.c));
        } else if let Some(on) = self.on.remove(&record.subject) {
            self.over.push(self.span(on, record.time));
        }
    }

    fn span(&self, (start, fault, whom): (SimTime, u64, u64), end: SimTime) -> FaultSpan {
        let (target, member) = (whom as u32, (whom >> 32) as u32);
        let names = &self.setting.targets[fault as usize];
        FaultSpan {
            start,
            fault: self.setting.faults[fault as usize].0.clone(),
            target: names.get(target as usize).cloned().unwrap_or_default(),
            member: (member != u32::MAX).then_some(member),
            end,
        }
    }
}

/// More ticks than this are a rhythm, and no triggers.
const MOST_TICKS: usize = 100;

/// The ticks of a group until then, if they are few: each wakes all of its agents, and is shown where faults are.
fn ticks_until(
    (group, first, every, times): &(String, SimTime, SimDuration, Option<u32>),
    end: SimTime,
) -> Vec<FaultSpan> {
    let all = (0..times.map_or(u64::MAX, u64::from)).map(|n| {
        let since = SimDuration::from_nanos(every.as_nanos().saturating_mul(n));
        first.saturating_add(since)
    });
    let all: Vec<SimTime> = all.take_while(|at| *at < end).take(MOST_TICKS + 1).collect();
    if all.len() > MOST_TICKS {
        return Vec::new();
    }
    let span = |at: SimTime| FaultSpan {
        start: at,
        fault: format!("tick of {group}"),
        target: group.clone(),
        member: None,
        end: at,
    };
    all.into_iter().map(span).collect()
}

/// A fault's step, as far as its bands need it.
pub(super) fn fault_step(record: &Record) -> Step {
    Step {
        at: record.time,
        edge: if record.what == What::FaultBegan {
            Edge::Begin
        } else {
            Edge::End
        },
        occurrence: record.b,
        fault: record.a as u32,
        target: None,
        tag: None,
    }
}

impl Measure for Traffic {
    fn wants(&self) -> Mask {
        Mask::of(&[
            What::Sent,
            What::Lost,
            What::Delivered,
            What::Duplicated,
            What::Dropped,
            What::FaultBegan,
            What::FaultEnded,
        ])
    }

    fn batch(&mut self, batch: Batch<'_>) {
        for record in batch.records {
            let measured = |sent: u64| sent >= self.setting.warm_up.as_nanos();
            // Kinds have numbers below eight.
            let kind = (record.a & 7) as usize;
            match record.what {
                What::Sent if measured(record.time.as_nanos()) => {
                    self.kinds[kind].sent += 1;
                    self.kinds[kind].bytes_sent += record.b;
                }
                What::Delivered => {
                    self.last_delivery = Some(record.time);
                    if measured(record.b) {
                        self.kinds[kind].delivered += 1;
                        self.kinds[kind].bytes_delivered += batch.extra(record)[0];
                    }
                }
                What::Lost if measured(batch.extra(record)[1]) => {
                    self.kinds[kind].lost += 1;
                    self.kinds[kind].bytes_lost += batch.extra(record)[0];
                    self.causes[(record.b & 7) as usize] += 1;
                }
                What::Duplicated if measured(batch.extra(record)[1]) => self.kinds[kind].duplicated += 1,
                What::Dropped if measured(record.b) => self.dropped += 1,
                What::FaultBegan | What::FaultEnded => self.note_fault(record),
                _ => {}
            }
        }
    }

    fn finish(self: Box<Self>, end: SimTime, sheet: &mut Sheet) {
        let mut all = Fate::default();
        for kind in MessageKind::ALL {
            let fate = &self.kinds[kind as usize];
            all.merge(fate);
            if fate.sent > 0 {
                fate.write(&format!("messages.{}.", kind.name()), sheet);
            }
        }
        all.write("messages.", sheet);
        for cause in LossCause::ALL {
            let name = format!("messages.lost_by.{}", cause.name());
            sheet.count(name, self.causes[cause as usize]);
        }
        sheet.count("messages.dropped", self.dropped);
        sheet.number("run.end", Some(end.as_secs_f64()));
        sheet.number("run.last_delivery", self.last_delivery.map(SimTime::as_secs_f64));
        let named =
            |(fault, start, end): (u32, SimTime, SimTime)| (self.setting.faults[fault as usize].0.clone(), start, end);
        sheet.bands = self.bands.spans(end).into_iter().map(named).collect();
        let open = self.on.values().map(|on| self.span(*on, end));
        // Raised demand is a trigger too, and shown where faults are.
        let raised = self.setting.surges.iter().filter(|(_, begin, _)| *begin < end);
        let raised = raised.map(|(group, begin, until)| FaultSpan {
            start: *begin,
            fault: format!("demand of {group}"),
            target: group.clone(),
            member: None,
            end: until.map_or(end, |until| until.min(end)),
        });
        let ticks = self.setting.ticks.iter().flat_map(|ticks| ticks_until(ticks, end));
        sheet.faults = self
            .over
            .iter()
            .cloned()
            .chain(open)
            .chain(raised)
            .chain(ticks)
            .collect();
        sheet.faults.sort();
    }
}
