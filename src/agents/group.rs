//! A group of agents: a fixed number of them, or an open stream of arrivals.

use super::spec::{Arrivals, GroupSpec, RankBlock};

use super::activation::{Activation, EXTRA, Extra, Frame, JoinState, NIL, State, Timer};
use super::budget::{Approval, Then};
use super::caching::Cache;
use super::calling::OPERATION;
use super::channels::{Handled, InHand, POLL, PUBLISH, Polled};
use super::conversation::Conversation;
use super::edits::Progress;
use super::journal::Journal;
use super::locking::{Hold, LOCK};
use super::policy::Policy;
use super::program::Instruction;
use super::pursuing::AllKnown;
use super::sessions::Remembered;
use super::step::{CallStep, Swap};
use super::swapping::SwapState;
use crate::kernel::{Entry, Key, Liveness, Origin, SimDuration, SimTime, Words, in_large_pages, prefetch};
use crate::network::SiteId;
use crate::random::Law;
use crate::state::Context;
use crate::world::Starter;
use crate::world::call::{Call, Request};
use crate::world::message::{Message, MessageKind};
use crate::world::population::{Cx, Disturbance, Endpoint, Population, kind, purpose};
use crate::world::record::What;
use crate::world::slab::{Handle, Slab};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A think, a sleep or a backoff ends. Body: activation and generation.
pub(super) const WAKE: u16 = kind::OWN;
/// A timeout may be due. Body: activation and the timer's generation.
pub(super) const TIMEOUT: u16 = kind::OWN + 1;
/// A lock is renewed. Body: activation and the number of the hold.
pub(super) const RENEW: u16 = kind::OWN + 3;
/// The gaps of a Poisson process of rate 1.
const UNIT_GAP: Law = Law::Exponential { mean: 1.0 };
/// The next agent of a stream arrives.
const ARRIVAL: u16 = kind::OWN + 2;

/// An agent: two cache lines, of which a message that isn't waited for needs the first only.
#[derive(Debug, Clone, Serialize)]
#[repr(C, align(64))]
pub(super) struct Agent {
    pub endpoint: Endpoint,
    /// Who sent the message handled or waited for last.
    pub sender: u32,
    /// The first and the last letter in the mailbox.
    pub first_letter: u32,
    pub last_letter: u32,
    pub letters: u32,
    /// Activations that think.
    pub thinking: u16,
    /// Handlers that run.
    pub handlers: u16,
    pub alive: bool,
    pub down: bool,
    pub paused: bool,
    /// The program itself.
    pub main: Activation,
    /// Calls, operations and asks made.
    pub calls: u32,
    /// The first of its branches and handlers, in the order of their beginnings.
    pub first_extra: u32,
}

/// What is rarely asked of an agent.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Biography {
    /// Its number in its group, over all who ever were there.
    pub ordinal: u32,
    /// Program runs begun.
    pub runs: u32,
}

// An agent is touched at random among a million: what it takes is a promise.
const _: () = assert!(size_of::<Agent>() == 128);
const _: () = assert!(std::mem::offset_of!(Agent, main) + std::mem::offset_of!(Activation, state) < 64);

/// A message that waits in a mailbox.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Letter {
    pub message: Message,
    pub next: u32,
}

/// Something that came while an agent stood still.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) enum Deferred {
    Entry { kind: u16, body: u64, at: SimTime },
    Message { message: Message, at: SimTime },
}

