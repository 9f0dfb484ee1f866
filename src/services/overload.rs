//! Overload: a service that refuses at its door because it has too much to do, or because of something that its clients can't know.

use crate::kernel::Key;
use crate::world::population::purpose;

/// When a service refuses as overloaded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overload {
    /// The probability with which it refuses a request, whatever it has to do.
    pub probability: f64,
    /// With so many requests in the house, waiting or in work, one more is refused; `None`: never for that.
    pub above: Option<u64>,
}

impl Overload {
    /// Whether an attempt is refused that comes while so many are in the house. Drawn at the address of the attempt under its caller's
    /// key.
    pub fn refuses(&self, inside: u64, key: Key, about: u64) -> bool {
        let is_full = self.above.is_some_and(|above| inside >= above);
        is_full || (self.probability > 0.0 && key.stream(purpose::OVERLOAD, about).chance(self.probability))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_refuses_with_its_probability_and_when_the_house_is_full() {
        let key = Key::root(4, 0);
        let often = |overload: Overload, inside| (0..10_000).filter(|n| overload.refuses(inside, key, *n)).count();
        let full = Overload {
            probability: 0.0,
            above: Some(3),
        };
        assert_eq!((often(full, 2), often(full, 3)), (0, 10_000));
        let drawn = Overload {
            probability: 0.1,
            above: None,
        };
        // Four standard errors of a binomial count: 4 sqrt(10000 * 0.1 * 0.9) = 120.
        assert!(often(drawn, 1_000_000).abs_diff(1000) < 120);
    }
}
