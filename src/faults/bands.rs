//! When each fault was on: what a plot shades.
//!
//! A band is the union over a fault's targets: it lasts while at least one of them is hit. Bands that are open when the
//! run ends, end with it.

use super::{Edge, FaultSpec, Step};
use crate::kernel::SimTime;
use serde::Serialize;

/// A time during which a fault was on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Band {
    /// When it began.
    pub start: SimTime,
    /// When it ended.
    pub end: SimTime,
    /// The fault's name.
    pub label: String,
}

/// The record of when faults were on.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Bands {
    /// For each fault: how many of its timelines are on, and since when at least one is.
    open: Vec<(u32, SimTime)>,
    /// The fault, begin and end of each band that is over, in the order of their ends.
    closed: Vec<(u32, SimTime, SimTime)>,
}

impl Bands {
    /// For so many faults, none of them on.
    pub fn new(faults: usize) -> Self {
        Self {
            open: vec![(0, SimTime::ZERO); faults],
            closed: Vec::new(),
        }
    }

    /// Notes a step. Steps come in the order of time.
    pub fn note(&mut self, step: &Step) {
        let (depth, since) = &mut self.open[step.fault as usize];
        match step.edge {
            Edge::Begin => {
                if *depth == 0 {
                    *since = step.at;
                }
                *depth += 1;
            }
            Edge::End => {
                *depth = depth.checked_sub(1).expect("what ends has begun");
                if *depth == 0 {
                    self.closed.push((step.fault, *since, step.at));
                }
            }
        }
    }

    /// Whether any fault is on.
    pub fn any_on(&self) -> bool {
        self.open.iter().any(|&(depth, _)| depth > 0)
    }

    /// Every band up to the end of the run, by begin, then by the fault's place. Neighbours of one fault that touch are
    /// one band.
    pub fn bands(&self, specs: &[FaultSpec], end: SimTime) -> Vec<Band> {
        let band = |(fault, start, end): (u32, SimTime, SimTime)| Band {
            start,
            end,
            label: specs[fault as usize].name.clone(),
        };
        self.spans(end).into_iter().map(band).collect()
    }

    /// The same as [`Bands::bands`] without names: the fault's index, begin, end.
    pub fn spans(&self, end: SimTime) -> Vec<(u32, SimTime, SimTime)> {
        let open = self.open.iter().zip(0..).filter(|((depth, _), _)| *depth > 0);
        let mut all: Vec<(SimTime, u32, SimTime)> = self
            .closed
            .iter()
            .map(|&(fault, start, end)| (start, fault, end))
            .collect();
        all.extend(open.map(|(&(_, since), fault)| (since, fault, end)));
        all.sort_unstable_by_key(|&(start, fault, end)| (fault, start, end));
        all.dedup_by(|next, kept| {
            let touches = next.1 == kept.1 && next.0 <= kept.2;
            if touches {
                kept.2 = kept.2.max(next.2);
            }
            touches
        });
        all.sort_unstable();
        all.into_iter().map(|(start, fault, end)| (fault, start, end)).collect()
    }
}
