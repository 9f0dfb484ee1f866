//! `channels`: topics, queues and logs, who consumes from them, and the steps that use them.

mod checks;
mod steps;

pub(super) use steps::{Polling, Publishing};

use super::Resolver;
use crate::agents::{Consumes, Remembers};
use crate::channels::{
    Assignment, Bound, ChannelSpec, ConsumerSpec, Delivery, Full, Kind, LogSpec, Position, QueueSpec, Retention,
    spec::Flaw,
};
use crate::kernel::{SimDuration, SimTime};
use crate::scenario::language::channels::{
    ChannelKind, Consumer, Guarantee, Handing, LogPosition, Rememberer, Sharing, WhenFull,
};
use crate::scenario::language::services::Servers;
use crate::scenario::language::{Channel, Step as Written};
use crate::scenario::plan::ChannelPlan;
use crate::scenario::syntax::{Code, Diagnostic, Part, Span, Spanned, write};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How long a broker recognises publications, where it does and isn't told: as long as Amazon SQS.
const DEDUPLICATION: SimDuration = SimDuration::from_secs(300);
/// How many messages consumers remember, where they do and it isn't said.
const REMEMBERED: u32 = 100_000;

/// A channel that could be resolved, and what its consumers remember, by group of agents.
pub(super) struct Resolved {
    pub spec: Arc<ChannelSpec>,
    remembers: BTreeMap<String, Remembers>,
}

/// Who consumes, how many consumer groups that makes, and what they remember, by the name of the group of agents.
type Consumers = (Vec<ConsumerSpec>, u16, BTreeMap<String, Remembers>);

impl Resolver<'_, '_> {
    /// The channels by name. One that can't be resolved is left out; its problems are reported.
    pub(super) fn channels(&mut self) -> Vec<ChannelPlan> {
        let file = self.file;
        let mut plans = Vec::new();
        for (name, channel) in file.channels.known() {
            let site = self.site_of(&channel.at);
            let resolved = self.channel(name, channel);
            if let (Some(site), Some(resolved)) = (site, resolved) {
                let spec = Arc::clone(&resolved.spec);
                self.channels.insert(name.value.clone(), resolved);
                plans.push(ChannelPlan {
                    name: name.value.clone(),
                    site,
                    spec,
                });
            }
        }
        plans
    }

    fn bad_channel(&mut self, span: Span, message: impl Into<String>) {
        self.error(Code::BadChannel, span, message);
    }

    fn channel(&mut self, name: &Spanned<String>, channel: &Channel) -> Option<Resolved> {
        let errors = self.out.error_count();
        let kind = self.channel_kind(channel);
        let time = self.time_of(&channel.time);
        let answer_bytes = self.bytes_of(&channel.answer);
        let delivery = match channel.delivery.get()?.value {
            Guarantee::AtMostOnce => Delivery::AtMostOnce,
            Guarantee::AtLeastOnce => Delivery::AtLeastOnce,
            Guarantee::EffectivelyOnce => Delivery::EffectivelyOnce,
        };
        let deduplicates = match channel.deduplicates.get()? {
            Some(time) => Some(*time.value),
            None => (delivery == Delivery::EffectivelyOnce).then_some(DEDUPLICATION),
        };
        let is_log = matches!(channel.kind.get()?.value, ChannelKind::Log { .. });
        let (consumers, groups, remembers) = self.consumers(name, channel, delivery, is_log)?;
        let spec = ChannelSpec {
            kind: kind?,
            delivery,
            visibility: *channel.visibility.get()?.value,
            deduplicates,
            servers: match channel.servers.get()? {
                Servers::Unlimited => None,
                Servers::Count(count) => Some(**count),
            },
            time: time?,
            answer_bytes: answer_bytes?,
            consumers,
            groups,
            topic: self.topics[&name.value],
            flaw: Flaw::None,
        };
        let spec = Arc::new(spec);
        (self.out.error_count() == errors).then_some(Resolved { spec, remembers })
    }

