//! `quorate knee`: the value of a parameter at which a verdict changes.
#![expect(
    clippy::disallowed_types,
    reason = "how long it took is said on standard error, and never in a file"
)]

use super::folder::Folder;
use super::session::{self, counted, print};
use super::{Format, KneeArgs, MAX_EVENTS};
use anyhow::{Result, anyhow, bail};
use quorate::experiment::judge::ExitCode;
use quorate::experiment::knee::{BESIDE, Knee, Search, Trial};
use quorate::experiment::statistics::least_to_decide;
use quorate::experiment::{Cell, Grid, Options};
use quorate::measures;
use quorate::output::knee::Report;
use quorate::output::{self, tables::numbers::Unit};
use quorate::scenario::language::Amount;
use quorate::scenario::{Asked, Kind, KneeSpec, Known, Measures, Registry, Scenario, What, amount};
use std::ops::Range;
use std::time::Instant;

/// Runs the subcommand.
pub fn knee(args: &KneeArgs) -> Result<ExitCode> {
    session::watch_for_interrupt();
    let scenario = open(args, &[], args.format)?;
    let spec = spec(args, &scenario)?;
    let search = search(args, &spec)?;
    // The folder is reserved before the long work.
    let folder = match args.no_output {
        true => None,
        false => Some(Folder::reserve_within(&args.out, &scenario.name, "knee")?),
    };
    let began = Instant::now();
    let bar = session::spinner(&scenario.name);
    let mut halts = Vec::new();
    let mut variants = Vec::new();
    let mut runs = 0;
    for (plan, title) in scenario.variants.iter().zip(scenario.titles()) {
        let mut probe = |value: f64, replicates: Range<u32>| -> Result<Vec<Trial>> {
            bar.set_message(format!("{}: {title} at {}", scenario.name, spec.from.alike(value)));
            runs += replicates.len();
            at(args, &spec, &plan.variant, value, replicates, &mut halts)
        };
        let found: Result<Knee> = search.run(&mut probe);
        variants.push((plan.variant.clone(), title.to_string(), found?));
    }
    bar.finish_and_clear();
    let file = args
        .scenario
        .file_name()
        .map_or("-".into(), |name| name.to_string_lossy());
    let report = Report {
        scenario: &scenario.name,
        scenario_hash: &scenario.hash,
        seed: scenario.seed,
        path: spec.path.to_string(),
        unit: unit(spec.from),
        measure: &spec.measure,
        above: spec.above.map(Amount::base),
        search,
        variants,
        halts,
        reproduce: reproduce(args, &spec, &file, scenario.seed),
    };
    match args.format {
        Format::Table => {
            let look = output::tables::Look {
                colour: session::colour(),
                ..Default::default()
            };
            print(&report.table(args.all, look))?;
            let command = reproduce(args, &spec, &args.scenario.display().to_string(), scenario.seed);
            print(&format!("\nseed {} · reproduce: {command}\n", scenario.seed))?;
        }
        Format::Json => print(&report.json()?)?,
    }
    if let Some(folder) = &folder {
        let files = report.files()?;
        if session::INTERRUPTED.load(std::sync::atomic::Ordering::SeqCst) {
            bail!("interrupted: {} is as it was", folder.path().display());
        }
        folder.replace(&files)?;
    }
    let whereto = folder.map(|folder| format!("; results in {}", folder.path().display()));
    session::complain(&format!(
        "{} in {:.1} s{}",
        counted(runs, "run"),
        began.elapsed().as_secs_f64(),
        whereto.unwrap_or_default(),
    ));
    Ok(match report.is_decided() {
        true => ExitCode::Ok,
        false => ExitCode::Undecided,
    })
}

/// The scenario with these last changes.
fn open(args: &KneeArgs, last: &[String], format: Format) -> Result<Scenario> {
    let asked = Asked {
        seed: args.seed,
        replicates: None,
        variants: &args.variants,
        last,
    };
    session::open_asked(&args.scenario, &args.set, asked, format)
}

