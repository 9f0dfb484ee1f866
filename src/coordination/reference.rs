//! Implementations by others, hosted as members under the same network as the project's own, to hold these against them.
//!
//! They are there in tests alone, each behind a feature of its own, and nothing of a scenario can use them: no fingerprint hangs on them.

#[cfg(feature = "reference-omnipaxos")]
mod omnipaxos;
