//! `variants` and `expect`: changes of a scenario, and what must hold.

use crate::scenario::syntax::quantity::{Bytes, Fraction, Money, Positive, Rate, SignedDuration};
use crate::scenario::syntax::{
    Code, Cx, Decode, Diagnostic, Encode, Named, Node, OneOrMany, Part, Path, Reference, Spanned, Value, arrange,
};
use serde::Serialize;
use std::fmt;
use std::str::FromStr;

crate::language! {
    /// A change of the scenario.
    pub enum Change {
        /// Puts a value where a path leads: `Set(path: "services.search.at", to: "inference")`. The last name of the path may
        /// be a field that the scenario leaves out.
        Set {
            /// The way to the value from the top of the file: names with dots between them, and the numbers of items of lists, from
            /// zero, in brackets: `agents.researcher.program[0].times`. A name with dots, blanks or brackets in it stands in quotes,
            /// which a text writes with backslashes: `"services.\"my search\".servers"`. So do paths of `--set`.
            path: Spanned<Path>,
            /// The new value.
            to: Node,
        },
    }

    /// What `quorate knee` looks for in this scenario, unless its command line says otherwise: the value of a parameter at which a
    /// yes or no changes.
    pub struct Knee {
        /// The parameter: a path as in `Set`. Its values come after the changes of variants.
        path: Part<Spanned<Path>>,
        /// The least value that is looked at.
        from: Part<Spanned<Amount>>,
        /// The greatest.
        to: Part<Spanned<Amount>>,
        /// The measure that answers: a yes or no, or any other with `above`.
        measure: Part<Spanned<String>> = Part::from(Spanned::from("herd.metastable".to_string())),
        /// A run's answer is yes if its measure is above this.
        above: Part<Option<Spanned<Amount>>>,
        /// How wide the interval of the knee may be, as a part of the value in its middle.
        precision: Part<Spanned<Fraction>> = Part::from(Spanned::from(fraction(0.02))),
        /// The most runs at a value. As few are made as it takes to be sure.
        replicates: Part<Spanned<Positive<u32>>> = Part::from(super::positive(100)),
        /// How sure the interval is.
        confidence: Part<Spanned<Fraction>> = Part::from(Spanned::from(fraction(0.95))),
        /// How many values are looked at first, spread evenly: two or more.
        points: Part<Spanned<u32>> = Part::from(5),
    }

    /// How a measure grows with a number of the scenario: the exponent of a power law, fitted to all replicates of some variants by least squares of
    /// logarithms.
    pub struct Scaling {
        /// The measure. Where it is zero or less it has no logarithm, and is left out.
        measure: Part<Spanned<String>>,
        /// The number that it grows with: a path as in `Set`, at which a positive number or quantity stands in each of the variants.
        with: Part<Spanned<Path>>,
        /// The variants, `base` among them if it is one: at least three different numbers make a fit worth something. Without it all.
        variants: Part<Option<Spanned<OneOrMany<Part<Spanned<String>>>>>>,
        /// What the line is called in tables and plots. Without it the name of the measure. Those of one measure share a plot.
        called: Part<Option<String>>,
        /// Where the exponent must lie, with the whole of its interval of 95 %.
        is: Part<Option<Spanned<Bound>>>,
    }

    /// Something that must hold after every run of a scenario.
    pub enum Expect {
        /// A bound on a measure.
        Measure {
            /// The measure: one of `docs/measures.md`, with the name of a service, a task or a store in place of its `*`.
            name: Part<Spanned<String>>,
            /// The variant whose measure it is. Without it that of every variant.
            variant: Part<Option<Spanned<String>>>,
            /// The variant whose measure is taken away from it, replicate by replicate.
            over: Part<Option<Spanned<String>>>,
            /// What is made of the replicates.
            stat: Part<Statistic> = Part::from(Statistic::Mean),
            /// The bound, in the measure's unit.
            is: Part<Spanned<Bound>>,
            /// How sure it must be: the whole interval of this confidence has to lie inside the bound. Without it the value itself has to.
            confidence: Part<Option<Spanned<Fraction>>>,
            /// The name of the known answer that this is, for `quorate validate`.
            row: Part<Option<String>>,
            /// Where the known answer comes from.
            source: Part<Option<String>>,
        },
        /// An invariant that no run may violate: `Always("no_lost_updates")`. `docs/measures.md` and `quorate help Always` list them.
        Always(Spanned<String>),
        /// Something that must happen: `Sometimes(event: "state.conflicts")` holds if the runs together have one conflict at least.
        /// Where only some variants are run, one that is about all of them says nothing.
        Sometimes {
            /// The event: the name of a measure that counts (unit `count`), or of a yes or no.
            event: Part<Spanned<String>>,
            /// The variant in which it must happen. Without it in any: the runs of all variants count together.
            variant: Part<Option<Spanned<String>>>,
            /// How often at least, over all runs.
            at_least: Part<Positive<u64>> = Part::from(super::positive(1)),
        },
    }

    /// What is made of the replicates.
    pub enum Statistic {
        /// Their mean.
        Mean,
        /// Their median.
        Median,
        /// The least of them.
        Min,
        /// The greatest of them.
        Max,
        /// Their sum.
        Sum,
        /// Every one of them.
        Each,
    }

    /// Where a value has to lie. Ends belong to it.
    pub enum Bound {
        /// Between two values.
        Between(Spanned<Amount>, Spanned<Amount>),
        /// At or below a value.
        AtMost(Spanned<Amount>),
        /// At or above a value.
        AtLeast(Spanned<Amount>),
        /// Near a value: by a distance, or by a part of the value.
        Near {
            /// The value.
            value: Spanned<Amount>,
            /// The greatest distance.
            within: Option<Spanned<Amount>>,
            /// The greatest distance as a part of the value.
            relative: Option<Fraction>,
        },
    }
}

