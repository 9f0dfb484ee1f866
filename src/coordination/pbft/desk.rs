//! The client: it asks the primary, asks all replicas if there is no answer, and believes what enough of them say alike.

use super::super::member::{Input, Io, NEVER};
use super::super::shared::Table;
use super::message::{Message, Request, Seal, Signer, verify};
use super::{Flaw, Rules, notes};
use serde::Serialize;

/// What it waits for.
#[derive(Debug, Clone, Serialize)]
struct Want {
    request: Request,
    /// Who waits for it, by the host's words.
    tokens: Vec<u64>,
    /// When it asks again.
    due: i64,
    /// How often it has asked.
    asked: u32,
    /// The results that replicas have named, and which replicas.
    replies: Vec<(u64, u128)>,
}

/// A desk of clients: the library that agents at one site ask. It keeps nothing over a crash.
#[derive(Debug, Clone, Serialize)]
pub struct Desk {
    me: u32,
    signer: Signer,
    wants: Vec<Want>,
    /// The place of each of them, by identity.
    places: Table,
    /// The view in which each replica was when it last replied.
    views: Vec<u64>,
    /// A view that some correct replica has been in.
    view: u64,
    due: i64,
}

impl Desk {
    /// A desk that nobody has asked.
    pub fn new(rules: &Rules, me: u32) -> Self {
        Self {
            me,
            signer: Signer::of(me),
            wants: Vec::new(),
            places: Table::default(),
            views: vec![0; rules.replicas as usize],
            view: 0,
            due: NEVER,
        }
    }

    /// How many requests it waits for.
    pub fn waits_for(&self) -> usize {
        self.wants.len()
    }

    pub(super) fn on(&mut self, rules: &Rules, input: Input<Message>, io: &mut Io<'_, Message>) {
        match input {
            Input::Asked(asked) => {
                if let Some(place) = self.places.get(asked.identity) {
                    self.wants[place as usize].tokens.push(asked.token);
                    return;
                }
                let mut request = Request {
                    identity: asked.identity,
                    value: asked.value,
                    client: self.me,
                    bytes: asked.bytes,
                    seal: 0,
                };
                io.work(rules.sign);
                request.seal = self.signer.seal(Seal::Request, request.content());
                io.send(rules.primary(self.view), Message::Request(request));
                let due = io.now.saturating_add(rules.client_timeout);
                self.due = self.due.min(due);
                self.places.insert(asked.identity, self.wants.len() as u64);
                self.wants.push(Want {
                    request,
                    tokens: vec![asked.token],
                    due,
                    asked: 1,
                    replies: Vec::new(),
                });
            }
            Input::Withdrawn(token) => {
                let waits = |want: &Want| want.tokens.contains(&token);
                if let Some(place) = self.wants.iter().position(waits) {
                    self.wants[place].tokens.retain(|one| *one != token);
                    if self.wants[place].tokens.is_empty() {
                        self.forget(place);
                    }
                }
            }
            Input::Heard {
                from,
                message:
                    Message::Reply {
                        view,
                        identity,
                        value,
                        seal,
                    },
            } => self.on_reply(rules, (from, view, identity, value, seal), io),
            Input::Due => self.ask_again(rules, io),
            Input::Start | Input::Restarted | Input::Heard { .. } | Input::Engaged { .. } => {}
        }
    }

    /// Lets a place go; the last one takes it.
    fn forget(&mut self, place: usize) -> Want {
        let want = self.wants.swap_remove(place);
        self.places.remove(want.request.identity);
        if let Some(moved) = self.wants.get(place) {
            self.places.insert(moved.request.identity, place as u64);
        }
        if self.wants.is_empty() {
            self.due = NEVER;
        }
        want
    }

    fn on_reply(
        &mut self,
        rules: &Rules,
        (from, view, identity, value, seal): (u32, u64, u64, u64, u64),
        io: &mut Io<'_, Message>,
    ) {
        let Some(place) = self.places.get(identity) else {
            return;
        };
        io.work(rules.verify);
        let is_sound = from < rules.replicas && verify(from, Seal::Reply, [view, identity, value], seal);
        if !is_sound && (rules.flaw != Flaw::TrustsEverybody || from >= rules.replicas) {
            io.note(notes::REJECTED, u64::from(from), 4);
            return;
        }
        if view != self.views[from as usize] {
            self.views[from as usize] = view;
            let mut views = self.views.clone();
            views.sort_unstable_by(|a, b| b.cmp(a));
            self.view = views[rules.faulty as usize];
        }
        let want = &mut self.wants[place as usize];
        let known = want.replies.iter().position(|(named, _)| *named == value);
        let known = known.unwrap_or_else(|| {
            want.replies.push((value, 0));
            want.replies.len() - 1
        });
        let (_, by) = &mut want.replies[known];
        *by |= 1 << from;
        let enough = match rules.flaw {
            Flaw::TakesFirstReply => 1,
            _ => rules.some_correct(),
        };
        if by.count_ones() >= enough {
            let want = self.forget(place as usize);
            io.note(notes::ACCEPTED, identity, value);
            for token in want.tokens {
                io.answer(token, value);
            }
        }
    }

    /// Asks all replicas for what hasn't been answered in time.
    fn ask_again(&mut self, rules: &Rules, io: &mut Io<'_, Message>) {
        let now = io.now;
        self.due = NEVER;
        for want in &mut self.wants {
            if want.due <= now {
                let wait = rules.client_timeout.saturating_mul(1 << want.asked.min(3));
                want.due = now.saturating_add(wait);
                want.asked += 1;
                io.note(notes::ASKED_ALL, want.request.identity, u64::from(want.asked));
                io.send_to_all(0..rules.replicas, &Message::Request(want.request));
            }
            self.due = self.due.min(want.due);
        }
    }

    pub(super) fn due(&self) -> i64 {
        self.due
    }

    pub(super) fn crash(&mut self) {
        self.wants.clear();
        self.places.clear();
        self.due = NEVER;
    }

    pub(super) fn is_at_rest(&self) -> bool {
        self.wants.is_empty()
    }
}
