//! Causal pasts: how far each agent's operations are known.
//!
//! An agent's operations are in program order, so a past that knows one of them knows those before it: one number for each
//! agent says it all. Numbers lie in chunks that pasts share, so that copying a past costs a pointer for each chunk, and
//! joining two that grew from one another mostly compares pointers. Agents that nobody knows of cost nothing.

use std::sync::Arc;

/// Numbers in a chunk.
const CHUNK: usize = 64;

type Chunk = Arc<[u32; CHUNK]>;

/// No numbers.
fn fresh() -> Chunk {
    Arc::new([0; CHUNK])
}

/// A vector clock over agents; an agent that isn't known has 0.
#[derive(Debug, Clone, Default)]
pub(super) struct Past(Vec<Option<Chunk>>);

impl Past {
    /// How many of an agent's operations are known.
    pub fn get(&self, agent: u32) -> u32 {
        match self.0.get(agent as usize / CHUNK) {
            Some(Some(chunk)) => chunk[agent as usize % CHUNK],
            _ => 0,
        }
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
        if self.0.len() <= place {
            self.0.resize(place + 1, None);
        }
        let chunk = self.0[place].get_or_insert_with(fresh);
        Arc::make_mut(chunk)[agent as usize % CHUNK] = number;
    }

    /// Learns all that `other` knows.
    pub fn join(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), None);
        }
        for (ours, theirs) in self.0.iter_mut().zip(&other.0) {
            let Some(theirs) = theirs else { continue };
            match ours {
                None => *ours = Some(theirs.clone()),
                Some(ours) if Arc::ptr_eq(ours, theirs) => {}
                Some(ours) => {
                    let (mut above, mut below) = (false, false);
                    for (ours, theirs) in ours.iter().zip(theirs.iter()) {
                        above |= ours > theirs;
                        below |= ours < theirs;
                    }
                    if !above {
                        *ours = theirs.clone();
                    } else if below {
                        let ours = Arc::make_mut(ours).iter_mut();
                        ours.zip(theirs.iter())
                            .for_each(|(ours, theirs)| *ours = (*ours).max(*theirs));
                    }
                }
            }
        }
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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
