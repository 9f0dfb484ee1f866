//! OR-map: fields that hold registers and counters, and can be removed.
//!
//! Guarantees that a removal resets exactly what the accepting replica had of the field, and that updates which are concurrent
//! to it survive. A field is there as long as something of it is. The registers are those of an observed-remove store with
//! one causal context for the whole map (Almeida, Shoker and Baquero, "Delta state replicated data types", JPDC 2018; so do
//! Riak's maps). In such a store a counter that was incremented concurrently to a removal brings back what the removal had
//! seen of it. Here it doesn't: a removal notes the tallies that it has seen, and readers subtract them.

use super::Lattice;
use super::kernel::{Kernel, Tag};
use crate::state::value::{Field, digest_of_map};
use crate::state::{
    Accept, Context, Dot, Fate, Keeping, KeyType, ModelInfo, Op, Origin, Size, Value, Versions, View, hash, wire,
};
use serde::{Deserialize, Serialize};

/// Bytes that name a field.
const FIELD: u64 = wire::COUNT;

/// A value of a field's register, under the dot of its write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Put {
    field: u32,
    dot: Dot,
    value: u64,
}

impl Tag for Put {
    fn element(self) -> u64 {
        self.field.into()
    }

    fn dot(self) -> Dot {
        self.dot
    }
}

/// How far a tally has come: the number of its latest update, and the sum up to that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    number: u32,
    sum: i64,
}

impl Mark {
    /// The later of two marks of one tally; true if it is the other.
    fn join(&mut self, other: Self) -> bool {
        let later = other.number > self.number;
        if later {
            *self = other;
        }
        later
    }
}

/// What one origin has added to one field's counter, and what of that was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Tally {
    field: u32,
    origin: Origin,
    added: Mark,
    removed: Mark,
    /// The numbers of its updates, as ranges: an increment's news says all that its tally contains, which the judge wants to
    /// know by their dots. No replica decides anything by it, and it isn't charged.
    updates: Vec<(u32, u32)>,
}

impl Tally {
    fn is_live(&self) -> bool {
        self.added.number > self.removed.number
    }
}

/// A map.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrMap {
    registers: Kernel<Put>,
    /// Ascending by field and origin.
    counters: Vec<Tally>,
}

impl OrMap {
    fn tally(&mut self, field: u32, origin: Origin) -> &mut Tally {
        let place = self
            .counters
            .binary_search_by_key(&(field, origin), |tally| (tally.field, tally.origin));
        let place = place.unwrap_or_else(|place| {
            let fresh = Tally {
                field,
                origin,
                added: Mark::default(),
                removed: Mark::default(),
                updates: Vec::new(),
            };
            self.counters.insert(place, fresh);
            place
        });
        &mut self.counters[place]
    }

    /// The fields that are there, ascending.
    fn fields(&self) -> Vec<Field> {
        let mut fields: Vec<Field> = Vec::new();
        let mut puts = self.registers.tagged.iter().peekable();
        let mut tallies = self.counters.iter().filter(|tally| tally.is_live()).peekable();
        loop {
            let next = [
                puts.peek().map(|put| put.field),
                tallies.peek().map(|tally| tally.field),
            ];
            let Some(name) = next.into_iter().flatten().min() else {
                return fields;
            };
            let mut field = Field {
                name,
                values: Vec::new(),
                sum: None,
            };
            while let Some(put) = puts.next_if(|put| put.field == name) {
                field.values.push(put.value);
            }
            while let Some(tally) = tallies.next_if(|tally| tally.field == name) {
                let left = tally.added.sum.wrapping_sub(tally.removed.sum);
                field.sum = Some(field.sum.unwrap_or(0).wrapping_add(left));
            }
            fields.push(field);
        }
    }
}

