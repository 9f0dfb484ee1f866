//! Judging reads: what they lack, and what their agents could expect.

use super::SharedStateJudge;
use super::ledger::{Few, KeyState, Known, Pending, ReadSoFar};
use super::past::Past;
use crate::kernel::SimTime;
use crate::state::{Dot, DotSet, Keeping, KeyType, Versions};
use crate::stores::words::{is_own_reply, of_reply_words, own_effects_have, own_heads};
use crate::world::record::Record;

/// What one attempt of a read saw.
#[derive(Debug, Clone)]
pub(super) struct ReadView {
    attempt: u16,
    pub key: u32,
    /// The pasts of what it shows.
    pub pasts: Pasts,
    pub heads: Few,
    /// The effects that it shows, where what is read is noted one by one; else those of them that spread.
    pub effects: DotSet,
    pub spreading: Few,
    lag: u64,
    age: u64,
    /// The time from the latest acknowledgement of a write of the key to the beginning of the read.
    since: Option<u64>,
    own: bool,
    earlier: bool,
    causal: bool,
}

impl ReadView {
    /// What an attempt saw of a key, not judged yet.
    pub fn new(attempt: u16, key: u32) -> Self {
        Self {
            attempt,
            key,
            pasts: Pasts::default(),
            heads: Few::new(),
            effects: DotSet::default(),
            spreading: Few::new(),
            lag: 0,
            age: 0,
            since: None,
            own: false,
            earlier: false,
            causal: false,
        }
    }
}

/// Pasts that aren't joined before somebody learns of them: mostly one.
#[derive(Debug, Clone, Default)]
pub(super) struct Pasts {
    first: Past,
    more: Vec<Past>,
}

impl Pasts {
    pub fn add(&mut self, past: &Past) {
        if self.first.is_empty() {
            self.first.clone_from(past);
        } else if !past.is_empty() {
            self.more.push(past.clone());
        }
    }

    /// Whether there is nothing to learn.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    pub fn learnt_by(&self, past: &mut Past) {
        past.join(&self.first);
        self.more.iter().for_each(|more| past.join(more));
    }
}

impl SharedStateJudge {
    /// A read is served.
    pub(super) fn read_served(&mut self, record: &Record, extra: &[u64]) {
        let (key, agent) = (self.ledger.key(record.b), self.ledger.agent(extra[1] as u32));
        let (replica, is_own) = (self.ledger.replica(record.subject), is_own_reply(&extra[2..]));
        if replica.is_none() || is_own {
            self.pending(record.a, agent, SimTime::from_nanos(extra[0]));
        }
        let Some(replica) = replica.filter(|_| is_own) else {
            return self.joined_read_served(record, key, &of_reply_words(&extra[2..]));
        };
        let Some(pending) = self.ledger.pending.get(record.a) else {
            return;
        };
        let mut view = ReadView::new(record.c as u16, key);
        let ledger = &self.ledger;
        let knew = |agent, number| pending.knew(agent, number);
        match own_heads(&extra[2..]) {
            Some(heads) => {
                let held = ledger.copy(replica, key).held();
                let find = |bits: &u64| {
                    let mut held = held.iter().copied();
                    let held = held.find(|held| ledger.writes[*held as usize].dot.bits() == *bits);
                    held.or_else(|| ledger.keys[key as usize].find(Dot::from_bits(*bits)))
                };
                view.heads = heads.iter().filter_map(find).collect();
                for head in &view.heads {
                    if let Some(past) = &ledger.writes[*head as usize].past
                        && !ledger.is_old(*head, knew)
                    {
                        // Its agent will learn it in a while.
                        past.touch_all();
                        view.pasts.add(past);
                    }
                }
            }
            None => {
                ledger.pasts_at(replica, key, knew, |past| {
                    past.touch_all();
                    view.pasts.add(past);
                });
                let words = &extra[2..];
                if !ledger.is_noted(key) {
                    let spreading = ledger.keys[key as usize].spreading.iter().copied();
                    let shown = |write: &u32| own_effects_have(words, ledger.writes[*write as usize].dot);
                    view.spreading = spreading.filter(shown).collect();
                } else if let Versions::Effects(effects) = of_reply_words(words).versions {
                    view.effects = effects;
                }
            }
        }
        if !view.pasts.is_empty() {
            pending.past.touch_all();
        }
        let spreading = ledger.keys[key as usize].spreading.iter().copied();
        ledger.look(spreading.len());
        let unheard =
            spreading.filter(|write| !ledger.writes[*write as usize].settled && !ledger.has_heard(replica, *write));
        self.find_lacking(&ledger.known(replica, key), unheard, pending, &mut view, record.time);
        if let Some(pending) = self.ledger.pending.get_mut(record.a) {
            pending.views.push(view);
        }
    }

