//! Charts from neutral data, drawn as SVG and as PNG from one scene, fit for a slide as they are.
//!
//! Guarantees: equal charts give equal bytes (PNG: on one platform); no clock, path or machine's font is read; no input
//! panics: what can't be drawn is refused with a [`PlotError`], and a chart without data says so. Values are in base units
//! (seconds, bytes, fractions of 1; see [`Unit`]); an axis picks ms, s or min by its range. The canvas is 1920 pixels wide
//! and at least 1080 high, readable at half size. Colours: Okabe and Ito's palette.

mod bars;
mod font;
mod intervals;
mod lines;
mod matrix;
mod overlap;
mod page;
mod png;
mod scene;
mod svg;
#[cfg(test)]
mod tests;
mod ticks;

use crate::experiment::statistics::{Distribution, Level, Summary, ecdf_band};
use crate::output::tables;
pub use crate::output::tables::numbers::Unit;
pub(super) use matrix::MOST_IN_FULL;

/// What every chart says around its data.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Frame {
    /// What is shown: "Mean task time by part, 20 replicates".
    pub title: String,
    /// Where it comes from: scenario, seed, sample sizes.
    pub subtitle: String,
    /// How to read it, in small print under the chart: what whiskers (see [`interval_note`]) and bands are.
    pub note: String,
}

/// What an axis shows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Axis {
    /// The quantity's name, without its unit.
    pub label: String,
    /// The values' unit.
    pub unit: Unit,
    /// Whether the axis is logarithmic; values of zero or less then lie on its lower end. Bars are never logarithmic.
    pub logarithmic: bool,
    /// Where a logarithmic axis of lines begins: all below lies on its lower end, which says so.
    pub floor: Option<f64>,
}

impl Axis {
    /// A linear axis.
    pub fn new(label: &str, unit: Unit) -> Self {
        Self {
            label: label.into(),
            unit,
            ..Self::default()
        }
    }

    /// A logarithmic axis.
    pub fn logarithmic(label: &str, unit: Unit) -> Self {
        Self {
            label: label.into(),
            unit,
            logarithmic: true,
            floor: None,
        }
    }
}

/// A value and the ends of its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// Lower and upper end; `None` where there is no interval.
    pub interval: Option<(f64, f64)>,
}

impl From<&Summary> for Estimate {
    fn from(summary: &Summary) -> Self {
        Self {
            value: summary.mean,
            interval: summary.interval.map(|i| (i.low, i.high)),
        }
    }
}

/// One bar of a [`StackedBars`].
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// The variant's name.
    pub name: String,
    /// The size of each part, in the order of the chart's parts; zero or more.
    pub parts: Vec<f64>,
    /// The whole with its interval, drawn as a whisker at the bar's end.
    pub total: Estimate,
    /// Whether this is what the others are compared with: it is hatched.
    pub reference: bool,
    /// What has to be known beside the value, in a few words: of what part it is. Usually empty.
    pub remark: String,
}

/// Horizontal bars, one for each variant, stacked from parts of a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct StackedBars {
    /// The words around the data.
    pub frame: Frame,
    /// The axis along the bars.
    pub axis: Axis,
    /// The parts' names; a part that is zero everywhere isn't listed, and one that is too small to be seen is in the note.
    pub parts: Vec<String>,
    /// The bars, from the top.
    pub bars: Vec<Bar>,
}

/// One line, with a band around it if wanted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Line {
    /// The variant's (or series') name.
    pub name: String,
    /// What has to be known beside it, in a few words: of what part it is. Usually empty.
    pub remark: String,
    /// (x, y), x ascending.
    pub points: Vec<(f64, f64)>,
    /// Whether each point is drawn as a dot on the line, and the band as a whisker at each of its places.
    pub dots: bool,
    /// Where dots are drawn if not at the points: data beside a curve.
    pub marks: Vec<(f64, f64)>,
    /// (x, lower, upper), x ascending: a light band for the spread over replicates.
    pub band: Vec<(f64, f64, f64)>,
}

