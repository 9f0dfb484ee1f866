//! Presets: stores that people choose between, each a configuration of the models.
//!
//! Guarantees: a preset is gone before anything is resolved: what it was written for is a [`Store`] under the models that there are,
//! with every option said (`Store::expand`). So a run under a preset is the run under its written-out configuration, event for event.
//! Options that the file gives keep their places, and what is wrong with them is said there.

mod pages;

pub use pages::PRESETS;

use super::Store;
use super::models::Model;
use super::state::{
    Blind, Coordinator, CounterType, Failover, Keys, Leaders, Legs, RegisterType, Sessions, SessionsBy, SetType, Ship,
};
use crate::scenario::syntax::quantity::{Duration, Positive};
use crate::scenario::syntax::{Code, Diagnostic, Diagnostics, Encode, Part, Span, Spanned, write};

/// What became of a preset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expanded {
    /// The store.
    pub store: String,
    /// The preset's name.
    pub preset: &'static str,
    /// What the store's `model` is, as it could be written.
    pub model: String,
    /// What its `sessions` are, if the preset says so.
    pub sessions: Option<String>,
}

/// A default of a preset, and where it is from.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    /// The option.
    pub option: &'static str,
    /// What it is where the option has no default of its own.
    pub instead: &'static str,
    /// What the store that the preset is named after says of it, or why it was chosen.
    pub why: &'static str,
    /// The titles and addresses of what was read; none for a choice of ours.
    pub sources: &'static [(&'static str, &'static str)],
}

/// A preset's page.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    /// Its name in the language.
    pub name: &'static str,
    /// What kind of store it is.
    pub title: &'static str,
    /// What it promises, and what of the original it leaves out.
    pub doc: &'static str,
    /// Its options in order, each with its origin.
    pub origins: &'static [Origin],
}

impl Model {
    /// The preset's name, if it is one.
    pub fn preset(&self) -> Option<&'static str> {
        Some(match self {
            Self::DocumentStore { .. } => "DocumentStore",
            Self::WideColumn { .. } => "WideColumn",
            Self::NewSql { .. } => "NewSql",
            Self::TimeSeries { .. } => "TimeSeries",
            Self::GraphStore { .. } => "GraphStore",
            _ => return None,
        })
    }

    /// The model that a preset stands for, in a store of so many replicas and keys. Others stand for themselves.
    pub fn expanded(&self, replicas: u32, keys: u32) -> Self {
        match self.clone() {
            Self::DocumentStore {
                primary,
                copies,
                reads,
                failover,
                heartbeat,
                timeout,
            } => Self::Primary {
                primary,
                copies,
                reads,
                timeout,
                resend: Part::from(seconds(1)),
                in_sync: Part::from(None),
                failover,
                heartbeat,
                lease: Part::from(None),
            },
            Self::WideColumn {
                n,
                r,
                w,
                resolve,
                read_repair,
                hinted_handoff,
                timeout,
            } => Self::Quorum {
                n: at_most_three(n, replicas),
                read_repair: match (read_repair.get(), r.get()) {
                    (Some(Some(said)), _) => Part::from(*said),
                    (Some(None), Some(r)) => Part::from(r.as_ref().is_none_or(|r| *r.value > 1)),
                    _ => Part::UNREAD,
                },
                r,
                w,
                resolve,
                hinted_handoff,
                sloppy: Part::from(false),
                timeout,
                coordinator: Part::from(Coordinator::Nearest),
                legs: no_legs(),
            },
            Self::NewSql {
                shards,
                split,
                leaders,
                reads,
                election_min,
                election_max,
                heartbeat,
                timeout,
            } => Self::Raft {
                shards: match shards.get() {
                    Some(Some(shards)) => Part::from(*shards),
                    Some(None) => Part::from(super::positive(replicas.min(keys).max(1))),
                    None => Part::UNREAD,
                },
                split,
                leaders,
                reads,
                election_min,
                election_max,
                heartbeat,
                pre_vote: Part::from(true),
                batch: Part::from(super::positive(64)),
                in_flight: Part::from(super::positive(16)),
                snapshot_every: Part::from(super::positive(10_000)),
                remember: Part::from(super::positive(10_000)),
                timeout,
            },
            Self::TimeSeries {
                n,
                r,
                w,
                hinted_handoff,
                timeout,
            } => Self::Quorum {
                n: at_most_three(n, replicas),
                r,
                w,
                resolve: Part::from(Box::new(Spanned::from(grow_only()))),
                read_repair: Part::from(false),
                hinted_handoff,
                sloppy: Part::from(false),
                timeout,
                coordinator: Part::from(Coordinator::Nearest),
                legs: no_legs(),
            },
            other => other,
        }
    }
}

