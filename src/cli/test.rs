//! `quorate test`: a folder of scenarios against their expectations and their committed baselines. What CI calls.

use super::folder;
use super::session::{self, counted, print};
use super::{Format, TestArgs};
use anyhow::{Context, Result};
use quorate::experiment::baseline::{Baseline, Moved};
use quorate::experiment::judge::{self, ExitCode, Judgement, Verdict};
use quorate::experiment::{Options, Results};
use quorate::output::summary::{self, unit_of};
use quorate::output::tables::numbers;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// What became of one scenario.
struct Outcome {
    path: PathBuf,
    code: ExitCode,
    line: String,
    details: Vec<String>,
    /// What became of the expectations, and what moved from the baseline, for programs.
    verdicts: Vec<serde_json::Value>,
    moved: Vec<serde_json::Value>,
}

/// Runs the subcommand.
pub fn test(args: &TestArgs) -> Result<ExitCode> {
    session::watch_for_interrupt();
    let mut outcomes = Vec::new();
    for path in session::scenarios_below(&args.folder)? {
        let outcome = match test_one(&path, args) {
            // One file that can't be tested hides nothing of the others.
            Err(error) if !session::INTERRUPTED.load(Ordering::SeqCst) => Outcome {
                path: path.clone(),
                code: ExitCode::Usage,
                line: format!("{error:#}"),
                details: Vec::new(),
                verdicts: Vec::new(),
                moved: Vec::new(),
            },
            outcome => outcome?,
        };
        if args.format == Format::Table {
            print(&format!(
                "{} {}: {}\n",
                mark(outcome.code),
                path.display(),
                outcome.line
            ))?;
            for detail in &outcome.details {
                print(&format!("     {detail}\n"))?;
            }
        }
        outcomes.push(outcome);
    }
    // A scenario that can't be read outweighs one that fails, and that outweighs one that can't be decided.
    let severity = |code: ExitCode| match code {
        ExitCode::Ok => 0,
        ExitCode::Undecided => 1,
        ExitCode::Failed => 2,
        ExitCode::Usage => 3,
    };
    let worst = outcomes
        .iter()
        .map(|outcome| outcome.code)
        .max_by_key(|code| severity(*code))
        .unwrap_or(ExitCode::Ok);
    let count = |code: ExitCode| outcomes.iter().filter(|outcome| outcome.code == code).count();
    if args.format == Format::Json {
        let all: Vec<_> = outcomes
            .iter()
            .map(|outcome| {
                serde_json::json!({
                    "scenario": outcome.path.display().to_string(),
                    "code": outcome.code as u8,
                    "summary": outcome.line,
                    "details": outcome.details,
                    "expectations": outcome.verdicts,
                    "moved": outcome.moved,
                })
            })
            .collect();
        print(&(serde_json::to_string_pretty(&all)? + "\n"))?;
    } else {
        let (failed, broken, open) = (
            count(ExitCode::Failed),
            count(ExitCode::Usage),
            count(ExitCode::Undecided),
        );
        print(&format!(
            "{} passed, {} failed, {open} undecided\n",
            count(ExitCode::Ok),
            failed + broken
        ))?;
    }
    Ok(worst)
}

fn mark(code: ExitCode) -> &'static str {
    match code {
        ExitCode::Ok => "ok  ",
        ExitCode::Failed => "FAIL",
        ExitCode::Usage => "BAD ",
        ExitCode::Undecided => "?   ",
    }
}

fn baseline_path(scenario: &Path) -> PathBuf {
    scenario.with_extension("baseline.ron")
}

