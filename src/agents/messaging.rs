//! Messages between agents: sending, asking, waiting, mailboxes and handlers.

use super::activation::{NIL, Settled, State};
use super::group::{AgentGroup, Letter};
use super::step::{Peers, SendStep};
use crate::kernel::SimTime;
use crate::world::call::{Answered, Ask, Part, Parts, Taker, answer_address, attempt_address};
use crate::world::message::{Message, MessageKind};
use crate::world::population::{Cx, Endpoint, purpose};
use crate::world::record::What;
use crate::world::slab::Handle;
use std::sync::Arc;

/// An ask that the next message of this agent is going to be.
pub(super) fn ask_of(endpoint: &Endpoint, activation: u32, address: u64, now: SimTime) -> Ask {
    Ask {
        activation,
        of: u32::MAX,
        // The identity that the message is about to get.
        identity: (endpoint.id as u64) << 32 | endpoint.sent as u64,
        key: endpoint.key,
        address,
        sent: now,
        question: 0,
        judges: true,
        about: (endpoint.id as u64) << 32 | endpoint.sent as u64,
        deadline: SimTime::NEVER,
        arrived: None,
        takers: Vec::new(),
        answer: None,
    }
}

impl AgentGroup {
    /// A send step.
    pub(super) fn send(&mut self, id: u32, step: &SendStep, cx: &mut Cx<'_, '_>) {
        let message = Message::new(MessageKind::Plain, 0, step.topic, step.bytes);
        self.send_to(id, step.to, message, cx);
    }

    /// Sends a message of the step that an activation is at: its journey is drawn under the step's address.
    fn send_to(&mut self, id: u32, to: Peers, message: Message, cx: &mut Cx<'_, '_>) {
        self.send_at(id, to, message, self.address(id), cx);
    }

    /// Sends a message whose journey is drawn under this address.
    pub(super) fn send_at(&mut self, id: u32, to: Peers, message: Message, address: u64, cx: &mut Cx<'_, '_>) {
        let member = self.member_of(id);
        let me = self.agents[member as usize].endpoint.id;
        let one = match to {
            Peers::All { base, count } => {
                for to in (base..base + count).filter(|to| *to != me) {
                    let endpoint = &mut self.agents[member as usize].endpoint;
                    let key = endpoint.key;
                    // One address for each receiver: one more shifts nobody else's.
                    let address = attempt_address(address, to - base);
                    cx.send_about(endpoint, Message { to, ..message }, key, address);
                }
                return;
            }
            Peers::Any { base, count } => {
                let inside = (base..base + count).contains(&me);
                let others = count - u32::from(inside);
                if others == 0 {
                    return;
                }
                let endpoint = &self.agents[member as usize].endpoint;
                let drawn = base + endpoint.stream(purpose::PEER, address).below(others as u64) as u32;
                if inside && drawn >= me { drawn + 1 } else { drawn }
            }
            Peers::Same { base, count } => base + member % count,
            Peers::Next { base, count } => base + (member + 1) % count,
            Peers::One(to) => to,
            Peers::Sender => match self.agents[member as usize].sender {
                NIL => return,
                sender => sender,
            },
        };
        if message.kind == MessageKind::Ask
            && let Some(ask) = cx.shared.asks.get_mut(message.handle)
        {
            ask.of = one;
        }
        let endpoint = &mut self.agents[member as usize].endpoint;
        let key = endpoint.key;
        cx.send_about(endpoint, Message { to: one, ..message }, key, address);
    }

    /// An ask step begins.
    pub(super) fn begin_ask(&mut self, id: u32, index: u32, cx: &mut Cx<'_, '_>) {
        let spec = Arc::clone(&self.spec);
        let (send, timeout, propagates) = spec.program.asks[index as usize];
        let step = &spec.program.sends[send as usize];
        let now = cx.now();
        let address = self.address(id);
        let endpoint = &self.agents[self.member_of(id) as usize].endpoint;
        let own = timeout.map_or(SimTime::NEVER, |timeout| now.saturating_add(timeout));
        let inherited = self.deadlines.get(&id).copied().unwrap_or(SimTime::NEVER);
        let ask = Ask {
            deadline: if propagates { own.min(inherited) } else { SimTime::NEVER },
            ..ask_of(endpoint, id, address, now)
        };
        let identity = ask.identity;
        let handle = cx.shared.asks.insert(ask);
        let activation = self.activation(id);
        activation.handle = handle;
        let member = self.member_of(id);
        self.begin_step(id, State::Asking, identity, cx);
        if let Some(timeout) = timeout {
            self.arm(id, now.saturating_add(timeout), cx);
        }
        let message = Message::ask(step.topic, step.bytes, handle);
        self.send_to(id, step.to, message, cx);
        self.start_handlers(member, cx);
    }

