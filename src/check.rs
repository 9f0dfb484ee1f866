//! Floor 4: checks: independent code that rebuilds from the records what the models say of themselves, and histories of
//! stores, ours and others', judged against consistency models.

pub mod critical_path;
pub mod history;
