//! Floor 1: time, the event queue, random draws, the loop and the fingerprint. Generic over a model; knows of no agent,
//! network or file.

pub mod draw;
pub mod entry;
pub mod fingerprint;
pub mod hints;
pub mod queue;
pub mod run;
pub mod time;

pub use draw::{Key, Purpose, Stream};
pub use entry::{Entry, Origin, Ticket, permute_ranks};
pub use fingerprint::{Checkpoint, Fingerprint, Print, Words};
pub use hints::{in_large_pages, prefetch};
pub use queue::Queue;
pub use run::{End, Focus, Handled, Kernel, Liveness, Model, Out, Perturbation, Prepare};
pub use time::{SimDuration, SimTime};
