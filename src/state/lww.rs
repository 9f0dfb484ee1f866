//! Last-write-wins: the whole value of a key is one version, and the highest stamp keeps it.
//!
//! Guarantees convergence to the version of highest (stamp, origin, number), a total order; nothing else. Concurrent
//! updates are lost, and so is any update stamped by a clock that lags, even one that had seen what it loses to. This is
//! the rule of Cassandra, and of Riak with `last_write_wins`; a stamp is whatever the host says: a wall clock, or a
//! logical one.

use super::document::Document;
use super::{
    Accept, Context, Dot, Fate, Held, Keeping, KeyType, ModelInfo, Op, Rank, Realisation, Refusal, Resolution, Size,
    Versions, View, hash, wire,
};
use serde::{Deserialize, Serialize};

/// The model's page in the reference.
pub const INFO: ModelInfo = ModelInfo {
    name: "lww",
    title: "Last write wins",
    keys: KeyType::ALL,
    doc: "\
Each key holds one version: a value with the stamp of the replica that accepted it. The version of highest (stamp, replica,
life, number) is kept, everywhere; all others are dropped without a trace. Replicas that have heard of the same versions agree.

What is lost: of two concurrent updates, one; and every update whose stamp lies below the held one, at once, at the replica
that accepts it. Its client gets its acknowledgement all the same. With skewed wall clocks that happens to updates which had
seen what they lose to.

Where stamps come from is the option `clock`. `Wall`: the replica's clock, with its skew, drift and steps. `Lamport`: one more than
the highest stamp that the replica has given or heard of from another (Lamport 1978). `Hybrid`: its wall clock, to 65.536 us, where
that is ahead of all that it has heard of, else one more than that (Kulkarni et al. 2014). Under the last two an update is never
outranked by what its replica had heard of; of concurrent updates one is lost as ever, and under `Lamport` which one has nothing to
do with time. Clients carry no stamps: what an agent read at one replica isn't heard of by another before replication brings it.

- **Register**: a write is a version.
- **Counter**: an increment is accepted as *held sum + delta* under a new stamp, so of concurrent increments one survives.
- **Set**: an insert or remove is accepted as the held set with or without the element, under a new stamp: concurrent changes
  of different elements overwrite each other as well.

- **Map**: an update of a field is accepted as the held map with the change, under a new stamp: concurrent changes of different
  fields overwrite each other as well.
- **Text**: an edit is accepted as the held text with the change, under a new stamp, so of concurrent edits one survives with all
  that it was built on. Positions count characters of the held text, whatever the agent had seen.

Costs: 16 bytes of metadata a version (stamp and identity; a set also carries its length), and each update ships the whole value.
",
};

/// Last-write-wins by the stamps that the host gives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastWriteWins;

/// A value with the stamp and identity under which it was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamped {
    /// The accepting replica's clock, in nanoseconds.
    pub stamp: i64,
    /// The version's identity.
    pub dot: Dot,
    /// The whole value.
    pub held: Held,
}

impl Stamped {
    /// Its place in the total order.
    pub fn rank(&self) -> Rank {
        Rank {
            stamp: self.stamp,
            dot: self.dot,
        }
    }

    /// What the version weighs.
    pub fn size(&self) -> Size {
        Size {
            values: self.held.count(),
            spare: 0,
            text: self.held.characters(),
            metadata: wire::STAMP + wire::DOT + self.held.framing(),
        }
    }

    /// The contest of `new` against what `entry` holds; the winner stays, and true means that it is `new`.
    pub(crate) fn contest(entry: &mut Option<Self>, new: &Self, fates: &mut impl FnMut(Fate)) -> bool {
        match entry {
            Some(held) if held.dot == new.dot => return false,
            Some(held) if held.rank() > new.rank() => {
                fates(Fate::outranked(new.dot, held.dot));
                return false;
            }
            Some(held) => fates(Fate::outranked(held.dot, new.dot)),
            None => {}
        }
        fates(Fate::applied(new.dot));
        *entry = Some(new.clone());
        true
    }
}

/// One key at one replica: its type, and the version that it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LwwEntry {
    key: KeyType,
    version: Option<Stamped>,
}