fn test_one(path: &Path, args: &TestArgs) -> Result<Outcome> {
    let opened = session::open(path, &[]);
    session::report(&opened);
    let Some(scenario) = opened.scenario else {
        let line = format!("{}, see above", counted(opened.diagnostics.error_count(), "problem"));
        return Ok(Outcome {
            path: path.into(),
            code: ExitCode::Usage,
            line,
            details: Vec::new(),
            verdicts: Vec::new(),
            moved: Vec::new(),
        });
    };
    let replicates = args.replicates.unwrap_or(scenario.replicates);
    session::check_runs(&scenario, replicates)?;
    let options = Options {
        seed: scenario.seed,
        replicates,
        jobs: args.jobs,
        max_events: super::MAX_EVENTS,
        ..Options::default()
    };
    let results = session::run_grid(&scenario, options)?;
    let judgements = judge::judge(&results, &quorate::experiment::claims(&scenario));
    let mut code: ExitCode = super::run::verdict(&results, &judgements);
    let mut details: Vec<String> = judgements
        .iter()
        .filter(|judgement| judgement.verdict != Verdict::Holds)
        .map(describe)
        .collect();
    let mut line = match judgements.len() {
        0 => "nothing is expected".to_string(),
        all => format!("{} of {all} expectations hold", all - details.len()),
    };
    let verdicts = judgements.iter().map(verdict_of).collect();
    let mut all_moved = Vec::new();
    details.extend(results.halts());
    let file = baseline_path(path);
    if args.bless {
        let text = Baseline::of(&results).to_text();
        folder::write_whole(&file, text.as_bytes())?;
        line.push_str(", baseline written");
    } else if args.replicates.is_none() {
        match against_baseline(&file, &results)? {
            None => {
                line.push_str(&format!(
                    ", no baseline (`quorate test {} --bless` writes it)",
                    path.display()
                ));
                // What is expected is judged without one; where nothing is expected, nothing was tested.
                if code == ExitCode::Ok && judgements.is_empty() {
                    code = ExitCode::Undecided;
                }
            }
            Some(moved) if moved.is_empty() => line.push_str(", identical to its baseline"),
            Some(moved) => {
                line.push_str(", moved from its baseline");
                all_moved = moved.iter().map(moved_of).collect();
                details.extend(moved.iter().take(20).map(tell));
                if moved.len() > 20 {
                    details.push(format!("and {} more", moved.len() - 20));
                }
                details.push(format!(
                    "replay: quorate run {} --seed {}",
                    path.display(),
                    results.seed
                ));
                if code != ExitCode::Usage {
                    code = ExitCode::Failed;
                }
            }
        }
    }
    Ok(Outcome {
        path: path.into(),
        code,
        line,
        details,
        verdicts,
        moved: all_moved,
    })
}

fn verdict_of(judgement: &Judgement) -> serde_json::Value {
    let mut verdict = serde_json::to_value(judgement).unwrap_or_default();
    verdict["place"] = judgement.place.clone().into();
    verdict
}

fn moved_of(moved: &Moved) -> serde_json::Value {
    match moved {
        Moved::Scenario { was, is } => serde_json::json!({"what": "scenario", "was": was, "is": is}),
        Moved::Settings(what) => serde_json::json!({"what": "settings", "is": what}),
        Moved::Variant(name) => serde_json::json!({"what": "variant", "variant": name}),
        Moved::Fingerprint {
            variant,
            replicate,
            was,
            is,
        } => {
            serde_json::json!({"what": "fingerprint", "variant": variant, "replicate": replicate, "was": was, "is": is})
        }
        Moved::Measure {
            variant,
            measure,
            was,
            is,
        } => serde_json::json!({"what": "measure", "variant": variant, "measure": measure, "was": was, "is": is}),
    }
}

fn against_baseline(file: &Path, results: &Results) -> Result<Option<Vec<Moved>>> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("can't read {}", file.display())),
    };
    let baseline = Baseline::read(&text).with_context(|| format!("{}", file.display()))?;
    Ok(Some(baseline.moved(results)))
}

fn tell(moved: &Moved) -> String {
    match moved {
        Moved::Scenario { .. } => "the scenario itself has changed".to_string(),
        Moved::Settings(what) => what.clone(),
        Moved::Variant(name) => format!("variant '{name}' came or went"),
        Moved::Fingerprint {
            variant,
            replicate,
            was,
            is,
        } => {
            format!(
                "{variant}, replicate {replicate}: fingerprint {} -> {}",
                &was[..8.min(was.len())],
                &is[..8.min(is.len())]
            )
        }
        Moved::Measure {
            variant,
            measure,
            was,
            is,
        } => {
            let values: Vec<(f64, Option<(f64, f64)>)> = was.iter().chain(is).map(|value| (*value, None)).collect();
            let mut texts = numbers::apart(&values, &unit_of(measure)).into_iter();
            let mut show = |value: &Option<f64>| value.and_then(|_| texts.next()).unwrap_or("none".to_string());
            let (before, after) = (show(was), show(is));
            let part = was.zip(*is).filter(|(was, _)| *was != 0.0).map(|(was, is)| {
                let percent = (is / was - 1.0) * 100.0;
                format!(" ({percent:+.*} %)", numbers::decimals_for(percent, 2).max(2))
            });
            format!("{variant}: {measure} {before} -> {after}{}", part.unwrap_or_default())
        }
    }
}

/// A judgement in a line.
fn describe(judgement: &Judgement) -> String {
    let over = judgement
        .over
        .as_ref()
        .map(|over| format!(" over {over}"))
        .unwrap_or_default();
    let word = match judgement.verdict {
        Verdict::Holds => "holds",
        Verdict::Fails => "FAILS",
        Verdict::Undecided => "undecided",
    };
    let (found, wanted) = (summary::found(judgement), summary::wanted(judgement));
    format!(
        "{}{over}: {} is {found}, wanted {wanted}: {word} ({})",
        judgement.variant, judgement.name, judgement.place
    )
}
