//! `agents`: the caches that agents have in front of stores.

use super::Resolver;
use crate::agents::CacheSpec;
use crate::scenario::language::Group;
use crate::scenario::language::agents::{Cache, Refresh};
use crate::scenario::language::state::Model;
use crate::scenario::syntax::{Code, Diagnostic, Span};
use std::sync::Arc;

impl Resolver<'_, '_> {
    /// The caches of a group, by the stores' numbers. `None`: something of them can't be.
    pub(super) fn caches(&mut self, group: &Group) -> Option<Arc<[Option<CacheSpec>]>> {
        let file = self.file;
        let mut caches = vec![None; self.stores.len()];
        let mut whole = group.caches.is_whole();
        for (name, cache) in group.caches.canonical() {
            let known = file
                .state
                .look_up(name, Code::UnknownStore, "store", self.out)
                .is_some();
            let place = file.state.position(name).filter(|_| known);
            let spec = cache.get().and_then(cache_of);
            if place.is_some() {
                self.check_cached(&name.value, name.span);
            }
            whole &= place.is_some() && spec.is_some();
            if let (Some(place), Some(spec)) = (place, spec) {
                caches[place] = Some(spec);
            }
        }
        whole.then(|| caches.into())
    }

    /// Warns of a cache in front of a store that promises what a cache doesn't keep.
    fn check_cached(&mut self, name: &str, span: Span) {
        let file = self.file;
        let store = file.state.known().find(|(other, _)| other.value == name);
        let Some((_, store)) = store else { return };
        let causal = matches!(store.model.get().map(|model| &model.value), Some(Model::Causal { .. }));
        if causal || store.sessions.given().is_some() {
            let message = "a cache knows nothing of what an agent has seen since: it breaks what this store guarantees to sessions";
            let problem = Diagnostic::warning(Code::BadOrder, span, message);
            self.out.push(
                problem.note("how often is counted: `state.causal_violations`, `state.read_your_writes` and so on"),
            );
        }
    }
}

fn cache_of(cache: &Cache) -> Option<CacheSpec> {
    Some(CacheSpec {
        ttl: **cache.ttl.get()?,
        reads_before_acts: matches!(cache.refresh.get()?, Refresh::BeforeAct),
        invalidation: *cache.invalidation.get()?,
        size: **cache.size.get()?,
    })
}
