//! What was promised, from what members have taken down and nothing else.

use super::*;
use crate::coordination::member::Answer;
use std::collections::BTreeMap;

/// What was asked: the request's identity and value, the desk, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asking {
    pub identity: u64,
    pub value: u64,
    pub at: u64,
    pub token: u64,
}

/// Says which promise was broken first.
pub(super) fn judge(
    bench: &Bench<Node>,
    asked: &[Asking],
    crashes: &[(u64, u32)],
    is_correct: impl Fn(u32) -> bool,
) -> Result<(), String> {
    // The order, as it was first executed by anybody, and where each request is in it.
    let mut order: BTreeMap<u64, u64> = BTreeMap::new();
    let mut places: BTreeMap<u64, u64> = BTreeMap::new();
    let mut last: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    // Asked for again, it keeps the time at which it was asked for first.
    let values: BTreeMap<u64, (u64, u64)> = asked
        .iter()
        .rev()
        .map(|one| (one.identity, (one.value, one.at)))
        .collect();
    for (at, who, note) in bench.notes.iter().filter(|(_, who, _)| is_correct(*who)) {
        match note.event {
            event::DECIDED => {
                let (identity, place, value) = (note.about, note.word, note.extra[0]);
                match values.get(&identity) {
                    Some((right, since)) if *right == value && since <= at => {}
                    _ => return Err(format!("{who} executes {identity} as {value}, for which nobody asked")),
                }
                let (since, before) = last.insert(*who, (*at, place)).unwrap_or((0, 0));
                // What a member was busy with when it crashed is on its disk, and was never said.
                let crashed = crashes
                    .iter()
                    .any(|(when, member)| member == who && (since..=*at).contains(when));
                if place != before + 1 && !(crashed && place > before) {
                    return Err(format!("{who} goes from place {before} to {place}"));
                }
                if *order.entry(place).or_insert(identity) != identity {
                    let other = order[&place];
                    return Err(format!(
                        "{who} has {identity} at place {place}; others disagree: {other}"
                    ));
                }
                if *places.entry(identity).or_insert(place) != place {
                    return Err(format!(
                        "{who} executes {identity} twice: at {place} and {}",
                        places[&identity]
                    ));
                }
            }
            notes::INSTALLED => {
                last.insert(*who, (*at, note.word));
            }
            _ => {}
        }
    }
    judge_answers(&bench.answers, asked, &places)
}

/// Whoever is answered is told what was asked for, after it was executed, and in an order that agrees with time.
fn judge_answers(answers: &[(u64, u32, Answer)], asked: &[Asking], places: &BTreeMap<u64, u64>) -> Result<(), String> {
    let tokens: BTreeMap<u64, &Asking> = asked.iter().map(|one| (one.token, one)).collect();
    let mut ended = Vec::new();
    for (at, desk, answer) in answers {
        let Some(asking) = tokens.get(&answer.token) else {
            return Err(format!("{desk} answers what nobody asked"));
        };
        if answer.value != asking.value {
            return Err(format!("who asks for {} is told {}", asking.value, answer.value));
        }
        let Some(place) = places.get(&asking.identity) else {
            return Err(format!("{} is answered and was executed by nobody", asking.identity));
        };
        ended.push((*at, *place));
    }
    for asking in asked {
        let Some(place) = places.get(&asking.identity) else {
            continue;
        };
        // An identity that is asked for again was perhaps executed long before.
        let first = asked
            .iter()
            .filter(|one| one.identity == asking.identity)
            .map(|one| one.at)
            .min();
        let since = first.unwrap_or(asking.at);
        if let Some((at, later)) = ended.iter().find(|(at, other)| *at < since && other > place) {
            return Err(format!(
                "{} was asked after {at}, by when {later} was answered, and is at {place}",
                asking.identity
            ));
        }
    }
    Ok(())
}
