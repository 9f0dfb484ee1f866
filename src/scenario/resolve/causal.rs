//! `state`: stores whose replicas take updates in in an order: causal ones, and those with session guarantees.

use super::Resolver;
use crate::scenario::language::Store;
use crate::scenario::language::state::{Model, Sessions, SessionsBy, StampClock, resolution};
use crate::scenario::syntax::{Code, Diagnostic, Spanned};
use crate::state::{Guarantees, Memory};
use crate::stores::{After, CausalSpec};

/// The guarantees of sessions. `None`: one of them couldn't be read.
fn guarantees(sessions: &Sessions) -> Option<Guarantees> {
    Some(Guarantees {
        read_your_writes: *sessions.read_your_writes.get()?,
        monotonic_reads: *sessions.monotonic_reads.get()?,
        monotonic_writes: *sessions.monotonic_writes.get()?,
        writes_follow_reads: *sessions.writes_follow_reads.get()?,
    })
}

/// What clients of a store remember, as far as it could be read.
pub(super) fn memory(store: &Store) -> Memory {
    if let Some(Model::Causal { .. }) = store.model.get().map(|model| &model.value) {
        return Memory::Nearest;
    }
    let sessions = store.sessions.get().and_then(Option::as_ref);
    let Some((sessions, by)) = sessions.and_then(|sessions| Some((&sessions.value, sessions.value.by.get()?))) else {
        return Memory::None;
    };
    match by {
        SessionsBy::Sticky => Memory::Replica,
        SessionsBy::Token => guarantees(sessions).map(Memory::Vectors).unwrap_or_default(),
    }
}

impl Resolver<'_, '_> {
    /// How a store orders updates, if it does. `None`: something of it can't be.
    pub(super) fn ordering(&mut self, store: &Store) -> Option<Option<CausalSpec>> {
        let model = store.model.get()?;
        let sessions = store.sessions.get()?.as_ref();
        if let (Some(sessions), Model::Quorum { .. } | Model::Causal { .. }) = (sessions, &model.value) {
            self.check_sessions(sessions, model);
            return None;
        }
        if let Model::Causal { wait, resolve } = &model.value {
            self.check_stamps(store, model);
            resolve.get()?;
            let wait = *wait.get()?;
            let spec = CausalSpec::causal();
            return Some(Some(CausalSpec { wait, ..spec }));
        }
        let Some(sessions) = sessions else {
            return Some(None);
        };
        let of = self.check_guarantees(sessions)?;
        let after = match sessions.value.by.get()? {
            SessionsBy::Token => After::Session,
            SessionsBy::Sticky if of.writes_follow_reads => After::Replica,
            SessionsBy::Sticky if of.monotonic_writes => After::Nothing,
            // Who stays at one replica sees there what it has seen there.
            SessionsBy::Sticky => return Some(None),
        };
        let (wait, flaw) = (*sessions.value.wait.get()?, None);
        Some(Some(CausalSpec { after, wait, flaw }))
    }

    /// What sessions guarantee, which is something.
    pub(super) fn check_guarantees(&mut self, sessions: &Spanned<Sessions>) -> Option<Guarantees> {
        let of = guarantees(&sessions.value)?;
        if of == Guarantees::default() {
            let message = "these sessions guarantee nothing: all four are `false`";
            let problem = Diagnostic::error(Code::BadOrder, sessions.span, message);
            self.out
                .push(problem.help("leave `sessions` out, or leave one of them on"));
            return None;
        }
        Some(of)
    }

    /// Sessions are for stores that don't keep their guarantees anyway.
    fn check_sessions(&mut self, sessions: &Spanned<Sessions>, model: &Spanned<Model>) {
        let (message, note) = match &model.value {
            Model::Causal { .. } => (
                "a causal store keeps all four session guarantees: `sessions` has nothing to add",
                "leave `sessions` out",
            ),
            _ => (
                "`sessions` are for stores whose replicas answer by themselves, and with a quorum several take part",
                "a read quorum that meets every write quorum (`r` + `w` above `n`) shows what was acknowledged before",
            ),
        };
        let problem = Diagnostic::error(Code::Conflicting, sessions.span, message);
        self.out.push(problem.label(model.span, "the model").note(note));
    }

    /// Warns of wall clocks that are off: they contradict the order of causes.
    fn check_stamps(&mut self, store: &Store, model: &Spanned<Model>) {
        let Some(resolve) = resolution(model) else { return };
        let Model::LastWriteWins { clock } = &resolve.value else {
            return;
        };
        let off = store.clocks.known().next().is_some();
        if off && matches!(clock.get(), Some(StampClock::Wall)) {
            let message = "by wall clocks that are off, a write may be outranked by what it was to replace";
            let problem = Diagnostic::warning(Code::BadOrder, resolve.span, message);
            self.out
                .push(problem.help("`LastWriteWins(clock: Hybrid)` stamps every write above all that it depends on"));
        }
    }
}
