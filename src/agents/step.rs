//! A program as written: steps, with names resolved to numbers and quantities to laws in nanoseconds.

use crate::random::Law;
use crate::services::Routing;
use crate::state::Op;

/// One step of a program.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Local work: the agent is busy, and starts no handler meanwhile.
    Think(Law),
    /// The agent waits, and may handle messages meanwhile.
    Sleep(Law),
    /// A call to a service.
    Call(CallStep),
    /// An operation on shared state.
    Operate(OperateStep),
    /// A message, with no answer expected.
    Send(SendStep),
    /// A message, and the wait for its answer.
    Ask {
        /// What is sent, and to whom: one peer.
        send: SendStep,
        /// How long the answer may take; `None`: for ever.
        timeout: Option<crate::kernel::SimDuration>,
        /// Whether what its handler calls is given up at that time.
        propagates: bool,
    },
    /// Answers the ask that this handler was started by. Without one, nothing happens.
    Reply {
        /// The answer's size.
        bytes: u32,
    },
    /// Waits for a message of a topic, or any; a timeout goes on without one.
    Wait {
        /// Which topic; `None`: any that has no handler.
        topic: Option<u16>,
        /// How many of them.
        count: u32,
        /// How long at most.
        timeout: Option<crate::kernel::SimDuration>,
    },
    /// Steps so many times.
    Repeat {
        /// How often: a law, rounded to a whole number; `None`: for ever.
        times: Option<Law>,
        /// What.
        steps: Vec<Step>,
    },
    /// Takes a recorded run, and performs its rows in their order.
    EachRow(super::rows::EachRow),
    /// Goes by another column of the row that is performed.
    Match(super::rows::Dispatch),
    /// Branches at once; goes on when all are done.
    Parallel(Vec<Vec<Step>>),
    /// One of these, with probabilities in proportion to the weights.
    Choose(Vec<(f64, Vec<Step>)>),
    /// One list of steps or the other, by how much the read before showed.
    When {
        /// The least amount for the first.
        at_least: i64,
        /// What is done if it's as much.
        steps: Vec<Step>,
        /// What is done if it's less.
        otherwise: Vec<Step>,
    },
    /// Starts the guess while its basis is still under way. When the basis is done the guess proves right, and is waited for,
    /// or wrong: then it's thrown away, and done again.
    Speculate {
        /// What the guess depends on.
        basis: Vec<Step>,
        /// What is done on a guess.
        guess: Vec<Step>,
        /// The probability that the guess is right.
        right: f64,
    },
    /// A task within the program, measured under its own name.
    Task {
        /// Its name's number.
        name: u16,
        /// What it consists of.
        steps: Vec<Step>,
    },
    /// Steps that run while the agent holds a lock.
    WithLock {
        /// The lock.
        lock: LockStep,
        /// What is done meanwhile.
        steps: Vec<Step>,
    },
    /// Takes the part of an author in a recorded editing session.
    Edit(super::edits::EditStep),
    /// Publishes to a channel.
    Publish(PublishStep),
    /// Polls a channel, and handles each message that it gets.
    Poll {
        /// What is asked for.
        poll: PollStep,
        /// What is done with each message; then it is acknowledged.
        each: Vec<Step>,
    },
    /// Ends the activation here.
    Stop,
}

/// A lock that steps need.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LockStep {
    /// The lock service's entity.
    pub server: u32,
    /// The number of the policy by which it is asked for.
    pub policy: u16,
    /// How often the lease is renewed; `None`: it isn't.
    pub renew: Option<crate::kernel::SimDuration>,
    /// Whether updates carry the token.
    pub fencing: bool,
    /// Where the lock is given back in the compiled program.
    pub release: u32,
}

/// A publication.
#[derive(Debug, Clone, PartialEq)]
pub struct PublishStep {
    /// The channel's entity.
    pub channel: u32,
    /// The number of the policy.
    pub policy: u16,
    /// Its size.
    pub bytes: u32,
    /// What it is about.
    pub about: KeyOf,
    /// Whether its publisher waits until the broker has it.
    pub acknowledged: bool,
}

/// What a publication is about: publications about the same stay in their order in a log.
#[derive(Debug, Clone, PartialEq)]
pub enum KeyOf {
    /// Nothing.
    Nothing,
    /// Its publisher: its number in its group.
    Publisher,
    /// A number, by a law, rounded down.
    Law(Law),
}

/// A poll of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PollStep {
    /// The channel's entity.
    pub channel: u32,
    /// The number of the policy.
    pub policy: u16,
    /// How many messages at most.
    pub most: u32,
    /// How long the broker waits for the first.
    pub wait: crate::kernel::SimDuration,
}

/// A call to a service.
#[derive(Debug, Clone, PartialEq)]
pub struct CallStep {
    /// The service's entity.
    pub server: u32,
    /// Whom the first attempt goes to instead, where that depends on the agent.
    pub whom: Whom,
    /// The number of the policy.
    pub policy: u16,
    /// The request's size.
    pub bytes: u32,
    /// Tokens of the prompt and of the answer, where the call states them.
    pub tokens: Option<(CallTokens, CallTokens)>,
    /// How urgent it is, where the service goes by that.
    pub priority: u32,
    /// What it says of its prompt and its answer beyond how long they are.
    pub prompt: PromptStep,
    /// What it asks about, for services that keep answers: equal numbers are equal questions.
    pub about: Option<Law>,
    /// Where else it may go. Most calls name one service.
    pub aim: Option<Box<Aim>>,
    /// Whether the program goes by how much is answered: for coordination groups.
    pub counts: bool,
}

impl CallStep {
    /// Whether its client chooses the server of its first attempt among several, by what it knows of them.
    pub fn is_routed(&self) -> bool {
        self.aim.is_some() && self.whom == Whom::Named
    }
}

