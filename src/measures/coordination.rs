//! Coordination: what decisions cost in messages, bytes and time, and how long a group is without a leader.
//!
//! A decision counts when the first member takes it for decided, and is measured from when an agent submitted it. What happened before
//! the warm-up isn't counted. A leader's time ends when it yields, when it crashes, or when another one leads in a later term.

mod groups;
mod order;

pub(super) use groups::PerGroup;

use super::registry::measure_table;
use super::{Measure, MeasureInfo, Options, Setting, Sheet};
use crate::coordination::hierarchy;
use crate::coordination::member::event;
use crate::coordination::raft::server::notes;
use crate::coordination::work::TaskGraph;
use crate::kernel::{SimDuration, SimTime};
use crate::statistics::Recorder;
use crate::world::message::MessageKind;
use crate::world::record::{Batch, Mask, Record, What};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is measured of a coordination group.
pub(super) const GROUP: &[MeasureInfo] = measure_table![
    "coordination.*.messages", Count, Lower, "Messages that members sent each other, lost ones included; with the name of a kind behind the group's, those of that kind.";
    "coordination.*.bytes", Bytes, Lower, "The size of these messages.";
    "coordination.*.asked", Count, Neither, "Submissions of agents, each counted once however many attempts it took.";
    "coordination.*.answered", Count, Higher, "Answers to agents that something was done.";
    "coordination.*.refused", Count, Lower, "Answers to agents that something is refused.";
    "coordination.*.decided", Count, Higher, "Decisions: each counted when the first member took it for decided.";
    "coordination.*.wrong", Count, Lower, "Decisions of yes or no that are wrong: what was submitted deserved the other.";
    "coordination.*.wrong.share", Share, Lower, "The part of the decisions of yes or no that is wrong.";
    "coordination.*.wrong.approved", Count, Lower, "Of the wrong decisions the ones that approve.";
    "coordination.*.places.disputed", Count, Lower, "Places in the order of decisions for which members took different things for decided: for consensus anything but 0 is a breach, of a ledger what was undone after it was confirmed. Members that a scenario calls Byzantine don't count.";
    "coordination.*.views", Count, Lower, "PBFT: views that a correct replica has entered, beside the first.";
    "coordination.*.checkpoints", Count, Neither, "PBFT: checkpoints that became stable, each counted once.";
    "coordination.*.state_transfers", Count, Lower, "PBFT: times that a replica took over the state of another.";
    "coordination.*.rejected", Count, Lower, "PBFT: messages that were recognised as forged, and thrown away.";
    "coordination.*.asked_all", Count, Lower, "PBFT: times that a client had no answer in time, and asked all replicas.";
    "coordination.*.blocks", Count, Neither, "Ledger: blocks that were found, secret ones included.";
    "coordination.*.blocks.orphaned", Count, Lower, "Ledger: blocks that aren't in the longest chain that a member had: wasted work.";
    "coordination.*.blocks.orphaned.share", Share, Lower, "Ledger: the part of the blocks that is orphaned.";
    "coordination.*.forks", Count, Lower, "Ledger: heights at which more than one block was found.";
    "coordination.*.forks.share", Share, Lower, "Ledger: the part of the heights with a block at which more than one was found.";
    "coordination.*.reorganisations", Count, Lower, "Ledger: times that a member left blocks of its chain for a longer one.";
    "coordination.*.reorganisations.depth.max", Count, Lower, "Ledger: the most blocks that a member left at once.";
    "coordination.*.undone", Count, Lower, "Ledger: requests that a member had confirmed, and that a longer chain undid; each counted once.";
    "coordination.*.double_spends", Count, Lower, "Ledger: attacks that worked.";
    "coordination.*.double_spends.failed", Count, Higher, "Ledger: attacks that were given up.";
    "coordination.*.undecided", Count, Lower, "Votes that came to nothing: too few had voted in time.";
    "coordination.*.latency", Seconds, Lower, "Time from when an agent submitted something until the first member took it for decided: the distribution.";
    "coordination.*.latency.mean", Seconds, Lower, "Time from when an agent submitted something until the first member took it for decided: the mean.";
    "coordination.*.latency.p50", Seconds, Lower, "The median of these times.";
    "coordination.*.latency.p90", Seconds, Lower, "The 90th percentile of these times.";
    "coordination.*.latency.p95", Seconds, Lower, "The 95th percentile of these times.";
    "coordination.*.latency.p99", Seconds, Lower, "The 99th percentile of these times.";
    "coordination.*.latency.max", Seconds, Lower, "The longest of these times.";
    "coordination.*.messages_per_decision", Ratio, Lower, "Messages between members for each decision.";
    "coordination.*.bytes_per_decision", Bytes, Lower, "Bytes between members for each decision.";
    "coordination.*.elections", Count, Lower, "Terms or views in which a member stood for election, or wanted another leader.";
    "coordination.*.elections.split", Count, Lower, "Of these the ones in which nobody came to lead.";
    "coordination.*.elections.first_split", Verdict, Lower, "Whether nobody came to lead in the first term in which a member stood.";
    "coordination.*.leaders", Count, Lower, "Terms or views in which a member came to lead.";
    "coordination.*.leaderless.total", Seconds, Lower, "Time during which no live member led, from the warm-up to the end.";
    "coordination.*.leaderless.mean", Seconds, Lower, "Time from when a leader was gone until the next one led: the mean of those that ended after the warm-up.";
    "coordination.*.leaderless.max", Seconds, Lower, "The longest of these times.";
    "coordination.*.stall.max", Seconds, Lower, "Where members lead: the longest time in which something that was submitted waited and nothing was decided.";
    "coordination.*.handovers", Count, Neither, "Raft: times that a leader began to hand over, as `changes` had planned.";
    "coordination.*.handovers.time.mean", Seconds, Lower, "Time from when a leader began to hand over, and took no more proposals, until another one led: the mean.";
    "coordination.*.handovers.time.max", Seconds, Lower, "The longest of these times.";
    "coordination.*.memberships", Count, Neither, "Raft: changes of who belongs to the group that were committed, each counted once. A server that joins takes two, since it is a learner first, and one that comes back without its disk three.";
    "coordination.*.two_leaders", Count, Lower, "Terms or views in which two members led: anything but 0 is a breach of the protocol.";
];

