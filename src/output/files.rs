//! The files of an output folder, made in memory: results, tidy tables, the data dictionary, plots, the manifest.

use super::pictures;
use crate::experiment::judge::Judgement;
use crate::experiment::{Results, results::VariantResults};
use crate::measures::{self, Better};
use crate::scenario::Scenario;
use serde::Serialize;
use std::collections::BTreeMap;

/// A file of an output folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its path in the folder.
    pub path: String,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// An output couldn't be made.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A plot couldn't be drawn.
    #[error("the plot '{0}' can't be drawn: {1}")]
    Plot(String, super::plots::PlotError),
    /// A table couldn't be written.
    #[error("a table can't be written: {0}")]
    Table(#[from] csv::Error),
    /// A document couldn't be written.
    #[error("a document can't be written: {0}")]
    Document(#[from] serde_json::Error),
}

/// What `results.json` holds: the results, and what became of the scenario's expectations.
#[derive(Debug, Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    results: &'a Results,
    expectations: &'a [Judgement],
}

/// What `manifest.json` holds: what is needed to get the same again.
#[derive(Debug, Serialize)]
struct Manifest<'a> {
    schema: u32,
    tool_version: &'a str,
    scenario: &'a str,
    scenario_hash: &'a str,
    seed: u64,
    replicates: u32,
    fingerprints: Vec<(&'a str, Vec<&'a str>)>,
    reproduce: String,
    /// The data files that were read, by where their copies lie, with their BLAKE3 hashes.
    data: BTreeMap<&'a str, String>,
    files: Vec<String>,
}

/// Makes all files of an output folder. `scenario` is what was run, and `reproduce` the command that runs it again.
///
/// # Errors
/// If a table or a plot can't be made.
pub fn bundle(
    results: &Results,
    judgements: &[Judgement],
    scenario: &Scenario,
    reproduce: &str,
) -> Result<Vec<File>, BundleError> {
    let mut json = serde_json::to_vec_pretty(&Document {
        results,
        expectations: judgements,
    })?;
    json.push(b'\n');
    let mut files = vec![
        File {
            path: "results.json".into(),
            bytes: json,
        },
        File {
            path: "scenario.ron".into(),
            bytes: scenario.resolved.as_bytes().to_vec(),
        },
        table("measures.csv", |out| measures_table(results, out))?,
        table("summary.csv", |out| summary_table(results, out))?,
        table("differences.csv", |out| differences_table(results, out))?,
        table("tasks.csv", |out| tasks_table(results, out))?,
        table("series.csv", |out| series_table(results, out))?,
        table("samples.csv", |out| samples_table(results, out))?,
        table("faults.csv", |out| faults_table(results, out))?,
        table("dictionary.csv", |out| dictionary(results, out))?,
    ];
    // With the data beside it, the scenario can be run from here.
    files.extend(scenario.data.iter().map(|data| File {
        path: data.copy.clone(),
        bytes: data.bytes.to_vec(),
    }));
    for (name, chart) in pictures::charts(results) {
        files.extend(picture(&name, &chart)?);
    }
    let prints = |variant: &'_ VariantResults| variant.runs.len();
    debug_assert!(
        results
            .variants
            .iter()
            .all(|variant| prints(variant) == results.replicates as usize)
    );
    let manifest = Manifest {
        schema: results.schema,
        tool_version: results.tool_version,
        scenario: &results.scenario,
        scenario_hash: &results.scenario_hash,
        seed: results.seed,
        replicates: results.replicates,
        fingerprints: results
            .variants
            .iter()
            .map(|variant| {
                (
                    variant.name.as_str(),
                    variant.runs.iter().map(|run| run.fingerprint.as_str()).collect(),
                )
            })
            .collect(),
        reproduce: reproduce.to_string(),
        data: scenario
            .data
            .iter()
            .map(|data| (data.copy.as_str(), data.hash.to_hex().to_string()))
            .collect(),
        files: files.iter().map(|file| file.path.clone()).collect(),
    };
    let mut json = serde_json::to_vec_pretty(&manifest)?;
    json.push(b'\n');
    files.push(File {
        path: "manifest.json".into(),
        bytes: json,
    });
    Ok(files)
}