/// A number without the noise behind its twelfth digit, which quantities that are read from texts have in base units.
fn tidy(value: f64) -> f64 {
    format!("{value:.11e}").parse().unwrap_or(value)
}

/// A part of 1 that is one: for defaults.
fn fraction(value: f64) -> Fraction {
    Fraction::new(value).expect("a default between 0 and 1")
}

/// The variants by name. Their order is that of every table and plot, so it is part of what a scenario says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Variants(pub Named<Changes>);

/// What makes a variant.
pub type Changes = Part<Vec<Part<Change>>>;

impl Decode for Variants {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        Named::decode(node, cx).map(Self)
    }
    fn unread() -> Option<Self> {
        Named::unread().map(Self)
    }
    fn arrange(node: &mut Node) {
        arrange::map(node, Changes::arrange, false);
    }
    fn type_name() -> String {
        Named::<Changes>::type_name()
    }
    fn describe(reference: &mut Reference) {
        Named::<Changes>::describe(reference);
    }
}

impl Encode for Variants {
    fn encode(&self) -> Node {
        self.0.encode()
    }
}

/// A value with its unit, whatever it measures. All can be negative: differences are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub enum Amount {
    /// A plain number.
    Number(f64),
    /// A percentage, as a part of 1.
    Share(f64),
    /// A duration.
    Time(SignedDuration),
    /// Money.
    Money(Signed<Money>),
    /// How often something happens.
    Rate(Signed<Rate>),
    /// A size.
    Bytes(Signed<Bytes>),
}

/// A quantity that has no sign of its own, with one: a difference of two.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Signed<T> {
    /// Whether it is below zero.
    pub negative: bool,
    /// Its size.
    pub size: T,
}

impl<T> Signed<T> {
    /// The value, where `size` is its size in base units.
    fn base(self, size: impl FnOnce(T) -> f64) -> f64 {
        let size = size(self.size);
        if self.negative { -size } else { size }
    }
}

impl<T: FromStr> FromStr for Signed<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        let (negative, size) = text.strip_prefix('-').map_or((false, text), |size| (true, size));
        Ok(Self {
            negative,
            size: size.parse()?,
        })
    }
}

impl<T: fmt::Display> fmt::Display for Signed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.negative { "-" } else { "" }, self.size)
    }
}

