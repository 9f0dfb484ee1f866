//! Floor 2: fault schedules: what goes wrong, when, and to whom. The world above executes them.
//!
//! A schedule is a trajectory of time alone. Each *timeline* (a fault, or a fault and one of its targets) alternates
//! between begin and end; the lengths of its occurrence number `k` are drawn under (fault, target) at `k`, so that neither
//! what else happens nor another fault or target moves it. [`Faults::next`] gives one step of one timeline at a time, so
//! that one queued entry for each timeline is enough, however long the run.
//!
//! [`Bands`] records when each fault was on, for the shaded bands of plots.

mod bands;
pub mod schedule;

#[cfg(test)]
mod tests;

pub use bands::{Band, Bands};
pub use schedule::{Edge, Timeline, When, Window};

use crate::kernel::{Key, SimTime};
use crate::network::SiteId;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::Arc;

/// One fault of a scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultSpec {
    /// Its name: unique, the address of its draws, the label of its bands.
    pub name: String,
    /// What goes wrong.
    pub kind: FaultKind,
    /// When.
    pub when: When,
    /// Whom it hits; nobody in particular for what happens to the network.
    pub targets: Vec<Target>,
    /// Whether the targets are hit together or each on its own timeline.
    pub independence: Independence,
}

/// What goes wrong between begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum FaultKind {
    /// A cut of the network falls, and heals.
    Partition {
        /// Its index in [`crate::network::NetworkSpec::cuts`].
        cut: u32,
    },
    /// A degradation of the network begins, and ends.
    Degrade {
        /// Its index in [`crate::network::NetworkSpec::degradations`].
        degradation: u32,
    },
    /// The target stops, and starts again.
    Crash {
        /// What is left of its state.
        keep: Keep,
    },
    /// The target does nothing for a while, and then goes on as if nothing had been.
    Pause,
    /// The target's clock jumps at the begin.
    ClockStep {
        /// By so many nanoseconds, forwards or backwards.
        by: i64,
        /// Whether it jumps back by as much at the end.
        undone: bool,
    },
    /// The target, a service, finishes nothing (at 0) or works more slowly: its speed is multiplied by this.
    ServiceStall {
        /// In [0, 1].
        speed: f64,
    },
}

/// What a crash leaves of the state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Keep {
    /// Everything that the target calls durable.
    #[default]
    State,
    /// Nothing.
    Nothing,
}

/// Whom a fault hits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name, the address of its own draws.
    pub name: String,
    /// Who that is.
    pub scope: Scope,
}

/// Who a target is, in the terms of the world.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// A site, with everything in it.
    Site(SiteId),
    /// The agents with these tags.
    Tags(Range<u32>),
    /// A service.
    Service(u32),
}

/// Which targets share a timeline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Independence {
    /// All of them: they are hit at once.
    #[default]
    Together,
    /// Each target has its own.
    EachTarget,
    /// Each tag of each target has its own (a site and a service count as one).
    EachMember,
}

/// One step of one timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Step {
    /// When.
    pub at: SimTime,
    /// Whether the fault begins or ends.
    pub edge: Edge,
    /// The number of the occurrence on this timeline, from 0.
    pub occurrence: u64,
    /// The fault's index.
    pub fault: u32,
    /// The target's index in the fault; `None`: all of them (or none in particular).
    pub target: Option<u32>,
    /// The tag within the target's range; `None`: all of the target.
    pub tag: Option<u32>,
}

/// Something wrong with a fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("fault \"{fault}\": {problem}")]
pub struct FaultError {
    /// Its name.
    pub fault: String,
    /// What is wrong with it.
    pub problem: String,
}

/// The timelines of one run.
#[derive(Debug, Clone, Serialize)]
pub struct Faults {
    #[serde(skip)]
    specs: Arc<Vec<FaultSpec>>,
    timelines: Vec<Track>,
}

/// A timeline, and what it is about.
#[derive(Debug, Clone, Serialize)]
struct Track {
    timeline: Timeline,
    fault: u32,
    target: Option<u32>,
    tag: Option<u32>,
}

