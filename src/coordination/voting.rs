//! Voting: a teller puts what is submitted to voters, counts their ballots, and answers yes or no.
//!
//! Voters are agents: a ballot is what a handler of theirs comes to, with the errors, the correlation and the abstentions of their group.
//! Guarantees: each voter's first ballot counts, with its weight; a result is given as soon as no ballot that is still out can change it, or
//! when the time is over; what was submitted once has one result, however often it is submitted again at the same teller.

#[cfg(test)]
mod tests;

use super::member::{Asked, Engagement, Input, Io, Member, NEVER, Saying, event};
use super::spec::PatternInfo;
use crate::agents::errs::ABSTAINED;
use crate::kernel::Words;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};

/// The pattern's page in the reference.
pub const INFO: PatternInfo = PatternInfo {
    name: "Voting",
    title: "Voting",
    kinds: <Said as Saying>::KINDS,
    doc: "\
A teller puts what an agent submits to all `voters`, who are agents: each runs its handler for the topic `on`, with the thinking and the calls
that are in it, and its ballot is the answer. The lowest bit of the submission's `value` is what would be right: 1 for a proposal that should be
approved. A voter says so unless its group `errs`; agents that run the same model err together, as much as `correlation` says, some abstain,
and with `wrong: 1.0` they lie.

`rule` says what approves: `Majority` (more for it than against), `Share(0.67)` (of the weight of those who voted yes or no), `AtLeast(3)` (so much weight), `Unanimous`
(nobody against). A group's ballots have a weight of 1 each, or what `weights` says; a no of a group in `veto` rejects whatever the others say. With
`quorum` so many ballots must have come, abstentions among them. The result is given as soon as no ballot that is still out can change it, and
after `timeout` from what is there: without a quorum nothing is approved, and the vote counts as undecided. The answer is yes or no:
`then` and `otherwise` of `Submit` go by it. Checking the signature of a ballot takes the teller `verify`; it does nothing else meanwhile.

A teller that crashes forgets the votes that are under way; agents whose policy has a timeout submit again, and voters vote anew about the same. Results are on its
disk. Tellers don't talk to each other: agents ask the nearest.

Costs: a question to each voter, and a ballot back.
",
};

/// What approves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// More for it than against it.
    Majority,
    /// At least this share of the weight of those who voted yes or no.
    Share(f64),
    /// At least so much weight.
    AtLeast(u64),
    /// Nobody against it, and somebody for it.
    Unanimous,
}

/// Somebody who votes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Voter {
    /// The agent's entity.
    pub agent: u32,
    /// The weight of its ballot.
    pub weight: u64,
    /// Whether its no rejects, whatever the others say.
    pub vetoes: bool,
}

/// What all tellers share.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// Who votes.
    pub voters: Vec<Voter>,
    /// The topic of their handler.
    pub topic: u16,
    /// What approves.
    pub rule: Rule,
    /// How many ballots must have come.
    pub quorum: u32,
    /// How long a vote lasts at most, in nanoseconds of the teller's clock; [`NEVER`] without an end.
    pub timeout: i64,
    /// How long it takes to check a ballot's signature, in nanoseconds.
    pub verify: u64,
    /// What is wrong with the tellers: for tests.
    pub flaw: Flaw,
}

/// Mistakes that a test plants, to see that its checks find them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Flaw {
    /// None.
    #[default]
    None,
    /// A ballot that comes again counts again.
    CountsTwice,
    /// The vote is over as soon as half of the weight is for it.
    HalfIsEnough,
}

/// A result, as answers and notes say it.
pub mod result {
    /// Rejected.
    pub const NO: u64 = 0;
    /// Approved.
    pub const YES: u64 = 1;
    /// Too few have voted in time; nothing is approved.
    pub const UNDECIDED: u64 = 2;
}

/// Tellers say nothing to each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Said {}

/// How many results a teller remembers.
const REMEMBERED: usize = 10_000;

/// A vote under way.
#[derive(Debug, Clone, Serialize)]
struct Vote {
    identity: u64,
    truth: u64,
    /// Who waits for the result.
    tokens: Vec<u64>,
    /// Whose ballots have come.
    voted: Vec<bool>,
    yes: u64,
    no: u64,
    abstained: u64,
    ballots: u32,
    vetoed: bool,
    due: i64,
}

/// A teller.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Teller {
    votes: BTreeMap<u64, Vote>,
    /// The votes under way, by what they are about.
    about: BTreeMap<u64, u64>,
    /// Votes begun; their numbers are on disk, so that late ballots of an earlier life are told apart.
    begun: u64,
    results: BTreeMap<u64, u64>,
    order: VecDeque<u64>,
}

/// The bits of an engagement's token that are the voter's number.
const VOTER_BITS: u32 = 24;

impl Vote {
    /// The result, if no ballot that is still out can change it; or, if `is_over`, the result from what is there.
    fn result(&self, rules: &Rules, is_over: bool) -> Option<u64> {
        let out: u64 = if is_over {
            0
        } else {
            let missing = rules.voters.iter().zip(&self.voted).filter(|(_, voted)| !**voted);
            missing.map(|(voter, _)| voter.weight).sum()
        };
        let all_in = out == 0;
        let has_quorum = self.ballots >= rules.quorum;
        if self.vetoed {
            return Some(result::NO);
        }
        if all_in && !has_quorum {
            return Some(result::UNDECIDED);
        }
        let can_veto = !is_over
            && rules
                .voters
                .iter()
                .zip(&self.voted)
                .any(|(voter, voted)| voter.vetoes && !voted);
        if has_quorum && !can_veto && passes(rules, self.yes, self.no + out) {
            return Some(result::YES);
        }
        // With all that is out for it, it would still not pass.
        (!passes(rules, self.yes + out, self.no)).then_some(result::NO)
    }
}