/// A chart as both of its files.
pub(super) fn picture(name: &str, chart: &super::plots::Chart) -> Result<[File; 2], BundleError> {
    let failed = |error| BundleError::Plot(name.to_string(), error);
    let svg = super::plots::render_svg(chart).map_err(failed)?;
    let png = super::plots::render_png(chart).map_err(failed)?;
    let file = |end: &str, bytes| File {
        path: format!("plots/{name}.{end}"),
        bytes,
    };
    Ok([file("svg", svg.into_bytes()), file("png", png)])
}

pub(super) type Csv = csv::Writer<Vec<u8>>;

pub(super) fn table(path: &str, fill: impl FnOnce(&mut Csv) -> Result<(), csv::Error>) -> Result<File, BundleError> {
    let mut out = csv::WriterBuilder::new()
        .terminator(csv::Terminator::Any(b'\n'))
        .from_writer(Vec::new());
    fill(&mut out)?;
    let bytes = out.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
    Ok(File {
        path: path.into(),
        bytes,
    })
}

fn text(value: Option<f64>) -> String {
    value.map_or(String::new(), |value| value.to_string())
}

fn unit(measure: &str) -> &'static str {
    measures::find(measure).map_or("", |info| info.unit.name())
}

fn measures_table(results: &Results, out: &mut Csv) -> Result<(), csv::Error> {
    out.write_record(["variant", "replicate", "measure", "unit", "value"])?;
    for variant in &results.variants {
        for run in variant.runs.listed() {
            for (measure, value) in &run.measures {
                let replicate = run.replicate.to_string();
                out.write_record([&variant.name, &replicate, measure, unit(measure), &value.to_string()])?;
            }
        }
    }
    Ok(())
}

fn summary_table(results: &Results, out: &mut Csv) -> Result<(), csv::Error> {
    out.write_record(["variant", "measure", "unit", "n", "mean", "sd", "low", "high"])?;
    for variant in &results.variants {
        for (measure, of) in &variant.measures {
            let (n, mean) = (of.n.to_string(), of.mean.to_string());
            let (sd, low, high) = (text(of.sd), text(of.low), text(of.high));
            out.write_record([&variant.name, measure, unit(measure), &n, &mean, &sd, &low, &high])?;
        }
    }
    Ok(())
}

fn differences_table(results: &Results, out: &mut Csv) -> Result<(), csv::Error> {
    out.write_record([
        "variant", "over", "measure", "unit", "n", "mean", "low", "high", "relative",
    ])?;
    let base = results.variants.first().map_or("", |base| base.name.as_str());
    for variant in &results.variants {
        for (measure, of) in &variant.differences {
            let (n, mean) = (of.n.to_string(), of.mean.to_string());
            let (low, high, relative) = (text(of.low), text(of.high), text(of.relative));
            out.write_record([
                &variant.name,
                base,
                measure,
                unit(measure),
                &n,
                &mean,
                &low,
                &high,
                &relative,
            ])?;
        }
        for (over, of) in &variant.added {
            let (n, mean) = (of.n.to_string(), of.mean.to_string());
            let (low, high) = (text(of.low), text(of.high));
            out.write_record([
                &variant.name,
                over,
                "latency_trap.added",
                "s",
                &n,
                &mean,
                &low,
                &high,
                "",
            ])?;
        }
    }
    Ok(())
}

fn tasks_table(results: &Results, out: &mut Csv) -> Result<(), csv::Error> {
    let mut header = vec![
        "variant",
        "replicate",
        "group",
        "task",
        "agent",
        "run",
        "began_s",
        "ended_s",
        "outcome",
    ];
    let parts: Vec<String> = crate::world::call::Part::ALL
        .iter()
        .map(|part| format!("{}_s", part.name()))
        .collect();
    header.extend(parts.iter().map(String::as_str));
    out.write_record(&header)?;
    for variant in &results.variants {
        for run in &variant.runs {
            for task in &run.tasks {
                let outcome = match task.outcome {
                    measures::TaskOutcome::Done => "done",
                    measures::TaskOutcome::Failed => "failed",
                    measures::TaskOutcome::Aborted => "aborted",
                    measures::TaskOutcome::Stopped => "stopped",
                };
                let mut row = vec![
                    variant.name.clone(),
                    run.replicate.to_string(),
                    task.group.clone(),
                    task.name.clone(),
                    (task.identity >> 32).to_string(),
                    (task.identity & 0xffff_ffff).to_string(),
                    seconds(task.began.as_nanos()),
                    seconds(task.ended.as_nanos()),
                    outcome.to_string(),
                ];
                row.extend(task.parts.0.iter().map(|ns| seconds(*ns)));
                out.write_record(&row)?;
            }
        }
    }
    Ok(())
}