    /// What becomes of a channel's messages; refuses what has no meaning for the kind.
    fn channel_kind(&mut self, channel: &Channel) -> Option<Kind> {
        let dead_letters = match channel.dead_letters.get()? {
            None => None,
            Some(to) => {
                let channels = &self.file.channels;
                channels.look_up(to, Code::UnknownChannel, "channel", self.out)?;
                let place = channels.position(to)?;
                Some(self.addresses.channels[place])
            }
        };
        if let (Some(letters), None) = (channel.dead_letters.given(), channel.most_deliveries.get()?) {
            let problem = Diagnostic::error(
                Code::BadChannel,
                letters.span,
                "no message is ever dead without `most_deliveries`",
            );
            self.out.push(problem.help("say `most_deliveries: 5`, for example"));
        }
        if let (Some(most), Guarantee::AtMostOnce) = (channel.most_deliveries.given(), &channel.delivery.get()?.value) {
            let message = "what is delivered at most once is never delivered again";
            self.bad_channel(most.span, message);
        }
        match &channel.kind.get()?.value {
            kind @ (ChannelKind::Topic | ChannelKind::Queue) => {
                let bound = channel.bound.each(|bound| {
                    Some(Bound {
                        most: **bound.value.most.get()?,
                        full: match bound.value.full.get()? {
                            WhenFull::Refuse => Full::Refuse,
                            WhenFull::DropOldest => Full::DropOldest,
                            WhenFull::DropNewest => Full::DropNewest,
                        },
                    })
                });
                let rules = QueueSpec {
                    delay: channel
                        .delay
                        .get()?
                        .as_ref()
                        .map_or(SimDuration::ZERO, |delay| *delay.value),
                    most_deliveries: channel.most_deliveries.get()?.as_ref().map(|most| *most.value),
                    dead_letters,
                    bound: bound?,
                };
                Some(match kind {
                    ChannelKind::Topic => Kind::Topic(rules),
                    _ => Kind::Queue(rules),
                })
            }
            ChannelKind::Log {
                partitions,
                assignment,
                rebalance,
                session,
                retention,
            } => {
                let foreign = [
                    channel
                        .most_deliveries
                        .given()
                        .map(|field| ("most_deliveries", field.span)),
                    channel.dead_letters.given().map(|field| ("dead_letters", field.span)),
                    channel.delay.given().map(|field| ("delay", field.span)),
                    channel.bound.given().map(|field| ("bound", field.span)),
                ];
                for (field, span) in foreign.into_iter().flatten() {
                    let message = format!("a log has no `{field}`: that is a topic's, or a queue's");
                    self.bad_channel(span, message);
                }
                let retention = retention.get()?;
                Some(Kind::Log(LogSpec {
                    partitions: *partitions.get()?.value,
                    assignment: match assignment.get()? {
                        Sharing::Range => Assignment::Range,
                        Sharing::Sticky => Assignment::Sticky,
                    },
                    rebalance: *rebalance.get()?,
                    session: *session.get()?.value,
                    retention: Retention {
                        count: retention.count.get()?.map(|count| *count),
                        age: retention.age.get()?.map(|age| *age),
                        bytes: retention.bytes.get()?.map(|bytes| bytes.0),
                    },
                }))
            }
        }
    }