impl Store {
    /// What a preset stands for by itself, put in its place. `None`: there is none, or it can't be.
    pub fn expand_alone(&mut self) -> Option<Expanded> {
        self.expand("", &mut Diagnostics::new())
    }

    /// Puts the configuration that a preset stands for in its place. `None`: there is no preset.
    pub(in crate::scenario) fn expand(&mut self, name: &str, out: &mut Diagnostics) -> Option<Expanded> {
        let model = self.model.get()?;
        let (preset, place) = (model.value.preset()?, model.span);
        let sites = self.at.get().map(|at| at.value.0.iter().filter_map(Part::get));
        let mut sites: Vec<&str> = sites.into_iter().flatten().map(|site| site.value.as_str()).collect();
        sites.sort_unstable();
        sites.dedup();
        let (first, replicas) = (sites.first().map(|site| (*site).to_string()), sites.len().max(1) as u32);
        let mut keys = 0u32;
        for (key, of) in self.keys.known() {
            let (kind, count) = kind_of(of);
            keys = keys.saturating_add(count);
            if matches!(model.value, Model::TimeSeries { .. }) && kind != "set" {
                let message = format!(
                    "a time series takes points in, and changes and removes none: its keys are sets, and this one is a {kind}"
                );
                let problem = Diagnostic::error(Code::ModelRefusesKey, key.span, message).label(place, "the model");
                out.push(problem.help("declare a `Set`, and add each point with `Insert`"));
            }
        }
        let (expanded, sessions) = match &model.value {
            Model::GraphStore {
                writer,
                reads,
                election_min,
                election_max,
                heartbeat,
                timeout,
            } => {
                let writer = match writer.get() {
                    Some(Some(site)) => Some(site.clone()),
                    Some(None) => first.map(Spanned::from),
                    None => None,
                };
                let graph = Model::Raft {
                    shards: Part::from(super::positive(1)),
                    split: Part::from(super::state::Split::Hash),
                    leaders: writer.map_or(Part::UNREAD, |site| Part::from(Leaders::At(site))),
                    reads: reads.clone(),
                    election_min: *election_min,
                    election_max: *election_max,
                    heartbeat: *heartbeat,
                    pre_vote: Part::from(true),
                    batch: Part::from(super::positive(64)),
                    in_flight: Part::from(super::positive(16)),
                    snapshot_every: Part::from(super::positive(10_000)),
                    remember: Part::from(super::positive(10_000)),
                    timeout: *timeout,
                };
                let is_local = matches!(reads.get(), Some(super::state::RaftReads::Local));
                (graph, is_local.then(bookmarks))
            }
            preset => (preset.expanded(replicas, keys), None),
        };
        let expanded = placed(expanded, place);
        let said = is_whole(&model.value).then(|| write::line(&expanded.encode()));
        // What the file says of sessions counts.
        let sessions = sessions.filter(|_| matches!(self.sessions.get(), Some(None)));
        let words = sessions.as_ref().map(|sessions| write::line(&sessions.encode()));
        if let Some(sessions) = sessions {
            self.sessions = Part::from(Some(Spanned::new(sessions, place)));
        }
        self.model = Part::from(Spanned::new(expanded, place));
        Some(Expanded {
            store: name.to_string(),
            preset,
            model: said?,
            sessions: words,
        })
    }
}

