//! How measures grow from variant to variant: a power law through all replicates.

use super::results::Results;
use super::statistics::{Level, PowerLaw};
use crate::scenario::ScalingSpec;
use serde::Serialize;

/// How a measure grows with a number of the scenario.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scaling {
    /// What it is called.
    pub called: String,
    /// The measure.
    pub measure: String,
    /// Where the number stands that it grows with.
    pub with: String,
    /// The variants, and what was measured.
    pub sizes: Vec<Size>,
    /// The fit; `None` if fewer than two different numbers have values with a logarithm.
    pub fit: Option<Fit>,
}

/// What a variant says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Size {
    /// Its name.
    pub variant: String,
    /// The number.
    pub x: f64,
    /// The measure's value in each of its replicates.
    pub values: Vec<f64>,
}

/// A power law, fitted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Fit {
    /// The exponent.
    pub exponent: f64,
    /// The lower end of its interval of 95 %.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
    /// The factor: what the law says of 1.
    pub factor: f64,
    /// How many values it is fitted to.
    pub n: u64,
    /// How many different numbers.
    pub sizes: u64,
}

/// Fits what a scenario wants fitted.
pub fn scaling(results: &Results, specs: &[ScalingSpec]) -> Vec<Scaling> {
    let one = |spec: &ScalingSpec| {
        let sizes = spec.points.iter().filter_map(|point| {
            let variant = results.variant(&point.variant)?;
            let values = variant.runs.iter();
            Some(Size {
                variant: point.variant.clone(),
                x: point.x,
                values: values
                    .filter_map(|run| run.measures.get(&spec.measure).copied())
                    .collect(),
            })
        });
        let sizes: Vec<Size> = sizes.collect();
        let all = sizes.iter().flat_map(|size| size.values.iter().map(|y| (size.x, *y)));
        let law = PowerLaw::fit(&all.collect::<Vec<_>>(), Level::P95);
        Scaling {
            called: spec.called.clone(),
            measure: spec.measure.clone(),
            with: spec.with.clone(),
            sizes,
            fit: law.map(|law| Fit {
                exponent: law.exponent,
                low: law.interval.map(|interval| interval.low),
                high: law.interval.map(|interval| interval.high),
                factor: law.factor,
                n: law.n,
                sizes: law.sizes,
            }),
        }
    };
    specs.iter().map(one).collect()
}
