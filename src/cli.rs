//! Floor 7: the command line. One file for each subcommand; what they share lies in [`session`] and [`folder`].

mod check;
mod compare;
mod folder;
mod help;
mod history;
mod judge;
mod knee;
mod list;
mod new;
mod run;
mod session;
mod shells;
mod test;
mod validate;
mod verify;

use clap::{ArgAction, Parser, Subcommand, ValueEnum};
use quorate::experiment::judge::ExitCode;
use std::path::PathBuf;

/// A deterministic discrete-event simulator for multi-agent systems seen as distributed systems.
///
/// A scenario file describes agents, the network between them, the services they call, the state they share and what goes
/// wrong. Quorate runs it, bit for bit the same every time, and says what it costs.
#[derive(Debug, Parser)]
#[command(name = "quorate", version, disable_help_subcommand = true, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 all expectations hold; 1 some don't; 2 the scenario or the command line is wrong; \
3 it couldn't be decided; 101 a bug; 130 interrupted.\nNO_COLOR is respected. Tables go to standard output, progress to standard error."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a scenario: the base and every variant over its replicates; print the answer and write results and plots.
    Run(RunArgs),
    /// Run every scenario of a folder, judge what it expects and compare it with its committed baseline, if it has one: what
    /// CI calls.
    Test(TestArgs),
    /// Check scenarios without running them: all problems at once.
    Check(CheckArgs),
    /// Prove that a scenario is deterministic: two processes, one thread and several, event for event.
    Verify(VerifyArgs),
    /// Run scenarios whose answers are known, and print expected against simulated.
    Validate(ValidateArgs),
    /// Find the value of a parameter, such as a load, at which a verdict changes: with an interval, for every variant.
    Knee(KneeArgs),
    /// List scenarios with their questions.
    List {
        /// Where to look.
        #[arg(default_value = "scenarios")]
        folder: PathBuf,
        /// How to print them.
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Write a commented scenario to start from.
    New {
        /// The scenario's name; the file gets the same name.
        name: String,
        /// The folder to write it into.
        #[arg(long, default_value = ".")]
        into: PathBuf,
    },
    /// Compare two output folders: what is identical, what moved, what differs beyond chance.
    #[command(
        after_help = "Exit codes: 0 nothing differs beyond chance; 1 something does; 2 the folders can't be compared."
    )]
    Compare {
        /// The first, usually older, folder.
        before: PathBuf,
        /// The second folder.
        after: PathBuf,
        /// How to print it.
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
        /// Compare although the scenarios have different names.
        #[arg(long)]
        force: bool,
        /// Print every number that moved, not only the clearest.
        #[arg(long)]
        all: bool,
    },
    /// Judge a history of operations against consistency models: ours, Jepsen's or Porcupine's.
    Judge(JudgeArgs),
    /// Write the history of one run of a scenario, for `quorate judge` and the checkers of others.
    History(HistoryArgs),
    /// Explain a command, a diagnostic (`quorate help E0123`), a measure, a noun of the language, or a consistency model.
    Help {
        /// What to explain.
        topic: Option<String>,
    },
    /// Print the reference of the scenario language, or of the measures, as Markdown.
    Reference {
        /// Which reference.
        #[arg(value_enum, default_value_t = ReferenceOf::Language)]
        of: ReferenceOf,
    },
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page.
    Man,
    /// What `verify` runs in each of its processes.
    #[command(hide = true)]
    Fingerprints(verify::FingerprintArgs),
}

/// Which reference is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ReferenceOf {
    /// The nouns and fields of a scenario.
    Language,
    /// Every number that is measured.
    Measures,
    /// The consistency models.
    Models,
    /// The patterns of coordination.
    Patterns,
    /// The diagnostics.
    Diagnostics,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables for people, at most 100 columns wide.
    Table,
    /// One JSON document for programs.
    Json,
}

/// The most events of a run, unless it is said otherwise: some minutes of work.
const MAX_EVENTS: u64 = 2_000_000_000;

/// What a scenario is run with.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    /// Change a value of the scenario before it is read, e.g. `--set services.search.servers=4`.
    #[arg(long = "set", value_name = "PATH=VALUE", action = ArgAction::Append)]
    set: Vec<String>,
    /// Run with this seed instead of the scenario's.
    #[arg(long)]
    seed: Option<u64>,
    /// Run this many replicates instead of the scenario's.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    replicates: Option<u32>,
    /// Run only these variants (and the base).
    #[arg(long = "variant", value_name = "NAME", action = ArgAction::Append)]
    variants: Vec<String>,
    /// How many threads; by default as many as there are processors.
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    jobs: usize,
    /// Stop a run that handles more events than this.
    #[arg(long, value_name = "N", default_value_t = MAX_EVENTS, value_parser = clap::value_parser!(u64).range(1..))]
    max_events: u64,
}

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// The scenario file; `-` reads it from standard input.
    scenario: PathBuf,
    #[command(flatten)]
    settings: Settings,
    /// Where the output folder is made.
    #[arg(long, default_value = "outputs", value_name = "FOLDER")]
    out: PathBuf,
    /// Write no output folder.
    #[arg(long)]
    no_output: bool,
    /// How to print the answer.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Say what would run, and about how long it would take, and stop there.
    #[arg(long)]
    dry_run: bool,
    /// Print every measure, not only the headline ones.
    #[arg(long)]
    all: bool,
}

