//! What a search for a knee says: a table, a JSON document, tidy points, and pictures.

use super::files::{BundleError, Csv, File, picture, table};
use super::plots::{Axis, Chart, Frame, Line, Panel, Shade, TimeSeries};
use super::tables::numbers::{self, Unit};
use super::tables::{Cell, Column, Look, Table};
use crate::experiment::knee::{BESIDE, Found, Knee, Point, Search, Share};
use crate::experiment::statistics::{Level, Side, Summary};
use serde::Serialize;

/// The version of the schema of `knee.json`.
const SCHEMA: u32 = 1;

/// What was looked for, and what came of it: for each variant a knee.
#[derive(Debug)]
pub struct Report<'a> {
    /// The scenario's name.
    pub scenario: &'a str,
    /// Its hash.
    pub scenario_hash: &'a str,
    /// The seed.
    pub seed: u64,
    /// The parameter.
    pub path: String,
    /// The unit of its values.
    pub unit: Unit,
    /// The measure that answers.
    pub measure: &'a str,
    /// What it must be above, in its unit; `None`: it is a yes or no.
    pub above: Option<f64>,
    /// How it was looked for.
    pub search: Search,
    /// The variants by name and title, and their knees.
    pub variants: Vec<(String, String, Knee)>,
    /// Runs that were stopped before their end, in words.
    pub halts: Vec<String>,
    /// The command that gives the same again.
    pub reproduce: String,
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: u32,
    tool_version: &'static str,
    scenario: &'a str,
    scenario_hash: &'a str,
    seed: u64,
    parameter: &'a str,
    measure: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    above: Option<f64>,
    search: Search,
    /// Values are in base units: seconds, events a second, bytes, dollars, parts of 1.
    variants: Vec<VariantDocument<'a>>,
    halts: &'a [String],
    reproduce: &'a str,
}

#[derive(Debug, Serialize)]
struct VariantDocument<'a> {
    variant: &'a str,
    title: &'a str,
    #[serde(flatten)]
    found: &'a Found,
    /// The chance of a wrong decision that was allowed at each value.
    error_of_a_point: f64,
    runs: usize,
    points: Vec<PointDocument>,
}

#[derive(Debug, Serialize)]
struct PointDocument {
    value: f64,
    runs: usize,
    yes: u64,
    no: u64,
    side: Option<Side>,
    share: Option<Share>,
    recovers: Option<Share>,
    metastable: Option<Share>,
    collapses: Option<Share>,
    undecided: Option<Share>,
    offered: Option<Mean>,
    goodput: Option<Mean>,
    amplification: Option<Mean>,
}

/// A mean over runs, with Student's interval.
#[derive(Debug, Clone, Copy, Serialize)]
struct Mean {
    mean: f64,
    low: Option<f64>,
    high: Option<f64>,
}

impl From<Summary> for Mean {
    fn from(of: Summary) -> Self {
        Self {
            mean: of.mean,
            low: of.interval.map(|interval| interval.low),
            high: of.interval.map(|interval| interval.high),
        }
    }
}

/// Which place a measure beside the answers has.
fn beside(name: &str) -> usize {
    BESIDE.iter().position(|of| *of == name).expect("it is one of them")
}

