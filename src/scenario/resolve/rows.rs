//! Steps that replay recorded rows: which rows there are, which run each belongs to, and what is done in it.

use super::Resolver;
use crate::agents::Policy;
use crate::agents::rows::{Dispatch, EachRow, Runs, Take};
use crate::agents::step::{CallTokens, Step};
use crate::random::Labels;
use crate::scenario::language::Steps;
use crate::scenario::language::steps::{Success, Take as WrittenTake, TokenCount};
use crate::scenario::syntax::{Code, Diagnostic, Named, OneOrMany, Part, Span, Spanned, suggest, write};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Columns, by their names.
type Columns = Spanned<OneOrMany<Part<Spanned<String>>>>;

/// The fields of an `EachRow` that say which rows there are.
pub(super) struct Each<'s> {
    pub data: &'s Part<Spanned<String>>,
    pub run: &'s Part<Option<Columns>>,
    pub take: &'s Part<WrittenTake>,
    pub success: &'s Part<Option<Success>>,
}

/// The fields that say what is done in a row.
pub(super) struct By<'s> {
    pub column: &'s Part<Spanned<String>>,
    pub cases: &'s Named<Steps>,
    pub otherwise: &'s Option<Steps>,
}

/// The rows that steps go by.
#[derive(Clone)]
pub(super) struct Scope {
    /// What is known of them; `None`: nothing, and that is reported.
    known: Option<Rows>,
}

#[derive(Clone)]
struct Rows {
    data: Spanned<String>,
    runs: Arc<Runs>,
    /// Those that get to where the steps stand: their places in the order of runs.
    here: Arc<[u32]>,
}

/// Rows by the cases that they belong to.
struct Split {
    /// Of each row, in the order of runs, its case: by name, and behind all of them those that have none.
    case_of: Vec<u32>,
    /// Of each case, in the same order, the rows that get there.
    here: Vec<Arc<[u32]>>,
    /// The values of the rows that have none.
    others: Vec<String>,
}

impl Split {
    fn of(rows: &Rows, labels: &Labels, cases: &Named<Steps>) -> Self {
        let case = |name: &String| cases.position(name).unwrap_or(cases.len()) as u32;
        let of_label: Vec<u32> = labels.names().iter().map(case).collect();
        let label_of: Vec<u32> = rows.runs.rows().iter().map(|row| labels.of()[*row as usize]).collect();
        let case_of: Vec<u32> = label_of.iter().map(|label| of_label[*label as usize]).collect();
        let of_case = |case: u32| -> Arc<[u32]> {
            let here = rows.here.iter().copied();
            here.filter(|place| case_of[*place as usize] == case).collect()
        };
        let here: Vec<Arc<[u32]>> = (0..=cases.len() as u32).map(of_case).collect();
        let others: BTreeSet<u32> = here[cases.len()]
            .iter()
            .map(|place| label_of[*place as usize])
            .collect();
        let others = others.iter().map(|label| labels.names()[*label as usize].clone());
        Self {
            others: others.collect(),
            case_of,
            here,
        }
    }
}

/// Whose steps they are.
type Whose<'s> = (&'s Spanned<String>, &'s Named<Policy>);

/// How many values a message lists.
const LISTED: usize = 5;

impl Resolver<'_, '_> {
    /// Refuses what goes by a row where there is none.
    pub(super) fn in_run(&mut self, span: Span, what: &str) -> Option<()> {
        if self.row.is_none() {
            let message = format!("{what} goes by a recorded run, and there is no `EachRow` around it");
            self.error(Code::BadRows, span, message);
            return None;
        }
        Some(())
    }

    /// The step that replays a run.
    pub(super) fn each_row(
        &mut self,
        span: Span,
        each: &Each<'_>,
        by: &By<'_>,
        (group, policies): Whose<'_>,
    ) -> Option<Step> {
        if let Some(guess) = self.guess {
            let message = "a guess that proves wrong is done again, and this would be another run";
            let problem = Diagnostic::error(Code::BadRows, span.head(7), message);
            self.out.push(problem.label(guess.head(9), "the guess of this step"));
        }
        let rows = each.data.get().and_then(|data| self.runs(data, each.run));
        let success = each.success.each(|success| self.success(rows.as_ref()?, success));
        let outer = self.row.replace(Scope { known: rows.clone() });
        let dispatch = self.dispatch(by, (group, policies));
        self.row = outer;
        let take = match each.take.get()? {
            WrittenTake::InOrder => Take::InOrder,
            WrittenTake::Random => Take::Random,
        };
        (self.guess.is_none()).then_some(())?;
        Some(Step::EachRow(EachRow {
            runs: rows?.runs,
            take,
            success: success?,
            dispatch: dispatch?,
        }))
    }