impl FaultSpec {
    /// Whether it happens to the network, and so to no target.
    pub fn is_of_network(&self) -> bool {
        matches!(self.kind, FaultKind::Partition { .. } | FaultKind::Degrade { .. })
    }

    /// Everything that is wrong with it, in a network of so many cuts and degradations.
    pub fn problems(&self, cuts: usize, degradations: usize) -> Vec<FaultError> {
        let mut problems = self.when.problems();
        match self.kind {
            FaultKind::Partition { cut } if cut as usize >= cuts => problems.push(format!("there is no cut {cut}")),
            FaultKind::Degrade { degradation } if degradation as usize >= degradations => {
                problems.push(format!("there is no degradation {degradation}"));
            }
            FaultKind::ServiceStall { speed } if !(0.0..=1.0).contains(&speed) => {
                problems.push(format!("a speed of {speed}, which is not in 0..1"));
            }
            FaultKind::ServiceStall { .. }
                if self
                    .targets
                    .iter()
                    .any(|target| !matches!(target.scope, Scope::Service(_))) =>
            {
                problems.push("only services stall".into());
            }
            _ => {}
        }
        match (self.is_of_network(), self.targets.is_empty()) {
            (true, false) => problems.push("it happens to the network, and takes no targets".into()),
            (false, true) => problems.push("it hits nobody".into()),
            _ => {}
        }
        let mut names: Vec<&str> = self.targets.iter().map(|target| target.name.as_str()).collect();
        names.sort_unstable();
        for pair in names.windows(2).filter(|pair| pair[0] == pair[1]) {
            problems.push(format!("the target \"{}\" is named twice", pair[0]));
        }
        for target in &self.targets {
            if matches!(&target.scope, Scope::Tags(tags) if tags.is_empty()) {
                problems.push(format!("the target \"{}\" has no members", target.name));
            }
        }
        problems
            .into_iter()
            .map(|problem| FaultError {
                fault: self.name.clone(),
                problem,
            })
            .collect()
    }

    /// The timelines that it has, given the key of its draws.
    fn tracks(&self, fault: u32, key: Key) -> Vec<Track> {
        let track = |key, target, tag| Track {
            timeline: Timeline::new(key),
            fault,
            target,
            tag,
        };
        if self.targets.is_empty() || self.independence == Independence::Together {
            return vec![track(key, None, None)];
        }
        let mut tracks = Vec::new();
        for (index, target) in self.targets.iter().enumerate() {
            let (key, index) = (key.child(&target.name), Some(index as u32));
            match (&target.scope, self.independence) {
                (Scope::Tags(tags), Independence::EachMember) => {
                    let member = |tag: u32| track(key.member(u64::from(tag - tags.start)), index, Some(tag));
                    tracks.extend(tags.clone().map(member));
                }
                _ => tracks.push(track(key, index, None)),
            }
        }
        tracks
    }
}

impl Faults {
    /// The timelines of these faults in the run with this root key. The specs are without [`FaultSpec::problems`].
    pub fn new(specs: Arc<Vec<FaultSpec>>, root: Key) -> Self {
        let key = root.child("faults");
        let tracks = specs
            .iter()
            .zip(0..)
            .flat_map(|(spec, fault)| spec.tracks(fault, key.child(&spec.name)));
        Self {
            timelines: tracks.collect(),
            specs,
        }
    }

    /// How many timelines there are. They are numbered from 0.
    pub fn len(&self) -> u32 {
        self.timelines.len() as u32
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.timelines.is_empty()
    }

    /// What the faults were made from.
    pub fn specs(&self) -> &[FaultSpec] {
        &self.specs
    }

    /// The next step of a timeline, at or after its last one; `None` if there is none any more.
    pub fn next(&mut self, timeline: u32) -> Option<Step> {
        let track = &mut self.timelines[timeline as usize];
        let (at, edge, occurrence) = track.timeline.next(&self.specs[track.fault as usize].when)?;
        Some(Step {
            at,
            edge,
            occurrence,
            fault: track.fault,
            target: track.target,
            tag: track.tag,
        })
    }
}
