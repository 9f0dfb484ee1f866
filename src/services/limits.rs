//! Limits as providers have them, several at once: of requests, of tokens, of requests in the house; for everybody or for each.
//!
//! Guarantees: all limits are looked at before anything is taken, so that a request that is refused takes nothing. Tokens are taken by
//! an estimate when a request is let in and put right when its work is finished: a level may be below zero then. Levels are whole
//! numbers without any rounding; a wait is rounded up to whole nanoseconds.

use super::service::Refusal;
use super::spec::Excess;
use crate::kernel::{Key, SimDuration, SimTime};
use crate::random::Law;
use crate::world::population::purpose;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The limits at a service's door.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitsSpec {
    /// Each of them.
    pub all: Vec<LimitSpec>,
    /// What happens to a request beyond one of them.
    pub excess: Excess,
}

/// One limit.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitSpec {
    /// What it is about.
    pub counts: Counts,
    /// How much of that.
    pub allows: Allows,
    /// For whom.
    pub per: Per,
    /// How many tokens of the answer are taken before they are known; `None`: as many as the call says at most.
    pub estimate: Option<Law>,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    /// Requests.
    Requests,
    /// Tokens of prompts.
    TokensIn,
    /// Tokens of answers.
    TokensOut,
    /// Tokens of both.
    Tokens,
    /// Requests that were let in and aren't finished.
    Concurrency,
}

/// How much a limit allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allows {
    /// A bucket that is refilled continuously, and is full at first.
    Bucket {
        /// So many in a period.
        count: u64,
        /// The period.
        period: SimDuration,
        /// The size of the bucket.
        burst: u64,
    },
    /// So many in each window of time.
    Windows {
        /// So many.
        count: u64,
        /// The length of a window.
        period: SimDuration,
        /// Where the first edge is: shorter than a window.
        phase: SimDuration,
    },
    /// So many at a time.
    AtATime(u64),
}

/// For whom a limit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    /// All together.
    All,
    /// Each agent.
    Agent,
    /// Each group of agents.
    Group,
}

impl Counts {
    /// Why a request beyond such a limit is refused.
    pub fn refusal(self) -> Refusal {
        match self {
            Self::Requests => Refusal::RateLimit,
            Self::TokensIn => Refusal::TokensIn,
            Self::TokensOut => Refusal::TokensOut,
            Self::Tokens => Refusal::Tokens,
            Self::Concurrency => Refusal::Concurrency,
        }
    }
}

impl Allows {
    /// The most that one request can take.
    pub fn most(self) -> u64 {
        match self {
            Self::Bucket { burst, .. } => burst,
            Self::Windows { count, .. } => count,
            Self::AtATime(most) => most,
        }
    }
}

/// A request at the limits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    /// Whose it is.
    pub key: Key,
    /// The group that he belongs to.
    pub group: u16,
    /// The address of the draws about this attempt.
    pub about: u64,
    pub tokens_in: u32,
    pub tokens_out: u32,
    /// The most that the answer may have, if the call says it.
    pub max_out: Option<u32>,
}

/// What the limits say of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All have room.
    Room,
    /// Those that have none will have it after this time, as things stand; which of them takes the longest.
    Later(SimDuration, usize),
    /// Nobody knows when.
    Busy(usize),
    /// It is more than the limit can ever have room for.
    Never(usize),
}

/// How a limit stands for somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
enum Level {
    /// When the bucket will be full, times the count: see [`super::limit::Bucket`]. Later than a whole bucket takes: below zero.
    FullAt(u128),
    /// How much was taken in the window of this number.
    Used { window: u64, used: u64 },
    /// How many are in the house.
    Inside(u64),
}

/// How all limits stand.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Levels {
    #[serde(skip)]
    spec: Arc<LimitsSpec>,
    levels: Vec<BTreeMap<u64, Level>>,
    /// When each request that is in the house was let in, by its attempt.
    inside: BTreeMap<u64, SimTime>,
    /// With so many levels, those that say nothing are forgotten.
    most_levels: usize,
    /// When the first at the door may come in, as things stand.
    pub opens: SimTime,
}

/// The window that a time lies in.
fn window(now: SimTime, period: SimDuration, phase: SimDuration) -> u64 {
    // Before the first edge is the end of a window as well.
    let since = now.as_nanos() + (period.as_nanos() - phase.as_nanos());
    since / period.as_nanos()
}

