//! Dotted version vectors: siblings that each know which update they are, under one causal context.
//!
//! Guarantees exactly the causal order of writes: a version goes if and only if a later writer had seen it. Merging is a
//! join: commutative, associative, idempotent, in any order and from any subset of deltas. The compact form is that of
//! Almeida, Baquero, Gonçalves, Preguiça and Fonte, "Scalable and accurate causality tracking for eventually consistent
//! stores" (DAIS 2014), which Riak 2.0 uses.

use super::siblings::{Blind, MergeRules, Sibling, build, resolve};
use super::version_vector::size;
use super::{
    Accept, Context, Dot, DotSet, Fate, Held, Keeping, KeyType, ModelInfo, Op, Rank, Realisation, Refusal, Resolution,
    Size, Versions, View, hash,
};
use serde::{Deserialize, Serialize};

/// The model's page in the reference.
pub const INFO: ModelInfo = ModelInfo {
    name: "dotted-version-vectors",
    title: "Dotted version vectors with siblings",
    keys: KeyType::PLAIN,
    doc: "\
Each key holds its siblings, each with its own dot (who accepted it, and as which update), and a causal context: all dots that
the replica has seen. A write sends back the context of its client's last read or write, and supersedes exactly the siblings in
it. Replicas ship the new sibling with the context that its writer had.

A version goes if and only if the writer of another one had seen it. Two clients that take turns at one key, each with the
context of its own previous write, hold it at two siblings for ever.

- **Register**, **Counter**, **Set**: as under `version-vectors`.

Costs: 8 bytes of metadata for each replica that ever wrote the key and for each sibling, and the siblings' values; an update
ships one sibling with a context.
",
};

/// Versions of one key that are concurrent, and everything that has been seen of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Siblings {
    /// Ascending by dot; all in `seen`.
    versions: Vec<Sibling>,
    seen: DotSet,
}

impl Siblings {
    /// The versions that nobody has superseded, ascending by dot.
    pub fn versions(&self) -> &[Sibling] {
        &self.versions
    }

    /// All dots that were seen, superseded ones included.
    pub fn seen(&self) -> &DotSet {
        &self.seen
    }

    /// Accepts a version whose writer had seen `seen`; returns the news.
    pub fn write(&mut self, held: Held, dot: Dot, mut seen: DotSet, fates: &mut impl FnMut(Fate)) -> Self {
        fates(Fate::applied(dot));
        self.versions.retain(|old| {
            let superseded = seen.contains(old.dot);
            if superseded {
                fates(Fate::outranked(old.dot, dot));
            }
            !superseded
        });
        self.insert(Sibling {
            dot,
            held: held.clone(),
        });
        seen.insert(dot);
        self.seen.join(&seen);
        Self {
            versions: vec![Sibling { dot, held }],
            seen,
        }
    }

    /// Takes in what another replica, or a delta, knows: versions stay that both hold, or that one holds and the other
    /// hasn't seen. True if anything changed.
    pub fn join(&mut self, other: &Self, fates: &mut impl FnMut(Fate)) -> bool {
        let before = self.versions.len();
        self.versions.retain(|ours| {
            let superseded = other.seen.contains(ours.dot) && other.find(ours.dot).is_err();
            if superseded {
                fates(Fate::Outranked {
                    loser: ours.dot,
                    winner: None,
                });
            }
            !superseded
        });
        let mut changed = self.versions.len() < before;
        for theirs in &other.versions {
            if !self.seen.contains(theirs.dot) {
                fates(Fate::applied(theirs.dot));
                self.insert(theirs.clone());
                changed = true;
            } else if self.find(theirs.dot).is_err() {
                fates(Fate::Outranked {
                    loser: theirs.dot,
                    winner: None,
                });
            }
        }
        if !self.seen.includes(&other.seen) {
            self.seen.join(&other.seen);
            changed = true;
        }
        changed
    }

    /// A hash of the dots that are held and seen.
    pub fn state_hash(&self) -> u64 {
        self.versions
            .iter()
            .fold(self.seen.hash(0), |hash, version| hash::chain(hash, version.dot.bits()))
    }

    /// What it weighs.
    pub fn size(&self) -> Size {
        if self.seen.is_empty() {
            Size::default()
        } else {
            size(&self.versions, self.seen.bytes())
        }
    }

    fn find(&self, dot: Dot) -> Result<usize, usize> {
        self.versions.binary_search_by_key(&dot, |version| version.dot)
    }

    fn insert(&mut self, version: Sibling) {
        if let Err(place) = self.find(version.dot) {
            self.versions.insert(place, version);
        }
    }
}

/// Dotted version vectors with siblings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DottedVersionVectors {
    /// How readers resolve siblings.
    pub rules: MergeRules,
    /// What a write without a context supersedes.
    pub blind: Blind,
}

/// One key at one replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DottedEntry {
    key: KeyType,
    siblings: Siblings,
}

