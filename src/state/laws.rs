//! Laws that every model keeps, checked on random schedules; [`specifications`] says what values they show.
//!
//! A schedule has clients that read and update at any replica, deltas that are lost, repeated and reordered, joins of whole
//! entries, and replicas that lose their state; at its end everything is exchanged.

use super::crdt::{CounterType, RegisterType, SetType, Ship};
use super::dotted::DottedVersionVectors;
use super::siblings::{Blind, MergeRule, MergeRules};
use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

mod specifications;

const REPLICAS: usize = 3;
const CLIENTS: usize = 3;

#[derive(Debug, Clone, Copy)]
enum Step {
    Update {
        client: usize,
        replica: usize,
        id: u64,
        stamp: i64,
        context: bool,
    },
    Read {
        client: usize,
        replica: usize,
    },
    Deliver {
        delta: usize,
        to: usize,
    },
    Join {
        from: usize,
        to: usize,
    },
    LoseState {
        replica: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let (client, replica) = (0..CLIENTS, 0..REPLICAS);
    prop_oneof![
        12 => (client.clone(), replica.clone(), 0u64..4, 0i64..6, any::<bool>())
            .prop_map(|(client, replica, id, stamp, context)| Step::Update { client, replica, id, stamp, context }),
        3 => (client, replica.clone()).prop_map(|(client, replica)| Step::Read { client, replica }),
        12 => (0usize..64, replica.clone()).prop_map(|(delta, to)| Step::Deliver { delta, to }),
        3 => (replica.clone(), replica.clone()).prop_map(|(from, to)| Step::Join { from, to }),
        1 => replica.prop_map(|replica| Step::LoseState { replica }),
    ]
}

fn schedule() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 0..40)
}

/// What the oracle knows of one update: which updates its writer had seen.
#[derive(Debug, Clone)]
struct Known {
    op: Op,
    stamp: i64,
    /// What the client had seen (blind: nothing).
    client: BTreeSet<Dot>,
    /// What the accepting replica had seen.
    replica: BTreeSet<Dot>,
    /// What it had told to be applied.
    shown: BTreeSet<Dot>,
}

/// Replicas under one model, with an explicit record of everything.
struct World<R: Resolution> {
    model: R,
    key: KeyType,
    entries: Vec<R::Entry>,
    deltas: Vec<(Dot, R::Delta)>,
    numbers: Vec<u32>,
    lives: Vec<u16>,
    contexts: Vec<Option<(Context, BTreeSet<Dot>)>>,
    /// What each replica has heard of, through whatever chain.
    heard: Vec<BTreeSet<Dot>>,
    /// What each replica shows, by the fates that were told.
    told: Vec<BTreeSet<Dot>>,
    /// What was ever told to be applied at each replica, in its present life.
    told_ever: Vec<BTreeSet<Dot>>,
    history: BTreeMap<Dot, Known>,
}

fn follow<'a>(told: &'a mut BTreeSet<Dot>, ever: &'a mut BTreeSet<Dot>) -> impl FnMut(Fate) + 'a {
    |fate| match fate {
        Fate::Applied(range) => {
            for dot in range.dots() {
                assert!(told.insert(dot), "{dot} was applied twice");
                ever.insert(dot);
            }
        }
        Fate::Outranked { loser, .. } => {
            told.remove(&loser);
        }
        Fate::Placed { .. } | Fate::Took { .. } => {}
        Fate::BuiltOn { version, base } => assert!(version != base && !told.contains(&version)),
    }
}

impl<R: Resolution> World<R> {
    fn new(model: R, key: KeyType) -> Self {
        Self {
            entries: vec![model.fresh(key); REPLICAS],
            model,
            key,
            deltas: Vec::new(),
            numbers: vec![0; REPLICAS],
            lives: vec![0; REPLICAS],
            contexts: vec![None; CLIENTS],
            heard: vec![BTreeSet::new(); REPLICAS],
            told: vec![BTreeSet::new(); REPLICAS],
            told_ever: vec![BTreeSet::new(); REPLICAS],
            history: BTreeMap::new(),
        }
    }

