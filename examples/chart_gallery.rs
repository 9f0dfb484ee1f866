//! Draws every kind of chart with made-up data, to look at: `cargo run --example chart_gallery -- FOLDER`.
//!
//! What to check in each picture is written beside it in the code. The data stands for no measurement.

use quorate::experiment::statistics::{Level, Recorder, normal_quantile};
use quorate::output::plots::*;
use std::path::PathBuf;

fn frame(title: &str, note: &str) -> Frame {
    Frame {
        title: title.into(),
        subtitle: "scenario latency-trap, seed 7, 200 agents × 20 replicates (made-up data)".into(),
        note: note.into(),
    }
}

fn bar(name: &str, parts: &[f64], half: f64, reference: bool) -> Bar {
    let total: f64 = parts.iter().sum();
    let total = Estimate {
        value: total,
        interval: Some((total - half, total + half)),
    };
    Bar {
        name: name.into(),
        parts: parts.to_vec(),
        total,
        reference,
        remark: String::new(),
    }
}

fn parts() -> Vec<String> {
    [
        "thinking",
        "service",
        "queueing",
        "network",
        "retry",
        "coordination",
        "down",
    ]
    .map(String::from)
    .to_vec()
}

/// A small deterministic wave between 0 and 1.
fn wave(i: usize, salt: usize) -> f64 {
    let key = quorate::kernel::Key::root(salt as u64, 0);
    key.stream(quorate::kernel::Purpose(0), i as u64).unit()
}

/// Log-normal task times in 20 replicates of 200.
fn ecdf(name: &str, median: f64, sigma: f64) -> Line {
    let mut pooled = Recorder::default();
    let mut replicates = Vec::new();
    for replicate in 0..20 {
        let mut recorder = Recorder::default();
        let key = quorate::kernel::Key::root(replicate as u64, 1).child(name);
        for task in 0..200 {
            let z = normal_quantile(key.stream(quorate::kernel::Purpose(0), task).open_unit());
            recorder.record((median * 1e9 * libm::exp(sigma * z)) as u64);
        }
        pooled.merge(&recorder);
        replicates.push(recorder.distribution());
    }
    Line::distribution(name, &pooled.distribution(), &replicates, 1e9, 400)
}

fn load(name: &str, peak: f64, salt: usize) -> Line {
    let points = (0..=240)
        .map(|i| {
            let t = i as f64 * 0.5;
            let surge = if (30.0..50.0).contains(&t) {
                peak
            } else {
                peak * 0.25 * (1.0 - ((t - 50.0) / 60.0).clamp(0.0, 1.0))
            };
            (t, 40.0 + surge + 12.0 * wave(i, salt))
        })
        .collect();
    Line {
        name: name.into(),
        points,
        ..Line::default()
    }
}

fn estimate(value: f64, half: f64) -> Option<Estimate> {
    Some(Estimate {
        value,
        interval: Some((value - half, value + half)),
    })
}