    /// Who consumes: who is named, and who polls; how many consumer groups that makes; and what they remember.
    fn consumers(
        &mut self,
        name: &Spanned<String>,
        channel: &Channel,
        delivery: Delivery,
        is_log: bool,
    ) -> Option<Consumers> {
        let file = self.file;
        let is_topic = matches!(channel.kind.get()?.value, ChannelKind::Topic);
        let (mut all, mut remembers) = (Vec::new(), BTreeMap::new());
        // Names of consumer groups; without one the group of agents has its own, which nobody else can name.
        let mut groups: BTreeMap<(bool, String), u16> = BTreeMap::new();
        let mut whole = channel.consumers.is_whole();
        for (place, (group, agents)) in file.agents.canonical().enumerate() {
            let Some(agents) = agents.get() else { continue };
            let named = channel.consumers.get(&group.value);
            if named.is_none() && (is_topic || !polls(agents, &name.value)) {
                continue;
            }
            let default;
            let consumer: &Spanned<Consumer> = match named.map(Part::get) {
                Some(Some(consumer)) => consumer,
                Some(None) => {
                    whole = false;
                    continue;
                }
                None => {
                    let polls = Consumer {
                        by: Part::from(Handing::Poll),
                        ..crate::scenario::language::of_defaults::<Consumer>()
                    };
                    default = Spanned::from(polls);
                    &default
                }
            };
            let own = (false, group.value.clone());
            let shared = consumer.value.group.given().map(|shared| (true, shared.value.clone()));
            let next = groups.len() as u16;
            let number = *groups.entry(shared.unwrap_or(own)).or_insert(next);
            let pushed = matches!(consumer.value.by.get()?.value, Handing::Push);
            self.check_consumer((name, channel), (group, agents), consumer, is_log);
            let handlers = agents.handlers_at_once.get().map_or(1, |count| *count.value);
            let prefetch = consumer
                .value
                .prefetch
                .get()?
                .as_ref()
                .map_or(handlers, |most| *most.value);
            let memory = match consumer.value.remembers.get()? {
                Some(memory) => Some(Remembers {
                    most: **memory.value.most.get()?,
                    shared: match memory.value.by.get()? {
                        None => !is_topic,
                        Some(by) => matches!(by.value, Rememberer::Group),
                    },
                }),
                None => (delivery == Delivery::EffectivelyOnce).then_some(Remembers {
                    most: REMEMBERED,
                    shared: !is_topic,
                }),
            };
            remembers.extend(memory.map(|memory| (group.value.clone(), memory)));
            all.push(ConsumerSpec {
                name: group.value.clone(),
                base: self.addresses.agents[place],
                count: agents.reserved()?,
                prefetch: pushed.then_some(prefetch),
                group: number,
                from: consumer
                    .value
                    .from
                    .get()?
                    .as_ref()
                    .map_or(Position::Earliest, |from| position(&from.value)),
                replays: self.replays(consumer)?,
            });
        }
        for (consumer, _) in channel.consumers.canonical() {
            whole &= file
                .agents
                .look_up(consumer, Code::UnknownGroup, "group of agents", self.out)
                .is_some();
        }
        whole.then_some((all, groups.len() as u16, remembers))
    }

    fn replays(&mut self, consumer: &Spanned<Consumer>) -> Option<Vec<(SimTime, Position)>> {
        let mut all = Vec::new();
        for replay in consumer.value.replay.get()? {
            let replay = &replay.get()?.value;
            let at = replay.at.get()?;
            if self
                .end()
                .is_some_and(|end| SimTime::ZERO.saturating_add(at.value) > end)
            {
                let message = "the run is over before the consumer group is set back";
                self.error(Code::AfterTheEnd, at.span, message);
            }
            all.push((SimTime::ZERO.saturating_add(at.value), position(replay.to.get()?)));
        }
        Some(all)
    }

    /// From which channels a group of agents gets messages, and what it does about them.
    pub(super) fn consumed_by(&self, group: &Spanned<String>) -> Arc<[Consumes]> {
        let of = |(name, resolved): (&String, &Resolved)| {
            let consumer = resolved
                .spec
                .consumers
                .iter()
                .find(|consumer| consumer.name == group.value)?;
            let place = self.file.channels.position(name)?;
            Some(Consumes {
                channel: self.addresses.channels[place],
                topic: resolved.spec.topic,
                pushed: consumer.prefetch.is_some(),
                acknowledges: resolved.spec.delivery.acknowledges(),
                remembers: resolved.remembers.get(&group.value).copied(),
            })
        };
        self.channels.iter().filter_map(of).collect()
    }
}

/// A place in a log.
fn position(position: &LogPosition) -> Position {
    match position {
        LogPosition::Earliest => Position::Earliest,
        LogPosition::Latest => Position::Latest,
        LogPosition::Offset(offset) => Position::Offset(*offset),
    }
}

/// Whether a group of agents polls a channel in any step that could be read.
fn polls(group: &crate::scenario::language::Group, channel: &str) -> bool {
    let mut polls = false;
    group.each_step(&mut |step| {
        if let Written::Poll { from, .. } = &step.value {
            polls |= from.get().is_some_and(|from| from.value == channel);
        }
    });
    polls
}

/// The names of the channels that groups of agents publish to.
fn published(file: &crate::scenario::language::Scenario) -> (BTreeSet<&str>, bool) {
    let (mut all, mut whole) = (BTreeSet::new(), file.agents.is_whole());
    for (_, group) in file.agents.canonical() {
        let Some(group) = group.get() else {
            whole = false;
            continue;
        };
        whole &= group.each_step(&mut |step| {
            if let Written::Publish { to, .. } = &step.value {
                all.extend(to.get().map(|to| to.value.as_str()));
            }
        });
    }
    (all, whole)
}

/// Names in a list for people.
fn listed(names: &[String]) -> String {
    names
        .iter()
        .map(|name| write::quoted(name))
        .collect::<Vec<_>>()
        .join(", ")
}
