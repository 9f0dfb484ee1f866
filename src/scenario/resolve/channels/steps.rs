//! The steps that publish and poll.

use super::super::Resolver;
use crate::agents::step::{KeyOf, PollStep, PublishStep, Step};
use crate::channels::{Delivery, Kind};
use crate::scenario::language::channels::PublicationKey;
use crate::scenario::language::policies::Attempts;
use crate::scenario::syntax::quantity::{Bytes, Duration, Positive};
use crate::scenario::syntax::{Code, Diagnostic, Part, Span, Spanned, write};

/// A publication as written.
pub(in super::super) struct Publishing<'s> {
    pub to: &'s Part<Spanned<String>>,
    pub key: &'s Part<Option<Spanned<PublicationKey>>>,
    pub bytes: &'s Part<Spanned<Bytes>>,
    pub acknowledged: &'s Part<Spanned<bool>>,
}

/// A poll as written.
pub(in super::super) struct Polling<'s> {
    pub from: &'s Part<Spanned<String>>,
    pub most: &'s Part<Spanned<Positive<u32>>>,
    pub wait: &'s Part<Spanned<Duration>>,
    pub policy: &'s Part<Option<Spanned<String>>>,
}

impl Resolver<'_, '_> {
    /// The entity of a channel.
    fn channel_named(&mut self, name: &Spanned<String>) -> Option<u32> {
        let channels = &self.file.channels;
        channels.look_up(name, Code::UnknownChannel, "channel", self.out)?;
        let place = channels.position(name)?;
        Some(self.addresses.channels[place])
    }

    /// A publication.
    pub(in super::super) fn publish_step(
        &mut self,
        written: &Publishing<'_>,
        policy: Option<u16>,
    ) -> Option<PublishStep> {
        let channel = written.to.get().and_then(|to| self.channel_named(to));
        let about = match written.key.get()? {
            None => Some(KeyOf::Nothing),
            Some(key) => match &key.value {
                PublicationKey::Publisher => Some(KeyOf::Publisher),
                PublicationKey::Law(law) => self.amount(law, "the number of a key").map(KeyOf::Law),
            },
        };
        let bytes = self.bytes_of(written.bytes);
        Some(PublishStep {
            channel: channel?,
            policy: policy?,
            bytes: bytes?,
            about: about?,
            acknowledged: written.acknowledged.get()?.value,
        })
    }

    /// A poll; `each` are the steps about a message, if they could be resolved.
    pub(in super::super) fn poll_step(
        &mut self,
        written: &Polling<'_>,
        policy: Option<u16>,
        group: &Spanned<String>,
        each: Option<&[Step]>,
    ) -> Option<PollStep> {
        let from = written.from.get()?;
        let channel = self.channel_named(from)?;
        let (most, wait) = (written.most.get()?, written.wait.get()?);
        let spec = self
            .channels
            .get(&from.value)
            .map(|resolved| std::sync::Arc::clone(&resolved.spec));
        if let Some(spec) = spec {
            let own = spec.consumers.iter().find(|consumer| consumer.name == group.value);
            if own.is_none() && matches!(spec.kind, Kind::Topic(_)) {
                let message = format!("{} haven't subscribed to this topic", write::quoted(group));
                let problem = Diagnostic::error(Code::NotSubscribed, from.span, message);
                let help = format!("name them in its `consumers`: {{{}: (by: Poll)}}", write::quoted(group));
                self.out.push(problem.help(help));
                return None;
            }
            if own.is_some_and(|own| own.prefetch.is_some()) {
                let problem = Diagnostic::error(
                    Code::BadChannel,
                    from.span,
                    "the channel pushes its messages to these agents: there is nothing that they could poll",
                );
                self.out
                    .push(problem.help("say `by: Poll` where the channel names them among its `consumers`"));
                return None;
            }
            let all = most.value.into_inner() as f64 * each.map_or(0.0, least_time);
            if spec.delivery.acknowledges() && all > spec.visibility.as_nanos() as f64 {
                let took = crate::kernel::SimDuration::from_nanos_f64(all);
                let message = format!(
                    "{} messages take {took} at least, one after the other, and come back after {}",
                    *most.value, spec.visibility
                );
                let span = if most.span == Span::default() {
                    from.span
                } else {
                    most.span
                };
                self.warn(Code::ShortVisibility, span, message);
            }
        }
        self.check_poll_timeout(written, wait);
        Some(PollStep {
            channel,
            policy: policy?,
            most: *most.value,
            wait: wait.value,
        })
    }

    /// Warns of a policy that gives polls up before they are answered empty.
    fn check_poll_timeout(&mut self, written: &Polling<'_>, wait: &Spanned<Duration>) {
        let Some(name) = written.policy.given() else { return };
        let policy = self.file.policies.known_value(name);
        if let Some(Some(timeout)) = policy.and_then(|policy| policy.timeout.get())
            && **timeout <= wait.value
        {
            let message = format!("the poll waits for {}, and is given up after {}", wait.value, **timeout);
            let problem = Diagnostic::warning(Code::ShortTimeout, name.span, message);
            self.out
                .push(problem.help("a `timeout` that is a second longer than the `wait` leaves time for the way"));
        }
    }

    /// Warns of publications that are repeated and can't be recognised, on channels that promise that nothing comes twice.
    pub(super) fn check_repeats(&mut self, to: &Spanned<String>, policy: Option<&Spanned<String>>) {
        let delivery = self.channels.get(&to.value).map(|resolved| resolved.spec.delivery);
        let Some(name) = policy else { return };
        let Some(policy) = self.file.policies.known_value(name) else {
            return;
        };
        let once = matches!(policy.attempts.get().map(|all| &all.value), Some(Attempts::Count(count)) if **count == 1);
        let keyed = policy.idempotency_key.get() != Some(&false);
        let promised = matches!(delivery, Some(Delivery::AtMostOnce | Delivery::EffectivelyOnce));
        if promised && !once && !keyed {
            let message = format!(
                "a publication to {} that is repeated isn't recognised",
                write::quoted(to)
            );
            let problem = Diagnostic::warning(Code::RepeatedPublication, name.span, message);
            self.out.push(problem.help("give the policy `idempotency_key: true`"));
        }
    }
}

/// The least time, in nanoseconds, that an agent itself takes for these steps.
pub(super) fn least_time(steps: &[Step]) -> f64 {
    let one = |step: &Step| match step {
        Step::Think(law) | Step::Sleep(law) => law.support().0.max(0.0),
        Step::Repeat {
            times: Some(times),
            steps,
        } => times.support().0.max(0.0).round() * least_time(steps),
        Step::Parallel(branches) => branches.iter().map(|branch| least_time(branch)).fold(0.0, f64::max),
        Step::Choose(options) => {
            let likely = options.iter().filter(|(weight, _)| *weight > 0.0);
            let least = likely.map(|(_, steps)| least_time(steps)).fold(f64::INFINITY, f64::min);
            if least.is_finite() { least } else { 0.0 }
        }
        Step::When { steps, otherwise, .. } => least_time(steps).min(least_time(otherwise)),
        Step::Task { steps, .. } => least_time(steps),
        Step::Speculate { basis, .. } => least_time(basis),
        _ => 0.0,
    };
    // What comes behind the end isn't done.
    let done = steps.iter().take_while(|step| !matches!(step, Step::Stop));
    done.map(one).sum()
}
