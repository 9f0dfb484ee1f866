//! The timers of coordinators.
//!
//! All operations of a coordinator wait equally long for the same thing, so what is due next stands at the front of a queue,
//! and one entry is enough for all of them: a second's timeout on operations of a millisecond leaves no thousand dead entries.

use super::super::store::{ALARM, Store};
use crate::kernel::{SimDuration, SimTime};
use crate::state::Resolution;
use crate::world::population::Cx;
use crate::world::slab::Handle;
use serde::Serialize;
use std::collections::VecDeque;

/// The numbers of the alarms.
pub(super) mod alarm {
    /// An operation is refused.
    pub const TIMEOUT: usize = 0;
    /// A write is looked at for handoff.
    pub const HANDOFF: usize = 1;
    /// An update that was passed on goes to the next replica.
    pub const PASSING: usize = 2;
}

/// Operations by when something about them is due.
#[derive(Debug, Clone, Default, Serialize)]
pub(in crate::stores) struct Alarm {
    /// Ascending.
    pub queue: VecDeque<(SimTime, Handle)>,
    /// Whether an entry is on its way.
    armed: bool,
}

impl<R: Resolution> Store<R> {
    /// Has `operation` looked at after a while, which is the same for all operations and this alarm.
    pub(super) fn set_alarm(
        &mut self,
        member: u32,
        which: usize,
        wait: SimDuration,
        operation: Handle,
        cx: &mut Cx<'_, '_>,
    ) {
        let replica = &mut self.replicas[member as usize];
        let (due, alarm) = (cx.now().saturating_add(wait), &mut replica.coordinator.alarms[which]);
        // Mostly operations end in their order: those that are over don't wait here for what would have been due.
        while let Some((_, front)) = alarm.queue.front()
            && self.operations.get(*front).is_none()
        {
            alarm.queue.pop_front();
        }
        alarm.queue.push_back((due, operation));
        if !std::mem::replace(&mut alarm.armed, true) {
            cx.schedule(&mut replica.endpoint, due, ALARM, which as u64);
        }
    }

    /// An alarm's entry is due.
    pub(in crate::stores) fn alarm(&mut self, member: u32, which: usize, cx: &mut Cx<'_, '_>) {
        let replica = &mut self.replicas[member as usize];
        replica.coordinator.alarms[which].armed = false;
        if !replica.down && replica.paused.is_none() {
            self.ring(member, which, cx);
        }
    }

    /// A coordinator that stood still deals with what has become due.
    pub(in crate::stores) fn ring_all(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        (0..self.replicas[member as usize].coordinator.alarms.len()).for_each(|which| self.ring(member, which, cx));
    }

    fn ring(&mut self, member: u32, which: usize, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        loop {
            let alarm = &mut self.replicas[member as usize].coordinator.alarms[which];
            let Some(&(due, operation)) = alarm.queue.front() else {
                return;
            };
            let is_live = self.operations.get(operation).is_some();
            if is_live && due > now {
                let replica = &mut self.replicas[member as usize];
                if !std::mem::replace(&mut replica.coordinator.alarms[which].armed, true) {
                    cx.schedule(&mut replica.endpoint, due, ALARM, which as u64);
                }
                return;
            }
            alarm.queue.pop_front();
            if is_live {
                match which {
                    alarm::TIMEOUT => self.time_out(operation, cx),
                    alarm::HANDOFF => self.look_for_handoff(operation, cx),
                    _ => self.pass_to_next(operation, cx),
                }
            }
        }
    }
}
