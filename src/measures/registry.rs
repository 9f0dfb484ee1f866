//! The registry: what every number, series and sample on a sheet is called, its unit, its better direction, its meaning.
//!
//! Each measure keeps its own table beside its code; a test runs worlds and asserts that nothing on a sheet is missing here.

use super::{Better, MeasureInfo, Unit, channels, clients, fairness, gateways, herd, journal, locks, tasks, traffic};

/// A static table of [`MeasureInfo`]: `name, unit, better, doc;` line by line.
macro_rules! measure_table {
    ($($name:expr, $unit:ident, $better:ident, $doc:literal;)*) => {
        &[$($crate::measures::MeasureInfo {
            name: $name,
            unit: $crate::measures::Unit::$unit,
            better: $crate::measures::Better::$better,
            doc: $doc,
        }),*]
    };
}
pub(crate) use measure_table;

/// The tables of all measures, in the order in which tables show them.
const TABLES: [&[MeasureInfo]; 37] = [
    tasks::PROGRAM,
    tasks::NAMED,
    herd::CALLS,
    herd::CALLS_ONLY,
    herd::SERVICE,
    herd::SERVICE_ONLY,
    herd::RECOVERY,
    clients::CALLS,
    clients::SERVICE,
    gateways::GATEWAY,
    fairness::ALL,
    fairness::GROUP,
    fairness::LOAD,
    super::waiting::WAITING,
    locks::LOCK,
    channels::CHANNEL,
    journal::JOURNAL,
    super::coordination::GROUP,
    super::dissemination::GOSSIP,
    super::membership::SWIM,
    super::causal_broadcast::CAUSAL,
    super::hierarchy::HIERARCHY,
    super::work::WORK,
    super::redone::REDONE,
    super::budget::BUDGET,
    super::inference::INFERENCE,
    traffic::MESSAGES,
    traffic::KINDS,
    traffic::CAUSES,
    traffic::RUN,
    super::shared_state::MEASURES,
    super::state::STATE_SERIES,
    super::ordering::ORDERING,
    super::caching::CACHING,
    super::editing::EDITED,
    super::replay::REPLAY,
    COMPARED,
];

/// What is made of two variants together.
const COMPARED: &[MeasureInfo] = measure_table![
    "run.breaches", Count, Lower, "Breaches of the laws that hold in every run: conservation of messages, Little's law. Anything but 0 is a bug.";
    "latency_trap.added", Seconds, Lower, "How much longer the program runs done in both variants took than in the other, run by run: the mean.";
    "latency_trap.added.min", Seconds, Lower, "The least of these differences.";
    "latency_trap.added.max", Seconds, Lower, "The greatest of these differences.";
    "latency_trap.added.unpaired", Count, Lower, "Program runs that weren't done in both variants.";
];

/// Everything that is measured.
pub fn infos() -> Vec<MeasureInfo> {
    TABLES.concat()
}

/// What a number, a series or a sample is, by its full name (`service.model.calls`) or its pattern (`service.*.calls`).
pub fn find(name: &str) -> Option<MeasureInfo> {
    let all = || TABLES.iter().flat_map(|table| table.iter());
    // An exact name before a pattern; of patterns the one that says most.
    all()
        .find(|info| info.name == name)
        .or_else(|| {
            all()
                .filter(|info| matches(info.name, name))
                .max_by_key(|info| info.name.len())
        })
        .copied()
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern.split_once('*').is_some_and(|(before, after)| {
        name.len() > before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
    })
}

/// The name that somebody who wrote `name` most likely meant, if any is near. What stands for a `*` is kept.
pub fn suggest(name: &str) -> Option<String> {
    // A hostile name must not cost quadratic time.
    if name.is_empty() || name.len() > 200 {
        return None;
    }
    let middle = name.split('.').nth(1).filter(|middle| !middle.is_empty());
    let near = infos().into_iter().filter_map(|info| {
        let candidate = match middle {
            Some(middle) => info.name.replacen('*', middle, 1),
            None => info.name.to_string(),
        };
        let distance = strsim::damerau_levenshtein(name, &candidate);
        let most = (name.chars().count().max(candidate.chars().count()) / 3).clamp(1, 6);
        (distance <= most).then_some((distance, candidate))
    });
    near.min().map(|(_, candidate)| candidate)
}

impl Better {
    /// The direction in words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lower => "lower",
            Self::Higher => "higher",
            Self::Neither => "neither",
        }
    }
}

impl Unit {
    /// All units.
    pub const ALL: [Self; 9] = [
        Self::Seconds,
        Self::Count,
        Self::Share,
        Self::Ratio,
        Self::PerSecond,
        Self::Bytes,
        Self::Dollars,
        Self::Tokens,
        Self::Verdict,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_have_a_meaning() {
        let all = infos();
        let names: BTreeSet<&str> = all.iter().map(|info| info.name).collect();
        assert_eq!(names.len(), all.len());
        for info in all {
            assert!(info.doc.ends_with('.') && info.doc.len() > 10, "{}", info.name);
            assert!(info.name.matches('*').count() <= 1, "{}", info.name);
        }
    }

    #[test]
    fn names_are_found_exactly_or_by_pattern() {
        let name = |name: &str| find(name).map(|info| info.name);
        assert_eq!(name("task.time.mean"), Some("task.time.mean"));
        assert_eq!(name("task.plan.time.mean"), Some("task.*.time.mean"));
        assert_eq!(name("service.model.arrivals"), Some("service.*.arrivals"));
        assert_eq!(name("service.model.arrivals.rate"), Some("service.*.arrivals.rate"));
        assert_eq!(
            name("service.a.b.refused.queue_full"),
            Some("service.*.refused.queue_full")
        );
        assert_eq!(name("service..arrivals"), None);
        assert_eq!(name("service.model.arivals"), None);
    }

    #[test]
    fn slips_find_the_name_and_keep_what_stands_for_the_star() {
        assert_eq!(
            suggest("service.model.arivals").as_deref(),
            Some("service.model.arrivals")
        );
        assert_eq!(suggest("task.time.p96").as_deref(), Some("task.time.p90"));
        assert_eq!(suggest("tasks.time.mean").as_deref(), Some("task.time.mean"));
        assert_eq!(suggest("colour"), None);
        assert_eq!(suggest(""), None);
    }
}
