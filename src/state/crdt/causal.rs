//! Operation-based shipping: each update travels as an operation, applied once and after its causes.
//!
//! Guarantees that a replica applies an operation exactly once, after every operation of the key that its origin had applied
//! before it: the delivery that operation-based types need (Shapiro, Preguiça, Baquero and Zawirski 2011, section 2.4;
//! Birman, Schiper and Stephenson, "Lightweight causal and atomic group multicast", TOCS 1991, for the vectors). An operation
//! carries its origin's number for it and the vector of what the origin had applied. One that comes twice is dropped; one
//! that comes before its causes waits. **A lost operation is missed for good**, and all that follow it wait, until
//! anti-entropy brings a whole entry: nobody sends an operation again.
//!
//! What an operation does to the state is the join of its fragment: under causal delivery that is what the operation-based
//! form of each type does, with the tags that it observed told by the vector (Baquero, Almeida and Shoker, "Making
//! operation-based CRDTs operation-based", DAIS 2014). The wire has the operation, not the fragment, and is charged so.

use super::{CrdtEntry, Lattice};
use crate::state::{
    Accept, Context, Dot, Fate, Keeping, KeyType, ModelInfo, Op, Origin, Rank, Size, VersionVector, Versions, View,
    hash, wire,
};
use serde::{Deserialize, Serialize};

/// An operation on its way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Operation {
    dot: Dot,
    op: Op,
    /// What its origin had applied before it.
    after: VersionVector,
    /// What it does.
    effect: CrdtEntry,
}

impl Operation {
    fn size(&self) -> Size {
        let Size { text, .. } = self.effect.size();
        Size {
            values: u64::from(!matches!(self.op, Op::InsertText { .. } | Op::DeleteText { .. })),
            text,
            spare: 0,
            metadata: wire::DOT + self.after.bytes() + self.effect.beside(),
        }
    }
}

/// A key under operation-based shipping: its state with what it has applied, and the operations that wait. What is shipped
/// has no state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Causal {
    state: Option<CrdtEntry>,
    applied: VersionVector,
    /// Ascending by dot; none is applied, none is ready.
    waiting: Vec<Operation>,
}

impl Causal {
    /// A key whose state is this.
    pub(super) fn over(state: CrdtEntry) -> Self {
        Self {
            state: Some(state),
            ..Self::default()
        }
    }

    /// How many operations wait for their causes.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Of operations of one origin: that origin, and what it had applied with the last of them.
    pub(super) fn told(&self) -> Option<(Origin, VersionVector)> {
        let last = self.waiting.last()?;
        let mut heard = last.after.clone();
        heard.raise(last.dot.origin, last.dot.number);
        Some((last.dot.origin, heard))
    }

    fn state(&self) -> &CrdtEntry {
        self.state
            .as_ref()
            .expect("only a replica's key is asked what it shows")
    }

    /// Applies what waits and is ready, until nothing is.
    fn drain(&mut self, fates: &mut impl FnMut(Fate)) {
        let Some(state) = &mut self.state else { return };
        let applied = &mut self.applied;
        loop {
            let before = self.waiting.len();
            self.waiting.retain(|operation| {
                let Dot { origin, number } = operation.dot;
                let known = applied.get(origin);
                let ready = number == known + 1 && applied.descends(&operation.after);
                if ready {
                    state.join(&operation.effect, fates);
                    applied.raise(origin, number);
                }
                number > known && !ready
            });
            if self.waiting.len() == before {
                return;
            }
        }
    }
}

impl Lattice for Causal {
    const INFO: ModelInfo = ModelInfo {
        name: "operation-based",
        title: "Operation-based shipping",
        keys: KeyType::ALL,
        doc: "\
`Crdt(ship: Operation)`: an update travels as the operation itself, with the number that its replica gave it and a vector of what
that replica had applied of the key. A replica applies each operation once and after its causes; one that comes early waits, one
that comes again is dropped. `ship: Delta` (the default) sends small states instead, which need no order; `ship: State` sends the
whole entry with each update, so that any later one makes good what was lost.

**A lost operation is missed for good**, and every later one that depends on it waits, until anti-entropy brings a whole entry.
Nothing is sent again otherwise. Under delays alone, operations wait as long as their slowest cause travels.

Costs: an operation weighs what it says (a value, an element, an amount, characters) and 16 bytes plus 8 for each replica that ever
wrote the key; an entry, the vector and the operations that wait on top of its type's cost.
",
    };
    const REALISATION: &'static str = "operations are applied once and in causal order";
    const KEEPING: Keeping = Keeping::All;

    fn update(&mut self, op: Op, at: Accept<'_>, fates: &mut impl FnMut(Fate)) -> Self {
        let state = self.state.as_mut().expect("only a replica's key is updated");
        let operation = Operation {
            dot: at.dot,
            op,
            after: self.applied.clone(),
            effect: state.update(op, at, fates),
        };
        self.applied.raise(at.dot.origin, at.dot.number);
        Self {
            state: None,
            applied: VersionVector::default(),
            waiting: vec![operation],
        }
    }