/// How many latencies are kept exactly.
const KEPT: usize = 100_000;

/// A group to be watched.
#[derive(Debug, Clone)]
pub struct Watched {
    /// The entity of its first member.
    pub first: u32,
    /// How many members it has.
    pub count: u32,
    /// Its name.
    pub name: String,
    /// The name of its pattern.
    pub pattern: &'static str,
    /// The kinds of its messages.
    pub kinds: &'static [&'static str],
    /// The length of its members' periods, if they have such.
    pub period: Option<SimDuration>,
    /// The work that an orchestrator gives to agents.
    pub work: Option<Arc<TaskGraph>>,
    /// The rules of a hierarchy.
    pub hierarchy: Option<Arc<hierarchy::Rules>>,
}

/// What is known of one group.
#[derive(Debug)]
struct Tally {
    watched: Watched,
    /// Messages and bytes, by kind.
    sent: Vec<(u64, u64)>,
    /// What was asked for and isn't decided, since when.
    open: BTreeMap<u64, Open>,
    asked: u64,
    answered: u64,
    refused: u64,
    /// The last place in the order of decisions that somebody took for decided.
    decided_upto: u64,
    decided: u64,
    latency: Recorder,
    judgements: Judgements,
    order: order::Order,
    stood: BTreeSet<u64>,
    /// Who led, by term.
    led: BTreeMap<u64, u32>,
    two_leaders: BTreeSet<u64>,
    leader: Option<(u32, u64)>,
    leaderless_since: Option<SimTime>,
    leaderless: Leaderless,
    /// Since when something waits and nothing is decided.
    waits_since: Option<SimTime>,
    /// How much of what is open is awaited.
    awaited: u64,
    stall: SimDuration,
    hands_over_since: Option<SimTime>,
    handovers: Handovers,
    /// The places of changes of who belongs to the group.
    memberships: BTreeSet<u64>,
}

