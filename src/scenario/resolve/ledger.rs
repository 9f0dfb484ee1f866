//! `coordination`: who does how much of the work for a longest-chain ledger, and who attacks it.

use super::Resolver;
use super::coordination::nanos;
use crate::coordination::Protocol;
use crate::coordination::chain::{Attack, Rules};
use crate::scenario::language::coordination::{Attacker, Pattern};
use crate::scenario::syntax::{Code, Diagnostic, Part, Span, Spanned};

/// How far from 1 the sum of shares may be, for the sake of rounding.
const ROUNDING: f64 = 1e-6;
/// The most nodes of a ledger.
const MOST_NODES: u32 = 10_000;

impl Resolver<'_, '_> {
    pub(super) fn ledger_group(&mut self, pattern: &Spanned<Pattern>, nodes: u32) -> Option<Protocol> {
        let Pattern::Ledger {
            shares,
            interval,
            confirmations,
            block,
            header,
            peers,
            announces,
            patience,
            attacker,
        } = &pattern.value
        else {
            return None;
        };
        if nodes > MOST_NODES {
            let message = format!("a ledger has {MOST_NODES} members at most, and this one has {nodes}");
            self.error(Code::TooMany, pattern.span, message);
            return None;
        }
        let shares = match shares.get()? {
            None => Some(vec![1.0 / f64::from(nodes); nodes as usize]),
            Some(shares) => self.work_shares(shares, nodes),
        };
        let peers = peers.get()?;
        if let Some(peers) = peers
            && *peers.value >= nodes
        {
            let message = format!(
                "a member can't connect to {} others: there are {nodes} members",
                *peers.value
            );
            self.error(Code::BadPeers, peers.span, message);
        }
        let attack = match attacker.get()? {
            None => Some(None),
            Some(attacker) => self.ledger_attacker(attacker, shares.as_deref(), nodes).map(Some),
        };
        let header = self.bytes_of(header);
        Some(Protocol::Ledger(Box::new(Rules {
            shares: shares?,
            interval: nanos(*interval.get()?.value),
            confirmations: u64::from(**confirmations.get()?),
            block: **block.get()?,
            header: header?,
            peers: peers.as_ref().map(|peers| *peers.value),
            announces: *announces.get()?,
            patience: nanos(**patience.get()?),
            attack: attack?,
        })))
    }

    fn work_shares(&mut self, shares: &Spanned<Vec<Part<Spanned<f64>>>>, nodes: u32) -> Option<Vec<f64>> {
        let given: Option<Vec<&Spanned<f64>>> = shares.value.iter().map(Part::get).collect();
        let given = given?;
        if let Some(bad) = given.iter().find(|share| share.value.is_nan() || share.value < 0.0) {
            self.error(Code::BadShares, bad.span, "a share of the work is from 0 to 1");
            return None;
        }
        if given.len() != nodes as usize {
            let message = format!("there are {} shares for {nodes} members", given.len());
            self.error(Code::BadShares, shares.span, message);
            return None;
        }
        let sum: f64 = given.iter().map(|share| share.value).sum();
        if (sum - 1.0).abs() > ROUNDING {
            let problem = Diagnostic::error(
                Code::BadShares,
                shares.span,
                format!("the shares add up to {sum}, not to 1"),
            );
            self.out
                .push(problem.help("a member that only listens has a share of 0"));
            return None;
        }
        Some(given.into_iter().map(|share| share.value).collect())
    }

    fn ledger_attacker(&mut self, attacker: &Spanned<Attacker>, shares: Option<&[f64]>, nodes: u32) -> Option<Attack> {
        let member = attacker.value.member.get()?;
        if member.value >= nodes {
            let message = format!(
                "there is no member {}: the {nodes} have numbers from 0 to {}",
                member.value,
                nodes - 1
            );
            self.error(Code::BadAttacker, member.span, message);
            return None;
        }
        let share = shares.map(|shares| shares[member.value as usize]);
        self.check_share(share, member.span);
        Some(Attack {
            by: member.value,
            gives_up: u64::from(**attacker.value.gives_up.get()?),
        })
    }

    fn check_share(&mut self, share: Option<f64>, span: Span) {
        match share {
            Some(0.0) => {
                self.error(
                    Code::BadAttacker,
                    span,
                    "an attacker without a share of the work finds no block",
                );
            }
            Some(share) if share >= 0.5 => {
                let message = "an attacker with half of the work or more always catches up in the end";
                self.warn(Code::BadAttacker, span, message);
            }
            _ => {}
        }
    }
}