impl Report<'_> {
    fn level(&self) -> Level {
        Level::new(self.search.confidence).expect("a confidence between 0 and 1")
    }

    /// A value as it was run, not rounded to what reads best, in the unit that fits values of about `magnitude`: so all values of one
    /// answer are in one unit.
    fn shown(&self, value: f64, magnitude: f64) -> String {
        if self.search.is_whole() && !matches!(self.unit, Unit::Bytes) {
            return numbers::grouped(value, 0);
        }
        let shown = self.unit.shown(magnitude);
        let value = value / shown.divide;
        shown.join(&numbers::trimmed(&numbers::grouped(
            value,
            numbers::decimals_for(value, 5).min(6),
        )))
    }

    /// The knee and the ends of its interval, in one unit.
    fn knee(&self, at: f64, low: f64, high: f64) -> [String; 3] {
        let at = match self.search.is_whole() {
            true => at,
            false => self.search.round(at).clamp(low, high),
        };
        [at, low, high].map(|value| self.shown(value, low.abs().max(high.abs())))
    }

    /// Whether every variant has a knee that is as narrow as was asked for.
    pub fn is_decided(&self) -> bool {
        let is_precise = |found: &Found| matches!(found, Found::Knee { precise: true, .. });
        self.variants.iter().all(|(.., knee)| is_precise(&knee.found))
    }

    /// The question in words.
    fn question(&self) -> String {
        let magnitude = self.search.from.abs().max(self.search.to.abs());
        let (from, to) = (
            self.shown(self.search.from, magnitude),
            self.shown(self.search.to, magnitude),
        );
        format!("At which {} from {from} to {to} {}?", self.path, self.changes())
    }

    fn changes(&self) -> String {
        match self.above {
            None => format!("does {} change", self.measure),
            Some(_) => format!("does {} change", self.answer()),
        }
    }

    /// What a yes is, in words.
    fn answer(&self) -> String {
        match self.above {
            None => self.measure.to_string(),
            Some(above) => {
                let unit = super::summary::unit_of(self.measure);
                format!("{} above {}", self.measure, numbers::brief(above, &unit))
            }
        }
    }

    /// What was found, in a few words that stand alone.
    fn words(&self, found: &Found) -> String {
        let answer = self.answer();
        let says = |side: Side| match side {
            Side::Above => "yes",
            Side::Below => "no",
        };
        match found {
            Found::Knee {
                beyond,
                precise,
                low,
                high,
                ..
            } => {
                let turn = match beyond {
                    Side::Above => "no before, yes beyond",
                    Side::Below => "yes before, no beyond",
                };
                match precise {
                    true => turn.to_string(),
                    false => {
                        let [_, low, high] = self.knee(*low, *low, *high);
                        format!("{turn}; not decided between {low} and {high}")
                    }
                }
            }
            Found::Never { side } => format!("{answer}: {} at every value looked at", says(*side)),
            Found::Several { changes } => {
                let magnitude = changes.iter().fold(0.0, |most: f64, (_, high)| most.max(high.abs()));
                let all = changes.iter().map(|(low, high)| {
                    let (low, high) = (self.shown(*low, magnitude), self.shown(*high, magnitude));
                    format!("{low} and {high}")
                });
                let all: Vec<String> = all.collect();
                format!("changes more than once: between {}", all.join(", between "))
            }
            Found::Undecided => format!("couldn't be decided with {} runs at a value", self.search.replicates),
        }
    }

    /// The table for people.
    pub fn table(&self, all: bool, look: Look) -> String {
        let percent = numbers::trimmed(&numbers::grouped(self.search.confidence * 100.0, 1));
        let columns = vec![
            Column::text("variant"),
            Column::text("knee"),
            Column::text(&format!("{percent} % interval")),
            Column::text("answer"),
            Column::number("values"),
            Column::number("runs"),
        ];
        let mut table = Table::new(&self.question(), columns);
        for (_, title, knee) in &self.variants {
            let (at, interval) = match knee.found {
                Found::Knee { at, low, high, .. } => {
                    let [at, low, high] = self.knee(at, low, high);
                    (at, format!("{low} to {high}"))
                }
                _ => ("none".into(), String::new()),
            };
            table.row(vec![
                Cell::Text(title.clone()),
                Cell::Text(at),
                Cell::Text(interval),
                Cell::Text(self.words(&knee.found)),
                Cell::Count(knee.points.len() as u64),
                Cell::Count(knee.points.iter().map(|point| point.trials.len() as u64).sum()),
            ]);
        }
        table.note(&format!("yes: {} in more than half of the runs", self.answer()));
        let mut text = table.render(look);
        if all {
            for (_, title, knee) in &self.variants {
                text.push('\n');
                text.push_str(&self.points_table(title, knee).render(look));
            }
        }
        for halt in &self.halts {
            text.push_str(&format!("\n{halt}\n"));
        }
        text
    }

    fn points_table(&self, title: &str, knee: &Knee) -> Table {
        let columns = vec![
            Column::text("value"),
            Column::number("runs"),
            Column::number("yes"),
            Column::number("no"),
            Column::text("share of yes"),
            Column::text("decided"),
        ];
        let mut table = Table::new(title, columns);
        let magnitude = self.search.from.abs().max(self.search.to.abs());
        for point in &knee.points {
            let (yes, n) = point.answers();
            let share = point.share(self.level());
            table.row(vec![
                Cell::Text(self.shown(point.value, magnitude)),
                Cell::Count(point.trials.len() as u64),
                Cell::Count(yes),
                Cell::Count(n - yes),
                Cell::Text(share.map_or("-".into(), |of| {
                    let percent = |part: f64| numbers::brief(part, &Unit::Share);
                    format!("{} ({} to {})", percent(of.share), percent(of.low), percent(of.high))
                })),
                Cell::Text(match point.side {
                    Some(Side::Above) => "yes".into(),
                    Some(Side::Below) => "no".into(),
                    None => "-".into(),
                }),
            ]);
        }
        table
    }

    /// The JSON document.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        let level = self.level();
        let point = |point: &Point| {
            let (yes, n) = point.answers();
            let verdict = |name: &str| point.verdict(beside(name), level);
            let mean = |name: &str| point.mean(beside(name), level).map(Mean::from);
            PointDocument {
                value: point.value,
                runs: point.trials.len(),
                yes,
                no: n - yes,
                side: point.side,
                share: point.share(level),
                recovers: verdict("herd.recovers"),
                metastable: verdict("herd.metastable"),
                collapses: verdict("herd.collapses"),
                undecided: verdict("herd.undecided"),
                offered: mean("herd.end.offered"),
                goodput: mean("herd.end.goodput"),
                amplification: mean("herd.end.amplification"),
            }
        };
        let variants = self.variants.iter().map(|(variant, title, knee)| VariantDocument {
            variant,
            title,
            found: &knee.found,
            error_of_a_point: knee.error,
            runs: knee.points.iter().map(|point| point.trials.len()).sum(),
            points: knee.points.iter().map(point).collect(),
        });
        let document = Document {
            schema: SCHEMA,
            tool_version: env!("CARGO_PKG_VERSION"),
            scenario: self.scenario,
            scenario_hash: self.scenario_hash,
            seed: self.seed,
            parameter: &self.path,
            measure: self.measure,
            above: self.above,
            search: self.search,
            variants: variants.collect(),
            halts: &self.halts,
            reproduce: &self.reproduce,
        };
        Ok(serde_json::to_string_pretty(&document)? + "\n")
    }

    /// The files of its folder.
    ///
    /// # Errors
    /// If one can't be made.
    pub fn files(&self) -> Result<Vec<File>, BundleError> {
        let mut files = vec![
            File {
                path: "knee.json".into(),
                bytes: self.json()?.into_bytes(),
            },
            table("points.csv", |out| self.points(out))?,
        ];
        for (name, chart) in self.charts() {
            files.extend(picture(name, &chart)?);
        }
        let manifest = serde_json::json!({
            "schema": SCHEMA,
            "tool_version": env!("CARGO_PKG_VERSION"),
            "scenario": self.scenario,
            "made_by": "quorate knee",
            "scenario_hash": self.scenario_hash,
            "seed": self.seed,
            "reproduce": self.reproduce,
            "files": files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(),
        });
        files.push(File {
            path: "manifest.json".into(),
            bytes: (serde_json::to_string_pretty(&manifest)? + "\n").into_bytes(),
        });
        Ok(files)
    }

    fn points(&self, out: &mut Csv) -> Result<(), csv::Error> {
        let head = ["variant", "value", "replicate", "answer"];
        out.write_record(head.iter().chain(&BESIDE))?;
        for (variant, _, knee) in &self.variants {
            for point in &knee.points {
                for (replicate, trial) in point.trials.iter().enumerate() {
                    let answer = trial.yes.map_or("", |yes| if yes { "yes" } else { "no" });
                    let mut row = vec![
                        variant.clone(),
                        point.value.to_string(),
                        replicate.to_string(),
                        answer.into(),
                    ];
                    row.extend(
                        trial
                            .beside
                            .iter()
                            .map(|of| of.map_or(String::new(), |of| of.to_string())),
                    );
                    out.write_record(&row)?;
                }
            }
        }
        Ok(())
    }

    /// The pictures, by name.
    pub fn charts(&self) -> Vec<(&'static str, Chart)> {
        let share = "part of the runs";
        let percent = numbers::trimmed(&numbers::grouped(self.search.confidence * 100.0, 1));
        let wilson = format!(
            "Dots: values looked at. Whiskers: {percent} % Wilson intervals; at 0 % they are left out, and reach as far up as they reach \
             down at 100 %."
        );
        let student = format!("Dots: means over the runs at a value. Whiskers: their {percent} % Student t intervals.");
        let verdicts = |knee: &Knee| -> Vec<Line> {
            let named = ["herd.recovers", "herd.metastable", "herd.collapses", "herd.undecided"];
            let own = (!named.contains(&self.measure))
                .then(|| self.shares(&self.answer(), knee, |point, level| point.share(level)));
            let others = named.into_iter().map(|name| {
                let at = beside(name);
                self.shares(name.trim_start_matches("herd."), knee, |point, level| {
                    of_all_runs(point, at, level)
                })
            });
            own.into_iter()
                .chain(others)
                .filter(|line| line.points.iter().any(|(_, y)| *y > 0.0))
                .collect()
        };
        let means = |names: [(&'static str, &'static str); 2]| {
            move |knee: &Knee| -> Vec<Line> {
                let of = |(label, measure): (&'static str, &'static str)| {
                    (!measure.is_empty()).then(|| self.means(label, knee, beside(measure)))
                };
                names
                    .into_iter()
                    .filter_map(of)
                    .filter(|line| !line.points.is_empty())
                    .collect()
            }
        };
        let goodput = means([("offered", "herd.end.offered"), ("goodput", "herd.end.goodput")]);
        let amplification = means([("amplification", "herd.end.amplification"), ("", "")]);
        [
            (
                "verdict",
                self.chart("Verdicts", Axis::new(share, Unit::Share), &wilson, &verdicts),
            ),
            (
                "goodput",
                self.chart(
                    "Goodput at the end of the watch",
                    Axis::new("calls", Unit::PerSecond),
                    &student,
                    &goodput,
                ),
            ),
            (
                "amplification",
                self.chart(
                    "Amplification at the end of the watch",
                    Axis::new("attempts for each call begun", Unit::Number),
                    &student,
                    &amplification,
                ),
            ),
        ]
        .into_iter()
        .filter_map(|(name, chart)| Some((name, chart?)))
        .collect()
    }

    fn chart(&self, title: &str, y: Axis, note: &str, lines: &dyn Fn(&Knee) -> Vec<Line>) -> Option<Chart> {
        let panel = |(_, title, knee): &(String, String, Knee)| {
            let lines = lines(knee);
            (!lines.is_empty()).then(|| {
                let (name, shades) = self.mark(title, &knee.found);
                Panel { name, lines, shades }
            })
        };
        let panels: Vec<Panel> = self.variants.iter().filter_map(panel).collect();
        if panels.is_empty() {
            return None;
        }
        Some(Chart::TimeSeries(TimeSeries {
            frame: Frame {
                title: format!("{title} against {}", self.path),
                subtitle: format!("{}: {} (seed {})", self.scenario, self.question(), self.seed),
                note: note.to_string(),
            },
            x: Axis::new(&self.path, self.unit.clone()),
            y,
            steps: false,
            panels,
            limit: None,
            shades: Vec::new(),
        }))
    }

    /// How a panel is called, and what is marked in it.
    fn mark(&self, title: &str, found: &Found) -> (String, Vec<Shade>) {
        match found {
            Found::Knee { at, low, high, .. } => {
                let [knee, from, to] = self.knee(*at, *low, *high);
                let name = format!("{title}: knee at {knee}, {from} to {to}");
                let shade = |from: f64, to: f64, label: &str| Shade {
                    from,
                    to,
                    label: label.into(),
                };
                (
                    name,
                    vec![shade(*low, *high, "interval of the knee"), shade(*at, *at, "knee")],
                )
            }
            Found::Several { .. } => (format!("{title}: changes more than once"), Vec::new()),
            Found::Never { .. } => (format!("{title}: never changes"), Vec::new()),
            Found::Undecided => (format!("{title}: undecided"), Vec::new()),
        }
    }

    fn shares(&self, name: &str, knee: &Knee, of: impl Fn(&Point, Level) -> Option<Share>) -> Line {
        let mut line = Line {
            name: name.to_string(),
            dots: true,
            ..Line::default()
        };
        for point in &knee.points {
            if let Some(share) = of(point, self.level()) {
                line.points.push((point.value, share.share));
                line.band
                    .extend((share.share > 0.0).then_some((point.value, share.low, share.high)));
            }
        }
        line
    }

    fn means(&self, name: &str, knee: &Knee, at: usize) -> Line {
        let mut line = Line {
            name: name.to_string(),
            dots: true,
            ..Line::default()
        };
        for point in &knee.points {
            if let Some(mean) = point.mean(at, self.level()) {
                line.points.push((point.value, mean.mean));
                let ends = mean.interval.map_or((mean.mean, mean.mean), |of| (of.low, of.high));
                line.band.push((point.value, ends.0, ends.1));
            }
        }
        line
    }
}

/// The share of all runs in which a verdict is yes: those that have none of it are runs in which it isn't.
fn of_all_runs(point: &Point, at: usize, level: Level) -> Option<Share> {
    let yes = point
        .trials
        .iter()
        .filter(|trial| trial.beside[at].is_some_and(|of| of > 0.5))
        .count() as u64;
    let n = point.trials.len() as u64;
    let interval = crate::experiment::statistics::wilson(yes, n, level)?;
    Some(Share {
        share: yes as f64 / n as f64,
        low: interval.low,
        high: interval.high,
        n,
    })
}
