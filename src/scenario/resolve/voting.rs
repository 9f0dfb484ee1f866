//! `coordination`: who votes, and what approves.

use super::Resolver;
use crate::coordination::Protocol;
use crate::coordination::member::NEVER;
use crate::coordination::voting::{Flaw, Rule, Rules, Voter};
use crate::scenario::language::coordination::{Pattern, Rule as Written};
use crate::scenario::syntax::{Code, Diagnostic, OneOrMany, Part, Span, Spanned, write};
use std::collections::BTreeSet;

/// The most voters of a vote.
const MOST_VOTERS: u64 = 1 << 20;

type Names = Spanned<OneOrMany<Part<Spanned<String>>>>;

impl Resolver<'_, '_> {
    /// The agents of a group that a coordination group sets to work, by their entities. They stay, and handle the topic.
    pub(super) fn engaged_agents(&mut self, name: &Spanned<String>, topic: &Spanned<String>) -> Option<(u32, u32)> {
        let file = self.file;
        let group = file
            .agents
            .look_up(name, Code::UnknownGroup, "group of agents", self.out)?;
        let at = file.agents.position(name)?;
        let group = group.get()?;
        if group.is_stream() {
            let message = "agents of a stream come and go: nobody can set them to work by their number";
            self.error(Code::BadCoordination, name.span, message);
            return None;
        }
        if group.on.is_whole() && !group.on.names().any(|handled| handled == topic.value) {
            let (group, topic) = (write::quoted(name), write::quoted(topic));
            let message = format!("agents of {group} have no handler for {topic}");
            let problem = Diagnostic::error(Code::BadCoordination, name.span, message);
            self.out
                .push(problem.help(format!("what they do stands in the group: `on: {{{topic}: [...]}}`")));
            return None;
        }
        Some((self.addresses.agents[at], group.reserved()?))
    }

    /// The groups that are named, each once.
    fn distinct<'n>(&mut self, names: &'n Names) -> Vec<&'n Spanned<String>> {
        let mut seen = BTreeSet::new();
        let mut all = Vec::new();
        for name in names.value.0.iter().filter_map(Part::get) {
            match seen.insert(name.value.as_str()) {
                true => all.push(name),
                false => {
                    let message = format!("{} stands twice", write::quoted(name));
                    self.error(Code::NamedTwice, name.span, message);
                }
            }
        }
        all
    }

    pub(super) fn voting_group(&mut self, pattern: &Spanned<Pattern>) -> Option<Protocol> {
        let Pattern::Voting {
            voters,
            on,
            rule,
            weights,
            veto,
            quorum,
            timeout,
            verify,
            ..
        } = &pattern.value
        else {
            return None;
        };
        let (voters, on) = (voters.get()?, on.get()?);
        let errors = self.out.error_count();
        let names = self.distinct(voters);
        let is_voter = |name: &str| names.iter().any(|voter| voter.value == name);
        for (name, _) in weights.canonical().filter(|(name, _)| !is_voter(name)) {
            self.error(
                Code::BadCoordination,
                name.span,
                format!("{} doesn't vote", write::quoted(name)),
            );
        }
        let vetoing = veto.get()?.as_ref().map_or(Vec::new(), |veto| self.distinct(veto));
        for name in vetoing.iter().filter(|name| !is_voter(name)) {
            self.error(
                Code::BadCoordination,
                name.span,
                format!("{} doesn't vote", write::quoted(name)),
            );
        }
        let mut all = Vec::new();
        let mut count = 0u64;
        for name in &names {
            let Some((first, agents)) = self.engaged_agents(name, on) else {
                continue;
            };
            count += u64::from(agents);
            if count > MOST_VOTERS {
                self.error(
                    Code::TooMany,
                    name.span,
                    format!("there are {MOST_VOTERS} voters at most"),
                );
                return None;
            }
            let weight = weights.known_value(name).map_or(1, |weight| u64::from(**weight));
            let vetoes = vetoing.iter().any(|veto| veto.value == name.value);
            all.extend((first..first + agents).map(|agent| Voter { agent, weight, vetoes }));
        }
        if names.is_empty() {
            self.error(Code::EmptyGroup, voters.span, "nobody votes");
        }
        if self.out.error_count() > errors {
            return None;
        }
        let (quorum, timeout) = (quorum.get()?, timeout.get()?);
        if let Some(quorum) = quorum
            && u64::from(*quorum.value) > count
        {
            let message = format!("a quorum of {} is larger than the {count} who vote", *quorum.value);
            self.error(Code::BadCoordination, quorum.span, message);
        }
        let rule = self.rule(rule.get()?, &all, voters.span)?;
        Some(Protocol::Voting(Box::new(Rules {
            voters: all,
            topic: self.topics[&on.value],
            rule,
            quorum: quorum.as_ref().map_or(0, |quorum| *quorum.value),
            timeout: timeout
                .as_ref()
                .map_or(NEVER, |timeout| i64::try_from(timeout.as_nanos()).unwrap_or(NEVER)),
            verify: verify.get()?.as_nanos(),
            flaw: Flaw::None,
        })))
    }

    fn rule(&mut self, rule: &Spanned<Written>, voters: &[Voter], declared: Span) -> Option<Rule> {
        let total: u64 = voters.iter().map(|voter| voter.weight).sum();
        Some(match &rule.value {
            Written::Majority => Rule::Majority,
            Written::Unanimous => Rule::Unanimous,
            Written::Share(share) => Rule::Share(share.value.get()),
            Written::AtLeast(weight) => {
                let least = u64::from(*weight.value);
                if least > total {
                    let message = format!("{least} can never be reached: all voters together weigh {total}");
                    let problem = Diagnostic::error(Code::BadCoordination, weight.span, message);
                    self.out.push(problem.label(declared, "the voters"));
                    return None;
                }
                Rule::AtLeast(least)
            }
        })
    }
}
