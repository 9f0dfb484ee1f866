//! `state`: stores whose operations several replicas take part in.

use super::Resolver;
use crate::network::SiteId;
use crate::scenario::language::Store;
use crate::scenario::language::state::{HintedHandoff as Handoff, Model};
use crate::scenario::syntax::quantity::Positive;
use crate::scenario::syntax::{Code, Diagnostic, Part, Span, Spanned};
use crate::state::KeyType;
use crate::stores::quorum::MOST_REPLICAS;
use crate::stores::{HintedHandoff, Legs, Placement, QuorumSpec};
use std::sync::Arc;

impl Resolver<'_, '_> {
    /// The quorums of a store, if it has them. `None`: something of it can't be.
    pub(super) fn quorum(
        &mut self,
        store: &Store,
        keys: Option<&[(String, KeyType)]>,
        sites: Option<&[SiteId]>,
    ) -> Option<Option<QuorumSpec>> {
        let model = store.model.get()?;
        let Model::Quorum {
            n,
            r,
            w,
            read_repair,
            hinted_handoff,
            sloppy,
            timeout,
            legs,
            ..
        } = &model.value
        else {
            return Some(None);
        };
        let errors = self.out.error_count();
        self.check_replication(store, model.span);
        let all = sites.map(|sites| sites.len() as u32);
        if let Some(all) = all.filter(|all| *all as usize > MOST_REPLICAS) {
            let message = format!("a store with quorums has {MOST_REPLICAS} replicas at most, and this one has {all}");
            self.error(Code::TooMany, model.span, message);
        }
        let n = self.at_most("n", n, all, "replicas");
        let n = n.map(|n| n.or(all));
        let r = self.at_most("r", r, n.flatten(), "replicas that keep a key");
        let w = self.at_most("w", w, n.flatten(), "replicas that keep a key");
        let timeout = timeout.get();
        let hinted_handoff = hinted_handoff.each(|handoff| self.handoff(handoff));
        if let (Some(sloppy), Some(Some(n)), Some(all)) = (sloppy.get().filter(|sloppy| sloppy.value), n, all) {
            if n >= all {
                let message = format!("`sloppy` needs replicas beyond the `n`, and all {all} keep every key");
                let problem = Diagnostic::error(Code::BadQuorum, sloppy.span, message);
                self.out
                    .push(problem.note("say `n: ...` with fewer, or leave `sloppy` out"));
            }
            match (&hinted_handoff, timeout) {
                (Some(None), _) => {
                    let message =
                        "`sloppy` needs `hinted_handoff`: whoever stands in for a replica keeps a hint for it";
                    let problem = Diagnostic::error(Code::BadQuorum, sloppy.span, message);
                    self.out.push(problem.note("`hinted_handoff: ()` takes the defaults"));
                }
                (Some(Some(handoff)), Some(timeout)) if handoff.after >= *timeout.value => {
                    let message = format!(
                        "a write is refused after {}, before anybody stands in for a silent replica, after {}",
                        *timeout.value, handoff.after
                    );
                    self.error(Code::BadQuorum, sloppy.span, message);
                }
                _ => {}
            }
        }
        let legs = legs.get().and_then(|legs| {
            let laws = [&legs.write, &legs.ack, &legs.read, &legs.reply];
            let [write, ack, read, reply] = laws.map(|law| law.each(|law| self.time(law)));
            Some(Legs {
                write: write?,
                ack: ack?,
                read: read?,
                reply: reply?,
            })
        });
        let n = n??;
        if self.out.error_count() > errors {
            return None;
        }
        let majority = n / 2 + 1;
        Some(Some(QuorumSpec {
            n,
            r: r?.unwrap_or(majority),
            w: w?.unwrap_or(majority),
            read_repair: *read_repair.get()?,
            hinted_handoff: hinted_handoff?,
            sloppy: sloppy.get()?.value,
            timeout: *timeout?.value,
            legs: legs?,
            placement: Arc::new(self.placement(n, keys?, sites?)),
        }))
    }

    fn placement(&self, n: u32, keys: &[(String, KeyType)], sites: &[SiteId]) -> Placement {
        if n as usize == sites.len() {
            return Placement::everywhere(n);
        }
        let named = &self.file.sites.0;
        let names = sites.iter().filter_map(|site| named.at(site.0 as usize));
        let names: Vec<&str> = names.map(|(name, _)| name.value.as_str()).collect();
        Placement::ring(keys.iter().map(|(name, _)| name.as_str()), &names)
    }

    /// A number of replicas that is no higher than how many there are.
    fn at_most(
        &mut self,
        name: &str,
        number: &Part<Option<Spanned<Positive<u32>>>>,
        most: Option<u32>,
        of: &str,
    ) -> Option<Option<u32>> {
        number.each(|number| {
            if let Some(most) = most.filter(|most| *number.value > *most) {
                let message = format!("`{name}` is {}, and at most {most}, the number of {of}", *number.value);
                let problem = Diagnostic::error(Code::BadQuorum, number.span, message);
                let problem = problem.replace(format!("write {most}"), number.span, most.to_string());
                self.out.push(problem);
                return None;
            }
            Some(*number.value)
        })
    }

    fn handoff(&mut self, handoff: &Handoff) -> Option<HintedHandoff> {
        Some(HintedHandoff {
            after: *handoff.after.get()?.value,
            retry: **handoff.retry.get()?,
            keep: **handoff.keep.get()?,
        })
    }

    /// A quorum's writes go to all replicas at once.
    fn check_replication(&mut self, store: &Store, model: Span) {
        let Some(replication) = store.replication.get() else {
            return;
        };
        let delay = replication.delay.given().map(|delay| delay.span);
        if delay.is_some() || replication.batch.given().is_some() {
            let message = "a quorum's writes go to all replicas at once: `replication` has nothing to say";
            let problem = Diagnostic::error(Code::Conflicting, delay.unwrap_or(model), message);
            let note = "how long they take beside the network stands in `Quorum(legs: (write: ...))`";
            self.out.push(problem.label(model, "the model").note(note));
        }
    }
}
