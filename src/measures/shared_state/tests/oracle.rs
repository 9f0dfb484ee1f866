//! The same measures from an explicit graph: every event of an agent and every acceptance is a node, causes are edges, and a
//! past is whatever a search from a node reaches. Slow, and independent of clocks, frontiers and pruning.

use super::{Act, Bench, SharedStateJudge, bench, models, ms, watched};
use crate::kernel::SimTime;
use crate::network::SiteId;
use crate::random::Law;
use crate::state::{Dot, Keeping, KeyType, Op, Versions};
use crate::stores::words::ReplyWords;
use crate::stores::words::of_version_words;
use crate::stores::words::{of_op_words, of_range_words, of_reply_words, of_store_key};
use crate::stores::{AntiEntropy, HintedHandoff, Legs, Model, Placement, Protocol, QuorumSpec, StoreSpec};
use crate::world::record::{Batch, Mask, Observer, Record, What};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// Keeps every record.
#[derive(Default)]
pub(super) struct Tape(pub(super) Vec<(Record, Vec<u64>)>);

impl Observer for Tape {
    fn wants(&self) -> Mask {
        Mask::ALL
    }

    fn batch(&mut self, batch: Batch<'_>) {
        self.0.extend(
            batch
                .records
                .iter()
                .map(|record| (*record, batch.extra(record).to_vec())),
        );
    }

    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any> {
        self
    }
}

#[derive(Debug, Clone)]
struct Version {
    identity: u64,
    key: u32,
    dot: Dot,
    stamp: i64,
    op: Op,
    started: usize,
    accepted: usize,
    /// What its writer had before its eyes: of a blind update what its replica held.
    before_its_eyes: Vec<usize>,
    /// What its agent had done before, or been told of.
    told: BTreeSet<u64>,
}

/// What both sides count.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    concurrent: usize,
    conflicts: usize,
    overwritten_unseen: usize,
    lost_effects: usize,
    lost_updates: usize,
    monotonic_reads: usize,
    monotonic_writes: usize,
    writes_follow_reads: usize,
    stale: Vec<(u64, u64)>,
    causal_violations: usize,
    read_your_writes: usize,
    divergence: Vec<u64>,
}

#[derive(Default)]
struct Graph {
    causes: Vec<Vec<usize>>,
}

impl Graph {
    fn node(&mut self, causes: Vec<usize>) -> usize {
        self.causes.push(causes);
        self.causes.len() - 1
    }

    fn past(&self, node: usize) -> BTreeSet<usize> {
        let (mut past, mut todo) = (BTreeSet::new(), vec![node]);
        while let Some(node) = todo.pop() {
            if past.insert(node) {
                todo.extend(&self.causes[node]);
            }
        }
        past
    }
}

/// Whether two operations on a key other than a text don't commute.
fn conflict(a: Op, b: Op) -> bool {
    match (a, b) {
        (Op::Put { field: a, .. }, Op::Put { field: b, .. })
        | (Op::Put { field: a, .. } | Op::Increase { field: a, .. }, Op::Drop { field: b })
        | (Op::Drop { field: b }, Op::Put { field: a, .. } | Op::Increase { field: a, .. }) => a == b,
        (Op::Write(_), Op::Write(_)) => true,
        (Op::Insert(a), Op::Remove(b)) | (Op::Remove(b), Op::Insert(a)) => a == b,
        _ => false,
    }
}

/// One attempt of a read.
struct Served {
    seen: Vec<usize>,
    stale: Option<(u64, u64)>,
    causal: bool,
    own: bool,
    earlier: bool,
}

