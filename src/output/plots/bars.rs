//! Bars and dots in rows: stacked parts of a whole, and measures with intervals.
//!
//! Rows are horizontal, so that long names fit; bars stand on zero.

use super::matrix::{MOST_IN_FULL, matrix};
use super::page::{
    AXIS_TITLE, Area, Fitted, HEADING, Labels, Mark, NAME, Page, SIDES, TICK, edges, fit, no_data, whisker,
};
use super::scene::{AXIS, Anchor, Ink, MUTED, PARTS, SERIES, Scene, TEXT, Type, WHITE};
use super::{Axis, Estimate, Measure, Measures, PlotError, StackedBars, Unit, at_most, finite, finite_estimate};
use crate::output::tables::numbers::{Shown, between, decimals_for, grouped, quantity};

const NAME_WIDTH: f64 = 520.0;
const LABEL: Type = Type::new(28.0, true, TEXT);
/// What has to be known beside a value: in a colour that isn't overlooked.
const REMARK: Type = Type::new(27.0, false, Ink::rgb(0xa34700));
const REMARK_GAP: f64 = 16.0;
/// The least width in pixels that is seen.
const SEEN: f64 = 1.5;
/// The line that leads from a row's name to its number.
const GUIDE: Ink = Ink::rgb(0xeef0f2);
/// Room below the data for tick labels and the axis' title.
const AXIS_ROOM: f64 = 100.0;

/// A name in at most two lines, right-aligned before `x` and centred on `y`.
fn write_name(scene: &mut Scene, name: &str, (x, y): (f64, f64), pitch: f64, bold: bool) {
    let look = if bold { HEADING } else { NAME };
    let lines = look.wrap(name, NAME_WIDTH, if pitch >= 70.0 { 2 } else { 1 });
    let first = y + look.drop() - 17.0 * (lines.len() - 1) as f64;
    for (i, line) in lines.iter().enumerate() {
        scene.text((x, first + 34.0 * i as f64), look, Anchor::End, line);
    }
}

/// The width that the names of all rows need.
fn names_width<'a>(names: impl Iterator<Item = &'a str>, bold: bool) -> f64 {
    let look = if bold { HEADING } else { NAME };
    names
        .map(|n| look.width(&super::font::clean(n)))
        .fold(0.0, f64::max)
        .min(NAME_WIDTH)
}

/// A value with its interval, in the unit of the axis that it stands on.
fn text_of(value: &Estimate, unit: &Unit, shown: &Shown) -> String {
    between(value.value, value.interval, unit, shown)
}

/// The lowest and the highest of values and their intervals, and zero.
fn range<'a>(values: impl Iterator<Item = &'a Estimate>) -> (f64, f64) {
    values.fold((0.0, 0.0), |(low, high): (f64, f64), e| {
        let (from, to) = e.interval.unwrap_or((e.value, e.value));
        (low.min(e.value).min(from).min(to), high.max(e.value).max(from).max(to))
    })
}

