//! The step that replays a recorded editing session, and what it asks of the group, the store and the rest of the scenario.

use super::Resolver;
use super::operations::Operation;
use crate::agents::edits::{EditStep, Part as Role};
use crate::agents::step::{Action, ReplicaChoice, Step};
use crate::network::SiteId;
use crate::scenario::language::agents::Count;
use crate::scenario::language::state::Model;
use crate::scenario::language::{Step as Written, TimeLaw};
use crate::scenario::syntax::quantity::{Duration, Positive};
use crate::scenario::syntax::{Code, Diagnostic, Part, Span, Spanned, write};
use crate::state::KeyType;
use crate::world::call::Awaits;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The fields of the step, beside those that all operations have.
pub(super) struct Edit<'s> {
    pub trace: &'s Part<Spanned<String>>,
    pub think: &'s Part<Option<Spanned<TimeLaw>>>,
    pub patience: &'s Part<Option<Positive<Duration>>>,
}

impl Resolver<'_, '_> {
    /// The step of a group of agents that replays a session.
    pub(super) fn edit(
        &mut self,
        on: &Operation<'_>,
        edit: &Edit<'_>,
        policy: Option<u16>,
        group: &Spanned<String>,
    ) -> Option<Step> {
        let session = edit
            .trace
            .get()
            .and_then(|trace| self.data.session(trace, self.out).map(|session| (trace, session)));
        let think = edit.think.each(|law| self.time(law));
        let kind = Some((KeyType::Text, "`Edit`"));
        let operate = self.operate(on, policy, kind, Action::Edit(0), false);
        let patience = edit.patience.get()?.map(|patience| *patience);
        let (Some((trace, session)), Some(mut operate)) = (session, operate) else {
            return None;
        };
        operate.replica = ReplicaChoice::Nearest;
        let key = on.key.get()?;
        let mut good = true;
        if operate.keys.count > 1 {
            let message = format!(
                "{} are {} keys, and a session edits one text",
                write::quoted(key),
                operate.keys.count
            );
            self.error(Code::WrongAuthors, key.span, message);
            good = false;
        }
        good &= self.edits_alone(operate.store, key);
        let replicas = self.authors(group, operate.store, trace, session.authors());
        Some(Step::Edit(EditStep {
            operate,
            think: think?,
            part: Arc::new(Role {
                session,
                replicas: replicas.filter(|_| good)?,
                awaits: Awaits { patience },
            }),
        }))
    }

    /// Whether a replica of the store accepts edits by itself; if not, that is reported.
    fn edits_alone(&mut self, store: u16, key: &Spanned<String>) -> bool {
        let Some(store) = self
            .file
            .state
            .at(usize::from(store))
            .and_then(|(_, store)| store.get())
        else {
            return false;
        };
        let Some(model) = store.model.get() else { return false };
        let alone = matches!(
            model.value,
            Model::LastWriteWins { .. } | Model::Crdt { .. } | Model::OperationalTransformation { .. }
        );
        if !alone {
            let message = "a session is replayed where each author's own replica takes its edits by itself";
            let problem = Diagnostic::error(Code::WrongAuthors, key.span, message);
            let problem = problem.label(model.span, "under this model it asks others");
            self.out
                .push(problem.note("`LastWriteWins()`, `Crdt()` and `OperationalTransformation()` do"));
        }
        alone
    }

    /// The replica of each author: the members of the group, each with one of its own.
    fn authors(
        &mut self,
        group: &Spanned<String>,
        store: u16,
        trace: &Spanned<String>,
        authors: usize,
    ) -> Option<Vec<u16>> {
        let written = self.file.agents.known_value(group)?;
        let count = written.count.get()?;
        let Count::Fixed(members) = count.value else {
            let message = "agents of a stream come and go, and a session has the same authors all the time";
            let problem = Diagnostic::error(Code::WrongAuthors, count.span, message);
            self.out.push(problem.label(trace.span, "the session"));
            return None;
        };
        if *members as usize != authors {
            let message = format!("the session has {authors} authors, and the group {} members", *members);
            let problem = Diagnostic::error(Code::WrongAuthors, count.span, message);
            let problem = problem.label(trace.span, "the session");
            self.out
                .push(problem.replace(format!("write {authors}"), count.span, authors.to_string()));
            return None;
        }
        let named = &self.file.sites.0;
        let place = |name: &Part<Spanned<String>>| named.position(name.get()?).map(|at| SiteId(at as u32));
        let at = written.at.get()?;
        let sites: Vec<SiteId> = at.value.0.iter().map(place).collect::<Option<_>>()?;
        let replicas = self.stores[usize::from(store)].sites.clone();
        if sites.is_empty() || replicas.is_empty() {
            return None;
        }
        let nearest = |site: SiteId| {
            let distance = |n: &usize| self.distance(site, replicas[*n]);
            let near = (0..replicas.len()).min_by(|a, b| distance(a).total_cmp(&distance(b)));
            near.unwrap_or(0) as u16
        };
        let chosen: Vec<u16> = (0..authors)
            .map(|author| nearest(sites[author % sites.len()]))
            .collect();
        let mut apart = chosen.clone();
        apart.sort_unstable();
        apart.dedup();
        if apart.len() < authors {
            let message = format!(
                "the {authors} authors edit through {} replicas, and each needs one of its own",
                apart.len()
            );
            let problem = Diagnostic::error(Code::WrongAuthors, at.span, message);
            let help =
                "put each author in a site of its own, in the order of the authors' numbers, with a replica at each";
            self.out.push(problem.help(help));
            return None;
        }
        Some(chosen)
    }

    /// Refuses whatever else changes a text that a session edits: its positions would mean something else.
    pub(super) fn check_edited(&mut self) {
        let file = self.file;
        let mut edited: BTreeMap<(usize, &str), Span> = BTreeMap::new();
        let mut others: Vec<((usize, &str), Span)> = Vec::new();
        let place = |key: &str, store: Option<&Spanned<String>>| match store {
            Some(store) => file.state.position(store),
            None => self.keys.get(key)?.first().map(|place| usize::from(place.store)),
        };
        let mut twice = Vec::new();
        for (_, group) in file.agents.known() {
            group.each_step(&mut |step| {
                let (key, store, edits) = match &step.value {
                    Written::Edit { key, store, .. } => (key, store, true),
                    Written::InsertText { key, store, .. }
                    | Written::DeleteText { key, store, .. }
                    | Written::Update { key, store, .. } => (key, store, false),
                    _ => return,
                };
                let (Some(key), Some(store)) = (key.get(), store.get()) else {
                    return;
                };
                let Some(at) = place(&key.value, store.as_ref()) else {
                    return;
                };
                let named = (at, key.value.as_str());
                match edits {
                    true => {
                        if let Some(first) = edited.insert(named, key.span) {
                            twice.push((key.span, first));
                        }
                    }
                    false => others.push((named, key.span)),
                }
            });
        }
        let others = others.iter().filter_map(|(key, span)| Some((*span, *edited.get(key)?)));
        for (span, first) in twice.into_iter().chain(others) {
            let message = "a text that a session edits is changed by nobody else: positions would mean something else";
            let problem = Diagnostic::error(Code::WrongAuthors, span, message);
            self.out.push(problem.label(first, "a session edits it here"));
        }
    }
}
