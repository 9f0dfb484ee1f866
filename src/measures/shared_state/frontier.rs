//! The writes of one key that a coming write may turn out not to have seen.
//!
//! Every pair of concurrent writes is found when the later one is accepted: what it hasn't seen of each writer is the end of
//! that writer's list. A write that was found once is taken off, so that the work grows with the number of writes, not with
//! the number of concurrent pairs.

use super::ledger::NONE;
use super::past::Past;

/// One writer's writes.
#[derive(Debug, Clone)]
struct Lane {
    agent: u32,
    /// The number of the latest write, and its place among all writes; none if it was forgotten, since everybody knows it.
    latest: (u32, u32),
    /// Those not found concurrent so far, ascending.
    waiting: Vec<(u32, u32)>,
}

/// Writes by writer, ascending by agent.
#[derive(Debug, Clone, Default)]
pub(super) struct Frontier(Vec<Lane>);

impl Frontier {
    /// How many have written.
    pub fn writers(&self) -> usize {
        self.0.len()
    }

    /// Adds a write; `waiting` unless it was found concurrent at once.
    pub fn add(&mut self, agent: u32, number: u32, write: u32, waiting: bool) {
        let place = match self.0.binary_search_by_key(&agent, |lane| lane.agent) {
            Ok(place) => place,
            Err(place) => {
                let lane = Lane {
                    agent,
                    latest: (0, 0),
                    waiting: Vec::new(),
                };
                self.0.insert(place, lane);
                place
            }
        };
        let lane = &mut self.0[place];
        lane.latest = lane.latest.max((number, write));
        if waiting {
            let place = lane.waiting.partition_point(|(other, _)| *other < number);
            lane.waiting.insert(place, (number, write));
        }
    }

    /// Writes have other places now. Of those that have none nobody is concurrent to any more.
    pub fn follow(&mut self, to: impl Fn(u32) -> Option<u32>) {
        for lane in &mut self.0 {
            lane.latest.1 = to(lane.latest.1).unwrap_or(NONE);
            lane.waiting.retain_mut(|(_, write)| {
                let there = to(*write);
                *write = there.unwrap_or(NONE);
                there.is_some()
            });
            if lane.waiting.is_empty() {
                lane.waiting.shrink_to_fit();
            }
        }
    }

    /// Whether other agents have writes that `past` doesn't know, of which `counts` says yes; those found for the first time
    /// go to `found`.
    pub fn confront(
        &mut self,
        past: &Past,
        agent: u32,
        counts: impl Fn(u32) -> bool,
        mut found: impl FnMut(u32),
    ) -> bool {
        let mut any = false;
        for lane in self.0.iter_mut().filter(|lane| lane.agent != agent) {
            let known = past.get(lane.agent);
            if lane.latest.0 <= known {
                continue;
            }
            any |= counts(lane.latest.1);
            let unseen = lane.waiting.partition_point(|(number, _)| *number <= known);
            if unseen == lane.waiting.len() {
                continue;
            }
            let mut kept = Vec::new();
            for (number, write) in lane.waiting.drain(unseen..) {
                if counts(write) {
                    any = true;
                    found(write);
                } else {
                    kept.push((number, write));
                }
            }
            lane.waiting.append(&mut kept);
        }
        any
    }
}
