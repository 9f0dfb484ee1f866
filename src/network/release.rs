//! What cuts hold: messages that were sent against a cut, and messages that a cut stopped on their way.
//!
//! At the heal they leave in order: first what was under way, each journey going on where it stood still, then what was
//! sent meanwhile, in the order of sending, as if sent now (bandwidth, loss, copies and delay are those of the heal; the
//! draws are the message's own, and made once). What another cut that is still on holds too, goes on waiting, in its
//! place and under its ticket; what another cut loses, is lost.

use super::cuts::{Journey, Passage, Whose};
use super::{LossCause, Network, Outgoing, Verdict};
use crate::kernel::SimTime;
use serde::Serialize;

/// A message that [`Network::heal`] gives back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Release {
    /// The ticket under which it was held; it may be given to another message from now on.
    pub ticket: u32,
    /// What becomes of it: never held.
    pub verdict: Verdict,
}

/// The messages that are held.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Held {
    /// By ticket.
    messages: Vec<Option<Waiting>>,
    free: Vec<u32>,
    /// The tickets that each cut holds.
    queues: Vec<Vec<u32>>,
    /// How many were ever held.
    count: u64,
}

/// A message that is held.
#[derive(Debug, Clone, Copy, Serialize)]
struct Waiting {
    message: Outgoing,
    /// For one that was under way: the epoch of its leg. It was due at the message's `now`.
    epoch: Option<u32>,
    /// Its place in the order.
    sequence: u64,
}

impl Waiting {
    /// What was under way goes first.
    fn order(&self) -> (bool, u64) {
        (self.epoch.is_none(), self.sequence)
    }
}

impl Held {
    pub(super) fn new(cuts: usize) -> Self {
        Self {
            queues: vec![Vec::new(); cuts],
            ..Self::default()
        }
    }

    fn take_in(&mut self, message: Outgoing, epoch: Option<u32>, cut: u32) -> u32 {
        let ticket = self.free.pop().unwrap_or_else(|| {
            self.messages.push(None);
            self.messages.len() as u32 - 1
        });
        self.messages[ticket as usize] = Some(Waiting {
            message,
            epoch,
            sequence: self.count,
        });
        self.count += 1;
        self.queues[cut as usize].push(ticket);
        ticket
    }

    fn get(&self, ticket: u32) -> &Waiting {
        self.messages[ticket as usize]
            .as_ref()
            .expect("a ticket in a queue has its message")
    }

    fn let_go(&mut self, ticket: u32) {
        self.messages[ticket as usize] = None;
        self.free.push(ticket);
    }
}

impl Network {
    /// Holds a message that is sent against a cut.
    pub(super) fn hold_back(&mut self, m: &Outgoing, cut: u32) -> u32 {
        self.books.held += 1;
        self.held.take_in(*m, None, cut)
    }

    /// Holds a message that a cut stopped on its way.
    pub(super) fn hold_up(&mut self, m: &Outgoing, epoch: u32, cut: u32) -> u32 {
        self.books.held += 1;
        self.held.take_in(*m, Some(epoch), cut)
    }

    /// A fall of this cut ends at `now`. If that heals it, what it held is given back, in the order in which it leaves.
    ///
    /// # Panics
    /// Panics if the cut isn't on.
    pub fn heal(&mut self, cut: u32, now: SimTime) -> Vec<Release> {
        if !self.cuts.heal(cut, now) {
            return Vec::new();
        }
        self.calmer();
        let mut tickets = std::mem::take(&mut self.held.queues[cut as usize]);
        tickets.sort_by_key(|&ticket| self.held.get(ticket).order());
        let mut releases = Vec::with_capacity(tickets.len());
        for ticket in tickets {
            match self.release(ticket, now) {
                Ok(verdict) => {
                    self.held.let_go(ticket);
                    releases.push(Release { ticket, verdict });
                }
                Err(other) => self.held.queues[other as usize].push(ticket),
            }
        }
        releases
    }

    /// What becomes of a held message now; `Err` if another cut holds it.
    fn release(&mut self, ticket: u32, now: SimTime) -> Result<Verdict, u32> {
        let Waiting { mut message, epoch, .. } = *self.held.get(ticket);
        let ends = message.ends();
        let place = self.place(message.from, message.to);
        let verdict = match epoch {
            Some(epoch) => match self
                .cuts
                .journey(&self.spec.cuts, &ends, Whose::Ends, epoch, message.now)
            {
                Journey::Standing(other) => return Err(other),
                Journey::Lost => self.lose(LossCause::Partition),
                Journey::Due(at) => Verdict::At(self.leave(place.link, at.max(now))),
            },
            None => match self.cuts.at_send(&self.spec.cuts, &ends) {
                Passage::Held(other) => return Err(other),
                Passage::Lost => self.lose(LossCause::Partition),
                Passage::Free => {
                    message.now = now;
                    self.send_through(&message, place)
                }
            },
        };
        self.books.held -= 1;
        Ok(verdict)
    }

    /// How many messages this cut holds.
    pub fn held_by(&self, cut: u32) -> usize {
        self.held.queues[cut as usize].len()
    }
}
