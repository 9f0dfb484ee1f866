//! What the messages between members weigh.

use super::{Command, Image};
use crate::coordination::raft::{Body, Entry, Members, Message, Payload, Snapshot};
use crate::state::{Op, Resolution, wire};

/// A kind of message, its sender, its receiver and the term.
const HEAD: u64 = 1 + 4 + 4 + TERM;
const TERM: u64 = 8;
const INDEX: u64 = 8;
const ROUND: u64 = 8;
const FLAG: u64 = 1;
/// The name of a proposal.
const NAME: u64 = 16;
const KEY: u64 = wire::COUNT;
const MEMBER: u64 = 4;
/// A key's version.
const VERSION: u64 = 8;

/// The name of a group, where there are several.
const SHARD: u64 = 4;

/// The bytes of a message, which names its group or not, where a value weighs so many.
pub(super) fn of_message<R: Resolution>(
    model: &R,
    message: &Message<Command, Image<R>>,
    names_shard: bool,
    value: u64,
) -> u64 {
    let head = HEAD + if names_shard { SHARD } else { 0 };
    head + match &message.body {
        Body::PreVote { .. } | Body::Vote { .. } => INDEX + TERM + FLAG,
        Body::PreVoted { .. } | Body::Voted { .. } => FLAG,
        Body::Append { entries, .. } => {
            let entries = entries.iter().map(|entry| of_entry(entry, value));
            ROUND + 2 * INDEX + TERM + wire::COUNT + entries.sum::<u64>()
        }
        Body::Appended { .. } | Body::Heartbeat { .. } => ROUND + INDEX,
        Body::Conflict { .. } => ROUND + 2 * INDEX + FLAG + TERM,
        Body::Heard { .. } => ROUND,
        Body::Commit { .. } => INDEX + TERM,
        Body::Install { snapshot, .. } => ROUND + of_snapshot(model, snapshot, value),
        Body::TimeoutNow => 0,
        Body::Propose { command, .. } => NAME + of_command(command, value),
        Body::Ask { .. } => 8,
        Body::Told { .. } => 8 + INDEX,
        Body::Join { replaces } => wire::COUNT + MEMBER * replaces.len() as u64,
    }
}

fn of_entry(entry: &Entry<Command>, value: u64) -> u64 {
    TERM + FLAG
        + match &entry.payload {
            Payload::Nothing => 0,
            Payload::Command { command, .. } => NAME + of_command(command, value),
            Payload::Members(members) => of_members(members),
        }
}

fn of_members(members: &Members) -> u64 {
    2 * wire::COUNT + MEMBER * (members.voters.len() + members.learners.len()) as u64
}

fn of_command(command: &Command, value: u64) -> u64 {
    // A character weighs a byte; where it goes, and a field's name, as much as a count.
    let op = match command.op {
        Op::Write(_) | Op::Insert(_) | Op::Remove(_) => value,
        Op::Add(_) => wire::SUM,
        Op::InsertText { length, .. } => 2 * wire::COUNT + u64::from(length),
        Op::DeleteText { .. } => 2 * wire::COUNT,
        Op::Put { .. } => wire::COUNT + value,
        Op::Increase { .. } => wire::COUNT + wire::SUM,
        Op::Drop { .. } => wire::COUNT,
    };
    KEY + FLAG + op + command.expects.map_or(0, |_| VERSION)
}

fn of_snapshot<R: Resolution>(model: &R, snapshot: &Snapshot<Image<R>>, value: u64) -> u64 {
    let keys = snapshot.state.keys.iter();
    let keys = keys.map(|(_, entry, _)| KEY + VERSION + model.entry_size(entry).total(value));
    let names = snapshot.sessions.len() + snapshot.state.moved.len();
    INDEX + TERM + of_members(&snapshot.members) + 2 * wire::COUNT + keys.sum::<u64>() + (NAME + INDEX) * names as u64
}
