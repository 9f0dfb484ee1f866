//! What coordinators and desks say to each other.

use crate::coordination::member::Saying;
use crate::coordination::shared::Shared;
use crate::kernel::Words;
use crate::state::content::content_hash;
use serde::Serialize;
use std::collections::BTreeMap;

/// Something that is to be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Case {
    /// What it is: whoever is asked twice answers the same.
    pub identity: u64,
    /// Its magnitude, by which competence goes, and what it takes of a quota.
    pub value: u64,
    /// The system whose matter it is.
    pub system: u32,
    /// Its size.
    pub bytes: u32,
}

/// What is written down about a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The case, by its identity.
    pub identity: u64,
    /// Its magnitude.
    pub value: u64,
    /// Whether it is granted.
    pub granted: bool,
    /// The member that decided it, here; `None`: it was decided elsewhere, and doesn't count here.
    pub by: Option<u32>,
    /// The position whose decision stands.
    pub stands: u32,
}

/// Which of several decisions on one case stands: a grant over a denial, since somebody may act on it; else that of the position with the
/// lowest number. Whoever compares them in whatever order comes to the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Whether it grants.
    pub granted: bool,
    /// The position.
    pub at: u32,
}

impl Standing {
    /// Whether it stands over another one.
    pub fn is_over(&self, other: &Self) -> bool {
        (!self.granted, self.at) < (!other.granted, other.at)
    }
}

impl Entry {
    /// What stands.
    pub fn standing(&self) -> Standing {
        Standing {
            granted: self.granted,
            at: self.stands,
        }
    }
}

/// Sums over decisions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// How many.
    pub decided: u64,
    /// How many of them grant.
    pub granted: u64,
    /// The magnitudes of those.
    pub value: u64,
}

impl Totals {
    /// What one entry adds.
    pub fn of(entry: &Entry) -> Self {
        match entry.by {
            None => Self::default(),
            Some(_) => Self {
                decided: 1,
                granted: u64::from(entry.granted),
                value: if entry.granted { entry.value } else { 0 },
            },
        }
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            decided: self.decided + other.decided,
            granted: self.granted + other.granted,
            value: self.value + other.value,
        }
    }

    /// This without something that is in it.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self {
            decided: self.decided - other.decided,
            granted: self.granted - other.granted,
            value: self.value - other.value,
        }
    }
}

/// What is known of a position and, unless parts of its children stand beside it, of all below it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Part {
    /// The position.
    pub position: u32,
    /// Which of two is the later: the epoch of whoever says it, and a number that ascends.
    pub version: (u64, u64),
    /// Nothing is left out that was decided before, by the clocks of coordinators.
    pub as_of: i64,
    /// The sums.
    pub totals: Totals,
}

/// What they say to each other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Word {
    /// Decide this.
    Case(Case),
    /// It is decided.
    Verdict {
        /// What.
        identity: u64,
        /// How, and by whom.
        decision: Standing,
    },
    /// I am there, and coordinate this position.
    Beat {
        /// The position.
        position: u32,
        /// Of those that ever coordinated it, which.
        epoch: u64,
    },
    /// Somebody coordinates your position who came later than you.
    Objection {
        /// The later epoch.
        epoch: u64,
    },
    /// The one that I stand under is silent: take me.
    Attach,
    /// The one that I stand under is back.
    Leave,
    /// To the deputy: what I have written down, and that I am there.
    Copy {
        /// The sender's epoch.
        epoch: u64,
        /// The number of the first entry in the sender's log, and of the one after the last.
        range: (u64, u64),
        /// The entries.
        entries: Shared<Vec<Entry>>,
        /// What it knows of its children.
        known: Shared<Vec<Part>>,
    },
    /// I have your log so far.
    Copied {
        /// The epoch of whose log it is.
        epoch: u64,
        /// How many entries.
        upto: u64,
    },
    /// To the other one of a position: what I have written down that you may not have, and a part of my quota, which is yours now.
    Handover {
        /// The sender's number for it, ascending.
        number: u64,
        /// The entries.
        entries: Shared<Vec<Entry>>,
        /// What is left of the quota.
        free: u64,
        /// What was granted beyond it.
        over: u64,
        /// Whether it is for the deputy to keep.
        reserve: bool,
        /// Whether the sender is active.
        active: bool,
    },
    /// I have that.
    Taken {
        /// Which handover.
        number: u64,
    },
    /// Sums so far, of the sender first.
    Report(Shared<Vec<Part>>),
    /// I need more of the quota.
    Want {
        /// How much it has had of the receiver in all.
        seen: u64,
        /// How much more it needs.
        need: u64,
    },
    /// You have had so much of me.
    Grant {
        /// How much, in all.
        total: u64,
        /// Whether there is no more.
        dry: bool,
    },
    /// This was decided elsewhere: if you have decided it, take it back.
    Void {
        /// What.
        case: Case,
        /// What was decided, and where.
        decision: Standing,
    },
    /// I have seen to it.
    Voided {
        /// What.
        identity: u64,
        /// What was decided elsewhere.
        decision: Standing,
    },
}

const HEADER: u32 = 48;
const ENTRY: u32 = 24;
const PART: u32 = 48;

impl Saying for Word {
    const KINDS: &'static [&'static str] = &[
        "case",
        "verdict",
        "beat",
        "objection",
        "attach",
        "leave",
        "copy",
        "copied",
        "handover",
        "taken",
        "report",
        "want",
        "grant",
        "void",
        "voided",
    ];

    fn kind(&self) -> u16 {
        match self {
            Self::Case(_) => 0,
            Self::Verdict { .. } => 1,
            Self::Beat { .. } => 2,
            Self::Objection { .. } => 3,
            Self::Attach => 4,
            Self::Leave => 5,
            Self::Copy { .. } => 6,
            Self::Copied { .. } => 7,
            Self::Handover { .. } => 8,
            Self::Taken { .. } => 9,
            Self::Report(_) => 10,
            Self::Want { .. } => 11,
            Self::Grant { .. } => 12,
            Self::Void { .. } => 13,
            Self::Voided { .. } => 14,
        }
    }

    fn bytes(&self) -> u32 {
        let several = |count: usize, each: u32| (count as u32).saturating_mul(each);
        HEADER
            + match self {
                Self::Case(case) => case.bytes,
                Self::Copy { entries, known, .. } => several(entries.len(), ENTRY) + several(known.len(), PART),
                Self::Handover { entries, .. } => several(entries.len(), ENTRY),
                Self::Report(parts) => several(parts.len(), PART),
                _ => 0,
            }
    }

    fn digest(&self, words: &mut Words) {
        words.push(content_hash(self));
    }
}

/// What is known of positions below: of each the latest.
pub type Known = BTreeMap<u32, Part>;
