//! A hierarchy: coordinators in tiers, who decide what is within their competence, escalate what isn't, and report sums upwards.
//!
//! In reading order: [`Tree`] is who stands under whom; [`message`] is what travels; `desk` is what agents ask; `coordinator` is a coordinator's
//! state and how it hears; `cases` decides and escalates; `quota` hands out what may be granted; `uplink` knows whom one stands under, and
//! what one does when that one is silent; `standby` is deputies; `books` are logs and sums.
//!
//! Members are numbered: one for each position of the tree, then as many deputies, if there are such, then a desk for each site.
//!
//! Guarantees, whatever is lost, doubled, delayed or reordered, as long as no disk is lost: a case that an agent waits for is answered once the
//! network is whole and all are up; then it counts once in the sums at the root, however many had decided it; nobody grants more of a quota than it was
//! given, unless it is cut off from above and [`Alone::GoOn`] says so.

mod books;
mod cases;
mod coordinator;
mod desk;
pub mod message;
mod quota;
mod standby;
#[cfg(test)]
mod tests;
mod tree;
mod uplink;

pub use coordinator::Coordinator;
pub use desk::Desk;
pub use message::Word;
pub use tree::Tree;

use super::member::{Input, Io, Member, Saying, event};
use super::spec::PatternInfo;
use crate::random::Law;
use serde::Serialize;

/// The pattern's page in the reference.
pub const INFO: PatternInfo = PatternInfo {
    name: "Hierarchy",
    title: "Hierarchy",
    kinds: <Word as Saying>::KINDS,
    doc: "\
Coordinators in tiers: a root, those under it, and so on down to the leaves, at any depth and fan-out. `tiers` writes them tier by tier, from the root
down; `nodes` one by one, each with whom it stands `under`. At each site there is a desk, which is what agents there ask: it hands what they submit to the nearest leaf,
of several that are equally near each agent has one of its own, in turn.

*Competence.* A submission has a magnitude, its `value`. A coordinator decides what is up to its tier's `limit`, and everything if its tier has none; the root decides
everything. What is beyond it goes up, from parent to parent, until somebody may decide; the answer travels back the same way. A decision takes `decides` of a coordinator's time, which
does one after the other, in the order in which they came; passing on takes none.

*Reports.* Each `report` a coordinator tells its parent the sums over what was decided at and below it: one message for each child and period, merged on the way. Sums are
cumulative and numbered, so lost, doubled and reordered reports do no harm. With `failover: Sibling` a report has a part for each child.

*Quota.* With `quota` there is a `total` that grants draw on by their magnitude. The root has it, several roots in equal parts; whoever below needs some asks its parent for more, which
gives what is needed or `lease`, whichever is more, of what it has, and asks its own parent if that is too little. Where that is too little, what there is comes down all the same, and
what doesn't fit is denied once the root has nothing left. Leases aren't called back. Without a quota everything is granted.

*Cut off.* Who hears nothing of its parent for `cut_off` is alone. With `alone: Stop` what needs the parent waits. With `alone: GoOn` it decides what waits and what comes itself, beyond its limit and beyond
what it was given. On return what was granted beyond is covered from above, as far as that goes; what isn't covered was promised twice.

*What several decide.* A case that was sent to several, or sent up and then decided alone, may be decided more than once. Whoever finds that out tells the others, and all but one take
their decision back, with what it took of the quota: a grant stands over a denial, since somebody may act on it, else the decision of the first in the tree.

*Failover.* Coordinators beat every `heartbeat`. With `failover: Deputy` each has a deputy, at `deputies`, which has its log as of the last heartbeat that came through; one that hears nothing for
`after` takes over. The other one, once it is back, steps down for the later epoch, and hands over what it had decided since, and what is left of its quota; what both had decided counts
once. A deputy of the root holds the share `reserve` of the quota from the beginning, so that two who are active at once never grant the same twice; other deputies ask
the parent. With `failover: Sibling` who hears nothing of its parent goes to the parent's next sibling until the parent is back; children of a root have nobody to go to. With `failover: None` all wait.

*Federation.* Several roots are several systems, joined by gateways: roots talk to each other. The share `abroad` of the submissions is a matter of another system: it goes up to the root, across, is decided by the other root, and
answered the same way.

A crash keeps the disk, unless a fault takes the state: then what the coordinator had decided, what it had of the quota and what it had to do are gone; those who wait send again.
An answer is yes if it is granted.

Costs: two messages for a case and its answer, and two for each escalation; a beat for each child (and its deputy) and `heartbeat`; a report for each child and `report`. What
reaches the root doesn't grow with the number of agents, but with its children and with what is beyond the competence of those below.
",
};

