//! The kinds of quantity, all but [`Rate`](super::Rate).

use super::super::decode::{Cx, Decode, Encode};
use super::super::describe::Reference;
use super::super::diagnostic::Diagnostic;
use super::super::tree::{Node, Value};
use super::{Code, Decimal, Kind, QuantityError, split, unit};
use crate::kernel::SimDuration;
use serde::Serialize;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

/// A length of simulated time: `"250ms"`, `"1.5s"`, `"2min"`. Exact to the nanosecond, at most about 584 years.
pub type Duration = SimDuration;

const TIME: [super::Unit; 7] = [
    unit("ns", 1),
    unit("us", 1_000),
    unit("ms", 1_000_000),
    unit("s", 1_000_000_000),
    unit("min", 60_000_000_000),
    unit("h", 3_600_000_000_000),
    unit("d", 86_400_000_000_000),
];

pub(super) const DURATION: Kind = Kind {
    what: "a duration",
    example: "250ms",
    units: &TIME,
    usual: "s",
    finest: "a nanosecond",
    signed: false,
};

const SIGNED: Kind = Kind {
    what: "a signed duration",
    example: "-200ms",
    signed: true,
    ..DURATION
};

/// A difference of two clocks: `"-200ms"`. Nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct SignedDuration(pub i64);

/// An amount of money: `"3 USD"`, `"0.002 USD"`. Billionths of a dollar.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Money(pub i128);

const MONEY: Kind = Kind {
    what: "an amount of money",
    example: "0.002 USD",
    units: &[unit("USD", 1_000_000_000)],
    usual: "USD",
    finest: "a billionth of a dollar",
    signed: false,
};

/// A size: `"64KiB"`, `"1500B"`, `"2MB"`. Bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

const BYTES: Kind = Kind {
    what: "a size",
    example: "64KiB",
    units: &[
        unit("B", 1),
        unit("kB", 1_000),
        unit("KiB", 1 << 10),
        unit("MB", 1_000_000),
        unit("MiB", 1 << 20),
        unit("GB", 1_000_000_000),
        unit("GiB", 1 << 30),
        unit("TB", 1_000_000_000_000),
        unit("TiB", 1 << 40),
    ],
    usual: "B",
    finest: "a byte",
    signed: false,
};

/// How much a link carries: `"10Mbit/s"`, `"1MB/s"`. Bits a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Bandwidth(pub u64);

const BANDWIDTH: Kind = Kind {
    what: "a bandwidth",
    example: "10Mbit/s",
    units: &[
        unit("bit/s", 1),
        unit("B/s", 8),
        unit("kbit/s", 1_000),
        unit("kB/s", 8_000),
        unit("KiB/s", 8 << 10),
        unit("Mbit/s", 1_000_000),
        unit("MB/s", 8_000_000),
        unit("MiB/s", 8 << 20),
        unit("Gbit/s", 1_000_000_000),
        unit("GB/s", 8_000_000_000),
        unit("GiB/s", 8 << 30),
        unit("Tbit/s", 1_000_000_000_000),
    ],
    usual: "Mbit/s",
    finest: "a bit a second",
    signed: false,
};

/// How fast a clock runs wrong: `"50ppm"`, `"-20ppb"`. Parts in a billion.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Drift(pub i64);

const DRIFT: Kind = Kind {
    what: "a drift",
    example: "50ppm",
    units: &[unit("ppb", 1), unit("ppm", 1_000)],
    usual: "ppm",
    finest: "a part in a billion",
    signed: true,
};

impl Bandwidth {
    /// How long `bytes` take to be sent, rounded up to the nanosecond; [`SimDuration::MAX`] where that doesn't fit, as at
    /// no bandwidth at all.
    pub fn time_to_send(self, bytes: u64) -> SimDuration {
        if self.0 == 0 {
            return SimDuration::MAX;
        }
        let ns = (u128::from(bytes) * 8_000_000_000).div_ceil(u128::from(self.0));
        SimDuration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
    }
}

