//! `quorate verify`: the same scenario in two processes, on one thread and on several, event for event.

use super::session::{self, print};
use super::{Format, Settings, VerifyArgs};
use anyhow::{Context, Result, bail};
use quorate::experiment::judge::ExitCode;
use quorate::experiment::{Grid, Options};
use quorate::kernel::{Perturbation, SimTime};
use quorate::output::tables::numbers as shown;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Arguments of the hidden subcommand that each process runs.
#[derive(Debug, clap::Args)]
pub struct FingerprintArgs {
    scenario: PathBuf,
    #[command(flatten)]
    settings: Settings,
    /// Whether everything is measured meanwhile.
    #[arg(long)]
    measured: bool,
    /// Spoil one event: VARIANT:REPLICATE:INDEX.
    #[arg(long)]
    perturb: Option<String>,
    /// Record events instead: VARIANT:REPLICATE:FROM:TO.
    #[arg(long)]
    witness: Option<String>,
}

/// What a process says of one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Print {
    variant: usize,
    replicate: u32,
    handled: u64,
    print: String,
    /// Events handled and the fingerprint at each checkpoint.
    checkpoints: Vec<(u64, String)>,
}

/// What a process says of one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    index: u64,
    time_ns: u64,
    step: u16,
    kind: u16,
    origin: u32,
    number: u32,
    what: String,
    hash: String,
    /// What led to it, the nearest first.
    causes: Vec<(u64, String)>,
}

/// The hidden subcommand: fingerprints, or events, as JSON.
pub fn fingerprints(args: &FingerprintArgs) -> Result<ExitCode> {
    let scenario = session::open_with(&args.scenario, &args.settings, Format::Table)?;
    let perturb = args.perturb.as_deref().map(perturbation).transpose()?;
    let options = Options {
        measured: args.measured,
        perturb,
        ..session::options(&scenario, &args.settings)?
    };
    let grid = Grid::new(&scenario.variants, options);
    if let Some(witness) = &args.witness {
        let [variant, replicate, from, to] = numbers(witness)?;
        let witnessed = grid.witness(variant as usize, replicate as u32, from, to);
        let one = witnessed.len() == 1;
        let seen: Vec<Seen> = witnessed
            .into_iter()
            .map(|seen| Seen {
                causes: if one {
                    let causes = grid.causes(variant as usize, replicate as u32, &seen, CAUSES);
                    causes
                        .into_iter()
                        .map(|cause| (cause.time.as_nanos(), cause.what))
                        .collect()
                } else {
                    Vec::new()
                },
                index: seen.index,
                time_ns: seen.time.as_nanos(),
                step: seen.step,
                kind: seen.kind,
                origin: seen.origin,
                number: seen.number,
                what: seen.what,
                hash: format!("{:032x}", seen.hash),
            })
            .collect();
        print(&serde_json::to_string(&seen)?)?;
        return Ok(ExitCode::Ok);
    }
    let cells = grid.run(&session::INTERRUPTED, &|_| {})?;
    let prints: Vec<Print> = cells
        .iter()
        .map(|cell| Print {
            variant: cell.variant,
            replicate: cell.replicate,
            handled: cell.handled,
            print: cell.print.to_string(),
            checkpoints: cell
                .checkpoints
                .iter()
                .map(|at| (at.handled, at.print.to_string()))
                .collect(),
        })
        .collect();
    print(&serde_json::to_string(&prints)?)?;
    Ok(ExitCode::Ok)
}

fn numbers<const N: usize>(text: &str) -> Result<[u64; N]> {
    let parts: Vec<u64> = text
        .split(':')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .context("numbers with ':' between them")?;
    parts
        .try_into()
        .ok()
        .with_context(|| format!("'{text}' should be {N} numbers with ':' between them"))
}

fn perturbation(text: &str) -> Result<(usize, u32, Perturbation)> {
    let [variant, replicate, index] = numbers(text)?;
    Ok((
        variant as usize,
        replicate as u32,
        Perturbation {
            index,
            word: 3,
            mask: 1 << 17,
        },
    ))
}

/// How many causes of a differing event are named.
const CAUSES: usize = 5;

/// A process of this very program.
struct Process<'a> {
    args: &'a VerifyArgs,
    what: &'static str,
    jobs: usize,
    measured: bool,
    perturb: Option<&'a str>,
}