/// The events of coordinators, beside those of all protocols.
///
/// [`event::DECIDED`] is a coordinator's decision; its word is 0, extra: its tier, and from bit 8 on how long it took, in
/// nanoseconds. [`event::LEADS`] and [`event::YIELDS`] are of roots alone.
pub mod notes {
    use super::event;
    /// A coordinator sends a case up. About: its identity; word: the coordinator's tier.
    pub const ESCALATES: u16 = event::OWN;
    /// A member coordinates a position. About: the position; word: the epoch.
    pub const COVERS: u16 = event::OWN + 1;
    /// A member coordinates a position no more. About: the position; word: the epoch.
    pub const UNCOVERS: u16 = event::OWN + 2;
    /// A coordinator takes a child of a silent sibling. About: the child, by its number.
    pub const ADOPTS: u16 = event::OWN + 3;
    /// A root looks at the sums. About: how many decisions; word: the magnitude granted; extra: how old the oldest part is, in nanoseconds.
    pub const TOTALS: u16 = event::OWN + 4;
    /// Granted beyond what was given. About: the case, or 0 for what was given on; word: by how much.
    pub const OVER: u16 = event::OWN + 5;
    /// That is covered. Word: how much of it.
    pub const COVERED: u16 = event::OWN + 6;
    /// That isn't covered: there is no more. Word: how much.
    pub const UNCOVERED: u16 = event::OWN + 7;
    /// A decision is taken back, since somebody else decided the same. About: its identity; word: 1 if they differ.
    pub const RECONCILED: u16 = event::OWN + 8;
    /// A coordinator goes on alone. About: its position.
    pub const ALONE: u16 = event::OWN + 9;
    /// It isn't alone any more. About: its position.
    pub const REJOINS: u16 = event::OWN + 10;
    /// A root sends a case to another system. About: its identity.
    pub const ABROAD: u16 = event::OWN + 11;
}

/// What a tier's coordinators may do.
#[derive(Debug, Clone, PartialEq)]
pub struct Tier {
    /// Up to which magnitude they decide themselves; `None`: everything.
    pub limit: Option<u64>,
    /// How long a decision takes, in nanoseconds.
    pub decides: Law,
}

/// What is to be handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// All of it: what the roots have together. Each has an equal part, the first ones one more if it doesn't come out even.
    pub total: u64,
    /// How much is given at a time, at least.
    pub lease: u64,
    /// How much of a root's part its deputy holds.
    pub reserve: u64,
}

/// What a coordinator does that is cut off from its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Alone {
    /// What needs the parent waits.
    Stop,
    /// It decides itself.
    GoOn,
}

/// What becomes of a position whose coordinator is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Failover {
    /// Nothing.
    None,
    /// Its deputy takes over.
    Deputy,
    /// Its children go to a sibling.
    Sibling,
}

/// What all members share. Times are in nanoseconds of the member's own clock.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// Who stands under whom.
    pub tree: Tree,
    /// What coordinators may do.
    pub tiers: Vec<Tier>,
    /// By position, which of these it is.
    pub ranks: Vec<u32>,
    /// The names of the tiers, from the root down.
    pub names: Vec<String>,
    /// For each desk the leaves that it hands submissions to.
    pub desks: Vec<Vec<u32>>,
    /// For each position the desks that hand it submissions: by their numbers among desks.
    pub served: Vec<Vec<u32>>,
    /// The part of the submissions that is another system's matter.
    pub abroad: f64,
    /// How long somebody waits for an answer before it asks again; doubled each time, up to eight times as long.
    pub patience: i64,
    /// How often sums are reported; `None`: never.
    pub report: Option<i64>,
    /// What is handed out.
    pub quota: Option<Quota>,
    /// What becomes of those that are cut off.
    pub alone: Alone,
    /// After how long without a word of the parent one is cut off.
    pub cut_off: i64,
    /// What becomes of the positions of those that are silent.
    pub failover: Failover,
    /// The time between two beats.
    pub heartbeat: i64,
    /// After how long without a beat somebody is silent.
    pub after: i64,
    /// What is wrong with all members.
    pub flaw: Flaw,
}

/// Mistakes that a test plants in all members, to see that its checks find them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub enum Flaw {
    /// None.
    #[default]
    None,
    /// Nobody takes back what somebody else decided as well.
    CountsTwice,
    /// A deputy takes over what the other one has of the quota as well.
    InheritsLease,
    /// A case that comes again is decided again.
    ForgetsDecided,
}

