//! The answer of a run, as a table for people or a document for programs.

use super::pictures::done_remark;
use super::tables::numbers::{self, Unit};
use super::tables::{Cell, Column, Look, Table};
use crate::experiment::Results;
use crate::experiment::judge::{Found, Judgement, Verdict};
use crate::experiment::results::VariantResults;
use crate::experiment::scaling::Scaling;
use crate::measures;

/// The unit in which a measure is shown.
pub fn unit_of(measure: &str) -> Unit {
    match measures::find(measure).map(|info| info.unit) {
        Some(measures::Unit::Seconds) => Unit::Time,
        Some(measures::Unit::Count) => Unit::Count,
        Some(measures::Unit::Share | measures::Unit::Verdict) => Unit::Share,
        Some(measures::Unit::PerSecond) => Unit::PerSecond,
        Some(measures::Unit::Bytes) => Unit::Bytes,
        Some(measures::Unit::Dollars) => Unit::Money("USD".into()),
        Some(measures::Unit::Tokens) => Unit::Named("tokens".into()),
        Some(measures::Unit::Ratio) | None => Unit::Number,
    }
}

/// The measures that stand in the answer, in this order, where a run has them: name, and the head of the column.
const HEADLINES: &[(&str, &str)] = &[
    ("task.time.mean", "task time"),
    ("task.time.p99", "task p99"),
    ("task.network_share", "network share"),
    ("task.failed", "tasks failed"),
    ("task.aborted", "tasks aborted"),
    ("task.stopped", "tasks stopped"),
    ("task.unfinished", "tasks unfinished"),
    ("calls.amplification", "attempts per call"),
    ("calls.refused", "calls refused"),
    ("calls.wasted", "wasted calls"),
    ("calls.arrivals.peak_to_mean", "peak to mean"),
    ("calls.last_answer", "last answer"),
    ("state.conflicts", "conflicts"),
    ("state.lost_updates", "lost updates"),
    ("state.lost_effects", "lost effects"),
    ("state.stale_reads.share", "stale reads"),
    ("state.stale_age.p50", "stale by (p50)"),
    ("state.healed.max", "healed after"),
    ("state.unavailable", "unavailable"),
];

/// The greatest mean of a measure over the variants, if any has it.
fn most(results: &Results, name: &str) -> Option<f64> {
    let all = results.variants.iter().filter_map(|variant| variant.measures.get(name));
    all.map(|estimate| estimate.mean).fold(None, |most: Option<f64>, mean| {
        Some(most.map_or(mean, |most| most.max(mean)))
    })
}

/// The columns of the answer, by measure: those headlines that some variant has and that say something.
fn headlines(results: &Results) -> Vec<(String, String)> {
    if !results.answers.is_empty() {
        return results.answers.clone();
    }
    let most = |name: &str| most(results, name);
    // Calls are a headline where they were tried again or refused; the network where it takes one part in a thousand.
    let herd = most("calls.amplification").is_some_and(|most| most > 1.001)
        || most("calls.refused").is_some_and(|most| most > 0.0);
    let matters = |name: &str| match most(name) {
        None => false,
        Some(_) if name == "state.lost_updates" => true,
        Some(most) if name == "task.network_share" => most > 0.001,
        Some(most) if name.starts_with("calls.") && name != "calls.wasted" => herd && most > 0.0,
        Some(most) => most > 0.0,
    };
    let chosen = HEADLINES.iter().filter(|(name, _)| matters(name));
    let mut columns = if most("task.time.mean").is_none() {
        of_endless(results)
    } else {
        Vec::new()
    };
    columns.extend(chosen.map(|(name, head)| (name.to_string(), head.to_string())));
    if columns.is_empty() && most("messages.delivered").is_some() {
        columns.push(("messages.delivered".into(), "messages delivered".into()));
    }
    columns
}

/// The most named tasks that have columns.
const NAMED_TASKS: usize = 4;