    fn run(model: R, key: KeyType, steps: &[Step], deliver: bool) -> Self {
        let mut world = Self::new(model, key);
        for step in steps {
            match *step {
                Step::Deliver { .. } if !deliver => {}
                step => world.step(step),
            }
            world.check_told();
        }
        world
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Update {
                client,
                replica,
                id,
                stamp,
                context,
            } => {
                self.numbers[replica] += 1;
                let dot = Dot::new(Origin::new(replica as u16, self.lives[replica]), self.numbers[replica]);
                let op = match self.key {
                    KeyType::Register => Op::Write(id),
                    KeyType::Counter => Op::Add(id as i64 * 3 - 4),
                    KeyType::Set if stamp % 2 == 0 => Op::Insert(id),
                    KeyType::Set => Op::Remove(id),
                    KeyType::Map => match stamp % 4 {
                        0 => Op::Drop { field: id as u32 % 2 },
                        1 => Op::Put {
                            field: id as u32 % 2,
                            value: id,
                        },
                        _ => Op::Increase {
                            field: id as u32 % 2,
                            by: stamp,
                        },
                    },
                    KeyType::Text if stamp % 3 < 2 => Op::InsertText {
                        at: id as u32 * 2,
                        from: 10 * self.history.len() as u32,
                        length: stamp as u32 / 2,
                    },
                    KeyType::Text => Op::DeleteText {
                        at: id as u32,
                        length: stamp as u32,
                    },
                };
                let op = match op {
                    Op::Add(by) if self.model.refuses(self.key, op).is_some() => Op::Add(-by),
                    Op::Remove(id) if self.model.refuses(self.key, op).is_some() => Op::Insert(id),
                    op => op,
                };
                let sent = self.contexts[client].clone().filter(|_| context);
                let at = Accept {
                    dot,
                    stamp,
                    context: sent.as_ref().map(|(context, _)| context),
                };
                // A model without contexts hears nothing from its clients.
                let told = sent.as_ref().filter(|(context, _)| !context.seen.is_empty());
                let client_saw = told.map(|(_, seen)| seen.clone()).unwrap_or_default();
                let known = Known {
                    op,
                    stamp,
                    client: client_saw.clone(),
                    replica: self.heard[replica].clone(),
                    shown: self.told_ever[replica].clone(),
                };
                let mut fates = follow(&mut self.told[replica], &mut self.told_ever[replica]);
                let before = self.entries[replica].clone();
                let delta = self.model.update(&mut self.entries[replica], op, at, &mut fates);
                let after = &self.entries[replica];
                assert_eq!(joined(&self.model, &before, after), *after, "an update only goes up");
                drop(fates);
                self.history.insert(dot, known);
                self.heard[replica].extend(client_saw);
                self.heard[replica].insert(dot);
                self.contexts[client] = Some((self.model.context(&self.entries[replica]), self.heard[replica].clone()));
                self.deltas.push((dot, delta));
            }
            Step::Read { client, replica } => {
                let context = self.model.view(&self.entries[replica]).context;
                self.contexts[client] = Some((context, self.heard[replica].clone()));
            }
            Step::Deliver { delta, to } => {
                if let Some((dot, delta)) = self.deltas.get(delta % self.deltas.len().max(1)).cloned() {
                    self.deliver(dot, &delta, to);
                }
            }
            Step::Join { from, to } => {
                self.join(from, to);
            }
            Step::LoseState { replica } => {
                self.entries[replica] = self.model.fresh(self.key);
                self.heard[replica].clear();
                self.told[replica].clear();
                self.told_ever[replica].clear();
                self.numbers[replica] = 0;
                self.lives[replica] += 1;
            }
        }
    }

    fn deliver(&mut self, dot: Dot, delta: &R::Delta, to: usize) {
        let before = self.entries[to].clone();
        let changed = self.model.merge(
            &mut self.entries[to],
            delta,
            &mut follow(&mut self.told[to], &mut self.told_ever[to]),
        );
        assert_eq!(
            changed,
            self.entries[to] != before,
            "merge says whether it changed anything"
        );
        assert_eq!(
            joined(&self.model, &before, &self.entries[to]),
            self.entries[to],
            "a merge only goes up"
        );
        self.heard[to].insert(dot);
        // What a delta says beside its own update.
        let Known {
            op, client, replica, ..
        } = &self.history[&dot];
        let whole = self.model.name() == VersionVectors::default().name();
        let same_element = |other: &Dot| match (self.history[other].op, *op) {
            (Op::Insert(a) | Op::Remove(a), Op::Insert(b) | Op::Remove(b)) => a == b,
            (Op::Put { field: a, .. }, Op::Put { field: b, .. } | Op::Drop { field: b }) => a == b,
            (Op::Increase { field: a, .. }, Op::Drop { field: b }) => a == b,
            (Op::Increase { field: a, .. }, Op::Increase { field: b, .. }) => a == b && other.origin == dot.origin,
            _ => false,
        };
        let beside = replica
            .iter()
            .filter(|other| whole || same_element(other))
            .chain(client);
        self.heard[to].extend(beside.copied());
    }

    fn join(&mut self, from: usize, to: usize) -> bool {
        let (before, other) = (self.entries[to].clone(), self.entries[from].clone());
        let changed = self.model.join(
            &mut self.entries[to],
            &other,
            &mut follow(&mut self.told[to], &mut self.told_ever[to]),
        );
        assert_eq!(
            changed,
            self.entries[to] != before,
            "join says whether it changed anything"
        );
        let heard = self.heard[from].clone();
        self.heard[to].extend(heard);
        changed
    }

    /// Joins every pair until nothing changes; returns the common entry. What a replica forgot comes from its deltas.
    fn settle(&mut self) -> R::Entry {
        if self.lives.iter().any(|life| *life > 0) {
            for (dot, delta) in self.deltas.clone() {
                self.deliver(dot, &delta, 0);
            }
        }
        for round in 0.. {
            assert!(round < 10, "anti-entropy doesn't come to rest");
            let mut changed = false;
            for from in 0..REPLICAS {
                for to in 0..REPLICAS {
                    changed |= self.join(from, to);
                }
            }
            if !changed {
                break;
            }
        }
        self.check_told();
        for entry in &self.entries {
            assert_eq!(entry, &self.entries[0]);
            assert_eq!(self.model.state_hash(entry), self.model.state_hash(&self.entries[0]));
        }
        self.entries[0].clone()
    }

    /// The fates told what the views show, and the small accessors say what the view says.
    fn check_told(&self) {
        for (entry, told) in self.entries.iter().zip(&self.told) {
            let view = self.model.view(entry);
            assert_eq!(view.versions, self.model.versions(entry));
            assert_eq!(view.context, self.model.context(entry));
            assert_eq!(view.value.digest(), self.model.digest(entry));
            match view.versions {
                Versions::Heads(heads) => {
                    let heads: BTreeSet<Dot> = heads.into_iter().collect();
                    assert!(heads.is_subset(told), "{heads:?} of {told:?}");
                    if self.key == KeyType::Register {
                        assert_eq!(&heads, told);
                    }
                }
                Versions::Effects(effects) => {
                    // Inserts that were removed are outranked, and still seen.
                    assert!(told.iter().all(|dot| effects.contains(*dot)));
                    let all: BTreeSet<Dot> = effects.dots().collect();
                    if matches!(self.key, KeyType::Counter | KeyType::Text) {
                        assert_eq!(&all, told);
                    }
                }
            }
        }
    }
}

