//! A consumer group of a log: its members share the partitions, and each partition is read in its order.
//!
//! Guarantees: within a generation a partition has one owner at most, and one exactly once the rebalance is over and while there are
//! members; messages of a partition are handed to its owner in the order of their offsets, from the committed offset on; the committed
//! offset is below every message that isn't acknowledged. Whoever acknowledges what isn't with him any more is fenced: nothing is
//! committed by it.
//!
//! Polls and acknowledgements are the signs of life. A member that polls is gone once it has been silent for a session; one to whom
//! messages are pushed, once it has been silent for so long with messages in its hands: it is invited then until it answers.

use super::assignment::assign;
use super::core::{Due, Effect, Turn};
use super::event::{self, settled};
use super::item::{Handed, Item, tag};
use super::log::Partition;
use super::queue::Poll;
use super::spec::{Assignment, Flaw, LogSpec, Position};
use crate::kernel::SimTime;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// How far a group has come in a partition.
#[derive(Debug, Clone, Default, Serialize)]
struct Cursor {
    owner: Option<u32>,
    /// Everything before is acknowledged, or was passed over.
    committed: u64,
    /// What is handed over next.
    next: u64,
    /// Everything before was handed over at some time.
    high: u64,
    /// How often it was set back.
    round: u32,
    /// What is acknowledged from `committed` on.
    acknowledged: BTreeSet<u64>,
}

/// A message that is with a member.
#[derive(Debug, Clone, Copy, Serialize)]
struct Flight {
    partition: u32,
    offset: u64,
    member: u32,
    until: SimTime,
}

/// A member.
#[derive(Debug, Clone, Default, Serialize)]
struct Member {
    heard: SimTime,
    session: SimTime,
    prefetch: Option<u32>,
    in_flight: u32,
    poll: Option<Poll>,
    owned: Vec<u32>,
    /// Which of its partitions comes next.
    turn: usize,
}

/// A consumer group.
#[derive(Debug, Clone, Serialize)]
pub struct Group {
    index: u32,
    #[serde(skip)]
    rules: LogSpec,
    from: Option<Position>,
    cursors: Vec<Cursor>,
    members: BTreeMap<u32, Member>,
    /// Pushed members that are taken for gone, with their prefetch.
    away: BTreeMap<u32, u32>,
    generation: u64,
    /// Who is going to own the partitions, and when.
    target: Option<(SimTime, Vec<Option<u32>>)>,
    flights: BTreeMap<u64, Flight>,
    begun: bool,
}

impl Group {
    /// A group of this number without members, which begins to read where it is told.
    pub fn new(index: u32, rules: LogSpec, from: Position) -> Self {
        Self {
            index,
            cursors: vec![Cursor::default(); rules.partitions as usize],
            rules,
            from: Some(from),
            members: BTreeMap::new(),
            away: BTreeMap::new(),
            generation: 0,
            target: None,
            flights: BTreeMap::new(),
            begun: false,
        }
    }

    /// The group's number.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// The generation: it grows with every change of the members.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The owners of the partitions.
    pub fn owners(&self) -> Vec<Option<u32>> {
        self.cursors.iter().map(|cursor| cursor.owner).collect()
    }

    /// The members, ascending.
    pub fn members(&self) -> Vec<u32> {
        self.members.keys().copied().collect()
    }

    /// Whether partitions are waiting for their owners.
    pub fn is_rebalancing(&self) -> bool {
        self.target.is_some()
    }

    /// The committed offset of a partition.
    pub fn committed(&self, partition: u32) -> u64 {
        self.cursors[partition as usize].committed
    }

    /// How many messages are owed, and how many of them are with members.
    pub fn owed(&self, log: &[Partition]) -> (u64, u64) {
        let of = |(cursor, partition): (&Cursor, &Partition)| {
            (partition.next() - cursor.committed) - cursor.acknowledged.len() as u64
        };
        let owed = self.cursors.iter().zip(log).map(of).sum();
        (owed, self.flights.len() as u64)
    }