/// A group of agents as it runs.
#[derive(Debug, Clone, Serialize)]
pub struct AgentGroup {
    #[serde(skip)]
    pub(super) spec: Arc<GroupSpec>,
    pub(super) key: Key,
    pub(super) base: u32,
    pub(super) agents: Vec<Agent>,
    pub(super) biographies: Vec<Biography>,
    pub(super) extras: Vec<Extra>,
    pub(super) free_extras: Vec<u32>,
    pub(super) timers: Vec<Timer>,
    pub(super) extra_timers: Vec<Timer>,
    pub(super) registers: Vec<u32>,
    pub(super) extra_registers: Vec<u32>,
    /// The outermost frame of each agent's program run, in the order of the agents: found without a look at the agent.
    pub(super) outer_frames: Vec<Frame>,
    /// All other frames.
    pub(super) inner_frames: Vec<Frame>,
    pub(super) free_frames: Vec<u32>,
    pub(super) letters: Vec<Letter>,
    pub(super) free_letters: Vec<u32>,
    pub(super) joins: Slab<JoinState>,
    /// What each agent has seen of each key, where its program sends that along.
    pub(super) contexts: BTreeMap<(u32, u16, u32), Context>,
    /// What each agent remembers of each store, where sessions say so.
    pub(super) sessions: BTreeMap<(u32, u16), Remembered>,
    /// What each agent keeps of what it has read of each store.
    pub(super) caches: BTreeMap<(u32, u16), Cache>,
    /// Activations whose last read was answered by a cache.
    pub(super) acts_on_cache: BTreeSet<u32>,
    /// How many characters each agent has inserted into texts.
    pub(super) typed: BTreeMap<u32, u32>,
    /// The key that an agent's activation chose last.
    pub(super) chosen: BTreeMap<u32, u32>,
    /// How far each agent has come in each recorded session.
    pub(super) edits: BTreeMap<(u32, u32), Progress>,
    /// The compare-and-swaps under way, by activation.
    pub(super) swaps: BTreeMap<u32, SwapState>,
    /// The version of each key that an agent has read, where its program goes by it.
    pub(super) seen: BTreeMap<(u32, u16, u32), u64>,
    pub(super) goes_by_seen: bool,
    /// The locks that activations hold, the newest last.
    pub(super) holds: BTreeMap<u32, Vec<Hold>>,
    /// How many there have been.
    pub(super) holds_made: u32,
    /// The pushed messages that handlers are at.
    pub(super) in_hand: BTreeMap<u32, InHand>,
    /// What activations have polled and not handled yet.
    pub(super) polled: BTreeMap<u32, Polled>,
    /// What is remembered of handled messages, by whose it is and the channel.
    pub(super) handled: BTreeMap<(u32, u32), Handled>,
    /// What each agent knows of its log.
    pub(super) journals: BTreeMap<u32, Journal>,
    pub(super) deferred: BTreeMap<u32, (SimTime, Vec<Deferred>)>,
    /// How long each agent stood still in pauses that are over.
    pub(super) stood: BTreeMap<u32, SimDuration>,
    /// Activations whose branches are being started.
    pub(super) launching: Vec<u32>,
    /// When what is handled now became possible, if the agent stood still since.
    pub(super) enabled_at: Option<SimTime>,
    pub(super) uses_timers: bool,
    /// Whether running the program is a task: an empty one isn't.
    has_tasks: bool,
    /// Whether a step takes the key that the step before it chose.
    pub(super) reuses_keys: bool,
    /// For each store, whether updates carry a context.
    pub(super) carries_contexts: Vec<bool>,
    /// Activations that ask for more of a budget, or have done so for the call that comes.
    pub(super) approvals: BTreeMap<u32, Approval>,
    /// What each agent has said and been told in the conversation of its run.
    pub(super) conversations: BTreeMap<u32, Conversation>,
    /// How much the last read showed of each activation that goes by it.
    pub(super) amounts: BTreeMap<u32, i64>,
    /// What the agents draw under that run the same model as these.
    pub(super) model: Key,
    /// What clients know of services, by whose it is, the policy and the service.
    pub(super) known: AllKnown,
    /// When activations are to give up what they call: that has come with the ask that they handle.
    pub(super) deadlines: BTreeMap<u32, SimTime>,
    /// Whether any call of the program is more than timeouts and retries.
    pub(super) pursues: bool,
    /// Whether anything in the program makes its agents remember something.
    pub(super) remembers: bool,
    /// Whether an agent is crashing at this very moment: it tells nobody what it gives up.
    pub(super) crashing: bool,
    free_slots: Vec<u32>,
    arrived: u32,
    /// The stream itself, which schedules arrivals: the last id of the group.
    source: Endpoint,
    #[serde(skip)]
    ranks: RankBlock,
}

