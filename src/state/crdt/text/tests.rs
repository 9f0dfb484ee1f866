//! The text against a naive one, which keeps every character in a tree and walks all of it, on random histories.

use super::*;
use crate::state::value::Span;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const REPLICAS: usize = 3;

/// A character of the naive text: what it was inserted after, what it is, and the insertion that brought it.
#[derive(Debug, Clone, Copy)]
struct Leaf {
    left: Option<CharId>,
    from: u32,
    dot: Dot,
}

/// Everything that was ever accepted.
#[derive(Debug, Default)]
struct Log {
    characters: BTreeMap<CharId, Leaf>,
    deletions: BTreeMap<Dot, Vec<CharId>>,
}

impl Log {
    /// The characters that the updates in `seen` have brought, in order: depth first, of siblings the highest id first.
    fn order(&self, seen: &BTreeSet<Dot>) -> Vec<CharId> {
        let mut children: BTreeMap<Option<CharId>, Vec<CharId>> = BTreeMap::new();
        for (id, leaf) in self.characters.iter().filter(|(_, leaf)| seen.contains(&leaf.dot)) {
            children.entry(leaf.left).or_default().push(*id);
        }
        let (mut order, mut todo) = (Vec::new(), children.remove(&None).unwrap_or_default());
        while let Some(id) = todo.pop() {
            order.push(id);
            todo.extend(children.remove(&Some(id)).into_iter().flatten());
        }
        order
    }

    /// Of those the ones that no update in `seen` deletes.
    fn text(&self, seen: &BTreeSet<Dot>) -> Vec<CharId> {
        let deletions = self.deletions.iter().filter(|(dot, _)| seen.contains(dot));
        let gone: BTreeSet<CharId> = deletions.flat_map(|(_, ids)| ids).copied().collect();
        let order = self.order(seen).into_iter();
        order.filter(|id| !gone.contains(id)).collect()
    }

    fn spans(&self, seen: &BTreeSet<Dot>) -> Vec<Span> {
        let mut spans = Vec::new();
        for id in self.text(seen) {
            let span = Span {
                id: id.bits(),
                from: self.characters[&id].from,
                length: 1,
            };
            crate::state::value::push_span(&mut spans, span);
        }
        spans
    }

    /// Whether what an update names has come.
    fn is_ready(&self, dot: Dot, seen: &BTreeSet<Dot>) -> bool {
        let has = |id: &CharId| seen.contains(&self.characters[id].dot);
        let before = (1..dot.number).all(|number| seen.contains(&Dot::new(dot.origin, number)));
        let mut brought = self.characters.values().filter(|leaf| leaf.dot == dot);
        let inserted = brought.all(|leaf| {
            let left = leaf.left.map(|left| self.characters[&left].dot);
            left.is_none_or(|left| left == dot || seen.contains(&left))
        });
        before && inserted && self.deletions.get(&dot).is_none_or(|ids| ids.iter().all(has))
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Edit {
        replica: usize,
        at: u32,
        length: u32,
        insert: bool,
        /// The reader's place among those that remember what they saw; `None`: blind.
        reader: Option<usize>,
    },
    Read {
        reader: usize,
        replica: usize,
    },
    Deliver {
        news: usize,
        to: usize,
    },
    Join {
        from: usize,
        to: usize,
    },
    Collect(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let replica = 0..REPLICAS;
    prop_oneof![
        8 => (replica.clone(), 0u32..12, 0u32..4, prop::bool::weighted(0.6), prop::option::weighted(0.4, 0usize..2))
            .prop_map(|(replica, at, length, insert, reader)| Step::Edit { replica, at, length, insert, reader }),
        2 => (0usize..2, replica.clone()).prop_map(|(reader, replica)| Step::Read { reader, replica }),
        8 => (0usize..64, replica.clone()).prop_map(|(news, to)| Step::Deliver { news, to }),
        3 => (replica.clone(), replica.clone()).prop_map(|(from, to)| Step::Join { from, to }),
        2 => replica.prop_map(Step::Collect),
    ]
}

fn schedule() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 0..60)
}

