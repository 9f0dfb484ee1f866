//! `coordination`: gossip, SWIM and causal broadcast.

use super::Resolver;
use crate::coordination::{Protocol, causal, gossip, swim};
use crate::kernel::SimDuration;
use crate::scenario::language::coordination::Pattern;
use crate::scenario::language::gossip::{Exchange, GossipItem, OrNever, Pace, ProbePace, Spread, Stop, Targets, Via};
use crate::scenario::syntax::quantity::{Duration, Positive};
use crate::scenario::syntax::{Code, Diagnostic, Part, Span, Spanned};

/// The most members that probe each other: each believes something of each.
const MOST_PROBERS: u32 = 8_000;
/// The most members of a causal broadcast: each event says something of each.
const MOST_CASTERS: u32 = 2_000;
/// The most items that come into the world by themselves.
const MOST_ITEMS: usize = 100_000;

fn nanos(time: SimDuration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX / 4)
}

fn or_never(time: &OrNever) -> Option<u64> {
    match time {
        OrNever::Never => None,
        OrNever::After(time) => Some((**time).as_nanos()),
    }
}

impl Resolver<'_, '_> {
    pub(super) fn gossip_group(
        &mut self,
        name: &Spanned<String>,
        pattern: &Spanned<Pattern>,
        members: u32,
    ) -> Option<Protocol> {
        let Pattern::Gossip {
            exchange,
            spread,
            pace,
            fan_out,
            anti_entropy,
            neighbours,
            items,
        } = &pattern.value
        else {
            return None;
        };
        let errors = self.out.error_count();
        self.check_fan_out(fan_out.get()?, members, "`fan_out`");
        let neighbours = self.neighbours(neighbours.get()?, members);
        let pace = match pace.get()? {
            Pace::Together { every } => gossip::Pace::Together {
                every: (**every.get()?).as_nanos(),
            },
            Pace::Apart { every, jitter } => {
                let jitter = jitter.get()?;
                if !(0.0..1.0).contains(&jitter.value) {
                    let message = "a `jitter` is at least 0 and less than 1";
                    self.error(Code::BadGossip, jitter.span, message);
                }
                gossip::Pace::Apart {
                    every: (**every.get()?).as_nanos(),
                    jitter: jitter.value,
                }
            }
        };
        let written = spread.get()?;
        let spread = match &written.value {
            Spread::Everything => gossip::Spread::Everything,
            Spread::Nothing => gossip::Spread::Nothing,
            Spread::Rumours { feedback, stop } => gossip::Spread::Rumours(gossip::Stopping {
                feedback: *feedback.get()?,
                rule: match stop.get()? {
                    Stop::Coin(sides) => gossip::Rule::Coin(**sides),
                    Stop::Counter(most) => gossip::Rule::Counter((**most).min(u16::MAX.into())),
                },
            }),
        };
        let anti_entropy = anti_entropy.get()?.as_ref().map(|every| (*every.value).as_nanos());
        if spread == gossip::Spread::Nothing && anti_entropy.is_none() {
            let message = "members tell nothing and compare nothing: no item ever leaves the member at which it came into the world";
            let problem = Diagnostic::error(Code::UnreachableItem, written.span, message);
            self.out
                .push(problem.help("`anti_entropy: \"1s\"` has them compare what they have"));
        }
        let planted = self.planted(items.get()?, members);
        let asked = self.is_submitted_to(name);
        if items.get()?.is_empty() && !asked {
            let message = "nothing comes into the world here: there are no `items`, and no agent submits any";
            self.warn(Code::NothingToGossip, pattern.span, message);
        }
        if members == 1 && (asked || !items.get()?.is_empty()) {
            let message = "the group has one member: an item that comes into the world there can reach nobody";
            self.error(Code::UnreachableItem, pattern.span, message);
        }
        if self.out.error_count() > errors {
            return None;
        }
        let rules = gossip::Rules {
            exchange: match exchange.get()? {
                Exchange::Push => gossip::Exchange::Push,
                Exchange::Pull => gossip::Exchange::Pull,
                Exchange::PushPull => gossip::Exchange::PushPull,
            },
            spread,
            pace,
            fan_out: *fan_out.get()?.value,
            anti_entropy,
            neighbours: neighbours?,
            ..gossip::Rules::new(members)
        };
        Some(Protocol::Gossip(Box::new(rules.plant(planted?))))
    }

    fn check_fan_out(&mut self, fan_out: &Spanned<Positive<u32>>, members: u32, what: &str) {
        let others = members.saturating_sub(1);
        if *fan_out.value > others && others > 0 {
            let message = format!(
                "{what} is {}, and a member has {others} other{} to contact",
                *fan_out.value,
                if others == 1 { "" } else { "s" }
            );
            self.error(Code::BadGossip, fan_out.span, message);
        }
    }

    fn neighbours(&mut self, neighbours: &Option<Spanned<Positive<u32>>>, members: u32) -> Option<Option<u32>> {
        let Some(links) = neighbours else {
            return Some(None);
        };
        if *links.value >= members {
            let message = format!(
                "a member opens {} links, and there are {} others",
                *links.value,
                members.saturating_sub(1)
            );
            self.error(Code::BadGossip, links.span, message);
            return None;
        }
        if *links.value == 1 && members > 3 {
            let message = "with one link that each member opens, the group falls apart into several, as a rule: items reach some of them only";
            self.warn(Code::UnreachableItem, links.span, message);
        }
        Some(Some(*links.value))
    }