/// Replays a tape.
#[derive(Default)]
struct Search {
    keeping: Vec<Keeping>,
    /// Whether coordinators build on what they have logged.
    logs: bool,
    /// The operations that each agent has done itself or been told of; and those that it had at the beginning of an operation,
    /// and when it sent a message.
    told: BTreeMap<u32, BTreeSet<u64>>,
    told_at: BTreeMap<u64, BTreeSet<u64>>,
    told_by: BTreeMap<u64, BTreeSet<u64>>,
    /// The replicas of each key.
    keepers: Vec<Vec<u32>>,
    /// What each replica has accepted, by key.
    accepted: BTreeMap<(u32, u32), Vec<usize>>,
    graph: Graph,
    /// The latest nodes of each agent.
    latest: BTreeMap<u32, Vec<usize>>,
    started: BTreeMap<u64, usize>,
    /// When operations began, by their place on the tape.
    began: BTreeMap<u64, usize>,
    sent: BTreeMap<u64, Vec<usize>>,
    versions: Vec<Version>,
    heard: BTreeMap<(u32, u32), BTreeSet<usize>>,
    held: BTreeMap<(u32, u32), BTreeSet<usize>>,
    bases: Vec<(usize, usize)>,
    /// Of insertions into texts: the character before them.
    places: BTreeMap<usize, u64>,
    /// Of deletions from texts: the characters, each by its insertion and its place in that.
    takes: BTreeMap<usize, BTreeSet<(usize, u64)>>,
    winners: BTreeSet<(usize, usize)>,
    overwritten: BTreeSet<usize>,
    acked: BTreeMap<usize, (usize, SimTime)>,
    /// The updates that their agents have given up.
    given_up: BTreeSet<u64>,
    served: BTreeMap<u64, Served>,
    /// What each agent's reads have returned: place of the acknowledgement, key, versions.
    returned: BTreeMap<u64, Vec<(usize, u32, Vec<usize>)>>,
    /// What the current entry has made visible.
    news: Vec<(u32, usize)>,
    monotonic_writes: BTreeSet<usize>,
    writes_follow_reads: BTreeSet<usize>,
    counts: Counts,
}

impl Search {
    fn find(&self, key: u32, bits: u64) -> Option<usize> {
        let dot = Dot::from_bits(bits);
        self.versions
            .iter()
            .position(|version| version.key == key && version.dot == dot)
    }

    fn lacks(&self, replica: u32, version: usize) -> bool {
        let place = (replica, self.versions[version].key);
        if !self.keepers[place.1 as usize].contains(&replica) {
            return false;
        }
        let empty = BTreeSet::new();
        let (heard, held) = (
            self.heard.get(&place).unwrap_or(&empty),
            self.held.get(&place).unwrap_or(&empty),
        );
        self.is_lacking(heard, held, version)
    }

    /// Whether whoever has heard of these versions and holds those lacks another one.
    fn is_lacking(&self, heard: &BTreeSet<usize>, held: &BTreeSet<usize>, version: usize) -> bool {
        if heard.contains(&version) {
            return false;
        }
        let it = &self.versions[version];
        match self.keeping[it.key as usize] {
            Keeping::Ranked => {
                let ranks = heard
                    .iter()
                    .map(|other| (self.versions[*other].stamp, self.versions[*other].dot));
                ranks.max().is_none_or(|top| (it.stamp, it.dot) > top)
            }
            Keeping::Causal => {
                let mut above = BTreeSet::from([version]);
                for _ in 0..self.versions.len() {
                    let next = self.winners.iter().filter(|(loser, _)| above.contains(loser));
                    let next: Vec<usize> = next.map(|(_, winner)| *winner).collect();
                    above.extend(next);
                }
                above.is_disjoint(heard) && !held.iter().any(|other| self.saw(*other, version))
            }
            Keeping::All => true,
            Keeping::Removals => !self
                .winners
                .iter()
                .any(|(loser, winner)| *loser == version && heard.contains(winner)),
        }
    }

    /// What a read that was served at a replica has heard of and holds: what the replica does, or what the read says of itself.
    fn known_to(&self, replica: u32, key: u32, reply: &ReplyWords) -> (BTreeSet<usize>, BTreeSet<usize>) {
        let of = |map: &BTreeMap<(u32, u32), BTreeSet<usize>>| map.get(&(replica, key)).cloned().unwrap_or_default();
        if reply.marks.is_empty() {
            return (of(&self.heard), of(&self.held));
        }
        let within = |has: &dyn Fn(Dot) -> bool| {
            let all = self.versions.iter().enumerate();
            all.filter(|(_, version)| version.key == key && has(version.dot))
                .map(|(place, _)| place)
                .collect::<BTreeSet<usize>>()
        };
        let shown = within(&|dot| reply.versions.contains(dot));
        match &reply.kept {
            Some((kept, seen)) => (within(&|dot| seen.contains(dot)), within(&|dot| kept.contains(&dot))),
            None => (shown.clone(), shown),
        }
    }

