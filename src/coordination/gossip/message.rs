//! What members who gossip say to each other.

use crate::coordination::member::Saying;
use crate::kernel::Words;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// An item on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its identity.
    pub id: u64,
    /// A word of content.
    pub value: u64,
    /// Its size on the wire.
    pub bytes: u32,
    /// Through how many hands it has come.
    pub hops: u32,
}

/// Several items: one lies inline.
pub type Items = SmallVec<[Item; 1]>;

/// Which items a member has: runs of identities, ascending, first and last of each.
pub type Runs = SmallVec<[(u64, u64); 1]>;

/// Of items that somebody was told of: whether they were needed.
pub type Verdicts = SmallVec<[(u64, bool); 1]>;

/// What members say to each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Talk {
    /// Here is what I tell, and, if I ask, what have you that isn't among it?
    Push {
        /// The round.
        round: u32,
        /// Whether the sender asks.
        asks: bool,
        /// What it tells.
        items: Items,
    },
    /// What have you that I haven't?
    Ask {
        /// The round.
        round: u32,
        /// What the sender has; of rumours it says nothing.
        has: Runs,
    },
    /// Here is what you asked for, and what I think of what you told.
    Answer {
        /// The round that was asked in.
        round: u32,
        /// What the sender tells.
        items: Items,
        /// What was needed of the other's.
        verdicts: Verdicts,
    },
    /// What was needed of what you told.
    Feedback {
        /// Whether that was told in an answer.
        of_answer: bool,
        /// What was needed.
        verdicts: Verdicts,
    },
    /// Anti-entropy begins: this is what I have.
    Compare {
        /// What the sender has.
        has: Runs,
    },
    /// What you lack, and what I do.
    Missing {
        /// What the other lacks.
        items: Items,
        /// What the sender lacks.
        wanted: Runs,
    },
}

/// What says of what kind a message is, and the round.
const HEAD: usize = 8;

fn bytes_of(items: &Items) -> usize {
    // Identity and hops, and what it says.
    items.iter().map(|item| 12 + item.bytes as usize).sum()
}

impl Saying for Talk {
    const KINDS: &'static [&'static str] = &["push", "ask", "answer", "feedback", "compare", "missing"];

    fn kind(&self) -> u16 {
        match self {
            Self::Push { .. } => 0,
            Self::Ask { .. } => 1,
            // What says nothing but what was needed is feedback, whatever else it could have said.
            Self::Answer { items, .. } if items.is_empty() => 3,
            Self::Answer { .. } => 2,
            Self::Feedback { .. } => 3,
            Self::Compare { .. } => 4,
            Self::Missing { .. } => 5,
        }
    }

    fn bytes(&self) -> u32 {
        let content = match self {
            Self::Push { items, .. } => bytes_of(items),
            Self::Ask { has, .. } | Self::Compare { has } => 16 * has.len(),
            Self::Answer { items, verdicts, .. } => bytes_of(items) + 9 * verdicts.len(),
            Self::Feedback { verdicts, .. } => 9 * verdicts.len(),
            Self::Missing { items, wanted } => bytes_of(items) + 16 * wanted.len(),
        };
        u32::try_from(HEAD + content).unwrap_or(u32::MAX)
    }

    fn digest(&self, words: &mut Words) {
        let tell = |words: &mut Words, items: &Items| {
            words.push(items.len() as u64);
            for item in items {
                words.push_all([item.id, item.value, u64::from(item.bytes) << 32 | u64::from(item.hops)]);
            }
        };
        let runs = |words: &mut Words, runs: &Runs| {
            words.push(runs.len() as u64);
            for (first, last) in runs {
                words.push_all([*first, *last]);
            }
        };
        let judge = |words: &mut Words, verdicts: &Verdicts| {
            words.push(verdicts.len() as u64);
            for (id, needed) in verdicts {
                words.push_all([*id, u64::from(*needed)]);
            }
        };
        let head = |about: u64| u64::from(self.kind()) << 48 | about;
        match self {
            Self::Push { round, asks, items } => {
                words.push(head(u64::from(*asks) << 32 | u64::from(*round)));
                tell(words, items);
            }
            Self::Ask { round, has } => {
                words.push(head((*round).into()));
                runs(words, has);
            }
            Self::Answer { round, items, verdicts } => {
                words.push(head((*round).into()));
                tell(words, items);
                judge(words, verdicts);
            }
            Self::Feedback { of_answer, verdicts } => {
                words.push(head((*of_answer).into()));
                judge(words, verdicts);
            }
            Self::Compare { has } => {
                words.push(head(0));
                runs(words, has);
            }
            Self::Missing { items, wanted } => {
                words.push(head(0));
                tell(words, items);
                runs(words, wanted);
            }
        }
    }
}
