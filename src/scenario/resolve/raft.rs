//! `state`: stores whose replicas agree by Raft.

use super::Resolver;
use crate::kernel::SimDuration;
use crate::network::SiteId;
use crate::scenario::language::Store;
use crate::scenario::language::state::{Confirmation, Leaders as Written, Model, RaftReads, SessionsBy, Split};
use crate::scenario::syntax::quantity::{Duration, Positive};
use crate::scenario::syntax::{Code, Diagnostic, Part, Span, Spanned};
use crate::state::KeyType;
use crate::stores::RaftSpec;
use crate::stores::raft::{Leaders, MOST_REPLICAS, MOST_SHARDS, Reads, Sharding};

impl Resolver<'_, '_> {
    /// How the replicas of a store agree, if they do by Raft. `None`: something of it can't be.
    pub(super) fn raft(
        &mut self,
        store: &Store,
        keys: Option<&[(String, KeyType)]>,
        sites: Option<&[SiteId]>,
    ) -> Option<Option<RaftSpec>> {
        let model = store.model.get()?;
        let Model::Raft {
            shards,
            split,
            leaders,
            reads,
            election_min,
            election_max,
            heartbeat,
            pre_vote,
            batch,
            in_flight,
            snapshot_every,
            remember,
            timeout,
        } = &model.value
        else {
            return Some(None);
        };
        let errors = self.out.error_count();
        self.check_one_way(store, model.span);
        if let Some(all) = sites.map(<[SiteId]>::len).filter(|all| *all > MOST_REPLICAS) {
            let message = format!("a store under `Raft` has {MOST_REPLICAS} replicas at most, and this one has {all}");
            self.error(Code::TooMany, model.span, message);
        }
        self.check_order(("heartbeat", heartbeat), ("election_min", election_min), false);
        self.check_order(("election_min", election_min), ("election_max", election_max), true);
        let sharding = self.sharding(shards, split, keys);
        let leaders = match leaders.get() {
            None => None,
            Some(Written::Elected) => Some(Leaders::Elected),
            Some(Written::Spread) => Some(Leaders::Spread),
            Some(Written::At(site)) => sites
                .and_then(|sites| self.replica(site, sites))
                .map(|at| Leaders::At(u32::from(at))),
        };
        let sessions = self.bookmarks(store, reads.get());
        let reads = match reads.get()? {
            RaftReads::Local => Reads::Local,
            RaftReads::Leader(how) => match &how.value {
                Confirmation::RoundTrip => Reads::RoundTrip,
                Confirmation::Lease { drift } => Reads::Lease(self.bound((store, model.span), drift.get()?)?),
            },
        };
        if self.out.error_count() > errors {
            return None;
        }
        Some(Some(RaftSpec {
            election_min: *election_min.get()?.value,
            election_max: *election_max.get()?.value,
            heartbeat: *heartbeat.get()?.value,
            pre_vote: *pre_vote.get()?,
            reads,
            batch: **batch.get()?,
            in_flight: **in_flight.get()?,
            snapshot_every: **snapshot_every.get()?,
            remember: **remember.get()?,
            timeout: **timeout.get()?,
            sharding: sharding?,
            leaders: leaders?,
            sessions: sessions?,
            ..RaftSpec::default()
        }))
    }

    /// Which group decides about which key.
    fn sharding(
        &mut self,
        shards: &Part<Spanned<Positive<u32>>>,
        split: &Part<Split>,
        keys: Option<&[(String, KeyType)]>,
    ) -> Option<Sharding> {
        let shards = shards.get()?;
        let (count, keys) = (*shards.value, keys?);
        let most = keys.len().min(MOST_SHARDS as usize);
        if count as usize > most {
            let what = if keys.len() == most {
                "the number of keys"
            } else {
                "the most groups of a store"
            };
            let message = format!("`shards` is {count}, and at most {most}, {what}");
            let problem = Diagnostic::error(Code::TooMany, shards.span, message);
            self.out
                .push(problem.replace(format!("write {most}"), shards.span, most.to_string()));
            return None;
        }
        Some(match split.get()? {
            Split::Hash => Sharding::by_hash(count, keys.iter().map(|(name, _)| name.as_str())),
            Split::Range => Sharding::by_range(count, keys.len()),
        })
    }