impl Process<'_> {
    fn run(&self, witness: Option<String>) -> Result<Vec<u8>> {
        let mut command = Command::new(std::env::current_exe().context("can't find this program itself")?);
        command
            .arg("fingerprints")
            .arg(&self.args.scenario)
            .arg("--jobs")
            .arg(self.jobs.to_string());
        let settings = &self.args.settings;
        for set in &settings.set {
            command.arg("--set").arg(set);
        }
        for variant in &settings.variants {
            command.arg("--variant").arg(variant);
        }
        if let Some(seed) = settings.seed {
            command.arg("--seed").arg(seed.to_string());
        }
        if let Some(replicates) = settings.replicates {
            command.arg("--replicates").arg(replicates.to_string());
        }
        command.arg("--max-events").arg(settings.max_events.to_string());
        if self.measured {
            command.arg("--measured");
        }
        if let Some(perturb) = self.perturb {
            command.arg("--perturb").arg(perturb);
        }
        if let Some(witness) = witness {
            command.arg("--witness").arg(witness);
        }
        let output = command
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .context("can't start a second process")?;
        if !output.status.success() {
            bail!("the process with {} ended with {}", self.what, output.status);
        }
        Ok(output.stdout)
    }

    fn prints(&self) -> Result<Vec<Print>> {
        serde_json::from_slice(&self.run(None)?).context("a process gave no fingerprints")
    }

    fn seen(&self, variant: usize, replicate: u32, from: u64, to: u64) -> Result<Vec<Seen>> {
        let bytes = self.run(Some(format!("{variant}:{replicate}:{from}:{to}")))?;
        serde_json::from_slice(&bytes).context("a process gave no events")
    }
}

/// Runs the subcommand.
pub fn verify(args: &VerifyArgs) -> Result<ExitCode> {
    if args.scenario == Path::new("-") {
        bail!("verify reads the scenario more than once: give it as a file");
    }
    let scenario = session::open_with(&args.scenario, &args.settings, Format::Table)?;
    let many = std::thread::available_parallelism().map_or(2, usize::from).max(2);
    let one = Process {
        args,
        what: "one thread",
        jobs: 1,
        measured: false,
        perturb: None,
    };
    let other = Process {
        args,
        what: "several threads",
        jobs: many,
        measured: true,
        perturb: args.perturb.as_deref(),
    };
    let (first, second) = (one.prints()?, other.prints()?);
    let events = shown::count(first.iter().map(|print| print.handled).sum());
    let differing = first.iter().zip(&second).find(|(a, b)| a != b);
    let Some((a, b)) = differing else {
        if first.len() != second.len() {
            bail!("the two processes ran {} and {} runs", first.len(), second.len());
        }
        print(&format!(
            "{}: deterministic: {} runs, {events} events, the same fingerprints in two processes, with 1 and {many} threads, \
             measured and not\n",
            scenario.name,
            first.len()
        ))?;
        return Ok(ExitCode::Ok);
    };
    // The first checkpoint that differs bounds the first event that does.
    let same = a
        .checkpoints
        .iter()
        .zip(&b.checkpoints)
        .take_while(|(a, b)| a == b)
        .count();
    let from = if same == 0 { 0 } else { a.checkpoints[same - 1].0 };
    let to = [a, b]
        .iter()
        .map(|print| print.checkpoints.get(same).map_or(print.handled, |at| at.0))
        .max()
        .unwrap_or(from);
    let (seen, also) = (
        one.seen(a.variant, a.replicate, from, to + 1)?,
        other.seen(a.variant, a.replicate, from, to + 1)?,
    );
    let place = seen
        .iter()
        .zip(&also)
        .position(|(a, b)| a != b)
        .unwrap_or(seen.len().min(also.len()));
    let variant = &scenario.variants[a.variant].variant;
    let mut text = format!(
        "{}: NOT deterministic: variant {variant}, replicate {}\n",
        scenario.name, a.replicate
    );
    text.push_str(&format!(
        "the first event that differs is number {}\n",
        from + place as u64
    ));
    for (who, event) in [
        ("one thread:     ", seen.get(place)),
        ("several threads:", also.get(place)),
    ] {
        text.push_str(&match event {
            None => format!("  {who} the run was over\n"),
            Some(event) => format!(
                "  {who} at {}, step {} of the instant: {}\n    number {} of the origin with rank {}, content {}\n",
                SimTime::from_nanos(event.time_ns),
                event.step,
                event.what,
                event.number,
                event.origin,
                event.hash
            ),
        });
    }
    if let Some(before) = place.checked_sub(1).and_then(|place| seen.get(place)) {
        text.push_str(&format!(
            "  just before: at {}: {}\n",
            SimTime::from_nanos(before.time_ns),
            before.what
        ));
    }
    let at = from + place as u64;
    if let [event] = one.seen(a.variant, a.replicate, at, at + 1)?.as_slice() {
        for (number, (time_ns, what)) in event.causes.iter().enumerate() {
            let link = if number == 0 { "caused by" } else { "  caused by" };
            text.push_str(&format!("  {link}: at {}: {what}\n", SimTime::from_nanos(*time_ns)));
        }
        if event.causes.len() < CAUSES {
            text.push_str("  and that was scheduled before the run began\n");
        }
    }
    print(&text)?;
    Ok(ExitCode::Failed)
}
