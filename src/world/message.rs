//! Messages: what travels between entities, whatever floor they belong to.

use super::slab::Handle;
use crate::kernel::{SimTime, Words};
use serde::{Deserialize, Serialize};

/// The kind of a message: picks the network's latency law, and the branch of whoever receives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u8)]
pub enum MessageKind {
    /// From agent to agent, with no answer expected.
    Plain,
    /// From agent to agent, and the sender waits for the answer.
    Ask,
    /// The answer to an ask.
    Answer,
    /// A call's request. `handle`: the attempt.
    Request,
    /// A call's response. `handle`: the attempt.
    Response,
    /// Between replicas, or between the members of a protocol. `value`: the population's own handle.
    Peer,
    /// That nobody waits for an attempt any more. `value`: the call's identity; `handle`: the attempt's number, as a word; `topic`: 1 if
    /// the server that works on its twin says so.
    Cancel,
}

impl MessageKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Plain,
        Self::Ask,
        Self::Answer,
        Self::Request,
        Self::Response,
        Self::Peer,
        Self::Cancel,
    ];

    /// The kind's name in scenarios, records and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "message",
            Self::Ask => "ask",
            Self::Answer => "answer",
            Self::Request => "request",
            Self::Response => "response",
            Self::Peer => "peer",
            Self::Cancel => "cancel",
        }
    }
}

/// A message on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who sent it.
    pub from: u32,
    /// Who receives it.
    pub to: u32,
    /// What it is about: the sender's word for it.
    pub topic: u16,
    /// Its kind.
    pub kind: MessageKind,
    /// Its size on the wire.
    pub bytes: u32,
    /// The attempt or the ask that it belongs to.
    pub handle: Handle,
    /// A word of content.
    pub value: u64,
    /// The sender's number for it.
    pub number: u32,
    /// How many cuts had fallen when it left.
    pub epoch: u32,
    /// When it was sent.
    pub sent: SimTime,
    /// What it is about: the address of its draws, made one with the key that they are under. It depends on no other entity,
    /// and on nothing else that its sender does.
    pub about: u64,
}

// A message and its place in the slab are one cache line.
const _: () = assert!(size_of::<Message>() == 56);

impl Message {
    /// An ask under this handle.
    pub fn ask(topic: u16, bytes: u32, handle: Handle) -> Self {
        Self::new(MessageKind::Ask, 0, topic, bytes).with(handle)
    }

    /// A message of this kind; the world fills in what belongs to the journey.
    pub fn new(kind: MessageKind, to: u32, topic: u16, bytes: u32) -> Self {
        let (handle, value) = (Handle::NONE, 0);
        Self {
            from: 0,
            to,
            topic,
            kind,
            bytes,
            handle,
            value,
            number: 0,
            epoch: 0,
            sent: SimTime::ZERO,
            about: 0,
        }
    }

    /// Word that nobody waits for an attempt of a call any more, from its client or from the server of its twin.
    pub fn cancel(to: u32, by_twin: bool, identity: u64, number: u32) -> Self {
        // It says the identity of the call, and the number of the attempt.
        let bytes = 12;
        Self {
            value: identity,
            ..Self::new(MessageKind::Cancel, to, u16::from(by_twin), bytes).with(Handle::from_word(number.into()))
        }
    }

    /// The message with a handle.
    pub fn with(self, handle: Handle) -> Self {
        Self { handle, ..self }
    }

    /// Its identity: who sent it, and the sender's number.
    pub fn identity(&self) -> u64 {
        (self.from as u64) << 32 | self.number as u64
    }

    /// Its content, as the fingerprint covers it. Handles are no content, and the receiver is the entry's target.
    #[inline]
    pub fn digest(&self, words: &mut Words) {
        let what = (self.bytes as u64) << 32 | (self.topic as u64) << 8 | self.kind as u64;
        words.push_all([self.identity(), what, self.value, self.sent.as_nanos()]);
    }
}