    fn planted(&mut self, items: &[Part<Spanned<GossipItem>>], members: u32) -> Option<Vec<gossip::Planted>> {
        if let Some(first) = items.get(MOST_ITEMS).and_then(Part::get) {
            let message = format!("at most {MOST_ITEMS} items come into the world by themselves");
            self.error(Code::TooMany, first.span, message);
            return None;
        }
        let mut planted = Vec::new();
        for (number, item) in (1u32..).zip(items) {
            let GossipItem {
                member,
                at,
                value,
                bytes,
            } = &item.get()?.value;
            let bytes = self.bytes_of(bytes);
            let member = member.get()?;
            if member.value >= members {
                let message = format!(
                    "there is no member {}: the group has {members}, numbered from 0",
                    member.value
                );
                self.error(Code::BadGossip, member.span, message);
            }
            planted.push(gossip::Planted {
                origin: member.value,
                number,
                at: nanos(at.get()?.value),
                value: *value.get()?,
                bytes: bytes?,
            });
        }
        Some(planted)
    }

    /// Whether any agent submits something to a group, as far as that is known.
    fn is_submitted_to(&self, name: &Spanned<String>) -> bool {
        let mut found = !self.file.agents.is_whole();
        for (_, agents) in self.file.agents.canonical() {
            let Some(agents) = agents.get() else {
                return true;
            };
            // Steps that can't be read may be such.
            let is_whole = agents.each_step(&mut |step| {
                if let crate::scenario::language::Step::Submit { to, .. } = &step.value {
                    found |= to.get().is_none_or(|to| to.value == name.value);
                }
            });
            found |= !is_whole;
        }
        found
    }

    fn too_many_members(&mut self, what: &str, members: u32, most: u32, span: Span) -> bool {
        if members > most {
            let message = format!("{what} has {most} members at most, and this one has {members}");
            self.error(Code::TooMany, span, message);
        }
        members > most
    }

    pub(super) fn swim_group(&mut self, pattern: &Spanned<Pattern>, members: u32) -> Option<Protocol> {
        let Pattern::Swim {
            period,
            timeout,
            helpers,
            suspicion,
            retransmit,
            piggyback,
            targets,
            pace,
            initial,
            join_every,
            sync,
        } = &pattern.value
        else {
            return None;
        };
        if self.too_many_members("a group that probes by SWIM", members, MOST_PROBERS, pattern.span) {
            return None;
        }
        let errors = self.out.error_count();
        self.check_probe(period.get()?, timeout.get()?, helpers.get()?, members);
        let retransmit = retransmit.get()?;
        if !(retransmit.value.is_finite() && retransmit.value >= 0.0 && retransmit.value <= 1e6) {
            let message = "`retransmit` is a number that isn't negative";
            self.error(Code::BadSwim, retransmit.span, message);
        }
        let all = Spanned::from(crate::scenario::language::positive(members));
        let given = initial.get()?;
        let initial = given.as_ref().unwrap_or(&all);
        if *initial.value > members {
            let message = format!("{} members are there from the beginning, of {members}", *initial.value);
            self.error(Code::BadSwim, initial.span, message);
        }
        let late = members.saturating_sub(*initial.value);
        let join_every = join_every.get()?;
        if let Some(every) = join_every
            && late == 0
        {
            let message = "all members are there from the beginning: `initial` says how many of them are";
            self.warn(Code::BadSwim, every.span, message);
        }
        if self.out.error_count() > errors {
            return None;
        }
        let every = join_every.as_ref().map_or(0, |every| nanos(every.value));
        Some(Protocol::Swim(Box::new(swim::Rules {
            initial: *initial.value,
            joins: (1..=i64::from(late)).map(|place| place.saturating_mul(every)).collect(),
            period: (*period.get()?.value).as_nanos(),
            timeout: (*timeout.get()?.value).as_nanos(),
            helpers: helpers.get()?.value,
            suspicion: or_never(suspicion.get()?),
            retransmit: retransmit.value,
            piggyback: **piggyback.get()?,
            targets: match targets.get()? {
                Targets::Random => swim::Targets::Random,
                Targets::Shuffled => swim::Targets::RoundRobin,
            },
            pace: match pace.get()? {
                ProbePace::Together => swim::Pace::Together,
                ProbePace::Apart => swim::Pace::Apart,
            },
            sync: or_never(sync.get()?),
            ..swim::Rules::new(members)
        })))
    }

    fn check_probe(
        &mut self,
        period: &Spanned<Positive<Duration>>,
        timeout: &Spanned<Positive<Duration>>,
        helpers: &Spanned<u32>,
        members: u32,
    ) {
        if *timeout.value >= *period.value {
            let message =
                "a probe is given up at the end of the period: its `timeout` must be shorter, so that others can help";
            self.error(Code::BadSwim, timeout.span, message);
        }
        let others = members.saturating_sub(2);
        if helpers.value > others && helpers.span != Span::default() {
            let message = format!(
                "{} others are to help, and beside a member and its target there are {others}",
                helpers.value
            );
            self.warn(Code::BadSwim, helpers.span, message);
        }
    }

    pub(super) fn causal_group(&mut self, pattern: &Spanned<Pattern>, members: u32) -> Option<Protocol> {
        let Pattern::Causal { via, repair } = &pattern.value else {
            return None;
        };
        if self.too_many_members("a causal broadcast", members, MOST_CASTERS, pattern.span) {
            return None;
        }
        let errors = self.out.error_count();
        let via = match &via.get()?.value {
            Via::Direct => causal::Via::Direct,
            Via::Gossip(fan_out) => {
                self.check_fan_out(fan_out, members, "the number of others that an event is handed to");
                causal::Via::Gossip(*fan_out.value)
            }
        };
        if self.out.error_count() > errors {
            return None;
        }
        Some(Protocol::Causal(Box::new(causal::Rules {
            via,
            repair: or_never(repair.get()?),
            ..causal::Rules::new(members)
        })))
    }
}
