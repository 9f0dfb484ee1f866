//! The loop: takes entries in their total order, hashes them, and hands them to the model.

#[cfg(test)]
mod tests;

use super::entry::{Entry, Origin, Ticket};
use super::fingerprint::{Fingerprint, Words};
use super::queue::Queue;
use super::time::{SimDuration, SimTime};
use serde::Serialize;

/// What a simulation is about: it handles entries, one at a time, and schedules others.
pub trait Model {
    /// What an entry carries: a few words, or a handle to more.
    type Body: Copy;

    /// Handles an entry that [`Model::digest`] found live.
    fn handle(&mut self, entry: &Entry<Self::Body>, out: &mut Out<'_, Self::Body>);

    /// Pushes every word of the entry's payload (what a handle stands for, never the handle), and says whether the entry is
    /// still meant: a cancelled or postponed timer isn't.
    fn digest(&self, entry: &Entry<Self::Body>, words: &mut Words) -> Liveness;

    /// Deals with an entry that isn't live: frees what it held, or schedules it again in its own place. Nothing else may change.
    fn skip(&mut self, _entry: &Entry<Self::Body>, _out: &mut Out<'_, Self::Body>) {}

    /// Hints that `entry` will be handled soon: prefetch the state of its target. Must not change anything.
    #[inline]
    fn touch(&self, _entry: &Entry<Self::Body>) {}

    /// Says for people what an entry is that is about to be handled, and where in the user's own terms it comes from. Asked for
    /// entries under [`Kernel::witness`] only.
    fn describe(&self, _entry: &Entry<Self::Body>) -> String {
        String::new()
    }
}

/// Whether an entry is still meant when its time comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It is handled, counted and hashed.
    Live,
    /// It was cancelled or postponed: it is skipped, and leaves no trace in the fingerprint.
    Stale,
}

/// What a model may do while it handles an entry.
#[derive(Debug)]
pub struct Out<'a, B> {
    queue: &'a mut Queue<B>,
    next: &'a mut Option<Entry<B>>,
    now: SimTime,
    step: u16,
    brake: &'a mut Brake,
}

/// What ends a run early: looked at after every entry, so that it is one look for whatever it is.
#[derive(Debug, Default)]
struct Brake {
    pulled: bool,
    /// The target of what came in more steps of one instant than there are.
    livelock: Option<u32>,
}

impl<B: Copy> Out<'_, B> {
    /// The simulated time.
    #[inline]
    pub fn now(&self) -> SimTime {
        self.now
    }

    /// The causal step within the instant.
    #[inline]
    pub fn step(&self) -> u16 {
        self.step
    }

    /// Schedules an entry in the next place of `origin`. One for this very instant goes to its next step.
    ///
    /// # Panics
    /// Panics if `at` lies in the past: time never goes back.
    #[inline]
    pub fn schedule(&mut self, origin: &mut Origin, at: SimTime, kind: u16, target: u32, body: B) {
        let ticket = origin.take();
        self.schedule_in_place(ticket, at, kind, target, body);
    }

    /// Schedules an entry in a place that its origin took before.
    ///
    /// # Panics
    /// Panics if `at` lies in the past.
    #[inline(always)]
    pub fn schedule_in_place(&mut self, ticket: Ticket, at: SimTime, kind: u16, target: u32, body: B) {
        assert!(
            at >= self.now,
            "an entry for {at} was scheduled at {}: time never goes back",
            self.now
        );
        // Made anew for each way that it may go, so that its fields go there from registers: a copy of what was only just written
        // would wait for the cache.
        let entry = |step| Entry {
            time: at,
            body,
            origin: ticket.rank,
            number: ticket.number,
            target,
            step,
            kind,
        };
        if at > self.now {
            return self.queue.push(entry(0));
        }
        let Some(step) = self.step.checked_add(1) else {
            *self.brake = Brake {
                pulled: true,
                livelock: Some(target),
            };
            return;
        };
        if self.next.is_none() && self.queue.holds_nothing_until(at) {
            *self.next = Some(entry(step));
        } else {
            self.push_at_once(entry(step));
        }
    }

    /// Queues an entry of this instant that isn't alone in it.
    #[inline(never)]
    fn push_at_once(&mut self, entry: Entry<B>) {
        if let Some(other) = self.next.take() {
            self.queue.push(other);
        }
        self.queue.push(entry);
    }

    /// Ends the run once this entry has been handled.
    pub fn stop(&mut self) {
        self.brake.pulled = true;
    }
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Nothing is left to happen.
    Drained,
    /// The simulated time asked for has passed.
    TimeReached,
    /// The model asked to stop.
    Stopped,
    /// As many entries as allowed were handled.
    EventLimit,
    /// An instant had more than 65,535 causal steps: something reacts to itself without any delay. Holds the target.
    Livelock {
        /// The instant that doesn't end.
        at: SimTime,
        /// The entity that was to act once more.
        target: u32,
    },
}

