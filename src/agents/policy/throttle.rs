//! Adaptive throttling at the client (Beyer et al., "Site Reliability Engineering", 2016, chapter 21, "Client-Side Throttling").
//!
//! A client that has made `requests` in the last two minutes, of which the server has accepted `accepts`, rejects the next by itself
//! with the probability max(0, (requests - K accepts) / (requests + 1)). What it rejects counts as a request.

use super::window::Window;
use crate::kernel::{SimDuration, SimTime};
use serde::{Deserialize, Serialize};

/// A throttle as described.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ThrottleSpec {
    /// How many requests are sent for each one that is accepted.
    pub k: f64,
    /// How long what happened counts.
    pub window: SimDuration,
}

/// What a client knows of how its requests fare: requests, and accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Throttle(Window);

impl Throttle {
    /// A throttle that knows nothing yet.
    pub fn new(spec: &ThrottleSpec) -> Self {
        Self(Window::new(spec.window))
    }

    /// How likely the next request is rejected.
    pub fn probability(&mut self, spec: &ThrottleSpec, now: SimTime) -> f64 {
        let [requests, accepts] = self.0.sums(now);
        ((requests as f64 - spec.k * accepts as f64) / (requests as f64 + 1.0)).max(0.0)
    }

    /// A request is made, whether or not it's rejected.
    pub fn requested(&mut self, now: SimTime) {
        self.0.add(now, [1, 0]);
    }

    /// The server has answered one.
    pub fn accepted(&mut self, now: SimTime) {
        self.0.add(now, [0, 1]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probability_is_the_books() {
        let spec = ThrottleSpec {
            k: 2.0,
            window: SimDuration::from_secs(120),
        };
        let mut throttle = Throttle::new(&spec);
        let at = SimTime::from_nanos(1);
        assert_eq!(throttle.probability(&spec, at), 0.0);
        for _ in 0..100 {
            throttle.requested(at);
        }
        for _ in 0..20 {
            throttle.accepted(at);
        }
        assert_eq!(throttle.probability(&spec, at), 60.0 / 101.0);
        for _ in 0..30 {
            throttle.accepted(at);
        }
        assert_eq!(throttle.probability(&spec, at), 0.0);
        let later = SimTime::from_nanos(121_000_000_000);
        throttle.requested(later);
        assert_eq!(throttle.probability(&spec, later), 0.5, "what is over is forgotten");
    }
}