/// Arguments of `test`.
#[derive(Debug, clap::Args)]
pub struct TestArgs {
    /// The folder with the scenarios (folders in it are searched too), or one scenario.
    #[arg(default_value = "scenarios")]
    folder: PathBuf,
    /// Write what the scenarios say now as their baselines.
    #[arg(long)]
    bless: bool,
    /// How many threads; by default as many as there are processors.
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    jobs: usize,
    /// Run this many replicates instead of each scenario's own, without looking at baselines.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000), conflicts_with = "bless")]
    replicates: Option<u32>,
    /// How to print the verdicts.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// The scenario files, or folders of them; `-` reads one from standard input.
    #[arg(required = true)]
    scenarios: Vec<PathBuf>,
    /// Change a value before it is read, e.g. `--set services.search.servers=4`.
    #[arg(long = "set", value_name = "PATH=VALUE", action = ArgAction::Append)]
    set: Vec<String>,
    /// How to print the problems.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// The scenario file.
    scenario: PathBuf,
    #[command(flatten)]
    settings: Settings,
    /// Spoil one event of the second process, to see that it is found: VARIANT:REPLICATE:INDEX.
    #[arg(long, hide = true)]
    perturb: Option<String>,
}

/// Arguments of `validate`.
#[derive(Debug, clap::Args)]
pub struct ValidateArgs {
    /// The folder with the validation scenarios.
    #[arg(default_value = "scenarios/validation")]
    folder: PathBuf,
    /// Run with these seeds, one after the other, instead of the scenarios' own.
    #[arg(long = "seed", value_name = "SEED", action = ArgAction::Append)]
    seeds: Vec<u64>,
    /// How many threads; by default as many as there are processors.
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    jobs: usize,
    /// How to print the table.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Print the table as Markdown, for the documentation.
    #[arg(long)]
    markdown: bool,
}

/// Arguments of `knee`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Exit codes: 0 every variant has a knee, whose interval is as narrow as was asked for; 2 the scenario or the command line \
is wrong; 3 a variant has none (its answer never changes, or changes more than once), or it couldn't be decided so precisely.\n\n\
At each value runs are made until a sequential test says whether most of them answer yes, or as many as there may be. What the command line \
doesn't say, the scenario says in its `knee: (...)`.\n\n\
quorate knee scenarios/demand_step.ron\n\
quorate knee scenarios/validation/metastable.ron --path agents.client.start.rate --from 100/s --to 280/s --variant base"
)]
pub struct KneeArgs {
    /// The scenario file; `-` reads it from standard input.
    scenario: PathBuf,
    /// The parameter, as in `--set`: `agents.client.start.rate`. Its values come after the changes of variants.
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// The least value that is looked at, with its unit.
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    from: Option<String>,
    /// The greatest value that is looked at.
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    to: Option<String>,
    /// The measure that answers, by default `herd.metastable`: a yes or no, or any other with `--above`.
    #[arg(long, value_name = "NAME")]
    measure: Option<String>,
    /// A run's answer is yes if its measure is above this.
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    above: Option<String>,
    /// How wide the interval of the knee may be, as a part of the value; by default 2%.
    #[arg(long, value_name = "PART", value_parser = knee::part)]
    precision: Option<f64>,
    /// The most runs at a value, by default 100.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    replicates: Option<u32>,
    /// How sure the interval is; by default 95%.
    #[arg(long, value_name = "PART", value_parser = knee::part)]
    confidence: Option<f64>,
    /// How many values are looked at first, spread evenly over the range; by default 5.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=1_000))]
    points: Option<u32>,
    /// Look at only these variants (and the base).
    #[arg(long = "variant", value_name = "NAME", action = ArgAction::Append)]
    variants: Vec<String>,
    /// Change a value of the scenario before it is read, e.g. `--set services.search.servers=4`.
    #[arg(long = "set", value_name = "PATH=VALUE", action = ArgAction::Append)]
    set: Vec<String>,
    /// Run with this seed instead of the scenario's.
    #[arg(long)]
    seed: Option<u64>,
    /// How many threads; by default as many as there are processors.
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    jobs: usize,
    /// Stop a run that handles more events than this.
    #[arg(long, value_name = "N", default_value_t = MAX_EVENTS, value_parser = clap::value_parser!(u64).range(1..))]
    max_events: u64,
    /// Where the scenario's output folder is, in which `knee` is made.
    #[arg(long, default_value = "outputs", value_name = "FOLDER")]
    out: PathBuf,
    /// Write no output folder.
    #[arg(long)]
    no_output: bool,
    /// How to print the answer.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Print every value that was looked at.
    #[arg(long)]
    all: bool,
}