impl Lattice for OrMap {
    const INFO: ModelInfo = ModelInfo {
        name: "or-map",
        title: "OR-map",
        keys: &[KeyType::Map],
        doc: "\
A map whose fields hold a register, a counter or both. Removing a field resets what the accepting replica has of it; updates of the
field that are concurrent to the removal survive, and nothing of what was removed comes back with them. A field is there as long as
something of it is.

- **Put**: writes the field's register and supersedes the values that the accepting replica holds; concurrent ones are all shown.
- **Increase**: adds to the accepting replica's tally of the field; readers see the sum of all tallies, less what was removed.
- **Drop**: takes away the values that the accepting replica holds, and notes how far each tally had come.

Costs: 12 bytes for each shown value; for each field and replica that ever increased it 20 bytes, and 12 more once it was removed,
for ever; and 8 bytes for each replica that ever wrote the key.
",
    };
    const REALISATION: &'static str = "fields hold registers and counters; removing a field resets what the accepting replica has of it, and concurrent updates survive";
    const KEEPING: Keeping = Keeping::All;

    fn update(&mut self, op: Op, at: Accept<'_>, fates: &mut impl FnMut(Fate)) -> Self {
        let mut news = Self::default();
        let Dot { origin, number } = at.dot;
        fates(Fate::applied(at.dot));
        match op {
            Op::Put { field, value } => {
                let put = Put {
                    field,
                    dot: at.dot,
                    value,
                };
                let supersede = |old: Put| fates(Fate::outranked(old.dot, at.dot));
                news.registers = self.registers.replace(field.into(), at.dot, Some(put), supersede);
            }
            Op::Increase { field, by } => {
                self.registers.seen.insert(at.dot);
                let tally = self.tally(field, origin);
                let sum = tally.added.sum.wrapping_add(by);
                tally.added = Mark { number, sum };
                match tally.updates.last_mut() {
                    Some((_, last)) if *last + 1 == number => *last = number,
                    _ => tally.updates.push((number, number)),
                }
                for number in tally.updates.iter().flat_map(|(first, last)| *first..=*last) {
                    news.registers.seen.insert(Dot::new(origin, number));
                }
                news.counters.push(tally.clone());
            }
            Op::Drop { field } => {
                let supersede = |old: Put| fates(Fate::outranked(old.dot, at.dot));
                news.registers = self.registers.replace(field.into(), at.dot, None, supersede);
                for tally in self.counters.iter_mut().filter(|tally| tally.field == field) {
                    tally.removed = tally.added;
                    news.counters.push(tally.clone());
                }
                for tally in &news.counters {
                    for number in tally.updates.iter().flat_map(|(first, last)| *first..=*last) {
                        news.registers.seen.insert(Dot::new(tally.origin, number));
                    }
                }
            }
            op => panic!("{op:?} is no operation on a map"),
        }
        news
    }

    fn join(&mut self, other: &Self, fates: &mut impl FnMut(Fate)) -> bool {
        let joined = self.registers.join(&other.registers, fates);
        for old in joined.dropped {
            fates(Fate::Outranked {
                loser: old.dot,
                winner: None,
            });
        }
        let mut changed = joined.changed;
        for theirs in &other.counters {
            let ours = self.tally(theirs.field, theirs.origin);
            if ours.added.join(theirs.added) {
                ours.updates.clone_from(&theirs.updates);
                changed = true;
            }
            changed |= ours.removed.join(theirs.removed);
        }
        changed
    }

    fn view(&self) -> View {
        View {
            value: Value::Map(self.fields()),
            versions: self.versions(),
            context: Context::default(),
        }
    }

    fn versions(&self) -> Versions {
        Versions::Effects(self.registers.seen.clone())
    }

    fn context(&self) -> Context {
        Context::default()
    }

    fn digest(&self) -> u64 {
        digest_of_map(&self.fields())
    }

    fn state_hash(&self) -> u64 {
        let start = hash::chain(self.registers.state_hash(), 0);
        self.counters.iter().fold(start, |hash, tally| {
            let added = Dot::new(tally.origin, tally.added.number).bits();
            let removed = u64::from(tally.field) << 32 | u64::from(tally.removed.number);
            hash::chain(hash::chain(hash, added), removed)
        })
    }

