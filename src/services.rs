//! Floor 3: what agents call: inference, tools, databases. Servers, queues, limits and budgets.

pub mod books;
mod job;
pub mod limit;
mod line;
pub mod lock;
pub mod service;
mod sharing;
pub mod spec;

pub use line::Discipline;
pub use lock::{LockService, LockSpec};
pub use service::Service;
pub use spec::{Budget, Excess, RateLimit, ServiceSpec, ServiceTime, Tokens};
