//! The tally of one service, or of all together.

use crate::kernel::SimTime;
use crate::measures::windows::{Clock, Counts, Level};
use crate::measures::{Setting, Sheet};
use crate::services::Refusal;
use crate::services::batching::event;
use crate::services::service::cached;
use crate::statistics::Recorder;
use crate::world::record::{Record, What};
use std::collections::BTreeSet;

/// What was counted of the calls to a service.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    pub intended: u64,
    answered: u64,
    failed: u64,
    failed_executed: u64,
    given_up: u64,
    answers: u64,
    pub attempts: u64,
    pub timed_out: u64,
    pub used: u64,
    pub unused: u64,
    pub under_way: u64,
    pub arrivals: u64,
    /// By reason.
    pub refused: [u64; Refusal::NAMES.len()],
    /// Whether there are more reasons than a rate limit, a full queue and a budget.
    pub has_reasons: bool,
    /// What was found in a cache of answers, by [`cached`]'s numbers.
    pub cached: [u64; 8],
    /// Calls that were given an answer that others have made.
    pub from_cache: BTreeSet<u64>,
    pub legs: u64,
    pub remote_legs: u64,
    served: u64,
    dropped: u64,
    duplicates: u64,
    started: u64,
    waited: u64,
    tokens: [u64; 2],
    /// In nano-dollars.
    money: u64,
    first_answer: Option<SimTime>,
    last_answer: Option<SimTime>,
    last_start: Option<SimTime>,
    budget_spent: Option<SimTime>,
    times: Recorder,
    waits: Recorder,
    sojourns: Recorder,
    pub intended_in: Counts,
    /// Answered calls, by the window in which they began.
    pub kept_in: Counts,
    pub attempts_in: Counts,
    pub arrivals_in: Counts,
    /// Requests worked on to the end, by the window in which they were, and those of them whose answer is of use.
    served_in: Counts,
    useful_in: Counts,
    pub refused_in: Counts,
    pub answered_in: Counts,
    pub in_flight: Level,
    waiting: Level,
    in_work: Level,
    /// In work beyond the number of servers, which those share who are in work.
    company: Level,
    /// What merged tallies had waiting, since levels of their own can't be merged.
    merged_waiting: (f64, Vec<f64>, u64),
}

impl Tally {
    pub(super) fn new(warm_up: SimTime, clock: &Clock) -> Self {
        let level = || Level::new(warm_up, clock);
        Self {
            intended: 0,
            answered: 0,
            failed: 0,
            failed_executed: 0,
            given_up: 0,
            answers: 0,
            attempts: 0,
            timed_out: 0,
            used: 0,
            unused: 0,
            under_way: 0,
            arrivals: 0,
            refused: [0; Refusal::NAMES.len()],
            has_reasons: false,
            cached: [0; 8],
            from_cache: BTreeSet::new(),
            legs: 0,
            remote_legs: 0,
            served: 0,
            dropped: 0,
            duplicates: 0,
            started: 0,
            waited: 0,
            tokens: [0; 2],
            money: 0,
            first_answer: None,
            last_answer: None,
            last_start: None,
            budget_spent: None,
            times: Recorder::default(),
            waits: Recorder::default(),
            sojourns: Recorder::default(),
            intended_in: Counts::default(),
            kept_in: Counts::default(),
            attempts_in: Counts::default(),
            arrivals_in: Counts::default(),
            served_in: Counts::default(),
            useful_in: Counts::default(),
            refused_in: Counts::default(),
            answered_in: Counts::default(),
            in_flight: level(),
            waiting: level(),
            in_work: level(),
            company: level(),
            merged_waiting: (0.0, Vec::new(), 0),
        }
    }

    /// An answer was used, which counts where it came of work that was done for it. That was over in this window.
    #[inline]
    pub(super) fn answer_used(&mut self, call: u64, measured: bool, window: usize) {
        let is_own = self.from_cache.is_empty() || !self.from_cache.remove(&call);
        self.used += u64::from(measured && is_own);
        if is_own {
            self.useful_in.add(window);
        }
    }

    /// Work that was over in this window is of use, or may be yet.
    pub(super) fn is_of_use(&mut self, window: usize) {
        self.useful_in.add(window);
    }

    /// Work on a request was over in this window.
    #[inline]
    pub(super) fn was_served(&mut self, window: usize) {
        self.served_in.add(window);
    }

