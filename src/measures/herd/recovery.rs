//! What happens after a trigger: when goodput is back, and whether the system is stuck in a bad state that holds itself up.

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
/// Calls that must begin in the stretch that a verdict without a trigger is about.
const CALLS: f64 = 100.0;

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
    pub attempts: &'a Counts,
    /// Answered calls, by the window in which they began.
    pub kept: &'a Counts,
    /// The mean number of calls in flight and of requests that wait at their servers, together, in each whole window: clients give up
    /// what servers still have before them, so that either alone can stand still while the other shrinks.
    pub backlog: Vec<f64>,
    /// The faults: index, begin, end.
    pub spans: Vec<(u32, SimTime, SimTime)>,
    /// Other triggers: begin and end of each stretch of raised demand.
    pub pulses: Vec<(SimTime, SimTime)>,
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Verdict {
    /// Goodput is back.
    Recovers,
    /// The trigger is over, and what it left behind holds itself up.
    Metastable,
    /// It needs no trigger: the load isn't sustained.
    Collapses,
    /// Goodput isn't back, and nothing is left to be done: nobody asks for as much any more.
    Idle,
    /// The backlog shrinks still, or too little is known.
    Undecided,
}

impl Aftermath<'_> {
    fn mean(&self, counts: &Counts, from: usize, to: usize) -> Option<f64> {
        counts.peak_and_mean(from, to).map(|(_, mean)| mean)
    }

    /// The windows between the warm-up and the first trigger.
    fn before(&self) -> (usize, usize) {
        let faults = self.spans.iter().map(|(_, start, _)| *start);
        let first = faults.chain(self.pulses.iter().map(|(start, _)| *start)).min();
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
        let ends = self.spans.iter().map(|(_, _, end)| *end);
        let Some(last) = ends.chain(self.pulses.iter().map(|(_, end)| *end)).max() else {
            self.write_untriggered(sheet);
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
        let (first, at) = (self.clock.from(last), self.clock.whole(at).min(self.whole));
        let verdict = goodput.map_or(Verdict::Undecided, |goodput| {
            self.verdict(goodput, (from, to), last, at)
        });
        let decided = |is: Verdict| (verdict != Verdict::Undecided).then(|| f64::from(u8::from(verdict == is)));
        sheet.number("herd.recovers", decided(Verdict::Recovers));
        sheet.number("herd.metastable", decided(Verdict::Metastable));
        sheet.number("herd.collapses", decided(Verdict::Collapses));
        sheet.count("herd.undecided", u64::from(verdict == Verdict::Undecided));
        let fifth = at.saturating_sub(first) / 5;
        self.write_stretch(at - fifth, at, sheet);
    }

    /// Without a trigger there is nothing to recover from; but what isn't sustained collapses by itself.
    fn write_untriggered(&self, sheet: &mut Sheet) {
        let from = self.clock.from(self.warm_up);
        let (from, to) = (from + self.whole.saturating_sub(from) / 2, self.whole);
        self.write_stretch(from, to, sheet);
        let load = self.mean(self.intended, from, to).unwrap_or(0.0);
        if to >= from + LEAST && load * (to - from) as f64 >= CALLS {
            let goodput = self.mean(self.answered, from, to).unwrap_or(0.0);
            sheet.number("herd.collapses", Some(f64::from(u8::from(goodput < BACK * load))));
        }
    }

    /// What was offered and what came of it in these windows, if any call began in them.
    fn write_stretch(&self, from: usize, to: usize, sheet: &mut Sheet) {
        let mean = |counts: &Counts| self.mean(counts, from, to).unwrap_or(0.0);
        let load = mean(self.intended);
        if load > 0.0 {
            let a_second = 1.0 / self.clock.seconds();
            sheet.number("herd.end.offered", Some(load * a_second));
            sheet.number("herd.end.goodput", Some(mean(self.answered) * a_second));
            sheet.number("herd.end.amplification", Some(mean(self.attempts) / load));
        }
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

    /// The verdict on the windows before `at`; `goodput` and `before` are of the time before the trigger, and `last` is its end.
    fn verdict(&self, goodput: f64, before: (usize, usize), last: SimTime, at: usize) -> Verdict {
        let first = self.clock.from(last);
        let load = self.mean(self.intended, before.0, before.1).unwrap_or(0.0);
        if goodput < BACK * load {
            return Verdict::Collapses;
        }
        if self.back(goodput, last, at).is_some() {
            return Verdict::Recovers;
        }
        if at < first + LEAST {
            return Verdict::Undecided;
        }
        let fifth = (at - first) / 5;
        let backlog = |from: usize, to: usize| {
            let part = &self.backlog[from..to];
            part.iter().sum::<f64>() / part.len() as f64
        };
        let (earlier, later) = (backlog(at - 2 * fifth, at - fifth), backlog(at - fifth, at));
        if later == 0.0 {
            Verdict::Idle
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
        backlog: impl Fn(usize) -> f64,
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
            attempts: &wanted,
            backlog: (0..200).map(backlog).collect(),
            spans: vec![(0, at(60), at(70))],
            pulses: Vec::new(),
        };
        let goodput = aftermath.mean(&answered, 10, 60).unwrap();
        let back = aftermath.back(goodput, at(70), 200);
        (aftermath.verdict(goodput, aftermath.before(), at(70), 200), back)
    }

    #[test]
    fn goodput_that_comes_back_is_back_from_its_first_good_window() {
        let (verdict, back) = verdict(20, 20, |window| if window < 83 { 3 } else { 20 }, |_| 5.0);
        assert_eq!((verdict, back), (Verdict::Recovers, Some(83)));
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
            attempts: &wanted,
            backlog: vec![1.0; 100],
            spans: vec![(0, at(60), at(70))],
            pulses: Vec::new(),
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
    fn what_was_overloaded_before_collapses_whatever_comes_after() {
        let growing = |window: usize| 10.0 * window as f64;
        assert_eq!(verdict(40, 20, |_| 3, growing).0, Verdict::Collapses);
        assert_eq!(verdict(40, 20, |_| 20, growing).0, Verdict::Collapses);
        // 95 % of the load is enough.
        assert_eq!(verdict(20, 19, |_| 3, growing).0, Verdict::Metastable);
    }

    #[test]
    fn who_has_nothing_left_to_do_is_neither_stuck_nor_back() {
        let gone = |window: usize| if window < 100 { 9.0 } else { 0.0 };
        assert_eq!(verdict(20, 20, |_| 0, gone).0, Verdict::Idle);
    }

    fn setting() -> Setting {
        Setting {
            budgets: Vec::new(),
            coordination: Vec::new(),
            pursues: false,
            reasons: Vec::new(),
            batching: Vec::new(),
            directory: Default::default(),
            warm_up: at(20),
            window: SimDuration::from_secs(2),
            horizon: at(200),
            task_names: Vec::new(),
            services: Vec::new(),
            stores: Vec::new(),
            faults: Vec::new(),
            settled: Vec::new(),
            surges: Vec::new(),
            targets: Vec::new(),
            limits: Vec::new(),
            servers: Vec::new(),
            state: None,
            edited: Vec::new(),
            replays: false,
        }
    }

    /// What a run of 200 s without a fault says, of whose calls so many are answered.
    fn sheet(intended: u32, answered: impl Fn(usize) -> u32, pulses: Vec<(SimTime, SimTime)>) -> Sheet {
        let clock = Clock::new(SimDuration::from_secs(2));
        let (mut answers, mut wanted, mut attempts) = (Counts::default(), Counts::default(), Counts::default());
        for window in 0..100 {
            (0..answered(window)).for_each(|_| answers.add(window));
            (0..intended).for_each(|_| wanted.add(window));
            (0..2 * intended).for_each(|_| attempts.add(window));
        }
        let aftermath = Aftermath {
            clock: &clock,
            whole: 100,
            warm_up: at(20),
            horizon: None,
            end: at(200),
            answered: &answers,
            intended: &wanted,
            attempts: &attempts,
            kept: &answers,
            backlog: vec![7.0; 100],
            spans: Vec::new(),
            pulses,
        };
        let mut sheet = Sheet::default();
        aftermath.write(&setting(), &mut sheet);
        sheet
    }

    #[test]
    fn without_a_trigger_only_a_collapse_is_told() {
        // The second half of the measured time begins at window 55.
        let fails = sheet(20, |window| if window < 60 { 20 } else { 10 }, Vec::new());
        assert_eq!(fails.numbers["herd.collapses"], 1.0);
        assert!(!fails.numbers.contains_key("herd.recovers") && !fails.numbers.contains_key("herd.undecided"));
        let slow_start = sheet(20, |window| if window < 50 { 5 } else { 20 }, Vec::new());
        assert_eq!(slow_start.numbers["herd.collapses"], 0.0);
        assert_eq!(slow_start.numbers["herd.end.offered"], 10.0);
        assert_eq!(slow_start.numbers["herd.end.goodput"], 10.0);
        assert_eq!(slow_start.numbers["herd.end.amplification"], 2.0);
        // Two calls in each of 45 windows are too few to say.
        assert!(!sheet(2, |_| 0, Vec::new()).numbers.contains_key("herd.collapses"));
    }

    #[test]
    fn raised_demand_is_a_trigger_as_a_fault_is() {
        let pulse = || vec![(at(100), at(110))];
        let stuck = sheet(20, |window| if window < 50 { 20 } else { 4 }, pulse());
        let of = |sheet: &Sheet| {
            ["recovers", "metastable", "collapses", "undecided"]
                .map(|name| sheet.numbers.get(&format!("herd.{name}")).copied())
        };
        assert_eq!(of(&stuck), [Some(0.0), Some(1.0), Some(0.0), Some(0.0)]);
        // The last fifth of the 45 windows after the pulse: calls as before, four answers a window of two seconds.
        assert_eq!(stuck.numbers["herd.end.goodput"], 2.0);
        let back = sheet(20, |window| if (50..70).contains(&window) { 4 } else { 20 }, pulse());
        assert_eq!(of(&back), [Some(1.0), Some(0.0), Some(0.0), Some(0.0)]);
        assert_eq!(back.numbers["herd.recovery"], 30.0);
    }
}
