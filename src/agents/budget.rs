//! Budgets from the agent's side: what an agent does whose budget is spent, before it begins a call.

use super::activation::{NIL, Settled, State, TaskEnd};
use super::group::AgentGroup;
use super::messaging::ask_of;
use super::step::SendStep;
use crate::kernel::SimDuration;
use crate::world::call::{Part, attempt_address, call_identity};
use crate::world::ledger::{Amounts, event};
use crate::world::message::Message;
use crate::world::population::Cx;
use crate::world::record::What;
use crate::world::slab::Handle;
use serde::Serialize;
use std::sync::Arc;

/// A budget that a group spends from.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupBudget {
    /// Its number in the ledger.
    pub number: u16,
    /// What is done when it is spent.
    pub then: Then,
}

/// What is done about a call whose budget is spent.
#[derive(Debug, Clone, PartialEq)]
pub enum Then {
    /// Nothing: it is begun.
    Nothing,
    /// What the agent does ends.
    Stop,
    /// It goes to a cheaper service: by the services' entities, which goes to which. Others go where they would.
    Degrade(Vec<(u32, u32)>),
    /// More is asked for, and waited for.
    Ask(Request),
}

/// How more is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Request {
    /// Whom, by which topic.
    pub send: SendStep,
    /// How long the answer may take; `None`: for ever.
    pub timeout: Option<SimDuration>,
    /// How much an answer grants.
    pub grant: Amounts,
}

/// How an agent asks for more: for which of its group's budgets, how often it has asked before this call, and since when.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Approval {
    budget: u16,
    asked: u32,
}

impl AgentGroup {
    /// A call begins of an agent that has a budget, or several.
    pub(super) fn begin_paid_call(&mut self, id: u32, index: u32, cx: &mut Cx<'_, '_>) {
        let spec = Arc::clone(&self.spec);
        let member = self.member_of(id);
        let mut server = self.whom_to_call(id, index, cx);
        let agent = &self.agents[member as usize].endpoint;
        let (client, key) = (agent.id, agent.key);
        let (group, _) = cx.shared.directory.locate(client);
        for (place, budget) in spec.budgets.iter().enumerate() {
            let (service, _) = cx.shared.directory.locate(server);
            let Some(ledger) = &cx.shared.ledger else { continue };
            let owner = ledger.owner(budget.number, group, key);
            if !ledger.is_spent(budget.number, owner, service) {
                continue;
            }
            let number = u64::from(budget.number);
            match &budget.then {
                Then::Nothing => {}
                Then::Stop => {
                    cx.record(What::Budget, client, [number, self.name_of(id), event::STOPPED]);
                    return self.stop_for_budget(id, cx);
                }
                Then::Degrade(cheaper) => {
                    if let Some((_, to)) = cheaper.iter().find(|(from, _)| *from == server) {
                        let which = u64::from(server) << 32 | u64::from(*to);
                        cx.record(What::Budget, client, [number, which, event::DEGRADED]);
                        server = *to;
                    }
                }
                Then::Ask(request) => return self.ask_for_more(id, place as u16, request, cx),
            }
        }
        self.approvals.remove(&id);
        let identity = call_identity(client, self.agents[member as usize].calls);
        let (service, _) = cx.shared.directory.locate(server);
        if let Some(ledger) = &mut cx.shared.ledger {
            for budget in spec.budgets.iter() {
                let owner = ledger.owner(budget.number, group, key);
                ledger.reserve(identity, budget.number, owner, service);
            }
        }
        let request = self.request_of(id, index);
        self.open_call(id, index, server, request, cx);
    }

    /// A call is over: what it reserved and wasn't billed is free.
    pub(super) fn release_reserve(&self, identity: u64, cx: &mut Cx<'_, '_>) {
        if !self.spec.budgets.is_empty()
            && let Some(ledger) = &mut cx.shared.ledger
        {
            ledger.release(identity);
        }
    }

