//! Members of coordination groups that stand beside agents: a process of their own on the agent's machine, which shares its fate.

use crate::faults::{Scope, Target};
use std::ops::Range;

/// Which members stand beside which agents.
#[derive(Debug, Clone, Default)]
pub(super) struct Beside {
    /// Runs of agents, and the member beside the first of each.
    runs: Vec<(Range<u32>, u32)>,
}

impl Beside {
    pub(super) fn new(runs: Vec<(Range<u32>, u32)>) -> Self {
        Self { runs }
    }

    /// The members beside an agent, in the order of their groups.
    fn of_agent(&self, agent: u32) -> impl Iterator<Item = u32> + '_ {
        let holds = move |(run, _): &&(Range<u32>, u32)| run.contains(&agent);
        self.runs
            .iter()
            .filter(holds)
            .map(move |(run, first)| first + (agent - run.start))
    }

    /// The agent that a member stands beside.
    fn of_member(&self, member: u32) -> Option<u32> {
        let agent = |(run, first): &(Range<u32>, u32)| {
            let place = member.checked_sub(*first)?;
            (place < run.len() as u32).then(|| run.start + place)
        };
        self.runs.iter().find_map(agent)
    }

    /// Those that a fault with these targets strikes with `struck`: each member beside an agent of them with that agent, and once. A member
    /// that is a target, as its agent is, has no fate of its own.
    pub(super) fn with_members(&self, mut struck: Vec<u32>, targets: &[Target]) -> Vec<u32> {
        if self.runs.is_empty() {
            return struck;
        }
        let is_named = |agent: u32| {
            let covers = |target: &Target| match &target.scope {
                Scope::Tags(tags) => tags.contains(&agent),
                Scope::Service(_) | Scope::Site(_) => false,
            };
            targets.iter().any(covers)
        };
        struck.retain(|entity| !self.of_member(*entity).is_some_and(is_named));
        let members: Vec<u32> = struck.iter().flat_map(|entity| self.of_agent(*entity)).collect();
        struck.extend(members);
        // A site holds agents and the members beside them: the first mention counts.
        let mut seen = std::collections::BTreeSet::new();
        struck.retain(|entity| seen.insert(*entity));
        struck
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::SiteId;

    fn target(scope: Scope) -> Target {
        Target {
            name: "t".to_string(),
            scope,
        }
    }

    #[test]
    fn members_share_the_fate_of_their_agents_once() {
        // Members 0..5 beside agents 20..22 and 10..13, and a second group, of 5..8, beside the latter.
        let beside = Beside::new(vec![(20..22, 0), (10..13, 2), (10..13, 5)]);
        let agents = [target(Scope::Tags(10..13))];
        let both = [target(Scope::Tags(10..13)), target(Scope::Tags(0..5))];
        assert_eq!(beside.with_members(vec![11], &agents), [11, 3, 6]);
        assert_eq!(
            beside.with_members(vec![10, 11, 12], &agents),
            [10, 11, 12, 2, 5, 3, 6, 4, 7]
        );
        // Named as well, they are struck with their agents; the others by themselves.
        assert_eq!(beside.with_members(vec![3], &both), [] as [u32; 0]);
        assert_eq!(beside.with_members(vec![1], &both), [1]);
        assert_eq!(
            beside.with_members(vec![10, 11, 12, 0, 1, 2, 3, 4], &both),
            [10, 11, 12, 0, 1, 2, 5, 3, 6, 4, 7]
        );
        // A member alone doesn't strike its agent.
        assert_eq!(beside.with_members(vec![3], &[target(Scope::Tags(0..5))]), [3]);
        let site = [target(Scope::Site(SiteId(0)))];
        assert_eq!(beside.with_members(vec![3, 6, 11], &site), [3, 6, 11]);
    }
}