    fn saw(&self, version: usize, other: usize) -> bool {
        let past = self.graph.past(self.versions[version].accepted);
        past.contains(&self.versions[other].started)
    }

    fn agent(identity: u64) -> u64 {
        identity >> 32
    }

    /// Looks at what an entry has made visible.
    fn check_order(&mut self) {
        for (replica, news) in std::mem::take(&mut self.news) {
            let it = &self.versions[news];
            let earlier = (0..self.versions.len()).any(|other| {
                let before = self.versions[other].identity;
                Self::agent(before) == Self::agent(it.identity)
                    && before < it.identity
                    && other < news
                    && !self.given_up.contains(&before)
                    && self.lacks(replica, other)
            });
            let reads = self.returned.get(&Self::agent(it.identity)).into_iter().flatten();
            let before = reads.filter(|(acked, _, _)| *acked < self.began[&it.identity]);
            let unread = before
                .flat_map(|(_, _, versions)| versions)
                .any(|other| self.lacks(replica, *other));
            self.monotonic_writes.extend(earlier.then_some(news));
            self.writes_follow_reads.extend(unread.then_some(news));
        }
    }

    fn follow(&mut self, place: usize, record: &Record, extra: &[u64]) {
        let key = of_store_key(record.a).1;
        let latest = |search: &Self| search.latest.get(&record.subject).cloned().unwrap_or_default();
        match record.what {
            What::CallStarted => {
                let told = self.told.entry(record.subject).or_default();
                self.told_at.insert(record.a, told.clone());
                told.insert(record.a);
                let node = self.graph.node(latest(self));
                self.latest.insert(record.subject, vec![node]);
                self.started.insert(record.a, node);
                self.began.insert(record.a, place);
            }
            What::Sent if record.a & 0xff <= 2 => {
                let told = self.told.get(&record.subject).cloned().unwrap_or_default();
                self.told_by.insert(record.c, told);
                self.sent.insert(record.c, latest(self));
            }
            What::Delivered if record.a & 0xff <= 2 => {
                self.told
                    .entry(record.subject)
                    .or_default()
                    .extend(&self.told_by[&record.c]);
                let mut causes = latest(self);
                causes.extend(&self.sent[&record.c]);
                let node = self.graph.node(causes);
                self.latest.insert(record.subject, vec![node]);
            }
            What::Accepted => {
                let key = of_store_key(record.b).1;
                let mut causes = vec![self.started[&record.a]];
                if extra[1] >> 32 & 1 == 1 {
                    let before = self.heard.get(&(record.subject, key));
                    causes.extend(
                        before
                            .into_iter()
                            .flatten()
                            .map(|version| self.versions[*version].accepted),
                    );
                    // What it has accepted it knows, though readers may not see it there yet.
                    let own = self.accepted.get(&(record.subject, key)).into_iter().flatten();
                    causes.extend(own.map(|version| self.versions[*version].accepted));
                }
                self.accepted
                    .entry((record.subject, key))
                    .or_default()
                    .push(self.versions.len());
                let accepted = self.graph.node(causes);
                let before_its_eyes: Vec<usize> = if extra[1] >> 32 & 1 == 1 {
                    let said = match of_version_words(&extra[5..]) {
                        Versions::Heads(heads) => heads,
                        Versions::Effects(_) => Vec::new(),
                    };
                    let said: Vec<usize> = said.iter().filter_map(|dot| self.find(key, dot.bits())).collect();
                    // A coordinator also builds on what it has logged.
                    let held = self.held.get(&(record.subject, key)).into_iter().flatten().copied();
                    let logs = self.keeping[key as usize] != Keeping::Ranked || self.logs;
                    assert!(logs || held.eq(said.iter().copied()), "what a replica says it holds");
                    said
                } else {
                    let reads = self
                        .returned
                        .get(&Self::agent(record.a))
                        .map_or(&[][..], Vec::as_slice)
                        .iter();
                    let latest = reads.rev().find(|(_, of, _)| *of == key);
                    latest.map(|(_, _, versions)| versions.clone()).unwrap_or_default()
                };
                self.versions.push(Version {
                    identity: record.a,
                    key,
                    dot: Dot::from_bits(record.c),
                    stamp: extra[2] as i64,
                    op: of_op_words([extra[3], extra[4]]),
                    started: self.started[&record.a],
                    accepted,
                    before_its_eyes,
                    told: self.told_at[&record.a].clone(),
                });
            }
            What::Applied => {
                for dot in of_range_words(record.b, record.c).dots() {
                    let version = self.find(key, dot.bits()).expect("it was accepted");
                    self.heard.entry((record.subject, key)).or_default().insert(version);
                    self.held.entry((record.subject, key)).or_default().insert(version);
                    self.news.push((record.subject, version));
                }
            }
            What::Outranked => {
                let loser = self.find(key, record.b).expect("it was accepted");
                self.heard.entry((record.subject, key)).or_default().insert(loser);
                self.held.entry((record.subject, key)).or_default().remove(&loser);
                if record.c != u64::MAX {
                    let winner = self.find(key, record.c).expect("it was accepted");
                    self.winners.insert((loser, winner));
                    if !self.saw(winner, loser) {
                        self.overwritten.insert(loser);
                    }
                }
            }
            What::Replaces => {
                let found = [record.b, record.c].map(|bits| self.find(key, bits).expect("it was accepted"));
                self.winners.insert((found[0], found[1]));
                if !self.saw(found[1], found[0]) {
                    self.overwritten.insert(found[0]);
                }
            }
            What::BuiltOn => {
                let found = [record.b, record.c].map(|bits| self.find(key, bits).expect("it was accepted"));
                self.bases.push((found[0], found[1]));
            }
            What::Placed => {
                let version = self.find(key, record.b).expect("it was accepted");
                self.places.insert(version, record.c);
            }
            What::Took => {
                let found = [record.b, record.c].map(|bits| self.find(key, bits).expect("it was accepted"));
                let (first, length) = (extra[0] >> 32, extra[0] & 0xffff_ffff);
                let taken = (first..first + length).map(|place| (found[1], place));
                self.takes.entry(found[0]).or_default().extend(taken);
            }
            What::OperationFailed if record.c & 1 == 1 => {
                self.given_up.insert(record.a);
            }
            What::ReadServed => self.serve(record, extra),
            What::OperationAcknowledged if record.c & 1 == 1 => {
                // With the acknowledgement the agent knows what it has done, and that builds on what its replica held.
                let versions = self.versions.iter().filter(|version| version.identity == record.a);
                let accepted: Vec<usize> = versions.map(|version| version.accepted).collect();
                self.latest.entry(record.subject).or_default().extend(accepted);
                let version = self.versions.iter().position(|version| version.identity == record.a);
                self.acked
                    .insert(version.expect("it was accepted"), (place, record.time));
            }
            What::OperationAcknowledged => {
                let served = self.served.remove(&record.a).expect("it was served");
                let mut causes = latest(self);
                causes.extend(served.seen.iter().map(|version| self.versions[*version].accepted));
                let node = self.graph.node(causes);
                self.latest.insert(record.subject, vec![node]);
                self.counts.stale.extend(served.stale);
                self.counts.causal_violations += usize::from(served.causal);
                self.counts.read_your_writes += usize::from(served.own);
                self.counts.monotonic_reads += usize::from(served.earlier);
                let returned = self.returned.entry(Self::agent(record.a)).or_default();
                returned.push((place, record.b as u32, served.seen));
            }
            _ => {}
        }
    }

