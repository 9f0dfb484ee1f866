//! `quorate help` and `quorate reference`: what is built in, from the registries, so that it can't drift.

use super::session::print;
use super::{Cli, ReferenceOf};
use anyhow::{Result, bail};
use clap::CommandFactory;
use quorate::check::history::Fault;
use quorate::experiment::judge::{self, ExitCode};
use quorate::scenario::syntax::Code;
use quorate::{measures, reference};

/// Explains a topic: a subcommand, a diagnostic, a measure, a type of the language.
pub fn help(topic: Option<&str>) -> Result<ExitCode> {
    let Some(topic) = topic else {
        print(&Cli::command().render_long_help().to_string())?;
        return Ok(ExitCode::Ok);
    };
    if let Some(code) = Code::find(topic) {
        print(&format!(
            "E{:04}: {}\n\n{}\n",
            code.number(),
            code.title(),
            code.explanation()
        ))?;
        return Ok(ExitCode::Ok);
    }
    if let Some(fault) = Fault::find(topic) {
        print(&format!("{fault}: {}\n\n{}\n", fault.title(), fault.explanation()))?;
        return Ok(ExitCode::Ok);
    }
    let mut cli = Cli::command();
    cli.build();
    if let Some(command) = cli.find_subcommand_mut(topic) {
        print(&command.render_long_help().to_string())?;
        return Ok(ExitCode::Ok);
    }
    if let Some(text) = reference::noun(topic) {
        print(&text)?;
        return Ok(ExitCode::Ok);
    }
    if let Some(info) = measures::find(topic) {
        print(&format!("{topic} ({}): {}\n", info.unit.name(), info.doc))?;
        return Ok(ExitCode::Ok);
    }
    if let Some((name, measure, doc)) = judge::INVARIANTS.iter().find(|(name, ..)| *name == topic) {
        print(&format!("{name} (invariant: `{measure}` is 0 in every run): {doc}\n"))?;
        return Ok(ExitCode::Ok);
    }
    let near = measures::suggest(topic)
        .map(|near| format!(" (did you mean '{near}'?)"))
        .unwrap_or_default();
    bail!(
        "there is no command, diagnostic, measure, invariant or noun '{topic}'{near}; try `quorate help` or `quorate reference`"
    )
}

/// Prints a reference.
pub fn reference(of: ReferenceOf) -> Result<ExitCode> {
    let text = match of {
        ReferenceOf::Language => reference::language(),
        ReferenceOf::Measures => reference::measures(),
        ReferenceOf::Models => reference::models(),
        ReferenceOf::Diagnostics => reference::diagnostics(),
    };
    print(&text)?;
    Ok(ExitCode::Ok)
}
