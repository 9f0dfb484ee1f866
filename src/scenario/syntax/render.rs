//! Diagnostics for people (with the source lines), for editors and logs (one line each) and for programs (JSON).
//!
//! All three are sorted by place and show each problem once. Control characters of the scenario never reach a terminal.

use super::codes::Code;
use super::diagnostic::{Diagnostic, Diagnostics, Help, Label, Severity};
use super::source::{Source, SourceMap, Span, floor_boundary};
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde::Serialize;
use std::fmt::Write;

/// How diagnostics are shown as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Show {
    /// With ANSI colours.
    pub colour: bool,
    /// How many are shown; the rest is counted.
    pub most: usize,
}

impl Default for Show {
    /// Without colours, fifty at most.
    fn default() -> Self {
        Self {
            colour: false,
            most: 50,
        }
    }
}

/// Lines longer than this are shown in part.
const LONG: usize = 400;
/// Labels this many lines apart are shown in one piece.
const NEAR: usize = 6;

/// The diagnostics with the source lines they are about, and a closing line that counts them.
pub fn render(diagnostics: &Diagnostics, map: &SourceMap, show: Show) -> String {
    let sorted = diagnostics.sorted();
    let renderer = if show.colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let mut out = String::new();
    for diagnostic in sorted.iter().take(show.most) {
        out.push_str(&render_one(diagnostic, map, &renderer));
        out.push_str("\n\n");
    }
    out.push_str(&summary(&sorted, diagnostics, show.most));
    out
}

/// One line a diagnostic: `file:line:column: error[E0101]: message`, and a closing line if some are left out.
pub fn render_short(diagnostics: &Diagnostics, map: &SourceMap, most: usize) -> String {
    let sorted = diagnostics.sorted();
    let mut out = String::new();
    for diagnostic in sorted.iter().take(most) {
        let place = diagnostic.span().map_or(String::new(), |s| map.locate(s) + ": ");
        let kind = severity(diagnostic.severity);
        let _ = writeln!(
            out,
            "{}{kind}[{}]: {}",
            clean(&place),
            diagnostic.code,
            clean(&diagnostic.message)
        );
    }
    let left = sorted.len().saturating_sub(most) + diagnostics.beyond();
    if left > 0 {
        let _ = writeln!(out, "and {left} more");
    }
    out
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn summary(sorted: &[&Diagnostic], diagnostics: &Diagnostics, most: usize) -> String {
    let (errors, warnings) = (diagnostics.error_count(), diagnostics.warning_count());
    let plural = |n: usize, what| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let mut parts = Vec::new();
    if errors > 0 {
        parts.push(plural(errors, "error"));
    }
    if warnings > 0 {
        parts.push(plural(warnings, "warning"));
    }
    if parts.is_empty() {
        return String::new();
    }
    let hidden = sorted.len().saturating_sub(most) + diagnostics.beyond();
    let tail = if hidden > 0 {
        format!(", {hidden} not shown")
    } else {
        String::new()
    };
    let first = sorted.iter().find(|d| d.severity == Severity::Error).map(|d| d.code);
    let more = first.map_or(String::new(), |code| {
        format!("; `quorate help {code}` explains the first")
    });
    format!("{}{tail}{more}\n", parts.join(", "))
}

/// Text on one line without control characters, so that a scenario can't write to a terminal as it likes.
fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' {
            out.push_str("\\n");
        } else if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            let _ = write!(out, "\\u{{{:x}}}", c as u32);
        } else {
            out.push(c);
        }
    }
    out
}

fn render_one(diagnostic: &Diagnostic, map: &SourceMap, renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level
        .primary_title(clean(&diagnostic.message))
        .id(diagnostic.code.to_string());
    let mut group = Group::with_title(title);
    let snippets = pieces(diagnostic, map);
    for piece in &snippets {
        let annotations = piece.labels.iter().map(|(range, label, primary)| -> Annotation<'_> {
            let kind = if *primary {
                AnnotationKind::Primary
            } else {
                AnnotationKind::Context
            };
            let text = (!label.text.is_empty()).then(|| clean(&label.text));
            kind.span(range.clone()).label(text)
        });
        let snippet = Snippet::source(piece.text.as_str()).line_start(piece.line);
        let snippet = match &piece.clipped {
            None => snippet.path(clean(piece.source.name())),
            Some((line, column)) => {
                group = group.element(
                    Origin::path(clean(piece.source.name()))
                        .line(*line)
                        .char_column(*column),
                );
                snippet
            }
        };
        group = group.element(snippet.annotations(annotations));
    }
    for note in &diagnostic.notes {
        group = group.element(Level::NOTE.message(clean(note)));
    }
    for help in &diagnostic.helps {
        group = group.element(Level::HELP.message(clean(&help_text(help))));
    }
    renderer.render(&[group])
}

/// A help's message with its replacement, where the message doesn't say it already.
fn help_text(help: &Help) -> String {
    match &help.replacement {
        Some((_, text)) if !text.is_empty() && !help.message.contains(text.as_str()) => {
            format!("{}: `{}`", help.message, super::tree::shortened(text))
        }
        _ => help.message.clone(),
    }
}

/// Some lines of a source with labels in them.
struct Piece<'a> {
    source: &'a Source,
    text: String,
    line: usize,
    labels: Vec<(std::ops::Range<usize>, &'a Label, bool)>,
    /// The true place, where the text is only a part of a long line.
    clipped: Option<(usize, usize)>,
}

