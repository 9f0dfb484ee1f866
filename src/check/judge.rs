//! Judges a history: one model, one kind of objects, a verdict.

use super::causal;
use super::explain::Violation;
use super::history::{Action, Fault, History, Problem, Problems, Saw};
use super::linearizable::{self, Answer};
use super::logs;
use super::models::{Model, Spec, unsupported};
use super::sequential;

/// What a history is found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It keeps the model.
    Holds,
    /// It doesn't.
    Violated,
    /// It couldn't be decided.
    Unknown,
}

/// How much work a judgement may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// The most steps of a search: for each object where objects are judged one by one, otherwise for the history. A step tries
    /// one operation in one state.
    pub steps: u64,
    /// The most bytes in which a search remembers the configurations from which there is no way: for each search that runs at the
    /// same time, on top of the history.
    pub memory: usize,
}

impl Default for Budget {
    /// A hundred million steps: some seconds where an operation's place is nearly clear, minutes where it isn't. 256 MiB.
    fn default() -> Self {
        Self {
            steps: 100_000_000,
            memory: 256 << 20,
        }
    }
}

impl Budget {
    /// So many steps, with the usual memory.
    pub(in crate::check) fn of_steps(steps: u64) -> Self {
        Self {
            steps,
            ..Self::default()
        }
    }
}

/// A judgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The model.
    pub model: Model,
    /// What the objects are.
    pub spec: Spec,
    /// What was found.
    pub verdict: Verdict,
    /// For a violation: which.
    pub violation: Option<Violation>,
    /// For what couldn't be decided: why.
    pub undecided: Option<String>,
    /// How many steps the searches took; none where no search was needed.
    pub steps: u64,
}

/// Why a history isn't judged at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The model can't judge such objects, for this reason.
    Unsupported(&'static str),
    /// The history holds operations that the objects don't have.
    Problems(Problems),
}

/// Judges a history.
///
/// The verdict is exact: a violated history breaks the model, and one that holds keeps it, as `docs/histories.md` defines both.
/// It is the same on any number of threads.
///
/// # Errors
/// If the model can't judge these objects, or the history has operations that they don't have.
pub fn judge(history: &History, model: Model, spec: Spec, budget: Budget) -> Result<Judgement, Refusal> {
    if let Some(why) = unsupported(model, spec) {
        return Err(Refusal::Unsupported(why));
    }
    vocabulary(history, model, spec).map_err(Refusal::Problems)?;
    let (answer, steps) = match (model, spec) {
        (_, Spec::ListAppend) => (logs::check(history, model), 0),
        (_, Spec::Set) if logs::applies_to_sets(history) => (logs::check(history, model), 0),
        (Model::Linearizable, _) => linearizable::check(history, spec, budget),
        (Model::Sequential, _) => sequential::check(history, spec, budget),
        (_, Spec::Set) => {
            let why = "an element is added twice: the weaker models are decided where every element is added once";
            (Answer::Unknown(why.into()), 0)
        }
        _ => (causal::check(history, model, budget.steps), 0),
    };
    let (verdict, violation, undecided) = match answer {
        Answer::Holds => (Verdict::Holds, None, None),
        Answer::Violated(violation) => (Verdict::Violated, Some(*violation), None),
        Answer::Unknown(why) => (Verdict::Unknown, None, Some(why)),
    };
    Ok(Judgement {
        model,
        spec,
        verdict,
        violation,
        undecided,
        steps,
    })
}

/// Refuses operations that the objects don't have, or that the model can't judge.
fn vocabulary(history: &History, model: Model, spec: Spec) -> Result<(), Problems> {
    let mut problems = Problems::default();
    let words = spec.words_under(model);
    for operation in history.operations() {
        let word = operation.action.word();
        if !words.contains(&word) {
            let others: Vec<&str> = Spec::ALL
                .iter()
                .filter(|(_, of)| unsupported(model, *of).is_none() && of.words_under(model).contains(&word))
                .map(|(name, _)| *name)
                .collect();
            let (message, help) = if spec.words().contains(&word) {
                (
                    format!(
                        "`{word}` can't be judged under {model}: it judges {}",
                        words.join(" and ")
                    ),
                    "linearizable and sequential judge all operations".to_string(),
                )
            } else if others.is_empty() {
                (format!("`{word}` is no operation of {spec}"), String::new())
            } else {
                (
                    format!("`{word}` is no operation of {spec}"),
                    format!("{} has it: --spec {}", others.join(", "), others[0]),
                )
            };
            problems.push(Problem::at(Fault::NotInSpec, operation.line, message).help(help));
        } else if let Action::Read { saw, .. } = operation.action {
            match (saw, spec) {
                (Saw::One(_), Spec::Set) => problems.push(
                    Problem::at(
                        Fault::NotInSpec,
                        operation.response_line,
                        "a read of a set returned a single value",
                    )
                    .help("a set's read returns all its elements, as a list; for registers say --spec register"),
                ),
                (Saw::Many(_), Spec::Register | Spec::CasRegister | Spec::Kv) => problems.push(
                    Problem::at(
                        Fault::NotInSpec,
                        operation.response_line,
                        "a read of a register returned a collection",
                    )
                    .help("for sets say --spec set; a keyed read of Jepsen is invoked with the value [key nil]"),
                ),
                _ => {}
            }
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}