fn joined<R: Resolution>(model: &R, a: &R::Entry, b: &R::Entry) -> R::Entry {
    let mut entry = a.clone();
    model.join(&mut entry, b, &mut |_| {});
    entry
}

/// The laws of a model; `lattice` is false for the one model whose join is not associative.
fn laws<R: Resolution>(model: R, key: KeyType, steps: &[Step], lattice: bool) {
    let mut world = World::run(model.clone(), key, steps, true);
    let (a, b, c) = (&world.entries[0], &world.entries[1], &world.entries[2]);
    let ab = joined(&model, a, b);
    assert_eq!(ab, joined(&model, b, a), "commutative");
    assert_eq!(&joined(&model, a, a), a, "idempotent");
    assert_eq!(joined(&model, &ab, a), ab, "an upper bound");
    assert_eq!(joined(&model, &ab, b), ab, "an upper bound");
    if lattice {
        assert_eq!(
            joined(&model, &ab, c),
            joined(&model, a, &joined(&model, b, c)),
            "associative"
        );
    }
    for entry in &world.entries {
        let json = serde_json::to_string(entry).unwrap();
        assert_eq!(
            &serde_json::from_str::<R::Entry>(&json).unwrap(),
            entry,
            "entries survive serialisation"
        );
        assert_eq!(
            model.state_hash(entry) == model.state_hash(&world.entries[0]),
            *entry == world.entries[0]
        );
    }

    let settled = world.settle();
    if lattice {
        // All deltas, in any order, repeated or batched, make the same entry.
        let (mut forwards, mut backwards, mut batched) = (model.fresh(key), model.fresh(key), model.fresh(key));
        for (_, delta) in &world.deltas {
            model.merge(&mut forwards, delta, &mut |_| {});
        }
        for (_, delta) in world.deltas.iter().rev().chain(&world.deltas) {
            model.merge(&mut backwards, delta, &mut |_| {});
        }
        let mut batches = world.deltas.chunks(3).map(|chunk| {
            let mut batch = chunk[0].1.clone();
            chunk[1..].iter().for_each(|(_, next)| model.batch(&mut batch, next));
            batch
        });
        batches.by_ref().for_each(|batch| {
            model.merge(&mut batched, &batch, &mut |_| {});
        });
        assert_eq!([&forwards, &backwards, &batched], [&settled; 3]);
    }
}

/// Each set and each counter once.
fn choices() -> [Crdt; 4] {
    let of = |counter, set| Crdt {
        counter,
        set,
        ..Crdt::default()
    };
    [
        of(CounterType::UpAndDown, SetType::AddWins),
        of(CounterType::GrowOnly, SetType::GrowOnly),
        of(CounterType::UpAndDown, SetType::RemoveWins),
        of(CounterType::GrowOnly, SetType::TwoPhase),
    ]
}

