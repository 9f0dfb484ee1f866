//! What happens after a fault: when goodput is back, and whether the system is stuck in a bad state that holds itself up.

use crate::kernel::{SimDuration, SimTime};
use crate::measures::windows::{Clock, Counts};
use crate::measures::{Setting, Sheet};

/// Windows over which goodput is averaged.
const AVERAGED: usize = 5;
/// The part of the calls begun that has to be answered for a stretch to be good.
const GOOD: f64 = 0.99;
/// Windows that must lie between a trigger's end and the verdict.
const LEAST: usize = 10;
/// The part of the goodput before that counts as back; of the load that counts as met; of a backlog that counts as the same.
const BACK: f64 = 0.95;

/// What the verdicts stand on.
pub(super) struct Aftermath<'a> {
    pub clock: &'a Clock,
    /// How many whole windows the run has.
    pub whole: usize,
    pub warm_up: SimTime,
    pub horizon: Option<SimDuration>,
    pub end: SimTime,
    pub answered: &'a Counts,
    pub intended: &'a Counts,
    /// Answered calls, by the window in which they began.
    pub kept: &'a Counts,
    /// Mean calls in flight in each whole window.
    pub in_flight: Vec<f64>,
    /// The faults: index, begin, end.
    pub spans: Vec<(u32, SimTime, SimTime)>,
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Verdict {
    Back,
    Metastable,
    /// Goodput isn't back, but not because of a state that holds itself up.
    Otherwise,
    Undecided,
}