impl AgentGroup {
    /// Says what its agents share with all others that run the same model.
    pub fn run_model(&mut self, model: Key) {
        self.model = model;
    }

    /// A group whose members have ids from `base` on and draw under `key`; `source` is the entity that schedules a stream.
    ///
    /// Agents that err run a model of their own, unless [`AgentGroup::run_model`] says otherwise.
    pub fn new(spec: Arc<GroupSpec>, key: Key, base: u32, ranks: RankBlock, source: Endpoint) -> Self {
        let is_timed = |policy: &Policy| policy.timeout.is_some() || policy.resilience.is_some();
        let uses_timers = spec.program.has_timeouts || spec.policies.iter().any(is_timed);
        let asks = |then: &Then| matches!(then, Then::Ask(request) if request.timeout.is_some());
        let uses_timers = uses_timers || spec.budgets.iter().any(|budget| asks(&budget.then));
        let pursues = spec.policies.iter().any(|policy| policy.resilience.is_some())
            || spec.program.calls.iter().any(CallStep::is_routed);
        let program = &spec.program;
        let aims = program.calls.iter().any(|call| call.aim.is_some());
        // An ask that is taken up brings its deadline.
        let takes_asks = !program.handlers.is_empty() || !program.waits.is_empty();
        let remembers = pursues
            || aims
            || takes_asks
            || !program.operations.is_empty()
            || !program.replays.is_empty()
            || spec.journal.is_some();
        let operations = &spec.program.operations;
        let carries = |store: usize| {
            operations
                .iter()
                .any(|step| step.carries_context && step.store as usize == store)
        };
        let mut group = Self {
            reuses_keys: operations.iter().any(|step| step.keys.same),
            carries_contexts: (0..spec.stores.len()).map(carries).collect(),
            amounts: BTreeMap::new(),
            model: key,
            approvals: BTreeMap::new(),
            conversations: BTreeMap::new(),
            key,
            base,
            agents: Vec::new(),
            biographies: Vec::new(),
            extras: Vec::new(),
            free_extras: Vec::new(),
            timers: Vec::new(),
            extra_timers: Vec::new(),
            registers: Vec::new(),
            extra_registers: Vec::new(),
            outer_frames: Vec::new(),
            inner_frames: Vec::new(),
            free_frames: Vec::new(),
            letters: Vec::new(),
            free_letters: Vec::new(),
            joins: Slab::default(),
            contexts: BTreeMap::new(),
            sessions: BTreeMap::new(),
            caches: BTreeMap::new(),
            acts_on_cache: BTreeSet::new(),
            typed: BTreeMap::new(),
            chosen: BTreeMap::new(),
            edits: BTreeMap::new(),
            swaps: BTreeMap::new(),
            seen: BTreeMap::new(),
            goes_by_seen: operations
                .iter()
                .any(|step| matches!(step.swap, Some(Swap::ReadUnlessSeen { .. }))),
            holds: BTreeMap::new(),
            holds_made: 0,
            in_hand: BTreeMap::new(),
            polled: BTreeMap::new(),
            handled: BTreeMap::new(),
            journals: BTreeMap::new(),
            deferred: BTreeMap::new(),
            stood: BTreeMap::new(),
            launching: Vec::new(),
            enabled_at: None,
            uses_timers,
            known: AllKnown::new(),
            deadlines: BTreeMap::new(),
            pursues,
            remembers,
            crashing: false,
            has_tasks: spec.program.has_steps(),
            free_slots: Vec::new(),
            arrived: 0,
            source,
            ranks,
            spec,
        };
        if !group.spec.is_stream {
            let count = group.spec.count.unwrap_or(0);
            group.agents.reserve_exact(count as usize);
            group.biographies.reserve_exact(count as usize);
            group.outer_frames.reserve_exact(count as usize);
            in_large_pages(&mut group.agents);
            in_large_pages(&mut group.biographies);
            in_large_pages(&mut group.outer_frames);
            for ordinal in 0..count {
                group.add_agent(ordinal);
            }
        }
        group
    }