/// One handled entry as a witness records it: what `verify` compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handled {
    /// Its place in the run, from 0.
    pub index: u64,
    /// When it was handled.
    pub time: SimTime,
    /// Its causal step within the instant.
    pub step: u16,
    /// Its kind.
    pub kind: u16,
    /// The rank of its origin.
    pub origin: u32,
    /// Its origin's sequence number.
    pub number: u32,
    /// Its target.
    pub target: u32,
    /// The hash of all its words.
    pub hash: u128,
    /// What the model says of it.
    pub what: String,
}

/// Which handled entries a witness records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Focus {
    /// Those with places from the first to the second, exclusive.
    Stretch(u64, u64),
    /// The last one, so far, that has this place in the order of its origin.
    Ticket(Ticket),
}

/// Records some of the handled entries.
#[derive(Debug, Clone)]
struct Witness {
    focus: Focus,
    seen: Vec<Handled>,
}

/// A deliberate fault in one handled entry's words, for the tests that show that nothing escapes the fingerprint.
#[derive(Debug, Clone, Copy)]
pub struct Perturbation {
    /// The place of the entry in the run, from 0.
    pub index: u64,
    /// Which of its words.
    pub word: usize,
    /// Which bits of it.
    pub mask: u64,
}

/// A model and its future. A copy goes on as the original would.
#[derive(Debug, Clone, Serialize)]
#[serde(bound(serialize = "M: Serialize, M::Body: Serialize"))]
pub struct Kernel<M: Model> {
    model: M,
    queue: Queue<M::Body>,
    fingerprint: Fingerprint,
    now: SimTime,
    skipped: u64,
    #[serde(skip)]
    witness: Option<Witness>,
    #[serde(skip)]
    perturbation: Option<Perturbation>,
}

impl<M: Model> Kernel<M> {
    /// A kernel at time zero, with a checkpoint of the fingerprint each `checkpoint` of simulated time.
    pub fn new(model: M, checkpoint: SimDuration) -> Self {
        Self {
            model,
            queue: Queue::new(),
            fingerprint: Fingerprint::new(checkpoint),
            now: SimTime::ZERO,
            skipped: 0,
            witness: None,
            perturbation: None,
        }
    }

