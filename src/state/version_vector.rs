//! Version vectors with siblings: one vector a key, counted by the servers, as in Riak before 2.0 and in Voldemort.
//!
//! Guarantees that no write is lost unseen: what no writer had seen stays, as a sibling. Replicas that exchange entries
//! until nothing changes agree. It does *not* guarantee the converse, that superseded values go: one vector stands for
//! all siblings of a key, so a write whose context lags behind the replica supersedes nothing, not even what it had seen
//! (*sibling explosion*), and merges of concurrent entries can bring superseded siblings back. So `join` is commutative
//! and idempotent, but not associative. Dotted version vectors repair both; see [`super::dotted`].

use super::siblings::{Blind, MergeRules, Sibling, build, resolve};
use super::{
    Accept, Context, Dot, Fate, Keeping, KeyType, ModelInfo, Op, Rank, Realisation, Refusal, Resolution, Size,
    VersionVector, Versions, View, hash, wire,
};
use serde::{Deserialize, Serialize};

/// The model's page in the reference.
pub const INFO: ModelInfo = ModelInfo {
    name: "version-vectors",
    title: "Version vectors with siblings",
    keys: KeyType::PLAIN,
    doc: "\
Each key holds its siblings under one version vector, which counts the updates that each replica has accepted. A write sends
back the vector of its client's last read or write. If that descends the replica's vector, the write replaces all siblings;
otherwise it joins them. Replicas ship whole entries: the one whose vector strictly descends the other's wins; of concurrent
ones, and of equal vectors, the siblings are united and the vectors joined.

No write is lost unseen. But siblings that a client had seen stay when its context is merely behind, so two clients that take
turns at one key, each with the context of its own previous write, pile up a sibling with every write. Removed siblings can
also come back when concurrent entries meet. `dotted-version-vectors` has neither fault.

- **Register**: a write is a sibling; readers see all, or what the merge rule chooses.
- **Counter**: the accepting replica reads its siblings by the merge rule (the greatest, if nothing is said), adds, and writes
  with its own vector. Of concurrent increments, the rule shows one branch.
- **Set**: the accepting replica changes its siblings' union (if nothing is said) and writes it with its own vector; an element
  removed on one side of a conflict comes back, as in Dynamo's shopping cart.

Costs: 8 bytes of metadata for each replica that ever wrote the key and for each sibling, and the siblings' values; each
update ships the whole entry.
",
};

/// Server-side version vectors with siblings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VersionVectors {
    /// How readers resolve siblings.
    pub rules: MergeRules,
    /// What a write without a context supersedes.
    pub blind: Blind,
}

/// One key at one replica, and also what is shipped of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VvEntry {
    key: KeyType,
    vector: VersionVector,
    /// Ascending by dot.
    siblings: Vec<Sibling>,
}

impl VvEntry {
    /// What the vector covers.
    pub fn vector(&self) -> &VersionVector {
        &self.vector
    }

    /// The siblings, ascending by dot.
    pub fn siblings(&self) -> &[Sibling] {
        &self.siblings
    }

    /// Drops the siblings that are not in `kept`.
    fn keep_only(&mut self, kept: &[Sibling], fates: &mut impl FnMut(Fate)) {
        self.siblings.retain(|sibling| {
            let stays = find(kept, sibling).is_ok();
            if !stays {
                fates(Fate::Outranked {
                    loser: sibling.dot,
                    winner: None,
                });
            }
            stays
        });
    }

    /// Takes in the siblings that are new here; true if any was.
    fn unite(&mut self, others: &[Sibling], fates: &mut impl FnMut(Fate)) -> bool {
        let mut grew = false;
        for sibling in others {
            if let Err(place) = find(&self.siblings, sibling) {
                self.siblings.insert(place, sibling.clone());
                fates(Fate::applied(sibling.dot));
                grew = true;
            }
        }
        grew
    }
}

fn find(siblings: &[Sibling], wanted: &Sibling) -> Result<usize, usize> {
    siblings.binary_search_by_key(&wanted.dot, |sibling| sibling.dot)
}

impl Resolution for VersionVectors {
    type Entry = VvEntry;
    type Delta = VvEntry;