/// Replicas under the real text and, beside each, what it has received and applied by the naive one.
struct World {
    texts: Vec<Text>,
    received: Vec<BTreeSet<Dot>>,
    seen: Vec<BTreeSet<Dot>>,
    news: Vec<(Dot, Text)>,
    readers: Vec<(Context, BTreeSet<Dot>)>,
    log: Log,
    fresh: u32,
    /// What each replica knows of what each has heard: from whole entries.
    known: Vec<Vec<VersionVector>>,
    collect: Option<fn(&mut Text, &VersionVector) -> u64>,
    collected: u64,
}

impl World {
    fn new(collect: Option<fn(&mut Text, &VersionVector) -> u64>) -> Self {
        Self {
            texts: vec![Text::default(); REPLICAS],
            received: vec![BTreeSet::new(); REPLICAS],
            seen: vec![BTreeSet::new(); REPLICAS],
            news: Vec::new(),
            readers: vec![(Context::default(), BTreeSet::new()); 2],
            log: Log::default(),
            fresh: 0,
            known: vec![vec![VersionVector::default(); REPLICAS]; REPLICAS],
            collect,
            collected: 0,
        }
    }

    fn edit(&mut self, replica: usize, op: Op, reader: Option<usize>) {
        let origin = Origin::new(replica as u16, 0);
        let own = self.seen[replica].iter().filter(|dot| dot.origin == origin).count();
        let dot = Dot::new(origin, own as u32 + 1);
        let context = reader.map(|reader| self.readers[reader].clone());
        // What the client saw, of what has come here.
        let base: BTreeSet<Dot> = match &context {
            Some((_, saw)) => saw.intersection(&self.seen[replica]).copied().collect(),
            None => self.seen[replica].clone(),
        };
        let shown = self.log.text(&base);
        match op {
            Op::InsertText { at, from, length } => {
                let before = shown[..(at as usize).min(shown.len())].last().copied();
                let order = self.log.order(&self.seen[replica]);
                let still = self.log.text(&self.seen[replica]);
                let place = before.map_or(0, |before| order.iter().position(|id| *id == before).unwrap() + 1);
                let mut left = order[..place].iter().rev().find(|id| still.contains(id)).copied();
                let known = self.seen[replica].iter().copied().collect::<BTreeSet<_>>();
                let times = self.log.characters.iter().filter(|(_, leaf)| known.contains(&leaf.dot));
                let latest = times.map(|(id, _)| id.time).max().unwrap_or(0);
                for n in 0..length {
                    let time = latest + 1 + n;
                    let id = CharId { time, origin };
                    let from = from + n;
                    self.log.characters.insert(id, Leaf { left, from, dot });
                    left = Some(id);
                }
            }
            Op::DeleteText { at, length } => {
                let range = shown.iter().skip(at as usize).take(length as usize);
                self.log.deletions.insert(dot, range.copied().collect());
            }
            _ => unreachable!("a text is edited"),
        }
        let accept = Accept {
            dot,
            stamp: 0,
            context: context.as_ref().map(|(context, _)| context),
        };
        let mut told = (None, Vec::new());
        let news = self.texts[replica].update(op, accept, &mut |fate| match fate {
            Fate::Placed { after, .. } => told.0 = Some(after),
            Fate::Took { first, length, .. } => told.1.push((first, length)),
            _ => {}
        });
        let char_of = |id: &CharId| {
            let dot = self.log.characters[id].dot;
            let mates = self.log.characters.iter().filter(|(_, leaf)| leaf.dot == dot);
            let first = mates.map(|(id, _)| *id).min().unwrap();
            Char {
                dot,
                place: id.time - first.time,
            }
        };
        // The judge is told the place, and exactly the characters that the naive deletion takes.
        if let Some(after) = told.0 {
            let first = self.log.characters.values().find(|leaf| leaf.dot == dot).unwrap();
            assert_eq!(after, first.left.as_ref().map(char_of));
        }
        let mut taken: Vec<Char> = Vec::new();
        for (first, length) in told.1 {
            taken.extend((0..length).map(|n| Char {
                place: first.place + n,
                ..first
            }));
        }
        taken.sort_unstable();
        let mut expected: Vec<Char> = self
            .log
            .deletions
            .get(&dot)
            .into_iter()
            .flatten()
            .map(char_of)
            .collect();
        expected.sort_unstable();
        assert_eq!(taken, expected);
        self.received[replica].insert(dot);
        self.news.push((dot, news));
        if let Some(reader) = reader {
            self.readers[reader] = (self.texts[replica].context(), self.seen[replica].clone());
            self.readers[reader].1.insert(dot);
        }
        self.settle(replica);
    }