/// Something that was asked for and isn't decided.
#[derive(Debug, Clone, Copy)]
struct Open {
    since: SimTime,
    /// Whether somebody waits for it.
    awaited: bool,
}

/// Leaders that hand over.
#[derive(Debug, Default)]
struct Handovers {
    begun: u64,
    done: u64,
    sum: SimDuration,
    longest: SimDuration,
}

/// Decisions of yes or no, and what was right.
#[derive(Debug, Default)]
struct Judgements {
    all: u64,
    wrongly_approved: u64,
    wrongly_rejected: u64,
    undecided: u64,
}

impl Judgements {
    fn add(&mut self, decision: u64, truth: u64) {
        match (decision, truth) {
            (0, 1) => self.wrongly_rejected += 1,
            (1, 0) => self.wrongly_approved += 1,
            (0 | 1, _) => {}
            _ => self.undecided += 1,
        }
        self.all += 1;
    }

    fn write(&self, name: impl Fn(&str) -> String, sheet: &mut Sheet) {
        if self.all == 0 {
            return;
        }
        let wrong = self.wrongly_approved + self.wrongly_rejected;
        let judged = self.all - self.undecided;
        sheet.count(name("wrong"), wrong);
        sheet.number(name("wrong.share"), (judged > 0).then(|| wrong as f64 / judged as f64));
        sheet.count(name("wrong.approved"), self.wrongly_approved);
        sheet.count(name("undecided"), self.undecided);
    }
}

/// The times without a leader.
#[derive(Debug, Default)]
struct Leaderless {
    total: SimDuration,
    ended: u64,
    sum: SimDuration,
    longest: SimDuration,
}

impl Tally {
    fn new(watched: Watched) -> Self {
        Self {
            sent: vec![(0, 0); watched.kinds.len()],
            order: order::Order::of(watched.pattern),
            watched,
            open: BTreeMap::new(),
            asked: 0,
            answered: 0,
            refused: 0,
            decided_upto: 0,
            decided: 0,
            latency: Recorder::new(KEPT),
            judgements: Judgements::default(),
            stood: BTreeSet::new(),
            led: BTreeMap::new(),
            two_leaders: BTreeSet::new(),
            leader: None,
            leaderless_since: Some(SimTime::ZERO),
            leaderless: Leaderless::default(),
            waits_since: None,
            awaited: 0,
            stall: SimDuration::ZERO,
            hands_over_since: None,
            handovers: Handovers::default(),
            memberships: BTreeSet::new(),
        }
    }

    /// The leader is gone.
    fn lose_leader(&mut self, now: SimTime) {
        self.leader = None;
        self.leaderless_since.get_or_insert(now);
    }

    /// The time without a leader is over.
    fn settle(&mut self, now: SimTime, warm_up: SimTime, ends: bool) {
        let Some(since) = self.leaderless_since.take() else {
            return;
        };
        if now < warm_up {
            return;
        }
        self.leaderless.total += now - since.max(warm_up);
        if ends {
            let took = now - since;
            self.leaderless.ended += 1;
            self.leaderless.sum += took;
            self.leaderless.longest = self.leaderless.longest.max(took);
        }
    }

    fn leads(&mut self, member: u32, term: u64, now: SimTime, warm_up: SimTime) {
        if *self.led.entry(term).or_insert(member) != member {
            self.two_leaders.insert(term);
        }
        if self.leader.is_none_or(|(_, before)| before <= term) {
            self.leader = Some((member, term));
            self.settle(now, warm_up, true);
        }
        if let Some(since) = self.hands_over_since.take()
            && since >= warm_up
        {
            let took = now - since;
            self.handovers.done += 1;
            self.handovers.sum += took;
            self.handovers.longest = self.handovers.longest.max(took);
        }
    }