    /// Makes the agent of this ordinal in a new place.
    fn add_agent(&mut self, ordinal: u32) -> u32 {
        let member = self.agents.len() as u32;
        let endpoint = Endpoint {
            id: self.base + member,
            site: self.site(member),
            key: self.key.member(ordinal as u64),
            origin: Origin::new(self.ranks.of(member)),
            sent: 0,
        };
        self.agents.push(Agent {
            endpoint,
            calls: 0,
            first_extra: NIL,
            sender: NIL,
            first_letter: NIL,
            last_letter: NIL,
            letters: 0,
            thinking: 0,
            handlers: 0,
            alive: false,
            down: false,
            paused: false,
            main: Activation::IDLE,
        });
        self.biographies.push(Biography { ordinal, runs: 0 });
        self.outer_frames.push(Frame::EMPTY);
        if self.uses_timers {
            self.timers.push(Timer::IDLE);
        }
        self.registers
            .extend(std::iter::repeat_n(0, self.spec.program.registers as usize));
        member
    }

    fn site(&self, member: u32) -> SiteId {
        self.spec.sites.of(member)
    }

    /// When arrival number `n` comes, after the one before it.
    fn arrival_after(&self, last: SimTime, n: u32) -> Option<SimTime> {
        if self.spec.count.is_some_and(|count| n >= count) {
            return None;
        }
        match &self.spec.arrivals {
            Arrivals::Gaps { from, gap } => {
                let mut stream = self.key.stream(purpose::ARRIVAL, n as u64);
                let from = if n == 0 { *from } else { last };
                Some(from.saturating_add(gap.sample_duration(&mut stream, n as u64)))
            }
            Arrivals::Rates(demand) => {
                let gap = UNIT_GAP.sample(&mut self.key.stream(purpose::ARRIVAL, n as u64), n as u64);
                demand.next((n > 0).then_some(last), gap)
            }
            Arrivals::Times(times) => times.get(n as usize).copied(),
            Arrivals::AtOnce(at) => Some(*at),
            Arrivals::Spread { from, over } => {
                let nanos = u128::from(over.as_nanos()) * u128::from(n) / u128::from(self.spec.count.unwrap_or(1));
                Some(*from + SimDuration::from_nanos(nanos as u64))
            }
            Arrivals::Ticks { first, every, times } => {
                let within = times.is_none_or(|times| n < times);
                within.then(|| first.saturating_add(SimDuration::from_nanos(every.as_nanos().saturating_mul(n as u64))))
            }
        }
    }

    fn stagger(&self, member: u32, run: u32) -> SimDuration {
        let Some(law) = &self.spec.stagger else {
            return SimDuration::ZERO;
        };
        let key = self.agents[member as usize].endpoint.key;
        let number = (run as u64) << 32 | member as u64;
        law.sample_duration(&mut key.stream(purpose::PLACEMENT, run as u64), number)
    }

    /// The next agent of the stream is there.
    fn arrive(&mut self, cx: &mut Cx<'_, '_>) {
        let ordinal = self.arrived;
        self.arrived += 1;
        if let Some(at) = self.arrival_after(cx.now(), self.arrived) {
            cx.schedule(&mut self.source, at, ARRIVAL, 0);
            self.run_comes(cx);
        }
        let member = match self.free_slots.pop() {
            Some(member) => {
                let (site, key) = (self.site(member), self.key.member(ordinal as u64));
                let agent = &mut self.agents[member as usize];
                agent.endpoint = Endpoint {
                    site,
                    key,
                    sent: agent.endpoint.sent,
                    ..agent.endpoint
                };
                self.biographies[member as usize] = Biography { ordinal, runs: 0 };
                member
            }
            None => {
                let most = self.spec.max_alive;
                if self.agents.len() as u32 >= most {
                    let name = &self.spec.name;
                    let message = format!(
                        "an agent of the stream '{name}' arrives while {most} of them {} alive, as many as `max_alive` allows: \
                         they arrive faster than they finish",
                        if most == 1 { "is" } else { "are" },
                    );
                    let place = format!("agents.{name}");
                    return cx.halt(self.source.id, message, place);
                }
                self.add_agent(ordinal)
            }
        };
        self.begin_or_put_off(member, cx);
    }