/// Arguments of `judge`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 every model holds; 1 one is violated; 3 one couldn't be decided; 2 the history or the command \
line is wrong.\nModels: linearizable, sequential, causal, causal-convergence, weak-causal, pram, read-atomic, read-your-writes, \
monotonic-reads, monotonic-writes, writes-follow-reads. docs/histories.md says what each of them asks for, and describes the formats."
)]
pub struct JudgeArgs {
    /// The history; `-` reads it from standard input.
    history: PathBuf,
    /// The model to hold it to; may be given several times.
    #[arg(long = "model", value_name = "MODEL", value_parser = judge::model, action = ArgAction::Append)]
    #[arg(required_unless_present = "convert")]
    models: Vec<judge::NamedModel>,
    /// What the objects are: register, cas-register, kv, set, queue or list-append; by default as the operations tell.
    #[arg(long, value_name = "SPEC", value_parser = judge::spec)]
    spec: Option<judge::NamedSpec>,
    /// The history's format: jsonl, jepsen-edn or porcupine; by default as the beginning tells.
    #[arg(long, value_name = "FORMAT", value_parser = judge::from)]
    from: Option<judge::NamedFormat>,
    /// What registers hold before anything is written; nothing (nil) otherwise.
    #[arg(long, value_name = "VALUE", value_parser = judge::initial, allow_hyphen_values = true)]
    initial: Option<judge::Initial>,
    /// The most steps that a search takes, for each object or for the whole history.
    #[arg(long, value_name = "STEPS", default_value_t = quorate::check::Budget::default().steps)]
    budget: u64,
    /// The most MiB in which a search remembers what it has tried: for each object that is searched at the same time.
    #[arg(long, value_name = "MIB", default_value_t = quorate::check::Budget::default().memory >> 20)]
    memory: usize,
    /// The most operations that are read.
    #[arg(long, value_name = "N", default_value_t = quorate::check::history::Limits::default().operations)]
    max_operations: usize,
    /// Read over the times: the order of the lines is what counts.
    #[arg(long)]
    ignore_times: bool,
    /// How many threads; by default as many as there are processors.
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    jobs: usize,
    /// How to print the verdicts.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Also write the verdicts, and for each violation its operations and a timeline, into a folder in this one.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Judge nothing: write the history to standard output in another format, jsonl or jepsen-edn.
    #[arg(long, value_name = "FORMAT", value_parser = judge::writing, conflicts_with_all = ["models", "out"])]
    convert: Option<judge::NamedWriting>,
}

/// Arguments of `history`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "The operations on registers go to standard output; those on other keys are left out, and counted.\n\n\
    quorate history scenarios/split_brain.ron --variant skewed | quorate judge - --model linearizable"
)]
pub struct HistoryArgs {
    /// The scenario file; `-` reads it from standard input.
    scenario: PathBuf,
    /// The variant; without it the scenario as it stands.
    #[arg(long, value_name = "NAME", default_value = "base", hide_default_value = true)]
    variant: String,
    /// The replicate, from 0.
    #[arg(long, default_value_t = 0)]
    replicate: u32,
    /// The format: jsonl or jepsen-edn.
    #[arg(long, value_name = "FORMAT", value_parser = judge::writing, default_value = "jsonl")]
    format: judge::NamedWriting,
    /// Change a value of the scenario, as in `--set services.search.at=tools`; may be given several times.
    #[arg(long = "set", value_name = "PATH=VALUE", action = ArgAction::Append)]
    set: Vec<String>,
    /// Start from this seed instead of the scenario's.
    #[arg(long)]
    seed: Option<u64>,
}

/// Runs the command, and gives its exit code.
pub fn main() -> std::process::ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return std::process::ExitCode::from(error.exit_code() as u8);
        }
    };
    let outcome = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Test(args) => test::test(&args),
        Command::Check(args) => check::check(&args),
        Command::Verify(args) => verify::verify(&args),
        Command::Validate(args) => validate::validate(&args),
        Command::Knee(args) => knee::knee(&args),
        Command::List { folder, format } => list::list(&folder, format),
        Command::New { name, into } => new::new(&name, &into),
        Command::Compare {
            before,
            after,
            format,
            force,
            all,
        } => compare::compare(&before, &after, format, force, all),
        Command::Judge(args) => judge::judge(&args),
        Command::History(args) => history::history(&args),
        Command::Help { topic } => help::help(topic.as_deref()),
        Command::Reference { of } => help::reference(of),
        Command::Completions { shell } => shells::completions(shell),
        Command::Man => shells::man(),
        Command::Fingerprints(args) => verify::fingerprints(&args),
    };
    let code = outcome.unwrap_or_else(|error| {
        if error.is::<session::Reported>() {
            return ExitCode::Usage;
        }
        session::complain(&format!("{error:#}"));
        ExitCode::Usage
    });
    if session::INTERRUPTED.load(std::sync::atomic::Ordering::SeqCst) {
        return std::process::ExitCode::from(130);
    }
    std::process::ExitCode::from(code as u8)
}
