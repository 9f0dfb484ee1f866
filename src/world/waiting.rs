//! How somebody waits for somebody when a run ends: the word `a` of [`What::Waits`](super::record::What::Waits).

/// An agent waits for the answer to a call. Word c: the call's identity.
pub const CALL: u64 = 0;
/// An agent waits for the answer of another agent.
pub const ANSWER: u64 = 1;
/// An agent waits for a message, from whomever.
pub const MESSAGE: u64 = 2;
/// An agent is held up by no one: something that it does ends by itself.
pub const GOES_ON: u64 = 3;
/// A lock is held, by the call whose identity is word c.
pub const HELD: u64 = 4;
/// A member of a coordination group waits for an agent.
pub const ENGAGED: u64 = 5;
/// Something is on its way to the subject.
pub const UNDER_WAY: u64 = 6;

/// The bit of those who wait no longer than they wait by themselves: they have a time limit, or their answer is on its way.
pub const ENDS: u64 = 1 << 8;
/// The bits that say how.
pub const KIND: u64 = ENDS - 1;
/// The bit of handlers, where no other one can begin beside those that run.
pub const HANDLER: u64 = 1 << 9;
