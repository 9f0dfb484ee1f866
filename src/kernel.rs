//! Floor 1: time, the event queue, random draws, the loop and the fingerprint. Generic over a model; knows of no agent,
//! network or file.

pub mod draw;
pub mod time;

pub use draw::{Key, Purpose, Stream};
pub use time::{SimDuration, SimTime};