    /// An agent of a fixed group starts, or its tick has come.
    fn tick(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let spec = Arc::clone(&self.spec);
        if let Arrivals::Ticks { every, times, first } = &spec.arrivals {
            let index = (cx.now().since(*first).as_nanos() / every.as_nanos().max(1)) as u32 + 1;
            if times.is_none_or(|times| index < times) {
                let at = first.saturating_add(SimDuration::from_nanos(every.as_nanos().saturating_mul(index as u64)));
                let at = at.saturating_add(self.stagger(member, index)).max(cx.now());
                let agent = &mut self.agents[member as usize];
                cx.schedule(&mut agent.endpoint, at, kind::START, 0);
                self.run_comes(cx);
            }
            let agent = &self.agents[member as usize];
            if agent.main.state == State::Idle && !agent.down && !agent.paused {
                self.begin_run(member, cx);
            }
        } else {
            self.begin_or_put_off(member, cx);
        }
    }

    /// A run of the program begins.
    #[inline(always)]
    pub(super) fn begin_run(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let agent = &mut self.agents[member as usize];
        let biography = &mut self.biographies[member as usize];
        if !agent.alive {
            agent.alive = true;
            cx.record(What::AgentStarted, agent.endpoint.id, [biography.ordinal as u64, 0, 0]);
        }
        if !self.has_tasks {
            // The agent is there for its handlers, if it has any.
            return self.end_run(member, cx);
        }
        let run = biography.runs;
        biography.runs += 1;
        agent.main.pc = 0;
        agent.main.steps = 0;
        agent.main.path = run as u64;
        agent.main.failed = false;
        // An ask that the run before took up and didn't answer is forgotten with it.
        agent.main.answers = Handle::NONE;
        if !self.deadlines.is_empty() {
            self.deadlines.remove(&member);
        }
        let agent = &mut self.agents[member as usize];
        agent.main.mark = cx.now();
        let exit = self.end_of_program(0);
        let identity = (self.biographies[member as usize].ordinal as u64) << 32 | run as u64;
        self.push_frame(member, exit, Some(identity), 0, cx);
        cx.task_began();
        self.run(member, cx);
    }

    /// A run of the program is going to begin: a run of the world that waits for all tasks waits for it.
    pub(super) fn run_comes(&self, cx: &mut Cx<'_, '_>) {
        if self.has_tasks {
            cx.task_began();
        }
    }

    /// What was going to begin has begun, and counts for itself.
    pub(super) fn run_came(&self, cx: &mut Cx<'_, '_>) {
        if self.has_tasks {
            cx.task_over();
        }
    }

    /// The place of the instruction that ends the program that starts at `from`.
    pub(super) fn end_of_program(&self, from: u32) -> u32 {
        let handlers = self.spec.program.handlers.iter().map(|(_, at)| *at);
        let next = handlers
            .filter(|at| *at > from)
            .min()
            .unwrap_or(self.spec.program.code.len() as u32);
        next - 1
    }

    /// The program of an agent has ended: it's ready for the next tick, or gone.
    #[inline(always)]
    pub(super) fn end_run(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let agent = &mut self.agents[member as usize];
        agent.main.state = State::Idle;
        agent.main.failed = false;
        agent.main.generation = agent.main.generation.wrapping_add(1);
        let ticks = matches!(self.spec.arrivals, Arrivals::Ticks { .. }) && !self.spec.is_stream;
        if ticks || !self.spec.program.handlers.is_empty() {
            self.start_handlers(member, cx);
            return;
        }
        agent.alive = false;
        cx.record(What::AgentEnded, agent.endpoint.id, [0; 3]);
        self.empty_mailbox(member, cx);
        if self.spec.is_stream {
            self.forget_memory(member);
            self.free_slots.push(member);
        }
    }

