//! What of channels makes no sense, or is likely not meant.

use super::super::Resolver;
use super::steps::least_time;
use super::{listed, published};
use crate::agents::step::Step;
use crate::channels::Kind;
use crate::scenario::language::agents::Count;
use crate::scenario::language::channels::{ChannelKind, Consumer, Guarantee, Handing, Rememberer};
use crate::scenario::language::{Channel, Group, Step as Written};
use crate::scenario::syntax::{Code, Diagnostic, Spanned, write};
use std::collections::BTreeSet;

impl Resolver<'_, '_> {
    /// What a consumer can't be.
    pub(super) fn check_consumer(
        &mut self,
        (name, channel): (&Spanned<String>, &Channel),
        (group, agents): (&Spanned<String>, &Group),
        consumer: &Spanned<Consumer>,
        is_log: bool,
    ) {
        let Consumer {
            by,
            prefetch,
            group: shared,
            from,
            replay,
            remembers,
        } = &consumer.value;
        let Some(by) = by.get() else { return };
        let pushed = matches!(by.value, Handing::Push);
        if pushed && agents.on.is_whole() && agents.on.get(&name.value).is_none() {
            let message = format!(
                "messages are pushed to {}, which have no handler {} in `on`",
                write::quoted(group),
                write::quoted(name)
            );
            let problem = Diagnostic::error(Code::BadChannel, consumer.span, message);
            self.out
                .push(problem.help("give them one, or let them poll: `(by: Poll)`"));
        }
        let is_stream = matches!(agents.count.get().map(|count| &count.value), Some(Count::Stream { .. }));
        let is_topic = matches!(channel.kind.get().map(|kind| &kind.value), Some(ChannelKind::Topic));
        if is_stream && (pushed || is_topic) {
            let message = match pushed {
                true => "agents of a stream come and go: nothing can be pushed to them",
                false => "agents of a stream come and go: a topic can't keep messages for each of them",
            };
            self.bad_channel(consumer.span, message);
        }
        if let (Some(prefetch), false) = (prefetch.given(), pushed) {
            self.bad_channel(prefetch.span, "a poll says itself how many messages it takes: `most`");
        }
        let at_most = matches!(
            channel.delivery.get().map(|delivery| &delivery.value),
            Some(Guarantee::AtMostOnce)
        );
        if let (Some(prefetch), true, true) = (prefetch.given(), pushed, at_most) {
            let message = "what isn't acknowledged can't be counted: messages are pushed as they come";
            self.bad_channel(prefetch.span, message);
        }
        let by = remembers.given().and_then(|remembers| remembers.value.by.given());
        if let Some(by) = by.filter(|by| is_topic && by.value == Rememberer::Group) {
            let message = "a topic owes each message to each of them: what one has handled, the others haven't";
            self.bad_channel(by.span, message);
        }
        if is_log {
            return;
        }
        let replay = replay
            .get()
            .and_then(|replays| replays.first())
            .and_then(|replay| replay.get());
        let foreign = [
            shared.given().map(|field| ("group", field.span)),
            from.given().map(|field| ("from", field.span)),
            replay.map(|field| ("replay", field.span)),
        ];
        for (field, span) in foreign.into_iter().flatten() {
            let message = format!("`{field}` is for the consumers of a log");
            self.bad_channel(span, message);
        }
    }

    /// What only all channels and all agents together show.
    pub(in super::super) fn check_channels(&mut self) {
        self.check_dead_letters();
        self.check_channel_topics();
        self.check_readers();
        let file = self.file;
        for (_, group) in file.agents.known() {
            let mut seen = BTreeSet::new();
            group.each_step(&mut |step| {
                if let Written::Publish { to, policy, .. } = &step.value
                    && let (Some(to), Some(policy)) = (to.get(), policy.get())
                    && seen.insert((&to.value, policy.as_ref().map(|policy| &policy.value)))
                {
                    self.check_repeats(to, policy.as_ref());
                }
            });
            if let Some(journal) = group.journal.given() {
                group.each_step(&mut |step| {
                    if let Written::Poll { from, .. } = &step.value
                        && let Some(from) = from.get()
                    {
                        let problem = Diagnostic::error(
                            Code::BadJournal,
                            from.span,
                            "what was polled and not handled yet is in no event of a journal",
                        );
                        self.out.push(problem.label(journal.span, "the journal"));
                    }
                });
            }
        }
    }

    /// Refuses dead letters that come back to where they were.
    fn check_dead_letters(&mut self) {
        let file = self.file;
        let next = |name: &str| {
            let channel = file.channels.known_value(name)?;
            channel.dead_letters.given()
        };
        let mut told: BTreeSet<&str> = BTreeSet::new();
        for (name, _) in file.channels.known() {
            let mut path: Vec<&str> = Vec::new();
            let mut at = name.value.as_str();
            while let Some(to) = next(at).filter(|_| !path.contains(&at)) {
                path.push(at);
                at = &to.value;
            }
            let Some(start) = path.iter().position(|before| *before == at) else {
                continue;
            };
            let round = &path[start..];
            if round.iter().any(|channel| told.contains(channel)) {
                continue;
            }
            told.extend(round);
            let names: Vec<String> = round.iter().map(|name| name.to_string()).collect();
            if let Some(letters) = next(at) {
                let message = match names.as_slice() {
                    [_] => "the dead letters of a channel go to another one".to_string(),
                    _ => format!("dead letters go round: {}", listed(&names)),
                };
                self.error(Code::DeadLetterCycle, letters.span, message);
            }
        }
    }

