//! What replicas know of each other: which updates of a text every one of them has heard of, so that tombstones can go.
//!
//! Guarantees that a tombstone is collected only where its deletion is *causally stable*: every replica has heard of it, and all
//! that any of them had written by the time when it had, has come. A replica learns what another has heard of when that one
//! sends its entry, when it turns out to hold the same, and from operations, which say what their origin had applied. A
//! replica that loses its state takes back what others know of it; where that may happen nothing is collected.

use super::replica::Replica;
use super::spec::StoreSpec;
use crate::state::{Dot, KeyType, Origin, Resolution, VersionVector, Versions};
use serde::Serialize;
use std::collections::BTreeMap;

/// Tombstones that must have come since the last look before it is worth another one, beside half of those that were left.
const WORTH: u64 = 64;

/// What is known of one key.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
struct Known {
    /// What each replica has heard of, by its number.
    heard: Vec<VersionVector>,
    /// Tombstones that were left at the last look.
    left: u64,
}

/// What one replica knows of what the others have heard of, by key.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Knowledge(BTreeMap<u32, Known>);

impl Knowledge {
    /// Another replica has heard of all this.
    pub(super) fn note(&mut self, key: u32, replica: usize, heard: &VersionVector) {
        let known = self.0.entry(key).or_default();
        if known.heard.len() <= replica {
            known.heard.resize(replica + 1, VersionVector::default());
        }
        known.heard[replica].join(heard);
    }

    /// What all `replicas` have heard of, as far as replica `own` knows, which has heard of `seen`. Nothing if one is known to
    /// have written what hasn't come yet.
    fn stable(&self, key: u32, own: usize, replicas: usize, seen: &VersionVector) -> VersionVector {
        let nothing = VersionVector::default();
        let mut tops: Vec<Dot> = seen.tops().to_vec();
        for other in (0..replicas).filter(|other| *other != own) {
            let known = self
                .0
                .get(&key)
                .and_then(|known| known.heard.get(other))
                .unwrap_or(&nothing);
            let origin = Origin::new(other as u16, 0);
            if known.get(origin) > seen.get(origin) {
                return nothing;
            }
            for top in &mut tops {
                top.number = top.number.min(known.get(top.origin));
            }
        }
        tops.retain(|top| top.number > 0);
        VersionVector::from_tops(tops)
    }
}

/// Whether tombstones of a key are collected.
pub(super) fn collects(spec: &StoreSpec, key: u32) -> bool {
    spec.collects_tombstones && spec.keys[key as usize].1 == KeyType::Text
}

/// What a replica has heard of a key with effects.
pub(super) fn heard<R: Resolution>(model: &R, entry: &R::Entry) -> VersionVector {
    match model.versions(entry) {
        Versions::Effects(effects) => effects.vector().clone(),
        Versions::Heads(_) => VersionVector::default(),
    }
}

/// Collects the tombstones of a key that aren't needed any more. Unless it is done `at_once`, only if many are new.
pub(super) fn collect<R: Resolution>(model: &R, replica: &mut Replica<R>, replicas: usize, key: u32, at_once: bool) {
    let entry = &mut replica.slots[key as usize].entry;
    let tombstones = model.tombstones(entry);
    let left = replica.knowledge.0.get(&key).map_or(0, |known| known.left);
    if tombstones == 0 || !at_once && tombstones < left + left / 2 + WORTH {
        return;
    }
    let seen = heard(model, entry);
    let own = usize::from(replica.origin.replica());
    let stable = replica.knowledge.stable(key, own, replicas, &seen);
    if !stable.is_empty() {
        model.collect(entry, &stable);
    }
    replica.knowledge.0.entry(key).or_default().left = model.tombstones(entry);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(numbers: [u32; 3]) -> VersionVector {
        let mut vector = VersionVector::default();
        for (replica, number) in (0..).zip(numbers) {
            vector.raise(Origin::new(replica, 0), number);
        }
        vector
    }

    #[test]
    fn what_all_have_heard_of_is_stable_unless_something_is_on_its_way() {
        let mut knowledge = Knowledge::default();
        let seen = vector([5, 4, 2]);
        knowledge.note(7, 1, &vector([3, 4, 1]));
        assert_eq!(
            knowledge.stable(7, 0, 3, &seen),
            vector([0, 0, 0]),
            "nothing is known of replica 2"
        );
        knowledge.note(7, 2, &vector([4, 2, 2]));
        assert_eq!(knowledge.stable(7, 0, 3, &seen), vector([3, 2, 1]));
        assert_eq!(knowledge.stable(8, 0, 3, &seen), vector([0, 0, 0]), "another key");
        // Replica 1 has written a fifth update that hasn't come: it may have been inserted after anything.
        knowledge.note(7, 1, &vector([5, 5, 2]));
        assert_eq!(knowledge.stable(7, 0, 3, &seen), vector([0, 0, 0]));
    }
}