    /// An activation by its number.
    #[inline]
    pub(super) fn activation(&mut self, id: u32) -> &mut Activation {
        if id & EXTRA == 0 {
            &mut self.agents[id as usize].main
        } else {
            &mut self.extras[(id & !EXTRA) as usize].activation
        }
    }

    #[inline]
    pub(super) fn peek(&self, id: u32) -> Option<&Activation> {
        if id & EXTRA == 0 {
            self.agents.get(id as usize).map(|agent| &agent.main)
        } else {
            self.extras.get((id & !EXTRA) as usize).map(|extra| &extra.activation)
        }
    }

    /// The agent of an activation.
    #[inline]
    pub(super) fn member_of(&self, id: u32) -> u32 {
        if id & EXTRA == 0 {
            id
        } else {
            self.extras[(id & !EXTRA) as usize].member
        }
    }

    /// The activation that forked this one, if one did.
    #[inline]
    pub(super) fn parent_of(&self, id: u32) -> u32 {
        if id & EXTRA == 0 {
            NIL
        } else {
            self.extras[(id & !EXTRA) as usize].parent
        }
    }

    pub(super) fn timer(&self, id: u32) -> Option<&Timer> {
        if id & EXTRA == 0 {
            self.timers.get(id as usize)
        } else {
            self.extra_timers.get((id & !EXTRA) as usize)
        }
    }

    pub(super) fn timer_mut(&mut self, id: u32) -> &mut Timer {
        if id & EXTRA == 0 {
            &mut self.timers[id as usize]
        } else {
            &mut self.extra_timers[(id & !EXTRA) as usize]
        }
    }

    /// Arms an activation's timeout. One queued entry serves however often this happens.
    pub(super) fn arm(&mut self, id: u32, deadline: SimTime, cx: &mut Cx<'_, '_>) {
        let member = self.member_of(id);
        let endpoint = &mut self.agents[member as usize].endpoint;
        let (ticket, target) = (endpoint.origin.take(), endpoint.id);
        let timer = self.timer_mut(id);
        timer.deadline = deadline;
        timer.ticket = ticket;
        if deadline < timer.queued {
            timer.generation = timer.generation.wrapping_add(1);
            timer.queued = deadline;
            let body = (timer.generation as u64) << 32 | id as u64;
            cx.schedule_in_place(ticket, deadline, TIMEOUT, target, body);
        }
    }

    /// The timeout isn't needed any more; its queued entry stays.
    #[inline]
    pub(super) fn disarm(&mut self, id: u32) {
        if self.uses_timers {
            self.timer_mut(id).deadline = SimTime::NEVER;
        }
    }

    /// Puts an activation to sleep until `at`.
    pub(super) fn wake_at(&mut self, id: u32, at: SimTime, cx: &mut Cx<'_, '_>) {
        let activation = self.activation(id);
        activation.generation = activation.generation.wrapping_add(1);
        activation.due = at;
        let body = (activation.generation as u64) << 32 | id as u64;
        let member = self.member_of(id);
        cx.schedule(&mut self.agents[member as usize].endpoint, at, WAKE, body);
    }

    pub(super) fn act(&mut self, kind: u16, body: u64, cx: &mut Cx<'_, '_>) {
        let id = body as u32;
        match kind {
            WAKE => self.wake(id, cx),
            TIMEOUT => self.timed_out(id, cx),
            RENEW => self.renew(body, cx),
            _ => {}
        }
    }
}