    fn name(&self) -> &'static str {
        INFO.name
    }

    fn supports(&self, key: KeyType) -> Result<Realisation, Refusal> {
        self.rules
            .realisation(INFO.name, key, self.blind)
            .map(|text| Realisation(text.into()))
    }

    fn fresh(&self, key: KeyType) -> VvEntry {
        VvEntry {
            key,
            vector: VersionVector::default(),
            siblings: Vec::new(),
        }
    }

    fn update(&self, entry: &mut VvEntry, op: Op, at: Accept<'_>, fates: &mut impl FnMut(Fate)) -> VvEntry {
        let held = build(entry.key, self.rules.of(entry.key), &entry.siblings, op, at.dot, fates);
        // The replica itself reads before it computes a counter or a set: its own vector is the context.
        let supersedes = if entry.key != KeyType::Register {
            true
        } else if let Some(context) = at.context {
            let descends = context.seen.vector().descends(&entry.vector);
            entry.vector.join(context.seen.vector());
            descends
        } else {
            self.blind == Blind::Overwrite || entry.vector.is_empty()
        };
        fates(Fate::applied(at.dot));
        if supersedes {
            for old in entry.siblings.drain(..) {
                fates(Fate::outranked(old.dot, at.dot));
            }
        }
        entry.vector.raise(at.dot.origin, at.dot.number);
        let new = Sibling { dot: at.dot, held };
        let place = find(&entry.siblings, &new).unwrap_or_else(|place| place);
        entry.siblings.insert(place, new);
        entry.clone()
    }

    fn merge(&self, entry: &mut VvEntry, delta: &VvEntry, fates: &mut impl FnMut(Fate)) -> bool {
        let (theirs, ours) = (
            delta.vector.descends(&entry.vector),
            entry.vector.descends(&delta.vector),
        );
        match (theirs, ours) {
            (true, false) => {
                entry.keep_only(&delta.siblings, fates);
                entry.unite(&delta.siblings, fates);
                entry.vector.clone_from(&delta.vector);
                true
            }
            (false, true) => {
                for old in delta
                    .siblings
                    .iter()
                    .filter(|sibling| find(&entry.siblings, sibling).is_err())
                {
                    fates(Fate::Outranked {
                        loser: old.dot,
                        winner: None,
                    });
                }
                false
            }
            (true, true) => entry.unite(&delta.siblings, fates),
            (false, false) => {
                entry.unite(&delta.siblings, fates);
                entry.vector.join(&delta.vector);
                true
            }
        }
    }

    fn join(&self, entry: &mut VvEntry, other: &VvEntry, fates: &mut impl FnMut(Fate)) -> bool {
        self.merge(entry, other, fates)
    }

    fn batch(&self, batch: &mut VvEntry, next: &VvEntry) {
        self.merge(batch, next, &mut |_| {});
    }

    fn view(&self, entry: &VvEntry) -> View {
        let (value, heads) = resolve(entry.key, self.rules.of(entry.key), &entry.siblings);
        View {
            value,
            versions: Versions::Heads(heads),
            context: self.context(entry),
        }
    }

    fn kept(&self, entry: &VvEntry) -> Vec<Dot> {
        entry.siblings.iter().map(|sibling| sibling.dot).collect()
    }

    fn context(&self, entry: &VvEntry) -> Context {
        Context {
            seen: entry.vector.clone().into(),
            ..Context::default()
        }
    }

    fn digest(&self, entry: &VvEntry) -> u64 {
        resolve(entry.key, self.rules.of(entry.key), &entry.siblings).0.digest()
    }

    fn state_hash(&self, entry: &VvEntry) -> u64 {
        let vector = entry.vector.hash(0);
        entry.siblings.iter().fold(hash::chain(vector, 0), |hash, sibling| {
            hash::chain(hash, sibling.dot.bits())
        })
    }

    fn entry_size(&self, entry: &VvEntry) -> Size {
        if entry.vector.is_empty() {
            Size::default()
        } else {
            size(&entry.siblings, entry.vector.bytes())
        }
    }

    fn delta_size(&self, delta: &VvEntry) -> Size {
        self.entry_size(delta)
    }

    fn keeping(&self, _: KeyType) -> Keeping {
        Keeping::Causal
    }

    fn rank(&self, _: &VvEntry) -> Option<Rank> {
        None
    }
}

