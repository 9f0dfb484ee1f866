//! `quorate judge`: a history, ours or another's, against consistency models.

use super::folder::Folder;
use super::session::{self, print};
use super::{Format, JudgeArgs};
use anyhow::{Context, Result, bail};
use quorate::check::history::{self, Action, History, Limits, Outcome, Problems, Reading, Value, Writing};
use quorate::check::{Budget, Detail, Judgement, Model, Refusal, Spec, Verdict, Violation, judge as decide, label};
use quorate::experiment::judge::ExitCode;
use quorate::output::File;
use quorate::output::plots::{Frame, render_png, render_svg};
use quorate::output::tables::Look;
use quorate::output::tables::numbers::count;
use quorate::output::timeline::Timeline;
use serde_json::{Value as Json, json};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::Path;

/// Runs the subcommand: 0 all models hold, 1 one is violated, 3 one couldn't be decided.
pub fn judge(args: &JudgeArgs) -> Result<ExitCode> {
    let mut history = read(args)?;
    if let Some(format) = args.convert {
        return convert(&history, format.0);
    }
    if let Some(initial) = &args.initial {
        history.start_with(initial.0.clone());
    }
    if history.operations().is_empty() {
        bail!(
            "{}: the history has no operations, so there is nothing to judge",
            name(&args.history)
        );
    }
    let spec = args.spec.map_or_else(|| inferred(&history), |spec| spec.0);
    // The folder is reserved before the long work: what can't be written isn't begun.
    let folder = match &args.out {
        Some(out) => Some(Folder::reserve(out, &folder_name(&args.history))?),
        None => None,
    };
    if args.jobs > 0 {
        rayon::ThreadPoolBuilder::new()
            .num_threads(args.jobs)
            .build_global()
            .context("the threads can't be started")?;
    }
    let budget = Budget {
        steps: args.budget,
        memory: args.memory.saturating_mul(1 << 20),
    };
    let mut judgements = Vec::new();
    for model in &args.models {
        // How far a search is nobody knows: what is said is that it goes on, and for how long.
        let waiting = session::spinner(&format!("{}: {}", name(&args.history), model.0));
        let judged = decide(&history, model.0, spec, budget);
        waiting.finish_and_clear();
        judgements.push(judged.map_err(|refusal| match refusal {
            Refusal::Unsupported(why) => anyhow::anyhow!("{} can't be judged for {spec}: {why}", model.0),
            Refusal::Problems(problems) => complain(&args.history, &problems),
        })?);
    }
    match args.format {
        Format::Table => show(&args.history, &history, spec, &judgements)?,
        Format::Json => {
            print(&(serde_json::to_string_pretty(&report(&args.history, &history, spec, &judgements))? + "\n"))?
        }
    }
    if let Some(folder) = folder {
        folder.replace(&files(&args.history, &history, spec, &judgements)?)?;
        session::complain(&format!("written to {}", folder.path().display()));
    }
    let any = |verdict| judgements.iter().any(|judgement| judgement.verdict == verdict);
    Ok(if any(Verdict::Violated) {
        ExitCode::Failed
    } else if any(Verdict::Unknown) {
        ExitCode::Undecided
    } else {
        ExitCode::Ok
    })
}

/// Says what is wrong with a history.
fn complain(path: &Path, problems: &Problems) -> anyhow::Error {
    let _ = write!(io::stderr(), "{}", problems.shown(&path.display().to_string()));
    session::Reported.into()
}

fn read(args: &JudgeArgs) -> Result<History> {
    let reading = Reading {
        format: args.from.map(|format| format.0),
        limits: Limits {
            operations: args.max_operations,
            ignore_times: args.ignore_times,
            ..Limits::default()
        },
    };
    let found = if args.history == Path::new("-") {
        history::read(io::stdin().lock(), reading)
    } else {
        let file =
            std::fs::File::open(&args.history).with_context(|| format!("can't open {}", args.history.display()))?;
        history::read(BufReader::with_capacity(1 << 18, file), reading)
    };
    found.map_err(|problems| complain(&args.history, &problems))
}

