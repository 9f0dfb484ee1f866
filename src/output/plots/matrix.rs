//! Many measures of many variants on one page: a row for each variant, a column for each measure, a number in each cell, and behind it
//! a bar as long as the number is great among those of its column.

use super::page::Page;
use super::scene::{AXIS, Anchor, GRID, Ink, SERIES, Scene, TEXT, Type};
use super::{Measure, Measures};
use crate::output::tables::numbers::brief;

/// So many measures are read beside each other in full; more are a matrix.
pub(in crate::output) const MOST_IN_FULL: usize = 6;

const NAME_WIDTH: f64 = 400.0;
const HEAD_LINES: usize = 3;
const GAP: f64 = 8.0;
/// The height of a page's body, which few rows fill as well as they can, and of a row.
const BODY: f64 = 740.0;
const PITCH: (f64, f64) = (36.0, 84.0);
const STRIPE: Ink = Ink::rgb(0xf6f8fa);

/// How high a row is, and how large what stands in it.
struct Style {
    pitch: f64,
    name: Type,
    head: Type,
    cell: Type,
    head_line: f64,
}

impl Style {
    /// The fewer rows and columns there are, the larger.
    fn of(rows: usize, columns: usize) -> Self {
        let pitch = ((BODY - 100.0) / rows.max(1) as f64).clamp(PITCH.0, PITCH.1);
        let columns = (9.0 / columns.max(1) as f64).sqrt();
        let scale = (pitch / PITCH.0).sqrt().min(columns).clamp(1.0, 1.3);
        Self {
            pitch,
            name: Type::new(23.0 * scale, false, TEXT),
            head: Type::new(19.0 * scale, true, TEXT),
            cell: Type::new(19.5 * scale, false, TEXT),
            head_line: 23.0 * scale,
        }
    }
}

/// The scene of a matrix.
pub(super) fn matrix(chart: &Measures) -> Scene {
    let style = Style::of(chart.rows.len(), chart.measures.len());
    let Style { pitch, name: face, .. } = style;
    let head = style.head_line * HEAD_LINES as f64 + 16.0;
    let height = head + pitch * chart.rows.len() as f64 + 20.0;
    let Page { mut scene, body } = Page::new(&chart.frame, &[], height);
    let widest = chart.rows.iter().map(|row| face.width(row)).fold(0.0, f64::max);
    let left = body.left + widest.min(NAME_WIDTH) + 20.0;
    let width = (body.right - left) / chart.measures.len() as f64;
    let top = body.top + head;
    for (row, name) in chart.rows.iter().enumerate() {
        let y = top + pitch * row as f64;
        if row % 2 == 1 {
            scene.rect((body.left, y), (body.right - body.left, pitch), STRIPE);
        }
        let name = face.shorten(name, NAME_WIDTH);
        scene.text((left - 20.0, y + pitch / 2.0 + face.drop()), face, Anchor::End, &name);
    }
    for (column, measure) in chart.measures.iter().enumerate() {
        let x = left + width * column as f64;
        draw_column(
            &mut scene,
            measure,
            &style,
            (x, top),
            width,
            SERIES[column % SERIES.len()],
        );
    }
    scene.line(vec![(body.left, top), (body.right, top)], 2.0, AXIS, &[]);
    scene
}

fn draw_column(scene: &mut Scene, measure: &Measure, style: &Style, (x, top): (f64, f64), width: f64, ink: Ink) {
    let &Style {
        pitch,
        head,
        cell,
        head_line,
        ..
    } = style;
    let lines = head.wrap(&measure.axis.label, width - GAP, HEAD_LINES);
    for (index, line) in lines.iter().rev().enumerate() {
        let y = top - 12.0 - head_line * index as f64;
        scene.text((x + width - GAP / 2.0, y), head, Anchor::End, line);
    }
    let greatest = measure
        .values
        .iter()
        .flatten()
        .map(|of| of.value.abs())
        .fold(0.0, f64::max);
    let bottom = top + pitch * measure.values.len() as f64;
    scene.line(vec![(x, top), (x, bottom)], 1.5, GRID, &[]);
    for (row, value) in measure.values.iter().enumerate() {
        let y = top + pitch * row as f64;
        let (text, share) = match value {
            None => ("-".to_string(), 0.0),
            Some(of) => (
                brief(of.value, &measure.axis.unit),
                of.value.abs() / greatest.max(f64::MIN_POSITIVE),
            ),
        };
        let length = (width - GAP) * share.min(1.0);
        scene.rect((x + GAP / 2.0, y + 4.0), (length, pitch - 8.0), ink.alpha(0.35));
        let text = cell.shorten(&text, width - GAP);
        scene.text(
            (x + width - GAP / 2.0 - 2.0, y + pitch / 2.0 + cell.drop()),
            cell,
            Anchor::End,
            &text,
        );
    }
}
