//! `scaling`: which measure grows with which number, over which variants.

use super::expect::{check_bound, check_name};
use super::{Measures, What};
use crate::scenario::language::Scenario;
use crate::scenario::language::compare::{Amount, Bound, Change, Scaling};
use crate::scenario::syntax::{
    Code, Cx, Decode, Diagnostic, Diagnostics, Node, Part, SourceMap, Spanned, patch, unknown_name, write,
};

/// The most of them.
const MOST: usize = 16;
/// So many different numbers make a fit worth something.
const ENOUGH: usize = 3;

/// A measure that grows with a number of the scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct ScalingSpec {
    /// The measure.
    pub measure: String,
    /// Where the number stands.
    pub with: String,
    /// What it is called.
    pub called: String,
    /// The variants, and the number in each.
    pub points: Vec<ScalingPoint>,
    /// Where the exponent must lie.
    pub bound: Option<Bound>,
    /// Where it stands: `file:line:column`.
    pub place: String,
}

/// A variant, and a number of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ScalingPoint {
    /// The variant.
    pub variant: String,
    /// The number, in base units.
    pub x: f64,
}

/// The scenario with these changes.
type Changed<'c> = &'c dyn Fn(&[Part<Change>]) -> Node;

/// What is to be fitted; problems are reported.
pub(in crate::scenario) fn scaling(
    file: &Scenario,
    changed: Changed<'_>,
    known: &dyn Measures,
    map: &SourceMap,
    out: &mut Diagnostics,
) -> Vec<ScalingSpec> {
    let mut all = Vec::new();
    for written in file.scaling.get().map_or(&[][..], Vec::as_slice) {
        let Some(written) = written.get() else { continue };
        if all.len() == MOST {
            let message = format!("at most {MOST} measures are fitted");
            out.push(Diagnostic::error(Code::TooMany, written.span, message));
            break;
        }
        let place = map.locate(written.span);
        all.extend(one(file, written, changed, known, out).map(|spec| ScalingSpec { place, ..spec }));
    }
    all
}

fn one(
    file: &Scenario,
    written: &Spanned<Scaling>,
    changed: Changed<'_>,
    known: &dyn Measures,
    out: &mut Diagnostics,
) -> Option<ScalingSpec> {
    let Scaling {
        measure,
        with,
        variants,
        called,
        is,
    } = &written.value;
    if let Some(measure) = measure.get() {
        check_name(What::Measure, measure, known, out);
    }
    if let Some(is) = is.given() {
        let ends = match &is.value {
            Bound::Between(low, high) => vec![low, high],
            Bound::AtMost(value) | Bound::AtLeast(value) | Bound::Near { value, .. } => vec![value],
        };
        match ends.iter().find(|end| !matches!(end.value, Amount::Number(_))) {
            Some(end) => {
                let message = format!("an exponent is a number, and this bound is {}", end.kind());
                out.push(Diagnostic::error(Code::WrongMeasureUnit, end.span, message));
            }
            None => check_bound(is, None, out),
        }
    }
    let (measure, with) = (measure.get()?, with.get()?);
    let names: Vec<&str> = match variants.get()? {
        None => std::iter::once("base").chain(file.variants.0.names()).collect(),
        Some(names) => {
            let mut all = Vec::new();
            for name in names.value.0.iter().filter_map(Part::get) {
                let is_there = name.value == "base" || file.variants.0.get(name).is_some();
                if !is_there && file.variants.0.is_whole() {
                    let names = std::iter::once("base").chain(file.variants.0.names());
                    unknown_name(name, names, Code::UnknownVariantName, "variant", out);
                    return None;
                }
                if all.contains(&name.value.as_str()) {
                    let message = format!("{} stands twice", write::quoted(name));
                    out.push(Diagnostic::error(Code::NamedTwice, name.span, message));
                    return None;
                }
                all.push(name.value.as_str());
            }
            all
        }
    };
    let mut points = Vec::new();
    for name in names {
        let changes = match name {
            "base" => &[][..],
            name => file.variants.0.get(name)?.get()?.as_slice(),
        };
        let root = changed(changes);
        let Some(x) = patch::get(&root, &with.value).and_then(number) else {
            let message = format!(
                "in the variant {} no positive number stands at `{}`",
                write::quoted(name),
                with.value
            );
            let problem = Diagnostic::error(Code::NotANumber, with.span, message);
            out.push(
                problem.help("`variants` says which ones are compared; a default has to be written out to be found"),
            );
            return None;
        };
        points.push(ScalingPoint {
            variant: name.to_string(),
            x,
        });
    }
    let mut sizes: Vec<f64> = points.iter().map(|point| point.x).collect();
    sizes.sort_by(f64::total_cmp);
    sizes.dedup();
    if sizes.len() < ENOUGH {
        let message = format!(
            "{} different number{} stand at `{}`: two make any line fit, and an exponent needs {ENOUGH}",
            sizes.len(),
            if sizes.len() == 1 { "" } else { "s" },
            with.value
        );
        out.push(Diagnostic::warning(Code::FewSizes, with.span, message));
    }
    Some(ScalingSpec {
        measure: measure.value.clone(),
        with: with.value.to_string(),
        called: called.get()?.clone().unwrap_or_else(|| measure.value.clone()),
        points,
        bound: is.get()?.as_ref().map(|is| is.value.clone()),
        place: String::new(),
    })
}

/// A positive number, or a quantity in its base unit.
fn number(node: &Node) -> Option<f64> {
    let mut cx = Cx::new();
    let amount = Amount::decode(node, &mut cx).filter(|_| !cx.diagnostics.has_errors())?;
    Some(amount.base()).filter(|x| x.is_finite() && *x > 0.0)
}