    /// Whether a read of a ranked key returns only what an own write, acknowledged before, has in its past.
    fn undoes(&self, read: u64, key: u32, seen: &[usize]) -> bool {
        let own = self.acked.iter().filter(|(place, (at, _))| {
            let version = &self.versions[**place];
            version.key == key && Self::agent(version.identity) == Self::agent(read) && *at < self.began[&read]
        });
        let is_ranked = self.keeping[key as usize] == Keeping::Ranked;
        let mut own = own.map(|(place, _)| *place);
        is_ranked
            && !seen.is_empty()
            && own.any(|own| seen.iter().all(|other| *other < own && self.follows(own, *other)))
    }

    /// Whether a version came after another one that is no version of the same update.
    fn follows(&self, version: usize, other: usize) -> bool {
        self.versions[version].identity != self.versions[other].identity && self.saw(version, other)
    }

    fn serve(&mut self, record: &Record, extra: &[u64]) {
        let key = of_store_key(record.b).1;
        let reply = of_reply_words(&extra[2..]);
        let (heard, held) = self.known_to(record.subject, key, &reply);
        let dots: Vec<Dot> = match reply.versions {
            Versions::Heads(heads) => heads,
            Versions::Effects(set) => set.dots().collect(),
        };
        let seen: Vec<usize> = dots
            .iter()
            .map(|dot| self.find(key, dot.bits()).expect("it was accepted"))
            .collect();
        let mine = self.graph.past(self.started[&record.a]);
        let (mut stale, mut causal, mut own) = (None::<(u64, u64)>, false, false);
        for (place, version) in self.versions.iter().enumerate() {
            if version.key != key || !self.is_lacking(&heard, &held, place) {
                continue;
            }
            let acked = self.acked.get(&place).filter(|(at, _)| *at < self.began[&record.a]);
            if let Some((_, time)) = acked {
                let age = (record.time - *time).as_nanos();
                stale = Some(stale.map_or((age, 1), |(oldest, lag)| (oldest.max(age), lag + 1)));
            }
            let is_own = Self::agent(version.identity) == Self::agent(record.a);
            own |= is_own && acked.is_some();
            causal |= mine.contains(&version.started) && (acked.is_some() || !is_own);
        }
        own |= self.undoes(record.a, key, &seen);
        let reads = self.returned.get(&Self::agent(record.a)).into_iter().flatten();
        let of_key = reads.filter(|(acked, of, _)| *of == key && *acked < self.began[&record.a]);
        let earlier = of_key
            .flat_map(|(_, _, versions)| versions)
            .any(|version| self.is_lacking(&heard, &held, *version));
        self.served.insert(
            record.a,
            Served {
                seen,
                stale,
                causal,
                own,
                earlier,
            },
        );
    }

