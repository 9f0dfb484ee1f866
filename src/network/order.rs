//! Order on links: no message is delivered before one that went before it, per link or per pair of agents.
//!
//! What is kept is a *floor*: the latest delivery so far. Cuts that hold move the deliveries behind a floor, and the floor
//! moves with them: it is a journey like any other ([`Cuts::journey`](super::cuts::Cuts::journey)), so nothing is searched
//! here either. A cut that holds the messages of some agents only can't move the floor of a whole link; where there is one,
//! links keep order for each pair as well, and order on the link holds among the messages that are held alike.

use super::cuts::{Journey, Whose};
use super::spec::Fifo;
use super::{Network, Outgoing};
use crate::kernel::{SimDuration, SimTime};
use serde::Serialize;

/// The latest time at which anything before was to be delivered, and the epoch in which that was said.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Floor {
    pub(super) at: SimTime,
    epoch: u32,
}

impl Network {
    /// The earliest time at which order allows the message to be delivered.
    pub(super) fn floor(&mut self, m: &Outgoing, link: u32, fifo: Fifo) -> SimTime {
        let of_link = match fifo {
            Fifo::PerLink => self.moved_floor(m, self.links[link as usize].floor, Whose::Link),
            _ => SimTime::ZERO,
        };
        if !self.keeps_pairs(fifo) {
            return of_link;
        }
        let floor = self.floors.get(m.pair).unwrap_or_default();
        of_link.max(self.moved_floor(m, floor, Whose::Ends))
    }

    /// A floor, moved by the cuts that held the journey that it comes from.
    fn moved_floor(&self, m: &Outgoing, floor: Floor, whose: Whose) -> SimTime {
        if floor.epoch == self.cuts.epoch() {
            return floor.at;
        }
        match self
            .cuts
            .journey(&self.spec.cuts, &m.ends(), whose, floor.epoch, floor.at)
        {
            Journey::Due(at) if at == floor.at => at,
            // A journey that stood still is scheduled anew, and so comes after others of its new time: leave it its own.
            Journey::Due(at) => at.saturating_add(SimDuration::from_nanos(1)),
            // Whatever was under way here is lost: there is nothing left to overtake.
            Journey::Lost => SimTime::ZERO,
            // A cut that is on would have stopped the message itself.
            Journey::Standing(_) => floor.at,
        }
    }

    fn keeps_pairs(&self, fifo: Fifo) -> bool {
        fifo == Fifo::PerPair || (fifo == Fifo::PerLink && self.floors_for_all)
    }

    /// Notes that order holds back what follows until `at`.
    pub(super) fn raise_floor(&mut self, m: &Outgoing, link: u32, fifo: Fifo, at: SimTime) {
        let floor = Floor {
            at,
            epoch: self.cuts.epoch(),
        };
        if fifo == Fifo::PerLink {
            self.links[link as usize].floor = floor;
        }
        if self.keeps_pairs(fifo) {
            if self.floors.is_nearly_full() {
                let cuts = &self.cuts;
                self.floors.retain(|floor| !cuts.is_past(floor.epoch, floor.at, m.now));
            }
            self.floors.set(m.pair, floor);
        }
    }
}
