//! Terminal tables from neutral data.
pub mod numbers;