    /// Pushed members are there, all at once, as they are when the broker starts.
    pub fn found(&mut self, pushed: impl Iterator<Item = (u32, u32)>, log: &[Partition], turn: &mut Turn<'_>) {
        let mut any = false;
        for (member, prefetch) in pushed {
            self.admit(member, Some(prefetch), log, turn);
            any = true;
        }
        if any {
            self.rebalance(log, turn);
        }
    }

    fn admit(&mut self, member: u32, prefetch: Option<u32>, log: &[Partition], turn: &mut Turn<'_>) {
        if !std::mem::replace(&mut self.begun, true)
            && let Some(from) = self.from
        {
            self.pass_over(from, log, turn);
        }
        self.away.remove(&member);
        let session = turn.now.saturating_add(self.rules.session);
        turn.agenda.insert((session, Due::Session(self.index, member)));
        let fresh = Member {
            heard: turn.now,
            session,
            prefetch,
            ..Member::default()
        };
        self.members.insert(member, fresh);
    }

    /// Before the group has read anything: what it isn't going to read is passed over.
    fn pass_over(&mut self, from: Position, log: &[Partition], turn: &mut Turn<'_>) {
        for partition in 0..self.cursors.len() as u32 {
            let to = place(from, &log[partition as usize]);
            self.skip_to(partition, to, log, turn);
        }
    }

    /// What lies before an offset isn't owed any more.
    fn skip_to(&mut self, partition: u32, to: u64, log: &[Partition], turn: &mut Turn<'_>) {
        let cursor = &mut self.cursors[partition as usize];
        for offset in cursor.committed..to {
            if !cursor.acknowledged.remove(&offset)
                && let Some(item) = log[partition as usize].get(offset)
            {
                turn.settled(item, self.index, settled::PASSED_OVER);
            }
        }
        cursor.committed = cursor.committed.max(to);
        cursor.next = cursor.next.max(to);
    }

    /// The group is set back or forward: what is with members is out of their hands.
    pub fn rewind(&mut self, position: Position, log: &[Partition], turn: &mut Turn<'_>) {
        self.begun = true;
        for partition in 0..self.cursors.len() as u32 {
            self.take_back(partition, turn);
            let to = place(position, &log[partition as usize]);
            if to >= self.cursors[partition as usize].committed {
                self.skip_to(partition, to, log, turn);
                continue;
            }
            let cursor = &mut self.cursors[partition as usize];
            let acknowledged = std::mem::take(&mut cursor.acknowledged);
            for offset in (to..cursor.committed).chain(acknowledged) {
                if let Some(item) = log[partition as usize].get(offset) {
                    let identity = item.publication.identity;
                    turn.note(event::REOPENED, identity, item.number, &[self.index.into()]);
                }
            }
            (cursor.committed, cursor.next) = (to, to);
            cursor.round = cursor.round.wrapping_add(1);
        }
        let (owed, _) = self.owed(log);
        turn.note(event::REWOUND, 0, 0, &[self.index.into(), owed]);
        self.serve_all(log, turn);
    }

    /// The members have changed: a new generation, and partitions change hands.
    fn rebalance(&mut self, log: &[Partition], turn: &mut Turn<'_>) {
        self.generation += 1;
        let members = self.members();
        turn.note(
            event::REBALANCED,
            0,
            self.generation,
            &[self.index.into(), members.len() as u64],
        );
        let before = match self.target.take() {
            Some((at, target)) => {
                turn.agenda.remove(&(at, Due::Rebalance(self.index)));
                target
            }
            None => self.owners(),
        };
        let target = assign(self.rules.assignment, &before, &members);
        for partition in 0..self.cursors.len() as u32 {
            let owner = self.cursors[partition as usize].owner;
            let stays = self.rules.assignment == Assignment::Sticky && owner == target[partition as usize];
            if owner.is_some() && !stays {
                self.revoke(partition, turn);
            }
        }
        let at = turn.now.saturating_add(self.rules.rebalance);
        self.target = Some((at, target));
        if at <= turn.now {
            self.settle_owners(log, turn);
        } else {
            turn.agenda.insert((at, Due::Rebalance(self.index)));
        }
    }

