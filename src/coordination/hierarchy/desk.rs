//! The desk: what agents at a site ask. It hands what they submit to a coordinator, and asks again until it has an answer.

use super::message::{Case, Word};
use super::uplink::{Recall, Recalls, Turn, Uplink, Whereabouts};
use super::{Failover, Rules};
use crate::coordination::member::{Asked, Input, Io, NEVER};
use serde::Serialize;
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet};

/// Something that agents wait for.
#[derive(Debug, Clone, Serialize)]
struct Submission {
    case: Case,
    /// Who waits for it, by the host's words.
    tokens: SmallVec<[u64; 1]>,
    /// Which of its leaves it is handed to.
    leaf: u32,
    /// The positions that were asked.
    asked: SmallVec<[u32; 2]>,
    times: u32,
    due: i64,
}

/// The desk of a site.
#[derive(Debug, Clone, Serialize)]
pub struct Desk {
    number: u32,
    waiting: BTreeMap<u64, Submission>,
    agenda: BTreeSet<(i64, u64)>,
    whereabouts: Whereabouts,
    /// One for each of its leaves.
    up: Vec<Uplink>,
    recalls: Recalls,
    /// When a leaf may have been silent for too long.
    silence_due: i64,
    /// The earliest of all timers.
    due: i64,
}

impl Desk {
    /// The desk that is this member.
    pub fn new(rules: &Rules, me: u32) -> Self {
        Self {
            number: me - rules.first_desk(),
            waiting: BTreeMap::new(),
            agenda: BTreeSet::new(),
            whereabouts: Whereabouts::default(),
            up: Vec::new(),
            recalls: Recalls::default(),
            silence_due: NEVER,
            due: NEVER,
        }
    }

    pub(super) fn due(&self) -> i64 {
        self.due
    }

    pub(super) fn is_at_rest(&self) -> bool {
        self.waiting.is_empty() && self.recalls.is_empty()
    }

    pub(super) fn on(&mut self, rules: &Rules, input: Input<Word>, io: &mut Io<'_, Word>) {
        match input {
            Input::Start => self.open(rules, io.now),
            Input::Restarted => {
                self.open(rules, io.now);
                let identities: Vec<u64> = self.waiting.keys().copied().collect();
                for identity in identities {
                    self.send(rules, identity, io);
                }
                self.recalls.repeat(rules, io);
            }
            Input::Asked(asked) => self.asked(rules, asked, io),
            Input::Withdrawn(token) => {
                for submission in self.waiting.values_mut() {
                    submission.tokens.retain(|one| *one != token);
                }
            }
            Input::Heard { from, message } => self.hear(rules, from, message, io),
            Input::Due => self.look_at_dues(rules, io),
            Input::Engaged { .. } => {}
        }
        let repeats = self.agenda.first().map_or(NEVER, |(due, _)| *due);
        self.due = repeats.min(self.recalls.due).min(self.silence_due);
    }

    fn open(&mut self, rules: &Rules, now: i64) {
        let leaves = rules.desks[self.number as usize].iter();
        self.up = leaves.map(|leaf| Uplink::new(*leaf, now)).collect();
        self.watch_out(rules);
    }

    fn watch_out(&mut self, rules: &Rules) {
        // Without siblings to go to nobody looks out for silence.
        if rules.failover == Failover::Sibling {
            self.silence_due = self.up.iter().map(|up| up.due(rules)).min().unwrap_or(NEVER);
        }
    }

    fn asked(&mut self, rules: &Rules, asked: Asked, io: &mut Io<'_, Word>) {
        let identity = asked.identity;
        if let Some(submission) = self.waiting.get_mut(&identity) {
            return submission.tokens.push(asked.token);
        }
        let leaves = &rules.desks[self.number as usize];
        if leaves.is_empty() {
            return io.refuse(asked.token);
        }
        // The upper half of a submission's identity is the agent: each has a leaf of its own.
        let leaf = ((identity >> 32) % leaves.len() as u64) as u32;
        let own = rules.tree.system(leaves[leaf as usize]);
        let case = Case {
            identity,
            value: asked.value,
            system: Self::matter_of(rules, own, identity, io),
            bytes: asked.bytes,
        };
        let submission = Submission {
            case,
            tokens: SmallVec::from_slice(&[asked.token]),
            leaf,
            asked: SmallVec::new(),
            times: 0,
            due: NEVER,
        };
        self.waiting.insert(identity, submission);
        self.send(rules, identity, io);
    }

