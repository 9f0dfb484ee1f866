//! Lines: distribution functions, curves, and small multiples over time.
//!
//! Colours follow the order of names; past seven, dashes tell lines of one colour apart, and let lines be seen that lie under
//! others. Long lines are thinned to what pixels can show, keeping each column's extremes.

use super::overlap::{self, Profile};
use super::page::{
    AXIS_TITLE, Area, Fitted, HEADING, Labels, Mark, NOTE, Page, SIDES, edges, fit, legend_label, no_data,
};
use super::scene::{Anchor, DASHES, Ink, MUTED, SERIES, SHADES, Scene, TEXT};
use super::{Axis, Line, Lines, PlotError, Shade, TimeSeries, at_most, finite};
use crate::output::tables::numbers::brief;

/// Room below the data for tick labels and the axis' title, and above it for the other axis' title.
const BELOW: f64 = 100.0;
const ABOVE: f64 = 54.0;

type Style = (Ink, &'static [f64]);

/// The styles of lines with these dashes.
fn styles(dashes: &[usize]) -> Vec<Style> {
    let style = |(index, dash): (usize, &usize)| (SERIES[index % SERIES.len()], DASHES[dash % DASHES.len()]);
    dashes.iter().enumerate().map(style).collect()
}

fn check(lines: &[Line]) -> Result<(), PlotError> {
    for line in lines {
        let what = || format!("a point of {:?}", line.name);
        for (x, y) in &line.points {
            finite(*x, what)?;
            finite(*y, what)?;
        }
        for (x, low, high) in &line.band {
            [x, low, high]
                .into_iter()
                .try_for_each(|v| finite(*v, || format!("the band of {:?}", line.name)))?;
        }
    }
    Ok(())
}

/// The range of one coordinate of all lines, on a linear or a logarithmic axis; `None` without any value.
fn range(values: impl Iterator<Item = f64>, axis: &Axis) -> Option<(f64, f64)> {
    // A logarithmic axis begins at the least value that it can show; zeros lie on its end.
    let shown = values.filter(|v| !axis.logarithmic || *v > 1e-90);
    let (low, high) = shown.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
        (low.min(v), high.max(v))
    });
    (low <= high).then_some((low, high))
}

fn xs(line: &Line) -> impl Iterator<Item = f64> + '_ {
    line.points.iter().map(|p| p.0).chain(line.band.iter().map(|b| b.0))
}

fn ys(line: &Line) -> impl Iterator<Item = f64> + '_ {
    line.points
        .iter()
        .map(|p| p.1)
        .chain(line.band.iter().flat_map(|b| [b.1, b.2]))
}

/// An axis that can show these values: a logarithmic one turns linear if none of them is above zero.
fn usable(axis: &Axis, values: impl Iterator<Item = f64>) -> Axis {
    let any = axis.logarithmic && values.into_iter().any(|v| v > 1e-90);
    Axis {
        logarithmic: any,
        ..axis.clone()
    }
}

/// The lowest and highest value of the horizontal and of the vertical axis.
type Ranges = [(f64, f64); 2];

/// Both axes' ranges. The vertical one stands on zero if it is linear and has nothing below; the horizontal one begins at
/// zero if the data begins near it.
fn ranges<'a>(lines: impl Iterator<Item = &'a Line> + Clone, x: &Axis, y: &Axis) -> Option<(Axis, Axis, Ranges)> {
    let x = usable(x, lines.clone().flat_map(xs));
    let y = usable(y, lines.clone().flat_map(ys));
    let (mut left, right) = range(lines.clone().flat_map(xs), &x)?;
    let (mut bottom, mut top) = range(lines.flat_map(ys), &y)?;
    if !x.logarithmic && left > 0.0 && left < 0.35 * right {
        left = 0.0;
    }
    if !y.logarithmic {
        (bottom, top) = (bottom.min(0.0), top.max(0.0));
    } else if let Some(floor) = y.floor.filter(|floor| *floor > 1e-90 && *floor < top) {
        bottom = floor;
    }
    let y = Axis {
        floor: y.floor.filter(|floor| y.logarithmic && *floor == bottom),
        ..y
    };
    Some((x, y, [(left, right), (bottom, top)]))
}

