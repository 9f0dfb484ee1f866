//! `state`: stores whose texts go through a central server.

use super::Resolver;
use crate::network::SiteId;
use crate::scenario::language::Store;
use crate::scenario::language::state::{Model, resolution};
use crate::scenario::syntax::{Code, Diagnostic, Span};
use crate::stores::CentralSpec;

impl Resolver<'_, '_> {
    /// The central server of a store, if it has one. `None`: something of it can't be.
    pub(super) fn central(&mut self, store: &Store, sites: Option<&[SiteId]>) -> Option<Option<CentralSpec>> {
        let model = store.model.get()?;
        if let (Model::Quorum { .. }, Some(resolve)) = (&model.value, resolution(model))
            && matches!(resolve.value, Model::OperationalTransformation { .. })
        {
            let message = "edits are transformed by one server, and not by a quorum";
            let problem = Diagnostic::error(Code::BadServer, resolve.span, message);
            self.out.push(problem.help("take it as the store's `model`"));
            return None;
        }
        let Model::OperationalTransformation { server, resend } = &model.value else {
            return Some(None);
        };
        let errors = self.out.error_count();
        self.check_no_exchanges(store, model.span);
        let first = store.at.get().and_then(|at| at.value.0.first()?.get());
        let server = match server.get()? {
            Some(site) => Some(site),
            None => first,
        };
        let server = self.replica(server?, sites?).map(u32::from);
        if self.out.error_count() > errors {
            return None;
        }
        Some(Some(CentralSpec {
            server: server?,
            resend: **resend.get()?,
        }))
    }

    /// What is lost is sent again by the model itself, at once.
    fn check_no_exchanges(&mut self, store: &Store, model: Span) {
        let replication = store.replication.get();
        let delay = replication.and_then(|replication| replication.delay.given().map(|delay| delay.span));
        let batches = replication.is_some_and(|replication| replication.batch.given().is_some());
        if delay.is_some() || batches {
            let message =
                "edits go to the server at once, in batches of its own measure: `replication` has nothing to say";
            let problem = Diagnostic::error(Code::BadServer, delay.unwrap_or(model), message);
            self.out.push(problem.label(model, "the model"));
        }
        if store.anti_entropy.given().is_some() {
            let message = "what is lost is sent again: `anti_entropy` has nothing to say";
            let problem = Diagnostic::error(Code::BadServer, model, message);
            self.out
                .push(problem.help("leave `anti_entropy` out; how soon it is sent again says `resend`"));
        }
    }
}