    /// An answer has come.
    pub(super) fn ask_answered(&mut self, message: &Message, cx: &mut Cx<'_, '_>) {
        let Some(ask) = cx.shared.asks.remove(message.handle) else {
            return;
        };
        let id = ask.activation;
        if self.activation(id).state == State::Approving {
            return self.approved(id, message, cx);
        }
        let until = self.enabled(id, cx);
        let parts = ask.split(until).expect("an answer comes from somebody who answered");
        self.disarm(id);
        let member = self.member_of(id);
        self.agents[member as usize].sender = message.from;
        self.activation(id).handle = Handle::NONE;
        self.settle_parts(id, &parts, cx);
        self.step_ended_at(id, Settled::Done, message.identity(), until, cx);
        self.step_over(id);
        self.run(id, cx);
    }

    /// Answers the ask that an activation took up, if there's one, and nobody has answered it.
    pub(super) fn reply(&mut self, id: u32, bytes: u32, cx: &mut Cx<'_, '_>) {
        let handle = std::mem::replace(&mut self.activation(id).answers, Handle::NONE);
        // What is done from here on isn't done for whoever asked.
        self.deadlines.remove(&id);
        let now = cx.now();
        let mut parts = self.account(id);
        let name = self.name_of(id);
        let Some(ask) = cx.shared.asks.get_mut(handle) else {
            return;
        };
        let taker = ask.takers.iter().find(|taker| taker.activation == name);
        let (Some(taker), Some((_, stood)), None) = (taker, ask.arrived, ask.answer) else {
            return;
        };
        for (part, before) in parts.0.iter_mut().zip(taker.account.0) {
            *part -= before;
        }
        ask.answer = Some(Answered {
            taken: taker.at,
            stood: taker.stood - stood,
            at: now,
            parts,
        });
        let question = ask.identity;
        let (asked, judges, about) = (ask.question, ask.judges, ask.about);
        let (key, address) = (ask.key, answer_address(ask.address));
        let asker = (question >> 32) as u32;
        let member = self.member_of(id);
        let endpoint = &mut self.agents[member as usize].endpoint;
        let answer = (endpoint.id as u64) << 32 | endpoint.sent as u64;
        cx.record(What::AskReplied, endpoint.id, [name, answer, question]);
        let value = match &self.spec.errs {
            Some(errs) => errs.answer(asked, judges, about, endpoint.key, self.model),
            None => asked,
        };
        let message = Message {
            value,
            ..Message::new(MessageKind::Answer, asker, 0, bytes).with(handle)
        };
        cx.send_about(endpoint, message, key, address);
    }

    /// An ask has reached its peer, who may stand still.
    pub(super) fn ask_arrived(&mut self, member: u32, message: &Message, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        if message.kind == MessageKind::Ask
            && let Some(ask) = cx.shared.asks.get_mut(message.handle)
        {
            let stood = self.stood(member, now);
            ask.arrived.get_or_insert((now, stood));
        }
    }

    /// Where an activation's time has gone since it began, over all of its frames.
    fn account(&self, id: u32) -> Parts {
        let mut sum = Parts::default();
        let mut frame = self.peek(id).map_or(NIL, |activation| activation.frame);
        while frame != NIL {
            sum.merge(&self.frame(frame).parts);
            frame = self.frame(frame).outer;
        }
        sum
    }

    /// A message for an agent: to whoever waits for it, to a handler, or into the mailbox.
    pub(super) fn letter(&mut self, member: u32, message: &Message, cx: &mut Cx<'_, '_>) {
        self.ask_arrived(member, message, cx);
        let agent = &self.agents[member as usize];
        let dropped = (!agent.alive && self.spec.program.handlers.is_empty()) || agent.down;
        let (letters, most) = (agent.letters, self.spec.mailbox);
        if dropped || letters >= most {
            let peer = (message.from as u64) << 16 | message.topic as u64;
            let words = [peer, message.sent.as_nanos(), 0];
            self.discard_delivery(member, message, cx);
            return cx.record(What::Dropped, message.to, words);
        }
        if let Some(id) = self.waiter_for(member, message.topic) {
            return self.take_up(id, message, cx);
        }
        if letters == 0
            && self.may_start_handler(member)
            && let Some(at) = self.spec.program.handler(message.topic)
        {
            // What would be put into the mailbox and taken out at once.
            self.start_handler(member, at, message, cx);
        } else {
            self.put_letter(member, message);
        }
        self.start_handlers(member, cx);
    }

