//! Judging reads that join what several replicas answered: by what they show.
//!
//! Each answer is noted when its replica gives it, with the pasts of what it brings, since a version may be replaced everywhere,
//! and its past forgotten, before the read that shows it is served. What a read shows is held to its answers as well: a
//! coordinator that drops one, or makes one up, is broken, and no lack of staleness hides that.

use super::SharedStateJudge;
use super::ledger::{Heard, Known};
use super::past::Past;
use super::reads::ReadView;
use crate::state::{Dot, DotSet, Keeping, Versions};
use crate::stores::words::{ReplyWords, of_reply_words};
use crate::world::record::Record;

/// What a replica answered.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    mark: u64,
    /// The versions that it keeps, and their pasts; of folds of effects those that it has, and that wait for others.
    kept: Vec<(u32, Past)>,
    /// What it has heard of, as it says: the context, or the effects.
    heard: DotSet,
    /// Of folds of effects, the pasts of all of them.
    past: Past,
}

impl Answer {
    fn keeps(&self, write: u32) -> bool {
        self.kept.iter().any(|(kept, _)| *kept == write)
    }
}

/// What is in one set and not in the other.
fn beyond(set: &DotSet, other: &DotSet) -> Vec<Dot> {
    let mut found = Vec::new();
    set.beyond(other, &mut |range| found.extend(range.dots()));
    found
}

impl SharedStateJudge {
    /// The versions that a reply keeps, and what it has heard of.
    fn content_of(&self, key: u32, reply: &ReplyWords) -> (Vec<u32>, DotSet) {
        let find = |heads: &[Dot]| {
            let found = heads
                .iter()
                .filter_map(|head| self.ledger.keys[key as usize].find(*head));
            found.collect()
        };
        match (&reply.kept, &reply.versions) {
            (Some((kept, seen)), _) => (find(kept), seen.clone()),
            (None, Versions::Heads(heads)) => (find(heads), DotSet::default()),
            (None, Versions::Effects(effects)) => (Vec::new(), effects.clone()),
        }
    }

    /// A replica tells a coordinator what it holds.
    pub(super) fn entry_read(&mut self, record: &Record, extra: &[u64]) {
        let Some(replica) = self.ledger.replica(record.subject) else {
            return;
        };
        if !self.ledger.pending.has(record.a) {
            // Its agent has given it up.
            return;
        }
        let key = self.ledger.key(record.b);
        let (kept, heard) = self.content_of(key, &of_reply_words(extra));
        let held = self.ledger.copy(replica, key).held();
        let agrees = if self.ledger.keys[key as usize].has_heads() {
            kept.len() == held.len() && kept.iter().all(|kept| held.contains(kept))
        } else {
            heard == *self.ledger.noted(replica, key)
        };
        let mut past = Past::default();
        self.ledger
            .pasts_at(replica, key, |_, _| false, |heard| past.join(heard));
        if !agrees {
            let problem = format!("replica {} tells of key {key} what it doesn't hold", record.subject);
            self.breaches.push(problem);
        }
        let writes = &self.ledger.writes;
        let kept = kept
            .into_iter()
            .map(|write| (write, writes[write as usize].past.clone().unwrap_or_default()));
        let answer = Answer {
            mark: record.c,
            kept: kept.collect(),
            heard,
            past,
        };
        if let Some(pending) = self.ledger.pending.get_mut(record.a) {
            pending.answers.push(answer);
        }
    }

