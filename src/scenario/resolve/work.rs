//! `work`: graphs of tasks, who does them, and by which handlers.

use super::Resolver;
use crate::coordination::Protocol;
use crate::coordination::member::NEVER;
use crate::coordination::orchestrator::{Rules, Standby};
use crate::coordination::work::{Task, TaskGraph, in_order};
use crate::scenario::language::coordination::Pattern;
use crate::scenario::language::work::{Task as Written, Work};
use crate::scenario::syntax::{Code, Diagnostic, Part, Spanned, write};
use std::collections::BTreeMap;

/// The most tasks of a graph.
const MOST_TASKS: usize = 10_000;

/// The topic of a task's handler.
fn topic_of<'t>(name: &'t Spanned<String>, task: &'t Written) -> Option<&'t Spanned<String>> {
    task.on.get().map(|on| on.as_ref().unwrap_or(name))
}

impl Resolver<'_, '_> {
    /// The topics of the handlers by which tasks are done.
    pub(super) fn topics_of_work(&self) -> Vec<String> {
        let works = self.file.work.known();
        let tasks = works.flat_map(|(_, work)| work.tasks.known());
        tasks
            .filter_map(|(name, task)| Some(topic_of(name, task)?.value.clone()))
            .collect()
    }

    /// What agents reply to those who give them tasks.
    pub(super) fn results_of_work(&mut self) {
        let file = self.file;
        for (name, task) in file.work.known().flat_map(|(_, work)| work.tasks.known()) {
            if let (Some(topic), Some(bytes)) = (topic_of(name, task), self.bytes_of(&task.result))
                && let Some(topic) = self.topics.get(&topic.value)
            {
                self.engaged.insert(*topic, bytes);
            }
        }
    }

    /// Checks all graphs, whether anybody works on them or not.
    pub(super) fn check_work(&mut self) {
        let file = self.file;
        for (name, work) in file.work.known() {
            let graph = self.graph(name, work);
            self.graphs.insert(name.value.clone(), graph);
        }
    }

    fn graph(&mut self, name: &Spanned<String>, work: &Work) -> Option<TaskGraph> {
        let errors = self.out.error_count();
        let tasks: Vec<(&Spanned<String>, &Part<Written>)> = work.tasks.canonical().collect();
        if tasks.is_empty() && work.tasks.is_whole() {
            self.error(Code::BadWork, name.span, "there is nothing to do: `tasks` is empty");
        }
        if tasks.len() > MOST_TASKS {
            self.error(
                Code::TooMany,
                name.span,
                format!("a graph has {MOST_TASKS} tasks at most"),
            );
            return None;
        }
        let mut needs: Vec<Vec<usize>> = Vec::new();
        for (_, task) in &tasks {
            let named = task.get().and_then(|task| task.needs.get());
            let mut known = Vec::new();
            for need in named.iter().flat_map(|needs| &needs.value.0).filter_map(Part::get) {
                if work
                    .tasks
                    .look_up(need, Code::BadWork, "task of this graph", self.out)
                    .is_some()
                {
                    known.extend(work.tasks.position(need));
                }
            }
            needs.push(known);
        }
        let order = match in_order(&needs) {
            Ok(order) => order,
            Err(cycle) => {
                let names: Vec<String> = cycle.iter().map(|task| write::quoted(tasks[*task].0)).collect();
                let first = tasks[cycle[0]];
                let span = first
                    .1
                    .get()
                    .and_then(|task| task.needs.get())
                    .map_or(first.0.span, |needs| needs.span);
                let message = match names.as_slice() {
                    [one] => format!("{one} needs itself"),
                    [first, ..] => format!(
                        "{}, which needs {first}: nobody can begin",
                        names.join(", which needs ").replacen(", which needs", " needs", 1)
                    ),
                    [] => unreachable!("a cycle has tasks"),
                };
                self.error(Code::BadWork, span, message);
                return None;
            }
        };
        let mut place = vec![0u16; tasks.len()];
        for (at, task) in order.iter().enumerate() {
            place[*task] = at as u16;
        }
        let mut graph = TaskGraph::default();
        let mut crews: BTreeMap<String, u16> = BTreeMap::new();
        for number in order {
            let (name, task) = (tasks[number].0, tasks[number].1.get());
            let needs = needs[number].iter().map(|need| place[*need]).collect();
            let Some(task) = task.and_then(|task| self.task(name, task, (work, &place), needs, &mut crews, &mut graph))
            else {
                continue;
            };
            graph.tasks.push(task);
        }
        (self.out.error_count() == errors && graph.tasks.len() == tasks.len()).then_some(graph)
    }