    /// How long local reads wait for what their sessions have seen, if clients have sessions.
    fn bookmarks(&mut self, store: &Store, reads: Option<&RaftReads>) -> Option<Option<SimDuration>> {
        let Some(sessions) = store.sessions.get()? else {
            return Some(None);
        };
        if matches!(reads, Some(RaftReads::Leader(_))) {
            let message =
                "reads through the leader show all that was acknowledged before: `sessions` have nothing to add";
            let problem = Diagnostic::error(Code::Conflicting, sessions.span, message);
            let note = "`Raft(reads: Local)` answers from any replica, and with `sessions` what an agent has seen";
            self.out.push(problem.note(note));
            return None;
        }
        self.check_guarantees(sessions)?;
        Some(match sessions.value.by.get()? {
            SessionsBy::Token => Some(*sessions.value.wait.get()?),
            SessionsBy::Sticky => None,
        })
    }

    /// Updates get to replicas by the log, and by nothing else.
    fn check_one_way(&mut self, store: &Store, model: Span) {
        let given = store.replication.get().and_then(|replication| {
            let delay = replication.delay.given().map(|delay| delay.span);
            delay.or(replication.batch.given().map(|_| model))
        });
        if let Some(span) = given {
            let message = "under `Raft` updates get to the replicas in the log: `replication` has nothing to say";
            let problem = Diagnostic::error(Code::Conflicting, span, message);
            let note = "how many entries go together stands in `Raft(batch: ...)`";
            self.out.push(problem.label(model, "the model").note(note));
        }
    }

    /// One time is below another one, or at most as long.
    pub(super) fn check_order(
        &mut self,
        (small, less): (&str, &Part<Spanned<Positive<Duration>>>),
        (big, more): (&str, &Part<Spanned<Positive<Duration>>>),
        may_equal: bool,
    ) {
        let (Some(less), Some(more)) = (less.get(), more.get()) else {
            return;
        };
        if *less.value > *more.value || !may_equal && *less.value == *more.value {
            let than = if may_equal { "at most" } else { "below" };
            let message = format!(
                "`{small}` is {}, and has to be {than} `{big}`, {}",
                *less.value, *more.value
            );
            let given = [less.span, more.span].into_iter().find(|span| *span != Span::default());
            self.error(Code::BadGroup, given.unwrap_or_default(), message);
        }
    }

    /// The bound on clocks of a lease, in parts per billion.
    fn bound(
        &mut self,
        (store, model): (&Store, Span),
        drift: &Spanned<crate::scenario::syntax::quantity::Drift>,
    ) -> Option<i64> {
        let bound = drift.value.0;
        if bound < 0 {
            self.error(
                Code::QuantityRange,
                drift.span,
                "two clocks differ in speed by 0 at least",
            );
            return None;
        }
        let drifts = store
            .clocks
            .known()
            .filter_map(|(_, clock)| Some(clock.drift.get()?.value.0));
        // Clocks that aren't mentioned are right.
        let (least, most) = drifts.fold((0, 0), |(least, most): (i64, i64), drift| {
            (least.min(drift), most.max(drift))
        });
        let billion = 1_000_000_000i128;
        let (slow, fast) = (billion + i128::from(least), billion + i128::from(most));
        if fast * billion > slow * (billion + i128::from(bound)) {
            let message = "the store's `clocks` differ in speed by more than the lease allows: reads may be stale";
            // A bound that isn't written has no place of its own: then it's the clocks that say more than it allows.
            let clocks = store
                .clocks
                .known()
                .find_map(|(_, clock)| Some(clock.drift.get()?.span));
            let written = [drift.span, clocks.unwrap_or_default()];
            let place = written.into_iter().find(|span| *span != Span::default());
            let problem = Diagnostic::warning(Code::BadGroup, place.unwrap_or(model), message);
            self.out
                .push(problem.note("`reads: Leader(RoundTrip)` needs no clocks"));
        }
        Some(bound)
    }
}
