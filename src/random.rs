//! Floor 2: distributions.
//!
//! A [`Law`] is the distribution of one number: parameters, checked by [`Law::validate`], with exact moments, distribution
//! function and quantile, and a sampler that takes everything from one addressed [`Stream`](crate::kernel::Stream). Samplers
//! are our own, over the pinned `libm`: the same address gives the same value on every platform and in every version, and
//! golden vectors watch over that. Values are plain numbers in whatever base unit the caller means (nanoseconds for
//! durations).
//!
//! ```
//! use quorate::kernel::{Key, Purpose};
//! use quorate::random::Law;
//!
//! let law = Law::LogNormal { median: 175e6, sigma: 0.25 }.truncated(50e6, f64::INFINITY);
//! law.validate()?;
//! let key = Key::root(7, 0).child("agent");
//! let think = law.sample_duration(&mut key.stream(Purpose(1), 0), 0);
//! assert!(think.as_millis_f64() >= 50.0);
//! # Ok::<(), quorate::random::LawError>(())
//! ```
//!
//! [`Column`], [`Rows`] and [`Labels`] are measured tables, read from CSV; the plain functions ([`standard_normal`], [`exponential`],
//! [`gamma`], ...) are for models of one's own.

mod continuous;
mod discrete;
mod empirical;
mod law;
pub mod math;
mod truncated;
mod ziggurat;

#[cfg(test)]
mod tests;

pub use continuous::{beta, gamma};
pub use discrete::{Zipf, poisson};
pub use empirical::{Column, Labels, Order, Rows, TableError, decompressed, row_count};
pub use law::{Law, LawError};
pub use truncated::Truncated;
pub use ziggurat::{exponential, normal, standard_exponential, standard_normal};
