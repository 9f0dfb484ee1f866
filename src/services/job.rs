//! A request at a service, and how its time there divides.

use crate::kernel::{SimDuration, SimTime, Ticket};
use crate::world::call::Attempt;
use crate::world::slab::Handle;
use serde::Serialize;

/// A moment at a service: when it was, and how long the service had been down or stood still by then since the run began.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Moment {
    pub at: SimTime,
    pub stood: SimDuration,
}

impl Moment {
    /// The later of two.
    pub fn later(self, other: Self) -> Self {
        if other.at > self.at { other } else { self }
    }
}

/// A request at the service: at the door, in the queue or in work.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Job {
    pub attempt: Handle,
    pub identity: u64,
    pub arrived: Moment,
    /// When work on it began first.
    pub first: Moment,
    /// When work on it began last: what was done before that, a crash has undone.
    pub started: Moment,
    /// The work that was left at `since`, in time at the service's own speed.
    pub left: SimDuration,
    /// When its account was last brought up to date.
    pub since: SimTime,
    /// When the work ends, as things stand.
    pub due: SimTime,
    /// When its valid entry comes; never if it has none.
    pub queued: SimTime,
    /// Its place in the order, which it keeps if the end of the work is put off.
    pub ticket: Ticket,
    /// Its place among those in work.
    pub slot: u32,
    /// It was in work when the service crashed, and starts again.
    pub again: bool,
}

impl Job {
    /// Accounts for an attempt that came at `arrived` and whose answer is there at `ends`: it waited until work began or it came,
    /// and from then on all that isn't the work that was of use is down time or was undone.
    pub fn account(&self, attempt: &mut Attempt, arrived: Moment, ends: Moment) {
        let began = arrived.later(self.first);
        let last = began.later(self.started);
        attempt.started = began.at;
        attempt.stood = (began.stood - arrived.stood).min(began.at - arrived.at);
        attempt.undone = (last.at - began.at) - (last.stood - began.stood).min(last.at - began.at);
        attempt.down = (ends.stood - began.stood).min((ends.at - began.at) - attempt.undone);
    }
}