/// The scene of stacked bars.
pub(super) fn stacked(chart: &StackedBars) -> Result<Scene, PlotError> {
    at_most("bars", chart.bars.len())?;
    at_most("parts", chart.parts.len())?;
    for bar in &chart.bars {
        finite_estimate(&bar.total, &bar.name)?;
        if bar.parts.len() != chart.parts.len() {
            let what = format!("the parts of {:?}", bar.name);
            return Err(PlotError::Length {
                what,
                found: bar.parts.len(),
                expected: chart.parts.len(),
            });
        }
        for (part, value) in chart.parts.iter().zip(&bar.parts) {
            finite(*value, || format!("{part:?} of {:?}", bar.name))?;
            if *value < 0.0 {
                return Err(PlotError::NegativePart {
                    what: format!("{part:?} of {:?}", bar.name),
                });
            }
        }
    }
    if chart.bars.is_empty() {
        return Ok(no_data(&chart.frame, "no variant has a result"));
    }
    let ink = |part: usize| PARTS[part % PARTS.len()];
    let Fit { left, right, x, totals } = fit_bars(chart);
    let pixels = |value: f64| x.scale.at(value) - x.scale.at(0.0);
    let largest = |part: usize| chart.bars.iter().map(|bar| bar.parts[part]).fold(0.0, f64::max);
    let (mut shown, unseen): (Vec<usize>, Vec<usize>) = (0..chart.parts.len())
        .filter(|part| largest(*part) > 0.0)
        .partition(|part| pixels(largest(*part)) >= SEEN);
    if shown.is_empty() && unseen.is_empty() {
        shown = (0..chart.parts.len()).collect();
    }
    let mut legend: Vec<(String, Mark)> = shown
        .iter()
        .map(|p| (chart.parts[*p].clone(), Mark::Square(ink(*p))))
        .collect();
    if chart.bars.len() > 1 && chart.bars.iter().any(|b| b.reference) {
        legend.push(("reference".into(), Mark::Hatched(MUTED)));
    }
    let mut frame = chart.frame.clone();
    if !unseen.is_empty() {
        let most = |part: &usize| {
            format!(
                "{} (≤ {})",
                chart.parts[*part],
                quantity(largest(*part), &chart.axis.unit)
            )
        };
        let parts: Vec<String> = unseen.iter().map(most).collect();
        frame.note = format!("{} Too small to be seen: {}.", frame.note, parts.join(", "))
            .trim()
            .to_string();
    }
    let count = chart.bars.len() as f64;
    let Page { mut scene, body } = Page::new(&frame, &legend, count * 54.0 + AXIS_ROOM);
    let area = Area {
        left,
        top: body.top,
        right,
        bottom: body.bottom - AXIS_ROOM,
    };
    x.draw_x(&mut scene, area, Labels::Centred);
    scene.text(
        ((area.left + area.right) / 2.0, area.bottom + 84.0),
        AXIS_TITLE,
        Anchor::Middle,
        &x.title,
    );

    let pitch = area.height() / count;
    let thick = (pitch * 0.64).min(120.0);
    let decimals = decimals_for(x.ticks.high() / x.shown.divide, 4).min(2);
    for (i, bar) in chart.bars.iter().enumerate() {
        let y = area.top + pitch * (i as f64 + 0.5);
        write_name(&mut scene, &bar.name, (area.left - 18.0, y), pitch, bar.reference);
        let whiskers = bar
            .total
            .interval
            .map(|(low, high)| (x.scale.at(low.min(high)), x.scale.at(high.max(low))));
        let mut sum = 0.0;
        for part in 0..chart.parts.len() {
            let (from, to) = (x.scale.at(sum), x.scale.at(sum + bar.parts[part]));
            sum += bar.parts[part];
            if !shown.contains(&part) {
                continue;
            }
            draw_part(&mut scene, (from, to), (y, thick), ink(part), bar.reference);
            // A number never touches the whisker.
            let free = (from, whiskers.map_or(to, |(low, _)| to.min(low - 8.0)));
            let text = grouped(bar.parts[part] / x.shown.divide, decimals);
            let look = Type::new(25.0, false, ink(part).text_on());
            if look.width(&text) + 20.0 < free.1 - free.0 && thick > 30.0 {
                let middle = (free.0 + free.1) / 2.0;
                // On hatching, a quiet ground keeps the number readable.
                if bar.reference {
                    let half = look.width(&text) / 2.0 + 7.0;
                    scene.rect((middle - half, y - 18.0), (2.0 * half, 36.0), ink(part));
                }
                scene.text((middle, y + look.drop()), look, Anchor::Middle, &text);
            }
        }
        let mut end = x.scale.at(sum.max(bar.total.value));
        if let Some((low, high)) = whiskers {
            whisker(&mut scene, low, high, y, (thick * 0.24).min(14.0));
            end = end.max(high);
        }
        // A white ground keeps grid lines out of the number.
        let (width, remark) = (LABEL.width(&totals[i]), remark_width(&bar.remark));
        scene.rect((end + 12.0, y - 20.0), (width + remark + 12.0, 40.0), WHITE);
        scene.text((end + 18.0, y + LABEL.drop()), LABEL, Anchor::Start, &totals[i]);
        scene.text(
            (end + 18.0 + width + REMARK_GAP, y + REMARK.drop()),
            REMARK,
            Anchor::Start,
            &remark_text(&bar.remark),
        );
    }
    edges(&mut scene, area);
    Ok(scene)
}

/// How bars lie on the page.
struct Fit {
    left: f64,
    right: f64,
    x: Fitted,
    /// The bars' numbers.
    totals: Vec<String>,
}

fn remark_text(remark: &str) -> String {
    REMARK.shorten(remark, 360.0)
}

fn remark_width(remark: &str) -> f64 {
    match remark_text(remark).as_str() {
        "" => 0.0,
        text => REMARK.width(text) + REMARK_GAP,
    }
}

