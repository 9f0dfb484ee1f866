//! The invariants that a scenario can demand with `Always`: each is a count that has to be zero in every run.
//!
//! Which invariants there are stands here alone; the reference, `quorate help` and the diagnostics list them from it.

use super::{MeasureInfo, Unit, find};

/// An invariant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invariant {
    /// Its name in scenarios.
    pub name: &'static str,
    /// The measure that has to be zero in every run.
    pub measure: &'static str,
    /// What it demands.
    pub doc: &'static str,
}

const fn invariant(name: &'static str, measure: &'static str, doc: &'static str) -> Invariant {
    Invariant { name, measure, doc }
}

/// All invariants.
pub const INVARIANTS: &[Invariant] = &[
    invariant(
        "network.conservation",
        "run.breaches",
        "Sent + duplicated = delivered + lost + held + travelling. Checked in every run anyway.",
    ),
    invariant(
        "queue.littles_law",
        "run.breaches",
        "The area under every queue is the time spent in it. Checked in every run anyway.",
    ),
    invariant(
        "no_lost_updates",
        "state.lost_updates",
        "No acknowledged update is lost that nobody had built on. Increments want `no_lost_effects`: whoever adds has built on all \
         that was added before.",
    ),
    invariant(
        "no_lost_effects",
        "state.lost_effects",
        "What was acknowledged is there once the run is drained, unless somebody who had it before his eyes took it away.",
    ),
    invariant("no_conflicts", "state.conflicts", "No two concurrent updates conflict."),
    invariant(
        "no_stale_reads",
        "state.stale_reads",
        "No read lacks an update acknowledged before it began that the store would keep.",
    ),
    invariant(
        "read_your_writes",
        "state.read_your_writes",
        "No read lacks an acknowledged update of its own agent.",
    ),
    invariant(
        "monotonic_reads",
        "state.monotonic_reads",
        "No read lacks what an earlier read of the same agent and key returned.",
    ),
    invariant(
        "causal",
        "state.causal_violations",
        "No read lacks an update in its agent's causal past that the store would keep. A blind update has seen what its replica held.",
    ),
    invariant(
        "healed",
        "state.unhealed",
        "After every cut all that was acknowledged before is on every live replica by the end.",
    ),
    invariant(
        "recorded_text",
        "text.astray",
        "Every replica of a text that a recorded session edits ends in the recorded text.",
    ),
    invariant(
        "available",
        "state.unavailable",
        "No operation on shared state is refused or timed out.",
    ),
    invariant("no_failed_tasks", "task.failed", "No task fails."),
    invariant(
        "no_unfinished_tasks",
        "task.unfinished",
        "Every task is over when the run ends.",
    ),
    invariant(
        "no_deadlock",
        "waiting.deadlocked",
        "When the run ends nobody waits for an answer, a lock or coordination that can't come because of a circle of waiting.",
    ),
    invariant(
        "no_duplicate_effects",
        "calls.duplicate_effects",
        "No call is executed more than once.",
    ),
    invariant(
        "no_duplicate_updates",
        "state.duplicate_effects",
        "No update of shared state takes effect more than once.",
    ),
    invariant(
        "no_dropped_messages",
        "messages.dropped",
        "No message is dropped by a full mailbox or for want of a reader.",
    ),
];

/// The invariant of this name.
pub fn invariant_named(name: &str) -> Option<&'static Invariant> {
    INVARIANTS.iter().find(|invariant| invariant.name == name)
}

/// Whether a measure is an event that `Sometimes` can demand: something that is counted, or a yes or no of each run.
pub fn is_event(info: &MeasureInfo) -> bool {
    matches!(info.unit, Unit::Count | Unit::Verdict)
}

/// The event of this name.
pub fn event(name: &str) -> Option<MeasureInfo> {
    find(name).filter(is_event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_invariant_is_a_count_that_is_measured_and_no_measure_has_its_name() {
        let names: BTreeSet<&str> = INVARIANTS.iter().map(|invariant| invariant.name).collect();
        assert_eq!(names.len(), INVARIANTS.len());
        for invariant in INVARIANTS {
            let measured = find(invariant.measure).unwrap_or_else(|| panic!("{} isn't measured", invariant.measure));
            assert_eq!(measured.unit, Unit::Count, "{}", invariant.name);
            assert!(find(invariant.name).is_none(), "{}", invariant.name);
            assert!(invariant.doc.ends_with('.'), "{}", invariant.name);
        }
    }

    #[test]
    fn events_are_counted_or_are_a_yes_or_no() {
        assert!(event("state.conflicts").is_some() && event("herd.metastable").is_some());
        assert!(event("service.model.refused").is_some());
        assert_eq!(event("task.time.mean"), None);
        assert_eq!(event("no_lost_updates"), None);
    }
}
