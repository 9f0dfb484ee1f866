//! A single primary: one replica orders all updates of the store in a log, and copies the log to the others.
//!
//! Primary-backup replication after Alsberg and Day (1976). Epochs, and how a log is chosen after a takeover, are those of
//! viewstamped replication (Oki and Liskov, PODC 1988; Liskov and Cowling 2012); the primary's lease, fencing, and the set of backups
//! that are in step those of PacificA (Lin et al., MSR-TR-2008-25). A layer in [`Store`](super::Store), as quorums are. In reading order:
//! `log` is the log of one replica; `requests` serves, forwards and keeps those who wait; `letters` is what replicas say to each other, and `copying` how the log gets to
//! the backups; `mending` what is sent again; `takeover` who is the primary when it fails, and how a replica gets over the loss of its state; `timers` when something is due.
//!
//! Guarantees, with synchronous copies: an acknowledged update stands in the logs of the primary and of as many backups as `copies`
//! says, at one place, and only what is so copied is shown to anybody. Of two primaries at once, one can't have an update acknowledged.

mod copying;
mod letters;
mod log;
mod mending;
mod requests;
mod takeover;
#[cfg(test)]
mod tests;
mod timers;

pub(super) use letters::Letter;
use log::Log;
pub(super) use requests::Wait;

use super::quorum::Members;
use crate::kernel::{SimDuration, SimTime};
use crate::state::{KeyType, ModelInfo, Resolution};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};

/// The most replicas of a store with a primary.
pub const MOST_REPLICAS: usize = 64;

/// The model's page in the reference.
pub const INFO: ModelInfo = ModelInfo {
    name: "primary",
    title: "Single primary",
    keys: KeyType::ALL,
    doc: "\
One replica, the primary, puts all updates of the store into one log, and sends the log to the others, its backups (Alsberg and Day 1976).
An update is acknowledged when the primary and as many backups as `copies` says have it, and is shown to readers from then on, everywhere
in the order of the log. A replica that isn't the primary forwards what it is asked: updates always, and reads unless `reads` is
`Nearest`. All types of keys are kept as under last write wins, with the place in the log for a stamp: nothing is concurrent, and nothing
is outranked but by what came later.

*What is promised.* With synchronous copies (`All`, or `Count(n)` of one or more) and `reads: Primary` operations are linearizable, as long as
nobody takes over (`failover: None`) or the primary has a `lease`. With `failover` and no lease a primary that has been replaced and
hasn't heard of it (it is cut off, or stood still) still answers reads, from the past: such reads are stale; updates stay in one order. With
`reads: Nearest` a backup shows what it knows to be acknowledged: a prefix of the log, stale by the time that a copy, its
acknowledgement and the word of it take. With `copies: None` (asynchronous followers) an update is acknowledged when the primary has it; what no
backup has yet is lost if another one takes over or the primary loses its state, and in a partition two primaries acknowledge updates, of which
the older one's are undone.

*When too few backups answer* within `timeout` the update is refused. It stays in the log, and may take effect later: the client doesn't
know. An attempt that brings the same idempotency key is recognised by the log, at whichever replica it arrives. With `copies: All` one backup
that is down stops all updates; with `in_sync: \"5s\"` the primary goes on without backups that have lacked something for so long, until they have
caught up. That is sound only while nobody takes over, since nobody else knows who is in step; PacificA asks a configuration service.

*Takeover.* With `failover: After(\"10s\")` the replicas behind the primary, in the order of their names, look whether they hear it. The
first that hasn't for so long (each next one waits half as long again) asks the others for their promise to follow nobody older, and takes over in a higher
epoch once `n - copies` of the `n` replicas, itself counted, have promised: one of any so many has every acknowledged update. It
goes on with the best log among them, the one that was in step with the latest primary, and is the longest. With `copies: All` and
with `copies: None` it needs nobody's promise. With `All` it takes nobody's updates either before all others follow it, the replaced one
too: `Count` of half the replicas is what stays available. The new primary shows nothing before `copies` backups have its whole log. Replicas
refuse letters of an older epoch, which is how an old primary hears that it isn't one: it refuses those who wait, and what the new log
doesn't have is undone, as far as it had been shown by taking over the new primary's state.

*Votes.* With `failover: Majority(\"10s\")` whoever takes over needs the promises of a majority, itself counted, however few copies are waited
for; and a primary that a majority hasn't confirmed for so long steps down, and refuses what it is asked. So a minority has no primary for
longer than that. As replica sets of document stores do, it still loses what only the old primary had.

*The lease* (`failover: After(\"10s\")`, `lease: \"5s\"`): the primary answers reads only while `copies` backups have confirmed letters that
it sent less than the lease ago, and nobody promises anything to another one for so long after the primary's last letter. Of any replicas
that suffice for a takeover one has confirmed, so that no other primary acknowledges anything while the lease lasts. Leases run by timers that count true
time; the skew, drift and steps of `clocks` aren't in them.

*Losses on the way.* Letters carry at most 64 updates, at most 256 are unconfirmed. A backup keeps what comes early until the gap is
closed, and says with its confirmation how far the gap goes. The primary sends what is missing at once, and only again when a letter that it sent
later has met a gap as well; a letter that was overtaken is so sent twice. What isn't confirmed within `resend`, with nothing behind it that would show a
gap, is sent again once, 64 updates at most; from then on the backup gets an empty letter every `resend`, until it is heard from: its answer to
that, or a request that it forwards, has the rest sent at once. One that lacks more than the primary still has in its log (2048 acknowledged
updates) gets its whole state.

*Requests that are forwarded* wait at the backup until the primary says that they have come, and from then on at the primary: `timeout` at
most at each. Where the primary can't be reached the backup refuses; what it refuses may have come all the same, and take effect.

*A replica that loses its state* serves nothing, confirms nothing and promises nothing until others have told it what they have: with
`failover: None` the primary; else so many that every acknowledged update, and every promise, is among what they know, the present primary
among them. The primary itself goes on in a new epoch.

- **Conditional updates** (`CompareAndSwap`) are decided by the primary, in the order of the log, by the place of the key's last update. A
  refusal waits until that update is acknowledged.
- **Map**, **Text**, **Set**, **Counter**: the update is computed by the primary from all that stands in the log before it.

Costs: for each update and backup a letter and its confirmation, and another letter and its confirmation for the word that the update is acknowledged, unless
the next update's letter says it: with two backups eight messages, or four. The word is confirmed because it is sent again if it is lost. A request that is
forwarded is one message more, and the word that it has come another. An update takes the way to the primary, and from there to the slowest of the
backups that are waited for and back. With failover each backup gets a letter every `heartbeat`, and confirms it. An update weighs 16 bytes beside its news.
",
};

