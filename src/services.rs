//! Floor 3: what agents call: inference, tools, databases. Servers, queues, limits and budgets.

pub mod books;
mod job;
pub mod limit;
pub mod service;
pub mod spec;

pub use service::Service;
pub use spec::{Budget, Excess, RateLimit, ServiceSpec, ServiceTime, Tokens};
