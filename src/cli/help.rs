//! `quorate help` and `quorate reference`: what is built in, from the registries, so that it can't drift.

use super::session::print;
use super::{Cli, ReferenceOf};
use anyhow::{Result, bail};
use clap::CommandFactory;
use quorate::check::history::Fault;
use quorate::experiment::judge::ExitCode;
use quorate::measures::invariants::invariant_named;
use quorate::scenario::syntax::{Code, suggest};
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
    if let Some(info) = measures::find(topic).filter(|_| !topic.ends_with('*')) {
        print(&format!("{topic} ({}): {}\n", info.unit.name(), info.doc))?;
        return Ok(ExitCode::Ok);
    }
    if let Some(invariant) = invariant_named(topic) {
        print(&format!(
            "{} (invariant: `{}` is 0 in every run): {}\n",
            invariant.name, invariant.measure, invariant.doc
        ))?;
        return Ok(ExitCode::Ok);
    }
    if let Some(text) = reference::measures_below(topic) {
        print(&text)?;
        return Ok(ExitCode::Ok);
    }
    let near = meant(&cli, topic)
        .map(|near| format!(" (did you mean '{near}'?)"))
        .unwrap_or_default();
    bail!(
        "there is no command, diagnostic, measure, invariant or noun '{topic}'{near}; try `quorate help` or `quorate reference`"
    )
}

/// The topic that was most likely meant: a name nearby, or one of these initials (`lww` is LastWriteWins).
fn meant(cli: &clap::Command, topic: &str) -> Option<String> {
    let commands = cli.get_subcommands().filter(|command| !command.is_hide_set());
    let mut all: Vec<String> = commands.map(|command| command.get_name().to_string()).collect();
    all.extend(reference::topics());
    let initials = |name: &str| -> String { name.chars().filter(char::is_ascii_uppercase).collect() };
    let abbreviated = |name: &&String| initials(name).eq_ignore_ascii_case(topic);
    if let Some(name) = all.iter().find(abbreviated).filter(|_| topic.len() > 1) {
        return Some(name.clone());
    }
    suggest::nearest(topic, all.iter().map(String::as_str))
        .map(str::to_string)
        .or_else(|| measures::suggest(topic))
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
