//! Rates: so many events in so much time, as an exact fraction.

use super::super::decode::{Cx, Decode, Encode};
use super::super::tree::Node;
use super::kinds::DURATION;
use super::{Kind, QuantityError, decimal_text, reading, split, unit};
use crate::kernel::SimDuration;
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// How often something happens: `"40/s"`, `"100/min"`, `"0.5/h"`, `"3/10min"`. Events in nanoseconds, in lowest terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    events: u64,
    nanos: u64,
}

const RATE: Kind = Kind {
    what: "a rate",
    example: "40/s",
    units: &[
        unit("/ns", 1),
        unit("/us", 1),
        unit("/ms", 1),
        unit("/s", 1),
        unit("/min", 1),
        unit("/h", 1),
        unit("/d", 1),
    ],
    usual: "/s",
    finest: "a nanosecond",
    signed: false,
};

impl Rate {
    /// `events` in `time`; `None` if `time` is zero.
    pub fn new(events: u64, time: SimDuration) -> Option<Self> {
        Self::reduced(events.into(), time.as_nanos().into())
    }

    fn reduced(events: u128, nanos: u128) -> Option<Self> {
        if nanos == 0 {
            return None;
        }
        let divisor = gcd(events, nanos);
        let (events, nanos) = (
            u64::try_from(events / divisor).ok()?,
            u64::try_from(nanos / divisor).ok()?,
        );
        Some(Self { events, nanos })
    }

    /// The numerator.
    pub fn events(self) -> u64 {
        self.events
    }

    /// The time in which they happen, in nanoseconds: never zero.
    pub fn nanos(self) -> u64 {
        self.nanos
    }

    /// Events a second.
    pub fn per_second(self) -> f64 {
        self.events as f64 / self.nanos as f64 * 1e9
    }

    /// The mean time from one to the next in nanoseconds; infinite for a rate of zero.
    pub fn mean_gap_nanos(self) -> f64 {
        self.nanos as f64 / self.events as f64
    }

    /// When number `n` (from zero) of evenly spaced events happens, rounded down; `None` past the end of time.
    pub fn at(self, n: u64) -> Option<SimDuration> {
        if self.events == 0 {
            return None;
        }
        let ns = u128::from(n) * u128::from(self.nanos) / u128::from(self.events);
        u64::try_from(ns).ok().map(SimDuration::from_nanos)
    }
}

fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

impl FromStr for Rate {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let Some((number, rest)) = split(text) else {
            return Err(RATE.malformed(text));
        };
        let Some(period) = rest.strip_prefix('/') else {
            return Err(RATE.wrong_unit(text, rest));
        };
        if number.negative {
            return Err(
                QuantityError::new(super::Code::QuantityRange, "a rate can't be negative")
                    .meant(text.trim_start_matches('-').to_string()),
            );
        }
        let period = period.strip_prefix(' ').unwrap_or(period);
        let nanos = match DURATION.find(period) {
            Some(nanos) => nanos,
            None if period.starts_with(|c: char| c.is_ascii_digit()) => DURATION.read(period)?.1,
            None => return Err(RATE.wrong_unit(text, rest)),
        };
        let time = 10_u128
            .pow(number.scale)
            .checked_mul(nanos)
            .ok_or_else(|| RATE.too_large(text))?;
        if time == 0 {
            return Err(QuantityError::new(
                super::Code::QuantityRange,
                "a rate is in a time, which can't be zero",
            ));
        }
        Self::reduced(number.digits, time).ok_or_else(|| RATE.too_large(text))
    }
}

impl fmt::Display for Rate {
    /// The text that reads best: in seconds unless another unit makes it shorter.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts = ["s", "min", "h", "d", "ms", "us", "ns"].into_iter().filter_map(|unit| {
            let exact = u128::from(self.events).checked_mul(DURATION.find(unit)?)?;
            let number = decimal_text(exact, self.nanos.into())?;
            Some((reading(&number), format!("{number}/{unit}")))
        });
        let best = texts.min_by_key(|(rank, _)| *rank).map(|(_, text)| text);
        // A fraction that ends in no unit, such as 1/7 a second.
        f.pad(&best.unwrap_or_else(|| format!("{}/{}", self.events, DURATION.write(false, self.nanos.into()))))
    }
}

impl Decode for Rate {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        let text = RATE.text(node, cx)?;
        text.parse()
            .map_err(|error: QuantityError| cx.push(error.diagnostic(node)))
            .ok()
    }
    fn type_name() -> String {
        "rate (`\"40/s\"`)".into()
    }
}

impl Encode for Rate {
    fn encode(&self) -> Node {
        Node::text(self.to_string())
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
