//! The search for one order of an object's operations that is legal and keeps real time.
//!
//! After Wing and Gong (1993) with Lowe's (2017) memory and just-in-time linearization: events are taken in their order, and an
//! operation is given its place only when its response forces that, after as many others as need be. A configuration is the
//! place in the events, which of the open operations have their place, and the object's state; one from which there is no way
//! is never tried again. Exact, for any object.

use super::objects::{Call, Object};
use super::table::Table;
use crate::check::judge::Budget;

/// How many states are kept for an explanation.
const SHOWN_STATES: usize = 8;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::check) enum Found {
    /// An order: the calls that have a place in it.
    Order(Vec<u32>),
    /// There is none.
    None(Stuck),
    /// It isn't known: the steps or the memory didn't suffice.
    Unknown(&'static str),
}

/// How far the search came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::check) struct Stuck {
    /// The call whose response couldn't be reached.
    pub call: u32,
    /// The states that the object could be in at that time, the first few.
    pub states: Vec<u32>,
    /// Whether there were more.
    pub more: bool,
    event: usize,
}

/// What a frame tries next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Nothing was tried yet.
    New,
    /// An operation that only looks was given its place; nothing else needs to be tried.
    Harmless,
    /// All from this link on, but the one that is forced.
    From(u32),
}

/// A decision: which operation comes next.
#[derive(Debug, Clone, Copy)]
struct Frame {
    /// The place in the events before those that needed no decision.
    from: usize,
    /// The place in the events of the response that forces it.
    at: usize,
    state: u32,
    next: Next,
    chosen: u32,
}

struct Search<'a, O> {
    calls: &'a [Call],
    /// Whose, and whether it is a response; in order.
    events: Vec<(u32, bool)>,
    /// For each call, its bit in the mask; bits are used again after responses.
    slots: Vec<u32>,
    /// For each uncertain call, the one before it that does the same.
    twins: Vec<u32>,
    object: O,
    at: usize,
    mask: Vec<u64>,
    previous: Vec<u32>,
    following: Vec<u32>,
    dead: Table,
    key: Vec<u64>,
    steps: u64,
    stuck: Stuck,
}

const NOBODY: u32 = u32::MAX;

/// Searches, for at most `budget` steps; counts them in `steps`. The calls stand in the order of their invocations.
pub(in crate::check) fn search<O: Object>(calls: &[Call], object: O, budget: Budget, steps: &mut u64) -> (Found, O) {
    let mut search = Search::new(calls, object);
    let found = search.run(budget);
    *steps += search.steps;
    (found, search.object)
}

impl<'a, O: Object> Search<'a, O> {
    fn new(calls: &'a [Call], object: O) -> Self {
        let mut places: Vec<(u32, u32, bool)> = Vec::with_capacity(calls.len() * 2);
        for (at, call) in calls.iter().enumerate() {
            places.push((call.inv, at as u32, false));
            if call.is_certain() {
                places.push((call.ret, at as u32, true));
            }
        }
        places.sort_unstable();
        let (mut slots, mut free, mut most) = (vec![0u32; calls.len()], Vec::new(), 0u32);
        for (_, call, response) in &places {
            if *response {
                free.push(slots[*call as usize]);
            } else {
                slots[*call as usize] = free.pop().unwrap_or_else(|| {
                    most += 1;
                    most - 1
                });
            }
        }
        let mut twins = vec![NOBODY; calls.len()];
        let mut uncertain: Vec<u32> = (0..calls.len() as u32)
            .filter(|at| !calls[*at as usize].is_certain())
            .collect();
        uncertain.sort_by_key(|at| (calls[*at as usize].kind, *at));
        for pair in uncertain.windows(2) {
            if calls[pair[0] as usize].kind == calls[pair[1] as usize].kind {
                twins[pair[1] as usize] = pair[0];
            }
        }
        let words = (most as usize).div_ceil(64).max(1);
        let head = calls.len();
        let mut ring = vec![NOBODY; head + 1];
        ring[head] = head as u32;
        Self {
            calls,
            events: places.into_iter().map(|(_, call, response)| (call, response)).collect(),
            slots,
            twins,
            object,
            at: 0,
            mask: vec![0; words],
            previous: ring.clone(),
            following: ring,
            dead: Table::new(words + 1),
            key: vec![0; words + 1],
            steps: 0,
            stuck: Stuck::default(),
        }
    }

    fn head(&self) -> u32 {
        self.calls.len() as u32
    }

    fn has_place(&self, call: u32) -> bool {
        let slot = self.slots[call as usize] as usize;
        self.mask[slot / 64] >> (slot % 64) & 1 == 1
    }

    fn flip(&mut self, call: u32) {
        let slot = self.slots[call as usize] as usize;
        self.mask[slot / 64] ^= 1 << (slot % 64);
    }

    fn link_last(&mut self, call: u32) {
        let head = self.head();
        let last = self.previous[head as usize];
        self.previous[call as usize] = last;
        self.following[call as usize] = head;
        self.relink(call);
    }

    fn unlink(&mut self, call: u32) {
        let (before, after) = (self.previous[call as usize], self.following[call as usize]);
        self.following[before as usize] = after;
        self.previous[after as usize] = before;
    }

