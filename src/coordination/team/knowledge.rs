//! What members of a team know: facts, each from the member that made it so, and how they tell each other.
//!
//! Each member numbers the facts that it makes. What a member knows is so many of each other's, from the first on: a vector of numbers says
//! all of it, and two that compare their vectors know what the other lacks. News come whole or not at all, so that whoever knows a fact knows
//! all that its maker knew.

use super::super::member::Saying;
use crate::kernel::Words;
use crate::state::content::content_hash;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A task of a job, in one of its rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The job.
    pub job: u64,
    /// The task.
    pub task: u16,
    /// How often it was to be done again.
    pub round: u32,
}

/// Something that is so, since a member made it so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact {
    /// A job was submitted.
    Job {
        /// Its identity.
        job: u64,
        /// When, by its member's clock.
        at: i64,
    },
    /// The member claims a task for its agent.
    Claim {
        /// Which.
        of: Place,
        /// When, by its member's clock.
        at: i64,
    },
    /// The member's agent has a draft of a result.
    Draft {
        /// Of what.
        of: Place,
    },
    /// The member gives up a claim.
    Dropped {
        /// Of what.
        of: Place,
        /// Of when.
        at: i64,
        /// Whether its agent is free; else it goes on with what nobody wants.
        free: bool,
    },
    /// A task is done.
    Result {
        /// Which.
        of: Place,
        /// When, by its member's clock.
        at: i64,
        /// What the agent said.
        answer: u64,
        /// Whether it is wrong, which nobody looks at.
        wrong: bool,
        /// Whether it is what the draft had said.
        holds: bool,
    },
    /// A job is over, since all is done.
    Over {
        /// Which.
        job: u64,
        /// Whether its outcome is wrong, which nobody looks at.
        wrong: bool,
    },
}

/// Who makes facts: a member, in one of the lives between two losses of its disk.
pub type Origin = (u32, u32);

/// How many facts of each origin somebody knows.
pub type Vector = Vec<(Origin, u64)>;

/// Facts of one origin that follow each other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Run {
    /// Whose.
    pub origin: Origin,
    /// The number of the first, from 1.
    pub first: u64,
    /// The facts.
    pub facts: Vec<Fact>,
}

/// All that a member knows.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Knowledge {
    logs: BTreeMap<Origin, Vec<Fact>>,
}

impl Knowledge {
    /// How many facts of each origin it holds.
    pub fn vector(&self) -> Vector {
        let counted = |(origin, log): (&Origin, &Vec<Fact>)| (*origin, log.len() as u64);
        self.logs.iter().map(counted).collect()
    }

    /// Adds a fact of its own.
    pub fn push(&mut self, origin: Origin, fact: Fact) {
        self.logs.entry(origin).or_default().push(fact);
    }

    /// The facts that somebody lacks who knows so much.
    pub fn beyond(&self, vector: &Vector) -> Vec<Run> {
        let known: BTreeMap<Origin, u64> = vector.iter().copied().collect();
        let run = |(origin, log): (&Origin, &Vec<Fact>)| {
            let known = known.get(origin).copied().unwrap_or(0);
            ((log.len() as u64) > known).then(|| Run {
                origin: *origin,
                first: known + 1,
                facts: log[known as usize..].to_vec(),
            })
        };
        self.logs.iter().filter_map(run).collect()
    }

    /// Whether somebody who knows so much knows something that this one doesn't.
    pub fn lacks(&self, vector: &Vector) -> bool {
        let held = |origin: &Origin| self.logs.get(origin).map_or(0, |log| log.len() as u64);
        vector.iter().any(|(origin, count)| *count > held(origin))
    }