fn convert(history: &History, format: Writing) -> Result<ExitCode> {
    let mut out = BufWriter::new(io::stdout().lock());
    match history::write(history, format, &mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("standard output can't be written to")
        }
        _ => Ok(ExitCode::Ok),
    }
}

/// The first kind of objects that have all operations of a history.
fn inferred(history: &History) -> Spec {
    let is_collection = |action: &Action| {
        matches!(
            action,
            Action::Read {
                saw: history::Saw::Many(_),
                ..
            }
        )
    };
    let fits = |spec: &Spec| {
        history
            .operations()
            .iter()
            .all(|of| spec.words().contains(&of.action.word()) && (*spec == Spec::Set || !is_collection(&of.action)))
    };
    Spec::ALL
        .iter()
        .map(|(_, spec)| *spec)
        .find(fits)
        .unwrap_or(Spec::Register)
}

fn name(path: &Path) -> String {
    if path == Path::new("-") {
        return "standard input".into();
    }
    path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}

fn folder_name(path: &Path) -> String {
    let stem = path
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default();
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
    let name: String = stem.chars().map(safe).collect();
    if name.trim_matches('_').is_empty() {
        "history".into()
    } else {
        name
    }
}

fn plural(n: usize, one: &str, many: &str) -> String {
    format!("{} {}", count(n as u64), if n == 1 { one } else { many })
}

/// What the history is, in a line.
fn about(history: &History, spec: Spec) -> String {
    let unsure = history
        .operations()
        .iter()
        .filter(|of| of.outcome == Outcome::Info)
        .count();
    let unsure = if unsure == 0 {
        String::new()
    } else {
        format!(", {} of unknown outcome", count(unsure as u64))
    };
    format!(
        "{} of {}{unsure}, {} ({spec})",
        plural(history.operations().len(), "operation", "operations"),
        plural(history.processes().len(), "process", "processes"),
        plural(history.keys(), "object", "objects"),
    )
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Holds => "holds",
        Verdict::Violated => "VIOLATED",
        Verdict::Unknown => "unknown",
    }
}

fn show(path: &Path, history: &History, spec: Spec, judgements: &[Judgement]) -> Result<()> {
    let colour = session::colour();
    let look = Look {
        colour,
        ..Look::default()
    };
    let paint = |verdict: Verdict| {
        let text = word(verdict);
        let code = match verdict {
            Verdict::Holds => "32",
            Verdict::Violated => "1;31",
            Verdict::Unknown => "33",
        };
        if colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_string()
        }
    };
    let mut text = format!("{}: {}\n", name(path), about(history, spec));
    let wide = judgements.iter().map(|of| of.model.name().len()).max().unwrap_or(0);
    for of in judgements {
        let more = match (&of.violation, &of.undecided) {
            (Some(violation), _) => format!(": {}", violation.kind),
            (_, Some(why)) => format!(": {why}"),
            _ => String::new(),
        };
        let line = format!("{:wide$}  {}{more}", of.model.name(), paint(of.verdict));
        text.push_str(&wrapped(&line, look.width, wide + 2));
    }
    for of in judgements {
        if let Some(violation) = &of.violation {
            text.push_str(&format!("\n{}: {}\n", of.model, violation.kind));
            text.push_str(&wrapped(&sentence(&violation.why), look.width, 0));
            text.push('\n');
            text.push_str(&Timeline::of(history, violation).text(history, look));
            text.push_str(&wrapped(&size(violation, history), look.width, 0));
        }
    }
    print(&text)
}

/// A sentence with its capital and full stop.
fn sentence(why: &str) -> String {
    // The name of an operation, such as r7, stays as it is.
    let is_name = why.chars().nth(1).is_some_and(|c| c.is_ascii_digit());
    let mut chars = why.chars();
    match chars.next() {
        Some(first) if !is_name => format!("{}{}.", first.to_uppercase(), chars.as_str()),
        _ => format!("{why}."),
    }
}