/// What stands for the time of programs where none was done, as in a service that never ends: the times of named tasks, and the
/// calls.
fn of_endless(results: &Results) -> Vec<(String, String)> {
    let mut columns = Vec::new();
    let all = results.variants.iter().flat_map(|variant| variant.measures.keys());
    let named = |name: &String| Some(name.strip_prefix("task.")?.strip_suffix(".time.mean")?.to_string());
    let tasks: std::collections::BTreeSet<String> = all.filter_map(named).collect();
    for task in tasks.into_iter().take(NAMED_TASKS) {
        columns.push((format!("task.{task}.time.mean"), format!("{task} time")));
        let p99 = format!("task.{task}.time.p99");
        if most(results, &p99).is_some() {
            columns.push((p99, format!("{task} p99")));
        }
    }
    if most(results, "calls.answered").is_some_and(|most| most > 0.0) {
        columns.push(("calls.time.mean".into(), "call time".into()));
        columns.push(("calls.goodput".into(), "calls answered".into()));
    }
    columns
}

/// The most characters of the base's title in a column's head.
const ADDED_TO: usize = 20;

/// A value with the ends of its interval, where there is one.
type Value = Option<(f64, Option<(f64, f64)>)>;

fn value(variant: &VariantResults, measure: &str) -> Value {
    let estimate = variant.measures.get(measure)?;
    Some((estimate.mean, estimate.low.zip(estimate.high)))
}

/// The cells of values that stand together, in one unit.
fn cells(values: &[Value], unit: &Unit) -> Vec<Cell> {
    let shown = unit.shared(values.iter().flatten().map(|(value, _)| *value));
    let cell = |value: &Value| match value {
        None => Cell::Empty,
        Some((value, ends)) => Cell::Figure(numbers::between(*value, *ends, unit, &shown)),
    };
    values.iter().map(cell).collect()
}

/// The answer as tables: the headline measures of every variant, the time added, and what became of the expectations. With
/// `all`, every measure.
pub fn answer(results: &Results, judgements: &[Judgement], all: bool, look: Look) -> String {
    let mut text = String::new();
    let mut columns = vec![Column::text("variant")];
    let mut figures: Vec<Vec<Cell>> = Vec::new();
    let base = results.variants.first();
    let title = base.map(|base| base.title.as_str()).unwrap_or_default();
    let base = base.map(|base| base.name.as_str()).unwrap_or_default();
    // Where many tasks have no pair, or none took longer, the mean of the pairs would mislead or say nothing.
    let pairs = || results.variants.iter().filter_map(|variant| variant.added.get(base));
    let added = pairs().any(|added| added.mean != 0.0) && pairs().all(|added| added.pairs > 9 * added.unpaired);
    let heads = headlines(results);
    for (name, head) in &heads {
        columns.push(Column::number(head));
        let values: Vec<Value> = results.variants.iter().map(|variant| value(variant, name)).collect();
        figures.push(cells(&values, &unit_of(name)));
        if name == "task.time.mean" && added {
            // A long title would be cut off, and the base is the first row.
            let to = if title.chars().count() > ADDED_TO {
                "the base"
            } else {
                title
            };
            columns.push(Column::number(&format!("added to {to}")));
            let of = |variant: &VariantResults| {
                let added = variant.added.get(base)?;
                Some((added.mean, added.low.zip(added.high)))
            };
            figures.push(cells(&results.variants.iter().map(of).collect::<Vec<_>>(), &Unit::Time));
        }
    }
    let mut table = Table::new(&shortened(&results.question), columns);
    for (index, variant) in results.variants.iter().enumerate() {
        let mut row = vec![Cell::Text(variant.title.clone())];
        row.extend(figures.iter().map(|column| column[index].clone()));
        table.row(row);
    }
    let plural = if results.replicates == 1 { "" } else { "s" };
    let intervals = intervals(results, heads.iter().map(|(name, _)| name.as_str()));
    table.note(&format!("mean of {} replicate{plural}{intervals}", results.replicates));
    for note in [window_note(results, &heads), done_note(results, &heads)]
        .iter()
        .flatten()
    {
        table.note(note);
    }
    for scaling in &results.scaling {
        table.note(&scaling_note(scaling));
    }
    for restless in results.undrained() {
        table.note(&restless);
    }
    for note in results.notes() {
        table.note(&note);
    }
    for halt in results.halts() {
        table.note(&format!("{halt}. Its numbers are of what came before."));
    }
    text.push_str(&table.render(look));
    if all {
        text.push('\n');
        text.push_str(&everything(results, look));
    }
    if !judgements.is_empty() {
        text.push('\n');
        text.push_str(&expectations(results, judgements, look));
    }
    text
}

