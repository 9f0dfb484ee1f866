//! Causal pasts: how far each agent's operations are known.
//!
//! An agent's operations are in program order, so a past that knows one of them knows those before it: one number for each
//! agent says it all. Pasts share what they have in common: a copy costs a count, and is as good as the original until one of
//! the two learns something. Then chunks of numbers are shared, so that joining two pasts that grew from one another mostly
//! compares pointers. Agents that nobody knows of cost nothing.

use crate::kernel::prefetch;
use std::sync::Arc;

/// Numbers in a chunk: wide enough that a walk through all chunks is one through memory in order, and narrow enough that a past
/// of few agents stays small.
const CHUNK: usize = 128;

/// Numbers in the order of signed integers, which every x86-64 processor compares and picks the higher of several at once.
type Chunk = Arc<[i32; CHUNK]>;
type Chunks = [Option<Chunk>];

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

/// The higher of each two numbers goes to ours; whether one of theirs is lower.
fn raise(ours: &mut Option<Chunk>, theirs: Option<&Chunk>) -> bool {
    let (Some(mine), Some(theirs)) = (&mut *ours, theirs) else {
        if ours.is_none() {
            *ours = theirs.cloned();
            return false;
        }
        return true;
    };
    if Arc::ptr_eq(mine, theirs) {
        return false;
    }
    if let Some(mine) = Arc::get_mut(mine) {
        // One walk through both, which are mostly far away.
        let mut exceeds = 0;
        for (mine, theirs) in mine.iter_mut().zip(theirs.iter()) {
            exceeds |= u32::from(*mine > *theirs);
            *mine = (*mine).max(*theirs);
        }
        if exceeds != 0 {
            return true;
        }
        *ours = Some(Arc::clone(theirs));
        return false;
    }
    let Compared { lacks, exceeds } = compare(Some(mine), Some(theirs));
    if lacks && exceeds {
        let mut joined = **mine;
        for (mine, theirs) in joined.iter_mut().zip(theirs.iter()) {
            *mine = (*mine).max(*theirs);
        }
        *mine = Arc::new(joined);
    } else if lacks {
        mine.clone_from(theirs);
    }
    exceeds
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
        let chunk = &mut self.chunks(place + 1)[place];
        let chunk = chunk.get_or_insert_with(|| Arc::new([NONE; CHUNK]));
        Arc::make_mut(chunk)[agent as usize % CHUNK] = signed(number);
    }

    /// The chunks, to be changed: so many at least.
    fn chunks(&mut self, least: usize) -> &mut Chunks {
        let have = self.0.as_ref().map_or(0, |chunks| chunks.len());
        if have < least {
            let chunks = self.0.iter().flat_map(|chunks| chunks.iter().cloned());
            self.0 = Some(chunks.chain(std::iter::repeat_n(None, least - have)).collect());
        }
        Arc::make_mut(self.0.as_mut().expect("there is one at least"))
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
        if Arc::get_mut(ours).is_none() {
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
        }
        let ours = self.chunks(theirs.len());
        let mut exceeds = ours.len() > theirs.len();
        for (ours, theirs) in ours.iter_mut().zip(theirs.iter()) {
            exceeds |= raise(ours, theirs.as_ref());
        }
        if !exceeds {
            self.0 = Some(Arc::clone(theirs));
        }
    }

    /// Hints that it will be looked at soon: at where its numbers lie.
    pub fn touch(&self) {
        if let Some(chunks) = &self.0 {
            chunks.first().into_iter().for_each(prefetch);
            chunks.last().into_iter().for_each(prefetch);
        }
    }

    /// Hints that it will soon be asked how many of an agent's operations are known.
    pub fn touch_number(&self, agent: u32) {
        if let Some(chunk) = self.chunk(agent as usize / CHUNK) {
            prefetch(&chunk[agent as usize % CHUNK]);
        }
    }

    /// Hints that all of it will be looked at soon.
    pub fn touch_all(&self) {
        for chunk in self.0.iter().flat_map(|chunks| chunks.iter()).flatten() {
            // The first of them lies in the line of the count.
            chunk.iter().step_by(16).for_each(prefetch);
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