    fn revoke(&mut self, partition: u32, turn: &mut Turn<'_>) {
        self.take_back(partition, turn);
        if let Some(owner) = self.cursors[partition as usize].owner.take() {
            let extra = [self.index.into(), owner.into()];
            turn.note(event::REVOKED, partition.into(), self.generation, &extra);
            if let Some(member) = self.members.get_mut(&owner) {
                member.owned.retain(|owned| *owned != partition);
            }
        }
    }

    /// What members have of a partition is out of their hands, and the partition is read on from the committed offset.
    fn take_back(&mut self, partition: u32, turn: &mut Turn<'_>) {
        let of = |(_, flight): &(&u64, &Flight)| flight.partition == partition;
        let tags: Vec<u64> = self.flights.iter().filter(of).map(|(tag, _)| *tag).collect();
        for tag in tags {
            if let Some(flight) = self.land(tag, turn) {
                let number = super::item::number_of(tag);
                turn.note(event::RETURNED, 0, number, &[self.index.into(), flight.member.into()]);
            }
        }
        let cursor = &mut self.cursors[partition as usize];
        if cursor.next != cursor.committed {
            (cursor.next, cursor.round) = (cursor.committed, cursor.round.wrapping_add(1));
        }
    }

    fn land(&mut self, tag: u64, turn: &mut Turn<'_>) -> Option<Flight> {
        let flight = self.flights.remove(&tag)?;
        turn.agenda.remove(&(flight.until, Due::Visible(self.index, tag)));
        if let Some(member) = self.members.get_mut(&flight.member) {
            member.in_flight -= 1;
        }
        Some(flight)
    }

    /// The rebalance is over: partitions without an owner get theirs.
    pub fn settle_owners(&mut self, log: &[Partition], turn: &mut Turn<'_>) {
        let Some((_, target)) = self.target.take() else { return };
        for (partition, owner) in (0u32..).zip(target) {
            let cursor = &mut self.cursors[partition as usize];
            if cursor.owner == owner {
                continue;
            }
            cursor.owner = owner;
            if let Some(owner) = owner {
                let extra = [self.index.into(), owner.into()];
                turn.note(event::ASSIGNED, partition.into(), self.generation, &extra);
                if let Some(member) = self.members.get_mut(&owner) {
                    member.owned.push(partition);
                    member.owned.sort_unstable();
                }
            }
        }
        self.serve_all(log, turn);
    }

    fn serve_all(&mut self, log: &[Partition], turn: &mut Turn<'_>) {
        for member in self.members() {
            self.serve(member, log, turn);
        }
    }

    /// A message was appended to a partition.
    pub fn appended(&mut self, partition: u32, log: &[Partition], turn: &mut Turn<'_>) {
        if let Some(owner) = self.cursors[partition as usize].owner {
            self.serve(owner, log, turn);
        }
    }

    /// Hands over to a member what can be.
    fn serve(&mut self, id: u32, log: &[Partition], turn: &mut Turn<'_>) {
        let Some(member) = self.members.get(&id) else { return };
        if let Some(poll) = member.poll {
            let mut handed = Vec::new();
            while handed.len() < poll.most as usize
                && let Some(next) = self.take_one(id, log, turn)
            {
                handed.push(next);
            }
            if !handed.is_empty() {
                self.forget_poll(id, turn);
                turn.answer(&poll, self.index, handed);
            }
        }
        let Some(prefetch) = self.members.get(&id).and_then(|member| member.prefetch) else {
            return;
        };
        let has_room = |group: &Self| group.members.get(&id).is_some_and(|member| member.in_flight < prefetch);
        while (!turn.acknowledges() || has_room(self))
            && let Some(handed) = self.take_one(id, log, turn)
        {
            turn.effects.push(Effect::Push {
                consumer: id,
                scope: self.index,
                handed,
            });
        }
    }