    /// A coordinator serves a read, or an agent one of its own from what it kept of an earlier one.
    pub(super) fn joined_read_served(&mut self, record: &Record, key: u32, reply: &ReplyWords) {
        let Some(pending) = self.ledger.pending.get(record.a) else {
            // Its agent has given it up.
            return;
        };
        let ledger = &self.ledger;
        let of_mark = |mark: &u64| pending.answers.iter().find(|answer| answer.mark == *mark);
        let answers: Vec<&Answer> = reply.marks.iter().filter_map(of_mark).collect();
        let (kept, heard) = self.content_of(key, reply);
        let mut view = ReadView::new(record.c as u16, key);
        let pasts = answers.iter().flat_map(|answer| &answer.kept);
        let pasts: Vec<(u32, Past)> = pasts.filter(|(write, _)| kept.contains(write)).cloned().collect();
        let ranks = kept.iter().map(|write| {
            let it = &ledger.writes[*write as usize];
            (it.stamp, it.dot)
        });
        let known = Known {
            heard: Heard::Told(&heard),
            held: &kept,
            top: ranks.max(),
            pasts: &pasts,
        };
        match &reply.versions {
            Versions::Heads(heads) => {
                let found = heads.iter().filter_map(|head| ledger.keys[key as usize].find(*head));
                view.heads = found.collect();
                for head in &view.heads {
                    if let Some(past) = ledger.past_of(&known, *head) {
                        view.pasts.add(past);
                    }
                }
            }
            Versions::Effects(effects) => {
                let mut told = DotSet::default();
                for answer in &answers {
                    view.pasts.add(&answer.past);
                    told.join(&answer.heard);
                }
                // What waits at one replica for what another one has is shown by a read that joins the two.
                for dot in beyond(effects, &told).into_iter().filter(|_| !answers.is_empty()) {
                    let Some(write) = ledger.keys[key as usize].find(dot) else {
                        continue;
                    };
                    let it = &ledger.writes[write as usize];
                    let mut past = Past::default();
                    past.learn(it.agent, it.number);
                    let mut kept = answers.iter().flat_map(|answer| &answer.kept);
                    if let Some((_, before)) = kept.find(|(other, _)| *other == write) {
                        past.join(before);
                    }
                    view.pasts.add(&past);
                }
                let spreading = ledger.keys[key as usize].spreading.iter().copied();
                let shown = spreading.filter(|write| effects.contains(ledger.writes[*write as usize].dot));
                view.spreading = shown.collect();
                view.effects = effects.clone();
            }
        }
        let candidates = ledger.keys[key as usize].beyond(&known, &heard);
        self.find_lacking(&known, candidates.into_iter(), pending, &mut view, record.time);
        // What an agent kept of an earlier read isn't made of answers.
        let is_kept = self.ledger.replica(record.subject).is_none();
        if !is_kept && (answers.len() != reply.marks.len() || !self.is_join_of(key, (&known, &heard), &answers)) {
            let problem = format!("a read of key {key} shows something else than its answers make together");
            self.breaches.push(problem);
        }
        if let Some(pending) = self.ledger.pending.get_mut(record.a) {
            pending.views.push(view);
        }
    }

    /// Whether a read shows what its answers make together. Where causality decides it may keep more: one vector for all siblings
    /// brings some back.
    fn is_join_of(&self, key: u32, (known, heard): (&Known<'_>, &DotSet), answers: &[&Answer]) -> bool {
        let writes = &self.ledger.writes;
        let all = || answers.iter().flat_map(|answer| &answer.kept).map(|(write, _)| *write);
        match self.ledger.keys[key as usize].keeping {
            Keeping::Ranked => {
                let rank = |write: u32| (writes[write as usize].stamp, writes[write as usize].dot);
                known.top == all().map(rank).max()
            }
            Keeping::Causal => {
                let stays = |write: &u32| {
                    let dot = writes[*write as usize].dot;
                    answers
                        .iter()
                        .all(|answer| answer.keeps(*write) || !answer.heard.contains(dot))
                };
                all().filter(stays).all(|write| known.held.contains(&write))
                    && known.held.iter().all(|write| all().any(|other| other == *write))
            }
            Keeping::All | Keeping::Removals => {
                let mut together = DotSet::default();
                answers.iter().for_each(|answer| together.join(&answer.heard));
                let waited = |dot: &Dot| all().any(|write| writes[write as usize].dot == *dot);
                beyond(&together, heard).is_empty() && beyond(heard, &together).iter().all(waited)
            }
        }
    }
}