    /// An activation asks for more of a budget, and waits. What chance does to the ask is drawn at the address of the call that it is
    /// for, as that of an attempt before the first.
    fn ask_for_more(&mut self, id: u32, place: u16, request: &Request, cx: &mut Cx<'_, '_>) {
        let member = self.member_of(id);
        let approval = self.approvals.entry(id).or_default();
        approval.budget = place;
        let address = attempt_address(self.address(id), u32::MAX - self.approvals[&id].asked);
        if let Some(approval) = self.approvals.get_mut(&id) {
            approval.asked += 1;
        }
        let endpoint = &self.agents[member as usize].endpoint;
        let ask = ask_of(endpoint, id, address, cx.now());
        let (client, identity) = (endpoint.id, ask.identity);
        let handle = cx.shared.asks.insert(ask);
        self.activation(id).handle = handle;
        let number = u64::from(self.spec.budgets[usize::from(place)].number);
        cx.record(What::Budget, client, [number, identity, event::ASKED]);
        self.begin_step(id, State::Approving, identity, cx);
        if let Some(timeout) = request.timeout {
            self.arm(id, cx.now().saturating_add(timeout), cx);
        }
        let message = Message::ask(request.send.topic, request.send.bytes, handle);
        self.send_at(id, request.send.to, message, address, cx);
        self.start_handlers(member, cx);
    }

    /// More was granted: the call is begun, unless the budget is spent again.
    pub(super) fn approved(&mut self, id: u32, message: &Message, cx: &mut Cx<'_, '_>) {
        let until = self.enabled(id, cx);
        self.disarm(id);
        let member = self.member_of(id);
        self.agents[member as usize].sender = message.from;
        self.activation(id).handle = Handle::NONE;
        let waited = until.since(self.activation(id).mark);
        self.settle(id, Part::Coordination, cx);
        self.step_ended_at(id, Settled::Done, message.identity(), until, cx);
        let spec = Arc::clone(&self.spec);
        let place = self.approvals.get(&id).map_or(0, |approval| approval.budget);
        let budget = &spec.budgets[usize::from(place)];
        let endpoint = &self.agents[member as usize].endpoint;
        let (client, key) = (endpoint.id, endpoint.key);
        let (group, _) = cx.shared.directory.locate(client);
        if let (Then::Ask(request), Some(ledger)) = (&budget.then, &mut cx.shared.ledger) {
            let owner = ledger.owner(budget.number, group, key);
            ledger.grant(budget.number, owner, request.grant);
            let words = [u64::from(budget.number), waited.as_nanos(), event::GRANTED];
            let Amounts { calls, tokens, money } = request.grant;
            cx.record_with(What::Budget, client, words, &[calls, tokens, money, owner]);
        }
        self.run(id, cx);
    }

    /// What an agent does ends, because its budget is spent: its run of the program, with all branches. A handler ends by itself; in a
    /// branch of one, the step fails.
    fn stop_for_budget(&mut self, id: u32, cx: &mut Cx<'_, '_>) {
        let (member, mut root) = (self.member_of(id), id);
        while self.parent_of(root) != NIL {
            root = self.parent_of(root);
        }
        if root != member {
            if id != root {
                return self.step_failed(id, cx);
            }
            let pc = self.activation(id).pc;
            let end = self.end_of_program(pc);
            let activation = self.activation(id);
            activation.failed = true;
            activation.pc = end;
            return self.run(id, cx);
        }
        let waits = self.activation(member).state != State::Running;
        self.stop_waiting(member, cx);
        self.release_all(member, cx);
        self.settle(member, Part::Retrying, cx);
        if waits {
            self.step_ended(member, Settled::Lost, Part::Retrying as u64, cx);
        }
        self.approvals.remove(&member);
        self.unwind_all(member, TaskEnd::Stopped, cx);
        self.end_run(member, cx);
    }
}