    fn task(
        &mut self,
        name: &Spanned<String>,
        task: &Written,
        (work, place): (&Work, &[u16]),
        needs: Vec<u16>,
        crews: &mut BTreeMap<String, u16>,
        graph: &mut TaskGraph,
    ) -> Option<Task> {
        let (by, topic) = (task.by.get()?, topic_of(name, task)?);
        let agents = self.engaged_agents(by, topic)?;
        let checks = match task.checks.get()? {
            None => None,
            Some(checks) => {
                work.tasks
                    .look_up(checks, Code::BadWork, "task of this graph", self.out)?;
                let checked = place[work.tasks.position(checks)?];
                if !needs.contains(&checked) {
                    let message = format!(
                        "a task checks what it needs, and {} isn't among that",
                        write::quoted(checks)
                    );
                    self.error(Code::BadWork, checks.span, message);
                    return None;
                }
                Some(checked)
            }
        };
        let crew = *crews.entry(by.value.clone()).or_insert_with(|| {
            graph.crews.push(agents);
            graph.crews.len() as u16 - 1
        });
        Some(Task {
            name: name.value.clone(),
            crew,
            topic: self.topics[&topic.value],
            needs,
            checks,
            rounds: **task.rounds.get()?,
            bytes: self.bytes_of(&task.input)?,
            result: self.bytes_of(&task.result)?,
        })
    }

    /// The graph of this name.
    pub(super) fn work(&mut self, name: &Spanned<String>) -> Option<TaskGraph> {
        self.file.work.look_up(name, Code::BadWork, "work", self.out)?;
        self.graphs.get(&name.value)?.clone()
    }

    pub(super) fn orchestrator_group(&mut self, pattern: &Spanned<Pattern>, members: usize) -> Option<Protocol> {
        let Pattern::Orchestrator {
            work,
            at_once,
            timeout,
            attempts,
            decides,
            log,
            standby,
        } = &pattern.value
        else {
            return None;
        };
        let graph = work.get().and_then(|work| self.work(work));
        let decides = decides.get().and_then(|decides| self.time(decides));
        let standby = match standby.get()? {
            None => {
                if members > 1 {
                    let message = format!("an orchestrator is alone, and this group has {members} members");
                    let problem = Diagnostic::error(Code::BadCoordination, pattern.span, message);
                    self.out
                        .push(problem.help("others take over from it with `standby: ()`"));
                }
                None
            }
            Some(standby) => {
                let (heartbeat, after) = (&standby.value.heartbeat, &standby.value.after);
                self.check_order(("heartbeat", heartbeat), ("after", after), false);
                if members < 2 {
                    self.error(
                        Code::BadCoordination,
                        standby.span,
                        "there is no second member that could take over",
                    );
                }
                Some(Standby {
                    heartbeat: heartbeat.get()?.value.as_nanos() as i64,
                    after: after.get()?.value.as_nanos() as i64,
                    members: members as u32,
                })
            }
        };
        Some(Protocol::Orchestrator(Box::new(Rules {
            graph: graph?,
            at_once: **at_once.get()?,
            timeout: timeout
                .get()?
                .as_ref()
                .map_or(NEVER, |timeout| i64::try_from(timeout.as_nanos()).unwrap_or(NEVER)),
            attempts: **attempts.get()?,
            decides: decides?,
            log: log.get()?.as_ref().map(|log| log.as_nanos()),
            standby,
        })))
    }
}
