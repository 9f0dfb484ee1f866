//! What the subcommands share: reading scenarios, diagnostics, the terminal, interruption.

use anyhow::{Context, Result, bail};
use quorate::experiment::{Gathering, Grid, Options, Progress, Results, results::Provenance};
use quorate::scenario::plan::MOST_RUNS;
use quorate::scenario::syntax::{Diagnostics, Show, SourceMap, Sources, render, reports};
use quorate::scenario::{self, Asked, Registry, Scenario};
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Set by Ctrl-C: runs end at the next opportunity, and nothing is written.
pub static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Lets Ctrl-C end the runs instead of the process, so that nothing is left half-written. A second one ends the process.
pub fn watch_for_interrupt() {
    // It fails only if a handler is set already: then that one does.
    let _ = ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        complain("interrupted: stopping (once more ends at once)");
    });
}

/// Prints to standard output; a reader that has gone away is no error.
///
/// # Errors
/// If standard output can't be written to otherwise.
pub fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("standard output can't be written to"),
    }
}

/// Prints a message to standard error.
pub fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "quorate: {text}");
}

/// Says on standard error which runs were stopped early.
pub fn complain_of_stops(results: &Results) {
    for halt in results.halts() {
        complain(&halt);
    }
}

/// Whether standard output gets colours.
pub fn colour() -> bool {
    io::stdout().is_terminal() && is_capable() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Whether standard error gets colours.
pub fn colour_errors() -> bool {
    io::stderr().is_terminal() && is_capable() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Whether the terminal says that it understands more than text.
fn is_capable() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// So many of something: `1 error`, `2 errors`.
pub fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Whether a file is the baseline of a scenario, by its name.
pub fn is_baseline(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().ends_with(".baseline.ron"))
}

/// Files of this machine, and standard input under the name `-`.
#[derive(Debug, Default)]
pub struct Files {
    /// What standard input held: it can be read once only.
    stdin: std::sync::OnceLock<Vec<u8>>,
}

impl Sources for Files {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        if path == Path::new("-") {
            if let Some(bytes) = self.stdin.get() {
                return Ok(bytes.clone());
            }
            let mut bytes = Vec::new();
            io::stdin().lock().take(limit as u64 + 1).read_to_end(&mut bytes)?;
            return Ok(self.stdin.get_or_init(|| bytes).clone());
        }
        let mut bytes = Vec::new();
        std::fs::File::open(path)?
            .take(limit as u64 + 1)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn identity(&self, path: &Path) -> PathBuf {
        // What doesn't exist can't be read either, which is said then.
        std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
    }

    fn read_named(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        if std::fs::metadata(path)?.is_file() {
            self.read(path, limit)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "it isn't a regular file"))
        }
    }
}

/// An error about which everything has been said.
#[derive(Debug, thiserror::Error)]
#[error("the problems are above")]
pub struct Reported;

/// A scenario, or the problems that it has.
pub struct Opened {
    /// The texts that the problems point into.
    pub sources: SourceMap,
    /// The problems.
    pub diagnostics: Diagnostics,
    /// The scenario, if it has no errors.
    pub scenario: Option<Scenario>,
}

/// Reads a scenario and checks it.
pub fn open(path: &Path, set: &[String]) -> Opened {
    open_as(path, set, Asked::default())
}

/// Reads a scenario as it is asked for, and checks it.
pub fn open_as(path: &Path, set: &[String], asked: Asked<'_>) -> Opened {
    let outcome = scenario::load_as(path, set, asked, &Files::default(), &Registry);
    Opened {
        sources: outcome.sources,
        diagnostics: outcome.diagnostics,
        scenario: outcome.scenario,
    }
}

/// Prints problems to standard error.
pub fn report(opened: &Opened) {
    if opened.diagnostics.is_empty() {
        return;
    }
    let show = Show {
        colour: colour_errors(),
        most: 50,
    };
    let _ = writeln!(io::stderr(), "{}", render(&opened.diagnostics, &opened.sources, show));
}

/// Reads a scenario, reports its problems, and gives it back if it can be run.
///
/// # Errors
/// If it has errors.
pub fn open_or_complain(path: &Path, set: &[String]) -> Result<Scenario> {
    refuse_baseline(path)?;
    complain_of(open(path, set))
}

/// As [`open_or_complain`], with what the settings ask for. In JSON the problems of a scenario that can't be run are what is
/// printed.
///
/// # Errors
/// If it has errors.
pub fn open_with(path: &Path, settings: &super::Settings, format: super::Format) -> Result<Scenario> {
    open_asked(path, &settings.set, asked(settings), format)
}

/// As [`open_with`], with what is asked for.
///
/// # Errors
/// If it has errors.
pub fn open_asked(path: &Path, set: &[String], asked: Asked<'_>, format: super::Format) -> Result<Scenario> {
    refuse_baseline(path)?;
    let opened = open_as(path, set, asked);
    if format == super::Format::Json && opened.scenario.is_none() {
        print(&(serde_json::to_string_pretty(&problems(path, &opened))? + "\n"))?;
    }
    complain_of(opened)
}

/// Says what a baseline is, instead of all that makes it no scenario.
fn refuse_baseline(path: &Path) -> Result<()> {
    if is_baseline(path) {
        bail!(
            "{} is a baseline, which `quorate test` compares with: no scenario",
            path.display()
        );
    }
    Ok(())
}