    /// Applies, by the naive rules, what has been received.
    fn settle(&mut self, replica: usize) {
        loop {
            let waiting = self.received[replica].difference(&self.seen[replica]);
            let ready = waiting
                .copied()
                .find(|dot| self.log.is_ready(*dot, &self.seen[replica]));
            let Some(dot) = ready else { break };
            self.seen[replica].insert(dot);
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Edit {
                replica,
                at,
                length,
                insert,
                reader,
            } => {
                let from = self.fresh;
                self.fresh += if insert { length } else { 0 };
                let op = match insert {
                    true => Op::InsertText { at, from, length },
                    false => Op::DeleteText { at, length },
                };
                self.edit(replica, op, reader);
            }
            Step::Read { reader, replica } => {
                self.readers[reader] = (self.texts[replica].context(), self.seen[replica].clone());
            }
            Step::Deliver { news, to } => {
                if let Some((dot, news)) = self.news.get(news % self.news.len().max(1)).cloned() {
                    self.texts[to].join(&news, &mut |_| {});
                    self.received[to].insert(dot);
                    self.settle(to);
                }
            }
            Step::Join { from, to } => self.join(from, to),
            Step::Collect(replica) => {
                let Some(collect) = self.collect else { return };
                let stable = self.stable(replica);
                let before = self.texts[replica].view();
                self.collected += collect(&mut self.texts[replica], &stable);
                assert_eq!(self.texts[replica].view(), before);
            }
        }
    }

    fn join(&mut self, from: usize, to: usize) {
        let other = self.texts[from].clone();
        self.texts[to].join(&other, &mut |_| {});
        self.known[to][from].join(&other.seen);
        let received = self.received[from].clone();
        self.received[to].extend(received);
        self.settle(to);
    }