    /// An agent asks for something.
    fn asks(&mut self, identity: u64, since: SimTime) {
        let awaited = true;
        self.open.insert(identity, Open { since, awaited });
        self.awaited += 1;
        self.waits_since.get_or_insert(since);
    }

    /// An agent doesn't wait for something any more, which may still be decided.
    fn gives_up(&mut self, identity: u64, now: SimTime, warm_up: SimTime) {
        let open = self.open.get_mut(&identity);
        if let Some(open) = open.filter(|open| open.awaited) {
            open.awaited = false;
            self.awaited -= 1;
            if self.awaited == 0 {
                self.end_stall(now, warm_up);
            }
        }
    }

    /// Something was decided, or nobody waits any more: what waited has stalled for so long.
    fn end_stall(&mut self, now: SimTime, warm_up: SimTime) {
        if let Some(since) = self.waits_since.take()
            && now >= warm_up
        {
            self.stall = self.stall.max(now - since.max(warm_up));
        }
    }

    fn see_servers(&mut self, record: &Record, counts: u64) {
        match record.c as u16 {
            notes::HANDS_OVER => {
                self.hands_over_since = Some(record.time);
                self.handovers.begun += counts;
            }
            notes::MEMBERS if counts == 1 => drop(self.memberships.insert(record.a)),
            _ => {}
        }
    }

    fn see(&mut self, record: &Record, extra: &[u64], warm_up: SimTime) {
        let (now, counts) = (record.time, u64::from(record.time >= warm_up));
        self.order.see(record, extra, counts == 1);
        if self.watched.pattern == "Raft" {
            self.see_servers(record, counts);
        }
        match record.c as u16 {
            event::ANSWERED if record.b == 1 => self.answered += counts,
            event::ANSWERED => self.refused += counts,
            event::DECIDED if record.b == 0 || record.b > self.decided_upto => {
                self.decided_upto = self.decided_upto.max(record.b);
                if let (1, [decision, truth, ..]) = (counts, extra) {
                    self.judgements.add(*decision, *truth);
                }
                if let Some(open) = self.open.remove(&record.a) {
                    self.awaited -= u64::from(open.awaited);
                    if counts == 1 {
                        self.latency.record((now - open.since).as_nanos());
                    }
                }
                self.decided += counts;
                self.end_stall(now, warm_up);
                self.waits_since = (self.awaited > 0).then_some(now);
            }
            event::STANDS if counts == 1 => drop(self.stood.insert(record.a)),
            event::LEADS => self.leads(record.subject, record.a, now, warm_up),
            event::YIELDS if self.leader == Some((record.subject, record.a)) => self.lose_leader(now),
            _ => {}
        }
    }