    /// What a read lacks of the writes that it may lack.
    pub(super) fn find_lacking(
        &self,
        known: &Known<'_>,
        candidates: impl Iterator<Item = u32>,
        pending: &Pending,
        view: &mut ReadView,
        now: SimTime,
    ) {
        let ledger = &self.ledger;
        let mut oldest = now;
        for write in candidates {
            ledger.look(1);
            let it = &ledger.writes[write as usize];
            let acked = it.acked != 0 && it.acked <= pending.acks_before;
            let own = it.agent == pending.agent;
            if !(acked || (!own && pending.knew(it.agent, it.number))) || !ledger.is_lacking(known, write) {
                continue;
            }
            if ledger.keys[view.key as usize].joins && ledger.knows_again(known, write) {
                continue;
            }
            if acked {
                view.lag += 1;
                oldest = oldest.min(it.acked_at);
                view.own |= own;
            }
            view.causal |= pending.knew(it.agent, it.number);
        }
        view.age = (now - oldest).as_nanos();
        let latest = ledger.keys[view.key as usize].latest_ack(pending.acks_before);
        view.since = latest.map(|acked| pending.began.since(acked).as_nanos());
        view.own |= self.undoes_own_write(pending, view);
        if ledger.keys[view.key as usize].read_by > 0
            && let Some(before) = ledger.agents[pending.agent as usize].reads.get(&view.key)
            && before.acked <= pending.acks_before
        {
            let mut heads = before.heads.iter();
            view.earlier = heads.any(|head| ledger.is_lacking(known, *head))
                || ledger.is_lacking_any(known, view.key, &before.effects);
        }
    }

    /// Whether a read shows nothing but what its agent's own acknowledged write had seen, and so was meant to replace: whatever
    /// outranked that write didn't come after it.
    fn undoes_own_write(&self, pending: &Pending, view: &ReadView) -> bool {
        if self.ledger.keys[view.key as usize].owned == 0 {
            return false;
        }
        let own = self.ledger.agents[pending.agent as usize].own.get(&view.key);
        let Some(own) = own.filter(|own| own.acked <= pending.acks_before) else {
            return false;
        };
        let (agent, number) = {
            let write = &self.ledger.writes[own.write as usize];
            (write.agent, write.number)
        };
        let replaced = |at: &u32| {
            let head = &self.ledger.writes[*at as usize];
            // What was accepted later hasn't been seen: it is an earlier update of the same agent that took effect late.
            *at < own.write && (head.agent, head.number) != (agent, number) && own.past.knows(head.agent, head.number)
        };
        !view.heads.is_empty() && view.heads.iter().all(replaced)
    }

    /// What of an agent's earlier reads isn't implied by a later one: whoever has these heads might still lack it.
    fn still_expected(&self, earlier: &[u32], heads: &[u32]) -> Few {
        let ledger = &self.ledger;
        let expected = |write: &u32| {
            let it = &ledger.writes[*write as usize];
            let key = &ledger.keys[it.key as usize];
            if heads.contains(write) || it.heard_by as usize == key.replicas.len() {
                return false;
            }
            match key.keeping {
                Keeping::Ranked => !heads.iter().any(|head| {
                    let head = &ledger.writes[*head as usize];
                    (head.stamp, head.dot) > (it.stamp, it.dot)
                }),
                Keeping::Causal | Keeping::All | Keeping::Removals => {
                    !heads.iter().any(|head| ledger.has_seen(*head, *write))
                }
            }
        };
        ledger.look(earlier.len());
        earlier.iter().copied().filter(expected).collect()
    }