impl Amount {
    /// The text of another value of this kind, from base units.
    pub fn alike(self, base: f64) -> String {
        let base = tidy(base);
        match self {
            Self::Number(_) => format!("{base}"),
            Self::Share(_) => format!("{}%", tidy(base * 100.0)),
            Self::Time(_) => format!("{}ns", libm::round(base * 1e9)),
            Self::Money(_) => format!("{base} USD"),
            Self::Rate(_) => format!("{base}/s"),
            Self::Bytes(_) => format!("{}B", libm::round(base)),
        }
    }

    /// The value as a field of a scenario has it: whole numbers stay whole.
    pub fn node(self) -> Node {
        match self {
            Self::Number(number) if number == libm::trunc(number) && number.abs() < 1e15 => {
                Node::made(Value::Integer((number as i64).into()))
            }
            other => other.encode(),
        }
    }

    /// What it measures, in words.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Number(_) => "a plain number",
            Self::Share(_) => "a percentage",
            Self::Time(_) => "a duration",
            Self::Money(_) => "money",
            Self::Rate(_) => "a rate",
            Self::Bytes(_) => "a size",
        }
    }

    /// The value in base units: parts of 1, seconds, dollars, events a second, bytes.
    pub fn base(self) -> f64 {
        match self {
            Self::Number(number) | Self::Share(number) => number,
            Self::Time(time) => time.0 as f64 / 1e9,
            Self::Money(money) => money.base(|money| money.0 as f64 / 1e9),
            Self::Rate(rate) => rate.base(Rate::per_second),
            Self::Bytes(bytes) => bytes.base(|bytes| bytes.0 as f64),
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) | Self::Share(number) => number.fmt(f),
            Self::Time(time) => time.fmt(f),
            Self::Money(money) => money.fmt(f),
            Self::Rate(rate) => rate.fmt(f),
            Self::Bytes(bytes) => bytes.fmt(f),
        }
    }
}

impl Decode for Amount {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        let Value::Text(text) = &node.value else {
            return f64::decode(node, cx).map(Self::Number);
        };
        let percent = || {
            let number = text.trim().strip_suffix('%')?.trim_end();
            let number = number.parse::<f64>().ok().filter(|number| number.is_finite())?;
            Some(Self::Share(number / 100.0))
        };
        let found = percent()
            .or_else(|| text.parse().ok().map(Self::Time))
            .or_else(|| text.parse().ok().map(Self::Money))
            .or_else(|| text.parse().ok().map(Self::Rate))
            .or_else(|| text.parse().ok().map(Self::Bytes));
        if found.is_none() {
            let message = format!("expected a number or a quantity, found {}", node.found());
            let problem = Diagnostic::error(Code::BadQuantity, node.span, message);
            cx.push(
                problem.note("it is a number, or one with a unit: \"5.25s\", \"3 USD\", \"40/s\", \"64KiB\", \"2%\""),
            );
        }
        found
    }
    fn type_name() -> String {
        "number or quantity (`0.02`, `\"5.25s\"`, `\"3 USD\"`, `\"40/s\"`, `\"64KiB\"`, `\"2%\"`)".into()
    }
}

impl Encode for Amount {
    fn encode(&self) -> Node {
        match self {
            Self::Number(number) | Self::Share(number) => number.encode(),
            other => Node::text(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::amount;

    #[test]
    fn another_value_of_a_kind_is_a_text_that_is_read_as_it() {
        for (text, value, said) in [
            ("30/s", 30.0, "30/s"),
            ("3000/min", 141.25, "141.25/s"),
            ("2", 7.0, "7"),
            ("5%", 0.07, "7%"),
            ("250ms", 0.0125, "12500000ns"),
            ("3 USD", 0.3, "0.3 USD"),
            ("64KiB", 100.4, "100B"),
        ] {
            let kind = amount(text).unwrap();
            assert_eq!(kind.alike(value), said);
            assert_eq!(amount(said).unwrap().kind(), kind.kind());
            let again = amount(&kind.alike(kind.base())).unwrap();
            assert!((again.base() / kind.base() - 1.0).abs() < 1e-9, "{text}");
        }
    }
}
