//! Which charts a result is shown as: one for each question that its numbers can answer.

use super::plots::{
    Axis, Bar, Chart, Estimate, Frame, Limit, Line, Lines, MOST_IN_FULL, Measure, Measures, Panel, Shade, StackedBars,
    TimeSeries, Unit, interval_note,
};
use crate::experiment::Results;
use crate::experiment::results::{RunResults, VariantResults};
use crate::experiment::scaling::Scaling;
use crate::experiment::statistics::Level;
use crate::kernel::SimDuration;
use crate::output::summary::{listed, unit_of};
use crate::output::tables::numbers;
use crate::world::call::Part;

/// Points of a distribution function.
const POINTS: usize = 300;

/// The charts of these results, by name.
pub fn charts(results: &Results) -> Vec<(String, Chart)> {
    let all = [
        ("answer", answer(results)),
        ("latency_trap", latency_trap(results)),
        (
            "task_time",
            distribution(results, "task.time", "Distribution of task time", "task time"),
        ),
        ("arrivals", arrivals(results)),
        ("amplification_goodput", amplification(results)),
        (
            "wasted",
            over_time(
                results,
                "calls.wasted",
                "Work whose answer nobody used, by when it was finished",
                "requests in a window",
                Afterwards::Zero,
            ),
        ),
        (
            "conflicts",
            over_time(
                results,
                "state.conflicts",
                "Conflicting writes so far",
                "conflicts",
                Afterwards::Held,
            ),
        ),
        (
            "divergence",
            over_time(
                results,
                "state.diverged_keys",
                "Keys on which live replicas differ",
                "keys",
                Afterwards::Unknown,
            ),
        ),
        (
            "staleness",
            distribution(
                results,
                "state.stale_age",
                "Age of what stale reads missed",
                "age of a stale read",
            ),
        ),
        ("state_costs", state_costs(results)),
    ];
    let all = all.into_iter().map(|(name, chart)| (name.to_string(), chart));
    all.chain(channels(results))
        .chain(growth(results))
        .filter_map(|(name, chart)| Some((name, chart?)))
        .collect()
}

/// So many channels have charts of their own.
const MOST_CHANNELS: usize = 8;

/// For each channel how long its messages take until they are handled, and how many deliveries it owes over time.
fn channels(results: &Results) -> Vec<(String, Option<Chart>)> {
    let runs = results.variants.iter().flat_map(|variant| &variant.runs);
    let series = runs.flat_map(|run| run.series.keys());
    let name = |series: &String| Some(series.strip_prefix("channel.")?.strip_suffix(".depth")?.to_string());
    let names: std::collections::BTreeSet<String> = series.filter_map(name).collect();
    let both = |name: &String| {
        let file: String = name
            .chars()
            .map(|c| if c.is_alphanumeric() { c } else { '_' })
            .collect();
        let latency = distribution(
            results,
            &format!("channel.{name}.latency"),
            &format!("Time until messages of {name} are handled"),
            "from the beginning of the publication",
        );
        let depth = over_time(
            results,
            &format!("channel.{name}.depth"),
            &format!("Deliveries that {name} owes"),
            "deliveries owed",
            Afterwards::Unknown,
        );
        [
            (format!("channel_{file}_latency"), latency),
            (format!("channel_{file}_depth"), depth),
        ]
    };
    names.iter().take(MOST_CHANNELS).flat_map(both).collect()
}

/// For each measure that grows how it does, on axes of logarithms: what was measured as dots, the laws as lines.
fn growth(results: &Results) -> Vec<(String, Option<Chart>)> {
    let mut measures: Vec<&str> = Vec::new();
    for scaling in &results.scaling {
        if !measures.contains(&scaling.measure.as_str()) {
            measures.push(&scaling.measure);
        }
    }
    let chart = |(number, measure): (usize, &&str)| {
        let of_measure = results.scaling.iter().filter(|scaling| scaling.measure == **measure);
        let name = match number {
            0 => "scaling".to_string(),
            number => format!("scaling_{}", number + 1),
        };
        (name, growth_chart(results, &of_measure.collect::<Vec<_>>()))
    };
    measures.iter().enumerate().map(chart).collect()
}

