//! What replicas say to each other about the log, and what it weighs.

use super::log::Update;
use super::{At, Epoch};
use crate::kernel::SimTime;
use crate::state::{Resolution, wire};
use serde::Serialize;

/// The bytes of an epoch, of a place in a log, of an idempotency key.
const EPOCH_BYTES: u64 = 4;
const PLACE_BYTES: u64 = 8;
const IDENTITY_BYTES: u64 = 8;
/// Those of a lock and its token.
const FENCE_BYTES: u64 = 12;

/// What replicas say to each other.
#[derive(Debug, Clone, Serialize)]
#[serde(bound(serialize = ""))]
pub(in crate::stores) enum Letter<R: Resolution> {
    /// The next updates of the primary's log, if any, and how far it is acknowledged.
    Append {
        epoch: Epoch,
        previous: At,
        updates: Vec<Update<R>>,
        commit: u64,
        /// Where the log ended when the primary took over.
        floor: u64,
        sent: SimTime,
    },
    /// Up to where a backup has the primary's log, and knows that it is acknowledged.
    Confirm {
        epoch: Epoch,
        verified: u64,
        commit: u64,
        /// The first place behind what it lacks, if what came lies behind a gap.
        behind: Option<u64>,
        sent: SimTime,
    },
    /// The backup's log differs before what came; up to here it may be the same. `state`: it has shown what the primary doesn't have.
    Differs { epoch: Epoch, from: u64, state: bool },
    /// Everything that the primary shows.
    State {
        epoch: Epoch,
        image: Image<R>,
        floor: u64,
        sent: SimTime,
    },
    /// The receiver's letter was of an older epoch than this.
    Fenced { epoch: Epoch },
    /// Somebody wants to take over, with a log like this.
    Ask { epoch: Epoch, normal: Epoch, last: u64 },
    /// Whoever sends it follows nobody older; with its log, if that is better.
    Promise {
        epoch: Epoch,
        better: Option<(Epoch, Image<R>)>,
    },
    /// A forwarded request has come, which the receiver knows by this number.
    Taken { number: u64 },
    /// Somebody has lost its state, in this life.
    Lost { life: u16 },
    /// What others have.
    Known {
        life: u16,
        epoch: Epoch,
        is_primary: bool,
        normal: Epoch,
        image: Image<R>,
    },
}

/// All that a replica has: what it shows, and what stands behind that in its log.
#[derive(Debug, Clone, Serialize)]
#[serde(bound(serialize = ""))]
pub(in crate::stores) struct Image<R: Resolution> {
    /// Up to where it shows the log.
    pub(super) at: At,
    pub(super) entries: Vec<(u32, R::Entry)>,
    pub(super) calls: Vec<(u64, u64)>,
    /// The newest token of each lock service.
    pub(super) fences: Vec<(u32, u64)>,
    pub(super) tail: Vec<Update<R>>,
}

impl<R: Resolution> Image<R> {
    /// The last place of the log.
    pub(super) fn last(&self) -> u64 {
        self.at.index + self.tail.len() as u64
    }

    fn size(&self, model: &R, value_bytes: u64) -> u64 {
        let entries = self.entries.iter();
        let entries = entries.map(|(_, entry)| wire::COUNT + model.entry_size(entry).total(value_bytes));
        EPOCH_BYTES
            + PLACE_BYTES
            + 2 * wire::COUNT
            + entries.sum::<u64>()
            + FENCE_BYTES * self.fences.len() as u64
            + (IDENTITY_BYTES + PLACE_BYTES) * self.calls.len() as u64
            + self
                .tail
                .iter()
                .map(|update| update.size(model, value_bytes))
                .sum::<u64>()
    }
}

impl<R: Resolution> Update<R> {
    fn size(&self, model: &R, value_bytes: u64) -> u64 {
        let fence = if self.fence.is_some() { FENCE_BYTES } else { 0 };
        EPOCH_BYTES + IDENTITY_BYTES + fence + wire::COUNT + model.delta_size(&self.delta).total(value_bytes)
    }
}

impl<R: Resolution> Letter<R> {
    /// Its size on the wire, in bytes.
    pub(super) fn size(&self, model: &R, value_bytes: u64) -> u64 {
        EPOCH_BYTES
            + match self {
                Self::Append { updates, .. } => {
                    let updates = updates.iter().map(|update| update.size(model, value_bytes));
                    EPOCH_BYTES + 4 * PLACE_BYTES + updates.sum::<u64>()
                }
                Self::Confirm { .. } => 4 * PLACE_BYTES,
                Self::Differs { .. } => PLACE_BYTES + 1,
                Self::State { image, .. } => 2 * PLACE_BYTES + image.size(model, value_bytes),
                Self::Fenced { .. } => 0,
                Self::Ask { .. } => EPOCH_BYTES + PLACE_BYTES,
                Self::Promise { better, .. } => {
                    let better = better.as_ref();
                    better.map_or(1, |(_, image)| 1 + EPOCH_BYTES + image.size(model, value_bytes))
                }
                Self::Lost { .. } => 2,
                Self::Taken { .. } => PLACE_BYTES,
                Self::Known { image, .. } => 2 + EPOCH_BYTES + 1 + image.size(model, value_bytes),
            }
    }
}