fn gallery() -> Vec<(&'static str, Chart)> {
    let whiskers = &interval_note(Level::P95, 20);
    let stacked = |bars| {
        Chart::StackedBars(StackedBars {
            frame: frame("Mean task time by part, 20 replicates", whiskers),
            axis: Axis::new("mean task time", Unit::Time),
            parts: parts(),
            bars,
        })
    };
    let three = vec![
        bar("base", &[0.0, 7.92, 0.31, 5.41, 0.22, 0.0, 0.0], 0.21, true),
        bar("colocated", &[0.0, 7.95, 0.29, 0.02, 0.18, 0.0, 0.0], 0.15, false),
        bar(
            "parallel search with hedged requests",
            &[0.0, 7.1, 0.85, 2.1, 0.41, 0.3, 0.0],
            0.33,
            false,
        ),
    ];
    let many = (0..40)
        .map(|i| {
            let f = 0.3 + wave(i, 3);
            bar(
                &format!("variant {i}: timeout={}ms", i * 50),
                &[0.1 * f, 2.0 * f, 0.5 * f, 1.5 * f, 0.2, 0.1, 0.05],
                0.1,
                i == 0,
            )
        })
        .collect();
    let cdf = |x: Axis, lines: Vec<Line>, title: &str| {
        let note = "Band: least to greatest over 20 replicates. Quantiles with fewer than ten tasks beyond them aren't read off.";
        let y = Axis::new("share of samples", Unit::Share);
        Chart::Lines(Lines {
            frame: frame(title, note),
            x,
            y,
            steps: true,
            lines,
        })
    };
    let few_lines = vec![
        ecdf("base", 9.0, 0.4),
        ecdf("colocated", 5.0, 0.25),
        ecdf("hedged", 6.0, 0.5),
    ];
    let many_lines = (0..40)
        .map(|i| ecdf(&format!("variant {i}"), 1.0 + i as f64 * 0.4, 0.3))
        .map(|l| Line { band: vec![], ..l });
    let models = [("last writer wins", 0.4), ("version vectors", 0.15), ("CRDT", 0.05)];
    let staleness = models.iter().map(|(name, median)| ecdf(name, *median, 1.3));
    let panel = |name: &str, peak: f64, salt: usize| {
        let arrivals = load("arrivals", peak, salt);
        let refused = arrivals
            .points
            .iter()
            .map(|p| (p.0, (p.1 - 95.0).max(0.0) * 0.8))
            .collect();
        Panel {
            name: name.into(),
            lines: vec![
                arrivals,
                Line {
                    name: "refused".into(),
                    points: refused,
                    ..Line::default()
                },
            ],
            shades: Vec::new(),
        }
    };
    let herd = |panels: Vec<Panel>| {
        Chart::TimeSeries(TimeSeries {
            frame: frame(
                "Calls arriving and refused at the search service, over time",
                "Windows of 500 ms, replicate 0.",
            ),
            x: Axis::new("simulated time", Unit::Time),
            y: Axis::new("calls in a window", Unit::PerSecond),
            steps: true,
            panels,
            limit: Some(Limit {
                value: 120.0,
                label: "rate limit".into(),
            }),
            shades: vec![
                Shade {
                    from: 30.0,
                    to: 50.0,
                    label: "fault: search down (30–50 s)".into(),
                },
                Shade {
                    from: 80.0,
                    to: 80.2,
                    label: "fault: packet loss (80 s)".into(),
                },
            ],
        })
    };
    let measures = |bars| {
        let rows = [
            "no jitter",
            "full jitter",
            "decorrelated jitter",
            "full jitter with a retry budget",
        ]
        .map(String::from)
        .to_vec();
        Chart::Measures(Measures {
            frame: frame("Amplification and goodput by variant, 20 replicates", whiskers),
            rows,
            bars,
            measures: vec![
                Measure {
                    axis: Axis::new("amplification", Unit::Named("attempts per call".into())),
                    values: vec![
                        estimate(3.84, 0.31),
                        estimate(1.62, 0.08),
                        estimate(1.71, 0.11),
                        estimate(1.094, 0.012),
                    ],
                    reference: Some(1.0),
                },
                Measure {
                    axis: Axis::new("goodput", Unit::PerSecond),
                    values: vec![estimate(31.0, 9.0), estimate(112.0, 4.0), None, estimate(118.4, 1.2)],
                    reference: None,
                },
            ],
        })
    };
    let nasty = vec![bar(
        "<b>&\"quotes\"' and a name that never ends because somebody put the whole parameter list into it=1,2,3,4,5,6",
        &[0.0, 1e-7, 0.0, 2e-7, 0.0, 0.0, 0.0],
        1e-8,
        false,
    )];
    vec![
        ("stacked_three", stacked(three)),
        ("stacked_forty", stacked(many)),
        ("stacked_nasty", stacked(nasty)),
        ("stacked_zero", stacked(vec![bar("all zero", &[0.0; 7], 0.0, false)])),
        (
            "cdf",
            cdf(
                Axis::new("task time", Unit::Time),
                few_lines,
                "Distribution of task time by variant, 20 replicates",
            ),
        ),
        (
            "cdf_forty",
            cdf(
                Axis::new("task time", Unit::Time),
                many_lines.collect(),
                "Distribution of task time, 40 variants",
            ),
        ),
        (
            "staleness",
            cdf(
                Axis::logarithmic("age of a stale read", Unit::Time),
                staleness.collect(),
                "Staleness of reads by consistency model",
            ),
        ),
        (
            "herd",
            herd(vec![
                panel("no jitter", 130.0, 1),
                panel("full jitter", 70.0, 2),
                panel("full jitter with a retry budget", 40.0, 3),
            ]),
        ),
        ("herd_one", herd(vec![panel("base", 130.0, 1)])),
        (
            "herd_twelve",
            herd(
                (0..11)
                    .map(|i| panel(&format!("variant {i}"), 20.0 * i as f64, i))
                    .collect(),
            ),
        ),
        ("measures_dots", measures(false)),
        ("measures_bars", measures(true)),
        (
            "no_data",
            Chart::NoData {
                frame: frame("Mean task time by part", ""),
                reason: "no task finished before the run's end".into(),
            },
        ),
    ]
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("which folder?")?);
    std::fs::create_dir_all(&folder)?;
    for (name, chart) in gallery() {
        std::fs::write(folder.join(name).with_extension("svg"), render_svg(&chart)?)?;
        std::fs::write(folder.join(name).with_extension("png"), render_png(&chart)?)?;
        println!("{name}");
    }
    Ok(())
}