/// What is looked for: what the command line says, and else what the scenario says.
fn spec(args: &KneeArgs, scenario: &Scenario) -> Result<KneeSpec> {
    let own = scenario.knee.as_ref();
    let missing = |what: &str, example: &str| {
        anyhow!("say {what}, as in `{example}`, or write a `knee: (...)` into the scenario (`quorate help Knee`)")
    };
    let text = |text: &Option<String>| {
        text.as_deref()
            .map(amount)
            .transpose()
            .map_err(|problem| anyhow!(problem))
    };
    let path = match &args.path {
        Some(path) => Some(path.parse().map_err(|error| anyhow!("--path {path}: {error}"))?),
        None => own.map(|own| own.path.clone()),
    };
    let measure = args.measure.clone().or(own.map(|own| own.measure.clone()));
    let measure = measure.unwrap_or_else(|| "herd.metastable".into());
    if let Known::No(near) = Registry.knows(What::Measure, &measure) {
        let near = near.map(|near| format!(": did you mean {near}?")).unwrap_or_default();
        bail!("there is no measure {measure}{near}");
    }
    // A bound belongs to its measure.
    let above = match (&args.above, &args.measure) {
        (None, None) => own.and_then(|own| own.above),
        _ => text(&args.above)?,
    };
    if let (Some(kind), Some(above)) = (Registry.kind(&measure), above)
        && !Kind::takes(kind, above)
    {
        let unit = measures::find(&measure).map_or("", |info| info.unit.name());
        bail!("{measure} is in {unit}, and --above is {}", above.kind());
    }
    let spec = KneeSpec {
        path: path.ok_or_else(|| missing("which parameter", "--path agents.client.start.rate"))?,
        from: text(&args.from)?
            .or(own.map(|own| own.from))
            .ok_or_else(|| missing("from where", "--from 100/s"))?,
        to: text(&args.to)?
            .or(own.map(|own| own.to))
            .ok_or_else(|| missing("to where", "--to 280/s"))?,
        measure,
        above,
        precision: args.precision.or(own.map(|own| own.precision)).unwrap_or(0.02),
        replicates: args.replicates.or(own.map(|own| own.replicates)).unwrap_or(100),
        confidence: args.confidence.or(own.map(|own| own.confidence)).unwrap_or(0.95),
        points: args.points.or(own.map(|own| own.points)).unwrap_or(5),
    };
    match spec.problem() {
        Some(problem) => bail!(problem),
        None => Ok(spec),
    }
}

/// How it is looked for. Both ends have to be values that the scenario takes.
fn search(args: &KneeArgs, spec: &KneeSpec) -> Result<Search> {
    let change = |value: f64| [format!("{}={}", spec.path, spec.from.alike(value))];
    for end in [spec.from.base(), spec.to.base()] {
        open(args, &change(end), args.format)?;
    }
    // A field that takes whole numbers only refuses what lies between two of them.
    let is_whole = |value: f64| value == value.trunc();
    let whole = matches!(spec.from, Amount::Number(_)) && is_whole(spec.from.base()) && is_whole(spec.to.base()) && {
        let asked = Asked {
            last: &change(spec.from.base() + 0.5),
            ..Asked::default()
        };
        session::open_as(&args.scenario, &args.set, asked).scenario.is_none()
    };
    let grid = match spec.from {
        Amount::Number(_) if whole => Some(1.0),
        Amount::Number(_) | Amount::Share(_) | Amount::Rate(_) => None,
        Amount::Bytes(_) => Some(1.0),
        // Nanoseconds, and billionths of a dollar.
        Amount::Time(_) | Amount::Money(_) => Some(1e9),
    };
    // As it is written, and not as floating point has it: 30/s.
    let tidy = |end: Amount| format!("{:.11e}", end.base()).parse().unwrap_or(end.base());
    let search = Search {
        from: tidy(spec.from),
        to: tidy(spec.to),
        grid,
        precision: spec.precision,
        replicates: spec.replicates,
        confidence: spec.confidence,
        points: spec.points,
    };
    let least = least_to_decide(search.error());
    if u64::from(search.replicates) < least {
        bail!(
            "{} runs at a value decide nothing with this confidence: it takes {least} that all agree (--replicates)",
            search.replicates
        );
    }
    Ok(search)
}