    /// Takes news in, and returns those that are new. News with a gap before them are left: they come again.
    ///
    /// `again` is a flaw for tests: the last of what has come before is taken for new.
    pub fn learn(&mut self, runs: Vec<Run>, again: bool) -> Vec<(Origin, Fact)> {
        let held = |origin: &Origin| self.logs.get(origin).map_or(0, |log| log.len() as u64);
        if runs.iter().any(|run| run.first > held(&run.origin) + 1) {
            return Vec::new();
        }
        let mut news = Vec::new();
        for run in runs {
            let log = self.logs.entry(run.origin).or_default();
            let known = (log.len() as u64 + 1 - run.first) as usize;
            let known = known.saturating_sub(usize::from(again));
            for fact in run.facts.into_iter().skip(known) {
                log.push(fact);
                news.push((run.origin, fact));
            }
        }
        news
    }
}

/// What members say to each other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Said {
    /// I know so much: a round begins.
    Digest {
        /// In which life.
        life: u32,
        /// What it knows.
        vector: Vector,
    },
    /// This is what you lack, and so much I know, if that is less than you do.
    Reply {
        /// The life of whoever asked.
        life: u32,
        /// The news.
        runs: Vec<Run>,
        /// The life and the vector of whoever answers, if it lacks something.
        wants: Option<(u32, Vector)>,
        /// The size of the results among the news.
        results: u32,
    },
    /// This is what you lack.
    Push {
        /// The life of whoever asked.
        life: u32,
        /// The news.
        runs: Vec<Run>,
        /// The size of the results among the news.
        results: u32,
    },
}

/// The size of a vector: member, life and number of each origin.
fn vector_bytes(vector: &Vector) -> u32 {
    4 + 12 * vector.len() as u32
}

/// The size of news: for each run its origin, its first number and how many, for each fact its kind and five words.
fn run_bytes(runs: &[Run]) -> u32 {
    runs.iter().map(|run| 20 + 36 * run.facts.len() as u32).sum()
}

impl Saying for Said {
    const KINDS: &'static [&'static str] = &["digest", "reply", "push"];

    fn kind(&self) -> u16 {
        match self {
            Self::Digest { .. } => 0,
            Self::Reply { .. } => 1,
            Self::Push { .. } => 2,
        }
    }

    fn bytes(&self) -> u32 {
        match self {
            Self::Digest { vector, .. } => 8 + vector_bytes(vector),
            Self::Reply {
                runs, wants, results, ..
            } => {
                let wants = wants.as_ref().map_or(0, |(_, vector)| 4 + vector_bytes(vector));
                (8 + run_bytes(runs) + wants).saturating_add(*results)
            }
            Self::Push { runs, results, .. } => (8 + run_bytes(runs)).saturating_add(*results),
        }
    }

    fn digest(&self, words: &mut Words) {
        words.push(content_hash(self));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn fact(job: u64) -> Fact {
        Fact::Job { job, at: 0 }
    }

    #[test]
    fn two_that_compare_their_vectors_know_the_same_after_three_messages() {
        let (mut one, mut other) = (Knowledge::default(), Knowledge::default());
        (1..=3).for_each(|job| one.push((0, 0), fact(job)));
        (4..=5).for_each(|job| other.push((1, 0), fact(job)));
        let reply = other.beyond(&one.vector());
        assert!(other.lacks(&one.vector()));
        assert_eq!(one.learn(reply.clone(), false).len(), 2);
        assert_eq!(one.learn(reply, false), []);
        assert!(!one.lacks(&other.vector()));
        other.learn(one.beyond(&other.vector()), false);
        assert_eq!(one, other);
    }

    #[test]
    fn news_with_a_gap_before_them_are_left() {
        let mut one = Knowledge::default();
        let run = |first: u64, jobs: &[u64]| Run {
            origin: (7, 0),
            first,
            facts: jobs.iter().copied().map(fact).collect(),
        };
        assert_eq!(one.learn(vec![run(2, &[2])], false), []);
        assert_eq!(one.learn(vec![run(1, &[1, 2])], false).len(), 2);
        // What overlaps what is known counts from where it is new.
        assert_eq!(one.learn(vec![run(2, &[2, 3])], false), [((7, 0), fact(3))]);
    }
}