fn growth_chart(results: &Results, all: &[&Scaling]) -> Option<Chart> {
    let first = all.first()?;
    let (mut lines, mut notes): (Vec<Line>, Vec<String>) = Default::default();
    for scaling in all {
        let mut sizes: Vec<(f64, Vec<f64>)> = Vec::new();
        for size in &scaling.sizes {
            let values = size.values.iter().copied().filter(|value| *value > 0.0);
            sizes.push((size.x, values.collect()));
        }
        sizes.retain(|(_, values)| !values.is_empty());
        sizes.sort_by(|one, other| one.0.total_cmp(&other.0));
        let (Some((least, _)), Some((most, _)), Some(fit)) = (sizes.first(), sizes.last(), scaling.fit) else {
            continue;
        };
        let law = |x: f64| (x, fit.factor * crate::random::math::pow(x, fit.exponent));
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let ends = |x: f64, values: &[f64]| {
            let least = values.iter().copied().fold(f64::MAX, f64::min);
            (x, least, values.iter().copied().fold(0.0, f64::max))
        };
        lines.push(Line {
            name: format!("{}: power {:.2}", scaling.called, fit.exponent),
            points: vec![law(*least), law(*most)],
            dots: true,
            marks: sizes.iter().map(|(x, values)| (*x, mean(values))).collect(),
            band: sizes.iter().map(|(x, values)| ends(*x, values)).collect(),
            ..Line::default()
        });
        notes.push(crate::output::summary::scaling_note(scaling));
    }
    if lines.is_empty() {
        return None;
    }
    let called = results.answers.iter().find(|(measure, _)| *measure == first.measure);
    let axis = called.map_or(first.measure.as_str(), |(_, called)| called);
    let mut frame = frame(results, &format!("Growth of {axis} with {}", first.with));
    frame.note = format!(
        "Dots: mean over the replicates; whiskers: their range; lines: fitted power laws. {}.",
        notes.join(". ")
    );
    Some(Chart::Lines(Lines {
        frame,
        x: Axis::logarithmic(&first.with, Unit::Number),
        y: Axis::logarithmic(axis, unit_of(&first.measure)),
        steps: false,
        lines,
    }))
}

fn frame(results: &Results, title: &str) -> Frame {
    let replicates = match results.replicates {
        1 => "1 replicate".to_string(),
        n => format!("{n} replicates"),
    };
    Frame {
        title: format!("{title}, {replicates}"),
        subtitle: match results.question.trim() {
            "" => format!("{} (seed {})", results.scenario, results.seed),
            question => format!("{}: {question}  (seed {})", results.scenario, results.seed),
        },
        note: String::new(),
    }
}

fn estimate(variant: &VariantResults, measure: &str) -> Option<Estimate> {
    let of = variant.measures.get(measure)?;
    Some(Estimate {
        value: of.mean,
        interval: of.low.zip(of.high),
    })
}

/// The part of a variant's tasks that was done, in words; `None` where all of them were. Their times are of these alone.
pub(super) fn done_remark(variant: &VariantResults) -> Option<String> {
    let mean = |name: &str| variant.measures.get(name).map_or(0.0, |of| of.mean);
    let done = mean("task.done");
    let all = done + mean("task.failed") + mean("task.aborted") + mean("task.stopped") + mean("task.unfinished");
    if done >= all {
        return None;
    }
    let share = done / all;
    // However near to all of them it is, it isn't rounded to all.
    let text = numbers::apart(&[(share, None), (1.0, None)], &Unit::Share).swap_remove(0);
    Some(format!("{} of tasks done", numbers::trimmed(&text)))
}

/// The note under lines over time: what they are, and the windows that they are measured in. `windows` of them are drawn together.
fn series_note(results: &Results, window: SimDuration, windows: usize) -> String {
    let mut note = String::new();
    if results.replicates > 1 {
        note.push_str("Lines: mean over the replicates. Bands: their range. ");
    }
    note.push_str(&format!(
        "Windows of {}",
        numbers::brief(window.as_secs_f64(), &Unit::Time)
    ));
    if windows > 1 {
        note.push_str(&format!(", {windows} drawn as one"));
    }
    note.push('.');
    note
}

