//! Floor 3: what agents call: inference, tools, databases. Servers, queues, limits and budgets.

pub mod batching;
pub mod books;
mod job;
pub mod limit;
pub mod limits;
mod line;
pub mod lock;
pub mod overload;
pub mod service;
mod sharing;
pub mod spec;

pub use batching::Batching;
pub use limits::{Allows, Counts, LimitSpec, LimitsSpec, Per};
pub use line::Discipline;
pub use lock::{LockService, LockSpec};
pub use overload::Overload;
pub use service::{Refusal, Service};
pub use spec::{Budget, Excess, RateLimit, ServiceSpec, ServiceTime, Tokens};