    /// A call ended.
    #[inline]
    pub(super) fn call_ended(&mut self, record: &Record, extra: &[u64], warm_up: SimTime) {
        let (began, now) = (extra[0], record.time);
        if !self.from_cache.is_empty() {
            self.from_cache.remove(&record.a);
        }
        if record.c == 1 && now >= warm_up {
            self.answers += 1;
            self.first_answer.get_or_insert(now);
            self.last_answer = Some(now);
        }
        if began < warm_up.as_nanos() {
            return;
        }
        match record.c {
            1 => {
                self.answered += 1;
                self.times.record(now.as_nanos() - began);
            }
            0 => {
                self.failed += 1;
                self.failed_executed += u64::from(extra.get(2).is_some_and(|executed| *executed > 0));
            }
            _ => self.given_up += 1,
        }
    }

    /// A request was refused: one that had been let in doesn't wait any more.
    pub(super) fn turned_away(&mut self, record: &Record) {
        if record.b == Refusal::WaitedTooLong as u64 {
            self.waiting.down(record.time, 1);
        }
    }

    /// Something happened to a request inside the server.
    #[inline]
    pub(super) fn at_work(
        &mut self,
        record: &Record,
        extra: &[u64],
        warm_up: SimTime,
        (servers, prices): (Option<u32>, [u64; 3]),
    ) {
        self.follow(record, extra, warm_up, prices);
        let beyond = servers.map_or(0, |servers| self.in_work.now().saturating_sub(servers.into()));
        let company = self.company.now();
        if beyond > company {
            self.company.up(record.time, beyond - company);
        } else if beyond < company {
            self.company.down(record.time, company - beyond);
        }
    }

    fn follow(&mut self, record: &Record, extra: &[u64], warm_up: SimTime, prices: [u64; 3]) {
        let now = record.time;
        let measured = u64::from(now >= warm_up);
        match record.what {
            What::Admitted => self.waiting.up_if_they_stay(now, 1),
            What::ServiceStarted => {
                self.waiting.down(now, 1);
                self.in_work.up(now, 1);
                if now >= warm_up {
                    let [price, price_in, price_out] = prices;
                    let (tokens_in, tokens_out) = (record.c >> 32, record.c & 0xffff_ffff);
                    self.tokens[0] += tokens_in;
                    self.tokens[1] += tokens_out;
                    let cost = price + price_in * tokens_in + price_out * tokens_out;
                    self.money = self.money.saturating_add(cost);
                    self.last_start = Some(now);
                }
                // Work that begins anew after a crash has waited before.
                if extra.is_empty() && record.b >= warm_up.as_nanos() {
                    let wait = now.as_nanos() - record.b;
                    self.started += 1;
                    self.waited += u64::from(wait > 0);
                    self.waits.record(wait);
                }
            }
            What::ServiceFinished => {
                self.in_work.down(now, 1);
                self.served += measured;
                if extra[0] >= warm_up.as_nanos() {
                    self.sojourns.record(now.as_nanos() - extra[0]);
                }
            }
            What::RequestDropped => {
                self.dropped += measured;
                match record.b {
                    1 => self.waiting.down(now, 1),
                    2 => self.in_work.down(now, 1),
                    _ => {}
                }
            }
            What::RequestDiscarded => match record.b {
                1 => self.waiting.down(now, 1),
                2 => self.in_work.down(now, 1),
                _ => {}
            },
            // A crash that keeps the state sends what was in work back to the queue.
            What::Crashed if record.a == 0 => {
                let in_work = self.in_work.now();
                self.in_work.down(now, in_work);
                self.waiting.up_if_they_stay(now, in_work);
            }
            // Who lost its place in a batch waits again.
            What::Inference if record.c == event::PREEMPTED => {
                self.in_work.down(now, 1);
                self.waiting.up_if_they_stay(now, 1);
            }
            What::Inference if record.c == event::AGAIN => {
                self.waiting.down(now, 1);
                self.in_work.up(now, 1);
            }
            What::Executed => {
                self.duplicates += u64::from(record.b > 0) * measured;
                // What was executed before it failed is counted at its end.
                let late = record.c == 1 && record.b == 0 && extra[0] >= warm_up.as_nanos();
                self.failed_executed += u64::from(late);
            }
            What::BudgetSpent => {
                self.budget_spent.get_or_insert(now);
            }
            _ => {}
        }
    }