/// The window of a series, and how many are drawn together.
fn windows(results: &Results, series: &str) -> Option<(SimDuration, usize)> {
    let all = || {
        let runs = results.variants.iter().flat_map(|variant| &variant.runs);
        runs.filter_map(|run| run.series.get(series))
            .filter(|series| !series.values.is_empty())
    };
    let window = SimDuration::from_nanos(all().next()?.window);
    Some((window, together(all().map(|series| series.values.len()).max()?)))
}

/// How many neighbouring windows of a series of this length are drawn as one: no picture has room for more.
fn together(longest: usize) -> usize {
    longest.div_ceil(600).max(1)
}

/// Mean task time by part, a bar for each variant.
fn latency_trap(results: &Results) -> Option<Chart> {
    let bars: Vec<Bar> = results
        .variants
        .iter()
        .enumerate()
        .filter_map(|(index, variant)| {
            let total = estimate(variant, "task.time.mean")?;
            let part = |part: &Part| {
                variant
                    .measures
                    .get(&format!("task.part.{}", part.name()))
                    .map_or(0.0, |of| of.mean)
            };
            Some(Bar {
                name: variant.title.clone(),
                parts: Part::ALL.iter().map(part).collect(),
                total,
                reference: index == 0 && results.variants.len() > 1,
                remark: done_remark(variant).unwrap_or_default(),
            })
        })
        .collect();
    if bars.is_empty() {
        return None;
    }
    let mut frame = frame(results, "Mean task time by part of the critical path");
    frame.note = interval_note(Level::P95, results.replicates as u64);
    frame.note.push_str(&without(results, "task.time", "No task was done"));
    Some(Chart::StackedBars(StackedBars {
        frame,
        axis: Axis::new("mean task time", Unit::Time),
        parts: Part::ALL.iter().map(|part| part.name().to_string()).collect(),
        bars,
    }))
}

/// A sentence about the variants that a picture of this sample leaves out; nothing if there are none.
fn without(results: &Results, sample: &str, what: &str) -> String {
    let empty = |variant: &&VariantResults| {
        let mut samples = variant.runs.iter().filter_map(|run| run.samples.get(sample));
        samples.all(|sample| sample.values.is_empty())
    };
    let names: Vec<&str> = results
        .variants
        .iter()
        .filter(empty)
        .map(|variant| variant.title.as_str())
        .collect();
    match names.as_slice() {
        [] => String::new(),
        names => format!(" {what} in: {}.", listed(names)),
    }
}

/// A distribution function for each variant, with the range over the replicates as a band.
fn distribution(results: &Results, sample: &str, title: &str, axis: &str) -> Option<Chart> {
    let lines: Vec<Line> = results
        .variants
        .iter()
        .filter_map(|variant| {
            let line = distribution_line(variant, sample)?;
            let remark = if sample == "task.time" {
                done_remark(variant)
            } else {
                None
            };
            Some(Line {
                remark: remark.unwrap_or_default(),
                ..line
            })
        })
        .collect();
    if lines.is_empty() {
        return None;
    }
    let mut frame = frame(results, title);
    if results.replicates > 1 {
        frame.note = "Lines: mean over the replicates. Bands: their range.".to_string();
    }
    let what = match sample {
        "task.time" => "No task was done",
        _ => "Nothing to show",
    };
    frame.note.push_str(&without(results, sample, what));
    frame.note = frame.note.trim().to_string();
    // Where the spread covers orders of magnitude, only a logarithmic axis shows both ends.
    let ends = lines
        .iter()
        .flat_map(|line| &line.points)
        .map(|point| point.0)
        .filter(|x| *x > 0.0);
    let (low, high) = ends.fold((f64::MAX, 0.0f64), |(low, high), x| (low.min(x), high.max(x)));
    let axis = if high > 50.0 * low {
        Axis::logarithmic(axis, Unit::Time)
    } else {
        Axis::new(axis, Unit::Time)
    };
    Some(Chart::Lines(Lines {
        frame,
        x: axis,
        y: Axis::new("share at or below", Unit::Share),
        steps: true,
        lines,
    }))
}