/// The scene of lines over one another.
pub(super) fn lines(chart: &Lines) -> Result<Scene, PlotError> {
    at_most("lines", chart.lines.len())?;
    check(&chart.lines)?;
    let Some((x, y, [xr, yr])) = ranges(chart.lines.iter(), &chart.x, &chart.y) else {
        return Ok(no_data(&chart.frame, "no variant has a value"));
    };
    let shape = Shape {
        steps: chart.steps,
        floor: chart.steps.then_some(0.0).filter(|_| yr.0 >= 0.0),
    };
    let profiles = profiles(&chart.lines, shape, (&x, xr), (&y, yr), 640.0);
    let styles = styles(&overlap::dashes(chart.lines.len(), std::slice::from_ref(&profiles)));
    let legend: Vec<(String, Mark)> = chart
        .lines
        .iter()
        .zip(&styles)
        .map(|(line, style)| {
            let label = legend_label(&line.name, &line.remark, chart.lines.len());
            (label, Mark::Line(style.0, style.1))
        })
        .collect();
    let mut frame = chart.frame.clone();
    let together = overlap::groups(&profiles);
    let others = together.len().saturating_sub(2);
    let mut together: Vec<String> = together
        .into_iter()
        .take(2)
        .map(|group| listed(group.into_iter().map(|at| chart.lines[at].name.as_str())))
        .collect();
    if others > 0 {
        together.push(format!("and {others} more groups"));
    }
    if !together.is_empty() {
        frame.note = format!("{} Lines that coincide: {}.", frame.note, together.join("; "))
            .trim()
            .to_string();
    }
    let Page { mut scene, body } = Page::new(&frame, &legend, 640.0);
    let plot = Area {
        top: body.top + ABOVE,
        bottom: body.bottom - BELOW,
        ..body
    };
    let y = fit(&y, yr, (plot.bottom, plot.top), false, false);
    let plot = Area {
        left: plot.left + y.label_width(),
        right: plot.right - 30.0,
        ..plot
    };
    let x = fit(&x, xr, (plot.left, plot.right), true, true);
    x.draw_x(&mut scene, plot, Labels::Centred);
    y.draw_y(&mut scene, plot, true);
    edges(&mut scene, plot);
    titles(&mut scene, &x.title, &y.title, (body, plot));
    for (line, style) in chart.lines.iter().zip(&styles) {
        draw_band(&mut scene, line, shape, (&x, &y), style.0);
    }
    for (line, style) in chart.lines.iter().zip(&styles) {
        draw_line(&mut scene, line, shape, (&x, &y), *style, 5.0);
    }
    Ok(scene)
}

/// How many names a note lists.
const LISTED: usize = 4;

/// Names in words, long ones cut and the first of many: `a, b and c`, `a, b, c, d and 3 others`.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<&str> = names.collect();
    let mut names: Vec<String> = all.iter().map(|name| NOTE.shorten(name, 300.0)).collect();
    if names.len() > LISTED + 1 {
        names.truncate(LISTED);
        names.push(format!("{} others", all.len() - LISTED));
    }
    match names.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Where lines would lie in a plot of this height.
fn profiles(
    lines: &[Line],
    shape: Shape,
    (x, xr): (&Axis, (f64, f64)),
    (y, yr): (&Axis, (f64, f64)),
    height: f64,
) -> Vec<Option<Profile>> {
    let x = fit(x, xr, SIDES, true, true);
    let y = fit(y, yr, (height, 0.0), false, false);
    let profile = |line: &Line| {
        overlap::profile(
            &path(line.points.iter().copied(), shape, (&x, &y)),
            SIDES,
            (0.0, height),
        )
    };
    lines.iter().map(|line| Some(profile(line))).collect()
}

fn titles(scene: &mut Scene, x: &str, y: &str, (body, plot): (Area, Area)) {
    scene.text(
        (body.left, body.top + 26.0),
        AXIS_TITLE,
        Anchor::Start,
        &AXIS_TITLE.shorten(y, body.width()),
    );
    let title = AXIS_TITLE.shorten(x, plot.width());
    scene.text(
        ((plot.left + plot.right) / 2.0, plot.bottom + 86.0),
        AXIS_TITLE,
        Anchor::Middle,
        &title,
    );
}

