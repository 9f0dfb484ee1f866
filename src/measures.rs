//! Floor 4: measures: observers of records.

pub mod shared_state;

use crate::world::record::{Batch, Mask, Observer};
use std::sync::{Arc, Mutex, PoisonError};

/// An observer that somebody else holds on to, to read its results once the run is over.
impl<O: Observer> Observer for Arc<Mutex<O>> {
    fn wants(&self) -> Mask {
        self.lock().unwrap_or_else(PoisonError::into_inner).wants()
    }

    fn batch(&mut self, batch: Batch<'_>) {
        self.lock().unwrap_or_else(PoisonError::into_inner).batch(batch);
    }
}
