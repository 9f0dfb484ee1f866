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
    if let Some(text) = of_judge(topic) {
        print(&text)?;
        return Ok(ExitCode::Ok);
    }
    for page in [reference::models(), reference::patterns()] {
        if let Some(text) = of_models(&page, topic) {
            print(&text)?;
            return Ok(ExitCode::Ok);
        }
    }
    let near = meant(&cli, topic)
        .map(|near| format!(" (did you mean '{near}'?)"))
        .unwrap_or_default();
    bail!(
        "there is no command, diagnostic, measure, invariant or noun '{topic}'{near}; try `quorate help` or `quorate reference`"
    )
}

/// What the page of histories says of a model of `judge`.
fn of_judge(topic: &str) -> Option<String> {
    const PAGE: &str = include_str!("../../docs/histories.md");
    let topic = topic.to_lowercase();
    quorate::check::Model::ALL.iter().find(|(name, _)| *name == topic)?;
    // An item of a list begins with the names in bold, and goes on in indented lines.
    let names = |line: &str| {
        let rest = line.strip_prefix("- **")?;
        Some(rest.split("**").next()?.split(", ").any(|name| name == topic))
    };
    let mut lines = PAGE.lines().skip_while(|line| names(line) != Some(true));
    let first = lines.next();
    let mut text = match first {
        Some(first) => format!("{}\n", first.trim_start_matches("- ")),
        // A model of transactions alone is told where lists are.
        None => {
            let (_, behind) = PAGE.split_once(&format!("`{topic}` ("))?;
            let said = behind.split("\n\n").next().unwrap_or_default();
            format!("{topic} ({said}\n")
        }
    };
    for line in lines.take_while(|line| line.starts_with("  ")) {
        text.push_str(line.trim_start());
        text.push('\n');
    }
    text.push_str("\n`quorate judge HISTORY --model ");
    text.push_str(&topic);
    text.push_str("` holds a history to it.\n");
    Some(text)
}

/// The section of a page of models or patterns whose heading has this word: its title, or the short name in brackets.
fn of_models(page: &str, topic: &str) -> Option<String> {
    let is_it = |line: &&str| {
        let Some(heading) = line.strip_prefix("## ") else {
            return false;
        };
        let (title, short) = heading.split_once(" (`").unwrap_or((heading, ""));
        title.eq_ignore_ascii_case(topic) || short.trim_end_matches("`)").eq_ignore_ascii_case(topic)
    };
    let mut lines = page.lines().skip_while(|line| !is_it(line));
    let mut text = format!("{}\n", lines.next()?.trim_start_matches("## "));
    for line in lines.take_while(|line| !line.starts_with("## ")) {
        text.push_str(line);
        text.push('\n');
    }
    Some(text.trim_end().to_string() + "\n")
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
        ReferenceOf::Patterns => reference::patterns(),
        ReferenceOf::Diagnostics => reference::diagnostics(),
    };
    print(&text)?;
    Ok(ExitCode::Ok)
}