    /// The rows of a data set, by runs.
    fn runs(&mut self, data: &Spanned<String>, run: &Part<Option<Columns>>) -> Option<Rows> {
        let of: Vec<u32> = match run.get()? {
            None => {
                // Any column says how many rows there are.
                let count = self.data.row_count(data, self.out)?;
                vec![0; count]
            }
            Some(columns) => {
                if columns.value.0.is_empty() {
                    let problem =
                        Diagnostic::error(Code::EmptyGroup, columns.span, "a run is named by at least one column");
                    self.out.push(problem.help("without `run` all rows are one run"));
                    return None;
                }
                let read = |column: &Part<Spanned<String>>| self.data.labels(data, column.get()?, self.out);
                let all: Vec<_> = columns.value.0.iter().map(read).collect();
                let all: Vec<_> = all.into_iter().collect::<Option<_>>()?;
                let mut numbers: BTreeMap<Vec<u32>, u32> = BTreeMap::new();
                let name = |row: usize| all.iter().map(|labels| labels.of()[row]).collect::<Vec<u32>>();
                (0..all[0].len())
                    .map(|row| {
                        let fresh = numbers.len() as u32;
                        *numbers.entry(name(row)).or_insert(fresh)
                    })
                    .collect()
            }
        };
        let runs = Runs::new(&of);
        Some(Rows {
            data: data.clone(),
            here: (0..of.len() as u32).collect(),
            runs: Arc::new(runs),
        })
    }

    /// Of each run whether it was a success on record.
    fn success(&mut self, rows: &Rows, success: &Success) -> Option<Arc<[bool]>> {
        let (column, is) = (success.column.get()?, success.is.get());
        let labels = self.data.labels(&rows.data, column, self.out)?;
        let (runs, is) = (&rows.runs, is?);
        let label = |place: u32| labels.of()[runs.rows()[place as usize] as usize];
        for (place, run) in (0..).zip(runs.run_of()) {
            let (first, this) = (label(runs.start(*run)), label(place));
            if first != this {
                let name = |label: u32| write::quoted(&labels.names()[label as usize]);
                let message = format!(
                    "a run has one value in the column of its success, and run {run} has {} and {}",
                    name(first),
                    name(this)
                );
                self.error(Code::BadRows, column.span, message);
                return None;
            }
        }
        let Some(meant) = labels.place(is) else {
            let message = format!(
                "no row has {} in the column {}",
                write::quoted(is),
                write::quoted(column)
            );
            let problem = Diagnostic::error(Code::BadRows, is.span, message);
            self.out.push(with_nearest(problem, is, labels.names()));
            return None;
        };
        let starts = (0..runs.count() as u32).map(|run| runs.start(run));
        Some(starts.map(|start| label(start) == meant).collect())
    }

    /// What is done in a row, by the value of a column. All problems of the cases are reported.
    pub(super) fn dispatch(&mut self, by: &By<'_>, (group, policies): Whose<'_>) -> Option<Dispatch> {
        let rows = self.row.as_ref().and_then(|scope| scope.known.clone());
        let split = rows.as_ref().and_then(|rows| {
            let column = by.column.get()?;
            let labels = self.data.labels(&rows.data, column, self.out)?;
            Some(Split::of(rows, &labels, by.cases))
        });
        let good = match (&rows, &split) {
            (Some(rows), Some(split)) => self.check_cases(by, rows, split),
            _ => false,
        };
        let mut resolve = |case: usize, steps: &Steps| {
            let known = rows.as_ref().zip(split.as_ref()).map(|(rows, split)| Rows {
                here: Arc::clone(&split.here[case]),
                ..rows.clone()
            });
            let outer = self.row.replace(Scope { known });
            let steps = self.steps(steps, group, policies);
            self.row = outer;
            steps
        };
        let named: Vec<Option<(String, Vec<Step>)>> = by
            .cases
            .canonical()
            .enumerate()
            .map(|(case, (name, steps))| {
                let steps = resolve(case, steps)?;
                Some((format!("cases[{}]", write::quoted(name)), steps))
            })
            .collect();
        let otherwise = match by.otherwise {
            Some(steps) => resolve(by.cases.len(), steps),
            // Rows that never get here have to lead somewhere.
            None => Some(Vec::new()),
        };
        let mut cases: Vec<(String, Vec<Step>)> = named.into_iter().collect::<Option<_>>()?;
        cases.push(("otherwise".to_owned(), otherwise?));
        good.then_some(Dispatch {
            case_of: split?.case_of.into(),
            cases,
        })
    }

