//! A write: one accepted update, and what is remembered of it.

use super::NONE;
use crate::kernel::SimTime;
use crate::measures::shared_state::past::Past;
use crate::state::{Dot, DotSet, Op};

/// What was found out about a write.
pub(in super::super) mod flag {
    /// It takes part in the counts.
    pub const COUNTED: u8 = 1;
    /// It is another version of an update that was accepted before.
    pub const DUPLICATE: u8 = 2;
    pub const CONCURRENT: u8 = 4;
    pub const CONFLICT: u8 = 8;
    pub const OVERWRITTEN: u8 = 16;
    pub const MONOTONIC_WRITES: u8 = 32;
    pub const WRITES_FOLLOW_READS: u8 = 64;
    /// Of ranked keys: another update had it before its eyes, in what it had read or in what its replica held.
    pub const SEEN: u8 = 128;
}

/// A version: one accepted update. What its way to the replicas asks for lies in one cache line.
#[derive(Debug, Clone)]
#[repr(C, align(64))]
pub(in super::super) struct Write {
    pub dot: Dot,
    pub stamp: i64,
    /// Its causal past, itself included, as long as somebody may ask for it.
    pub past: Option<Past>,
    pub key: u32,
    pub agent: u32,
    /// The operation's number in its agent's program, from 1.
    pub number: u32,
    /// Of ranked keys: the latest of the versions that it was outranked by and that had seen it.
    pub successor: u32,
    /// Which of the first 64 replicas of its store have heard of it: a bit for each.
    pub(super) heard: u64,
    /// How many replicas have heard of it, and how many hold it.
    pub heard_by: u16,
    pub held_by: u16,
    pub flags: u8,
    /// Whether no replica lacks it, nor ever will unless it loses its state.
    pub settled: bool,
    /// Of ranked keys: whether nothing that had been accepted of its key outranked it when it was accepted.
    pub topmost: bool,
    /// Whether there is something in the rest.
    pub(super) has_rest: bool,
    /// The place of its acknowledgement among all, from 1; 0 for none yet.
    pub acked: u64,
    pub acked_at: SimTime,
    pub op: Op,
    /// Another version of the same update.
    pub again: u32,
    /// Its place among all that were ever accepted.
    pub order: u32,
    /// Whether its agent has given it up: whatever it does next doesn't go by it.
    pub given_up: bool,
    /// What few writes have.
    pub(super) rest: Option<Box<Rest>>,
}

const _: () = assert!(size_of::<Write>() == 128);

/// What few writes have.
#[derive(Debug, Clone, Default)]
pub(super) struct Rest {
    pub(super) bases: Vec<u32>,
    pub(super) deps: Vec<Dep>,
    pub(super) winners: Vec<u32>,
}

impl Write {
    /// A write that nobody has heard of.
    pub fn new(dot: Dot, stamp: i64, key: u32, agent: u32, number: u32, op: Op) -> Self {
        Self {
            dot,
            stamp,
            past: None,
            key,
            agent,
            number,
            successor: NONE,
            heard: 0,
            heard_by: 0,
            held_by: 0,
            flags: 0,
            settled: false,
            topmost: false,
            has_rest: false,
            acked: 0,
            acked_at: SimTime::ZERO,
            op,
            again: NONE,
            order: NONE,
            given_up: false,
            rest: None,
        }
    }

    /// What few writes have: the other cache line isn't looked at for the many.
    fn rest(&self) -> Option<&Rest> {
        self.rest.as_deref().filter(|_| self.has_rest)
    }

    pub(super) fn rest_mut(&mut self) -> &mut Rest {
        self.has_rest = true;
        self.rest.get_or_insert_default()
    }

    /// The versions that it was computed from.
    pub fn bases(&self) -> &[u32] {
        self.rest().map_or(&[], |rest| &rest.bases)
    }

    /// What its agent had read and not every replica has heard of: it should be visible before.
    pub fn deps(&self) -> &[Dep] {
        self.rest().map_or(&[], |rest| &rest.deps)
    }

    /// The versions that it was outranked by, unless ranks say it.
    pub fn winners(&self) -> &[u32] {
        self.rest().map_or(&[], |rest| &rest.winners)
    }

    /// It was computed from another version.
    pub fn add_base(&mut self, base: u32) {
        self.rest_mut().bases.push(base);
    }

    /// It was outranked by another version.
    pub fn add_winner(&mut self, winner: u32) {
        self.rest_mut().winners.push(winner);
    }

    /// What its agent had read.
    pub fn set_deps(&mut self, deps: Vec<Dep>) {
        if !deps.is_empty() || self.has_rest {
            self.rest_mut().deps = deps;
        }
    }

    /// Forgets what its agent had read.
    pub(super) fn forget_deps(&mut self) {
        if self.has_rest {
            let rest = self.rest_mut();
            rest.deps = Vec::new();
            if rest.bases.is_empty() && rest.winners.is_empty() {
                (self.rest, self.has_rest) = (None, false);
            }
        }
    }
}

/// Something that an agent had read before it wrote.
#[derive(Debug, Clone)]
pub(in super::super) enum Dep {
    /// A version.
    Read(u32),
    /// Effects of a key.
    Effects(u32, Box<DotSet>),
}
