//! Texts that recorded sessions edit: whether every replica ends in the recorded text.

use super::registry::measure_table;
use super::{Measure, MeasureInfo, Setting, Sheet};
use crate::agents::edits::Session;
use crate::kernel::SimTime;
use crate::stores::words::store_key;
use crate::world::record::{Batch, Mask, What};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A text that a session edits.
#[derive(Debug, Clone)]
pub struct EditedText {
    /// The store's number, and the key's in it.
    pub key: (u32, u32),
    /// The entities of the replicas that keep it.
    pub replicas: Vec<u32>,
    /// The session.
    pub session: Arc<Session>,
}

/// What is on a sheet where sessions are replayed.
pub(super) const EDITED: &[MeasureInfo] = measure_table![
    "text.replicas", Count, Neither, "Replicas of texts that recorded sessions edit (`Edit`).";
    "text.edits", Count, Higher, "Edits of sessions that replicas have accepted, of all that are recorded: beside `text.edits.recorded`.";
    "text.edits.recorded", Count, Neither, "Edits that the sessions have: insertions and deletions.";
    "text.astray", Count, Lower, "Replicas of such texts that don't end in the recorded text, character by character, once the run is drained. If the run ended before the session did, all.";
    "text.missing_characters", Count, Lower, "Characters that the recorded text has and a replica's hasn't, wherever they stand, once the run is drained: of the replica that lacks most.";
    "text.excess_characters", Count, Lower, "Characters that a replica's text has beyond the recorded one, wherever they stand, once the run is drained: of the replica with most.";
];

/// The measure.
pub(super) struct Editing {
    edited: Vec<EditedText>,
    /// By replica and key: what it shows, as places in the table with lengths.
    shown: BTreeMap<(u32, u64), Vec<(u32, u32)>>,
    accepted: u64,
}

impl Editing {
    pub fn new(setting: &Setting) -> Self {
        Self {
            edited: setting.edited.clone(),
            shown: BTreeMap::new(),
            accepted: 0,
        }
    }
}

impl Measure for Editing {
    fn wants(&self) -> Mask {
        Mask::of(&[What::Shows, What::Accepted])
    }

    fn batch(&mut self, batch: Batch<'_>) {
        for record in batch.records {
            let extra = batch.extra(record);
            match record.what {
                What::Shows => {
                    let spans = extra.iter().map(|word| ((word >> 32) as u32, *word as u32));
                    self.shown.entry((record.subject, record.a)).or_default().extend(spans);
                }
                What::Accepted => {
                    let is_edited = |text: &EditedText| store_key(text.key.0, text.key.1) == record.b;
                    self.accepted += u64::from(self.edited.iter().any(is_edited));
                }
                _ => {}
            }
        }
    }

    fn measured_until(&mut self, _end: SimTime) -> bool {
        true
    }

    fn finish(self: Box<Self>, _end: SimTime, sheet: &mut Sheet) {
        let (mut replicas, mut recorded, mut astray, mut missing, mut excess) = (0u64, 0, 0u64, 0, 0);
        for text in &self.edited {
            let key = store_key(text.key.0, text.key.1);
            recorded += text.session.edits() as u64;
            for replica in &text.replicas {
                replicas += 1;
                let spans = self.shown.get(&(*replica, key)).map_or(&[][..], Vec::as_slice);
                let characters = text.session.characters(spans.iter().copied());
                let is_recorded = characters
                    .as_ref()
                    .is_some_and(|characters| text.session.end().chars().eq(characters.iter().copied()));
                astray += u64::from(!is_recorded);
                let (lacks, has) = differences(text.session.end(), &characters.unwrap_or_default());
                (missing, excess) = (lacks.max(missing), has.max(excess));
            }
        }
        let numbers = [
            ("text.replicas", replicas),
            ("text.edits", self.accepted),
            ("text.edits.recorded", recorded),
            ("text.astray", astray),
            ("text.missing_characters", missing),
            ("text.excess_characters", excess),
        ];
        for (name, number) in numbers {
            sheet.number(name, Some(number as f64));
        }
    }
}

/// How many characters of `recorded` aren't in `shown`, and the other way about; where they stand is of no matter.
fn differences(recorded: &str, shown: &[char]) -> (u64, u64) {
    let mut counts: BTreeMap<char, i64> = BTreeMap::new();
    recorded.chars().for_each(|c| *counts.entry(c).or_default() += 1);
    shown.iter().for_each(|c| *counts.entry(*c).or_default() -= 1);
    let sum = |sign: i64| counts.values().map(|count| (count * sign).max(0) as u64).sum();
    (sum(1), sum(-1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_counted_wherever_they_stand() {
        let shown: Vec<char> = "baax".chars().collect();
        assert_eq!(differences("abcb", &shown), (2, 2));
        assert_eq!(differences("", &[]), (0, 0));
    }
}
