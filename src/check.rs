//! Floor 4: checks: independent code that rebuilds from the records what the models say of themselves.

pub mod critical_path;