fn last_writer() -> Crdt {
    Crdt {
        register: RegisterType::LastWriter,
        ..Crdt::default()
    }
}

proptest! {
    #[test]
    fn last_write_wins_keeps_the_laws(steps in schedule()) {
        for key in KeyType::ALL {
            laws(LastWriteWins, *key, &steps, true);
        }
    }

    #[test]
    fn version_vectors_keep_all_laws_but_associativity(steps in schedule(), overwrite: bool) {
        let blind = if overwrite { Blind::Overwrite } else { Blind::Sibling };
        for key in KeyType::PLAIN {
            laws(VersionVectors { blind, ..Default::default() }, *key, &steps, false);
        }
    }

    #[test]
    fn dotted_version_vectors_keep_the_laws(steps in schedule(), overwrite: bool) {
        let blind = if overwrite { Blind::Overwrite } else { Blind::Sibling };
        for key in KeyType::PLAIN {
            laws(DottedVersionVectors { blind, ..Default::default() }, *key, &steps, true);
        }
        let rules = MergeRules { counter: MergeRule::Sum, set: MergeRule::PreferReplica(1), ..Default::default() };
        laws(DottedVersionVectors { rules, blind }, KeyType::Counter, &steps, true);
        laws(DottedVersionVectors { rules, blind }, KeyType::Set, &steps, true);
    }

    #[test]
    fn conflict_free_types_keep_the_laws(steps in schedule(), overwrite: bool) {
        let blind = if overwrite { Blind::Overwrite } else { Blind::Sibling };
        for key in KeyType::ALL {
            laws(Crdt { blind, ..Crdt::default() }, *key, &steps, true);
        }
        laws(last_writer(), KeyType::Register, &steps, true);
        for model in choices() {
            laws(model, KeyType::Counter, &steps, true);
            laws(model, KeyType::Set, &steps, true);
        }
    }

    #[test]
    fn operations_and_whole_entries_keep_the_laws(steps in schedule(), overwrite: bool) {
        let blind = if overwrite { Blind::Overwrite } else { Blind::Sibling };
        for ship in [Ship::State, Ship::Operation] {
            for key in KeyType::ALL {
                laws(Crdt { blind, ship, ..Crdt::default() }, *key, &steps, true);
            }
            laws(Crdt { ship, ..last_writer() }, KeyType::Register, &steps, true);
            for model in choices() {
                laws(Crdt { ship, ..model }, KeyType::Counter, &steps, true);
                laws(Crdt { ship, ..model }, KeyType::Set, &steps, true);
            }
        }
    }

    #[test]
    fn whatever_is_shipped_all_come_to_the_same(steps in schedule()) {
        // Clients without contexts do the same under all of them.
        let steps: Vec<Step> = steps.iter().map(|step| match *step {
            Step::Update { client, replica, id, stamp, .. } => Step::Update { client, replica, id, stamp, context: false },
            step => step,
        }).filter(|step| !matches!(step, Step::LoseState { .. })).collect();
        for key in KeyType::ALL {
            for model in choices() {
                let settled = [Ship::Delta, Ship::State, Ship::Operation].map(|ship| {
                    let mut world = World::run(Crdt { ship, ..model }, *key, &steps, false);
                    let settled = world.settle();
                    world.model.view(&settled)
                });
                prop_assert_eq!(&settled[0], &settled[1]);
                prop_assert_eq!(&settled[0], &settled[2]);
            }
        }
    }

    #[test]
    fn operations_are_applied_after_their_causes(steps in schedule()) {
        let model = Crdt { ship: Ship::Operation, ..Crdt::default() };
        // Each replica shows what is closed under causes, however operations came.
        let world = World::run(model, KeyType::Set, &steps, true);
        for told in &world.told_ever {
            for dot in told {
                let known = &world.history[dot];
                prop_assert!(known.shown.iter().all(|cause| told.contains(cause)), "{} without its causes", dot);
            }
        }
    }
}

#[test]
fn every_model_has_a_page_and_realises_what_it_lists() {
    fn check<R: Resolution>(model: R) {
        let info = models()
            .iter()
            .find(|info| info.name == model.name())
            .expect("registered");
        for key in info.keys {
            assert!(!model.supports(*key).unwrap().0.is_empty());
        }
    }
    check(LastWriteWins);
    check(VersionVectors::default());
    check(DottedVersionVectors::default());
    choices().into_iter().for_each(check);
    let mut names: Vec<_> = models().iter().map(|info| info.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), models().len());
    assert!(
        models()
            .iter()
            .all(|info| info.doc.ends_with('\n') && info.doc.contains("Costs: "))
    );
}
