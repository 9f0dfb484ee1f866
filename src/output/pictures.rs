//! Which charts a result is shown as.

use super::plots::Chart;
use crate::experiment::Results;

/// The charts of these results, by name.
pub fn charts(_results: &Results) -> Vec<(String, Chart)> {
    Vec::new()
}
