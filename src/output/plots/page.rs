//! The page around a chart: title, subtitle, legend and note, and the axes inside.
//!
//! The page grows with its content and never clips it: overlong words are wrapped, then shortened.

use super::scene::{AXIS, Anchor, GRID, Ink, MUTED, Scene, TEXT, Type, WHITE};
use super::ticks::{Ticks, linear, logarithmic};
use super::{Axis, Frame};
use crate::output::tables::numbers::Shown;

/// The canvas' width, and its least height (16:9, the shape of a slide).
const WIDTH: f64 = 1920.0;
const LEAST_HEIGHT: f64 = 1080.0;
const MARGIN: f64 = 64.0;
/// The left and the right edge of every page's body.
pub(super) const SIDES: (f64, f64) = (MARGIN, WIDTH - MARGIN);

pub(super) const TITLE: Type = Type::new(46.0, true, TEXT);
pub(super) const SUBTITLE: Type = Type::new(29.0, false, MUTED);
pub(super) const LEGEND: Type = Type::new(28.0, false, TEXT);
pub(super) const NAME: Type = Type::new(29.0, false, TEXT);
pub(super) const HEADING: Type = Type::new(29.0, true, TEXT);
pub(super) const TICK: Type = Type::new(27.0, false, TEXT);
pub(super) const AXIS_TITLE: Type = Type::new(28.0, false, MUTED);
pub(super) const NOTE: Type = Type::new(24.0, false, MUTED);

/// The most lines of a note, which may name many variants.
const NOTE_LINES: usize = 6;

/// A rectangle on the page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Area {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

impl Area {
    pub(super) fn width(&self) -> f64 {
        self.right - self.left
    }

    pub(super) fn height(&self) -> f64 {
        self.bottom - self.top
    }
}

/// How a legend's entry is marked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mark {
    Square(Ink),
    Hatched(Ink),
    Line(Ink, &'static [f64]),
}

const SWATCH: f64 = 28.0;
const SAMPLE: f64 = 76.0;
const ROW: f64 = 44.0;

impl Mark {
    fn width(self) -> f64 {
        if let Self::Line(..) = self { SAMPLE } else { SWATCH }
    }
}

/// A page with its words and legend in place, and the area that is left for the data.
pub(super) struct Page {
    pub scene: Scene,
    pub body: Area,
}

impl Page {
    /// Lays out the page for a body of at least `body_height`.
    pub(super) fn new(frame: &Frame, legend: &[(String, Mark)], body_height: f64) -> Self {
        let room = WIDTH - 2.0 * MARGIN;
        let lines = |text: &str, look: Type, most: usize| {
            if text.trim().is_empty() {
                vec![]
            } else {
                look.wrap(text, room, most)
            }
        };
        let (title, subtitle, note) = (
            lines(&frame.title, TITLE, 2),
            lines(&frame.subtitle, SUBTITLE, 2),
            lines(&frame.note, NOTE, NOTE_LINES),
        );
        let spoken = [&frame.title, &frame.subtitle].map(|s| s.trim());
        let about = spoken
            .iter()
            .filter(|s| !s.is_empty())
            .copied()
            .collect::<Vec<_>>()
            .join(". ");
        let mut scene = Scene {
            width: WIDTH as u32,
            height: 0,
            about,
            shapes: Vec::new(),
        };
        let mut y = 40.0;
        for (texts, look, pitch) in [(&title, TITLE, 60.0), (&subtitle, SUBTITLE, 42.0)] {
            for text in texts {
                y += pitch;
                scene.text((MARGIN, y), look, Anchor::Start, text);
            }
        }
        y += 26.0;
        y = draw_legend(&mut scene, legend, y, room);
        let footer = 40.0 + 34.0 * note.len() as f64;
        let bottom = (y + body_height).max(LEAST_HEIGHT - footer);
        for (i, text) in note.iter().enumerate() {
            scene.text(
                (MARGIN, bottom + 24.0 + 34.0 * i as f64 + 10.0),
                NOTE,
                Anchor::Start,
                text,
            );
        }
        scene.height = libm::ceil(bottom + footer) as u32;
        let body = Area {
            left: MARGIN,
            top: y + 14.0,
            right: WIDTH - MARGIN,
            bottom,
        };
        Self { scene, body }
    }
}

/// How wide one of so many labels may be.
fn legend_room(entries: usize) -> f64 {
    if entries > 12 { 560.0 } else { 760.0 }
}

/// A name and what has to be known beside it, as one of so many labels of a legend: if both are too long, the name is cut.
pub(super) fn legend_label(name: &str, remark: &str, entries: usize) -> String {
    let remark = match remark.trim() {
        "" => String::new(),
        remark => format!(" ({remark})"),
    };
    let room = legend_room(entries) - LEGEND.width(&remark);
    format!("{}{remark}", LEGEND.shorten(name, room.max(120.0)))
}