/// Runs these replicates of a variant at a value.
fn at(
    args: &KneeArgs,
    spec: &KneeSpec,
    variant: &str,
    value: f64,
    replicates: Range<u32>,
    halts: &mut Vec<String>,
) -> Result<Vec<Trial>> {
    let text = spec.from.alike(value);
    let scenario = open(args, &[format!("{}={text}", spec.path)], args.format)?;
    let index = scenario.variants.iter().position(|plan| plan.variant == variant);
    let options = Options {
        seed: scenario.seed,
        replicates: replicates.end,
        jobs: args.jobs,
        max_events: args.max_events,
        ..Options::default()
    };
    let grid = Grid::new(&scenario.variants, options);
    let cells = grid.run_replicates(index.expect("the same variants"), replicates, &session::INTERRUPTED)?;
    let place = format!("{variant} at {text}");
    Ok(cells.into_iter().map(|cell| trial(cell, spec, &place, halts)).collect())
}

/// What a run says. Breaches of the laws are bugs, and end the process as one.
fn trial(cell: Cell, spec: &KneeSpec, place: &str, halts: &mut Vec<String>) -> Trial {
    assert!(
        cell.breaches.is_empty(),
        "a law that holds in every run is broken, {place}, replicate {}:\n{}",
        cell.replicate,
        cell.breaches.join("\n")
    );
    let numbers = &cell.sheet.numbers;
    if let Some(why) = cell.stopped() {
        halts.push(format!("{place}, replicate {}: stopped {why}", cell.replicate));
        // What it would have come to, nobody knows.
        return Trial::default();
    }
    let above = spec.above.map_or(0.5, Amount::base);
    Trial {
        yes: numbers.get(&spec.measure).map(|value| *value > above),
        beside: BESIDE.map(|name| numbers.get(name).copied()),
    }
}

fn unit(of: Amount) -> Unit {
    match of {
        Amount::Number(_) => Unit::Number,
        Amount::Share(_) => Unit::Share,
        Amount::Time(_) => Unit::Time,
        Amount::Money(_) => Unit::Money("USD".into()),
        Amount::Rate(_) => Unit::PerSecond,
        Amount::Bytes(_) => Unit::Bytes,
    }
}

/// The command that gives the same again.
fn reproduce(args: &KneeArgs, spec: &KneeSpec, scenario: &str, seed: u64) -> String {
    let quoted = super::run::quoted;
    let mut command = format!(
        "quorate knee {} --path {} --from {} --to {} --measure {}",
        quoted(scenario),
        quoted(&spec.path.to_string()),
        quoted(&spec.from.to_string()),
        quoted(&spec.to.to_string()),
        quoted(&spec.measure),
    );
    if let Some(above) = spec.above {
        command.push_str(&format!(" --above {}", quoted(&above.to_string())));
    }
    command.push_str(&format!(
        " --precision {} --replicates {} --confidence {} --points {} --seed {seed}",
        spec.precision, spec.replicates, spec.confidence, spec.points
    ));
    for set in &args.set {
        command.push_str(&format!(" --set {}", quoted(set)));
    }
    for variant in &args.variants {
        command.push_str(&format!(" --variant {}", quoted(variant)));
    }
    if args.max_events != MAX_EVENTS {
        command.push_str(&format!(" --max-events {}", args.max_events));
    }
    command
}

/// A part of 1 from a command line: `2%` or `0.02`.
pub fn part(text: &str) -> Result<f64, String> {
    match amount(text)? {
        Amount::Number(part) | Amount::Share(part) if (0.0..=1.0).contains(&part) => Ok(part),
        _ => Err("a part of a whole lies between 0 and 1, or 0% and 100%".into()),
    }
}
