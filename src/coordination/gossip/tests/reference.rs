//! What gossip must do, computed in other ways: exact Markov chains, and the cycle model of Demers et al. on plain arrays.

use super::super::{Exchange, Rule};
use super::Came;
use crate::kernel::{Key, Purpose, Stream};
use crate::random::math::pow;

#[derive(Debug, Clone, Copy)]
pub(super) enum Chain {
    Push,
    Pull,
    PushPull,
}

/// The expected number of rounds until all `n` know, from one that does: a push gets through with probability `push`, a pull with `pull`.
pub(super) fn rounds(chain: Chain, n: u32, push: f64, pull: f64) -> f64 {
    let n = n as usize;
    let mut expected = vec![0.0; n + 1];
    for know in (1..n).rev() {
        let steps = step(chain, n, know, push, pull);
        let onward: f64 = (1..steps.len()).map(|new| steps[new] * expected[know + new]).sum();
        expected[know] = (1.0 + onward) / (1.0 - steps[0]);
    }
    expected[1]
}

/// With which probability so many more know after a round in whose beginning `know` did.
fn step(chain: Chain, n: usize, know: usize, push: f64, pull: f64) -> Vec<f64> {
    let ignorant = n - know;
    let mut law = vec![0.0; ignorant + 1];
    // Each that doesn't know finds one that does, by itself.
    let chance = match chain {
        Chain::Push => 0.0,
        _ => pull * know as f64 / (n - 1) as f64,
    };
    let mut pulled = 1.0;
    let mut binomial = vec![0.0; ignorant + 1];
    for (count, term) in binomial.iter_mut().enumerate() {
        if count > 0 {
            pulled *= (ignorant - count + 1) as f64 / count as f64;
        }
        *term = pulled * pow(chance, count as f64) * pow(1.0 - chance, (ignorant - count) as f64);
    }
    if matches!(chain, Chain::Pull) {
        return binomial;
    }
    // Each that knows throws one ball at the others: it hits one that doesn't know and wasn't hit before, or it doesn't.
    for (already, weight) in binomial.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
        let mut hit = vec![0.0; ignorant - already + 1];
        hit[0] = 1.0;
        for _ in 0..know {
            let mut after = vec![0.0; hit.len()];
            for (count, chance) in hit.iter().enumerate().filter(|(_, chance)| **chance > 0.0) {
                let new = push * (ignorant - already - count) as f64 / (n - 1) as f64;
                after[count] += chance * (1.0 - new);
                if new > 0.0 {
                    after[count + 1] += chance * new;
                }
            }
            hit = after;
        }
        for (count, chance) in hit.into_iter().enumerate() {
            law[already + count] += weight * chance;
        }
    }
    law
}

/// One run of rumour mongering in cycles.
pub(super) fn rumour(seed: u64, n: u32, exchange: Exchange, feedback: bool, rule: Rule) -> Came {
    let n = n as usize;
    let mut random = Key::root(seed, 77).stream(Purpose(9), 0);
    let (mut knows, mut hot, mut counter) = (vec![false; n], vec![false; n], vec![0; n]);
    (knows[0], hot[0]) = (true, true);
    let (mut told, mut last, mut cycle) = (0, 0, 0);
    let ends = |counter: &mut u32, random: &mut Stream| {
        *counter += 1;
        match rule {
            Rule::Counter(k) => *counter >= k,
            Rule::Coin(k) => random.below(u64::from(k)) == 0,
        }
    };
    while hot.iter().any(|hot| *hot) {
        cycle += 1;
        let (knew, was_hot) = (knows.clone(), hot.clone());
        // Of each source, who got it from it in an answer: how many, and whether one needed it.
        let mut served = vec![(0u32, false); n];
        for caller in 0..n {
            let other = random.below(n as u64 - 1) as usize;
            let callee = other + usize::from(other >= caller);
            if exchange.pushes() && was_hot[caller] {
                told += 1;
                if !knows[callee] {
                    (knows[callee], hot[callee], last) = (true, true, cycle);
                }
                if feedback && !knew[callee] {
                    counter[caller] = 0;
                } else if hot[caller] && ends(&mut counter[caller], &mut random) {
                    hot[caller] = false;
                }
            }
            if exchange.pulls() && was_hot[callee] {
                let (count, needed) = &mut served[callee];
                *count += 1;
                *needed |= !knew[caller];
                // Who has just told of it isn't told.
                if !(exchange.pushes() && was_hot[caller]) {
                    told += 1;
                    if !knows[caller] {
                        (knows[caller], hot[caller], last) = (true, true, cycle);
                    }
                }
            }
        }
        for source in 0..n {
            let (count, needed) = served[source];
            match feedback {
                true if needed => counter[source] = 0,
                true if count > 0 && hot[source] => hot[source] = !ends(&mut counter[source], &mut random),
                false => {
                    for _ in 0..count {
                        if hot[source] && ends(&mut counter[source], &mut random) {
                            hot[source] = false;
                        }
                    }
                }
                _ => {}
            }
        }
    }
    Came {
        residue: knows.iter().filter(|knows| !**knows).count() as f64 / n as f64,
        traffic: f64::from(told) / n as f64,
        last: f64::from(last),
    }
}
