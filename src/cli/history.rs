//! `quorate history`: what the agents of one run asked of shared registers, and what they were told.

use super::HistoryArgs;
use super::session::{self, counted};
use anyhow::{Context, Result, bail};
use quorate::check::history;
use quorate::experiment::grid::history_of;
use quorate::experiment::judge::ExitCode;
use quorate::kernel::End;
use quorate::output::summary::listed;
use std::io::{self, BufWriter, Write};

/// Runs the subcommand.
pub fn history(args: &HistoryArgs) -> Result<ExitCode> {
    let scenario = session::open_or_complain(&args.scenario, &args.set)?;
    let mut plans = scenario.variants.iter();
    let Some(plan) = plans.find(|plan| plan.variant == args.variant) else {
        let names: Vec<&str> = scenario.variants.iter().map(|plan| plan.variant.as_str()).collect();
        bail!("there is no variant '{}'; there are {}", args.variant, listed(&names));
    };
    let seed = args.seed.unwrap_or(scenario.seed);
    let (recording, end) = history_of(plan, seed, args.replicate, super::MAX_EVENTS)
        .with_context(|| format!("variant {}, replicate {}", args.variant, args.replicate))?;
    assert!(
        end.breaches.is_empty(),
        "a law that holds in every run is broken:\n{}",
        end.breaches.join("\n")
    );
    let stopped = match (&end.halt, end.end) {
        (Some(halt), _) => Some(halt.message.clone()),
        (None, End::EventLimit) => Some("it had more events than are allowed".to_string()),
        (None, End::Livelock { .. }) => Some("an instant never ended".to_string()),
        _ => None,
    };
    if let Some(why) = &stopped {
        session::complain(&format!(
            "the run was stopped at {}: {why}; the history ends there",
            end.now
        ));
    }
    if recording.left_out > 0 {
        let left_out = counted(recording.left_out, "operation");
        session::complain(&format!("{left_out} on counters, sets, maps or texts left out"));
    }
    if recording.history.operations().is_empty() {
        session::complain("nobody asked anything of a register");
    }
    let mut out = BufWriter::new(io::stdout().lock());
    match history::write(&recording.history, args.format.0, &mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("standard output can't be written to")
        }
        _ if stopped.is_some() => Ok(ExitCode::Undecided),
        _ => Ok(ExitCode::Ok),
    }
}
