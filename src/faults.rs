//! Floor 2: fault schedules.