    fn join(&mut self, other: &Self, fates: &mut impl FnMut(Fate)) -> bool {
        let mut changed = false;
        match (&mut self.state, &other.state) {
            (Some(ours), Some(theirs)) => {
                changed |= ours.join(theirs, fates);
                changed |= !self.applied.descends(&other.applied);
                self.applied.join(&other.applied);
            }
            (None, Some(_)) => panic!("an entry is no news of an update"),
            (_, None) => {}
        }
        for operation in &other.waiting {
            if self.applied.contains(operation.dot) {
                continue;
            }
            if let Err(place) = self.waiting.binary_search_by_key(&operation.dot, |waiting| waiting.dot) {
                self.waiting.insert(place, operation.clone());
                changed = true;
            }
        }
        if changed {
            self.drain(fates);
        }
        changed
    }

    fn view(&self) -> View {
        self.state().view()
    }

    fn versions(&self) -> Versions {
        self.state().versions()
    }

    fn held_back(&self) -> Vec<Dot> {
        self.waiting.iter().map(|operation| operation.dot).collect()
    }

    fn context(&self) -> Context {
        self.state().context()
    }

    fn digest(&self) -> u64 {
        self.state().digest()
    }

    fn state_hash(&self) -> u64 {
        let state = self.applied.hash(self.state().state_hash());
        let waiting = self.waiting.iter();
        waiting.fold(hash::chain(state, 0), |hash, operation| {
            hash::chain(hash, operation.dot.bits())
        })
    }

    fn size(&self) -> Size {
        let mut size = Size::default();
        if let Some(state) = &self.state {
            size = state.size();
            if !self.applied.is_empty() || !self.waiting.is_empty() {
                size.metadata += self.applied.bytes() + wire::COUNT;
            }
        }
        for operation in &self.waiting {
            let Size {
                values,
                text,
                spare,
                metadata,
            } = operation.size();
            if self.state.is_none() {
                (size.values, size.text, size.spare) = (size.values + values, size.text + text, size.spare + spare);
            } else {
                // What waits is in nobody's value yet.
                (size.spare, size.metadata) = (size.spare + values + spare, size.metadata + text);
            }
            size.metadata += metadata;
        }
        size
    }

    fn tombstones(&self) -> u64 {
        self.state().tombstones()
    }

    fn collect(&mut self, stable: &VersionVector) -> u64 {
        self.state.as_mut().map_or(0, |state| state.collect(stable))
    }

    fn rank(&self) -> Option<Rank> {
        let waiting = self.waiting.iter().filter_map(|operation| operation.effect.rank());
        waiting.max()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Crdt, Ship};
    use super::*;
    use crate::state::{Resolution, Value};

    fn at(replica: u16, number: u32) -> Accept<'static> {
        Accept {
            dot: Dot::new(Origin::new(replica, 0), number),
            stamp: 0,
            context: None,
        }
    }

    #[test]
    fn an_operation_waits_for_its_causes_and_is_applied_once() {
        let model = Crdt {
            ship: Ship::Operation,
            ..Crdt::default()
        };
        let mut replicas = [KeyType::Set; 3].map(|key| model.fresh(key));
        let [a, b, c] = &mut replicas;
        let first = model.update(a, Op::Insert(1), at(0, 1), &mut |_| {});
        let second = model.update(a, Op::Insert(2), at(0, 2), &mut |_| {});
        model.merge(b, &first, &mut |_| {});
        model.merge(b, &second, &mut |_| {});
        let third = model.update(b, Op::Remove(1), at(1, 1), &mut |_| {});
        let mut fates = Vec::new();
        assert!(model.merge(c, &third, &mut |fate| fates.push(fate)));
        assert!(
            !model.merge(c, &third, &mut |fate| fates.push(fate)),
            "it waits already"
        );
        assert!(model.merge(c, &second, &mut |fate| fates.push(fate)));
        assert_eq!((model.view(c).value, &fates[..]), (Value::Set(vec![]), &[][..]));
        assert!(model.merge(c, &first, &mut |fate| fates.push(fate)));
        assert_eq!(model.view(c).value, Value::Set(vec![2]));
        assert_eq!(fates.iter().filter(|fate| matches!(fate, Fate::Applied(_))).count(), 3);
        assert_eq!(c, b);
        assert!(!model.merge(c, &first, &mut |_| panic!("nothing is new")));
    }

    #[test]
    fn a_lost_operation_holds_up_those_after_it_until_an_entry_comes() {
        let model = Crdt {
            ship: Ship::Operation,
            ..Crdt::default()
        };
        let (mut a, mut b) = (model.fresh(KeyType::Counter), model.fresh(KeyType::Counter));
        model.update(&mut a, Op::Add(1), at(0, 1), &mut |_| {});
        for number in 2..5 {
            let news = model.update(&mut a, Op::Add(1), at(0, number), &mut |_| {});
            model.merge(&mut b, &news, &mut |_| panic!("nothing is ready"));
        }
        // The operation, its dot, and the vector of one replica.
        let waiting = Size {
            values: 0,
            text: 0,
            spare: 3,
            metadata: 3 * (8 + 4 + 8) + 4 + 4,
        };
        assert_eq!(model.view(&b).value, Value::Counter(0));
        assert_eq!(model.entry_size(&b), waiting);
        assert!(model.join(&mut b, &a, &mut |_| {}));
        assert_eq!(model.view(&b).value, Value::Counter(4));
        assert_eq!(a, b);
    }
}
