//! `state`: stores of which one replica is the primary.

use super::Resolver;
use crate::kernel::SimDuration;
use crate::network::SiteId;
use crate::scenario::language::Store;
use crate::scenario::language::state::{Copies as Written, Failover as Takeover, Model, Reads as Readers};
use crate::scenario::syntax::{Code, Diagnostic, Span};
use crate::stores::primary::MOST_REPLICAS;
use crate::stores::{Copies, Failover, PrimarySpec, Reads};

impl Resolver<'_, '_> {
    /// How the primary of a store works, if it has one. `None`: something of it can't be.
    pub(super) fn primary(&mut self, store: &Store, sites: Option<&[SiteId]>) -> Option<Option<PrimarySpec>> {
        let model = store.model.get()?;
        let Model::Primary {
            primary,
            copies,
            reads,
            timeout,
            resend,
            in_sync,
            failover,
            heartbeat,
            lease,
        } = &model.value
        else {
            return Some(None);
        };
        let errors = self.out.error_count();
        self.check_ways(store, model.span);
        if let Some(sessions) = store.sessions.given() {
            let message = "a primary and its backups keep no sessions: a backup shows what it knows to be acknowledged, whoever asks";
            let problem = Diagnostic::error(Code::Conflicting, sessions.span, message);
            let problem = problem.label(model.span, "the model");
            self.out.push(problem.help(
                "`reads: Primary` shows all that was acknowledged; `Raft(reads: Local)` answers anywhere, and keeps `sessions`",
            ));
        }
        let all = sites.map(|sites| sites.len() as u32);
        if let Some(all) = all.filter(|all| *all as usize > MOST_REPLICAS) {
            let message =
                format!("a store with a primary has {MOST_REPLICAS} replicas at most, and this one has {all}");
            self.error(Code::TooMany, model.span, message);
        }
        let first = primary.each(|site| self.replica(site, sites?).map(u32::from));
        let copied = copies.get().map(|copies| match &copies.value {
            Written::All => Copies::All,
            Written::None => Copies::None,
            Written::Count(count) => Copies::Count(*count.value),
            // A majority of one or two replicas is all of them.
            Written::Majority => match all.unwrap_or_default() {
                0..=2 => Copies::All,
                replicas => Copies::Count(replicas / 2),
            },
        });
        if let (Some(Copies::Count(count)), Some(all), Some(written)) = (copied, all, copies.get())
            && count > all.saturating_sub(1)
        {
            let backups = all.saturating_sub(1);
            let message =
                format!("`copies` is {count}, and at most {backups}, the number of replicas beside the primary");
            let problem = Diagnostic::error(Code::BadPrimary, written.span, message);
            self.out
                .push(problem.help("`copies: All` waits for all of them, however many there are"));
        }
        let after = failover.get().map(|failover| match &failover.value {
            Takeover::None => None,
            Takeover::After(after) | Takeover::Majority(after) => Some((*after.value, after.span)),
        });
        if let (Some(in_sync), Some(copied)) = (in_sync.given(), copied)
            && copied != Copies::All
        {
            let message =
                "`in_sync` says when `copies: All` doesn't wait for a backup any more, and these copies aren't all";
            self.error(Code::BadPrimary, in_sync.span, message);
        }
        if let (Some(in_sync), Some(Some((_, span)))) = (in_sync.given(), after) {
            let message = "with `in_sync` the primary alone knows who has everything, and nobody can take over from it";
            let problem = Diagnostic::error(Code::BadPrimary, in_sync.span, message);
            let problem = problem.label(span, "somebody would take over");
            self.out.push(
                problem.help("`copies: Count(1)` of three replicas goes on without one of them, and can fail over"),
            );
        }
        if let (Some(beat), Some(Some((after, span)))) = (heartbeat.given(), after)
            && beat.value.as_nanos().saturating_mul(2) > after.as_nanos()
        {
            let message = format!(
                "the primary is heard each {}, and replaced after {}: a single lost letter could do it",
                *beat.value, after
            );
            let problem = Diagnostic::error(Code::BadPrimary, beat.span, message);
            let problem = problem.label(span, "this long");
            self.out.push(problem.help("say a `heartbeat` of at most half of it"));
        }
        if let Some(lease) = lease.given() {
            self.check_lease((*lease.value, lease.span), after, copied);
        }
        let (first, copied, after) = (first?, copied?, after?);
        let failover = match after {
            None => None,
            Some((after, _)) => Some(Failover {
                after,
                heartbeat: match heartbeat.get()? {
                    Some(beat) => *beat.value,
                    None => SimDuration::from_nanos(after.as_nanos().div_ceil(4)).min(SimDuration::from_secs(1)),
                },
                lease: lease.get()?.as_ref().map(|lease| *lease.value),
                majority: matches!(failover.get()?.value, Takeover::Majority(_)),
            }),
        };
        let spec = PrimarySpec {
            primary: first.unwrap_or(0),
            copies: copied,
            reads: match reads.get()? {
                Readers::Primary => Reads::Primary,
                Readers::Nearest => Reads::Nearest,
            },
            timeout: **timeout.get()?,
            resend: **resend.get()?,
            in_sync: in_sync.get()?.as_ref().map(|in_sync| *in_sync.value),
            failover,
            ..PrimarySpec::new()
        };
        (self.out.error_count() == errors).then_some(Some(spec))
    }

    /// A lease ends before anybody takes over, and is confirmed by somebody.
    fn check_lease(&mut self, lease: Timed, after: Option<Option<Timed>>, copies: Option<Copies>) {
        let (lease, span) = lease;
        match after {
            Some(None) => {
                let message = "a `lease` keeps others from taking over, and without `failover` nobody does";
                self.error(Code::BadPrimary, span, message);
            }
            Some(Some((after, other))) if lease >= after => {
                let message = format!("a lease of {lease} may last when somebody takes over, after {after}");
                let problem = Diagnostic::error(Code::BadPrimary, span, message);
                self.out.push(problem.label(other, "this long"));
            }
            _ => {}
        }
        if copies == Some(Copies::None) {
            let message = "a `lease` is what backups confirm that are waited for, and with `copies: None` nobody is";
            self.error(Code::BadPrimary, span, message);
        }
    }

    /// The log is the only way in which updates get to the backups.
    fn check_ways(&mut self, store: &Store, model: Span) {
        if let Some(replication) = store.replication.get() {
            let delay = replication.delay.given().map(|delay| delay.span);
            if delay.is_some() || replication.batch.given().is_some() {
                let message = "a primary sends its log to the backups at once: `replication` has nothing to say";
                let problem = Diagnostic::error(Code::Conflicting, delay.unwrap_or(model), message);
                self.out.push(problem.label(model, "the model"));
            }
        }
    }
}

/// A duration, and where it stands.
type Timed = (SimDuration, Span);