    /// The activation of an agent that waits for this topic.
    fn waiter_for(&mut self, member: u32, topic: u16) -> Option<u32> {
        let fits = |group: &Self, id: u32| {
            group.peek(id).is_some_and(|activation| {
                activation.state == State::Waiting
                    && group.wait_of(activation.pc).is_some_and(|of| group.fits(of, topic))
            })
        };
        if fits(self, member) {
            return Some(member);
        }
        if self.agents[member as usize].first_extra == NIL {
            return None;
        }
        self.extras_of(member).into_iter().find(|id| fits(self, *id))
    }

    fn wait_of(&self, pc: u32) -> Option<Option<u16>> {
        match self.spec.program.code[pc as usize] {
            super::program::Instruction::Wait(wait) => Some(self.spec.program.waits[wait as usize].topic),
            _ => None,
        }
    }

    /// Whether a wait takes a message of this topic.
    fn fits(&self, wanted: Option<u16>, topic: u16) -> bool {
        match wanted {
            Some(wanted) => wanted == topic,
            None => self.spec.program.handler(topic).is_none(),
        }
    }

    /// A wait step begins; true if the program goes on at once.
    pub(super) fn begin_wait(&mut self, id: u32, index: u32, cx: &mut Cx<'_, '_>) -> bool {
        let wait = self.spec.program.waits[index as usize];
        let activation = self.activation(id);
        activation.needs = wait.count;
        let member = self.member_of(id);
        while self.activation(id).needs > 0 {
            let Some(message) = self.take_letter(member, |group, topic| group.fits(wait.topic, topic)) else {
                break;
            };
            self.note_taken(id, &message, cx);
            self.activation(id).needs -= 1;
        }
        if self.activation(id).needs == 0 {
            self.step_over(id);
            return true;
        }
        self.begin_step(id, State::Waiting, 0, cx);
        if let Some(timeout) = wait.timeout {
            self.arm(id, cx.now().saturating_add(timeout), cx);
        }
        self.start_handlers(member, cx);
        false
    }

    /// A message reaches the activation that waits for it.
    fn take_up(&mut self, id: u32, message: &Message, cx: &mut Cx<'_, '_>) {
        let until = self.enabled(id, cx);
        let mark = self.activation(id).mark;
        let mut parts = Parts::default();
        parts.add(Part::Coordination, message.sent.since(mark));
        parts.add(Part::Network, until - message.sent.max(mark));
        self.settle_parts(id, &parts, cx);
        let activation = self.activation(id);
        activation.needs -= 1;
        let needs = activation.needs;
        let how = if needs == 0 {
            Settled::Done
        } else {
            Settled::OneOfSeveral
        };
        self.step_ended_at(id, how, message.identity(), until, cx);
        self.note_taken(id, message, cx);
        if needs == 0 {
            self.disarm(id);
            self.step_over(id);
            self.run(id, cx);
        }
    }

    /// An activation has taken a message: its sender is known, and an ask is to be answered.
    fn note_taken(&mut self, id: u32, message: &Message, cx: &mut Cx<'_, '_>) {
        let member = self.member_of(id);
        self.agents[member as usize].sender = message.from;
        if message.kind == MessageKind::Ask {
            self.activation(id).answers = message.handle;
            let (account, at, stood) = (self.account(id), cx.now(), self.stood(member, cx.now()));
            let activation = self.name_of(id);
            let deadline = cx.shared.asks.get(message.handle).map(|ask| ask.deadline);
            self.inherit_deadline(id, deadline);
            if let Some(ask) = cx.shared.asks.get_mut(message.handle) {
                // An earlier taking under this name was the copy's, or that of an activation which is gone.
                ask.takers.retain(|taker| taker.activation != activation);
                ask.takers.push(Taker {
                    activation,
                    at,
                    stood,
                    account,
                });
                cx.record(What::AskTaken, self.base + member, [activation, 0, message.identity()]);
            }
        }
    }

