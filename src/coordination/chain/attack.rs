//! Double spending: a node that hears of a request mines a chain without it in secret, until enough confirmations have convinced whoever
//! waits for them, and publishes it as soon as it is the longer one.
//!
//! With a share `q` of the work, `p = 1 - q`, and `k` confirmations it has found `m` blocks by then with probability
//! `C(m + k - 1, m) p^k q^m`, and catches up with probability `(q / p)^(k - m + 1)` (Rosenfeld, "Analysis of Hashrate-Based Double
//! Spending", 2014, without his block mined beforehand).

use super::super::member::Io;
use super::message::Message;
use super::node::Node;
use super::{Rules, notes};
use serde::Serialize;

/// What an attacker keeps secret.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Secret {
    /// The request that it wants to undo.
    pub victim: u64,
    /// The last block of its chain.
    pub tip: u64,
    /// Those that nobody else knows.
    pub blocks: Vec<u64>,
}

impl Node {
    /// It has heard of a request.
    pub(super) fn consider_attack(&mut self, victim: u64, rules: &Rules, _: &mut Io<'_, Message>) {
        if rules.attack.is_some_and(|attack| attack.by == self.me) && self.secret.is_none() {
            self.secret = Some(Secret {
                victim,
                tip: self.tree.tip().id,
                blocks: Vec::new(),
            });
        }
    }

    /// One of the two chains has grown.
    pub(super) fn pursue_attack(&mut self, rules: &Rules, io: &mut Io<'_, Message>) {
        let (Some(attack), Some(secret)) = (rules.attack, &self.secret) else {
            return;
        };
        let own = self.tree.get(secret.tip).map_or(0, |stored| stored.block.height);
        let (public, victim) = (self.tree.height(), secret.victim);
        let included = self.tree.height_of(victim);
        let convinced = included.is_some_and(|height| height + rules.confirmations <= public + 1);
        if convinced && own > public {
            let Some(secret) = self.secret.take() else {
                return;
            };
            io.note(notes::PUBLISHED, victim, secret.blocks.len() as u64);
            self.spread(rules, self.me, &secret.blocks, io);
            self.weigh(secret.tip, rules, io);
        } else if public >= own + attack.gives_up {
            io.note(notes::GAVE_UP, victim, secret.blocks.len() as u64);
            self.secret = None;
        }
    }
}