    /// The next message for a member, from its partitions in turn.
    fn take_one(&mut self, id: u32, log: &[Partition], turn: &mut Turn<'_>) -> Option<Handed> {
        let member = self.members.get(&id)?;
        let count = member.owned.len();
        for step in 0..count {
            let place = (member.turn + step) % count;
            let partition = member.owned[place];
            let cursor = &mut self.cursors[partition as usize];
            while cursor.acknowledged.contains(&cursor.next) {
                cursor.next += 1;
            }
            let Some(item) = log[partition as usize].get(cursor.next).copied() else {
                continue;
            };
            let member = self.members.get_mut(&id)?;
            member.turn = (place + 1) % count;
            return Some(self.hand(&item, partition, id, turn));
        }
        None
    }

    fn hand(&mut self, item: &Item, partition: u32, id: u32, turn: &mut Turn<'_>) -> Handed {
        let cursor = &mut self.cursors[partition as usize];
        let offset = cursor.next;
        let handed = Handed {
            item: *item,
            tag: tag(item.number, cursor.round),
            before: u32::from(offset < cursor.high),
        };
        cursor.next += 1;
        cursor.high = cursor.high.max(cursor.next);
        if !turn.acknowledges() {
            cursor.committed = cursor.next;
            turn.settled(item, self.index, settled::HANDED_OVER);
            return handed;
        }
        let until = turn.now.saturating_add(turn.visibility());
        turn.agenda.insert((until, Due::Visible(self.index, handed.tag)));
        let flight = Flight {
            partition,
            offset,
            member: id,
            until,
        };
        self.flights.insert(handed.tag, flight);
        if let Some(member) = self.members.get_mut(&id) {
            member.in_flight += 1;
        }
        handed
    }

    /// A member acknowledges.
    pub fn acknowledge(&mut self, id: u32, tag: u64, log: &[Partition], turn: &mut Turn<'_>) {
        let with_him = self.flights.get(&tag).is_some_and(|flight| flight.member == id);
        if with_him && let Some(flight) = self.land(tag, turn) {
            let cursor = &mut self.cursors[flight.partition as usize];
            cursor.acknowledged.insert(flight.offset);
            if turn.flaw() == Flaw::CommitsHighest {
                self.commit_all_before(&flight, log, turn);
            }
            let cursor = &mut self.cursors[flight.partition as usize];
            while cursor.acknowledged.remove(&cursor.committed) {
                cursor.committed += 1;
            }
            cursor.next = cursor.next.max(cursor.committed);
            if let Some(item) = log[flight.partition as usize].get(flight.offset) {
                turn.settled(item, self.index, settled::ACKNOWLEDGED);
            }
        } else {
            turn.note(event::FENCED, 0, tag, &[self.index.into(), id.into()]);
        }
        self.join(id, false, log, turn);
        self.serve(id, log, turn);
    }

    /// The mistake to take everything before an acknowledgement for acknowledged.
    fn commit_all_before(&mut self, flight: &Flight, log: &[Partition], turn: &mut Turn<'_>) {
        let cursor = &mut self.cursors[flight.partition as usize];
        for offset in cursor.committed..flight.offset {
            if cursor.acknowledged.insert(offset)
                && let Some(item) = log[flight.partition as usize].get(offset)
            {
                turn.settled(item, self.index, settled::ACKNOWLEDGED);
            }
        }
        let before = |(_, other): &(&u64, &Flight)| other.partition == flight.partition && other.offset < flight.offset;
        let tags: Vec<u64> = self.flights.iter().filter(before).map(|(tag, _)| *tag).collect();
        for tag in tags {
            self.land(tag, turn);
        }
    }

    /// A message wasn't acknowledged in time: its partition is read again from the committed offset.
    pub fn timed_out(&mut self, tag: u64, log: &[Partition], turn: &mut Turn<'_>) {
        let Some(flight) = self.flights.get(&tag).copied() else {
            return;
        };
        self.take_back(flight.partition, turn);
        self.serve(flight.member, log, turn);
    }