    fn finish(mut self) -> Counts {
        self.check_order();
        let mut contained: BTreeSet<usize> = BTreeSet::new();
        let mut todo: Vec<usize> = Vec::new();
        for (place, held) in &self.held {
            let keeping = self.keeping[place.1 as usize];
            let heard = &self.heard[place];
            // What was carried on by another insert lives in that one.
            let carried_on = |it: &usize| {
                self.bases
                    .iter()
                    .any(|(later, base)| base == it && heard.contains(later))
            };
            todo.extend(match keeping {
                Keeping::All => heard.iter().copied().collect::<Vec<_>>(),
                Keeping::Ranked | Keeping::Causal => held.iter().copied().collect(),
                Keeping::Removals => held.iter().copied().filter(|it| !carried_on(it)).collect(),
            });
        }
        while let Some(version) = todo.pop() {
            if contained.insert(version) {
                todo.extend(self.bases.iter().filter(|(it, _)| *it == version).map(|(_, base)| base));
            }
        }
        let all = 0..self.versions.len();
        let of = |version: usize| &self.versions[version];
        let saw: Vec<Vec<bool>> = all
            .clone()
            .map(|a| all.clone().map(|b| self.saw(a, b)).collect())
            .collect();
        let concurrent = |a: usize, b: usize| {
            let apart = Self::agent(of(a).identity) != Self::agent(of(b).identity);
            of(a).key == of(b).key && apart && !saw[a][b] && !saw[b][a]
        };
        let counts = &mut self.counts;
        for a in all.clone() {
            counts.concurrent += usize::from(all.clone().any(|b| concurrent(a, b)));
            let empty = BTreeSet::new();
            let takes = |version: usize| self.takes.get(&version).unwrap_or(&empty);
            let at_one_place = |b: usize| self.places.contains_key(&a) && self.places.get(&a) == self.places.get(&b);
            let in_the_way =
                |b: usize| conflict(of(a).op, of(b).op) || at_one_place(b) || !takes(a).is_disjoint(takes(b));
            let conflicts = |b: usize| concurrent(a, b) && in_the_way(b);
            counts.conflicts += usize::from(all.clone().any(conflicts));
            if self.acked.contains_key(&a) {
                let ranked = self.keeping[of(a).key as usize] == Keeping::Ranked;
                // Whether it stands in the chain of versions that one was computed from.
                let builds_on = |b: usize| {
                    let mut todo = vec![b];
                    while let Some(version) = todo.pop() {
                        todo.extend(
                            self.bases
                                .iter()
                                .filter(|(it, _)| *it == version)
                                .map(|(_, base)| *base),
                        );
                        if todo.contains(&a) {
                            return true;
                        }
                    }
                    false
                };
                let after = |b: &usize| {
                    let sees = match (ranked, of(a).op) {
                        (false, _) => saw[*b][a],
                        (
                            true,
                            Op::Insert(_) | Op::Remove(_) | Op::Put { .. } | Op::Increase { .. } | Op::Drop { .. },
                        ) => builds_on(*b),
                        (true, _) => of(*b).before_its_eyes.contains(&a),
                    };
                    let sees = match ranked {
                        true => sees || of(*b).told.contains(&of(a).identity),
                        false => sees,
                    };
                    *b != a && of(a).key == of(*b).key && sees
                };
                // What conflicts when concurrent replaces when it comes later.
                let replaced = all.clone().filter(after).any(|b| conflict(of(a).op, of(b).op));
                let is_there = contained.contains(&a);
                let taken_by = |character: &(usize, u64)| {
                    let deletions = self.takes.iter().filter(|(_, taken)| taken.contains(character));
                    deletions.map(|(deletion, _)| *deletion).collect::<Vec<_>>()
                };
                let effects = match of(a).op {
                    Op::InsertText { length, .. } => {
                        let characters = (0..u64::from(length)).map(|place| (a, place));
                        let is_lost = |character: &(usize, u64)| {
                            let by = taken_by(character);
                            let gone = !is_there || by.iter().any(|by| contained.contains(by));
                            gone && !by.iter().any(|by| saw[*by][a])
                        };
                        characters.filter(is_lost).count()
                    }
                    _ if is_there => 0,
                    Op::DeleteText { .. } => {
                        let back = takes(a).iter().filter(|(from, _)| contained.contains(from));
                        back.filter(|character| !taken_by(character).iter().any(|by| contained.contains(by)))
                            .count()
                    }
                    _ => usize::from(!replaced),
                };
                counts.lost_effects += effects;
                let is_text = matches!(of(a).op, Op::InsertText { .. } | Op::DeleteText { .. });
                let weight = if is_text || is_there { effects } else { 1 };
                let direct = |b: usize| {
                    let told = of(b).told.contains(&of(a).identity);
                    b != a && of(b).key == of(a).key && (told || of(b).before_its_eyes.contains(&a))
                };
                let was_seen = match ranked {
                    true => all.clone().any(direct),
                    false => all.clone().any(|b| after(&b)),
                };
                counts.lost_updates += if was_seen { 0 } else { weight };
            }
        }
        counts.overwritten_unseen = self.overwritten.len();
        counts.monotonic_writes = self.monotonic_writes.len();
        counts.writes_follow_reads = self.writes_follow_reads.len();
        counts.stale.sort_unstable();
        self.counts
    }
}

