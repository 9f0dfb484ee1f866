//! What gateways passed on, by the records alone, and where the time of a request went that others took.

use crate::services::service::passed;
use crate::world::record::{Record, What};
use std::collections::BTreeMap;

/// An answer that a gateway used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Used {
    /// When it was used.
    pub at: u64,
    pub server: u32,
    pub times: [u64; 10],
}

/// A call that a gateway made.
#[derive(Debug, Clone, Default)]
pub(super) struct Passage {
    /// When its first attempt left.
    pub began: u64,
    /// When attempts left.
    pub sent: Vec<u64>,
    pub used: Option<Used>,
}

/// What is known of all gateways.
#[derive(Debug, Clone, Default)]
pub(super) struct Gateways {
    calls: BTreeMap<u64, Passage>,
    /// For each gateway and call that it was asked by, the calls that it made for it, and since when it could have.
    made: BTreeMap<(u32, u64), Vec<(u64, u64)>>,
}

impl Gateways {
    /// A record about a gateway.
    pub fn see(&mut self, record: &Record, extra: &[u64]) {
        let now = record.time.as_nanos();
        match record.what {
            What::PassedOn => {
                self.begins(record, extra);
                self.calls.entry(record.a).or_default().sent.push(now);
            }
            // It begins with what was never sent.
            What::PassedBack if record.c == passed::REJECTED => self.begins(record, extra),
            What::PassedBack if record.c == passed::USED => {
                if let Some(call) = self.calls.get_mut(&record.a)
                    && let Ok(times) = extra.try_into()
                {
                    call.used = Some(Used {
                        at: now,
                        server: record.b as u32,
                        times,
                    });
                }
            }
            _ => {}
        }
    }

    /// A gateway makes a call, unless it has begun to before.
    fn begins(&mut self, record: &Record, extra: &[u64]) {
        if self.calls.contains_key(&record.a) {
            return;
        }
        let call = self.calls.entry(record.a).or_default();
        call.began = record.time.as_nanos();
        for pair in extra.chunks_exact(2) {
            let made = self.made.entry((record.subject, pair[0])).or_default();
            made.push((record.a, pair[1]));
        }
    }

    /// A gateway's own call, whose answer it has used, and since when it could have made that for the call `of` that it was asked by:
    /// several times where copies of a request were passed on together.
    pub fn used(&self, own: u64, gateway: u32, of: u64) -> Option<(&Passage, Used, impl Iterator<Item = u64>)> {
        let passage = self.calls.get(&own)?;
        let made = self.made.get(&(gateway, of))?.iter();
        Some((
            passage,
            passage.used?,
            made.filter(move |(call, _)| *call == own).map(|(_, since)| *since),
        ))
    }
}
