//! When faults are on.

use super::Resolver;
use crate::faults::{When as Schedule, Window as Lasting};
use crate::kernel::{SimDuration, SimTime};
use crate::random::Law;
use crate::scenario::language::faults::{Times, When, Window};
use crate::scenario::language::{Fault, TimeLaw};
use crate::scenario::syntax::quantity::Duration;
use crate::scenario::syntax::{Code, Diagnostic, Part, Span, Spanned};

impl Resolver<'_, '_> {
    /// When a fault is on.
    pub(super) fn when(&mut self, name: &Spanned<String>, fault: &Spanned<Fault>) -> Option<Schedule> {
        let Times { at, lasts, until, when } = fault.value.times();
        match (at.get(), when.get()) {
            (Some(Some(at)), Some(None)) => {
                let window = self.window(Some(at), lasts, until)?;
                Some(Schedule::Windows(vec![window]))
            }
            (Some(None), Some(Some(when))) => {
                if let Some(other) = lasts.given().or(until.given()) {
                    self.error(
                        Code::Conflicting,
                        other.span,
                        "beside `when` there is no `for` and no `until`",
                    );
                }
                self.several(when)
            }
            (Some(Some(at)), Some(Some(when))) => {
                let problem = Diagnostic::error(Code::Conflicting, at.span, "a fault has either `at` or `when`");
                self.out.push(problem.label(when.span, "the other one"));
                self.several(when);
                None
            }
            (Some(None), Some(None)) => {
                let problem = Diagnostic::error(Code::NoTime, name.span, "it isn't said when this happens");
                self.out
                    .push(problem.help("say for example `at: \"60s\", for: \"30s\"`"));
                None
            }
            (None, Some(Some(when))) => {
                self.several(when);
                None
            }
            (at, _) => {
                self.window(at.and_then(Option::as_ref), lasts, until);
                None
            }
        }
    }

    fn several(&mut self, when: &Spanned<When>) -> Option<Schedule> {
        match &when.value {
            When::Windows(windows) => {
                if windows.is_empty() {
                    self.error(Code::NoTime, when.span, "there is no window");
                    return None;
                }
                let spans: Vec<Option<Lasting>> = windows.iter().map(|window| self.of_window(window)).collect();
                let mut good = true;
                for (n, pair) in spans.windows(2).enumerate() {
                    let (Some(before), Some(window)) = (pair[0], pair[1]) else {
                        continue;
                    };
                    let end = before
                        .lasts
                        .map_or(SimTime::NEVER, |lasts| before.at.saturating_add(lasts));
                    if window.at < end || window.at <= before.at {
                        let message = "this window begins before the one before it has ended";
                        let place = |n: usize| windows[n].get()?.value.at.get().map(|at| at.span);
                        let problem = Diagnostic::error(Code::Overlapping, place(n + 1)?, message);
                        self.out.push(problem.label(place(n)?, "the one before it"));
                        good = false;
                    }
                }
                let spans: Vec<Lasting> = spans.into_iter().collect::<Option<_>>()?;
                good.then_some(Schedule::Windows(spans))
            }
            When::Flapping { from, until, on, off } => {
                let laws = self.in_turn(on, off);
                let period = self.period(from, until, when.span);
                let ((down, up), (from, until)) = (laws?, period?);
                Some(Schedule::Flapping { from, until, down, up })
            }
            When::Drawn {
                from,
                until,
                to_failure,
                to_repair,
            } => {
                let laws = self.in_turn(to_failure, to_repair);
                let period = self.period(from, until, when.span);
                let ((fails, repairs), (from, until)) = (laws?, period?);
                Some(Schedule::Drawn {
                    from,
                    until,
                    to_failure: fails,
                    to_repair: repairs,
                })
            }
        }
    }

    /// From when to when faults begin; without an end, to that of the run.
    fn period(
        &mut self,
        from: &Part<Duration>,
        until: &Part<Option<Duration>>,
        span: Span,
    ) -> Option<(SimTime, SimTime)> {
        let time = |time: &Duration| SimTime::ZERO.saturating_add(*time);
        let from = time(from.get()?);
        let until = match until.get()? {
            Some(until) => time(until),
            None => self.end()?,
        };
        if until <= from {
            let message = format!("it ends at {until}, and begins at {from}");
            self.error(Code::EndsBeforeStart, span, message);
            return None;
        }
        Some((from, until))
    }

    /// Two laws that take turns: they take time.
    fn in_turn(&mut self, on: &Part<Spanned<TimeLaw>>, off: &Part<Spanned<TimeLaw>>) -> Option<(Law, Law)> {
        let laws = (self.time_of(on), self.time_of(off));
        let laws = (laws.0?, laws.1?);
        if laws.0.support().1 <= 0.0 && laws.1.support().1 <= 0.0 {
            self.error(Code::EndlessLoop, on.get()?.span, "it goes on and off in no time");
            return None;
        }
        Some(laws)
    }

    fn of_window(&mut self, window: &Part<Spanned<Window>>) -> Option<Lasting> {
        let window = &window.get()?.value;
        self.window(window.at.get(), &window.r#for, &window.until)
    }

    fn window(
        &mut self,
        at: Option<&Spanned<Duration>>,
        lasts: &Part<Option<Spanned<Duration>>>,
        until: &Part<Option<Spanned<Duration>>>,
    ) -> Option<Lasting> {
        if let Some(at) = at {
            self.warn_if_late(at.span, at.value, "this begins at");
        }
        if let (Some(lasts), Some(until)) = (lasts.given(), until.given()) {
            let problem = Diagnostic::error(Code::Conflicting, lasts.span, "a window has either `for` or `until`");
            self.out.push(problem.label(until.span, "the other one"));
            return None;
        }
        if let Some(lasts) = lasts.given().filter(|lasts| lasts.value == SimDuration::ZERO) {
            self.error(Code::EndsBeforeStart, lasts.span, "it lasts no time at all");
            return None;
        }
        let at = at?;
        if let Some(until) = until.given().filter(|until| until.value <= at.value) {
            let message = format!("it ends at {}, and begins at {}", until.value, at.value);
            let problem = Diagnostic::error(Code::EndsBeforeStart, until.span, message);
            self.out.push(problem.label(at.span, "it begins here"));
            return None;
        }
        let lasts = match (lasts.get()?, until.get()?) {
            (Some(lasts), _) => Some(lasts.value),
            (None, Some(until)) => Some(until.value.saturating_sub(at.value)),
            (None, None) => None,
        };
        Some(Lasting {
            at: SimTime::ZERO.saturating_add(at.value),
            lasts,
        })
    }
}