fn size(violation: &Violation, history: &History) -> String {
    let (part, all) = (violation.part.len(), history.operations().len());
    let smallest = if violation.is_minimal {
        "none of them can be left out"
    } else {
        "perhaps fewer would do"
    };
    format!(
        "{} of {}: {smallest}",
        count(part as u64),
        plural(all, "operation", "operations")
    )
}

/// Text in lines of a width, the later ones indented.
fn wrapped(text: &str, width: usize, indent: usize) -> String {
    let mut out = String::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.trim().is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            out.push_str(line.trim_end());
            out.push('\n');
            line = " ".repeat(indent);
        } else if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    out.push_str(line.trim_end());
    out.push('\n');
    out
}

fn report(path: &Path, history: &History, spec: Spec, judgements: &[Judgement]) -> Json {
    let operation = |at: &usize| {
        let of = &history.operations()[*at];
        json!({
            "name": history.name(*at),
            "process": history.processes()[of.process as usize],
            "what": label(history, *at, true, Detail::Full),
            "line": of.line,
            "response_line": if of.response_line == 0 { Json::Null } else { of.response_line.into() },
            "outcome": match of.outcome { Outcome::Ok => "ok", Outcome::Fail => "fail", Outcome::Info => "info" },
        })
    };
    let violation = |of: &Violation| {
        json!({
            "kind": of.kind,
            "why": of.why,
            "key": of.key.map(|key| plain(history.key(key))),
            "operations": of.part.iter().map(operation).collect::<Vec<_>>(),
            "contradicting": of.marked.iter().map(|at| history.name(*at)).collect::<Vec<_>>(),
            "smallest": of.is_minimal,
        })
    };
    let judged = judgements.iter().map(|of| {
        json!({
            "model": of.model.name(),
            "verdict": match of.verdict { Verdict::Holds => "holds", Verdict::Violated => "violated", Verdict::Unknown => "unknown" },
            "violation": of.violation.as_ref().map(violation),
            "undecided": of.undecided,
            "steps": of.steps,
        })
    });
    json!({
        "history": name(path),
        "spec": spec.name(),
        "operations": history.operations().len(),
        "processes": history.processes().len(),
        "objects": history.keys(),
        "judgements": judged.collect::<Vec<_>>(),
    })
}

fn plain(value: &Value) -> Json {
    match value {
        Value::Nil => Json::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Real(bits) => f64::from_bits(*bits).into(),
        Value::Text(text) => text.as_str().into(),
    }
}

/// What `--out` writes: the judgements, and for each violation its operations and its timeline.
fn files(path: &Path, history: &History, spec: Spec, judgements: &[Judgement]) -> Result<Vec<File>> {
    let document = report(path, history, spec, judgements);
    let mut files = vec![File {
        path: "judgement.json".into(),
        bytes: (serde_json::to_string_pretty(&document)? + "\n").into_bytes(),
    }];
    for of in judgements {
        let Some(violation) = &of.violation else { continue };
        let frame = Frame {
            title: format!("Not {}: {}", adjective(of.model), violation.kind),
            subtitle: format!("{}: {}", name(path), about(history, spec)),
            note: match of.model {
                Model::Linearizable => "Events in their order from left to right; distances say nothing. An operation takes effect within its bar.",
                _ => "Events in their order from left to right; distances say nothing.",
            }
            .into(),
        };
        let chart = Timeline::of(history, violation).chart(frame, &sentence(&violation.why));
        let mut part = Vec::new();
        history::write(&history.excerpt(&violation.part), Writing::JsonLines, &mut part)?;
        let model = of.model.name();
        files.extend([
            File {
                path: format!("{model}.svg"),
                bytes: render_svg(&chart)?.into_bytes(),
            },
            File {
                path: format!("{model}.png"),
                bytes: render_png(&chart)?,
            },
            File {
                path: format!("{model}.jsonl"),
                bytes: part,
            },
        ]);
    }
    let names: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let manifest = json!({ "tool_version": env!("CARGO_PKG_VERSION"), "history": name(path), "files": names });
    let bytes = (serde_json::to_string_pretty(&manifest)? + "\n").into_bytes();
    files.push(File {
        path: "manifest.json".into(),
        bytes,
    });
    Ok(files)
}

