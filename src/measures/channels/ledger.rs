//! What is known of one channel: every message, and what has become of it in every scope.

use super::Watched;
use crate::channels::event::{self, settled};
use crate::channels::item::number_of;
use crate::kernel::SimTime;
use crate::measures::Sheet;
use crate::measures::windows::{Clock, Level};
use crate::statistics::Recorder;
use crate::world::record::Record;
use std::collections::{BTreeMap, BTreeSet};

/// A message that was accepted.
#[derive(Debug, Clone, Copy)]
struct Message {
    /// The number of the first message of the same publication.
    first: u64,
    /// Its key plus 1; 0 for none.
    key: u64,
    published: SimTime,
    measured: bool,
}

/// A message in a scope.
#[derive(Debug, Clone, Copy, Default)]
struct Copy {
    /// How often it was handed over, and copied on the way.
    handed: u32,
    /// How many of these have come to an end.
    ended: u32,
    /// How the channel has ceased to owe it.
    settled: Option<u8>,
}

/// What has become of deliveries.
#[derive(Debug, Default)]
struct Ends {
    handled: u64,
    dead: u64,
    dropped: u64,
    expired: u64,
    passed_over: u64,
    lost: u64,
    under_way: u64,
    waiting: u64,
}

/// What is known of a channel.
#[derive(Debug)]
pub(super) struct Ledger {
    watched: Watched,
    warm_up: SimTime,
    clock: Clock,
    depth: Level,
    messages: Vec<Message>,
    first: BTreeMap<u64, u64>,
    copies: BTreeMap<(u32, u64), Copy>,
    /// The publications that were handled in a scope, by the number of their first message.
    handled: BTreeSet<(u32, u64)>,
    /// Those that were, before their consumer group was set back.
    again: BTreeSet<(u32, u64)>,
    /// The last message that was handled in a scope, by key.
    last: BTreeMap<(u32, u64), u64>,
    counts: BTreeMap<&'static str, u64>,
    latency: Recorder,
    /// How far each consumer group is behind, and the most.
    lag: BTreeMap<u32, u64>,
    most_lag: u64,
    /// Since when partitions have no owner.
    unowned: BTreeMap<(u64, u64), SimTime>,
    without_owner: u128,
    /// What the records say is owed, over all messages, and what the channel says at the end.
    owed: i128,
    holds: i128,
}

/// What is counted of events, in the order of the table.
const COUNTED: [&str; 19] = [
    "published",
    "accepted",
    "repeated",
    "deduplicated",
    "refused",
    "delivered",
    "redelivered",
    "duplicates",
    "replayed",
    "skipped",
    "failed",
    "discarded",
    "out_of_order",
    "rebalances",
    "fenced",
    "suspended",
    "polls",
    "polls.empty",
    "measured",
];

impl Ledger {
    pub fn new(watched: Watched, warm_up: SimTime, clock: Clock, depth: Level) -> Self {
        Self {
            watched,
            warm_up,
            clock,
            depth,
            messages: Vec::new(),
            first: BTreeMap::new(),
            copies: BTreeMap::new(),
            handled: BTreeSet::new(),
            again: BTreeSet::new(),
            last: BTreeMap::new(),
            counts: COUNTED.iter().map(|name| (*name, 0)).collect(),
            latency: Recorder::default(),
            lag: BTreeMap::new(),
            most_lag: 0,
            unowned: BTreeMap::new(),
            without_owner: 0,
            owed: 0,
            holds: 0,
        }
    }

    /// One more of what is counted.
    fn count(&mut self, what: &'static str, now: SimTime) {
        if now >= self.warm_up {
            *self.counts.entry(what).or_default() += 1;
        }
    }