/// What siblings weigh together with `causality` bytes of vectors: the first sibling's value is wanted, the rest is spare.
pub(crate) fn size(siblings: &[Sibling], causality: u64) -> Size {
    let values = siblings.first().map_or(0, |first| first.held.count());
    let all: u64 = siblings.iter().map(|sibling| sibling.held.count()).sum();
    let framing: u64 = siblings.iter().map(|sibling| wire::DOT + sibling.held.framing()).sum();
    Size {
        values,
        spare: all - values,
        text: 0,
        metadata: causality + wire::COUNT + framing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Origin, Value};

    fn accept(replica: u16, number: u32, context: Option<&Context>) -> Accept<'_> {
        Accept {
            dot: Dot::new(Origin::new(replica, 0), number),
            stamp: 0,
            context,
        }
    }

    fn quiet(_: Fate) {}

    #[test]
    fn clients_that_take_turns_pile_up_siblings() {
        let model = VersionVectors::default();
        let mut entry = model.fresh(KeyType::Register);
        let mut contexts: [Option<Context>; 2] = [None, None];
        for write in 0..20u32 {
            let client = write as usize % 2;
            let at = accept(0, write + 1, contexts[client].as_ref());
            model.update(&mut entry, Op::Write(write.into()), at, &mut quiet);
            contexts[client] = Some(model.context(&entry));
        }
        assert_eq!(entry.siblings().len(), 20);
        // A write that has read them all clears them.
        let context = model.view(&entry).context;
        model.update(&mut entry, Op::Write(99), accept(0, 21, Some(&context)), &mut quiet);
        assert_eq!(model.view(&entry).value, Value::Register(vec![99]));
    }

    #[test]
    fn a_blind_write_is_a_sibling_or_overwrites_as_the_scenario_says() {
        for (blind, expected) in [(Blind::Sibling, vec![1, 2]), (Blind::Overwrite, vec![2])] {
            let model = VersionVectors {
                blind,
                ..VersionVectors::default()
            };
            let mut entry = model.fresh(KeyType::Register);
            model.update(&mut entry, Op::Write(1), accept(0, 1, None), &mut quiet);
            model.update(&mut entry, Op::Write(2), accept(0, 2, None), &mut quiet);
            assert_eq!(model.view(&entry).value, Value::Register(expected));
        }
    }

    #[test]
    fn concurrent_writes_at_two_replicas_are_siblings_until_one_has_read_both() {
        let model = VersionVectors::default();
        let (mut a, mut b) = (model.fresh(KeyType::Register), model.fresh(KeyType::Register));
        let at_a = model.update(&mut a, Op::Write(1), accept(0, 1, None), &mut quiet);
        let at_b = model.update(&mut b, Op::Write(2), accept(1, 1, None), &mut quiet);
        assert!(model.merge(&mut a, &at_b, &mut quiet) && model.merge(&mut b, &at_a, &mut quiet));
        assert_eq!(a, b);
        assert_eq!(model.view(&a).value, Value::Register(vec![1, 2]));
        let context = model.view(&a).context;
        let mut fates = Vec::new();
        let both = model.update(&mut a, Op::Write(3), accept(0, 2, Some(&context)), &mut |fate| {
            fates.push(fate)
        });
        let lost = |loser: &VvEntry| Fate::outranked(loser.siblings[0].dot, Dot::new(Origin::new(0, 0), 2));
        assert_eq!(
            fates,
            [Fate::applied(Dot::new(Origin::new(0, 0), 2)), lost(&at_a), lost(&at_b)]
        );
        assert!(model.merge(&mut b, &both, &mut quiet));
        assert_eq!(model.view(&b).value, Value::Register(vec![3]));
        assert!(!model.merge(&mut b, &at_a, &mut quiet), "an old entry changes nothing");
    }

    #[test]
    fn one_vector_for_all_siblings_brings_superseded_ones_back() {
        // c has read x and overwritten it; a holds x, b holds y. Whether a and b meet before c decides whether x returns.
        let model = VersionVectors::default();
        let mut a = model.fresh(KeyType::Register);
        let x = model.update(&mut a, Op::Write(1), accept(0, 1, None), &mut quiet);
        let mut b = model.fresh(KeyType::Register);
        let y = model.update(&mut b, Op::Write(2), accept(1, 1, None), &mut quiet);
        let mut c = x.clone();
        let context = model.view(&c).context;
        model.update(&mut c, Op::Write(3), accept(2, 1, Some(&context)), &mut quiet);
        let (mut early, mut late) = (x, c.clone());
        model.merge(&mut early, &y, &mut quiet);
        model.merge(&mut early, &c, &mut quiet);
        model.merge(&mut late, &y, &mut quiet);
        assert_eq!(early.vector, late.vector);
        assert_eq!(early.siblings.len(), 3);
        assert_eq!(late.siblings.len(), 2);
        // They still agree after they have met.
        model.merge(&mut late, &early, &mut quiet);
        assert_eq!(late, early);
    }

    #[test]
    fn counters_and_sets_are_computed_by_the_replica() {
        let model = VersionVectors::default();
        let (mut a, mut b) = (model.fresh(KeyType::Counter), model.fresh(KeyType::Counter));
        let at_a = model.update(&mut a, Op::Add(5), accept(0, 1, None), &mut quiet);
        let at_b = model.update(&mut b, Op::Add(7), accept(1, 1, None), &mut quiet);
        model.merge(&mut a, &at_b, &mut quiet);
        let mut fates = Vec::new();
        model.update(&mut a, Op::Add(1), accept(0, 2, None), &mut |fate| fates.push(fate));
        assert_eq!(model.view(&a).value, Value::Counter(8));
        let version = Dot::new(Origin::new(0, 0), 2);
        let (five, seven) = (at_a.siblings[0].dot, at_b.siblings[0].dot);
        assert_eq!(
            fates,
            [
                Fate::BuiltOn { version, base: seven },
                Fate::applied(version),
                Fate::outranked(five, version),
                Fate::outranked(seven, version)
            ]
        );
        assert_eq!(
            model.entry_size(&a),
            Size {
                values: 1,
                spare: 0,
                text: 0,
                metadata: 4 + 2 * 8 + 4 + 8
            }
        );
    }
}
