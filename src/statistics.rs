//! Floor 2: statistics over replicates and over samples: pure functions that give the same bits on every machine.
//!
//! The replicate is the unit of every interval. No function here returns NaN: what has no answer (an interval from one
//! replicate, a quantile with too little beyond it) is `None` or says why.
//!
//! - [`Summary`], [`Paired`], [`wilson`], [`Running`]: means, paired differences, proportions, with intervals.
//! - [`nearest_rank`], [`Recorder`]: quantiles and distribution functions of samples.
//! - [`discoveries`]: which of many comparisons are beyond chance.
//! - [`PowerLaw`]: how one quantity grows with another.
//! - [`side_of_half`], [`crossing_of_half`]: on which side of one half a share lies, and where it crosses.
//! - [`normal_quantile`], [`student_t_quantile`]: the quantiles that the intervals stand on.

mod discovery;
mod quantiles;
mod samples;
mod scaling;
mod summary;
#[cfg(test)]
mod tests;
mod threshold;

pub use discovery::{discoveries, two_sided_p};
pub use quantiles::{normal_quantile, student_t_quantile};
pub use samples::{BEYOND, DEFAULT_LIMIT, Distribution, Precision, Quantile, Recorder, ecdf_band, nearest_rank};
pub use scaling::PowerLaw;
pub use summary::{Interval, Level, Paired, Running, Summary, UnequalLengths, wilson};
pub use threshold::{Side, crossing_of_half, evidence_against_half, least_to_decide, side_of_half};