/// How points are joined.
#[derive(Debug, Clone, Copy)]
struct Shape {
    /// Whether each value holds until the next.
    steps: bool,
    /// Where a line rises from at its first point: a distribution function is zero before its first sample.
    floor: Option<f64>,
}

/// Points in pixels, with the corners of steps if wanted.
fn path(
    points: impl Iterator<Item = (f64, f64)>,
    Shape { steps, floor }: Shape,
    (x, y): (&Fitted, &Fitted),
) -> Vec<(f64, f64)> {
    let mut out: Vec<(f64, f64)> = Vec::new();
    for (px, py) in points.map(|(px, py)| (x.scale.at(px), y.scale.at(py))) {
        if out.is_empty() {
            out.extend(floor.map(|floor| (px, y.scale.at(floor))));
        }
        if let (true, Some(last)) = (steps, out.last().copied()) {
            out.push((px, last.1));
        }
        out.push((px, py));
    }
    thin(out)
}

/// At most four points (first, lowest, highest, last) for each column of pixels, if there are more points than pixels.
fn thin(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    if points.len() < 4_000 || points.windows(2).any(|w| w[0].0 > w[1].0) {
        return points;
    }
    let mut out: Vec<(f64, f64)> = Vec::new();
    for column in points.chunk_by(|a, b| libm::floor(a.0) == libm::floor(b.0)) {
        let (mut lowest, mut highest) = (0, 0);
        for (i, point) in column.iter().enumerate() {
            if point.1 < column[lowest].1 {
                lowest = i;
            }
            if point.1 > column[highest].1 {
                highest = i;
            }
        }
        let mut kept = [0, lowest, highest, column.len() - 1];
        kept.sort_unstable();
        let mut before = usize::MAX;
        for i in kept {
            if i != before {
                out.push(column[i]);
            }
            before = i;
        }
    }
    out
}

/// A whisker from `low` to `high` at the place `x`.
fn upright_whisker(scene: &mut Scene, x: f64, (low, high): (f64, f64), ink: Ink) {
    const CAP: f64 = 9.0;
    for (from, to) in [
        ((x, low), (x, high)),
        ((x - CAP, low), (x + CAP, low)),
        ((x - CAP, high), (x + CAP, high)),
    ] {
        scene.line(vec![from, to], 3.0, ink, &[]);
    }
}

fn draw_band(scene: &mut Scene, line: &Line, shape: Shape, axes: (&Fitted, &Fitted), ink: Ink) {
    if line.dots {
        for (x, low, high) in &line.band {
            let ends = (axes.1.scale.at(*low), axes.1.scale.at(*high));
            upright_whisker(scene, axes.0.scale.at(*x), ends, ink.alpha(0.6));
        }
        return;
    }
    let mut outline = path(line.band.iter().map(|b| (b.0, b.1.max(b.2))), shape, axes);
    let mut lower = path(line.band.iter().map(|b| (b.0, b.1.min(b.2))), shape, axes);
    lower.reverse();
    outline.extend(lower);
    scene.area(outline, ink.alpha(0.18));
}

fn draw_line(scene: &mut Scene, line: &Line, shape: Shape, axes: (&Fitted, &Fitted), (ink, dash): Style, width: f64) {
    let points = path(line.points.iter().copied(), shape, axes);
    match points.as_slice() {
        [] => {}
        [point] => scene.dot(*point, 2.0 * width, ink),
        _ => scene.line(points, width, ink, dash),
    }
    if line.dots {
        let at = |(px, py): &(f64, f64)| (axes.0.scale.at(*px), axes.1.scale.at(*py));
        let dots = if line.marks.is_empty() {
            &line.points
        } else {
            &line.marks
        };
        dots.iter().for_each(|point| scene.dot(at(point), 2.0 * width, ink));
    }
}