impl Rules {
    /// A hierarchy of this tree in which every tier decides up to these limits, in no time, and each leaf has a desk.
    pub fn new(tree: Tree, limits: &[Option<u64>]) -> Self {
        const MS: i64 = 1_000_000;
        let tiers = limits.iter().map(|limit| Tier {
            limit: *limit,
            decides: Law::Constant(0.0),
        });
        let leaves: Vec<Vec<u32>> = (0..tree.len())
            .filter(|at| tree.is_leaf(*at))
            .map(|at| vec![at])
            .collect();
        let mut rules = Self {
            tiers: tiers.collect(),
            names: (0..tree.depth()).map(|tier| format!("tier{tier}")).collect(),
            ranks: (0..tree.len()).map(|at| tree.tier(at)).collect(),
            served: Vec::new(),
            desks: Vec::new(),
            abroad: 0.0,
            patience: 1_000 * MS,
            report: None,
            quota: None,
            alone: Alone::Stop,
            cut_off: 4_000 * MS,
            failover: Failover::None,
            heartbeat: 500 * MS,
            after: 2_000 * MS,
            flaw: Flaw::None,
            tree,
        };
        rules.set_desks(leaves);
        rules
    }

    /// For each desk the leaves that it hands submissions to.
    pub fn set_desks(&mut self, desks: Vec<Vec<u32>>) {
        self.served = vec![Vec::new(); self.tree.len() as usize];
        for (desk, leaves) in (0u32..).zip(&desks) {
            // In turn, a desk goes to the siblings of its leaves as well; but only what attaches is told of beats.
            for leaf in leaves {
                self.served[*leaf as usize].push(desk);
            }
        }
        self.desks = desks;
    }

    /// The number of the first desk.
    pub fn first_desk(&self) -> u32 {
        match self.failover {
            Failover::Deputy => 2 * self.tree.len(),
            _ => self.tree.len(),
        }
    }

    /// How many members there are.
    pub fn members(&self) -> u32 {
        self.first_desk() + self.desks.len() as u32
    }

    /// The position that a member fills or is the deputy of; `None`: it is a desk.
    pub fn position(&self, member: u32) -> Option<u32> {
        (member < self.first_desk()).then(|| member % self.tree.len())
    }

    /// Those that may coordinate a position.
    pub fn fill(&self, position: u32) -> impl Iterator<Item = u32> + use<> {
        let (deputies, count) = (u32::from(self.failover == Failover::Deputy), self.tree.len());
        (0..=deputies).map(move |place| place * count + position)
    }

    /// Whether the coordinator of a position may decide a case.
    pub(super) fn is_competent(&self, position: u32, case: &message::Case) -> bool {
        if self.tree.system(position) != case.system {
            return false;
        }
        let limit = self.tiers[self.ranks[position as usize] as usize].limit;
        self.tree.parent(position).is_none() || limit.is_none_or(|limit| case.value <= limit)
    }

    /// How long somebody waits for an answer that has asked so often.
    pub(super) fn waits(&self, asked: u32) -> i64 {
        self.patience.saturating_mul(1 << asked.saturating_sub(1).min(3))
    }
}

/// A member of a hierarchy.
#[derive(Debug, Clone, Serialize)]
pub enum Node {
    /// A coordinator, or a deputy.
    Coordinator(Box<Coordinator>),
    /// A desk.
    Desk(Box<Desk>),
}

impl Node {
    /// The member with this number.
    pub fn new(rules: &Rules, number: u32) -> Self {
        match rules.position(number) {
            Some(position) => Self::Coordinator(Box::new(Coordinator::new(rules, number, position))),
            None => Self::Desk(Box::new(Desk::new(rules, number))),
        }
    }

    /// The coordinator, if it is one.
    pub fn coordinator(&self) -> Option<&Coordinator> {
        match self {
            Self::Coordinator(coordinator) => Some(coordinator),
            Self::Desk(_) => None,
        }
    }
}

impl Member for Node {
    type Rules = Rules;
    type Message = Word;

    fn on(&mut self, rules: &Rules, input: Input<Word>, io: &mut Io<'_, Word>) {
        match self {
            Self::Coordinator(coordinator) => coordinator.on(rules, input, io),
            Self::Desk(desk) => desk.on(rules, input, io),
        }
    }

    fn due(&self, _: i64) -> i64 {
        match self {
            Self::Coordinator(coordinator) => coordinator.due(),
            Self::Desk(desk) => desk.due(),
        }
    }

    fn crash(&mut self, rules: &Rules, keeps_disk: bool) {
        match self {
            Self::Coordinator(coordinator) => coordinator.crash(rules, keeps_disk),
            Self::Desk(desk) => desk.crash(rules, keeps_disk),
        }
    }

    fn is_at_rest(&self) -> bool {
        match self {
            Self::Coordinator(coordinator) => coordinator.is_at_rest(),
            Self::Desk(desk) => desk.is_at_rest(),
        }
    }
}
