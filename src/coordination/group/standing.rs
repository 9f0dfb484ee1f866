//! Members that are busy, stand still or have crashed, and clocks that are stepped.

use super::super::member::{Input, Member, Wishes};
use super::{Group, THROUGH};
use crate::kernel::{SimDuration, SimTime};
use crate::world::population::Cx;
use crate::world::record::What;
use crate::world::slab::Handle;
use serde::Serialize;
use std::collections::VecDeque;

/// What is out of the ordinary about a member.
#[derive(Debug, Clone, Serialize)]
#[serde(bound(serialize = "M: Serialize"))]
pub(super) struct Standing<M> {
    down: bool,
    /// Since when it stands still.
    paused: Option<SimTime>,
    /// How long it has stood still in pauses that are over, in nanoseconds.
    stood: u64,
    work: Option<Work<M>>,
    /// How many pieces of work it has begun.
    works: u64,
    /// What has come meanwhile.
    later: VecDeque<Input<M>>,
}

/// What a member is busy with.
#[derive(Debug, Clone, Serialize)]
struct Work<M> {
    wishes: Wishes<M>,
    /// When it is through, if it doesn't stand still.
    until: SimTime,
    /// What is left of it, while it stands still.
    left: SimDuration,
}

impl<M> Default for Standing<M> {
    fn default() -> Self {
        Self {
            down: false,
            paused: None,
            stood: 0,
            work: None,
            works: 0,
            later: VecDeque::new(),
        }
    }
}

impl<M: Member> Group<M> {
    fn standing_of(&mut self, member: u32) -> &mut Standing<M::Message> {
        self.seats[member as usize].stands = true;
        self.standing.entry(member).or_default()
    }

    /// Whether a member is down.
    pub(super) fn is_down(&self, member: u32) -> bool {
        self.standing.get(&member).is_some_and(|standing| standing.down)
    }

    /// How long a member has stood still by now.
    pub(super) fn stood_by(&self, member: u32, now: SimTime) -> u64 {
        self.standing.get(&member).map_or(0, |standing| {
            let pause = standing.paused.map_or(0, |since| (now - since).as_nanos());
            standing.stood + pause
        })
    }

    /// Keeps an input for a member that can't deal with it now; gives it back if it can.
    pub(super) fn keep_for_later(
        &mut self,
        member: u32,
        input: Input<M::Message>,
        cx: &mut Cx<'_, '_>,
    ) -> Option<Input<M::Message>> {
        let standing = self.standing.get_mut(&member)?;
        if standing.down {
            if let Input::Asked(asked) = input {
                self.drop_waiting(asked.token, cx);
            }
            return None;
        }
        if standing.paused.is_some() || standing.work.is_some() {
            standing.later.push_back(input);
            return None;
        }
        Some(input)
    }

    /// A member is busy with what it has dealt with.
    pub(super) fn be_busy(&mut self, member: u32, wishes: Wishes<M::Message>, cx: &mut Cx<'_, '_>) {
        let until = cx.now().saturating_add(SimDuration::from_nanos(wishes.busy));
        let standing = self.standing_of(member);
        standing.works += 1;
        let word = standing.works;
        standing.work = Some(Work {
            wishes,
            until,
            left: SimDuration::ZERO,
        });
        cx.schedule(&mut self.seats[member as usize].endpoint, until, THROUGH, word);
    }

    /// Whether a member is at work on this piece.
    pub(super) fn is_busy_with(&self, member: u32, work: u64) -> bool {
        self.standing
            .get(&member)
            .is_some_and(|standing| standing.works == work && standing.work.is_some() && standing.paused.is_none())
    }

    /// A member is through with its work.
    pub(super) fn through(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let work = self.standing_of(member).work.take();
        let Some(mut work) = work else { return };
        work.wishes.busy = 0;
        self.grant(member, &mut work.wishes, cx);
        self.wishes = work.wishes;
        self.catch_up(member, cx);
    }

    /// Deals with what has come meanwhile, as long as it can.
    fn catch_up(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        loop {
            let standing = self.standing_of(member);
            if standing.down || standing.paused.is_some() || standing.work.is_some() {
                return;
            }
            let Some(input) = standing.later.pop_front() else {
                // A member is as usual again: most of the time nothing has to be looked up.
                self.seats[member as usize].stands = false;
                return;
            };
            // A timer may have been put off in the meantime.
            let reading = self.reading(member, cx.now());
            if !matches!(input, Input::Due) || self.seats[member as usize].member.due(reading) <= reading {
                self.act(member, input, cx);
            }
        }
    }

    pub(super) fn pause(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        cx.record(What::Paused, self.base + member, [0; 3]);
        let standing = self.standing_of(member);
        standing.paused.get_or_insert(now);
        if let Some(work) = &mut standing.work {
            work.left = work.until - now;
        }
    }

    pub(super) fn resume(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        let standing = self.standing_of(member);
        let Some(since) = standing.paused.take() else { return };
        standing.stood += (now - since).as_nanos();
        cx.record(What::Resumed, self.base + member, [0; 3]);
        let standing = self.standing_of(member);
        if let Some(work) = &mut standing.work {
            work.until = now.saturating_add(work.left);
            standing.works += 1;
            let (until, word) = (work.until, standing.works);
            cx.schedule(&mut self.seats[member as usize].endpoint, until, THROUGH, word);
        }
        self.catch_up(member, cx);
    }

    pub(super) fn crash(&mut self, member: u32, keeps_disk: bool, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        let standing = self.standing_of(member);
        standing.down = true;
        standing.work = None;
        standing.later.clear();
        if let Some(since) = standing.paused {
            standing.stood += (now - since).as_nanos();
            standing.paused = Some(now);
        }
        let seat = &mut self.seats[member as usize];
        seat.timer = SimTime::NEVER;
        seat.member.crash(&self.rules, keeps_disk);
        self.forget_engagements(member, cx);
        let waiting = self.waiting.sorted().into_iter();
        let of_member = waiting.filter(|(_, waiting)| waiting.member == member);
        let tokens: Vec<u64> = of_member.map(|(token, _)| token).collect();
        tokens.into_iter().for_each(|token| self.drop_waiting(token, cx));
    }

    /// Nobody answers this attempt any more.
    pub(super) fn drop_waiting(&mut self, token: u64, cx: &mut Cx<'_, '_>) {
        if let Some(waiting) = self.waiting.remove(token) {
            let server = self.base + waiting.member;
            cx.record(What::RequestDropped, server, [waiting.identity, 0, 0]);
            cx.drop_attempt(Handle::from_word(token));
        }
    }

    pub(super) fn restart(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let standing = self.standing_of(member);
        standing.down = false;
        if standing.paused.is_some() {
            standing.later.push_front(Input::Restarted);
        } else {
            self.act(member, Input::Restarted, cx);
            self.catch_up(member, cx);
        }
    }

    pub(super) fn step_clock(&mut self, member: u32, by: i64, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        let clock = self.clocks.entry(member).or_default();
        // A step beyond the range of 64 bits leaves a clock as it is.
        if clock.adjust(now, by, None).is_ok() && !self.is_down(member) {
            self.seats[member as usize].timer = SimTime::NEVER;
            self.arm(member, cx);
        }
    }
}