/// The model with a preset's place for defaults that diagnostics point at.
fn placed(mut model: Model, place: Span) -> Model {
    if let Model::Primary { failover, .. } = &mut model
        && let Some(failover) = failover.get_mut()
        && let Failover::After(after) | Failover::Majority(after) = &mut failover.value
        && after.span == Span::default()
    {
        after.span = place;
    }
    model
}

/// Whether all of a preset's options could be read, so that it can be written.
fn is_whole(model: &Model) -> bool {
    match model {
        Model::DocumentStore {
            primary,
            copies,
            reads,
            failover,
            heartbeat,
            timeout,
        } => {
            let unread = [
                primary.is_unread(),
                copies.is_unread(),
                reads.is_unread(),
                failover.is_unread(),
            ];
            !unread.contains(&true) && !heartbeat.is_unread() && !timeout.is_unread()
        }
        Model::WideColumn {
            n,
            r,
            w,
            resolve,
            read_repair,
            hinted_handoff,
            timeout,
        } => {
            let unread = [
                n.is_unread(),
                r.is_unread(),
                w.is_unread(),
                resolve.is_unread(),
                read_repair.is_unread(),
            ];
            !unread.contains(&true) && !hinted_handoff.is_unread() && !timeout.is_unread()
        }
        Model::NewSql {
            shards,
            split,
            leaders,
            reads,
            election_min,
            election_max,
            heartbeat,
            timeout,
        } => {
            let unread = [
                shards.is_unread(),
                split.is_unread(),
                leaders.is_unread(),
                reads.is_unread(),
            ];
            let times = [
                election_min.is_unread(),
                election_max.is_unread(),
                heartbeat.is_unread(),
            ];
            !unread.contains(&true) && !times.contains(&true) && !timeout.is_unread()
        }
        Model::TimeSeries {
            n,
            r,
            w,
            hinted_handoff,
            timeout,
        } => {
            let unread = [n.is_unread(), r.is_unread(), w.is_unread(), hinted_handoff.is_unread()];
            !unread.contains(&true) && !timeout.is_unread()
        }
        Model::GraphStore {
            writer,
            reads,
            election_min,
            election_max,
            heartbeat,
            timeout,
        } => {
            let unread = [
                writer.is_unread(),
                reads.is_unread(),
                heartbeat.is_unread(),
                timeout.is_unread(),
            ];
            !unread.contains(&true) && !election_min.is_unread() && !election_max.is_unread()
        }
        _ => false,
    }
}

fn seconds(seconds: u64) -> Positive<Duration> {
    super::positive(Duration::from_secs(seconds))
}

/// How many replicas keep a key: three, unless it is said, or all where there are fewer.
fn at_most_three(n: Part<Option<Spanned<Positive<u32>>>>, replicas: u32) -> Part<Option<Spanned<Positive<u32>>>> {
    match n.get() {
        Some(None) => Part::from(Some(Spanned::from(super::positive(replicas.min(3))))),
        _ => n,
    }
}

fn no_legs() -> Part<Legs> {
    Part::from(super::of_defaults::<Legs>())
}

/// Sets that only grow, in small states.
fn grow_only() -> Model {
    Model::Crdt {
        register: Part::from(RegisterType::MultiValue),
        counter: Part::from(CounterType::UpAndDown),
        set: Part::from(SetType::GrowOnly),
        ship: Part::from(Ship::Delta),
        blind: Part::from(Blind::Sibling),
    }
}

/// Sessions that bring what they have seen.
fn bookmarks() -> Sessions {
    Sessions {
        read_your_writes: Part::from(true),
        monotonic_reads: Part::from(true),
        monotonic_writes: Part::from(true),
        writes_follow_reads: Part::from(true),
        by: Part::from(SessionsBy::Token),
        wait: Part::from(Duration::from_secs(30)),
    }
}

fn kind_of(keys: &Keys) -> (&'static str, u32) {
    match keys {
        Keys::Register { count } => ("register", **count),
        Keys::Counter { count } => ("counter", **count),
        Keys::Set { count } => ("set", **count),
        Keys::Map { count } => ("map", **count),
        Keys::Text { count } => ("text", **count),
    }
}