/// Labels, and whether each is the place itself.
type Marked<'a> = Vec<(&'a Label, bool)>;

/// Cuts out the lines around the labels; the renderer's work doesn't grow with the size of the file.
fn pieces<'a>(diagnostic: &'a Diagnostic, map: &'a SourceMap) -> Vec<Piece<'a>> {
    let mut groups: Vec<(&Source, Span, Marked<'_>)> = Vec::new();
    for (at, label) in diagnostic.labels.iter().enumerate() {
        let Some(source) = map.get(label.span.source) else {
            continue;
        };
        let line = |offset: u32| source.place(offset as usize).line;
        let near = groups.iter_mut().find(|(_, span, _)| {
            span.source == label.span.source
                && line(span.start) <= line(label.span.end) + NEAR
                && line(label.span.start) <= line(span.end) + NEAR
        });
        match near {
            Some((_, span, labels)) => {
                *span = span.to(label.span);
                labels.push((label, at == 0));
            }
            None => groups.push((source, label.span, vec![(label, at == 0)])),
        }
    }
    groups
        .into_iter()
        .map(|(source, span, labels)| piece(source, span, labels))
        .collect()
}

fn piece<'a>(source: &'a Source, span: Span, labels: Marked<'a>) -> Piece<'a> {
    let text = source.text();
    let first = source.place(span.start as usize);
    // A long span is shown by its first lines.
    let last = source.place(span.end as usize).line.min(first.line + 2 * NEAR);
    let (mut start, mut end) = (source.line(first.line).start, source.line(last).end);
    if text[start..].starts_with('\u{feff}') {
        start += 3;
    }
    let mut clipped = None;
    if (first.line..=last).any(|line| source.line(line).len() > LONG) {
        clipped = Some((first.line, first.column));
        let centre = (labels[0].0.span.start as usize).clamp(start, end);
        start = floor_boundary(text, centre.saturating_sub(LONG / 4).max(start));
        end = floor_boundary(text, (centre + LONG / 2).min(end));
    }
    let within = |offset: u32| floor_boundary(text, offset as usize).clamp(start, end) - start;
    let labels = labels
        .into_iter()
        .map(|(label, primary)| (within(label.span.start)..within(label.span.end), label, primary));
    // Control characters are shown as blanks of the same length, which keeps the offsets.
    let shown: String = text[start..end]
        .chars()
        .flat_map(|c| {
            let hide = c.is_control() && !matches!(c, '\n' | '\r' | '\t');
            std::iter::repeat_n(if hide { ' ' } else { c }, if hide { c.len_utf8() } else { 1 })
        })
        .collect();
    Piece {
        source,
        labels: labels.collect(),
        text: shown,
        line: first.line,
        clipped,
    }
}

/// A diagnostic for `--format json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report<'a> {
    /// `E0101`.
    pub code: Code,
    /// The code's title.
    pub title: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: &'a str,
    /// Where; the first is the place itself.
    pub labels: Vec<ReportLabel<'a>>,
    /// What else one should know.
    pub notes: &'a [String],
    /// What to do.
    pub helps: Vec<ReportHelp<'a>>,
}

/// A place in a [`Report`]: lines and columns from one, bytes from zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportPlace<'a> {
    /// The file as the user named it.
    pub file: &'a str,
    /// The line of the first character.
    pub line: usize,
    /// The column of the first character.
    pub column: usize,
    /// The line behind the last character.
    pub end_line: usize,
    /// The column behind the last character.
    pub end_column: usize,
    /// The bytes.
    pub bytes: [u32; 2],
}

/// A place and what is said about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportLabel<'a> {
    /// Where.
    pub place: Option<ReportPlace<'a>>,
    /// What.
    pub text: &'a str,
}

/// A way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportHelp<'a> {
    /// What to do.
    pub message: &'a str,
    /// Where a text is to be replaced.
    pub place: Option<ReportPlace<'a>>,
    /// By what.
    pub replacement: Option<&'a str>,
}

/// All diagnostics by place, in the form that programs read.
pub fn reports<'a>(diagnostics: &'a Diagnostics, map: &'a SourceMap) -> Vec<Report<'a>> {
    let place = |span: Span| {
        let source = map.get(span.source)?;
        let (start, end) = (source.place(span.start as usize), source.place(span.end as usize));
        Some(ReportPlace {
            file: source.name(),
            line: start.line,
            column: start.column,
            end_line: end.line,
            end_column: end.column,
            bytes: [span.start, span.end],
        })
    };
    let report = |d: &'a Diagnostic| Report {
        code: d.code,
        title: d.code.title(),
        severity: d.severity,
        message: &d.message,
        labels: d
            .labels
            .iter()
            .map(|l| ReportLabel {
                place: place(l.span),
                text: &l.text,
            })
            .collect(),
        notes: &d.notes,
        helps: d
            .helps
            .iter()
            .map(|h| ReportHelp {
                message: &h.message,
                place: h.replacement.as_ref().and_then(|(span, _)| place(*span)),
                replacement: h.replacement.as_ref().map(|(_, text)| text.as_str()),
            })
            .collect(),
    };
    diagnostics.sorted().into_iter().map(report).collect()
}
