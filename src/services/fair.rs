//! Fair queueing: each tenant gets its share of a service, however much others ask for.
//!
//! Start-time fair queueing (P. Goyal, H. Vin and H. Cheng, "Start-Time Fair Queueing", SIGCOMM 1996): a request's start tag is the
//! later of the virtual time and its tenant's last finish tag; its finish tag is that and its cost over the tenant's weight. The
//! lowest start tag is served next, and is the virtual time from then on. Over any time in which two tenants both have requests waiting, what they
//! get in proportion to their weights differs by no more than a request of each.

use serde::Serialize;
use std::collections::BTreeMap;

/// Tags are kept in these parts of a nanosecond of work at weight 1.
const SCALE: u64 = 1 << 10;

/// The state of a fair queue: virtual time, and each tenant's last finish tag.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Fair {
    now: u64,
    finished: BTreeMap<u32, u64>,
    /// With so many tenants those are forgotten that have nothing waiting.
    crowd: usize,
}

impl Fair {
    /// The start tag of a tenant's request of this cost, above 0.
    pub fn tag(&mut self, tenant: u32, cost: u64, weight: u64) -> u64 {
        let last = self.finished.get(&tenant).copied().unwrap_or(0);
        let start = self.now.max(last).max(1);
        let length = (u128::from(cost.max(1)) * u128::from(SCALE)).div_ceil(u128::from(weight));
        let finish = start.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        self.finished.insert(tenant, finish);
        start
    }

    /// The request with this start tag is served now.
    pub fn serve(&mut self, tag: u64) {
        self.now = self.now.max(tag);
        if self.finished.len() > self.crowd.max(64) {
            // Whoever has nothing beyond the virtual time is as good as new.
            let now = self.now;
            self.finished.retain(|_, finish| *finish > now);
            self.crowd = 2 * self.finished.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Serves what waits in order of tags: tenants of these weights with so many requests of these costs each, all there at once.
    fn served(tenants: &[(u64, Vec<u64>)]) -> Vec<(usize, u64)> {
        let mut fair = Fair::default();
        let mut waiting: Vec<(u64, usize, usize, u64)> = Vec::new();
        for (tenant, (weight, costs)) in tenants.iter().enumerate() {
            for (number, cost) in costs.iter().enumerate() {
                waiting.push((fair.tag(tenant as u32, *cost, *weight), number, tenant, *cost));
            }
        }
        waiting.sort_unstable();
        waiting.into_iter().map(|(_, _, tenant, cost)| (tenant, cost)).collect()
    }

    #[test]
    fn a_flood_of_one_tenant_leaves_the_other_its_half() {
        let order = served(&[(1, vec![10; 100]), (1, vec![10; 5])]);
        let first: Vec<usize> = order[..10].iter().map(|(tenant, _)| *tenant).collect();
        assert_eq!(first, [0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
    }

    #[test]
    fn a_tenant_that_was_idle_saves_nothing_up() {
        let mut fair = Fair::default();
        for _ in 0..100 {
            let tag = fair.tag(0, 10, 1);
            fair.serve(tag);
        }
        let (idle, busy) = (fair.tag(1, 10, 1), fair.tag(0, 10, 1));
        assert_eq!(idle, 1 + 99 * 10 * SCALE, "it begins at the virtual time");
        assert_eq!(busy, 1 + 100 * 10 * SCALE);
    }

    proptest! {
        /// The theorem on fairness of the paper: while both wait, work over weight differs by at most a largest request of each.
        #[test]
        fn shares_differ_by_no_more_than_a_request_of_each(
            weights in prop::array::uniform2(1u64..8),
            costs in prop::array::uniform2(prop::collection::vec(1u64..1000, 1..60)),
        ) {
            let tenants: Vec<(u64, Vec<u64>)> = weights.into_iter().zip(costs.clone()).collect();
            let bound: f64 = (0..2).map(|t| *costs[t].iter().max().unwrap() as f64 / weights[t] as f64).sum();
            let (mut got, mut left) = ([0.0f64; 2], [costs[0].len(), costs[1].len()]);
            for (tenant, cost) in served(&tenants) {
                if left.contains(&0) {
                    break;
                }
                got[tenant] += cost as f64 / weights[tenant] as f64;
                left[tenant] -= 1;
                prop_assert!((got[0] - got[1]).abs() <= bound + 0.01, "{got:?} of {bound}");
            }
        }
    }
}