    /// Remembers what an agent has read of a key, as far as a later read or a write may be held to it.
    fn remember_read(&mut self, agent: u32, view: &ReadView) {
        let (key, acked) = (view.key, self.acks);
        let noted = self.ledger.is_noted(key);
        let KeyState {
            keeping,
            aware,
            read_by,
            ..
        } = self.ledger.keys[key as usize];
        if keeping == Keeping::Ranked && aware {
            let latest = &mut self.ledger.agents[agent as usize].latest;
            match view.heads.first() {
                Some(head) => latest.insert(key, *head),
                None => latest.remove(&key),
            };
        }
        let reads = &mut self.ledger.agents[agent as usize].reads;
        let earlier = match read_by {
            0 => None,
            _ => reads.get_mut(&key).map(|so_far| std::mem::take(&mut so_far.heads)),
        };
        let had = earlier.is_some();
        let ledger = &self.ledger;
        let is_settled = |head: &u32| ledger.writes[*head as usize].settled;
        if !noted && !had && view.heads.iter().all(is_settled) && ledger.keys[key as usize].spreading.is_empty() {
            return;
        }
        let mut heads = match earlier {
            Some(earlier) if noted || ledger.keys[key as usize].has_heads() => {
                self.still_expected(&earlier, &view.heads)
            }
            Some(earlier) => earlier,
            None => Few::new(),
        };
        heads.extend_from_slice(&view.heads);
        if !noted {
            // What has reached every replica since it was read doesn't spread any more, and is settled.
            for write in &view.spreading {
                if !heads.contains(write) {
                    heads.push(*write);
                }
            }
            heads.retain(|head| !ledger.writes[*head as usize].settled);
        }
        let it = &mut self.ledger.agents[agent as usize];
        if heads.is_empty() && !noted {
            if had {
                it.reads.remove(&key);
                self.ledger.keys[key as usize].read_by -= 1;
            }
            return;
        }
        self.ledger.keys[key as usize].read_by += u32::from(!had);
        let so_far = it.reads.entry(key).or_insert_with(|| ReadSoFar {
            acked,
            heads: Few::new(),
            effects: DotSet::default(),
        });
        (so_far.acked, so_far.heads) = (acked, heads);
        if noted {
            so_far.effects.join(&view.effects);
        }
        if it.reads.len() > it.reads_limit {
            self.ledger.forget_reads(agent);
        }
    }

    /// The answer of a read reaches its agent.
    pub(super) fn read_acknowledged(&mut self, identity: u64, attempt: u16, now: SimTime) {
        let Some(mut pending) = self.ledger.close(identity) else {
            return;
        };
        // The agent's own is what is left of it, and can change in its place.
        drop(std::mem::take(&mut pending.past));
        let chosen = pending
            .views
            .iter()
            .position(|view| attempt == 0 || view.attempt == attempt);
        let began = pending.began;
        let Some(view) = chosen.and_then(|place| pending.views.into_iter().nth(place)) else {
            return;
        };
        let siblings = view.heads.len() as u64;
        let agent = &mut self.ledger.agents[pending.agent as usize];
        view.pasts.learnt_by(&mut agent.past);
        self.remember_read(pending.agent, &view);
        if began < self.from {
            return;
        }
        let shown = match self.ledger.keys[view.key as usize].kind {
            KeyType::Register => siblings,
            _ => 0,
        };
        let tally = &mut self.tally;
        tally.siblings = tally.siblings.max(shown);
        tally.reads += 1;
        tally.read_time.push((now - began).as_nanos());
        if let Some(since) = view.since {
            tally.visibility.add(since, view.lag > 0);
        }
        if view.lag > 0 {
            tally.stale_reads += 1;
            tally.stale_age.push(view.age);
            tally.stale_lag.push(view.lag);
        }
        tally.read_your_writes += u64::from(view.own);
        tally.monotonic_reads += u64::from(view.earlier);
        tally.causal_violations += u64::from(view.causal);
    }
}
