//! A cache of answers: what was asked about, until when the answer is fresh, and who is finding one out.
//!
//! It holds no answers, since answers have no content: it knows which of them are there.

use crate::kernel::{SimDuration, SimTime, Stream};
use serde::Serialize;
use std::collections::BTreeMap;

/// How a service keeps answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnswerCache {
    /// How long an answer is fresh.
    pub ttl: SimDuration,
    /// By which part of that it is fresh for less or longer: uniform between `ttl (1 - jitter)` and `ttl (1 + jitter)`, so that answers that
    /// were found out together don't expire together.
    pub jitter: f64,
    /// For how long after that it is given all the same, while a fresh one is found out once (stale-while-revalidate, RFC 5861).
    pub stale: SimDuration,
    /// How many answers are kept; of more the one that was asked for longest ago goes.
    pub size: u32,
    /// Whether those who ask about what somebody else has asked about, and hasn't been answered, wait for his answer.
    pub single_flight: bool,
}

/// What the cache says about a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// There is a fresh answer.
    Fresh,
    /// There is one that isn't fresh.
    Stale {
        /// Whether a fresh one has to be found out: nobody is at it.
        refresh: bool,
    },
    /// There is none.
    Miss,
}

/// An answer that is there.
#[derive(Debug, Clone, Copy, Serialize)]
struct Kept {
    fresh_until: SimTime,
    given_until: SimTime,
    /// When it was asked for last, counted in questions.
    used: u64,
    /// Whether a fresh one is being found out.
    refreshing: bool,
}

/// The answers that are there.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Answers {
    kept: BTreeMap<u64, Kept>,
    /// What was asked about, by when that was last.
    by_use: BTreeMap<u64, u64>,
    asked: u64,
}

impl Answers {
    /// Somebody asks about something.
    pub fn look(&mut self, about: u64, now: SimTime) -> Lookup {
        let Some(kept) = self.kept.get_mut(&about) else {
            return Lookup::Miss;
        };
        if now >= kept.given_until {
            self.forget(about);
            return Lookup::Miss;
        }
        self.asked += 1;
        self.by_use.remove(&std::mem::replace(&mut kept.used, self.asked));
        self.by_use.insert(self.asked, about);
        if now < kept.fresh_until {
            return Lookup::Fresh;
        }
        Lookup::Stale {
            refresh: !std::mem::replace(&mut kept.refreshing, true),
        }
    }

    /// An answer was found out; how long it is fresh is drawn.
    pub fn keep(&mut self, spec: &AnswerCache, about: u64, now: SimTime, stream: &mut Stream) {
        self.forget(about);
        let factor = 1.0 + spec.jitter * (2.0 * stream.unit() - 1.0);
        let fresh = SimDuration::from_nanos_f64(spec.ttl.as_nanos() as f64 * factor);
        let fresh_until = now.saturating_add(fresh);
        self.asked += 1;
        let kept = Kept {
            fresh_until,
            given_until: fresh_until.saturating_add(spec.stale),
            used: self.asked,
            refreshing: false,
        };
        self.kept.insert(about, kept);
        self.by_use.insert(self.asked, about);
        if self.kept.len() > spec.size as usize
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.kept.remove(&oldest);
        }
    }

    /// A fresh answer couldn't be found out: the next one who asks tries again.
    pub fn failed(&mut self, about: u64) {
        if let Some(kept) = self.kept.get_mut(&about) {
            kept.refreshing = false;
        }
    }

    fn forget(&mut self, about: u64) {
        if let Some(kept) = self.kept.remove(&about) {
            self.by_use.remove(&kept.used);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Key, Purpose};

    const SPEC: AnswerCache = AnswerCache {
        ttl: SimDuration::from_secs(10),
        jitter: 0.0,
        stale: SimDuration::from_secs(5),
        size: 2,
        single_flight: true,
    };

    fn at(secs: u64) -> SimTime {
        SimTime::from_nanos(secs * 1_000_000_000)
    }

    fn stream(number: u64) -> Stream {
        Key::root(1, 0).stream(Purpose(1), number)
    }

    #[test]
    fn an_answer_is_fresh_then_stale_then_gone() {
        let mut answers = Answers::default();
        assert_eq!(answers.look(7, at(0)), Lookup::Miss);
        answers.keep(&SPEC, 7, at(0), &mut stream(0));
        assert_eq!(answers.look(7, at(9)), Lookup::Fresh);
        assert_eq!(answers.look(7, at(10)), Lookup::Stale { refresh: true });
        assert_eq!(
            answers.look(7, at(11)),
            Lookup::Stale { refresh: false },
            "one is at it"
        );
        answers.failed(7);
        assert_eq!(answers.look(7, at(12)), Lookup::Stale { refresh: true });
        assert_eq!(answers.look(7, at(15)), Lookup::Miss);
        answers.keep(&SPEC, 7, at(16), &mut stream(0));
        assert_eq!(answers.look(7, at(25)), Lookup::Fresh);
    }

    #[test]
    fn the_one_that_was_asked_for_longest_ago_goes() {
        let mut answers = Answers::default();
        answers.keep(&SPEC, 1, at(0), &mut stream(0));
        answers.keep(&SPEC, 2, at(0), &mut stream(0));
        assert_eq!(answers.look(1, at(1)), Lookup::Fresh);
        answers.keep(&SPEC, 3, at(1), &mut stream(0));
        let all = [1, 2, 3].map(|about| answers.look(about, at(2)));
        assert_eq!(all, [Lookup::Fresh, Lookup::Miss, Lookup::Fresh]);
        assert_eq!((answers.kept.len(), answers.by_use.len()), (2, 2));
    }

    #[test]
    fn jitter_spreads_the_ends_evenly() {
        let spec = AnswerCache {
            jitter: 0.2,
            size: u32::MAX,
            stale: SimDuration::ZERO,
            ..SPEC
        };
        let mut answers = Answers::default();
        for number in 0..4000 {
            answers.keep(&spec, number, at(0), &mut stream(number));
        }
        let left = |answers: &mut Answers, secs| {
            (0..4000)
                .filter(|n| answers.look(*n, at(secs)) == Lookup::Fresh)
                .count()
        };
        assert_eq!(left(&mut answers, 7), 4000);
        // A quarter is gone after nine seconds, three after eleven: four standard deviations are 110.
        assert!(left(&mut answers, 9).abs_diff(3000) < 110);
        assert!(left(&mut answers, 11).abs_diff(1000) < 110);
        assert_eq!(left(&mut answers, 13), 0);
    }
}