/// Whether so much weight for it and against it approves.
fn passes(rules: &Rules, yes: u64, no: u64) -> bool {
    if rules.flaw == Flaw::HalfIsEnough {
        return 2 * yes >= yes + no;
    }
    match rules.rule {
        Rule::Majority => yes > no,
        Rule::Share(share) => yes > 0 && yes as f64 >= share * (yes + no) as f64,
        Rule::AtLeast(weight) => yes >= weight,
        Rule::Unanimous => no == 0 && yes > 0,
    }
}

impl Teller {
    fn begin(&mut self, rules: &Rules, asked: Asked, io: &mut Io<'_, Said>) {
        if let Some(result) = self.results.get(&asked.identity) {
            return io.answer(asked.token, *result & 1);
        }
        if let Some(vote) = self
            .about
            .get(&asked.identity)
            .and_then(|vote| self.votes.get_mut(vote))
        {
            return vote.tokens.push(asked.token);
        }
        self.begun += 1;
        let number = self.begun;
        let vote = Vote {
            identity: asked.identity,
            truth: asked.value & 1,
            tokens: vec![asked.token],
            voted: vec![false; rules.voters.len()],
            yes: 0,
            no: 0,
            abstained: 0,
            ballots: 0,
            vetoed: false,
            due: io.now.saturating_add(rules.timeout),
        };
        for (voter, place) in rules.voters.iter().zip(0u64..) {
            io.engage(Engagement {
                token: number << VOTER_BITS | place,
                agent: voter.agent,
                topic: rules.topic,
                bytes: asked.bytes,
                question: vote.truth,
                judges: true,
                about: asked.identity,
            });
        }
        self.about.insert(asked.identity, number);
        self.votes.insert(number, vote);
    }

    fn ballot(&mut self, rules: &Rules, token: u64, answer: u64, io: &mut Io<'_, Said>) {
        let (number, place) = (token >> VOTER_BITS, (token & ((1 << VOTER_BITS) - 1)) as usize);
        let Some(vote) = self.votes.get_mut(&number) else {
            return;
        };
        io.work(rules.verify);
        if std::mem::replace(&mut vote.voted[place], true) && rules.flaw != Flaw::CountsTwice {
            return;
        }
        let voter = rules.voters[place];
        vote.ballots += 1;
        match answer {
            ABSTAINED => vote.abstained += voter.weight,
            answer if answer & 1 == 1 => vote.yes += voter.weight,
            _ => {
                vote.no += voter.weight;
                vote.vetoed |= voter.vetoes;
            }
        }
        if let Some(result) = vote.result(rules, false) {
            self.end(number, result, io);
        }
    }

    fn end(&mut self, number: u64, result: u64, io: &mut Io<'_, Said>) {
        let Some(vote) = self.votes.remove(&number) else { return };
        self.about.remove(&vote.identity);
        for (place, voted) in (0u64..).zip(&vote.voted) {
            if !voted {
                io.dismiss(number << VOTER_BITS | place);
            }
        }
        let extra = [result, vote.truth, vote.yes, vote.no, vote.abstained];
        io.note_with(event::DECIDED, vote.identity, 0, &extra);
        for token in vote.tokens {
            io.answer(token, result & 1);
        }
        self.results.insert(vote.identity, result);
        self.order.push_back(vote.identity);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.results.remove(&oldest);
        }
    }
}

impl Member for Teller {
    type Rules = Rules;
    type Message = Said;

    fn on(&mut self, rules: &Rules, input: Input<Said>, io: &mut Io<'_, Said>) {
        match input {
            Input::Asked(asked) => self.begin(rules, asked, io),
            Input::Engaged { token, answer } => self.ballot(rules, token, answer, io),
            Input::Due => {
                let over = self.votes.iter().filter(|(_, vote)| vote.due <= io.now);
                let over: Vec<u64> = over.map(|(number, _)| *number).collect();
                for number in over {
                    let result = self.votes[&number].result(rules, true).unwrap_or(result::NO);
                    self.end(number, result, io);
                }
            }
            Input::Withdrawn(token) => self
                .votes
                .values_mut()
                .for_each(|vote| vote.tokens.retain(|one| *one != token)),
            Input::Start | Input::Restarted => {}
            Input::Heard { message, .. } => match message {},
        }
    }

    fn due(&self, _: i64) -> i64 {
        // Votes last equally long, but for clocks that are stepped.
        self.votes.values().map(|vote| vote.due).min().unwrap_or(NEVER)
    }

    fn crash(&mut self, _: &Rules, keeps_disk: bool) {
        self.votes.clear();
        self.about.clear();
        if !keeps_disk {
            // Its numbers go on: what tells a late ballot apart is in the names of its questions, which nobody gives twice.
            self.results.clear();
            self.order.clear();
        }
    }
}

impl Saying for Said {
    const KINDS: &'static [&'static str] = &[];

    fn kind(&self) -> u16 {
        match *self {}
    }

    fn bytes(&self) -> u32 {
        match *self {}
    }

    fn digest(&self, _: &mut Words) {
        match *self {}
    }
}
