use super::scene::{Anchor, Scene, Shape};
use super::*;
use proptest::prelude::*;

fn frame(title: &str) -> Frame {
    Frame {
        title: title.into(),
        subtitle: "scenario s, seed 7".into(),
        note: "Whiskers: 95 % interval".into(),
    }
}

/// A name of a length that grows with its index.
fn name(i: usize) -> String {
    format!("variant {i}: {}", "timeout=250ms, attempts=4; ".repeat(i % 4))
}

fn around(value: f64) -> Estimate {
    Estimate {
        value,
        interval: Some((value * 0.9, value * 1.1)),
    }
}

/// Every kind of chart with `n` variants and values of about `size`.
fn charts(n: usize, size: f64) -> Vec<Chart> {
    let line = |i: usize| Line {
        name: name(i),
        points: (0..50)
            .map(|k| (size * (1.0 + k as f64), (k + 1) as f64 / 50.0))
            .collect(),
        band: (0..50)
            .map(|k| (size * (1.0 + k as f64), k as f64 / 50.0, 1.0))
            .collect(),
    };
    let bars = (0..n).map(|i| Bar {
        name: name(i),
        parts: vec![size, size * i as f64, 0.0],
        total: around(size * (1 + i) as f64),
        reference: i == 0,
    });
    let time = |label: &str| Axis::new(label, Unit::Time);
    let measure = |unit| Measure {
        axis: Axis::new("a measure with a rather long name", unit),
        values: (0..n)
            .map(|i| (i % 5 != 4).then(|| around(size * (1 + i) as f64)))
            .collect(),
        reference: Some(size),
    };
    let lines = |x| {
        let (y, lines) = (Axis::new("share", Unit::Share), (0..n).map(line).collect());
        Chart::Lines(Lines {
            frame: frame("lines"),
            x,
            y,
            steps: true,
            lines,
        })
    };
    vec![
        Chart::StackedBars(StackedBars {
            frame: frame("stacked"),
            axis: time("task time"),
            parts: ["a", "b", "c"].map(String::from).to_vec(),
            bars: bars.collect(),
        }),
        lines(time("task time")),
        lines(Axis::logarithmic("age", Unit::Time)),
        Chart::TimeSeries(TimeSeries {
            frame: frame("over time"),
            x: time("time"),
            y: Axis::new("calls", Unit::PerSecond),
            steps: true,
            panels: (0..n)
                .map(|i| Panel {
                    name: name(i),
                    lines: vec![line(0), line(1)],
                })
                .collect(),
            limit: Some(Limit {
                value: 0.7,
                label: "limit".into(),
            }),
            shades: vec![Shade {
                from: size * 5.0,
                to: size * 9.0,
                label: "partition".into(),
            }],
        }),
        Chart::Measures(Measures {
            frame: frame("measures"),
            rows: (0..n).map(name).collect(),
            measures: vec![
                measure(Unit::Number),
                measure(Unit::Time),
                measure(Unit::Bytes),
                measure(Unit::Count),
            ],
            bars: false,
        }),
    ]
}

/// The boxes (left, top, right, bottom) of a scene's texts.
pub(super) fn boxes(scene: &Scene) -> Vec<(f64, f64, f64, f64, String)> {
    let texts = scene.shapes.iter().filter_map(|shape| match shape {
        Shape::Text {
            x,
            y,
            size,
            bold,
            anchor,
            text,
            ..
        } => {
            let width = font::width(text, *size, *bold);
            let left = match anchor {
                Anchor::Start => *x,
                Anchor::Middle => x - width / 2.0,
                Anchor::End => x - width,
            };
            Some((left, y - size * 0.75, left + width, y + size * 0.2, text.clone()))
        }
        _ => None,
    });
    texts.collect()
}

#[test]
fn no_text_is_clipped_or_covers_another() {
    for n in [1, 2, 3, 7, 12, 40, 100] {
        for size in [1e-7, 0.3, 61.0, 4e5, 3e11] {
            for chart in charts(n, size) {
                let scene = chart.scene().unwrap();
                let boxes = boxes(&scene);
                for (i, a) in boxes.iter().enumerate() {
                    let inside =
                        a.0 >= 0.0 && a.1 >= 0.0 && a.2 <= f64::from(scene.width) && a.3 <= f64::from(scene.height);
                    assert!(inside, "{n} variants of {size}: {a:?} is clipped in {}", scene.about);
                    for b in &boxes[..i] {
                        let apart = a.0 >= b.2 || b.0 >= a.2 || a.1 >= b.3 || b.1 >= a.3;
                        assert!(apart, "{n} variants of {size}: {a:?} covers {b:?} in {}", scene.about);
                    }
                }
            }
        }
    }
}

