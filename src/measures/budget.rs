//! Budgets: what was spent of them over time, when they ran out, what they stopped, and what was got for it.
//!
//! A budget is about the whole run, and so are these measures: the warm-up is in them. What is spent is summed up here from the
//! requests on which work began, not taken from the ledger that the agents go by.

use super::registry::measure_table;
use super::windows::Clock;
use super::{Measure, MeasureInfo, ServiceIndex, Setting, Sheet};
use crate::agents::activation::TaskEnd;
use crate::kernel::SimTime;
use crate::statistics::Recorder;
use crate::world::ledger::{Allowed, Amounts, Owner, event};
use crate::world::record::{Batch, Mask, Record, What};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is measured of a budget.
pub(super) const BUDGET: &[MeasureInfo] = measure_table![
    "budget.*.calls", Count, Neither, "Requests on which work began for those who spend from this budget: each attempt counts. The measures of budgets are of the whole run, warm-up included.";
    "budget.*.tokens", Tokens, Lower, "Tokens, in and out, of these requests; as a series, up to the end of each window.";
    "budget.*.money", Dollars, Lower, "The price of these requests; as a series, up to the end of each window.";
    "budget.*.used", Share, Neither, "Which part of what is allowed in all was spent: the greatest of those of calls, tokens and money, for all accounts that were used; what was granted is allowed. As a series, at the end of each window.";
    "budget.*.over_calls", Count, Lower, "Requests beyond what was allowed and granted, over all accounts.";
    "budget.*.over_tokens", Tokens, Lower, "Tokens beyond what was allowed and granted, over all accounts.";
    "budget.*.over_money", Dollars, Lower, "Money beyond what was allowed and granted, over all accounts.";
    "budget.*.ran_out", Seconds, Higher, "When the budget ran out first, of any account.";
    "budget.*.accounts_out", Count, Lower, "Accounts in the budget that ran out.";
    "budget.*.stopped", Count, Lower, "How often the budget ended what an agent did.";
    "budget.*.first_stop", Seconds, Higher, "When the budget ended first what an agent did.";
    "budget.*.degraded", Count, Lower, "Calls that went to a cheaper service because the budget was spent.";
    "budget.*.asks", Count, Lower, "How often more was asked for.";
    "budget.*.grants", Count, Lower, "How often more was granted.";
    "budget.*.wait.mean", Seconds, Lower, "Mean time from an ask for more to its answer.";
    "budget.*.wait.p50", Seconds, Lower, "Median time from an ask for more to its answer (nearest rank).";
    "budget.*.wait.p90", Seconds, Lower, "Time from an ask for more to its answer that 90 % don't exceed (nearest rank; none with fewer than ten beyond it).";
    "budget.*.wait.p95", Seconds, Lower, "Time from an ask for more to its answer that 95 % don't exceed (nearest rank; none with fewer than ten beyond it).";
    "budget.*.wait.p99", Seconds, Lower, "Time from an ask for more to its answer that 99 % don't exceed (nearest rank; none with fewer than ten beyond it).";
    "budget.*.wait.max", Seconds, Lower, "Longest time from an ask for more to its answer.";
    "budget.*.tasks_done", Count, Higher, "Program runs that were done, of those who spend from this budget.";
    "budget.*.money_per_task", Dollars, Lower, "Money spent for each program run done: whatever was spent on those that weren't is in it. None where none was done.";
    "budget.*.tokens_per_task", Tokens, Lower, "Tokens spent for each program run done.";
    "budget.*.money_per_answer", Dollars, Lower, "Money spent for each answer of a service that was used.";
    "budget.*.tokens_per_answer", Tokens, Lower, "Tokens spent for each answer of a service that was used.";
];

/// A budget that is watched.
#[derive(Debug, Clone)]
pub struct Watched {
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub per: Owner,
    /// How much may be spent, in each account.
    pub allowed: Allowed,
    /// The groups in the directory that spend from it.
    pub groups: Vec<u16>,
}