impl DottedEntry {
    /// The siblings and what was seen of the key.
    pub fn siblings(&self) -> &Siblings {
        &self.siblings
    }
}

impl Resolution for DottedVersionVectors {
    type Entry = DottedEntry;
    type Delta = Siblings;

    fn name(&self) -> &'static str {
        INFO.name
    }

    fn supports(&self, key: KeyType) -> Result<Realisation, Refusal> {
        self.rules
            .realisation(INFO.name, key, self.blind)
            .map(|text| Realisation(text.into()))
    }

    fn fresh(&self, key: KeyType) -> DottedEntry {
        DottedEntry {
            key,
            siblings: Siblings::default(),
        }
    }

    fn update(&self, entry: &mut DottedEntry, op: Op, at: Accept<'_>, fates: &mut impl FnMut(Fate)) -> Siblings {
        let siblings = &mut entry.siblings;
        let held = build(
            entry.key,
            self.rules.of(entry.key),
            &siblings.versions,
            op,
            at.dot,
            fates,
        );
        // The replica itself reads before it computes a counter or a set: it has seen what it holds.
        let seen = match at.context {
            _ if entry.key != KeyType::Register => siblings.seen.clone(),
            Some(context) => context.seen.clone(),
            None if self.blind == Blind::Overwrite => siblings.seen.clone(),
            None => DotSet::default(),
        };
        siblings.write(held, at.dot, seen, fates)
    }

    fn merge(&self, entry: &mut DottedEntry, delta: &Siblings, fates: &mut impl FnMut(Fate)) -> bool {
        entry.siblings.join(delta, fates)
    }

    fn join(&self, entry: &mut DottedEntry, other: &DottedEntry, fates: &mut impl FnMut(Fate)) -> bool {
        entry.siblings.join(&other.siblings, fates)
    }

    fn batch(&self, batch: &mut Siblings, next: &Siblings) {
        batch.join(next, &mut |_| {});
    }

    fn view(&self, entry: &DottedEntry) -> View {
        let (value, heads) = resolve(entry.key, self.rules.of(entry.key), &entry.siblings.versions);
        View {
            value,
            versions: Versions::Heads(heads),
            context: self.context(entry),
        }
    }

    fn kept(&self, entry: &DottedEntry) -> Vec<Dot> {
        entry.siblings.versions.iter().map(|sibling| sibling.dot).collect()
    }

    fn context(&self, entry: &DottedEntry) -> Context {
        Context {
            seen: entry.siblings.seen.clone(),
            ..Context::default()
        }
    }

    fn digest(&self, entry: &DottedEntry) -> u64 {
        resolve(entry.key, self.rules.of(entry.key), &entry.siblings.versions)
            .0
            .digest()
    }

    fn state_hash(&self, entry: &DottedEntry) -> u64 {
        entry.siblings.state_hash()
    }

    fn entry_size(&self, entry: &DottedEntry) -> Size {
        entry.siblings.size()
    }

    fn delta_size(&self, delta: &Siblings) -> Size {
        delta.size()
    }

    fn keeping(&self, _: KeyType) -> Keeping {
        Keeping::Causal
    }

    fn rank(&self, _: &Siblings) -> Option<Rank> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Origin, Value};

    #[test]
    fn clients_that_take_turns_stay_at_two_siblings() {
        let model = DottedVersionVectors::default();
        let mut entry = model.fresh(KeyType::Register);
        let mut contexts: [Option<Context>; 2] = [None, None];
        for write in 0..20u32 {
            let client = write as usize % 2;
            let dot = Dot::new(Origin::new(0, 0), write + 1);
            let at = Accept {
                dot,
                stamp: 0,
                context: contexts[client].as_ref(),
            };
            model.update(&mut entry, Op::Write(write.into()), at, &mut |_| {});
            contexts[client] = Some(model.context(&entry));
        }
        assert_eq!(model.view(&entry).value, Value::Register(vec![18, 19]));
    }

    #[test]
    fn a_context_from_elsewhere_supersedes_what_arrives_later() {
        let model = DottedVersionVectors::default();
        let (mut a, mut b) = (model.fresh(KeyType::Register), model.fresh(KeyType::Register));
        let at = |replica, context| Accept {
            dot: Dot::new(Origin::new(replica, 0), 1),
            stamp: 0,
            context,
        };
        let old = model.update(&mut a, Op::Write(1), at(0, None), &mut |_| {});
        let context = model.view(&a).context;
        model.update(&mut b, Op::Write(2), at(1, Some(&context)), &mut |_| {});
        let mut fates = Vec::new();
        assert!(!model.merge(&mut b, &old, &mut |fate| fates.push(fate)));
        assert_eq!(
            fates,
            [Fate::Outranked {
                loser: old.versions[0].dot,
                winner: None
            }]
        );
        assert_eq!(model.view(&b).value, Value::Register(vec![2]));
    }
}
