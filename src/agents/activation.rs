//! Activations: the threads of an agent. The main program, each parallel branch, each running handler.

use crate::kernel::{SimTime, Ticket};
use crate::world::call::Parts;
use crate::world::slab::Handle;
use serde::{Deserialize, Serialize};

/// No activation, no frame, no letter.
pub const NIL: u32 = u32::MAX;
/// The bit that tells an extra activation from an agent's inline one.
pub const EXTRA: u32 = 1 << 31;

/// What an activation is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum State {
    /// Nothing: it has no program to run now.
    Idle,
    /// It runs at this very instant.
    Running,
    /// Local work.
    Thinking,
    /// A sleep.
    Sleeping,
    /// A call or an operation is out.
    Calling,
    /// Waiting to try a call again.
    BackingOff,
    /// Folding the events of its log, after a crash that took its memory.
    Replaying,
    /// Waiting to read again, after a conditional write that came too late.
    SwapBackingOff,
    /// An ask is out.
    Asking,
    /// Waiting for messages.
    Waiting,
    /// Its branches run.
    Forked,
    /// Its basis and its guess run.
    Speculating,
    /// Its agent is down; it goes on with the same instruction.
    Halted,
    /// More of a budget is asked for.
    Approving,
}

/// How what an activation worked on or waited for was settled; the number in records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u64)]
pub enum Settled {
    /// It is done, answered, or there.
    Done,
    /// It failed, or its time was up.
    Failed,
    /// One of several messages came; the wait goes on.
    OneOfSeveral,
    /// It was thrown away, or its agent crashed.
    Lost,
    /// Its agent is back from a crash, and begins the step anew.
    Back,
}

/// A thread of an agent.
///
/// In the order of its use, and of 64 bytes: what is asked when a message comes stands first. See [`Extra`] for what only a
/// branch or a handler has.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[repr(C)]
pub struct Activation {
    /// The instruction that it's at.
    pub pc: u32,
    /// What it's doing.
    pub state: State,
    /// Whether it is a handler.
    pub is_handler: bool,
    /// Whether a step in it failed beyond repair.
    pub failed: bool,
    /// Raised whenever what it waited for is settled: entries of earlier ones are stale.
    pub generation: u32,
    /// The innermost frame of its account.
    pub frame: u32,
    /// Steps made since the program run began.
    pub steps: u32,
    /// Messages that a wait still needs.
    pub needs: u32,
    /// The seed of its step addresses: the path of branches that leads to it.
    pub path: u64,
    /// The call, the ask or the join that it waits for.
    pub handle: Handle,
    /// The ask that it's to answer.
    pub answers: Handle,
    /// Up to when its time is accounted for.
    pub mark: SimTime,
    /// When its current think, sleep or backoff ends.
    pub due: SimTime,
}

const _: () = assert!(size_of::<Activation>() == 64);

impl Activation {
    /// An activation that does nothing yet.
    pub const IDLE: Self = Self {
        pc: 0,
        state: State::Idle,
        is_handler: false,
        failed: false,
        generation: 0,
        frame: NIL,
        steps: 0,
        needs: 0,
        path: 0,
        handle: Handle::NONE,
        answers: Handle::NONE,
        mark: SimTime::ZERO,
        due: SimTime::ZERO,
    };
}

/// An activation beside an agent's own: a branch, or a handler.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Extra {
    /// The activation itself.
    pub activation: Activation,
    /// Its agent.
    pub member: u32,
    /// The activation that forked it; none for a handler.
    pub parent: u32,
    /// The next of the same agent, in the order of their beginnings.
    pub next: u32,
    /// Which branch of its parent it is.
    pub branch: u16,
}

/// A stretch of an activation whose time is accounted together: a task, a branch, a handler.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[repr(C, align(64))]
pub struct Frame {
    /// Where its time went.
    pub parts: Parts,
    /// The frame around it.
    pub outer: u32,
    /// Where it ends: the instruction to go to when a step in it fails.
    pub exit: u32,
    /// When it began.
    pub began: SimTime,
    /// The task's identity, if it is one.
    pub task: Option<u64>,
    /// The task's name.
    pub name: u16,
    /// Whether a step in it failed beyond its policy and the program went on.
    pub gave_up: bool,
}

impl Frame {
    /// A frame that isn't open.
    pub const EMPTY: Self = Self {
        outer: NIL,
        exit: 0,
        task: None,
        name: 0,
        gave_up: false,
        began: SimTime::ZERO,
        parts: Parts([0; 7]),
    };
}

/// An activation's timeout: one queued entry, however often it's armed anew.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Timer {
    /// When the timeout is due; never if it isn't armed.
    pub deadline: SimTime,
    /// When the queued entry comes; never if there's none.
    pub queued: SimTime,
    /// The place in the order of the timeout that is armed.
    pub ticket: Ticket,
    /// Which queued entry is the valid one.
    pub generation: u32,
}

impl Timer {
    /// A timer that isn't armed.
    pub const IDLE: Self = Self {
        deadline: SimTime::NEVER,
        queued: SimTime::NEVER,
        ticket: Ticket { rank: 0, number: 0 },
        generation: 0,
    };
}

/// The join of branches, or of a basis and its guess.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JoinState {
    /// Branches that are still under way, by activation; `NIL` where one has ended.
    pub branches: Vec<u32>,
    /// When the last branch ended, and which it was: the first by index of those that ended last.
    pub last: Option<(SimTime, u16)>,
    /// Where that branch's time went.
    pub parts: Parts,
    /// Whether a branch failed.
    pub failed: bool,
    /// Whether the first branch failed: a guess's basis.
    pub basis_failed: bool,
    /// For a guess: whether it has proved right.
    pub verdict: Option<bool>,
}

impl JoinState {
    /// A branch has ended.
    pub fn ended(&mut self, branch: u16, now: SimTime, parts: &Parts, failed: bool) {
        self.branches[branch as usize] = NIL;
        self.failed |= failed;
        self.basis_failed |= failed && branch == 0;
        let later = self
            .last
            .is_none_or(|(at, index)| now > at || (now == at && branch < index));
        if later {
            self.last = Some((now, branch));
            self.parts = *parts;
        }
    }

    /// Whether all have ended.
    pub fn is_complete(&self) -> bool {
        self.branches.iter().all(|branch| *branch == NIL)
    }
}

/// How a task ended; the number in records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u8)]
pub enum TaskEnd {
    /// All of its steps were done.
    Done,
    /// A step failed beyond its policy.
    Failed,
    /// The agent crashed and lost its state.
    Aborted,
    /// Its agent's budget was spent.
    Stopped,
}