/// What became of a budget.
#[derive(Debug, Default)]
struct Course {
    spent: BTreeMap<u64, Amounts>,
    granted: BTreeMap<u64, Amounts>,
    out: BTreeSet<u64>,
    ran_out: Option<SimTime>,
    first_stop: Option<SimTime>,
    stopped: u64,
    degraded: u64,
    asks: u64,
    grants: u64,
    waits: Recorder,
    tasks: u64,
    answers: u64,
    /// At the end of each window: tokens, nano-dollars, and the part of what is allowed.
    series: [Vec<f64>; 3],
}

/// The measure of budgets.
#[derive(Debug)]
pub struct Budgets {
    setting: Arc<Setting>,
    services: ServiceIndex,
    clock: Clock,
    courses: Vec<Course>,
    /// By the groups of the directory: their budgets.
    of_group: Vec<Vec<u16>>,
}

impl Budgets {
    /// For a run.
    pub fn new(setting: Arc<Setting>) -> Self {
        let mut of_group = vec![Vec::new(); setting.directory.groups().len()];
        for (number, budget) in (0u16..).zip(&setting.budgets) {
            for group in &budget.groups {
                of_group[usize::from(*group)].push(number);
            }
        }
        Self {
            services: ServiceIndex::new(&setting),
            clock: Clock::new(setting.window),
            courses: setting.budgets.iter().map(|_| Course::default()).collect(),
            of_group,
            setting,
        }
    }

    /// What was spent up to `window` is known: the windows before it are over.
    fn close_windows(&mut self, window: usize) {
        for (course, watched) in self.courses.iter_mut().zip(&self.setting.budgets) {
            if course.series[0].len() >= window {
                continue;
            }
            let spent = course.all(&course.spent);
            let values = [
                spent.tokens as f64,
                spent.money as f64 / 1e9,
                course.used(watched).unwrap_or(0.0),
            ];
            for (series, value) in course.series.iter_mut().zip(values) {
                series.resize(window, value);
            }
        }
    }

    fn budget(&mut self, record: &Record, extra: &[u64]) {
        let now = record.time;
        let course = &mut self.courses[record.a as usize];
        match record.c {
            event::BILLED => {
                let account = course.spent.entry(extra[1]).or_default();
                account.calls += 1;
                account.tokens += (record.b >> 32) + (record.b & 0xffff_ffff);
                account.money = account.money.saturating_add(extra[0]);
            }
            event::RAN_OUT => {
                course.ran_out.get_or_insert(now);
                course.out.insert(extra[0]);
            }
            event::STOPPED => {
                course.first_stop.get_or_insert(now);
                course.stopped += 1;
            }
            event::DEGRADED => course.degraded += 1,
            event::ASKED => course.asks += 1,
            event::GRANTED => {
                course.grants += 1;
                course.waits.record(record.b);
                let account = course.granted.entry(extra[3]).or_default();
                account.calls += extra[0];
                account.tokens += extra[1];
                account.money += extra[2];
            }
            _ => {}
        }
    }

    /// The budgets of an entity's group.
    fn of(&self, entity: u32) -> Vec<u16> {
        let (group, _) = self.setting.directory.locate(entity);
        self.of_group[usize::from(group)].clone()
    }
}

impl Course {
    fn all(&self, accounts: &BTreeMap<u64, Amounts>) -> Amounts {
        let mut sum = Amounts::default();
        for amounts in accounts.values() {
            sum.calls += amounts.calls;
            sum.tokens += amounts.tokens;
            sum.money += amounts.money;
        }
        sum
    }

    /// The part of what is allowed that was spent.
    fn used(&self, watched: &Watched) -> Option<f64> {
        let (spent, granted) = (self.all(&self.spent), self.all(&self.granted));
        let accounts = self.spent.len().max(1) as u64;
        let part = |allowed: Option<u64>, granted: u64, spent: u64| {
            let allowed = allowed? as f64 * accounts as f64 + granted as f64;
            Some(spent as f64 / allowed)
        };
        let parts = [
            part(watched.allowed.calls, granted.calls, spent.calls),
            part(watched.allowed.tokens, granted.tokens, spent.tokens),
            part(watched.allowed.money, granted.money, spent.money),
        ];
        parts.into_iter().flatten().reduce(f64::max)
    }