    /// Takes in another tally, but for its calls in flight.
    pub(super) fn merge(&mut self, other: &mut Self, end: SimTime) {
        let sums = [
            (&mut self.intended, other.intended),
            (&mut self.answered, other.answered),
            (&mut self.failed, other.failed),
            (&mut self.failed_executed, other.failed_executed),
            (&mut self.given_up, other.given_up),
            (&mut self.answers, other.answers),
            (&mut self.attempts, other.attempts),
            (&mut self.timed_out, other.timed_out),
            (&mut self.used, other.used),
            (&mut self.unused, other.unused),
            (&mut self.under_way, other.under_way),
            (&mut self.arrivals, other.arrivals),
            (&mut self.legs, other.legs),
            (&mut self.remote_legs, other.remote_legs),
            (&mut self.served, other.served),
            (&mut self.dropped, other.dropped),
            (&mut self.duplicates, other.duplicates),
            (&mut self.started, other.started),
            (&mut self.waited, other.waited),
            (&mut self.money, other.money),
        ];
        for (mine, theirs) in sums {
            *mine = mine.saturating_add(theirs);
        }
        for (mine, theirs) in self.refused.iter_mut().zip(other.refused) {
            *mine += theirs;
        }
        for (mine, theirs) in self.cached.iter_mut().zip(other.cached) {
            *mine += theirs;
        }
        for (mine, theirs) in self.tokens.iter_mut().zip(other.tokens) {
            *mine += theirs;
        }
        let firsts = [self.first_answer, other.first_answer];
        self.first_answer = firsts.into_iter().flatten().min();
        self.last_answer = self.last_answer.max(other.last_answer);
        self.times.merge(&other.times);
        self.waits.merge(&other.waits);
        self.sojourns.merge(&other.sojourns);
        self.intended_in.merge(&other.intended_in);
        self.kept_in.merge(&other.kept_in);
        self.attempts_in.merge(&other.attempts_in);
        self.arrivals_in.merge(&other.arrivals_in);
        self.served_in.merge(&other.served_in);
        self.useful_in.merge(&other.useful_in);
        self.refused_in.merge(&other.refused_in);
        self.answered_in.merge(&other.answered_in);
        let (mean, means, left) = &mut self.merged_waiting;
        *mean += other.waiting.mean(end).unwrap_or(0.0);
        *left += other.waiting.now();
        let theirs = other.waiting.means(end);
        means.resize(means.len().max(theirs.len()), 0.0);
        for (mine, theirs) in means.iter_mut().zip(theirs) {
            *mine += theirs;
        }
    }

    /// Calls in flight and requests that wait at their servers, together: the mean in each whole window.
    pub(super) fn backlog(&mut self, end: SimTime) -> Vec<f64> {
        let mut means = self.in_flight.means(end);
        for (mean, waiting) in means.iter_mut().zip(self.waiting_means(end)) {
            *mean += waiting;
        }
        means
    }

    /// The mean number of requests that wait, in each whole window.
    fn waiting_means(&mut self, end: SimTime) -> Vec<f64> {
        let mut waiting = self.waiting.means(end);
        for (mine, theirs) in waiting.iter_mut().zip(&self.merged_waiting.1) {
            *mine += theirs;
        }
        waiting
    }

    /// Writes what is measured of all calls and of one service alike.
    pub(super) fn write(&mut self, prefix: &str, setting: &Setting, clock: &Clock, end: SimTime, sheet: &mut Sheet) {
        let name = |measure: &str| format!("{prefix}{measure}");
        let ended = self.answered + self.failed + self.given_up;
        let refused: u64 = self.refused.iter().sum();
        // What was found out for a cache is of use there.
        let refreshed = self.cached[cached::REFRESHED as usize];
        let wasted = self.served.saturating_sub(self.used + refreshed + self.under_way);
        for (label, count) in [
            ("intended", self.intended),
            ("answered", self.answered),
            ("failed", self.failed),
            ("failed_executed", self.failed_executed),
            ("given_up", self.given_up),
            ("unfinished", self.intended.saturating_sub(ended)),
            ("attempts", self.attempts),
            ("timed_out", self.timed_out),
            ("arrivals", self.arrivals),
            ("refused", refused),
            ("served", self.served),
            ("wasted", wasted),
            ("unused", self.unused),
            ("dropped", self.dropped),
            ("duplicate_effects", self.duplicates),
            ("tokens_in", self.tokens[0]),
            ("tokens_out", self.tokens[1]),
            ("queue.left", self.waiting.now() + self.merged_waiting.2),
            ("in_flight.peak", self.in_flight.peak()),
        ] {
            sheet.count(name(label), count);
        }
        let reasons = if self.has_reasons { Refusal::NAMES.len() } else { 3 };
        for (label, count) in Refusal::NAMES.into_iter().zip(self.refused).take(reasons) {
            sheet.count(name(&format!("refused.{label}")), count);
        }
        sheet.number(name("money"), Some(self.money as f64 / 1e9));
        let measured = end.since(setting.warm_up).as_secs_f64();
        let per = |count: u64, whole: f64| (whole > 0.0).then(|| count as f64 / whole);
        let intended = self.intended as f64;
        sheet.number(name("amplification"), per(self.attempts, intended));
        sheet.number(name("hops"), per(self.legs, intended));
        sheet.number(name("remote_hops"), per(self.remote_legs, intended));
        sheet.number(name("wasted_share"), per(wasted, self.served as f64));
        sheet.number(name("refused_share"), per(refused, self.arrivals as f64));
        sheet.number(name("waited"), per(self.waited, self.started as f64));
        sheet.number(name("arrivals.rate"), per(self.arrivals, measured));
        sheet.number(name("refused.rate"), per(refused, measured));
        sheet.number(name("goodput"), per(self.answers, measured));
        sheet.number(name("in_flight"), self.in_flight.mean(end));
        let waiting = self.waiting.mean(end).map(|mean| mean + self.merged_waiting.0);
        sheet.number(name("queue"), waiting);
        let (from, whole) = (clock.from(setting.warm_up), clock.whole(end));
        if let Some((peak, mean)) = self.arrivals_in.peak_and_mean(from, whole) {
            sheet.number(name("arrivals.peak"), Some(peak / clock.seconds()));
            sheet.number(name("arrivals.peak_to_mean"), (mean > 0.0).then(|| peak / mean));
        }
        sheet.number(name("first_answer"), self.first_answer.map(SimTime::as_secs_f64));
        sheet.number(name("last_answer"), self.last_answer.map(SimTime::as_secs_f64));
        sheet.durations(&name("time"), &self.times);
        sheet.durations(&name("wait"), &self.waits);
        sheet.durations(&name("sojourn"), &self.sojourns);
        self.write_series(prefix, clock, end, sheet);
    }

