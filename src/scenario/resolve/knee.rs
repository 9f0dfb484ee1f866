//! `knee`: what is looked for, typed and checked.

use super::expect::{check_name, wrong_unit};
use super::{Kind, Measures, What};
use crate::measures;
use crate::scenario::language::Scenario;
use crate::scenario::language::compare::{Amount, Knee};
use crate::scenario::syntax::{Code, Cx, Decode, Diagnostic, Diagnostics, Limits, Node, Path, Spanned, patch, write};

/// What `quorate knee` looks for.
#[derive(Debug, Clone, PartialEq)]
pub struct KneeSpec {
    /// The parameter.
    pub path: Path,
    /// The least value that is looked at.
    pub from: Amount,
    /// The greatest: of the same kind, and above it.
    pub to: Amount,
    /// The measure that answers.
    pub measure: String,
    /// What the measure must be above for a yes; `None`: it is a yes or no.
    pub above: Option<Amount>,
    /// How wide the interval may be, as a part of the value in its middle.
    pub precision: f64,
    /// The most runs at a value.
    pub replicates: u32,
    /// How sure the interval is.
    pub confidence: f64,
    /// How many values are looked at first.
    pub points: u32,
}

impl KneeSpec {
    /// What is wrong with it, if anything: in words.
    pub fn problem(&self) -> Option<String> {
        let alike = std::mem::discriminant(&self.from) == std::mem::discriminant(&self.to);
        if !alike {
            return Some(format!(
                "the range begins with {} and ends with {}",
                self.from.kind(),
                self.to.kind()
            ));
        }
        if self.from.base() >= self.to.base() {
            return Some(format!(
                "the range begins at {}, which isn't below its end {}",
                self.from, self.to
            ));
        }
        let is_verdict = measures::find(&self.measure).map(|info| info.unit == measures::Unit::Verdict);
        match (is_verdict, self.above) {
            (Some(true), Some(_)) => Some(format!(
                "{} is a yes or no, and takes no `above`",
                write::quoted(&self.measure)
            )),
            (Some(false), None) => Some(format!(
                "{} is no yes or no: say which value is one, with `above`",
                write::quoted(&self.measure)
            )),
            _ if self.points < 2 => Some("a range has two ends: `points` is at least 2".into()),
            _ if !(0.5..1.0).contains(&self.confidence) => {
                Some("a confidence lies at or above 50% and below 100%".into())
            }
            _ if !(1e-6..=1.0).contains(&self.precision) => {
                Some("a precision lies above 0 and at or below 100%".into())
            }
            _ => None,
        }
    }
}

/// What the scenario looks for; problems are reported. `root` is the scenario as a tree, which the path leads into.
pub(in crate::scenario) fn knee(
    file: &Scenario,
    root: &Node,
    known: &dyn Measures,
    limits: &Limits,
    out: &mut Diagnostics,
) -> Option<KneeSpec> {
    let written = file.knee.given()?;
    let Knee {
        path,
        from,
        to,
        measure,
        above,
        precision,
        replicates,
        confidence,
        points,
    } = &written.value;
    if let Some(measure) = measure.get() {
        check_name(What::Measure, measure, known, out);
        if let (Some(kind), Some(above)) = (known.kind(measure), above.given()) {
            check_kind(measure, kind, above, out);
        }
    }
    if let (Some(path), Some(from)) = (path.get(), from.get()) {
        let (value, mut root) = (from.value.node(), root.clone());
        if let Err(error) = patch::set(&mut root, &path.value, value, path.span, limits) {
            out.push(error.diagnostic(path.span));
        }
    }
    let spec = KneeSpec {
        path: path.get()?.value.clone(),
        from: from.get()?.value,
        to: to.get()?.value,
        measure: measure.get()?.value.clone(),
        above: above.get()?.as_ref().map(|above| above.value),
        precision: precision.get()?.get(),
        replicates: *replicates.get()?.value,
        confidence: confidence.get()?.get(),
        points: points.get()?.value,
    };
    if let Some(problem) = spec.problem() {
        out.push(Diagnostic::error(Code::BadKnee, written.span, problem));
        return None;
    }
    Some(spec)
}

fn check_kind(measure: &str, kind: Kind, above: &Spanned<Amount>, out: &mut Diagnostics) {
    if !kind.takes(above.value) {
        out.push(wrong_unit(measure, kind, above));
    }
}

/// A quantity from a text as a command line has it: a number, or one with a unit.
///
/// # Errors
/// What is wrong with it, in words.
pub fn amount(text: &str) -> Result<Amount, String> {
    let node = match text.trim().parse::<f64>() {
        Ok(number) if number.is_finite() => return Ok(Amount::Number(number)),
        _ => Node::text(text.trim().to_string()),
    };
    let mut cx = Cx::new();
    let found = Amount::decode(&node, &mut cx).filter(|_| !cx.diagnostics.has_errors());
    found.ok_or_else(|| format!("`{text}` is no number and no quantity such as 5.25s, 40/s, 64KiB or 2%"))
}