    /// What was spent beyond what was allowed, in all accounts.
    fn over(&self, allowed: Option<u64>, amount: fn(&Amounts) -> u64) -> Option<u64> {
        let allowed = allowed?;
        let over = self.spent.iter().map(|(owner, spent)| {
            let granted = self.granted.get(owner).map_or(0, amount);
            amount(spent).saturating_sub(allowed.saturating_add(granted))
        });
        Some(over.sum())
    }
}

impl Measure for Budgets {
    fn wants(&self) -> Mask {
        Mask::of(&[What::Budget, What::TaskEnded, What::AttemptAnswered])
    }

    fn batch(&mut self, batch: Batch<'_>) {
        for record in batch.records {
            match record.what {
                What::Budget => {
                    let window = self.clock.at(record.time);
                    self.close_windows(window);
                    self.budget(record, batch.extra(record));
                }
                What::TaskEnded if record.b as u8 == TaskEnd::Done as u8 && (record.b >> 8) as u16 == 0 => {
                    for budget in self.of(record.subject) {
                        self.courses[usize::from(budget)].tasks += 1;
                    }
                }
                What::AttemptAnswered if self.services.of(&self.setting, record.b as u32).is_some() => {
                    for budget in self.of(record.subject) {
                        self.courses[usize::from(budget)].answers += 1;
                    }
                }
                _ => {}
            }
        }
    }

    fn finish(mut self: Box<Self>, end: SimTime, sheet: &mut Sheet) {
        let whole = self.clock.whole(end);
        self.close_windows(whole);
        let setting = Arc::clone(&self.setting);
        for (course, watched) in self.courses.iter_mut().zip(&setting.budgets) {
            let name = |measure: &str| format!("budget.{}.{measure}", watched.name);
            let spent = course.all(&course.spent);
            let money = |nanos: u64| nanos as f64 / 1e9;
            for (label, count) in [
                ("calls", spent.calls),
                ("tokens", spent.tokens),
                ("accounts_out", course.out.len() as u64),
                ("stopped", course.stopped),
                ("degraded", course.degraded),
                ("asks", course.asks),
                ("grants", course.grants),
                ("tasks_done", course.tasks),
            ] {
                sheet.count(name(label), count);
            }
            sheet.number(name("money"), Some(money(spent.money)));
            sheet.number(name("used"), course.used(watched));
            let allowed = &watched.allowed;
            let over = |allowed, amount: fn(&Amounts) -> u64| course.over(allowed, amount);
            let calls = over(allowed.calls, |amounts| amounts.calls);
            sheet.number(name("over_calls"), calls.map(|over| over as f64));
            let tokens = over(allowed.tokens, |amounts| amounts.tokens);
            sheet.number(name("over_tokens"), tokens.map(|over| over as f64));
            sheet.number(
                name("over_money"),
                over(allowed.money, |amounts| amounts.money).map(money),
            );
            sheet.number(name("ran_out"), course.ran_out.map(SimTime::as_secs_f64));
            sheet.number(name("first_stop"), course.first_stop.map(SimTime::as_secs_f64));
            sheet.durations(&name("wait"), &course.waits);
            let per = |whole: f64, count: u64| (count > 0).then(|| whole / count as f64);
            sheet.number(name("money_per_task"), per(money(spent.money), course.tasks));
            sheet.number(name("tokens_per_task"), per(spent.tokens as f64, course.tasks));
            sheet.number(name("money_per_answer"), per(money(spent.money), course.answers));
            sheet.number(name("tokens_per_answer"), per(spent.tokens as f64, course.answers));
            let labels = ["tokens", "money", "used"];
            for (label, values) in labels.into_iter().zip(std::mem::take(&mut course.series)) {
                if label != "used" || *allowed != Allowed::default() {
                    let values = values.into_iter().take(whole).collect();
                    sheet.series.insert(name(label), self.clock.series(values));
                }
            }
        }
    }
}