impl Population for AgentGroup {
    fn start(&mut self, starter: &mut Starter<'_, '_>) {
        let spec = Arc::clone(&self.spec);
        if spec.is_stream {
            if let Some(at) = self.arrival_after(SimTime::ZERO, 0) {
                let id = self.source.id;
                starter.schedule(&mut self.source.origin, at, ARRIVAL, id, 0);
                if self.has_tasks {
                    starter.expect_task();
                }
            }
            return;
        }
        let mut at = SimTime::ZERO;
        for member in 0..self.agents.len() as u32 {
            at = match &spec.arrivals {
                Arrivals::AtOnce(at) => *at,
                Arrivals::Ticks { first, .. } => *first,
                Arrivals::Spread { from, over } => {
                    let nanos = u128::from(over.as_nanos()) * u128::from(member) / self.agents.len() as u128;
                    *from + SimDuration::from_nanos(nanos as u64)
                }
                Arrivals::Gaps { .. } | Arrivals::Rates(_) => match self.arrival_after(at, member) {
                    Some(at) => at,
                    None => break,
                },
                Arrivals::Times(times) => match times.get(member as usize) {
                    Some(at) => *at,
                    None => break,
                },
            };
            let start = at.saturating_add(self.stagger(member, 0));
            let agent = &mut self.agents[member as usize];
            starter.schedule(&mut agent.endpoint.origin, start, kind::START, agent.endpoint.id, 0);
            if self.has_tasks {
                starter.expect_task();
            }
        }
    }

    fn handle(&mut self, member: u32, entry: &Entry<u64>, cx: &mut Cx<'_, '_>) {
        match entry.kind {
            // What is scheduled to begin counts as unfinished, so that a run isn't over before everybody has begun.
            kind::START => {
                self.tick(member, cx);
                self.run_came(cx);
            }
            ARRIVAL => {
                self.arrive(cx);
                self.run_came(cx);
            }
            kind => {
                let member = self.member_of(entry.body as u32);
                let paused = self.agents[member as usize].paused;
                if kind == TIMEOUT {
                    let timer = self.timer_mut(entry.body as u32);
                    timer.queued = SimTime::NEVER;
                    // A timeout that is put off stays armed, so that an answer that is handled before it still disarms it.
                    if !paused {
                        timer.deadline = SimTime::NEVER;
                    }
                }
                if paused {
                    let deferred = Deferred::Entry {
                        kind,
                        body: entry.body,
                        at: entry.time,
                    };
                    return self.defer(member, deferred);
                }
                self.act(kind, entry.body, cx);
            }
        }
    }

    fn receive(&mut self, member: u32, message: &Message, cx: &mut Cx<'_, '_>) {
        if self.agents[member as usize].paused {
            self.ask_arrived(member, message, cx);
            return self.defer(
                member,
                Deferred::Message {
                    message: *message,
                    at: cx.now(),
                },
            );
        }
        match message.kind {
            MessageKind::Response => self.answered(message.handle, cx),
            MessageKind::Answer => self.ask_answered(message, cx),
            MessageKind::Plain | MessageKind::Ask => self.letter(member, message, cx),
            // Its replica tells it again when it has read again.
            MessageKind::Peer if !self.agents[member as usize].down => {
                if !self.invited(member, message, cx) {
                    self.invalidated(member, message, cx);
                }
            }
            MessageKind::Request | MessageKind::Peer | MessageKind::Cancel => {}
        }
    }

    fn digest(&self, member: u32, entry: &Entry<u64>, words: &mut Words) -> Liveness {
        let id = entry.body as u32;
        match entry.kind {
            WAKE if self
                .peek(id)
                .is_none_or(|activation| activation.generation != (entry.body >> 32) as u32) =>
            {
                return Liveness::Stale;
            }
            RENEW if self.renewal_of(entry.body).is_none() => return Liveness::Stale,
            TIMEOUT => {
                let generation = (entry.body >> 32) as u32;
                let meant = self.timer(id).is_some_and(|timer| {
                    let here = (timer.ticket.rank, timer.ticket.number) == (entry.origin, entry.number);
                    timer.generation == generation && timer.deadline == entry.time && here
                });
                if !meant {
                    return Liveness::Stale;
                }
            }
            _ => {}
        }
        // Places of extra activations are reused in the order of events, which is no content: the step that waits is.
        let pc = self
            .peek(id)
            .filter(|_| entry.kind == WAKE || entry.kind == TIMEOUT)
            .map_or(0, |activation| activation.pc);
        words.push((member as u64) << 32 | pc as u64);
        Liveness::Live
    }