    fn write_series(&mut self, prefix: &str, clock: &Clock, end: SimTime, sheet: &mut Sheet) {
        let whole = clock.whole(end);
        let waiting = self.waiting_means(end);
        let amplification = |window| match self.intended_in.of(window) {
            0 => f64::NAN,
            intended => self.attempts_in.of(window) as f64 / intended as f64,
        };
        let wasted = |window| f64::from(self.served_in.of(window).saturating_sub(self.useful_in.of(window)));
        let all = [
            ("arrivals.rate", self.arrivals_in.rates(clock, whole)),
            ("refused.rate", self.refused_in.rates(clock, whole)),
            ("goodput", self.answered_in.rates(clock, whole)),
            ("amplification", (0..whole).map(amplification).collect()),
            ("in_flight", self.in_flight.means(end)),
            ("queue", waiting),
            ("wasted", (0..whole).map(wasted).collect()),
        ];
        for (label, values) in all {
            sheet.series.insert(format!("{prefix}{label}"), clock.series(values));
        }
    }

    /// Writes what is measured of a cache of answers, if there is one.
    fn write_cache(&self, name: &dyn Fn(&str) -> String, sheet: &mut Sheet) {
        let [fresh, stale, joined, missed, refreshing, ..] = self.cached;
        let asked = fresh + stale + joined + missed;
        if asked == 0 {
            return;
        }
        for (label, count) in [
            ("cache.asked", asked),
            ("cache.fresh", fresh),
            ("cache.stale", stale),
            ("cache.joined", joined),
            ("cache.missed", missed),
            ("cache.refreshes", refreshing),
        ] {
            sheet.count(name(label), count);
        }
        let found = (fresh + stale) as f64;
        sheet.number(name("cache.found_share"), Some(found / asked as f64));
    }

    /// Writes what is measured of one service alone.
    pub(super) fn write_server(
        &mut self,
        prefix: &str,
        setting: &Setting,
        index: usize,
        end: SimTime,
        sheet: &mut Sheet,
    ) {
        let name = |measure: &str| format!("{prefix}{measure}");
        self.write_cache(&name, sheet);
        let busy = self.in_work.mean(end);
        sheet.number(name("busy"), busy);
        let servers = setting.servers.get(index).copied().flatten();
        let company = self.company.mean(end).unwrap_or(0.0);
        let utilisation = busy
            .zip(servers)
            .map(|(busy, servers)| (busy - company) / servers as f64);
        sheet.number(name("utilisation"), utilisation);
        sheet.count(name("queue.peak"), self.waiting.peak());
        sheet.number(name("last_start"), self.last_start.map(SimTime::as_secs_f64));
        let limit = setting.limits.get(index).and_then(|(limit, _)| *limit);
        sheet.number(name("limit"), limit);
        sheet.number(name("budget_spent"), self.budget_spent.map(SimTime::as_secs_f64));
    }
}