fn distribution_line(variant: &VariantResults, sample: &str) -> Option<Line> {
    let runs: Vec<&[f64]> = variant
        .runs
        .iter()
        .filter_map(|run| run.samples.get(sample))
        .map(|sample| sample.values.as_slice())
        .filter(|values| !values.is_empty())
        .collect();
    let mut grid: Vec<f64> = runs.iter().flat_map(|values| values.iter().copied()).collect();
    if grid.is_empty() {
        return None;
    }
    grid.sort_by(f64::total_cmp);
    grid.dedup();
    let step = grid.len().div_ceil(POINTS).max(1);
    let last = grid.len() - 1;
    let mut line = Line {
        name: variant.title.clone(),
        ..Line::default()
    };
    for (index, x) in grid.iter().enumerate() {
        // The ends are kept whole: the tail is what people look at.
        if index % step != 0 && last - index > 20 {
            continue;
        }
        let shares = runs
            .iter()
            .map(|values| values.partition_point(|value| value <= x) as f64 / values.len() as f64);
        let (mut sum, mut low, mut high) = (0.0, 1.0f64, 0.0f64);
        for share in shares {
            (sum, low, high) = (sum + share, low.min(share), high.max(share));
        }
        line.points.push((*x, sum / runs.len() as f64));
        if runs.len() > 1 {
            line.band.push((*x, low, high));
        }
    }
    Some(line)
}

/// What a series is worth in windows that its run didn't reach, while other replicates still run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Afterwards {
    /// What it was worth at the end: a count so far.
    Held,
    /// Nothing happens any more: a rate.
    Zero,
    /// Nobody knows: the mean is of the others.
    Unknown,
}

/// A series as a line: the mean over the replicates, and their range as a band. At the middle of each window.
fn series_line(runs: &[RunResults], series: &str, name: &str, afterwards: Afterwards) -> Option<Line> {
    let all: Vec<_> = runs
        .iter()
        .filter_map(|run| run.series.get(series))
        .filter(|series| !series.values.is_empty())
        .collect();
    let longest = all.iter().map(|series| series.values.len()).max()?;
    let window = all[0].window as f64 / 1e9;
    let mut line = Line {
        name: name.to_string(),
        ..Line::default()
    };
    // Very long series are drawn as means of neighbouring windows.
    let group = together(longest);
    for start in (0..longest).step_by(group) {
        let values: Vec<f64> = all
            .iter()
            .filter_map(|series| match series.values.get(start..) {
                Some(rest) if !rest.is_empty() => {
                    let slice = &rest[..group.min(rest.len())];
                    Some(slice.iter().sum::<f64>() / slice.len() as f64)
                }
                _ => match afterwards {
                    Afterwards::Held => series.values.last().copied(),
                    Afterwards::Zero => Some(0.0),
                    Afterwards::Unknown => None,
                },
            })
            .collect();
        if values.is_empty() {
            continue;
        }
        let x = (start as f64 + group as f64 / 2.0) * window;
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        line.points.push((x, mean));
        if values.len() > 1 {
            let low = values.iter().copied().fold(f64::MAX, f64::min);
            let high = values.iter().copied().fold(f64::MIN, f64::max);
            line.band.push((x, low, high));
        }
    }
    Some(line)
}

/// The warm-up, which all variants have.
fn warm_up(results: &Results) -> Vec<Shade> {
    let shade = Shade {
        from: 0.0,
        to: results.warm_up,
        label: "warm-up, not measured".to_string(),
    };
    if results.warm_up > 0.0 { vec![shade] } else { Vec::new() }
}

/// When faults were on in the first run of a variant, whomever they hit: of scheduled ones that is so in every run.
fn shades(variant: &VariantResults) -> Vec<Shade> {
    let faults = variant.runs.first().map_or(&[][..], |run| run.faults.as_slice());
    let mut shades: Vec<Shade> = Vec::new();
    for of in faults {
        // A partition of several sides is several cuts, `name`, `name/2` ..., and one band.
        let label = of
            .fault
            .rsplit_once('/')
            .filter(|(_, n)| n.parse::<u32>().is_ok())
            .map_or(of.fault.as_str(), |(name, _)| name);
        let (from, to) = (of.start.as_secs_f64(), of.end.as_secs_f64());
        // They come in the order of their begins: what overlaps with one of the same name goes on with it.
        let before = shades.iter_mut().rev().find(|shade| shade.label == label);
        match before.filter(|shade| shade.to >= from) {
            Some(before) => before.to = before.to.max(to),
            None => shades.push(Shade {
                from,
                to,
                label: label.to_string(),
            }),
        }
    }
    shades
}