    /// What a replica knows that every one has heard of, where all that these had written by then has come here.
    fn stable(&self, replica: usize) -> VersionVector {
        let mut stable = self.texts[replica].seen.clone();
        for known in self.known[replica]
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != replica)
        {
            let tops = stable
                .tops()
                .iter()
                .map(|top| Dot::new(top.origin, top.number.min(known.1.get(top.origin))));
            stable = VersionVector::from_tops(tops.filter(|top| top.number > 0).collect());
        }
        stable
    }

    fn check(&self) {
        for (replica, text) in self.texts.iter().enumerate() {
            text.sequence.audit();
            assert_eq!(
                Value::Text(self.log.spans(&self.seen[replica])),
                text.view().value,
                "at {replica}"
            );
            let seen: BTreeSet<Dot> = DotSet::from(text.seen.clone()).dots().collect();
            assert_eq!(seen, self.seen[replica]);
            assert_eq!(text.digest(), text.view().value.digest());
        }
    }

    fn exchange(&mut self) {
        for _ in 0..3 {
            for from in 0..REPLICAS {
                (0..REPLICAS).for_each(|to| self.join(from, to));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn it_is_the_naive_text_however_changes_come(steps in schedule()) {
        let mut world = World::new(None);
        for step in steps {
            world.step(step);
            world.check();
        }
        world.exchange();
        world.check();
        prop_assert_eq!(&world.texts[0], &world.texts[1]);
        prop_assert_eq!(&world.texts[0], &world.texts[2]);
        // A text survives serialisation, and the index is made anew.
        let json = serde_json::to_string(&world.texts[0]).unwrap();
        let text: Text = serde_json::from_str(&json).unwrap();
        text.sequence.audit();
        prop_assert_eq!(&text, &world.texts[0]);
    }

    #[test]
    fn collecting_tombstones_changes_nothing_that_anybody_sees(steps in schedule()) {
        // Those who saw an old text count characters that were collected since, so edits are blind here.
        let blind = steps.into_iter().map(|step| match step {
            Step::Edit { replica, at, length, insert, .. } => Step::Edit { replica, at, length, insert, reader: None },
            step => step,
        });
        let mut world = World::new(Some(Text::collect));
        for step in blind {
            world.step(step);
            world.check();
        }
        world.exchange();
        (0..REPLICAS).for_each(|replica| world.step(Step::Collect(replica)));
        world.check();
        let left: u64 = world.texts.iter().map(Text::tombstones).sum();
        prop_assert_eq!(left, 0, "when all have heard of everything, no tombstone stays");
    }
}

/// A collector that doesn't look at what follows a tombstone.
fn collect_whatever_is_stable(text: &mut Text, stable: &VersionVector) -> u64 {
    let runs = text.sequence.whole_runs().into_iter();
    let kept: Vec<Run> = runs
        .filter(|run| !run.erased.iter().any(|by| stable.contains(*by)))
        .collect();
    text.sequence = Sequence::of(kept);
    0
}

#[test]
fn a_tombstone_that_still_parts_two_insertions_is_kept() {
    // a, then s, which is deleted; u comes after s, and x after a, by writers who don't know of each other.
    let run = |collect: fn(&mut Text, &VersionVector) -> u64| {
        let mut world = World::new(Some(collect));
        let insert = |at, from, length| Op::InsertText { at, from, length };
        world.edit(0, insert(0, 0, 1), None);
        world.edit(0, insert(1, 1, 1), None);
        world.exchange();
        // Replica 1 inserts after s, with a high id, before it hears that s is deleted.
        world.edit(1, insert(0, 100, 5), None);
        world.edit(1, insert(7, 200, 1), None);
        world.edit(0, Op::DeleteText { at: 1, length: 1 }, None);
        let (late, deletion) = (world.news.len() - 2, world.news.len() - 1);
        world.step(Step::Deliver { news: deletion, to: 1 });
        world.step(Step::Deliver { news: deletion, to: 2 });
        // Replica 0 hears everything of 1, and knows that all have heard of the deletion.
        world.join(1, 0);
        world.join(2, 0);
        world.step(Step::Collect(0));
        // Replica 2, which has heard neither of u nor of 100.., inserts after a.
        world.edit(2, insert(1, 300, 1), None);
        let x = world.news.len() - 1;
        world.step(Step::Deliver { news: x, to: 0 });
        for news in [late - 1, late, x] {
            world.step(Step::Deliver { news, to: 2 });
        }
        world
    };
    let world = run(Text::collect);
    world.check();
    assert_eq!(world.texts[0].tombstones(), 1);
    assert_eq!(world.texts[0].view().value, world.texts[2].view().value);
    let broken = run(collect_whatever_is_stable);
    assert_ne!(
        broken.texts[0].view().value,
        broken.texts[2].view().value,
        "the replicas would differ for ever"
    );
}

#[test]
fn typing_is_one_run_and_weighs_little() {
    let mut text = Text::default();
    let origin = Origin::new(0, 0);
    let mut dots = (1..).map(|number| Dot::new(origin, number));
    let mut edit = |text: &mut Text, op| {
        let accept = Accept {
            dot: dots.next().unwrap(),
            stamp: 0,
            context: None,
        };
        text.update(op, accept, &mut |_| {})
    };
    for place in 0..1000 {
        edit(
            &mut text,
            Op::InsertText {
                at: place,
                from: place,
                length: 1,
            },
        );
    }
    assert_eq!(text.sequence.runs().count(), 1);
    let size = text.size();
    assert_eq!((size.text, size.metadata), (1000, (4 + 8) + 4 + 20));
    let news = edit(&mut text, Op::DeleteText { at: 300, length: 400 });
    assert_eq!(news.size().metadata, 8 + 4 + 12);
    assert_eq!((text.length(), text.tombstones()), (600, 400));
    assert_eq!(text.size().metadata, (4 + 8) + 4 + 3 * 20 + 8);
    let seen = text.seen.clone();
    assert_eq!(text.collect(&seen), 400);
    assert_eq!(text.sequence.runs().count(), 2);
}