impl Line {
    /// A distribution function, with the spread over replicates as its band if there are several.
    ///
    /// Samples are divided by `unit` (1e9 turns nanoseconds into seconds); at most `most` points are drawn, in which the
    /// tail keeps its shape.
    pub fn distribution(
        name: &str,
        pooled: &Distribution,
        replicates: &[Distribution],
        unit: f64,
        most: usize,
    ) -> Self {
        let points = pooled
            .points(most)
            .into_iter()
            .map(|(x, share)| (x as f64 / unit, share))
            .collect();
        let spread = if replicates.len() > 1 {
            ecdf_band(replicates, most)
        } else {
            Vec::new()
        };
        let band = spread
            .into_iter()
            .map(|(x, low, high)| (x as f64 / unit, low, high))
            .collect();
        Self {
            name: name.into(),
            points,
            band,
            ..Self::default()
        }
    }
}

/// The note under charts with whiskers: what the interval is, and over how many replicates.
pub fn interval_note(level: Level, replicates: u64) -> String {
    if replicates < 2 {
        return "One replicate: there is no interval.".into();
    }
    let level = tables::numbers::grouped(level.fraction() * 100.0, 1);
    let level = level.trim_end_matches(".0");
    format!("Whiskers and ±: {level} % confidence interval of the mean, Student t over {replicates} replicates.")
}

/// Several lines over one another: distribution functions, or any curves.
#[derive(Debug, Clone, PartialEq)]
pub struct Lines {
    /// The words around the data.
    pub frame: Frame,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// Whether the lines are distribution functions: each value holds until the next, and the first rises from zero.
    pub steps: bool,
    /// The lines.
    pub lines: Vec<Line>,
}

/// A horizontal line that data is held against.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    /// Where it lies.
    pub value: f64,
    /// What it is: "rate limit".
    pub label: String,
}

/// A stretch of time shaded behind the data: a fault. One without any length is a dashed line.
#[derive(Debug, Clone, PartialEq)]
pub struct Shade {
    /// Its start on the horizontal axis.
    pub from: f64,
    /// Its end.
    pub to: f64,
    /// What it is: "partition".
    pub label: String,
}

/// One small picture of a [`TimeSeries`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Panel {
    /// The variant's name.
    pub name: String,
    /// Its lines; lines of one name have one colour in all panels.
    pub lines: Vec<Line>,
    /// Fault intervals shaded in it; those of one label have one colour in all panels.
    pub shades: Vec<Shade>,
}

/// Lines over time, one panel for each variant on shared axes.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeSeries {
    /// The words around the data.
    pub frame: Frame,
    /// The time axis.
    pub x: Axis,
    /// The vertical axis, shared by the panels.
    pub y: Axis,
    /// Whether each value holds until the next.
    pub steps: bool,
    /// The panels.
    pub panels: Vec<Panel>,
    /// A limit drawn in every panel.
    pub limit: Option<Limit>,
    /// Intervals shaded in every panel.
    pub shades: Vec<Shade>,
}

/// One measure of a [`Measures`] chart: a column with its own axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// What is measured.
    pub axis: Axis,
    /// One value for each row; `None` where there is none.
    pub values: Vec<Option<Estimate>>,
    /// A value to compare with, drawn as a dashed line: 1 for an amplification.
    pub reference: Option<f64>,
}

/// Variants in rows, measures in columns: a dot (or a bar) with its interval in each cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Measures {
    /// The words around the data.
    pub frame: Frame,
    /// The rows' names.
    pub rows: Vec<String>,
    /// The columns.
    pub measures: Vec<Measure>,
    /// Whether bars from zero are drawn instead of dots.
    pub bars: bool,
}

/// An operation of an [`Intervals`] chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interval {
    /// Its row, counted from the top.
    pub row: usize,
    /// The event that it begins with, counted from zero.
    pub from: usize,
    /// The event that it ends with; `None` if its end isn't known: it reaches to the end of the chart.
    pub to: Option<usize>,
    /// What stands on it.
    pub label: String,
    /// What stands on it where the label doesn't fit.
    pub short: String,
    /// What stands on it where that doesn't fit either.
    pub name: String,
    /// Whether it stands out.
    pub is_marked: bool,
}

