//! PN-counter: the sum of all increments and decrements.
//!
//! Guarantees that every accepted increment counts exactly once, at every replica that has heard of it. Each origin keeps
//! its own tally, which only it changes; the later of two tallies of one origin contains the earlier, so a join keeps the
//! one of the higher number. A tally is held as (number of updates, P - N) rather than as (P, N): the number orders what P
//! and N would, and the pair weighs less. Cassandra's counters have this form (id, clock, count).

use super::Lattice;
use crate::kernel::prefetch;
use crate::state::value::digest_of_counter;
use crate::state::{
    Accept, Context, Dot, DotRange, DotSet, Fate, Keeping, KeyType, ModelInfo, Op, Origin, Size, Value, VersionVector,
    Versions, View, hash, wire,
};
use serde::{Deserialize, Serialize};

/// What one origin has added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Tally {
    origin: Origin,
    /// How many updates it contains.
    number: u32,
    /// Their sum.
    sum: i64,
}

/// So many tallies more there is room for where it runs out: a cache line.
const MORE: usize = 64 / size_of::<Tally>();

/// A counter of increments and decrements: a tally for each origin, by origin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PnCounter(Vec<Tally>);

impl PnCounter {
    /// The sum of all tallies, wrapping at 64 bits.
    pub fn sum(&self) -> i64 {
        self.0.iter().fold(0i64, |sum, tally| sum.wrapping_add(tally.sum))
    }

    /// How many origins have added.
    pub(super) fn tallies(&self) -> usize {
        self.0.len()
    }

    /// The place of `origin`'s tally, or where it belongs.
    fn find(&self, origin: Origin) -> Result<usize, usize> {
        self.0.binary_search_by_key(&origin, |tally| tally.origin)
    }
}

impl Lattice for PnCounter {
    const INFO: ModelInfo = ModelInfo {
        name: "pn-counter",
        title: "PN-counter",
        keys: &[KeyType::Counter],
        doc: "\
A counter whose value is the sum of one tally for each replica that ever added to it. A tally is the number of the replica's
updates and their sum; the later of two contains the earlier. The fragment of an increment is its replica's whole tally, so a
lost fragment is made good by the next one, and a repeated one changes nothing.

Costs: 16 bytes for each replica that ever wrote the key, less the sum that a plain counter would need; an update ships one.
",
    };
    const REALISATION: &'static str =
        "an increment adds to the accepting replica's tally; readers see the sum of all tallies";
    const KEEPING: Keeping = Keeping::All;

    fn update(&mut self, op: Op, at: Accept<'_>, fates: &mut impl FnMut(Fate)) -> Self {
        let Op::Add(delta) = op else {
            panic!("{op:?} is no operation on a counter")
        };
        let Dot { origin, number } = at.dot;
        let place = self.find(origin).unwrap_or_else(|place| {
            self.0.insert(
                place,
                Tally {
                    origin,
                    number: 0,
                    sum: 0,
                },
            );
            place
        });
        let tally = &mut self.0[place];
        assert!(number > tally.number, "{} was given to an update before", at.dot);
        *tally = Tally {
            origin,
            number,
            sum: tally.sum.wrapping_add(delta),
        };
        let news = *tally;
        fates(Fate::applied(at.dot));
        Self(vec![news])
    }

    fn join(&mut self, other: &Self, fates: &mut impl FnMut(Fate)) -> bool {
        let mut changed = false;
        for theirs in &other.0 {
            let first = match self.find(theirs.origin) {
                Ok(place) if self.0[place].number >= theirs.number => continue,
                Ok(place) => std::mem::replace(&mut self.0[place], *theirs).number + 1,
                Err(place) => {
                    // A store has as many of these as it has keys and replicas: room for twice as many would be most of its memory.
                    if self.0.len() == self.0.capacity() {
                        self.0.reserve_exact(MORE);
                    }
                    self.0.insert(place, *theirs);
                    1
                }
            };
            fates(Fate::Applied(DotRange {
                origin: theirs.origin,
                first,
                last: theirs.number,
            }));
            changed = true;
        }
        changed
    }

    fn view(&self) -> View {
        View {
            value: Value::Counter(self.sum()),
            versions: self.versions(),
            context: Context::default(),
        }
    }

    fn versions(&self) -> Versions {
        let tops = self
            .0
            .iter()
            .map(|tally| Dot::new(tally.origin, tally.number))
            .collect();
        Versions::Effects(DotSet::from(VersionVector::from_tops(tops)))
    }

    fn context(&self) -> Context {
        Context::default()
    }

    fn touch(&self) {
        // So many lie in one cache line.
        for tally in self.0.iter().step_by(64 / size_of::<Tally>()) {
            prefetch(tally);
        }
    }

    fn digest(&self) -> u64 {
        digest_of_counter(self.sum())
    }

    fn state_hash(&self) -> u64 {
        self.0.iter().fold(0, |hash, tally| {
            hash::chain(hash, Dot::new(tally.origin, tally.number).bits())
        })
    }

    fn size(&self) -> Size {
        if self.0.is_empty() {
            return Size::default();
        }
        let tallies = self.0.len() as u64 * (wire::DOT + wire::SUM);
        Size {
            values: 1,
            spare: 0,
            text: 0,
            metadata: wire::COUNT + tallies - wire::SUM,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(counter: &mut PnCounter, replica: u16, number: u32, delta: i64) -> PnCounter {
        let at = Accept {
            dot: Dot::new(Origin::new(replica, 0), number),
            stamp: 0,
            context: None,
        };
        counter.update(Op::Add(delta), at, &mut |_| {})
    }

    #[test]
    fn a_later_fragment_makes_good_for_lost_ones() {
        let (mut a, mut b) = (PnCounter::default(), PnCounter::default());
        let first = add(&mut a, 0, 1, 5);
        add(&mut a, 0, 2, -8);
        let third = add(&mut a, 0, 3, 1);
        add(&mut b, 1, 1, 100);
        let mut fates = Vec::new();
        assert!(b.join(&third, &mut |fate| fates.push(fate)));
        assert_eq!(
            fates,
            [Fate::Applied(DotRange {
                origin: Origin::new(0, 0),
                first: 1,
                last: 3
            })]
        );
        assert!(!b.join(&first, &mut |_| panic!("nothing is new")));
        assert_eq!(b.sum(), 98);
        assert_eq!(
            b.size(),
            Size {
                values: 1,
                spare: 0,
                text: 0,
                metadata: 4 + 2 * 16 - 8
            }
        );
        assert_eq!(
            third.size(),
            Size {
                values: 1,
                spare: 0,
                text: 0,
                metadata: 12
            }
        );
    }
}