/// Nanoseconds as exact decimal seconds.
fn seconds(ns: u64) -> String {
    let text = format!("{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

fn series_table(results: &Results, out: &mut Csv) -> Result<(), csv::Error> {
    out.write_record([
        "variant",
        "replicate",
        "series",
        "unit",
        "window_start_s",
        "window_s",
        "value",
    ])?;
    for variant in &results.variants {
        for run in &variant.runs {
            for (name, series) in &run.series {
                for (index, value) in series.values.iter().enumerate() {
                    // A window in which there is nothing to say has no value, like a quantile of too few.
                    let value = text(Some(*value).filter(|value| value.is_finite()));
                    let replicate = run.replicate.to_string();
                    let (start, window) = (seconds(index as u64 * series.window), seconds(series.window));
                    out.write_record([&variant.name, &replicate, name, unit(name), &start, &window, &value])?;
                }
            }
        }
    }
    Ok(())
}

fn samples_table(results: &Results, out: &mut Csv) -> Result<(), csv::Error> {
    out.write_record([
        "variant",
        "replicate",
        "sample",
        "unit",
        "count",
        "share_at_most",
        "value",
    ])?;
    for variant in &results.variants {
        for run in &variant.runs {
            for (name, sample) in &run.samples {
                let last = sample.values.len().saturating_sub(1).max(1) as u64;
                let step = sample.values.len().div_ceil(200).max(1);
                for (index, value) in sample.values.iter().enumerate() {
                    if index % step != 0 && index + 1 != sample.values.len() {
                        continue;
                    }
                    // Of many observations evenly spaced ones are kept, by their ranks: the least and the greatest are among them.
                    let rank = 1 + (u128::from(sample.count - 1) * index as u128 / u128::from(last)) as u64;
                    let share = (rank as f64 / sample.count as f64).to_string();
                    let (replicate, count, value) =
                        (run.replicate.to_string(), sample.count.to_string(), value.to_string());
                    out.write_record([&variant.name, &replicate, name, unit(name), &count, &share, &value])?;
                }
            }
        }
    }
    Ok(())
}

fn faults_table(results: &Results, out: &mut Csv) -> Result<(), csv::Error> {
    out.write_record(["variant", "replicate", "fault", "target", "member", "start_s", "end_s"])?;
    for variant in &results.variants {
        for run in &variant.runs {
            for of in &run.faults {
                let replicate = run.replicate.to_string();
                let member = of.member.map_or(String::new(), |member| member.to_string());
                let (start, end) = (seconds(of.start.as_nanos()), seconds(of.end.as_nanos()));
                out.write_record([&variant.name, &replicate, &of.fault, &of.target, &member, &start, &end])?;
            }
        }
    }
    Ok(())
}

/// What every number in these tables means.
fn dictionary(results: &Results, out: &mut Csv) -> Result<(), csv::Error> {
    out.write_record(["measure", "unit", "better", "meaning"])?;
    let runs = || results.variants.iter().flat_map(|variant| &variant.runs);
    let measured = results.variants.iter().flat_map(|variant| variant.measures.keys());
    let mut names: std::collections::BTreeSet<&String> = measured.collect();
    names.extend(runs().flat_map(|run| run.series.keys()));
    names.extend(runs().flat_map(|run| run.samples.keys()));
    for name in names {
        let Some(info) = measures::find(name) else { continue };
        let better = match info.better {
            Better::Lower => "lower",
            Better::Higher => "higher",
            Better::Neither => "",
        };
        out.write_record([name.as_str(), info.unit.name(), better, info.doc])?;
    }
    Ok(())
}
