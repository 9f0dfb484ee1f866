//! A timeline of operations: bars between events, in rows, wide enough for their labels.

use super::page::{Area, HEADING, Mark, Page, no_data};
use super::scene::{AXIS, Anchor, GRID, Ink, SERIES, Scene, TEXT, Type};
use super::{Interval, Intervals, PlotError, at_most};

/// The least and the greatest height of a row; a bar takes its larger part.
const ROW: f64 = 92.0;
const HIGH_ROW: f64 = 170.0;
const PAD: f64 = 18.0;
/// Bars narrower than this have no label: so many operations don't fit a picture.
const LEAST_LABEL: f64 = 40.0;
/// The least distance between two events.
const STEP: f64 = 20.0;
/// The sizes that labels are tried in, largest first.
const SIZES: [f64; 6] = [36.0, 32.0, 28.0, 25.0, 22.0, 19.0];
const CAPTION: Type = Type::new(28.0, false, TEXT);
const PLAIN: Ink = Ink::rgb(0xcfe4f5);
const MARKED: Ink = SERIES[1];

/// The scene of a timeline.
pub(super) fn intervals(chart: &Intervals) -> Result<Scene, PlotError> {
    at_most("rows", chart.rows.len())?;
    at_most("operations", chart.intervals.len())?;
    for of in &chart.intervals {
        if of.row >= chart.rows.len()
            || of.from >= chart.events
            || of.to.is_some_and(|to| to >= chart.events || to < of.from)
        {
            return Err(PlotError::Length {
                what: format!("the place of {:?}", of.short),
                found: of.row.max(of.from).max(of.to.unwrap_or(0)),
                expected: chart.rows.len().max(chart.events),
            });
        }
    }
    if chart.intervals.is_empty() {
        return Ok(no_data(&chart.frame, "there is no operation"));
    }
    let names = chart
        .rows
        .iter()
        .map(|row| HEADING.width(row))
        .fold(0.0, f64::max)
        .min(420.0)
        + 28.0;
    let caption = CAPTION.wrap(&chart.caption, 1792.0, 8);
    let rows = chart.rows.len() as f64;
    let words = 60.0 + 42.0 * caption.len() as f64;
    let mut legend = Vec::new();
    if chart.intervals.iter().any(|of| of.is_marked) {
        legend.push(("in contradiction".to_string(), Mark::Square(MARKED)));
    }
    if chart.intervals.iter().any(|of| !of.is_marked) {
        legend.push(("needed to see it".to_string(), Mark::Square(PLAIN)));
    }
    if chart.intervals.iter().any(|of| of.to.is_none()) {
        legend.push(("outcome unknown".to_string(), Mark::Hatched(PLAIN_DARK)));
    }
    let Page { mut scene, body } = Page::new(&chart.frame, &legend, ROW * rows + words + 40.0);
    let pitch = ((body.height() - words - 40.0) / rows).clamp(ROW, HIGH_ROW);
    let area = Area {
        left: body.left + names,
        top: body.top + 20.0,
        right: body.right,
        bottom: body.top + 20.0 + pitch * rows,
    };
    let (places, size, label) = places(chart, area);
    for (at, row) in chart.rows.iter().enumerate() {
        let y = area.top + pitch * (at as f64 + 0.5);
        scene.line(vec![(area.left, y), (area.right, y)], 2.0, GRID, &[]);
        let name = HEADING.shorten(row, names - 28.0);
        scene.text((area.left - 24.0, y + HEADING.drop()), HEADING, Anchor::End, &name);
    }
    for of in &chart.intervals {
        let y = area.top + pitch * (of.row as f64 + 0.5);
        draw(&mut scene, of, (y, pitch * 0.58), (&places, area.right), size, label);
    }
    for (at, line) in caption.iter().enumerate() {
        scene.text(
            (body.left, area.bottom + 62.0 + 42.0 * at as f64),
            CAPTION,
            Anchor::Start,
            line,
        );
    }
    scene.about = format!("{}. {}", scene.about, chart.caption);
    Ok(scene)
}

/// Under hatching.
const PLAIN_DARK: Ink = Ink::rgb(0x9fc4e0);

/// Which label stands on a bar.
type Label = fn(&Interval) -> &str;

/// Where the events lie, the size of the labels, and which they are: the longest and largest that fit.
fn places(chart: &Intervals, area: Area) -> (Vec<f64>, f64, Label) {
    let room = area.width();
    let labels: [Label; 3] = [|of| &of.label, |of| &of.short, |of| &of.name];
    let mut last = (Vec::new(), SIZES[SIZES.len() - 1], labels[2]);
    for label in labels {
        for size in SIZES {
            let places = least_places(chart, size, label);
            let wide = places.last().copied().unwrap_or(0.0);
            let grow = room / wide.max(1.0);
            // Room to spare is shared out, but not so much that short timelines look lost.
            let grow = if grow < 1.0 { grow } else { grow.min(2.2) };
            let placed = places.iter().map(|x| area.left + x * grow).collect();
            if wide <= room {
                return (placed, size, label);
            }
            last = (placed, size, label);
        }
    }
    last
}

/// The places that leave every bar the width of its label.
fn least_places(chart: &Intervals, size: f64, label: Label) -> Vec<f64> {
    let look = Type::new(size, false, TEXT);
    let mut ends: Vec<(usize, usize, f64)> = chart
        .intervals
        .iter()
        .map(|of| {
            (
                of.to.unwrap_or(chart.events),
                of.from,
                look.width(label(of)) + 2.0 * PAD,
            )
        })
        .collect();
    ends.sort_by_key(|of| (of.0, of.1));
    let (mut places, mut next): (Vec<f64>, usize) = (Vec::new(), 0);
    for event in 0..=chart.events {
        let mut x = places.last().map_or(0.0, |last| last + STEP);
        while let Some((_, from, length)) = ends.get(next).filter(|end| end.0 == event) {
            x = x.max(places.get(*from).map_or(0.0, |start| start + length));
            next += 1;
        }
        places.push(x);
    }
    places
}

