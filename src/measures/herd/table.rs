//! What is measured of calls, and what the names mean.

use crate::measures::MeasureInfo;
use crate::measures::registry::measure_table;

macro_rules! call_table {
    ($prefix:literal) => {
        measure_table![
            concat!($prefix, "intended"), Count, Neither, "Calls that agents meant to make after the warm-up, however many attempts each took.";
            concat!($prefix, "answered"), Count, Higher, "Intended calls that were answered.";
            concat!($prefix, "failed"), Count, Lower, "Intended calls that failed beyond their policy.";
            concat!($prefix, "failed_executed"), Count, Lower, "Intended calls that failed beyond their policy although the server had executed them, or did so later in the run.";
            concat!($prefix, "given_up"), Count, Lower, "Intended calls that a crash of their agent or a thrown-away branch ended.";
            concat!($prefix, "unfinished"), Count, Lower, "Intended calls that were still open when the run ended (censored).";
            concat!($prefix, "attempts"), Count, Lower, "Attempts sent for the intended calls.";
            concat!($prefix, "timed_out"), Count, Lower, "Attempts that their client gave up after its timeout.";
            concat!($prefix, "arrivals"), Count, Neither, "Requests that reached their server.";
            concat!($prefix, "arrivals.rate"), PerSecond, Neither, "Requests that reached their server, per second of the measured time; as a series, in each window.";
            concat!($prefix, "arrivals.peak"), PerSecond, Lower, "Requests that reached their server in the busiest whole window after the warm-up, per second.";
            concat!($prefix, "arrivals.peak_to_mean"), Ratio, Lower, "The busiest window's arrivals over the mean of the whole windows after the warm-up.";
            concat!($prefix, "refused"), Count, Lower, "Requests that their server turned away.";
            concat!($prefix, "refused_share"), Share, Lower, "The part of the requests that reached their server that it turned away.";
            concat!($prefix, "refused.rate_limit"), Count, Lower, "Requests turned away by the rate limit.";
            concat!($prefix, "refused.queue_full"), Count, Lower, "Requests turned away because the queue was full.";
            concat!($prefix, "refused.budget"), Count, Lower, "Requests turned away because the budget was spent.";
            concat!($prefix, "refused.tokens_in"), Count, Lower, "Requests turned away by a limit of prompts' tokens. This and the other reasons after it are counted where a service has `limits`, an `overload`, `batching`, a `most_wait` or `forwards`.";
            concat!($prefix, "refused.tokens_out"), Count, Lower, "Requests turned away by a limit of answers' tokens.";
            concat!($prefix, "refused.tokens"), Count, Lower, "Requests turned away by a limit of tokens.";
            concat!($prefix, "refused.concurrency"), Count, Lower, "Requests turned away by a limit of requests at a time.";
            concat!($prefix, "refused.too_large"), Count, Lower, "Requests turned away because they are more than there is ever room for.";
            concat!($prefix, "refused.overloaded"), Count, Lower, "Requests turned away because their server had too much to do, or said so.";
            concat!($prefix, "refused.waited"), Count, Lower, "Requests turned away when their turn came, because they had waited for too long.";
            concat!($prefix, "refused.behind"), Count, Lower, "Requests that a gateway turned away because those to whom it passed them on did, or didn't answer in time.";
            concat!($prefix, "refused.rate"), PerSecond, Lower, "Requests turned away, per second of the measured time; as a series, in each window.";
            concat!($prefix, "amplification"), Ratio, Lower, "Attempts sent for each intended call, over the run after the warm-up; as a series, attempts sent in each window over the calls begun in it (no value where none began).";
            concat!($prefix, "goodput"), PerSecond, Higher, "Answers to calls per second of the measured time, whenever the calls began; as a series, in each window.";
            concat!($prefix, "in_flight"), Count, Lower, "Mean number of calls begun and not ended; as a series, the mean in each window.";
            concat!($prefix, "in_flight.peak"), Count, Lower, "The most calls begun and not ended at one time.";
            concat!($prefix, "first_answer"), Seconds, Lower, "When the first answer came after the warm-up.";
            concat!($prefix, "last_answer"), Seconds, Lower, "When the last answer came.";
            concat!($prefix, "time.mean"), Seconds, Lower, "Mean time from the begin of an answered call to its answer, retries included.";
            concat!($prefix, "time.p50"), Seconds, Lower, "Median time of the answered calls (nearest rank).";
            concat!($prefix, "time.p90"), Seconds, Lower, "Time that 90 % of the answered calls don't exceed (nearest rank; none with fewer than ten beyond it).";
            concat!($prefix, "time.p95"), Seconds, Lower, "Time that 95 % of the answered calls don't exceed (nearest rank; none with fewer than ten beyond it).";
            concat!($prefix, "time.p99"), Seconds, Lower, "Time that 99 % of the answered calls don't exceed (nearest rank; none with fewer than ten beyond it).";
            concat!($prefix, "time.max"), Seconds, Lower, "Longest time of an answered call.";
            concat!($prefix, "served"), Count, Neither, "Requests that were worked on to the end.";
            concat!($prefix, "wasted"), Count, Lower, "Requests that were worked on to the end, and whose answer nobody used. Answers still awaited on their way when the run ended aren't among them. As a series, those that were finished in each window.";
            concat!($prefix, "wasted_share"), Share, Lower, "The part of the requests worked on to the end whose answer nobody used.";
            concat!($prefix, "unused"), Count, Lower, "Answers that came when nobody waited for them any more.";
            concat!($prefix, "dropped"), Count, Lower, "Requests that a crash of their server dropped, or that came while it was down.";
            concat!($prefix, "duplicate_effects"), Count, Lower, "Executions of a call that had been executed before.";
            concat!($prefix, "hops"), Ratio, Lower, "Messages (requests and responses) sent for each intended call.";
            concat!($prefix, "remote_hops"), Ratio, Lower, "Messages (requests and responses) sent from one site to another for each intended call.";
            concat!($prefix, "tokens_in"), Tokens, Lower, "Prompt tokens of the requests on which work began.";
            concat!($prefix, "tokens_out"), Tokens, Lower, "Answer tokens of the requests on which work began.";
            concat!($prefix, "money"), Dollars, Lower, "The price of the requests on which work began.";
            concat!($prefix, "queue"), Count, Lower, "Mean number of requests that waited at their server; as a series, the mean in each window.";
            concat!($prefix, "queue.left"), Count, Lower, "Requests that still waited at their server when the run ended (censored).";
            concat!($prefix, "waited"), Share, Lower, "The part of the requests worked on that had to wait first.";
            concat!($prefix, "wait.mean"), Seconds, Lower, "Mean wait from a request's arrival to the begin of the work on it.";
            concat!($prefix, "wait.p50"), Seconds, Lower, "Median wait of a request (nearest rank).";
            concat!($prefix, "wait.p90"), Seconds, Lower, "Wait that 90 % of the requests don't exceed (nearest rank; none with fewer than ten beyond it).";
            concat!($prefix, "wait.p95"), Seconds, Lower, "Wait that 95 % of the requests don't exceed (nearest rank; none with fewer than ten beyond it).";
            concat!($prefix, "wait.p99"), Seconds, Lower, "Wait that 99 % of the requests don't exceed (nearest rank; none with fewer than ten beyond it).";
            concat!($prefix, "wait.max"), Seconds, Lower, "Longest wait of a request.";
            concat!($prefix, "sojourn.mean"), Seconds, Lower, "Mean time from a request's arrival to the end of the work on it.";
            concat!($prefix, "sojourn.p50"), Seconds, Lower, "Median time of a request at its server (nearest rank).";
            concat!($prefix, "sojourn.p90"), Seconds, Lower, "Time at their server that 90 % of the requests don't exceed (nearest rank; none with fewer than ten beyond it).";
            concat!($prefix, "sojourn.p95"), Seconds, Lower, "Time at their server that 95 % of the requests don't exceed (nearest rank; none with fewer than ten beyond it).";
            concat!($prefix, "sojourn.p99"), Seconds, Lower, "Time at their server that 99 % of the requests don't exceed (nearest rank; none with fewer than ten beyond it).";
            concat!($prefix, "sojourn.max"), Seconds, Lower, "Longest time of a request at its server.";
        ]
    };
}

