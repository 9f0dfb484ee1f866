//! Work: a graph of tasks, and how far a job that goes through it has come.
//!
//! A task is done by agents of a crew, once what it needs is done. Its result is wrong if the agent errs, or if it builds on what is wrong; nobody
//! sees that. A task that checks another one comes to a judgement of its result: if that says no, the other is done again.

use serde::Serialize;

/// What happens to work, whoever leads it: the events that its measures are made of, beside those of all protocols.
pub mod notes {
    use super::super::member::event;
    /// A job began. About: its identity.
    pub const BEGUN: u16 = event::OWN;
    /// A task was given to an agent. About: the job; word: the engagement; extra: the task, its round, which attempt, the agent, and 1 if it
    /// begins on drafts.
    pub const GIVEN: u16 = event::OWN + 1;
    /// A result was taken. About: the job; word: the engagement; extra: the task, and the answer; of a team also the round: of those
    /// of one task and round the first counts.
    pub const USED: u16 = event::OWN + 2;
    /// A check has a task done again. About: the job; word: the task; extra, of a team: the round that is over.
    pub const AGAIN: u16 = event::OWN + 3;
    /// A task took too long. About: the job; word: the engagement; extra: the task.
    pub const LATE: u16 = event::OWN + 4;
    /// A job is over. About: its identity; word: how ([`super::outcome`]).
    pub const OVER: u16 = event::OWN + 5;
    /// An orchestrator is back, or has taken over. About: how many jobs it goes on with; word: how many entries of the log it has read.
    pub const RECOVERED: u16 = event::OWN + 6;
    /// A member of a team claims a task. About: the job; word: the task; extra: its round.
    pub const CLAIMED: u16 = event::OWN + 7;
    /// A member gives up a claim before its agent has begun. About: the job; word: the task; extra: its round.
    pub const YIELDED: u16 = event::OWN + 8;
    /// It is known whether work on drafts stands. About: the job; word: the engagement; extra: the task, and 1 if it does.
    pub const SETTLED: u16 = event::OWN + 9;
}

/// How a job ends.
pub mod outcome {
    /// All is done, and right.
    pub const RIGHT: u64 = 0;
    /// All is done, and its outcome is wrong.
    pub const WRONG: u64 = 1;
    /// It was given up.
    pub const GIVEN_UP: u64 = 2;
}

/// A task of a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its name.
    pub name: String,
    /// The crew that does it.
    pub crew: u16,
    /// The topic of the handler by which an agent does it.
    pub topic: u16,
    /// The tasks that must be done before.
    pub needs: Vec<u16>,
    /// The task whose result it checks: one of those that it needs.
    pub checks: Option<u16>,
    /// How often the other is done at most, as the check says no.
    pub rounds: u32,
    /// The size of what an agent is given for it.
    pub bytes: u32,
    /// The size of its result.
    pub result: u32,
}

/// A graph of tasks without a cycle: what a task needs stands before it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskGraph {
    /// The tasks.
    pub tasks: Vec<Task>,
    /// For each crew the entity of its first agent, and how many there are.
    pub crews: Vec<(u32, u32)>,
}

impl TaskGraph {
    /// The tasks that need this one.
    pub fn dependents(&self, task: u16) -> impl Iterator<Item = u16> + '_ {
        let needs = move |(_, other): &(u16, &Task)| other.needs.contains(&task);
        (0u16..).zip(&self.tasks).filter(needs).map(|(number, _)| number)
    }
}

/// Puts tasks in an order in which what each needs stands before it, by the places of what they need: the earliest that can be is next.
/// `Err`: the places of tasks on a cycle, in its order.
pub fn in_order(needs: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut order: Vec<usize> = Vec::with_capacity(needs.len());
    let mut placed = vec![false; needs.len()];
    while order.len() < needs.len() {
        let ready = |task: &usize| !placed[*task] && needs[*task].iter().all(|need| placed[*need]);
        let Some(next) = (0..needs.len()).find(ready) else {
            return Err(cycle(needs, &placed));
        };
        placed[next] = true;
        order.push(next);
    }
    Ok(order)
}

