//! `Team`: members beside the agents of all crews, who do the tasks of a graph without an orchestrator.

use super::Resolver;
use super::coordination::nanos;
use crate::coordination::Protocol;
use crate::coordination::member::NEVER;
use crate::coordination::team::{Flaw, Post, Rules, Speculate, Take};
use crate::kernel::Key;
use crate::scenario::language::coordination::Pattern;
use crate::scenario::language::work::Take as Written;
use crate::scenario::syntax::{Code, Diagnostic, Spanned, write};
use std::ops::Range;

/// The most members of a team: each comparison names all that ever said something.
const MOST_MATES: usize = 4096;

impl Resolver<'_, '_> {
    /// A team whose members stand beside these runs of agents.
    pub(super) fn team_group(&mut self, pattern: &Spanned<Pattern>, runs: Option<&[Range<u32>]>) -> Option<Protocol> {
        let Pattern::Team {
            work,
            period,
            fan_out,
            take,
            settle,
            timeout,
            decides,
            disk,
            speculate,
        } = &pattern.value
        else {
            return None;
        };
        let named = work.get()?;
        let graph = self.work(named);
        let decides = decides.get().and_then(|decides| self.time(decides));
        let (fan_out, timeout) = (fan_out.get()?, timeout.get()?);
        let runs = runs?;
        let members = runs.iter().map(ExactSizeIterator::len).sum::<usize>();
        if runs.is_empty() {
            let message = "the members of a team do the work of agents: they stand `beside` these";
            self.error(Code::BadTeam, pattern.span, message);
            return None;
        }
        if members > MOST_MATES {
            let message = format!("a team has {MOST_MATES} members at most, and this one has {members}");
            self.error(Code::TooMany, pattern.span, message);
            return None;
        }
        if *fan_out.value as usize > (members - 1).max(1) {
            let message = format!(
                "{} others to compare with at a time, and there are {} others",
                *fan_out.value,
                members - 1
            );
            self.error(Code::BadTeam, fan_out.span, message);
        }
        let settle = nanos(*settle.get()?);
        if let Some(timeout) = timeout
            && nanos(*timeout.value) <= settle
        {
            let message = "a claim lapses (`timeout`) before its work begins (`settle`)";
            self.error(Code::BadTeam, timeout.span, message);
        }
        let graph = graph?;
        let stands_beside = |crew: &(u32, u32)| runs.iter().any(|run| *run == (crew.0..crew.0 + crew.1));
        let without: Vec<u32> = graph
            .crews
            .iter()
            .filter(|crew| !stands_beside(crew))
            .map(|(first, _)| *first)
            .collect();
        for first in without {
            let at = self.addresses.agents.iter().position(|agents| *agents == first)?;
            let name = self.file.agents.canonical().nth(at)?.0;
            let message = format!(
                "no member stands beside the agents of {}, who do tasks of it",
                write::quoted(name)
            );
            let problem = Diagnostic::error(Code::BadTeam, named.span, message);
            self.out
                .push(problem.help("`beside` names all groups whose agents do tasks of the work"));
        }
        let post = |agent: u32| {
            let has = |(first, count): &(u32, u32)| (*first..first + count).contains(&agent);
            let crew = graph.crews.iter().position(has).map(|crew| crew as u16);
            Post { agent, crew }
        };
        let posts = runs.iter().cloned().flatten().map(post).collect();
        let speculate = match speculate.get()? {
            None => None,
            Some(speculate) => {
                let holds = speculate.value.holds.get()?.get();
                let if_wrong = speculate.value.holds_if_wrong.get()?;
                Some(Speculate {
                    after: nanos(*speculate.value.after.get()?),
                    holds: [holds, if_wrong.as_ref().map_or(holds, |given| given.get())],
                })
            }
        };
        Some(Protocol::Team(Box::new(Rules {
            posts,
            period: nanos(**period.get()?),
            fan_out: *fan_out.value,
            take: match take.get()? {
                Written::AtOnce => Take::AtOnce,
                Written::Random { within } => Take::Random(nanos(**within.get()?)),
                Written::Ranked { wait } => Take::Ranked(nanos(**wait.get()?)),
            },
            settle,
            timeout: timeout.as_ref().map_or(NEVER, |timeout| nanos(*timeout.value)),
            decides: decides?,
            disk: disk.get()?.as_nanos(),
            speculate,
            // The run gives it that of its first member.
            key: Key::root(0, 0),
            flaw: Flaw::None,
            graph,
        })))
    }
}
