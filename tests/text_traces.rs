//! Recorded editing sessions of several authors, applied in the recorded causal order: however changes travel, every replica
//! ends in the recorded text, and so does another implementation.
//!
//! The authors of the traces say that no two concurrent insertions fall on one place, so every correct text ends in the same.

use flate2::read::GzDecoder;
use quorate::state::crdt::{CrdtEntry, Ship};
use quorate::state::{
    Accept, Context, Crdt, Dot, KeyType, LastWriteWins, Op, Origin, Resolution, Value, VersionVector,
};
use serde::Deserialize;
use std::collections::VecDeque;
use std::io::Read;
use yrs::updates::decoder::Decode;
use yrs::{Doc, GetString, Text, Transact, Update};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Trace {
    end_content: String,
    num_agents: usize,
    txns: Vec<Transaction>,
}

#[derive(Deserialize)]
struct Transaction {
    parents: Vec<usize>,
    agent: usize,
    /// Position, characters deleted, characters inserted.
    patches: Vec<(u32, u32, String)>,
}

fn trace(name: &str) -> Trace {
    let path = format!("{}/data/editing-traces/{name}.json.gz", env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    GzDecoder::new(&std::fs::read(path).unwrap()[..])
        .read_to_string(&mut text)
        .unwrap();
    serde_json::from_str(&text).unwrap()
}

/// SplitMix64.
struct Mix(u64);

impl Mix {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}

/// The transactions of a trace as operations, with the characters that they insert in one table.
struct Plan {
    /// Of each transaction: its operations.
    operations: Vec<Vec<Op>>,
    table: Vec<char>,
    /// Of each agent: its transactions.
    of_agent: Vec<VecDeque<usize>>,
}

fn plan(trace: &Trace) -> Plan {
    let mut table = Vec::new();
    let mut of_agent = vec![VecDeque::new(); trace.num_agents];
    let mut operations = Vec::new();
    for (number, transaction) in trace.txns.iter().enumerate() {
        let mut ops = Vec::new();
        for (at, deleted, inserted) in &transaction.patches {
            let (at, from) = (*at, table.len() as u32);
            table.extend(inserted.chars());
            let length = table.len() as u32 - from;
            if *deleted > 0 {
                ops.push(Op::DeleteText { at, length: *deleted });
            }
            if length > 0 {
                ops.push(Op::InsertText { at, from, length });
            }
        }
        operations.push(ops);
        of_agent[transaction.agent].push_back(number);
    }
    Plan {
        operations,
        table,
        of_agent,
    }
}

impl Plan {
    fn content(&self, value: &Value) -> String {
        let Value::Text(spans) = value else { panic!("a text") };
        let places = spans.iter().flat_map(|span| span.from..span.from + span.length);
        places.map(|place| self.table[place as usize]).collect()
    }
}

/// How news gets to the other replicas.
#[derive(Clone, Copy)]
struct Chaos {
    /// One in so many pieces of news comes again later.
    again: usize,
    /// How many pieces of news wait at most; of those a random one is next.
    shuffled: usize,
    /// Whether replicas may run ahead of the parents of what their agent does next.
    ahead: bool,
}

/// Replays a trace with a replica for each agent, and returns the replicas' entries once everything has come everywhere.
fn replay(trace: &Trace, plan: &Plan, model: Crdt, chaos: Chaos, seed: u64) -> Vec<CrdtEntry> {
    let mut random = Mix(seed);
    let agents = trace.num_agents;
    let mut entries = vec![model.fresh(KeyType::Text); agents];
    let mut numbers = vec![0u32; agents];
    let mut left = plan.of_agent.clone();
    // Of each transaction that was done: the vector after it, with its news and where they haven't been delivered.
    let mut after: Vec<Option<VersionVector>> = vec![None; trace.txns.len()];
    let mut news: Vec<Vec<CrdtEntry>> = vec![Vec::new(); trace.txns.len()];
    let mut undelivered: Vec<Vec<usize>> = vec![Vec::new(); agents];
    let origin = |agent: usize| Origin::new(agent as u16, 0);
    let mut remaining = trace.txns.len();
    while remaining > 0 {
        let ready = |agent: &usize| {
            let next = left[*agent].front();
            next.is_some_and(|next| trace.txns[*next].parents.iter().all(|parent| after[*parent].is_some()))
        };
        let candidates: Vec<usize> = (0..agents).filter(ready).collect();
        let agent = candidates[random.below(candidates.len())];
        let number = left[agent].pop_front().unwrap();
        let mut saw = VersionVector::default();
        for parent in &trace.txns[number].parents {
            saw.join(after[*parent].as_ref().unwrap());
        }
        // What its parents are made of has to be there; other news may be.
        let everything = chaos.ahead && random.below(20) == 0;
        let entry = &mut entries[agent];
        let mut due: Vec<usize> = Vec::new();
        undelivered[agent].retain(|other| {
            let of = after[*other].as_ref().unwrap();
            let needed = everything || saw.descends(of);
            if needed {
                due.push(*other);
            }
            !needed
        });
        let mut waiting: Vec<&CrdtEntry> = Vec::new();
        for piece in due.iter().flat_map(|other| &news[*other]) {
            waiting.push(piece);
            if chaos.again > 0 && random.below(chaos.again) == 0 {
                waiting.push(piece);
            }
            while waiting.len() > chaos.shuffled {
                let next = waiting.swap_remove(random.below(waiting.len()));
                model.merge(entry, next, &mut |_| {});
            }
        }
        while !waiting.is_empty() {
            let next = waiting.swap_remove(random.below(waiting.len()));
            model.merge(entry, next, &mut |_| {});
        }
        for op in &plan.operations[number] {
            numbers[agent] += 1;
            let dot = Dot::new(origin(agent), numbers[agent]);
            let context = Context {
                seen: saw.clone().into(),
                ..Context::default()
            };
            let at = Accept {
                dot,
                stamp: 0,
                context: Some(&context),
            };
            let delta = model.update(entry, *op, at, &mut |_| {});
            saw.raise(dot.origin, dot.number);
            news[number].push(delta);
        }
        after[number] = Some(saw);
        for other in (0..agents).filter(|other| *other != agent) {
            undelivered[other].push(number);
        }
        remaining -= 1;
    }
    for (entry, undelivered) in entries.iter_mut().zip(undelivered) {
        for piece in undelivered.iter().flat_map(|number| &news[*number]) {
            model.merge(entry, piece, &mut |_| {});
        }
    }
    entries
}

const TRACES: [&str; 2] = ["friendsforever", "clownschool"];

#[test]
fn every_replica_ends_in_the_recorded_text() {
    for name in TRACES {
        let trace = trace(name);
        let plan = plan(&trace);
        let model = Crdt::default();
        let calm = Chaos {
            again: 0,
            shuffled: 1,
            ahead: false,
        };
        let wild = Chaos {
            again: 10,
            shuffled: 25,
            ahead: true,
        };
        let mut all = replay(&trace, &plan, model, calm, 1);
        all.extend(replay(&trace, &plan, model, wild, 2));
        all.extend(replay(&trace, &plan, model, wild, 3));
        for entry in &all {
            assert!(plan.content(&model.view(entry).value) == trace.end_content, "{name}");
            assert_eq!(model.digest(entry), model.view(entry).value.digest());
        }
        // Ids depend on what a replica had heard of when it wrote, so runs with the same deliveries are the same.
        let agents = trace.num_agents;
        assert!(all[..agents].iter().all(|entry| *entry == all[0]));
        let weight = model.entry_size(&all[0]);
        assert_eq!(weight.text, trace.end_content.len() as u64);
        assert!(model.tombstones(&all[0]) > 1_000);
        let mut collected = all[0].clone();
        let seen = model.context(&collected).seen;
        assert_eq!(model.collect(&mut collected, seen.vector()), model.tombstones(&all[0]));
        assert_eq!(model.tombstones(&collected), 0);
        assert_eq!(model.view(&collected).value, model.view(&all[0]).value);
        assert!(model.entry_size(&collected).metadata < weight.metadata);
    }
}

#[test]
fn operations_in_causal_order_end_in_it_too() {
    let trace = trace("friendsforever");
    let plan = plan(&trace);
    let model = Crdt {
        ship: Ship::Operation,
        ..Crdt::default()
    };
    let wild = Chaos {
        again: 10,
        shuffled: 25,
        ahead: false,
    };
    for entry in replay(&trace, &plan, model, wild, 4) {
        assert!(plan.content(&model.view(&entry).value) == trace.end_content);
    }
}

#[test]
fn the_last_write_of_a_whole_text_loses_what_others_wrote() {
    let trace = trace("friendsforever");
    let plan = plan(&trace);
    let model = LastWriteWins;
    // Each author's replica hears of the other's edits late, in whole texts: the later stamp takes the key.
    let mut entries = vec![model.fresh(KeyType::Text); trace.num_agents];
    let mut numbers = [0u32; 2];
    for (number, transaction) in trace.txns.iter().enumerate().take(3_000) {
        let agent = transaction.agent;
        for op in &plan.operations[number] {
            numbers[agent] += 1;
            let at = Accept {
                dot: Dot::new(Origin::new(agent as u16, 0), numbers[agent]),
                stamp: number as i64,
                context: None,
            };
            model.update(&mut entries[agent], *op, at, &mut |_| {});
        }
        if number % 500 == 499 {
            let (a, b) = (entries[0].clone(), entries[1].clone());
            model.join(&mut entries[0], &b, &mut |_| {});
            model.join(&mut entries[1], &a, &mut |_| {});
        }
    }
    assert_eq!(entries[0], entries[1]);
    let inserted = plan.operations[..3_000].iter().flatten().map(|op| match op {
        Op::InsertText { length, .. } => u64::from(*length),
        _ => 0,
    });
    let kept = model.entry_size(&entries[0]).text;
    assert!(kept < inserted.sum::<u64>() * 3 / 4, "{kept} characters are left");
}

#[test]
fn yrs_ends_in_it_too() {
    for name in TRACES {
        let trace = trace(name);
        let docs: Vec<Doc> = (0..trace.num_agents)
            .map(|agent| Doc::with_client_id(agent as u64 + 1))
            .collect();
        let mut after: Vec<VersionVector> = Vec::new();
        let mut updates: Vec<Vec<u8>> = Vec::new();
        let mut undelivered: Vec<Vec<usize>> = vec![Vec::new(); trace.num_agents];
        let mut numbers = vec![0u32; trace.num_agents];
        for (number, transaction) in trace.txns.iter().enumerate() {
            let agent = transaction.agent;
            let mut saw = VersionVector::default();
            transaction.parents.iter().for_each(|parent| saw.join(&after[*parent]));
            let doc = &docs[agent];
            let text = doc.get_or_insert_text("text");
            let mut at_work = doc.transact_mut();
            undelivered[agent].retain(|other| {
                let needed = saw.descends(&after[*other]);
                if needed {
                    at_work
                        .apply_update(Update::decode_v1(&updates[*other]).unwrap())
                        .unwrap();
                }
                !needed
            });
            drop(at_work);
            let mut at_work = doc.transact_mut();
            for (at, deleted, inserted) in &transaction.patches {
                if *deleted > 0 {
                    text.remove_range(&mut at_work, *at, *deleted);
                }
                if !inserted.is_empty() {
                    text.insert(&mut at_work, *at, inserted);
                }
            }
            let update = at_work.encode_update_v1();
            drop(at_work);
            updates.push(update);
            numbers[agent] += 1;
            saw.raise(Origin::new(agent as u16, 0), numbers[agent]);
            after.push(saw);
            for other in (0..trace.num_agents).filter(|other| *other != agent) {
                undelivered[other].push(number);
            }
        }
        for (doc, undelivered) in docs.iter().zip(&undelivered) {
            let text = doc.get_or_insert_text("text");
            let mut at_work = doc.transact_mut();
            for number in undelivered {
                at_work
                    .apply_update(Update::decode_v1(&updates[*number]).unwrap())
                    .unwrap();
            }
            assert!(text.get_string(&at_work) == trace.end_content, "{name}");
        }
    }
}
