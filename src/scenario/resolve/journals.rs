//! `agents`: logs of events, from which agents are rebuilt.

use super::Resolver;
use crate::agents::{Backoff, Granularity, JournalSpec, Policy};
use crate::kernel::SimDuration;
use crate::scenario::language::Group;
use crate::scenario::language::agents::{Arrive, Events, Journal};
use crate::scenario::syntax::{Code, Diagnostic, Spanned};
use std::collections::BTreeMap;

/// The size of a snapshot, where it isn't said.
const SNAPSHOT_BYTES: u32 = 1 << 16;

impl Resolver<'_, '_> {
    /// How the agents of a group keep a log, with the policy by which it is asked; that has no number yet.
    pub(super) fn journal(
        &mut self,
        group: &Group,
        journal: &Spanned<Journal>,
        policies: &BTreeMap<String, Policy>,
    ) -> Option<(JournalSpec, Policy)> {
        let errors = self.out.error_count();
        let (file, span, journal) = (self.file, journal.span, &journal.value);
        if group.is_stream() {
            let message = "agents of a stream are new each: none of them comes back to its journal";
            self.error(Code::BadJournal, span, message);
        }
        if let Some(start) = group.start.get()
            && matches!(start.value, Arrive::Tick { .. })
        {
            let problem = Diagnostic::error(
                Code::BadJournal,
                span,
                "a journal is of one run of the program, and these begin anew",
            );
            self.out.push(problem.label(start.span, "at each tick"));
        }
        if !group.on.is_empty() {
            let message = "what handlers change is in no event of a journal: these agents have handlers in `on`";
            self.error(Code::BadJournal, span, message);
        }
        let server = journal.log.get().and_then(|log| {
            let known = file.services.look_up(log, Code::UnknownService, "service", self.out)?;
            if known.get().is_some_and(|service| service.lock.given().is_some()) {
                self.error(Code::BadJournal, log.span, "this service is a lock, and keeps no log");
                return None;
            }
            let place = file.services.position(log)?;
            self.addresses.services.get(place).copied()
        });
        let policy = journal.policy.get()?.as_ref().map(|name| {
            let known = file.policies.look_up(name, Code::UnknownPolicy, "policy", self.out);
            let policy = known.and_then(|_| policies.get(&name.value)).cloned();
            if policy.as_ref().is_some_and(|policy| policy.attempts.is_some()) {
                let message = "an event that may be in the log or not leaves its agent without a known state: this policy gives up";
                let problem = Diagnostic::error(Code::BadJournal, name.span, message);
                self.out.push(problem.help("say `attempts: Unlimited`"));
            }
            policy
        });
        let policy = match policy {
            Some(policy) => policy,
            None => Some(Policy {
                timeout: Some(SimDuration::from_secs(2)),
                attempts: None,
                backoff: Backoff::FullJitter {
                    base: SimDuration::from_millis(100),
                    cap: SimDuration::from_secs(5),
                },
                ..Policy::default()
            }),
        };
        let event_bytes = self.bytes_of(&journal.event_bytes);
        let snapshot_bytes = match journal.snapshot_bytes.get()? {
            Some(bytes) => self.bytes(bytes),
            None => Some(SNAPSHOT_BYTES),
        };
        let replay = self.time_of(&journal.replay);
        let snapshot_every = journal.snapshot_every.get()?.as_ref().map(|every| *every.value);
        if snapshot_every.is_none()
            && let Some(bytes) = journal.snapshot_bytes.given()
        {
            self.warn(
                Code::BadJournal,
                bytes.span,
                "no snapshots are written without `snapshot_every`",
            );
        }
        let spec = JournalSpec {
            server: server?,
            policy: 0,
            granularity: match journal.events.get()? {
                Events::Steps => Granularity::Steps,
                Events::Tasks => Granularity::Tasks,
            },
            event_bytes: event_bytes?,
            snapshot_every,
            snapshot_bytes: snapshot_bytes?,
            replay: replay?,
            batch: **journal.batch.get()?,
        };
        (self.out.error_count() == errors).then_some((spec, policy?))
    }
}
