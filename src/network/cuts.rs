//! Cuts: partitions between groups of sites or of agents, and what they do to messages.
//!
//! While a cut is on, what would cross it is lost or held. What was under way when it fell is lost, or its journey stands
//! still until the heal and then goes on: the time that was left is still to be travelled. (So order is kept on ordered
//! links, and no queue is searched when a cut falls or heals.)
//!
//! The log of falls is the clock of all this: a message notes how many cuts had fallen when it left (its *epoch*), and
//! whether something fell across its way is found out when it is due: usually one comparison, else a look at the falls
//! since. A journey under several cuts stands still for the union of their times; a single cut that loses, loses it.

use super::groups::{Ends, Group};
use crate::kernel::SimTime;
use serde::Serialize;

/// A cut that may fall between two groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Its name.
    pub name: String,
    /// What is sent from here ...
    pub from: Group,
    /// ... to there is cut.
    pub to: Group,
    /// Whether the other direction is cut too.
    pub both_ways: bool,
    /// What happens to messages under way when it falls.
    pub in_flight: InTransit,
    /// What happens to messages sent while it is on: held ones are sent at the heal.
    pub sent: InTransit,
}

/// What a cut does to a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum InTransit {
    /// It is lost.
    #[default]
    Lost,
    /// It waits for the heal.
    Held,
}

impl Cut {
    /// Whether a message from one endpoint to the other would cross it.
    pub fn crosses(&self, ends: &Ends) -> bool {
        ends.cross(&self.from, &self.to, self.both_ways)
    }

    /// Whether it tells agents of one site apart.
    pub fn asks_for_tags(&self) -> bool {
        self.from.asks_for_tags() || self.to.asks_for_tags()
    }

    /// Says what is wrong with it in a network of `sites` sites.
    pub(super) fn check(&self, sites: usize, wrong: &mut dyn FnMut(String)) {
        self.from.check(sites, wrong);
        self.to.check(sites, wrong);
    }
}

/// One fall of a cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Fall {
    cut: u32,
    at: SimTime,
    /// [`SimTime::NEVER`] while it is on.
    healed: SimTime,
}

/// Which cuts are on, and the log of falls.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Cuts {
    /// How often each cut is on: it may be asked to fall again before it heals, and is healed when all have ended.
    depth: Vec<u32>,
    /// The place in the log of each cut's last fall.
    last: Vec<u32>,
    /// The cuts that are on, in the order of their falls.
    on: Vec<u32>,
    /// Every fall, in the order of time.
    log: Vec<Fall>,
}

/// What cuts do to a message that is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// Nothing.
    Free,
    /// They lose it.
    Lost,
    /// This cut holds it.
    Held(u32),
}

/// Which cuts count in [`Cuts::journey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Those that concern a message between these ends.
    Ends,
    /// Of those, the ones that concern every message of the link.
    Link,
}

/// What cuts make of a journey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Journey {
    /// A cut that loses fell across it.
    Lost,
    /// It stands still: this cut is on.
    Standing(u32),
    /// It ends at this time.
    Due(SimTime),
}

impl Cuts {
    /// For so many cuts, none of them on.
    pub fn new(cuts: usize) -> Self {
        Self {
            depth: vec![0; cuts],
            last: vec![0; cuts],
            on: Vec::new(),
            log: Vec::new(),
        }
    }

    /// The number of falls so far.
    #[inline(always)]
    pub fn epoch(&self) -> u32 {
        self.log.len() as u32
    }

    /// Whether any cut is on.
    pub fn any(&self) -> bool {
        !self.on.is_empty()
    }

    /// Whether this cut is on.
    pub fn is_on(&self, cut: u32) -> bool {
        self.depth[cut as usize] > 0
    }

    /// A cut falls. Returns whether it wasn't on already.
    pub fn fall(&mut self, cut: u32, now: SimTime) -> bool {
        self.depth[cut as usize] += 1;
        if self.depth[cut as usize] > 1 {
            return false;
        }
        self.last[cut as usize] = self.epoch();
        self.on.push(cut);
        self.log.push(Fall {
            cut,
            at: now,
            healed: SimTime::NEVER,
        });
        true
    }