/// Operations as intervals between events, in rows: a timeline on which distances say nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Intervals {
    /// The words around the data.
    pub frame: Frame,
    /// What is to be seen, in sentences under the rows.
    pub caption: String,
    /// The rows' names; an empty one belongs to the row above it.
    pub rows: Vec<String>,
    /// How many events there are.
    pub events: usize,
    /// The operations.
    pub intervals: Vec<Interval>,
}

/// A chart that can be drawn.
#[derive(Debug, Clone, PartialEq)]
pub enum Chart {
    /// The latency trap: parts of a mean, stacked.
    StackedBars(StackedBars),
    /// Distribution functions and other curves.
    Lines(Lines),
    /// Small multiples over time.
    TimeSeries(TimeSeries),
    /// Measures with intervals.
    Measures(Measures),
    /// A timeline of operations.
    Intervals(Intervals),
    /// A chart that has nothing to show, and says why.
    NoData {
        /// The words around the missing data.
        frame: Frame,
        /// Why there is none: "no task finished".
        reason: String,
    },
}

/// Why a chart can't be drawn.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlotError {
    /// A value is NaN, infinite, or so large that pixels can't be computed.
    #[error("{what} is {value}, which can't be drawn")]
    NotFinite {
        /// Which value.
        what: String,
        /// The value.
        value: String,
    },
    /// A part of a whole is negative.
    #[error("{what} is negative, and parts of a whole can't be")]
    NegativePart {
        /// Which part.
        what: String,
    },
    /// Two lists that belong together differ in length.
    #[error("{what}: {found} values for {expected} places")]
    Length {
        /// Which list.
        what: String,
        /// How many values it has.
        found: usize,
        /// How many it must have.
        expected: usize,
    },
    /// There are more variants, panels or columns than a picture holds.
    #[error("{found} {what} don't fit one chart ({most} do): plot fewer variants")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many fit.
        most: usize,
    },
    /// The drawing library failed.
    #[error("the chart can't be drawn: {0}")]
    Draw(String),
}

/// Draws a chart as an SVG document.
///
/// # Errors
/// If values aren't finite or don't belong together; never because of names, sizes or numbers of things up to 100.
pub fn render_svg(chart: &Chart) -> Result<String, PlotError> {
    Ok(svg::write(&chart.scene()?))
}

/// Draws a chart as a PNG file.
///
/// # Errors
/// As [`render_svg`].
pub fn render_png(chart: &Chart) -> Result<Vec<u8>, PlotError> {
    png::write(&chart.scene()?)
}

impl Chart {
    fn scene(&self) -> Result<scene::Scene, PlotError> {
        match self {
            Self::StackedBars(chart) => bars::stacked(chart),
            Self::Lines(chart) => lines::lines(chart),
            Self::TimeSeries(chart) => lines::time_series(chart),
            Self::Measures(chart) => bars::measures(chart),
            Self::Intervals(chart) => intervals::intervals(chart),
            Self::NoData { frame, reason } => Ok(page::no_data(frame, reason)),
        }
    }
}

/// The most bars, rows, lines or panels that one chart takes.
const MOST: usize = 100;

/// Refuses what pixels can't be computed from.
fn finite(value: f64, what: impl FnOnce() -> String) -> Result<(), PlotError> {
    // Far below the range of floats, so that differences and sums of values stay in it.
    if value.abs() < 1e90 {
        Ok(())
    } else {
        Err(PlotError::NotFinite {
            what: what(),
            value: value.to_string(),
        })
    }
}

fn finite_estimate(estimate: &Estimate, name: &str) -> Result<(), PlotError> {
    finite(estimate.value, || format!("the value of {name:?}"))?;
    let (low, high) = estimate.interval.unwrap_or((0.0, 0.0));
    finite(low, || format!("the interval of {name:?}"))?;
    finite(high, || format!("the interval of {name:?}"))
}

fn at_most(what: &'static str, found: usize) -> Result<(), PlotError> {
    if found > MOST {
        Err(PlotError::TooMany {
            what,
            found,
            most: MOST,
        })
    } else {
        Ok(())
    }
}
