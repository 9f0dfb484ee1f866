//! Laws that every model keeps, checked on random schedules.