    fn size(&self) -> Size {
        if self.registers.seen.is_empty() {
            return Size::default();
        }
        let fields = self.fields();
        let sums = fields.iter().filter(|field| field.sum.is_some()).count() as u64;
        let tallies = self.counters.iter().map(|tally| {
            let removed = if tally.removed.number > 0 {
                wire::COUNT + wire::SUM
            } else {
                0
            };
            FIELD + wire::DOT + wire::SUM + removed
        });
        let registers = self.registers.dot_bytes() + FIELD * self.registers.tagged.len() as u64;
        // One sum of each field is a value that a reader wants.
        let tallies = (wire::COUNT + tallies.sum::<u64>()).saturating_sub(wire::SUM * sums);
        Size {
            values: self.registers.tagged.len() as u64 + sums,
            spare: 0,
            text: 0,
            metadata: registers + tallies,
        }
    }

    fn tombstones(&self) -> u64 {
        self.counters.iter().filter(|tally| !tally.is_live()).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(replica: u16, number: u32) -> Accept<'static> {
        Accept {
            dot: Dot::new(Origin::new(replica, 0), number),
            stamp: 0,
            context: None,
        }
    }

    fn shown(map: &OrMap) -> Vec<(u32, Vec<u64>, Option<i64>)> {
        let fields = map.fields().into_iter();
        fields.map(|field| (field.name, field.values, field.sum)).collect()
    }

    #[test]
    fn a_removal_resets_what_it_saw_and_nothing_else() {
        let (mut a, mut b) = (OrMap::default(), OrMap::default());
        let tell = |news: OrMap, to: &mut OrMap| to.join(&news, &mut |_| {});
        let news = a.update(Op::Increase { field: 7, by: 100 }, at(0, 1), &mut |_| {});
        tell(news, &mut b);
        let news = a.update(Op::Put { field: 7, value: 1 }, at(0, 2), &mut |_| {});
        tell(news, &mut b);
        // b removes the field while a adds to it and writes it again.
        let removal = b.update(Op::Drop { field: 7 }, at(1, 1), &mut |_| {});
        assert_eq!(shown(&b), []);
        let more = a.update(Op::Increase { field: 7, by: 5 }, at(0, 3), &mut |_| {});
        let again = a.update(Op::Put { field: 7, value: 2 }, at(0, 4), &mut |_| {});
        tell(removal.clone(), &mut a);
        tell(again, &mut b);
        tell(more, &mut b);
        assert_eq!(a, b);
        assert_eq!(shown(&a), [(7, vec![2], Some(5))]);
        assert!(!tell(removal, &mut a));
        b.update(Op::Drop { field: 7 }, at(1, 2), &mut |_| {});
        assert_eq!((shown(&b), b.tombstones()), (vec![], 1));
    }

    #[test]
    fn a_planted_bug_of_counters_that_come_back_would_show() {
        // What a store of dots does instead: an origin's increment replaces its own earlier one, removed or not.
        let mut map = OrMap::default();
        map.update(Op::Increase { field: 1, by: 10 }, at(0, 1), &mut |_| {});
        map.update(Op::Drop { field: 1 }, at(0, 2), &mut |_| {});
        map.update(Op::Increase { field: 1, by: 3 }, at(0, 3), &mut |_| {});
        assert_eq!(shown(&map), [(1, vec![], Some(3))]);
        let mut broken = map.clone();
        broken.counters[0].removed = Mark::default();
        assert_eq!(shown(&broken), [(1, vec![], Some(13))]);
    }

    #[test]
    fn an_increment_makes_good_for_lost_ones_of_its_field() {
        let (mut a, mut b) = (OrMap::default(), OrMap::default());
        a.update(Op::Increase { field: 1, by: 1 }, at(0, 1), &mut |_| {});
        a.update(Op::Increase { field: 2, by: 10 }, at(0, 2), &mut |_| {});
        let news = a.update(Op::Increase { field: 1, by: 1 }, at(0, 3), &mut |_| {});
        let mut told = Vec::new();
        b.join(&news, &mut |fate| told.push(fate));
        assert_eq!(told, [Fate::applied(at(0, 1).dot), Fate::applied(at(0, 3).dot)]);
        assert_eq!(shown(&b), [(1, vec![], Some(2))]);
        let size = news.size();
        assert_eq!((size.values, size.metadata), (1, (4 + 8 + 4 + 8) + 4 + (4 + 20 - 8)));
    }
}