/// How a primary works.
#[derive(Debug, Clone, PartialEq)]
pub struct PrimarySpec {
    /// The replica that is the primary at the start.
    pub primary: u32,
    /// How many backups have an update before it is acknowledged.
    pub copies: Copies,
    /// Who answers reads.
    pub reads: Reads,
    /// How long a request waits at a replica before it is refused.
    pub timeout: SimDuration,
    /// How long a letter may go unconfirmed before it is sent again, if nothing shows sooner that it is lost; and the time between
    /// two letters to a backup that isn't heard from.
    pub resend: SimDuration,
    /// How long a backup may lack something before the primary goes on without it.
    pub in_sync: Option<SimDuration>,
    /// How another replica takes over; `None`: none does.
    pub failover: Option<Failover>,
    /// What is broken on purpose.
    pub(crate) flaw: Flaw,
}

/// How many backups have an update before it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copies {
    /// All of them.
    All,
    /// So many.
    Count(u32),
    /// None: they follow later.
    None,
}

/// Who answers reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// The primary.
    Primary,
    /// Whoever is asked.
    Nearest,
}

/// How another replica takes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failover {
    /// How long the primary hasn't been heard by then.
    pub after: SimDuration,
    /// The time between two letters of the primary that say nothing but that it is there.
    pub heartbeat: SimDuration,
    /// How long the primary may answer reads after its backups have confirmed; `None`: always. Shorter than `after`.
    pub lease: Option<SimDuration>,
    /// Whether a majority has to promise, however few copies there are; and a primary steps down that hasn't been confirmed by a
    /// majority, itself counted, for `after`.
    pub majority: bool,
}