/// The time during which replicas show different values, by key.
fn divergence(kinds: &[KeyType], keepers: &[Vec<u32>], tape: &[(Record, Vec<u64>)]) -> Vec<u64> {
    let mut shown: BTreeMap<(u32, u32), u64> = BTreeMap::new();
    let (mut sums, mut since) = (vec![0; kinds.len()], SimTime::ZERO);
    let until = |to: SimTime, since: &mut SimTime, shown: &BTreeMap<(u32, u32), u64>, sums: &mut Vec<u64>| {
        for (key, kind) in (0..).zip(kinds) {
            let of = |replica| shown.get(&(replica, key)).copied().unwrap_or(kind.empty().digest());
            let mut keepers = keepers[key as usize].iter();
            let first = keepers.next().map(|replica| of(*replica));
            if keepers.any(|replica| Some(of(*replica)) != first) {
                sums[key as usize] += (to - *since).as_nanos();
            }
        }
        *since = to;
    };
    for (record, _) in tape.iter().filter(|(record, _)| record.what == What::Visible) {
        until(record.time, &mut since, &shown, &mut sums);
        shown.insert((record.subject, of_store_key(record.a).1), record.b);
    }
    until(ms(100_000), &mut since, &shown, &mut sums);
    sums
}

fn by_search(model: &Model, spec: &StoreSpec, tape: &[(Record, Vec<u64>)]) -> Counts {
    let kinds: Vec<KeyType> = spec.keys.iter().map(|(_, kind)| *kind).collect();
    let all = || 0..spec.replicas.len() as u32;
    let keepers = (0..kinds.len() as u32).map(|key| all().filter(|replica| spec.keeps(*replica, key)).collect());
    let keepers: Vec<Vec<u32>> = keepers.collect();
    let mut search = Search {
        keeping: kinds.iter().map(|kind| model.keeping(*kind)).collect(),
        keepers: keepers.clone(),
        logs: spec.quorum().is_some(),
        ..Search::default()
    };
    let mut entry = None;
    for (place, (record, extra)) in tape.iter().enumerate() {
        if entry.replace((record.time, record.entry)) != Some((record.time, record.entry)) {
            search.check_order();
        }
        search.follow(place, record, extra);
    }
    Counts {
        divergence: divergence(&kinds, &keepers, tape),
        ..search.finish()
    }
}