/// How long it is until the window after this one.
fn until_next(now: SimTime, period: SimDuration, phase: SimDuration) -> SimDuration {
    let since = now.as_nanos() + (period.as_nanos() - phase.as_nanos());
    SimDuration::from_nanos(period.as_nanos() - since % period.as_nanos())
}

impl Levels {
    pub fn new(spec: Arc<LimitsSpec>) -> Self {
        Self {
            levels: vec![BTreeMap::new(); spec.all.len()],
            inside: BTreeMap::new(),
            most_levels: 1024,
            opens: SimTime::NEVER,
            spec,
        }
    }

    pub fn excess(&self) -> Excess {
        self.spec.excess
    }

    /// Why a request is refused by the limit of this number.
    pub fn refusal(&self, index: usize) -> Refusal {
        self.spec.all[index].counts.refusal()
    }

    fn owner(limit: &LimitSpec, claim: &Claim) -> u64 {
        match limit.per {
            Per::All => 0,
            Per::Agent => claim.key.bits(),
            Per::Group => u64::from(claim.group),
        }
    }

    /// How many tokens of the answer a limit takes before they are known. The same whenever it is asked.
    fn estimate(limit: &LimitSpec, index: usize, claim: &Claim) -> u64 {
        match &limit.estimate {
            Some(law) => {
                let address = claim.about.wrapping_add(index as u64);
                let drawn = law.sample(&mut claim.key.stream(purpose::ESTIMATE, address), address);
                (drawn + 0.5) as u64
            }
            None => u64::from(claim.max_out.unwrap_or(0)),
        }
    }

    /// What a request takes of a limit when it is let in.
    fn amount(limit: &LimitSpec, index: usize, claim: &Claim) -> u64 {
        match limit.counts {
            Counts::Requests | Counts::Concurrency => 1,
            Counts::TokensIn => u64::from(claim.tokens_in),
            Counts::TokensOut => Self::estimate(limit, index, claim),
            Counts::Tokens => u64::from(claim.tokens_in) + Self::estimate(limit, index, claim),
        }
    }

    /// Whether a request may come in now. Nothing is taken.
    pub fn look(&self, claim: &Claim, now: SimTime) -> Verdict {
        let mut verdict = Verdict::Room;
        for (index, limit) in self.spec.all.iter().enumerate() {
            let amount = Self::amount(limit, index, claim);
            if amount > limit.allows.most() {
                return Verdict::Never(index);
            }
            let level = self.levels[index].get(&Self::owner(limit, claim)).copied();
            let wait = match wait(limit.allows, level, amount, now) {
                Some(SimDuration::ZERO) => continue,
                Some(wait) => wait,
                None => {
                    if verdict == Verdict::Room {
                        verdict = Verdict::Busy(index);
                    }
                    continue;
                }
            };
            if !matches!(verdict, Verdict::Later(longest, _) if longest >= wait) {
                verdict = Verdict::Later(wait, index);
            }
        }
        verdict
    }

    /// A request comes in, for which there is room: takes from all limits.
    pub fn take(&mut self, attempt: u64, claim: &Claim, now: SimTime) {
        let spec = Arc::clone(&self.spec);
        for (index, limit) in spec.all.iter().enumerate() {
            let amount = Self::amount(limit, index, claim);
            self.change(index, limit, claim, now, i128::from(amount));
        }
        self.inside.insert(attempt, now);
        if self.levels.iter().map(BTreeMap::len).sum::<usize>() > self.most_levels {
            self.forget(now);
        }
    }

    /// Forgets what is as if nobody had ever come.
    fn forget(&mut self, now: SimTime) {
        for (levels, limit) in self.levels.iter_mut().zip(&self.spec.all) {
            levels.retain(|_, level| !is_fresh(limit.allows, *level, now));
        }
        self.most_levels = 1024.max(2 * self.levels.iter().map(BTreeMap::len).sum::<usize>());
    }