/// Ways to be wrong, for tests that the checks see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Flaw {
    /// None.
    #[default]
    None,
    /// Updates are acknowledged before they are copied.
    AcknowledgesEarly,
    /// Backups follow letters of older epochs.
    Unfenced,
    /// Backups take what comes early for what comes next.
    SkipsGaps,
    /// Whoever takes over goes on with its own log, whatever others have.
    OwnLog,
    /// A forwarded attempt isn't recognised as one that was there before.
    Forgetful,
    /// A replica that has lost its state goes on as if nothing had been.
    Amnesiac,
}

impl PrimarySpec {
    /// The first replica is the primary, updates go to all backups, and nobody takes over.
    pub fn new() -> Self {
        Self {
            primary: 0,
            copies: Copies::All,
            reads: Reads::Primary,
            timeout: SimDuration::from_secs(1),
            resend: SimDuration::from_secs(1),
            in_sync: None,
            failover: None,
            flaw: Flaw::None,
        }
    }

    /// How many backups of a store with so many replicas have an update before it is acknowledged.
    pub fn needed(&self, replicas: u32) -> u32 {
        match self.copies {
            Copies::All => replicas - 1,
            Copies::Count(count) => count.min(replicas - 1),
            Copies::None => 0,
        }
    }

    /// How many replicas, itself counted, promise to follow whoever takes over. Any so many have, between them, every update
    /// that so many backups had; without synchronous copies nothing can be had from them, but that no other has a majority.
    fn promises(&self, replicas: u32) -> u32 {
        let enough = match self.needed(replicas) {
            0 => 1,
            copies => replicas - copies,
        };
        let votes = self.failover.is_some_and(|failover| failover.majority);
        enough.max(if votes { replicas / 2 + 1 } else { 0 })
    }
}

impl Default for PrimarySpec {
    fn default() -> Self {
        Self::new()
    }
}

/// An epoch: a number, and the replica that is the primary in it. Later ones are greater.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Epoch(u32);

/// The bits of an epoch that say who is the primary.
const MEMBER_BITS: u32 = 6;
/// The bits of a stamp that say the place in the log.
const INDEX_BITS: u32 = 40;

impl Epoch {
    fn first(primary: u32) -> Self {
        Self(primary)
    }

    /// The first epoch of a replica that is later than this one, in its life of this number: it may have taken one in each
    /// earlier life of which nobody else has heard.
    ///
    /// # Panics
    /// Panics if there were 2^17 takeovers.
    fn next(self, member: u32, life: u16) -> Self {
        let number = (self.0 >> MEMBER_BITS) + 1 + u32::from(life);
        assert!(number < 1 << 17, "a store has fewer than 2^17 takeovers");
        Self(number << MEMBER_BITS | member)
    }

    /// Who is the primary in it.
    fn primary(self) -> u32 {
        self.0 & ((1 << MEMBER_BITS) - 1)
    }
}

/// A place in a log: the epoch in which the update there was accepted, and its number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct At {
    epoch: Epoch,
    index: u64,
}

impl At {
    /// The stamp of the update in this place.
    fn stamp(self) -> i64 {
        assert!(self.index < 1 << INDEX_BITS, "a log has fewer than 2^40 updates");
        i64::from(self.epoch.0) << INDEX_BITS | self.index as i64
    }
}

/// What a replica is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
enum Role {
    Primary,
    Backup,
    /// It has lost its state, and doesn't know yet what the others have.
    Recovering,
}

/// What a primary knows of a backup.
#[derive(Debug, Clone, Copy, Default, Serialize)]
struct Peer {
    /// Up to where it has the primary's log, as far as it has confirmed in this epoch.
    matched: u64,
    /// The next update to send.
    next: u64,
    /// Whether it is known where its log begins to differ.
    known: bool,
    /// Up to where it knows that updates are acknowledged.
    committed: u64,
    /// Up to where it was told so.
    told: u64,
    /// When the latest of the letters left that it has confirmed.
    confirmed: Option<SimTime>,
    /// When something unconfirmed is sent again; and whether it was, and nothing has been heard since.
    resend: Option<(SimTime, bool)>,
    /// When it was last sent what it had said that it lacks.
    mended: Option<SimTime>,
    /// Since when it lacks something.
    lacks: Option<SimTime>,
    /// Whether the primary goes on without it.
    out: bool,
}