    fn relink(&mut self, call: u32) {
        let (before, after) = (self.previous[call as usize], self.following[call as usize]);
        self.following[before as usize] = call;
        self.previous[after as usize] = call;
    }

    /// Takes events up to the next response that forces a decision; whether there is one.
    fn advance(&mut self) -> bool {
        while let Some(&(call, response)) = self.events.get(self.at) {
            if !response {
                self.link_last(call);
            } else if self.has_place(call) {
                self.flip(call);
            } else {
                return true;
            }
            self.at += 1;
        }
        false
    }

    /// Takes events back.
    fn retreat(&mut self, to: usize) {
        while self.at > to {
            self.at -= 1;
            match self.events[self.at] {
                (call, false) => self.unlink(call),
                (call, true) => self.flip(call),
            }
        }
    }

    fn give_place(&mut self, call: u32) {
        self.flip(call);
        self.unlink(call);
    }

    fn take_place(&mut self, call: u32) {
        self.relink(call);
        self.flip(call);
    }

    fn set_key(&mut self, state: u32) {
        self.key[0] = (self.at as u64) << 32 | u64::from(state);
        self.key[1..].copy_from_slice(&self.mask);
    }

    /// The state after a call in this state, if it can happen.
    fn after(&mut self, state: u32, call: u32) -> Option<u32> {
        self.steps += 1;
        self.object.apply(state, self.calls[call as usize].kind)
    }

    /// The next call to try in a frame, with the state after it.
    fn choose(&mut self, frame: &mut Frame) -> Option<(u32, u32)> {
        let forced = self.events[frame.at].0;
        let mut at = match frame.next {
            Next::Harmless => return None,
            Next::From(at) => at,
            Next::New => {
                // An operation that only looks, and is legal now, loses nothing by coming first.
                let mut at = self.following[self.calls.len()];
                while at != self.head() {
                    let call = &self.calls[at as usize];
                    if call.is_certain() && call.kind.only_looks() && self.after(frame.state, at).is_some() {
                        frame.next = Next::Harmless;
                        return Some((at, frame.state));
                    }
                    at = self.following[at as usize];
                }
                frame.next = Next::From(self.following[self.calls.len()]);
                if let Some(state) = self.after(frame.state, forced) {
                    return Some((forced, state));
                }
                self.following[self.calls.len()]
            }
        };
        while at != self.head() {
            let call = at;
            at = self.following[at as usize];
            frame.next = Next::From(at);
            let twin = self.twins[call as usize];
            // Of uncertain operations that do the same, all still possible, the first stands for all.
            if call == forced || twin != NOBODY && !self.has_place(twin) {
                continue;
            }
            let needed = self.calls[call as usize].is_certain();
            match self.after(frame.state, call) {
                // What may never have happened, and changes nothing, needn't happen.
                Some(state) if needed || state != frame.state => return Some((call, state)),
                _ => {}
            }
        }
        frame.next = Next::From(self.head());
        None
    }

    fn run(&mut self, budget: Budget) -> Found {
        if !self.advance() {
            return Found::Order(Vec::new());
        }
        let mut frames = vec![Frame {
            from: 0,
            at: self.at,
            state: self.object.start(),
            next: Next::New,
            chosen: NOBODY,
        }];
        while let Some(mut frame) = frames.pop() {
            if frame.chosen != NOBODY {
                // Back from a dead end.
                self.take_place(frame.chosen);
                frame.chosen = NOBODY;
            }
            if self.steps > budget.steps {
                return Found::Unknown("the step budget (--budget) was used up");
            }
            let Some((call, state)) = self.choose(&mut frame) else {
                self.note_dead_end(&frame);
                self.set_key(frame.state);
                let key = std::mem::take(&mut self.key);
                self.dead.insert(&key);
                self.key = key;
                if self.dead.words() * 8 > budget.memory || self.object.is_full() {
                    return Found::Unknown("the memory for the search (--memory) was used up");
                }
                self.retreat(frame.from);
                continue;
            };
            self.give_place(call);
            frame.chosen = call;
            let from = self.at;
            frames.push(frame);
            if !self.advance() {
                return Found::Order(frames.iter().map(|frame| frame.chosen).collect());
            }
            self.set_key(state);
            if self.dead.contains(&self.key) {
                self.retreat(from);
                continue;
            }
            frames.push(Frame {
                from,
                at: self.at,
                state,
                next: Next::New,
                chosen: NOBODY,
            });
        }
        Found::None(std::mem::take(&mut self.stuck))
    }

    fn note_dead_end(&mut self, frame: &Frame) {
        let stuck = &mut self.stuck;
        if frame.at > stuck.event || stuck.states.is_empty() {
            stuck.event = frame.at;
            stuck.call = self.events[frame.at].0;
            stuck.states.clear();
            stuck.more = false;
        }
        if frame.at == stuck.event && !stuck.states.contains(&frame.state) {
            if stuck.states.len() < SHOWN_STATES {
                stuck.states.push(frame.state);
            } else {
                stuck.more = true;
            }
        }
    }
}