/// Fits the axis: what is written behind each bar stays on the page.
fn fit_bars(chart: &StackedBars) -> Fit {
    let (low, high) = chart
        .bars
        .iter()
        .fold(range(chart.bars.iter().map(|b| &b.total)), |(low, high), b| {
            (low, high.max(b.parts.iter().sum()))
        });
    let axis = Axis {
        logarithmic: false,
        ..chart.axis.clone()
    };
    // An interval may reach below zero; bars can't, so neither does the axis.
    let low = if chart.bars.iter().any(|b| b.total.value < 0.0) {
        low
    } else {
        0.0
    };
    let left = SIDES.0 + names_width(chart.bars.iter().map(|b| b.name.as_str()), true) + 22.0;
    // The unit of the axis depends on its values alone, not on its length.
    let unit = fit(&axis, (low, high), (left, SIDES.1), false, true).shown;
    let totals: Vec<String> = chart
        .bars
        .iter()
        .map(|b| text_of(&b.total, &axis.unit, &unit))
        .collect();
    let right = chart.bars.iter().zip(&totals).map(|(bar, total)| {
        let words = LABEL.width(total) + remark_width(&bar.remark) + 40.0;
        let sum: f64 = bar.parts.iter().sum();
        let end = bar
            .total
            .interval
            .map_or(0.0, |(from, to)| from.max(to))
            .max(bar.total.value)
            .max(sum);
        let share = ((end - low) / (high - low)).clamp(0.05, 1.0);
        left + (SIDES.1 - words - left) / share
    });
    let right = right.fold(SIDES.1 - 40.0, f64::min).max(left + 200.0);
    Fit {
        left,
        right,
        x: fit(&axis, (low, high), (left, right), false, true),
        totals,
    }
}

fn draw_part(scene: &mut Scene, (from, to): (f64, f64), (y, thick): (f64, f64), ink: Ink, hatched: bool) {
    // A white seam of two pixels between parts, unless the part is too thin to lose them.
    let seam = if to - from > 6.0 { 2.0 } else { 0.0 };
    let (at, size) = ((from, y - thick / 2.0), (to - from - seam, thick));
    scene.rect(at, size, ink);
    if hatched && size.0 > 0.0 {
        scene.hatch(at, size);
    }
}

/// The scene of measures in columns.
pub(super) fn measures(chart: &Measures) -> Result<Scene, PlotError> {
    at_most("rows", chart.rows.len())?;
    at_most("columns", chart.measures.len())?;
    for measure in &chart.measures {
        if measure.values.len() != chart.rows.len() {
            let what = format!("the values of {:?}", measure.axis.label);
            return Err(PlotError::Length {
                what,
                found: measure.values.len(),
                expected: chart.rows.len(),
            });
        }
        for (row, value) in chart.rows.iter().zip(&measure.values) {
            value.as_ref().map_or(Ok(()), |value| finite_estimate(value, row))?;
        }
        measure.reference.map_or(Ok(()), |r| {
            finite(r, || format!("the reference of {:?}", measure.axis.label))
        })?;
    }
    if chart.measures.iter().all(|m| m.values.iter().all(Option::is_none)) {
        return Ok(no_data(&chart.frame, "no variant has a value"));
    }
    if chart.measures.len() > MOST_IN_FULL {
        return Ok(matrix(chart));
    }
    let columns = chart.measures.len().min(3);
    let bands = chart.measures.len().div_ceil(columns);
    let count = chart.rows.len() as f64;
    let extra = AXIS_ROOM + 50.0;
    let Page { mut scene, body } = Page::new(&chart.frame, &[], bands as f64 * (count * 54.0 + extra));
    let left = body.left + names_width(chart.rows.iter().map(String::as_str), false) + 26.0;
    let gap = 56.0;
    let width = (body.right - left - gap * (columns - 1) as f64) / columns as f64;
    let band_height = body.height() / bands as f64;
    for (i, measure) in chart.measures.iter().enumerate() {
        let (column, band) = (i % columns, i / columns);
        let cell_left = left + column as f64 * (width + gap);
        let cell_top = body.top + band as f64 * band_height;
        let cell = Area {
            left: cell_left,
            top: cell_top + 50.0,
            right: cell_left + width,
            bottom: cell_top + band_height - AXIS_ROOM,
        };
        let pitch = (cell.height() / count).min(220.0);
        let cell = Area {
            bottom: cell.top + pitch * count,
            ..cell
        };
        if column == 0 {
            for (row, name) in chart.rows.iter().enumerate() {
                let y = cell.top + pitch * (row as f64 + 0.5);
                write_name(&mut scene, name, (left - 20.0, y), pitch, false);
            }
        }
        draw_measure(&mut scene, measure, cell, pitch, chart.bars);
    }
    Ok(scene)
}