/// A replica that wants to take over.
#[derive(Debug, Clone, Serialize)]
#[serde(bound(serialize = ""))]
struct Campaign<R: Resolution> {
    epoch: Epoch,
    promised: Members,
    /// The best log among those who promised, if it is better than its own.
    best: Option<(Epoch, letters::Image<R>)>,
    again: SimTime,
}

/// A replica that asks others what they have.
#[derive(Debug, Clone, Serialize)]
#[serde(bound(serialize = ""))]
struct Recovery<R: Resolution> {
    answered: Members,
    /// The latest epoch that anybody knows of.
    epoch: Epoch,
    best: Option<(Epoch, letters::Image<R>)>,
    again: SimTime,
}

/// What a replica keeps of the log, as the primary or as a backup.
#[derive(Debug, Clone, Serialize)]
#[serde(bound(serialize = ""))]
pub(super) struct Desk<R: Resolution> {
    epoch: Epoch,
    role: Role,
    log: Log<R>,
    /// The epoch of the primary with which its log was in step last: logs of a later one are better.
    normal: Epoch,
    /// Up to where updates are acknowledged, and shown.
    commit: u64,
    /// Idempotency keys of updates in the log, by their places.
    calls: BTreeMap<u64, u64>,
    /// Of keys with updates that aren't acknowledged: what they are at the log's end.
    tips: BTreeMap<u32, R::Entry>,
    /// As the primary: what it knows of each replica.
    peers: Vec<Peer>,
    /// As the primary: reads wait until the log is acknowledged up to here.
    floor: u64,
    /// As a backup: up to where its log is the primary's.
    verified: u64,
    /// As a backup: whether it has shown what the primary's log doesn't have.
    diverged: bool,
    /// As a backup: what has come early, by its place.
    early: BTreeMap<u64, log::Update<R>>,
    /// When it heard the primary last; as the primary, when it began to be it.
    heard: SimTime,
    beat: SimTime,
    campaign: Option<Campaign<R>>,
    recovery: Option<Recovery<R>>,
    /// Who waits for an update to be acknowledged, by its place.
    updates: BTreeMap<(u64, u64), Wait>,
    /// Who waits to be served at all.
    parked: VecDeque<(u64, Wait)>,
    /// Whose request was forwarded, and hasn't been said to have come, by their numbers.
    away: BTreeMap<u64, Wait>,
    /// When each of them is refused: their places or what stands for none, and their numbers.
    deadlines: VecDeque<(SimTime, u64, u64)>,
    /// How many have waited.
    waits: u64,
    /// How long it has stood still, over all.
    stalled: SimDuration,
    /// The timer: when it is due, and which of its entries is the valid one.
    armed: Option<SimTime>,
    generation: u64,
    /// Letters that it has sent of its own accord.
    letters: u64,
}

impl<R: Resolution> Desk<R> {
    /// A replica of a store with so many, of which `primary` is the first primary.
    pub(super) fn new(member: u32, primary: u32, replicas: usize) -> Self {
        let epoch = Epoch::first(primary);
        Self {
            epoch,
            role: if member == primary { Role::Primary } else { Role::Backup },
            log: Log::default(),
            normal: epoch,
            commit: 0,
            calls: BTreeMap::new(),
            tips: BTreeMap::new(),
            peers: vec![
                Peer {
                    next: 1,
                    known: true,
                    ..Peer::default()
                };
                replicas
            ],
            floor: 0,
            verified: 0,
            diverged: false,
            early: BTreeMap::new(),
            heard: SimTime::ZERO,
            beat: SimTime::ZERO,
            campaign: None,
            recovery: None,
            updates: BTreeMap::new(),
            parked: VecDeque::new(),
            away: BTreeMap::new(),
            deadlines: VecDeque::new(),
            waits: 0,
            stalled: SimDuration::ZERO,
            armed: None,
            generation: 0,
            letters: 0,
        }
    }

    /// Whether a queued entry of its timer is the valid one.
    pub(super) fn is_tick(&self, generation: u64) -> bool {
        self.armed.is_some() && self.generation == generation
    }
}
