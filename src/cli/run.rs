//! `quorate run`: a scenario in, an answer and an output folder out.
#![expect(
    clippy::disallowed_types,
    reason = "how long it took is said on standard error, and never in a file"
)]

use super::folder::Folder;
use super::session::{self, counted, print};
use super::{Format, MAX_EVENTS, RunArgs};
use anyhow::{Result, bail};
use quorate::experiment::judge::{self, ExitCode, Judgement};
use quorate::experiment::{Grid, Options, Results};
use quorate::output::{self, summary};
use quorate::scenario::Scenario;
use std::time::Instant;

/// Runs the subcommand.
pub fn run(args: &RunArgs) -> Result<ExitCode> {
    session::watch_for_interrupt();
    let scenario = session::open_with(&args.scenario, &args.settings, args.format)?;
    let options = session::options(&scenario, &args.settings)?;
    if args.dry_run {
        return dry_run(&scenario, &options, args.format);
    }
    // The folder is reserved before the long work: a run that can't be written isn't begun.
    let folder = if args.no_output {
        None
    } else {
        Some(Folder::reserve(&args.out, &scenario.name)?)
    };
    let began = Instant::now();
    let results = session::run_grid(&scenario, options)?;
    let judgements = judge::judge(&results, &quorate::experiment::claims(&scenario));
    let command = reproduce(args, &args.scenario.display().to_string(), &results);
    match args.format {
        Format::Table => {
            let look = output::tables::Look {
                colour: session::colour(),
                ..Default::default()
            };
            print(&summary::answer(&results, &judgements, args.all, look))?;
            print(&format!("\nseed {} · reproduce: {command}\n", results.seed))?;
        }
        // The table says which runs were stopped.
        Format::Json => {
            print(&summary::json(&results, &judgements)?)?;
            session::complain_of_stops(&results);
        }
    }
    if let Some(folder) = &folder {
        // Result files carry no paths: they are the same wherever the scenario lies.
        let file = args
            .scenario
            .file_name()
            .map_or("-".into(), |name| name.to_string_lossy());
        let files = output::bundle(&results, &judgements, &scenario, &reproduce(args, &file, &results))?;
        if session::INTERRUPTED.load(std::sync::atomic::Ordering::SeqCst) {
            bail!("interrupted: {} is as it was", folder.path().display());
        }
        folder.replace(&files)?;
        for left_out in results.left_out() {
            session::complain(&left_out);
        }
    }
    let runs = || results.variants.iter().flat_map(|variant| &variant.runs);
    let whereto = folder
        .map(|folder| format!("; results in {}", folder.path().display()))
        .unwrap_or_default();
    session::complain(&format!(
        "{}, {} events in {:.1} s{whereto}",
        counted(runs().count(), "run"),
        output::tables::numbers::count(runs().map(|run| run.events).sum()),
        began.elapsed().as_secs_f64(),
    ));
    Ok(verdict(&results, &judgements))
}

/// The exit code that results and judgements make together. Breaches of the laws are bugs, and end the process as one.
pub fn verdict(results: &Results, judgements: &[Judgement]) -> ExitCode {
    let breaches = results.breaches();
    assert!(
        breaches.is_empty(),
        "a law that holds in every run is broken:\n{}",
        breaches.join("\n")
    );
    match judge::overall(judgements).into() {
        ExitCode::Ok if results.variants.iter().any(|variant| variant.was_stopped()) => ExitCode::Undecided,
        code => code,
    }
}

/// The command that gives the same again.
fn reproduce(args: &RunArgs, scenario: &str, results: &Results) -> String {
    let mut command = format!(
        "quorate run {} --seed {} --replicates {}",
        quoted(scenario),
        results.seed,
        results.replicates
    );
    for set in &args.settings.set {
        command.push_str(&format!(" --set {}", quoted(set)));
    }
    for variant in &args.settings.variants {
        command.push_str(&format!(" --variant {}", quoted(variant)));
    }
    if args.settings.max_events != MAX_EVENTS {
        command.push_str(&format!(" --max-events {}", args.settings.max_events));
    }
    command
}

pub fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_string()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// After so many seconds no further variant is timed.
const PATIENCE: u64 = 20;

/// Says what would run, and about how long: a run of each variant is timed, or of the first ones where that takes long.
fn dry_run(scenario: &Scenario, options: &Options, format: Format) -> Result<ExitCode> {
    let grid = Grid::new(
        &scenario.variants,
        Options {
            measured: false,
            ..options.clone()
        },
    );
    // Variants differ as much as they like: one run of each is timed, as long as that doesn't take long itself.
    let mut timed: Vec<f64> = Vec::new();
    let mut cell = None;
    let all = Instant::now();
    for variant in 0..scenario.variants.len() {
        let began = Instant::now();
        let ran = grid.run_cell(variant, 0);
        timed.push(began.elapsed().as_secs_f64());
        cell.get_or_insert(ran);
        if all.elapsed().as_secs() >= PATIENCE {
            break;
        }
    }
    let cell = cell.expect("there is the base");
    let seconds = timed.iter().sum::<f64>() / timed.len() as f64;
    let threads = match options.jobs {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        jobs => jobs,
    };
    let total = seconds * grid.len().div_ceil(threads) as f64;
    let titles: Vec<&str> = scenario.titles().collect();
    match format {
        Format::Json => {
            let names: Vec<&str> = scenario.variants.iter().map(|plan| plan.variant.as_str()).collect();
            let said = serde_json::json!({
                "scenario": scenario.name,
                "scenario_hash": scenario.hash,
                "variants": names,
                "titles": titles,
                "replicates": options.replicates,
                "runs": grid.len(),
                "seed": options.seed,
                "events_of_one_run": cell.handled,
                "variants_timed": timed.len(),
                "seconds_expected": total,
            });
            print(&(serde_json::to_string_pretty(&said)? + "\n"))?;
        }
        Format::Table => {
            let by = match timed.len() {
                n if n == titles.len() => String::new(),
                n => format!(", by {n} of {} variants", titles.len()),
            };
            let titles: Vec<String> = titles.iter().map(|title| format!("'{title}'")).collect();
            print(&format!(
                "{}: {} ({}) x {} = {}, seed {}\none run of {}: {} events; all runs: about {}{by}\n",
                scenario.name,
                counted(titles.len(), "variant"),
                titles.join(", "),
                counted(options.replicates as usize, "replicate"),
                counted(grid.len(), "run"),
                options.seed,
                titles[0],
                output::tables::numbers::count(cell.handled),
                output::tables::numbers::quantity(total, &output::tables::numbers::Unit::Time),
            ))?;
            print(&session::presets(scenario))?;
        }
    }
    Ok(ExitCode::Ok)
}