/// The scene of small multiples over time.
pub(super) fn time_series(chart: &TimeSeries) -> Result<Scene, PlotError> {
    at_most("panels", chart.panels.len())?;
    chart.panels.iter().try_for_each(|panel| check(&panel.lines))?;
    let marks = all_shades(chart)
        .flat_map(|s| [s.from, s.to])
        .chain(chart.limit.iter().map(|l| l.value));
    marks
        .into_iter()
        .try_for_each(|v| finite(v, || "a limit or a shaded interval".into()))?;
    let mut names: Vec<&str> = Vec::new();
    for line in chart.panels.iter().flat_map(|p| &p.lines) {
        if !names.contains(&line.name.as_str()) {
            names.push(&line.name);
        }
    }
    at_most("lines", names.len())?;
    let all = chart.panels.iter().flat_map(|p| &p.lines);
    let Some((x_axis, y_axis, [xr, mut yr])) = ranges(all, &chart.x, &chart.y) else {
        return Ok(no_data(&chart.frame, "nothing happened over time"));
    };
    // A logarithmic axis can't show a limit of zero.
    for limit in chart.limit.iter().filter(|l| l.value > 0.0 || !y_axis.logarithmic) {
        yr = (yr.0.min(limit.value), yr.1.max(limit.value));
    }
    let shape = Shape {
        steps: chart.steps,
        floor: None,
    };
    let grid = Grid::of(chart.panels.len());
    let index = |line: &Line| names.iter().position(|n| *n == line.name).unwrap_or(0);
    let pictures = chart.panels.iter().map(|panel| {
        let mut all: Vec<Option<Profile>> = vec![None; names.len()];
        let found = profiles(
            &panel.lines,
            shape,
            (&x_axis, xr),
            (&y_axis, yr),
            grid.least() - PANEL_GAP,
        );
        for (line, profile) in panel.lines.iter().zip(found) {
            all[index(line)] = profile;
        }
        all
    });
    let styles = styles(&overlap::dashes(names.len(), &pictures.collect::<Vec<_>>()));
    let legend = time_legend(chart, &names, &styles, xr);
    let Page { mut scene, body } = Page::new(&chart.frame, &legend, grid.rows as f64 * grid.least() + BELOW + ABOVE);
    let pane = grid.pane_height(body);
    // The vertical axis is fitted once, for the first pane's height; its labels' width then places all panes.
    let probe = fit(&y_axis, yr, (pane, 0.0), false, false);
    let left = body.left + probe.label_width();
    let mut grid_bottom = body.top;
    for (i, panel) in chart.panels.iter().enumerate() {
        let plot = grid.place(i, body, left, pane);
        let y = fit(&y_axis, yr, (plot.bottom, plot.top), false, false);
        let x = fit(&x_axis, xr, (plot.left, plot.right), true, true);
        for shade in chart.shades.iter().chain(&panel.shades) {
            let (from, to) = (shade.from.min(shade.to), shade.from.max(shade.to));
            if to >= xr.0 && from <= xr.1 && from == to {
                let at = x.scale.at(from);
                scene.line(vec![(at, plot.top), (at, plot.bottom)], 4.0, MOMENT, LIMIT_DASH);
            } else if to >= xr.0 && from <= xr.1 {
                let (from, to) = (x.scale.at(from), x.scale.at(to));
                // However short a fault is, it is seen.
                let width = (to - from).max(8.0);
                scene.rect(
                    (from.min(plot.right - width), plot.top),
                    (width, plot.height()),
                    shade_ink(chart, shade),
                );
            }
        }
        let labels = match (i + grid.columns >= chart.panels.len(), grid.columns) {
            (false, _) => Labels::None,
            (true, 1) => Labels::Centred,
            (true, _) => Labels::Inside,
        };
        x.draw_x(&mut scene, plot, labels);
        y.draw_y(&mut scene, plot, i % grid.columns == 0);
        edges(&mut scene, plot);
        scene.text(
            (plot.left, plot.top - 14.0),
            HEADING,
            Anchor::Start,
            &HEADING.shorten(&panel.name, plot.width()),
        );
        panel
            .lines
            .iter()
            .for_each(|l| draw_band(&mut scene, l, shape, (&x, &y), styles[index(l)].0));
        for line in &panel.lines {
            draw_line(&mut scene, line, shape, (&x, &y), styles[index(line)], 4.0);
        }
        if let Some(limit) = &chart.limit {
            let at = y.scale.at(limit.value);
            scene.line(vec![(plot.left, at), (plot.right, at)], 4.0, TEXT, LIMIT_DASH);
        }
        grid_bottom = grid_bottom.max(plot.bottom);
    }
    let first = fit(&x_axis, xr, (left, body.right), true, true);
    let below = Area {
        left,
        right: body.right - 20.0,
        bottom: grid_bottom,
        ..body
    };
    titles(&mut scene, &first.title, &probe.title, (body, below));
    Ok(scene)
}

