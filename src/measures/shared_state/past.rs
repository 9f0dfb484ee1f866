//! Causal pasts: how far each agent's operations are known.
//!
//! An agent's operations are in program order, so a past that knows one of them knows those before it: one number for each
//! agent says it all. Pasts share what they have in common: a copy costs a count, and is as good as the original until one of
//! the two learns something. Then chunks of numbers are shared, so that joining two pasts that grew from one another mostly
//! compares pointers. Agents that nobody knows of cost nothing.

use std::sync::Arc;

/// Numbers in a chunk: wide enough that a walk through all chunks is one through memory in order, and narrow enough that a past
/// of few agents stays small.
const CHUNK: usize = 64;

/// Numbers in the order of signed integers, which every x86-64 processor compares and picks the higher of several at once.
type Chunk = Arc<[i32; CHUNK]>;
type Chunks = Vec<Option<Chunk>>;

/// A vector clock over agents; an agent that isn't known has 0.
#[derive(Debug, Clone, Default)]
pub(super) struct Past(Option<Arc<Chunks>>);

/// No operation.
const NONE: i32 = i32::MIN;

const fn signed(number: u32) -> i32 {
    (number ^ 1 << 31) as i32
}

const fn unsigned(number: i32) -> u32 {
    number as u32 ^ 1 << 31
}

/// How two lists of numbers compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Compared {
    /// One of ours is lower.
    lacks: bool,
    /// One of ours is higher.
    exceeds: bool,
}

fn compare(ours: Option<&Chunk>, theirs: Option<&Chunk>) -> Compared {
    let (lacks, exceeds) = match (ours, theirs) {
        (None, None) => (false, false),
        (None, Some(_)) => (true, false),
        (Some(_), None) => (false, true),
        (Some(ours), Some(theirs)) if Arc::ptr_eq(ours, theirs) => (false, false),
        (Some(ours), Some(theirs)) => {
            // Without branches, so that several numbers are compared at once.
            let (mut lacks, mut exceeds) = (0, 0);
            for (ours, theirs) in ours.iter().zip(theirs.iter()) {
                lacks |= u32::from(ours < theirs);
                exceeds |= u32::from(ours > theirs);
            }
            (lacks != 0, exceeds != 0)
        }
    };
    Compared { lacks, exceeds }
}

impl Past {
    fn chunk(&self, place: usize) -> Option<&Chunk> {
        self.0.as_ref()?.get(place)?.as_ref()
    }

    /// How many of an agent's operations are known.
    pub fn get(&self, agent: u32) -> u32 {
        let chunk = self.chunk(agent as usize / CHUNK);
        chunk.map_or(0, |chunk| unsigned(chunk[agent as usize % CHUNK]))
    }

    /// Whether an agent's operation is known.
    pub fn knows(&self, agent: u32, number: u32) -> bool {
        self.get(agent) >= number
    }

    /// Learns of an agent's operations up to `number`.
    pub fn learn(&mut self, agent: u32, number: u32) {
        if self.knows(agent, number) {
            return;
        }
        let place = agent as usize / CHUNK;
        let chunks = Arc::make_mut(self.0.get_or_insert_default());
        if chunks.len() <= place {
            chunks.resize(place + 1, None);
        }
        let chunk = chunks[place].get_or_insert_with(|| Arc::new([NONE; CHUNK]));
        Arc::make_mut(chunk)[agent as usize % CHUNK] = signed(number);
    }

    /// Learns all that `other` knows.
    pub fn join(&mut self, other: &Self) {
        let Some(theirs) = &other.0 else { return };
        let Some(ours) = &mut self.0 else {
            self.0 = Some(Arc::clone(theirs));
            return;
        };
        if Arc::ptr_eq(ours, theirs) {
            return;
        }
        let (mut lacks, mut exceeds) = (false, false);
        for place in 0..ours.len().max(theirs.len()) {
            let compared = compare(
                ours.get(place).and_then(Option::as_ref),
                theirs.get(place).and_then(Option::as_ref),
            );
            lacks |= compared.lacks;
            exceeds |= compared.exceeds;
            if lacks && exceeds {
                break;
            }
        }
        if !lacks {
            return;
        }
        if !exceeds {
            *ours = Arc::clone(theirs);
            return;
        }
        let ours = Arc::make_mut(ours);
        if ours.len() < theirs.len() {
            ours.resize(theirs.len(), None);
        }
        for (ours, theirs) in ours.iter_mut().zip(theirs.iter()) {
            let compared = compare(ours.as_ref(), theirs.as_ref());
            if !compared.lacks {
                continue;
            }
            match (ours, theirs) {
                (Some(ours), Some(theirs)) if compared.exceeds => {
                    let ours = Arc::make_mut(ours).iter_mut();
                    ours.zip(theirs.iter())
                        .for_each(|(ours, theirs)| *ours = (*ours).max(*theirs));
                }
                (ours, theirs) => ours.clone_from(theirs),
            }
        }
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_past_is_a_vector_of_maxima(
            steps in prop::collection::vec((0usize..4, prop_oneof![
                (0u32..200, 1u32..9).prop_map(Ok),
                (0usize..4).prop_map(Err),
            ]), 0..60),
        ) {
            let mut pasts = vec![Past::default(); 4];
            let mut plain = vec![vec![0u32; 200]; 4];
            for (who, step) in steps {
                match step {
                    Ok((agent, number)) => {
                        pasts[who].learn(agent, number);
                        plain[who][agent as usize] = plain[who][agent as usize].max(number);
                    }
                    Err(from) => {
                        let other = pasts[from].clone();
                        pasts[who].join(&other);
                        let other = plain[from].clone();
                        plain[who].iter_mut().zip(&other).for_each(|(a, b)| *a = (*a).max(*b));
                    }
                }
            }
            for (past, plain) in pasts.iter().zip(&plain) {
                prop_assert_eq!(&(0..200).map(|agent| past.get(agent)).collect::<Vec<_>>(), plain);
            }
        }
    }
}