fn draw_measure(scene: &mut Scene, measure: &Measure, cell: Area, pitch: f64, bars: bool) {
    let (mut low, mut high) = range(measure.values.iter().flatten());
    let reference = measure.reference.unwrap_or(0.0);
    (low, high) = (low.min(reference), high.max(reference));
    // Of what isn't negative in any row an interval reaches below zero by its form alone: its whisker ends there.
    let clipped = bars && reference >= 0.0 && measure.values.iter().flatten().all(|of| of.value >= 0.0);
    if clipped {
        low = 0.0;
    }
    let axis = Axis {
        logarithmic: measure.axis.logarithmic && !bars && positive(measure).is_some(),
        ..measure.axis.clone()
    };
    if axis.logarithmic {
        (low, high) = positive(measure).unwrap_or((low, high));
    }
    // Units that aren't part of a number stand under the axis once, instead of behind every number.
    let unit = match &measure.axis.unit {
        Unit::Named(_) | Unit::PerSecond | Unit::Money(_) => &Unit::Number,
        own => own,
    };
    // The unit of the axis depends on its values alone, not on its length.
    let shown = fit(&axis, (low, high), (cell.left, cell.right), false, true).shown;
    let texts: Vec<Option<String>> = measure
        .values
        .iter()
        .map(|v| {
            v.as_ref()
                .map(|v| LABEL.shorten(&text_of(v, unit, &shown), cell.width() * 0.65))
        })
        .collect();
    let widest = texts.iter().flatten().map(|t| LABEL.width(t)).fold(0.0, f64::max);
    let area = Area {
        right: (cell.right - widest - 30.0).max(cell.left + cell.width() * 0.3),
        ..cell
    };
    scene.text(
        (cell.left, cell.top - 18.0),
        HEADING,
        Anchor::Start,
        &HEADING.shorten(&measure.axis.label, cell.width()),
    );
    let x: Fitted = fit(&axis, (low, high), (area.left, area.right), false, true);
    x.draw_x(scene, area, Labels::Centred);
    let title = AXIS_TITLE.shorten(&x.unit, cell.width());
    let half = AXIS_TITLE.width(&title) / 2.0;
    let middle = ((area.left + area.right) / 2.0).max(cell.left + half);
    scene.text((middle, area.bottom + 82.0), AXIS_TITLE, Anchor::Middle, &title);
    edges(scene, area);
    let row = |i: usize| area.top + pitch * (i as f64 + 0.5);
    let zero = x.scale.at(0.0);
    for (i, value) in measure.values.iter().enumerate() {
        scene.line(vec![(area.left, row(i)), (cell.right, row(i))], 2.0, GUIDE, &[]);
        if let (true, Some(value)) = (bars, value) {
            let (at, thick) = (x.scale.at(value.value), (pitch * 0.6).min(80.0));
            let size = ((at - zero).abs(), thick);
            scene.rect((zero.min(at), row(i) - thick / 2.0), size, SERIES[i % SERIES.len()]);
        }
    }
    // Over the bars and under the whiskers: what a value is compared with is seen along its whole length.
    if let Some(reference) = measure.reference {
        let x = x.scale.at(reference);
        scene.line(vec![(x, area.top), (x, area.bottom)], 3.0, TEXT, &[4.0, 3.0]);
    }
    for (i, value) in measure.values.iter().enumerate() {
        let y = row(i);
        let (Some(value), Some(text)) = (value, &texts[i]) else {
            let width = AXIS_TITLE.width("no value");
            scene.rect((area.left + 8.0, y - 20.0), (width + 16.0, 40.0), WHITE);
            scene.text(
                (area.left + 16.0, y + TICK.drop()),
                AXIS_TITLE,
                Anchor::Start,
                "no value",
            );
            continue;
        };
        if let Some((low, high)) = value.interval {
            let least = if clipped { low.min(high).max(0.0) } else { low.min(high) };
            let (low, high) = (x.scale.at(least), x.scale.at(low.max(high)));
            whisker(scene, low, high, y, (pitch * 0.16).min(13.0));
        }
        if !bars {
            scene.dot((x.scale.at(value.value), y), 10.0, SERIES[i % SERIES.len()]);
        }
        let width = LABEL.width(text);
        scene.rect((cell.right - width - 10.0, y - 20.0), (width + 10.0, 40.0), WHITE);
        scene.text((cell.right, y + LABEL.drop()), LABEL, Anchor::End, text);
    }
    if low < 0.0 {
        scene.line(vec![(zero, area.top), (zero, area.bottom)], 2.0, AXIS, &[]);
    }
}

/// The least and the greatest of what a logarithmic axis can show.
fn positive(measure: &Measure) -> Option<(f64, f64)> {
    let values = measure.values.iter().flatten();
    let all = values.flat_map(|e| {
        [
            Some(e.value),
            e.interval.map(|i| i.0),
            e.interval.map(|i| i.1),
            measure.reference,
        ]
    });
    let range = all
        .flatten()
        .filter(|v| *v > 1e-90)
        .fold((f64::INFINITY, 0.0f64), |(l, h), v| (l.min(v), h.max(v)));
    (range.1 > 0.0).then_some(range)
}
