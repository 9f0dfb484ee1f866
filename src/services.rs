//! Floor 3: what agents call: inference, tools, databases. Servers, queues, limits and budgets.

pub mod answers;
pub mod batching;
pub mod books;
mod fair;
mod job;
pub mod limit;
pub mod limits;
mod line;
pub mod lock;
pub mod overload;
pub mod routing;
pub mod service;
mod sharing;
pub mod spec;

pub use batching::Batching;
pub use limits::{Allows, Counts, LimitSpec, LimitsSpec, Per};
pub use line::Discipline;
pub use lock::{LockService, LockSpec};
pub use overload::Overload;
pub use routing::Routing;
pub use service::{Found, Refusal, Service};
pub use spec::{
    Abandoned, Budget, Ejection, Excess, FairShares, Gathering, Passing, RateLimit, ServiceSpec, ServiceTime, ShareOf,
    Tokens,
};