/// What is measured of all calls to services.
pub(crate) const CALLS: &[MeasureInfo] = call_table!("calls.");
/// What is measured of the calls to one service.
pub(crate) const SERVICE: &[MeasureInfo] = call_table!("service.*.");
/// What is measured of all calls alone.
pub(crate) const CALLS_ONLY: &[MeasureInfo] = measure_table![
    "calls.per_task", Ratio, Neither, "Calls that an agent began while its program ran, for each program run done.";
];
/// What is measured of one service alone.
pub(crate) const SERVICE_ONLY: &[MeasureInfo] = measure_table![
    "service.*.busy", Count, Neither, "Mean number of requests in work.";
    "service.*.utilisation", Share, Neither, "Mean number of servers at work over their number, the mean number of requests in work where each has one; none where that is unlimited.";
    "service.*.queue.peak", Count, Lower, "The most requests that waited at one time; those that were worked on at once aren't among them.";
    "service.*.last_start", Seconds, Lower, "When the work on a request began last.";
    "service.*.limit", PerSecond, Neither, "The rate limit.";
    "service.*.cache.asked", Count, Neither, "Calls that said what they were about, where the service keeps answers (`cache`).";
    "service.*.cache.fresh", Count, Higher, "Those that were answered from the cache, with a fresh answer.";
    "service.*.cache.stale", Count, Neither, "Those that were answered from the cache, with an answer that wasn't fresh any more.";
    "service.*.cache.joined", Count, Neither, "Those that waited for the answer to another one about the same (`single_flight`).";
    "service.*.cache.missed", Count, Lower, "Those for which there was no answer.";
    "service.*.cache.refreshes", Count, Neither, "Requests of the service's own that found out a fresh answer while a stale one was given.";
    "service.*.cache.found_share", Share, Higher, "The part of these calls that was answered from the cache.";
    "service.*.budget_spent", Seconds, Higher, "When the budget ran out.";
];
/// What is measured of the time after faults.
pub(crate) const RECOVERY: &[MeasureInfo] = measure_table![
    "fault.*.recovery", Seconds, Lower, "Time from the end of this fault until goodput was back: to the begin of the first window at or after the end from which the mean goodput of five windows is at least 95 % of the mean between the warm-up and the first fault. The longest of its occurrences; none unless all recovered.";
    "fault.*.good_from", Seconds, Lower, "When the first five windows after the last occurrence of this fault begin of whose calls (by their begin) more than 99 % were answered; none if there are none.";
    "fault.*.unrecovered", Count, Lower, "Occurrences of this fault after which goodput wasn't back when the run ended.";
    "herd.recovery", Seconds, Lower, "Time from the end of the last trigger until goodput was back, as for a fault. A trigger is a fault, or a stretch in which the demand of a stream is raised above what it starts with and falls back.";
    "herd.horizon", Seconds, Neither, "How long after the end of the last trigger the verdict is given.";
    "herd.recovers", Verdict, Higher, "Whether the load was sustainable before the first trigger (goodput at least 95 % of the calls begun) and goodput is back at the horizon. None without a trigger or if undecided.";
    "herd.metastable", Verdict, Lower, "Whether at the horizon goodput isn't back, the backlog (calls in flight and requests that wait at their servers, together) isn't shrinking (its mean over the last fifth of the time since the last trigger is at least 95 % of that over the fifth before) though there is one, and the load was sustainable before (goodput at least 95 % of the calls begun). None without a trigger or if undecided.";
    "herd.collapses", Verdict, Lower, "Whether it needs no trigger: goodput is below 95 % of the calls begun between the warm-up and the first trigger; without a trigger, in the second half of the measured time (then none with fewer than ten windows in it, or fewer than 100 calls begun). None if undecided.";
    "herd.undecided", Verdict, Lower, "Whether at the horizon goodput isn't back and the backlog still shrinks, or less than ten windows lie between, or goodput before the triggers isn't known. Where none of the four verdicts is a yes, goodput isn't back and nothing is left to be done: nobody asks for as much any more.";
    "herd.end.offered", PerSecond, Neither, "Calls begun in a second of the stretch that the verdict is about: the last fifth of the time between the end of the last trigger and the horizon; without a trigger, the second half of the measured time.";
    "herd.end.goodput", PerSecond, Higher, "Calls answered in a second of that stretch.";
    "herd.end.amplification", Ratio, Lower, "Attempts sent for each call begun, in that stretch.";
];
