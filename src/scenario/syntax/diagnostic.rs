//! What is wrong with a scenario, in a form that can be shown as text, as one line and as JSON.
//!
//! A collection keeps the first thousand problems and counts the rest, so that no file can exhaust memory by being wrong.

use super::codes::Code;
use super::source::Span;
use serde::Serialize;
use std::collections::BTreeSet;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The scenario can't be run.
    Error,
    /// It can be run, but says what its author hardly means.
    Warning,
}

/// A place in the text and what is to be said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// What is underlined.
    pub span: Span,
    /// What stands under it; may be empty.
    pub text: String,
}

/// A way out, with the text that would be right where that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Help {
    /// What to do.
    pub message: String,
    /// What to put in place of which bytes.
    pub replacement: Option<(Span, String)>,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of problem.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// Where; the first is the place itself, the others belong to it. A problem of the command line may have none.
    pub labels: Vec<Label>,
    /// What else one should know.
    pub notes: Vec<String>,
    /// What to do about it.
    pub helps: Vec<Help>,
}

impl Diagnostic {
    /// An error at `span`.
    pub fn error(code: Code, span: Span, message: impl Into<String>) -> Self {
        let labels = vec![Label {
            span,
            text: String::new(),
        }];
        Self {
            labels,
            ..Self::unplaced(code, message)
        }
    }

    /// A warning at `span`.
    pub fn warning(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, span, message)
        }
    }

    /// An error without a place in any text.
    pub fn unplaced(code: Code, message: impl Into<String>) -> Self {
        let (message, labels) = (message.into(), Vec::new());
        Self {
            code,
            severity: Severity::Error,
            message,
            labels,
            notes: Vec::new(),
            helps: Vec::new(),
        }
    }

    /// What stands under the place itself.
    pub fn here(mut self, text: impl Into<String>) -> Self {
        if let Some(first) = self.labels.first_mut() {
            first.text = text.into();
        }
        self
    }

    /// Another place that has to do with it.
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label {
            span,
            text: text.into(),
        });
        self
    }

    /// What else one should know.
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// What to do about it.
    pub fn help(mut self, message: impl Into<String>) -> Self {
        self.helps.push(Help {
            message: message.into(),
            replacement: None,
        });
        self
    }

    /// What to do about it: put `text` in place of `span`.
    pub fn replace(mut self, message: impl Into<String>, span: Span, text: impl Into<String>) -> Self {
        self.helps.push(Help {
            message: message.into(),
            replacement: Some((span, text.into())),
        });
        self
    }

    /// The place itself.
    pub fn span(&self) -> Option<Span> {
        self.labels.first().map(|l| l.span)
    }
}

/// The problems of one scenario, each once: what was said at a place isn't said there again.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    /// What is said where by the problems in the list.
    said: BTreeSet<(Option<Span>, Code, String)>,
    beyond: usize,
    errors: usize,
    warnings: usize,
}

impl Diagnostics {
    /// How many are kept; more are only counted.
    pub const KEPT: usize = 1000;

    /// No problems.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a problem, unless it is known.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        let essence = (diagnostic.span(), diagnostic.code, diagnostic.message.clone());
        if self.said.contains(&essence) {
            return;
        }
        match diagnostic.severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
        }
        if self.list.len() < Self::KEPT {
            self.list.push(diagnostic);
            self.said.insert(essence);
        } else {
            self.beyond += 1;
        }
    }

    /// Changes the problem that was added last, if it was kept.
    pub(crate) fn amend_last(&mut self, change: impl FnOnce(Diagnostic) -> Diagnostic) {
        if self.beyond == 0
            && let Some(last) = self.list.pop()
        {
            self.list.push(change(last));
        }
    }

    /// Whether anything forbids running the scenario.
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// How many errors there are, with those that were not kept.
    pub fn error_count(&self) -> usize {
        self.errors
    }

    /// How many warnings there are, with those that were not kept.
    pub fn warning_count(&self) -> usize {
        self.warnings
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether further problems are only counted, so that no work on their wording is of use.
    pub fn is_full(&self) -> bool {
        self.list.len() >= Self::KEPT
    }

    /// How many problems were only counted.
    pub fn beyond(&self) -> usize {
        self.beyond
    }

    /// The problems as they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// The problems by place, those without one first.
    pub fn sorted(&self) -> Vec<&Diagnostic> {
        let mut list: Vec<&Diagnostic> = self.list.iter().collect();
        // Stable: what was found first at a place stays first.
        list.sort_by_key(|d| d.span());
        list
    }

    /// Leaves out warnings that `keep` doesn't keep.
    pub fn retain_warnings(&mut self, keep: impl Fn(&Diagnostic) -> bool) {
        let before = self.list.len();
        self.list
            .retain(|problem| problem.severity == Severity::Error || keep(problem));
        self.warnings -= before - self.list.len();
    }

    /// Takes over all problems of another collection that aren't known.
    pub fn append(&mut self, other: Self) {
        // Those that were only counted.
        let errors = other.list.iter().filter(|d| d.severity == Severity::Error).count();
        self.beyond += other.beyond;
        self.errors += other.errors - errors;
        self.warnings += other.warnings - (other.list.len() - errors);
        other.list.into_iter().for_each(|diagnostic| self.push(diagnostic));
    }
}