    /// A fall ends. Returns whether the cut is healed by that.
    ///
    /// # Panics
    /// Panics if the cut isn't on.
    pub fn heal(&mut self, cut: u32, now: SimTime) -> bool {
        let depth = &mut self.depth[cut as usize];
        assert!(*depth > 0, "cut {cut} heals but never fell");
        *depth -= 1;
        if *depth > 0 {
            return false;
        }
        self.on.retain(|&other| other != cut);
        self.log[self.last[cut as usize] as usize].healed = now;
        true
    }

    /// What happens to a message sent now. Of several cuts in its way one that loses wins; else the one that fell first
    /// holds it.
    pub fn at_send(&self, cuts: &[Cut], ends: &Ends) -> Passage {
        let mut passage = Passage::Free;
        for &cut in self.on.iter().filter(|&&cut| cuts[cut as usize].crosses(ends)) {
            match (cuts[cut as usize].sent, passage) {
                (InTransit::Lost, _) => return Passage::Lost,
                (InTransit::Held, Passage::Free) => passage = Passage::Held(cut),
                (InTransit::Held, _) => {}
            }
        }
        passage
    }

    /// What became of a journey that left at `epoch` and was then due at `due`.
    ///
    /// A fall at the very time at which the journey ends still concerns it: who is delivered first in an instant, is
    /// delivered before the fall, and never asks.
    pub fn journey(&self, cuts: &[Cut], ends: &Ends, whose: Whose, epoch: u32, due: SimTime) -> Journey {
        let (mut due, mut still_until, mut standing) = (due, SimTime::ZERO, None);
        for fall in &self.log[epoch as usize..] {
            if fall.at > due && standing.is_none() {
                break;
            }
            let cut = &cuts[fall.cut as usize];
            if !cut.crosses(ends) || (whose == Whose::Link && cut.asks_for_tags()) {
                continue;
            }
            match cut.in_flight {
                InTransit::Lost => return Journey::Lost,
                InTransit::Held if fall.healed == SimTime::NEVER => standing = standing.or(Some(fall.cut)),
                InTransit::Held => {
                    let from = fall.at.max(still_until);
                    due = due.saturating_add(fall.healed.since(from));
                    still_until = still_until.max(fall.healed);
                }
            }
        }
        standing.map_or(Journey::Due(due), Journey::Standing)
    }