/// What a history that keeps a model is.
fn adjective(model: Model) -> &'static str {
    match model {
        Model::Linearizable => "linearizable",
        Model::Sequential => "sequentially consistent",
        Model::Causal => "causally consistent (causal memory)",
        Model::CausalConvergence => "causally convergent",
        Model::WeakCausal => "even weakly causally consistent",
        Model::Pram => "PRAM consistent",
        Model::ReadAtomic => "read atomic",
        Model::ReadYourWrites => "reading its own writes",
        Model::MonotonicReads => "reading monotonically",
        Model::MonotonicWrites => "writing monotonically",
        Model::WritesFollowReads => "letting writes follow reads",
    }
}

/// What a name on the command line stands for.
fn named<T: Copy>(what: &str, all: &[(&'static str, T)], name: &str) -> Result<T, String> {
    let found = all.iter().find(|(of, _)| *of == name);
    found.map(|(_, of)| *of).ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        let near = names
            .iter()
            .find(|of| strsim::damerau_levenshtein(of, name) <= 1 + name.len() / 3);
        let hint = near
            .map(|near| format!(" (did you mean '{near}'?)"))
            .unwrap_or_default();
        format!("there is no {what} '{name}'{hint}; there are {}", names.join(", "))
    })
}

/// A model on the command line.
#[derive(Debug, Clone, Copy)]
pub struct NamedModel(Model);

/// A kind of objects on the command line.
#[derive(Debug, Clone, Copy)]
pub struct NamedSpec(Spec);

/// A format that is read.
#[derive(Debug, Clone, Copy)]
pub struct NamedFormat(history::Format);

/// A format that is written.
#[derive(Debug, Clone, Copy)]
pub struct NamedWriting(pub(super) Writing);

/// The initial value, as JSON or as a plain text.
#[derive(Debug, Clone)]
pub struct Initial(Value);

/// Reads a model's name.
pub fn model(name: &str) -> Result<NamedModel, String> {
    named("model", &Model::ALL, name).map(NamedModel)
}

/// Reads a specification's name.
pub fn spec(name: &str) -> Result<NamedSpec, String> {
    named("specification", &Spec::ALL, name).map(NamedSpec)
}

/// Reads the name of a format that is read.
pub fn from(name: &str) -> Result<NamedFormat, String> {
    named("format", &history::Format::ALL, name).map(NamedFormat)
}

/// Reads the name of a format that is written.
pub fn writing(name: &str) -> Result<NamedWriting, String> {
    let all = [("jsonl", Writing::JsonLines), ("jepsen-edn", Writing::Jepsen)];
    named("format", &all, name).map(NamedWriting)
}

/// Reads an initial value.
pub fn initial(text: &str) -> Result<Initial, String> {
    if text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
        && serde_json::from_str::<Json>(text).is_ok_and(|value| value.is_number())
    {
        let number = history::number(text)?;
        return Ok(Initial(number.scalar().expect("a number is a value")));
    }
    Ok(Initial(match serde_json::from_str::<Json>(text) {
        Ok(Json::Null) => Value::Nil,
        Ok(Json::Bool(value)) => Value::Bool(value),
        Ok(Json::String(text)) => Value::Text(text),
        Ok(_) => return Err("an initial value is a number, a text, true, false or null".into()),
        Err(_) => Value::Text(text.into()),
    }))
}