    /// Lets `prepare` schedule what happens first.
    pub fn prepare<R>(&mut self, prepare: impl FnOnce(&mut M, &mut Prepare<'_, M::Body>) -> R) -> R {
        prepare(
            &mut self.model,
            &mut Prepare {
                queue: &mut self.queue,
                now: self.now,
            },
        )
    }

    /// Handles entries up to and including the time `end`, at most `limit` of them.
    pub fn run(&mut self, end: SimTime, limit: u64) -> End {
        if limit == 0 {
            return End::EventLimit;
        }
        let mut places = [None; 2];
        let how = self.run_from(&mut places, end, limit);
        for entry in places.into_iter().flatten() {
            self.queue.push(entry);
        }
        how
    }

    /// The loop. One of two places holds the entry that is being handled. The other takes one of the present instant that is known
    /// to be the next, and so doesn't pass through the queue: a hop without latency costs half of one with it. They change
    /// their parts at each entry, so that none is copied.
    fn run_from(&mut self, places: &mut [Option<Entry<M::Body>>; 2], end: SimTime, limit: u64) -> End {
        let [mut place, mut next] = places.each_mut();
        let mut brake = Brake::default();
        let is_watched = self.perturbation.is_some() || self.witness.is_some();
        let mut left = limit;
        let mut words = Words::new();
        loop {
            let model = &self.model;
            let entry: &Entry<_> = match place {
                Some(entry) => entry,
                None => {
                    let Some(entry) = self.queue.pop_until(end, |coming| model.touch(coming)) else {
                        let is_over = self.queue.is_empty();
                        return if is_over { End::Drained } else { End::TimeReached };
                    };
                    place.insert(*entry)
                }
            };
            let now = entry.time;
            debug_assert!(now >= self.now, "time never goes back");
            self.now = now;
            words.restart(entry);
            let live = self.model.digest(entry, &mut words) == Liveness::Live;
            let mut out = Out {
                queue: &mut self.queue,
                next,
                now,
                step: entry.step,
                brake: &mut brake,
            };
            if live {
                if is_watched {
                    let index = self.fingerprint.handled();
                    watch(
                        &self.model,
                        &self.perturbation,
                        &mut self.witness,
                        index,
                        entry,
                        &mut words,
                    );
                }
                self.fingerprint.add(now, words.hash());
                self.model.handle(entry, &mut out);
                left -= 1;
            } else {
                self.skipped += 1;
                self.model.skip(entry, &mut out);
            }
            *place = None;
            if brake.pulled {
                return match brake.livelock {
                    Some(target) => End::Livelock { at: now, target },
                    None => End::Stopped,
                };
            }
            if left == 0 {
                return End::EventLimit;
            }
            std::mem::swap(&mut place, &mut next);
        }
    }

    /// The model.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// The model, to change it between runs.
    pub fn model_mut(&mut self) -> &mut M {
        &mut self.model
    }

    /// The model, once the kernel has done its work.
    pub fn into_model(self) -> M {
        self.model
    }

    /// The simulated time of the entry handled last.
    pub fn now(&self) -> SimTime {
        self.now
    }

    /// The fingerprint so far.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// How many entries were cancelled or postponed before their time came.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// How many entries wait.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Records handled entries.
    pub fn witness(&mut self, focus: Focus) {
        let seen = Vec::new();
        self.witness = Some(Witness { focus, seen });
    }

    /// What the witness saw.
    pub fn witnessed(&self) -> &[Handled] {
        self.witness.as_ref().map_or(&[], |witness| &witness.seen)
    }

    /// Spoils one entry's words, for the tests of `verify`.
    pub fn perturb(&mut self, perturbation: Perturbation) {
        self.perturbation = Some(perturbation);
    }
}

#[cold]
fn watch<M: Model>(
    model: &M,
    perturbation: &Option<Perturbation>,
    witness: &mut Option<Witness>,
    index: u64,
    entry: &Entry<M::Body>,
    words: &mut Words,
) {
    if let Some(spoil) = perturbation.filter(|spoil| spoil.index == index) {
        words.flip(spoil.word % words.count(), spoil.mask);
    }
    let Some(witness) = witness else { return };
    let meant = match witness.focus {
        Focus::Stretch(from, to) => (from..to).contains(&index),
        Focus::Ticket(ticket) => (ticket.rank, ticket.number) == (entry.origin, entry.number),
    };
    if meant {
        if let Focus::Ticket(_) = witness.focus {
            witness.seen.clear();
        }
        witness.seen.push(Handled {
            index,
            time: entry.time,
            step: entry.step,
            kind: entry.kind,
            origin: entry.origin,
            number: entry.number,
            target: entry.target,
            hash: words.hash(),
            what: model.describe(entry),
        });
    }
}

/// What may be done before a run starts: schedule first entries.
#[derive(Debug)]
pub struct Prepare<'a, B> {
    queue: &'a mut Queue<B>,
    now: SimTime,
}

impl<B: Copy> Prepare<'_, B> {
    /// Schedules an entry, at step 0 of its instant.
    ///
    /// # Panics
    /// Panics if `at` lies in the past.
    pub fn schedule(&mut self, origin: &mut Origin, at: SimTime, kind: u16, target: u32, body: B) {
        assert!(
            at >= self.now,
            "an entry for {at} was scheduled at {}: time never goes back",
            self.now
        );
        let ticket = origin.take();
        self.queue.push(Entry {
            time: at,
            body,
            origin: ticket.rank,
            number: ticket.number,
            target,
            step: 0,
            kind,
        });
    }
}

/// Lets a model act outside of the loop, at the end of a run: what it schedules then is thrown away.
pub(crate) fn outside<B: Copy, R>(now: SimTime, act: impl FnOnce(&mut Out<'_, B>) -> R) -> R {
    let (mut queue, mut next, mut brake) = (Queue::new(), None, Brake::default());
    act(&mut Out {
        queue: &mut queue,
        next: &mut next,
        now,
        step: 0,
        brake: &mut brake,
    })
}