    /// Something happened.
    pub fn follow(&mut self, record: &Record, extra: &[u64]) {
        let now = record.time;
        match record.c {
            event::SENT => self.count("published", now),
            event::ACCEPTED => self.accepted(record, extra),
            event::DEDUPLICATED => self.count("deduplicated", now),
            event::REFUSED => self.count("refused", now),
            event::DELIVERED => {
                self.count("delivered", now);
                if extra[3] > 0 {
                    self.count("redelivered", now);
                }
                self.copy(extra[0] as u32, record.b).handed += 1;
            }
            event::SETTLED => self.settled(extra[0] as u32, record.b, extra[1], now),
            event::REOPENED => self.reopened(extra[0] as u32, record.b, now),
            event::REWOUND => {
                let scope = extra[0] as u32;
                self.last.retain(|(other, _), _| *other != scope);
            }
            event::FENCED => self.count("fenced", now),
            event::SUSPENDED if record.b == 1 => self.count("suspended", now),
            event::REBALANCED => self.count("rebalances", now),
            event::REVOKED => {
                self.unowned.insert((extra[0], record.a), now);
            }
            event::ASSIGNED => {
                if let Some(since) = self.unowned.remove(&(extra[0], record.a)) {
                    self.without_owner += u128::from(now.since(since.max(self.warm_up)).as_nanos());
                }
            }
            event::POLLED => {
                self.count("polls", now);
                if record.b == 0 {
                    self.count("polls.empty", now);
                }
            }
            event::HOLDS => self.holds += i128::from(record.b),
            event::HANDLED => self.was_handled(record),
            event::SKIPPED | event::FAILED | event::DISCARDED => {
                let what = match record.c {
                    event::SKIPPED => "skipped",
                    event::FAILED => "failed",
                    _ => "discarded",
                };
                self.count(what, now);
                let scope = self.watched.spec.scope(record.subject);
                self.ended(scope, number_of(record.b));
            }
            _ => {}
        }
    }

    fn copy(&mut self, scope: u32, number: u64) -> &mut Copy {
        self.copies.entry((scope, number)).or_default()
    }

    fn accepted(&mut self, record: &Record, extra: &[u64]) {
        let now = record.time;
        debug_assert_eq!(
            record.b,
            self.messages.len() as u64,
            "messages are numbered as they come"
        );
        self.count("accepted", now);
        let first = *self.first.entry(record.a).or_insert(record.b);
        if first != record.b {
            self.count("repeated", now);
        }
        let measured = now >= self.warm_up;
        self.messages.push(Message {
            first,
            key: extra[0],
            published: SimTime::from_nanos(extra[1]),
            measured,
        });
        self.counts
            .entry("measured")
            .and_modify(|count| *count += u64::from(measured));
        let scopes = self.watched.scopes();
        self.owed += i128::from(scopes);
        self.depth.up(now, scopes);
        for group in 0..u32::from(self.watched.spec.groups) {
            let lag = self.lag.entry(group).or_default();
            *lag += 1;
            if measured {
                self.most_lag = self.most_lag.max(*lag);
            }
        }
    }

    fn settled(&mut self, scope: u32, number: u64, how: u64, now: SimTime) {
        self.copy(scope, number).settled = Some(how as u8);
        self.owed -= 1;
        self.depth.down(now, 1);
        if let Some(lag) = self.lag.get_mut(&scope) {
            *lag = lag.saturating_sub(1);
        }
    }

    fn reopened(&mut self, scope: u32, number: u64, now: SimTime) {
        self.copy(scope, number).settled = None;
        self.owed += 1;
        self.depth.up(now, 1);
        *self.lag.entry(scope).or_default() += 1;
        let Some(message) = self.messages.get(number as usize) else {
            return;
        };
        let place = (scope, message.first);
        if self.handled.remove(&place) {
            self.again.insert(place);
        }
    }