/// Whether some replicates of a variant end before others.
fn end_apart(results: &Results, series: &str) -> bool {
    results.variants.iter().any(|variant| {
        let mut lengths = variant
            .runs
            .iter()
            .filter_map(|run| run.series.get(series))
            .map(|series| series.values.len());
        let first = lengths.next();
        lengths.any(|length| Some(length) != first)
    })
}

fn over_time(results: &Results, series: &str, title: &str, axis: &str, afterwards: Afterwards) -> Option<Chart> {
    // Lines of several variants with their ranges hide each other: a panel for each, on the same axes.
    let panel = |variant: &VariantResults| {
        Some(Panel {
            name: variant.title.clone(),
            lines: vec![series_line(&variant.runs, series, axis, afterwards)?],
            shades: shades(variant),
        })
    };
    let panels: Vec<Panel> = results.variants.iter().filter_map(panel).collect();
    let mut points = panels
        .iter()
        .flat_map(|panel| &panel.lines)
        .flat_map(|line| &line.points);
    if points.all(|(_, y)| *y == 0.0) {
        return None;
    }
    let mut frame = frame(results, title);
    let (window, drawn) = windows(results, series)?;
    frame.note = series_note(results, window, drawn);
    if afterwards == Afterwards::Unknown && end_apart(results, series) {
        frame
            .note
            .push_str(" Replicates end at different times: near the end, those that still run.");
    }
    Some(Chart::TimeSeries(TimeSeries {
        frame,
        x: Axis::new("simulated time", Unit::Time),
        y: Axis::new(axis, Unit::Count),
        steps: false,
        panels,
        limit: None,
        shades: warm_up(results),
    }))
}

/// Arrivals and refusals over time, a panel for each variant.
fn arrivals(results: &Results) -> Option<Chart> {
    let refused = results
        .variants
        .iter()
        .any(|variant| variant.measures.get("calls.refused").is_some_and(|of| of.mean > 0.0));
    let limits = limits(results);
    let triggered = results.variants.iter().any(|variant| {
        variant.measures.contains_key("herd.horizon") && variant.measures.contains_key("herd.end.goodput")
    });
    if !refused && limits.is_empty() && !triggered {
        return None;
    }
    let panels: Vec<Panel> = results
        .variants
        .iter()
        .map(|variant| {
            let line = |series, name| series_line(&variant.runs, series, name, Afterwards::Zero);
            let lines = [
                ("calls.arrivals.rate", "arrivals"),
                ("calls.refused.rate", "refused"),
                ("calls.goodput", "answered"),
            ];
            let lines = lines
                .into_iter()
                .filter(|(series, _)| refused || *series != "calls.refused.rate");
            Panel {
                name: variant.title.clone(),
                lines: lines.filter_map(|(series, name)| line(series, name)).collect(),
                shades: shades(variant),
            }
        })
        .collect();
    let points = panels
        .iter()
        .flat_map(|panel| &panel.lines)
        .flat_map(|line| &line.points);
    let peak = points.map(|(_, rate)| *rate).fold(0.0, f64::max);
    let mut frame = frame(
        results,
        match refused {
            true => "Requests, refusals and answers over time",
            false => "Requests and answers over time",
        },
    );
    let (window, drawn) = windows(results, "calls.arrivals.rate")?;
    frame.note = series_note(results, window, drawn);
    let limit = limits.first().map_or(f64::MAX, |(_, limit)| *limit);
    let y = if peak > 30.0 * limit {
        // A herd's peak stands orders of magnitude above the limit: only a logarithmic axis shows both. It has no zero, and what
        // is far below the limit is of no interest.
        let floor = numbers::power_of_ten(numbers::exponent(limit) - 1);
        let least = numbers::brief(floor, &Unit::PerSecond);
        frame
            .note
            .push_str(&format!(" Rates of {least} and less, zeros too, lie on the axis."));
        Axis {
            floor: Some(floor),
            ..Axis::logarithmic("requests", Unit::PerSecond)
        }
    } else {
        Axis::new("requests", Unit::PerSecond)
    };
    Some(Chart::TimeSeries(TimeSeries {
        frame,
        x: Axis::new("simulated time", Unit::Time),
        y,
        steps: false,
        panels,
        limit: match limits.as_slice() {
            [(service, limit)] => Some(Limit {
                value: *limit,
                label: format!("rate limit of {service}"),
            }),
            _ => None,
        },
        shades: warm_up(results),
    }))
}