/// How a measure grows, in words.
pub(super) fn scaling_note(scaling: &Scaling) -> String {
    let Scaling { called, with, .. } = scaling;
    let Some(fit) = scaling.fit else {
        return format!("{called} grows with {with} as nobody can say: no two sizes have values with a logarithm");
    };
    let exponent = match fit.low.zip(fit.high) {
        Some((low, high)) => format!("{:.3} ± {:.3}", fit.exponent, (high - low) / 2.0),
        None => format!("{:.3}", fit.exponent),
    };
    format!(
        "{called} grows with {with} to the power of {exponent} (95 % Student t; {} values at {} sizes)",
        fit.n, fit.sizes
    )
}

/// What the intervals of these measures are, behind the number of replicates.
fn intervals<'a>(results: &Results, measures: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    if results.replicates > 1 {
        text.push_str(", ± 95 % Student t");
    }
    let leans = |value: Value| matches!(value, Some((value, Some(ends))) if !numbers::is_middle(value, ends));
    let mut verdicts = measures.filter(|name| unit_is_verdict(name));
    if verdicts.any(|name| results.variants.iter().any(|variant| leans(value(variant, name)))) {
        text.push_str(", (from..to) 95 % Wilson");
    }
    text
}

fn unit_is_verdict(measure: &str) -> bool {
    measures::find(measure).is_some_and(|info| info.unit == measures::Unit::Verdict)
}

/// The windows in which the busiest one was found, where that is a column.
fn window_note(results: &Results, heads: &[(String, String)]) -> Option<String> {
    let (_, head) = heads.iter().find(|(name, _)| name == "calls.arrivals.peak_to_mean")?;
    let mut runs = results.variants.iter().flat_map(|variant| &variant.runs);
    let series = runs.find_map(|run| run.series.get("calls.arrivals.rate"))?;
    let window = numbers::brief(series.window as f64 / 1e9, &Unit::Time);
    Some(format!("{head}: arrivals in windows of {window}"))
}

/// Of which programs the times are, where there are times and not all were done.
fn done_note(results: &Results, heads: &[(String, String)]) -> Option<String> {
    heads.iter().find(|(name, _)| name == "task.time.mean")?;
    let some = |variant: &VariantResults| Some(format!("{}: {}", variant.title, done_remark(variant)?));
    let all: Vec<String> = results.variants.iter().filter_map(some).collect();
    (!all.is_empty()).then(|| format!("times are of the tasks done; {}", all.join("; ")))
}

/// Every measure of every variant, a row each.
fn everything(results: &Results, look: Look) -> String {
    let mut columns = vec![Column::text("measure")];
    columns.extend(results.variants.iter().map(|variant| Column::number(&variant.title)));
    let mut table = Table::new("every measure", columns);
    let names: std::collections::BTreeSet<&String> = results
        .variants
        .iter()
        .flat_map(|variant| variant.measures.keys())
        .collect();
    for name in names {
        let mut row = vec![Cell::Text(name.clone())];
        let values: Vec<Value> = results.variants.iter().map(|variant| value(variant, name)).collect();
        row.extend(cells(&values, &unit_of(name)));
        table.row(row);
    }
    let all = results.variants.iter().flat_map(|variant| variant.measures.keys());
    let said = intervals(results, all.map(String::as_str));
    if let Some(said) = said.strip_prefix(", ") {
        table.note(said);
    }
    table.render(look)
}

/// A row for each expectation; one that holds in several variants needs no more.
fn expectations(results: &Results, judgements: &[Judgement], look: Look) -> String {
    let columns = vec![
        Column::text("expected"),
        Column::text("of"),
        Column::text("wanted"),
        Column::text("found"),
        Column::text("verdict"),
    ];
    let mut table = Table::new("", columns);
    let same = |a: &Judgement, b: &Judgement| (&a.place, &a.name, &a.over) == (&b.place, &b.name, &b.over);
    let title = |name: &String| {
        results
            .variant(name)
            .map_or(name.clone(), |variant| variant.title.clone())
    };
    for group in judgements.chunk_by(same) {
        let over = match &group[0].over {
            Some(over) => format!(" over {}", title(over)),
            None => String::new(),
        };
        let all_hold = group.iter().all(|judgement| judgement.verdict == Verdict::Holds);
        if group.len() > 1 && all_hold {
            let every = if over.is_empty() { "all " } else { "" };
            let of = format!("{every}{} variants{over}", group.len());
            table.row(row(&group[0], of, found_in_all(group)));
            continue;
        }
        for judgement in group {
            table.row(row(
                judgement,
                format!("{}{over}", title(&judgement.variant)),
                found(judgement),
            ));
        }
    }
    table.render(look)
}