impl LwwEntry {
    /// The version that the key holds; none before the first write.
    pub fn version(&self) -> Option<&Stamped> {
        self.version.as_ref()
    }
}

impl Resolution for LastWriteWins {
    type Entry = LwwEntry;
    type Delta = Stamped;

    fn name(&self) -> &'static str {
        INFO.name
    }

    fn supports(&self, key: KeyType) -> Result<Realisation, Refusal> {
        Ok(Realisation(
            match key {
                KeyType::Register => "a write replaces the value if its stamp is the highest",
                KeyType::Counter => "an increment writes held sum + delta under a new stamp; of concurrent ones one survives",
                KeyType::Map => "an update of a field writes the whole changed map under a new stamp; of concurrent ones one survives",
                KeyType::Text => "an edit writes the whole changed text under a new stamp; of concurrent ones one survives",
                KeyType::Set => "an insert or remove writes the whole changed set under a new stamp; of concurrent ones one survives",
            }
            .into(),
        ))
    }

    fn fresh(&self, key: KeyType) -> LwwEntry {
        LwwEntry { key, version: None }
    }

    fn update(&self, entry: &mut LwwEntry, op: Op, at: Accept<'_>, fates: &mut impl FnMut(Fate)) -> Stamped {
        assert!(entry.key.admits(op), "{op:?} is no operation on a {}", entry.key);
        let base = entry.version.as_ref();
        if let Some(base) = base.filter(|_| entry.key != KeyType::Register) {
            fates(Fate::BuiltOn {
                version: at.dot,
                base: base.dot,
            });
        }
        let base = base.map(|version| &version.held);
        let held = match (entry.key, base) {
            (KeyType::Text, Some(Held::Text(text))) => Held::Text(text.after(op, at.dot, fates).into()),
            (KeyType::Text, _) => Held::Text(Document::default().after(op, at.dot, fates).into()),
            _ => Held::after(base, op),
        };
        let new = Stamped {
            stamp: at.stamp,
            dot: at.dot,
            held,
        };
        Stamped::contest(&mut entry.version, &new, fates);
        new
    }

    fn merge(&self, entry: &mut LwwEntry, delta: &Stamped, fates: &mut impl FnMut(Fate)) -> bool {
        Stamped::contest(&mut entry.version, delta, fates)
    }

    fn join(&self, entry: &mut LwwEntry, other: &LwwEntry, fates: &mut impl FnMut(Fate)) -> bool {
        match &other.version {
            Some(version) => Stamped::contest(&mut entry.version, version, fates),
            None => false,
        }
    }

    fn batch(&self, batch: &mut Stamped, next: &Stamped) {
        if next.rank() > batch.rank() {
            batch.clone_from(next);
        }
    }

    fn view(&self, entry: &LwwEntry) -> View {
        let value = match &entry.version {
            Some(version) => version.held.to_value(),
            None => entry.key.empty(),
        };
        View {
            value,
            versions: self.versions(entry),
            context: Context::default(),
        }
    }

    fn versions(&self, entry: &LwwEntry) -> Versions {
        Versions::Heads(entry.version.iter().map(|version| version.dot).collect())
    }

    fn context(&self, _: &LwwEntry) -> Context {
        Context::default()
    }

    fn digest(&self, entry: &LwwEntry) -> u64 {
        match &entry.version {
            Some(version) => version.held.digest(),
            None => entry.key.empty().digest(),
        }
    }

    fn state_hash(&self, entry: &LwwEntry) -> u64 {
        match &entry.version {
            Some(version) => hash::chain(hash::mix(version.dot.bits()), version.stamp as u64),
            None => 0,
        }
    }

    fn entry_size(&self, entry: &LwwEntry) -> Size {
        entry.version.as_ref().map_or_else(Size::default, Stamped::size)
    }

    fn delta_size(&self, delta: &Stamped) -> Size {
        delta.size()
    }

    fn keeping(&self, _: KeyType) -> Keeping {
        Keeping::Ranked
    }

    fn rank(&self, delta: &Stamped) -> Option<Rank> {
        Some(delta.rank())
    }

    fn stamp(&self, entry: &LwwEntry) -> Option<i64> {
        entry.version.as_ref().map(|version| version.stamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{DotRange, Origin, Value};

    fn accept(replica: u16, number: u32, stamp: i64) -> Accept<'static> {
        Accept {
            dot: Dot::new(Origin::new(replica, 0), number),
            stamp,
            context: None,
        }
    }

    #[test]
    fn entries_stay_small() {
        assert!(size_of::<LwwEntry>() <= 40, "{}", size_of::<LwwEntry>());
    }

    #[test]
    fn concurrent_increments_overwrite_each_other() {
        let model = LastWriteWins;
        let (mut a, mut b) = (model.fresh(KeyType::Counter), model.fresh(KeyType::Counter));
        let first = model.update(&mut a, Op::Add(10), accept(0, 1, 5), &mut |_| {});
        model.merge(&mut b, &first, &mut |_| {});
        let at_a = model.update(&mut a, Op::Add(1), accept(0, 2, 20), &mut |_| {});
        let mut fates = Vec::new();
        let at_b = model.update(&mut b, Op::Add(2), accept(1, 1, 30), &mut |fate| fates.push(fate));
        let (base, new) = (first.dot, at_b.dot);
        let applied = Fate::Applied(DotRange::one(new));
        assert_eq!(
            fates,
            [
                Fate::BuiltOn { version: new, base },
                Fate::outranked(base, new),
                applied
            ]
        );
        model.merge(&mut b, &at_a, &mut |fate| {
            assert_eq!(fate, Fate::outranked(at_a.dot, at_b.dot))
        });
        assert!(model.merge(&mut a, &at_b, &mut |_| {}));
        assert_eq!(a, b);
        assert_eq!(model.view(&a).value, Value::Counter(12));
    }

    #[test]
    fn a_lagging_clock_loses_at_its_own_replica() {
        let model = LastWriteWins;
        let mut entry = model.fresh(KeyType::Register);
        let ahead = model.update(&mut entry, Op::Write(1), accept(1, 1, 1_000), &mut |_| {});
        let mut fates = Vec::new();
        let late = model.update(&mut entry, Op::Write(2), accept(0, 1, 900), &mut |fate| {
            fates.push(fate)
        });
        assert_eq!(fates, [Fate::outranked(late.dot, ahead.dot)]);
        assert_eq!(model.view(&entry).value, Value::Register(vec![1]));
        assert_eq!(model.view(&entry).versions, Versions::Heads(vec![ahead.dot]));
    }

    #[test]
    fn ties_go_to_the_higher_replica_and_then_to_the_later_number() {
        let model = LastWriteWins;
        let mut entry = model.fresh(KeyType::Register);
        model.update(&mut entry, Op::Write(1), accept(1, 1, 7), &mut |_| {});
        model.update(&mut entry, Op::Write(2), accept(1, 2, 7), &mut |_| {});
        assert_eq!(model.view(&entry).value, Value::Register(vec![2]));
        model.update(&mut entry, Op::Write(3), accept(0, 3, 7), &mut |_| {});
        assert_eq!(model.view(&entry).value, Value::Register(vec![2]));
        model.update(&mut entry, Op::Write(4), accept(2, 1, 7), &mut |_| {});
        assert_eq!(model.view(&entry).value, Value::Register(vec![4]));
    }

    #[test]
    fn sets_are_replaced_as_a_whole() {
        let model = LastWriteWins;
        let (mut a, mut b) = (model.fresh(KeyType::Set), model.fresh(KeyType::Set));
        let at_a = model.update(&mut a, Op::Insert(1), accept(0, 1, 1), &mut |_| {});
        model.update(&mut b, Op::Insert(2), accept(1, 1, 2), &mut |_| {});
        model.merge(&mut b, &at_a, &mut |_| {});
        assert_eq!(model.view(&b).value, Value::Set(vec![2]));
        assert_eq!(
            model.entry_size(&b),
            Size {
                values: 1,
                spare: 0,
                text: 0,
                metadata: 20
            }
        );
    }
}