fn by_judge(judge: &mut SharedStateJudge) -> Counts {
    let s = judge.results(ms(100_000));
    let mut stale: Vec<_> = s
        .stale_age
        .kept
        .iter()
        .copied()
        .zip(s.stale_lag.kept.iter().copied())
        .collect();
    stale.sort_unstable();
    Counts {
        concurrent: s.concurrent as usize,
        conflicts: s.conflicts as usize,
        overwritten_unseen: s.overwritten_unseen as usize,
        lost_effects: s.lost_effects as usize,
        lost_updates: s.lost_updates as usize,
        monotonic_reads: s.monotonic_reads as usize,
        monotonic_writes: s.monotonic_writes as usize,
        writes_follow_reads: s.writes_follow_reads as usize,
        stale,
        causal_violations: s.causal_violations as usize,
        read_your_writes: s.read_your_writes as usize,
        divergence: s.divergence,
    }
}

/// What a client does next, and how long after its last act.
fn act() -> impl Strategy<Value = (u64, Act)> {
    let op = |key: u32, value: u64| match key {
        0 => Op::Write(value),
        1 => Op::Add(value as i64),
        4 if value < 2 => Op::Put { field: 1, value },
        4 if value < 3 => Op::Increase { field: 1, by: 1 },
        4 => Op::Drop { field: 1 },
        3 if value < 2 => Op::InsertText {
            at: value as u32 * 2,
            from: 0,
            length: 3,
        },
        3 => Op::DeleteText {
            at: value as u32 - 2,
            length: 2,
        },
        _ if value < 2 => Op::Insert(value % 2),
        _ => Op::Remove(value % 2),
    };
    let act = prop_oneof![
        3 => (0u32..5, 0u32..3, 0u64..4, any::<bool>())
            .prop_map(move |(key, replica, value, aware)| Act::Update { key, replica, op: op(key, value), aware }),
        3 => (0u32..5, 0u32..3).prop_map(|(key, replica)| Act::Read { key, replica }),
        1 => (0u32..3).prop_map(Act::Tell),
    ];
    // An operation takes at most 2 x 40 ms, so that an agent waits for its answer.
    (81u64..300, act)
}

fn history() -> impl Strategy<Value = Vec<Vec<(u64, Act)>>> {
    prop::collection::vec(prop::collection::vec(act(), 0..12), 3)
}

fn prepared(model: Model, scripts: &[Vec<(u64, Act)>], slow: u64, batches: bool, entropy: bool) -> Bench {
    let mut bench = bench(model, 3, 40);
    bench.spec.replication.delay = Some(Law::Uniform {
        low: 0.0,
        high: slow as f64 * 1e6,
    });
    bench.spec.replicas[2].clock = crate::state::Clock::new(60_000_000, 0).unwrap();
    if entropy {
        bench.spec.anti_entropy = Some(AntiEntropy {
            every: crate::kernel::SimDuration::from_millis(300),
            jitter: None,
            until: Some(ms(6_000)),
        });
    }
    if batches {
        bench.spec.replication.batch = Some(crate::kernel::SimDuration::from_millis(150));
    }
    for (client, script) in scripts.iter().enumerate() {
        let mut at = 10 + client as u64;
        let has_texts = bench.spec.keys.len() > 3;
        let times = script.iter().map(|(gap, act)| {
            at += gap;
            let act = match *act {
                // Models that have no texts have one key less.
                Act::Read { key: 3.., replica } if !has_texts => Act::Read { key: 2, replica },
                Act::Update {
                    key: 3..,
                    replica,
                    aware,
                    ..
                } if !has_texts => {
                    let op = Op::Insert(1);
                    Act::Update {
                        key: 2,
                        replica,
                        op,
                        aware,
                    }
                }
                act => act,
            };
            (ms(at), act)
        });
        bench.clients.push((SiteId(client as u32), times.collect()));
    }
    bench
}