    /// Whether a floor of this time and epoch can't hold anything back any more, now or later.
    pub fn is_past(&self, epoch: u32, floor: SimTime, now: SimTime) -> bool {
        floor <= now && self.log.get(epoch as usize).is_none_or(|fall| fall.at > floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::SiteId;

    fn cut(from: Group, to: Group, both_ways: bool, in_flight: InTransit) -> Cut {
        Cut {
            name: "cut".into(),
            from,
            to,
            both_ways,
            in_flight,
            sent: in_flight,
        }
    }

    fn ends(from: u32, to: u32) -> Ends {
        Ends {
            from: SiteId(from),
            to: SiteId(to),
            from_tag: 100 + from,
            to_tag: 100 + to,
        }
    }

    const fn t(ns: u64) -> SimTime {
        SimTime::from_nanos(ns)
    }

    #[test]
    fn one_way_is_one_way() {
        let groups = || {
            (
                Group::sites([SiteId(0)]),
                Group::Except(Box::new(Group::sites([SiteId(0)]))),
            )
        };
        let one = cut(groups().0, groups().1, false, InTransit::Lost);
        assert!(one.crosses(&ends(0, 1)) && !one.crosses(&ends(1, 0)) && !one.crosses(&ends(0, 0)));
        let both = cut(groups().0, groups().1, true, InTransit::Lost);
        assert!(both.crosses(&ends(0, 1)) && both.crosses(&ends(1, 0)) && !both.crosses(&ends(1, 2)));
    }

    #[test]
    fn agents_of_one_site_can_be_cut_apart() {
        let split = cut(
            Group::Tags([0..5, 7..8].into_iter().collect()),
            Group::tags(5..7),
            true,
            InTransit::Lost,
        );
        let between = |from_tag, to_tag| Ends {
            from: SiteId(0),
            to: SiteId(0),
            from_tag,
            to_tag,
        };
        assert!(split.crosses(&between(1, 5)) && split.crosses(&between(6, 7)));
        assert!(!split.crosses(&between(1, 7)) && !split.crosses(&between(1, 9)));
    }

    #[test]
    fn a_journey_stands_still_for_the_union_of_the_cuts() {
        let all = || cut(Group::All, Group::All, false, InTransit::Held);
        let specs = [all(), all(), all()];
        let mut cuts = Cuts::new(3);
        cuts.fall(0, t(5));
        cuts.fall(1, t(7));
        // Due at 10, five are left when it first stands still.
        assert_eq!(
            cuts.journey(&specs, &ends(0, 1), Whose::Ends, 0, t(10)),
            Journey::Standing(0)
        );
        cuts.heal(0, t(12));
        assert_eq!(
            cuts.journey(&specs, &ends(0, 1), Whose::Ends, 0, t(10)),
            Journey::Standing(1)
        );
        cuts.heal(1, t(20));
        assert_eq!(
            cuts.journey(&specs, &ends(0, 1), Whose::Ends, 0, t(10)),
            Journey::Due(t(25))
        );
        // One more before it gets there, and one too late.
        cuts.fall(2, t(22));
        cuts.heal(2, t(24));
        assert_eq!(
            cuts.journey(&specs, &ends(0, 1), Whose::Ends, 0, t(10)),
            Journey::Due(t(27))
        );
        cuts.fall(0, t(28));
        assert_eq!(
            cuts.journey(&specs, &ends(0, 1), Whose::Ends, 0, t(10)),
            Journey::Due(t(27))
        );
        // Who left between the heal and the next fall knows nothing of the first two.
        assert_eq!(
            cuts.journey(&specs, &ends(0, 1), Whose::Ends, 2, t(21)),
            Journey::Due(t(21))
        );
    }

    #[test]
    fn a_cut_within_a_cut_adds_nothing() {
        let all = || cut(Group::All, Group::All, false, InTransit::Held);
        let specs = [all(), all()];
        let mut cuts = Cuts::new(2);
        cuts.fall(0, t(5));
        cuts.fall(1, t(6));
        cuts.heal(1, t(7));
        cuts.heal(0, t(9));
        assert_eq!(
            cuts.journey(&specs, &ends(0, 1), Whose::Ends, 0, t(8)),
            Journey::Due(t(12))
        );
    }

    #[test]
    fn a_losing_cut_during_the_standstill_loses() {
        let specs = [
            cut(Group::All, Group::All, false, InTransit::Held),
            cut(Group::All, Group::All, false, InTransit::Lost),
        ];
        let mut cuts = Cuts::new(2);
        cuts.fall(0, t(5));
        cuts.fall(1, t(50));
        cuts.heal(1, t(60));
        assert_eq!(cuts.journey(&specs, &ends(0, 1), Whose::Ends, 0, t(10)), Journey::Lost);
        cuts.heal(0, t(70));
        assert_eq!(cuts.journey(&specs, &ends(0, 1), Whose::Ends, 0, t(10)), Journey::Lost);
    }

    #[test]
    fn a_cut_that_falls_twice_heals_once() {
        let specs = [cut(Group::All, Group::All, false, InTransit::Lost)];
        let mut cuts = Cuts::new(1);
        assert!(cuts.fall(0, t(1)));
        assert!(!cuts.fall(0, t(2)));
        assert!(!cuts.heal(0, t(3)));
        assert_eq!(cuts.at_send(&specs, &ends(0, 1)), Passage::Lost);
        assert!(cuts.heal(0, t(4)));
        assert_eq!(cuts.at_send(&specs, &ends(0, 1)), Passage::Free);
    }
}
