//! `coordination`: how many replicas of PBFT may be Byzantine, which are, and whether its numbers go together.

use super::Resolver;
use super::coordination::nanos;
use crate::coordination::Protocol;
use crate::coordination::pbft::{Behaviour, Flaw, MOST_REPLICAS, Rules};
use crate::scenario::language::coordination::{Byzantine, Misdeed, Pattern};
use crate::scenario::syntax::quantity::Positive;
use crate::scenario::syntax::{Code, Diagnostic, Part, Span, Spanned};
use std::collections::BTreeSet;

impl Resolver<'_, '_> {
    pub(super) fn pbft_group(&mut self, pattern: &Spanned<Pattern>, replicas: u32) -> Option<Protocol> {
        let Pattern::Pbft {
            faulty,
            byzantine,
            batch,
            in_flight,
            checkpoint_every,
            window,
            remember,
            view_timeout,
            client_timeout,
            status_every,
            sign,
            verify,
            execute,
            delay,
        } = &pattern.value
        else {
            return None;
        };
        if replicas > MOST_REPLICAS {
            let message = format!("a PBFT group has {MOST_REPLICAS} replicas at most, and this one has {replicas}");
            self.error(Code::TooMany, pattern.span, message);
            return None;
        }
        let faulty = self.faulty(faulty.get()?.as_ref(), pattern.span, replicas);
        let byzantine = self.byzantine(byzantine, faulty, replicas);
        self.check_window([in_flight, checkpoint_every, window]);
        if let (Some(status), Some(view)) = (status_every.get(), view_timeout.get())
            && *status.value >= *view.value
        {
            let message = format!(
                "`status_every` is {}, and has to be below `view_timeout`, {}",
                *status.value, *view.value
            );
            let given = [status.span, view.span]
                .into_iter()
                .find(|span| *span != Span::default());
            let problem = Diagnostic::error(Code::BadPbftTimes, given.unwrap_or(pattern.span), message);
            self.out
                .push(problem.help("what was lost has to come again before a replica gives its primary up"));
        }
        let view_timeout = nanos(*view_timeout.get()?.value);
        let late = delay.get()?.as_ref().map(|delay| nanos(**delay));
        Some(Protocol::Pbft(Box::new(Rules {
            replicas,
            faulty: faulty?,
            batch: **batch.get()?,
            in_flight: u64::from(*in_flight.get()?.value),
            checkpoint_every: u64::from(*checkpoint_every.get()?.value),
            window: u64::from(*window.get()?.value),
            remember: u64::from(**remember.get()?),
            view_timeout,
            client_timeout: nanos(*client_timeout.get()?.value),
            status_every: nanos(*status_every.get()?.value),
            sign: sign.get()?.as_nanos(),
            verify: verify.get()?.as_nanos(),
            execute: execute.get()?.as_nanos(),
            delay: late.unwrap_or(view_timeout / 5 * 4),
            byzantine: byzantine?,
            flaw: Flaw::None,
        })))
    }

    /// How many replicas may be Byzantine.
    fn faulty(&mut self, faulty: Option<&Spanned<u32>>, pattern: Span, replicas: u32) -> Option<u32> {
        match faulty {
            Some(faulty) if u64::from(replicas) < 3 * u64::from(faulty.value) + 1 => {
                let needed = 3 * u64::from(faulty.value) + 1;
                let message = format!(
                    "{} of {replicas} replicas may be Byzantine, and that takes {needed} of them",
                    faulty.value
                );
                let problem = Diagnostic::error(Code::TooManyFaulty, faulty.span, message);
                let most = replicas.saturating_sub(1) / 3;
                self.out
                    .push(problem.help(format!("`faulty: {most}`, or `members: {needed}`")));
                None
            }
            Some(faulty) => Some(faulty.value),
            None if replicas < 4 => {
                let message = format!("{replicas} replicas bear no Byzantine one among them: one takes four");
                let problem = Diagnostic::error(Code::TooManyFaulty, pattern, message);
                self.out
                    .push(problem.help("`members: 4`, or `faulty: 0` if none is to be borne"));
                None
            }
            None => Some((replicas - 1) / 3),
        }
    }

    fn byzantine(
        &mut self,
        all: &Part<Vec<Part<Spanned<Byzantine>>>>,
        faulty: Option<u32>,
        replicas: u32,
    ) -> Option<Vec<(u32, Behaviour)>> {
        let (all, mut named, mut found) = (all.get()?, BTreeSet::new(), Some(Vec::new()));
        for one in all {
            let (Some(member), Some(does)) = (
                one.get().and_then(|one| one.value.member.get()),
                one.get().and_then(|one| one.value.does.get()),
            ) else {
                found = None;
                continue;
            };
            if member.value >= replicas {
                let message = format!(
                    "there is no replica {}: the {replicas} have numbers from 0 to {}",
                    member.value,
                    replicas - 1
                );
                self.error(Code::NoSuchReplica, member.span, message);
                found = None;
            } else if !named.insert(member.value) {
                let message = format!("replica {} does two things", member.value);
                self.error(Code::NoSuchReplica, member.span, message);
                found = None;
            }
            let behaviour = match does {
                Misdeed::Silent => Behaviour::Silent,
                Misdeed::Equivocate => Behaviour::Equivocate,
                Misdeed::Delay => Behaviour::Delay,
                Misdeed::Forge => Behaviour::Forge,
                Misdeed::Collude => Behaviour::Collude,
            };
            if let Some(found) = &mut found {
                found.push((member.value, behaviour));
            }
        }
        if let (Some(faulty), Some(last)) = (faulty, all.last().and_then(Part::get))
            && named.len() > faulty as usize
        {
            let message = format!(
                "{} replicas are Byzantine, and PBFT bears {faulty}: agreement and progress may be lost",
                named.len()
            );
            self.warn(Code::BeyondFaulty, last.span, message);
        }
        found
    }

    /// The window is made of checkpoint intervals, and has room for what is under way.
    fn check_window(&mut self, [in_flight, every, window]: [&Part<Spanned<Positive<u32>>>; 3]) {
        let (Some(every), Some(window)) = (every.get(), window.get()) else {
            return;
        };
        let place = |spans: [Span; 2]| spans.into_iter().find(|span| *span != Span::default());
        let (of, size) = (*every.value, *window.value);
        if size % of != 0 || size / of < 2 {
            let message =
                format!("a `window` of {size} isn't a multiple, two times or more, of `checkpoint_every`, {of}");
            let span = place([window.span, every.span]).unwrap_or_default();
            let problem = Diagnostic::error(Code::BadWindow, span, message);
            self.out.push(problem.help(format!("`window: {}`", u64::from(of) * 2)));
        }
        if let Some(in_flight) = in_flight.get()
            && *in_flight.value > size
        {
            let message = format!(
                "{} sequence numbers at a time don't fit into a `window` of {size}",
                *in_flight.value
            );
            let span = place([in_flight.span, window.span]).unwrap_or_default();
            self.error(Code::BadWindow, span, message);
        }
    }
}