/// How a store of three replicas works by quorums, with legs that take up to so many milliseconds.
fn quorums(slow: u64) -> impl Strategy<Value = QuorumSpec> {
    let one = 1u32..=3;
    (2u32..=3, one.clone(), one, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        move |(n, r, w, read_repair, handoff, by_legs)| {
            let law = |share: f64| {
                by_legs.then_some(Law::Uniform {
                    low: 0.0,
                    high: share * slow as f64 * 1e6,
                })
            };
            let keys = ["note", "count", "tags"];
            QuorumSpec {
                n,
                r: r.min(n),
                w: w.min(n),
                read_repair,
                hinted_handoff: handoff.then_some(HintedHandoff {
                    after: crate::kernel::SimDuration::from_millis(slow / 2 + 1),
                    retry: crate::kernel::SimDuration::from_millis(700),
                    keep: crate::kernel::SimDuration::from_secs(1000),
                }),
                sloppy: handoff && n == 2,
                timeout: crate::kernel::SimDuration::from_secs(50),
                legs: Legs {
                    write: law(1.0),
                    ack: law(0.5),
                    read: law(1.0),
                    reply: law(0.5),
                },
                placement: Arc::new(if n == 3 {
                    Placement::everywhere(3)
                } else {
                    Placement::ring(keys, &["a", "b", "c"])
                }),
            }
        },
    )
}

/// The same histories, with operations that wait for quorums.
fn prepared_quorum(model: Model, scripts: &[Vec<(u64, Act)>], slow: u64, quorum: QuorumSpec) -> Bench {
    // An operation takes at most the journey to its coordinator and back, one more where it is passed on, and two legs.
    let waits = scripts
        .iter()
        .map(|script| script.iter().map(|(gap, act)| (gap + 2 * slow + 250, *act)).collect());
    let scripts: Vec<Vec<(u64, Act)>> = waits.collect();
    let mut bench = prepared(model, &scripts, 0, false, false);
    bench.spec.replication.delay = None;
    bench.spec.protocol = Protocol::Quorum(Box::new(quorum));
    bench
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn the_judge_agrees_with_the_search_on_quorums(
        scripts in history(),
        (slow, quorum) in (0u64..600).prop_flat_map(|slow| quorums(slow).prop_map(move |quorum| (slow, quorum))),
    ) {
        for model in models() {
            let bench = prepared_quorum(model, &scripts, slow, quorum.clone());
            let spec = bench.spec.clone();
            let judge = Arc::new(Mutex::new(SharedStateJudge::new(&watched(&bench))));
            let tape = Arc::new(Mutex::new(Tape::default()));
            bench.run(ms(100_000), vec![Box::new(judge.clone()), Box::new(tape.clone())]);
            let expected = by_search(&model, &spec, &tape.lock().unwrap().0);
            let mut judge = judge.lock().unwrap();
            prop_assert_eq!(by_judge(&mut judge), expected, "{:?}", model);
            prop_assert_eq!(judge.breaches(), &[] as &[String]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn the_judge_agrees_with_a_search_of_the_graph_of_causes(
        scripts in history(),
        slow in 0u64..1500,
        batches in any::<bool>(),
        entropy in any::<bool>(),
    ) {
        for model in models() {
            let bench = prepared(model, &scripts, slow, batches, entropy);
            let spec = bench.spec.clone();
            let judge = Arc::new(Mutex::new(SharedStateJudge::new(&watched(&bench))));
            let tape = Arc::new(Mutex::new(Tape::default()));
            bench.run(ms(100_000), vec![Box::new(judge.clone()), Box::new(tape.clone())]);
            let expected = by_search(&model, &spec, &tape.lock().unwrap().0);
            let mut judge = judge.lock().unwrap();
            prop_assert_eq!(by_judge(&mut judge), expected, "{:?}", model);
            prop_assert_eq!(judge.breaches(), &[] as &[String]);
        }
    }
}
