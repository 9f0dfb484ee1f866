//! Floor 5: the language, the plan, the world built from it.
pub mod syntax;
