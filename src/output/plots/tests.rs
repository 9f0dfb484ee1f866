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
        marks: Vec::new(),
        remark: if i % 3 == 1 {
            "8% of tasks done".into()
        } else {
            String::new()
        },
        points: (0..50)
            .map(|k| (size * (1.0 + k as f64), (k + 1) as f64 / 50.0))
            .collect(),
        band: (0..50)
            .map(|k| (size * (1.0 + k as f64), k as f64 / 50.0, 1.0))
            .collect(),
        dots: false,
    };
    let bars = (0..n).map(|i| Bar {
        name: name(i),
        parts: vec![size, size * i as f64, 0.0],
        total: around(size * (1 + i) as f64),
        reference: i == 0,
        remark: if i % 3 == 1 {
            "8% of tasks done".into()
        } else {
            String::new()
        },
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
                    shades: Vec::new(),
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

/// The texts of a chart, in drawing order.
fn texts(chart: &Chart) -> Vec<String> {
    boxes(&chart.scene().unwrap()).into_iter().map(|text| text.4).collect()
}

fn bar(name: &str, parts: &[f64], half: f64) -> Bar {
    let value = parts.iter().sum();
    Bar {
        name: name.into(),
        parts: parts.to_vec(),
        total: Estimate {
            value,
            interval: Some((value - half, value + half)),
        },
        reference: false,
        remark: String::new(),
    }
}

fn stacked(parts: &[&str], bars: Vec<Bar>) -> Chart {
    Chart::StackedBars(StackedBars {
        frame: frame("stacked"),
        axis: Axis::new("task time", Unit::Time),
        parts: parts.iter().map(ToString::to_string).collect(),
        bars,
    })
}

#[test]
fn numbers_on_bars_are_in_the_unit_of_their_axis() {
    let parts = ["service", "retrying"];
    let chart = stacked(
        &parts,
        vec![bar("slow", &[3.0, 129.2], 0.11), bar("quick", &[3.4, 18.4], 0.04)],
    );
    let texts = texts(&chart);
    for says in ["task time (s)", "132.20 s ±0.11", "21.80 s ±0.04", "129.2", "18.4"] {
        assert!(texts.iter().any(|text| text == says), "{says}: {texts:?}");
    }
    assert!(!texts.iter().any(|text| text.contains("min")), "{texts:?}");
}

#[test]
fn what_is_too_small_to_be_seen_is_in_the_note_and_not_in_the_legend() {
    let parts = ["service", "network", "queueing"];
    let chart = stacked(
        &parts,
        vec![bar("a", &[100.0, 0.04, 0.0], 1.0), bar("b", &[90.0, 0.0385, 0.0], 1.0)],
    );
    let texts = texts(&chart);
    assert!(texts.iter().any(|text| text == "service"));
    assert!(
        !texts.iter().any(|text| text == "network" || text.contains("queueing")),
        "{texts:?}"
    );
    assert!(
        texts
            .iter()
            .any(|text| text.ends_with("Too small to be seen: network (≤ 40.0 ms).")),
        "{texts:?}"
    );
}

#[test]
fn what_has_to_be_known_stands_beside_its_variant() {
    let mut few = bar("no backoff", &[3.66], 0.09);
    few.remark = "8% of tasks done".into();
    // A bar of full length leaves room for it as well.
    let mut long = bar("long", &[100.0], 1.0);
    long.remark = few.remark.clone();
    let said = texts(&stacked(&["service"], vec![few, long]));
    assert_eq!(
        said.iter().filter(|text| *text == "8% of tasks done").count(),
        2,
        "{said:?}"
    );
    let line = Line {
        name: "no backoff".into(),
        remark: "8% of tasks done".into(),
        points: vec![(1.0, 0.5), (2.0, 1.0)],
        ..Line::default()
    };
    let said = texts(&Chart::Lines(Lines {
        frame: frame(""),
        x: Axis::default(),
        y: Axis::default(),
        steps: true,
        lines: vec![line],
    }));
    assert!(said.contains(&"no backoff (8% of tasks done)".to_string()), "{said:?}");
}

#[test]
fn a_number_on_a_bar_never_touches_the_whisker() {
    for half in [0.01, 0.3, 2.0, 5.0] {
        for network in [0.2, 0.6, 1.0, 1.4, 3.0, 9.0] {
            let chart = stacked(
                &["service", "network"],
                vec![bar("a", &[12.0, network], half), bar("b", &[20.0, 1.0], 0.1)],
            );
            let scene = chart.scene().unwrap();
            // The whiskers' ends are the two thin upright marks of text colour in each row.
            let marks: Vec<(f64, f64)> = scene
                .shapes
                .iter()
                .filter_map(|shape| match shape {
                    Shape::Rect { x, y, w, h, ink } if *w <= 4.0 && *h > 10.0 && *ink == scene::TEXT => {
                        Some((*x, y + h / 2.0))
                    }
                    _ => None,
                })
                .collect();
            assert_eq!(marks.len(), 4);
            for (left, top, right, bottom, text) in boxes(&scene) {
                let touches = |(x, y): &(f64, f64)| left - 2.0 < *x && *x < right + 2.0 && top < *y && *y < bottom;
                assert!(!marks.iter().any(touches), "{text} at {half} {network}");
            }
        }
    }
}

#[test]
fn lines_that_coincide_are_told() {
    let curve = |name: &str, shift: f64| Line {
        name: name.into(),
        points: (0..=50).map(|x| (f64::from(x), f64::from(x) / 50.0 + shift)).collect(),
        ..Line::default()
    };
    let chart = Chart::Lines(Lines {
        frame: frame("lines"),
        x: Axis::new("x", Unit::Number),
        y: Axis::new("y", Unit::Number),
        steps: false,
        lines: vec![curve("one", 0.0), curve("other", 0.5), curve("same", 0.0001)],
    });
    let said = texts(&chart);
    assert!(
        said.iter()
            .any(|text| text.ends_with("Lines that coincide: one and same.")),
        "{said:?}"
    );
    // The one on top has gaps, and its mark in the legend as well.
    let dashed = chart
        .scene()
        .unwrap()
        .shapes
        .into_iter()
        .filter(|shape| matches!(shape, Shape::Line { dash, width, .. } if !dash.is_empty() && *width >= 5.0));
    assert_eq!(dashed.count(), 2);
}

#[test]
fn a_logarithmic_axis_says_where_its_floor_is() {
    let line = Line {
        name: "arrivals".into(),
        points: vec![(0.0, 0.0), (1.0, 0.05), (2.0, 46_000.0), (3.0, 0.0)],
        ..Line::default()
    };
    let said = texts(&Chart::TimeSeries(TimeSeries {
        frame: frame("over time"),
        x: Axis::new("time", Unit::Time),
        y: Axis {
            floor: Some(1.0),
            ..Axis::logarithmic("requests", Unit::PerSecond)
        },
        steps: false,
        panels: vec![Panel {
            name: "no backoff".into(),
            lines: vec![line],
            shades: Vec::new(),
        }],
        limit: None,
        shades: vec![],
    }));
    for says in ["≤1", "10", "10,000", "requests (per second, log scale)"] {
        assert!(said.iter().any(|text| text == says), "{says}: {said:?}");
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
    insta::assert_snapshot!(hashes.join(" "), @"352f42b88668b896 ad5d3461771df3c6 59c772c11208fec7 d08a94a3c7e9d710 c3f95f14507ea0a6");
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
            ..Line::default()
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
            ..Line::default()
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
    let floor = prop::option::of(number());
    let axis = (".{0,30}", unit, any::<bool>(), floor).prop_map(|(label, unit, logarithmic, floor)| Axis {
        label,
        unit,
        logarithmic,
        floor,
    });
    let frame = (".{0,200}", ".{0,80}", ".{0,300}").prop_map(|(title, subtitle, note)| Frame { title, subtitle, note });
    let points = prop::collection::vec((number(), number()), 0..12);
    let band = prop::collection::vec((number(), number(), number()), 0..6);
    let line = (".{0,60}", ".{0,30}", points, band).prop_map(|(name, remark, points, band)| Line {
        name,
        remark,
        dots: true,
        marks: points.iter().rev().copied().take(3).collect(),
        points,
        band,
    });
    let lines = prop::collection::vec(line, 0..12);
    let estimate =
        (number(), prop::option::of((number(), number()))).prop_map(|(value, interval)| Estimate { value, interval });
    let bar = (
        ".{0,60}",
        prop::collection::vec(number().prop_map(f64::abs), 3),
        estimate.clone(),
        any::<bool>(),
        ".{0,30}",
    )
        .prop_map(|(name, parts, total, reference, remark)| Bar {
            name,
            parts,
            total,
            reference,
            remark,
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
                        shades: Vec::new(),
                    },
                    Panel {
                        name: "q".into(),
                        lines,
                        shades: vec![Shade {
                            from: -2.0,
                            to: 3.0,
                            label: "other".into(),
                        }],
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