/// Gives a kind of quantity its texts: from, to, and in the language.
macro_rules! quantity {
    ($ty:ty, $kind:ident, $name:literal, $from:expr, $to:expr, $display:tt) => {
        impl Decode for $ty {
            fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
                let text = $kind.text(node, cx)?;
                quantity_from_text(text).map_err(|error: QuantityError| cx.push(error.diagnostic(node))).ok()
            }
            fn type_name() -> String {
                format!(concat!($name, " (`\"{}\"`)"), $kind.example)
            }
        }

        impl Encode for $ty {
            fn encode(&self) -> Node {
                let to: fn(&$ty) -> (bool, u128) = $to;
                let (negative, amount) = to(self);
                Node::text($kind.write(negative, amount))
            }
        }

        impl FromText for $ty {
            fn from_text(text: &str) -> Result<Self, QuantityError> {
                let from: fn(bool, u128) -> Option<$ty> = $from;
                let (negative, amount) = $kind.read(text)?;
                from(negative, amount).ok_or_else(|| $kind.too_large(text))
            }
        }

        quantity!(@$display $ty, $kind, $to);
    };
    (@own $ty:ty, $kind:ident, $to:expr) => {
        impl FromStr for $ty {
            type Err = QuantityError;
            fn from_str(text: &str) -> Result<Self, QuantityError> {
                <$ty as FromText>::from_text(text)
            }
        }

        impl fmt::Display for $ty {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let to: fn(&$ty) -> (bool, u128) = $to;
                let (negative, amount) = to(self);
                f.pad(&$kind.write(negative, amount))
            }
        }
    };
    // Simulated time has its own `Display`.
    (@foreign $ty:ty, $kind:ident, $to:expr) => {};
}

pub(super) trait FromText: Sized {
    fn from_text(text: &str) -> Result<Self, QuantityError>;
}

pub(super) fn quantity_from_text<T: FromText>(text: &str) -> Result<T, QuantityError> {
    T::from_text(text)
}

fn signed(negative: bool, amount: u128) -> Option<i64> {
    let value = i128::try_from(amount).ok()?;
    i64::try_from(if negative { -value } else { value }).ok()
}

quantity!(
    SimDuration,
    DURATION,
    "duration",
    |_, n| u64::try_from(n).ok().map(SimDuration::from_nanos),
    |d| (false, d.as_nanos().into()),
    foreign
);
quantity!(
    SignedDuration,
    SIGNED,
    "signed duration",
    |negative, n| signed(negative, n).map(Self),
    |d| (d.0 < 0, d.0.unsigned_abs().into()),
    own
);
quantity!(
    Money,
    MONEY,
    "money",
    |_, n| i128::try_from(n).ok().map(Self),
    |m| (m.0 < 0, m.0.unsigned_abs()),
    own
);
quantity!(
    Bytes,
    BYTES,
    "size",
    |_, n| u64::try_from(n).ok().map(Self),
    |b| (false, b.0.into()),
    own
);
quantity!(
    Bandwidth,
    BANDWIDTH,
    "bandwidth",
    |_, n| u64::try_from(n).ok().map(Self),
    |b| (false, b.0.into()),
    own
);
quantity!(
    Drift,
    DRIFT,
    "drift",
    |negative, n| signed(negative, n).map(Self),
    |d| (d.0 < 0, d.0.unsigned_abs().into()),
    own
);