    /// A pushed member gives a sign of life; after a crash (`anew`) it has nothing in its hands.
    pub fn join(&mut self, id: u32, anew: bool, log: &[Partition], turn: &mut Turn<'_>) {
        if let Some(prefetch) = self.away.get(&id).copied() {
            self.admit(id, Some(prefetch), log, turn);
            return self.rebalance(log, turn);
        }
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        member.heard = turn.now;
        if anew {
            let of = |flight: &&Flight| flight.member == id;
            let partitions: BTreeSet<u32> = self
                .flights
                .values()
                .filter(of)
                .map(|flight| flight.partition)
                .collect();
            for partition in partitions {
                self.take_back(partition, turn);
            }
            self.serve(id, log, turn);
        }
    }

    /// A member polls; whoever isn't one becomes one.
    pub fn poll(&mut self, poll: Poll, log: &[Partition], turn: &mut Turn<'_>) {
        let id = poll.consumer;
        if let Some(member) = self.members.get_mut(&id) {
            member.heard = turn.now;
            // A member waits with one poll at a time. An earlier attempt of the same isn't waited for any more.
            if let Some(other) = self.forget_poll(id, turn).filter(|other| other.id != poll.id) {
                turn.answer(&other, self.index, Vec::new());
            }
        } else {
            let prefetch = self.away.get(&id).copied();
            self.admit(id, prefetch, log, turn);
            self.rebalance(log, turn);
        }
        if let Some(member) = self.members.get_mut(&id) {
            member.poll = Some(poll);
            turn.agenda.insert((poll.until, Due::Poll(self.index, poll.id)));
        }
        self.serve(id, log, turn);
        if poll.until <= turn.now {
            self.poll_over(poll.id, id, turn);
        }
    }

    fn forget_poll(&mut self, id: u32, turn: &mut Turn<'_>) -> Option<Poll> {
        let poll = self.members.get_mut(&id)?.poll.take()?;
        turn.agenda.remove(&(poll.until, Due::Poll(self.index, poll.id)));
        Some(poll)
    }

    /// Who waits with this poll.
    pub fn poller(&self, poll: u64) -> Option<u32> {
        let waits = |(_, member): &(&u32, &Member)| member.poll.is_some_and(|waiting| waiting.id == poll);
        self.members.iter().find(waits).map(|(id, _)| *id)
    }

    /// A poll has waited long enough.
    pub fn poll_over(&mut self, poll: u64, id: u32, turn: &mut Turn<'_>) {
        let waits = self.members.get(&id).and_then(|member| member.poll);
        if waits.is_some_and(|waiting| waiting.id == poll)
            && let Some(poll) = self.forget_poll(id, turn)
        {
            if let Some(member) = self.members.get_mut(&id) {
                member.heard = turn.now;
            }
            turn.answer(&poll, self.index, Vec::new());
        }
    }

    /// Nobody is answered any more who waits now: the broker crashes.
    pub fn forget_polls(&mut self, turn: &mut Turn<'_>) {
        for id in self.members() {
            self.forget_poll(id, turn);
        }
    }

