//! Floor 2: distributions.