    /// A wait goes on without its message.
    pub(super) fn wait_timed_out(&mut self, id: u32, cx: &mut Cx<'_, '_>) {
        let until = self.enabled(id, cx);
        self.settle(id, Part::Coordination, cx);
        self.step_ended_at(id, Settled::Failed, 0, until, cx);
        self.step_over(id);
        self.run(id, cx);
    }

    /// Whether an agent may run one handler more.
    #[inline]
    fn may_start_handler(&self, member: u32) -> bool {
        let agent = &self.agents[member as usize];
        let busy =
            agent.thinking > 0 || agent.handlers >= self.spec.handlers_at_once || agent.main.state == State::Running;
        !(busy || agent.down || agent.paused)
    }

    /// Starts handlers for the letters at the front, as long as the agent may run one.
    #[inline(always)]
    pub(super) fn start_handlers(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        if self.agents[member as usize].letters > 0 {
            self.start_handlers_for_letters(member, cx);
        }
    }

    fn start_handlers_for_letters(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        while self.agents[member as usize].letters > 0 && self.may_start_handler(member) {
            let has_handler = |group: &Self, topic: u16| group.spec.program.handler(topic).is_some();
            let Some(message) = self.take_letter(member, has_handler) else {
                return;
            };
            let Some(at) = self.spec.program.handler(message.topic) else {
                return;
            };
            self.start_handler(member, at, &message, cx);
        }
    }

    /// Runs the handler at `at` for a message.
    fn start_handler(&mut self, member: u32, at: u32, message: &Message, cx: &mut Cx<'_, '_>) {
        let delivery = self.delivery_of(message);
        if let Some(delivery) = delivery
            && self.skips(member, delivery, cx)
        {
            return;
        }
        self.agents[member as usize].handlers += 1;
        let path = message.about.rotate_left(17) ^ 0x68_616e_646c_6572;
        let id = self.spawn(member, at, NIL, 0, path, cx.now());
        self.activation(id).is_handler = true;
        let words = [self.name_of(id), u64::MAX, 0];
        cx.record(What::ActivationBegan, self.base + member, words);
        let exit = self.end_of_program(at);
        self.push_frame(id, exit, None, 0, cx);
        self.note_taken(id, message, cx);
        if let Some(delivery) = delivery {
            self.begin_delivery(id, delivery, cx);
        }
        self.run(id, cx);
    }

    fn put_letter(&mut self, member: u32, message: &Message) {
        let letter = Letter {
            message: *message,
            next: NIL,
        };
        let index = match self.free_letters.pop() {
            Some(index) => {
                self.letters[index as usize] = letter;
                index
            }
            None => {
                self.letters.push(letter);
                self.letters.len() as u32 - 1
            }
        };
        let agent = &mut self.agents[member as usize];
        match std::mem::replace(&mut agent.last_letter, index) {
            NIL => agent.first_letter = index,
            last => self.letters[last as usize].next = index,
        }
        self.agents[member as usize].letters += 1;
    }

    /// Takes the first letter that fits out of a mailbox.
    fn take_letter(&mut self, member: u32, fits: impl Fn(&Self, u16) -> bool) -> Option<Message> {
        let (mut before, mut at) = (NIL, self.agents[member as usize].first_letter);
        while at != NIL && !fits(self, self.letters[at as usize].message.topic) {
            (before, at) = (at, self.letters[at as usize].next);
        }
        if at == NIL {
            return None;
        }
        let Letter { message, next } = self.letters[at as usize];
        match before {
            NIL => self.agents[member as usize].first_letter = next,
            before => self.letters[before as usize].next = next,
        }
        let agent = &mut self.agents[member as usize];
        if next == NIL {
            agent.last_letter = before;
        }
        agent.letters -= 1;
        self.free_letters.push(at);
        Some(message)
    }

    /// Throws the letters of an agent away.
    #[inline(always)]
    pub(super) fn empty_mailbox(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        if self.agents[member as usize].letters > 0 {
            self.throw_letters_away(member, cx);
        }
    }

    fn throw_letters_away(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        while let Some(message) = self.take_letter(member, |_, _| true) {
            let peer = (message.from as u64) << 16 | message.topic as u64;
            let words = [peer, message.sent.as_nanos(), 0];
            self.discard_delivery(member, &message, cx);
            cx.record(What::Dropped, message.to, words);
        }
    }
}
