//! The logs of agents that keep theirs at a service.

use super::Service;
use crate::agents::journal::event;
use crate::state::journal::{LogRequest, Position, Written};
use crate::world::call::{Outcome, Request};
use crate::world::population::Cx;
use crate::world::record::What;
use crate::world::slab::Handle;

impl Service {
    /// Does what is asked of a log, if it is.
    pub(super) fn keep_log(&mut self, handle: Handle, cx: &mut Cx<'_, '_>) -> Outcome {
        let now = cx.now();
        let Some((attempt, call)) = cx.shared.journey_mut(handle) else {
            return Outcome::Done;
        };
        let Request::Journal(entry) = &call.request else {
            return Outcome::Done;
        };
        let client = call.client;
        let stream = self.logs.entry(client).or_default();
        let (number, bytes, written) = match &**entry {
            LogRequest::Append { epoch, number, event } => {
                (*number, event.bytes, stream.append(*epoch, *number, event, now))
            }
            LogRequest::Keep { epoch, snapshot } => {
                (snapshot.number, snapshot.bytes, stream.keep(*epoch, snapshot, now))
            }
            LogRequest::Load { epoch, after, most } => {
                let Some(loaded) = stream.load(*epoch, *after, *most) else {
                    cx.record(What::Journal, self.endpoint.id, [client.into(), 0, event::REFUSED]);
                    return Outcome::Fenced;
                };
                let (events, bytes) = (loaded.events.len() as u64, loaded.bytes());
                attempt.findings_mut().loaded = Some(Box::new(loaded));
                let words = [client.into(), events, event::READ];
                cx.record_with(What::Journal, self.endpoint.id, words, &[bytes]);
                return Outcome::Done;
            }
        };
        let is_snapshot = matches!(**entry, LogRequest::Keep { .. });
        let extra = match &**entry {
            _ if !matches!(written, Written::Added) => Vec::new(),
            LogRequest::Append { event, .. } => event.words(),
            LogRequest::Keep { snapshot, .. } => Position::default().event_to(&snapshot.position, bytes).words(),
            LogRequest::Load { .. } => Vec::new(),
        };
        let (what, outcome) = match written {
            Written::Added if is_snapshot => (event::KEPT, Outcome::Done),
            Written::Added => (event::APPENDED, Outcome::Done),
            Written::Repeated => (event::REPEATED, Outcome::Done),
            Written::Succeeded => (event::REFUSED, Outcome::Fenced),
            Written::Gap => (event::GAP, Outcome::Moved),
        };
        let words = [client.into(), number.into(), what];
        cx.record_with(What::Journal, self.endpoint.id, words, &extra);
        outcome
    }
}