/// Draws entries in rows from `y` on, and returns where they end.
fn draw_legend(scene: &mut Scene, legend: &[(String, Mark)], y: f64, room: f64) -> f64 {
    if legend.is_empty() {
        return y;
    }
    let most = legend_room(legend.len());
    let labels: Vec<String> = legend.iter().map(|(label, _)| LEGEND.shorten(label, most)).collect();
    let width = |i: usize| legend[i].1.width() + 12.0 + LEGEND.width(&labels[i]);
    // Many entries are easier to find in columns than in ragged rows.
    let widest = (0..legend.len()).map(width).fold(0.0, f64::max) + 44.0;
    let columns = (legend.len() > 8).then(|| libm::floor((room + 44.0) / widest).max(1.0) as usize);
    let (mut x, mut y) = (MARGIN, y + ROW / 2.0);
    for (i, (_, mark)) in legend.iter().enumerate() {
        match columns {
            Some(columns) if i > 0 && i % columns == 0 => (x, y) = (MARGIN, y + ROW),
            None if x > MARGIN && x + width(i) > MARGIN + room => (x, y) = (MARGIN, y + ROW),
            _ => {}
        }
        match *mark {
            Mark::Square(ink) => scene.rect((x, y - SWATCH / 2.0), (SWATCH, SWATCH), ink),
            Mark::Hatched(ink) => {
                scene.rect((x, y - SWATCH / 2.0), (SWATCH, SWATCH), ink);
                scene.hatch((x, y - SWATCH / 2.0), (SWATCH, SWATCH));
            }
            Mark::Line(ink, dash) => scene.line(vec![(x, y), (x + SAMPLE, y)], 5.0, ink, dash),
        }
        scene.text(
            (x + mark.width() + 12.0, y + LEGEND.drop()),
            LEGEND,
            Anchor::Start,
            &labels[i],
        );
        x += if columns.is_some() { widest } else { width(i) + 44.0 };
    }
    y + ROW / 2.0
}

/// A page that says why it has no data.
pub(super) fn no_data(frame: &Frame, reason: &str) -> Scene {
    let Page { mut scene, body } = Page::new(frame, &[], 400.0);
    let middle = ((body.left + body.right) / 2.0, (body.top + body.bottom) / 2.0);
    scene.rect((body.left, body.top), (body.width(), body.height()), Ink::rgb(0xf6f8fa));
    let text = if reason.trim().is_empty() {
        "no data".into()
    } else {
        format!("no data: {reason}")
    };
    for (i, line) in Type::new(36.0, false, MUTED)
        .wrap(&text, body.width() - 120.0, 3)
        .iter()
        .enumerate()
    {
        scene.text(
            (middle.0, middle.1 + 50.0 * i as f64),
            Type::new(36.0, false, MUTED),
            Anchor::Middle,
            line,
        );
    }
    scene
}

/// Maps values to pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    logarithmic: bool,
}

impl Scale {
    pub(super) fn new((low, high): (f64, f64), (from, to): (f64, f64), logarithmic: bool) -> Self {
        Self {
            low,
            high,
            from,
            to,
            logarithmic,
        }
    }

    /// The pixel of a value; values beyond the axis lie on its end.
    pub(super) fn at(&self, value: f64) -> f64 {
        let (value, low, high) = (value.clamp(self.low, self.high), self.low, self.high);
        let share = if self.logarithmic {
            let span = libm::log10(high) - libm::log10(low);
            (libm::log10(value) - libm::log10(low)) / span
        } else {
            (value - low) / (high - low)
        };
        self.from + share * (self.to - self.from)
    }
}

/// An axis fitted to its data: ticks and the mapping to pixels.
pub(super) struct Fitted {
    pub ticks: Ticks,
    pub scale: Scale,
    pub title: String,
    /// The unit alone, in words that stand under an axis.
    pub unit: String,
    /// The unit in which values are written that stand on this axis.
    pub shown: Shown,
}

/// Where the labels of a horizontal axis stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Labels {
    None,
    /// Centred under their ticks.
    Centred,
    /// Centred, but hardly beyond the axis' ends: for panels side by side.
    Inside,
}

/// How far a label may stand out from an axis beside which there is another one: half of the gap between them.
const OVERHANG: f64 = 16.0;

/// Blanks labels that would touch their neighbours, even with as few ticks as there can be: the last one stays.
fn sparse(ticks: &mut Ticks, length: f64) {
    let (low, high) = (ticks.low(), ticks.high());
    let mut next = f64::INFINITY;
    for (value, label) in ticks.values.iter().zip(&mut ticks.labels).rev() {
        if label.is_empty() {
            continue;
        }
        let (at, half) = ((value - low) / (high - low) * length, TICK.width(label) / 2.0);
        if at + half + 13.0 <= next {
            next = at - half - 13.0;
        } else {
            label.clear();
        }
    }
}

