//! Many measures of many variants on one page: a row for each variant, a column for each measure, a number in each cell, and behind it
//! a bar as long as the number is great among those of its column.

use super::page::Page;
use super::scene::{AXIS, Anchor, GRID, Ink, SERIES, Scene, TEXT, Type};
use super::{Measure, Measures};
use crate::output::tables::numbers::brief;

/// So many measures are read beside each other in full; more are a matrix.
pub(in crate::output) const MOST_IN_FULL: usize = 6;

const NAME_WIDTH: f64 = 400.0;
const NAME: Type = Type::new(23.0, false, TEXT);
const HEAD: Type = Type::new(19.0, true, TEXT);
const CELL: Type = Type::new(19.5, false, TEXT);
const HEAD_LINE: f64 = 23.0;
const HEAD_LINES: usize = 3;
const PITCH: f64 = 36.0;
const GAP: f64 = 8.0;
const STRIPE: Ink = Ink::rgb(0xf6f8fa);

/// The scene of a matrix.
pub(super) fn matrix(chart: &Measures) -> Scene {
    let head = HEAD_LINE * HEAD_LINES as f64 + 16.0;
    let height = head + PITCH * chart.rows.len() as f64 + 20.0;
    let Page { mut scene, body } = Page::new(&chart.frame, &[], height);
    let widest = chart.rows.iter().map(|row| NAME.width(row)).fold(0.0, f64::max);
    let left = body.left + widest.min(NAME_WIDTH) + 20.0;
    let width = (body.right - left) / chart.measures.len() as f64;
    let top = body.top + head;
    for (row, name) in chart.rows.iter().enumerate() {
        let y = top + PITCH * row as f64;
        if row % 2 == 1 {
            scene.rect((body.left, y), (body.right - body.left, PITCH), STRIPE);
        }
        let name = NAME.shorten(name, NAME_WIDTH);
        scene.text((left - 20.0, y + PITCH / 2.0 + NAME.drop()), NAME, Anchor::End, &name);
    }
    for (column, measure) in chart.measures.iter().enumerate() {
        let x = left + width * column as f64;
        draw_column(&mut scene, measure, (x, top), width, SERIES[column % SERIES.len()]);
    }
    scene.line(vec![(body.left, top), (body.right, top)], 2.0, AXIS, &[]);
    scene
}

fn draw_column(scene: &mut Scene, measure: &Measure, (x, top): (f64, f64), width: f64, ink: Ink) {
    let lines = HEAD.wrap(&measure.axis.label, width - GAP, HEAD_LINES);
    for (index, line) in lines.iter().rev().enumerate() {
        let y = top - 12.0 - HEAD_LINE * index as f64;
        scene.text((x + width - GAP / 2.0, y), HEAD, Anchor::End, line);
    }
    let greatest = measure
        .values
        .iter()
        .flatten()
        .map(|of| of.value.abs())
        .fold(0.0, f64::max);
    let bottom = top + PITCH * measure.values.len() as f64;
    scene.line(vec![(x, top), (x, bottom)], 1.5, GRID, &[]);
    for (row, value) in measure.values.iter().enumerate() {
        let y = top + PITCH * row as f64;
        let (text, share) = match value {
            None => ("-".to_string(), 0.0),
            Some(of) => (
                brief(of.value, &measure.axis.unit),
                of.value.abs() / greatest.max(f64::MIN_POSITIVE),
            ),
        };
        let length = (width - GAP) * share.min(1.0);
        scene.rect((x + GAP / 2.0, y + 4.0), (length, PITCH - 8.0), ink.alpha(0.35));
        let text = CELL.shorten(&text, width - GAP);
        scene.text(
            (x + width - GAP / 2.0 - 2.0, y + PITCH / 2.0 + CELL.drop()),
            CELL,
            Anchor::End,
            &text,
        );
    }
}