/// The rate limits of the services that have one.
fn limits(results: &Results) -> Vec<(String, f64)> {
    let Some(base) = results.variants.first() else {
        return Vec::new();
    };
    let of = |name: &str| Some(name.strip_prefix("service.")?.strip_suffix(".limit")?.to_string());
    base.measures
        .iter()
        .filter_map(|(name, limit)| Some((of(name)?, limit.mean)))
        .collect()
}

/// Amplification and goodput, a row for each variant.
fn amplification(results: &Results) -> Option<Chart> {
    let column = |measure: &str, label: &str, unit: Unit, reference: Option<f64>| Measure {
        axis: Axis::new(label, unit),
        values: results
            .variants
            .iter()
            .map(|variant| estimate(variant, measure))
            .collect(),
        reference,
    };
    let columns = vec![
        column(
            "calls.amplification",
            "attempts per intended call",
            Unit::Number,
            Some(1.0),
        ),
        column("calls.goodput", "calls answered", Unit::PerSecond, None),
    ];
    let any = columns[0].values.iter().flatten().any(|of| of.value > 1.0);
    let mut frame = frame(results, "Amplification and goodput");
    frame.note = format!(
        "{} Rates: per second of the measured time.",
        interval_note(Level::P95, results.replicates as u64)
    );
    let rows = results.variants.iter().map(|variant| variant.title.clone()).collect();
    any.then_some(Chart::Measures(Measures {
        frame,
        rows,
        measures: columns,
        bars: false,
    }))
}

/// A column for each of these measures and what it is called, in the order of the variants.
fn columns<'a>(results: &Results, measures: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<Measure> {
    let column = |(measure, called)| Measure {
        axis: Axis::new(called, unit_of(measure)),
        values: results
            .variants
            .iter()
            .map(|variant| estimate(variant, measure))
            .collect(),
        reference: None,
    };
    measures.map(column).collect()
}

/// Most characters of a title that lists what is shown.
const TITLE: usize = 60;

/// What is shown, as a title: the names, or how many there are.
fn title_of(answers: &[(String, String)]) -> String {
    let names: Vec<&str> = answers.iter().map(|(_, called)| called.as_str()).collect();
    let title = listed(&names);
    if title.chars().count() > TITLE {
        return format!("The answer in {} measures", answers.len());
    }
    let mut letters = title.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}

/// The measures that the scenario says answer its question, a row for each variant.
fn answer(results: &Results) -> Option<Chart> {
    let answers = results.answers.iter();
    let mut columns = columns(
        results,
        answers.map(|(measure, called)| (measure.as_str(), called.as_str())),
    );
    columns.retain(|column| column.values.iter().any(Option::is_some));
    if columns.is_empty() {
        return None;
    }
    let mut frame = frame(results, &title_of(&results.answers));
    frame.note = match columns.len() <= MOST_IN_FULL {
        true => interval_note(Level::P95, results.replicates as u64),
        false => "Means over the replicates; bars relative to the greatest in their column. Intervals: in summary.csv."
            .into(),
    };
    let rows = results.variants.iter().map(|variant| variant.title.clone()).collect();
    Some(Chart::Measures(Measures {
        frame,
        rows,
        measures: columns,
        bars: true,
    }))
}

/// What the shared state cost, a row for each variant.
fn state_costs(results: &Results) -> Option<Chart> {
    let candidates = [
        ("state.conflicts", "conflicts"),
        ("state.lost_updates", "lost updates"),
        ("state.lost_effects", "lost effects"),
        ("state.stale_reads.share", "stale reads"),
        ("state.healed.max", "healed after"),
    ];
    let mut columns = columns(results, candidates.into_iter());
    columns.retain(|column| column.values.iter().flatten().any(|of| of.value > 0.0));
    if columns.is_empty() {
        return None;
    }
    let mut frame = frame(results, "What sharing state cost");
    frame.note = interval_note(Level::P95, results.replicates as u64);
    let rows = results.variants.iter().map(|variant| variant.title.clone()).collect();
    Some(Chart::Measures(Measures {
        frame,
        rows,
        measures: columns,
        bars: true,
    }))
}