    /// The system whose matter something is.
    fn matter_of(rules: &Rules, own: u32, identity: u64, io: &Io<'_, Word>) -> u32 {
        let count = rules.tree.roots().len() as u32;
        let mut draws = io.draw(identity);
        match count > 1 && draws.chance(rules.abroad) {
            true => (own + 1 + draws.below(u64::from(count - 1)) as u32) % count,
            false => own,
        }
    }

    fn send(&mut self, rules: &Rules, identity: u64, io: &mut Io<'_, Word>) {
        let Some(submission) = self.waiting.get_mut(&identity) else {
            return;
        };
        self.agenda.remove(&(submission.due, identity));
        let position = self.up[submission.leaf as usize].at;
        if !submission.asked.contains(&position) {
            submission.asked.push(position);
        }
        submission.times += 1;
        submission.due = io.now.saturating_add(rules.waits(submission.times));
        self.agenda.insert((submission.due, identity));
        io.send(self.whereabouts.at(position), Word::Case(submission.case));
    }

    fn hear(&mut self, rules: &Rules, from: u32, message: Word, io: &mut Io<'_, Word>) {
        match message {
            Word::Verdict { identity, decision } => {
                let Some(submission) = self.waiting.remove(&identity) else {
                    return;
                };
                self.agenda.remove(&(submission.due, identity));
                for token in submission.tokens {
                    io.answer(token, u64::from(decision.granted));
                }
                let by = rules.position(from);
                let others = submission.asked.into_iter().filter(|one| Some(*one) != by);
                let (case, to) = (submission.case, others.collect());
                self.recalls.add(rules, Recall { case, decision, to }, io);
            }
            Word::Beat { position, epoch } => {
                let is_new = match self.whereabouts.hear(position, epoch, from) {
                    Ok(is_new) => is_new,
                    Err(epoch) => return io.send(from, Word::Objection { epoch }),
                };
                self.hear_beat(rules, (position, from), is_new, io);
            }
            Word::Voided { identity, decision } => {
                if let Some(position) = rules.position(from) {
                    self.recalls.done(identity, decision, position);
                }
            }
            _ => {}
        }
    }

    fn hear_beat(&mut self, rules: &Rules, (position, from): (u32, u32), is_new: bool, io: &mut Io<'_, Word>) {
        let mut moved = Vec::new();
        let mut is_known = false;
        for (leaf, up) in (0u32..).zip(&mut self.up) {
            // A beat is news to those alone who stand under the position, or belong to it.
            if up.of == position || up.at == position {
                is_known = true;
                if up.beat(rules, (position, from), is_new, io) == Turn::Moved {
                    moved.push(leaf);
                }
            }
        }
        if !is_known {
            io.send(from, Word::Leave);
        }
        self.send_moved(rules, &moved, io);
        self.watch_out(rules);
    }

    /// What was handed to these leaves is sent again, to whoever fills them now.
    fn send_moved(&mut self, rules: &Rules, moved: &[u32], io: &mut Io<'_, Word>) {
        if moved.is_empty() {
            return;
        }
        let concerned = |(_, submission): &(&u64, &Submission)| moved.contains(&submission.leaf);
        let identities: Vec<u64> = self.waiting.iter().filter(concerned).map(|(at, _)| *at).collect();
        for identity in identities {
            self.send(rules, identity, io);
        }
    }

    fn look_at_dues(&mut self, rules: &Rules, io: &mut Io<'_, Word>) {
        while let Some((due, identity)) = self.agenda.first().copied()
            && due <= io.now
        {
            self.send(rules, identity, io);
        }
        if self.silence_due <= io.now {
            let mut moved = Vec::new();
            for (leaf, up) in (0u32..).zip(&mut self.up) {
                if up.look(rules, io) == Turn::Moved {
                    moved.push(leaf);
                }
            }
            self.send_moved(rules, &moved, io);
            self.watch_out(rules);
        }
        if self.recalls.due <= io.now {
            self.recalls.repeat(rules, io);
        }
    }

    pub(super) fn crash(&mut self, rules: &Rules, keeps_disk: bool) {
        let lost = std::mem::replace(self, Self::new(rules, rules.first_desk() + self.number));
        if keeps_disk {
            self.waiting = lost.waiting;
            for (identity, submission) in &mut self.waiting {
                // Whoever waited asks anew.
                submission.tokens.clear();
                (submission.times, submission.due) = (0, NEVER);
                debug_assert_eq!(*identity, submission.case.identity);
            }
            self.recalls = lost.recalls;
            self.recalls.due = NEVER;
        }
    }
}