    fn was_handled(&mut self, record: &Record) {
        let (scope, number) = (self.watched.spec.scope(record.subject), number_of(record.b));
        self.ended(scope, number);
        let Some(message) = self.messages.get(number as usize).copied() else {
            return;
        };
        let place = (scope, message.first);
        if !self.handled.insert(place) {
            return self.count("duplicates", record.time);
        }
        if self.again.contains(&place) {
            self.count("replayed", record.time);
        } else if message.measured {
            self.latency.record((record.time - message.published).as_nanos());
        }
        if message.key > 0 {
            let last = self.last.entry((scope, message.key)).or_insert(number);
            if number < *last {
                self.count("out_of_order", record.time);
            } else {
                *last = number;
            }
        }
    }

    /// The network made a copy of what carries a message.
    pub fn copied(&mut self, scope: u32, number: u64) {
        self.copy(scope, number).handed += 1;
    }

    /// One handing over of a message has come to its end.
    pub fn ended(&mut self, scope: u32, number: u64) {
        self.copy(scope, number).ended += 1;
    }

    /// What has become of every delivery of the messages that count.
    fn ends(&self) -> Ends {
        let mut ends = Ends::default();
        let mut seen = 0;
        for ((scope, number), copy) in &self.copies {
            let Some(message) = self.messages.get(*number as usize).filter(|message| message.measured) else {
                continue;
            };
            seen += 1;
            let place = (*scope, message.first);
            let end = match copy.settled.map(u64::from) {
                _ if self.handled.contains(&place) => &mut ends.handled,
                None => &mut ends.waiting,
                Some(settled::DEAD) => &mut ends.dead,
                Some(settled::DROPPED) => &mut ends.dropped,
                Some(settled::EXPIRED) => &mut ends.expired,
                Some(settled::PASSED_OVER) => &mut ends.passed_over,
                Some(settled::WIPED) => &mut ends.lost,
                Some(_) if copy.handed > copy.ended => &mut ends.under_way,
                Some(_) => &mut ends.lost,
            };
            *end += 1;
        }
        // Nothing has happened yet to the others.
        ends.waiting += self.counts["measured"] * self.watched.scopes() - seen;
        ends
    }

    pub fn write(mut self, end: SimTime, sample: usize, sheet: &mut Sheet) {
        let prefix = format!("channel.{}.", self.watched.name);
        let name = |what: &str| format!("{prefix}{what}");
        for (what, count) in self.counts.iter().filter(|(what, _)| **what != "measured") {
            sheet.count(name(what), *count);
        }
        let ends = self.ends();
        sheet.count(name("owed"), self.counts["measured"] * self.watched.scopes());
        for (what, count) in [
            ("handled", ends.handled),
            ("dead", ends.dead),
            ("dropped", ends.dropped),
            ("expired", ends.expired),
            ("passed_over", ends.passed_over),
            ("lost", ends.lost),
            ("waiting", ends.waiting),
            ("under_way", ends.under_way),
            ("unaccounted", (self.owed - self.holds).unsigned_abs() as u64),
        ] {
            sheet.count(name(what), count);
        }
        sheet.durations(&name("latency"), &self.latency);
        sheet.sample(name("latency"), &self.latency, sample);
        sheet.number(name("depth.mean"), self.depth.mean(end));
        sheet.count(name("depth.max"), self.depth.peak());
        let means = self.depth.means(end);
        let whole = self.clock.whole(end).min(means.len());
        sheet
            .series
            .insert(name("depth"), self.clock.series(means[..whole].to_vec()));
        if self.watched.spec.groups > 0 && matches!(self.watched.spec.kind, crate::channels::Kind::Log(_)) {
            let open = self.unowned.values();
            let open = open.map(|since| u128::from(end.since((*since).max(self.warm_up)).as_nanos()));
            let unowned = self.without_owner + open.sum::<u128>();
            sheet.number(name("unowned"), Some(unowned as f64 / 1e9));
            sheet.count(name("lag.max"), self.most_lag);
        } else {
            sheet.numbers.remove(&name("rebalances"));
        }
    }
}