    /// A request leaves the house. `finished`: its work is done, and what was taken by an estimate is put right. A window that is over
    /// gives nothing back, and what was taken too little then is taken in the present one.
    pub fn leave(&mut self, attempt: u64, claim: &Claim, now: SimTime, finished: bool) {
        let Some(since) = self.inside.remove(&attempt) else {
            return;
        };
        let spec = Arc::clone(&self.spec);
        for (index, limit) in spec.all.iter().enumerate() {
            match limit.counts {
                Counts::Concurrency => self.change(index, limit, claim, now, -1),
                Counts::TokensOut | Counts::Tokens if finished => {
                    let taken = i128::from(Self::estimate(limit, index, claim));
                    let more = i128::from(claim.tokens_out) - taken;
                    let is_over = match limit.allows {
                        Allows::Windows { period, phase, .. } => {
                            window(since, period, phase) != window(now, period, phase)
                        }
                        _ => false,
                    };
                    if more > 0 || (more < 0 && !is_over) {
                        self.change(index, limit, claim, now, more);
                    }
                }
                _ => {}
            }
        }
    }

    fn change(&mut self, index: usize, limit: &LimitSpec, claim: &Claim, now: SimTime, by: i128) {
        let owner = Self::owner(limit, claim);
        let before = self.levels[index].get(&owner).copied();
        self.levels[index].insert(owner, changed(limit.allows, before, now, by));
    }

    /// How many are in the house.
    #[cfg(test)]
    pub fn inside(&self) -> usize {
        self.inside.len()
    }
}

/// How long it is until there is room; `None`: until somebody leaves.
fn wait(allows: Allows, level: Option<Level>, amount: u64, now: SimTime) -> Option<SimDuration> {
    match allows {
        Allows::Bucket { count, period, burst } => {
            let here = u128::from(now.as_nanos()) * u128::from(count);
            let full_at = match level {
                Some(Level::FullAt(at)) => at.max(here),
                _ => here,
            };
            let period = u128::from(period.as_nanos());
            let after = full_at + u128::from(amount) * period;
            let beyond = after.saturating_sub(here + u128::from(burst) * period);
            let wait = beyond.div_ceil(u128::from(count));
            Some(SimDuration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX)))
        }
        Allows::Windows { count, period, phase } => {
            let this = window(now, period, phase);
            let used = match level {
                Some(Level::Used { window, used }) if window == this => used,
                _ => 0,
            };
            match used + amount <= count {
                true => Some(SimDuration::ZERO),
                false => Some(until_next(now, period, phase)),
            }
        }
        Allows::AtATime(most) => match level {
            Some(Level::Inside(inside)) if inside >= most => None,
            _ => Some(SimDuration::ZERO),
        },
    }
}

/// The level after so much more was taken, or given back.
fn changed(allows: Allows, level: Option<Level>, now: SimTime, by: i128) -> Level {
    match allows {
        Allows::Bucket { count, period, .. } => {
            let here = u128::from(now.as_nanos()) * u128::from(count);
            let full_at = match level {
                Some(Level::FullAt(at)) => at.max(here),
                _ => here,
            };
            let change = by.unsigned_abs() * u128::from(period.as_nanos());
            Level::FullAt(match by < 0 {
                true => full_at.saturating_sub(change),
                false => full_at + change,
            })
        }
        Allows::Windows { period, phase, .. } => {
            let this = window(now, period, phase);
            let used = match level {
                Some(Level::Used { window, used }) if window == this => used,
                _ => 0,
            };
            let used = i128::from(used).saturating_add(by).max(0);
            Level::Used {
                window: this,
                used: u64::try_from(used).unwrap_or(u64::MAX),
            }
        }
        Allows::AtATime(_) => {
            let inside = match level {
                Some(Level::Inside(inside)) => inside,
                _ => 0,
            };
            let inside = i128::from(inside).saturating_add(by).max(0);
            Level::Inside(inside as u64)
        }
    }
}

/// Whether a level is that of somebody who never came.
fn is_fresh(allows: Allows, level: Level, now: SimTime) -> bool {
    match (allows, level) {
        (Allows::Bucket { count, .. }, Level::FullAt(at)) => at <= u128::from(now.as_nanos()) * u128::from(count),
        (Allows::Windows { period, phase, .. }, Level::Used { window: of, used }) => {
            used == 0 || of != window(now, period, phase)
        }
        (_, Level::Inside(inside)) => inside == 0,
        _ => false,
    }
}

#[cfg(test)]
#[path = "limits/tests.rs"]
mod tests;