#[test]
fn a_small_svg_as_it_is_written() {
    let chart = Chart::NoData {
        frame: Frame {
            title: "A < B & \"C\"".into(),
            ..Frame::default()
        },
        reason: "none".into(),
    };
    insta::assert_snapshot!(render_svg(&chart).unwrap(), @r##"
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1920 1080" width="1920" height="1080" role="img" font-family="Inter, 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif">
<title>A &lt; B &amp; &quot;C&quot;</title>
<rect width="1920" height="1080" fill="#ffffff"/>
<text x="64" y="100" font-size="46" font-weight="700" textLength="240.4" lengthAdjust="spacingAndGlyphs" fill="#1f2328">A &lt; B &amp; &quot;C&quot;</text>
<rect x="64" y="140" width="1792" height="900" fill="#f6f8fa"/>
<text x="960" y="590" font-size="36" text-anchor="middle" textLength="233.3" lengthAdjust="spacingAndGlyphs" fill="#57606a">no data: none</text>
</svg>
"##);
}

#[test]
fn pictures_stay_what_they_are() {
    // Golden hashes: a change here is a change of every picture that users compare; look at the gallery, then update.
    let hash = |chart: &Chart| twox_hash::XxHash3_64::oneshot(render_svg(chart).unwrap().as_bytes());
    let hashes: Vec<String> = charts(3, 0.3)
        .iter()
        .map(|chart| format!("{:016x}", hash(chart)))
        .collect();
    insta::assert_snapshot!(hashes.join(" "), @"2360d259f2031966 8ed3eb25379410f7 4f75c8d9a7bc64e6 f4ccca9278ab84c9 c3f95f14507ea0a6");
}

#[test]
fn equal_charts_give_equal_bytes() {
    for chart in charts(3, 2.0) {
        assert_eq!(render_svg(&chart), render_svg(&chart));
        let png = render_png(&chart).unwrap();
        assert_eq!(png, render_png(&chart).unwrap());
        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n") && png.ends_with(b"IEND\xae\x42\x60\x82"));
    }
}

#[test]
fn names_are_escaped() {
    let mut chart = charts(2, 1.0).remove(0);
    if let Chart::StackedBars(bars) = &mut chart {
        bars.bars[0].name = "<script>\"x\" & 'y'\u{0}\n".into();
        bars.frame.title = "</title><b>".into();
    }
    let svg = render_svg(&chart).unwrap();
    assert!(
        svg.contains("&lt;script&gt;&quot;x&quot; &amp; &#39;y&#39;")
            && !svg.contains("<script")
            && !svg.contains("<b>")
    );
    assert!(svg.chars().all(|c| c == '\n' || !c.is_control()));
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    for bad in [f64::NAN, f64::INFINITY, -f64::INFINITY, 1e300] {
        let line = Line {
            name: "l".into(),
            points: vec![(0.0, bad)],
            band: vec![],
        };
        let chart = Lines {
            frame: frame(""),
            x: Axis::default(),
            y: Axis::default(),
            steps: false,
            lines: vec![line],
        };
        assert!(matches!(
            render_svg(&Chart::Lines(chart)),
            Err(PlotError::NotFinite { .. })
        ));
    }
    let Chart::StackedBars(bars) = charts(2, 1.0).remove(0) else {
        unreachable!()
    };
    let mut negative = bars.clone();
    negative.bars[1].parts[0] = -1.0;
    assert!(matches!(
        render_svg(&Chart::StackedBars(negative)),
        Err(PlotError::NegativePart { .. })
    ));
    let mut short = bars.clone();
    short.bars[1].parts.pop();
    assert!(matches!(
        render_svg(&Chart::StackedBars(short)),
        Err(PlotError::Length {
            found: 2,
            expected: 3,
            ..
        })
    ));
    let many = StackedBars {
        bars: vec![bars.bars[0].clone(); 101],
        ..bars
    };
    assert!(matches!(
        render_svg(&Chart::StackedBars(many)),
        Err(PlotError::TooMany { .. })
    ));
}

#[test]
fn charts_without_data_say_so() {
    for chart in charts(0, 1.0) {
        assert!(render_svg(&chart).unwrap().contains(">no data: "), "{chart:?}");
        render_png(&chart).unwrap();
    }
}

#[test]
fn distributions_become_lines_in_the_axis_unit() {
    use crate::experiment::statistics::Recorder;
    let record = |from: u64| {
        let mut recorder = Recorder::default();
        (from..from + 100).for_each(|v| recorder.record(v * 10_000_000));
        recorder
    };
    let mut pooled = record(100);
    pooled.merge(&record(150));
    let replicates = [record(100).distribution(), record(150).distribution()];
    let line = Line::distribution("base", &pooled.distribution(), &replicates, 1e9, 500);
    assert_eq!(
        (line.points[0], line.points[line.points.len() - 1]),
        ((1.0, 0.005), (2.49, 1.0))
    );
    assert!(line.band.contains(&(1.99, 0.5, 1.0)), "{:?}", line.band);
    assert!(
        Line::distribution("one", &pooled.distribution(), &replicates[..1], 1e9, 500)
            .band
            .is_empty()
    );
}

#[test]
fn notes_say_what_whiskers_are() {
    let note = interval_note(Level::P95, 20);
    assert_eq!(
        note,
        "Whiskers and ±: 95 % confidence interval of the mean, Student t over 20 replicates."
    );
    assert!(interval_note(Level::P95, 1).starts_with("One replicate"));
    assert!(interval_note(Level::new(0.999).unwrap(), 5).contains("99.9 %"));
}

#[test]
fn long_lines_are_thinned_without_losing_peaks() {
    let mut points: Vec<(f64, f64)> = (0..200_000).map(|i| (f64::from(i), 1.0)).collect();
    points[123_456].1 = 50.0;
    let line = |points| Lines {
        frame: frame("thin"),
        x: Axis::default(),
        y: Axis::default(),
        steps: false,
        lines: vec![Line {
            name: "l".into(),
            points,
            band: vec![],
        }],
    };
    let svg = render_svg(&Chart::Lines(line(points))).unwrap();
    assert!(svg.len() < 200_000, "{} bytes", svg.len());
    let top = render_svg(&Chart::Lines(line(vec![(0.0, 50.0), (1.0, 1.0)]))).unwrap();
    let height = |svg: &str| {
        let at = svg
            .find("stroke=\"#0072b2\"")
            .and_then(|end| svg[..end].rfind("<polyline"));
        at.map(|at| {
            let list = svg[at..].split('"').nth(1).unwrap_or("").to_string();
            list.split(' ')
                .filter_map(|p| p.split_once(',')?.1.parse::<f64>().ok())
                .fold(f64::MAX, f64::min)
        })
    };
    // The legend's sample comes first in the file, and lies at the same height in both.
    assert_eq!(height(&svg), height(&top));
}

fn number() -> impl Strategy<Value = f64> + Clone {
    prop_oneof![4 => -1e3f64..1e3, 2 => Just(0.0), 1 => any::<f64>(), 1 => -1e89f64..1e89, 1 => 0.0f64..1e-80]
}

fn any_chart() -> impl Strategy<Value = Chart> {
    let unit = prop_oneof![
        Just(Unit::Time),
        Just(Unit::Count),
        Just(Unit::Share),
        Just(Unit::Bytes),
        ".{0,8}".prop_map(Unit::Named),
        Just(Unit::Money("USD".into()))
    ];
    let axis = (".{0,30}", unit, any::<bool>()).prop_map(|(label, unit, logarithmic)| Axis {
        label,
        unit,
        logarithmic,
    });
    let frame = (".{0,200}", ".{0,80}", ".{0,300}").prop_map(|(title, subtitle, note)| Frame { title, subtitle, note });
    let points = prop::collection::vec((number(), number()), 0..12);
    let band = prop::collection::vec((number(), number(), number()), 0..6);
    let line = (".{0,60}", points, band).prop_map(|(name, points, band)| Line { name, points, band });
    let lines = prop::collection::vec(line, 0..12);
    let estimate =
        (number(), prop::option::of((number(), number()))).prop_map(|(value, interval)| Estimate { value, interval });
    let bar = (
        ".{0,60}",
        prop::collection::vec(number().prop_map(f64::abs), 3),
        estimate.clone(),
        any::<bool>(),
    )
        .prop_map(|(name, parts, total, reference)| Bar {
            name,
            parts,
            total,
            reference,
        });
    let words = (frame, axis.clone(), axis);
    (
        words,
        lines,
        prop::collection::vec(bar, 0..8),
        prop::collection::vec(prop::option::of(estimate), 4),
        any::<bool>(),
        0..4,
    )
        .prop_map(|((frame, x, y), lines, bars, values, flag, kind)| match kind {
            0 => Chart::Lines(Lines {
                frame,
                x,
                y,
                steps: flag,
                lines,
            }),
            1 => Chart::StackedBars(StackedBars {
                frame,
                axis: x,
                parts: vec!["p".into(); 3],
                bars,
            }),
            2 => Chart::Measures(Measures {
                frame,
                rows: vec![y.label.clone(); 4],
                measures: vec![Measure {
                    axis: x,
                    values,
                    reference: Some(1.0),
                }],
                bars: flag,
            }),
            _ => Chart::TimeSeries(TimeSeries {
                frame,
                x,
                y,
                steps: flag,
                panels: vec![
                    Panel {
                        name: "p".into(),
                        lines: lines.clone(),
                    },
                    Panel {
                        name: "q".into(),
                        lines,
                    },
                ],
                limit: Some(Limit {
                    value: -3.0,
                    label: "limit".into(),
                }),
                shades: vec![Shade {
                    from: 9.0,
                    to: -5.0,
                    label: "fault".into(),
                }],
            }),
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn no_input_panics_or_writes_what_is_not_a_number(chart in any_chart()) {
        if let Ok(svg) = render_svg(&chart) {
            let attributes = svg.lines().filter(|l| l.starts_with("<poly") || l.starts_with("<rect") || l.starts_with("<circle"));
            for line in attributes {
                prop_assert!(!line.contains("NaN") && !line.contains("inf"), "{}", line);
                prop_assert!(line.len() < 100_000 && !line.contains("9223372036854775807"), "{}", line);
            }
            prop_assert!(svg.ends_with("</svg>\n"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn no_input_panics_the_bitmap(chart in any_chart()) {
        prop_assert_eq!(render_svg(&chart).is_ok(), render_png(&chart).is_ok());
    }
}