/// Reads a number between 0 and 1, or a percentage between 0% and 100%.
fn share(node: &Node, cx: &mut Cx, what: &str) -> Option<f64> {
    let value = match &node.value {
        Value::Integer(i) => *i as f64,
        Value::Float(f) => *f,
        Value::Text(text) => match split(text) {
            Some((
                Decimal {
                    negative,
                    digits,
                    scale,
                },
                "%",
            )) => {
                // Std's parser rounds a decimal once, correctly, on every platform.
                let value: f64 = format!("{digits}e-{}", scale + 2).parse().unwrap_or(f64::NAN);
                if negative { -value } else { value }
            }
            number => {
                let error = QuantityError::new(Code::BadQuantity, format!("expected {what} such as 0.02 or \"2%\""));
                let problem = error.diagnostic(node);
                cx.push(match number {
                    Some((_, "")) => problem.replace("a plain number stands without quotes", node.span, text.clone()),
                    _ => problem,
                });
                return None;
            }
        },
        _ => {
            cx.wrong_shape(node, &format!("{what} such as 0.02 or \"2%\""));
            return None;
        }
    };
    if (0.0..=1.0).contains(&value) {
        // Negative zero is zero.
        return Some(value + 0.0);
    }
    let message = format!(
        "{what} lies between 0 and 1, found {}",
        super::super::write::number(value)
    );
    let problem = Diagnostic::error(Code::QuantityRange, node.span, message);
    let percent = !matches!(node.value, Value::Text(_)) && value > 1.0 && value <= 100.0;
    cx.push(if percent {
        problem.replace(
            format!("did you mean \"{value}%\"?"),
            node.span,
            format!("\"{value}%\""),
        )
    } else {
        problem
    });
    None
}

macro_rules! shares {
    ($($(#[$doc:meta])* $ty:ident, $what:literal, $name:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd, Serialize)]
        #[serde(transparent)]
        pub struct $ty(f64);

        impl $ty {
            /// Nothing, or never.
            pub const ZERO: Self = Self(0.0);
            /// All, or always.
            pub const ONE: Self = Self(1.0);

            /// `value`, if it lies between 0 and 1.
            pub fn new(value: f64) -> Option<Self> {
                (0.0..=1.0).contains(&value).then_some(Self(value + 0.0))
            }

            /// The number between 0 and 1.
            pub fn get(self) -> f64 {
                self.0
            }
        }

        impl Decode for $ty {
            fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
                share(node, cx, $what).map(Self)
            }
            fn type_name() -> String {
                concat!($name, " (`0.02` or `\"2%\"`)").into()
            }
        }

        impl Encode for $ty {
            fn encode(&self) -> Node {
                Node::made(match self.0 {
                    0.0 => Value::Integer(0),
                    1.0 => Value::Integer(1),
                    value => Value::Float(value),
                })
            }
        }

        impl fmt::Display for $ty {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

shares! {
    /// How likely something is: a number between 0 and 1, or a percentage.
    Probability, "a probability", "probability";
    /// A part of a whole: a number between 0 and 1, or a percentage.
    Fraction, "a fraction", "fraction";
}

/// A quantity or number that can be zero.
pub trait Zero {
    /// Whether it is.
    fn is_zero(&self) -> bool;
}

macro_rules! zeros {
    ($($ty:ty: |$v:ident| $is:expr;)*) => {$(
        impl Zero for $ty {
            fn is_zero(&self) -> bool {
                let $v = self;
                $is
            }
        }
    )*};
}

zeros! {
    SimDuration: |d| d.as_nanos() == 0;
    SignedDuration: |d| d.0 <= 0;
    Money: |m| m.0 == 0;
    Bytes: |b| b.0 == 0;
    Bandwidth: |b| b.0 == 0;
    Probability: |p| p.0 == 0.0;
    Fraction: |p| p.0 == 0.0;
    super::Rate: |r| r.events() == 0;
    u32: |n| *n == 0;
    u64: |n| *n == 0;
    usize: |n| *n == 0;
    f64: |x| *x <= 0.0;
}

/// A quantity or number above zero; zero and less are refused when it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Positive<T>(T);

impl<T: Zero> Positive<T> {
    /// `value`, unless it is zero.
    pub fn new(value: T) -> Option<Self> {
        (!value.is_zero()).then_some(Self(value))
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Positive<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Decode + Zero> Decode for Positive<T> {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        let value = T::decode(node, cx)?;
        if value.is_zero() {
            let message = format!("expected more than zero, found {}", node.found());
            cx.push(Diagnostic::error(Code::QuantityRange, node.span, message));
            return None;
        }
        Some(Self(value))
    }
    fn type_name() -> String {
        format!("{}, above zero", T::type_name())
    }
    fn describe(reference: &mut Reference) {
        T::describe(reference);
    }
}

impl<T: Encode> Encode for Positive<T> {
    fn encode(&self) -> Node {
        self.0.encode()
    }
}