/// Room above panels for the vertical axis' title, which shares its line with nothing.
const ABOVE_PANELS: f64 = 34.0;
const LIMIT_DASH: &[f64] = &[4.0, 2.5];
/// What happens at one moment.
const MOMENT: Ink = MUTED;

/// What is shaded in every panel, and in each.
fn all_shades(chart: &TimeSeries) -> impl Iterator<Item = &Shade> {
    let own = chart.panels.iter().flat_map(|panel| &panel.shades);
    chart.shades.iter().chain(own)
}

/// Shades of one label have one colour.
fn shade_ink(chart: &TimeSeries, of: &Shade) -> Ink {
    let mut labels: Vec<&str> = Vec::new();
    for shade in all_shades(chart) {
        if shade.label == of.label {
            break;
        }
        if !labels.contains(&shade.label.as_str()) {
            labels.push(&shade.label);
        }
    }
    SHADES[labels.len() % SHADES.len()]
}

fn time_legend(chart: &TimeSeries, names: &[&str], styles: &[Style], shown: (f64, f64)) -> Vec<(String, Mark)> {
    let mut legend: Vec<(String, Mark)> = names
        .iter()
        .zip(styles)
        .map(|(name, style)| (name.to_string(), Mark::Line(style.0, style.1)))
        .collect();
    if let Some(limit) = &chart.limit {
        let text = format!("{} ({})", limit.label, brief(limit.value, &chart.y.unit));
        legend.push((text, Mark::Line(TEXT, LIMIT_DASH)));
    }
    let mut seen: Vec<&str> = Vec::new();
    for shade in all_shades(chart) {
        let visible = shade.from.max(shade.to) >= shown.0 && shade.from.min(shade.to) <= shown.1;
        if visible && !seen.contains(&shade.label.as_str()) {
            seen.push(&shade.label);
            let mark = match shade.from == shade.to {
                true => Mark::Line(MOMENT, LIMIT_DASH),
                false => Mark::Square(shade_ink(chart, shade)),
            };
            legend.push((shade.label.clone(), mark));
        }
    }
    legend
}

/// How panels share the page.
struct Grid {
    columns: usize,
    rows: usize,
}

const PANEL_GAP: f64 = 60.0;

impl Grid {
    fn of(panels: usize) -> Self {
        let columns = match panels {
            0..=3 => 1,
            4..=8 => 2,
            9..=27 => 3,
            _ => 4,
        };
        Self {
            columns,
            rows: panels.div_ceil(columns).max(1),
        }
    }

    /// The least height of a row with its heading.
    fn least(&self) -> f64 {
        if self.rows > 4 { 230.0 } else { 260.0 }
    }

    fn pane_height(&self, body: Area) -> f64 {
        (body.height() - BELOW - ABOVE_PANELS) / self.rows as f64 - PANEL_GAP
    }

    fn place(&self, index: usize, body: Area, left: f64, height: f64) -> Area {
        let (column, row) = (index % self.columns, index / self.columns);
        let gap = 44.0;
        let width = (body.right - 20.0 - left - gap * (self.columns - 1) as f64) / self.columns as f64;
        let x = left + column as f64 * (width + gap);
        let top = body.top + ABOVE_PANELS + row as f64 * (height + PANEL_GAP) + PANEL_GAP;
        Area {
            left: x,
            top,
            right: x + width,
            bottom: top + height,
        }
    }
}
