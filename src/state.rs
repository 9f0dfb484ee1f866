//! Floor 3: what agents share.