    /// A member's session may be over.
    pub fn session_due(&mut self, id: u32, log: &[Partition], turn: &mut Turn<'_>) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        if member.session > turn.now {
            return;
        }
        let over = member.heard.saturating_add(self.rules.session);
        let expected = match member.prefetch {
            Some(_) => member.in_flight > 0,
            None => member.poll.is_none(),
        };
        if over > turn.now || !expected {
            let next = over.max(turn.now.saturating_add(crate::kernel::SimDuration::from_nanos(1)));
            member.session = match expected {
                true => next,
                false => turn.now.saturating_add(self.rules.session),
            };
            turn.agenda.insert((member.session, Due::Session(self.index, id)));
            return;
        }
        let prefetch = member.prefetch;
        for partition in member.owned.clone() {
            self.revoke(partition, turn);
        }
        self.members.remove(&id);
        if let Some(prefetch) = prefetch {
            self.away.insert(id, prefetch);
            self.invite(id, turn);
        }
        self.rebalance(log, turn);
    }

    /// It is time to invite a member that is away.
    pub fn invite(&mut self, id: u32, turn: &mut Turn<'_>) {
        if self.away.contains_key(&id) {
            turn.effects.push(Effect::Invite(id));
            let at = turn.now.saturating_add(self.rules.session);
            turn.agenda.insert((at, Due::Invite(self.index, id)));
        }
    }

    /// The oldest message of a partition is let go.
    pub fn expired(&mut self, partition: u32, offset: u64, item: &Item, turn: &mut Turn<'_>) {
        let cursor = &mut self.cursors[partition as usize];
        if offset < cursor.committed {
            return;
        }
        let acknowledged = cursor.acknowledged.remove(&offset);
        (cursor.committed, cursor.next) = (offset + 1, cursor.next.max(offset + 1));
        while cursor.acknowledged.remove(&cursor.committed) {
            cursor.committed += 1;
        }
        cursor.next = cursor.next.max(cursor.committed);
        let here = |(_, flight): &(&u64, &Flight)| flight.partition == partition && flight.offset == offset;
        let tags: Vec<u64> = self.flights.iter().filter(here).map(|(tag, _)| *tag).collect();
        for tag in tags {
            self.land(tag, turn);
        }
        if !acknowledged {
            turn.settled(item, self.index, settled::EXPIRED);
        }
    }

    /// All is lost: what was owed, and who the members were. Those to whom messages are pushed are invited.
    pub fn wipe(&mut self, log: &[Partition], turn: &mut Turn<'_>) {
        for (cursor, partition) in self.cursors.iter().zip(log) {
            for offset in cursor.committed..partition.next() {
                if !cursor.acknowledged.contains(&offset)
                    && let Some(item) = partition.get(offset)
                {
                    turn.settled(item, self.index, settled::WIPED);
                }
            }
        }
        for partition in 0..self.cursors.len() as u32 {
            if let Some(owner) = self.cursors[partition as usize].owner {
                let extra = [self.index.into(), owner.into()];
                turn.note(event::REVOKED, partition.into(), self.generation, &extra);
            }
        }
        for (id, member) in std::mem::take(&mut self.members) {
            if let Some(prefetch) = member.prefetch {
                self.away.insert(id, prefetch);
            }
        }
        self.cursors = vec![Cursor::default(); self.rules.partitions as usize];
        self.flights.clear();
        (self.target, self.begun) = (None, false);
    }

    /// The members that are away, once the broker is back.
    pub fn invite_all(&mut self, turn: &mut Turn<'_>) {
        for id in self.away.keys().copied().collect::<Vec<_>>() {
            self.invite(id, turn);
        }
    }

    /// What is wrong with its books, if anything is.
    pub fn audit(&self) -> Option<String> {
        let counted: u64 = self.members.values().map(|member| u64::from(member.in_flight)).sum();
        if counted != self.flights.len() as u64 {
            let with = self.flights.len();
            return Some(format!("{with} messages are with members, who count {counted}"));
        }
        for (partition, cursor) in self.cursors.iter().enumerate() {
            let owned = self
                .members
                .iter()
                .filter(|(_, member)| member.owned.contains(&(partition as u32)));
            let owners: Vec<u32> = owned.map(|(id, _)| *id).collect();
            if owners != cursor.owner.into_iter().collect::<Vec<_>>() {
                return Some(format!(
                    "partition {partition} belongs to {:?}, and {owners:?} take it for theirs",
                    cursor.owner
                ));
            }
            if self.target.is_none() && !self.members.is_empty() && cursor.owner.is_none() {
                return Some(format!("partition {partition} has no owner"));
            }
            if cursor.next < cursor.committed
                || cursor
                    .acknowledged
                    .first()
                    .is_some_and(|first| *first <= cursor.committed)
            {
                return Some(format!("partition {partition} is read from before what is committed"));
            }
        }
        None
    }
}

/// The offset that a position means in a partition.
fn place(position: Position, partition: &Partition) -> u64 {
    match position {
        Position::Earliest => partition.first(),
        Position::Latest => partition.next(),
        Position::Offset(offset) => offset.clamp(partition.first(), partition.next()),
    }
}