    /// Warns of cases that never occur, and refuses values that have none. Whether all of them have one.
    fn check_cases(&mut self, by: &By<'_>, rows: &Rows, split: &Split) -> bool {
        let Some(column) = by.column.get() else { return false };
        // Where no row gets at all, that is said of the case around it.
        for ((name, _), here) in by.cases.canonical().zip(&split.here) {
            if here.is_empty() && !rows.here.is_empty() {
                let message = format!(
                    "no row that gets here has {} in the column {}",
                    write::quoted(name),
                    write::quoted(column)
                );
                let problem = Diagnostic::warning(Code::UnusedCase, name.span, message);
                self.out.push(with_nearest(problem, name, &split.others));
            }
        }
        let others = &split.others;
        if by.otherwise.is_some() || !by.cases.is_whole() || others.is_empty() {
            return true;
        }
        let shown: Vec<String> = others.iter().take(LISTED).map(|value| write::quoted(value)).collect();
        let more = match others.len().saturating_sub(LISTED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let message = format!(
            "rows get here with values in the column {} that no case names: {}{more}",
            write::quoted(column),
            shown.join(", ")
        );
        let problem = Diagnostic::error(Code::BadRows, column.span, message);
        self.out
            .push(problem.help("say what is done in such rows: `otherwise: [...]`, with no steps if nothing is"));
        false
    }

    /// How many tokens of one kind a call has.
    pub(super) fn token_count(&mut self, written: Option<&Spanned<TokenCount>>) -> Option<CallTokens> {
        let written = written?;
        let (columns, times, before) = match &written.value {
            TokenCount::Law(law) => return self.amount(law, "a number of tokens").map(CallTokens::Law),
            TokenCount::OfArrival { data, column } => {
                let (data, column) = (data.get()?, column.get()?);
                let read = self.data.column(data, column, self.out)?;
                if read.least() < 0.0 || read.greatest() > f64::from(u32::MAX) {
                    let message = format!(
                        "the column {} holds numbers that count no tokens",
                        write::quoted(column)
                    );
                    self.error(Code::BadData, column.span, message);
                    return None;
                }
                let rows = (0..read.len()).map(|row| (read.value(row) + 0.5) as u32);
                return Some(CallTokens::OfArrival(rows.collect()));
            }
            TokenCount::OfRow { columns, times, before } => (columns, times, before),
        };
        self.in_run(written.span, "`OfRow`")?;
        let rows = self.row.as_ref()?.known.clone()?;
        let (columns, times, before) = (columns.get()?, *times.get()?, *before.get()?);
        if !times.is_finite() || times < 0.0 {
            self.error(Code::BadLaw, written.span, "`times` of `OfRow` can't be negative");
            return None;
        }
        if columns.value.0.is_empty() {
            self.error(Code::EmptyGroup, columns.span, "`OfRow` goes by at least one column");
            return None;
        }
        let read = |column: &Part<Spanned<String>>| {
            let name = column.get()?;
            let read = self.data.column(&rows.data, name, self.out)?;
            if read.least() < 0.0 {
                let message = format!(
                    "a number of tokens can't be negative, and the column holds {}",
                    read.least()
                );
                self.error(Code::BadData, name.span, message);
                return None;
            }
            Some(read)
        };
        let all: Vec<_> = columns.value.0.iter().map(read).collect();
        let all: Vec<_> = all.into_iter().collect::<Option<_>>()?;
        let (runs, mut sum) = (&rows.runs, 0.0);
        let of = (0..).zip(runs.rows()).map(|(place, row): (u32, &u32)| {
            let own: f64 = all.iter().map(|column| column.value(*row as usize)).sum();
            if runs.start(runs.run_of()[place as usize]) == place {
                sum = 0.0;
            }
            let so_far = sum;
            sum += own;
            (if before { so_far } else { own } * times + 0.5) as u32
        });
        Some(CallTokens::OfRow {
            register: 0,
            of: of.collect(),
        })
    }
}

/// A problem with a name, and the one that was most likely meant.
fn with_nearest(problem: Diagnostic, name: &Spanned<String>, names: &[impl AsRef<str>]) -> Diagnostic {
    match suggest::nearest(name, names.iter().map(AsRef::as_ref)) {
        Some(near) => {
            let near = write::quoted(near);
            problem.replace(format!("did you mean {near}?"), name.span, near.clone())
        }
        None => problem,
    }
}
