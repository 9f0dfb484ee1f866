//! When a fault begins and ends: fixed windows, flapping, or drawn failures and repairs; as a lazy sequence of edges.
//!
//! Edges never go back in time, begin and end alternate, and an occurrence is at least a nanosecond after the one before,
//! so a sequence always gets on. Times are nanoseconds.

use crate::kernel::{Key, Purpose, SimDuration, SimTime};
use crate::random::Law;
use serde::{Deserialize, Serialize};

/// The length of the time before an occurrence, and of the occurrence.
const UP: Purpose = Purpose(0x4600);
const DOWN: Purpose = Purpose(0x4601);

/// When a fault is on.
#[derive(Debug, Clone, PartialEq)]
pub enum When {
    /// In these windows, in the order of time, not overlapping.
    Windows(Vec<Window>),
    /// On, off, on ... from the start, and off for good at the end.
    Flapping {
        /// When it is on first.
        from: SimTime,
        /// When it is over.
        until: SimTime,
        /// How long it is on.
        down: Law,
        /// How long it is off.
        up: Law,
    },
    /// Failures and repairs: off at the start, on after the time to failure, off after the time to repair, and so on.
    /// None begins at the end or later, but a repair takes its time.
    Drawn {
        /// From when on.
        from: SimTime,
        /// Until when failures begin.
        until: SimTime,
        /// The time from the start, or from a repair, to the next failure.
        to_failure: Law,
        /// The time to repair.
        to_repair: Law,
    },
}

/// A window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Its begin.
    pub at: SimTime,
    /// Its length; `None`: for ever.
    pub lasts: Option<SimDuration>,
}

/// Whether a fault begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Edge {
    /// It begins.
    Begin,
    /// It ends.
    End,
}

impl When {
    /// One window.
    pub fn once(at: SimTime, lasts: Option<SimDuration>) -> Self {
        Self::Windows(vec![Window { at, lasts }])
    }

    /// Failures at a constant rate per second of being up, with this time to repair.
    pub fn at_rate(per_second: f64, to_repair: Law, until: SimTime) -> Self {
        Self::Drawn {
            from: SimTime::ZERO,
            until,
            to_failure: Law::Exponential { mean: 1e9 / per_second },
            to_repair,
        }
    }

    /// Everything that is wrong with it.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        match self {
            Self::Windows(windows) => {
                if windows.is_empty() {
                    problems.push("it has no windows".to_owned());
                }
                for pair in windows.windows(2) {
                    let end = pair[0]
                        .lasts
                        .map_or(SimTime::NEVER, |lasts| pair[0].at.saturating_add(lasts));
                    if pair[1].at < end || pair[1].at <= pair[0].at {
                        problems.push(format!(
                            "the window at {} begins before the one before it ends",
                            pair[1].at
                        ));
                    }
                }
                for window in windows.iter().filter(|window| window.lasts == Some(SimDuration::ZERO)) {
                    problems.push(format!("the window at {} has no length", window.at));
                }
            }
            Self::Flapping {
                from,
                until,
                down: on,
                up: off,
            }
            | Self::Drawn {
                from,
                until,
                to_failure: off,
                to_repair: on,
            } => {
                if until <= from {
                    problems.push(format!("it ends at {until}, and begins at {from}"));
                }
                for law in [on, off] {
                    match law.validate() {
                        Err(error) => problems.push(error.to_string()),
                        Ok(()) if law.support().1 < 0.0 => problems.push(format!("{law:?} is no length of time")),
                        Ok(()) => {}
                    }
                }
                if on.support().1 <= 0.0 && off.support().1 <= 0.0 {
                    problems.push("it goes on and off in no time".to_owned());
                }
            }
        }
        problems
    }
}

/// A place on a trajectory of edges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Timeline {
    key: Key,
    /// The number of the occurrence whose edge is next.
    occurrence: u64,
    /// The time of the edge before.
    at: SimTime,
    on: bool,
}

impl Timeline {
    /// The start of the trajectory whose lengths are drawn under `key`.
    pub fn new(key: Key) -> Self {
        Self {
            key,
            occurrence: 0,
            at: SimTime::ZERO,
            on: false,
        }
    }

    /// The next edge, and the number of its occurrence. The same [`When`] is given each time.
    pub fn next(&mut self, when: &When) -> Option<(SimTime, Edge, u64)> {
        let at = if self.on { self.end(when) } else { self.begin(when) }?;
        if at == SimTime::NEVER {
            return None;
        }
        let number = self.occurrence;
        let edge = if self.on { Edge::End } else { Edge::Begin };
        self.occurrence += u64::from(self.on);
        self.on = !self.on;
        self.at = at;
        Some((at, edge, number))
    }

    /// When the next occurrence begins.
    fn begin(&self, when: &When) -> Option<SimTime> {
        let after = |law: &Law| {
            self.at
                .saturating_add(self.length(law, UP).max(SimDuration::from_nanos(1)))
        };
        match when {
            When::Windows(windows) => windows.get(self.occurrence as usize).map(|window| window.at),
            When::Flapping { from, until, up, .. } => {
                let at = if self.occurrence == 0 { *from } else { after(up) };
                (at < *until).then_some(at)
            }
            When::Drawn {
                from,
                until,
                to_failure,
                ..
            } => {
                let at = match self.occurrence {
                    0 => from.saturating_add(self.length(to_failure, UP)),
                    _ => after(to_failure),
                };
                (at < *until).then_some(at)
            }
        }
    }

    /// When the one that is on ends.
    fn end(&self, when: &When) -> Option<SimTime> {
        match when {
            When::Windows(windows) => {
                let lasts = windows.get(self.occurrence as usize)?.lasts?;
                Some(self.at.saturating_add(lasts))
            }
            When::Flapping { until, down, .. } => Some(self.at.saturating_add(self.length(down, DOWN)).min(*until)),
            When::Drawn { to_repair, .. } => Some(self.at.saturating_add(self.length(to_repair, DOWN))),
        }
    }

    fn length(&self, law: &Law, purpose: Purpose) -> SimDuration {
        law.sample_duration(&mut self.key.stream(purpose, self.occurrence), self.occurrence)
    }
}
