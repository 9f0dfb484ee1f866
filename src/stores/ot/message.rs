//! What travels between replicas and their server, and what it weighs.

use crate::state::ot::{Edit, Revision};
use crate::state::{Origin, wire};
use serde::Serialize;

/// Bytes that name a key, a revision, an epoch or a life.
const NUMBER: u64 = wire::COUNT;
/// Bytes by which a replica knows its own batch again.
const WORD: u64 = wire::DOT;

/// A message. All say in which epoch: how often the server had lost its history.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::stores) enum Message {
    /// A replica submits a batch that it made at a revision.
    Submit {
        epoch: u32,
        life: u16,
        key: u32,
        revision: u32,
        edits: Vec<Edit>,
    },
    /// The server tells revisions, from this one on, to a replica that is in this life, as far as it knows.
    Tell {
        epoch: u32,
        life: u16,
        key: u32,
        first: u32,
        revisions: Vec<Revision>,
    },
    /// A replica has so many revisions.
    Have {
        epoch: u32,
        life: u16,
        key: u32,
        revision: u32,
    },
    /// A replica has lost its state, and wants everything.
    Greet { life: u16 },
    /// The server has lost its history, and wants what is known of it.
    Recall { epoch: u32 },
    /// A replica says what it knows of the history.
    Restore {
        epoch: u32,
        life: u16,
        logs: Vec<(u32, Vec<Revision>)>,
    },
}

impl Message {
    /// The bytes of the message to a replica of this origin. Of a batch of its own the receiver gets a mere word: it has what the server
    /// made of it, since both have transformed it against the same (it is in the message for a replica that lost its state).
    pub fn bytes(&self, to: Origin) -> u64 {
        let edits = |edits: &[Edit]| wire::COUNT + edits.iter().map(Edit::bytes).sum::<u64>();
        let revision = |revision: &Revision| match revision.first() {
            Some(first) if first.dot.origin == to => WORD,
            _ => edits(revision),
        };
        match self {
            Self::Submit { edits: batch, .. } => 4 * NUMBER + edits(batch),
            Self::Tell { revisions, .. } => 4 * NUMBER + wire::COUNT + revisions.iter().map(revision).sum::<u64>(),
            Self::Have { .. } => 4 * NUMBER,
            Self::Greet { .. } | Self::Recall { .. } => NUMBER,
            Self::Restore { logs, .. } => {
                let log = |log: &[Revision]| log.iter().map(|revision| edits(revision)).sum::<u64>();
                let logs = logs.iter().map(|(_, all)| NUMBER + wire::COUNT + log(all));
                2 * NUMBER + wire::COUNT + logs.sum::<u64>()
            }
        }
    }
}