    fn describe(&self, _member: u32, entry: &Entry<u64>) -> String {
        let name = &self.spec.name;
        let activation = self.peek(entry.body as u32);
        let place = activation.map_or("", |activation| &self.spec.program.places[activation.pc as usize]);
        match (entry.kind, activation.map(|activation| activation.state)) {
            (kind::START, _) => format!("start (agents.{name}.start)"),
            (ARRIVAL, _) => format!("arrival (agents.{name}.start)"),
            (RENEW, _) => format!("renewal of a lock ({place})"),
            (TIMEOUT, _) => format!("timeout ({place})"),
            (_, Some(State::Thinking)) => format!("end of a think ({place})"),
            (_, Some(State::Replaying)) => format!("end of a replay (agents.{name}.journal)"),
            (_, Some(State::Sleeping)) => format!("end of a sleep ({place})"),
            _ => format!("end of a backoff ({place})"),
        }
    }

    fn place_of(&self, call: &Call) -> Option<String> {
        if matches!(call.request, Request::Journal(_)) {
            return Some(format!("agents.{}.journal", self.spec.name));
        }
        let at = |instruction: &Instruction| match *instruction {
            Instruction::Call(index) | Instruction::PaidCall(index) => call.spec == index,
            Instruction::Operate(index) => call.spec == index | OPERATION,
            Instruction::Acquire(index) => call.spec == index | LOCK,
            Instruction::Publish(index) => call.spec == index | PUBLISH,
            Instruction::Poll(index) => call.spec == index | POLL,
            _ => false,
        };
        let pc = self.spec.program.code.iter().position(at)?;
        Some(self.spec.program.places[pc].clone())
    }

    fn skip(&mut self, _member: u32, entry: &Entry<u64>, cx: &mut Cx<'_, '_>) {
        if entry.kind != TIMEOUT {
            return;
        }
        let id = entry.body as u32;
        let timer = self.timer_mut(id);
        if timer.generation != (entry.body >> 32) as u32 {
            return;
        }
        timer.queued = timer.deadline;
        if timer.deadline != SimTime::NEVER {
            let (ticket, deadline) = (timer.ticket, timer.deadline);
            cx.schedule_in_place(ticket, deadline, TIMEOUT, entry.target, entry.body);
        }
    }

    fn touch(&self, member: u32, entry: &Entry<u64>) {
        let Some(agent) = self.agents.get(member as usize) else {
            return;
        };
        prefetch(agent);
        prefetch(&agent.main.mark);
        if (entry.kind != kind::DELIVER || self.spec.program.handlers.is_empty())
            && let Some(frame) = self.outer_frames.get(member as usize)
        {
            prefetch(frame);
        }
    }

    fn finish(&mut self, cx: &mut Cx<'_, '_>) {
        self.say_who_waits(cx);
    }

    fn disturb(&mut self, member: u32, disturbance: Disturbance, cx: &mut Cx<'_, '_>) {
        if member as usize >= self.agents.len() {
            return;
        }
        match disturbance {
            Disturbance::Crash { keep_state } => self.crash(member, keep_state, cx),
            Disturbance::Restart => self.restart(member, cx),
            Disturbance::Pause => {
                let agent = &mut self.agents[member as usize];
                if !agent.paused && !agent.down {
                    agent.paused = true;
                    self.deferred.insert(member, (cx.now(), Vec::new()));
                    cx.record(What::Paused, self.base + member, [0; 3]);
                }
            }
            Disturbance::Resume => self.resume(member, cx),
            Disturbance::ClockStep(_) | Disturbance::Slow(_) => {}
        }
    }
}