    /// Refuses messages between agents under the name of a channel, and handlers of what a channel doesn't push.
    fn check_channel_topics(&mut self) {
        let file = self.file;
        for (_, group) in file.agents.known() {
            group.each_step(&mut |step| {
                let (topic, way) = match &step.value {
                    Written::Send { topic, .. } | Written::Ask { topic, .. } => (topic.get(), "`Publish(to: ...)`"),
                    Written::Wait { topic, .. } => (topic.given(), "`Poll(from: ...)`, or a handler in `on`"),
                    _ => return,
                };
                if let Some(topic) = topic.filter(|topic| file.channels.position(topic).is_some()) {
                    let message = format!(
                        "{} is a channel, and no topic of messages between agents",
                        write::quoted(topic)
                    );
                    let problem = Diagnostic::error(Code::BadChannel, topic.span, message);
                    self.out.push(problem.help(format!("a channel is used in {way}")));
                }
            });
        }
        for (name, group) in file.agents.known() {
            for (topic, _) in group.on.canonical() {
                let Some(channel) = file.channels.known_value(topic) else {
                    continue;
                };
                if channel.consumers.is_whole() && channel.consumers.get(&name.value).is_none() {
                    let message = format!(
                        "nothing is pushed to {}, and this handler never runs",
                        write::quoted(name)
                    );
                    let problem = Diagnostic::warning(Code::ChannelUnread, topic.span, message);
                    let help = format!(
                        "name them among the channel's consumers: {{{}: ()}}",
                        write::quoted(name)
                    );
                    self.out.push(problem.help(help));
                }
            }
        }
    }

    /// Warns of channels that nobody reads, or to which nobody publishes, and of consumers who have nothing to do.
    fn check_readers(&mut self) {
        let file = self.file;
        let (published, whole) = published(file);
        let letters: BTreeSet<&str> = file
            .channels
            .known()
            .filter_map(|(_, channel)| Some(channel.dead_letters.given()?.value.as_str()))
            .collect();
        for (name, channel) in file.channels.known() {
            let Some(spec) = self.channels.get(&name.value).map(|resolved| resolved.spec.clone()) else {
                continue;
            };
            let has_writers = published.contains(name.value.as_str()) || letters.contains(name.value.as_str());
            if !has_writers && whole && file.channels.is_whole() {
                self.warn(Code::ChannelUnread, name.span, "nobody publishes to this channel");
            }
            // Dead letters may be left to be looked at.
            let only_letters = !published.contains(name.value.as_str());
            if spec.consumers.is_empty() && has_writers && !only_letters && whole {
                let problem = Diagnostic::warning(Code::ChannelUnread, name.span, "nobody reads this channel");
                self.out.push(problem.help("name its `consumers`, or `Poll` it"));
            }
            let Kind::Log(log) = &spec.kind else { continue };
            for group in 0..spec.groups {
                let members = spec.consumers.iter().filter(|consumer| consumer.group == group);
                let is_stream = |name: &str| file.agents.known_value(name).is_some_and(Group::is_stream);
                let counted = members.clone().filter(|consumer| !is_stream(&consumer.name));
                let count: u64 = counted.map(|consumer| u64::from(consumer.count)).sum();
                if count > u64::from(log.partitions) {
                    let names: Vec<String> = members.map(|consumer| consumer.name.clone()).collect();
                    let first = names.first().map_or("", String::as_str);
                    let named = channel
                        .consumers
                        .canonical()
                        .find(|(consumer, _)| consumer.value == first);
                    let span = named.map_or(name.span, |(consumer, _)| consumer.span);
                    let message = format!(
                        "a consumer group of {count} agents ({}) shares {}: {} have nothing to do",
                        listed(&names),
                        partitions(log.partitions),
                        count - u64::from(log.partitions)
                    );
                    self.warn(Code::IdleConsumers, span, message);
                }
            }
        }
    }

    /// Warns of handlers that take longer than messages stay with them.
    pub(in super::super) fn check_handler_times(&mut self, group: &Group, handlers: &[(u16, Vec<Step>)]) {
        for ((topic, steps), (name, _)) in handlers.iter().zip(group.on.canonical()) {
            let Some(spec) = self.channels.get(&name.value).map(|resolved| resolved.spec.clone()) else {
                continue;
            };
            debug_assert_eq!(*topic, spec.topic);
            let least = least_time(steps);
            if spec.delivery.acknowledges() && least > spec.visibility.as_nanos() as f64 {
                let took = crate::kernel::SimDuration::from_nanos_f64(least);
                let message = format!(
                    "this handler takes {took} at least, and its messages come back after {}",
                    spec.visibility
                );
                self.warn(Code::ShortVisibility, name.span, message);
            }
        }
    }
}

fn partitions(count: u32) -> String {
    match count {
        1 => "one partition".to_string(),
        _ => format!("{count} partitions"),
    }
}