fn row(judgement: &Judgement, of: String, found: String) -> Vec<Cell> {
    vec![
        Cell::Text(judgement.name.clone()),
        Cell::Text(of),
        Cell::Text(wanted(judgement)),
        Cell::Text(found),
        Cell::Verdict(match judgement.verdict {
            Verdict::Holds => super::tables::Verdict::Holds,
            Verdict::Fails => super::tables::Verdict::Fails,
            Verdict::Undecided => super::tables::Verdict::Undecided,
        }),
    ]
}

/// What was found in several variants in which an expectation holds: the range.
fn found_in_all(group: &[Judgement]) -> String {
    let values = group.iter().filter_map(|judgement| match &judgement.found {
        Found::Value { value, .. } => Some(*value),
        Found::Replicates { .. } | Found::Nothing { .. } => None,
    });
    let ends = values.fold(None, |ends: Option<(f64, f64)>, value| {
        Some(ends.map_or((value, value), |(low, high)| (low.min(value), high.max(value))))
    });
    let Some((low, high)) = ends else {
        return found(&group[0]);
    };
    match held(&group[0], &[(low, None), (high, None)]).as_slice() {
        [.., low_text, high_text] if low != high => format!("{low_text} to {high_text}"),
        [.., one] => one.clone(),
        [] => String::new(),
    }
}

/// Whether an expectation is an invariant, which has a name of its own beside the count that has to be zero.
fn is_invariant(judgement: &Judgement) -> bool {
    judgement.name != judgement.measure
}

/// A judgement's bounds (none is empty) and these values, with the digits that tell them apart.
fn held(judgement: &Judgement, values: &[(f64, Option<(f64, f64)>)]) -> Vec<String> {
    let bounds = [judgement.at_least, judgement.at_most];
    let mut all: Vec<(f64, Option<(f64, f64)>)> = bounds.iter().flatten().map(|bound| (*bound, None)).collect();
    all.extend(values);
    let mut texts = numbers::apart(&all, &unit_of(&judgement.measure)).into_iter();
    let mut held: Vec<String> = bounds
        .iter()
        .map(|bound| bound.and_then(|_| texts.next()).unwrap_or_default())
        .collect();
    held.extend(texts);
    held
}

/// The value that was found, if one was.
fn found_value(judgement: &Judgement) -> Value {
    match &judgement.found {
        Found::Value { value, low, high } => Some((*value, low.zip(*high))),
        Found::Replicates { worst, .. } => Some((*worst, None)),
        Found::Nothing { .. } => None,
    }
}

/// What a judgement wanted, in words.
pub fn wanted(judgement: &Judgement) -> String {
    let texts = held(judgement, found_value(judgement).as_slice());
    let (low, high) = (&texts[0], &texts[1]);
    match (judgement.at_least, judgement.at_most) {
        _ if is_invariant(judgement) => "in every run".to_string(),
        (Some(least), Some(most)) if least == most => low.clone(),
        (Some(_), Some(_)) => format!("{low} to {high}"),
        (Some(_), None) => format!("at least {low}"),
        (None, Some(_)) => format!("at most {high}"),
        (None, None) => String::new(),
    }
}

/// What a judgement found, in words.
pub fn found(judgement: &Judgement) -> String {
    let value = || {
        held(judgement, found_value(judgement).as_slice())
            .pop()
            .unwrap_or_default()
    };
    match &judgement.found {
        Found::Value { .. } => value(),
        Found::Replicates { satisfied, of: 1, .. } => match satisfied {
            1 => "in the run".to_string(),
            _ => value(),
        },
        Found::Replicates { satisfied, of, .. } if satisfied == of => format!("in all {of} runs"),
        Found::Replicates { satisfied, of, .. } => {
            let of_what = if is_invariant(judgement) {
                format!(" ({})", judgement.measure)
            } else {
                String::new()
            };
            format!("in {satisfied} of {of} runs, the worst {}{of_what}", value())
        }
        Found::Nothing { why } => why.clone(),
    }
}