/// A cycle among the tasks that couldn't be placed.
fn cycle(needs: &[Vec<usize>], placed: &[bool]) -> Vec<usize> {
    let mut path = Vec::new();
    let mut at = placed.iter().position(|placed| !placed).expect("something is left");
    loop {
        if let Some(start) = path.iter().position(|before| *before == at) {
            return path.split_off(start);
        }
        path.push(at);
        // Whatever couldn't be placed needs something that couldn't be either.
        at = *needs[at]
            .iter()
            .find(|need| !placed[**need])
            .expect("else it could be placed");
    }
}

/// How far a task of a job has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Stage {
    /// Something that it needs isn't done.
    Waiting,
    /// It can be begun.
    Ready,
    /// It was given to somebody.
    Begun,
    /// It is done.
    Done {
        /// Whether its result is wrong, which nobody knows.
        wrong: bool,
    },
}

/// How far a job has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Progress {
    stages: Vec<Stage>,
    /// How often each task was begun anew because a check said no.
    rounds: Vec<u32>,
}

impl Progress {
    /// A job of which nothing is done.
    pub fn new(graph: &TaskGraph) -> Self {
        let mut progress = Self {
            stages: vec![Stage::Waiting; graph.tasks.len()],
            rounds: vec![0; graph.tasks.len()],
        };
        progress.promote(graph);
        progress
    }

    /// How far a task has come.
    pub fn stage(&self, task: u16) -> Stage {
        self.stages[usize::from(task)]
    }

    /// How often a task was begun anew because a check said no.
    pub fn round(&self, task: u16) -> u32 {
        self.rounds[usize::from(task)]
    }