/// Fits an axis to values from `low` to `high` over the pixels `from` to `to`.
///
/// A `tight` axis ends where the data ends; any other at its outermost ticks. Labels of a horizontal axis never touch.
pub(super) fn fit(
    axis: &Axis,
    (low, high): (f64, f64),
    (from, to): (f64, f64),
    tight: bool,
    horizontal: bool,
) -> Fitted {
    let length = (to - from).abs();
    let make = |most| {
        let unit = &axis.unit;
        if axis.logarithmic {
            logarithmic(low, high, unit, most)
        } else {
            linear(low, high, unit, most)
        }
    };
    let fits = |ticks: &Ticks| {
        let written = ticks.labels.iter().filter(|label| !label.is_empty());
        let widest = written.clone().map(|l| TICK.width(l)).fold(0.0, f64::max);
        !horizontal || (widest + 26.0) * written.count().saturating_sub(1) as f64 <= length
    };
    let most = match (horizontal, axis.logarithmic) {
        (true, _) => 12.0f64.min(length / 90.0),
        (false, true) => 8.0f64.min(length / 44.0),
        (false, false) => 8.0f64.min(length / 62.0),
    }
    .max(2.0) as usize;
    let mut ticks = (2..=most).rev().map(make).find(fits).unwrap_or_else(|| make(2));
    let (mut ends, unit) = ((ticks.low(), ticks.high()), ticks.unit.clone());
    // On its lowest tick lies all that a logarithmic axis can't tell apart any more.
    if let (true, Some(lowest)) = (axis.logarithmic && axis.floor.is_some(), ticks.labels.first_mut()) {
        lowest.insert(0, '≤');
    }
    let inside = |v: f64| v >= low - (high - low) * 1e-9 && v <= high + (high - low) * 1e-9;
    if tight && low < high && ticks.values.iter().filter(|v| inside(**v)).count() > 1 {
        ends = (low, high);
        let kept = ticks.values.iter().zip(&ticks.labels).filter(|(v, _)| inside(**v));
        let (values, labels) = kept.map(|(v, l)| (*v, l.clone())).unzip();
        ticks = Ticks {
            values,
            labels,
            ..ticks
        };
    }
    let unit = match (axis.logarithmic, unit.as_str()) {
        (true, "") => "log scale".into(),
        (true, unit) => format!("{unit}, log scale"),
        (false, _) => unit,
    };
    if !fits(&ticks) {
        sparse(&mut ticks, length);
    }
    let title = if unit.is_empty() {
        axis.label.clone()
    } else {
        format!("{} ({unit})", axis.label)
    };
    Fitted {
        shown: ticks.shown.clone(),
        ticks,
        scale: Scale::new(ends, (from, to), axis.logarithmic),
        title,
        unit,
    }
}

impl Fitted {
    /// Vertical grid lines over `area`, with labels below if wanted.
    pub(super) fn draw_x(&self, scene: &mut Scene, area: Area, labels: Labels) {
        for (value, label) in self.ticks.values.iter().zip(&self.ticks.labels) {
            let x = libm::round(self.scale.at(*value));
            scene.line(vec![(x, area.top), (x, area.bottom)], 2.0, GRID, &[]);
            if labels != Labels::None {
                let half = TICK.width(label) / 2.0;
                let inside = x.max(area.left + half - OVERHANG).min(area.right - half + OVERHANG);
                let x = if labels == Labels::Inside { inside } else { x };
                scene.text((x, area.bottom + 40.0), TICK, Anchor::Middle, label);
            }
        }
    }

    /// Horizontal grid lines over `area`, with labels to the left if wanted.
    pub(super) fn draw_y(&self, scene: &mut Scene, area: Area, labels: bool) {
        for (value, label) in self.ticks.values.iter().zip(&self.ticks.labels) {
            let y = libm::round(self.scale.at(*value));
            scene.line(vec![(area.left, y), (area.right, y)], 2.0, GRID, &[]);
            if labels {
                scene.text((area.left - 16.0, y + TICK.drop()), TICK, Anchor::End, label);
            }
        }
    }

    /// The room that labels to the left of a vertical axis take.
    pub(super) fn label_width(&self) -> f64 {
        self.ticks.labels.iter().map(|l| TICK.width(l)).fold(0.0, f64::max) + 20.0
    }
}

/// The lines that data stands on: left and bottom edge of its area.
pub(super) fn edges(scene: &mut Scene, area: Area) {
    scene.line(vec![(area.left, area.top), (area.left, area.bottom)], 2.0, AXIS, &[]);
    scene.line(
        vec![(area.left, area.bottom), (area.right, area.bottom)],
        2.0,
        AXIS,
        &[],
    );
}

/// A whisker from `low` to `high` at height `y`, with a white edge that sets it off from what is under it.
pub(super) fn whisker(scene: &mut Scene, low: f64, high: f64, y: f64, size: f64) {
    for (grow, ink) in [(2.0, WHITE.alpha(0.9)), (0.0, TEXT)] {
        scene.rect(
            (low - grow, y - 2.0 - grow),
            (high - low + 2.0 * grow, 4.0 + 2.0 * grow),
            ink,
        );
        for x in [low, high] {
            scene.rect(
                (x - 2.0 - grow, y - size - grow),
                (4.0 + 2.0 * grow, 2.0 * size + 2.0 * grow),
                ink,
            );
        }
    }
}