/// Draws a bar around the height `y`, this high; `ends` are the events' places and the chart's right end.
fn draw(scene: &mut Scene, of: &Interval, (y, bar): (f64, f64), ends: (&[f64], f64), size: f64, label: Label) {
    let (places, right) = ends;
    let from = places[of.from];
    let to = of.to.map_or(right, |to| places[to]).min(right);
    let ink = if of.is_marked { MARKED } else { PLAIN };
    scene.rect((from, y - bar / 2.0), (to - from, bar), ink);
    let edge = if of.is_marked { Ink::rgb(0x8a3d00) } else { AXIS };
    if of.to.is_none() {
        scene.hatch((from, y - bar / 2.0), (to - from, bar));
    } else {
        scene.rect((to - 4.0, y - bar / 2.0 - 6.0), (4.0, bar + 12.0), edge);
    }
    scene.rect((from, y - bar / 2.0 - 6.0), (4.0, bar + 12.0), edge);
    if to - from < LEAST_LABEL {
        return;
    }
    let look = Type::new(size, of.is_marked, if of.is_marked { Ink::rgb(0xffffff) } else { TEXT });
    let label = look.shorten(label(of), to - from - 12.0);
    let half = look.width(&label) / 2.0;
    let middle = if of.to.is_none() {
        from + PAD + half
    } else {
        (from + to) / 2.0
    };
    if of.to.is_none() {
        // On hatching, a quiet ground keeps the label readable.
        scene.rect(
            (middle - half - 6.0, y - size * 0.62),
            (2.0 * half + 12.0, size * 1.24),
            ink,
        );
    }
    scene.text((middle, y + look.drop()), look, Anchor::Middle, &label);
}

#[cfg(test)]
mod tests {
    use super::super::tests::boxes;
    use super::super::{Chart, Frame, render_png, render_svg};
    use super::*;

    /// Operations of several processes, one after the other in each, `overlap` of them at a time.
    fn chart(operations: usize, rows: usize, overlap: usize, label: &str) -> Intervals {
        let mut intervals = Vec::new();
        let mut events = 0;
        for at in 0..operations {
            let is_open = at + 1 == operations && operations > 3;
            intervals.push(Interval {
                row: at % rows,
                from: events,
                to: if is_open { None } else { Some(events + 2 * overlap - 1) },
                label: format!("w{at} {label}"),
                short: format!("w{at}:=1"),
                name: format!("w{at}"),
                is_marked: at % 3 == 0,
            });
            events += 2;
        }
        Intervals {
            frame: Frame {
                title: "Not linearizable: stale read".into(),
                subtitle: "h.jsonl".into(),
                note: "Events in their order.".into(),
            },
            caption: "Read r4 returned 1 after write w2 of 2 had been acknowledged. ".repeat(6),
            rows: (0..rows).map(|row| format!("process {row}")).collect(),
            events: events + 2 * overlap,
            intervals,
        }
    }

    #[test]
    fn no_text_is_clipped_or_covers_another() {
        for (operations, rows, overlap) in [
            (1, 1, 1),
            (2, 2, 1),
            (5, 2, 1),
            (5, 5, 3),
            (12, 3, 2),
            (40, 8, 4),
            (60, 60, 9),
            (60, 1, 1),
        ] {
            for label in ["x write 1", "key-with-a-long-name append \"some text\""] {
                let scene = intervals(&chart(operations, rows, overlap, label)).unwrap();
                let boxes = boxes(&scene);
                assert!(boxes.len() > rows);
                for (i, a) in boxes.iter().enumerate() {
                    let inside =
                        a.0 >= 0.0 && a.1 >= 0.0 && a.2 <= f64::from(scene.width) && a.3 <= f64::from(scene.height);
                    assert!(inside, "{operations} in {rows}: {a:?} is clipped");
                    for b in &boxes[..i] {
                        let apart = a.0 >= b.2 || b.0 >= a.2 || a.1 >= b.3 || b.1 >= a.3;
                        assert!(apart, "{operations} in {rows}: {a:?} covers {b:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn it_is_written_and_what_makes_no_sense_is_refused() {
        let good = chart(5, 2, 1, "x write 1");
        let svg = render_svg(&Chart::Intervals(good.clone())).unwrap();
        assert!(
            svg.contains(">w3 x write 1</text>") && svg.contains("process 1"),
            "{svg}"
        );
        assert_eq!(svg, render_svg(&Chart::Intervals(good.clone())).unwrap());
        assert!(
            render_png(&Chart::Intervals(good.clone()))
                .unwrap()
                .starts_with(b"\x89PNG")
        );
        for spoil in [
            |of: &mut Interval| of.row = 2,
            |of: &mut Interval| of.to = Some(0),
            |of: &mut Interval| of.from = 99,
        ] {
            let mut bad = good.clone();
            spoil(&mut bad.intervals[1]);
            assert!(matches!(
                render_svg(&Chart::Intervals(bad)),
                Err(PlotError::Length { .. })
            ));
        }
        let empty = Intervals {
            intervals: Vec::new(),
            ..good
        };
        assert!(render_svg(&Chart::Intervals(empty)).unwrap().contains("no data"));
    }
}