/// Results and judgements as one JSON document.
///
/// # Errors
/// If they can't be written as JSON.
pub fn json(results: &Results, judgements: &[Judgement]) -> Result<String, serde_json::Error> {
    #[derive(serde::Serialize)]
    struct Document<'a> {
        #[serde(flatten)]
        results: &'a Results,
        expectations: &'a [Judgement],
    }
    Ok(serde_json::to_string_pretty(&Document {
        results,
        expectations: judgements,
    })? + "\n")
}

/// Names in a row: between commas, or between semicolons where a name has a comma in it.
pub fn listed(names: &[&str]) -> String {
    let between = if names.iter().any(|name| name.contains(',')) {
        "; "
    } else {
        ", "
    };
    names.join(between)
}

/// A question as a heading says it: the beginning of a very long one.
fn shortened(question: &str) -> String {
    const MOST: usize = 400;
    match question.char_indices().nth(MOST) {
        Some((end, _)) => format!("{} ...", question[..end].trim_end()),
        None => question.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(bounds: (Option<f64>, Option<f64>), found: Found) -> Judgement {
        Judgement {
            variant: "base".into(),
            over: None,
            name: "task.time.mean".into(),
            measure: "task.time.mean".into(),
            at_least: bounds.0,
            at_most: bounds.1,
            found,
            verdict: Verdict::Fails,
            place: String::new(),
            known: None,
        }
    }

    fn value(value: f64, half: Option<f64>) -> Found {
        Found::Value {
            value,
            low: half.map(|half| value - half),
            high: half.map(|half| value + half),
        }
    }

    #[test]
    fn a_verdict_never_contradicts_its_numbers() {
        let said = |bounds, found_there| {
            let judgement = judged(bounds, found_there);
            (wanted(&judgement), found(&judgement))
        };
        let texts = |wanted: &str, found: &str| (wanted.to_string(), found.to_string());
        assert_eq!(
            said((Some(0.5), Some(0.501)), value(0.499_999_9, Some(0.0))),
            texts("500 ms to 501 ms", "499.9999 ms ±0")
        );
        assert_eq!(
            said((Some(1.2501), Some(1.2502)), value(1.25, None)),
            texts("1.2501 s to 1.2502 s", "1.25 s")
        );
        assert_eq!(
            said((None, Some(5.25)), value(5.2534, Some(0.031))),
            texts("at most 5.25 s", "5.253 s ±0.03")
        );
        // A bound and a value on both sides of a change of unit are in one unit.
        assert_eq!(
            said((Some(1.0), None), value(0.999_999, None)),
            texts("at least 1.00 s", "0.999999 s")
        );
        let worst = Found::Replicates {
            satisfied: 3,
            of: 4,
            worst: 7.999_999_999,
        };
        assert_eq!(
            said((Some(8.0), Some(8.0)), worst),
            texts("8.00 s", "in 3 of 4 runs, the worst 7.999999999 s")
        );
        assert_eq!(
            said((Some(7.999_999_999), Some(8.000_000_001)), value(8.0, None)),
            texts("7.999999999 s to 8.000000001 s", "8.00 s")
        );
    }

    #[test]
    fn names_with_commas_are_told_apart() {
        assert_eq!(listed(&["a", "b"]), "a, b");
        assert_eq!(listed(&["raft", "raft, cut", "lww"]), "raft; raft, cut; lww");
    }

    #[test]
    fn a_column_has_one_unit() {
        let texts = |values: &[f64]| -> Vec<String> {
            let values: Vec<Value> = values.iter().map(|value| Some((*value, None))).collect();
            let text = |cell: Cell| match cell {
                Cell::Figure(text) => text,
                other => panic!("{other:?}"),
            };
            cells(&values, &Unit::Time).into_iter().map(text).collect()
        };
        assert_eq!(texts(&[21.8, 132.2, 0.5]), ["21.8 s", "132 s", "0.500 s"]);
        assert_eq!(texts(&[660.0, 30.0]), ["11.0 min", "0.500 min"]);
        assert_eq!(texts(&[0.0021, 0.5]), ["2.10 ms", "500 ms"]);
    }
}
