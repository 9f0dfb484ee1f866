//! What members who probe each other say.

use super::roster::State;
use crate::coordination::member::Saying;
use crate::kernel::Words;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// News of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// Of whom.
    pub about: u32,
    /// What it is.
    pub state: State,
    /// In which of its incarnations.
    pub incarnation: u32,
}

/// Several pieces of news.
pub type Updates = SmallVec<[Update; 2]>;

/// What members say to each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Talk {
    /// Are you there?
    Ping {
        /// The sender's number for it.
        number: u32,
        /// What rides on it.
        updates: Updates,
    },
    /// Ask this one whether it is there.
    PingReq {
        /// The sender's number for its probe.
        number: u32,
        /// Whom to ask.
        target: u32,
        /// What rides on it.
        updates: Updates,
    },
    /// I am, or whom you had me ask is.
    Ack {
        /// The number of the ping or of the request.
        number: u32,
        /// What rides on it.
        updates: Updates,
    },
    /// This is all that I know of the group.
    Sync {
        /// Whether the sender wants the same in return.
        asks: bool,
        /// What it knows, itself included.
        updates: Updates,
    },
}

impl Saying for Talk {
    const KINDS: &'static [&'static str] = &["ping", "ping-req", "ack", "sync"];

    fn kind(&self) -> u16 {
        match self {
            Self::Ping { .. } => 0,
            Self::PingReq { .. } => 1,
            Self::Ack { .. } => 2,
            Self::Sync { .. } => 3,
        }
    }

    fn bytes(&self) -> u32 {
        // A head of kind and number, and for each piece of news member, state and incarnation.
        let (head, updates) = match self {
            Self::Ping { updates, .. } | Self::Ack { updates, .. } => (8, updates),
            Self::PingReq { updates, .. } => (12, updates),
            Self::Sync { updates, .. } => (8, updates),
        };
        head + 9 * updates.len() as u32
    }

    fn digest(&self, words: &mut Words) {
        let (number, word, updates) = match self {
            Self::Ping { number, updates } | Self::Ack { number, updates } => (*number, 0, updates),
            Self::PingReq {
                number,
                target,
                updates,
            } => (*number, *target, updates),
            Self::Sync { asks, updates } => (u32::from(*asks), 0, updates),
        };
        words.push(u64::from(number) << 32 | u64::from(word));
        words.push(u64::from(self.kind()) << 32 | updates.len() as u64);
        for update in updates {
            let state = u64::from(update.incarnation) << 2 | update.state as u64;
            words.push_all([update.about.into(), state]);
        }
    }
}