    /// The tasks that can be begun.
    pub fn ready(&self) -> impl Iterator<Item = u16> + '_ {
        let ready = |(_, stage): &(u16, &Stage)| **stage == Stage::Ready;
        (0u16..).zip(&self.stages).filter(ready).map(|(task, _)| task)
    }

    /// A task is given to somebody; or, if `given` is false, is to be given anew.
    pub fn give(&mut self, task: u16, given: bool) {
        let stage = &mut self.stages[usize::from(task)];
        if !matches!(stage, Stage::Done { .. }) {
            *stage = if given { Stage::Begun } else { Stage::Ready };
        }
    }

    /// What an answer without error says about a task: for a check 1 if the result that it checks is wrong, else 0.
    pub fn question(&self, graph: &TaskGraph, task: u16) -> u64 {
        let checked = graph.tasks[usize::from(task)].checks;
        u64::from(checked.is_some_and(|checked| self.is_wrong(checked)))
    }

    fn is_wrong(&self, task: u16) -> bool {
        self.stage(task) == Stage::Done { wrong: true }
    }

    /// A task is done, with this answer. Returns the task that is to be done again, if a check says so.
    pub fn done(&mut self, graph: &TaskGraph, task: u16, answer: u64) -> Option<u16> {
        let Task {
            checks, rounds, needs, ..
        } = &graph.tasks[usize::from(task)];
        let says_wrong = answer & 1 == 1;
        if let Some(checked) = *checks
            && says_wrong
            && self.round(checked) + 1 < *rounds
        {
            self.rounds[usize::from(checked)] += 1;
            self.stages[usize::from(checked)] = Stage::Ready;
            self.stages[usize::from(task)] = Stage::Waiting;
            return Some(checked);
        }
        // What a check lets through is as right as what it has checked.
        let wrong = match checks {
            Some(checked) => self.is_wrong(*checked),
            None => says_wrong || needs.iter().any(|need| self.is_wrong(*need)),
        };
        self.stages[usize::from(task)] = Stage::Done { wrong };
        self.promote(graph);
        None
    }

    /// What has all that it needs can be begun.
    fn promote(&mut self, graph: &TaskGraph) {
        for (number, task) in graph.tasks.iter().enumerate() {
            let is_done = |need: &u16| matches!(self.stage(*need), Stage::Done { .. });
            if self.stages[number] == Stage::Waiting && task.needs.iter().all(is_done) {
                self.stages[number] = Stage::Ready;
            }
        }
    }

    /// Whether everything is done.
    pub fn is_over(&self) -> bool {
        self.stages.iter().all(|stage| matches!(stage, Stage::Done { .. }))
    }

    /// Whether the job's outcome is wrong: something that nothing else builds on is.
    pub fn outcome_is_wrong(&self, graph: &TaskGraph) -> bool {
        (0..graph.tasks.len() as u16).any(|task| self.is_wrong(task) && graph.dependents(task).next().is_none())
    }

    /// Nobody is at work on anything any more.
    pub fn forget_begun(&mut self) {
        for stage in &mut self.stages {
            if *stage == Stage::Begun {
                *stage = Stage::Ready;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(name: &str, needs: &[u16], checks: Option<u16>) -> Task {
        Task {
            name: name.to_string(),
            crew: 0,
            topic: 0,
            needs: needs.to_vec(),
            checks,
            rounds: 3,
            bytes: 0,
            result: 0,
        }
    }

    fn graph() -> TaskGraph {
        TaskGraph {
            tasks: vec![
                task("research", &[], None),
                task("code", &[0], None),
                task("review", &[1], Some(1)),
                task("ship", &[2], None),
            ],
            crews: vec![(0, 1)],
        }
    }

    #[test]
    fn tasks_become_ready_when_what_they_need_is_done() {
        let graph = graph();
        let mut job = Progress::new(&graph);
        assert_eq!(job.ready().collect::<Vec<_>>(), [0]);
        assert_eq!(job.done(&graph, 0, 0), None);
        assert_eq!(job.ready().collect::<Vec<_>>(), [1]);
        job.give(1, true);
        assert_eq!(job.ready().count(), 0);
    }

    #[test]
    fn a_check_that_says_no_has_it_done_again_until_its_rounds_are_over() {
        let graph = graph();
        let mut job = Progress::new(&graph);
        job.done(&graph, 0, 0);
        for round in 0..3 {
            assert_eq!(job.round(1), round);
            job.done(&graph, 1, 1);
            assert_eq!(job.question(&graph, 2), 1, "the check should find it");
            let again = job.done(&graph, 2, 1);
            assert_eq!(again, (round < 2).then_some(1));
        }
        // The third round is the last: it goes on with what is there.
        assert_eq!(job.stage(2), Stage::Done { wrong: true });
        job.done(&graph, 3, 0);
        assert!(job.is_over() && job.outcome_is_wrong(&graph));
    }

    #[test]
    fn what_builds_on_a_wrong_result_is_wrong_unless_a_check_has_it_mended() {
        let graph = graph();
        let mut job = Progress::new(&graph);
        job.done(&graph, 0, 0);
        job.done(&graph, 1, 1);
        job.done(&graph, 2, 1);
        job.done(&graph, 1, 0);
        assert_eq!(job.question(&graph, 2), 0);
        job.done(&graph, 2, 0);
        job.done(&graph, 3, 0);
        assert!(job.is_over() && !job.outcome_is_wrong(&graph));
    }

    #[test]
    fn an_order_is_found_or_a_cycle_is_named() {
        assert_eq!(in_order(&[vec![2], vec![], vec![1]]), Ok(vec![1, 2, 0]));
        let cycle = in_order(&[vec![1], vec![2], vec![3], vec![1]]).unwrap_err();
        assert_eq!(cycle, [1, 2, 3]);
        assert_eq!(in_order(&[vec![0]]), Err(vec![0]));
    }
}