/// Whom the first attempt of a call goes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Whom {
    /// The server that the step names.
    Named,
    /// By the site of the agent.
    BySite(std::sync::Arc<[u32]>),
    /// The member beside the agent: so many behind the server that the step names, and as many as the agent is behind the first of its group.
    Beside(u32),
}

/// The services of a call that names several.
#[derive(Debug, Clone, PartialEq)]
pub struct Aim {
    /// Their entities, at least two, in the order of the step; the first is the step's `server`.
    pub servers: Box<[u32]>,
    /// Which of them an attempt goes to. A retry and a hedge go to one that the call hasn't tried, if there is one.
    pub routing: Routing,
}

/// What a call says of its prompt and its answer beyond how long they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PromptStep {
    /// How many tokens the answer has at most.
    pub max_out: Option<u32>,
    /// The prefix that the prompt shares with others: its name, hashed, and its tokens.
    pub shared: Option<(u64, u32)>,
    /// Whether it is the next turn of the agent's conversation, whose turns before it begins with.
    pub continues: bool,
}

/// How many tokens of one kind a call has.
#[derive(Debug, Clone, PartialEq)]
pub enum CallTokens {
    /// Drawn.
    Law(Law),
    /// As many as the row says whose number is the agent's, from the start again after the last: for agents that arrive at the times of
    /// a record.
    OfArrival(std::sync::Arc<[u32]>),
    /// As many as the row says that is performed.
    OfRow {
        /// Which register keeps the row: the compiler says it.
        register: u16,
        /// The number of each row, in the order of runs.
        of: std::sync::Arc<[u32]>,
    },
}

/// An operation on shared state.
#[derive(Debug, Clone, PartialEq)]
pub struct OperateStep {
    /// The store.
    pub store: u16,
    /// Which of its keys.
    pub keys: KeyChoice,
    /// What to do.
    pub action: Action,
    /// What the client has seen: whether an update carries the context of its last read or write of the key.
    pub carries_context: bool,
    /// Which replica is asked.
    pub replica: ReplicaChoice,
    /// The number of the policy.
    pub policy: u16,
    /// The request's size.
    pub bytes: u32,
    /// The part that it has in a compare-and-swap.
    pub swap: Option<Swap>,
    /// Whether a step behind it goes by how much it showed.
    pub counts: bool,
}

/// An operation's part in a compare-and-swap, which is several steps: the read, perhaps a look at how much it showed, a think, and
/// the conditional update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swap {
    /// It reads the version that the write is going to expect.
    Read,
    /// The same, unless its agent has read the key before: then the write, so many instructions ahead, expects what that read returned.
    ReadUnlessSeen {
        /// How many.
        ahead: u32,
    },
    /// It updates, if the key still has that version. If not, the read so many instructions before is done again after a backoff.
    Write {
        /// How many.
        back: u32,
    },
}

/// Which key an operation is about: keys are numbered densely in their store.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyChoice {
    /// The first of the keys that may be meant.
    pub first: u32,
    /// How many there are.
    pub count: u32,
    /// Which of them: a law over `0..count`, rounded down; `None`: uniform.
    pub law: Option<Law>,
    /// The key that the last step with the same mark chose, so that a read and the write after it are about one key.
    pub same: bool,
    /// The law is drawn once for the recorded run around it, and all operations of the run that have the same law mean the same.
    /// Where the run's place is kept the compiler says.
    pub of_run: Option<super::rows::RowPlace>,
}

/// What an operation does.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Reads the key.
    Read,
    /// Writes a value that no other write has.
    Write,
    /// Does just this.
    Fixed(Op),
    /// Inserts an element, drawn by the law.
    Insert(Law),
    /// Removes an element, drawn by the law.
    Remove(Law),
    /// Adds an amount, drawn by the law.
    Add(Law),
    /// Writes the register of a map's field, drawn by the law: a value that no other write has.
    Put(Law),
    /// Adds to the counter of a map's field.
    Increase {
        /// The field.
        field: Law,
        /// How much.
        by: Law,
    },
    /// Takes a field, drawn by the law, out of a map.
    Drop(Law),
    /// Inserts characters into a text.
    InsertText {
        /// The position.
        at: Law,
        /// How many.
        length: Law,
    },
    /// Deletes characters from a text.
    DeleteText {
        /// The position.
        at: Law,
        /// How many.
        length: Law,
    },
    /// Makes the next edit of a recorded session: that of this number in the program.
    Edit(u32),
}

/// Which replica of a store an operation goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicaChoice {
    /// The one in the agent's site, or the nearest.
    Nearest,
    /// Any, at random, anew each time.
    Random,
    /// This one.
    Fixed(u32),
}

/// A message to peers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SendStep {
    /// Who receives it.
    pub to: Peers,
    /// What it is about.
    pub topic: u16,
    /// Its size.
    pub bytes: u32,
}

/// Who receives a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peers {
    /// A member of a group at random, never the sender itself.
    Any {
        /// The entity of the first member.
        base: u32,
        /// How many members.
        count: u32,
    },
    /// Every member of a group but the sender.
    All {
        /// The entity of the first member.
        base: u32,
        /// How many members.
        count: u32,
    },
    /// The member with the sender's own number, modulo the size of the group.
    Same {
        /// The entity of the first member.
        base: u32,
        /// How many members.
        count: u32,
    },
    /// The member behind the sender, in a ring.
    Next {
        /// The entity of the first member.
        base: u32,
        /// How many members.
        count: u32,
    },
    /// This entity.
    One(u32),
    /// Whoever sent the message that is being handled, or was waited for last.
    Sender,
}