    fn write(mut self, end: SimTime, warm_up: SimTime, sample: usize, sheet: &mut Sheet) {
        self.settle(end, warm_up, false);
        self.end_stall(end, warm_up);
        let name = |what: &str| format!("coordination.{}.{what}", self.watched.name);
        let (messages, bytes) = self
            .sent
            .iter()
            .fold((0, 0), |(messages, bytes), sent| (messages + sent.0, bytes + sent.1));
        for (kind, sent) in self.watched.kinds.iter().zip(&self.sent) {
            if sent.0 > 0 {
                sheet.count(name(&format!("{kind}.messages")), sent.0);
                sheet.number(name(&format!("{kind}.bytes")), Some(sent.1 as f64));
            }
        }
        sheet.count(name("messages"), messages);
        sheet.number(name("bytes"), Some(bytes as f64));
        for (what, count) in [
            ("asked", self.asked),
            ("answered", self.answered),
            ("refused", self.refused),
            ("decided", self.decided),
        ] {
            sheet.count(name(what), count);
        }
        self.judgements.write(name, sheet);
        self.order.write(name, sheet);
        sheet.durations(&name("latency"), &self.latency);
        sheet.sample(name("latency"), &self.latency, sample);
        let per = |count: u64| (self.decided > 0).then(|| count as f64 / self.decided as f64);
        sheet.number(name("messages_per_decision"), per(messages));
        sheet.number(name("bytes_per_decision"), per(bytes));
        if self.led.is_empty() && self.stood.is_empty() {
            return;
        }
        let split = self.stood.iter().filter(|term| !self.led.contains_key(term));
        sheet.count(name("elections"), self.stood.len() as u64);
        sheet.count(name("elections.split"), split.count() as u64);
        if let Some(first) = self.stood.first() {
            sheet.count(name("elections.first_split"), u64::from(!self.led.contains_key(first)));
        }
        sheet.count(name("leaders"), self.led.len() as u64);
        sheet.count(name("two_leaders"), self.two_leaders.len() as u64);
        let Leaderless {
            total,
            ended,
            sum,
            longest,
        } = self.leaderless;
        sheet.number(name("leaderless.total"), Some(total.as_secs_f64()));
        sheet.number(
            name("leaderless.mean"),
            (ended > 0).then(|| sum.as_secs_f64() / ended as f64),
        );
        sheet.number(name("leaderless.max"), (ended > 0).then(|| longest.as_secs_f64()));
        sheet.number(name("stall.max"), (self.asked > 0).then(|| self.stall.as_secs_f64()));
        if self.watched.pattern == "Raft" {
            let Handovers {
                begun,
                done,
                sum,
                longest,
            } = self.handovers;
            sheet.count(name("handovers"), begun);
            let mean = (done > 0).then(|| sum.as_secs_f64() / done as f64);
            sheet.number(name("handovers.time.mean"), mean);
            sheet.number(name("handovers.time.max"), (done > 0).then(|| longest.as_secs_f64()));
            sheet.count(name("memberships"), self.memberships.len() as u64);
        }
    }
}

/// The measure of coordination groups.
#[derive(Debug)]
pub struct Coordination {
    setting: Arc<Setting>,
    sample: usize,
    groups: PerGroup<Tally>,
}

impl Coordination {
    /// For a run.
    pub fn new(setting: Arc<Setting>, options: Options) -> Self {
        Self {
            groups: PerGroup::of(&setting, |watched| Some(Tally::new(watched.clone()))),
            sample: options.sample,
            setting,
        }
    }
}

impl Measure for Coordination {
    fn wants(&self) -> Mask {
        Mask::of(&[
            What::Coordination,
            What::Sent,
            What::CallStarted,
            What::CallEnded,
            What::Crashed,
        ])
    }

    fn batch(&mut self, batch: Batch<'_>) {
        let warm_up = self.setting.warm_up;
        for record in batch.records {
            match record.what {
                What::Sent if record.a as u8 == MessageKind::Peer as u8 && record.time >= warm_up => {
                    if let Some(tally) = self.groups.of_entity(record.subject)
                        && let Some(sent) = tally.sent.get_mut((record.a >> 40) as usize)
                    {
                        (sent.0, sent.1) = (sent.0 + 1, sent.1 + record.b);
                    }
                }
                What::Coordination => {
                    if let Some(tally) = self.groups.of_entity(record.subject) {
                        tally.see(record, batch.extra(record), warm_up);
                    }
                }
                What::CallStarted => {
                    let (identity, began) = (record.a, record.time);
                    if let Some(tally) = self.groups.of_entity(record.b as u32) {
                        tally.asks(identity, began);
                        tally.asked += u64::from(began >= warm_up);
                    }
                }
                What::CallEnded if record.c != 1 => {
                    if let Some(tally) = self.groups.of_entity(record.b as u32) {
                        tally.gives_up(record.a, record.time, warm_up);
                    }
                }
                What::Crashed => {
                    let (member, now) = (record.subject, record.time);
                    if let Some(tally) = self.groups.of_entity(member)
                        && tally.leader.is_some_and(|(leader, _)| leader == member)
                    {
                        tally.lose_leader(now);
                    }
                }
                _ => {}
            }
        }
    }

    fn finish(self: Box<Self>, end: SimTime, sheet: &mut Sheet) {
        for tally in self.groups.into_all() {
            tally.write(end, self.setting.warm_up, self.sample, sheet);
        }
    }
}