impl Aftermath<'_> {
    fn mean(&self, counts: &Counts, from: usize, to: usize) -> Option<f64> {
        counts.peak_and_mean(from, to).map(|(_, mean)| mean)
    }

    /// The windows between the warm-up and the first fault.
    fn before(&self) -> (usize, usize) {
        let first = self.spans.iter().map(|(_, start, _)| *start).min();
        let until = first.map_or(0, |first| self.clock.whole(first));
        (self.clock.from(self.warm_up), until.min(self.whole))
    }

    /// The first window at or after `end`, before window `until`, from which goodput is back.
    fn back(&self, goodput: f64, end: SimTime, until: usize) -> Option<usize> {
        let first = self.clock.from(end);
        let back = |from: &usize| {
            self.mean(self.answered, *from, from + AVERAGED)
                .is_some_and(|mean| mean >= BACK * goodput)
        };
        (first..(until + 1).saturating_sub(AVERAGED)).find(back)
    }

    /// The first window at or after `end` from which on, over the windows that are averaged, the calls begun were answered.
    fn good(&self, end: SimTime) -> Option<usize> {
        let sum = |counts: &Counts, from: usize| -> u64 {
            (from..from + AVERAGED).map(|window| u64::from(counts.of(window))).sum()
        };
        let good = |from: &usize| {
            let begun = sum(self.intended, *from);
            begun > 0 && sum(self.kept, *from) as f64 > GOOD * begun as f64
        };
        (self.clock.from(end)..(self.whole + 1).saturating_sub(AVERAGED)).find(good)
    }

    fn seconds_after(&self, window: usize, end: SimTime) -> f64 {
        window as f64 * self.clock.seconds() - end.as_secs_f64()
    }

    pub(super) fn write(&self, setting: &Setting, sheet: &mut Sheet) {
        let Some(last) = self.spans.iter().map(|(_, _, end)| *end).max() else {
            return;
        };
        let (from, to) = self.before();
        let goodput = self.mean(self.answered, from, to).filter(|mean| *mean > 0.0);
        if let Some(goodput) = goodput {
            self.write_faults(goodput, setting, sheet);
            let back = self.back(goodput, last, self.whole);
            sheet.number("herd.recovery", back.map(|window| self.seconds_after(window, last)));
        }
        let at = self
            .horizon
            .map_or(self.end, |horizon| last.saturating_add(horizon).min(self.end));
        sheet.number("herd.horizon", Some(at.since(last).as_secs_f64()));
        let verdict = goodput.map_or(Verdict::Undecided, |goodput| {
            self.verdict(goodput, (from, to), last, self.clock.whole(at).min(self.whole))
        });
        let metastable = match verdict {
            Verdict::Metastable => Some(1.0),
            Verdict::Back | Verdict::Otherwise => Some(0.0),
            Verdict::Undecided => None,
        };
        sheet.number("herd.metastable", metastable);
        sheet.count("herd.undecided", u64::from(verdict == Verdict::Undecided));
    }

    fn write_faults(&self, goodput: f64, setting: &Setting, sheet: &mut Sheet) {
        for (fault, (name, _)) in setting.faults.iter().enumerate() {
            let own = self.spans.iter().filter(|(index, ..)| *index as usize == fault);
            let (mut longest, mut unrecovered, mut any) = (0.0f64, 0, false);
            for (_, _, end) in own {
                any = true;
                match self.back(goodput, *end, self.whole) {
                    Some(window) => longest = longest.max(self.seconds_after(window, *end)),
                    None => unrecovered += 1,
                }
            }
            if any {
                sheet.count(format!("fault.{name}.unrecovered"), unrecovered);
                let recovery = (unrecovered == 0).then_some(longest);
                sheet.number(format!("fault.{name}.recovery"), recovery);
                let last = self.spans.iter().filter(|(index, ..)| *index as usize == fault);
                let good = last.map(|(.., end)| *end).max().and_then(|end| self.good(end));
                let began = good.map(|window| window as f64 * self.clock.seconds());
                sheet.number(format!("fault.{name}.good_from"), began);
            }
        }
    }

    fn verdict(&self, goodput: f64, before: (usize, usize), last: SimTime, at: usize) -> Verdict {
        let first = self.clock.from(last);
        if self.back(goodput, last, at).is_some() {
            return Verdict::Back;
        }
        if at < first + LEAST {
            return Verdict::Undecided;
        }
        let fifth = (at - first) / 5;
        let backlog = |from: usize, to: usize| {
            let part = &self.in_flight[from..to];
            part.iter().sum::<f64>() / part.len() as f64
        };
        let (earlier, later) = (backlog(at - 2 * fifth, at - fifth), backlog(at - fifth, at));
        let load = self.mean(self.intended, before.0, before.1).unwrap_or(0.0);
        if later == 0.0 || goodput < BACK * load {
            Verdict::Otherwise
        } else if later < BACK * earlier {
            Verdict::Undecided
        } else {
            Verdict::Metastable
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SimTime {
        SimTime::from_nanos(seconds * 1_000_000_000)
    }

    /// A minute of `before` answers a second, a fault from 60 s to 70 s, and then what `after` says.
    fn verdict(
        intended: u32,
        before: u32,
        after: impl Fn(usize) -> u32,
        in_flight: impl Fn(usize) -> f64,
    ) -> (Verdict, Option<usize>) {
        let clock = Clock::new(SimDuration::from_secs(1));
        let (mut answered, mut wanted) = (Counts::default(), Counts::default());
        for window in 0..200 {
            let answers = match window {
                0..60 => before,
                60..70 => 0,
                _ => after(window),
            };
            (0..answers).for_each(|_| answered.add(window));
            (0..intended).for_each(|_| wanted.add(window));
        }
        let aftermath = Aftermath {
            clock: &clock,
            whole: 200,
            warm_up: at(10),
            horizon: None,
            end: at(200),
            answered: &answered,
            intended: &wanted,
            kept: &answered,
            in_flight: (0..200).map(in_flight).collect(),
            spans: vec![(0, at(60), at(70))],
        };
        let goodput = aftermath.mean(&answered, 10, 60).unwrap();
        let back = aftermath.back(goodput, at(70), 200);
        (aftermath.verdict(goodput, aftermath.before(), at(70), 200), back)
    }

    #[test]
    fn goodput_that_comes_back_is_back_from_its_first_good_window() {
        let (verdict, back) = verdict(20, 20, |window| if window < 83 { 3 } else { 20 }, |_| 5.0);
        assert_eq!((verdict, back), (Verdict::Back, Some(83)));
    }

    #[test]
    fn a_stretch_is_good_if_nearly_all_of_its_calls_are_answered() {
        let clock = Clock::new(SimDuration::from_secs(1));
        let (mut kept, mut wanted) = (Counts::default(), Counts::default());
        for window in 0..100 {
            // From 80 s on one call in a hundred fails in a window, which is still too many; from 90 s on none does.
            let answers = if window < 80 { 0 } else { 99 + usize::from(window >= 90) };
            (0..answers).for_each(|_| kept.add(window));
            (0..100).for_each(|_| wanted.add(window));
        }
        let aftermath = Aftermath {
            clock: &clock,
            whole: 100,
            warm_up: at(10),
            horizon: None,
            end: at(100),
            answered: &kept,
            intended: &wanted,
            kept: &kept,
            in_flight: vec![1.0; 100],
            spans: vec![(0, at(60), at(70))],
        };
        assert_eq!(aftermath.good(at(70)), Some(86));
        assert_eq!(aftermath.good(at(96)), None, "five windows aren't left");
    }

    #[test]
    fn a_backlog_that_stays_is_metastable_and_one_that_shrinks_is_undecided() {
        assert_eq!(verdict(20, 20, |_| 3, |_| 500.0).0, Verdict::Metastable);
        assert_eq!(
            verdict(20, 20, |_| 3, |window| 500.0 + window as f64).0,
            Verdict::Metastable
        );
        assert_eq!(
            verdict(20, 20, |_| 3, |window| 500.0 - 2.0 * window as f64).0,
            Verdict::Undecided
        );
    }

    #[test]
    fn what_was_overloaded_before_or_has_nothing_left_to_do_is_not_metastable() {
        assert_eq!(
            verdict(40, 20, |_| 3, |window| 10.0 * window as f64).0,
            Verdict::Otherwise
        );
        assert_eq!(
            verdict(20, 20, |_| 0, |window| if window < 100 { 9.0 } else { 0.0 }).0,
            Verdict::Otherwise
        );
    }
}
