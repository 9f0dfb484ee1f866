//! A service crashes: what was in work begins anew after the restart, or is lost with all that waited.

use super::super::job::Job;
use super::{IN_WORK, Known, Service, WAITING};
use crate::kernel::SimTime;
use crate::world::population::Cx;
use crate::world::record::What;
use crate::world::slab::Handle;

impl Service {
    /// Everything at the service is lost.
    pub(super) fn crash(&mut self, keep_state: bool, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        self.changed = self.moment(now);
        self.down = true;
        let mut lost: Vec<Handle> = self.in_work.drain(..).collect();
        if let Some(sharing) = &mut self.sharing {
            sharing.clear();
            self.first = None;
        }
        if self.spec.passes.is_some() {
            self.lose_passages(keep_state, cx);
        }
        if let Some(inference) = &mut self.inference {
            lost = inference.crash();
            // Who was put out of the batch has lost what he had, too.
            for handle in self.queue.iter() {
                if let Some(job) = self.jobs.get_mut(*handle).filter(|job| job.due == SimTime::NEVER) {
                    job.again = true;
                }
            }
        }
        if keep_state {
            // Requests in work start again after the restart, ahead of those that waited.
            for handle in lost.drain(..).rev() {
                if let Some(job) = self.jobs.remove(handle) {
                    let again = self.jobs.insert(Job {
                        again: true,
                        queued: SimTime::NEVER,
                        ..job
                    });
                    if let Some(Known::InWork(known, _)) = self.known.get_mut(&self.known_as(&job, cx))
                        && *known == handle
                    {
                        *known = again;
                    }
                    self.cancellable.renamed(handle, again);
                    self.queue.push_ahead(again);
                }
            }
            return;
        }
        self.logs.clear();
        self.lose_answers(cx);
        self.cancellable.clear();
        let in_work = lost.len();
        lost.extend(self.queue.take());
        lost.extend(self.door.drain(..));
        for (index, handle) in lost.into_iter().enumerate() {
            let Some(job) = self.jobs.remove(handle) else { continue };
            self.books.leave(job.arrived.at, now);
            let was = if index < in_work { IN_WORK } else { WAITING };
            cx.record(What::RequestDropped, self.endpoint.id, [job.identity, was, 0]);
            self.leave_limits(job.attempt, false, cx);
            cx.drop_attempt(job.attempt);
        }
        for (_, known) in std::mem::take(&mut self.known) {
            if let Known::InWork(_, waiting) = known {
                waiting.into_iter().for_each(|(attempt, _)| cx.drop_attempt(attempt));
            }
        }
    }
}