/// What `--format json` prints of a scenario instead of its results: its problems.
pub fn problems(path: &Path, opened: &Opened) -> serde_json::Value {
    let plans = opened.scenario.iter().flat_map(|scenario| &scenario.variants);
    let presets: Vec<_> = plans
        .flat_map(|plan| plan.presets.iter().map(move |preset| (&plan.variant, preset)))
        .map(|(variant, it)| {
            serde_json::json!({
                "variant": variant, "store": it.store, "preset": it.preset, "model": it.model, "sessions": it.sessions,
            })
        })
        .collect();
    serde_json::json!({
        "scenario": path.display().to_string(),
        "ok": opened.scenario.is_some(),
        "diagnostics": reports(&opened.diagnostics, &opened.sources),
        "presets": presets,
    })
}

/// What the presets of a scenario stand for, a line for each: once, where several variants have the same.
pub fn presets(scenario: &Scenario) -> String {
    let mut lines: Vec<(String, Vec<&str>)> = Vec::new();
    for (plan, title) in scenario.variants.iter().zip(scenario.titles()) {
        for it in &plan.presets {
            let sessions = it.sessions.as_ref().map(|sessions| format!(", sessions: {sessions}"));
            let sessions = sessions.unwrap_or_default();
            let line = format!("state.{}.model: {} is {}{sessions}", it.store, it.preset, it.model);
            match lines.iter_mut().find(|(known, _)| *known == line) {
                Some((_, titles)) => titles.push(title),
                None => lines.push((line, vec![title])),
            }
        }
    }
    let lines = lines.iter();
    let lines = lines.map(|(line, titles)| format!("  {line}\n    in {}\n", titles.join("; ")));
    lines.collect()
}

/// Reports the problems of a scenario, and gives it back if it can be run.
///
/// # Errors
/// If it has errors.
fn complain_of(opened: Opened) -> Result<Scenario> {
    report(&opened);
    opened.scenario.ok_or_else(|| Reported.into())
}

/// What the settings ask for instead of what a scenario says.
pub fn asked(settings: &super::Settings) -> Asked<'_> {
    Asked {
        seed: settings.seed,
        replicates: settings.replicates,
        variants: &settings.variants,
        last: &[],
    }
}

/// How a scenario that was opened with these settings is run.
///
/// # Errors
/// If there were too many runs.
pub fn options(scenario: &Scenario, settings: &super::Settings) -> Result<Options> {
    check_runs(scenario, scenario.replicates)?;
    Ok(Options {
        seed: scenario.seed,
        replicates: scenario.replicates,
        jobs: settings.jobs,
        max_events: settings.max_events,
        ..Options::default()
    })
}

/// Refuses more runs than there may be.
///
/// # Errors
/// If there are too many.
pub fn check_runs(scenario: &Scenario, replicates: u32) -> Result<()> {
    let variants = scenario.variants.len() as u64;
    let runs = variants * u64::from(replicates);
    if runs > MOST_RUNS {
        bail!("{variants} variants of {replicates} replicates are {runs} runs; there are at most {MOST_RUNS}");
    }
    Ok(())
}

/// Says on standard error that something goes on, and for how long, if that is a terminal.
pub fn spinner(what: &str) -> indicatif::ProgressBar {
    let spinner = indicatif::ProgressBar::new_spinner();
    if !io::stderr().is_terminal() || !is_capable() {
        spinner.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    if let Ok(style) = indicatif::ProgressStyle::with_template("{spinner} {msg}, {elapsed}") {
        spinner.set_style(style);
    }
    spinner.set_message(what.to_string());
    spinner.enable_steady_tick(std::time::Duration::from_millis(200));
    spinner
}

/// Runs a grid with a progress bar on standard error, if that is a terminal.
///
/// # Errors
/// If it's interrupted, or the threads can't be started.
pub fn run_grid(scenario: &Scenario, options: Options) -> Result<Results> {
    let grid = Grid::new(&scenario.variants, options.clone());
    let bar = indicatif::ProgressBar::new(grid.len() as u64);
    if !io::stderr().is_terminal() || !is_capable() {
        bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    let style = "{msg} {wide_bar} {pos}/{len} runs, {eta} left";
    if let Ok(style) = indicatif::ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar.set_message(scenario.name.clone());
    let provenance = Provenance {
        scenario: scenario.name.clone(),
        question: scenario.question.clone(),
        answers: scenario.answers.clone(),
        hash: scenario.hash.clone(),
        seed: options.seed,
        warm_up: scenario.variants[0].warm_up,
        base_title: scenario.base_title.clone(),
        variants: scenario.variants.iter().map(|plan| plan.variant.clone()).collect(),
    };
    let mut gathering = Gathering::new(provenance);
    let done = |progress| match progress {
        Progress::RunDone { .. } => bar.inc(1),
    };
    let ran = grid.for_each_replicate(&INTERRUPTED, &done, &mut |cells| gathering.add(cells));
    bar.finish_and_clear();
    ran?;
    let mut results = gathering.finish();
    results.scaling = quorate::experiment::scaling::scaling(&results, &scenario.scaling);
    Ok(results)
}

/// The scenario files below a folder, in the order of their paths; output folders are left out. A file stands for itself.
///
/// # Errors
/// If the folder can't be read, or holds none.
pub fn scenarios_below(folder: &Path) -> Result<Vec<PathBuf>> {
    if folder.is_file() {
        refuse_baseline(folder)?;
        return Ok(vec![folder.to_path_buf()]);
    }
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries =
            std::fs::read_dir(&folder).with_context(|| format!("can't read the folder {}", folder.display()))?;
        for entry in entries {
            let path = entry
                .with_context(|| format!("can't read the folder {}", folder.display()))?
                .path();
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            if path.is_dir() {
                if !name.starts_with('.') && !path.join("manifest.json").is_file() {
                    folders.push(path);
                }
            } else if name.ends_with(".ron") && !is_baseline(&path) && !name.starts_with('_') {
                found.push(path);
            }
        }
    }
    found.sort();
    if found.is_empty() {
        bail!("there is no scenario (*.ron) in {}", folder.display());
    }
    Ok(found)
}
